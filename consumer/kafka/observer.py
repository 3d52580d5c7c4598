"""What the cluster says besides the records: topics, end offsets, the group and its session.

Asked for in a thread of its own, for its questions can take seconds; the owner thread reads the
latest `View`, a value. Cached watermarks stand still while a partition is paused, so the ends are
asked for explicitly.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from consumer import clock
from consumer.engine.ports import Partition, View
from consumer.kafka.credentials import Follower, LoginWatch
from consumer.kafka.errors import text_of
from consumer.kafka.group import Group
from consumer.kafka.session import broker_session
from consumer.kafka.topics import TIMEOUT_SECONDS, Topics, trouble_of, unreadable

_INTERVAL_SECONDS = 3.0

EnsureDeadLetters = Callable[[AdminClient, Topics], str | None]
"""Makes the dead-letter topic where it is missing from what the observer was told, for that is not
the observer's to do; returns why it can't be written, None: it can."""


class Observer:
    """Asks in rounds. The owner thread sets ``partitions`` and ``member_id``."""

    def __init__(
        self,
        properties: Mapping[str, Any],
        group_id: str,
        topics: tuple[str, ...],
        ensure_dead_letters: EnsureDeadLetters,
        *,
        asks_session: bool,
    ) -> None:
        self.view = View()
        self.partitions: tuple[Partition, ...] = ()
        self.member_id = ""
        self._group_id = group_id
        self._named = [name for name in topics if not name.startswith("^")]
        self._ensure_dead_letters = ensure_dead_letters
        self._asks_session = asks_session
        self._follower = Follower(properties)
        self._admin = AdminClient(dict(properties))
        self._group = Group(properties, group_id)
        self._ends: dict[Partition, int] = {}
        self._waker = threading.Event()

    def follow(self, watch: LoginWatch) -> None:
        """Take up what changes of the login."""
        self._follower.follow(watch)
        self._group.follower.follow(watch)

    def start(self) -> None:
        """Begin asking."""
        threading.Thread(target=self._run, name="observer", daemon=True).start()

    def ask_now(self) -> None:
        """Ask again now: the assignment changed."""
        self._waker.set()

    def _run(self) -> None:
        while True:
            started = clock.now()
            try:
                if self._follower.outdates(self._admin):
                    self._admin = AdminClient(self._follower.properties)
                self.view = self._ask()
            except Exception as error:  # noqa: BLE001 - this thread must outlive whatever a broker answers
                self.view = self._blind(error)
            self._admin.poll(0)  # else what it logs is never heard, and piles up
            rest = _INTERVAL_SECONDS - (clock.now() - started)
            self._waker.wait(max(rest, 0.2))
            self._waker.clear()

    def _ask(self) -> View:
        """Ask everything once and return the view. Raises KafkaException if no broker answers."""
        topics: Topics = self._admin.list_topics(timeout=TIMEOUT_SECONDS).topics
        session, heartbeat = (
            broker_session(self._admin, self._group_id) if self._asks_session else (None, None)
        )
        counts = {name: len(topic.partitions) for name, topic in topics.items()}
        read = {*self._named, *(topic for topic, _ in self.partitions)} & counts.keys()
        return View(
            asked=True,
            missing=self._missing(topics),
            partition_counts={name: counts[name] for name in read},
            ends=self._ask_ends(),
            dead_letter_trouble=self._ensure_dead_letters(self._admin, topics),
            is_member=self._ask_group(),
            session_seconds=session,
            heartbeat_seconds=heartbeat,
        )

    def _blind(self, error: Exception) -> View:
        """Return what is known still when there was no answer."""
        return replace(
            self.view,
            asked=True,
            unreachable=text_of(error),
            missing={},
            ends=dict(self._ends),
            is_member=None,
        )

    def _missing(self, topics: Topics) -> dict[str, str]:
        """Return the topics that aren't there or may not be read, with the reason."""
        troubles = {name: trouble_of(name, self._admin, topics) for name in self._named}
        missing = {name: trouble for name, trouble in troubles.items() if trouble}
        return unreadable(self._named, self._admin) | missing

    def _ask_ends(self) -> Mapping[Partition, int]:
        wanted = self.partitions
        if wanted:
            futures = self._admin.list_offsets(
                {
                    TopicPartition(*name): OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library's
                    for name in wanted
                },
                request_timeout=TIMEOUT_SECONDS,
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
            group = self._group.describe(TIMEOUT_SECONDS)
        except KafkaException:
            return None
        return any(member.member_id == member_id for member in group.members)
