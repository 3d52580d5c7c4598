"""What the consumer does with librdkafka, tried on the broker that is embedded in it."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from consumer.engine.ports import CommitAnswer, Offsets, Partition, Trouble
from consumer.kafka.member import Member
from tests.support.records import FakeMessage
from tests.support.waiting import eventually

TOPIC = "audience"
PATIENCE_SECONDS = 10.0
RECORDS = 5


class Watcher:
    """Has no partition begun by itself; takes down what is read."""

    def __init__(self, bootstrap: str, group: str, **properties: str) -> None:
        self.partitions: set[Partition] = set()
        self.lost_ones: list[Partition] = []
        self.read: list[Partition] = []
        self.source = Member(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "partition.assignment.strategy": "cooperative-sticky",
                "enable.auto.commit": False,
                "log_level": 0,
                **properties,
            }
        )
        self.source.subscribe([TOPIC], self)

    def assigned(self, partitions: Sequence[Partition]) -> None:
        """Begin nothing yet."""
        self.partitions |= set(partitions)
        self.source.start({}, paused=False)

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """Let go."""
        self.source.stop(partitions)

    def lost(self, partitions: Sequence[Partition]) -> None:
        """Let go."""
        self.lost_ones += partitions
        self.source.stop(partitions)

    def commit_answered(self, answer: CommitAnswer) -> None:
        """Take no notice."""

    def kafka_error(self, error: Trouble) -> None:
        """Take no notice."""

    def poll(self) -> None:
        """Read what there is."""
        messages = self.source.consume(100, 0.05)
        self.read += [(each.topic(), each.partition()) for each in messages if not each.error()]

    def read_all_of(self, partition: Partition) -> None:
        """Read until everything of the partition is there."""

        def count() -> int:
            self.poll()
            return self.read.count(partition)

        what = f"{RECORDS} records of {partition}"
        eventually(count, PATIENCE_SECONDS, what, until=RECORDS.__eq__)


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    """Have a broker with a few records in each of two partitions."""
    silent = logging.getLogger("tests.source.broker")
    silent.addHandler(logging.NullHandler())
    silent.propagate = False
    host = Producer({"test.mock.num.brokers": 1}, logger=silent)
    metadata = host.list_topics(TOPIC, timeout=PATIENCE_SECONDS)
    for partition in (0, 1):
        for number in range(RECORDS):
            host.produce(TOPIC, value=f"{number}", partition=partition)
    assert host.flush(PATIENCE_SECONDS) == 0
    (broker,) = metadata.brokers.values()
    yield f"{broker.host}:{broker.port}"
    host.flush(0)  # it lives as long as its producer


@pytest.fixture
def member(bootstrap: str, request: pytest.FixtureRequest) -> Iterator[Watcher]:
    """Have a member that got its partitions and began none of them."""
    member = Watcher(bootstrap, request.node.name)
    both = {(TOPIC, 0), (TOPIC, 1)}

    def partitions() -> set[Partition]:
        member.poll()
        return member.partitions

    with closing(member.source):
        eventually(partitions, PATIENCE_SECONDS, "partitions", until=both.issubset)
        yield member


def test_i7_a_partition_that_begins_paused_is_not_read_until_it_is_resumed(member: Watcher) -> None:
    member.source.start({(TOPIC, 0): 0}, paused=True)
    member.source.start({(TOPIC, 1): 0}, paused=False)
    member.read_all_of((TOPIC, 1))
    assert (TOPIC, 0) not in member.read
    member.source.resume([(TOPIC, 0)])
    member.read_all_of((TOPIC, 0))


def test_i7_a_partition_that_comes_back_is_read_though_it_went_paused(member: Watcher) -> None:
    """For librdkafka a pause outlives the assignment."""
    member.source.start({(TOPIC, 0): 0}, paused=True)
    member.source.stop([(TOPIC, 0)])
    member.source.start({(TOPIC, 0): 0}, paused=False)
    member.read_all_of((TOPIC, 0))


class Fenced:
    """A client of librdkafka that was fenced while it read; it says so once."""

    def __init__(self, client: object) -> None:
        self._client = client

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)

    def consume(self, *_: object) -> list[FakeMessage]:
        """Return the fence, among records."""
        text = KafkaError(KafkaError.FENCED_INSTANCE_ID).str()
        fence = KafkaError(KafkaError._FATAL, f"Fatal error: {text}")  # noqa: SLF001 - librdkafka's local error codes are spelt so
        return [FakeMessage(TOPIC), FakeMessage(error=fence), FakeMessage(TOPIC, offset=1)]


def test_i5_a_fence_that_comes_among_records_is_heard(bootstrap: str) -> None:
    member = Watcher(bootstrap, "fenced", **{"group.instance.id": "first"})

    def partitions() -> set[Partition]:
        member.poll()
        return member.partitions

    with closing(member.source) as source:
        eventually(partitions, PATIENCE_SECONDS, "partitions")
        source._consumer = Fenced(source._consumer)  # type: ignore[assignment]  # noqa: SLF001 - librdkafka seldom says it so
        source.consume(100, 0.1)
        assert member.lost_ones == sorted(member.partitions)


class Ending:
    """A client of librdkafka whose ``close`` met the middle of a rebalance: it says no more."""

    def __init__(self, code: int) -> None:
        self._code = code

    def __getattr__(self, _: str) -> object:
        def refuse(*_: object, **__: object) -> None:
            raise KafkaException(KafkaError(self._code))

        return refuse


def test_i9_a_close_in_the_middle_of_a_rebalance_is_no_crash(member: Watcher) -> None:
    """The callbacks that fire in it can't assign or ask any more, and the process went with 1."""
    source = member.source
    source._consumer, kept = Ending(KafkaError._DESTROY), source._consumer  # type: ignore[assignment]  # noqa: SLF001 - a race that no test can win
    try:
        member.assigned([(TOPIC, 0)])
        member.revoked([(TOPIC, 0)])
        assert source.is_reachable(0.1)
        assert source.commit_now({(TOPIC, 0): Offsets(1)}).error is not None
        source._consumer = Ending(KafkaError._STATE)  # type: ignore[assignment]  # noqa: SLF001 - any other
        with pytest.raises(KafkaException):
            member.revoked([(TOPIC, 0)])
    finally:
        source._consumer = kept  # noqa: SLF001 - the fixture closes it
