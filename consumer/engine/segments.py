"""The segments that are shown, and what keeps each partition's commit back.

Which of the lanes are worth a look is never found by looking at all of them: those that fail are
known (`failing`), the oldest stand at the ledgers' heads, the busiest are the pipeline's to know.
"""

import heapq

from consumer.core.dead_letters import DeadLetter
from consumer.core.failing import NO_FAILURE, Failure
from consumer.core.lanes import Batch, Lane
from consumer.core.ledger import Ledger
from consumer.core.pipeline import Pipeline
from consumer.engine.ports import BlockedBy, LaneState

MAX_SEGMENTS = 20
_HOLDERS_PER_PARTITION = 50


def shown_segments(pipeline: Pipeline, now: float) -> tuple[LaneState, ...]:
    """Return the failing lanes first, then the oldest, then the busiest."""
    failures = pipeline.failing.lanes(MAX_SEGMENTS)
    at_heads = {
        holder.lane
        for ledger in pipeline.ledgers.values()
        for holder in ledger.oldest(_HOLDERS_PER_PARTITION)
        if isinstance(holder, Batch)
    }
    oldest = heapq.nsmallest(MAX_SEGMENTS, at_heads, key=Lane.oldest_opened_at)
    lanes = dict.fromkeys([*failures, *oldest, *pipeline.busiest(MAX_SEGMENTS)])
    states = [_state(pipeline, lane, failures.get(lane, NO_FAILURE), now) for lane in lanes]
    held = [state for state in states if state.pending or state.in_flight or state.last_error]
    return tuple(sorted(held, key=_rank)[:MAX_SEGMENTS])


def blocked_by(pipeline: Pipeline, ledger: Ledger, now: float) -> BlockedBy | None:
    """Return what stands at the ledger's head; None if all that was read is settled."""
    head = ledger.head()
    if head is None:
        return None
    holder, read_at = head
    age_seconds = round(max(0.0, now - read_at), 3)
    if isinstance(holder, Batch):
        batch = holder.carriers[0] if holder.settled else holder
        lane, failure = batch.lane, pipeline.failing.of(batch)
        error = failure.error
        if batch.dead_letters and not batch.ids:
            error = f"{error or 'refused'}; its dead letter waits for the broker"
        return BlockedBy(lane.segment_id, lane.id_type, age_seconds, failure.attempts, error)
    if isinstance(holder, DeadLetter):
        error = f"a dead letter ({holder.reason}) waits for the broker"
        return BlockedBy(holder.segment_id, holder.id_type, age_seconds, 0, error)
    raise TypeError(holder)


def _rank(state: LaneState) -> tuple[bool, float, int, int]:
    ids = state.pending + state.in_flight
    return (not state.last_error, -state.oldest_seconds, -ids, state.segment_id)


def _state(pipeline: Pipeline, lane: Lane, failure: Failure, now: float) -> LaneState:
    in_flight, opened_at = pipeline.in_flight_ids(lane), lane.oldest_opened_at()
    return LaneState(
        segment_id=lane.segment_id,
        id_type=lane.id_type,
        pending=lane.held_ids() - in_flight,
        in_flight=in_flight,
        oldest_seconds=max(0.0, round(now - opened_at, 3)),  # nothing is open: 0
        attempts=failure.attempts,
        last_error=failure.error,
        last_error_at=failure.at,
    )
