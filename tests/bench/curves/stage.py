"""What every curve runs on: a real broker, an API in this process, daemons, a steady load."""

import io
import time
import uuid
from contextlib import ExitStack, redirect_stdout
from typing import Self

from tests.bench.steady import Load
from tests.support.api import FaultyApi
from tests.support.daemon import Daemon
from tests.support.kafka import Broker
from tests.support.waiting import eventually

PARTITIONS = 12
PATIENCE_SECONDS = 300


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

    def load(self, per_second: int, segments: int = 20) -> Load:
        """Begin to produce; ends with the stage."""

        def change(number: int, _: float) -> tuple[str, str]:
            name = f"{time.monotonic():.3f}-{number}"
            segment = number % segments + 1
            return name, f'{{"segment_id":{segment},"action":"add","id":"{name}"}}'

        load = Load(self._broker.bootstrap, self._topic, per_second, change)
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
