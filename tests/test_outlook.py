"""What is wrong with Kafka is told when it lasts, and stops nothing that the lease allows."""

import itertools

import pytest

from consumer.engine.outlook import REFUSED_SECONDS, TROUBLE_SECONDS, _why_not_joined
from consumer.engine.ports import Trouble, View
from tests.support.loop_world import START, TOPIC, World
from tests.support.records import event

TROUBLES = [
    pytest.param(View(asked=True, unreachable="no answer"), "kafka-unavailable", id="blind"),
    pytest.param(
        View(asked=True, missing={"other": "READ is denied"}), "kafka-unavailable", id="a topic"
    ),
    pytest.param(
        View(asked=True, dead_letter_trouble="collides"), "dead-letter-unavailable", id="letters"
    ),
]


def one_each(_: int, offset: int) -> bytes:
    """Add another customer, to one of a few segments."""
    return event("add", f"c{offset}", segment=offset % 5 + 1)


@pytest.mark.parametrize(("view", "hold"), TROUBLES)
def test_i8_what_is_seen_of_kafka_is_told_and_stops_nothing(view: View, hold: str) -> None:
    world = World(one_each, per_second=20.0, linger_seconds=0.5).run_until(5)
    world.observer.view = view
    world.run_until(100)
    assert world.holds() == {hold}
    assert [each.next_probe for each in world.pipeline.holds(world.now)] == [None]
    starts = [at for at, _ in world.sent]
    assert starts[-1] > START + 99
    assert max(later - earlier for earlier, later in itertools.pairwise(starts)) < 2
    committed = world.pipeline.ledgers[TOPIC, 0].committed
    assert committed is not None
    assert committed > 20 * 90
    world.observer.view = View(asked=True)
    assert not world.run_until(102).holds()


@pytest.mark.parametrize(("view", "hold"), TROUBLES)
def test_what_passes_is_not_told(view: View, hold: str) -> None:
    world = World(one_each, per_second=20.0)
    for began in (5.0, 30.0):
        world.run_until(began).observer.view = view
        world.run_until(began + TROUBLE_SECONDS - 1)
        assert not world.holds()
        world.observer.view = View(asked=True)
        world.run_until(began + TROUBLE_SECONDS + 5)
        assert not world.holds()
    world.run_until(60).observer.view = view
    assert world.run_until(61 + TROUBLE_SECONDS).holds() == {hold}


def test_i11_what_needs_a_dead_letter_waits_for_it_and_nothing_else_does() -> None:
    world = World(
        lambda _, offset: b"{" if offset == 50 else one_each(0, offset),
        per_second=20.0,
        linger_seconds=0.5,
    )
    world.acknowledges = False
    world.run_until(TROUBLE_SECONDS)
    assert not world.holds()
    world.run_until(100)
    assert world.holds() == {"dead-letter-unavailable"}
    assert world.sent[-1][0] > START + 99
    ledger = world.pipeline.ledgers[TOPIC, 0]
    assert ledger.committed == 50
    assert max(offset for _, offset in world.commits) == 50
    world.acknowledges = True
    world.run_until(105)
    assert not world.holds()
    assert (ledger.committed or 0) > 20 * 100


REFUSED = Trouble("_AUTHENTICATION", "login refused: whoever", is_refusal=True)
FORBIDDEN = {"other": "READ is denied"}


def problems(world: World) -> str:
    """Return what stands in the way."""
    assert world.published is not None
    return "; ".join(world.published.problems.values())


def test_a_login_that_works_again_is_told_no_more_though_something_else_is_wrong() -> None:
    world = World(one_each, per_second=20.0).run_until(5)
    world.observer.view = View(asked=True, missing=FORBIDDEN)
    for _ in range(3):
        world.loop.kafka_error(REFUSED)
        world.run_until(world.now - START + REFUSED_SECONDS / 2)
        assert "login refused" in problems(world)
    world.run_until(world.now - START + REFUSED_SECONDS)
    assert problems(world) == "topic other: READ is denied"


def test_a_login_that_is_refused_is_told_as_long_as_no_broker_can_be_asked() -> None:
    world = World(one_each, per_second=20.0).run_until(5)
    world.observer.view = View(asked=True, unreachable="no answer")
    world.loop.kafka_error(REFUSED)
    world.run_until(5 * REFUSED_SECONDS)
    assert "login refused" in problems(world)


def test_who_could_look_says_more_of_a_refusal_than_the_client() -> None:
    world = World(one_each, per_second=20.0).run_until(5)
    seen = "the broker's certificate can't be trusted: it is over"
    world.observer.view = View(asked=True, unreachable=seen, refused=seen)
    world.loop.kafka_error(REFUSED)
    world.run_until(world.now - START + 1)
    assert seen in problems(world)
    assert "login refused" not in problems(world)
    assert "no broker reachable" not in problems(world)


def test_that_all_brokers_are_down_is_no_reason_beside_a_better_one() -> None:
    down = Trouble("_ALL_BROKERS_DOWN", "1/1 brokers are down")
    assert _why_not_joined(View(unreachable="refused"), down) == "not joined to the group yet"
    assert _why_not_joined(View(), down).endswith(f"{down.code}: {down.detail}")
