"""What librdkafka counts of itself, as metrics: round trips, throttling, prefetch, connections.

Each client hands over its statistics as a text, in the thread that polls it and every
`INTERVAL_SECONDS`; a few of its hundreds of figures are read. What stands for several brokers is
the worst of them, or the sum.

They are of the clients that live as long as the daemon does, or whose place a new one takes: the
member's, the dead letters', and the observer's. Those of `kafka.lookup` and `kafka.group`, which
ask a question now and then and are thrown away where nothing answers, are not counted.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from consumer.core.metrics import Key

INTERVAL_SECONDS = 15.0
CLIENTS = ("consumer", "producer", "admin")

_COUNTERS = ("received_bytes", "connection_attempts", "disconnects")


class _Window(Struct):
    """What was measured since the last time; the median is 0 if all was beyond half a second."""

    avg: int = 0
    max: int = 0
    p50: int = 0


class _Broker(Struct):
    source: str = ""
    rxbytes: int = 0
    connects: int = 0
    disconnects: int = 0
    rtt: _Window = msgspec.field(default_factory=_Window)  # microseconds
    throttle: _Window = msgspec.field(default_factory=_Window)  # milliseconds


class _Partition(Struct):
    fetchq_size: int = 0


class _Topic(Struct):
    partitions: dict[str, _Partition] = {}


class _Told(Struct):
    name: str = ""  # of the instance
    brokers: dict[str, _Broker] = {}
    topics: dict[str, _Topic] = {}


class Statistics:
    """Of the three clients; ``samples`` may be called from any thread."""

    def __init__(self) -> None:
        self._clients = {client: _Client(client) for client in CLIENTS}

    def watched(self, properties: Mapping[str, Any], client: str) -> dict[str, Any]:
        """Return the properties of a client that hands over its statistics."""
        interval = round(INTERVAL_SECONDS * 1000)
        taker = self._clients[client].take
        return {**properties, "statistics.interval.ms": interval, "stats_cb": taker}

    def samples(self) -> dict[Key, float]:
        """Return the metrics as of now."""
        return {key: each for client in self._clients.values() for key, each in client.samples}


class _Client:
    """One kind of client. Owned by the thread that polls it, which swaps ``samples``."""

    def __init__(self, client: str) -> None:
        self.samples: tuple[tuple[Key, float], ...] = ()
        self._client = client
        self._name = ""
        self._before = [0] * len(_COUNTERS)
        self._totals = [0] * len(_COUNTERS)

    def take(self, text: str) -> None:
        """Take in a client's statistics."""
        try:
            told = msgspec.json.decode(text, type=_Told)
        except msgspec.DecodeError:
            return  # of another librdkafka: no figures, and no reason to end
        brokers = list(told.brokers.values())
        self._count(told.name, brokers)
        # A fetch waits for records: of the consumer, its coordinator's answers tell how far it is.
        timed = [each for each in brokers if self._client != "consumer" or each.source == "logical"]
        trips = [each.rtt.p50 or each.rtt.avg for each in timed]
        waits = [each.throttle.max for each in brokers]
        samples: dict[Key, float] = {
            ("kafka_round_trip_seconds", self._client): max(trips, default=0) / 1e6,
            ("kafka_throttle_seconds", self._client): max(waits, default=0) / 1e3,
        }
        for name, total in zip(_COUNTERS, self._totals, strict=True):
            samples[f"kafka_{name}_total", self._client] = total
        if self._client == "consumer":
            samples["kafka_prefetch_bytes",] = sum(
                partition.fetchq_size
                for topic in told.topics.values()
                for partition in topic.partitions.values()
            )
        self.samples = tuple(samples.items())

    def _count(self, name: str, brokers: list[_Broker]) -> None:
        """Add what came since the last time. A new client in place of an old one begins at 0."""
        now = [
            sum(each.rxbytes for each in brokers),
            sum(each.connects for each in brokers),
            sum(each.disconnects for each in brokers),
        ]
        before = self._before if name == self._name else [0] * len(now)
        for index, (old, new) in enumerate(zip(before, now, strict=True)):
            self._totals[index] += max(0, new - old)  # a broker that is gone took its counts along
        self._name, self._before = name, now
