"""From one group protocol to the other: what works while running, and what is said of what doesn't.

And the protocol itself switched off and on at the broker.
"""

import io
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Consumer

from consumer.commands.check.check import run
from consumer.settings import load
from tests.support.flipping import Flipping
from tests.support.kafka import Broker
from tests.support.scenario import Scenario, additions
from tests.support.waiting import PATIENCE_SECONDS, eventually

if TYPE_CHECKING:
    from tests.support.api import FaultyApi
    from tests.support.daemon import Daemon

REQUEST_SECONDS = 1  # the scenarios' CUSTOMERIO_TIMEOUT_SECONDS


def start(scenario: Scenario, protocol: str) -> "Daemon":
    return scenario.start(KAFKA_GROUP_PROTOCOL=protocol)


def checked(scenario: Scenario, protocol: str) -> str:
    """Return what the command ``check`` says of the group."""
    stream = io.StringIO()
    settings = scenario.settings(KAFKA_GROUP_PROTOCOL=protocol)
    run(load({name: str(value) for name, value in settings.items()}), stream)
    tried = f"group {scenario.group}:"
    (line,) = [line for line in stream.getvalue().splitlines() if line[9:].startswith(tried)]
    return line


def finish(flipping: Flipping, *daemons: "Daemon") -> None:
    verdict = flipping.finish(*daemons, request_seconds=REQUEST_SECONDS)
    assert not verdict.wrong, str(verdict)
    assert not verdict.went_back, str(verdict)
    assert verdict.members > 150, str(verdict)


def test_members_of_the_classic_protocol_keep_kip_848_ones_out_who_say_so_and_join_after_them(
    scenario: Scenario, flipping: Flipping
) -> None:
    """Going over under load, the old ones stopped first: nothing is lost, nothing overtakes."""
    # One after the other: two that were in one generation only were seen to let the new one in.
    old = [start(scenario, "classic")]
    flipping.await_members(1)
    old.append(start(scenario, "classic"))
    flipping.await_members(2)
    flipping.await_caught_up()
    new = [start(scenario, "consumer")]
    new[0].await_reason("the group still has members of the classic protocol (2)")
    assert new[0].get("/livez")[0] == 200
    said = checked(scenario, "consumer")
    assert said.startswith("FAILED")
    assert "members of the classic protocol (2)" in said
    assert "stop them all" in said
    assert checked(scenario, "classic").endswith("may be joined, 2 members now")
    for daemon in old:
        daemon.terminate()
    assert [daemon.wait(PATIENCE_SECONDS) for daemon in old] == [0, 0]
    new[0].wait_ready(PATIENCE_SECONDS)
    new.append(start(scenario, "consumer"))
    flipping.await_members(2)
    flipping.await_caught_up()
    finish(flipping, *new)


def test_from_kip_848_to_the_classic_protocol_while_it_runs(
    scenario: Scenario, flipping: Flipping
) -> None:
    old = [start(scenario, "consumer") for _ in range(2)]
    flipping.await_members(2)
    flipping.await_caught_up()
    new = []
    for daemon in old:
        new.append(start(scenario, "classic"))
        flipping.await_members(3)
        daemon.terminate()
        assert daemon.wait(PATIENCE_SECONDS) == 0
        flipping.await_members(2)
    flipping.await_caught_up()
    finish(flipping, *new)


def test_members_of_another_assignor_keep_ours_out_which_is_said(scenario: Scenario) -> None:
    other = Consumer(
        {
            "bootstrap.servers": scenario.broker.bootstrap,
            "group.id": scenario.group,
            "partition.assignment.strategy": "range",
            "session.timeout.ms": 6000,
        }
    )
    try:
        other.subscribe([scenario.topic])
        eventually(
            lambda: other.poll(0.1) or other.assignment(), PATIENCE_SECONDS, "the other to join"
        )
        daemon = scenario.start()
        daemon.await_reason("members of another assignor, range (1)")
        said = checked(scenario, "classic")
        assert said.startswith("FAILED")
        assert "range (1)" in said
    finally:
        other.close()
    daemon.wait_ready(PATIENCE_SECONDS)
    scenario.produce(additions(1, 20))
    scenario.await_all_committed(PATIENCE_SECONDS)


@pytest.mark.long("ways of an outage beyond one of each kind")
def test_the_protocol_switched_off_at_the_broker_is_waited_for(
    api: "FaultyApi", group: str
) -> None:
    """While it runs, and then at the start of each new client."""
    only_classic = {"group.coordinator.rebalance.protocols": "classic"}
    both = {"group.coordinator.rebalance.protocols": "classic,consumer"}
    with Broker(properties=both) as broker:
        topic = f"topic-of-{group}"
        broker.create_topic(topic, 2)
        scenario = Scenario(broker, api, topic, group, "consumer")
        try:
            scenario.produce(additions(1, 20))
            daemon = scenario.start_ready()
            scenario.await_all_committed(PATIENCE_SECONDS)
            broker.configure(only_classic)
            # A restart may leave librdkafka's client without brokers: then a new one is told.
            said = "if that is KAFKA_GROUP_PROTOCOL=consumer, switch it on there"
            daemon.await_reason(said, 2 * PATIENCE_SECONDS)
            broker.configure(both)
            daemon.wait_ready(PATIENCE_SECONDS)
            scenario.produce(additions(1, 20, start=20))
            scenario.await_all_committed(PATIENCE_SECONDS)
            assert len(api.members(1)) == 40
            assert daemon.exit_code is None
        finally:
            scenario.close()
