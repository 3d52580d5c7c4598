"""The loop: one thread that owns the consumer, the pipeline and every decision.

A turn: consume (rebalance callbacks fire here) -> settle what came back -> receive -> dispatch what
is due -> dead letters -> discover and start partitions -> commit -> pause or resume -> look around
-> publish.

It does no I/O of its own: it talks to `ports`, reads the clock once per step and blocks only inside
a port, so the same code runs in a simulation. When there is nothing to do it blocks where other
threads can run; a loop that polled with timeout 0 starved the carriers of the interpreter and was
five times slower.

Rebalances (`ports.Listener`): *assigned* begins fresh ledgers; *revoked* drains, commits, releases
and forgets, and other partitions are not disturbed; *lost* releases and forgets without a commit.
A stop is the same as revoking everything. The parts: `assignment`, `discovery` of what is new,
`commits` with the lease, `requests`, `drain`, `stop`, `mailbox` for dead letters, `outlook` for
what stands in the way, `stalls` for partitions from which nothing comes, `schemas` for those whose
next record can't be read yet, `publisher`.
"""

import math
from collections.abc import Callable, Sequence
from typing import assert_never

from consumer.core.ledger import Ledger
from consumer.core.message import Message
from consumer.core.pipeline import Pipeline
from consumer.core.positions import Gone
from consumer.engine.assignment import Assignment
from consumer.engine.commits import Commits
from consumer.engine.discovery import Discovery
from consumer.engine.drain import Drain
from consumer.engine.mailbox import Mailbox
from consumer.engine.outlook import Outlook
from consumer.engine.ports import (
    CommitAnswer,
    Damaged,
    EndOfPartition,
    GiveUp,
    Options,
    Partition,
    Ports,
    Result,
    Trouble,
)
from consumer.engine.publisher import Publisher
from consumer.engine.requests import BUSY_WAIT_SECONDS, IDLE_WAIT_SECONDS, Requests
from consumer.engine.schemas import SchemaWatch
from consumer.engine.stalls import StallWatch
from consumer.engine.starts import Starts
from consumer.engine.stop import Stop
from consumer.engine.wedge import Wedge

CHUNK_RECORDS = 2000


class Loop:
    """See the module's docstring. Implements `ports.Listener`."""

    def __init__(self, options: Options, pipeline: Pipeline, ports: Ports) -> None:
        self._stop = stop = Stop()
        self._drain_seconds = options.drain_timeout_seconds
        self._pipeline = pipeline
        self._ports = ports
        self._backlog: list[Message] = []  # consumed, and beyond the bounds
        self._is_full = False  # the buffer's limit is what keeps the backlog out
        member, carriers, observer = ports.member, ports.carriers, ports.observer
        clock, beat, say = ports.clock, ports.beat, ports.say
        self.commits = commits = Commits(
            options, pipeline.ledgers, pipeline.tally, member, carriers, clock, beat, say
        )
        lease, timeout = commits.lease, options.request_timeout_seconds
        self.requests = requests = Requests(
            pipeline, lease, carriers, say, ports.wall, ports.jitter, ports.before_probe
        )
        starts = Starts(pipeline, say, options.offset_reset)
        self.assignment = assignment = Assignment(pipeline, member, ports.lookup, say, starts)
        is_kip_848 = options.asks_session  # there the broker finds what is new
        self._discovery = (
            None
            if is_kip_848
            else Discovery(member, observer, has_expression=options.has_expression)
        )
        self.stalls = stalls = StallWatch(pipeline, assignment, observer, say)
        self.outlook = outlook = Outlook(
            pipeline, commits, member, observer, stalls, say, options.needs_dead_letters
        )
        self._schemas = SchemaWatch(pipeline, assignment, outlook, ports.schemas, say)
        self._wedge = Wedge(options, commits, outlook, member, observer, say)
        self.mailbox = mailbox = Mailbox(pipeline, ports.dead_letters, say)
        self.publisher = publisher = Publisher(
            pipeline, assignment, outlook, requests, stop, observer, stalls, say, ports.publish
        )
        self.drain = Drain(
            pipeline, commits, requests, mailbox, publisher, stop, carriers, clock, beat, timeout
        )

    # -- what the daemon calls --------------------------------------------------------------------

    @property
    def released(self) -> int:
        """Return how many ids were given up since the start."""
        return self.drain.released

    def request_stop(self, deadline: float) -> None:
        """Ask for a stop; may be called from any thread."""
        self._stop.request(deadline)

    def turn(self) -> bool:
        """Turn once; see the module's docstring. Return whether anything came.

        Raises GiveUp if the daemon can't go on.
        """
        now = self._ports.clock()
        self._ports.beat(now)
        results, messages = self._wait_for_work(now)
        now = self._ports.clock()
        self.requests.settle(results, now)
        self._receive(messages, now)
        self._drop_backlog(self._schemas.turn(now))
        self._dispatch(now)
        self.mailbox.turn(now)
        if self._discovery is not None:
            self._discovery.look(now)
        self._begin(now)
        self.commits.send(now)
        self.assignment.pause_or_resume(now, has_backlog=bool(self._backlog), is_full=self._is_full)
        self.outlook.look(now, self.assignment.waiting, self.mailbox.trouble(now))
        self._wedge.look(now)
        self.publisher.turn(now)
        return bool(results or messages)

    def stop(self, deadline: float) -> None:
        """Drain all, commit, release what is left; the member is to be closed afterwards."""
        self._stop.has_begun = True
        self.publisher.publish(self._ports.clock())
        self.assignment.forget_starting()
        self._backlog.clear()
        deadline = min(deadline, self.drain.deadline)
        self.drain.run(list(self._pipeline.ledgers.values()), deadline, "shutdown")
        self.publisher.publish(self._ports.clock())

    # -- the group's callbacks --------------------------------------------------------------------

    def assigned(self, partitions: Sequence[Partition]) -> None:
        """Take partitions over; they begin as soon as the brokers have said where."""
        self._tell("assigned", partitions)
        self.outlook.joined = True
        stops = self._stop.has_begun
        self.assignment.begin(() if stops else partitions)

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """Finish what can be finished, commit, and let go."""
        self._tell("revoked", partitions)
        deadline = self._ports.clock() + self._drain_seconds
        deadline = min(deadline, self.drain.deadline, self._stop.deadline)
        self._part_with(partitions, lambda ledgers: self.drain.run(ledgers, deadline, "revoke"))

    def lost(self, partitions: Sequence[Partition]) -> None:
        """Drop everything at once: somebody else has these partitions."""
        self._tell("lost", partitions, level="warning")
        self.commits.lease.void(self._ports.clock())
        self.outlook.joined = False
        self._part_with(partitions, self.drain.release)

    def commit_answered(self, answer: CommitAnswer) -> None:
        """Take over what the broker says is committed; a success proves membership."""
        self.commits.answered(answer)

    def kafka_error(self, error: Trouble) -> None:
        """Remember the client's trouble; give up if it is fatal."""
        if error.fatal:
            raise GiveUp(f"librdkafka can't go on: {error.code}: {error.detail}")
        self.outlook.hear(error, self._ports.clock())

    # -- a turn's steps ---------------------------------------------------------------------------

    def _wait_for_work(self, now: float) -> tuple[Sequence[Result], Sequence[Message]]:
        """Block where something is to be expected: at the carriers or at the consumer."""
        member, carriers = self._ports.member, self._ports.carriers
        in_flight = self.requests.in_flight
        if not (self.assignment.pausing or self._backlog):
            limit = BUSY_WAIT_SECONDS if in_flight else IDLE_WAIT_SECONDS
            wait = min(limit, self.requests.until_next(now))
            messages = member.consume(CHUNK_RECORDS, wait)
            return carriers.collect(0.0), messages
        wait = min(BUSY_WAIT_SECONDS, self.requests.until_next(now))
        is_fetching = self.assignment.fetching
        if in_flight:
            # Settled before the callbacks that consume may fire: a drain must know of them.
            self.requests.settle(carriers.collect(BUSY_WAIT_SECONDS), self._ports.clock())
            wait = 0.0
        elif is_fetching:
            carriers.wait(wait)
            wait = 0.0
        # What was fetched ahead can't be taken in: one record, for the callbacks in front of it.
        return (), member.consume(1 if is_fetching else CHUNK_RECORDS, wait)

    def _receive(self, messages: Sequence[Message], now: float) -> None:
        if self._backlog:
            self._backlog.extend(messages)
            messages = self._backlog
        if messages:
            self.commits.expect_holds()
        taken, error = self._pipeline.receive(messages, now)
        while error is not None or (taken < len(messages) and self._pipeline.has_room()):
            if error is None:  # a batch is full: it leaves before the next one fills up
                self._dispatch(now)
                taken, error = self._pipeline.receive(messages, now, taken)
                continue
            meaning = self._ports.member.meaning_of(error)
            if isinstance(meaning, EndOfPartition):  # there may be many
                self._take_end(error)
            else:  # which may drop what is behind it
                self._backlog, taken = list(messages[taken:]), 0
                self._take_error(_name(error), meaning, now)
                messages = self._backlog
            taken, error = self._pipeline.receive(messages, now, taken)
        self._backlog = list(messages[taken:])
        self._is_full = bool(self._backlog) and not self._pipeline.is_backed_up()

    def _dispatch(self, now: float) -> None:
        if not self._stop.requested:  # what starts now must be over by the stop's deadline
            self.requests.dispatch(now, math.inf, is_paused=self.assignment.paused)

    def _take_end(self, end: Message) -> None:
        """Go behind the last record: there may be transaction markers and compacted offsets."""
        ledger = self._pipeline.ledgers.get(_name(end))
        if ledger is not None and _name(end) not in self._pipeline.awaited:
            ledger.pass_gap(end.offset())

    def _take_error(self, name: Partition, meaning: Gone | Damaged | Trouble, now: float) -> None:
        match meaning:
            case Gone() as gone:
                self._lose_positions([name], gone, now)
            case Damaged(trouble):
                self._drop_backlog([name])
                self.assignment.rest([name], now)
                self.stalls.hear(name, trouble)
                self.kafka_error(trouble)
            case Trouble() as trouble:
                self.stalls.hear(name, trouble)
                self.kafka_error(trouble)
            case never:
                assert_never(never)

    def _begin(self, now: float) -> None:
        """Begin what may begin, and see whether something is to begin anew."""
        if self.assignment.turn(now):
            self.commits.commit_soon()
            self.outlook.tell_observer()
        if again := [*self.assignment.made_anew(), *self.commits.take_doubtful()]:
            self._lose_positions(again, None, now)

    def _lose_positions(self, names: Sequence[Partition], gone: Gone | None, now: float) -> None:
        self._drop_backlog(names)
        self.assignment.lose_positions(names, gone, now)

    # -- giving up partitions ---------------------------------------------------------------------

    def _part_with(
        self, partitions: Sequence[Partition], end: Callable[[list[Ledger]], None]
    ) -> None:
        self._drop_backlog(partitions)
        end(self.assignment.take_away(partitions))
        self.assignment.let_go(partitions)
        self.outlook.tell_observer()
        self.publisher.publish(self._ports.clock())

    def _drop_backlog(self, partitions: Sequence[Partition]) -> None:
        """Forget what was consumed and not received yet."""
        if not (partitions and self._backlog):
            return
        gone = set(partitions)
        self._backlog = [each for each in self._backlog if _name(each) not in gone]

    def _tell(self, event: str, partitions: Sequence[Partition], level: str = "info") -> None:
        """Count and log a callback of the group."""
        self._pipeline.tally.add("rebalances_total", event)
        names = [f"{topic}:{partition}" for topic, partition in partitions]
        now = self._ports.clock()
        text = f"{len(names)} partitions"
        self._ports.say(now, event, str(now), text, level=level, partitions=names)


def _name(message: Message) -> Partition:
    return message.topic(), message.partition()
