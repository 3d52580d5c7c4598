"""The broker that is embedded in librdkafka: there at once, and without all that it can't do."""

import contextlib
import logging
from collections.abc import Iterator

from confluent_kafka import Producer

from tests.support.waiting import PATIENCE_SECONDS


@contextlib.contextmanager
def embedded_broker(topic: str, records: int = 0, partitions: int = 1) -> Iterator[str]:
    """Yield the address of a broker with a topic, and so many records in each first partition."""
    silent = logging.getLogger("tests.embedded")
    silent.addHandler(logging.NullHandler())
    silent.propagate = False
    host = Producer({"test.mock.num.brokers": 1}, logger=silent)
    (found,) = host.list_topics(topic, timeout=PATIENCE_SECONDS).brokers.values()
    for partition in range(partitions):
        for number in range(records):
            host.produce(topic, value=f"{number}", partition=partition)
    assert host.flush(PATIENCE_SECONDS) == 0
    yield f"{found.host}:{found.port}"
    host.flush(0)  # it lives as long as its producer
