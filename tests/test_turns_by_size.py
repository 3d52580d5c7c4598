"""What a turn of the loop must not look at, however much there is of it: walks are counted."""

import sys
from collections.abc import Callable
from types import BuiltinMethodType

import pytest

from consumer.core.outcomes import Answered
from consumer.core.snapshot import Late, Snapshot
from consumer.engine.ports import Published
from consumer.observability.status import Reporter
from tests.support.loop_world import World
from tests.support.scenario import event

PARTITIONS = 1_000
TURNS = 200
WALKS_PER_SECOND = 15  # a commit, two looks around, what is published


def idle() -> World:
    """Return a world in which all is read and settled."""
    return World(value, records=1, partitions=PARTITIONS, linger_seconds=0.5).run_until(10)


def busy() -> World:
    """Return a world in which records come all the time, and much is in flight."""
    return World(value, partitions=PARTITIONS, per_second=10_000.0).run_until(10)


def full() -> World:
    """Return a world in which reading is paused, as the API takes nothing."""
    world = World(value, partitions=PARTITIONS, buffer_max_ids=5_000)
    world.answer = lambda _: Answered(503)
    return world.run_until(30)


def value(partition: int, offset: int) -> bytes:
    return event(partition % 50 + 1, "add", f"c{partition}-{offset}")


@pytest.mark.parametrize("world_of", [idle, busy, full])
def test_a_turn_looks_at_no_partition_unless_a_time_has_come(
    world_of: Callable[[], World],
) -> None:
    """Each turn's look at 5,000 cost 2 ms."""
    world = world_of()
    began = world.now
    walks = [walks_in(world) for _ in range(TURNS)]
    assert len(world.pipeline.ledgers) == PARTITIONS
    assert min(walks) == 0
    assert 0 < sum(walks) <= WALKS_PER_SECOND * (world.now - began + 1)


def walks_in(world: World) -> int:
    """Return how often a turn begins to walk over all partitions."""
    ledgers, count = world.pipeline.ledgers, 0

    def note(_: object, what: str, called: object) -> None:
        nonlocal count
        if what == "c_call" and isinstance(called, BuiltinMethodType):
            is_walk = called.__name__ in {"keys", "values", "items"}
            count += is_walk and called.__self__ is ledgers

    sys.setprofile(note)
    try:
        world.loop.turn()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    ("partitions", "times"),
    [(1, range(30, 52)), (PARTITIONS, range(8, 12)), (5 * PARTITIONS, range(8, 12))],
)
def test_ever_more_partitions_are_published_once_a_second(partitions: int, times: range) -> None:
    world = World(value, records=1, partitions=partitions).run_until(15)
    began, publications, last = world.now, 0, world.published
    while world.now < began + 10:
        world.loop.turn()
        publications += world.published is not last
        last = world.published
    assert publications in times


def test_what_is_published_is_made_for_who_looks_at_it_and_is_of_that_moment() -> None:
    """Of thousands of partitions it takes a good part of what a turn may take."""
    world = busy()
    assert world.published is not None
    snapshot = Reporter().snapshot(world.published, 1.7e9)
    assert isinstance(snapshot.status, Late)
    assert isinstance(snapshot.samples, Late)
    assert {"state", "partitions"} <= dict(snapshot.status).keys()
    before = eager(world.published)
    world.run_until(12)
    assert snapshot.status == before.status
    assert snapshot.samples == before.samples
    assert len(snapshot.status) == len(before.status)
    assert snapshot.status["partitions"] is snapshot.status["partitions"]


def eager(published: Published) -> Snapshot:
    snapshot = Reporter().snapshot(published, 1.7e9)
    return Snapshot(
        dict(snapshot.samples), snapshot.histograms, dict(snapshot.status), snapshot.not_ready
    )
