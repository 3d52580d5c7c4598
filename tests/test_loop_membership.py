"""The loop in virtual time: what membership proves, to whom, and for how long."""

import pytest

from consumer.core.outcomes import Answered
from consumer.engine.ports import Trouble, View
from tests.support.loop_world import ACCEPTED, START, World
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
    world.observer.view = View(asked=True, session_seconds=12.0, heartbeat_seconds=5.0)
    world.run_until(30)
    assert world.holds() == {"kafka-unavailable"}
    world.observer.view = View(asked=True, session_seconds=45.0, heartbeat_seconds=5.0)
    world.run_until(60)
    assert not world.holds()
    assert world.sent[-1][0] > START + 55


def test_a_session_of_the_broker_that_is_longer_than_the_setting_gives_no_longer_lease() -> None:
    world = World(one_each, per_second=10.0)
    world.observer.view = View(asked=True, session_seconds=600.0, heartbeat_seconds=5.0)
    world.run_until(10)
    assert world.loop.commits.lease.seconds == 45.0 - 10.0 - 5.0


def test_i5_with_a_session_of_the_brokers_nothing_is_sent_before_it_is_known() -> None:
    world = World(one_each, per_second=100_000.0, asks_session=True)
    world.observer.view = View()
    world.run_until(10)
    assert not world.sent
    world.observer.view = View(asked=True, unreachable="no broker")
    world.run_until(15)
    assert not world.sent
    world.observer.view = View(asked=True, session_seconds=30.0, heartbeat_seconds=5.0)
    world.run_until(20)
    assert world.sent
    assert world.loop.commits.lease.seconds == 15.0


def test_i9_a_stop_before_the_session_is_known_waits_for_nothing() -> None:
    world = World(one_each, records=10, asks_session=True)
    world.observer.view = View()
    world.run_until(5)
    asked_at = world.now
    world.loop.stop(asked_at + 20.0)
    assert world.now < asked_at + 1
    assert world.loop.released == 10


def test_a_broker_that_does_not_tell_its_session_is_taken_to_have_the_settings() -> None:
    world = World(one_each, asks_session=True, per_second=1_000)
    world.run_until(10)
    assert world.sent
    assert world.loop.commits.lease.seconds == 32.0


def shows(world: World, **counts: int) -> None:
    """Let the cluster's thread see so many partitions of topics, and the loop turn."""
    world.observer.view = View(asked=True, partition_counts=counts)
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
    world.observer.view = View(asked=True, is_member=True)
    world.run_until(2)
    assert not world.loop.outlook.problems
    world.observer.view = View(asked=True, is_member=False)
    world.run_until(4)
    assert "group" in world.loop.outlook.problems


def test_why_the_group_is_not_joined_is_said_at_once() -> None:
    """Not when the hold begins, 15 s later."""
    world = World(one_each, partitions=0)
    world.observer.view = View(asked=True, is_member=False)
    world.run_until(1)
    world.loop.kafka_error(Trouble("UNRELEASED_INSTANCE_ID", "somebody has the name"))
    world.run_until(2)
    assert "UNRELEASED_INSTANCE_ID: somebody" in world.loop.outlook.problems["group"]
