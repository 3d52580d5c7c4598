"""Python's garbage collector: when it runs, and that nothing piles up meanwhile."""

import gc
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from consumer.collector import BUSY_SECONDS, IDLE_SECONDS, MOST_NEW, Collector
from tests.support.cluster import Record
from tests.support.scenario import Scenario, event

if TYPE_CHECKING:
    from tests.support.daemon import Daemon

RECORDS = 20_000


class Cycle:
    """Garbage that only the collector frees."""

    def __init__(self) -> None:
        self.itself = self


class Clock:
    """A time that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        """Return it."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def collector(clock: Clock) -> Iterator[Collector]:
    with Collector(clock) as entered:
        yield entered


def test_it_collects_when_there_is_nothing_to_do(collector: Collector, clock: Clock) -> None:
    seen = weakref.ref(Cycle())
    clock.now += IDLE_SECONDS - 0.1
    collector.turn(is_idle=True)
    assert seen() is not None
    clock.now += 0.2
    collector.turn(is_idle=False)
    assert seen() is not None
    collector.turn(is_idle=True)
    assert seen() is None


def test_it_collects_in_the_end_though_there_is_always_something_to_do(
    collector: Collector, clock: Clock
) -> None:
    for _ in range(3):
        seen = weakref.ref(Cycle())
        clock.now += BUSY_SECONDS + 0.1
        collector.turn(is_idle=False)
        assert seen() is None


def test_i7_cycles_do_not_pile_up_between_two_looks_at_all(collector: Collector) -> None:
    alive: weakref.WeakSet[Cycle] = weakref.WeakSet()
    most = 0
    for _ in range(100):
        for _ in range(MOST_NEW // 20):
            alive.add(Cycle())
        collector.turn(is_idle=False)
        most = max(most, len(alive))
    assert most <= 1.5 * MOST_NEW


def test_it_takes_a_hundredth_of_the_time_at_most(clock: Clock) -> None:
    with Collector(clock) as collector:
        gc.callbacks.append(slowed := lambda *_: setattr(clock, "now", clock.now + 1.0))
        try:
            clock.now += IDLE_SECONDS
            collector.turn(is_idle=True)
        finally:
            gc.callbacks.remove(slowed)
        seen = weakref.ref(Cycle())
        clock.now += 195.0
        collector.turn(is_idle=True)
        assert seen() is not None
        clock.now += 10.0
        collector.turn(is_idle=True)
        assert seen() is None


def test_nothing_is_left_changed_behind_it(clock: Clock) -> None:
    frozen = gc.get_freeze_count()
    with Collector(clock):
        assert not gc.isenabled()
        assert gc.get_freeze_count() > frozen
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_the_daemon_takes_in_records_without_it(scenario: Scenario) -> None:
    daemon = scenario.start()
    daemon.wait_ready(60)
    before = youngest_collected(daemon)
    scenario.produce(Record("k", event(1, "add", f"c{each}")) for each in range(RECORDS))
    scenario.await_accepted(RECORDS, 60)
    assert youngest_collected(daemon) == before


def youngest_collected(daemon: "Daemon") -> float:
    """Return how often Python has looked at the youngest objects by itself."""
    (count,) = (
        value
        for (name, labels), value in daemon.metrics().items()
        if name == "python_gc_collections_total" and ("generation", "0") in labels
    )
    return count
