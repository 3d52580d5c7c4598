"""A steady load: so many changes a second, for as long as it is wanted."""

import threading
import time
from collections.abc import Callable
from typing import Self

from confluent_kafka import Producer

TICK_SECONDS = 0.02
PATIENCE_SECONDS = 60


class Load:
    """A thread that produces; ``change`` makes the n-th key and value, so many seconds after 0."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        per_second: float,
        change: Callable[[int, float], tuple[str, str]],
    ) -> None:
        self.produced = 0
        self._topic = topic
        self._per_second = per_second
        self._change = change
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Produce no more; all of it is at the broker then."""
        self._stopped.set()
        self._thread.join()
        self._producer.flush(PATIENCE_SECONDS)

    def _run(self) -> None:
        begun = time.monotonic()
        while not self._stopped.wait(TICK_SECONDS):
            seconds = time.monotonic() - begun
            for number in range(self.produced, int(seconds * self._per_second)):
                key, value = self._change(number, seconds)
                self._producer.produce(self._topic, value, key)
                self.produced = number + 1
            self._producer.poll(0)
