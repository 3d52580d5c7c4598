"""The loop in virtual time: what membership proves, to whom, and for how long."""

from itertools import pairwise

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


def test_the_client_looks_at_a_topic_for_each_change_that_the_cluster_tells_and_once_more() -> None:
    """Brokers learn of it one after the other: its own may not know at once."""
    world = World(one_each, per_second=10.0)
    shows(world, audience=1)
    shows(world, audience=1)
    assert not world.looks
    shows(world, audience=2)
    shows(world, audience=2)
    shows(world, audience=2)
    assert world.looks == [{"audience"}] * 2
    shows(world, audience=2, other=7)
    shows(world, audience=2)
    shows(world, audience=2, other=7)  # it was made anew
    shows(world, audience=3, other=7)
    assert world.looks[2:] == [{"other"}, {"other"}, {"audience", "other"}]


def test_what_the_client_saw_is_taken_up_when_the_answers_must_be_in() -> None:
    world = World(one_each, per_second=10.0)
    shows(world, audience=1)
    shows(world, audience=2)
    assert [round(at - START) for at in world.take_ups] == [4]
    shows(world, audience=2)
    shows(world, audience=2)
    assert [round(at - START) for at in world.take_ups] == [4, 7]


def test_a_client_that_no_broker_can_be_asked_by_looks_as_soon_as_one_can() -> None:
    world = World(one_each, per_second=10.0)
    shows(world, audience=1)
    world.can_look = False
    for _ in range(3):
        shows(world, audience=2)
    assert len(world.looks) == 3
    world.can_look = True
    for _ in range(3):
        shows(world, audience=2)
    assert len(world.looks) == 4


def test_topics_of_an_expression_that_were_just_assigned_are_no_news_to_the_client() -> None:
    """It found them: 200 of them, asked for one by one, kept the loop for a minute and a half."""
    world = World(one_each, per_second=10.0, has_expression=True)
    shows(world)
    assert world.observer.partitions == (("audience", 0),)
    shows(world, audience=1)
    assert not world.looks
    shows(world, audience=2)
    assert world.looks == [{"audience"}]


def test_i8_looking_takes_the_loop_no_time() -> None:
    world = World(one_each, per_second=10.0, has_expression=True)
    shows(world, **{f"audience-{number}": 1 for number in range(200)})
    shows(world, **{f"audience-{number}": 2 for number in range(200)})
    world.run_until(100)
    assert max(after - before for before, after in pairwise(world.beats)) < 1
    assert len(world.looks[0]) == 200
    assert world.listings


def test_all_topics_are_listed_every_half_minute_for_an_expression_and_never_with_kip_848() -> None:
    world = World(one_each, per_second=10.0, has_expression=True)
    world.run_until(100)
    assert [round((at - START) / 30) for at in world.listings] == [1, 2, 3]
    world = World(one_each, per_second=10.0, asks_session=True)
    shows(world, audience=1)
    shows(world, audience=2)
    world.run_until(100)
    assert not world.listings
    assert not world.looks


def test_a_client_that_is_in_no_group_lists_all_topics_every_half_minute() -> None:
    """One that waits for metadata to join with is waked by nothing else."""
    world = World(one_each, per_second=10.0)
    world.name_in_group = ""
    world.run_until(100)
    assert [round((at - START) / 30) for at in world.listings] == [1, 2, 3]


def test_a_member_whose_topics_have_names_lists_all_topics_every_five_minutes() -> None:
    """A listing is as big as the cluster."""
    world = World(one_each, per_second=10.0)
    world.run_until(620)
    assert [round((at - START) / 30) for at in world.listings] == [10, 20]


def test_a_topic_that_is_gone_is_soon_missed_by_the_client() -> None:
    world = World(one_each, per_second=10.0)
    shows(world, audience=1, other=7)
    shows(world, audience=1)
    shows(world, audience=1)
    assert [round(at - START) for at in world.listings] == [6]


def test_a_member_that_the_group_no_longer_has_is_not_ready() -> None:
    world = World(one_each, partitions=0)
    world.observer.view = View(asked=True, is_member=True)
    world.run_until(2)
    assert not world.loop.outlook.problems
    world.observer.view = View(asked=True, is_member=False)
    world.run_until(4)
    assert "group" in world.loop.outlook.problems


def test_whoever_has_partitions_is_a_member_whatever_was_seen_before() -> None:
    """The observer's view may be older, and partitions wait for where they begin."""
    world = World(one_each)
    world.observer.view = View(asked=True, is_member=False)
    world.deaf_leaders.add(0)
    world.run_until(2)
    assert "group" not in world.loop.outlook.problems
    world.deaf_leaders.clear()
    assert world.run_until(4).loop.outlook.joined


def test_why_the_group_is_not_joined_is_said_at_once() -> None:
    """Not when the hold begins, 15 s later."""
    world = World(one_each, partitions=0)
    world.observer.view = View(asked=True, is_member=False)
    world.run_until(1)
    world.loop.kafka_error(Trouble("UNRELEASED_INSTANCE_ID", "somebody has the name"))
    world.run_until(2)
    assert "UNRELEASED_INSTANCE_ID: somebody" in world.loop.outlook.problems["group"]
