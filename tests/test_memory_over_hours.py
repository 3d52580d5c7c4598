"""I7: what is settled doesn't stay in memory because something older isn't, in hours of trouble."""

import gc
import tracemalloc
from collections import Counter
from collections.abc import Callable

import pytest

from consumer.core.backlog import Backlog
from consumer.core.dead_letters import DeadLetter
from consumer.core.lanes import Batch, Echo, Lane
from consumer.core.splitting import Split
from tests.support.driver import (
    DELIVERED,
    REFUSED,
    TIMED_OUT,
    UNAVAILABLE,
    Driver,
)
from tests.support.sizes import record

HOUR = 3600.0
STUCK, BAD = 1, "bad"
KINDS = (Batch, Lane, DeadLetter, Echo, Split, Backlog)


def test_i7_memory_is_flat_while_one_id_fails_for_hours_and_others_are_delivered() -> None:
    driver = Driver()
    driver.read(record(STUCK, "add", "stuck"))
    assert_flat(lambda: pass_an_hour(driver, linger=5.0))
    assert driver.committable() == 0, "the stuck one holds all after it"


def test_i7_memory_is_flat_while_a_batch_waits_for_hours_in_its_linger() -> None:
    driver = Driver(linger_seconds=5 * HOUR, batch_max_ids=20)
    driver.read(record(STUCK, "remove", "early"))
    assert_flat(lambda: pass_an_hour(driver, linger=0.0))
    assert driver.committable() == 0, "the first one is not due yet"


def test_i7_memory_is_flat_while_an_old_log_is_not_delivered() -> None:
    driver = Driver()
    driver.read(record(STUCK, "add", "stuck"))
    driver.ledgers[0].go_back(0)
    assert_flat(lambda: pass_an_hour(driver, linger=5.0))
    assert driver.committable() == 0, "the old one holds the new one"


@pytest.mark.parametrize("stuck", [("stuck",), ()], ids=["one stays", "all flip"])
def test_i7_memory_is_flat_while_customers_flip_for_hours_of_an_outage(
    stuck: tuple[str, ...],
) -> None:
    """What comes back takes in what repeats it; and who gives up all of its ids is settled."""
    driver = Driver(batch_max_ids=10)
    assert_flat(lambda: flip_for_an_hour(driver, stuck))
    assert driver.committable() <= 20 or not stuck, "the stuck one holds all after it"


def test_i7_the_timers_of_a_lane_that_fails_for_hours_are_few() -> None:
    """Each backoff that ended before the linger of the open batch left one behind."""
    driver = Driver(linger_seconds=5 * HOUR, batch_max_ids=1)
    for number in range(300):
        driver.pipeline.wake(driver.wait(60.0).now)
        driver.read(record(STUCK, "add", f"c{number}"))
        for attempt in driver.attempts():
            driver.answer(attempt, TIMED_OUT, jitter=0.5)
        driver.attempts()
    assert len(driver.pipeline._turns._timers) < 100  # noqa: SLF001 - nobody outside sees them


def pass_an_hour(driver: Driver, linger: float) -> None:
    """Read what is delivered, split and malformed, beside a segment that fails, every minute."""
    for number in range(60):
        segment = 2 + number % 50 + int(driver.now) // 600 * 100  # new ones now and then
        names = [f"c{number}-{each}" for each in range(19)]
        driver.read(
            record(segment, "add", *names, BAD),
            b"not an event " * 1000,
            record(segment + 1, "remove", *names, "fine"),
        )
        answer(driver)
        driver.wait(linger)
        answer(driver)
        driver.wait(60.0 - linger)
        for dead_letter in driver.dead_letters():
            driver.pipeline.acknowledged(dead_letter)
        driver.pipeline.notes.clear()
        driver.pipeline.busiest(20)


def flip_for_an_hour(driver: Driver, stuck: tuple[str, ...]) -> None:
    """Let all flip every five seconds, at first while a request is on its way, which fails."""
    for number in range(720):
        attempts = driver.attempts()
        action = ("add", "remove")[number % 2]
        driver.read(
            *(record(STUCK, action, f"c{each}") for each in range(20)),
            *(record(STUCK, "add", name) for name in stuck),
        )
        for attempt in attempts:
            driver.answer(attempt, UNAVAILABLE, jitter=0.5)
        driver.wait(5.0)
        driver.pipeline.notes.clear()


def answer(driver: Driver) -> None:
    """Answer all that goes out: one segment fails, one id is refused."""
    while attempts := driver.attempts():
        for attempt in attempts:
            if attempt.batch.lane.segment_id == STUCK:
                driver.answer(attempt, TIMED_OUT, jitter=0.5)
            elif BAD in attempt.ids:
                driver.answer(attempt, REFUSED)
            else:
                driver.answer(attempt, DELIVERED)


def assert_flat(hour: Callable[[], None]) -> None:
    """Compare what there is after the second hour with what there is after the fourth."""
    hour()
    hour()
    tracemalloc.start()
    hour()
    before, began = living(), tracemalloc.get_traced_memory()[0]
    hour()
    after, ended = living(), tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert all(after[kind] <= before[kind] + 20 for kind in after), (before, after)
    assert ended - began < 100_000


def living() -> Counter[str]:
    """Count the objects of the core that are not gone."""
    gc.collect()
    return Counter(type(each).__name__ for each in gc.get_objects() if isinstance(each, KINDS))
