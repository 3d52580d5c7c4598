"""A record that can't be read yet: the intake leaves it, and all behind it, where they are."""

import random
from typing import TYPE_CHECKING

import pytest

from consumer.core.schemas.compiled import Compiled
from consumer.core.schemas.reader import PlainReadings, SchemaReader
from tests.support.driver import Driver
from tests.support.records import FakeMessage, event

if TYPE_CHECKING:
    from consumer.core.events import Malformed

OLD, NEW = b"\0\0\0\0\1", b"\0\0\0\0\2"
JSON = Compiled("JSON Schema", "", None)


def a_driver(*known: bytes, partitions: int = 1, **rules: object) -> Driver:
    schemas: dict[bytes, Compiled | Malformed] = dict.fromkeys(known, JSON)
    reader = SchemaReader(schemas, PlainReadings("id"))
    return Driver(partitions=partitions, reader=reader, **rules)  # type: ignore[arg-type]  # whatever a driver takes


def old(name: str) -> bytes:
    return OLD + event("add", name)


def new(name: str) -> bytes:
    return NEW + event("add", name)


def at(partition: int, offset: int, value: bytes | None, epoch: int | None = None) -> FakeMessage:
    return FakeMessage(partition=partition, offset=offset, value=value, leader_epoch=epoch)


def test_i1_the_position_is_in_front_of_it_and_behind_all_that_came_before() -> None:
    driver = a_driver(OLD)
    assert driver.read(old("a"), old("b"), new("c"), old("d")) == 4
    (ledger,) = driver.ledgers
    assert ledger.position == 2
    assert driver.committable() == 0  # until a is delivered
    assert driver.wait().run() == ["add a b"]
    assert driver.committable() == 2
    assert driver.pipeline.awaited == {("audience", 0): NEW}
    assert driver.count("records_total", "accepted") == 2


def test_nothing_moves_where_it_is_the_first_of_its_run() -> None:
    driver = a_driver(OLD, partitions=3)
    driver.receive([at(0, 0, old("a")), at(1, 0, new("b")), at(1, 1, old("c")), at(2, 0, old("d"))])
    assert [ledger.position for ledger in driver.ledgers] == [1, 0, 1]
    driver.receive([at(1, 2, old("e")), at(0, 1, old("f")), at(1, 3, old("g"))])
    assert [ledger.position for ledger in driver.ledgers] == [2, 0, 1]


def test_gap_and_epoch_are_of_what_was_taken_in() -> None:
    driver = a_driver(OLD)
    (ledger,) = driver.ledgers
    driver.receive([at(0, 0, old("a"), 3), at(0, 1, new("b"), 4), at(0, 2, old("c"), 5)])
    assert ledger.leader_epoch == 3
    ledger.pass_gap(7)
    driver.pipeline.awaited.clear()
    driver.receive([at(0, 9, new("b"), 4)])
    assert (ledger.position, ledger.gap, ledger.leader_epoch) == (7, 6, 3)


def test_it_is_taken_in_once_when_it_is_read_again() -> None:
    driver = a_driver(OLD, NEW)
    schemas = driver.pipeline._intake._reader._known  # type: ignore[union-attr]  # noqa: SLF001 - what it reads by
    del schemas[NEW]
    driver.read(old("a"), new("b"), new("c"))
    schemas[NEW] = JSON
    assert driver.read(new("b"), new("c")) == 2
    assert driver.ledgers[0].position == 1  # as long as the loop hasn't taken it back
    del driver.pipeline.awaited["audience", 0]
    assert driver.read(new("b"), new("c")) == 2
    assert driver.ledgers[0].position == 3
    assert driver.count("records_total", "accepted") == 3
    assert driver.wait().run() == ["add a b c"]
    assert driver.committable() == 3


def test_it_is_no_refusal_and_ends_no_row_of_them() -> None:
    driver = a_driver(OLD, dead_letter_max_consecutive=3)
    driver.read(b"x", b"y", new("a"), b"z")
    assert not driver.throttle.holds
    assert len(driver.dead_letters()) == 2


def test_one_that_is_forgotten_is_awaited_no_more() -> None:
    driver = a_driver(OLD)
    driver.read(new("a"))
    driver.pipeline.forget(driver.ledgers)
    assert driver.pipeline.awaited == {}
    ledger = driver.assign(0, 5)
    driver.receive([at(0, 5, old("b"))])
    assert ledger.position == 6


@pytest.mark.parametrize("seed", range(30))
def test_whatever_is_between_each_partition_is_taken_up_to_its_first_that_waits(seed: int) -> None:
    """In batches that fill up in the midst of it, and in chunks, as the loop has them."""
    draw = random.Random(seed)
    driver = a_driver(OLD, partitions=3, batch_max_ids=draw.choice([1, 3, 1000]))
    offsets, waits = [0, 0, 0], [10**9] * 3
    messages = []
    for _ in range(200):
        partition = draw.choices(range(3), [1, 2, 5])[0]
        offset = offsets[partition]
        offsets[partition] += draw.choice([1, 1, 3])
        is_new = draw.random() < 0.02
        if is_new:
            waits[partition] = min(waits[partition], offset)
        messages.append(at(partition, offset, (new if is_new else old)(f"{partition}-{offset}")))
    begun = 0
    while begun < len(messages):
        size = draw.randint(1, 40)
        driver.receive(messages[begun : begun + size])
        begun += size
    taken = {
        (each.partition(), each.offset())
        for each in messages
        if each.offset() < waits[each.partition()]
    }
    last = [max((o for p, o in taken if p == partition), default=-1) for partition in range(3)]
    assert [ledger.position for ledger in driver.ledgers] == [offset + 1 for offset in last]
    assert driver.count("records_total", "accepted") == len(taken)
    waiting = {("audience", p): NEW for p in range(3) if waits[p] < 10**9}
    assert driver.pipeline.awaited == waiting
