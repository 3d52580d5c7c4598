"""The requests: what goes out to the carriers, and what comes back.

A request starts only while the lease holds; each carries the lease's end to its carrier, which
looks at the clock once more before it writes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from consumer.core.lease import Lease
from consumer.core.outcomes import Delivered, HoldReason, error_of, outcome_of, status_label
from consumer.core.pipeline import Pipeline
from consumer.core.throttle import API_HOLDS
from consumer.engine.outlook import say_ended
from consumer.engine.ports import CarriersPort, Result, Say

IDLE_WAIT_SECONDS = 0.1
BUSY_WAIT_SECONDS = 0.02


@dataclass(slots=True, eq=False)
class Requests:
    """Owned by the loop. ``last_delivery_wall`` is Unix time; 0 before the first.

    ``last_error`` is of the last answer; empty if that was a delivery.
    """

    _pipeline: Pipeline
    _lease: Lease
    _carriers: CarriersPort
    _say: Say
    _wall: Callable[[], float]
    _jitter: Callable[[], float]
    _before_probe: Callable[[], None]
    last_delivery_wall: float = 0.0
    last_error: str = ""
    last_error_at: float = 0.0

    @property
    def in_flight(self) -> int:
        """Return how many requests are in flight."""
        return self._pipeline.throttle.in_flight

    def dispatch(self, now: float, latest_start: float, *, is_paused: bool = False) -> int:
        """Send what is due, may leave and starts by then; return how many requests it were.

        When reading ``is_paused`` as the buffer is full, full requests go first, and what waits for
        company waits no longer.
        """
        pipeline, throttle = self._pipeline, self._pipeline.throttle
        self._tell_trouble(now)
        pipeline.wake(now)
        if not self._lease.holds(now):
            return 0
        if throttle.holds.keys() & API_HOLDS and throttle.may_start(now):
            self._before_probe()
        attempts = pipeline.dispatch(now, latest_start, is_crowded=is_paused)
        for attempt in attempts:
            self._carriers.send(attempt, self._lease.end)
        if is_paused and not attempts and not throttle.in_flight:
            pipeline.flush_oldest(now, throttle.slots)
        return len(attempts)

    def settle(self, results: Sequence[Result], now: float) -> None:
        """Take in what came back."""
        for result in results:
            self._settle(result, now)

    def until_next(self, now: float) -> float:
        """Return how long nothing can become due; at least a millisecond, so as not to spin."""
        throttle = self._pipeline.throttle
        next_at = self._pipeline.next_wake()
        if self._pipeline.has_queued() and throttle.in_flight < throttle.slots:
            if self._lease.holds(now):
                next_at = min(next_at, max(self._pipeline.earliest_start(), now))
            else:
                next_at = now + BUSY_WAIT_SECONDS
        return min(max(next_at - now, 0.001), IDLE_WAIT_SECONDS)

    def _tell_trouble(self, now: float) -> None:
        """Hold as ``api-unavailable`` what has failed for long, as long as something is tried."""
        pipeline, throttle = self._pipeline, self._pipeline.throttle
        if not pipeline.held_ids and not throttle.in_flight:
            if throttle.forget_trouble():
                say_ended(self._say, {HoldReason.API_UNAVAILABLE}, now)
        elif (hold := throttle.tell_trouble(now)) is not None:
            name = hold.reason.value
            self._say(now, "hold", name, hold.detail, level="error", reason=name)

    def _settle(self, result: Result, now: float) -> None:
        batch = result.attempt.batch
        label = status_label(result.answer)
        outcome = outcome_of(result.answer)
        if label is not None:
            self._pipeline.tally.add("requests_total", batch.action, label)
            self._pipeline.tally.observe(result.seconds, "request_duration_seconds", batch.action)
        if isinstance(outcome, Delivered):
            self.last_error = ""
            self._note_delivery(self._pipeline.oldest_timestamp_ms(result.attempt))
        elif label is not None:
            self.last_error, self.last_error_at = error_of(outcome), now
        holds = set(self._pipeline.throttle.holds)
        self._pipeline.settle(result.attempt, outcome, now, self._jitter())
        say_ended(self._say, holds - self._pipeline.throttle.holds.keys(), now)

    def _note_delivery(self, timestamp_ms: int | None) -> None:
        wall = self._wall()
        self.last_delivery_wall = wall
        if timestamp_ms is not None:
            latency_seconds = wall - timestamp_ms / 1000
            if latency_seconds >= 0:
                self._pipeline.tally.observe(latency_seconds, "delivery_latency_seconds")
