"""What goes wrong at the demo's API: latency, refusals, an outage, throttling, lost answers.

Called by the stand-in's thread, once for each request. The weather changes by the number of
requests that came, so a short demo has all of it, too.
"""

import random
from collections import Counter
from http import HTTPStatus

from consumer import clock
from consumer.commands.demo.standin import Fault, StandinRequest
from consumer.commands.demo.story import DATA_DRIVEN_SEGMENT, REFUSED_PREFIX

_OUTAGE_SECONDS = (0.3, 1.5)
_THROTTLED_SECONDS = 0.3
_SLOWEST_SECONDS = 0.3
_SINGLE_EVERY = 80
_SINGLES = 5

_DATA_DRIVEN = Fault(
    delay_seconds=0.02,
    status=HTTPStatus.BAD_REQUEST,
    body=b'{"meta":{"errors":["the segment is data-driven"]}}',
)
_REFUSED = Fault(
    delay_seconds=0.02,
    status=HTTPStatus.BAD_REQUEST,
    body=b'{"meta":{"errors":["an id was merged into another"]}}',
)
# Within the daemon's timeout: nobody can put in order what the API applies after that.
_APPLIED_LATE = Fault(hang=True, apply_after_seconds=1.5)
_DOWN = Fault(status=HTTPStatus.SERVICE_UNAVAILABLE, body=b"<html>down</html>")
_THROTTLED = Fault(status=HTTPStatus.TOO_MANY_REQUESTS, headers={"Retry-After": "1"})


class Weather:
    """Decides what becomes of each request. ``seen`` counts what went wrong, by its name."""

    def __init__(self, events: int, seed: int = 1) -> None:
        self.seen: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._requests = 0
        self._outage_at = min(max(20, events // 500), 200)
        self._throttled_at = 2 * self._outage_at
        shortest, longest = _OUTAGE_SECONDS
        self._outage_seconds = min(max(shortest, events / 50_000), longest)
        self._bad: Fault | None = None
        self._bad_until = 0.0

    def __call__(self, request: StandinRequest) -> Fault | None:
        """Return what happens to ``request``."""
        if request.action == "region":
            return None
        self._requests += 1
        return self._general() or self._refusal(request) or self._single()

    @property
    def report(self) -> str:
        """Say what goes wrong now; empty: nothing."""
        if clock.now() >= self._bad_until:
            return ""
        return "is down (503)" if self._bad is _DOWN else "throttles (429, Retry-After: 1)"

    def _general(self) -> Fault | None:
        """Return what happens to all requests for a while."""
        now = clock.now()
        if self._requests == self._outage_at:
            self._bad, self._bad_until = _DOWN, now + self._outage_seconds
        if self._requests == self._throttled_at:
            self._bad, self._bad_until = _THROTTLED, now + _THROTTLED_SECONDS
        if self._bad is None or now >= self._bad_until:
            return None
        return self._count("down" if self._bad is _DOWN else "throttled", self._bad)

    def _refusal(self, request: StandinRequest) -> Fault | None:
        """Return what is said to a segment or an id that the API doesn't take."""
        if request.segment_id == DATA_DRIVEN_SEGMENT:
            return self._count("refused", _DATA_DRIVEN)
        if any(name.startswith(REFUSED_PREFIX) for name in request.ids):
            return self._count("refused", _REFUSED)
        return None

    def _single(self) -> Fault:
        """Return what happens to this request alone; most are only slow."""
        delay_seconds = min(0.02 + self._random.expovariate(50), _SLOWEST_SECONDS)
        match self._requests % _SINGLE_EVERY:
            case 30 if self.seen["answer lost"] < _SINGLES:
                return self._count("answer lost", Fault(delay_seconds=delay_seconds, cut_at=0))
            case 70 if self.seen["applied late"] < _SINGLES:
                return self._count("applied late", _APPLIED_LATE)
        return Fault(delay_seconds=delay_seconds)

    def _count(self, name: str, fault: Fault) -> Fault:
        self.seen[name] += 1
        return fault
