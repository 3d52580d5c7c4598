"""What every curve runs on: a real broker, an API in this process, daemons, a steady load."""

import io
import threading
import time
import uuid
from contextlib import ExitStack, redirect_stdout
from typing import Self

from confluent_kafka import Producer

from tests.support.api import FaultyApi
from tests.support.daemon import Daemon
from tests.support.kafka import Broker
from tests.support.waiting import eventually

PARTITIONS = 12
PATIENCE_SECONDS = 300
TICK_SECONDS = 0.02


class Stage:
    """One topic and one group. Every change is another customer's; ids carry their time."""

    def __init__(self, broker: Broker, *, api_seconds: float = 0.05, **settings: object) -> None:
        self._stack = ExitStack()
        self.api = self._stack.enter_context(FaultyApi(journal=0))
        self.api.delay(api_seconds)
        self._broker = broker
        self._topic = f"curve-{uuid.uuid4().hex[:8]}"
        self._settings = {
            "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
            "KAFKA_TOPICS": self._topic,
            "KAFKA_GROUP_ID": self._topic,
            "CUSTOMERIO_URL": self.api.url,
            "CUSTOMERIO_SITE_ID": "site",
            "CUSTOMERIO_API_KEY": "key",
            "BATCH_LINGER_SECONDS": 1,
            **settings,
        }
        broker.create_topic(self._topic, PARTITIONS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with redirect_stdout(io.StringIO()):  # daemons say all they said
            self._stack.close()

    def start(self) -> Daemon:
        """Start a daemon and wait until it is ready."""
        daemon = self._stack.enter_context(Daemon(self._settings))
        daemon.wait_ready(PATIENCE_SECONDS)
        return daemon

    def load(self, per_second: int, segments: int = 20) -> "Load":
        """Begin to produce; ends with the stage."""
        load = Load(self._broker.bootstrap, self._topic, per_second, segments)
        return self._stack.enter_context(load)

    def lag(self) -> int:
        """Return how many records are not committed."""
        ends = self._broker.end_offsets(self._topic)
        committed = self._broker.committed(self._topic, self._topic)
        return sum(ends.values()) - sum(committed.values())

    def await_nothing_left(self) -> None:
        """Wait until everything that was produced is committed."""
        eventually(self.lag, PATIENCE_SECONDS, "no lag", until=(0).__eq__)

    def ids(self) -> int:
        """Return how many different changes the API accepted, and repeated ones."""
        return self.api.counters().ids


class Load:
    """Produces so many changes a second until it is stopped."""

    def __init__(self, bootstrap: str, topic: str, per_second: int, segments: int) -> None:
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "linger.ms": 5, "partitioner": "murmur2_random"}
        )
        self._topic = topic
        self._per_second = per_second
        self._segments = segments
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.produced = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Produce no more; all of it is at the broker then."""
        self._stopped.set()
        self._thread.join()
        self._producer.flush()

    def _run(self) -> None:
        began = time.monotonic()
        while not self._stopped.wait(TICK_SECONDS):
            now = time.monotonic()
            for number in range(self.produced, int((now - began) * self._per_second)):
                segment = number % self._segments + 1
                name = f"{now:.3f}-{number}"
                value = f'{{"segment_id":{segment},"action":"add","id":"{name}"}}'
                self._producer.produce(self._topic, value, key=name)
                self.produced = number + 1
            self._producer.poll(0)


def latencies(api: FaultyApi) -> list[tuple[float, float]]:
    """Return (when, seconds since it was produced) of each change that arrived at the API."""
    return [
        (request.arrived, request.arrived - float(name.partition("-")[0]))
        for request in api.received()
        for name in request.ids
    ]


def quantile(values: list[float], share: float) -> float:
    """Return the value below which that share of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
