"""Any Kafka as tests see and handle it: from outside of what is tested."""

import threading
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    MemberDescription,
    NewPartitions,
    NewTopic,
    OffsetSpec,
)

from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

Text = str | bytes | None
T = TypeVar("T")

_PATIENCE_SECONDS = 120
_BRIEFLY_SECONDS = 3
_NOT_YET = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.INVALID_REPLICATION_FACTOR,  # all brokers are fenced: one stood still for a while
    KafkaError._TIMED_OUT,  # noqa: SLF001 - its public name
)


class _NotYetError(Exception):
    """The broker is still finding out what it leads."""


class Record(NamedTuple):
    """One record to produce; a plain tuple of its first members does as well."""

    key: Text
    value: Text
    headers: list[tuple[str, Text]] | None = None
    partition: int | None = None
    timestamp_ms: int | None = None


class Commit(NamedTuple):
    """A commit as it is in the log; no offset where it was deleted. ``seconds`` are Unix time."""

    group: str
    topic: str
    partition: int
    offset: int | None
    seconds: float


class _Askers(threading.local):
    """A thread's clients that ask for commits: one at most, of the group that was asked last."""

    def __init__(self) -> None:
        self.by_group: dict[str, Consumer] = {}


class Member(NamedTuple):
    """A member of a group, as the coordinator knows it."""

    member_id: str
    client_id: str
    instance_id: str | None
    partitions: frozenset[tuple[str, int]]


class Cluster:
    """Topics, records and groups of the Kafka at ``bootstrap``. Each call asks the broker."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self._client: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 200,
            "socket.timeout.ms": _PATIENCE_SECONDS * 1000,
            "log_level": 2,  # that a killed broker is gone is no news
        }
        self._admin = AdminClient(self._client)
        self._askers = _Askers()

    def await_answers(self) -> None:
        """Wait until Kafka answers and every partition has a leader."""

        def answers() -> bool:
            metadata = self._admin.list_topics(timeout=1)
            partitions = [p for t in metadata.topics.values() for p in t.partitions.values()]
            return bool(metadata.brokers) and all(p.leader >= 0 for p in partitions)

        what = f"answers from Kafka at {self.bootstrap}"
        eventually(answers, _PATIENCE_SECONDS, what, ignoring=(KafkaException,))

    def create_topic(self, name: str, partitions: int = 4, **config: object) -> None:
        """Create a topic and wait until it can be used.

        Its configuration's names with ``_`` for the dots: ``cleanup_policy="compact"``.
        """
        named = {key.replace("_", "."): str(value) for key, value in config.items()}
        topic = NewTopic(name, num_partitions=partitions, config=named)

        def create() -> object:
            return self._admin.create_topics([topic])[name].result()

        _patiently(create, f"topic {name}")
        self._await_partitions(name, partitions)

    def delete_topic(self, name: str) -> None:
        """Delete a topic and wait until it is gone."""
        self._admin.delete_topics([name])[name].result()
        self._await_partitions(name, 0)

    def add_partitions(self, name: str, new_total: int) -> None:
        """Give a topic more partitions, ``new_total`` in all, and wait until they can be used."""
        self._admin.create_partitions([NewPartitions(name, new_total)])[name].result()
        self._await_partitions(name, new_total)

    def partitions(self, topic: str) -> list[int]:
        """Return a topic's partitions that have a leader; none if there is no such topic."""
        described = self._admin.list_topics(topic, timeout=_PATIENCE_SECONDS).topics[topic]
        return sorted(p.id for p in described.partitions.values() if p.leader >= 0)

    def produce(self, topic: str, records: "Iterable[Record | tuple[Text, Text]]") -> None:
        """Produce records in their order and wait until the broker has them all.

        A record may be there twice if the broker is killed meanwhile.
        """
        failures: list[KafkaError] = []

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failures.append(error)

        # A new producer each time: it knows the topic's partitions as they are now. An idempotent
        # one would wait half a second for its id; in order it is with one request in flight, too.
        producer = Producer(
            {
                **self._client,
                "acks": "all",
                "max.in.flight.requests.per.connection": 1,
                "linger.ms": 5,
                "message.max.bytes": 100_000_000,
                "delivery.timeout.ms": _PATIENCE_SECONDS * 1000,
            }
        )
        for each in records:
            record = Record(*each)
            while not _accepted(producer, topic, record, delivered):
                producer.poll(0.1)
        unanswered = producer.flush(_PATIENCE_SECONDS)
        assert not failures, f"{len(failures)} records were not produced: {failures[0]}"
        assert not unanswered, f"{unanswered} records without an answer"

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Return the offset after each partition's last record."""
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call] # the library's

        def ask() -> dict[int, int]:
            asked = {TopicPartition(topic, number): latest for number in self.partitions(topic)}
            answers = self._admin.list_offsets(asked).items()
            return {at.partition: answer.result().offset for at, answer in answers}

        return _patiently(ask, f"the end offsets of {topic}")

    def read_all(self, topic: str) -> list[Message]:
        """Return the topic's records up to its end as of now, each partition's in order."""
        ends = {partition: end for partition, end in self.end_offsets(topic).items() if end > 0}
        reader = Consumer(
            {
                **self._client,
                "group.id": "nobody",  # required; what is only assigned joins no group
                "enable.auto.commit": False,
                "enable.partition.eof": True,  # the end behind gaps and markers
                "fetch.wait.max.ms": 10,
            }
        )
        # Without the metadata at hand librdkafka looks again only after half a second.
        reader.list_topics(topic, timeout=_PATIENCE_SECONDS)
        reader.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in ends])
        messages: list[Message] = []
        try:
            while ends:
                for message in reader.consume(10_000, 0.05):
                    _take(message, ends, messages)
        finally:
            reader.close()
        return messages

    def delete_records(self, topic: str, before: "Mapping[int, int]") -> None:
        """Delete each partition's records before an offset, as retention does."""
        asked = [TopicPartition(topic, partition, offset) for partition, offset in before.items()]
        for answer in self._admin.delete_records(asked).values():
            answer.result()

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return what the group committed; a partition without is absent."""

        # AdminClient.list_consumer_group_offsets is no way to ask: when the coordinator has just
        # been started it ends the process with a segmentation fault (librdkafka #5040).
        def ask() -> dict[int, int]:
            asked = [TopicPartition(topic, partition) for partition in self.partitions(topic)]
            asking = self._asking_for(group)
            try:
                answers = asking.committed(asked, timeout=_PATIENCE_SECONDS) if asked else []
                _raise_errors(answers)
            except KafkaException:
                self._askers.by_group.clear()  # a new client knows nothing of what went wrong
                raise
            return {at.partition: at.offset for at in answers if at.offset != OFFSET_INVALID}

        return _patiently(ask, f"what {group} committed")

    def commits(self, group: str, topic: str) -> "list[Commit]":
        """Return each commit of the group that the brokers have, in their order.

        Read from the log of commits: an answer of a coordinator tells of one moment, and is what it
        has loaded by then.
        """
        of_these = (
            commit
            for message in self.read_all("__consumer_offsets")
            if (commit := _commit(message)) is not None
        )
        return [each for each in of_these if (each.group, each.topic) == (group, topic)]

    def group_members(self, group: str) -> list[Member]:
        """Return the group's members, of either protocol; none if there is no such group."""

        # A client that has asked a coordinator never gets an answer of it again once that was
        # restarted, and some day ends the process (librdkafka #4605): a new client for each.
        def ask() -> list[Member]:
            admin = AdminClient(self._client)
            answers = admin.describe_consumer_groups([group], request_timeout=3)
            return [_member(described) for described in answers[group].result().members]

        try:
            return _patiently(ask, f"the members of {group}")
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return []
            raise

    def told_of(self, group: str, topics: "Iterable[str]") -> str:
        """Return what Kafka says of a group's members, commits and topics, for a person.

        Asks once and briefly: it may be away, as a test left it.
        """
        return "\n".join([self._told_of_members(group), *self._told_of_topics(group, topics)])

    def _told_of_members(self, group: str) -> str:
        admin = AdminClient(self._client)  # what it was asked is answered as long as it is kept
        asking = admin.describe_consumer_groups([group], request_timeout=_BRIEFLY_SECONDS)
        try:
            described = asking[group].result(
                _BRIEFLY_SECONDS + 1
            )  # else a frozen broker is waited for
        except (KafkaException, TimeoutError) as error:
            return f"members: {error!r}"
        members = "".join(f"\n  {_member(each)}" for each in described.members)
        return f"{described.state.name}, {len(described.members)} members{members}"

    def _told_of_topics(self, group: str, topics: "Iterable[str]") -> "Iterator[str]":
        asking = Consumer({**self._client, "group.id": group, "enable.auto.commit": False})
        try:
            for topic in topics:
                metadata = asking.list_topics(topic, timeout=_BRIEFLY_SECONDS).topics[topic]
                asked = [TopicPartition(topic, number) for number in sorted(metadata.partitions)]
                for at in asking.committed(asked, timeout=_BRIEFLY_SECONDS):
                    low, high = asking.get_watermark_offsets(at, timeout=_BRIEFLY_SECONDS)
                    yield f"{topic}:{at.partition} has {low} to {high}, committed {at.offset}"
        except KafkaException as error:
            yield f"topics: {error!r}"
        finally:
            asking.close()

    def _asking_for(self, group: str) -> Consumer:
        """Return this thread's client of the group, which it never joins.

        One that is kept costs a twentieth of a new one, and some tests ask all the time.
        """
        clients = self._askers.by_group
        if group not in clients:
            clients.clear()
            clients[group] = Consumer(
                {**self._client, "group.id": group, "enable.auto.commit": False}
            )
        return clients[group]

    def _await_partitions(self, topic: str, count: int) -> None:
        expected = list(range(count))
        what = f"{topic} with {count} partitions"
        eventually(lambda: self.partitions(topic), _PATIENCE_SECONDS, what, until=expected.__eq__)
        self.end_offsets(topic)


def _patiently(ask: "Callable[[], T]", what: str) -> T:
    """Ask again as long as the broker says that it isn't ready to answer."""

    def asked() -> T:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() in _NOT_YET:
                raise _NotYetError(error) from error
            raise

    def answered(_: T) -> bool:
        return True

    return eventually(asked, _PATIENCE_SECONDS, what, until=answered, ignoring=(_NotYetError,))


def _raise_errors(answers: "Iterable[TopicPartition]") -> None:
    for at in answers:
        if at.error is not None:
            raise KafkaException(at.error)


def _commit(message: Message) -> Commit | None:
    """Read a record of ``__consumer_offsets``; None: it is about a member.

    The key: a version, 0 or 1 for a commit, group, topic and partition; the value: a version and
    the offset (Kafka's ``OffsetCommitKey.json`` and ``OffsetCommitValue.json``).
    """
    key, value = message.key(), message.value()
    assert isinstance(key, bytes)
    if int.from_bytes(key[:2]) > 1:
        return None
    names, at = [], 2
    for _ in range(2):
        end = at + 2 + int.from_bytes(key[at : at + 2])
        names.append(key[at + 2 : end].decode())
        at = end
    group, topic = names
    partition = int.from_bytes(key[at : at + 4])
    offset = None if value is None else int.from_bytes(value[2:10])
    return Commit(group, topic, partition, offset, message.timestamp()[1] / 1000)


def _member(described: MemberDescription) -> Member:
    return Member(
        member_id=described.member_id,
        client_id=described.client_id,
        instance_id=described.group_instance_id,
        partitions=frozenset(
            (at.topic, at.partition) for at in described.assignment.topic_partitions
        ),
    )


def _accepted(
    producer: Producer,
    topic: str,
    record: Record,
    delivered: "Callable[[KafkaError | None, Message], None]",
) -> bool:
    """Return False while the producer's queue is full."""
    try:
        producer.produce(
            topic,
            record.value,
            record.key,
            partition=-1 if record.partition is None else record.partition,
            headers=record.headers,
            timestamp=0 if record.timestamp_ms is None else record.timestamp_ms,
            on_delivery=delivered,
        )
    except BufferError:
        return False
    producer.poll(0)
    return True


def _take(message: Message, ends: dict[int, int], messages: list[Message]) -> None:
    """Keep a message from before the end; strike a partition off that has reached it."""
    partition, offset, error = message.partition(), message.offset(), message.error()
    assert partition is not None
    assert offset is not None
    if error is not None:
        if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
            raise KafkaException(error)
        ends.pop(partition, None)
    elif partition in ends and offset < ends[partition]:
        messages.append(message)
        if offset == ends[partition] - 1:
            del ends[partition]
