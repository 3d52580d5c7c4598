"""What taking in costs: real messages through the daemon's pipeline, the API being instant.

    python -m tests.bench.intake send|hold

A batch that is full is delivered at once, and what isn't waits; or all waits. So what is measured
is consuming, decoding, buffering and the ledgers, and nothing of HTTP. A `loops.Task` comes on
standard input with the daemon's settings; a `loops.Taken` goes to standard output, its CPU that of
the loop alone.
"""

import sys
import time
from typing import TYPE_CHECKING, cast

import msgspec
from confluent_kafka import Consumer, TopicPartition

from consumer import clock, daemon, settings
from consumer.collector import Collector
from consumer.core.outcomes import Delivered
from consumer.settings.properties import consumer_properties
from tests.bench.loops import CHUNK_RECORDS, POLL_SECONDS, Taken, Task

if TYPE_CHECKING:
    from consumer.core.message import Message

_NEVER = {
    "BATCH_LINGER_SECONDS": "86400",
    "BUFFER_MAX_IDS": "1000000000",
    "CUSTOMERIO_REQUESTS_PER_SECOND": "1000000000",
}


def take_in(task: Task, *, sends: bool) -> Taken:
    """Take all in."""
    given = settings.load({**task.properties, **_NEVER})
    pipeline = daemon.pipeline_of(given)
    consumer = Consumer(consumer_properties(given))
    consumer.assign([TopicPartition(task.topic, each, 0) for each in range(task.partitions)])
    for partition in range(task.partitions):
        pipeline.assign(task.topic, partition, 0, 0)
    begun, cpu_begun, seen, delivered = time.monotonic(), time.process_time(), 0, Delivered()
    with Collector(time.monotonic) as collector:
        while seen < task.records:
            messages = cast("list[Message]", consumer.consume(CHUNK_RECORDS, POLL_SECONDS))
            now = clock.now()
            seen += len(messages)
            taken = 0
            while taken < len(messages):
                taken, error = pipeline.receive(messages, now, taken)
                seen -= error is not None  # a partition's end
                while sends and (attempts := pipeline.dispatch(now)):
                    for attempt in attempts:
                        pipeline.settle(attempt, delivered, now, 0.0)
            collector.turn(is_idle=not messages)
        taken_in = Taken(time.monotonic() - begun, time.process_time() - cpu_begun)
    consumer.close()
    return taken_in


def main() -> None:
    """Do what standard input says."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    taken = take_in(task, sends={"send": True, "hold": False}[sys.argv[1]])
    sys.stdout.buffer.write(msgspec.json.encode(taken))


if __name__ == "__main__":
    main()
