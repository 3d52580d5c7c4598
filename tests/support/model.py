"""A small world around a pipeline: producer, broker, API and time, all of them hostile.

A *script* is a list of steps, each the name of a method of `World` and a seed for what it has to
choose. After every step the pipeline is compared with a naive `Account`; at the end everything is
let succeed and nothing may be left over. So a script that fails can be cut down to what it needs.

What may be applied when: the API processes a request at any moment from its start to its deadline,
whatever the daemon sees of it, unless the answer rules it out. A process that died sends nothing
after that, and its successor begins when its requests are over.
"""

import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from consumer.core.attempts import Attempt
from consumer.core.dead_letters import DeadLetter, DeadLetterReason
from consumer.core.events import IdType
from consumer.core.ledger import Ledger
from consumer.core.outcomes import (
    Delivered,
    Hold,
    HoldReason,
    Outcome,
    Refused,
    Retry,
    RetryReason,
    Unsent,
)
from consumer.core.pipeline import Pipeline
from consumer.core.rules import Rules
from consumer.core.splitting import SINGLES
from consumer.core.tally import Tally
from consumer.core.throttle import API_HOLDS, Throttle
from tests.support.account import Account, Change, Health, LaneName, Parcel, Truth
from tests.support.records import FakeMessage

TOPIC = "audience"
MARK = "person"  # is in every id, and in nothing else
REFUSING_SEGMENT = 7
JITTERS = (0.0, 0.5, 0.999)
MAX_TURNS_TO_THE_END = 3000
ENDS = [(key[1], key[2]) for key in Tally().counters if key[0] == "ids_total"]

Key = tuple[LaneName, str]
T = TypeVar("T")


class Dice:
    """Choices drawn from a seed; seed 0 always takes the first."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed) if seed else None

    def pick(self, options: Sequence[T]) -> T:
        """Return one of ``options``."""
        return options[0] if self._random is None else self._random.choice(options)

    def number(self, most: int) -> int:
        """Return a number from 0 to ``most``."""
        return self.pick(range(most + 1))

    def some(self, options: Sequence[T], most: int) -> list[T]:
        """Return 1 to ``most`` of ``options``."""
        if self._random is None:
            return list(options[:1])
        return self._random.sample(options, min(len(options), self._random.randint(1, most)))


@dataclass(frozen=True, slots=True)
class Setup:
    """What differs from world to world."""

    partitions: int = 1
    batch_max_ids: int = 3
    linger_seconds: float = 5.0
    buffer_max_ids: int = 1000
    max_in_flight: int = 2
    requests_per_second: float = 1000.0
    max_backoff_seconds: float = 60.0
    reject_policy: str = "dead-letter"
    dead_letter_max_consecutive: int = 0
    default_id_type: IdType = "id"
    crowded: bool = True  # few ids of few lanes


@dataclass(eq=False, slots=True)
class Request:
    """An attempt on its way, or one that may be applied although nobody waits for it any more."""

    attempt: Attempt
    lane: LaneName
    action: str
    until: float
    is_applied: bool = False
    is_answered: bool = False


class World:
    """One process after another, on the same topic, group and API."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.now = 1000.0
        self.log: list[list[Truth]] = [[] for _ in range(setup.partitions)]
        self.committed: list[int | None] = [None] * setup.partitions
        self.applied: dict[Key, str] = {}
        self.ever_refused: set[tuple[int, int]] = set()  # partition and offset
        self.requests: list[Request] = []
        self.starts: list[float] = []
        self._start_process()

    def _start_process(self) -> None:
        setup = self.setup
        self.rules = Rules(
            setup.batch_max_ids,
            setup.linger_seconds,
            setup.buffer_max_ids,
            10.0,
            setup.max_backoff_seconds,
            setup.reject_policy,
            setup.dead_letter_max_consecutive,
            has_one_topic=True,
        )
        throttle = Throttle(
            max_in_flight=setup.max_in_flight,
            requests_per_second=setup.requests_per_second,
            max_backoff_seconds=setup.max_backoff_seconds,
        )
        self.pipeline = Pipeline(self.rules, setup.default_id_type, throttle, Tally())
        self.account = Account(setup.batch_max_ids, setup.linger_seconds)
        self.dead_letters: dict[DeadLetter, list[Change]] = {}
        self.committables: dict[int, int] = {}
        self.urged: list[Ledger] = []
        self.starts = []
        for partition in range(setup.partitions):
            self._assign(partition)

    def run(self, script: Sequence[tuple[str, int]]) -> None:
        """Take all steps, then let everything come to its end."""
        for name, seed in script:
            step: Callable[[Dice], None] = getattr(self, name)
            step(Dice(seed))
            self._check()
        self._finish()

    # -- steps: records -------------------------------------------------------------------------

    def produce(self, dice: Dice) -> None:
        """Append a few records to one partition, with gaps between their offsets."""
        partition = dice.number(self.setup.partitions - 1)
        log = self.log[partition]
        for _ in range(1 + dice.number(3)):
            offset = (log[-1].offset if log else -1) + dice.pick((1, 1, 1, 2, 5))
            log.append(_record(dice, partition, offset, self.setup))

    def contradict(self, dice: Dice) -> None:
        """Append records about ids that are on their way, and read them."""
        waiting = [change for change in self.account.changes if change.name and not change.fate]
        if waiting:
            change = dice.pick(waiting)
            log = self.log[change.partition]
            mates = [
                c for c in waiting if c.lane == change.lane and c.partition == change.partition
            ]
            names = [change.name, *(c.name for c in mates if c is not change)]
            for _ in range(1 + dice.number(1)):
                action = dice.pick(
                    ("remove", "add") if change.action == "add" else ("add", "remove")
                )
                members = {
                    "segment_id": change.lane[0],
                    "action": action,
                    "id_type": change.lane[1],
                }
                some = names[: dice.pick((1, 1, 3))]
                value = json.dumps({**members, "ids": some}).encode()
                offset = log[-1].offset + 1
                log.append(Truth(change.partition, offset, value, change.lane, action, tuple(some)))
            self.poll(dice)

    def poll(self, dice: Dice) -> None:
        """Give what is to be read to the pipeline; not inside a drain, where nobody polls."""
        if self.urged:
            return
        most = dice.pick((100, 3, 1))
        partitions = dice.some(range(self.setup.partitions), self.setup.partitions)
        self._read(partitions, most, with_strays=dice.number(9) == 1)

    def _read(self, partitions: Sequence[int], most: int, *, with_strays: bool = False) -> None:
        batch: list[tuple[FakeMessage, Truth | None]] = []
        if with_strays:
            batch.append((FakeMessage(TOPIC, 99, 5, b"{}"), None))
            batch.append((FakeMessage(TOPIC, 0, 0, error="trouble"), None))
        for partition in partitions:
            ledger = self.pipeline.ledgers.get((TOPIC, partition))
            if ledger is not None:
                unread = [t for t in self.log[partition] if t.offset >= ledger.position]
                batch += [
                    (FakeMessage(TOPIC, partition, each.offset, each.value), each)
                    for each in unread[:most]
                ]
        messages = [message for message, _ in batch]
        taken, error = self.pipeline.receive(messages, self.now)
        while error is not None or (taken < len(messages) and self.pipeline.has_room()):
            assert error is None or error is messages[taken - 1]
            taken, error = self.pipeline.receive(messages, self.now, taken)
        for message, truth in batch[:taken]:
            assert self.account.held() < self.setup.buffer_max_ids, "read on with a full buffer"
            ledger = self.pipeline.ledgers.get((TOPIC, message.partition()))
            if truth is not None and ledger is not None:
                self.account.read(truth, ledger.base, self.now)
                self._skip_refused()
        self._take_dead_letters()

    # -- steps: requests ------------------------------------------------------------------------

    def dispatch(self, _: Dice) -> None:
        """Start what may start."""
        self.pipeline.wake(self.now)
        is_crowded = 2 * self.pipeline.held_ids > self.setup.buffer_max_ids
        for attempt in self.pipeline.dispatch(self.now, is_crowded=is_crowded):
            self._check_form(attempt)
            parcel = self.account.sent(attempt, self.now)
            self._check_overlap(attempt, parcel)
            until = attempt.deadline
            assert until == self.now + self.rules.request_timeout_seconds
            self.requests.append(Request(attempt, parcel.lane, parcel.action, until))
            self.starts.append(self.now)
        if self.pipeline.throttle.may_start(self.now):
            overdue = list(self.account.overdue(self.now, self.pipeline.throttle.slots))
            assert not overdue, f"{overdue[0]} should have left (I4)"

    def apply(self, dice: Dice) -> None:
        """Let the API process a request, whether its answer is still awaited or not."""
        waiting = [each for each in self.requests if self._can_be_applied(each)]
        if waiting:
            self._apply(dice.pick(waiting))

    def settle(self, dice: Dice) -> None:
        """Answer a running request."""
        if running := [each for each in self.requests if not each.is_answered]:
            request = dice.pick(running)
            self._settle(request, self._some_outcome(dice, request), dice.pick(JITTERS))

    def settle_well(self, dice: Dice) -> None:
        """Answer a running request as a healthy API would."""
        if running := [each for each in self.requests if not each.is_answered]:
            request = dice.pick(running)
            self._settle(request, self._good_outcome(request), dice.pick(JITTERS))

    # -- steps: everything else -----------------------------------------------------------------

    def tick(self, dice: Dice) -> None:
        """Let time pass."""
        self._pass(dice.pick((0.01, 0.3, 1.0, 5.0, 5.0, 10.0, 61.0, 301.0)), dice)

    def wait(self, dice: Dice) -> None:
        """Let time pass until the pipeline wants to be woken."""
        at = self.pipeline.next_wake()
        if at < math.inf:
            self._pass(max(0.0, at - self.now), dice)

    def acknowledge(self, dice: Dice) -> None:
        """Tell that the broker has a dead letter, in any order, perhaps one that was released."""
        if self.dead_letters:
            self._acknowledge(dice.pick(list(self.dead_letters)))

    def commit(self, _: Dice) -> None:
        """Commit what may be committed."""
        self._commit(list(self.pipeline.ledgers.values()))

    def flush(self, dice: Dice) -> None:
        """Begin to drain partitions."""
        if ledgers := list(self.pipeline.ledgers.values()):
            urged = dice.some(ledgers, len(ledgers))
            self.urged += [ledger for ledger in urged if ledger not in self.urged]
            self.pipeline.flush(urged, self.now, "revoke")
            self.account.flush({ledger.base for ledger in urged}, self.now)

    def let_go(self, _: Dice) -> None:
        """End the drain: commit, release, forget."""
        self._commit(self.urged)
        self._forget(self.urged)

    def lose(self, dice: Dice) -> None:
        """Lose partitions without a warning."""
        if ledgers := list(self.pipeline.ledgers.values()):
            self._forget(dice.some(ledgers, len(ledgers)))

    def assign(self, dice: Dice) -> None:
        """Get a partition, which is read again from the committed offset on."""
        if free := self._free_partitions():
            self._assign(dice.pick(free))

    def elsewhere(self, dice: Dice) -> None:
        """Let another member deliver a partition's records; it begins when ours are over."""
        if free := self._free_partitions():
            partition = dice.pick(free)
            self._pass(max([0.0, *(each.until - self.now for each in self.requests)]), dice)
            log = self.log[partition]
            done = self.committed[partition] or 0
            for truth in [each for each in log if each.offset >= done][: dice.number(4)]:
                self.committed[partition] = truth.offset + 1
                for name in truth.names:
                    if not _is_bad(truth.lane, name):
                        self.applied[truth.lane, name] = truth.action

    def crash(self, dice: Dice) -> None:
        """Begin again with what is committed, when the requests of the dead process are over."""
        self._pass(max([0.0, *(each.until - self.now for each in self.requests)]), dice)
        self.requests.clear()
        self._start_process()

    def flush_oldest(self, dice: Dice) -> None:
        """Make open batches due before their time."""
        self.pipeline.flush_oldest(self.now, 1 + dice.number(2))
        self.account.flush_oldest(self.now)

    def hold(self, dice: Dice) -> None:
        """Tell of a trouble outside of the requests, which stops nothing, or end that."""
        throttle, reason = self.pipeline.throttle, HoldReason.KAFKA_UNAVAILABLE
        if reason in throttle.holds or dice.number(3):
            throttle.end_hold(reason)
        else:
            throttle.hold(reason, "no broker", self.now)

    # -- the API --------------------------------------------------------------------------------

    def _can_be_applied(self, request: Request) -> bool:
        bad = any(_is_bad(request.lane, name) for name in request.attempt.ids)
        return not request.is_applied and not bad and self.now <= request.until

    def _apply(self, request: Request) -> None:
        request.is_applied = True
        for name in request.attempt.ids:
            self.applied[request.lane, name] = request.action

    def _good_outcome(self, request: Request) -> Outcome:
        if any(_is_bad(request.lane, name) for name in request.attempt.ids):
            return Refused(400, "400 bad id", whole=False)
        if request.is_applied or self.now <= request.until:
            return Delivered()
        return Retry(RetryReason.TIMEOUT, "timeout", ambiguous=True)

    def _some_outcome(self, dice: Dice, request: Request) -> Outcome:
        timed_out = Retry(RetryReason.TIMEOUT, "timeout", ambiguous=True)
        cut = Retry(RetryReason.CONNECTION, "cut short", ambiguous=True)
        good = self._good_outcome(request)
        if request.is_applied:
            return dice.pick((good, timed_out, cut, Retry(RetryReason.SERVER, "520", True)))
        pause = dice.pick((None, None, 1.0, 1000.0))
        return dice.pick(
            (
                good,
                good,
                timed_out,
                timed_out,
                cut,
                Retry(RetryReason.SERVER, "503", ambiguous=True, retry_after_seconds=pause),
                Retry(RetryReason.THROTTLED, "429", ambiguous=False, retry_after_seconds=pause),
                Retry(RetryReason.CONNECTION, "refused", ambiguous=False),
                Refused(404, "404", whole=True),
                Hold(dice.pick(sorted(API_HOLDS)), "hold"),
                Unsent("the lease is over"),
            )
        )

    def _settle(self, request: Request, outcome: Outcome, jitter: float) -> None:
        """Answer, and compare what has left the batch with what may have left it (I11, I12)."""
        attempt, account = request.attempt, self.account
        request.is_answered = True
        match outcome:
            case Delivered() if not request.is_applied:
                self._apply(request)
            case Retry(ambiguous=True):
                account.echo(attempt, request.until)
            case _:
                self.requests.remove(request)
        parcel = account.parcel_of(attempt)
        self.pipeline.settle(attempt, outcome, self.now, jitter)
        self._note_health(attempt, parcel, outcome, jitter)
        for name in _decided(parcel, attempt, outcome):
            if name not in parcel.changes or name in attempt.batch.ids:
                continue
            if isinstance(outcome, Delivered) and name in attempt.ids:
                account.deliver(parcel, name)
                continue
            whole = isinstance(outcome, Refused) and outcome.whole
            assert whole or _is_bad(parcel.lane, name), f"{name} pays for another (I12)"
            change = parcel.changes[name]
            self.ever_refused |= {(c.partition, c.offset) for c in account.riders(change)}
            account.refuse(parcel, name)
        account.came_back(parcel)
        assert parcel.changes.keys() == attempt.batch.ids.keys(), "something vanished, or is left"
        self._take_dead_letters()

    def _note_health(
        self, attempt: Attempt, parcel: Parcel, outcome: Outcome, jitter: float
    ) -> None:
        account, now, cap = self.account, self.now, self.rules.max_backoff_seconds
        health = account.health.setdefault(parcel.lane, Health())
        took_seconds = now - attempt.started_at
        match outcome:
            case Delivered() | Refused():
                health.took(took_seconds, failed=False)
                account.succeeded(parcel, now, cap, jitter)
            case Retry(reason=reason, retry_after_seconds=asked_seconds):
                backoffs = [parcel.backoff, health.backoff]
                if reason is not RetryReason.THROTTLED:
                    health.took(took_seconds, failed=True)
                for backoff in backoffs if reason is not RetryReason.THROTTLED else backoffs[:1]:
                    account.failed(backoff, attempt.started_at, now, cap, jitter)
                    if asked_seconds is not None and reason is not RetryReason.THROTTLED:
                        backoff.ask(now, asked_seconds)
            case Hold():
                health.showed_hold = True
                for backoff in (parcel.backoff, health.backoff):
                    account.failed(backoff, attempt.started_at, now, cap, jitter)

    # -- the broker -----------------------------------------------------------------------------

    def _take_dead_letters(self) -> None:
        """Send the new dead letters, and find in the account what each stands for."""
        account = self.account
        self._skip_refused()
        while self.pipeline.dead_letters:
            dead_letter = self.pipeline.dead_letters.popleft()
            changes = [c for c in account.refused if not c.name and c.source == dead_letter.source]
            if dead_letter.reason in {DeadLetterReason.REJECTED, DeadLetterReason.SEGMENT_REJECTED}:
                said = json.loads(dead_letter.value or b"")
                lane = (said["segment_id"], said["id_type"])
                refused = {
                    c.name: c
                    for c in account.refused
                    if c.lane == lane and c.action == said["action"]
                }
                changes = [refused[name] for name in said["ids"]]
                assert changes[0].source == dead_letter.source
                assert dead_letter.detail
            assert changes, f"a letter about nothing: {dead_letter}"
            account.refused = [change for change in account.refused if change not in changes]
            self.dead_letters[dead_letter] = changes

    def _skip_refused(self) -> None:
        if self.setup.reject_policy == "skip":
            for change in self.account.refused:
                self.account.end(change, "skipped")
            self.account.refused.clear()

    def _acknowledge(self, dead_letter: DeadLetter) -> None:
        for change in self.dead_letters.pop(dead_letter):
            if not change.fate:
                self.account.end(change, "rejected")
        self.pipeline.acknowledged(dead_letter)

    def _commit(self, ledgers: Sequence[Ledger]) -> None:
        for ledger in ledgers:
            offset = ledger.committable()
            assert offset is not None
            assert offset >= (self.committed[ledger.partition] or 0), "a commit went back (I1)"
            self.committed[ledger.partition] = ledger.committed = offset

    def _forget(self, ledgers: Sequence[Ledger]) -> None:
        released = self.pipeline.forget(ledgers)
        assert released == self.account.release({ledger.base for ledger in ledgers})
        self.urged = [ledger for ledger in self.urged if ledger not in ledgers]
        if not self.urged:
            self.pipeline.end_flush()

    def _free_partitions(self) -> list[int]:
        taken = {partition for _, partition in self.pipeline.ledgers}
        return [each for each in range(self.setup.partitions) if each not in taken]

    def _assign(self, partition: int) -> None:
        committed = self.committed[partition]
        self.pipeline.assign(TOPIC, partition, committed or 0, committed)

    # -- time -----------------------------------------------------------------------------------

    def _pass(self, seconds: float, dice: Dice) -> None:
        """Let time pass; requests whose time is over may be applied at the last moment."""
        self.now += seconds
        for request in self.requests:
            self.now, now = min(request.until, self.now), self.now
            if request.until <= now and self._can_be_applied(request) and dice.number(1):
                self._apply(request)
            self.now = now
        self.requests = [r for r in self.requests if not r.is_answered or r.until > self.now]

    # -- checks ---------------------------------------------------------------------------------

    def _check(self) -> None:
        pipeline = self.pipeline
        by_base = self.account.lowest_unsettled()
        for ledger in pipeline.ledgers.values():
            committable = ledger.committable()
            assert committable is not None
            lowest = by_base.get(ledger.base)
            assert lowest is None or committable <= lowest, "an unsettled record's offset (I1)"
            assert committable <= ledger.position
            assert committable >= self.committables.get(ledger.base, 0), "went back (I1)"
            self.committables[ledger.base] = committable
            if ledger.is_settled():
                assert lowest is None
                assert ledger.oldest_read_at() is None
        self._check_counts()
        while pipeline.notes:
            note = pipeline.notes.popleft()
            assert MARK not in f"{note.message} {note.fields}", "a person's id goes to the log"

    def _check_counts(self) -> None:
        """Compare every count (I6)."""
        account, pipeline = self.account, self.pipeline
        assert pipeline.held_ids == account.held()
        said = pipeline.tally.counters
        for action in ("add", "remove"):
            assert said["ids_received_total", action] == account.received[action]
        for key in ENDS:
            assert said["ids_total", *key] == account.fates[key], key

    def _check_form(self, attempt: Attempt) -> None:
        """Look at what goes out (I3)."""
        assert 1 <= len(attempt.ids) <= self.setup.batch_max_ids
        assert len(set(attempt.ids)) == len(attempt.ids)
        assert all(isinstance(name, str) and name for name in attempt.ids)
        if attempt.batch.lane.id_type == "email":
            assert all(name == name.lower() and "@" in name for name in attempt.ids)

    def _check_overlap(self, attempt: Attempt, parcel: Parcel) -> None:
        """Look for a request that may yet undo this one (I2)."""
        names = set(attempt.ids)
        for other in self.requests:
            assert (
                other.lane != parcel.lane
                or other.action == parcel.action
                or other.until <= self.now
                or names.isdisjoint(other.attempt.ids)
                or (other.is_answered and other.is_applied)
            ), "an opposite request may be applied after this one (I2)"

    # -- the end --------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Let everything succeed; then nothing may be left, and the API has the last words."""
        if self.urged:
            self.let_go(Dice(0))
        self.pipeline.throttle.end_hold(HoldReason.KAFKA_UNAVAILABLE)
        for _ in range(MAX_TURNS_TO_THE_END):
            if not self.pipeline.throttle.holds.keys() <= API_HOLDS:
                self.setup = replace(
                    self.setup, reject_policy="dead-letter", dead_letter_max_consecutive=0
                )
                self.crash(Dice(1))
            for partition in self._free_partitions():
                self._assign(partition)
            self._turn_well()
            if self._is_done():
                break
        assert self._is_done(), "something is stuck (I4)"
        self._check_nothing_is_left()
        self._check_last_words()
        self._check_rate()

    def _turn_well(self) -> None:
        for partition in range(self.setup.partitions):
            self._read([partition], 100)
        self._check()
        self.dispatch(Dice(0))
        while running := [each for each in self.requests if not each.is_answered]:
            self._settle(running[0], self._good_outcome(running[0]), 0.5)
            self.dispatch(Dice(0))
            self._check()
        for dead_letter in list(self.dead_letters):
            self._acknowledge(dead_letter)
        self._check()
        self.commit(Dice(0))
        pipeline = self.pipeline
        at = pipeline.next_wake()
        if pipeline.has_queued():
            at = min(at, pipeline.earliest_start())
        self._pass(max(0.001, at - self.now) if at < math.inf else 0.001, Dice(1))

    def _is_done(self) -> bool:
        ends = [log[-1].offset + 1 if log else None for log in self.log]
        return not self.pipeline.throttle.holds and all(
            end is None or end == committed
            for end, committed in zip(ends, self.committed, strict=True)
        )

    def _check_nothing_is_left(self) -> None:
        pipeline = self.pipeline
        self._pass(10_000.0, Dice(1))
        self.dispatch(Dice(0))
        assert not self.requests
        assert list(pipeline.lanes()) == [], "a lane is left over"
        assert pipeline.next_wake() == math.inf, "a timer is left over"
        assert not pipeline.has_queued()
        assert not pipeline.dead_letters
        assert not self.dead_letters
        assert pipeline.pending_dead_letters == 0
        assert pipeline.held_ids == 0
        assert pipeline.oldest_read_at() is None
        assert not pipeline.is_backed_up()
        for ledger in pipeline.ledgers.values():
            assert ledger.is_settled()
            assert ledger.committable() == ledger.position

    def _check_last_words(self) -> None:
        """Compare the API's state with the last record of each id (I2)."""
        last: dict[Key, Truth] = {}
        homes: dict[Key, set[int]] = {}
        for truth in [each for log in self.log for each in log]:
            for name in truth.names:
                last[truth.lane, name] = truth
                homes.setdefault((truth.lane, name), set()).add(truth.partition)
        for (lane, name), truth in last.items():
            if (
                len(homes[lane, name]) == 1
                and not _is_bad(lane, name)
                and (truth.partition, truth.offset) not in self.ever_refused
            ):
                said = self.applied.get((lane, name))
                assert said == truth.action, f"{name} of {lane}: {said}, not {truth.action} (I2)"

    def _check_rate(self) -> None:
        """Count the starts of the last process in every window of two seconds."""
        allowed = 2 * self.setup.requests_per_second + 1
        for index, start in enumerate(self.starts):
            window = [at for at in self.starts[index:] if at <= start + 2.0 - 1e-9]
            assert len(window) <= allowed


def _decided(parcel: Parcel, attempt: Attempt, outcome: Outcome) -> list[str]:
    """Return what an outcome may settle of a batch; what else is gone has a newer change."""
    match outcome:
        case Delivered():
            parcel.has_accepted = True
            return [*attempt.ids, *parcel.alone]
        case Refused(whole=True):
            return [*parcel.changes]
        case Refused() if len(attempt.ids) == 1:
            parcel.alone.add(attempt.ids[0])
            if parcel.has_accepted:
                return [*attempt.ids]
            is_verdict = len(parcel.alone) >= SINGLES or parcel.changes.keys() <= parcel.alone
            return [*parcel.changes] if is_verdict else []
        case _:
            return []


def _is_bad(lane: LaneName, name: str) -> bool:
    """Whether the API refuses this id; one segment refuses all of them."""
    return "bad" in name or lane[0] == REFUSING_SEGMENT


def _record(dice: Dice, partition: int, offset: int, setup: Setup) -> Truth:
    """Return a record of any kind, mostly one that can be delivered."""
    kind = dice.number(19)
    if kind == 18:
        return Truth(partition, offset, None)
    if kind == 19:
        value = dice.pick((b"", b"\0\0\0\0\7{}", b"[]", b'{"segment_id":0}', b"\xff"))
        return Truth(partition, offset, value)
    default = setup.default_id_type
    id_type: IdType | None = None
    segment = dice.pick((1, 1, 1, 1, 1, 1, 1, REFUSING_SEGMENT))
    if not setup.crowded:
        id_type = dice.pick((None, None, "id", "email", "cio_id"))
        segment = dice.pick((1, 1, 1, 2, REFUSING_SEGMENT))
    action = dice.pick(("add", "remove"))
    in_lower_case = _pool(partition, "ab" if setup.crowded else "abcdefgh")
    is_email = (id_type or default) == "email"
    names = dice.some(in_lower_case, dice.pick((1, 1, 2, 4, 12)))
    if is_email:
        names = [f"{name}@example.com" for name in names]
    given: list[object] = [name.upper() if is_email and dice.number(1) else name for name in names]
    if dice.number(3) == 3:  # the same once more
        again = dice.pick(given)
        given.append(again)
        names.append(names[given.index(again)])
    invalid: list[object] = []
    if kind == 17:
        junk = (None, "", True, 1.5, [MARK], {MARK: 1}, MARK * 50)
        invalid = dice.some(junk, 2)
        given = dice.pick((invalid, [*invalid, *given], [*given, *invalid]))
        if given is invalid:
            names = []
    members: dict[str, object] = {
        "segment_id": dice.pick((segment, str(segment))),
        "action": action,
        "more": {"is": "ignored"},
    }
    if len(given) == 1 and not isinstance(given[0], list | dict) and dice.number(1):
        members["id"] = given[0]
    else:
        members["ids"] = given
    if id_type is not None:
        members["id_type"] = id_type
    lane = (segment, id_type or default)
    value = json.dumps(members).encode()
    return Truth(partition, offset, value, lane, action, tuple(names), len(invalid))


def _pool(partition: int, dead_letters: str) -> list[str]:
    """Return the ids that a partition's records are about: its own, and two that roam."""
    own = [f"{MARK}{partition}{dead_letter}" for dead_letter in dead_letters]
    return [*own, f"{MARK}{partition}bad", f"{MARK}x", f"{MARK}xbad"]
