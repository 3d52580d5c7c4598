"""What the engine tells: the pipeline's notes to the log, all else as one frozen value."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from consumer.core.lanes import Lane
from consumer.core.pipeline import Pipeline
from consumer.engine.assignment import Assignment
from consumer.engine.outlook import Outlook
from consumer.engine.ports import LaneState, ObserverPort, PartitionState, Published, Say
from consumer.engine.requests import Requests
from consumer.engine.stop import Stop

PUBLISH_SECONDS = 0.2
BUSIEST_LANES = 20
LANES_SECONDS = 1.0


@dataclass(slots=True, eq=False)
class Publisher:
    """Owned by the loop."""

    _pipeline: Pipeline
    _assignment: Assignment
    _outlook: Outlook
    _requests: Requests
    _stop: Stop
    _observer: ObserverPort
    _say: Say
    _publish: Callable[[Published], None]
    _lanes: tuple[LaneState, ...] = ()
    _next_lanes: float = -math.inf
    _next_publish: float = -math.inf

    def turn(self, now: float) -> None:
        """Log what the pipeline noted, and publish now and then."""
        notes = self._pipeline.notes
        while notes:
            note = notes.popleft()
            level = "error" if note.event == "hold" else "warning"
            self._say(now, note.event, note.key, note.message, level=level, **note.fields)
        if now >= self._next_publish:
            self._next_publish = now + PUBLISH_SECONDS
            self.publish(now)

    def publish(self, now: float) -> None:
        """Publish at once."""
        self._publish(self.state(now))

    def state(self, now: float) -> Published:
        """Return everything as it is now."""
        pipeline, throttle, requests = self._pipeline, self._pipeline.throttle, self._requests
        if now >= self._next_lanes:
            self._lanes = tuple(
                _lane(pipeline, each, now) for each in pipeline.busiest(BUSIEST_LANES)
            )
            self._next_lanes = now + LANES_SECONDS
        return Published(
            at=now,
            is_stopping=self._stop.requested or self._stop.has_begun,
            has_joined=self._outlook.joined,
            has_looked=self._outlook.has_looked,
            holds=tuple(throttle.holds.values()),
            problems=dict(self._outlook.problems),
            partitions=self._partitions(),
            lanes=self._lanes,
            counts=pipeline.tally.freeze(),
            held_ids=pipeline.held_ids,
            buffer_limit_ids=pipeline.rules.buffer_max_ids,
            is_paused=self._assignment.paused,
            oldest_read_at=pipeline.oldest_read_at(),
            in_flight=throttle.in_flight,
            concurrency_limit=int(throttle.limit),
            last_api_error=requests.last_error,
            last_delivery_wall=requests.last_delivery_wall,
        )

    def _partitions(self) -> tuple[PartitionState, ...]:
        ends, assignment = self._observer.view.ends, self._assignment
        return tuple(
            PartitionState(
                topic=ledger.topic,
                partition=ledger.partition,
                position=ledger.position,
                committed=ledger.committed,
                end=ends.get(name),
                paused=assignment.is_paused(ledger),
            )
            for name, ledger in self._pipeline.ledgers.items()
        )


def _lane(pipeline: Pipeline, lane: Lane, now: float) -> LaneState:
    in_flight, opened_at = pipeline.in_flight_ids(lane), lane.oldest_opened_at()
    return LaneState(
        segment_id=lane.segment_id,
        id_type=lane.id_type,
        pending=lane.held_ids() - in_flight,
        in_flight=in_flight,
        oldest_seconds=max(0.0, round(now - opened_at, 3)),  # not begun: 0
        last_error=lane.last_error,
    )
