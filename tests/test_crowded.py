"""What goes first when the buffer is full, so that what waits in Kafka has room soon."""

from collections.abc import Sequence

import pytest

from consumer.core.attempts import Attempt
from consumer.core.turns import OTHERS_TURNS
from tests.support.driver import DELIVERED, LINGER, UNAVAILABLE, Driver, describe
from tests.support.records import event

SMALL, LARGE, OTHER = 1, 2, 3


@pytest.fixture
def driver() -> Driver:
    """Return a driver with a full buffer, for requests of two ids, one at a time."""
    driver = Driver(partitions=2, batch_max_ids=2, max_in_flight=1)
    driver.is_crowded = True
    return driver


def add(segment: int, *ids: str) -> bytes:
    """Return a record."""
    return event("add", *ids, segment=segment)


def sent(driver: Driver, count: int, *, is_refilled: bool = False) -> list[str]:
    """Let so many requests be delivered, one by one; return them.

    If ``is_refilled``, the large segment gets two ids more after each.
    """
    found: list[Attempt] = []
    for number in range(count):
        (attempt,) = driver.wait(0.01).attempts()
        found.append(attempt)
        driver.answer(attempt, DELIVERED)
        if is_refilled:
            driver.read(add(LARGE, f"{number}a {driver.now}", f"{number}b {driver.now}"))
    return described(found)


def described(attempts: Sequence[Attempt]) -> list[str]:
    """Return segments and ids."""
    return [f"{each.batch.lane.segment_id}: {describe(each)}" for each in attempts]


@pytest.mark.parametrize("is_crowded", [True, False])
def test_what_is_full_goes_before_what_is_due_if_nothing_can_be_read(
    driver: Driver, *, is_crowded: bool
) -> None:
    driver.is_crowded = is_crowded
    driver.read(add(SMALL, "s"))
    driver.wait(LINGER).pipeline.wake(driver.now)
    driver.read(add(LARGE, "x", "y"))
    in_turns = ["1: add s", "2: add x y"]
    assert sent(driver, 2) == (in_turns[::-1] if is_crowded else in_turns)


def test_i4_what_is_due_has_one_of_some_turns_however_much_is_full(driver: Driver) -> None:
    driver.read(add(LARGE, "x", "y"), add(LARGE, "z", "u"), add(SMALL, "s"), add(OTHER, "o"))
    driver.wait(LINGER)
    found = sent(driver, 4 * OTHERS_TURNS, is_refilled=True)
    others = [found.index("1: add s"), found.index("3: add o")]
    assert others == sorted(others)
    assert others[0] >= OTHERS_TURNS - 1
    assert others[1] <= 3 * OTHERS_TURNS


def test_i4_a_lane_with_much_that_is_full_sends_what_else_is_due_of_it(driver: Driver) -> None:
    driver.read(event("remove", "s", segment=LARGE))
    driver.wait(LINGER).pipeline.wake(driver.now)
    driver.read(add(LARGE, "x", "y"), add(LARGE, "z", "u"))
    found = sent(driver, 3 * OTHERS_TURNS, is_refilled=True)
    assert found[0] == "2: add x y"
    assert "2: remove s" in found


def test_i4_a_lane_with_much_that_is_full_keeps_its_turn_among_those_that_are_due() -> None:
    driver = Driver(batch_max_ids=2, max_in_flight=1, linger_seconds=0.0)
    driver.is_crowded = True
    driver.read(event("remove", "s", segment=LARGE), add(LARGE, "x", "y"), add(LARGE, "z", "u"))
    found: list[str] = []
    for number in range(4 * OTHERS_TURNS):
        driver.read(add(100 + number, "s"))
        found += sent(driver, 1, is_refilled=True)
    assert "2: remove s" in found


def test_i4_lanes_with_full_requests_take_turns(driver: Driver) -> None:
    driver.read(add(LARGE, "x", "y"), add(LARGE, "z", "u"), add(LARGE, "v", "w"))
    driver.read(add(OTHER, "a", "b"), add(OTHER, "c", "d"))
    assert [each[0] for each in sent(driver, 5)] == ["2", "3", "2", "3", "2"]


def test_what_fails_goes_before_nobody(driver: Driver) -> None:
    driver.read(add(LARGE, "x", "y"), add(LARGE, "z", "u"))
    driver.answer(driver.one_try(), UNAVAILABLE, jitter=0.999)
    driver.read(add(SMALL, "s"))
    driver.wait(LINGER).pipeline.wake(driver.now)
    driver.read(add(OTHER, "a", "b"))
    assert sent(driver, 2) == ["3: add a b", "1: add s"]


def test_i9_what_must_leave_before_a_partition_goes_before_what_is_full(driver: Driver) -> None:
    driver.read(add(LARGE, "x", "y"))
    driver.read(add(SMALL, "s"), partition=1)
    driver.pipeline.flush([driver.ledgers[1]], driver.now, "revoke")
    assert sent(driver, 2) == ["1: add s", "2: add x y"]


def test_what_is_full_no_more_goes_before_nobody(driver: Driver) -> None:
    driver.read(add(SMALL, "s"))
    driver.wait(LINGER).pipeline.wake(driver.now)
    driver.read(add(LARGE, "x", "y"), event("remove", "x", segment=LARGE))
    assert sent(driver, 2) == ["1: add s", "2: add y"]
