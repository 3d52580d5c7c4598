"""Decides whether one more request may start now: rate, concurrency, shared pauses, holds.

- Rate: starts are evenly paced. A loop that comes late may catch up at most `_CATCH_UP_SECONDS`,
  and the pace is slower than the ceiling by just as much, so that no window of 2 s has more than
  2 * rate + 1 starts.
- Concurrency: additive increase, multiplicative decrease between 1 and the ceiling: one more after
  a limit's worth of successes, 0.7 of it on a 429, 5xx or timeout, at most once per round trip
  (failures of requests that started before the last decrease tell nothing new). Simulated, a
  factor of 0.5 keeps about 85 % of the best static throughput, 0.7 about 95 %.
- ``Retry-After`` pauses everything, at most 5 minutes; then one request at a time until a success.
- An outage - failures of several lanes in a row, or of connections, without any success between -
  pauses everything too, with an exponential backoff. One failing segment alone does not: it waits
  under its own backoff while the others go on.
- Holds: the requests' own (`API_HOLDS`) let one probe at a time through, under backoff; an
  accepted or refused probe ends them. All others let nothing through until they are taken away.

Time and randomness come in as arguments: ``now`` in seconds, ``jitter`` in [0, 1).
"""

import math
from dataclasses import dataclass

from consumer.core.outcomes import HoldReason, RetryReason

MAX_RETRY_AFTER_SECONDS = 300.0
FIRST_BACKOFF_SECONDS = 0.5
DECREASE_FACTOR = 0.7
INITIAL_LIMIT = 8
API_HOLDS = frozenset(
    {
        HoldReason.UNAUTHORIZED,
        HoldReason.REDIRECT,
        HoldReason.NOT_FOUND,
        HoldReason.UNEXPECTED_ANSWER,
    }
)
_CATCH_UP_SECONDS = 0.02
_WINDOW_SECONDS = 2.0
_OUTAGE_FAILURES = 3
_OUTAGE_LANES = 3


@dataclass(frozen=True, slots=True)
class HoldState:
    """One hold: since when (seconds on the caller's clock) and what was seen."""

    reason: HoldReason
    since: float
    detail: str


def backoff_seconds(attempts: int, cap_seconds: float, jitter: float) -> float:
    """Return the wait after that many failed attempts: exponential, capped, with full jitter.

    Full jitter as in "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
    """
    ceiling = min(cap_seconds, FIRST_BACKOFF_SECONDS * 2.0 ** min(attempts - 1, 30))
    return ceiling * jitter


class Throttle:
    """The state of one process's requests. ``in_flight`` counts those that were started."""

    def __init__(
        self, *, max_in_flight: int, requests_per_second: float, max_backoff_seconds: float
    ) -> None:
        self._max_in_flight = max_in_flight
        pace = requests_per_second * _WINDOW_SECONDS / (_WINDOW_SECONDS + _CATCH_UP_SECONDS)
        self._interval_seconds = 1.0 / pace
        self._max_backoff_seconds = max_backoff_seconds
        self.limit = float(min(max_in_flight, INITIAL_LIMIT))
        self.in_flight = 0
        self.holds: dict[HoldReason, HoldState] = {}
        self._next_start = -math.inf
        self._paused_until = -math.inf
        self._one_at_a_time = False
        self._probes = 0
        self._failures = 0
        self._outages = 0
        self._failed_lanes: set[int] = set()
        self._reduced_at = -math.inf
        self._successes = 0

    @property
    def slots(self) -> int:
        """Return how many requests may be in flight."""
        return 1 if self.is_probing else int(self.limit)

    @property
    def is_probing(self) -> bool:
        """Whether only single requests go out, to see whether the other side is back."""
        return self._one_at_a_time or bool(self.holds)

    def may_start(self, now: float) -> bool:
        """Whether a request may start at ``now``."""
        return self.in_flight < self.slots and self.earliest_start() <= now

    def earliest_start(self) -> float:
        """Return when the next request may start, as far as time alone decides; inf: never."""
        if not self.holds.keys() <= API_HOLDS:
            return math.inf
        return max(self._next_start, self._paused_until)

    def started(self, now: float) -> None:
        """Count a request that starts at ``now``."""
        self.in_flight += 1
        self._next_start = max(self._next_start, now - _CATCH_UP_SECONDS) + self._interval_seconds

    def unsent(self) -> None:
        """Count a request as never sent."""
        self.in_flight -= 1

    def accepted(self, started_at: float, now: float) -> None:
        """Count a success (delivered, or refused by the API itself)."""
        self.in_flight -= 1
        self._failures = self._outages = 0
        self._failed_lanes.clear()
        if self._one_at_a_time and started_at >= self._paused_until:
            self._one_at_a_time = False
        if self._was_probe(started_at):
            for hold in self._api_holds():
                del self.holds[hold.reason]
            self._probes = 0
            self._paused_until = min(self._paused_until, now)
        self._successes += 1
        if self._successes >= self.limit:
            self._successes = 0
            self.limit = min(self.limit + 1.0, float(self._max_in_flight))

    def failed(
        self,
        reason: RetryReason,
        lane: int,
        started_at: float,
        now: float,
        jitter: float,
        retry_after_seconds: float | None,
    ) -> None:
        """Count an attempt of ``lane`` that has to be repeated."""
        self.in_flight -= 1
        if started_at >= self._reduced_at:
            self.limit = max(1.0, self.limit * DECREASE_FACTOR)
            self._reduced_at = now
            self._successes = 0
        if retry_after_seconds is not None:
            self._pause(now + min(retry_after_seconds, MAX_RETRY_AFTER_SECONDS))
        self._failures += 1
        self._failed_lanes.add(lane)
        general = (
            reason in {RetryReason.CONNECTION, RetryReason.THROTTLED}
            or len(self._failed_lanes) >= _OUTAGE_LANES
        )
        if general and self._failures >= _OUTAGE_FAILURES and started_at >= self._paused_until:
            self._outages += 1
            self._pause(now + backoff_seconds(self._outages, self._max_backoff_seconds, jitter))
        if self._was_probe(started_at):
            self._wait_to_probe(now, jitter)

    def held(
        self, reason: HoldReason, detail: str, started_at: float, now: float, jitter: float
    ) -> bool:
        """Count an attempt that showed ``reason``; return whether the hold is a new one.

        A probe tells how things are now, so what it saw replaces what was seen before it.
        """
        self.in_flight -= 1
        is_new = reason not in self.holds
        was_probe = self._was_probe(started_at)
        if was_probe or not self._probes:
            self._wait_to_probe(now, jitter)
        if was_probe:
            for hold in self._api_holds():
                if hold.reason is not reason:
                    del self.holds[hold.reason]
        if is_new:
            self.holds[reason] = HoldState(reason, now, detail)
        return is_new

    def hold(self, reason: HoldReason, detail: str, now: float) -> bool:
        """Let nothing through, for a reason outside of the requests; return whether it is new."""
        if reason in self.holds:
            return False
        self.holds[reason] = HoldState(reason, now, detail)
        return True

    def end_hold(self, reason: HoldReason) -> HoldState | None:
        """End a hold that `hold` began; return what it was."""
        return self.holds.pop(reason, None)

    def _api_holds(self) -> list[HoldState]:
        return [hold for reason, hold in self.holds.items() if reason in API_HOLDS]

    def _was_probe(self, started_at: float) -> bool:
        """Whether an attempt started after a hold began, so that it tells whether it is over."""
        return any(started_at > hold.since for hold in self._api_holds())

    def _wait_to_probe(self, now: float, jitter: float) -> None:
        self._probes += 1
        cap = self._max_backoff_seconds
        wait = max(backoff_seconds(self._probes, cap, jitter), FIRST_BACKOFF_SECONDS)
        self._paused_until = max(self._paused_until, now + min(wait, cap))

    def _pause(self, until: float) -> None:
        self._paused_until = max(self._paused_until, until)
        self._one_at_a_time = True
