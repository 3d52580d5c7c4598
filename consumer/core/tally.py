"""The tally: counters and histograms, counted by the owner thread alone."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

from consumer.core.metrics import BY_NAME, Key, declared, known_series


@dataclass(frozen=True, slots=True)
class HistogramValue:
    """A histogram at one moment: observations per bucket, not cumulative, +Inf's last."""

    counts: tuple[int, ...]
    total: float


class Histogram:
    """Observations by bucket; a value on a bucket's upper bound belongs to that bucket."""

    def __init__(self, buckets: tuple[float, ...]) -> None:
        self._buckets = buckets
        self._counts = [0] * (len(buckets) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        """Count ``value`` as seen once more."""
        self._counts[bisect_left(self._buckets, value)] += 1
        self._total += value

    def freeze(self) -> HistogramValue:
        """Return what was observed so far."""
        return HistogramValue(tuple(self._counts), self._total)


@dataclass(frozen=True, slots=True)
class Counts:
    """All counters and histograms at one moment."""

    counters: Mapping[Key, int]
    histograms: Mapping[Key, HistogramValue]


class Tally:
    """The owner thread's counts. Every series whose labels are known is there, at 0, at once."""

    def __init__(self) -> None:
        self.counters: dict[Key, int] = dict.fromkeys(known_series("counter"), 0)
        self.histograms: dict[Key, Histogram] = {
            key: Histogram(BY_NAME[key[0]].buckets) for key in known_series("histogram")
        }

    def add(self, *key: str, n: int = 1) -> None:
        """Count ``n`` more; KeyError for a series that no metric declares."""
        if key in self.counters:
            self.counters[key] += n
        else:
            self.counters[declared(key, "counter")] = n

    def observe(self, value: float, *key: str) -> None:
        """Observe ``value``; KeyError for a series that no metric declares."""
        self.histograms[key].observe(value)

    def freeze(self) -> Counts:
        """Return the counts so far."""
        histograms = {key: histogram.freeze() for key, histogram in self.histograms.items()}
        return Counts(dict(self.counters), histograms)
