"""What the consumer does with librdkafka, tried on the broker that is embedded in it."""

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from consumer.core.positions import Going
from consumer.engine.ports import CommitAnswer, Offsets, Partition, Trouble
from consumer.kafka.client import LONGEST_SECONDS
from consumer.kafka.errors import is_end_of_partition
from consumer.kafka.member import Member
from tests.support.embedded import embedded_broker
from tests.support.records import FakeMessage
from tests.support.waiting import PATIENCE_SECONDS, eventually

TOPIC = "audience"
RECORDS = 5
FAREWELL_SECONDS = 0.5


class Watcher:
    """Has no partition begun by itself; takes down what is read."""

    def __init__(
        self, bootstrap: str, group: str, farewell_seconds: float = 0.0, **properties: object
    ) -> None:
        self.partitions: set[Partition] = set()
        self.lost_ones: list[Partition] = []
        self.read: list[Partition] = []
        self.ended: set[Partition] = set()
        self.member = Member(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "log_level": 0,
                **(properties or {"partition.assignment.strategy": "cooperative-sticky"}),
            },
            farewell_seconds,
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
        self.partitions -= set(partitions)
        self.member.stop(partitions)

    def commit_answered(self, answer: CommitAnswer) -> None:
        """Take no notice."""

    def kafka_error(self, error: Trouble) -> None:
        """Take no notice."""

    def poll(self) -> None:
        """Read what there is."""
        messages = self.member.consume(100, 0.05)
        for each in messages:
            name = each.topic(), each.partition()
            if is_end_of_partition(each):
                self.ended.add(name)
            elif not each.error():
                self.read.append(name)

    def read_all_of(self, partition: Partition) -> None:
        """Read until everything of the partition is there."""

        def count() -> int:
            self.poll()
            return self.read.count(partition)

        what = f"{RECORDS} records of {partition}"
        eventually(count, PATIENCE_SECONDS, what, until=RECORDS.__eq__)

    def await_end_of(self, partition: Partition) -> None:
        """Read until the partition was read to its end."""

        def ended() -> set[Partition]:
            self.poll()
            return self.ended

        eventually(ended, PATIENCE_SECONDS, f"the end of {partition}", until={partition}.issubset)

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
    with embedded_broker(TOPIC, RECORDS, partitions=2) as address:
        yield address


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
    watcher.member.start({(TOPIC, 0): Going(0)}, paused=True)
    watcher.member.start({(TOPIC, 1): Going(0)}, paused=False)
    watcher.read_all_of((TOPIC, 1))
    assert (TOPIC, 0) not in watcher.read
    watcher.member.resume([(TOPIC, 0)])
    watcher.read_all_of((TOPIC, 0))


def test_i7_a_partition_that_comes_back_is_read_though_it_went_paused(watcher: Watcher) -> None:
    """For librdkafka a pause outlives the assignment."""
    watcher.member.start({(TOPIC, 0): Going(0)}, paused=True)
    watcher.member.stop([(TOPIC, 0)])
    watcher.member.start({(TOPIC, 0): Going(0)}, paused=False)
    watcher.read_all_of((TOPIC, 0))


class Ended:
    """A client of librdkafka that ends itself while it reads; it says so once, among records."""

    def __init__(self, client: Any, code: int = KafkaError.FENCED_INSTANCE_ID) -> None:  # noqa: ANN401 - the library's
        self._client = client
        self._code = code
        self.closed_at: float | None = None

    def close(self) -> None:
        """Leave the group."""
        self.closed_at = time.monotonic()
        self._client.close()

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)

    def consume(self, *_: object) -> list[FakeMessage]:
        """Return the end, among records."""
        return [FakeMessage(TOPIC), self.end(), FakeMessage(TOPIC, offset=1)]

    def end(self) -> FakeMessage:
        """Return how it is said."""
        text = KafkaError(self._code).str()
        words = f"Fatal error: {text}: ConsumerGroupHeartbeat fatal error: {text}"
        return FakeMessage(error=KafkaError(KafkaError._FATAL, words))  # noqa: SLF001 - librdkafka's local error codes are spelt so


def end(member: Member, code: int = KafkaError.FENCED_INSTANCE_ID) -> tuple[Ended, Trouble]:
    """Let the client of now end itself; return it, and what the daemon hears of it."""
    client = member._client  # noqa: SLF001 - librdkafka seldom ends by itself
    ended = Ended(client.consumer, code)
    client.consumer = ended  # type: ignore[assignment]  # stands in for it
    messages = member.consume(100, 0.1)
    (heard,) = [member.meaning_of(each) for each in messages if each.error() is not None]
    assert isinstance(heard, Trouble)
    return ended, heard


def begin_anew(member: Member) -> None:
    """Let the backoff be over."""
    client = member._client  # noqa: SLF001 - the time is the client's own
    client._rejoin_at = 0.0  # noqa: SLF001 - likewise
    member.consume(1, 0.0)


@pytest.fixture
def kip_848(bootstrap: str, request: pytest.FixtureRequest) -> Iterator[Watcher]:
    """Have a member of the new protocol that got its partitions, and takes half a second to go."""
    properties = {"group.protocol": "consumer", "group.instance.id": "first"}
    watcher = Watcher(bootstrap, request.node.name, FAREWELL_SECONDS, **properties)
    with closing(watcher.member):
        watcher.await_partitions()
        yield watcher


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (KafkaError.GROUP_AUTHORIZATION_FAILED, "READ on the group is denied"),
        (KafkaError.GROUP_MAX_SIZE_REACHED, "the group is full"),
        (KafkaError.UNSUPPORTED_VERSION, "doesn't offer what is asked of it"),
        (KafkaError._UNSUPPORTED_FEATURE, "doesn't offer what is asked of it"),  # noqa: SLF001 - librdkafka's local error codes are spelt so
        (KafkaError.UNRELEASED_INSTANCE_ID, "another member has KAFKA_GROUP_INSTANCE_ID"),
        (KafkaError.FENCED_INSTANCE_ID, "another member has taken KAFKA_GROUP_INSTANCE_ID"),
        (KafkaError.GROUP_ID_NOT_FOUND, "no such group, or one of the other protocol"),
        (KafkaError.INVALID_REQUEST, "Invalid request"),
        (KafkaError.UNKNOWN, "Unknown broker error"),
    ],
)
def test_i8_whatever_ends_a_client_is_said_and_another_one_joins(
    kip_848: Watcher, code: int, words: str
) -> None:
    had = sorted(kip_848.partitions)
    _, heard = end(kip_848.member, code)
    assert heard.code == KafkaError(code).name()
    assert words in heard.detail
    assert not heard.fatal
    assert kip_848.lost_ones == had
    assert kip_848.member.member_id() == ""
    kip_848.await_partitions()
    assert kip_848.member.member_id()


def test_a_second_fence_in_a_row_is_the_end(kip_848: Watcher) -> None:
    member = kip_848.member
    end(member)
    begin_anew(member)
    end(member, KafkaError.UNRELEASED_INSTANCE_ID)
    begin_anew(member)
    assert end(member)[1].fatal


def test_a_fence_after_a_membership_is_not_the_second_in_a_row(kip_848: Watcher) -> None:
    for _ in range(3):
        assert not end(kip_848.member)[1].fatal
        kip_848.await_partitions()


def test_a_classic_client_ends_for_good(watcher: Watcher) -> None:
    """It can't without a name, and has none; if it does, nobody knows why."""
    assert watcher.member.meaning_of(Ended(None).end()) == Trouble(
        "FENCED_INSTANCE_ID", "another member has taken KAFKA_GROUP_INSTANCE_ID", fatal=True
    )


def test_clients_that_end_one_after_the_other_come_ever_more_slowly(kip_848: Watcher) -> None:
    client = kip_848.member._client  # noqa: SLF001 - the time is the client's own
    least, most = [], []  # it is somewhere between these
    for _ in range(8):
        before = time.monotonic()
        client._end()  # noqa: SLF001 - likewise
        least.append(client._rejoin_at - time.monotonic())  # noqa: SLF001 - likewise
        most.append(client._rejoin_at - before)  # noqa: SLF001 - likewise
    assert most[0] > 0.4
    assert most[1] > 0.9
    assert min(most[4:]) > 4.9
    assert least[0] <= 1.0
    assert least[1] <= 2.0
    assert max(least[4:]) <= LONGEST_SECONDS
    client._rejoin_at = math.inf  # noqa: SLF001 - it did not end


def test_i5_a_client_that_had_partitions_leaves_when_its_requests_are_over(
    kip_848: Watcher,
) -> None:
    """The group may not know yet that it has ended: whoever leaves gives its partitions away."""
    began = time.monotonic()
    ended, _ = end(kip_848.member, KafkaError.UNKNOWN)
    begin_anew(kip_848.member)
    eventually(lambda: ended.closed_at, PATIENCE_SECONDS, "the client that ended to leave")
    assert ended.closed_at is not None
    assert ended.closed_at - began > FAREWELL_SECONDS


def test_i5_a_fence_that_comes_among_records_is_heard(kip_848: Watcher) -> None:
    had = sorted(kip_848.partitions)
    end(kip_848.member)
    assert kip_848.lost_ones == had


def test_i5_a_client_that_ends_while_another_one_can_not_be_made_loses_its_partitions(
    kip_848: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the file of a certificate is not there for a moment."""
    member, had = kip_848.member, sorted(kip_848.partitions)
    client = member._client  # noqa: SLF001 - a file that is missing would take a broker with TLS
    with monkeypatch.context() as patch:
        patch.setattr(client, "_new", unable)
        begin_anew(member)
    assert not kip_848.lost_ones, "it is a member still"
    assert member.member_id()
    assert client._rejoin_at < math.inf  # noqa: SLF001 - the time is the client's own
    client._rejoin_at = time.monotonic() + 60  # noqa: SLF001 - likewise
    assert not end(member)[1].fatal
    assert kip_848.lost_ones == had
    assert member.member_id() == ""
    begin_anew(member)
    kip_848.await_partitions()


def unable() -> None:
    """Make no client."""
    raise KafkaException(KafkaError(KafkaError._INVALID_ARG, "no such file"))  # noqa: SLF001 - librdkafka's local error codes are spelt so


def test_i8_a_position_that_is_gone_is_noticed_though_a_pause_threw_away_that_it_is(
    bootstrap: str, request: pytest.FixtureRequest
) -> None:
    """The client says it once, and reads the partition no more."""
    gone, read = (TOPIC, 0), (TOPIC, 1)
    properties: dict[str, Any] = {
        "auto.offset.reset": "error",
        "partition.assignment.strategy": "cooperative-sticky",
    }
    watcher = Watcher(bootstrap, request.node.name, **properties)
    with closing(watcher.member):
        watcher.await_partitions()
        watcher.member.start({gone: Going(100), read: Going(0)}, paused=False)

        def unread() -> list[Partition]:
            watcher.member.pause([gone, read])
            return watcher.member.resume([gone, read])

        eventually(unread, PATIENCE_SECONDS, "a partition that is not read", until=[gone].__eq__)
        watcher.read_all_of(read)
        watcher.member.stop([gone])
        watcher.member.start({gone: Going(0)}, paused=False)
        watcher.read_all_of(gone)


def test_i7_records_from_before_a_position_was_compared_are_dropped(watcher: Watcher) -> None:
    """They are fetched once more, if the broker finds that the log goes on there."""
    member = watcher.member
    member.start({(TOPIC, 0): Going(0), (TOPIC, 1): Going(0)}, paused=False)
    member._unproven[TOPIC, 0] = TopicPartition("other", 7, 0)  # noqa: SLF001 - a seek that is refused for longer than any real one
    watcher.await_end_of((TOPIC, 1))
    for _ in range(20):
        watcher.poll()
    assert (TOPIC, 0) not in watcher.read
    assert watcher.ended == {(TOPIC, 1)}, "it would be committed, and nothing before it is read"
    member._unproven[TOPIC, 0] = TopicPartition(TOPIC, 0, 0)  # noqa: SLF001 - likewise
    watcher.read_all_of((TOPIC, 0))
    watcher.await_end_of((TOPIC, 0))


def test_what_a_client_that_was_replaced_counts_is_counted_once(
    bootstrap: str, request: pytest.FixtureRequest
) -> None:
    """It goes on handing over its statistics until it has left."""
    told: list[str] = []
    watcher = Watcher(
        bootstrap,
        request.node.name,
        PATIENCE_SECONDS,  # until the one of before leaves
        **{"group.protocol": "consumer", "statistics.interval.ms": 50},
        stats_cb=lambda text: told.append(json.loads(text)["name"]),
    )
    with closing(watcher.member):
        watcher.await_partitions()
        first = watcher.member._client.consumer  # noqa: SLF001 - the one that is replaced

        def names() -> list[str]:
            watcher.poll()
            first.consume(1, 0.0)  # as it does inside close
            return told

        def is_enough(names: list[str]) -> bool:
            return len(names) > 5

        told_before = eventually(names, PATIENCE_SECONDS, "figures", until=is_enough)
        before = set(told_before)
        watcher.member.start_anew()
        told.clear()
        after = eventually(names, PATIENCE_SECONDS, "those of the new one", until=is_enough)
    assert before.isdisjoint(after)


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
