"""An API that can't be reached is told as a hold, wherever the loop is, and stops nothing (I8)."""

import pytest

from consumer.core.outcomes import Answer, Answered, Broken, HoldReason, RetryReason, TimedOut
from consumer.engine.ports import Published
from tests.support.loop_world import ACCEPTED, START, TOPIC, World
from tests.support.records import event

API_DOWN = HoldReason.API_UNAVAILABLE.value
TOLD_SECONDS = 15.0

KINDS = [
    pytest.param(Broken("connection refused", ambiguous=False), 0.1, id="refused"),
    pytest.param(Broken("no such host", ambiguous=False), 0.01, id="no such host"),
    pytest.param(Broken("the proxy answered 407", ambiguous=False), 0.1, id="proxy"),
    pytest.param(Broken("certificate verify failed", ambiguous=False), 0.1, id="TLS"),
    pytest.param(TimedOut("timed out"), 10.0, id="black hole"),
    pytest.param(Answered(503), 0.1, id="503"),
    pytest.param(Answered(599, b"", 120.0), 0.1, id="599 with Retry-After"),
]


def down(answer: Answer, latency: float, segments: int = 1, drain_seconds: float = 20.0) -> World:
    """Return a world with one change for each segment, whose API answers so."""
    world = World(
        lambda _, offset: event("add", "x", segment=offset + 1),
        records=segments,
        drain_seconds=drain_seconds,
    )
    world.answer = lambda _: answer
    world.latency = latency
    return world


def await_first_failure(world: World) -> float:
    counters = world.pipeline.tally.counters
    world.run_while(lambda: not any(counters["retries_total", each] for each in RetryReason))
    return world.now


def seen(world: World) -> Published:
    return world.loop.publisher.state(world.now)


def events(world: World, event_name: str) -> list[str]:
    return [text for name, text in world.said if name == event_name]


@pytest.mark.parametrize("segments", [1, 30])
@pytest.mark.parametrize(("answer", "latency"), KINDS)
def test_i8_an_api_that_cant_be_reached_is_told_in_time_and_no_more_after_a_success(
    answer: Answer, latency: float, segments: int
) -> None:
    world = down(answer, latency, segments)
    first = await_first_failure(world)
    world.run_while(lambda: API_DOWN not in world.holds(), TOLD_SECONDS)
    assert world.now - first > TOLD_SECONDS - 2.0, "not for a short trouble"
    (hold,) = seen(world).holds
    assert first - 0.1 <= hold.since <= first
    assert "failed attempts in a row: " in hold.detail
    assert hold.next_probe is not None
    assert world.now <= hold.next_probe <= world.now + 120.0
    assert events(world, "hold") == [hold.detail]
    world.run_while(lambda: world.now < first + 40.0)
    assert seen(world).holds[0].attempts > hold.attempts or latency == 10.0 or "599" in hold.detail
    assert seen(world).holds[0].since == hold.since
    assert len(events(world, "hold")) == 1
    world.answer = lambda _: ACCEPTED
    world.run_while(world.holds, 130.0)
    assert len(events(world, "hold_ended")) == 1
    world.run_while(lambda: world.pipeline.held_ids, 130.0)
    assert not world.holds()


def test_i8_it_is_told_in_a_drain_too_and_ends_with_what_there_was_to_try() -> None:
    world = down(Answered(500), 0.1, drain_seconds=60.0)
    first = await_first_failure(world)
    world.loop.revoked([(TOPIC, 0)])
    assert len(events(world, "hold")) == 1
    assert world.now < first + 61.0
    world.run_while(world.holds, 1.0)
    assert len(events(world, "hold_ended")) == 1


def test_one_failing_segment_beside_others_is_no_trouble_of_the_api() -> None:
    world = World(lambda _, offset: event("add", f"x{offset}", segment=1 + offset % 5))
    world.per_second = 20.0
    world.answer = lambda attempt: Answered(503) if attempt.batch.lane.segment_id == 3 else ACCEPTED
    while world.now < START + 90.0:
        world.loop.turn()
        assert not world.holds()


def test_what_was_seen_last_is_what_is_told() -> None:
    world = down(Broken("connection refused", ambiguous=False), 0.1)
    world.run_while(lambda: API_DOWN not in world.holds())
    world.answer = lambda _: Answered(502)
    before = seen(world).holds[0].attempts
    world.run_while(lambda: seen(world).holds[0].attempts == before, 130.0)
    assert seen(world).holds[0].detail.startswith("502")
