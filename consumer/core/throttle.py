"""Decides whether one more request may start now: rate, concurrency, shared pauses, holds.

- Rate: starts are evenly paced. A loop that comes late may catch up at most `_CATCH_UP_SECONDS`,
  and the pace is slower than the ceiling by just as much, so that no window of 2 s has more than
  2 * rate + 1 starts.
- Concurrency: additive increase, multiplicative decrease between 1 and the ceiling: one more after
  a limit's worth of successes, 0.7 of it on a 429, 5xx or timeout, at most once per round trip
  (failures of requests that started before the last decrease tell nothing new). Simulated, a
  factor of 0.5 keeps about 85 % of the best static throughput, 0.7 about 95 %.
- Going slow: one *probe* at a time, under everybody's `Backoff`, until a success. For
  ``Retry-After`` of a 429; for an *outage* - `_OUTAGE_FAILURES` in a row, of `_OUTAGE_LANES` at
  least unless it is a 429, which means everybody; and for the requests' own holds (`API_HOLDS`),
  whose first probe comes at once, as it may be one lane's trouble alone. Where it is, that lane
  waits, and is the probe no more; what such a lane does tells nothing about the API (``is_bad``).
  The backoff grows slowly, so that some that are well among many that aren't end an outage within
  seconds.
- Holds from outside let nothing through until they are taken away; `TELLING_HOLDS` stop no request.

Time and randomness come in as arguments: ``now`` in seconds, ``jitter`` in [0, 1).
"""

import math
from dataclasses import dataclass

from consumer.core.backoff import Backoff
from consumer.core.outcomes import HoldReason, Retry, RetryReason

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
TELLING_HOLDS = frozenset(
    {
        HoldReason.DEAD_LETTER_UNAVAILABLE,  # what needs a dead letter waits, see `refusals`
        HoldReason.KAFKA_UNAVAILABLE,  # what may still be sent is the lease's to decide
        HoldReason.API_UNAVAILABLE,
        HoldReason.SCHEMA_REGISTRY_UNAVAILABLE,  # partitions that need a schema wait, no others
        HoldReason.PARTITION_STALLED,
    }
)
ENDED_BY_A_REQUEST = API_HOLDS | {HoldReason.API_UNAVAILABLE}
_PASSABLE = API_HOLDS | TELLING_HOLDS
TELL_AFTER_SECONDS = 14.0  # of nothing but failures; it shows a moment later
FIRST_PROBE_SECONDS = 0.1
_CATCH_UP_SECONDS = 0.02
_WINDOW_SECONDS = 2.0
_OUTAGE_FAILURES = 8
_OUTAGE_LANES = 3
_SURE_PROBES = 8
_GROWTH = 1.5


@dataclass(frozen=True, slots=True)
class HoldState:
    """One hold: since when (seconds on the caller's clock), and what was seen last.

    ``next_probe`` is when the next request may tell whether it is over; None: no request will.
    """

    reason: HoldReason
    since: float
    detail: str
    attempts: int = 0
    next_probe: float | None = None


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
        self._everybody = Backoff()
        self._strangers = Backoff()  # lanes that did not fail in this trouble
        self._one_at_a_time = False
        self._trouble: HoldState | None = None  # failures without a success between
        self._failures = 0
        self._failed_lanes: set[int] = set()
        self._reduced_at = -math.inf
        self._successes = 0

    @property
    def slots(self) -> int:
        """Return how many requests may be in flight."""
        return 1 if self.is_probing else int(self.limit)

    @property
    def is_held(self) -> bool:
        """Whether a hold lets nothing through but probes."""
        return bool(self.holds) and not self.holds.keys() <= TELLING_HOLDS

    @property
    def is_probing(self) -> bool:
        """Whether only single requests go out, to see whether the other side is back."""
        return self._one_at_a_time or self.is_held

    def may_start(self, now: float, *, is_stranger: bool = False) -> bool:
        """Whether a request may start at ``now``; see `earliest_start`."""
        return self.in_flight < self.slots and self.earliest_start(is_stranger=is_stranger) <= now

    def earliest_start(self, *, is_stranger: bool = False) -> float:
        """Return when the next request may start, as far as time alone decides; inf: never.

        A stranger is a lane that did not fail in this trouble, and so might end it: in an outage
        it waits for what other strangers came to, not for what the same few lanes did again.
        """
        if self.holds and not self.holds.keys() <= _PASSABLE:
            return math.inf
        backoff = self._strangers if is_stranger and not self._api_holds() else self._everybody
        return max(self._next_start, backoff.not_before)

    def started(self, now: float) -> None:
        """Count a request that starts at ``now``."""
        self.in_flight += 1
        self._next_start = max(self._next_start, now - _CATCH_UP_SECONDS) + self._interval_seconds

    def unsent(self) -> None:
        """Count a request as never sent."""
        self.in_flight -= 1

    def accepted(self, started_at: float) -> None:
        """Count a success (delivered, or refused by the API itself)."""
        self.in_flight -= 1
        self._failures = 0
        self._failed_lanes.clear()
        self.forget_trouble()
        if started_at >= self._everybody.asked_until:
            self._one_at_a_time = False
        for hold in self._api_holds():
            # What nobody knows is one segment's if another is well at the same time; a key or a
            # proxy may be another one by now, of which an earlier request tells nothing.
            if started_at > hold.since or hold.reason is HoldReason.UNEXPECTED_ANSWER:
                del self.holds[hold.reason]
        if not self._api_holds():
            self._everybody.succeed()
            self._strangers.succeed()
        self._successes += 1
        if self._successes >= self.limit:
            self._successes = 0
            self.limit = min(self.limit + 1.0, float(self._max_in_flight))

    def failed(
        self,
        retry: Retry,
        lane: int,
        started_at: float,
        now: float,
        jitter: float,
        *,
        is_bad: bool = False,
        was_well: bool = True,
    ) -> None:
        """Count an attempt of ``lane`` that has to be repeated."""
        self.in_flight -= 1
        is_throttled = retry.reason is RetryReason.THROTTLED
        self._note_trouble(retry, now, is_bad=is_bad or is_throttled)
        is_stranger = is_throttled or (not is_bad and lane not in self._failed_lanes)
        if not is_bad:
            self._failures += 1
            self._failed_lanes.add(lane)
        if is_throttled or was_well:
            self._shrink(started_at, now)
        if is_throttled and retry.retry_after_seconds is not None:
            self._everybody.ask(now, retry.retry_after_seconds)
            self._strangers.ask(now, retry.retry_after_seconds)
            self._one_at_a_time = True
        elif self.is_probing:
            self._probe_failed(started_at, now, jitter, is_stranger=is_stranger)
            is_sure = self._everybody.level >= _SURE_PROBES and not self._api_holds()
            if is_sure and retry.retry_after_seconds is not None:
                self._everybody.wait(now, retry.retry_after_seconds)  # a success is better evidence
        elif self._failures >= _OUTAGE_FAILURES and (
            is_throttled or len(self._failed_lanes) >= _OUTAGE_LANES
        ):
            self._one_at_a_time = True
            self._probe_failed(started_at, now, jitter, is_stranger=True)

    def held(
        self,
        reason: HoldReason,
        detail: str,
        started_at: float,
        now: float,
        jitter: float,
        *,
        is_bad: bool = False,
    ) -> bool:
        """Count an attempt that showed ``reason``; return whether the hold is a new one.

        A probe tells how things are now, so what it saw replaces what was seen before it.
        """
        self.in_flight -= 1
        if HoldReason.API_UNAVAILABLE not in self.holds:
            self._trouble = None  # what answers so is there
        before = self._api_holds()
        if not before and is_bad and reason is HoldReason.UNEXPECTED_ANSWER:
            return False  # that one segment's; no other reason ever is
        if self._was_probe(started_at):
            self._probe_failed(started_at, now, jitter, is_stranger=True)
            for hold in before:
                if hold.reason is not reason:
                    del self.holds[hold.reason]
        elif not before:
            first_probe = now + min(FIRST_PROBE_SECONDS, self._max_backoff_seconds)
            self._everybody.succeed()
            self._everybody.not_before = max(self._everybody.not_before, first_probe)
        old = self.holds.get(reason)
        since, attempts = (old.since, old.attempts) if old is not None else (now, 0)
        self.holds[reason] = HoldState(reason, since, detail, attempts + 1)
        return old is None

    def hold(self, reason: HoldReason, detail: str, now: float) -> bool:
        """Hold, or tell, for a reason outside of the requests; return whether it is new."""
        old = self.holds.get(reason)
        self.holds[reason] = HoldState(reason, old.since if old is not None else now, detail)
        return old is None

    def end_hold(self, reason: HoldReason) -> HoldState | None:
        """End a hold that `hold` began; return what it was."""
        return self.holds.pop(reason, None)

    def tell_trouble(self, now: float) -> HoldState | None:
        """Tell of a trouble that has lasted; return it when it is new."""
        trouble = self._trouble
        is_new = HoldReason.API_UNAVAILABLE not in self.holds
        if trouble is None or not is_new or now - trouble.since < TELL_AFTER_SECONDS:
            return None
        self.holds[trouble.reason] = trouble
        return trouble

    def forget_trouble(self) -> bool:
        """End the trouble: nothing is left to try, or it succeeded; return whether it was told."""
        self._trouble = None
        return self.holds.pop(HoldReason.API_UNAVAILABLE, None) is not None

    def _note_trouble(self, retry: Retry, now: float, *, is_bad: bool) -> None:
        """Take down what was seen last; what says nothing about the API begins no trouble."""
        old = self._trouble
        if old is None and is_bad:
            return
        attempts = 1 if old is None else old.attempts + 1
        detail = f"{retry.detail}; failed attempts in a row: {attempts}"
        since = now if old is None else old.since
        self._trouble = HoldState(HoldReason.API_UNAVAILABLE, since, detail, attempts)
        if HoldReason.API_UNAVAILABLE in self.holds:
            self.holds[HoldReason.API_UNAVAILABLE] = self._trouble

    def _shrink(self, started_at: float, now: float) -> None:
        if started_at >= self._reduced_at:
            self.limit = max(1.0, self.limit * DECREASE_FACTOR)
            self._reduced_at = now
            self._successes = 0

    def _api_holds(self) -> list[HoldState]:
        holds = self.holds  # hardly ever are there any
        return [hold for reason, hold in holds.items() if reason in API_HOLDS] if holds else []

    def _was_probe(self, started_at: float) -> bool:
        """Whether an attempt started after a hold began, so that it tells whether it is over."""
        return any(started_at > hold.since for hold in self._api_holds())

    def _probe_failed(
        self, started_at: float, now: float, jitter: float, *, is_stranger: bool
    ) -> None:
        self._everybody.fail(started_at, now, self._max_backoff_seconds, jitter, _GROWTH)
        if is_stranger:
            self._strangers.fail(started_at, now, self._max_backoff_seconds, jitter, _GROWTH)
