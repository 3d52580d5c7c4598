"""The crowd's producer gets everything into the topic in its order, and tells why if it can't."""

from typing import TYPE_CHECKING

import pytest

from tests.support.cluster import Record
from tests.support.crowd_producer import CrowdProducer
from tests.support.waiting import PATIENCE_SECONDS, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.kafka import Broker

PARTITIONS = 4
NOBODY = "127.0.0.1:1"


@pytest.fixture(autouse=True)
def _silences_on_purpose() -> "Iterator[None]":
    """Keep the silences of these tests from those who report them."""
    yield
    CrowdProducer.unread.clear()


def said() -> str:
    return "what the broker said"


def test_what_is_not_acknowledged_for_long_goes_through_another_client_in_its_order(
    broker: "Broker", topic: str
) -> None:
    """No record is there twice here, for the way swallowed all that the first client sent."""
    way_in, proxy = broker.proxied(0)
    producer = CrowdProducer(way_in, topic, said, silence_seconds=2)
    for number in range(50):
        producer.send(record(number))
    await_acknowledged(producer)
    proxy.black_hole()
    for number in range(50, 100):
        producer.send(record(number))
    eventually(lambda: producer.poll(0.05) and producer.silences, PATIENCE_SECONDS, "a silence")
    for number in range(100, 150):
        producer.send(record(number))
    proxy.reset()
    proxy.mend()
    await_acknowledged(producer)
    assert not producer.failures
    records = broker.read_all(topic)
    for partition in range(PARTITIONS):
        values = [int(each.value() or b"") for each in records if each.partition() == partition]
        assert values == [number for number in range(150) if number % PARTITIONS == partition]
    first, *_, last = producer.silences
    assert "50 records are not acknowledged" in first
    assert "waitresp_cnt" in first
    assert f"{topic}:3: leader 1" in first
    assert said() in first
    assert last.startswith("the next client was answered after")


def test_a_producer_without_a_broker_tells_what_it_tried() -> None:
    producer = CrowdProducer(NOBODY, "nothing", said)
    producer.send(record(0))

    def told() -> str:
        producer.poll(0.05)
        return producer.told()

    eventually(told, PATIENCE_SECONDS, "what it tried", until=has_told_all)
    assert not producer.silences


def has_told_all(told: str) -> bool:
    parts = ("1 records are not acknowledged", "refused", "TRY_CONNECT", "msg_cnt 1", said())
    return all(part in told for part in parts)


def record(number: int) -> Record:
    return Record(None, f"{number}", partition=number % PARTITIONS)


def await_acknowledged(producer: CrowdProducer) -> None:
    eventually(lambda: producer.poll(0.05), PATIENCE_SECONDS, "the rest", until=(0).__eq__)


def test_a_silence_is_told_though_its_test_passed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "from tests.support.crowd_producer import CrowdProducer\n"
        "def test_that_passes():\n"
        "    CrowdProducer.unread.append('nothing came')\n"
    )
    result = pytester.runpytest("-p", "tests.support.evidence", "-p", "no:cacheprovider", "-n", "1")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*was silent: *::test_that_passes*", "nothing came"])
