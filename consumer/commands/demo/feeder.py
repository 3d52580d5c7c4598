"""Where the demo's events come from: a producer that tells the story, no faster than it is read."""

import threading
import time
from itertools import islice
from typing import Any, cast
from zlib import crc32

from confluent_kafka import KafkaError, Message, Producer

from consumer import clock
from consumer.commands.demo.story import Record, Story
from consumer.core.snapshot import Board, Snapshot
from consumer.observability import logs

TOPIC = "audience-changes"

_PRODUCTION_SECONDS = 10.0
_MIN_RECORDS_PER_SECOND = 5_000.0
_CHUNK_RECORDS = 250
_MAX_UNREAD_RECORDS = 10_000
"""Per partition. The mock keeps 5 MiB of each and drops what nobody has read yet."""

_TRICKLE_RECORDS_PER_SECOND = 200.0
_TRICKLE_RECORDS = 10
_PATIENCE_SECONDS = 10.0


class Feeder:
    """Produces the story in a thread of its own, no faster than it is read.

    ``ends`` has the end offset of each partition. After the story's events it goes on with a few
    more, if ``goes_on``, until that is taken back.
    """

    def __init__(self, story: Story, bootstrap_servers: str, partitions: int, board: Board) -> None:
        self.story = story
        self.ends = dict.fromkeys(range(partitions), 0)
        self.goes_on = False
        self.finished = False
        self.failure = ""
        self._board = board
        self._records = story.records()
        self._rate = max(_MIN_RECORDS_PER_SECOND, story.events / _PRODUCTION_SECONDS)
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,  # no record twice, and in order
                "delivery.report.only.error": True,
                "on_delivery": self._on_failure,
            },
            logger=logs.librdkafka_logger(),
        )

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name="feeder", daemon=True).start()

    def _run(self) -> None:
        left = self.story.events
        pace = Pace(self._rate)
        while left and not self.failure:
            chunk = min(left, _CHUNK_RECORDS)
            pace.wait_for(chunk)
            self._produce(chunk)
            left -= chunk
        pace = Pace(_TRICKLE_RECORDS_PER_SECOND)
        while self.goes_on and not self.failure:
            pace.wait_for(_TRICKLE_RECORDS)
            self._produce(_TRICKLE_RECORDS)
        if unanswered := self._producer.flush(_PATIENCE_SECONDS):
            self.failure = f"{unanswered} records were not produced"
        self.finished = True

    def _produce(self, count: int) -> None:
        while self._unread() > _MAX_UNREAD_RECORDS:
            time.sleep(0.02)
        for record in islice(self._records, count):
            self._produce_one(record)
        self._producer.poll(0)

    def _produce_one(self, record: Record) -> None:
        key, value = record
        partition = crc32(key) % len(self.ends)
        self.ends[partition] += 1
        while True:
            try:
                self._producer.produce(TOPIC, value, key, partition)
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def _unread(self) -> int:
        """Return how many records of the fullest partition the daemon has not read yet."""
        read = by_partition(self._board.snapshot, "position")
        return max(end - (read.get(partition) or 0) for partition, end in self.ends.items())

    def _on_failure(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self.failure = f"a record was not produced: {error.str()}"


class Pace:
    """So many in a second, evenly. Owned by one thread."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._next = clock.now()

    def wait_for(self, count: int) -> None:
        """Wait until ``count`` more are due; what came too late is not caught up."""
        now = clock.now()
        self._next = max(self._next, now - 1.0) + count / self._per_second
        time.sleep(max(0.0, self._next - now))


def by_partition(snapshot: Snapshot, name: str) -> dict[int, int | None]:
    """Return an offset that the daemon knows of each partition: ``position`` or ``committed``."""
    partitions = cast("list[dict[str, Any]]", snapshot.status["partitions"])
    return {each["partition"]: each[name] for each in partitions}
