"""How often the cluster is asked about everything but records."""

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from consumer.kafka import observer as module
from consumer.kafka.credentials import Login, LoginWatch
from consumer.kafka.observer import Observer
from tests.support.embedded import embedded_broker
from tests.support.repeating import Repeating
from tests.support.waiting import PATIENCE_SECONDS, eventually

TOPIC = "audience"
NOBODY = "127.0.0.1:1"
SHORTEST_SECONDS, LONGEST_SECONDS = 0.1, 0.4
LONG_SECONDS = 0.9 * LONGEST_SECONDS
MANY_SECONDS = 0.3
ROUNDS = 3
"""After so many that are alike it rests as long as it may."""


class Moving(Repeating):
    """A producer that lets the topic grow all the time."""

    def __init__(self, address: str) -> None:
        super().__init__(SHORTEST_SECONDS / 4)
        self._producer = Producer({"bootstrap.servers": address, "log_level": 0})

    def turn(self) -> None:
        """Produce one record."""
        self._producer.produce(TOPIC, b"{}", partition=0)
        self._producer.flush(PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Have a broker."""
    with embedded_broker(TOPIC) as address:
        yield address


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have rounds in a thirtieth of their times."""
    monkeypatch.setattr(module, "_SHORTEST_SECONDS", SHORTEST_SECONDS)
    monkeypatch.setattr(module, "_LONGEST_SECONDS", LONGEST_SECONDS)


def observing(address: str, *topics: str) -> Observer:
    """Return an observer of a member that has a partition; it ends with the process."""
    properties = {"bootstrap.servers": address, "log_level": 0}
    observer = Observer(properties, "group", topics, None, asks_session=False)
    observer.partitions = ((TOPIC, 0),)
    observer.start()
    eventually(lambda: observer.view.ends, PATIENCE_SECONDS, "a view")
    return observer


def rests(observer: Observer, views: int) -> list[float]:
    """Return how long it was from each view to the next, of so many that are seen to come.

    A machine that stalls makes some of them longer, and others shorter.
    """
    seen: list[tuple[float, object]] = [(0.0, observer.view)]

    def look() -> int:
        if seen[-1][1] is not (view := observer.view):
            seen.append((time.monotonic(), view))
        return len(seen)

    eventually(look, PATIENCE_SECONDS, f"{views} views", until=lambda count: count > views + 1)
    return [after - before for (before, _), (after, _) in pairwise(seen[1:])]


def test_the_cluster_is_asked_ever_more_seldom_while_the_answers_stay_the_same(
    address: str,
) -> None:
    observer = observing(address, TOPIC)
    rests(observer, ROUNDS)
    assert max(rests(observer, ROUNDS)) > LONG_SECONDS


def test_many_partitions_are_asked_about_more_seldom_though_their_ends_move(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PARTITION_SECONDS", MANY_SECONDS)
    with Moving(address):
        observer = observing(address, TOPIC)
        rests(observer, 1)
        before = observer.view.ends
        assert sum(rests(observer, ROUNDS)) > 0.9 * ROUNDS * MANY_SECONDS
        assert observer.view.ends != before


def test_many_partitions_of_which_one_is_silent_are_asked_about_often(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PARTITION_SECONDS", MANY_SECONDS)
    observer = observing(address, TOPIC)
    observer.silent = {(TOPIC, 0): 0}
    rests(observer, ROUNDS)
    assert min(rests(observer, ROUNDS)) < 0.9 * MANY_SECONDS


def test_the_ends_of_however_many_are_asked_for_as_often_as_they_must_be() -> None:
    assert module._shortest(1) == SHORTEST_SECONDS  # noqa: SLF001 - a partition takes no time yet
    assert module._shortest(100_000) == LONGEST_SECONDS  # noqa: SLF001


def test_a_change_has_the_cluster_asked_often_again(address: str) -> None:
    observer = observing(address, TOPIC)
    shortest = []
    for partitions in (((TOPIC, 0), (TOPIC, 1), (TOPIC, 2)), ((TOPIC, 0), (TOPIC, 1))):
        rests(observer, ROUNDS)
        observer.partitions = partitions
        observer.ask_now()
        shortest.append(min(rests(observer, 2)))
    assert min(shortest) < LONG_SECONDS
    assert observer.view.ends.keys() == {(TOPIC, 0), (TOPIC, 1)}


def test_a_member_that_is_in_no_group_yet_is_not_kept_waiting(address: str) -> None:
    observer = observing(address, TOPIC)
    observer.partitions = ()
    rests(observer, ROUNDS)
    assert min(rests(observer, ROUNDS)) < LONG_SECONDS


class Waking(Repeating):
    """Wakes an observer all the time, as a client does whose trouble repeats."""

    def __init__(self, observer: Observer) -> None:
        super().__init__(pause_seconds=0.01)
        self._observer = observer

    def turn(self) -> None:
        """Wake it."""
        self._observer.ask_now()


def test_whoever_wakes_it_all_the_time_does_not_have_the_cluster_asked_all_the_time(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All together tell: one that is seen late makes the next one look shorter."""
    monkeypatch.setattr(module, "_LEAST_SECONDS", 1.0)
    observer = observing(address, TOPIC)
    with Waking(observer):
        _, *woken = rests(observer, 5)
    assert sum(woken) > 2.0


def test_a_client_that_can_not_be_made_while_a_file_is_missing_is_made_later(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the one of the old certificate goes on until that is over, and sees nothing then."""
    made: list[bool] = []

    def make(properties: dict[str, Any]) -> AdminClient:
        made.append(len(made) > 0)
        if len(made) == 1:
            raise KafkaException(KafkaError(KafkaError._INVALID_ARG, "no such file"))  # noqa: SLF001 - librdkafka's local error codes are spelt so
        return AdminClient(properties)

    observer = observing(address, TOPIC)
    watch = LoginWatch({}, dict, lambda _: "", lambda *_, **__: None)
    observer.follow(watch)
    monkeypatch.setattr(module, "AdminClient", make)
    watch.now = Login({}, {"ssl.key.location": "another"})
    eventually(lambda: made, PATIENCE_SECONDS, "a new client", until=[False, True].__eq__)
    eventually(lambda: observer.view.unreachable is None, PATIENCE_SECONDS, "a view")


def test_a_client_that_nobody_answers_for_long_is_let_go_for_a_new_one(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may know no broker any more, for ever, though there is one."""
    observer = observing(address, TOPIC)
    lost = AdminClient({"bootstrap.servers": NOBODY, "log_level": 0})
    observer._admin = lost  # noqa: SLF001 - no test can have librdkafka lose its brokers at will
    eventually(lambda: observer.view.unreachable, PATIENCE_SECONDS, "a view of nothing")
    assert observer._admin is lost, "it is not silent for long yet"  # noqa: SLF001 - see above
    monkeypatch.setattr(module, "_SILENCE_SECONDS", 0.0)
    eventually(lambda: observer.view.unreachable is None, PATIENCE_SECONDS, "a view")
