"""From records to requests and back: composes intake, buffer, throttle and refusals.

The owner thread calls, in each turn of its loop:

    receive(messages)  ->  wake  ->  dispatch  =>  tries for the carriers
    settle(try, outcome)          =>  letters for the dead-letter topic
    acknowledged(letter)
    the ledgers' committable()    =>  offsets

and at a rebalance `flush` (everything of these partitions becomes due), then `forget`.

Nothing here reads a clock, logs, or draws a random number: ``now`` and ``jitter`` come in, what is
to be said goes out through ``notes``.

Invariants (tests name them):
- I1, I2, I3: see `ledger`, `lanes`, `intake`.
- I4: a batch is due when the linger of its first id is over or when it is full; due lanes take
  turns, each sending its oldest batch; until it leaves, an open batch goes on filling.
- I5: after `forget`, no try carries a change of that ledger.
- I6: received = delivered + superseded + duplicate + rejected + skipped + released + held.
- I11: a refused change is settled by `acknowledged` only.
- I12: of a refused batch the good ids are delivered.
"""

import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from consumer.core.buffer import Buffer, make_due
from consumer.core.dead_letters import DeadLetter, DeadLetterReason, refusal
from consumer.core.events import IdType
from consumer.core.intake import Intake, Message
from consumer.core.lanes import Batch, Lane
from consumer.core.ledger import Ledger, offset_of, serial_of
from consumer.core.metrics import Tally
from consumer.core.notes import Notes
from consumer.core.outcomes import (
    Delivered,
    Hold,
    Outcome,
    Refused,
    Retry,
    RetryReason,
    Unsent,
)
from consumer.core.refusals import Refusals
from consumer.core.splitting import Split
from consumer.core.throttle import Throttle, backoff_seconds


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """One request for one batch. ``ids`` is what the API gets; times are the loop's seconds."""

    batch: Batch
    ids: tuple[str, ...]
    started_at: float
    deadline: float


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say about the pipeline; durations in seconds."""

    batch_max_ids: int
    linger_seconds: float
    buffer_max_ids: int
    request_timeout_seconds: float
    max_backoff_seconds: float
    reject_policy: str
    dead_letter_max_consecutive: int


class Pipeline:
    """Single owner, no locks; see the module's docstring."""

    def __init__(
        self, rules: Rules, default_id_type: IdType, throttle: Throttle, tally: Tally
    ) -> None:
        self.rules = rules
        self.throttle = throttle
        self.tally = tally
        self.ledgers: dict[tuple[str, int], Ledger] = {}
        self.notes = Notes()
        self._buffer = Buffer(default_id_type, rules.linger_seconds, tally)
        self._turns = self._buffer.turns
        self._refusals = Refusals(
            policy=rules.reject_policy,
            max_consecutive=rules.dead_letter_max_consecutive,
            throttle=throttle,
            tally=tally,
            notes=self.notes,
            settle_ids=self._settle_ids,
        )
        intake = Intake(
            buffer=self._buffer,
            refusals=self._refusals,
            ledgers=self.ledgers,
            tally=tally,
            default_id_type=default_id_type,
            max_ids=rules.batch_max_ids,
            limit_ids=rules.buffer_max_ids,
        )
        self._receive = intake.receive
        self._serials = 0
        self._sources: dict[int, Ledger] = {}  # every live ledger, by serial

    # -- partitions -----------------------------------------------------------------------------

    def assign(
        self, topic: str, partition: int, position: int, committed: int | None, metadata: str = ""
    ) -> Ledger:
        """Begin a fresh ledger at ``position``."""
        self._serials += 1
        ledger = Ledger(self._serials, topic, partition, position, committed, metadata)
        self.ledgers[topic, partition] = ledger
        self._sources[ledger.serial] = ledger
        return ledger

    def flush(self, ledgers: Iterable[Ledger], now: float, reason: str) -> None:
        """Make every batch that holds changes of ``ledgers`` due, and send those lanes first."""
        self._buffer.flush({ledger.base for ledger in ledgers}, now, reason)

    def end_flush(self) -> None:
        """End what `flush` began: no lane goes first any more."""
        self._buffer.end_flush()

    def forget(self, ledgers: Iterable[Ledger]) -> int:
        """Drop all unsettled changes of ``ledgers``; return how many ids were released."""
        serials = set()
        for ledger in ledgers:
            serials.add(ledger.serial)
            self._sources.pop(ledger.serial, None)
            if self.ledgers.get((ledger.topic, ledger.partition)) is ledger:
                del self.ledgers[ledger.topic, ledger.partition]
        if not serials:
            return 0
        held = self.held_ids
        for dead_letter in self._refusals.release(serials):
            self._dead_letter_is_gone(dead_letter)
        self._buffer.held_ids -= self._buffer.release(serials)
        return held - self.held_ids

    def can_progress(self, ledgers: Iterable[Ledger], now: float, latest_start: float) -> bool:
        """Whether something of ``ledgers`` is in flight or may start up to ``latest_start``."""
        bases = {ledger.base for ledger in ledgers}
        if self._refusals.is_on_its_way(bases):
            return True
        earliest_start = max(now, self.throttle.earliest_start())
        may_start = not self.throttle.holds and earliest_start <= latest_start
        return any(
            batch.in_flight or (may_start and lane.backoff_until(batch) <= latest_start)
            for lane in self.lanes()
            for batch in lane.batches()
            if not bases.isdisjoint(batch.sources)
        )

    def is_echoing(self, ledgers: Iterable[Ledger], now: float) -> bool:
        """Whether a try of ``ledgers`` whose answer was lost may yet be applied."""
        bases = {ledger.base for ledger in ledgers}
        return any(lane.is_echoing(bases, now) for lane in self.lanes())

    # -- records in, tries out --------------------------------------------------------------------

    def receive(self, messages: Sequence[Message], now: float) -> tuple[int, list[Message]]:
        """Take in ``messages`` in order; see `intake.Intake.receive`."""
        return self._receive(messages, now)

    def is_backed_up(self) -> bool:
        """Whether reading on would only pile up dead letters."""
        return self._refusals.is_backed_up()

    def wake(self, now: float) -> None:
        """Queue the lanes whose time has come: a linger, a backoff or an echo is over."""
        self._turns.wake(now)

    def next_wake(self) -> float:
        """Return when `wake` will find something to do; inf: not by time."""
        return self._turns.next_wake()

    def has_queued(self) -> bool:
        """Whether a lane waits for its turn."""
        return bool(self._turns)

    def dispatch(self, now: float, latest_start: float = math.inf) -> list[Attempt]:
        """Return the tries that start now, as many as the throttle allows."""
        attempts: list[Attempt] = []
        while now <= latest_start and self.throttle.may_start(now):
            lane = self._turns.next_lane()
            if lane is None:
                break
            batch = self._buffer.next_batch(lane, now)
            if batch is not None:
                attempts.append(self._start(batch, now))
                self._turns.enqueue(lane)
        return attempts

    def flush_oldest(self, now: float, lanes: int) -> None:
        """Make the oldest open batches due before their time: the buffer is full of waiting ids."""
        while lanes > 0 and (lane := self._turns.wake_next()) is not None:
            were_early = [make_due(batch, now, "pressure") for batch in lane.open_batches()]
            lanes -= any(were_early)

    def settle(self, attempt: Attempt, outcome: Outcome, now: float, jitter: float) -> None:
        """Take in what became of a try."""
        batch = attempt.batch
        batch.in_flight = False
        match outcome:
            case Delivered():
                self.throttle.accepted(attempt.started_at, now)
                self._delivered(attempt, now)
            case Retry():
                self._retry(attempt, outcome, now, jitter)
            case Refused():
                self.throttle.accepted(attempt.started_at, now)
                batch.lane.last_error = outcome.summary
                batch.attempts = batch.lane.failures = 0
                if not batch.settled:
                    self._refused(attempt, outcome, now)
            case Hold(reason, detail):
                batch.lane.last_error = detail
                if self.throttle.held(reason, detail, attempt.started_at, now, jitter):
                    self.notes.add("hold", reason.value, detail, reason=reason.value)
            case Unsent():
                self.throttle.unsent()
            case _:
                assert_never(outcome)
        self._buffer.finish(batch)
        self._turns.enqueue(batch.lane)

    # -- dead letters -----------------------------------------------------------------------------

    @property
    def dead_letters(self) -> deque[DeadLetter]:
        """The letters to send; one that could not be sent is put back."""
        return self._refusals.outbox

    @property
    def pending_dead_letters(self) -> int:
        """Return how many dead letters are not acknowledged yet."""
        return self._refusals.pending

    def acknowledged(self, dead_letter: DeadLetter) -> None:
        """Settle what ``dead_letter`` stands for: the broker has it."""
        was_settled = dead_letter.settled
        self._refusals.acknowledged(dead_letter)
        if not was_settled:
            self._dead_letter_is_gone(dead_letter)

    # -- what the loop publishes ------------------------------------------------------------------

    @property
    def held_ids(self) -> int:
        """Return how many ids are buffered, waiting, in flight or in dead letters on their way."""
        return self._buffer.held_ids

    def lanes(self) -> Iterator[Lane]:
        """Yield all lanes."""
        return self._buffer.lanes()

    def busiest(self, count: int) -> list[Lane]:
        """Return the lanes that hold the most ids."""
        return self._buffer.busiest(count)

    def oldest_read_at(self) -> float | None:
        """Return when the oldest unsettled record was read; None when there is none."""
        times = [ledger.oldest_read_at() for ledger in self.ledgers.values()]
        return min((at for at in times if at is not None), default=None)

    # -- tries and their outcomes -----------------------------------------------------------------

    def _start(self, batch: Batch, now: float) -> Attempt:
        ids = batch.next_ids()
        batch.in_flight = True
        batch.deadline = now + self.rules.request_timeout_seconds
        self.throttle.started(now)
        if batch.split is not None and not batch.attempts:
            self.tally.add("batches_total", batch.action, "split")
        self.tally.observe(len(ids), "batch_ids", batch.action)
        return Attempt(batch, ids, now, batch.deadline)

    def _delivered(self, attempt: Attempt, now: float) -> None:
        batch = attempt.batch
        batch.lane.last_error = ""
        batch.attempts = batch.lane.failures = 0
        self._refusals.requests_in_a_row = 0
        if batch.settled:
            return
        if batch.split is None:
            delivered = len(batch.ids)
            batch.ids = {}
        else:
            delivered = sum(batch.ids.pop(name, None) is not None for name in attempt.ids)
            alone = [name for name in batch.split.accepted() if name in batch.ids]
            self._reject(batch, alone, DeadLetterReason.REJECTED, batch.split.detail, now)
        self._settle_ids(batch.action, "delivered", delivered)

    def _retry(self, attempt: Attempt, retry: Retry, now: float, jitter: float) -> None:
        batch, lane = attempt.batch, attempt.batch.lane
        cap = self.rules.max_backoff_seconds
        self.tally.add("retries_total", retry.reason.value)
        self.throttle.failed(
            retry.reason, id(lane), attempt.started_at, now, jitter, retry.retry_after_seconds
        )
        if retry.ambiguous:
            lane.echo(batch, attempt.ids, attempt.started_at + self.rules.request_timeout_seconds)
        batch.attempts += 1
        batch.not_before = now + backoff_seconds(batch.attempts, cap, jitter)
        if retry.reason is not RetryReason.THROTTLED:
            lane.failures += 1
            lane.not_before = now + backoff_seconds(lane.failures, cap, jitter)
        lane.last_error = retry.detail
        self.notes.add(
            "request_failed",
            retry.reason.value,
            f"{retry.detail}; it is tried again",
            segment_id=lane.segment_id,
            action=batch.action,
            ids=len(attempt.ids),
            attempts=batch.attempts,
        )

    def _refused(self, attempt: Attempt, refused: Refused, now: float) -> None:
        """Find out what of the batch is bad, or give it up."""
        batch = attempt.batch
        if batch.split is None and not refused.whole and len(attempt.ids) > 1:
            batch.split = Split(attempt.ids, refused.detail)
            return
        if refused.whole or batch.split is None:
            names, whole = tuple(batch.ids), refused.whole
        else:
            names, whole = batch.split.refused(batch.ids, refused.detail)
        names = tuple(name for name in names if name in batch.ids)
        if not names:
            return
        reason = DeadLetterReason.SEGMENT_REJECTED if whole else DeadLetterReason.REJECTED
        self._reject(batch, names, reason, refused.detail, now)
        self._refusals.requests_in_a_row += 1
        self._refusals.limit(self._refusals.requests_in_a_row, refused.summary, now)

    def _reject(
        self, batch: Batch, names: Sequence[str], reason: DeadLetterReason, detail: str, now: float
    ) -> None:
        """Move ids from the batch into a dead letter."""
        if not names:
            return
        first = batch.ids[names[0]]
        dead_letter = refusal(
            reason=reason,
            detail=detail,
            source=self._sources[serial_of(first)].source(offset_of(first)),
            segment_id=batch.lane.segment_id,
            action=batch.action,
            id_type=batch.lane.id_type,
            ids=names,
            origins=Counter(batch.ids.pop(name) for name in names),
            batch=batch,
        )
        text = f"{reason.value}: segment {batch.lane.segment_id}, {len(names)} ids, {batch.action}"
        if self._refusals.refuse(dead_letter, now, text):
            batch.dead_letters += 1

    def _dead_letter_is_gone(self, dead_letter: DeadLetter) -> None:
        if dead_letter.batch is not None:
            dead_letter.batch.dead_letters -= 1
            self._buffer.finish(dead_letter.batch)
            self._turns.enqueue(dead_letter.batch.lane)  # it may have nothing left to remember

    def _settle_ids(self, action: str, outcome: str, count: int) -> None:
        self.tally.add("ids_total", action, outcome, n=count)
        self._buffer.held_ids -= count
