"""The loop in virtual time: what membership proves, to whom, and for how long."""

from collections.abc import Sequence

import pytest

from consumer.core.outcomes import Answered
from consumer.engine.ports import Trouble, View
from tests.support.loop_world import ACCEPTED, START, TOPIC, World
from tests.support.records import event


def one_each(partition: int, offset: int) -> bytes:
    """Add another customer, to a segment that is the partition's own."""
    return event("add", f"c{partition}-{offset}", segment=partition + 1)


@pytest.mark.parametrize("refused", [0, 1])
def test_i8_one_partition_whose_commits_are_refused_for_ever_stops_no_other(refused: int) -> None:
    """Also when no other one has anything to commit: what it committed is proof again."""
    world = World(one_each, per_second=50.0, partitions=2)
    world.refused_commits = {refused}
    world.run_until(40)
    before = len(world.sent)
    assert before
    world.answer = lambda _: Answered(503)
    world.run_until(140)
    world.answer = lambda _: ACCEPTED
    world.run_until(300)
    assert world.sent[-1][0] > START + 290
    assert not world.holds()


def test_a_session_that_was_too_short_is_no_reason_any_more_when_it_is_longer() -> None:
    world = World(one_each, per_second=10.0)
    world.cluster.view = View(asked=True, session_seconds=12.0, heartbeat_seconds=5.0)
    world.run_until(30)
    assert world.holds() == {"kafka-unavailable"}
    world.cluster.view = View(asked=True, session_seconds=45.0, heartbeat_seconds=5.0)
    world.run_until(60)
    assert not world.holds()
    assert world.sent[-1][0] > START + 55


def test_a_session_of_the_broker_that_is_longer_than_the_setting_gives_no_longer_lease() -> None:
    world = World(one_each, per_second=10.0)
    world.cluster.view = View(asked=True, session_seconds=600.0, heartbeat_seconds=5.0)
    world.run_until(10)
    assert world.loop.commits.lease.seconds == 45.0 - 10.0 - 5.0


def test_i5_with_a_session_of_the_brokers_nothing_is_sent_before_it_is_known() -> None:
    world = World(one_each, per_second=100_000.0, asks_session=True)
    world.cluster.view = View()
    world.run_until(10)
    assert not world.sent
    world.cluster.view = View(asked=True, unreachable="no broker")
    world.run_until(15)
    assert not world.sent
    world.cluster.view = View(asked=True, session_seconds=30.0, heartbeat_seconds=5.0)
    world.run_until(20)
    assert world.sent
    assert world.loop.commits.lease.seconds == 15.0


def test_a_broker_that_does_not_tell_its_session_is_taken_to_have_the_settings() -> None:
    world = World(one_each, asks_session=True)
    world.run_until(10)
    assert world.sent
    assert world.loop.commits.lease.seconds == 32.0


def test_a_static_member_that_is_stopped_at_once_waits_and_drains_nevertheless() -> None:
    world = World(one_each, records=10, is_static=True, drain_seconds=30.0)
    world.run_until(3)
    assert world.pipeline.held_ids == 10
    asked_at = world.now
    world.loop.request_stop(asked_at + 30.0)
    world.loop.stop(asked_at + 30.0)
    assert [len(attempt.ids) for _, attempt in world.sent] == [10]
    assert world.sent[0][0] >= START + 10
    assert world.now < START + 12
    assert not world.loop.released
    assert world.commits[-1] == ((TOPIC, 0), 10)


def test_a_static_member_without_the_time_for_that_stops_at_once_and_commits() -> None:
    values = [b"junk", b"junk", event("add", "x")]
    world = World(lambda _, offset: values[offset], records=3, is_static=True, drain_seconds=12.0)
    world.run_until(0.5)
    asked_at = world.now
    world.loop.request_stop(asked_at + 12.0)
    world.loop.stop(asked_at + 12.0)
    assert world.now < asked_at + 1
    assert not world.sent
    assert world.loop.released == 1
    assert world.commits[-1] == ((TOPIC, 0), 2)


def stops_in_a_rebalance(world: World, *, stable_at: float, callbacks_at: Sequence[float]) -> float:
    """Stop while the group says that it rebalances; return how many seconds that took.

    It says stable from ``stable_at`` on. Callbacks come in pairs: something revoked, none assigned.
    """
    world.run_until(20)
    asked_at = world.now
    world.cluster.is_rebalancing = lambda: world.now < asked_at + stable_at
    due = [asked_at + each for each in callbacks_at]

    def call_back(_: float) -> None:
        if due and world.now >= due[0]:
            due.pop(0)
            world.inside_consume += [
                lambda: world.loop.revoked([(TOPIC, 0)]),
                lambda: world.loop.assigned([]),
            ]

    world.before_consume = call_back
    world.loop.stop(asked_at + 20.0)
    return world.now - asked_at


def test_a_static_member_that_stops_sees_a_rebalance_out() -> None:
    """It would be let in again without one, and what it gave up in it would have no owner."""
    world = World(one_each, records=10, is_static=True)
    assert 3 < stops_in_a_rebalance(world, stable_at=3.0, callbacks_at=()) < 4


def test_a_static_member_that_stops_joins_again_after_it_gave_something_up() -> None:
    """The group says that it is stable between the two rounds, too."""
    world = World(one_each, records=10, is_static=True)
    assert 1 < stops_in_a_rebalance(world, stable_at=0.0, callbacks_at=(0.0,)) < 2


def test_a_static_member_that_stops_hears_what_came_just_before_the_group_was_stable() -> None:
    world = World(one_each, records=10, is_static=True)
    assert 4 < stops_in_a_rebalance(world, stable_at=2.95, callbacks_at=(3.0,)) < 5


def test_a_static_member_sees_a_rebalance_out_no_longer_than_its_time() -> None:
    world = World(one_each, records=10, is_static=True)
    assert 20 <= stops_in_a_rebalance(world, stable_at=60.0, callbacks_at=()) < 21


def test_a_static_member_trusts_no_word_about_the_group_that_is_older_than_its_drain() -> None:
    world = World(one_each, records=10, is_static=True)
    world.run_until(20)
    asked_at = world.now
    world.cluster.view = View(asked=True, is_rebalancing=False, asked_at=asked_at - 1)
    world.cluster.ask_now = lambda: None  # type: ignore[method-assign]  # the answer takes its time

    def answer(_: float) -> None:
        if world.now > asked_at + 2:
            world.cluster.view = View(asked=True, is_rebalancing=False, asked_at=world.now)

    world.before_consume = answer
    world.loop.stop(asked_at + 20.0)
    assert asked_at + 2 < world.now < asked_at + 3


@pytest.mark.parametrize("seen", [View(asked=True, unreachable="no broker"), View(asked=True)])
def test_a_static_member_does_not_wait_for_a_broker_that_is_away(seen: View) -> None:
    world = World(one_each, records=10, is_static=True)
    world.run_until(20)
    asked_at = world.now
    world.cluster.view = seen
    world.cluster.ask_now = lambda: None  # type: ignore[method-assign]  # nobody answers
    world.loop.stop(asked_at + 20.0)
    assert world.now < asked_at + 4


def test_a_static_member_that_has_drained_ends_well_whatever_comes_then() -> None:
    """A successor of its name that came too early, for example, is fatal to its client."""
    world = World(one_each, records=10, is_static=True)
    world.run_until(20)
    fatal = Trouble("_FATAL", "fenced", fatal=True)
    world.inside_consume.append(lambda: world.loop.kafka_error(fatal))
    world.loop.stop(world.now + 20.0)
    assert world.commits[-1] == ((TOPIC, 0), 10)


@pytest.mark.parametrize("asks_session", [False, True])
def test_other_members_that_stop_leave_a_rebalance_to_the_others(*, asks_session: bool) -> None:
    world = World(one_each, records=10, is_static=asks_session, asks_session=asks_session)
    assert stops_in_a_rebalance(world, stable_at=20.0, callbacks_at=()) < 1


def shows(world: World, **counts: int) -> None:
    """Let the cluster's thread see so many partitions of topics, and the loop turn."""
    world.cluster.view = View(asked=True, partition_counts=counts)
    world.run_until(world.now - START + 3)


def test_the_client_looks_at_a_topic_once_for_each_change_that_the_cluster_tells() -> None:
    world = World(one_each, per_second=10.0)
    world.partition_counts = {"audience": 1, "other": 7}
    shows(world, audience=1)
    shows(world, audience=1)
    assert not world.looks
    world.partition_counts = {"audience": 2, "other": 7}
    shows(world, audience=2)
    shows(world, audience=2)
    assert world.looks == [{"audience"}]
    shows(world, audience=2, other=7)
    assert world.looks == [{"audience"}, {"other"}]
    shows(world, audience=2)
    shows(world, audience=2, other=7)  # it was made anew
    assert world.looks == [{"audience"}, {"other"}, {"other"}]


@pytest.mark.parametrize("late", [None, {"audience": 1}, {}])
def test_the_client_looks_again_if_its_broker_did_not_know_yet(late: dict[str, int] | None) -> None:
    """Once for each view of the cluster: a broker that is away must not be waited for all day."""
    world = World(one_each, per_second=10.0)
    shows(world, audience=1)
    world.partition_counts = late
    shows(world, audience=2)
    assert len(world.looks) == 1
    shows(world, audience=2)
    assert len(world.looks) == 2
    world.partition_counts = {"audience": 2}
    for _ in range(3):
        shows(world, audience=2)
    assert len(world.looks) == 3


def test_all_topics_are_listed_every_half_minute_and_never_with_kip_848() -> None:
    """A client that waits for metadata to join with is waked by nothing else."""
    world = World(one_each, per_second=10.0)
    world.run_until(100)
    assert [round((at - START) / 30) for at in world.listings] == [1, 2, 3]
    world = World(one_each, per_second=10.0, asks_session=True)
    shows(world, audience=1)
    shows(world, audience=2)
    world.run_until(100)
    assert not world.listings
    assert not world.looks


def test_a_member_that_the_group_no_longer_has_is_not_ready() -> None:
    world = World(one_each, partitions=0)
    world.cluster.view = View(asked=True, is_member=True)
    world.run_until(2)
    assert not world.loop.outlook.problems
    world.cluster.view = View(asked=True, is_member=False)
    world.run_until(4)
    assert "group" in world.loop.outlook.problems
