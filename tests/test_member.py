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
PATIENCE_SECONDS = 60.0
RECORDS = 5


class Watcher:
    """Has no partition begun by itself; takes down what is read."""

    def __init__(self, bootstrap: str, group: str, **properties: str) -> None:
        self.partitions: set[Partition] = set()
        self.lost_ones: list[Partition] = []
        self.read: list[Partition] = []
        self.member = Member(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "enable.auto.commit": False,
                "log_level": 0,
                **(properties or {"partition.assignment.strategy": "cooperative-sticky"}),
            }
        )
        self.member.subscribe([TOPIC], self)

    def assigned(self, partitions: Sequence[Partition]) -> None:
        """Begin nothing yet."""
        self.partitions |= set(partitions)
        self.member.start({}, paused=False)

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """Let go."""
        self.member.stop(partitions)

    def lost(self, partitions: Sequence[Partition]) -> None:
        """Let go."""
        self.lost_ones += partitions
        self.member.stop(partitions)

    def commit_answered(self, answer: CommitAnswer) -> None:
        """Take no notice."""

    def kafka_error(self, error: Trouble) -> None:
        """Take no notice."""

    def poll(self) -> None:
        """Read what there is."""
        messages = self.member.consume(100, 0.05)
        self.read += [(each.topic(), each.partition()) for each in messages if not each.error()]

    def read_all_of(self, partition: Partition) -> None:
        """Read until everything of the partition is there."""

        def count() -> int:
            self.poll()
            return self.read.count(partition)

        what = f"{RECORDS} records of {partition}"
        eventually(count, PATIENCE_SECONDS, what, until=RECORDS.__eq__)

    def await_partitions(self) -> None:
        """Read until both partitions are assigned."""

        def partitions() -> set[Partition]:
            self.poll()
            return self.partitions

        both = {(TOPIC, 0), (TOPIC, 1)}
        eventually(partitions, PATIENCE_SECONDS, "partitions", until=both.issubset)


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    """Have a broker with a few records in each of two partitions."""
    silent = logging.getLogger("tests.member.broker")
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
def watcher(bootstrap: str, request: pytest.FixtureRequest) -> Iterator[Watcher]:
    """Have a member that got its partitions and began none of them."""
    watcher = Watcher(bootstrap, request.node.name)
    with closing(watcher.member):
        watcher.await_partitions()
        yield watcher


def test_i7_a_partition_that_begins_paused_is_not_read_until_it_is_resumed(
    watcher: Watcher,
) -> None:
    watcher.member.start({(TOPIC, 0): 0}, paused=True)
    watcher.member.start({(TOPIC, 1): 0}, paused=False)
    watcher.read_all_of((TOPIC, 1))
    assert (TOPIC, 0) not in watcher.read
    watcher.member.resume([(TOPIC, 0)])
    watcher.read_all_of((TOPIC, 0))


def test_i7_a_partition_that_comes_back_is_read_though_it_went_paused(watcher: Watcher) -> None:
    """For librdkafka a pause outlives the assignment."""
    watcher.member.start({(TOPIC, 0): 0}, paused=True)
    watcher.member.stop([(TOPIC, 0)])
    watcher.member.start({(TOPIC, 0): 0}, paused=False)
    watcher.read_all_of((TOPIC, 0))


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
    static = {"group.protocol": "consumer", "group.instance.id": "first"}
    watcher = Watcher(bootstrap, "fenced", **static)
    with closing(watcher.member) as member:
        watcher.await_partitions()
        client = member._client  # noqa: SLF001 - librdkafka seldom says it so
        client.consumer = Fenced(client.consumer)  # type: ignore[assignment]  # stands in for it
        member.consume(100, 0.1)
        assert watcher.lost_ones == sorted(watcher.partitions)


class Ending:
    """A client of librdkafka whose ``close`` met the middle of a rebalance: it says no more."""

    def __init__(self, code: int) -> None:
        self.code = code

    def __getattr__(self, _: str) -> object:
        def refuse(*_: object, **__: object) -> None:
            raise KafkaException(KafkaError(self.code))

        return refuse


def test_i9_a_close_in_the_middle_of_a_rebalance_is_no_crash(watcher: Watcher) -> None:
    """The callbacks that fire in it can't assign or ask any more, and the process went with 1."""
    member = watcher.member
    client = member._client  # noqa: SLF001 - a race that no test can win
    ending = Ending(KafkaError._DESTROY)  # noqa: SLF001 - librdkafka's local error codes are spelt so
    client.consumer, kept = ending, client.consumer  # type: ignore[assignment]  # stands in for it
    try:
        watcher.assigned([(TOPIC, 0)])
        watcher.revoked([(TOPIC, 0)])
        assert member.is_reachable(0.1)
        assert member.commit_now({(TOPIC, 0): Offsets(1)}).error is not None
        ending.code = KafkaError._STATE  # noqa: SLF001 - any other
        with pytest.raises(KafkaException):
            watcher.revoked([(TOPIC, 0)])
    finally:
        client.consumer = kept
