"""What stands in the way as far as Kafka is concerned tells, and the lease decides (I8).

A real broker with an authorizer, behind a proxy that can be deaf to an admin client alone.
"""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from confluent_kafka.admin import AclOperation, AdminClient, ResourceType

from tests.support.authorizer import AUTHORIZER, deny
from tests.support.gaps import Gaps
from tests.support.kafka import Broker
from tests.support.kafka_frames import OF_A_MEMBER, Deaf
from tests.support.scenario import Load, additions
from tests.support.waiting import PATIENCE_SECONDS, eventually

if TYPE_CHECKING:
    from tests.support.daemon import Daemon
    from tests.support.scenario import Scenario

GOING_ON = 50
"""More changes than may be on their way when a hold begins."""
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


def assert_goes_on(scenario: "Scenario", daemon: "Daemon", hold: str) -> None:
    """Wait for a hold, and for many changes that are delivered though it is there."""
    numbers = itertools.count()
    with Load(scenario, lambda: additions(1, 1, next(numbers))), Gaps(scenario) as gaps:
        eventually(daemon.holds, PATIENCE_SECONDS, hold, until=lambda holds: hold in holds)
        scenario.await_accepted(scenario.api.counters().ids + GOING_ON)
    assert gaps.longest_seconds < LONGEST_GAP_SECONDS
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
