"""What the engine tells: the pipeline's notes to the log, all else as one frozen value."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from consumer.core.pipeline import Pipeline
from consumer.engine.assignment import Assignment
from consumer.engine.outlook import Outlook
from consumer.engine.ports import (
    LaneState,
    ObserverPort,
    PartitionState,
    Published,
    Say,
)
from consumer.engine.requests import Requests
from consumer.engine.segments import blocked_by, shown_segments
from consumer.engine.stalls import StallWatch
from consumer.engine.stop import Stop

PUBLISH_SECONDS = 0.2
PARTITION_SECONDS = 0.001  # for each partition, if that is more: thousands take a while to tell
MOST_SECONDS = 1.0
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
    _stalls: StallWatch
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
            partitions = len(self._pipeline.ledgers)
            wait = max(PUBLISH_SECONDS, min(partitions * PARTITION_SECONDS, MOST_SECONDS))
            self._next_publish = now + wait
            self.publish(now)

    def publish(self, now: float) -> None:
        """Publish at once."""
        self._publish(self.state(now))

    def state(self, now: float) -> Published:
        """Return everything as it is now."""
        pipeline, throttle, requests = self._pipeline, self._pipeline.throttle, self._requests
        if now >= self._next_lanes:
            self._lanes = shown_segments(pipeline, now)
            self._next_lanes = now + LANES_SECONDS
        return Published(
            at=now,
            is_stopping=self._stop.requested or self._stop.has_begun,
            has_joined=self._outlook.joined,
            has_looked=self._outlook.has_looked,
            holds=pipeline.holds(now),
            problems=dict(self._outlook.problems),
            partitions=self._partitions(now),
            lanes=self._lanes,
            counts=pipeline.tally.freeze(),
            held_ids=pipeline.held_ids,
            buffer_limit_ids=pipeline.rules.buffer_max_ids,
            is_paused=self._assignment.paused,
            oldest_read_at=pipeline.oldest_read_at(),
            in_flight=throttle.in_flight,
            concurrency_limit=int(throttle.limit),
            last_api_error=requests.last_error,
            last_api_error_at=requests.last_error_at,
            last_delivery_wall=requests.last_delivery_wall,
        )

    def _partitions(self, now: float) -> tuple[PartitionState, ...]:
        """Return the state of each; all in one place, for there may be thousands."""
        pipeline, stalled = self._pipeline, self._stalls.told
        end_of, is_paused = self._observer.view.ends.get, self._assignment.is_paused
        return tuple(
            [
                PartitionState(
                    ledger.topic,
                    ledger.partition,
                    ledger.position,
                    ledger.committed,
                    end_of(name),
                    is_paused(name),
                    blocked_by(pipeline, ledger, now),
                    name in stalled,
                )
                for name, ledger in pipeline.ledgers.items()
            ]
        )
