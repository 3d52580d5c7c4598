"""The thread that asks where partitions stand: what it asks again, and what it keeps waiting."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from consumer.core.positions import Gone, Log
from consumer.engine.ports import CommitAnswer, Committed, FirstStart, Found, Partition
from consumer.kafka import lookup as lookup_module
from consumer.kafka import questions as questions_module
from consumer.kafka.errors import commit_answer, meaning_of
from consumer.kafka.lookup import Lookup
from consumer.kafka.questions import Questions, id_of
from tests.support.kafka_frames import LIST_OFFSETS, answers_of, lost
from tests.support.records import FakeMessage
from tests.support.waiting import PATIENCE_SECONDS, eventually

if TYPE_CHECKING:
    from tests.support.kafka import Broker

A, B, C = ("a", 0), ("a", 1), ("b", 0)
FIRST_START = FirstStart(group_has_commits=False, census={}, counts={"a": 2})


class Brokers:
    """Answers like `Questions`, for all that a test doesn't keep from it."""

    def __init__(self) -> None:
        self.silent: set[Partition] = set()  # the leaders
        self.unsaid: set[Partition] = set()  # what is committed
        self.fresh: set[Partition] = set()
        self.are_away = False
        self.knows_first_start = True
        self.ids = {"a": "one", "b": "two"}
        self.metadata = ""
        self.undescribed: set[str] = set()
        self.rounds: list[set[Partition]] = []
        self.clients = 0
        self.closed = 0

    def connect(self) -> "Brokers":
        """Make a client."""
        self.clients += 1
        return self

    def close(self) -> None:
        """End a client."""
        self.closed += 1

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, Committed]:
        """Answer of what was not kept back."""
        asked = set(partitions)
        self.rounds.append(asked)
        if self.are_away:
            raise KafkaException("no broker answers")
        return {
            name: Committed(None if name in self.fresh else 5, self.metadata)
            for name in asked - self.unsaid
        }

    def first_start(self, read: Iterable[str]) -> FirstStart:
        """Answer if it is known."""
        assert "a" in set(read)
        if not self.knows_first_start:
            raise KafkaException("nobody knows")
        return FIRST_START

    def topics(self, names: Iterable[str]) -> dict[str, Any]:
        """Describe topics."""
        if self.are_away:
            return {}
        return {
            name: None if name in self.undescribed else SimpleNamespace(topic_id=self.ids[name])
            for name in names
        }

    def logs(
        self, partitions: Iterable[Partition], topics: Mapping[str, Any]
    ) -> Iterator[dict[Partition, Log]]:
        """Yield the log of each leader that is not silent."""
        asked = set(partitions) - self.silent
        for name in sorted(asked):
            yield {name: Log(0, 9, 3, id_of(topics[name[0]]))}


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Brokers:
    """Have brokers, and a thread that is in a hurry."""
    monkeypatch.setattr(lookup_module, "_MIN_BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(lookup_module, "_MAX_BACKOFF_SECONDS", 0.02)
    monkeypatch.setattr(lookup_module, "LOOK_SECONDS", 0.05)
    return Brokers()


@pytest.fixture
def looking(brokers: Brokers) -> Iterator[Callable[..., Lookup]]:
    """Start lookups, which end with the test."""
    started: list[Lookup] = []

    def connect(_: object) -> Any:  # noqa: ANN401 - what answers like Questions
        return brokers.connect()

    def start(*, is_latest: bool = False, **wanted: int) -> Lookup:
        names = {"a0": A, "a1": B, "b0": C}
        lookup = Lookup({}, connect, is_latest=is_latest)
        lookup.wanted = {names[name]: number for name, number in wanted.items()}
        started.append(lookup)
        lookup.start()
        return lookup

    yield start
    for lookup in started:
        lookup.close()
    ends = {each for each in threading.enumerate() if each.name == "lookup"}
    for each in ends:
        each.join(PATIENCE_SECONDS)


def found_by(lookup: Lookup, count: int) -> dict[Partition, Found]:
    """Wait for so many answers."""
    found: dict[Partition, Found] = {}

    def look() -> int:
        found.update({each.partition: each for each in lookup.found()})
        return len(found)

    eventually(look, PATIENCE_SECONDS, f"{count} answers", until=count.__eq__)
    return found


def test_all_that_wait_are_asked_for_at_once(
    looking: Callable[..., Lookup], brokers: Brokers
) -> None:
    found = found_by(looking(a0=1, a1=2, b0=3), 3)
    assert brokers.rounds == [{A, B, C}]
    assert found[C] == Found(C, 3, Committed(5, ""), Log(0, 9, 3, "two"))


def test_what_is_not_answered_keeps_nothing_else_waiting_and_is_asked_again(
    looking: Callable[..., Lookup], brokers: Brokers
) -> None:
    brokers.silent, brokers.unsaid = {A}, {C}
    lookup = looking(a0=1, a1=2, b0=3)
    assert found_by(lookup, 1).keys() == {B}
    eventually(
        lambda: lookup.trouble, PATIENCE_SECONDS, "a reason", until=lambda text: "committed" in text
    )
    brokers.unsaid = set()
    assert found_by(lookup, 1).keys() == {C}
    eventually(
        lambda: lookup.trouble, PATIENCE_SECONDS, "a reason", until=lambda text: "leaders" in text
    )
    eventually(lambda: brokers.rounds[-1], PATIENCE_SECONDS, "one left", until={A}.__eq__)
    brokers.silent = set()
    assert found_by(lookup, 1)[A].number == 1
    eventually(lambda: lookup.trouble, PATIENCE_SECONDS, "no reason", until="".__eq__)


def test_clients_that_got_no_answer_are_thrown_away(
    looking: Callable[..., Lookup], brokers: Brokers
) -> None:
    brokers.are_away = True
    lookup = looking(a0=1)
    eventually(lambda: brokers.clients, PATIENCE_SECONDS, "clients", until=lambda n: n > 3)
    assert lookup.trouble == "no broker answers"
    brokers.are_away = False
    found_by(lookup, 1)
    assert brokers.closed >= brokers.clients - 1


def test_a_partition_that_is_back_is_another_question(
    looking: Callable[..., Lookup], brokers: Brokers
) -> None:
    lookup = looking(a0=1)
    found_by(lookup, 1)
    lookup.wanted = {A: 2}
    lookup.ask_now()
    assert found_by(lookup, 1)[A].number == 2
    assert brokers.rounds == [{A}, {A}]


def test_with_latest_it_is_asked_whether_the_group_starts_where_nothing_is_committed(
    looking: Callable[..., Lookup], brokers: Brokers
) -> None:
    brokers.fresh, brokers.knows_first_start = {A}, False
    lookup = looking(is_latest=True, a0=1, a1=2)
    assert found_by(lookup, 1)[B].first_start is None
    brokers.knows_first_start = True
    assert found_by(lookup, 1)[A].first_start == FIRST_START
    assert found_by(looking(a0=1), 1)[A].first_start is None


def test_the_ids_of_the_topics_that_are_read_are_looked_at_now_and_then(
    looking: Callable[..., Lookup], brokers: Brokers
) -> None:
    lookup = looking()
    lookup.read = frozenset({"a"})
    eventually(lambda: dict(lookup.topic_ids), PATIENCE_SECONDS, "ids", until={"a": "one"}.__eq__)
    brokers.ids["a"] = "three"
    eventually(lambda: dict(lookup.topic_ids), PATIENCE_SECONDS, "ids", until={"a": "three"}.__eq__)


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("fetch failed due to requested offset not available on the broker", Gone()),
        (
            "Partition log truncation detected at offset 500: broker end offset is 490 (offset",
            Gone(490, is_compared=True),
        ),
        (
            "No epoch found less or equal to offset 500: broker end offset is -1 (offset leader",
            Gone(None, is_compared=True),
        ),
    ],
)
def test_where_a_log_diverges_stands_in_librdkafkas_text(text: str, gone: Gone) -> None:
    error = KafkaError(KafkaError._AUTO_OFFSET_RESET, text)  # noqa: SLF001 - librdkafka's local error codes are spelt so
    assert meaning_of(FakeMessage(error=error)) == gone


def test_metadata_that_is_too_long_is_told_by_partition() -> None:
    error = KafkaError(KafkaError.OFFSET_METADATA_TOO_LARGE)
    answer = commit_answer(error, [TopicPartition("a", 0, 5), TopicPartition("a", 1, 5)])
    assert answer == CommitAnswer({}, str(error), too_long=frozenset({A, B}))


def test_a_topic_that_has_an_id_and_is_not_described_is_asked_for_again(
    brokers: Brokers, looking: Callable[..., Lookup]
) -> None:
    """Without the id nobody could tell whether its log was cut off or is another one."""
    brokers.undescribed, brokers.metadata = {"a"}, '{"topic_id":"one"}'
    lookup = looking(a0=1, b0=2)
    assert set(found_by(lookup, 1)) == {C}
    eventually(
        lambda: lookup.trouble, PATIENCE_SECONDS, "trouble", until=lambda text: "describe" in text
    )
    brokers.undescribed = set()
    assert found_by(lookup, 1)[A].log.topic_id == "one"


def test_a_topic_of_brokers_that_give_no_ids_begins_without(
    brokers: Brokers, looking: Callable[..., Lookup]
) -> None:
    brokers.undescribed = {"a"}
    assert found_by(looking(a0=1), 1)[A].log.topic_id == ""


def test_ids_are_looked_at_while_a_leader_is_silent(
    brokers: Brokers, looking: Callable[..., Lookup]
) -> None:
    brokers.silent = {A}
    lookup = looking(a0=1)
    lookup.read = frozenset({"b"})
    eventually(
        lambda: lookup.topic_ids.get("b"),
        PATIENCE_SECONDS,
        "the id",
        until=lambda found: found == "two",
    )


def test_clients_that_get_no_answers_are_thrown_away(
    brokers: Brokers, looking: Callable[..., Lookup]
) -> None:
    """What they know of leaders and of the controller may be what is wrong."""
    brokers.silent = {A}
    looking(a0=1)
    made = eventually(lambda: brokers.clients, PATIENCE_SECONDS, "new ones", until=lambda n: n > 2)
    assert brokers.closed >= made - 1


def test_topics_that_are_read_no_more_are_forgotten(
    brokers: Brokers, looking: Callable[..., Lookup]
) -> None:
    lookup = looking(b0=1)
    found_by(lookup, 1)
    assert dict(lookup.topic_ids) == {"b": "two"}
    lookup.read, lookup.wanted = frozenset({"a"}), {}
    eventually(lambda: dict(lookup.topic_ids), PATIENCE_SECONDS, "ids", until={"a": "one"}.__eq__)
    brokers.undescribed = {"a"}
    lookup.read = frozenset({"a", "b"})
    both = {"a": "one", "b": "two"}  # one that gets no answer once is not forgotten
    eventually(lambda: dict(lookup.topic_ids), PATIENCE_SECONDS, "ids", until=both.__eq__)


# What is asked of librdkafka


class Leaders:
    """Answers like librdkafka's admin client: a question when the last leader it is for answers."""

    def __init__(self, *_: object) -> None:
        self.leader_of = {A: 1, B: 2, C: 2}
        self.silent = {1}
        self.questions: list[set[Partition]] = []

    def list_offsets(self, asked: Iterable[Any], **_: object) -> "dict[Any, Future[Any]]":
        """Answer, or keep it waiting."""
        futures: dict[Any, Future[Any]] = {at: Future() for at in asked}
        names = {(at.topic, at.partition) for at in futures}
        self.questions.append(names)
        if self.silent.isdisjoint(self.leader_of[name] for name in names):
            for future in futures.values():
                future.set_result(SimpleNamespace(offset=5, leader_epoch=3))
        return futures

    def described(self) -> dict[str, Any]:
        """Return the topics as they are described."""
        found: dict[str, Any] = {}
        for (topic, partition), leader in self.leader_of.items():
            empty = SimpleNamespace(topic_id=topic, partitions=[])
            led = SimpleNamespace(id=partition, leader=SimpleNamespace(id=leader))
            found.setdefault(topic, empty).partitions.append(led)
        return found


@pytest.fixture
def leaders(monkeypatch: pytest.MonkeyPatch) -> Leaders:
    leaders = Leaders()
    monkeypatch.setattr(questions_module, "AdminClient", lambda _: leaders)
    monkeypatch.setattr(questions_module, "_SOON_SECONDS", 0.05)
    monkeypatch.setattr(questions_module, "TIMEOUT_SECONDS", 0.1)
    return leaders


def test_a_leader_that_is_silent_keeps_no_answer_of_others_back(leaders: Leaders) -> None:
    with closing(Questions({"bootstrap.servers": "127.0.0.1:1", "log_level": 0}, "g")) as questions:
        rounds = list(questions.logs([A, B, C], leaders.described()))
    assert rounds == [{B: Log(5, 5, 3, "a"), C: Log(5, 5, 3, "b")}, {}]
    assert sorted(map(sorted, leaders.questions)) == [[A], [A], [B, C], [B, C]]


def test_a_partition_without_a_leader_is_not_asked_for_and_of_unknown_ones_all_are(
    leaders: Leaders,
) -> None:
    leaders.silent, leaders.leader_of[A] = set(), -1
    topics = {**leaders.described(), "b": None}
    with closing(Questions({"bootstrap.servers": "127.0.0.1:1", "log_level": 0}, "g")) as questions:
        soon, late = questions.logs([A, B, C, ("c", 0)], topics)
    assert (soon, late) == ({B: Log(5, 5, 3, "a"), C: Log(5, 5, 3, "")}, {})


def test_no_answer_of_a_leader_is_no_offset(
    broker: "Broker", topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library calls it a success at the offset -1001, and the log seemed to be cut off."""
    monkeypatch.setattr(questions_module, "TIMEOUT_SECONDS", 1.0)
    monkeypatch.setattr(questions_module, "_SOON_SECONDS", 1.5)
    way_in, proxy = broker.proxied(0)
    loses = [True]
    proxy.meddle(answers_of(LIST_OFFSETS, lost, lambda: bool(loses)))
    try:
        with closing(Questions({"bootstrap.servers": way_in, "log_level": 0}, "g")) as questions:
            topics = questions.topics([topic])
            assert list(questions.logs([(topic, 0)], topics)) == [{}, {}]
            loses.clear()
            (found,) = (logs for logs in questions.logs([(topic, 0)], topics) if logs)
    finally:
        proxy.meddle(None)
    assert found[topic, 0].end == 0
