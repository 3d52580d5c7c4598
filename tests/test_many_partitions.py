"""Very many partitions, near and far: the loop turns, whatever has to be asked."""

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.support.cluster import Record
from tests.support.kafka import Broker
from tests.support.scenario import Scenario, event
from tests.support.turns import LONGEST_GAP_SECONDS, Turns
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.api import FaultyApi

PARTITIONS = 400
ONE_WAY_SECONDS = 0.045
PARTITIONS_EACH, TOPICS = 1000, 4  # and a new one
PATIENCE_SECONDS = 300
SESSION_SECONDS = 45  # the default: a broker of thousands of partitions may be slow
SMALL_FILES = {"log.index.size.max.bytes": "4096"}  # of ten megabytes each
both_protocols = pytest.mark.parametrize("protocol", ["classic", "consumer"])


def one_each(topic: str, partitions: int) -> list[Record]:
    """Return a record for each partition, of a customer of its own."""
    return [
        Record("k", event(1, "add", f"{topic}-{number}"), partition=number)
        for number in range(partitions)
    ]


def await_one_committed_each(scenario: Scenario, topic: str, partitions: int) -> None:
    eventually(
        lambda: scenario.broker.committed(scenario.group, topic),
        PATIENCE_SECONDS,
        f"a commit of each partition of {topic}",
        until=dict.fromkeys(range(partitions), 1).__eq__,
    )


@pytest.mark.long("the other protocol, and what waits", keep=("classic",))
@both_protocols
def test_many_far_partitions_begin_soon_and_the_loop_turns_meanwhile(
    scenario: Scenario, new_topic: "Callable[..., str]", broker: Broker, api: "FaultyApi"
) -> None:
    """Each asked for by itself, they stopped the loop for 54 s."""
    topic = new_topic(PARTITIONS)
    scenario.produce(one_each(topic, PARTITIONS), topic)
    bootstrap, proxy = broker.proxied(0)
    proxy.delay(ONE_WAY_SECONDS)
    daemon = scenario.start(
        KAFKA_BOOTSTRAP_SERVERS=bootstrap, KAFKA_TOPICS=topic, KAFKA_SESSION_TIMEOUT_SECONDS=20
    )
    daemon.wait_log("assigned", 20)
    with Turns(daemon) as turns:
        scenario.await_accepted(PARTITIONS, timeout=20)
        await_one_committed_each(scenario, topic, PARTITIONS)
    assert turns.longest_seconds < LONGEST_GAP_SECONDS
    assert api.counters().duplicates == 0


def fill(broker: Broker, topic: str) -> None:
    """Make a topic of a thousand partitions, with a record in each."""
    broker.create_topic(topic, PARTITIONS_EACH)
    broker.produce(topic, one_each(topic, PARTITIONS_EACH))


@pytest.mark.xdist_group("a broker of five thousand partitions")
@pytest.mark.long("a broker of five thousand partitions")
@both_protocols
def test_thousands_of_partitions_and_a_new_topic_of_a_thousand_do_not_stop_the_loop(
    api: "FaultyApi", protocol: str
) -> None:
    """Scrapes are seldom: one has several lines for each partition."""
    topics = [f"audience-{number}" for number in range(TOPICS)]
    with Broker(session_seconds=SESSION_SECONDS, properties=SMALL_FILES) as broker:
        if broker.external:
            pytest.skip("needs a broker that it may fill with partitions")
        for topic in topics:
            fill(broker, topic)
        with closing(Scenario(broker, api, topics[0], "group", protocol)) as scenario:
            daemon = scenario.start(
                KAFKA_TOPICS="^audience-.*", KAFKA_SESSION_TIMEOUT_SECONDS=SESSION_SECONDS
            )
            daemon.wait_log("listening", PATIENCE_SECONDS)
            with Turns(daemon, pause_seconds=1.0) as turns:
                scenario.await_accepted(TOPICS * PARTITIONS_EACH, PATIENCE_SECONDS)
                for topic in topics:
                    await_one_committed_each(scenario, topic, PARTITIONS_EACH)
                daemon.wait_ready(PATIENCE_SECONDS)
                fill(broker, "audience-new")
                scenario.await_accepted((TOPICS + 1) * PARTITIONS_EACH, PATIENCE_SECONDS)
                await_one_committed_each(scenario, "audience-new", PARTITIONS_EACH)
            assert turns.longest_seconds < LONGEST_GAP_SECONDS
            # Where the machine stands still for long a request may have to be repeated.
            assert api.counters().duplicates == 0 or daemon.logs("request_failed")
