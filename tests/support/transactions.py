"""Transactions that stay open as long as a test wants."""

from typing import TYPE_CHECKING

from confluent_kafka import Producer

from tests.support.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.cluster import Record


def open_transaction(bootstrap: str, topic: str, records: "Iterable[Record]") -> Producer:
    """Open a transaction and write these; it stays open until the producer ends it.

    There can be one at a time of each topic: another one of its name would end it.
    """
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": topic, "log_level": 2})
    producer.init_transactions(PATIENCE_SECONDS)
    producer.begin_transaction()
    for record in records:
        producer.produce(topic, record.value, record.key, partition=record.partition or 0)
    unanswered = producer.flush(PATIENCE_SECONDS)
    assert not unanswered, f"{unanswered} records of a transaction without an answer"
    return producer
