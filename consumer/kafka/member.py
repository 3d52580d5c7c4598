"""Kafka in, commits out: the calls of a member of the group, and what they answer.

One thread owns it: rebalance callbacks run inside `consume` and `close` on the calling thread, and
a commit from another thread would wait behind a poll. Every commit names its offsets: librdkafka's
stored offsets survive a seek, and a commit without offsets would commit them for all partitions.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, TopicPartition

from consumer.engine.ports import CommitAnswer, Committed, Listener, Offsets, Partition
from consumer.kafka import errors
from consumer.kafka.client import Client
from consumer.kafka.credentials import LoginWatch


class Member:
    """Implements `ports.MemberPort`. Errors come back as values or go to the listener."""

    def __init__(self, properties: Mapping[str, Any]) -> None:
        self._client = Client(properties)

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
        return self._client.consume(count, timeout_seconds)

    meaning_of = staticmethod(errors.meaning_of)

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
            return errors.commit_answer(error.args[0], [])
        return errors.commit_answer(None, answer or [])

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
        if not self._client.is_subscribed or not self.member_id():
            return None  # one that waits for its first metadata must not subscribe: it aborts
        counts = {}
        try:
            for name in topics:
                topic = self._consumer.list_topics(name, timeout=timeout_seconds).topics[name]
                counts[name] = len(topic.partitions)
        except KafkaException:
            return None
        self._client.subscribe()
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
            return not errors.is_no_answer(error.args[0])
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
        TopicPartition(topic, partition, each.offset, each.metadata)
        for (topic, partition), each in offsets.items()
    ]
