"""When a partition without an owner is one that must be helped."""

import pytest
from confluent_kafka import ConsumerGroupState, Node, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported, says its documentation
    ConsumerGroupDescription,
    MemberAssignment,
    MemberDescription,
)

from consumer.kafka.orphans import Orphans

STABLE = ConsumerGroupState.STABLE
PATIENCE_SECONDS = 30.0
COUNTS = {"audience": 3, "audit": 1}
ALL_BUT_ONE = {"a": [("audience", 0)], "b": [("audience", 2)]}


def orphans(*topics: str, name: str = "a") -> Orphans:
    properties = {"group.instance.id": name, "group.id": "group"}
    return Orphans(properties, topics or ("audience",), PATIENCE_SECONDS)


def group(
    owned: dict[str, list[tuple[str, int]]], state: ConsumerGroupState = STABLE
) -> ConsumerGroupDescription:
    members = [
        MemberDescription(
            f"member-{name}",
            "client",
            "/127.0.0.1",
            MemberAssignment([TopicPartition(*each) for each in partitions]),
            group_instance_id=name,
        )
        for name, partitions in owned.items()
    ]
    node = Node(0, "localhost", 9092)
    return ConsumerGroupDescription("group", False, members, "cooperative-sticky", state, node)


def test_what_has_no_owner_for_long_is_found_by_the_first_by_name_alone() -> None:
    first, second = orphans(name="a"), orphans(name="b")
    for now in (0.0, 15.0, 29.0):
        assert first.look(group(ALL_BUT_ONE), COUNTS, now) == []
        assert second.look(group(ALL_BUT_ONE), COUNTS, now) == []
    assert first.look(group(ALL_BUT_ONE), COUNTS, 30.0) == [("audience", 1)]
    assert second.look(group(ALL_BUT_ONE), COUNTS, 30.0) == []


@pytest.mark.parametrize(
    "between",
    [
        group({"a": [("audience", 0), ("audience", 1)], "b": [("audience", 2)]}),
        group(ALL_BUT_ONE, ConsumerGroupState.PREPARING_REBALANCING),
        group(ALL_BUT_ONE, ConsumerGroupState.COMPLETING_REBALANCING),
    ],
)
def test_what_had_an_owner_meanwhile_or_a_rebalance_is_waited_for_anew(
    between: ConsumerGroupDescription,
) -> None:
    watch = orphans()
    assert watch.look(group(ALL_BUT_ONE), COUNTS, 0.0) == []
    assert watch.look(between, COUNTS, 20.0) == []
    assert watch.look(group(ALL_BUT_ONE), COUNTS, 40.0) == []
    assert watch.look(group(ALL_BUT_ONE), COUNTS, 69.0) == []
    assert watch.look(group(ALL_BUT_ONE), COUNTS, 70.0) == [("audience", 1)]


def test_an_expressions_topics_are_those_that_are_owned_in_part() -> None:
    watch = orphans("^aud.*")
    counts = {**COUNTS, "other": 5}
    assert watch.look(group(ALL_BUT_ONE), counts, 0.0) == []
    assert watch.look(group(ALL_BUT_ONE), counts, 30.0) == [("audience", 1)]


def test_a_topic_that_nobody_has_is_found_by_its_name() -> None:
    owned = {"a": [("audience", 0), ("audience", 1), ("audience", 2)]}
    watch = orphans("audience", "audit")
    assert watch.look(group(owned), COUNTS, 0.0) == []
    assert watch.look(group(owned), COUNTS, 30.0) == [("audit", 0)]


def test_a_topic_that_is_not_there_is_nobodys() -> None:
    watch = orphans("audience", "missing")
    owned = {"a": [("audience", 0), ("audience", 1), ("audience", 2)]}
    for now in (0.0, 60.0):
        assert watch.look(group(owned), {"audience": 3}, now) == []
