"""The history: the last hour in steps of ten seconds, from what the owner thread published.

It is kept by the owner thread, which appends a step when its time has come, and handed out as a
tuple that nobody changes. There are at most `MAX_STEPS` of them, however long the process runs.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate

from consumer import clock
from consumer.core.metrics import BY_NAME, Key
from consumer.core.tally import Counts

STEP_SECONDS = 10.0
MAX_STEPS = 360
_LATENCY = "delivery_latency_seconds"

Step = Mapping[str, object]
"""What happened in one step, as ``/history`` shows it; ``at`` is its end."""


class History:
    """The steps so far; a loop that stood still makes one long step, which ``seconds`` tells."""

    def __init__(self) -> None:
        self.steps: tuple[Step, ...] = ()
        self._kept: deque[Step] = deque(maxlen=MAX_STEPS)
        self._due_at = -math.inf
        self._at = 0.0
        self._counts: Counts | None = None

    def turn(
        self,
        counts: Counts,
        gauges: Callable[[], Mapping[str, float | None]],
        now: float,
        wall: float,
    ) -> None:
        """Close a step if it is time: ``now`` on the loop's clock, ``wall`` the Unix time of it.

        What ``gauges`` returns goes in as it is; it is called for a step only.
        """
        before = self._counts
        if now < self._due_at:
            return
        if before is not None:
            self._kept.append(
                {
                    "at": clock.rfc3339(wall),
                    "seconds": round(now - self._at, 3),
                    **_changes(before, counts),
                    **gauges(),
                }
            )
            self.steps = tuple(self._kept)
        late = 0.0 if before is None else (now - self._due_at) % STEP_SECONDS
        self._due_at = now - late + STEP_SECONDS
        self._at, self._counts = now, counts


def quantile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """Return what that share of the observations is at most; None if there are none.

    Within a bucket they count as evenly spread, as in Prometheus' histogram_quantile; of those
    beyond the last bound it is only known that they are.
    """
    rank = share * sum(counts)
    if not rank:
        return None
    index = next(i for i, below in enumerate(accumulate(counts)) if below >= rank)
    if index == len(bounds):
        return bounds[-1]
    low = bounds[index - 1] if index else 0.0
    rest = rank - sum(counts[:index])
    return round(low + (bounds[index] - low) * rest / counts[index], 4)


def _changes(before: Counts, after: Counts) -> dict[str, object]:
    delivered = 0
    requests: dict[str, int] = {}
    for key, count in after.counters.items():
        change = count - before.counters.get(key, 0)
        if change and _is_delivery(key):
            delivered += change
        elif change and key[0] == "requests_total":
            requests[key[2]] = requests.get(key[2], 0) + change
    old, new = before.histograms[_LATENCY,].counts, after.histograms[_LATENCY,].counts
    latencies = [late - early for early, late in zip(old, new, strict=True)]
    bounds = BY_NAME[_LATENCY].buckets
    return {
        "delivered": delivered,
        "requests": requests,
        "latency_p50_seconds": quantile(bounds, latencies, 0.5),
        "latency_p95_seconds": quantile(bounds, latencies, 0.95),
    }


def _is_delivery(key: Key) -> bool:
    return key[0] == "ids_total" and key[2] == "delivered"
