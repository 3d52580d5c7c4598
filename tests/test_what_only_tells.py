"""What stands in the way as far as Kafka is concerned tells, and the lease decides (I8).

A real broker with an authorizer, behind a proxy that can be deaf to an admin client alone.
"""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from confluent_kafka.admin import AclOperation, AdminClient, ResourceType

from tests.support.authorizer import AUTHORIZER, deny
from tests.support.cluster import Record
from tests.support.kafka import Broker
from tests.support.kafka_frames import OF_A_MEMBER, Deaf
from tests.support.scenario import Load, additions
from tests.support.waiting import PATIENCE_SECONDS, eventually

if TYPE_CHECKING:
    from tests.support.daemon import Daemon
    from tests.support.scenario import Scenario

GOING_ON = 200
"""Customers that come in about ten seconds."""
LONGEST_GAP_SECONDS = 12
"""Less than the grace of a hold that would stop them, more than a machine stalls."""
pytestmark = pytest.mark.xdist_group("a broker that only tells")


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """Make a broker that asks an authorizer, behind a proxy."""
    with Broker(proxied_listeners=1, properties=AUTHORIZER) as broker:
        yield broker


@pytest.fixture
def deaf(broker: Broker) -> Deaf:
    """Let the proxy be deaf, when it is told to be, to what no member asks."""
    deaf = Deaf(OF_A_MEMBER.isdisjoint)
    broker.proxied(0).proxy.meddle(deaf)
    return deaf


class Customers:
    """Adds another customer each time, and looks how long no other one is delivered."""

    def __init__(self, scenario: "Scenario") -> None:
        self._scenario = scenario
        self._next = self._seen = 0
        self._seen_at = time.monotonic()
        self.longest_gap = 0.0

    def more(self) -> list[Record]:
        """Return one more."""
        self._next += 1
        return additions(1, 1, self._next)

    def look(self) -> None:
        """Look how many were delivered by now."""
        count, now = self._scenario.api.counters().ids, time.monotonic()
        self.longest_gap = max(self.longest_gap, now - self._seen_at)
        if count > self._seen:
            self._seen, self._seen_at = count, now


def assert_goes_on(scenario: "Scenario", daemon: "Daemon", hold: str) -> None:
    """Wait for a hold, and for many changes that are delivered though it is there."""
    customers = Customers(scenario)

    def told() -> bool:
        customers.look()
        return hold in daemon.holds()

    with Load(scenario, customers.more):
        eventually(told, PATIENCE_SECONDS, hold)
        scenario.await_accepted(scenario.api.counters().ids + GOING_ON)
    assert customers.longest_gap < LONGEST_GAP_SECONDS
    assert hold in daemon.holds()
    assert daemon.get("/readyz")[0] == 503


@pytest.mark.long("the other protocol where one shows it", keep=("consumer",))
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_i8_an_admin_connection_that_is_silent_stops_no_delivery(
    scenario: "Scenario", deaf: Deaf
) -> None:
    daemon = scenario.start_ready(KAFKA_BOOTSTRAP_SERVERS=scenario.broker.proxied(0).bootstrap)
    scenario.produce(additions(2, 10))
    scenario.await_accepted(10)
    deaf.is_deaf = True
    assert_goes_on(scenario, daemon, "kafka-unavailable")
    assert "kafka-unavailable: no broker reachable" in daemon.reasons()
    deaf.is_deaf = False
    daemon.wait_ready(PATIENCE_SECONDS)


@pytest.mark.long("one topic of two where one way shows it", keep=("deleted",))
@pytest.mark.parametrize("how", ["deleted", "forbidden"])
def test_i8_a_topic_that_is_gone_or_forbidden_stops_no_other(
    scenario: "Scenario", admin: AdminClient, how: str
) -> None:
    other = f"{scenario.topic}-other"
    scenario.broker.create_topic(other, 2)
    daemon = scenario.start_ready(KAFKA_TOPICS=f"{scenario.topic},{other}")
    scenario.produce(additions(2, 10), other)
    scenario.await_accepted(10)
    if how == "deleted":
        scenario.broker.delete_topic(other)
    else:
        deny(admin, ResourceType.TOPIC, other, AclOperation.READ)
    assert_goes_on(scenario, daemon, "kafka-unavailable")
    assert f"topic {other}: " in daemon.reasons()
    scenario.await_all_committed()
