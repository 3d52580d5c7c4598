"""The metrics: every one declared once.

``METRICS`` is what deploy/reference.md's table and ``/metrics`` are made of.
"""

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


def known_series(kind: str) -> Iterator[Key]:
    """Yield the series of all metrics of this kind that exist from the start."""
    for metric in METRICS:
        if metric.kind == kind:
            yield from metric.known_series()


def declared(key: Key, kind: str) -> Key:
    """Return ``key``; KeyError if it is no series of a metric of this kind."""
    metric = BY_NAME[key[0]]
    if metric.kind != kind or not metric.has(key):
        raise KeyError(key)
    return key
