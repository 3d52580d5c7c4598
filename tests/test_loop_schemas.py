"""Partitions whose next record names a schema that isn't there yet, in virtual time.

Each waits alone, in front of that record, for as long as it takes; nothing is lost, nothing is
taken twice, and nobody else waits.
"""

from collections import defaultdict

import pytest

from consumer.core.positions import Gone
from consumer.core.schemas.answers import Failed, NotThere
from consumer.core.schemas.compiled import Compiled
from consumer.core.schemas.inquiries import NOT_THERE_SECONDS, Found
from consumer.engine.ports import EndOfPartition, View
from tests.support.loop_world import START, TOPIC, Registry, World
from tests.support.records import FakeMessage, event

OLD, NEW = b"\0\0\0\0\1", b"\0\0\0\0\2"
JSON = Compiled("JSON Schema", "", None)
DOWN = Failed("http://registry: connection refused")
RECORDS = 200
NEW_FROM = 50
FIRST, SECOND = (TOPIC, 0), (TOPIC, 1)
HOLD = "schema-registry-unavailable"


def one_each(partition: int, offset: int) -> bytes:
    """Return an event that adds a customer of its own; partition 0 begins to write a new schema."""
    prefix = NEW if partition == 0 and offset >= NEW_FROM else OLD
    return prefix + event("add", f"c{partition}-{offset}")


def flipping(partition: int, offset: int) -> bytes:
    """Return an event of one customer, who comes and goes: the last record adds it."""
    prefix = NEW if offset >= NEW_FROM else OLD
    return prefix + event("add" if offset % 2 else "remove", f"c{partition}")


def a_world(registry: Registry, **given: object) -> World:
    """Return a world with two partitions."""
    plain: dict[str, object] = {"partitions": 2, "records": RECORDS, "linger_seconds": 0.5}
    return World(one_each, registry=registry, **{**plain, **given})  # type: ignore[arg-type]  # whatever a world takes


def knowing(*known: bytes, otherwise: Found = DOWN) -> Registry:
    registry = Registry()
    registry.answer = lambda prefix: JSON if prefix in known else otherwise
    return registry


def delivered(world: World) -> dict[int, list[int]]:
    """Return the offsets of the customers that the API got, by partition, in their order."""
    found: dict[int, list[int]] = defaultdict(list)
    for _, attempt in world.sent:
        for name in attempt.ids:
            partition, offset = name.removeprefix("c").split("-")
            found[int(partition)].append(int(offset))
    return found


def committed(world: World, partition: int) -> int:
    return max(offset for (_, number), offset in world.commits if number == partition)


def counted(world: World, outcome: str) -> float:
    return world.pipeline.tally.freeze().counters["records_total", outcome]


def test_a_partition_waits_alone_and_goes_on_by_itself() -> None:
    registry = knowing(OLD)
    world = a_world(registry).run_until(20)
    assert delivered(world) == {0: [*range(NEW_FROM)], 1: [*range(RECORDS)]}
    assert committed(world, 0) == NEW_FROM
    assert committed(world, 1) == RECORDS
    registry.answer = lambda _: JSON
    world.run_until(40)
    assert delivered(world) == {0: [*range(RECORDS)], 1: [*range(RECORDS)]}
    assert committed(world, 0) == RECORDS
    assert counted(world, "accepted") == 2 * RECORDS
    assert counted(world, "malformed") == 0


def test_a_registry_that_fails_is_told_and_stops_nobody_else() -> None:
    registry = knowing(OLD)
    world = a_world(registry).run_until(10)
    assert world.holds() == {HOLD}
    assert not world.pipeline.throttle.is_held
    assert world.published is not None
    (hold,) = world.published.holds
    assert hold.detail == "1 partition waits for schema 2: http://registry: connection refused"
    assert [state.paused for state in world.published.partitions] == [True, False]
    registry.answer = lambda _: JSON
    world.run_until(30)
    assert world.holds() == set()
    assert [event for event, _ in world.said if event in {"hold", "hold_ended"}] == [
        "hold",
        "hold_ended",
    ]


def test_it_is_told_from_the_first_failure_on_and_no_longer_than_it_lasts() -> None:
    registry = knowing()
    registry.latency = 3.0
    world = a_world(registry).run_until(2)
    assert world.holds() == set()
    world.run_until(4)
    assert world.holds() == {HOLD}
    assert "2 partitions wait for schema 1" in world.pipeline.throttle.holds.popitem()[1].detail


def test_one_that_does_not_answer_is_told_too() -> None:
    registry = knowing(OLD, NEW)
    registry.latency = 1000.0
    world = a_world(registry).run_until(20)
    assert world.holds() == {HOLD}
    assert not world.sent


def test_a_schema_is_asked_for_once_whoever_waits_for_it() -> None:
    registry = knowing(OLD, NEW)
    registry.latency = 1.0
    world = a_world(registry, partitions=8).run_until(20)
    assert [prefix for _, prefix in registry.asked] == [OLD, NEW]
    assert len(delivered(world)) == 8


def test_a_partition_that_waits_is_not_one_from_which_nothing_comes() -> None:
    world = a_world(knowing(OLD))
    world.observer.view = View(asked=True, ends={FIRST: RECORDS, SECOND: RECORDS})
    world.run_until(120)
    assert world.holds() == {HOLD}
    assert not [event for event, _ in world.said if event == "partition_stalled"]


def test_the_end_of_a_partition_is_not_passed_while_it_waits() -> None:
    """It may come with the records, and what is before it was not read."""
    registry = knowing(OLD)
    world = a_world(registry).run_until(10)
    world.errors.append(FakeMessage(TOPIC, 0, RECORDS + 7, error=EndOfPartition()))
    world.run_until(20)
    assert world.pipeline.ledgers[FIRST].position == NEW_FROM
    assert committed(world, 0) == NEW_FROM


def test_nothing_that_was_consumed_before_is_taken_in_when_it_goes_on() -> None:
    """The buffer is full meanwhile, and a backlog of both partitions waits for room."""
    registry = knowing(OLD)
    registry.latency = 5.0
    world = a_world(registry, buffer_max_ids=20, batch_max_ids=10)
    world.latency = 2.0
    registry.answer = lambda _: JSON
    world.run_until(400)
    found = delivered(world)
    assert {partition: sorted(offsets) for partition, offsets in found.items()} == {
        0: [*range(RECORDS)],
        1: [*range(RECORDS)],
    }
    assert counted(world, "accepted") == 2 * RECORDS


def test_it_stays_paused_when_the_others_are_resumed() -> None:
    world = a_world(knowing(OLD), records=10**9, buffer_max_ids=2000)
    world.latency = 3.0
    seen: set[bool] = set()

    def look(_: float) -> None:
        if FIRST in world.pipeline.awaited:
            seen.add(world.is_read(0))

    world.before_consume = look
    world.run_until(30)
    events = [event for event, _ in world.said]
    assert events.count("resumed") >= 2
    assert seen == {False}


@pytest.mark.parametrize("wait", [0.01, 0.3, 2.0, 11.0])
def test_the_last_word_wins_after_a_wait(wait: float) -> None:
    registry = knowing(OLD, NEW)
    registry.latency = wait
    world = World(
        flipping, registry=registry, partitions=3, records=RECORDS, per_second=50.0
    ).run_until(60)
    last: dict[str, str] = {}
    for _, attempt in world.sent:
        last |= dict.fromkeys(attempt.ids, attempt.batch.action)
    assert last == {"c0": "add", "c1": "add", "c2": "add"}
    assert counted(world, "accepted") == 3 * RECORDS


def test_one_that_is_revoked_is_another_when_it_comes_back() -> None:
    registry = knowing(OLD)
    world = a_world(registry).run_until(10)
    world.loop.revoked([FIRST])
    world.run_until(12)
    assert world.pipeline.awaited == {}
    assert world.holds() == set()
    asked = len(registry.asked)
    world.run_until(30)
    assert len(registry.asked) == asked  # nobody needs it
    world.loop.assigned([FIRST])
    world.run_until(40)
    assert world.holds() == {HOLD}
    registry.answer = lambda _: JSON
    world.run_until(60)
    assert {*delivered(world)[0]} == {*range(RECORDS)}
    assert world.holds() == set()


def test_one_that_is_lost_and_back_within_one_turn_waits_as_well() -> None:
    registry = knowing(OLD)
    world = a_world(registry).run_until(10)
    world.committed = world.committed.__class__(NEW_FROM, "")
    world.inside_consume.append(lambda: world.loop.lost([FIRST]))
    world.inside_consume.append(lambda: world.loop.assigned([FIRST]))
    world.run_until(20)
    assert not world.is_read(0)
    assert world.holds() == {HOLD}
    registry.answer = lambda _: JSON
    world.run_until(60)
    assert delivered(world)[0] == [*range(RECORDS)]


def test_a_log_that_is_cut_off_meanwhile_goes_on_at_the_cut() -> None:
    registry = knowing(OLD)
    world = a_world(registry).run_until(10)
    world.records = 30
    world.leader_epoch = 4
    world.errors.append(FakeMessage(TOPIC, 0, 30, error=Gone(30, is_compared=True)))
    world.run_until(30)
    assert world.pipeline.ledgers[FIRST].position == 30
    world.records = RECORDS
    registry.answer = lambda _: JSON
    world.run_until(60)
    assert sorted(delivered(world)[0]) == sorted([*range(NEW_FROM), *range(30, RECORDS)])
    assert committed(world, 0) == RECORDS


def test_one_whose_position_is_lost_waits_for_what_it_needs_there() -> None:
    """The topic was made anew, to be rid of a schema that nobody can read, or the log was cut."""
    registry = knowing(OLD)
    world = a_world(registry).run_until(10)
    assert world.holds() == {HOLD}
    world.records = 30
    world.leader_epoch = 4
    world.errors.append(FakeMessage(TOPIC, 0, 30, error=Gone(30, is_compared=True)))
    world.run_until(20)
    assert world.pipeline.awaited == {}
    assert world.holds() == set()
    world.records = 40
    world.run_until(30)
    assert world.pipeline.ledgers[FIRST].position == 40
    assert delivered(world)[0][-10:] == [*range(30, 40)]
    world.records = RECORDS
    world.run_until(40)
    assert world.holds() == {HOLD}
    assert not world.is_read(0)
    assert world.pipeline.ledgers[FIRST].position == NEW_FROM


def test_a_damaged_batch_meanwhile_ends_no_wait() -> None:
    registry = knowing(OLD)
    world = a_world(registry).run_until(10)
    world.loop.assignment.rest([FIRST], world.now)  # as it is of a damaged batch
    seen: set[bool] = set()
    world.before_consume = lambda _: seen.add(world.is_read(0))
    world.run_until(60)
    assert seen == {False}  # else all of it is fetched, and thrown away
    assert committed(world, 0) == NEW_FROM
    registry.answer = lambda _: JSON
    world.run_until(90)
    assert delivered(world)[0] == [*range(RECORDS)]


def test_what_the_registry_does_not_know_is_malformed_after_a_minute() -> None:
    registry = knowing(OLD, otherwise=NotThere("the schema is not found"))
    world = a_world(registry).run_until(NOT_THERE_SECONDS - 5)
    assert counted(world, "malformed") == 0
    assert world.holds() == set()
    assert (
        "schema_not_found",
        "schema 2: the schema is not found; it is asked for again",
    ) in world.said
    world.run_until(NOT_THERE_SECONDS + 10)
    assert counted(world, "malformed") == RECORDS - NEW_FROM
    assert committed(world, 0) == RECORDS
    assert delivered(world) == {0: [*range(NEW_FROM)], 1: [*range(RECORDS)]}


def test_nothing_is_malformed_for_a_registry_that_knows_nothing() -> None:
    world = a_world(knowing(otherwise=NotThere("the schema is not found"))).run_until(600)
    assert counted(world, "malformed") == 0
    assert world.holds() == {HOLD}
    assert not world.commits or max(offset for _, offset in world.commits) == 0


def test_thousands_of_partitions_are_held_back_together() -> None:
    registry = knowing()
    world = a_world(registry, partitions=2000, records=3)
    world.run_until(10)
    assert len(world.pipeline.awaited) == 2000
    assert world.pauses < 50
    departures = world.departures
    registry.answer = lambda _: JSON
    world.run_until(60)
    assert world.departures - departures < 10
    assert counted(world, "accepted") == 6000


def test_a_stop_does_not_wait_for_a_schema() -> None:
    world = a_world(knowing(OLD)).run_until(10)
    before = world.now
    world.loop.stop(world.now + 20)
    assert world.now - before < 1
    assert committed(world, 0) == NEW_FROM
    assert world.now > START
