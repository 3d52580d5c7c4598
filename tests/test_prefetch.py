"""I7: what waits in Kafka fills no memory, however small it was made, and is fetched once."""

import time
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer

from tests.bench.steady import Load
from tests.support.daemon import Daemon
from tests.support.kafka_frames import FETCH, answers_of
from tests.support.processes import peak_mib
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.api import FaultyApi
    from tests.support.kafka import Broker
    from tests.support.scenario import Scenario

EVENTS, READ = 700_000, 450_000
LOGGED_BYTES = 69  # of an event in the log, uncompressed
PATIENCE_SECONDS = 300.0
SLOWER_THAN_READING, SLOW = 2.0, 0.2
TRICKLE, STREAM, LIVE_SECONDS = 500, 16_000, 4.0  # a stream is a megabyte a second
FETCHES_PER_SECOND = 4  # of which each waits a quarter of a second


def produce(broker: "Broker", topic: str, compression: str) -> None:
    """Produce events of 58 bytes in batches of a megabyte."""
    producer = Producer(
        {
            "bootstrap.servers": broker.bootstrap,
            "compression.type": compression,
            "linger.ms": 1000,
            "batch.size": 1_000_000,
            "batch.num.messages": 1_000_000,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    for number in range(EVENTS):
        name = f"c{number:015d}"
        value = f'{{"segment_id":{number % 50 + 100},"action":"add","id":"{name}"}}'
        producer.produce(topic, value, partition=number // 5000 % 4)
    assert producer.flush(PATIENCE_SECONDS) == 0


@pytest.mark.long("variants of what one shows", keep=("zstd-200",))
@pytest.mark.parametrize(("compression", "most_mib"), [("none", 150), ("zstd", 200)])
def test_i7_what_waits_in_kafka_fills_no_memory_and_is_fetched_once(
    broker: "Broker", topic: str, api: "FaultyApi", compression: str, most_mib: int
) -> None:
    """With default settings: one fetch of 16 MiB in zstd was expanded to half a gigabyte."""
    way = broker.proxied(0)
    produce(broker, topic, compression)
    api.delay(SLOWER_THAN_READING)
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": way.bootstrap,
        "KAFKA_TOPICS": topic,
        "KAFKA_GROUP_ID": topic,
        "CUSTOMERIO_SITE_ID": "site",
        "CUSTOMERIO_API_KEY": "key",
        "CUSTOMERIO_URL": api.url,
    }
    before = way.proxy.answered_bytes

    def seen() -> tuple[int, float]:
        fetched = way.proxy.answered_bytes - before  # first: it goes on while the other is asked
        return fetched, daemon.total("ids_received_total")

    with Daemon(settings) as daemon:
        daemon.wait_ready(PATIENCE_SECONDS)
        daemon.wait_log("paused", PATIENCE_SECONDS)  # the API is what it waits for
        api.delay(SLOW)
        fetched, read = eventually(
            seen,
            PATIENCE_SECONDS,
            "more than the buffer holds",
            until=lambda both: both[1] >= READ,
        )
        assert peak_mib(daemon.pid) < most_mib
        assert fetched < 1.2 * LOGGED_BYTES * read + 2**21


@pytest.mark.parametrize("per_second", [TRICKLE, STREAM])
def test_what_trickles_in_is_fetched_in_some_size(
    scenario: "Scenario", broker: "Broker", per_second: int
) -> None:
    """Else each batch that a producer sends is a fetch, which costs more than what is in it."""
    bootstrap, proxy = broker.proxied(0)
    fetches = 0

    def counted(answer: bytes) -> bytes:
        nonlocal fetches
        fetches += 1
        return answer

    def change(number: int, _: float) -> tuple[str, str]:
        return str(number), f'{{"segment_id":1,"action":"add","id":"c{number}"}}'

    proxy.meddle(answers_of(FETCH, counted, lambda: True))
    scenario.start_ready(KAFKA_BOOTSTRAP_SERVERS=bootstrap)
    before, began = fetches, time.monotonic()
    with Load(broker.bootstrap, scenario.topic, per_second, change) as load:
        eventually(
            lambda: time.monotonic() - began,
            PATIENCE_SECONDS,
            "a while",
            until=lambda seconds: seconds >= LIVE_SECONDS,
        )
    scenario.await_accepted(load.produced)
    seconds = time.monotonic() - began
    assert 0 < fetches - before <= 1.3 * FETCHES_PER_SECOND * seconds
