"""Kafka in, commits out: the calls of a member of the group, and what they answer.

One thread owns it: rebalance callbacks run inside `consume` and `close` on the calling thread, and
a commit from another thread would wait behind a poll. Every commit names its offsets: librdkafka's
stored offsets survive a seek, and a commit without offsets would commit them for all partitions.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from confluent_kafka import (
    OFFSET_INVALID,
    OFFSET_STORED,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)

from consumer.core.message import Message
from consumer.core.positions import Going
from consumer.engine.ports import (
    CommitAnswer,
    Committed,
    Listener,
    MessageError,
    Offsets,
    Partition,
    Trouble,
)
from consumer.kafka import errors
from consumer.kafka.client import Client
from consumer.kafka.credentials import LoginWatch

COMPARED_PER_TURN = 500  # thousands at once would take a good part of a second


class Member:
    """Implements `ports.MemberPort`. Errors come back as values or go to the listener."""

    def __init__(self, properties: Mapping[str, Any], farewell_seconds: float = 0.0) -> None:
        self._client = Client(properties, farewell_seconds)
        self._unproven: dict[Partition, TopicPartition] = {}  # to be compared by the broker

    @property
    def _consumer(self) -> Consumer:
        """The one of now: never to be kept."""
        return self._client.consumer

    def subscribe(self, topics: Sequence[str], listener: Listener) -> None:
        """Join the group."""
        self._client.join(topics, listener)

    def follow(self, watch: LoginWatch) -> None:
        """Take up what changes of the login."""
        self._client.follower.follow(watch)

    def consume(self, count: int, timeout_seconds: float) -> list[Any]:
        """Return up to ``count`` messages; callbacks fire here. Waits the whole timeout for them.

        Raises KafkaException if librdkafka says that it can't go on.
        """
        self._compare()
        messages = self._client.consume(count, timeout_seconds)
        if not self._unproven:
            return messages
        return [each for each in messages if not self._is_early(each)]

    def meaning_of(self, message: Message) -> MessageError:
        """Return what a message means that carries an error instead of a record."""
        meaning = errors.meaning_of(message)
        return self._client.heard(meaning) if isinstance(meaning, Trouble) else meaning

    def start_anew(self) -> None:
        """Join with a new client in the place of this one, whose partitions are lost."""
        self._client.replace()

    def start(self, positions: Mapping[Partition, Going], *, paused: bool) -> None:
        """Begin reading at these positions, or take over partitions and begin none yet.

        Paused or resumed explicitly: librdkafka keeps a pause across a revoke, and a partition that
        came back paused would stay silent for ever.
        """
        named = {
            name: TopicPartition(*name, at.offset, leader_epoch=_epoch(at.leader_epoch))
            for name, at in positions.items()
        }
        partitions = list(named.values())
        with _unless_ending():
            self._consumer.incremental_assign(partitions)
            if partitions:
                (self._consumer.pause if paused else self._consumer.resume)(partitions)
        self._unproven |= {
            name: named[name] for name, at in positions.items() if at.leader_epoch is not None
        }
        self._compare()

    def stop(self, partitions: Iterable[Partition]) -> None:
        """Give up reading these partitions; those that were never begun are passed over."""
        names = set(partitions)
        for name in names:
            self._unproven.pop(name, None)
        with _unless_ending():
            begun = self.assignment() & names
            self._consumer.incremental_unassign(_named(begun))

    def _is_early(self, message: Message) -> bool:
        """Whether it is a record, or the end, that was found before the position was compared.

        It is found once more. An end without the records before it would be committed.
        """
        if (message.topic(), message.partition()) not in self._unproven:
            return False
        return message.error() is None or errors.is_end_of_partition(message)

    def _compare(self) -> None:
        """Have the broker compare leader epochs: librdkafka (2.16) does so at a seek.

        When it begins to read it doesn't, and takes a log that was cut off, and has grown beyond
        the position, for the one that was read. It refuses a seek where the partition is not begun
        yet, as that waits for what it was before.
        """
        for name, at in list(islice(self._unproven.items(), COMPARED_PER_TURN)):
            del self._unproven[name]
            try:
                self._consumer.seek(at)
            except KafkaException:
                self._unproven[name] = at  # behind the others

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Stop fetching; polling goes on."""
        self._consumer.pause(_named(partitions))

    def resume(self, partitions: Iterable[Partition]) -> list[Partition]:
        """Fetch again; return those that are not read any more.

        That a position is gone librdkafka (2.16) says once, and then stops reading. A pause throws
        that away, if it was still to be said.
        """
        names = list(partitions)
        stopped = [name for name in names if not self._is_read(name)]
        self._consumer.resume(_named(names))
        return stopped

    def _is_read(self, partition: Partition) -> bool:
        """Ask by a seek to nowhere: librdkafka looks first whether there is anything to seek in."""
        try:
            self._consumer.seek(TopicPartition(*partition, OFFSET_STORED))
        except KafkaException as error:
            return bool(error.args[0].code() != KafkaError._STATE)  # noqa: SLF001 - librdkafka's local error codes are spelt so
        return True

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
        named = _to_commit(offsets)
        try:
            answer = self._consumer.commit(offsets=named, asynchronous=False)
        except KafkaException as error:
            return errors.commit_answer(error.args[0], named)
        return errors.commit_answer(None, answer or [])

    def committed(
        self, partitions: Iterable[Partition], timeout_seconds: float
    ) -> dict[Partition, Committed]:
        """Return what is committed, without the partitions that got no clear answer."""
        try:
            return committed_of(self._consumer, partitions, timeout_seconds)
        except KafkaException:
            return {}

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

        As `look_at_all`, and waits for the answer. Not for rebalance callbacks, see `is_reachable`.
        """
        try:
            topics = self._consumer.list_topics(timeout=timeout_seconds).topics
        except KafkaException:
            return None
        return {name: len(topic.partitions) for name, topic in topics.items()}

    def look_at_all(self) -> None:
        """Have the client list all topics, and don't wait.

        With the classic protocol, what is new to it makes it join the group anew when the answer
        comes. Not for rebalance callbacks, see `is_reachable`.
        """
        self._ask_for_metadata()

    def look_at(self, topics: Iterable[str]) -> bool:
        """Have the client look at topics by their names; False: no broker could be asked.

        The answers come some time later, and have it do nothing, see `take_up_what_is_new`. To wait
        for them would take up to half a second each: they are behind the answer to a fetch, which
        waits for records. Not for rebalance callbacks, either.
        """
        return all(self._ask_for_metadata(name) for name in topics)

    def take_up_what_is_new(self) -> None:
        """Join anew if the topics are others, or have other partitions, than when it joined.

        With the classic protocol. Subscribing to the same once more has librdkafka compare, in its
        own thread, and not before a rebalance that goes on is over.
        """
        # One that waits for its first metadata must not subscribe: it aborts.
        if self._client.is_subscribed and self.member_id():
            self._client.subscribe()

    def _ask_for_metadata(self, topic: str | None = None) -> bool:
        """Send a request for one topic or all; the client takes the answer in though nobody waits.

        Return whether it was sent.
        """
        try:
            self._consumer.list_topics(topic, timeout=0)
        except KafkaException as error:
            return bool(error.args[0].code() == KafkaError._TIMED_OUT)  # noqa: SLF001 - librdkafka's local error codes are spelt so
        return True

    def is_reachable(self, timeout_seconds: float) -> bool:
        """Whether the group's coordinator answers now, which is who takes commits.

        For rebalance callbacks: `partition_counts` must not be called in one. confluent_kafka's
        ``list_topics`` leaves the ``consume`` around it without its thread state, and the next
        callback in that same ``consume`` aborts the process (``CallState_get: cs != NULL``).
        """
        try:
            self._consumer.committed(self._consumer.assignment()[:1], timeout=timeout_seconds)
        except KafkaException as error:
            return not errors.is_no_answer(error.args[0])
        return True

    def member_id(self) -> str:
        """Return the id that the group knows this consumer by; empty before it joined.

        And at its end, though the group may know it still: it is no member any more.
        """
        if not self._client.is_subscribed:
            return ""
        try:
            return self._consumer.memberid() or ""
        except (KafkaException, RuntimeError):
            return ""

    def close(self) -> None:
        """Leave the group (a static member doesn't) and end the client."""
        self._consumer.close()


def committed_of(
    consumer: Consumer, partitions: Iterable[Partition], timeout_seconds: float
) -> dict[Partition, Committed]:
    """Return what a consumer's group has committed, without what got no clear answer.

    Raises KafkaException.
    """
    return {
        (each.topic, each.partition): Committed(
            None if each.offset == OFFSET_INVALID else each.offset,
            each.metadata or "",
            each.leader_epoch,
        )
        for each in consumer.committed(_named(partitions), timeout=timeout_seconds)
        if each.error is None and (each.offset >= 0 or each.offset == OFFSET_INVALID)
    }


@contextmanager
def _unless_ending() -> Iterator[None]:
    """Pass over that the client ends: what is not assigned or given up any more goes with it.

    Callbacks that fire inside ``close`` in the middle of a rebalance meet it.
    """
    try:
        yield
    except KafkaException as error:
        if not errors.is_of_ended_client(error.args[0]):
            raise


def _named(partitions: Iterable[Partition]) -> list[TopicPartition]:
    return [TopicPartition(*name) for name in partitions]


def _to_commit(offsets: Mapping[Partition, Offsets]) -> list[TopicPartition]:
    return [
        TopicPartition(topic, partition, each.offset, each.metadata, _epoch(each.leader_epoch))
        for (topic, partition), each in offsets.items()
    ]


def _epoch(leader_epoch: int | None) -> int:
    return -1 if leader_epoch is None else leader_epoch
