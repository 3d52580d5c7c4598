"""A steady load: so many changes a second, for as long as it is wanted."""

import math
import time
from collections.abc import Callable
from typing import Self

from confluent_kafka import Producer

from tests.support.repeating import Repeating

Change = tuple[str, str] | tuple[str, str, int]
"""Key and value, and the partition if it isn't the key's."""

TICK_SECONDS = 0.02
BY_KEY = -1
PATIENCE_SECONDS = 60


class Load(Repeating):
    """A thread that produces; ``change`` makes the n-th, so many seconds after 0."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        per_second: float,
        change: Callable[[int, float], Change],
        acks: str = "all",
    ) -> None:
        super().__init__(TICK_SECONDS)
        self.produced = 0
        self._topic = topic
        self._per_second = per_second
        self._change = change
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "acks": acks})
        self._begun = math.inf

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        return super().__enter__()

    def stop(self) -> None:
        """Produce no more; all of it is at the broker then, if that acknowledges anything."""
        super().stop()
        self._producer.flush(PATIENCE_SECONDS)

    def turn(self) -> None:
        """Produce what is due."""
        seconds = time.monotonic() - self._begun
        for number in range(self.produced, int(seconds * self._per_second)):
            change = self._change(number, seconds)
            while not self._takes(*change):
                self._producer.poll(TICK_SECONDS)
            self.produced = number + 1
        self._producer.poll(0)

    def _takes(self, key: str, value: str, partition: int = BY_KEY) -> bool:
        """Return False while the producer's queue is full: the brokers are slower than the load."""
        try:
            self._producer.produce(self._topic, value, key, partition)
        except BufferError:
            return False
        return True
