"""Attempts: one request each for one batch, and what its outcome does to that batch.

Delivered: its ids are settled. Failed: the batch waits under backoff for its next attempt. Refused:
its bad ids are looked for (`splitting`), or all of it becomes dead letters. On hold or unsent: it
waits for its turn.

Invariant I12 (tests name it): of a refused batch the good ids are delivered.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from consumer.core.buffer import Buffer
from consumer.core.dead_letters import DeadLetterReason, refusal
from consumer.core.lanes import Batch, Lane
from consumer.core.ledger import Ledger, base_of, offset_of
from consumer.core.notes import Notes
from consumer.core.outcomes import (
    Delivered,
    Hold,
    Outcome,
    Refused,
    Retry,
    RetryReason,
    Unsent,
    error_of,
)
from consumer.core.refusals import Refusals
from consumer.core.rules import Rules
from consumer.core.splitting import Split
from consumer.core.tally import Tally
from consumer.core.throttle import Throttle


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """One request for one batch. ``ids`` is what the API gets; times are the loop's seconds."""

    batch: Batch
    ids: tuple[str, ...]
    started_at: float
    deadline: float


@dataclass(slots=True, eq=False)
class Attempts:
    """Starts and settles attempts. ``_ledgers`` are those of the assignment, by their base."""

    _rules: Rules
    _buffer: Buffer
    _refusals: Refusals
    _ledgers: Mapping[int, Ledger]
    _throttle: Throttle
    _tally: Tally
    _notes: Notes
    in_flight: dict[Batch, None] = field(default_factory=dict)

    def start(self, batch: Batch, now: float) -> Attempt:
        """Begin the next request of ``batch``."""
        ids = batch.next_ids()
        if not batch.is_tried:
            self._tally.add("batches_total", batch.action, batch.reason)
        batch.lane.depart(batch)
        self.in_flight[batch] = None
        batch.deadline = now + self._rules.request_timeout_seconds
        self._throttle.started(now)
        if batch.split is not None and batch.split.is_new_part:
            batch.split.is_new_part = False
            self._tally.add("batches_total", batch.action, "split")
        return Attempt(batch, ids, now, batch.deadline)

    def settle(self, attempt: Attempt, outcome: Outcome, now: float, jitter: float) -> None:
        """Take in what became of an attempt."""
        batch = attempt.batch
        del self.in_flight[batch]
        if not isinstance(outcome, Unsent):
            self._tally.observe(len(attempt.ids), "batch_ids", batch.action)
            if not batch.settled:
                self._buffer.failing.note(batch, error_of(outcome), now)
        match outcome:
            case Delivered():
                self._succeeded(attempt, now, jitter)
                self._delivered(attempt, now)
            case Retry():
                self._retry(attempt, outcome, now, jitter)
            case Refused():
                self._succeeded(attempt, now, jitter)
                if not batch.settled:
                    self._refused(attempt, outcome, now)
            case Hold():
                self._held(attempt, outcome, now, jitter)
            case Unsent():
                self._throttle.unsent()
            case _:
                assert_never(outcome)
        if batch.settled:
            self._buffer.failing.end(batch)
        else:
            self._buffer.came_back(batch)
        self._buffer.look_again(batch.lane, now)

    def _succeeded(self, attempt: Attempt, now: float, jitter: float) -> None:
        """End the trouble, if there is one, for all that were in it."""
        self._throttle.accepted(attempt.started_at)
        attempt.batch.lane.judge(now - attempt.started_at, failed=False)
        attempt.batch.succeed()
        attempt.batch.lane.succeed()
        suspects = self._buffer.failing.suspects
        for backoff, lane in suspects.items():
            if backoff.trouble_over(now, self._rules.max_backoff_seconds, jitter):
                self._buffer.turns.enqueue(lane)
        suspects.clear()

    def _failed(self, backoff: Batch | Lane, attempt: Attempt, now: float, jitter: float) -> None:
        """Let a batch or a lane wait, and suspect it as long as the trouble lasts."""
        suspects = self._buffer.failing.suspects
        if backoff not in suspects:
            suspects[backoff] = attempt.batch.lane
            backoff.troubles += 1
        backoff.fail(attempt.started_at, now, self._rules.max_backoff_seconds, jitter)

    def _held(self, attempt: Attempt, hold: Hold, now: float, jitter: float) -> None:
        batch, lane = attempt.batch, attempt.batch.lane
        reason, detail, is_bad = hold.reason, hold.detail, lane.is_bad()
        if self._throttle.held(reason, detail, attempt.started_at, now, jitter, is_bad=is_bad):
            self._notes.add("hold", reason.value, detail, reason=reason.value)
        self._failed(batch, attempt, now, jitter)
        self._failed(lane, attempt, now, jitter)
        lane.showed_hold = True

    def _delivered(self, attempt: Attempt, now: float) -> None:
        batch = attempt.batch
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
        self._buffer.settle_ids(batch.action, "delivered", delivered)

    def _retry(self, attempt: Attempt, retry: Retry, now: float, jitter: float) -> None:
        batch, lane = attempt.batch, attempt.batch.lane
        asked_seconds = retry.retry_after_seconds
        self._tally.add("retries_total", retry.reason.value)
        self._throttle.failed(
            retry,
            id(lane),
            attempt.started_at,
            now,
            jitter,
            is_bad=lane.is_bad(),
            was_well=lane.was_well(),
        )
        if retry.ambiguous:
            self._buffer.echo(batch, attempt.ids, attempt.deadline)
        self._failed(batch, attempt, now, jitter)
        if retry.reason is not RetryReason.THROTTLED:
            lane.judge(now - attempt.started_at, failed=True)
            self._failed(lane, attempt, now, jitter)
            if asked_seconds is not None:
                batch.ask(now, asked_seconds)
                lane.ask(now, asked_seconds)
        self._notes.add(
            "request_failed",
            retry.reason.value,
            f"{retry.detail}; it is tried again",
            segment_id=lane.segment_id,
            action=batch.action,
            ids=len(attempt.ids),
            attempts=batch.failures,
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
        self._refusals.hold_at_limit(self._refusals.requests_in_a_row, refused.summary, now)

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
            source=self._ledgers[base_of(first)].source(offset_of(first)),
            segment_id=batch.lane.segment_id,
            action=batch.action,
            id_type=batch.lane.id_type,
            ids=names,
            origins=Counter(batch.ids.pop(name) for name in names),
            batch=batch,
        )
        text = f"{reason.value}: segment {batch.lane.segment_id}, {len(names)} ids, {batch.action}"
        self._refusals.refuse(dead_letter, now, text)
