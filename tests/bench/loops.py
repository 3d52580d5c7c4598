"""What any daemon in Python costs at least: the raw loop and the floor loop, each in a process.

    python -m tests.bench.loops raw|floor

The floor loop does for each record what nobody gets around: ``consume(2000)``, the error check,
``partition``, ``topic``, ``offset``, ``value``, one msgspec Struct, one dictionary insert, and a
new dictionary every 1000. The raw loop only counts. A `Task` comes on standard input as JSON, with
the daemon's own properties of the consumer, and a `Taken` goes to standard output.
"""

import sys
import time
from collections.abc import Iterator
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

CHUNK_RECORDS = 2000
BATCH_IDS = 1000
POLL_SECONDS = 0.1


class Task(msgspec.Struct):
    """What to read: so many records of a topic."""

    properties: dict[str, Any]
    topic: str
    partitions: int
    records: int


class Taken(msgspec.Struct):
    """What it took: from the first tenth of the records to the last, and the process in all."""

    middle_seconds: float
    cpu_seconds: float


class Event(msgspec.Struct):
    """A record as the floor loop reads it."""

    segment_id: int
    action: str
    id: str


def raw(consumer: Consumer, records: int) -> Iterator[int]:
    """Consume and count; yield how many records there were so far."""
    seen = 0
    while seen < records:
        for message in consumer.consume(CHUNK_RECORDS, POLL_SECONDS):
            error = message.error()
            if error is not None:
                check(error)
                continue
            seen += 1
        yield seen


def floor(consumer: Consumer, records: int) -> Iterator[int]:
    """Do what a daemon can't leave out; yield how many records there were so far."""
    decode = msgspec.json.Decoder(Event).decode
    batch: dict[str, int | None] = {}
    seen = 0
    while seen < records:
        for message in consumer.consume(CHUNK_RECORDS, POLL_SECONDS):
            error = message.error()
            if error is not None:
                check(error)
                continue
            message.partition()
            message.topic()
            offset = message.offset()
            event = decode(message.value())  # type: ignore[arg-type] # there are no tombstones
            batch[event.id] = offset
            if len(batch) == BATCH_IDS:
                batch = {}
            seen += 1
        yield seen


def check(error: KafkaError) -> None:
    """Raise what is more than the end of a partition."""
    if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
        raise KafkaException(error)


def read(name: str, task: Task) -> Taken:
    """Read all; the time counts between the first tenth and the last, as of the daemon."""
    consumer = Consumer(task.properties)
    consumer.assign([TopicPartition(task.topic, each, 0) for each in range(task.partitions)])
    begun = ended = 0.0
    for seen in {"raw": raw, "floor": floor}[name](consumer, task.records):
        if not begun and seen >= task.records * 0.1:
            begun = time.monotonic()
        if not ended and seen >= task.records * 0.9:
            ended = time.monotonic()
    consumer.close()
    return Taken(ended - begun, time.process_time())


def main() -> None:
    """Do what standard input says."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    sys.stdout.buffer.write(msgspec.json.encode(read(sys.argv[1], task)))


if __name__ == "__main__":
    main()
