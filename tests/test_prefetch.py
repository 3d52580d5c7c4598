"""I7: what waits in Kafka fills no memory, however small it was made, and is fetched once."""

from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer

from tests.support.daemon import Daemon
from tests.support.processes import peak_mib
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.api import FaultyApi
    from tests.support.kafka import Broker

EVENTS, READ = 700_000, 450_000
LOGGED_BYTES = 69  # of an event in the log, uncompressed
PATIENCE_SECONDS = 300.0
SLOWER_THAN_READING, SLOW = 2.0, 0.2


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
