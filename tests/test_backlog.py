"""The sealed batches of a lane: who waits for whom, and who is woken."""

import pytest

from consumer.core.backlog import MOST_LOOKS
from tests.support.driver import DELIVERED, TIMED_OUT, TIMEOUT, UNAVAILABLE, Driver, describe
from tests.support.sizes import record


@pytest.fixture
def driver() -> Driver:
    return Driver(batch_max_ids=2, partitions=2)


def test_what_was_sealed_later_is_not_in_the_way(driver: Driver) -> None:
    driver.throttle.limit = 1.0
    driver.read(record(1, "add", "x", "y"), record(1, "remove", "y", "z"))
    assert driver.sent() == ["add x y"]


def test_i2_when_the_nearest_is_over_those_before_it_are_in_the_way_as_before(
    driver: Driver,
) -> None:
    driver.read(
        record(1, "add", "x", "a"), record(1, "add", "x", "b"), record(1, "remove", "x", "c")
    )
    first, second = driver.attempts()
    driver.answer(second, DELIVERED)
    assert driver.sent() == []
    driver.answer(first, DELIVERED)
    assert driver.sent() == ["remove x c"]


def test_i2_what_is_in_the_way_by_another_id_too_stays_in_the_way(driver: Driver) -> None:
    driver.read(record(1, "add", "x"))
    driver.read(record(1, "add", "y"), partition=1)
    driver.read(record(1, "remove", "x", "y"))
    attempt = driver.one_try()
    driver.pipeline.forget([driver.ledgers[0]])
    driver.answer(attempt, UNAVAILABLE)
    driver.read(record(1, "remove", "x", "y"), partition=1)
    assert driver.sent() == ["add y"]


@pytest.mark.parametrize("outcome", [DELIVERED, TIMED_OUT])
def test_a_parked_batch_whose_id_was_released_is_free(driver: Driver, outcome: object) -> None:
    driver.read(record(1, "add", "x", "a"), partition=1)
    attempt = driver.one_try()
    driver.read(record(1, "remove", "x"))
    driver.read(record(1, "remove", "c"), partition=1)
    assert driver.sent() == []
    driver.pipeline.forget([driver.ledgers[0]])
    assert driver.sent() == ["remove c"]
    driver.answer(attempt, outcome)  # type: ignore[arg-type]  # one of the two outcomes


def test_a_parked_batch_that_loses_other_ids_goes_on_waiting(driver: Driver) -> None:
    driver.read(record(1, "add", "x", "a"), partition=1)
    attempt = driver.one_try()
    driver.read(record(1, "remove", "c"))
    driver.read(record(1, "remove", "x"), partition=1)
    assert driver.sent() == []
    driver.pipeline.forget([driver.ledgers[0]])
    assert driver.sent() == []
    driver.answer(attempt, DELIVERED)
    assert driver.sent() == ["remove x"]


def test_a_batch_parked_at_an_echo_leaves_when_that_is_over(driver: Driver) -> None:
    driver.read(record(1, "add", "x", "a"))
    driver.answer(driver.one_try(), TIMED_OUT)
    retry = driver.one_try()
    driver.read(record(1, "remove", "x", "b"))
    driver.answer(retry, DELIVERED)
    assert driver.sent() == []
    assert driver.wait(TIMEOUT).sent() == ["remove x b"]


def test_a_look_that_takes_long_goes_on_in_the_next_turn() -> None:
    driver = Driver(batch_max_ids=1)
    driver.read(record(1, "add", "x"))
    driver.one_try()
    driver.read(*[record(1, "remove", "x")] * (MOST_LOOKS + 10), record(1, "remove", "free"))
    assert driver.sent() == []
    assert driver.pipeline.next_wake() == driver.now
    assert driver.sent() == ["remove free"]
    assert driver.pipeline.next_wake() > driver.now


def test_a_long_chain_leaves_in_its_order() -> None:
    driver = Driver(batch_max_ids=1)
    actions = ["add", "remove"] * MOST_LOOKS
    driver.read(*(record(1, action, "x") for action in actions))
    sent: list[str] = []
    while driver.pipeline.held_ids:
        for attempt in driver.attempts():
            sent.append(describe(attempt))
            driver.answer(attempt, DELIVERED)
        driver.wait(0.1)
    assert sent == [f"{action} x" for action in actions]


def test_a_look_that_was_not_finished_is_no_reason_to_look_while_the_lane_backs_off(
    driver: Driver,
) -> None:
    driver.read(record(1, "remove", "x", "y"))
    driver.read(*(record(1, "add", "x", f"a{n}") for n in range(MOST_LOOKS + 1)))
    attempt = driver.one_try()
    driver.pipeline.wake(driver.now)
    lane = attempt.batch.lane
    assert lane.next_wake(driver.now) == driver.now
    lane.showed_hold = True
    assert driver.attempts() == []
    assert driver.pipeline.next_wake() > driver.now
