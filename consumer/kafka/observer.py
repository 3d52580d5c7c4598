"""What the cluster says besides the records: topics, end offsets, the group and its session.

Asked for in a thread of its own, for its questions can take seconds; the owner thread reads the
latest `View`, a value. Cached watermarks stand still while a partition is paused, so the ends are
asked for explicitly.

It is cheap to the cluster: it asks about our topics alone, all in one request, never for a listing
of all there are, and ever more seldom while the answers stay the same and nothing is wrong. That
ends move on is no reason to ask about thousands of them every few seconds: then it rests longer.

A client that got no answer for a minute is let go for a new one. One of librdkafka's (2.16.0) was
seen without any broker, and silent, for as long as anybody looked, after a broker that had just
been started named none in its metadata. As long as nobody answers the observer, a member that is
left so is not replaced either (`engine.wedge`).
"""

import math
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from consumer import clock
from consumer.engine.ports import Partition, View
from consumer.kafka.causes import causes_of
from consumer.kafka.credentials import Follower, LoginWatch
from consumer.kafka.dead_letter_topic import ensure
from consumer.kafka.diagnosis import Diagnosis
from consumer.kafka.farewell import let_go
from consumer.kafka.group import Group
from consumer.kafka.session import broker_session
from consumer.kafka.topics import TIMEOUT_SECONDS, UNKNOWN, Topics, answer_of, describe

_LEAST_SECONDS = 0.5
_SHORTEST_SECONDS = 3.0
_LONGEST_SECONDS = 12.0  # the ends are to be asked for every 15 s
_PARTITION_SECONDS = 0.01  # for each partition, if that is more: a thousand ends take a while
_SESSION_SECONDS = 300.0  # a broker's whole configuration comes with it
_SILENCE_SECONDS = 60.0


class Observer:
    """Asks in rounds. The owner thread sets ``partitions``, ``silent`` and ``member_id``."""

    def __init__(
        self,
        properties: Mapping[str, Any],
        group_id: str,
        topics: tuple[str, ...],
        dead_letter_topic: str | None,
        *,
        asks_session: bool,
    ) -> None:
        self.view = View()
        self.partitions: tuple[Partition, ...] = ()
        self.silent: Mapping[Partition, int] = {}
        self.member_id = ""
        self._group_id = group_id
        self._named = [name for name in topics if not name.startswith("^")]
        self._dead_letter_topic = dead_letter_topic  # None: it is never written
        self._asks_session = asks_session
        self._session_until = -math.inf  # what was told of it is taken to be true
        self._follower = Follower(properties)
        self._admin = AdminClient(self._follower.for_client())
        self._is_outdated = False
        self._answered_at = math.inf  # or else since when the client is there
        self._group = Group(properties, group_id, "consumer" if asks_session else "classic")
        self._ends: dict[Partition, int] = {}
        self._leaders: dict[Partition, tuple[int, int]] = {}
        self._unanswered: frozenset[Partition] = frozenset()
        self._diagnosis = Diagnosis()
        self._waker = threading.Event()

    def follow(self, watch: LoginWatch) -> None:
        """Take up what changes of the login."""
        self._follower.follow(watch)
        self._group.follower.follow(watch)

    def start(self) -> None:
        """Begin asking."""
        threading.Thread(target=self._run, name="observer", daemon=True).start()

    def ask_now(self) -> None:
        """Ask again now: the assignment changed, or the client has trouble."""
        self._waker.set()

    def _run(self) -> None:
        interval = _SHORTEST_SECONDS
        self._answered_at = clock.now()
        while True:
            started, before = clock.now(), self.view
            self.view = self._look(started)
            self._admin.poll(0)  # else what it logs is never heard, and piles up
            is_wrong = self._is_wrong()
            is_calm = self.view == before and not is_wrong
            shortest = _SHORTEST_SECONDS if is_wrong else _shortest(len(self.partitions))
            interval = min(2 * max(interval, shortest), _LONGEST_SECONDS) if is_calm else shortest
            rest = interval - (clock.now() - started)
            if self._waker.wait(max(rest, 0.2)):
                interval = _SHORTEST_SECONDS
                # Whoever wakes it all the time must not have the cluster asked all the time.
                threading.Event().wait(max(0.0, _LEAST_SECONDS - (clock.now() - started)))
            self._waker.clear()

    def _look(self, now: float) -> View:
        """Return what there is to be seen.

        What is found out about an error is so when it was handled: of one that is being handled
        while it raises another, confluent_kafka (2.16.1) never lets go, nor of the client in its
        traceback.
        """
        try:
            self._is_outdated |= self._follower.outdates(self._admin)
            self._is_outdated |= self._is_silent(now)
            if self._is_outdated:  # until it can be made: a file may not be there for a moment
                self._renew()
            view = self._ask(now)
        except Exception as error:  # noqa: BLE001 - this thread must outlive whatever a broker answers
            trouble = error.with_traceback(None)
        else:
            self._answered_at = clock.now()
            return view
        return self._blind(trouble)

    def _renew(self) -> None:
        new = AdminClient(self._follower.for_client())
        ended, self._admin, self._is_outdated = [self._admin], new, False
        self._answered_at = clock.now()
        let_go(ended)

    def _is_silent(self, now: float) -> bool:
        """Whether the client has asked for long, and got no answer."""
        return now > self._answered_at + _SILENCE_SECONDS and not self._follower.is_waiting

    def _is_wrong(self) -> bool:
        """Whether somebody may be waiting for it to be mended."""
        view = self.view
        is_out = not self.partitions and not view.is_member  # or not in the group yet
        is_mended = not (view.unreachable or view.missing or view.dead_letter_trouble)
        return is_out or bool(self.silent or view.unanswered) or not is_mended

    def _ask(self, now: float) -> View:
        """Ask everything once and return the view.

        Raises KafkaException if no broker answers, LookupError if none can be asked yet.
        """
        if self._follower.is_waiting:
            raise LookupError(self._follower.trouble)
        read = {*self._named, *(topic for topic, _ in self.partitions)}
        letters = self._dead_letter_topic
        topics = describe(read if letters is None else {*read, letters}, self._admin)
        session, heartbeat = self._ask_session(now)
        return View(
            asked=True,
            missing={name: why for name in self._named if (why := topics[name].unreadable)},
            partition_counts={n: topics[n].partitions for n in read if not topics[n].missing},
            ends=self._ask_ends(topics),
            leaders=self._leaders,
            unanswered=self._unanswered,
            causes=causes_of(self.silent, self._ends, topics, self._admin),
            dead_letter_trouble=None if letters is None else ensure(letters, self._admin, topics),
            is_member=self._ask_group(),
            group_obstacle=self._group.obstacle,
            session_seconds=session,
            heartbeat_seconds=heartbeat,
        )

    def _blind(self, error: Exception) -> View:
        """Return what is known still when there was no answer."""
        reason = self._diagnosis.of(error, self._follower.properties)
        return replace(
            self.view,
            asked=True,
            unreachable=str(reason),
            refused=str(reason) if reason.is_refusal else "",
            missing={},
            ends=dict(self._ends),
            leaders={},
            is_member=None,
        )

    def _ask_session(self, now: float) -> tuple[float | None, float | None]:
        """Return the session and heartbeat interval that were told last, asking now and then.

        Again when no broker answered: one may have been restarted, with others.
        """
        view = self.view
        if not self._asks_session or (now < self._session_until and not view.unreachable):
            return view.session_seconds, view.heartbeat_seconds
        session, heartbeat = broker_session(self._admin, self._group_id)
        self._session_until = now + (_SESSION_SECONDS if session else 0.0)
        return session, heartbeat

    def _ask_ends(self, topics: Topics) -> Mapping[Partition, int]:
        wanted = self.partitions
        unanswered = set(wanted)
        self._leaders = {}  # only those of now
        # All would wait for those without a leader.
        led = [name for name in wanted if topics.get(name[0], UNKNOWN).is_led(name[1])]
        if led:
            futures = self._admin.list_offsets(
                {
                    TopicPartition(*name): OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library's
                    for name in led
                },
                request_timeout=TIMEOUT_SECONDS,
            )
            for asked, future in futures.items():
                if (answer := answer_of(future)) is not None:
                    name = asked.topic, asked.partition
                    self._ends[name] = answer.offset
                    if answer.leader_epoch is not None:
                        self._leaders[name] = answer.offset, answer.leader_epoch
                    unanswered.discard(name)
        self._unanswered = frozenset(unanswered)
        self._ends = {name: self._ends[name] for name in wanted if name in self._ends}
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


def _shortest(partitions: int) -> float:
    """Return how long it rests at least while nothing is wrong."""
    return min(max(_SHORTEST_SECONDS, partitions * _PARTITION_SECONDS), _LONGEST_SECONDS)
