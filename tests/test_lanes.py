"""The ordering rule, case by case (invariant I2): whose request has to wait for whose."""

import math
from collections.abc import Sequence

import pytest

from consumer.core.attempts import Attempt
from consumer.core.lanes import SLOW_SECONDS, Lane
from consumer.core.outcomes import Answered, Outcome, Retry, RetryReason, Unsent, outcome_of
from consumer.core.turns import Turns
from tests.support.driver import (
    CUT_SHORT,
    DELIVERED,
    LINGER,
    NOT_CONNECTED,
    REFUSED,
    THROTTLED,
    TIMED_OUT,
    TIMEOUT,
    UNAUTHORIZED,
    UNAVAILABLE,
    Driver,
)
from tests.support.records import event


@pytest.fixture
def driver() -> Driver:
    return Driver(partitions=2)


# -- what has to wait ---------------------------------------------------------------------------


def test_a_remove_waits_for_an_add_in_flight(driver: Driver) -> None:
    driver.read(event("add", "x"))
    add = driver.wait().one_try()
    driver.read(event("remove", "x"))
    assert driver.wait().sent() == []
    driver.answer(add, DELIVERED)
    assert driver.sent() == ["remove x"]


def test_an_add_waits_for_a_remove_in_flight(driver: Driver) -> None:
    driver.read(event("remove", "x"))
    remove = driver.wait().one_try()
    driver.read(event("add", "x"))
    assert driver.wait().sent() == []
    driver.answer(remove, DELIVERED)
    assert driver.sent() == ["add x"]


@pytest.mark.parametrize("failure", [UNAVAILABLE, THROTTLED, NOT_CONNECTED])
def test_a_remove_takes_the_place_of_an_add_that_came_back(
    driver: Driver, failure: Outcome
) -> None:
    driver.read(event("add", "x", "y"))
    add = driver.wait().one_try()
    driver.read(event("remove", "x"))
    assert driver.wait().sent() == []
    driver.answer(add, failure, jitter=0.999)
    assert driver.count("ids_total", "add", "superseded") == 1
    assert driver.sent() == ["remove x"]
    assert driver.wait(60.0).run() == ["add y"]


@pytest.mark.parametrize("failure", [TIMED_OUT, CUT_SHORT])
def test_i2_a_remove_waits_for_the_deadline_of_an_ambiguous_add_though_it_took_its_place(
    driver: Driver, failure: Outcome
) -> None:
    driver.read(event("add", "x"))
    add = driver.wait().one_try()
    driver.answer(add, failure)
    driver.read(event("remove", "x"))
    assert driver.wait(TIMEOUT - 0.001).sent() == []
    assert driver.wait(0.001).run() == ["remove x"]
    assert driver.count("ids_total", "add", "superseded") == 1


@pytest.mark.parametrize("failure", [TIMED_OUT, CUT_SHORT])
def test_a_remove_waits_for_an_ambiguous_adds_deadline_though_its_retry_succeeded(
    driver: Driver, failure: Outcome
) -> None:
    """The API may apply the first attempt yet, until its own deadline."""
    driver.read(event("add", "x"))
    driver.read(event("remove", "y"))
    first = next(each for each in driver.wait().attempts() if each.batch.action == "add")
    driver.answer(first, failure)
    second = driver.one_try()
    driver.answer(second, DELIVERED)
    driver.read(event("remove", "x"))
    driver.wait(TIMEOUT - 0.001)
    assert driver.sent() == []
    driver.wait(0.001)
    assert driver.sent() == ["remove x"]


@pytest.mark.parametrize("failure", [UNAVAILABLE, THROTTLED, NOT_CONNECTED])
def test_a_remove_does_not_wait_after_a_try_that_can_not_have_been_applied(
    driver: Driver, failure: Outcome
) -> None:
    driver.read(event("add", "x"))
    driver.answer(driver.wait().one_try(), failure)
    driver.answer(driver.one_try(), DELIVERED)
    driver.read(event("remove", "x"))
    assert driver.wait().sent() == ["remove x"]


@pytest.mark.parametrize("outcome", [UNAUTHORIZED, Unsent("the lease is over")])
def test_a_remove_takes_the_place_of_an_add_that_was_held_or_not_sent(
    driver: Driver, outcome: Outcome
) -> None:
    driver.read(event("add", "x"))
    driver.answer(driver.wait().one_try(), outcome)
    driver.read(event("remove", "x"))
    driver.wait(60.0)
    assert driver.run() == ["remove x"]


def test_two_ambiguous_tries_count_each_until_its_own_deadline(driver: Driver) -> None:
    driver.read(event("add", "x"))
    first = driver.wait().one_try()
    driver.answer(first, TIMED_OUT)
    driver.wait(TIMEOUT - 1.0)
    second = driver.one_try()
    driver.answer(second, TIMED_OUT)
    driver.answer(driver.one_try(), DELIVERED)
    driver.read(event("remove", "x"))
    driver.wait(TIMEOUT - 0.001)
    assert driver.sent() == []
    driver.wait(0.001)
    assert driver.sent() == ["remove x"]


def test_an_answer_that_comes_after_the_deadline_delays_nothing(driver: Driver) -> None:
    driver.read(event("add", "x"))
    late = driver.wait().one_try()
    driver.read(event("remove", "x"))
    driver.wait(2 * TIMEOUT)
    driver.answer(late, TIMED_OUT)
    assert driver.run() == ["remove x"]


def test_full_batches_leave_in_the_order_of_their_opening() -> None:
    driver = Driver(batch_max_ids=1)
    for number in (1, 2):
        for action in ("add", "remove"):
            driver.read(event(action, f"{action}-{number}"))
            driver.wait(0.1)
    assert driver.run() == ["add add-1", "remove remove-1", "add add-2", "remove remove-2"]


def test_what_waits_for_an_answer_keeps_nothing_else_of_its_batch_waiting() -> None:
    """Not the others of its batch, and not what has to wait for those."""
    driver = Driver(batch_max_ids=2)
    driver.read(event("add", "x", "y"))
    add = driver.one_try()
    driver.read(event("remove", "x", "a"))
    removes = driver.one_try()
    assert removes.ids == ("a",)
    driver.read(event("add", "a"))
    assert driver.wait().sent() == []
    driver.answer(removes, DELIVERED)
    assert driver.sent() == ["add a"]
    driver.answer(add, DELIVERED)
    assert driver.sent() == ["remove x"]


# -- what has not -------------------------------------------------------------------------------


def test_another_id_does_not_wait(driver: Driver) -> None:
    driver.read(event("add", "x"))
    driver.wait().one_try()
    driver.read(event("remove", "y"))
    assert driver.wait().sent() == ["remove y"]


def test_another_segment_does_not_wait(driver: Driver) -> None:
    driver.read(event("add", "x"))
    driver.wait().one_try()
    driver.read(event("remove", "x", segment=2))
    assert driver.wait().sent() == ["remove x"]


def test_another_id_type_does_not_wait(driver: Driver) -> None:
    driver.read(event("add", "x@y"))
    driver.wait().one_try()
    driver.read(event("remove", "x@y", id_type="email"))
    driver.read(event("remove", "x@y", id_type="cio_id"))
    assert driver.wait().sent() == ["remove x@y", "remove x@y"]


def test_the_default_id_type_and_its_name_are_one_lane() -> None:
    driver = Driver(default_id_type="cio_id")
    driver.read(event("add", "x"))
    driver.wait().one_try()
    driver.read(event("remove", "x", id_type="cio_id"))
    assert driver.wait().sent() == []


def test_an_address_is_one_address_in_upper_and_lower_case(driver: Driver) -> None:
    driver.read(event("add", "Ann@Example.com", id_type="email"))
    driver.wait().one_try()
    driver.read(event("remove", "ann@example.COM", id_type="email"))
    assert driver.wait().sent() == []


def test_an_id_in_upper_case_is_another_id(driver: Driver) -> None:
    driver.read(event("add", "x"))
    driver.wait().one_try()
    driver.read(event("remove", "X"))
    assert driver.wait().sent() == ["remove X"]


def test_batches_of_one_action_fly_side_by_side(driver: Driver) -> None:
    """A repetition does no harm, and a backfill of millions runs at full concurrency."""
    driver = Driver(batch_max_ids=2)
    driver.read(event("add", "x", "y"))
    assert driver.sent() == ["add x y"]
    driver.read(event("add", "x", "z"), event("add", "a", "b"))
    assert driver.sent() == ["add x z", "add a b"]


def test_a_younger_batch_of_the_same_action_passes_one_in_backoff(driver: Driver) -> None:
    driver.read(event("add", "x"))
    driver.answer(driver.wait().one_try(), UNAVAILABLE, jitter=0.999)
    driver.wait(-LINGER)
    driver.read(event("add", "x", "y"))
    driver.wait(LINGER)
    assert driver.sent() == ["add y"]
    assert driver.count("ids_total", "add", "duplicate") == 1


@pytest.mark.parametrize("failure", [TIMED_OUT, CUT_SHORT])
def test_an_add_does_not_wait_for_an_ambiguous_add(driver: Driver, failure: Outcome) -> None:
    driver.read(event("add", "x"))
    driver.answer(driver.wait().one_try(), failure)
    driver.answer(driver.one_try(), DELIVERED)
    driver.read(event("add", "x"))
    assert driver.wait().sent() == ["add x"]


@pytest.mark.parametrize("status", [408, 500, 502, 503, 520, 524, 599])
def test_i2_a_remove_waits_for_the_deadline_of_an_add_that_a_5xx_answered(
    driver: Driver, status: int
) -> None:
    """An intermediary gave up on it; the API applied it later, after the remove."""
    driver.read(event("add", "x"))
    first = driver.wait().one_try()
    driver.wait(1.0).answer(first, outcome_of(Answered(status)))
    second = driver.one_try()
    driver.answer(second, DELIVERED)
    driver.read(event("remove", "x"))
    assert driver.wait(first.deadline - driver.now - 0.01).sent() == []
    assert driver.wait(0.01).sent() == ["remove x"]


# -- the open batches ---------------------------------------------------------------------------


def test_a_change_takes_its_id_out_of_the_open_batch_of_the_opposite_action(
    driver: Driver,
) -> None:
    driver.read(event("add", "x", "y"), event("remove", "x"))
    assert sorted(driver.wait().sent()) == ["add y", "remove x"]
    assert driver.count("ids_total", "add", "superseded") == 1


def test_a_list_takes_its_ids_out_of_the_open_batch_of_the_opposite_action(driver: Driver) -> None:
    driver.read(event("add", "x", "y"), event("remove", "x", "z"), event("add", "z", "v"))
    assert sorted(driver.wait().sent()) == ["add y z v", "remove x"]
    assert driver.count("ids_total", "add", "superseded") == 1
    assert driver.count("ids_total", "remove", "superseded") == 1
    assert driver.pipeline.held_ids == 4


def test_the_last_of_many_changes_in_one_linger_is_the_only_one_sent(driver: Driver) -> None:
    driver.read(*[event(action, "x") for action in ("add", "remove") * 10])
    assert driver.wait().run() == ["remove x"]
    assert driver.count("ids_total", "add", "superseded") == 10
    assert driver.count("ids_total", "remove", "superseded") == 9
    assert driver.committable() == 20


def test_the_same_id_twice_in_an_open_batch_is_one_id(driver: Driver) -> None:
    driver.read(event("add", "x", "x"), event("add", "x"))
    assert driver.wait().run() == ["add x"]
    assert driver.count("ids_total", "add", "duplicate") == 2


def test_an_id_in_flight_is_not_taken_out(driver: Driver) -> None:
    driver.read(event("add", "x"))
    driver.wait().one_try()
    driver.read(event("remove", "x"), event("add", "x"))
    assert driver.count("ids_total", "remove", "superseded") == 1
    assert driver.wait().sent() == ["add x"]


def test_i4_a_due_batch_that_may_not_leave_goes_on_filling(driver: Driver) -> None:
    driver.read(event("add", "x"))
    add = driver.wait().one_try()
    driver.read(event("remove", "x"))
    assert driver.wait().sent() == []
    driver.read(event("remove", "y"))
    driver.answer(add, DELIVERED)
    assert driver.sent() == ["remove x y"]


def test_i4_what_had_to_wait_leaves_with_younger_ones(driver: Driver) -> None:
    """It is due; and what is read while it waits has a linger of its own."""
    driver.read(event("add", "x"))
    add = driver.wait().one_try()
    driver.read(event("remove", "x", "y"))
    assert driver.wait().sent() == ["remove y"]
    driver.read(event("remove", "z"))
    assert driver.wait(LINGER - 0.1).sent() == []
    driver.answer(add, DELIVERED)
    assert driver.sent() == ["remove x z"]


def test_i4_what_waits_for_an_answer_does_not_shorten_the_linger_of_what_comes_next(
    driver: Driver,
) -> None:
    """Every id of a lane left alone while one of them had to wait."""
    driver.read(event("add", "x"))
    driver.wait().one_try()
    driver.read(event("remove", "x"))
    assert driver.wait().sent() == []
    driver.read(event("remove", "y"))
    assert driver.wait(LINGER - 0.1).sent() == []
    assert driver.wait(0.1).sent() == ["remove y"]


def test_i4_each_open_batch_leaves_when_its_own_linger_is_over(driver: Driver) -> None:
    driver.read(event("add", "x"))
    driver.wait(1.0).read(event("remove", "y"))
    assert driver.wait(LINGER - 1.0).sent() == ["add x"]
    assert driver.pipeline.next_wake() == driver.now + 1.0
    assert driver.wait(1.0).sent() == ["remove y"]


def test_i4_what_is_not_due_yet_does_not_leave_alone_because_something_older_waits(
    driver: Driver,
) -> None:
    driver.read(event("add", "x"))
    driver.wait().one_try()
    driver.read(event("add", "a"), event("remove", "x"))
    other = driver.wait().one_try()
    driver.read(event("remove", "y"))
    driver.answer(other, DELIVERED)
    assert driver.sent() == []
    assert driver.wait().sent() == ["remove y"]


def test_i4_an_open_batch_that_had_to_wait_leaves_with_what_came_since() -> None:
    driver = Driver(batch_max_ids=3)
    driver.read(event("add", "x"))
    driver.wait().one_try()
    driver.throttle.limit = 1.0
    driver.read(event("remove", "a", "b", "c"), event("add", "b"), event("remove", "x"))
    assert driver.sent() == []
    driver.throttle.limit = 8.0
    assert driver.sent() == ["remove a c"], "and what is open has to wait for x"
    driver.read(event("remove", "z"))
    assert sorted(driver.wait().sent()) == ["add b", "remove z"]


# -- a backlog ----------------------------------------------------------------------------------


def full_batches(driver: Driver, count: int) -> Attempt:
    """Let that many full batches of adds wait behind one in flight."""
    driver.throttle.limit = 1.0
    driver.read(*[event("add", f"c{number}") for number in range(count + 1)])
    return driver.one_try()


@pytest.mark.parametrize("count", [1, 3, 4, 50])
def test_a_change_takes_its_id_out_of_whatever_waits(count: int) -> None:
    driver = Driver(batch_max_ids=1, requests_per_second=1e9)
    running = full_batches(driver, count)
    driver.read(*[event("remove", f"c{number}") for number in range(1, count + 1)])
    assert driver.count("ids_total", "add", "superseded") == count
    assert driver.pipeline.held_ids == count + 1
    driver.answer(running, DELIVERED)
    assert driver.run() == [f"remove c{number}" for number in range(1, count + 1)]
    assert driver.committable() == 2 * count + 1


@pytest.mark.parametrize("count", [1, 3, 4, 50])
def test_a_change_that_waits_already_is_dropped(count: int) -> None:
    driver = Driver(batch_max_ids=1, requests_per_second=1e9)
    running = full_batches(driver, count)
    driver.read(*[event("add", f"c{number}") for number in range(1, count + 1)])
    assert driver.count("ids_total", "add", "duplicate") == count
    assert driver.committable() == 0
    driver.answer(running, DELIVERED)
    assert driver.run() == [f"add c{number}" for number in range(1, count + 1)]
    assert driver.committable() == 2 * count + 1


def test_what_is_left_of_many_batches_leaves_as_few() -> None:
    driver = Driver(batch_max_ids=4)
    driver.throttle.limit = 1.0
    driver.read(*[event("add", f"c{number}") for number in range(20)])
    running = driver.one_try()
    driver.read(*[event("remove", f"c{number}") for number in range(4, 20) if number % 4])
    driver.answer(running, DELIVERED)
    assert driver.run()[0] == "add c4 c8 c12 c16"


def test_i1_a_batch_made_of_several_holds_what_came_with_each_of_them() -> None:
    driver = Driver(batch_max_ids=4)
    driver.throttle.limit = 1.0
    driver.read(*[event("add", f"c{number}") for number in range(12)])
    running = driver.one_try()
    driver.read(*[event("remove", f"c{number}") for number in (4, 5, 8)])
    driver.answer(running, DELIVERED)
    driver.throttle.limit = 1.0
    first = driver.one_try()
    assert first.ids == ("c6", "c7", "c9", "c10")
    driver.answer(first, TIMED_OUT, jitter=0.999)
    assert driver.wait(0.1).sent() == ["add c11"]
    assert driver.committable() == 4


def test_i1_what_a_batch_took_over_goes_with_its_partition() -> None:
    driver = Driver(partitions=2, batch_max_ids=4)
    driver.throttle.limit = 1.0
    driver.read(*[event("add", f"c{number}") for number in range(8)])
    running = driver.one_try()
    driver.read(*[event("remove", f"c{number}") for number in (4, 5)])
    driver.read(event("add", "d"), partition=1)
    driver.answer(running, DELIVERED)
    both = driver.one_try()
    assert both.ids == ("c6", "c7", "d")
    assert driver.pipeline.forget([driver.ledgers[1]]) == 1
    driver.answer(both, THROTTLED)
    assert "add c6 c7" in driver.wait(60.0).run()


def test_what_came_back_leaves_together_with_its_like(driver: Driver) -> None:
    """After an outage each of the batches that were in flight has a few ids left."""
    driver = Driver(batch_max_ids=4)
    driver.read(*[event("add", f"c{number}") for number in range(12)])
    for attempt in driver.attempts():
        driver.answer(attempt, THROTTLED)
    driver.read(*[event("remove", f"c{number}") for number in range(12) if number % 4])
    assert "add c0 c4 c8" in driver.wait(60.0).run()


def test_what_came_back_takes_along_what_is_still_under_backoff(driver: Driver) -> None:
    driver.read(event("add", "x"))
    first = driver.wait().one_try()
    driver.read(event("add", "y"))
    second = driver.wait().one_try()
    driver.answer(first, UNAVAILABLE, jitter=0.0)
    driver.answer(second, UNAVAILABLE, jitter=0.999)
    assert driver.run() == ["add x y"]


def test_what_has_ids_in_its_way_leaves_whole_while_several_requests_are_on_their_way(
    driver: Driver,
) -> None:
    driver.read(event("add", "x"))
    add = driver.wait().one_try()
    driver.read(event("remove", "y"))
    driver.wait().one_try()
    driver.read(event("remove", "x", "z"))
    assert driver.wait().sent() == []
    driver.answer(add, DELIVERED)
    assert driver.sent() == ["remove x z"]


def kept_by_one_of_its_ids(partitions: int = 1) -> Driver:
    """Return a driver where ``add x`` is in the way of ``remove x z``; x is of the first partition.

    Several requests are on their way, and it was found that it may not leave in parts.
    """
    driver, last = Driver(partitions=partitions), partitions - 1
    driver.read(event("add", "x"), partition=last)
    driver.wait().one_try()
    driver.read(event("remove", "y"), partition=last)
    driver.wait().one_try()
    driver.read(event("remove", "x"))
    driver.read(event("remove", "z"), partition=last)
    assert driver.wait().sent() == []
    driver.read(event("add", "q"), partition=last)
    assert driver.wait().sent() == ["add q"]
    return driver


def test_i4_what_was_kept_by_an_id_leaves_when_that_is_superseded() -> None:
    driver = kept_by_one_of_its_ids()
    driver.read(event("add", "x"))
    assert driver.sent() == ["remove z"]


def test_i4_what_was_kept_by_an_id_leaves_when_that_goes_with_its_partition() -> None:
    driver = kept_by_one_of_its_ids(partitions=2)
    driver.pipeline.forget([driver.ledgers[0]])
    assert driver.sent() == ["remove z"]


def test_what_has_ids_in_its_way_leaves_without_them_if_that_is_half_a_request() -> None:
    driver = Driver(batch_max_ids=4)
    driver.read(event("add", "x"), event("remove", "y"))
    assert len(driver.wait().attempts()) == 2
    driver.read(event("remove", "x", "a", "b"))
    assert driver.wait().sent() == ["remove a b"]


@pytest.mark.parametrize("is_older", [True, False])
def test_what_fails_again_and_again_leaves_alone(driver: Driver, *, is_older: bool) -> None:
    """Else it would take what failed for another reason, and only once, into its fate."""
    flying: list[Attempt] = []
    if not is_older:
        driver.read(event("add", "good"))
        flying = driver.wait().attempts()
    driver.read(event("add", "bad"))
    driver.answer(driver.wait().one_try(), UNAVAILABLE)
    for number in range(3):  # separate troubles: another one's success ends each
        driver.read(event("add", f"c{number}"))
        for attempt in driver.wait(60.0).attempts():
            driver.answer(attempt, UNAVAILABLE if "bad" in attempt.ids else DELIVERED)
    if is_older:
        driver.read(event("add", "good"))
        flying = driver.wait(60.0).attempts()
    for attempt in flying:
        driver.answer(attempt, UNAVAILABLE)
    assert sorted(driver.wait(60.0).sent()) == ["add bad", "add good"]


def test_i4_what_arrives_in_a_batch_that_could_add_nothing_leaves_when_it_is_full() -> None:
    """All that the open batch had was blocked when an older one left."""
    driver = Driver(batch_max_ids=4)
    driver.read(event("add", "x", "y", "a", "b"))
    driver.one_try()
    driver.read(event("remove", "x", "c", "d", "e"), event("remove", "y"))
    assert driver.sent() == ["remove c d e"]
    driver.read(event("remove", "f", "g", "h"))
    assert driver.sent() == ["remove f g h"]


def test_what_came_back_takes_nothing_along_that_was_not_tried() -> None:
    """Else one that fails for ever would take ever more ids into its fate."""
    driver = Driver(batch_max_ids=4)
    driver.read(event("add", "bad"))
    driver.answer(driver.wait().one_try(), UNAVAILABLE)
    driver.read(event("add", "good"))
    assert sorted(driver.wait().sent()) == ["add bad", "add good"]


def test_what_came_back_takes_along_nothing_of_the_backlog_that_was_not_tried() -> None:
    driver = Driver(batch_max_ids=4)
    driver.read(event("add", "bad"))
    bad = driver.wait().one_try()
    driver.throttle.limit = 1.0
    driver.read(event("add", "a", "b", "c", "d"), event("remove", "a"))
    assert driver.sent() == []
    driver.answer(bad, UNAVAILABLE)
    driver.throttle.limit = 8.0
    assert sorted(driver.sent()) == ["add b c d", "add bad"]


def test_what_came_back_leaves_without_the_opposite(driver: Driver) -> None:
    driver.read(event("add", "a"), event("remove", "b"))
    for attempt in driver.wait().attempts():
        driver.answer(attempt, THROTTLED)
    assert sorted(driver.wait(60.0).sent()) == ["add a", "remove b"]


def test_i3_what_came_back_leaves_together_as_far_as_the_limit_allows() -> None:
    driver = Driver(batch_max_ids=3)
    attempts = []
    for ids in (["a", "b"], ["c", "d"], ["e"]):
        driver.read(event("add", *ids))
        attempts.append(driver.wait().one_try())
    for attempt in attempts:
        driver.answer(attempt, Unsent("the lease is over"))
    assert driver.sent() == ["add a b e", "add c d"]


def test_what_came_back_takes_along_what_is_in_backoff(driver: Driver) -> None:
    """Its backoff spares the API requests, and this is none more."""
    driver.read(event("add", "a"))
    first = driver.wait().one_try()
    driver.read(event("add", "b"))
    second = driver.wait().one_try()
    driver.answer(second, UNAVAILABLE, jitter=0.999)
    driver.answer(first, Unsent("the lease is over"))
    assert driver.sent() == ["add a b"]


@pytest.mark.parametrize("is_older", [False, True])
def test_i12_what_is_split_and_what_came_back_leave_each_by_itself(is_older: bool) -> None:
    """Nobody would ask about an id that a split batch took along."""
    driver = Driver(batch_max_ids=30)
    lists = [["p"], [f"id-{number}" for number in range(20)]]
    if is_older:
        lists.reverse()
    attempts = []
    for ids in lists:
        driver.read(event("add", *ids))
        attempts.append(driver.wait().one_try())
    plain, refused = sorted(attempts, key=lambda each: len(each.ids))
    driver.answer(refused, REFUSED)
    single = driver.one_try()
    for attempt in (plain, single):
        driver.answer(attempt, THROTTLED)
    assert sorted(driver.wait(60.0).sent()) == sorted([f"add {single.ids[0]}", "add p"])


@pytest.mark.parametrize("ids", [["x"], ["x", "x"], ["x", "y"]])
def test_i1_a_repeat_of_what_waits_in_the_backlog_holds_its_record(ids: list[str]) -> None:
    driver = Driver(partitions=2, batch_max_ids=1)
    running = full_batches(driver, 0)
    driver.read(event("add", "x"), event("add", "y"))
    driver.read(event("add", *ids), partition=1)
    assert driver.committable(1) == 0
    driver.answer(running, DELIVERED)
    for attempt in driver.attempts():
        assert driver.committable(1) == 0 or attempt.ids[0] not in ids
        driver.answer(attempt, DELIVERED)
    assert [driver.committable(partition) for partition in (0, 1)] == [3, 1]


def test_i1_what_leaves_in_parts_is_held_until_the_last_of_them_is_settled() -> None:
    driver = Driver(partitions=2)
    driver.read(event("add", "x"))
    add = driver.wait().one_try()
    driver.read(event("remove", "x", "y"), partition=1)
    remove = driver.wait().one_try()
    assert remove.ids == ("y",)
    driver.answer(remove, DELIVERED)
    assert driver.committable(1) == 0
    driver.answer(add, DELIVERED)
    assert driver.run() == ["remove x"]
    assert driver.committable(1) == 1


def test_i9_a_drain_waits_for_what_left_with_anothers() -> None:
    driver = Driver(partitions=2, batch_max_ids=4)
    running = full_batches(driver, 7)
    driver.read(*[event("remove", f"c{number}") for number in (4, 5)])
    driver.read(event("add", "d"), partition=1)
    driver.answer(running, DELIVERED)
    both = driver.one_try()
    assert both.ids == ("c6", "c7", "d")
    going = [driver.ledgers[1]]
    assert driver.pipeline.can_progress(going, driver.now, driver.now)
    driver.answer(both, TIMED_OUT)
    assert driver.pipeline.is_echoing(going, driver.now)


def sees_what_it_holds(driver: Driver) -> bool:
    """Whether the lanes have as many ids as are held altogether."""
    held = sum(lane.held_ids() for lane in driver.pipeline.lanes())
    return held == driver.pipeline.held_ids


def test_what_is_left_of_a_backlog_is_known_whatever_leaves_it() -> None:
    driver = Driver(partitions=2, batch_max_ids=4)
    first = full_batches(driver, 20)
    assert sees_what_it_holds(driver)
    driver.read(event("remove", "c4"), event("remove", "c4"), event("remove", "c9", "c10"))
    driver.read(*[event("add", f"d{number}") for number in range(8)], partition=1)
    assert sees_what_it_holds(driver)
    driver.answer(first, DELIVERED)
    driver.throttle.limit = 2.0
    cut, more = driver.attempts()
    assert (cut.ids, more.ids) == (("c5", "c6", "c7", "c8"), ("c11", "c12", "c13", "c14"))
    assert sees_what_it_holds(driver)
    driver.read(event("add", "c4"), event("remove", "c15"), event("add", "c15"))
    driver.pipeline.forget([driver.ledgers[1]])
    assert sees_what_it_holds(driver)
    driver.read(event("remove", "d7"), event("add", "d7"))
    for attempt in (cut, more):
        driver.answer(attempt, THROTTLED)
    driver.read(event("remove", "c5", "c6"), event("remove", "c11"), event("remove", "c12"))
    assert sees_what_it_holds(driver)
    driver.throttle.limit = 8.0
    driver.wait(60.0)
    while attempts := driver.attempts():
        assert sees_what_it_holds(driver)
        for attempt in attempts:
            driver.answer(attempt, DELIVERED)
            assert sees_what_it_holds(driver)
    assert driver.pipeline.held_ids == 0
    assert driver.committable() == driver.ledgers[0].position
    assert driver.lanes() == 0


def test_i2_an_id_that_left_the_backlog_is_not_looked_for_there() -> None:
    driver = Driver(batch_max_ids=4)
    first = full_batches(driver, 39)
    driver.read(*[event("remove", f"c{number}") for number in range(5, 40) if number % 4])
    driver.answer(first, DELIVERED)
    driver.throttle.limit = 1.0
    adds = driver.one_try()
    assert adds.ids == ("c4", "c8", "c12", "c16")
    driver.read(event("remove", "c8"), event("remove", "c16"))
    driver.answer(adds, DELIVERED)
    removed = [line.split() for line in driver.run() + driver.wait().run() if "remove" in line]
    assert {"c8", "c16"} <= {name for line in removed for name in line}
    assert driver.pipeline.held_ids == 0


# -- the ids that came back and have a newer change ----------------------------------------------


def test_i1_a_repeat_of_what_comes_back_is_dropped_and_waits_for_it(driver: Driver) -> None:
    driver.read(event("add", "x"))
    add = driver.wait().one_try()
    driver.read(event("add", "x", "y"), partition=1)
    driver.answer(add, UNAVAILABLE, jitter=0.999)
    assert driver.count("ids_total", "add", "duplicate") == 1
    driver.pipeline.flush([driver.ledgers[1]], driver.now, "revoke")
    assert driver.run() == ["add y"]
    assert [driver.committable(partition) for partition in (0, 1)] == [0, 0]
    assert driver.wait().run() == ["add x"]
    assert [driver.committable(partition) for partition in (0, 1)] == [1, 1]


def test_what_comes_back_gives_up_what_a_full_batch_has_too() -> None:
    driver = Driver(batch_max_ids=1)
    driver.read(event("add", "x"))
    add = driver.one_try()
    driver.read(event("remove", "x"))
    assert driver.sent() == []
    driver.answer(add, UNAVAILABLE)
    assert driver.count("ids_total", "add", "superseded") == 1
    assert driver.run() == ["remove x"]
    assert driver.wait(60.0).run() == []
    assert driver.committable() == 2
    assert driver.lanes() == 0


def test_i1_what_repeats_a_batch_of_its_own_partition_waits_for_nothing_else(
    driver: Driver,
) -> None:
    driver.read(event("add", "x"))
    add = driver.wait().one_try()
    driver.read(event("add", "x"), event("add", "y"))
    driver.answer(add, UNAVAILABLE, jitter=0.999)
    assert driver.committable() == 0
    assert add.batch.sources == ()
    driver.wait(60.0).run()
    assert driver.committable() == 3


@pytest.mark.parametrize("others", [[], ["y"]])
def test_i1_what_repeats_a_batch_that_comes_back_holds_its_record(
    driver: Driver, others: list[str]
) -> None:
    driver.read(event("add", "x"))
    add = driver.wait().one_try()
    driver.read(event("add", "x", *others), partition=1)
    driver.answer(add, UNAVAILABLE, jitter=0.999)
    assert [driver.committable(partition) for partition in (0, 1)] == [0, 0]
    driver.wait(60.0)
    while attempts := driver.attempts():
        assert driver.committable(1) == 0
        for attempt in attempts:
            driver.answer(attempt, DELIVERED)
    assert [driver.committable(partition) for partition in (0, 1)] == [1, 1]


# -- split and refused --------------------------------------------------------------------------


def test_a_remove_waits_for_a_split_add_as_long_as_a_part_of_it_is_in_flight(
    driver: Driver,
) -> None:
    driver.read(event("add", *[f"id-{number}" for number in range(20)]))
    driver.answer(driver.wait().one_try(), REFUSED)
    driver.answer(driver.one_try(), DELIVERED)
    half = driver.one_try()
    last = next(name for name in reversed(half.batch.ids) if name not in half.ids)
    driver.read(event("remove", last))
    driver.wait()
    assert driver.sent() == []
    driver.answer(half, DELIVERED)
    rest, remove = sorted(driver.attempts(), key=lambda each: each.batch.action)
    assert last not in rest.ids
    assert remove.ids == (last,)


def test_i2_a_remove_takes_the_place_of_its_add_in_a_split_one_in_backoff(driver: Driver) -> None:
    driver.read(event("add", *[f"id-{number}" for number in range(20)]))
    driver.answer(driver.wait().one_try(), REFUSED)
    driver.answer(driver.one_try(), DELIVERED)
    half = driver.one_try()
    driver.answer(half, NOT_CONNECTED, jitter=0.999)
    driver.read(event("remove", half.ids[0]))
    driver.pipeline.flush_oldest(driver.now, 1)
    assert driver.sent() == [f"remove {half.ids[0]}"]
    again = driver.wait(60.0).one_try()
    assert again.ids == half.ids[1:]


def test_a_remove_does_not_wait_for_what_was_delivered_of_a_split_add(driver: Driver) -> None:
    driver.read(event("add", *[f"id-{number}" for number in range(20)]))
    driver.answer(driver.wait().one_try(), REFUSED)
    single = driver.one_try()
    driver.answer(single, DELIVERED)
    driver.one_try()
    driver.read(event("remove", *single.ids))
    assert driver.wait().sent() == [f"remove {single.ids[0]}"]


def test_an_ambiguous_part_of_a_split_stands_in_the_way_of_its_own_ids_alone(
    driver: Driver,
) -> None:
    driver.read(event("add", *[f"id-{number}" for number in range(20)]))
    driver.answer(driver.wait().one_try(), REFUSED)
    single = driver.one_try()
    driver.answer(single, DELIVERED)
    half = driver.one_try()
    driver.answer(half, TIMED_OUT)
    driver.run()
    driver.read(event("remove", *single.ids), event("remove", half.ids[0]))
    driver.read(event("remove", "other", segment=2))
    assert sorted(driver.wait().sent()) == [f"remove {single.ids[0]}", "remove other"]
    driver.wait(TIMEOUT)
    assert driver.sent() == [f"remove {half.ids[0]}"]


def test_a_remove_does_not_wait_for_the_dead_letter_of_a_refused_add(driver: Driver) -> None:
    driver.read(event("add", "x"))
    driver.answer(driver.wait().one_try(), REFUSED)
    assert len(driver.dead_letters()) == 1
    driver.read(event("remove", "x"))
    assert driver.wait().sent() == ["remove x"]


def test_a_remove_takes_the_place_of_an_add_that_was_refused_alone(driver: Driver) -> None:
    """Before the verdict it is not known whether the id or the segment was meant."""
    driver.read(event("add", *[f"id-{number}" for number in range(20)]))
    driver.answer(driver.wait().one_try(), REFUSED)
    first = driver.one_try()
    driver.answer(first, REFUSED)
    driver.read(event("remove", *first.ids))
    assert driver.count("ids_total", "add", "superseded") == 1
    single, remove = sorted(driver.wait().attempts(), key=lambda each: each.batch.action)
    assert remove.ids == first.ids
    driver.answer(single, DELIVERED)
    assert not driver.dead_letters()


# -- partitions that go away --------------------------------------------------------------------


def test_i5_a_try_of_a_lost_partition_stands_in_the_way_until_its_deadline(driver: Driver) -> None:
    driver.read(event("add", "x"))
    driver.wait().one_try()
    driver.pipeline.forget([driver.ledgers[0]])
    driver.assign(0, 0)
    driver.read(event("add", "x"), event("remove", "x"))
    driver.wait(TIMEOUT - 0.001)
    assert driver.sent() == []
    driver.wait(0.001)
    assert driver.sent() == ["remove x"]


def test_a_lost_partitions_waiting_batch_stands_in_nobodys_way(driver: Driver) -> None:
    driver.read(event("add", "x"))
    driver.answer(driver.wait().one_try(), UNAVAILABLE, jitter=0.999)
    driver.read(event("remove", "x"), partition=1)
    assert driver.wait(0.0).sent() == []
    driver.pipeline.forget([driver.ledgers[0]])
    assert driver.wait().sent() == ["remove x"]


def test_what_remains_of_a_shared_batch_has_its_successors(driver: Driver) -> None:
    driver.read(event("add", "x"))
    driver.read(event("add", "y"), partition=1)
    add = driver.wait().one_try()
    driver.read(event("remove", "y"), partition=1)
    driver.pipeline.forget([driver.ledgers[0]])
    driver.answer(add, UNAVAILABLE)
    driver.wait()
    assert driver.run() == ["remove y"]


def test_what_remains_of_a_shared_batch_belongs_to_the_partition_that_stays(
    driver: Driver,
) -> None:
    driver.read(event("add", "x"))
    driver.read(event("add", "y"), partition=1)
    driver.pipeline.forget([driver.ledgers[0]])
    driver.pipeline.flush([driver.ledgers[1]], driver.now, "revoke")
    assert driver.sent() == ["add y"]


def test_i1_a_partition_that_came_back_holds_in_a_batch_that_it_was_in_before(
    driver: Driver,
) -> None:
    driver.read(event("add", "x"))
    driver.read(event("add", "y"), partition=1)
    driver.pipeline.forget([driver.ledgers[0]])
    driver.assign(0, 0)
    driver.read(event("add", "x"))
    assert driver.committable() == 0
    assert driver.wait().run() == ["add y x"]
    assert driver.committable() == 1


@pytest.mark.parametrize("is_lost", [False, True])
def test_i4_what_has_to_wait_waits_for_its_own_predecessor_alone(
    driver: Driver, is_lost: bool
) -> None:
    """Batches of the opposite action passed it one after the other: it took up to 51 s."""
    driver.read(event("remove", "x"))
    running = driver.wait().one_try()
    driver.read(event("add", "x"))
    driver.wait(1.0).read(event("remove", "y"))
    younger = driver.wait().one_try()
    driver.read(event("add", "y"))
    if is_lost:
        driver.answer(running, TIMED_OUT)
        assert driver.wait(running.deadline - driver.now - 0.01).sent() == []
        assert driver.wait(0.01).sent() == ["add x"]
    else:
        driver.answer(running, DELIVERED)
        assert driver.sent() == ["add x"]
    driver.answer(younger, DELIVERED)
    assert driver.wait().sent() == ["add y"]


def test_a_failing_lane_goes_on_when_its_one_attempt_is_a_lost_partitions() -> None:
    driver = Driver(partitions=2, batch_max_ids=1)
    driver.read(*[event("add", f"id-{number}") for number in range(3)])
    for attempt in driver.attempts():
        driver.wait(0.01).answer(attempt, UNAVAILABLE)
    driver.read(event("add", "x"), partition=1)
    driver.wait(0.0).one_try()
    assert driver.sent() == []
    driver.pipeline.forget([driver.ledgers[0]])
    assert driver.sent() == ["add x"]


def test_the_oldest_of_a_lane_is_the_oldest_of_all_that_it_has(driver: Driver) -> None:
    driver.read(event("add", "a"))
    opened = driver.now
    driver.wait(1.0).read(event("remove", "b"))
    (lane,) = driver.pipeline.lanes()
    assert lane.oldest_opened_at() == opened
    add = driver.wait(LINGER - 1.0).one_try()
    assert lane.oldest_opened_at() == opened
    driver.answer(add, UNAVAILABLE, jitter=0.999)
    assert lane.oldest_opened_at() == opened
    driver.read(event("remove", "a"))
    assert lane.oldest_opened_at() == opened + 1.0
    driver.read(event("add", "b"))
    assert driver.wait().run() == ["remove a", "add b"]
    assert lane.oldest_opened_at() == math.inf


# -- a lane that fails --------------------------------------------------------------------------


def test_a_failing_lane_tries_one_at_a_time_under_backoff_while_others_go_on() -> None:
    driver = Driver(batch_max_ids=1)
    driver.read(*[event("add", f"id-{number}") for number in range(4)])
    for attempt in driver.attempts()[:3]:
        driver.answer(attempt, UNAVAILABLE, jitter=0.5)
    driver.read(event("add", "other", segment=2))
    assert driver.sent() == ["add other"]
    driver.wait(0.25)
    assert driver.sent() == [], "one of its attempts is still in flight"


def test_a_failing_lane_waits_for_its_own_backoff_too() -> None:
    driver = Driver(batch_max_ids=1)
    driver.read(*[event("add", f"id-{number}") for number in range(4)])
    for attempt in driver.attempts():
        driver.answer(attempt, UNAVAILABLE, jitter=0.5)
    driver.wait(0.5 * 4 - 0.01)
    assert driver.sent() == []
    driver.wait(0.01)
    assert driver.sent() == ["add id-0"]


def test_a_failing_lane_with_a_try_in_flight_is_woken_by_its_answer_not_by_time() -> None:
    driver = Driver(batch_max_ids=1)
    driver.read(*[event("add", f"id-{number}") for number in range(4)])
    attempts = driver.attempts()
    driver.wait(0.1)
    for attempt in attempts:
        driver.answer(attempt, UNAVAILABLE)
    driver.wait().one_try()
    driver.wait()
    assert driver.sent() == []
    assert driver.pipeline.next_wake() == math.inf


@pytest.mark.parametrize("outcome", [DELIVERED, REFUSED])
def test_an_answer_that_decides_ends_the_failing_of_a_lane(outcome: Outcome) -> None:
    driver = Driver(batch_max_ids=1)
    driver.read(*[event("add", f"id-{number}") for number in range(4)])
    for attempt in driver.attempts():
        driver.wait(0.1)
        driver.answer(attempt, UNAVAILABLE)
    driver.answer(driver.one_try(), outcome)
    assert driver.sent() == ["add id-1", "add id-2", "add id-3"]


def test_i4_a_batch_has_a_timer_though_a_younger_one_was_opened_while_its_lane_had_a_turn() -> None:
    """The lane's timer had been for an older batch, and then it was for the youngest alone."""
    driver = Driver(batch_max_ids=2, max_in_flight=1, linger_seconds=5.0)
    driver.read(event("add", "a"))
    driver.wait(1.0).read(event("remove", "b"))
    driver.read(event("add", "x", "y", segment=2))
    other = driver.one_try()
    assert driver.wait(4.0).sent() == []  # it has a turn, but there is no slot
    driver.read(event("add", "c"), event("add", "d"))
    driver.answer(other, DELIVERED)
    driver.answer(driver.one_try(), DELIVERED)
    assert driver.wait(1.0).sent() == ["remove b"]


def slots_of_one(driver: Driver) -> int:
    """Give one lane more batches than there are slots; return how many of them leave."""
    driver.read(*[event("add", f"{driver.now}-{number}") for number in range(20)])
    return len(driver.attempts())


def answer_all(driver: Driver, attempts: Sequence[Attempt], outcome: Outcome, took: float) -> None:
    driver.wait(took)
    for attempt in attempts:
        driver.answer(attempt, outcome)


def with_a_neighbour(driver: Driver) -> Driver:
    """Let another lane have one attempt in flight."""
    driver.read(event("add", "other", segment=2))
    assert driver.sent() == ["add other"]
    return driver


def slow_and_failing(failure: Retry = UNAVAILABLE, *, is_alone: bool = False) -> Driver:
    """Return what has a lane that is slow and fails; another one has an attempt in flight."""
    driver = Driver(batch_max_ids=1)
    if not is_alone:
        with_a_neighbour(driver)
    driver.read(event("add", "a"), event("add", "b"))
    first, second = driver.attempts()
    answer_all(driver, [first], failure, 2 * SLOW_SECONDS)
    answer_all(driver, [second], DELIVERED, 0.0)
    driver.throttle.limit = 8.0
    return driver


@pytest.mark.parametrize("failure", [UNAVAILABLE, TIMED_OUT])
def test_i4_a_lane_that_is_slow_and_fails_leaves_half_of_the_slots_to_others(
    failure: Retry,
) -> None:
    driver = slow_and_failing(failure)
    assert slots_of_one(driver) == 4
    driver.read(*[event("add", "other", segment=segment) for segment in range(3, 9)])
    assert len(driver.attempts()) == 3


def test_i4_a_lane_that_is_slow_and_fails_has_all_slots_where_there_is_no_other() -> None:
    assert slots_of_one(slow_and_failing(is_alone=True)) == 8


@pytest.mark.parametrize(("slots", "share"), [(2.0, 1), (3.0, 2), (7.0, 4), (8.0, 4)])
def test_the_share_of_a_lane_is_half_of_the_slots_that_there_are(slots: float, share: int) -> None:
    driver = slow_and_failing()
    driver.throttle.limit = slots
    assert slots_of_one(driver) == share


def test_i9_a_drain_leaves_no_slots_to_others() -> None:
    driver = slow_and_failing()
    driver.read(*[event("add", f"id-{number}") for number in range(20)])
    assert len(driver.pipeline.dispatch(driver.now, latest_start=driver.now + 5.0)) == 7


def test_an_answer_lets_a_lane_with_its_share_go_on() -> None:
    driver = slow_and_failing()
    driver.read(*[event("add", f"id-{number}") for number in range(20)])
    attempts = driver.attempts()
    assert not driver.pipeline.has_queued(), "nothing is looked at again for nothing"
    answer_all(driver, attempts[:1], DELIVERED, 2 * SLOW_SECONDS)
    assert len(driver.attempts()) == 1


def test_i4_a_lane_with_its_share_goes_on_when_there_are_more_slots() -> None:
    driver = slow_and_failing()
    driver.throttle.limit = 6.0
    assert slots_of_one(driver) == 3
    driver.read(event("add", "other", segment=3))
    other = driver.one_try()
    driver.throttle.limit = 8.0
    driver.answer(other, DELIVERED)
    assert len(driver.attempts()) == 1


def test_a_lane_that_fails_at_once_may_have_all_slots_that_are_free() -> None:
    driver = Driver(batch_max_ids=1)
    for _ in range(4):
        driver.read(event("add", "a"))
        answer_all(driver, driver.attempts(), UNAVAILABLE, SLOW_SECONDS)
        answer_all(driver, driver.attempts(), DELIVERED, SLOW_SECONDS)
    driver.throttle.limit = 8.0
    assert slots_of_one(with_a_neighbour(driver)) == 7


def test_a_lane_that_is_slow_may_have_all_slots_that_are_free() -> None:
    driver = Driver(batch_max_ids=1)
    driver.read(*[event("add", f"id-{number}") for number in range(4)])
    answer_all(driver, driver.attempts(), DELIVERED, 9.0)
    assert slots_of_one(with_a_neighbour(driver)) == 7


def test_a_lane_whose_answers_of_429_are_slow_may_have_all_slots_that_are_free() -> None:
    driver = Driver(batch_max_ids=1)
    for number in range(3):
        driver.read(event("add", f"id-{number}"))
        answer_all(driver, driver.attempts(), THROTTLED, 2 * SLOW_SECONDS)
        answer_all(driver, driver.attempts(), DELIVERED, 0.0)
    driver.throttle.limit = 8.0
    assert slots_of_one(with_a_neighbour(driver)) == 7


@pytest.mark.parametrize(("failures", "successes"), [(1, 0), (2, 3), (9, 9)])
def test_three_successes_make_up_for_a_slow_failure_and_nine_for_however_many(
    failures: int, successes: int
) -> None:
    lane = Lane(1, "id")
    for _ in range(failures):
        lane.judge(2 * SLOW_SECONDS, failed=True)
    for _ in range(successes):
        assert lane.has_its_share(0)
        lane.judge(0.1, failed=False)
    assert not lane.has_its_share(0)


def test_a_slow_success_after_failures_makes_up_for_none() -> None:
    """Else a lane that fails at once, and succeeds slowly, had all slots all the time."""
    lane = Lane(1, "id")
    for _ in range(2):
        lane.judge(0.1, failed=True)
        lane.fail(0.0, 1.0, 60.0, 0.0)
        lane.judge(2 * SLOW_SECONDS, failed=False)
        lane.succeed()
    assert lane.has_its_share(0)


def asked(seconds: float) -> Retry:
    return Retry(RetryReason.SERVER, "503", ambiguous=False, retry_after_seconds=seconds)


@pytest.mark.parametrize(("said", "waits"), [(30.0, 30.0), (86400.0, 300.0)])
def test_retry_after_is_the_lanes_at_once_and_nobody_elses(said: float, waits: float) -> None:
    driver = Driver(batch_max_ids=1)
    driver.read(event("add", "a"))
    driver.answer(driver.one_try(), asked(said))
    driver.read(event("add", "b"), event("add", "c", segment=2))
    assert driver.sent() == ["add c"]
    driver.wait(waits - 0.01).read(event("add", "d", segment=2))
    assert driver.sent() == ["add d"]
    assert len(driver.wait(0.01).sent()) == 2


def test_anothers_success_does_not_shorten_what_a_lane_asked_for() -> None:
    driver = Driver(batch_max_ids=1)
    driver.read(event("add", "a"), event("add", "b", segment=2))
    first, second = driver.attempts()
    driver.answer(first, asked(30.0))
    driver.answer(second, DELIVERED)
    assert driver.wait(29.9).sent() == []
    assert driver.wait(0.1).sent() == ["add a"]


def fails(driver: Driver) -> float:
    """Let the one batch there is fail, as soon as it may be tried; return how long it waits."""
    while not (attempts := driver.attempts()):
        driver.wait(driver.pipeline.next_wake() - driver.now)
    (attempt,) = attempts
    driver.answer(attempt, UNAVAILABLE, jitter=0.999)
    return attempt.batch.not_before - driver.now


def succeeds(driver: Driver, name: str) -> None:
    """Let another lane have a success."""
    driver.read(event("add", name, segment=2))
    driver.answer(driver.one_try(), DELIVERED, jitter=0.999)


def test_who_failed_for_long_goes_on_at_once_when_somebody_elses_success_ends_the_trouble() -> None:
    driver = Driver(batch_max_ids=1)
    driver.read(event("add", "a"))
    assert [fails(driver) for _ in range(7)][-1] > 30.0
    succeeds(driver, "b")
    assert driver.wait(0.49).sent() == []
    assert driver.wait(0.02).sent() == ["add a"]


def test_who_fails_in_separate_troubles_waits_longer_each_time_though_others_succeed() -> None:
    driver = Driver(batch_max_ids=1)
    driver.read(event("add", "a"))
    waits = []
    for number in range(9):
        waits.append(fails(driver))
        succeeds(driver, f"x{number}")
        assert driver.wait(waits[-1] - 0.01).sent() == []
        driver.wait(0.01)
    assert waits == pytest.approx([min(60.0, 0.5 * 2**n) * 0.999 for n in range(9)])


def test_attempts_side_by_side_are_one_failure_of_their_lane() -> None:
    """Eight at once made the first backoff the longest one."""
    driver = Driver(batch_max_ids=1)
    driver.read(*[event("add", f"id-{number}") for number in range(8)])
    for attempt in driver.attempts():
        driver.wait(0.01).answer(attempt, UNAVAILABLE, jitter=0.999)
    assert driver.wait(0.5).one_try()


def test_a_lane_that_shows_a_hold_waits_and_the_probe_is_anothers() -> None:
    driver = Driver(batch_max_ids=1)
    driver.read(event("add", "a"))
    driver.answer(driver.one_try(), UNAUTHORIZED, jitter=0.999)
    driver.read(event("add", "b"))
    assert driver.wait(0.1).sent() == [], "its other batches wait, too"
    driver.read(event("add", "c", segment=2))
    assert driver.sent() == ["add c"]
    assert driver.wait(10.0).sent() == [], "one probe at a time"


def test_a_probe_is_of_a_lane_that_has_not_failed_if_there_is_one() -> None:
    driver = Driver(batch_max_ids=1)
    driver.read(*[event("add", f"id-{number}", segment=number) for number in range(1, 9)])
    for attempt in driver.attempts():
        driver.answer(attempt, UNAVAILABLE, jitter=0.1)
    driver.wait(3600.0).read(event("add", "new", segment=100))
    assert driver.sent() == ["add new"]


# -- nothing is left over -----------------------------------------------------------------------


def test_a_lane_is_forgotten_when_nothing_of_it_is_left(driver: Driver) -> None:
    driver.read(event("add", "x"))
    driver.answer(driver.wait().one_try(), TIMED_OUT)
    driver.run()
    assert len(list(driver.pipeline.lanes())) == 1, "an echo is to be remembered"
    assert driver.lanes() == 0


def test_a_lane_is_forgotten_when_its_last_dead_letter_is_acknowledged(driver: Driver) -> None:
    """Nothing gave it a turn after that, so it was remembered for ever."""
    driver.read(event("add", "x"))
    driver.answer(driver.wait().one_try(), REFUSED)
    assert driver.lanes() == 1
    for dead_letter in driver.dead_letters():
        driver.pipeline.acknowledged(dead_letter)
    assert driver.lanes() == 0


def test_a_late_answer_for_a_forgotten_lane_does_not_disturb_a_new_one_of_its_name(
    driver: Driver,
) -> None:
    driver.read(event("add", "x"))
    late = driver.wait().one_try()
    driver.pipeline.forget([driver.ledgers[0]])
    assert driver.lanes() == 0
    driver.assign(0, 0)
    driver.read(event("add", "x"))
    driver.answer(late, DELIVERED)
    assert driver.sent() == []
    assert len(list(driver.pipeline.lanes())) == 1
    assert driver.wait().sent() == ["add x"]


def test_a_batch_whose_ids_were_all_taken_out_is_settled_when_it_is_due(driver: Driver) -> None:
    driver.read(event("add", "x"))
    driver.wait(1.0)
    driver.read(event("remove", "x"))
    assert driver.committable() == 0
    driver.wait(LINGER - 1.0)
    assert driver.sent() == []
    assert driver.committable() == 1


def test_i9_a_batch_whose_ids_were_all_taken_out_keeps_no_drain_from_committing() -> None:
    """The next owner read again what had been delivered."""
    driver = Driver(partitions=2)
    driver.read(event("add", "x"))
    driver.read(event("remove", "x"), partition=1)
    driver.pipeline.flush([driver.ledgers[0]], driver.now, "revoke")
    assert driver.committable() == 1


def test_i9_a_drain_waits_for_the_dead_letter_of_anothers_id_in_a_batch_of_its_own() -> None:
    """Until it is acknowledged the batch holds all that came with it, though that was delivered."""
    driver = Driver(partitions=2)
    driver.read(event("add", "bad"))
    driver.read(event("add", "x"), partition=1)
    driver.answer(driver.wait().one_try(), REFUSED)
    while attempts := driver.attempts():
        for attempt in attempts:
            driver.answer(attempt, REFUSED if "bad" in attempt.ids else DELIVERED)
    (dead_letter,) = driver.dead_letters()
    (drained,) = driver.ledgers[1:]
    assert driver.pipeline.can_progress([drained], driver.now, driver.now + 10.0)
    driver.pipeline.acknowledged(dead_letter)
    assert not driver.pipeline.can_progress([drained], driver.now, driver.now + 10.0)
    assert driver.committable(1) == 1


# -- turns --------------------------------------------------------------------------------------


def test_a_failing_lane_that_is_put_in_front_has_one_turn() -> None:
    turns, lanes = Turns(1), [Lane(number, "id", failures=1) for number in (1, 2)]
    for lane in lanes:
        turns.enqueue(lane)
    assert not turns.next_is_stranger()
    turns.put_in_front(lanes[:1])
    assert [turns.next_lane() for _ in range(3)] == [*lanes, None]
