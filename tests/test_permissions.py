"""What a principal may not do is waited for, visibly, and nothing is lost meanwhile.

A real broker with an authorizer, whose rules change while the daemon runs.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from confluent_kafka.admin import AclOperation, AdminClient, ResourceType

from tests.support.authorizer import AUTHORIZER, allow_everything, deny
from tests.support.cluster import Record
from tests.support.kafka import Broker
from tests.support.scenario import additions
from tests.support.waiting import PATIENCE_SECONDS, eventually

if TYPE_CHECKING:
    from tests.support.daemon import Daemon
    from tests.support.scenario import Scenario

pytestmark = pytest.mark.xdist_group("a broker that asks an authorizer")
both_protocols = pytest.mark.parametrize("protocol", ["classic", "consumer"])


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """Make a broker that asks an authorizer."""
    full = {"group.max.size": "1", "group.consumer.max.size": "1"}
    with Broker(properties=AUTHORIZER | full) as broker:
        yield broker


def await_holds(daemon: "Daemon", *holds: str) -> None:
    what = f"the holds {holds}"
    eventually(daemon.holds, PATIENCE_SECONDS, what, until=set(holds).__eq__)


def test_whoever_may_not_write_dead_letters_delivers_the_rest_and_goes_on_when_they_may(
    scenario: "Scenario", admin: AdminClient
) -> None:
    """The right that an idempotent producer needs is never missed."""
    scenario.broker.create_topic(scenario.dead_letter_topic, 1)
    unreadable = Record(None, b"unreadable", partition=0)
    good = [Record(key, value, partition=0) for key, value, *_ in additions(1, 6)]
    scenario.produce([*good[:3], unreadable, *good[3:]])
    deny(admin, ResourceType.BROKER, "kafka-cluster", AclOperation.IDEMPOTENT_WRITE)
    deny(admin, ResourceType.TOPIC, scenario.dead_letter_topic, AclOperation.WRITE)
    daemon = scenario.start()
    await_holds(daemon, "dead-letter-unavailable")
    said = daemon.wait_log("hold", PATIENCE_SECONDS)["message"]
    assert scenario.dead_letter_topic in str(said)
    assert "authorization failed" in str(said)
    scenario.produce([Record(key, value, partition=0) for key, value, *_ in additions(1, 4, 6)])
    scenario.await_accepted(10)
    assert scenario.committed().get(0, 0) <= 3
    allow_everything(admin, ResourceType.TOPIC)
    await_holds(daemon)
    scenario.await_all_committed(PATIENCE_SECONDS)
    assert len(scenario.api.members(1)) == 10
    assert [dead_letter.value() for dead_letter in scenario.dead_letters(1)] == [b"unreadable"]


def test_whoever_skips_what_is_refused_needs_no_right_to_write(
    scenario: "Scenario", admin: AdminClient
) -> None:
    scenario.produce([Record(None, b"unreadable"), *additions(1, 3)])
    deny(admin, ResourceType.TOPIC, "*", AclOperation.WRITE)
    daemon = scenario.start_ready(REJECT_POLICY="skip")
    scenario.await_all_committed(PATIENCE_SECONDS)
    assert len(scenario.api.members(1)) == 3
    assert daemon.exit_code is None


@pytest.mark.long("permissions beyond those of dead letters")
def test_a_topic_that_may_be_described_and_not_read_is_said_and_read_when_it_may(
    scenario: "Scenario", admin: AdminClient
) -> None:
    """The broker refuses a fetch once with a word; all that follows is silence."""
    daemon = scenario.start_ready()
    scenario.produce(additions(1, 3))
    scenario.await_all_committed(PATIENCE_SECONDS)
    deny(admin, ResourceType.TOPIC, scenario.topic, AclOperation.READ)
    await_holds(daemon, "kafka-unavailable")
    assert f"topic {scenario.topic}: READ is denied" in daemon.reasons()
    scenario.produce(additions(1, 3, start=3))
    allow_everything(admin)
    await_holds(daemon)
    scenario.await_all_committed(PATIENCE_SECONDS)
    assert len(scenario.api.members(1)) == 6


@pytest.mark.long("the other protocol where one shows it", keep=("consumer",))
@both_protocols
def test_whoever_may_not_be_in_the_group_waits_and_joins_when_they_may(
    scenario: "Scenario", admin: AdminClient
) -> None:
    """At the start and while it runs: with KIP-848 it is the end of librdkafka's client."""
    deny(admin, ResourceType.GROUP, scenario.group, AclOperation.READ)
    scenario.produce(additions(1, 20))
    daemon = scenario.start()
    daemon.await_reason("group ACL: READ on the group is denied")
    allow_everything(admin, ResourceType.GROUP)
    daemon.wait_ready(PATIENCE_SECONDS)
    scenario.await_all_committed(PATIENCE_SECONDS)
    deny(admin, ResourceType.GROUP, scenario.group, AclOperation.READ)
    daemon.await_reason("group ACL: READ on the group is denied")
    scenario.produce(additions(1, 20, start=20))
    assert daemon.get("/livez")[0] == 200
    allow_everything(admin, ResourceType.GROUP)
    daemon.wait_ready(PATIENCE_SECONDS)
    scenario.await_all_committed(PATIENCE_SECONDS)
    assert len(scenario.api.members(1)) == 40
    daemon.stop()


@pytest.mark.long("the other protocol where one shows it", keep=("consumer",))
@both_protocols
def test_whoever_finds_the_group_full_waits_until_there_is_room(scenario: "Scenario") -> None:
    first = scenario.start_ready()
    second = scenario.start()
    second.await_reason("the group is full")
    scenario.produce(additions(1, 20))
    scenario.await_all_committed(PATIENCE_SECONDS)
    assert second.exit_code is None
    first.terminate()
    second.wait_ready(PATIENCE_SECONDS)
    scenario.produce(additions(1, 20, start=20))
    scenario.await_all_committed(PATIENCE_SECONDS)
    assert len(scenario.api.members(1)) == 40
