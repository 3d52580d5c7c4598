"""The question who is in the group, and what became of those who asked it at a bad moment."""

from typing import TYPE_CHECKING

import pytest
from confluent_kafka import ConsumerGroupState, ConsumerGroupType, KafkaException, Node
from confluent_kafka.admin import ConsumerGroupDescription, MemberAssignment, MemberDescription

from consumer.kafka.group import Group, obstacle_of
from tests.support.scenario import PATIENCE_SECONDS, additions
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.kafka import Broker
    from tests.support.scenario import Scenario

UNREACHABLE_SECONDS = 8.0  # longer than the daemon waits for any answer about the group


def described(kind: ConsumerGroupType, assignor: str, count: int) -> ConsumerGroupDescription:
    """Return a group with so many members."""
    members = [
        MemberDescription(f"member-{number}", "client", "host", MemberAssignment([]))
        for number in range(count)
    ]
    state, node = ConsumerGroupState.STABLE, Node(1, "host", 9092)
    return ConsumerGroupDescription("g", False, members, assignor, state, node, type=kind)


CLASSIC, KIP_848 = ConsumerGroupType.CLASSIC, ConsumerGroupType.CONSUMER


@pytest.mark.parametrize(
    ("group", "protocol", "words"),
    [
        (described(CLASSIC, "cooperative-sticky", 2), "consumer", "the classic protocol (2)"),
        (described(CLASSIC, "cooperative-sticky", 2), "classic", ""),
        (described(CLASSIC, "range", 3), "classic", "another assignor, range (3)"),
        (described(CLASSIC, "range", 3), "consumer", ""),  # the broker converts these
        (described(CLASSIC, "", 0), "consumer", ""),
        (described(KIP_848, "uniform", 2), "classic", ""),
        (described(KIP_848, "uniform", 2), "consumer", ""),
    ],
)
def test_the_members_tell_what_keeps_ours_out(
    group: ConsumerGroupDescription, protocol: str, words: str
) -> None:
    said = obstacle_of(group, protocol)
    assert words in said
    assert bool(said) == bool(words)


def test_a_group_is_described_again_after_its_coordinator_was_away(
    broker: "Broker", group: str
) -> None:
    """The library aborts the process if its own timeout is what ends the question."""
    way_in, proxy = broker.proxied(0)
    asked = Group({"bootstrap.servers": way_in, "reconnect.backoff.max.ms": 200}, group)
    eventually(  # the first question of all has the broker find out who coordinates
        lambda: not asked.describe(PATIENCE_SECONDS).members,
        PATIENCE_SECONDS,
        "an answer",
        ignoring=(KafkaException,),
    )
    for _ in range(2):
        proxy.cut()
        with pytest.raises(KafkaException):
            asked.describe(0.5)
        proxy.mend()
        assert not asked.describe(PATIENCE_SECONDS).members


@pytest.mark.long("ways of an outage beyond one of each kind")
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_member_without_partitions_survives_that_no_broker_is_reachable(
    scenario: "Scenario",
) -> None:
    way_in, proxy = scenario.broker.proxied(0)
    busy = [scenario.start_ready() for _ in range(4)]  # one for each partition
    # All have theirs before the fifth comes: of five that come together, any could be the idle one.
    eventually(
        lambda: [daemon.metric("assigned_partitions") for daemon in busy],
        PATIENCE_SECONDS,
        "one partition for each of four members",
        until=lambda counts: counts == [1, 1, 1, 1],
    )
    idle = scenario.start_ready(KAFKA_BOOTSTRAP_SERVERS=way_in)
    assert idle.metric("assigned_partitions") == 0
    proxy.cut()
    eventually(
        lambda: idle.get("/readyz")[1],
        PATIENCE_SECONDS + UNREACHABLE_SECONDS,
        "the idle member to say that no broker is reachable",
        until=lambda told: "kafka-unavailable" in told,
    )
    proxy.mend()
    idle.wait_ready(PATIENCE_SECONDS)
    scenario.produce(additions(1, 40))
    scenario.await_all_committed()
    assert idle.exit_code is None
