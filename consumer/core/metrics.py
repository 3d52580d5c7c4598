"""The metrics: every one declared once, counted by the owner thread, published as a snapshot.

``METRICS`` is what deploy/reference.md's table and ``/metrics`` are made of. A ``Tally`` belongs to
the owner thread alone; what other threads see is a ``Snapshot``, a value that nobody changes any
more, swapped on the ``Board`` as one reference. So one scrape is one moment, and nothing is locked.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Literal

from consumer.core.outcomes import HoldReason, RetryReason

PREFIX = "segment_consumer_"

Key = tuple[str, ...]
"""A series: the metric's name without the prefix, then its label values in declared order."""


@dataclass(frozen=True, slots=True)
class Label:
    """A label. Series of its ``values`` exist at 0 from the start; if ``open``, others may come."""

    name: str
    values: tuple[str, ...] = ()
    open: bool = False


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as the contract has it; ``buckets`` are a histogram's upper bounds without +Inf."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()

    def known_series(self) -> Iterator[Key]:
        """Yield the series that exist from the start: one if there are no labels."""
        for values in product(*(label.values for label in self.labels)):
            yield (self.name, *values)

    def has(self, key: Key) -> bool:
        """Whether ``key`` names a series of this metric, now or later."""
        return len(key) == 1 + len(self.labels) and all(
            label.open or value in label.values
            for label, value in zip(self.labels, key[1:], strict=True)
        )


_ACTION = Label("action", ("add", "remove"))
_TOPIC = Label("topic", open=True)
_PARTITION = Label("partition", open=True)
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LATENCIES = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 21600, 86400)

METRICS: tuple[Metric, ...] = (
    Metric(
        "records_total",
        "counter",
        "records read",
        (Label("outcome", ("accepted", "malformed", "tombstone")),),
    ),
    Metric(
        "ids_received_total", "counter", "every id of a readable record, valid or not", (_ACTION,)
    ),
    Metric(
        "ids_total",
        "counter",
        "where ids ended; received = the sum of these + held_ids, in every scrape",
        (
            _ACTION,
            Label(
                "outcome",
                ("delivered", "superseded", "duplicate", "rejected", "skipped", "released"),
            ),
        ),
    ),
    Metric("held_ids", "gauge", "ids buffered, waiting or in flight"),
    Metric("buffer_limit_ids", "gauge", "held ids before consumption pauses"),
    Metric(
        "batches_total",
        "counter",
        "why a batch left its buffer",
        (
            _ACTION,
            Label("reason", ("size", "linger", "revoke", "shutdown", "pressure", "split")),
        ),
    ),
    Metric(
        "batch_ids",
        "histogram",
        "ids per request",
        (_ACTION,),
        (1, 10, 50, 100, 250, 500, 750, 1000),
    ),
    Metric(
        "requests_total",
        "counter",
        "tries by HTTP status, or timeout, or connection (also an answer cut short)",
        (_ACTION, Label("status", ("200", "timeout", "connection"), open=True)),
    ),
    Metric(
        "request_duration_seconds",
        "histogram",
        "from connecting to the answer's last byte",
        (_ACTION,),
        _SECONDS,
    ),
    Metric("requests_in_flight", "gauge", "requests in flight"),
    Metric("concurrency_limit", "gauge", "concurrent requests allowed now"),
    Metric(
        "retries_total",
        "counter",
        "tries that failed and are repeated: 429, 408 and 5xx, timeout, connection",
        (Label("reason", tuple(RetryReason)),),
    ),
    Metric(
        "delivery_latency_seconds",
        "histogram",
        "Kafka timestamp of a batch's oldest record to its 200",
        buckets=_LATENCIES,
    ),
    Metric(
        "oldest_unsettled_seconds",
        "gauge",
        "seconds since the oldest unsettled record was read; 0 when there is none",
    ),
    Metric("last_delivery_timestamp_seconds", "gauge", "Unix time of the last delivery"),
    Metric("lag_records", "gauge", "end offset - committed, if assigned now", (_TOPIC, _PARTITION)),
    Metric("committed_offset", "gauge", "committed, if assigned now", (_TOPIC, _PARTITION)),
    Metric("assigned_partitions", "gauge", "partitions assigned now"),
    Metric(
        "commits_total",
        "counter",
        "commits, counted when the broker answered",
        (Label("outcome", ("ok", "failed")),),
    ),
    Metric("offset_resets_total", "counter", "positions that the broker no longer had", (_TOPIC,)),
    Metric(
        "rebalances_total",
        "counter",
        "what the group did with partitions of ours",
        (Label("event", ("assigned", "revoked", "lost")),),
    ),
    Metric(
        "dead_letters_total",
        "counter",
        "records on the dead-letter topic, counted when the broker acknowledged them",
        (Label("reason", ("malformed", "invalid-id", "rejected", "segment-rejected")),),
    ),
    Metric("paused", "gauge", "1 while the buffer limit pauses consumption"),
    Metric("hold", "gauge", "1 while held", (Label("reason", tuple(HoldReason)),)),
    Metric("loop_heartbeat_timestamp_seconds", "gauge", "Unix time of the loop's last turn"),
    Metric("build_info", "gauge", "1, with the version", (Label("version", open=True),)),
)

BY_NAME: Mapping[str, Metric] = {metric.name: metric for metric in METRICS}


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

    def observe(self, value: float, times: int = 1) -> None:
        """Count ``value`` as seen ``times`` times."""
        self._counts[bisect_left(self._buckets, value)] += times
        self._total += value * times

    def freeze(self) -> HistogramValue:
        """Return what was observed so far."""
        return HistogramValue(tuple(self._counts), self._total)


@dataclass(frozen=True, slots=True)
class Counts:
    """All counters and histograms at one moment."""

    counters: Mapping[Key, int]
    histograms: Mapping[Key, HistogramValue]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the owner thread publishes; ``not_ready`` has the reasons, empty means ready."""

    samples: Mapping[Key, float]
    histograms: Mapping[Key, HistogramValue]
    status: Mapping[str, object]
    not_ready: tuple[str, ...]


@dataclass(slots=True)
class Board:
    """The one thing shared with the HTTP threads: the owner assigns, they read.

    ``turned_at`` is ``clock.now()`` of the loop's last turn.
    """

    snapshot: Snapshot
    turned_at: float


class Tally:
    """The owner thread's counts. Every series whose labels are known is there, at 0, at once."""

    def __init__(self) -> None:
        self.counters: dict[Key, int] = dict.fromkeys(_series("counter"), 0)
        self.histograms: dict[Key, Histogram] = {
            key: Histogram(BY_NAME[key[0]].buckets) for key in _series("histogram")
        }

    def add(self, *key: str, n: int = 1) -> None:
        """Count ``n`` more; KeyError for a series that no metric declares."""
        if key in self.counters:
            self.counters[key] += n
        else:
            self.counters[_declared(key, "counter")] = n

    def observe(self, value: float, *key: str, times: int = 1) -> None:
        """Observe ``value``; KeyError for a series that no metric declares."""
        self.histograms[key].observe(value, times)

    def freeze(self) -> Counts:
        """Return the counts so far."""
        histograms = {key: histogram.freeze() for key, histogram in self.histograms.items()}
        return Counts(dict(self.counters), histograms)


def snapshot_of(
    counts: Counts,
    gauges: Mapping[Key, float],
    status: Mapping[str, object],
    not_ready: tuple[str, ...],
) -> Snapshot:
    """Return the counts with these gauges; known gauges left out are 0."""
    for key in gauges:
        _declared(key, "gauge")
    samples = {**counts.counters, **_ZERO_GAUGES, **gauges}
    return Snapshot(samples, counts.histograms, status, not_ready)


def initial_snapshot(version: str) -> Snapshot:
    """Return what is published before the loop's first turn: starting, everything at 0."""
    status = {
        "version": version,
        "state": "starting",
        "holds": [],
        "partitions": [],
        "segments": [],
        "api": {
            "concurrency_limit": 0,
            "in_flight": 0,
            "requests_per_second": 0.0,
            "last_error": None,
        },
    }
    return snapshot_of(Tally().freeze(), {}, status, ("starting",))


def _series(kind: str) -> Iterator[Key]:
    for metric in METRICS:
        if metric.kind == kind:
            yield from metric.known_series()


def _declared(key: Key, kind: str) -> Key:
    metric = BY_NAME[key[0]]
    if metric.kind != kind or not metric.has(key):
        raise KeyError(key)
    return key


_ZERO_GAUGES: Mapping[Key, float] = dict.fromkeys(_series("gauge"), 0.0)
