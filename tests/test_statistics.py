"""What librdkafka's statistics say, as metrics."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer

from consumer.core import metrics
from consumer.kafka.statistics import CLIENTS, INTERVAL_SECONDS, Statistics
from consumer.settings.librdkafka import RELIED_ON
from tests.support.embedded import embedded_broker
from tests.support.waiting import PATIENCE_SECONDS, eventually

NEVER_0 = {
    "kafka_round_trip_seconds",
    "kafka_prefetch_bytes",
    "kafka_received_bytes_total",
    "kafka_connection_attempts_total",
}
"""Of a client that was assigned something to read."""


def broker(source: str = "learned", **figures: object) -> dict[str, object]:
    """Return a broker as librdkafka tells of it, of what is read."""
    idle = {"avg": 0, "max": 0, "p50": 0, "cnt": 0}
    return {
        "source": source,
        "state": "UP",
        "rxbytes": 0,
        "connects": 1,
        "disconnects": 0,
        "rtt": idle,
        "throttle": idle,
        **figures,
    }


def told(
    *brokers: dict[str, object], name: str = "c#consumer-1", fetched: tuple[int, ...] = ()
) -> str:
    """Return a client's statistics."""
    partitions = {
        str(each): {"partition": each, "fetchq_size": size} for each, size in enumerate(fetched)
    }
    return json.dumps(
        {
            "name": name,
            "replyq": 0,
            "brokers": dict(enumerate(brokers)),
            "topics": {"audience": {"topic": "audience", "partitions": partitions}},
        }
    )


def take(statistics: Statistics, client: str, text: str) -> None:
    """Hand over what a client tells, as the library does."""
    statistics.watched({}, client)["stats_cb"](text)


@pytest.fixture
def statistics() -> Statistics:
    """Make statistics that nobody told anything yet."""
    return Statistics()


def test_a_round_trip_is_the_slowest_brokers_median(statistics: Statistics) -> None:
    rtts = [{"p50": 4000, "avg": 9000}, {"p50": 20_000, "avg": 90_000}]
    take(statistics, "admin", told(*(broker(rtt=each) for each in rtts)))
    assert statistics.samples()["kafka_round_trip_seconds", "admin"] == 0.02


def test_a_round_trip_beyond_the_librarys_histogram_is_its_mean(statistics: Statistics) -> None:
    take(statistics, "admin", told(broker(rtt={"p50": 0, "avg": 700_000})))
    assert statistics.samples()["kafka_round_trip_seconds", "admin"] == 0.7


def test_a_fetch_that_waits_for_records_makes_no_consumer_far(statistics: Statistics) -> None:
    brokers = (broker(rtt={"p50": 500_000}), broker("logical", rtt={"p50": 3000}))
    take(statistics, "consumer", told(*brokers))
    assert statistics.samples()["kafka_round_trip_seconds", "consumer"] == 0.003


def test_a_quota_shows_by_the_longest_wait(statistics: Statistics) -> None:
    waits = [{"avg": 10, "max": 40}, {"avg": 30, "max": 1500}]
    take(statistics, "producer", told(*(broker(throttle=each) for each in waits)))
    assert statistics.samples()["kafka_throttle_seconds", "producer"] == 1.5


def test_the_prefetch_is_that_of_all_partitions_of_the_consumer(statistics: Statistics) -> None:
    take(statistics, "consumer", told(broker(), fetched=(100, 0, 23)))
    take(statistics, "producer", told(broker(), fetched=(7,)))
    assert statistics.samples()["kafka_prefetch_bytes",] == 123


def test_what_is_counted_goes_on_when_a_new_client_takes_an_old_ones_place(
    statistics: Statistics,
) -> None:
    def counts() -> list[float]:
        names = ("received_bytes", "connection_attempts", "disconnects")
        return [statistics.samples()[f"kafka_{name}_total", "consumer"] for name in names]

    first = broker(rxbytes=1000, connects=3, disconnects=2)
    take(statistics, "consumer", told(first, broker(rxbytes=50)))
    assert counts() == [1050, 4, 2]
    take(statistics, "consumer", told(broker(rxbytes=1500, connects=3, disconnects=2), broker()))
    assert counts() == [1500, 4, 2]
    take(statistics, "consumer", told(broker(rxbytes=10), name="c#consumer-2"))
    assert counts() == [1510, 5, 2]
    take(statistics, "consumer", told(name="c#consumer-2"))  # the broker is gone
    take(statistics, "consumer", told(broker(rxbytes=5), name="c#consumer-2"))
    assert counts() == [1515, 6, 2]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"brokers": 1}', '{"topics": {"t": null}}'])
def test_what_another_librdkafka_may_tell_ends_nothing(statistics: Statistics, text: str) -> None:
    take(statistics, "consumer", told(broker(rxbytes=9)))
    take(statistics, "consumer", text)
    assert statistics.samples()["kafka_received_bytes_total", "consumer"] == 9


def test_each_figure_is_a_metric_that_is_declared(statistics: Statistics) -> None:
    for client in CLIENTS:
        take(statistics, client, told(broker()))
    samples = statistics.samples()
    of_kafka = [each for each in metrics.METRICS if each.name.startswith("kafka_")]
    assert samples.keys() == {key for metric in of_kafka for key in metric.known_series()}


def test_the_interval_is_the_one_that_the_metrics_say_and_not_an_operators(
    statistics: Statistics,
) -> None:
    watched = statistics.watched({"client.id": "c", "statistics.interval.ms": 0}, "admin")
    assert watched["client.id"] == "c"
    assert watched["statistics.interval.ms"] == INTERVAL_SECONDS * 1000
    assert "statistics.interval.ms" in RELIED_ON
    in_help = f"in the last {INTERVAL_SECONDS:g} s"
    of_it = [each.help for each in metrics.METRICS if each.name.startswith("kafka_")]
    assert sum(in_help in text for text in of_it) == 2


@pytest.fixture
def host() -> Iterator[str]:
    """Have a broker with some records."""
    with embedded_broker("audience", records=100) as address:
        yield address


def test_a_real_client_tells_all_of_it(host: str, statistics: Statistics) -> None:
    properties: dict[str, Any] = {
        "bootstrap.servers": host,
        "group.id": "watched",
        "auto.offset.reset": "earliest",
    }
    often = {"statistics.interval.ms": 200}
    consumer = Consumer({**statistics.watched(properties, "consumer"), **often})
    consumer.subscribe(["audience"])
    read = 0

    def seen() -> dict[metrics.Key, float]:
        nonlocal read
        read += len(consumer.consume(1, 0.1))
        return statistics.samples() if read else {}

    def is_telling(samples: dict[metrics.Key, float]) -> bool:
        return {name for (name, *_), value in samples.items() if value} >= NEVER_0

    try:
        eventually(seen, PATIENCE_SECONDS, "all figures", until=is_telling)
    finally:
        consumer.close()
