"""What the end-to-end tests share.

Daemons between a topic and an API, changes whose outcome is known, and an eye on the commits.
"""

import json
import random
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka import KafkaException, Message

from tests.support import waiting
from tests.support.cluster import Record
from tests.support.daemon import Daemon
from tests.support.repeating import Repeating
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tests.support.api import FaultyApi
    from tests.support.cluster import Commit
    from tests.support.daemon import Metrics
    from tests.support.doors import Door
    from tests.support.kafka import Broker

PREFIX = "segment_consumer_"
PATIENCE_SECONDS = waiting.PATIENCE_SECONDS
DRAIN_SECONDS = 4
STILL_SECONDS = 15  # so long a busy machine may stand still
GONE_SECONDS = DRAIN_SECONDS + 5 + STILL_SECONDS
"""In that time a daemon has to be gone after a stop, 5 s after its drain at the latest."""

_BACK = "(back)"
_QUICK: dict[str, object] = {
    "CUSTOMERIO_SITE_ID": "site",
    "CUSTOMERIO_API_KEY": "key",
    "CUSTOMERIO_TIMEOUT_SECONDS": 1,
    "CUSTOMERIO_REQUESTS_PER_SECOND": 1000,
    "RETRY_MAX_BACKOFF_SECONDS": 0.5,
    "BATCH_LINGER_SECONDS": 0.1,
    "COMMIT_INTERVAL_SECONDS": 0.2,
    "KAFKA_SESSION_TIMEOUT_SECONDS": 6,
    "DRAIN_TIMEOUT_SECONDS": DRAIN_SECONDS,
}
_QUICK_KAFKA = {"reconnect.backoff.max.ms": 500}


class Scenario:
    """A topic, a group, an API, and the daemons that a test puts between them."""

    def __init__(
        self, broker: "Broker", api: "FaultyApi", topic: str, group: str, protocol: str
    ) -> None:
        self.broker = broker
        self.api = api
        self.topic = topic
        self.group = group
        self.protocol = protocol
        self.dead_letter_topic = f"{group}.dead-letters"
        self._daemons: list[Daemon] = []
        self._login: Mapping[str, object] = {}
        self._login_config: Mapping[str, object] = {}

    def come_by(self, door: "Door") -> None:
        """Have whatever is started from now on come to the broker by this door."""
        self._login, self._login_config = door.settings, door.kafka_config

    def settings(
        self, *, kafka_config: "Mapping[str, object] | None" = None, **changed: object
    ) -> dict[str, object]:
        """Return settings that make everything quick; one that is changed to None is left out."""
        settings = {
            **_QUICK,
            "KAFKA_BOOTSTRAP_SERVERS": self.broker.bootstrap,
            "KAFKA_TOPICS": self.topic,
            "KAFKA_GROUP_ID": self.group,
            "KAFKA_GROUP_PROTOCOL": self.protocol,
            "KAFKA_CONFIG": json.dumps(
                {**_QUICK_KAFKA, **self._login_config, **(kafka_config or {})}
            ),
            "CUSTOMERIO_URL": self.api.url,
            "DEAD_LETTER_TOPIC": self.dead_letter_topic,
            **self._login,
            **changed,
        }
        return {name: value for name, value in settings.items() if value is not None}

    def start(
        self, *, kafka_config: "Mapping[str, object] | None" = None, **changed: object
    ) -> Daemon:
        """Start a daemon; it is ended with the test at the latest."""
        daemon = Daemon(self.settings(kafka_config=kafka_config, **changed))
        self._daemons.append(daemon)
        return daemon

    def start_ready(
        self, *, kafka_config: "Mapping[str, object] | None" = None, **changed: object
    ) -> Daemon:
        """Start a daemon and wait until it is ready."""
        daemon = self.start(kafka_config=kafka_config, **changed)
        daemon.wait_ready(PATIENCE_SECONDS)
        return daemon

    def close(self) -> None:
        """End what still runs."""
        for daemon in self._daemons:
            daemon.close()

    def produce(self, records: "Iterable[Record]", topic: str | None = None) -> None:
        """Produce to the topic, or another one."""
        self.broker.produce(topic or self.topic, records)

    def committed(self) -> dict[int, int]:
        """Return what the group committed, by partition."""
        return self.broker.committed(self.group, self.topic)

    def await_accepted(self, count: int, timeout: float = PATIENCE_SECONDS) -> None:
        """Wait until the API has accepted so many ids."""
        eventually(
            lambda: self.api.counters().ids,
            timeout,
            f"{count} ids to be accepted",
            until=lambda ids: ids >= count,
        )

    def await_all_committed(self, timeout: float = PATIENCE_SECONDS) -> None:
        """Wait until the broker has a commit at the end of every partition."""
        ends = self.broker.end_offsets(self.topic)
        eventually(self.committed, timeout, f"commits at {ends}", until=ends.__eq__)

    def dead_letters(self, count: int) -> list[Message]:
        """Wait for so many dead letters, and return them in the order of partition and offset."""
        eventually(
            lambda: sum(self.broker.end_offsets(self.dead_letter_topic).values()),
            PATIENCE_SECONDS,
            f"{count} dead letters",
            until=count.__eq__,
        )
        dead_letters = self.broker.read_all(self.dead_letter_topic)
        return sorted(
            dead_letters, key=lambda dead_letter: (dead_letter.partition(), dead_letter.offset())
        )


class Changes:
    """Random changes of customers that enter and leave segments, and where each of them ends."""

    def __init__(
        self,
        seed: int,
        *,
        segments: "Iterable[int]" = range(1, 13),
        customers: int = 300,
    ) -> None:
        self._random = random.Random(seed)
        self._segments = list(segments)
        self._customers = customers
        self._last: dict[tuple[int, str, str], str] = {}

    def records(self, count: int) -> "list[Record]":
        """Return so many more events, keyed by customer."""
        return [self._record() for _ in range(count)]

    def wrong(self, api: "FaultyApi") -> list[tuple[int, str, str]]:
        """Return the members whose last accepted action is not that of their last change."""
        lanes = {(segment_id, id_type) for segment_id, id_type, _ in self._last}
        found = {
            (lane, action): ids
            for lane in lanes
            for action, ids in (("add", api.members(*lane)), ("remove", api.removed(*lane)))
        }
        return [
            (segment_id, id_type, name)
            for (segment_id, id_type, name), action in self._last.items()
            if name not in found[(segment_id, id_type), action]
        ]

    def await_right(self, api: "FaultyApi", timeout: float = PATIENCE_SECONDS) -> None:
        """Wait until every member is where its last change put it."""
        eventually(
            lambda: self.wrong(api), timeout, "no wrong member", until=lambda wrong: not wrong
        )

    def _record(self) -> Record:
        draw = self._random
        segment_id = draw.choice(self._segments)
        id_type = ("id", "email", "cio_id")[segment_id % 3]
        customer = draw.randrange(self._customers)
        name = f"customer-{customer}" if id_type != "email" else f"customer-{customer}@example.com"
        action = draw.choice(("add", "remove"))
        self._last[segment_id, id_type, name] = action
        # The API takes addresses in any case for the same one, and so does the daemon.
        spelt = name.title() if id_type == "email" and draw.random() < 0.5 else name
        return Record(name, event(segment_id, action, spelt, id_type=id_type))


class StepBack(NamedTuple):
    """A commit that was seen to have gone back, at this Unix time at the latest."""

    at: float
    partition: int
    before: int
    then: int
    log: str = ""
    """What the log of commits has of the partition, if that was asked."""


class CommitWatch(Repeating):
    """Looks at a group's commits from outside, again and again, in a thread of its own."""

    def __init__(self, scenario: Scenario, pause_seconds: float = 0.03) -> None:
        super().__init__(pause_seconds)
        self._scenario = scenario
        self._last: dict[int, int] = {}
        self.highest: dict[int, int] = {}
        self._steps: list[StepBack] = []
        self.seen: dict[int, list[tuple[float, int]]] = {}
        """By partition, each new highest commit, and when it was there at the latest."""
        self.looks = 0

    def await_looks(self, count: int) -> None:
        """Wait until it has looked so many times more."""
        enough = self.looks + count
        eventually(
            lambda: self.looks, PATIENCE_SECONDS, f"{count} looks", until=lambda n: n >= enough
        )

    @property
    def went_back(self) -> list[StepBack]:
        """Return each commit that went back, with what the log of commits has of its partition.

        The log decides: what a coordinator tells is what it has loaded by then.
        """
        if not self._steps:
            return []
        histories: dict[int, list[Commit]] = {}
        for each in self._scenario.broker.commits(self._scenario.group, self._scenario.topic):
            history = histories.setdefault(each.partition, [])
            if not history or history[-1].offset != each.offset:  # else it proves a membership
                history.append(each)
        told = []
        for step in self._steps:
            log = _told(histories.get(step.partition, []))
            if _BACK in log:
                told.append(step._replace(log=log))
            else:
                sys.stdout.write(f"{step}, said the coordinator; its log has no such step\n")
        return told

    def turn(self) -> None:
        """Look once."""
        try:
            committed = self._scenario.committed()
        except (KafkaException, AssertionError):
            return  # the broker is away, or takes long to be a coordinator again
        now = time.time()
        self.looks += 1
        for partition, offset in committed.items():
            before = self._last.get(partition, offset)
            if offset < before:
                self._steps.append(StepBack(now, partition, before, offset))
            if offset > self.highest.get(partition, -1):
                self.highest[partition] = offset
                self.seen.setdefault(partition, []).append((now, offset))
        self._last = committed


def _told(history: "Sequence[Commit]") -> str:
    """Tell of a partition's commits, and mark those that went back."""
    offsets = [-1 if each.offset is None else each.offset for each in history]
    return ", ".join(
        f"{each.offset} at {each.seconds:.3f}" + (f", {_BACK}" if 0 <= offset < before else "")
        for each, offset, before in zip(history, offsets, [-1, *offsets], strict=False)
    )


class Load(Repeating):
    """Produces in the background, some records at a time and in order, until it is stopped."""

    def __init__(self, scenario: Scenario, next_records: "Callable[[], list[Record]]") -> None:
        super().__init__(pause_seconds=0.02)
        self._scenario = scenario
        self._next_records = next_records
        self.produced = 0

    def turn(self) -> None:
        """Produce some records more."""
        records = self._next_records()
        self._scenario.produce(records)
        self.produced += len(records)


def event(segment_id: int, action: str, *ids: object, id_type: str | None = None) -> bytes:
    """Return an event's value."""
    named: dict[str, object] = {"id": ids[0]} if len(ids) == 1 else {"ids": ids}
    if id_type is not None:
        named["id_type"] = id_type
    return json.dumps({"segment_id": segment_id, "action": action, **named}).encode()


def additions(
    segment_id: int, count: int, start: int = 0, *, partition: int | None = None
) -> list[Record]:
    """Return events that add different customers, keyed by customer."""
    names = [f"customer-{number}" for number in range(start, start + count)]
    return [Record(name, event(segment_id, "add", name), partition=partition) for name in names]


def assert_accounted(metrics: "Metrics") -> None:
    """Check that every id of one scrape is accounted for (I6)."""

    def total(name: str) -> float:
        return sum(value for (each, _), value in metrics.items() if each == PREFIX + name)

    assert total("ids_received_total") == total("ids_total") + total("held_ids")
