"""Kafka in, commits out: the only place that knows the `Consumer`.

One thread owns it: rebalance callbacks run inside `consume` and `close` on the calling thread, and
a commit from another thread would wait behind a poll. Every commit names its offsets: librdkafka's
stored offsets survive a seek, and a commit without offsets would commit them for all partitions.
"""

import math
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)

from consumer.engine.ports import (
    CommitAnswer,
    Committed,
    EndOfPartition,
    GiveUp,
    Listener,
    MessageError,
    OffsetGone,
    Offsets,
    Partition,
    Trouble,
)

if TYPE_CHECKING:
    from consumer.core.intake import Message

_NOT_A_MEMBER = frozenset(
    {
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError.GROUP_ID_NOT_FOUND,
        KafkaError._FATAL,  # noqa: SLF001 - librdkafka's local error codes are spelt so
    }
)

_NO_ANSWER = frozenset(
    {
        KafkaError._TIMED_OUT,  # noqa: SLF001 - librdkafka's local error codes are spelt so
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._WAIT_COORD,  # noqa: SLF001
    }
)


_NAME_IN_USE = KafkaError(KafkaError.UNRELEASED_INSTANCE_ID)
_FENCED = KafkaError(KafkaError.FENCED_INSTANCE_ID)
_GROUP_GONE = KafkaError(KafkaError.GROUP_ID_NOT_FOUND)
_SURVIVED = {each.name(): each.str() for each in (_NAME_IN_USE, _FENCED, _GROUP_GONE)}
"""What is fatal for librdkafka's client, and not for a new one; see `Member`."""
RETURN_SECONDS = 1.0
_FENCED_AGAIN_SECONDS = 30.0


class Member:
    """One consumer in the group. Errors of the broker come back as values or to the listener.

    Some of what is fatal for librdkafka's client (2.16) passes, so a new one joins instead:

    - A static member is fenced. Often by itself: after it was frozen or cut off it joins anew under
      its name, and what is still on its way from before meets the new member id. Fenced again soon,
      it gives up: two of a name would fence each other for ever. Asking the group who has the name
      tells nothing, for the client that was fenced takes it back by itself.
    - With KIP-848 a static member that was killed keeps its name until its session is over.
    - With KIP-848 the coordinator doesn't know the group any more, as after its broker was killed.
    """

    def __init__(self, properties: Mapping[str, Any]) -> None:
        self._listener: Listener | None = None
        self._topics: list[str] = []
        self._owned: set[Partition] = set()
        self._rejoin_at = math.inf
        self._is_fenced = False
        self._fenced_at = -math.inf
        self._properties = dict(properties)
        # None of it can befall a member of a classic group that has no name.
        is_kip_848 = properties.get("group.protocol") == "consumer"
        self._may_survive = is_kip_848 or "group.instance.id" in properties
        self._clients = 0
        self._consumer = self._client()

    def _client(self) -> Consumer:
        """Return a new client. What the one before says from now on is not heard."""
        self._clients += 1
        number = self._clients

        def on_commit(error: KafkaError | None, partitions: list[TopicPartition]) -> None:
            if number == self._clients:
                self._on_commit(error, partitions)

        def on_error(error: KafkaError) -> None:
            if number == self._clients:
                self._on_error(error)

        return Consumer({**self._properties, "on_commit": on_commit, "error_cb": on_error})

    def subscribe(self, topics: Sequence[str], listener: Listener) -> None:
        """Join the group."""
        self._listener = listener
        self._topics = list(topics)
        self._join(listener)

    def _join(self, listener: Listener) -> None:
        number = self._clients

        def assigned(_: Consumer, partitions: list[TopicPartition]) -> None:
            if number == self._clients:
                names = _names(partitions)
                self._owned.update(names)
                listener.assigned(names)

        def revoked(_: Consumer, partitions: list[TopicPartition]) -> None:
            if number == self._clients and (names := self._disown(partitions)):
                listener.revoked(names)

        def lost(_: Consumer, partitions: list[TopicPartition]) -> None:
            if number == self._clients and (names := self._disown(partitions)):
                listener.lost(names)

        self._consumer.subscribe(self._topics, on_assign=assigned, on_revoke=revoked, on_lost=lost)

    def _disown(self, partitions: Iterable[TopicPartition]) -> list[Partition]:
        """Return those that the listener has still."""
        names = [name for name in _names(partitions) if name in self._owned]
        self._owned.difference_update(names)
        return names

    def consume(self, count: int, timeout_seconds: float) -> list[Any]:
        """Return up to ``count`` messages; callbacks fire here. Waits the whole timeout for them.

        Raises:
            KafkaException: librdkafka says that it can't go on.
            GiveUp: somebody else has this member's name.

        """
        if time.monotonic() >= self._rejoin_at:
            self._rejoin()
        messages = self._consumer.consume(count, timeout_seconds)
        if self._may_survive:  # said once, anywhere among the records
            for message in messages:
                if (error := message.error()) is not None:
                    self._heed(trouble(error))
        return messages

    def meaning_of(self, message: "Message") -> MessageError:
        """Return what a message means that carries an error instead of a record."""
        if is_end_of_partition(message):
            return EndOfPartition()
        return OffsetGone() if is_offset_gone(message) else trouble(message.error())

    def start(self, positions: Mapping[Partition, int], *, paused: bool) -> None:
        """Begin reading at these positions.

        Paused or resumed explicitly: librdkafka keeps a pause across a revoke, and a partition that
        came back paused would stay silent for ever.
        """
        partitions = [TopicPartition(*name, offset) for name, offset in positions.items()]
        with _unless_ending():
            self._consumer.incremental_assign(partitions)
            if partitions:
                (self._consumer.pause if paused else self._consumer.resume)(partitions)

    def stop(self, partitions: Iterable[Partition]) -> None:
        """Give up reading these partitions; those that were never begun are passed over."""
        with _unless_ending():
            begun = self.assignment()
            begun.intersection_update(partitions)
            self._consumer.incremental_unassign(_named(begun))

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Stop fetching; polling goes on."""
        self._consumer.pause(_named(partitions))

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Fetch again."""
        self._consumer.resume(_named(partitions))

    def assignment(self) -> set[Partition]:
        """Return the partitions that are read now."""
        return {(each.topic, each.partition) for each in self._consumer.assignment()}

    def commit(self, offsets: Mapping[Partition, Offsets]) -> str | None:
        """Send a commit; the answer comes to the listener. Return an error if it wasn't sent."""
        try:
            self._consumer.commit(offsets=_to_commit(offsets), asynchronous=True)
        except KafkaException as error:
            return str(error.args[0])
        return None

    def commit_now(self, offsets: Mapping[Partition, Offsets]) -> CommitAnswer:
        """Commit and wait for the answer; librdkafka sets no bound for that."""
        try:
            answer = self._consumer.commit(offsets=_to_commit(offsets), asynchronous=False)
        except KafkaException as error:
            return _answer(error.args[0], [])
        return _answer(None, answer or [])

    def committed(
        self, partitions: Iterable[Partition], timeout_seconds: float
    ) -> dict[Partition, Committed]:
        """Return what is committed, without the partitions that got no clear answer."""
        try:
            answers = self._consumer.committed(_named(partitions), timeout=timeout_seconds)
        except KafkaException:
            return {}
        return {
            (each.topic, each.partition): Committed(
                None if each.offset == OFFSET_INVALID else each.offset, each.metadata or ""
            )
            for each in answers
            if each.error is None and (each.offset >= 0 or each.offset == OFFSET_INVALID)
        }

    def watermarks(self, partition: Partition, timeout_seconds: float) -> tuple[int, int] | None:
        """Return the first and the end offset as the broker has them; None: no answer."""
        try:
            answer = self._consumer.get_watermark_offsets(
                TopicPartition(*partition), timeout=timeout_seconds, cached=False
            )
        except KafkaException:
            return None
        return None if answer is None else (answer[0], answer[1])

    def partition_counts(self, timeout_seconds: float) -> dict[str, int] | None:
        """Return how many partitions each topic has; None: no broker answered.

        With the classic protocol, what is new to the client makes it join the group anew when the
        answer comes. Not for rebalance callbacks, see `is_reachable`.
        """
        try:
            topics = self._consumer.list_topics(timeout=timeout_seconds).topics
        except KafkaException:
            return None
        return {name: len(topic.partitions) for name, topic in topics.items()}

    def look_again(self, topics: Iterable[str], timeout_seconds: float) -> dict[str, int] | None:
        """Let the client see what is new of these topics, and join anew if something is.

        With the classic protocol. Asking for a topic by its name tells the client and does nothing
        else; then subscribing to the same once more has librdkafka compare, in its own thread, and
        not before a rebalance that goes on is over. Return the topics' partition counts; None: no
        broker answered, or the group was not joined yet. Not for rebalance callbacks, either.
        """
        if self._listener is None or self._rejoin_at < math.inf or not self.member_id():
            return None  # one that waits for its first metadata must not subscribe: it aborts
        counts = {}
        try:
            for name in topics:
                topic = self._consumer.list_topics(name, timeout=timeout_seconds).topics[name]
                counts[name] = len(topic.partitions)
        except KafkaException:
            return None
        self._join(self._listener)
        return counts

    def is_reachable(self, timeout_seconds: float) -> bool:
        """Whether the group's coordinator answers now, which is who takes commits.

        For rebalance callbacks: `partition_counts` must not be called in one. confluent_kafka's
        ``list_topics`` leaves the ``consume`` around it without its thread state, and the next
        callback in that same ``consume`` aborts the process (``CallState_get: cs != NULL``).
        """
        try:
            self._consumer.committed(self._consumer.assignment()[:1], timeout=timeout_seconds)
        except KafkaException as error:
            return error.args[0].code() not in _NO_ANSWER
        return True

    def member_id(self) -> str:
        """Return the id that the group knows this consumer by; empty before it joined."""
        try:
            return self._consumer.memberid() or ""
        except (KafkaException, RuntimeError):
            return ""

    def close(self) -> None:
        """Leave the group (a static member doesn't) and end the client."""
        self._consumer.close()

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        if self._listener is not None:
            self._listener.commit_answered(_answer(error, partitions))

    def _on_error(self, error: KafkaError) -> None:
        seen = trouble(error)
        self._heed(seen)
        if self._listener is not None:
            self._listener.kafka_error(seen)

    def _heed(self, seen: Trouble) -> None:
        if seen.code in _SURVIVED:
            self._is_fenced |= seen.code == _FENCED.name()
            self._lose_all()
            self._rejoin_at = min(self._rejoin_at, time.monotonic() + RETURN_SECONDS)

    def _rejoin(self) -> None:
        """Join with a new client; the old one has given up for good."""
        if self._is_fenced:
            self._count_fence(time.monotonic())
        self._lose_all()
        # Not here: a commit on its way is waited for, longer than the loop may stand still.
        threading.Thread(target=self._consumer.close, name="closing", daemon=True).start()
        self._rejoin_at = math.inf
        self._is_fenced = False
        self._consumer = self._client()
        if self._listener is not None:  # who may wait for the answer to that commit
            self._listener.commit_answered(CommitAnswer({}, "its client is gone", is_member=False))
            self._join(self._listener)

    def _lose_all(self) -> None:
        """Tell the listener that nothing is its own any more; a client at its end need not."""
        if self._listener is not None and self._owned:
            lost = sorted(self._owned)
            self._owned.clear()
            self._listener.lost(lost)

    def _count_fence(self, now: float) -> None:
        if now - self._fenced_at < _FENCED_AGAIN_SECONDS:
            raise GiveUp(
                "another process joins the group with the same KAFKA_GROUP_INSTANCE_ID,"
                f" {self._properties['group.instance.id']!r}: give each one a name of its own"
            )
        self._fenced_at = now


def trouble(error: KafkaError) -> Trouble:
    """Return an error of the library as a value.

    One that a message carries says fatal by its code alone: its ``fatal()`` is False
    (confluent_kafka 2.16).
    """
    for code, text in _SURVIVED.items():
        if text in error.str():
            return Trouble(code, error.str())
    is_fatal = error.fatal() or error.code() == KafkaError._FATAL  # noqa: SLF001 - librdkafka's local error codes are spelt so
    return Trouble(error.name(), error.str(), is_fatal)


def is_end_of_partition(message: "Message") -> bool:
    """Whether the message says that the partition was read to its end."""
    error = message.error()
    return error is not None and error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's local error codes are spelt so


def is_offset_gone(message: "Message") -> bool:
    """Whether the message says that the broker has the position no more."""
    error = message.error()
    return error is not None and error.code() in {
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001 - librdkafka's local error codes are spelt so
        KafkaError.OFFSET_OUT_OF_RANGE,
    }


def _answer(error: KafkaError | None, partitions: list[TopicPartition]) -> CommitAnswer:
    errors = [each.error for each in partitions if each.error is not None]
    if error is not None:
        errors.insert(0, error)
    committed = {
        (each.topic, each.partition): each.offset
        for each in partitions
        if error is None and each.error is None
    }
    return CommitAnswer(
        committed=committed,
        error=str(errors[0]) if errors else None,
        is_member=all(each.code() not in _NOT_A_MEMBER for each in errors),
        retriable=all(each.retriable() or _is_passing(each) for each in errors),
    )


def _is_passing(error: KafkaError) -> bool:
    """Whether an error passes by itself though the library doesn't call it retriable."""
    return error.code() in {
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.STALE_MEMBER_EPOCH,
        *_NO_ANSWER,
    }


@contextmanager
def _unless_ending() -> Iterator[None]:
    """Pass over that the client ends: what is not assigned or given up any more goes with it.

    Callbacks that fire inside ``close`` in the middle of a rebalance meet it.
    """
    try:
        yield
    except KafkaException as error:
        if error.args[0].code() != KafkaError._DESTROY:  # noqa: SLF001 - librdkafka's local error codes are spelt so
            raise


def _names(partitions: Iterable[TopicPartition]) -> list[Partition]:
    return [(each.topic, each.partition) for each in partitions]


def _named(partitions: Iterable[Partition]) -> list[TopicPartition]:
    return [TopicPartition(*name) for name in partitions]


def _to_commit(offsets: Mapping[Partition, Offsets]) -> list[TopicPartition]:
    return [
        TopicPartition(topic, partition, each.offset, each.metadata)
        for (topic, partition), each in offsets.items()
    ]
