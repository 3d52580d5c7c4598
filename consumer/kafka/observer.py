"""What the cluster says besides the records: topics, end offsets, the group, the dead-letter topic.

Asked for in a thread of its own, for its questions can take seconds; the owner thread reads the
latest `View`, a value. Cached watermarks stand still while a partition is paused, so the ends are
asked for explicitly.
"""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from confluent_kafka import (
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported, says its documentation
    AclOperation,
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from consumer import clock
from consumer.engine.ports import Partition, View
from consumer.kafka.group import Group

_TIMEOUT_SECONDS = 5.0
_INTERVAL_SECONDS = 3.0
_DEAD_LETTER_CONFIG = {
    "cleanup.policy": "delete",
    "retention.ms": str(30 * 24 * 3600 * 1000),
    "max.message.bytes": str(10 * 2**20),
}


@dataclass(frozen=True, slots=True)
class Questions:
    """What is to be asked; ``dead_letter_topic`` None: it isn't needed."""

    group_id: str
    topics: tuple[str, ...]
    dead_letter_topic: str | None
    asks_session: bool


class Observer:
    """Asks in rounds. The owner thread sets ``partitions`` and ``member_id``."""

    def __init__(self, properties: Mapping[str, Any], questions: Questions) -> None:
        self.view = View()
        self.partitions: tuple[Partition, ...] = ()
        self.member_id = ""
        self._questions = questions
        self._admin = AdminClient(dict(properties))
        self._group = Group(properties, questions.group_id)
        self._ends: dict[Partition, int] = {}
        self._dead_letter_is_there = False
        self._ask_now = threading.Event()

    def start(self) -> None:
        """Begin asking."""
        threading.Thread(target=self._run, name="cluster", daemon=True).start()

    def ask_now(self) -> None:
        """Ask again now: the assignment changed."""
        self._ask_now.set()

    def ask(self) -> View:
        """Ask everything once and return the view."""
        questions = self._questions
        try:
            topics = self._admin.list_topics(timeout=_TIMEOUT_SECONDS).topics
        except KafkaException as error:
            return self._blind(error)
        named = [name for name in questions.topics if not name.startswith("^")]
        missing = self._unreadable(named) | {
            name: trouble for name in named if (trouble := self._topic_trouble(name, topics))
        }
        session, heartbeat = (
            broker_session(self._admin, questions.group_id)
            if questions.asks_session
            else (None, None)
        )
        counts = {name: len(topic.partitions) for name, topic in topics.items()}
        read = {*named, *(topic for topic, _ in self.partitions)} & counts.keys()
        return View(
            asked=True,
            missing=missing,
            partition_counts={name: counts[name] for name in read},
            ends=self._ask_ends(),
            dead_letter_trouble=self._dead_letter_topic(topics),
            is_member=self._ask_group(),
            session_seconds=session,
            heartbeat_seconds=heartbeat,
        )

    def _run(self) -> None:
        while True:
            started = clock.now()
            try:
                self.view = self.ask()
            except Exception as error:  # noqa: BLE001 - this thread must outlive whatever a broker answers
                self.view = self._blind(error)
            self._admin.poll(0)  # else what it logs is never heard, and piles up
            rest = _INTERVAL_SECONDS - (clock.now() - started)
            self._ask_now.wait(max(rest, 0.2))
            self._ask_now.clear()

    def _blind(self, error: Exception) -> View:
        """Return what is known still when there was no answer."""
        return replace(
            self.view,
            asked=True,
            unreachable=_said(error),
            missing={},
            ends=dict(self._ends),
            is_member=None,
        )

    def _unreadable(self, names: Sequence[str]) -> dict[str, str]:
        """Return the topics that are there, and that the broker says may not be read.

        A fetch that is refused says so once, and nothing when it no longer is.
        """
        if not names:
            return {}
        futures = self._admin.describe_topics(
            TopicCollection(list(names)),
            include_authorized_operations=True,
            request_timeout=_TIMEOUT_SECONDS,
        )
        unreadable = {}
        for name, future in futures.items():
            try:
                allowed = future.result().authorized_operations
            except (KafkaException, ValueError):
                continue
            if allowed and AclOperation.READ not in allowed:
                unreadable[name] = "READ is denied: allow it"
        return unreadable

    def _topic_trouble(self, name: str, topics: Mapping[str, Any]) -> str | None:
        if name not in topics:
            # A listing leaves out what may not be described; asking for it by name tells.
            try:
                described = self._admin.list_topics(topic=name, timeout=_TIMEOUT_SECONDS).topics
            except KafkaException as error:
                return _said(error)
            topics = described
        topic = topics.get(name)
        if topic is None:
            return "unknown topic"
        return None if topic.error is None else topic.error.str()

    def _dead_letter_topic(self, topics: Mapping[str, Any]) -> str | None:
        name = self._questions.dead_letter_topic
        if name is None:
            return None
        trouble = self._topic_trouble(name, topics)
        if trouble is None:
            return None
        error = create_dead_letter_topic(self._admin, name)
        if error is None or error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return None
        return f"dead-letter topic {name}: {trouble}; creating it: {error.str()}"

    def _ask_ends(self) -> Mapping[Partition, int]:
        wanted = self.partitions
        if wanted:
            futures = self._admin.list_offsets(
                {
                    TopicPartition(*name): OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library's
                    for name in wanted
                },
                request_timeout=_TIMEOUT_SECONDS,
            )
            for asked, future in futures.items():
                try:
                    self._ends[asked.topic, asked.partition] = future.result().offset
                except KafkaException:
                    continue
        self._ends = {name: end for name, end in self._ends.items() if name in set(wanted)}
        return dict(self._ends)

    def _ask_group(self) -> bool | None:
        """Whether the member is one of the group; None: it needn't be asked, or no answer."""
        member_id = self.member_id
        if not member_id:
            return None
        try:
            group = self._group.describe(_TIMEOUT_SECONDS)
        except KafkaException:
            return None
        return any(member.member_id == member_id for member in group.members)


def broker_session(admin: AdminClient, group_id: str) -> tuple[float | None, float | None]:
    """Return the KIP-848 session and heartbeat of a group in seconds, where the broker tells."""
    session = heartbeat = None
    for kind, name, prefix in (
        (ResourceType.BROKER, _broker_id(admin), "group.consumer."),
        (ResourceType.GROUP, group_id, "consumer."),
    ):
        try:
            resource = ConfigResource(kind, name)
            futures = admin.describe_configs([resource], request_timeout=_TIMEOUT_SECONDS)
            config = next(iter(futures.values())).result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError._UNSUPPORTED_FEATURE:  # noqa: SLF001 - librdkafka's local error codes are spelt so
                break  # asked again, for the group, that would take the whole timeout
            continue
        except (ValueError, TypeError):
            continue
        session = _milliseconds(config.get(prefix + "session.timeout.ms")) or session
        heartbeat = _milliseconds(config.get(prefix + "heartbeat.interval.ms")) or heartbeat
    return session, heartbeat


def create_dead_letter_topic(
    admin: AdminClient, name: str, *, only_try: bool = False
) -> KafkaError | None:
    """Create the topic, or have the broker say whether it would; return its error."""
    new = NewTopic(name, num_partitions=-1, replication_factor=-1, config=_DEAD_LETTER_CONFIG)
    futures = admin.create_topics([new], request_timeout=_TIMEOUT_SECONDS, validate_only=only_try)
    return _error_of(futures[name])


def _broker_id(admin: AdminClient) -> str:
    brokers = admin.list_topics(timeout=_TIMEOUT_SECONDS).brokers
    return str(next(iter(brokers), 0))


def _milliseconds(entry: Any) -> float | None:  # noqa: ANN401 - the library's entry has no public type
    return int(entry.value) / 1000 if entry is not None and entry.value else None


def _error_of(future: Future[Any]) -> KafkaError | None:
    try:
        future.result()
    except KafkaException as error:
        return error.args[0]  # type: ignore[no-any-return]  # it is a KafkaError
    return None


def _said(error: Exception) -> str:
    first = error.args[0] if error.args else error
    return first.str() if isinstance(first, KafkaError) else str(first)
