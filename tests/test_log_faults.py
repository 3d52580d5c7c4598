"""Logs that lose records, and topics that are made anew, between a real Kafka and the daemon."""

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.support.kafka import Broker
from tests.support.scenario import (
    PATIENCE_SECONDS,
    CommitWatch,
    Scenario,
    additions,
    assert_accounted,
)
from tests.support.transactions import open_transaction
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.api import FaultyApi
    from tests.support.daemon import Daemon

both_protocols = pytest.mark.parametrize("protocol", ["classic", "consumer"])


def produce(scenario: Scenario, segment_id: int, count: int) -> None:
    """Produce so many additions to partition 0."""
    scenario.produce(additions(segment_id, count, partition=0))


def the_loss(daemon: "Daemon", scenario: Scenario) -> tuple[str, str]:
    """Return the reason and the range of the one position that was lost."""
    gone = daemon.wait_log("offsets_gone", PATIENCE_SECONDS)
    daemon.wait_ready(PATIENCE_SECONDS)
    assert (gone["level"], gone["topic"], gone["partition"]) == ("error", scenario.topic, 0)
    assert len(daemon.logs("offsets_gone")) == 1
    daemon.await_metric(1, "offset_resets_total", topic=scenario.topic)
    return gone["reason"], gone["missed"]


# A truncated log


@pytest.mark.long("the other protocol where one shows it", keep=("classic",))
@both_protocols
def test_a_truncated_log_goes_on_where_it_diverges(scenario: Scenario) -> None:
    daemon = scenario.start_ready()
    produce(scenario, 1, 490)
    produce(scenario, 2, 10)
    scenario.await_all_committed()
    with CommitWatch(scenario) as watch:
        scenario.broker.truncate(scenario.topic, {0: 490})
        produce(scenario, 3, 30)
        scenario.await_accepted(530)
        scenario.await_all_committed()
    assert the_loss(daemon, scenario) == ("cut_off", "490 to 499")
    assert [step.then for step in watch.went_back] in ([], [490])
    assert {n: len(scenario.api.members(n)) for n in (1, 2, 3)} == {1: 490, 2: 10, 3: 30}
    assert scenario.api.counters().duplicates == 0
    assert_accounted(daemon.metrics())


@pytest.mark.long("the other protocol where one shows it", keep=("classic",))
@both_protocols
def test_a_log_that_was_truncated_and_has_grown_is_read_from_where_it_diverges(
    scenario: Scenario,
) -> None:
    """Nobody looked meanwhile, and the offset that was committed is there again."""
    daemon = scenario.start_ready()
    produce(scenario, 1, 490)
    produce(scenario, 2, 10)
    scenario.await_all_committed()
    daemon.stop()
    scenario.broker.truncate(scenario.topic, {0: 490})
    produce(scenario, 3, 200)
    with CommitWatch(scenario) as watch:
        daemon = scenario.start_ready()
        scenario.await_accepted(700)
        scenario.await_all_committed()
    assert the_loss(daemon, scenario) == ("cut_off", "490 to 499")
    assert [step.then for step in watch.went_back] in ([], [490])
    assert len(scenario.api.members(3)) == 200
    assert scenario.api.counters().duplicates == 0


@pytest.mark.long("the other protocol where one shows it", keep=("classic",))
@both_protocols
def test_a_broker_that_was_killed_and_lost_nothing_costs_no_position(scenario: Scenario) -> None:
    daemon = scenario.start_ready()
    produce(scenario, 1, 500)
    scenario.await_all_committed()
    daemon.stop()
    scenario.broker.kill()
    scenario.broker.start()
    produce(scenario, 2, 50)
    daemon = scenario.start_ready()
    scenario.await_all_committed()
    assert not daemon.logs("offsets_gone")
    assert scenario.api.counters().duplicates == 0
    assert len(scenario.api.members(2)) == 50


@pytest.mark.long("the other protocol where one shows it", keep=("consumer",))
@both_protocols
def test_a_transactions_marker_of_a_younger_leader_costs_no_position(scenario: Scenario) -> None:
    """What is read of the log ends in one epoch, and the log in another."""
    broker, topic = scenario.broker, scenario.topic
    daemon = scenario.start_ready()
    produce(scenario, 1, 5)
    producer = open_transaction(broker.bootstrap, topic, additions(2, 5, partition=0))
    broker.kill()
    broker.start()
    producer.abort_transaction(PATIENCE_SECONDS)
    behind = {0: 11, 1: 0, 2: 0, 3: 0}  # five records, as many that were aborted, and the marker
    eventually(scenario.committed, PATIENCE_SECONDS, f"commits at {behind}", until=behind.__eq__)
    daemon.stop()
    produce(scenario, 3, 5)
    daemon = scenario.start_ready()
    scenario.await_all_committed()
    assert not daemon.logs("offsets_gone")
    assert [len(scenario.api.members(each)) for each in (1, 2, 3)] == [5, 0, 5]


# A topic made anew


def make_anew(scenario: Scenario) -> None:
    """Delete the topic and make it again, at once."""
    scenario.broker.delete_topic(scenario.topic)
    scenario.broker.create_topic(scenario.topic, 4)


@pytest.mark.long("the other protocol where one shows it", keep=("classic",))
@both_protocols
def test_a_topic_made_anew_that_has_outgrown_the_old_one_is_read_from_its_beginning(
    scenario: Scenario,
) -> None:
    daemon = scenario.start_ready()
    produce(scenario, 1, 500)
    scenario.await_all_committed()
    make_anew(scenario)
    produce(scenario, 2, 1000)
    eventually(
        lambda: len(scenario.api.members(2)),
        PATIENCE_SECONDS,
        "all of the new topic",
        until=(1000).__eq__,
    )
    scenario.await_all_committed()
    eventually(daemon.reasons, PATIENCE_SECONDS, "readiness", until=lambda text: not text)
    assert_accounted(daemon.metrics())


@pytest.mark.long("the other protocol where one shows it", keep=("classic",))
@both_protocols
def test_a_member_that_takes_over_sees_that_the_topic_was_made_anew(scenario: Scenario) -> None:
    """Though the one before it, that had not noticed, committed the old position once more."""
    daemon = scenario.start_ready()
    produce(scenario, 1, 500)
    scenario.await_all_committed()
    daemon.stop()
    properties = {"bootstrap.servers": scenario.broker.bootstrap, "group.id": scenario.group}
    with closing(Consumer(properties)) as other:
        committed = other.committed([TopicPartition(scenario.topic, 0)], timeout=PATIENCE_SECONDS)
        make_anew(scenario)
        produce(scenario, 2, 1000)
        other.commit(offsets=committed, asynchronous=False)
    daemon = scenario.start_ready()
    scenario.await_accepted(1500)
    scenario.await_all_committed()
    assert the_loss(daemon, scenario)[0] == "made_anew"
    assert len(scenario.api.members(2)) == 1000


@pytest.mark.parametrize("protocol", ["consumer"])
def test_latest_reads_a_topic_made_anew_from_its_beginning(scenario: Scenario) -> None:
    """Its commits went with the old one, and the group noticed that it was gone."""
    daemon = scenario.start_ready(KAFKA_AUTO_OFFSET_RESET="latest")
    produce(scenario, 1, 30)
    scenario.await_all_committed()
    scenario.broker.delete_topic(scenario.topic)
    eventually(
        lambda: daemon.status()["partitions"],
        PATIENCE_SECONDS,
        "no partition of the old one",
        until=lambda partitions: not partitions,
    )
    scenario.broker.create_topic(scenario.topic, 4)
    produce(scenario, 2, 40)
    scenario.await_accepted(70)
    scenario.await_all_committed()
    daemon.await_metric(0, "starts_at_end_total", topic=scenario.topic)


# Offsets that expired


def forget_commits(scenario: Scenario) -> None:
    """Let the broker forget what the group committed, as it does when nobody comes for long."""
    admin = AdminClient({"bootstrap.servers": scenario.broker.bootstrap})
    admin.delete_consumer_groups([scenario.group])[scenario.group].result()


@pytest.mark.parametrize("reset", ["latest", "earliest", "error"])
def test_offsets_that_expired_are_told_with_what_is_skipped_or_read_again(
    scenario: Scenario, reset: str
) -> None:
    daemon = scenario.start_ready(KAFKA_AUTO_OFFSET_RESET="earliest")
    produce(scenario, 1, 50)
    scenario.await_all_committed()
    daemon.stop()
    produce(scenario, 2, 20)
    forget_commits(scenario)
    daemon = scenario.start(KAFKA_AUTO_OFFSET_RESET=reset)
    if reset == "error":
        assert daemon.wait(PATIENCE_SECONDS) == 1
        assert f"{scenario.topic}:" in daemon.logs("gave_up")[0]["message"]
        assert "offsets.retention.minutes" in daemon.output
        return
    told = daemon.wait_log("not_committed", PATIENCE_SECONDS)
    assert f"{scenario.topic}:0, 0 to 69" in told["message"]
    assert "offsets.retention.minutes" in told["message"]
    scenario.await_all_committed()
    is_skipped = reset == "latest"
    assert told["level"] == ("warning" if is_skipped else "info")
    assert ("are skipped" in told["message"]) == is_skipped
    assert len(scenario.api.members(2)) == (0 if is_skipped else 20)
    daemon.wait_ready(PATIENCE_SECONDS)
    counted = "segment_consumer_offset_resets_total", frozenset({("topic", scenario.topic)})
    assert daemon.metrics().get(counted, 0) == is_skipped


# Metadata that the broker finds too long


@pytest.mark.long("the other protocol where one shows it", keep=("classic",))
@both_protocols
def test_metadata_that_the_broker_finds_too_long_is_done_without(
    api: "FaultyApi", protocol: str
) -> None:
    with Broker(properties={"offset.metadata.max.bytes": "10"}) as broker:
        broker.create_topic("audience", 4)
        with closing(Scenario(broker, api, "audience", "group", protocol)) as scenario:
            daemon = scenario.start_ready(KAFKA_AUTO_OFFSET_RESET="latest")
            scenario.await_all_committed()
            scenario.produce(additions(1, 100))
            scenario.await_accepted(100)
            scenario.await_all_committed()
            said = [log for log in daemon.logs("commit_failed") if "too long" in log["message"]]
            costs = [log for log in said if "offset.metadata.max.bytes" in log["message"]]
            assert len(costs) == 1
            daemon.stop()
