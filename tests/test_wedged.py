"""A client that gets nothing done, though the cluster answers, is replaced by a new one."""

from typing import TYPE_CHECKING

import pytest

from consumer.engine.ports import View
from consumer.engine.wedge import MOST_TIMES, Patience
from tests.support.flipping import Flipping
from tests.support.kafka_frames import (
    CONSUMER_GROUP_HEARTBEAT,
    OFFSET_COMMIT,
    answers_of,
    lost,
    refused,
)
from tests.support.loop_world import START, TOPIC, World
from tests.support.records import event

if TYPE_CHECKING:
    from tests.support.scenario import Scenario

MINUTE = 60.0
COMMIT, LEASE = ("a commit got no answer", START), ("no commit was confirmed", 0.0)
UNKNOWN_SERVER_ERROR = -1
PATIENCE_SECONDS = 120
"""Of a client it is 20 s at least, from when the cluster is known to be well."""


def over(patience: Patience, now: float, *troubles: tuple[str, float], well: bool = True) -> str:
    return patience.over(now, set(troubles), is_well=well, is_proven=False)


# The rule


def test_a_client_that_fails_for_a_minute_is_replaced_and_said_once() -> None:
    patience = Patience(MINUTE)
    assert not over(patience, 0.0, LEASE)
    assert not over(patience, 59.9, LEASE)
    assert over(patience, 60.0, LEASE) == LEASE[0]
    assert not over(patience, 60.1, LEASE)


def test_what_is_mended_for_a_moment_begins_anew() -> None:
    patience = Patience(MINUTE)
    over(patience, 0.0, LEASE)
    over(patience, 50.0)
    assert not over(patience, 61.0, LEASE)
    assert over(patience, 121.0, LEASE)


def test_an_answer_counts_though_the_next_commit_is_on_its_way() -> None:
    patience = Patience(MINUTE)
    for second in range(600):
        assert not over(patience, float(second), (COMMIT[0], float(second // 50)))


def test_while_the_cluster_is_away_the_client_is_not_to_blame() -> None:
    patience = Patience(MINUTE)
    over(patience, 0.0, LEASE)
    for second in range(1, 600):
        assert not over(patience, float(second), LEASE, well=False)
    assert not over(patience, 600.0, LEASE)
    assert not over(patience, 659.0, LEASE)
    assert over(patience, 660.0, LEASE)


def test_each_new_client_gets_more_time_until_one_is_proven() -> None:
    patience, now = Patience(MINUTE), 0.0
    waited = []
    for _ in range(6):
        began = now
        while not over(patience, now, LEASE):
            now += 1.0
        waited.append(now - began)
        now += 1.0
    assert waited == [MINUTE * times for times in (1, 2, 4, MOST_TIMES, MOST_TIMES, MOST_TIMES)]
    patience.over(now, set(), is_well=True, is_proven=True)
    over(patience, now, LEASE)
    assert over(patience, now + MINUTE, LEASE)


# The loop


def one_each(partition: int, offset: int) -> bytes:
    """Add another customer, to a segment that is the partition's own."""
    return event("add", f"c{partition}-{offset}", segment=partition + 1)


def test_i8_a_commit_whose_answer_never_comes_costs_a_minute_and_a_client() -> None:
    world = World(one_each, per_second=10.0, records=2000)
    world.run_until(20)
    world.commit_latency = 10_000.0
    world.run_until(60)
    assert not world.began_anew
    world.commit_latency = 0.0  # of what the next client sends
    world.run_until(400)
    (began,) = world.began_anew
    assert 75.0 < began - START < 90.0
    (said,) = [text for name, text in world.said if name == "client_replaced"]
    assert said.startswith("a commit got no answer, though the cluster answers: a new client")
    assert not world.holds()
    assert dict(world.commits)[TOPIC, 0] == 2000
    assert {name for _, attempt in world.sent for name in attempt.ids} == {
        f"c0-{offset}" for offset in range(2000)
    }


def test_i8_a_lease_that_is_gone_for_a_minute_costs_a_client() -> None:
    """Each commit is answered, and none confirmed."""
    world = World(one_each, per_second=10.0, records=2000)
    world.run_until(20)
    world.loses_answers_to_commits = True
    world.run_while(lambda: not world.began_anew)
    assert 110.0 < world.began_anew[0] - START < 130.0  # the lease's 32 s, and a minute
    world.loses_answers_to_commits = False
    world.run_until(400)
    assert len(world.began_anew) == 1
    assert dict(world.commits)[TOPIC, 0] == 2000


@pytest.mark.parametrize("way", ["no answer", "not confirmed"])
def test_i8_a_client_that_hangs_while_nothing_is_held_is_noticed_all_the_same(way: str) -> None:
    """No record comes to it, and nobody else says so."""
    world = World(one_each, records=20)
    world.run_until(30)
    assert not world.pipeline.held_ids
    commits = len(world.commits)
    world.run_until(90)
    assert world.commits[commits:] == [((TOPIC, 0), 20)] * 4, "the last one again, now and then"
    world.commit_latency = 10_000.0 if way == "no answer" else 0.0
    world.loses_answers_to_commits = way == "not confirmed"
    world.run_while(lambda: not world.began_anew)
    assert world.began_anew[0] - START < 90 + 15 + 32 + 62  # a proof's turn, the lease, a minute
    world.commit_latency, world.loses_answers_to_commits = 0.0, False
    world.run_until(600)
    assert len(world.began_anew) == 1


def test_i8_a_client_whose_commits_are_refused_is_kept_and_what_was_said_is_told() -> None:
    """As without a right: another client would be refused just so."""
    world = World(one_each, per_second=10.0, records=2000)
    world.run_until(20)
    world.refused_commits.add(0)
    world.run_until(500)
    assert not world.began_anew
    (hold,) = world.pipeline.holds(world.now)
    assert hold.reason == "kafka-unavailable"
    assert "does not confirm commits: unknown topic or partition" in hold.detail
    world.loses_answers_to_commits = True
    world.refused_commits.clear()
    world.run_while(lambda: not world.began_anew)
    world.loses_answers_to_commits = False
    world.run_until(world.now - START + 100)
    assert not world.holds()


def test_i5_what_a_wedged_client_held_is_released_and_nothing_of_it_is_on_its_way() -> None:
    world = World(one_each, per_second=10.0, records=2000)
    world.run_until(20)
    world.latency = 10.0  # as slow as they may be
    world.commit_latency = 10_000.0
    world.run_while(lambda: not world.began_anew)
    assert not world.flying_ids()
    assert world.loop.released
    assert world.pipeline.tally.counters["rebalances_total", "lost"] == 1


def out_of_the_group(**seen: object) -> World:
    """Return a world whose member is in no group, and hears nothing."""
    world = World(one_each, records=0, asks_session=True)
    world.inside_consume.clear()
    world.observer.view = View(asked=True, is_member=False, **seen)  # type: ignore[arg-type]  # any
    return world


def test_i8_a_client_that_reports_nothing_and_is_in_no_group_is_replaced() -> None:
    world = out_of_the_group()
    world.run_until(59)
    assert not world.began_anew
    world.run_until(70)
    assert len(world.began_anew) == 1


@pytest.mark.parametrize(
    "seen",
    [
        {"is_member": None},
        {"is_member": True},
        {"unreachable": "no broker"},
        {"missing": {TOPIC: "does not exist"}},
        {"group_obstacle": "the group still has members of the classic protocol (2)"},
    ],
    ids=lambda seen: next(iter(seen)),
)
def test_who_has_a_reason_to_be_in_no_group_or_may_be_in_it_is_left_alone(
    seen: dict[str, object],
) -> None:
    world = out_of_the_group()
    world.observer.view = View(**{"asked": True, "is_member": False, **seen})  # type: ignore[arg-type]  # any
    world.run_until(300)
    assert not world.began_anew


# A real broker


@pytest.mark.long("the patience that a client gets")
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_client_whose_commits_are_never_answered_is_replaced_and_nothing_is_lost(
    scenario: "Scenario", flipping: Flipping
) -> None:
    way_in, proxy = scenario.broker.proxied(0)
    loses: list[bool] = []
    proxy.meddle(answers_of(OFFSET_COMMIT, lost, lambda: bool(loses)))
    daemon = scenario.start_ready(KAFKA_BOOTSTRAP_SERVERS=way_in)
    flipping.await_caught_up()
    loses.append(True)
    daemon.wait_log("client_replaced", PATIENCE_SECONDS)
    loses.clear()
    flipping.await_caught_up()
    verdict = flipping.finish(daemon, request_seconds=1)
    assert not verdict.wrong, str(verdict)
    assert not verdict.went_back, str(verdict)
    assert len(daemon.logs("client_replaced")) == 1
    assert daemon.exit_code is None


@pytest.mark.parametrize("protocol", ["consumer"])
def test_whatever_a_broker_refuses_a_heartbeat_for_is_waited_for(
    scenario: "Scenario", flipping: Flipping
) -> None:
    """Any error that librdkafka does not know to pass is the end of its client."""
    way_in, proxy = scenario.broker.proxied(0)
    refuses: list[bool] = []
    proxy.meddle(
        answers_of(CONSUMER_GROUP_HEARTBEAT, refused(UNKNOWN_SERVER_ERROR), lambda: bool(refuses))
    )
    daemon = scenario.start_ready(KAFKA_BOOTSTRAP_SERVERS=way_in)
    flipping.await_caught_up()
    refuses.append(True)
    daemon.await_reason("not joined to the group yet: UNKNOWN")
    refuses.clear()
    daemon.wait_ready(PATIENCE_SECONDS)
    verdict = flipping.finish(daemon, request_seconds=1)
    assert not verdict.wrong, str(verdict)
    assert not verdict.went_back, str(verdict)
    assert daemon.exit_code is None
