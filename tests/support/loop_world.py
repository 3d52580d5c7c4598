"""The real loop between ports of a test's own, on a clock that moves only when the loop waits.

One topic, whose partitions hold as many records as a test says; an API that takes its time; a
dead-letter topic that acknowledges at once. `WorldClock.now` is the time of all of them.
"""

import heapq
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from consumer.core.attempts import Attempt
from consumer.core.dead_letters import DeadLetter
from consumer.core.message import Message
from consumer.core.outcomes import Answer, Answered
from consumer.core.pipeline import Pipeline
from consumer.core.positions import Going, Log
from consumer.core.rules import Rules
from consumer.core.schemas.compiled import Compiled
from consumer.core.schemas.inquiries import Found as FoundSchema
from consumer.core.schemas.inquiries import Inquiries
from consumer.core.schemas.reader import PlainReadings, SchemaReader
from consumer.core.tally import Tally
from consumer.core.throttle import Throttle
from consumer.engine.loop import Loop
from consumer.engine.ports import (
    CommitAnswer,
    Committed,
    FirstStart,
    Found,
    MessageError,
    Offsets,
    Options,
    Partition,
    Ports,
    Published,
    Report,
    Result,
    Schemas,
    View,
)
from consumer.observability.logs import Repeats
from tests.support.records import FakeMessage

TOPIC = "audience"
START = 1000.0
STEP_SECONDS = 0.0001  # what looking at the clock costs: nothing here takes no time at all
ACCEPTED = Answered(200, b"{}")


class World:
    """Kafka, the API and time. ``answer`` and ``latency`` are the API's; change them at will."""

    committed = Committed(0, "")
    """Where partitions begin."""
    first_start = FirstStart(group_has_commits=False, census={}, counts={TOPIC: 1})
    first, topic_id = 0, "one"
    """Of the logs."""
    metadata_limit = 4096
    pauses = 0
    """How often reading was paused."""
    departures = 0
    """How often partitions were given up."""
    is_away_until = -math.inf
    """The coordinator, for those who ask whether it answers."""
    name_in_group = "member"
    can_look = True
    """A broker is there that can be asked."""

    def __init__(  # noqa: PLR0915 - a line for each thing that a test may look at or change
        self,
        value_of: Callable[[int, int], bytes],
        *,
        records: int = 10**9,
        partitions: int = 1,
        per_second: float = 100_000.0,
        session_seconds: float = 45.0,
        drain_seconds: float = 20.0,
        timeout_seconds: float = 10.0,
        commit_seconds: float = 1.0,
        max_in_flight: int = 8,
        requests_per_second: float = 100.0,
        asks_session: bool = False,
        offset_reset: str = "earliest",
        has_expression: bool = False,
        registry: "Registry | None" = None,
        **rules: object,
    ) -> None:
        self.now = START
        self.latest = math.inf  # a test that takes longer has failed
        self.value_of = value_of
        self.records = records
        self.per_second = per_second
        self.latency = 0.1
        self.latency_of: Callable[[Attempt], float] = lambda _: self.latency
        self.answer: Callable[[Attempt], Answer] = lambda _: ACCEPTED
        self.refused_commits: set[int] = set()
        self.unread: set[int] = set()  # the client reads these no more, and has said so
        self.is_member = True  # as the group has it
        self.loses_answers_to_commits = False
        self.commit_latency = 0.0  # until the answer to one that isn't waited for
        self.commit_now_latency = 0.0  # until the answer to one that is waited for
        self.repeat_seconds = 0.0  # after which one that isn't waited for arrives, being repeated
        self.commits: list[tuple[Partition, int]] = []  # as the broker took them
        self.deaf_leaders: set[int] = set()
        self.leader_epoch: int | None = None
        self.told: list[tuple[str, dict[str, object]]] = []  # events with their fields
        self.sent_commits: list[dict[Partition, Offsets]] = []
        self.started: list[tuple[Partition, Going]] = []
        self.looks: list[set[str]] = []  # at single topics
        self.take_ups: list[float] = []  # when the client was to take up what is new
        self.listings: list[float] = []  # when all were listed
        self.sent: list[tuple[float, Attempt]] = []
        self.lease_ends: list[float] = []  # of what was sent
        self.said: list[tuple[str, str]] = []
        self.written: list[tuple[str, str]] = []  # what is left of that when repetitions are folded
        self._repeats = Repeats()
        self.beats: list[float] = []
        self.published: Published | None = None
        self.inside_consume: list[Callable[[], object]] = []
        self.before_consume: Callable[[float], None] = lambda _: None
        self.collected = 0  # answers, the last time
        self.errors: list[Message] = []
        self.began_anew: list[float] = []  # clients of the member's
        self.acknowledges = True
        self._positions: dict[int, int] = {}
        self._paused: set[int] = set()
        self._ready = 0.0
        self._ready_at = self.now
        self._commits: list[tuple[float, CommitAnswer]] = []
        self._repeated: list[tuple[float, dict[Partition, Offsets]]] = []
        self._flying: list[tuple[float, int, Attempt, float]] = []
        self._numbers, self._turns = itertools.count(), itertools.count()
        self._dead_letters: list[DeadLetter] = []
        given: dict[str, Any] = {
            "batch_max_ids": 1000,
            "linger_seconds": 5.0,
            "buffer_max_ids": 200_000,
            "request_timeout_seconds": timeout_seconds,
            "max_backoff_seconds": 60.0,
            "reject_policy": "dead-letter",
            "dead_letter_max_consecutive": 1000,
            **rules,
        }
        throttle = Throttle(
            max_in_flight=max_in_flight,
            requests_per_second=requests_per_second,
            max_backoff_seconds=60.0,
        )
        inquiries = Inquiries()
        reader = SchemaReader(inquiries.known, PlainReadings("id")) if registry else None
        self.pipeline = Pipeline(Rules(**given), "id", throttle, Tally(), reader)
        options = Options(
            request_timeout_seconds=timeout_seconds,
            drain_timeout_seconds=drain_seconds,
            commit_interval_seconds=commit_seconds,
            session_timeout_seconds=session_seconds,
            heartbeat_interval_seconds=min(3.0, session_seconds / 6),
            offset_reset=offset_reset,
            asks_session=asks_session,
            has_expression=has_expression,
            needs_dead_letters=True,
        )
        self.view = View(asked=True)
        self.partitions: tuple[Partition, ...] = ()
        self.id_of_member = ""
        self.observer = _Observer(self)
        self.lookup = _Lookup(self)
        self.loop = Loop(
            options,
            self.pipeline,
            Ports(
                member=_Member(self),
                lookup=self.lookup,
                carriers=_Carriers(self),
                dead_letters=_DeadLetters(self),
                observer=self.observer,
                clock=self._look,
                wall=lambda: 1.7e9 + self.now,
                jitter=lambda: 0.5,
                say=self._say,
                beat=self.beats.append,
                publish=self._publish,
                before_probe=lambda: None,
                schemas=Schemas(registry, inquiries) if registry else None,
            ),
        )
        if registry:
            registry.clock = lambda: self.now
        names = [(TOPIC, partition) for partition in range(partitions)]
        self.inside_consume.append(lambda: self.loop.assigned(names))

    def run_until(self, seconds: float) -> "World":
        """Turn until so many seconds after the start."""
        while self.now < START + seconds:
            self.loop.turn()
        return self

    def run_while(self, goes_on: Callable[[], object], most_seconds: float = 600.0) -> "World":
        """Turn as long as that is true."""
        ends_at = self.now + most_seconds
        while goes_on():
            assert self.now < ends_at, "still the same after so long"
            self.loop.turn()
        return self

    def flying_ids(self) -> set[str]:
        """Return what the API is just busy with."""
        return {name for _, _, attempt, _ in self._flying for name in attempt.ids}

    def holds(self) -> set[str]:
        """Return the reasons for which the loop is held."""
        return {reason.value for reason in self.pipeline.throttle.holds}

    def _publish(self, published: Published) -> None:
        self.published = published

    def _look(self) -> float:
        self.now += STEP_SECONDS
        assert self.now < self.latest, "it goes on for too long"
        while self._repeated and self._repeated[0][0] <= self.now:
            _, offsets = self._repeated.pop(0)
            self._commits.append((self.now, self.answer_to(offsets)))
        return self.now

    def _say(
        self, now: float, event: str, key: str, message: str, *, level: str, **fields: object
    ) -> None:
        assert now <= self.now, (key, fields)
        self.told.append((event, fields))
        assert level in {"info", "warning", "error"}
        self.said.append((event, message))
        if self._repeats.unsaid(now, (event, key)) is not None:
            self.written.append((event, message))

    # -- Kafka ------------------------------------------------------------------------------------

    def consume(self, count: int, timeout_seconds: float) -> Sequence[Message]:
        """Return what arrived; callbacks fire here."""
        self.before_consume(timeout_seconds)
        while self.inside_consume:
            self.inside_consume.pop(0)()
        while self._commits and self._commits[0][0] <= self.now:
            self.loop.commit_answered(self._commits.pop(0)[1])
        errors, self.errors = self.errors, []
        if errors:
            return errors
        live = [each for each in self._positions if self.is_read(each)]
        if not any(self._positions[each] < self.records for each in live):
            self.now += timeout_seconds
            self._ready_at = self.now
            return []
        self._arrive()
        if self._ready < count and timeout_seconds > 0:
            self.now += min(timeout_seconds, (count - self._ready) / self.per_second)
            self._arrive()
        taken: list[Message] = []
        for _ in range(int(min(count, self._ready))):
            partition = live[next(self._turns) % len(live)]
            offset = self._positions[partition]
            if offset < self.records:
                self._positions[partition] += 1
                value = self.value_of(partition, offset)
                epoch = self.leader_epoch
                taken.append(FakeMessage(TOPIC, partition, offset, value, leader_epoch=epoch))
        self._ready -= len(taken)
        return taken

    def _arrive(self) -> None:
        self._ready = min(
            100_000.0, self._ready + self.per_second * max(0.0, self.now - self._ready_at)
        )
        self._ready_at = self.now

    def answer_to(self, offsets: dict[Partition, Offsets]) -> CommitAnswer:
        """Return what the broker says of a commit."""
        if not self.is_member:
            return CommitAnswer({}, "unknown member", is_member=False, retriable=False)
        self.sent_commits.append(offsets)
        too_long = {n for n, o in offsets.items() if len(o.metadata) > self.metadata_limit}
        refused = {n for n in offsets if n[1] in self.refused_commits} | too_long
        taken = {n: o.offset for n, o in offsets.items() if n not in refused}
        self.commits.extend(taken.items())
        if self.loses_answers_to_commits:
            return CommitAnswer({}, "request timed out")
        error = None if len(taken) == len(offsets) else "unknown topic or partition"
        is_retriable = refused == too_long
        return CommitAnswer(taken, error, retriable=is_retriable, too_long=frozenset(too_long))

    def commit_now(self, offsets: dict[Partition, Offsets]) -> CommitAnswer:
        """Take a commit, and its time for that."""
        self.wait(self.commit_now_latency)
        return self.answer_to(offsets)

    def place(self, positions: dict[Partition, Going], *, paused: bool) -> None:
        """Begin to read."""
        self.started.extend(positions.items())
        for (_, partition), at in positions.items():
            self._positions[partition] = at.offset
            self.unread.discard(partition)
            (self._paused.add if paused else self._paused.discard)(partition)

    def is_read(self, partition: int) -> bool:
        """Whether a partition is fetched now."""
        return partition in self._positions and partition not in self._paused | self.unread

    def leave(self, partitions: Iterable[Partition]) -> None:
        """Read no more."""
        self.departures += 1
        for _, partition in partitions:
            self._positions.pop(partition, None)

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Fetch nothing for a while."""
        self.pauses += 1
        self._paused |= {partition for _, partition in partitions}

    def resume(self, partitions: Iterable[Partition]) -> list[Partition]:
        """Fetch again; return what is not read any more."""
        names = sorted(partitions)
        self._paused -= {partition for _, partition in names}
        return [name for name in names if name[1] in self.unread]

    def send_commit(self, offsets: dict[Partition, Offsets]) -> None:
        """Answer in a later consume."""
        if self.repeat_seconds:
            self._repeated.append((self.now + self.repeat_seconds, offsets))
        else:
            self._commits.append((self.now + self.commit_latency, self.answer_to(offsets)))

    def begin_anew(self) -> None:
        """Take a new client: what the old one had is lost, and what it sent is not answered."""
        self.began_anew.append(self.now)
        names = [(TOPIC, each) for each in self._positions]
        if names:
            self.loop.lost(names)
        self._commits.clear()
        self.loop.commit_answered(CommitAnswer({}, "its client is gone", is_member=False))
        self.inside_consume.append(lambda: self.loop.assigned(names))

    # -- the API and the dead letters -------------------------------------------------------------

    def start_try(self, attempt: Attempt) -> None:
        """Have a request on its way."""
        self.sent.append((self.now, attempt))
        entry = (self.now + self.latency_of(attempt), next(self._numbers), attempt, self.now)
        heapq.heappush(self._flying, entry)

    def collect(self, timeout_seconds: float) -> Sequence[Result]:
        """Return the answers that are there, waiting for the first."""
        if self._flying and timeout_seconds > 0 and self._flying[0][0] > self.now:
            self.now = min(self._flying[0][0], self.now + timeout_seconds)
        results: list[Result] = []
        while self._flying and self._flying[0][0] <= self.now:
            _, _, attempt, began = heapq.heappop(self._flying)
            results.append(Result(attempt, self.answer(attempt), self.now - began))
        self.collected = len(results)
        return results

    def wait(self, timeout_seconds: float) -> None:
        """Let time pass."""
        self.now += timeout_seconds

    def post_dead_letter(self, dead_letter: DeadLetter) -> None:
        """Take a dead letter."""
        self._dead_letters.append(dead_letter)

    def dead_letter_reports(self) -> Sequence[Report]:
        """Acknowledge what was taken."""
        if not self.acknowledges:
            return []
        dead_letters, self._dead_letters = self._dead_letters, []
        return [Report(dead_letter, None) for dead_letter in dead_letters]


class Registry:
    """Has the schemas that a test says, and takes its time. ``asked``: when for what."""

    def __init__(self) -> None:
        self.answer: Callable[[bytes], FoundSchema] = lambda _: Compiled("JSON Schema", "", None)
        self.latency = 0.01
        self.clock: Callable[[], float] = lambda: START
        self.asked: list[tuple[float, bytes]] = []
        self._flying: list[tuple[float, bytes]] = []

    def ask(self, prefix: bytes) -> None:
        """Take a question."""
        self.asked.append((self.clock(), prefix))
        self._flying.append((self.clock() + self.latency, prefix))

    def found(self) -> Sequence[tuple[bytes, FoundSchema]]:
        """Return the answers that are there."""
        there = [each for each in self._flying if each[0] <= self.clock()]
        self._flying = [each for each in self._flying if each not in there]
        return [(prefix, self.answer(prefix)) for _, prefix in there]


class _Member:
    def __init__(self, world: World) -> None:
        self.consume = world.consume
        self.start = world.place
        self.stop = world.leave
        self.pause = world.pause
        self.resume = world.resume
        self.commit_now = world.commit_now
        self._world = world

    def commit(self, offsets: dict[Partition, Offsets]) -> str | None:
        self._world.send_commit(offsets)
        return None

    def meaning_of(self, message: Message) -> MessageError:
        """Return what a test said that it means."""
        meaning: MessageError = message.error()
        return meaning

    def partition_counts(self, timeout_seconds: float) -> dict[str, int] | None:
        """Let the client list all topics, and wait."""
        assert timeout_seconds > 0
        return {TOPIC: 1}

    def look_at_all(self) -> None:
        """Let the client list all topics."""
        self._world.listings.append(self._world.now)

    def look_at(self, topics: Iterable[str]) -> bool:
        """Let the client look at these topics."""
        self._world.looks.append(set(topics))
        return self._world.can_look

    def take_up_what_is_new(self) -> None:
        """Let the client compare."""
        self._world.take_ups.append(self._world.now)

    def is_reachable(self, timeout_seconds: float) -> bool:
        if self._world.now >= self._world.is_away_until:
            return True
        self._world.wait(timeout_seconds)
        return False

    def member_id(self) -> str:
        return self._world.name_in_group

    def start_anew(self) -> None:
        self._world.begin_anew()


class _Lookup:
    """Answers at once, but for leaders that are deaf; ``asked`` has each question there was."""

    def __init__(self, world: World) -> None:
        self.wanted: Mapping[Partition, int] = {}
        self.read: frozenset[str] = frozenset()
        self.topic_ids: Mapping[str, str] = {}
        self.trouble = ""
        self.late: list[Found] = []  # what is to come besides
        self.asked: list[dict[Partition, int]] = []
        self._world = world
        self._answered: set[int] = set()

    def ask_now(self) -> None:
        """Take the questions down."""
        self.asked.append(dict(self.wanted))

    def found(self) -> Sequence[Found]:
        """Answer what was not answered yet."""
        world = self._world
        answers, self.late = self.late, []
        log = Log(world.first, world.records, world.leader_epoch, world.topic_id)
        for name, number in self.wanted.items():
            if number not in self._answered and name[1] not in world.deaf_leaders:
                self._answered.add(number)
                answers.append(Found(name, number, world.committed, log, world.first_start))
        return answers


class _Carriers:
    def __init__(self, world: World) -> None:
        self.collect = world.collect
        self.wait = world.wait
        self._world = world

    def send(self, attempt: Attempt, lease_end: float) -> None:
        assert lease_end > self._world.now
        self._world.lease_ends.append(lease_end)
        self._world.start_try(attempt)


class _DeadLetters:
    def __init__(self, world: World) -> None:
        self._world = world

    def send(self, dead_letter: DeadLetter) -> bool:
        self._world.post_dead_letter(dead_letter)
        return True

    def poll(self, timeout_seconds: float = 0.0) -> Sequence[Report]:
        assert timeout_seconds == 0
        return self._world.dead_letter_reports()


class _Observer:
    def __init__(self, world: World) -> None:
        self.view = world.view
        self.partitions: tuple[Partition, ...] = ()
        self.silent: Mapping[Partition, int] = {}
        self.member_id = ""

    def ask_now(self) -> None:
        """Do nothing: a test sets what is seen."""
