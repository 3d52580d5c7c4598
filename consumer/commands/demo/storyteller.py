"""The demo's events for a broker of yours, in a process of its own: what there is to look at.

``deploy/compose`` runs it. Story after story, until the process is ended; each has its odd records.
"""

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from itertools import count, islice

from confluent_kafka import Producer

from consumer.commands.demo.feeder import TOPIC, Pace
from consumer.commands.demo.story import Record, Story

_STORY_EVENTS = 5_000
_PATIENCE_SECONDS = 10.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Produce the demo's events to a topic, until the process is ended."""
    parser = argparse.ArgumentParser(
        prog="python -m consumer.commands.demo.storyteller", description=main.__doc__
    )
    parser.add_argument("--bootstrap-servers", required=True, metavar="HOST:PORT")
    parser.add_argument("--topic", default=TOPIC)
    parser.add_argument("--per-second", type=float, default=50.0, metavar="EVENTS")
    parser.add_argument("--events", type=int, metavar="N", help="end after so many")
    options = parser.parse_args(arguments)
    producer = Producer(
        {"bootstrap.servers": options.bootstrap_servers, "enable.idempotence": True}
    )
    pace = Pace(options.per_second)
    with contextlib.suppress(KeyboardInterrupt):
        for key, value in islice(_records(), options.events):
            pace.wait_for(1)
            _produce(producer, options.topic, key, value)
    producer.flush(_PATIENCE_SECONDS)


def _records() -> Iterator[Record]:
    for seed in count(1):
        yield from islice(Story(_STORY_EVENTS, seed).records(), _STORY_EVENTS)


def _produce(producer: Producer, topic: str, key: bytes, value: bytes | None) -> None:
    """Hand a record over; where no broker takes any, wait as long as it lasts."""
    while True:
        try:
            producer.produce(topic, value, key)
        except BufferError:
            producer.poll(0.1)
        else:
            producer.poll(0)
            return


if __name__ == "__main__":
    main()
