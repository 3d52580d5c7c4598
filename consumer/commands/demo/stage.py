"""What the demo runs on: an embedded broker, a stand-in of the API, the daemon and its events.

Everything is in this process and on loopback: librdkafka's mock cluster lives inside a producer,
the stand-in and the daemon in threads of their own. So nothing is left behind however it ends.
"""

import io
import json
import logging
import threading
from typing import Any

from confluent_kafka import Producer

from consumer import __version__, clock, daemon, settings
from consumer.commands.demo.feeder import TOPIC, Feeder, by_partition
from consumer.commands.demo.standin import Standin
from consumer.commands.demo.story import Story
from consumer.commands.demo.weather import Weather
from consumer.observability import logs
from consumer.observability.health import HealthServer
from consumer.stopper import Stopper

TIMES = {
    "BATCH_LINGER_SECONDS": "2",
    "CUSTOMERIO_TIMEOUT_SECONDS": "2",
    "RETRY_MAX_BACKOFF_SECONDS": "2",
    "DRAIN_TIMEOUT_SECONDS": "5",
}
"""What is not as by default: a demo is short."""

_PATIENCE_SECONDS = 10.0


class StageError(Exception):
    """The demo can't begin."""


class Stage:
    """Build it, ``raise_curtain``, watch, ``lower_curtain``. Owned by one thread."""

    def __init__(self, story: Story) -> None:
        self._log = io.StringIO()
        logs.configure("info", "json", self._log)
        self.weather = Weather(story.events)
        self.standin = Standin(fault=self.weather).start()
        self._host = _embedded_broker()
        self.settings = settings.load(
            {
                "KAFKA_BOOTSTRAP_SERVERS": _address_of(self._host),
                "KAFKA_TOPICS": TOPIC,
                # A group of the mock begins at once with this protocol, with classic after 3 s.
                "KAFKA_GROUP_PROTOCOL": "consumer",
                "CUSTOMERIO_SITE_ID": "site",
                "CUSTOMERIO_API_KEY": "key",
                "CUSTOMERIO_URL": self.standin.url,
                **TIMES,
                **_mapping_of(story),
            }
        )
        partitions = _create_topics(self._host, TOPIC, self.settings.dead_letter_topic)
        self.board = daemon.board_of(self.settings)
        self.feeder = Feeder(story, self.settings.kafka_bootstrap_servers, partitions, self.board)
        self._server = HealthServer(
            "127.0.0.1", 0, self.board, self.settings.liveness_timeout_seconds, __version__
        )
        self.address = self._server.start()
        self._stopper = Stopper()
        self._daemon = threading.Thread(target=self._run, name="daemon", daemon=True)
        self.exit_code: int | None = None
        self.failure = ""

    def raise_curtain(self) -> None:
        """Start the daemon, and the events."""
        self._daemon.start()
        self.feeder.start()

    def is_over(self) -> bool:
        """Whether all that was produced is settled and committed."""
        ends = self.feeder.ends
        return self.feeder.finished and by_partition(self.board.snapshot, "committed") == ends

    def committed_records(self) -> int:
        """Return how many records of the story are committed."""
        return self.board.snapshot.total("committed_offset")

    def lower_curtain(self) -> float:
        """Stop the daemon as a SIGTERM does; return how long that took."""
        asked_at = clock.now()
        self._stopper.stop()
        self._daemon.join(self.settings.drain_timeout_seconds + _PATIENCE_SECONDS)
        if self._daemon.is_alive():
            self.failure = "the daemon did not stop in time"
        self._server.stop()
        return clock.now() - asked_at

    def log(self) -> list[dict[str, Any]]:
        """Return what the daemon's log has so far."""
        return [json.loads(line) for line in self._log.getvalue().splitlines()]

    def _run(self) -> None:
        try:
            self.exit_code = daemon.run_until(self.settings, self.board, self._stopper)
        except Exception as error:  # noqa: BLE001 - whatever it was, the summary tells it
            self.failure = f"the daemon gave up: {type(error).__name__}: {error}"


def _mapping_of(story: Story) -> dict[str, str]:
    if story.mapping is None:
        return {}
    return {"EVENT_MAPPING": story.mapping, "EVENT_SEGMENTS": json.dumps(dict(story.segments))}


def _embedded_broker() -> Producer:
    """Return a producer that has a broker in it, for as long as it lives."""
    silent = logging.getLogger("consumer.commands.demo.broker")
    silent.addHandler(logging.NullHandler())
    silent.propagate = False
    return Producer({"test.mock.num.brokers": 1}, logger=silent)


def _address_of(host: Producer) -> str:
    brokers = host.list_topics(timeout=_PATIENCE_SECONDS).brokers.values()
    if not brokers:
        raise StageError("the embedded broker has no address")
    return ",".join(f"{broker.host}:{broker.port}" for broker in brokers)


def _create_topics(host: Producer, *names: str) -> int:
    """Have the mock create topics, by asking for them; return how many partitions each has."""
    partitions = 0
    for name in names:
        topic = host.list_topics(name, timeout=_PATIENCE_SECONDS).topics[name]
        if topic.error is not None:
            raise StageError(f"the embedded broker has no topic {name}: {topic.error}")
        partitions = len(topic.partitions)
    return partitions
