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
_ENDS = Label(
    "outcome", ("delivered", "superseded", "duplicate", "rejected", "skipped", "released")
)
_WHY_SENT = Label("reason", ("size", "linger", "revoke", "shutdown", "pressure", "split"))
_CLIENT = Label("client", ("consumer", "producer", "admin"))
_IDS = (1, 10, 50, 100, 250, 500, 750, 1000)
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LATENCIES = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 21600, 86400)


def _counter(name: str, help_: str, *labels: Label) -> Metric:
    return Metric(name, "counter", help_, labels)


def _gauge(name: str, help_: str, *labels: Label) -> Metric:
    return Metric(name, "gauge", help_, labels)


def _histogram(name: str, help_: str, buckets: tuple[float, ...], *labels: Label) -> Metric:
    return Metric(name, "histogram", help_, labels, buckets)


METRICS: tuple[Metric, ...] = (
    _counter(
        "records_total",
        "records read",
        Label("outcome", ("accepted", "malformed", "tombstone", "ignored")),
    ),
    _counter("ids_received_total", "every id of a readable record, valid or not", _ACTION),
    _counter(
        "ids_total",
        "where ids ended; received = the sum of these + held_ids, in every scrape",
        _ACTION,
        _ENDS,
    ),
    _gauge("held_ids", "ids buffered, waiting or in flight"),
    _gauge("buffer_limit_ids", "held ids before consumption pauses"),
    _counter("batches_total", "why a batch left its buffer", _ACTION, _WHY_SENT),
    _histogram("batch_ids", "ids per request", _IDS, _ACTION),
    _counter(
        "requests_total",
        "attempts by HTTP status, or timeout, or connection (also an answer cut short)",
        _ACTION,
        Label("status", ("200", "timeout", "connection"), open=True),
    ),
    _histogram(
        "request_duration_seconds", "from connecting to the answer's last byte", _SECONDS, _ACTION
    ),
    _gauge("requests_in_flight", "requests in flight"),
    _gauge("concurrency_limit", "concurrent requests allowed now"),
    _counter(
        "retries_total",
        "attempts that failed and are repeated: 429, 408 and 5xx, timeout, connection",
        Label("reason", tuple(RetryReason)),
    ),
    _histogram(
        "delivery_latency_seconds",
        "Kafka timestamp of a batch's oldest record to its 200",
        _LATENCIES,
    ),
    _gauge(
        "oldest_unsettled_seconds",
        "seconds since the oldest unsettled record was read; 0 when there is none",
    ),
    _gauge("last_delivery_timestamp_seconds", "Unix time of the last delivery"),
    _gauge("lag_records", "end offset - committed, if assigned now", _TOPIC, _PARTITION),
    _gauge("committed_offset", "committed, if assigned now", _TOPIC, _PARTITION),
    _gauge(
        "partition_stalled",
        "1 while records wait in it and nothing comes; series only while so",
        _TOPIC,
        _PARTITION,
    ),
    _gauge("assigned_partitions", "partitions assigned now"),
    _counter(
        "commits_total",
        "commits, counted when the broker answered",
        Label("outcome", ("ok", "failed")),
    ),
    _counter(
        "offset_resets_total",
        "positions the broker no longer had: deleted, truncated, made anew, begun at the end",
        _TOPIC,
    ),
    _counter(
        "starts_at_end_total",
        "partitions with records begun at their end: latest, no committed offset;"
        " in offset_resets_total too",
        _TOPIC,
    ),
    _counter(
        "rebalances_total",
        "what the group did with partitions of ours",
        Label("event", ("assigned", "revoked", "lost")),
    ),
    _counter(
        "dead_letters_total",
        "records on the dead-letter topic, counted when the broker acknowledged them",
        Label("reason", ("malformed", "invalid-id", "rejected", "segment-rejected")),
    ),
    _gauge("paused", "1 while the buffer limit pauses consumption"),
    _gauge("hold", "1 while held", Label("reason", tuple(HoldReason))),
    _gauge(
        "kafka_round_trip_seconds",
        "median time to a broker's answer in the last 15 s, of the slowest; without fetches",
        _CLIENT,
    ),
    _gauge("kafka_throttle_seconds", "longest delay by a broker's quota in the last 15 s", _CLIENT),
    _gauge("kafka_prefetch_bytes", "fetched from Kafka and not read yet"),
    _counter("kafka_received_bytes_total", "bytes received from brokers", _CLIENT),
    _counter(
        "kafka_connection_attempts_total", "tries to connect to a broker, failed ones too", _CLIENT
    ),
    _counter("kafka_disconnects_total", "connections to brokers that ended", _CLIENT),
    _gauge("loop_heartbeat_timestamp_seconds", "Unix time of the loop's last turn"),
    _gauge("build_info", "1, with the version", Label("version", open=True)),
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
