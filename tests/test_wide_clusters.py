"""A cluster of a thousand partitions: what an idle member costs it, and what it costs the loop."""

import time
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from tests.support.kafka import Broker
from tests.support.turns import LONGEST_GAP_SECONDS, Turns
from tests.support.waiting import PATIENCE_SECONDS, eventually

if TYPE_CHECKING:
    from tests.support.daemon import Daemon
    from tests.support.scenario import Scenario

pytestmark = pytest.mark.xdist_group("a broker of a thousand partitions")
both_protocols = pytest.mark.parametrize("protocol", ["classic", "consumer"])

FOREIGN_TOPICS, FOREIGN_PARTITIONS = 100, 10
TOPICS, GROWING_TOPICS = 200, 20
IDLE_BYTES_PER_SECOND = 3000
FEW_BYTES_PER_SECOND = 1500
"""Of a member that needs no listing of the cluster at all; one round with it would be more."""


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """Make a broker with a thousand partitions of other people's topics."""
    small_files = {"log.index.size.max.bytes": "4096"}  # of ten megabytes each
    with Broker(proxied_listeners=1, properties=small_files) as broker:
        create(broker, [f"foreign-{each}" for each in range(FOREIGN_TOPICS)], FOREIGN_PARTITIONS)
        yield broker


def create(broker: Broker, names: list[str], partitions: int = 1) -> None:
    """Create many topics at once."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    topics = [NewTopic(name, num_partitions=partitions) for name in names]
    for answer in admin.create_topics(topics, operation_timeout=PATIENCE_SECONDS).values():
        answer.result()
    broker.await_answers()


def commit_all(broker: Broker, group: str, names: list[str]) -> None:
    """Commit the beginning of each topic's only partition."""
    member = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group})
    offsets = [TopicPartition(name, 0, 0) for name in names]
    member.commit(offsets=offsets, asynchronous=False)
    member.close()


def bytes_per_second(scenario: "Scenario", seconds: float, topics: str) -> float:
    """Return what all clients of a ready and idle daemon receive."""
    bootstrap, proxy = scenario.broker.proxied(0)
    scenario.start_ready(KAFKA_BOOTSTRAP_SERVERS=bootstrap, KAFKA_TOPICS=topics)
    begun, before = time.monotonic(), proxy.answered_bytes
    eventually(time.monotonic, seconds + 5, "idling", until=lambda now: now >= begun + seconds)
    return (proxy.answered_bytes - before) / (time.monotonic() - begun)


@pytest.mark.long("the other protocol where one shows it", keep=("classic",))
@both_protocols
def test_an_idle_member_receives_little(scenario: "Scenario") -> None:
    """However big the cluster is."""
    received = bytes_per_second(scenario, 15, scenario.topic)
    assert received < FEW_BYTES_PER_SECOND, f"{received:.0f} bytes/s"


@pytest.mark.long("an idle member beyond that of a named topic")
def test_an_idle_member_of_an_expression_receives_little_too(scenario: "Scenario") -> None:
    """With the classic protocol its client lists the cluster every half minute."""
    received = bytes_per_second(scenario, 61, f"^{scenario.topic}")
    assert received < IDLE_BYTES_PER_SECOND, f"{received:.0f} bytes/s"


@pytest.mark.long("an idle member beyond that of a named topic")
@both_protocols
def test_an_idle_member_without_a_partition_receives_little_too(scenario: "Scenario") -> None:
    one = f"{scenario.topic}-one"
    create(scenario.broker, [one])
    with scenario.start_ready(KAFKA_TOPICS=one):
        received = bytes_per_second(scenario, 20, one)
    assert received < IDLE_BYTES_PER_SECOND, f"{received:.0f} bytes/s"


def await_partitions(daemon: "Daemon", count: int) -> None:
    eventually(
        lambda: daemon.metric("assigned_partitions"),
        PATIENCE_SECONDS,
        f"{count} partitions",
        until=float(count).__eq__,
    )


@pytest.mark.long("the other protocol where one shows it", keep=("classic",))
@both_protocols
def test_i8_hundreds_of_topics_of_an_expression_do_not_stop_the_loop(scenario: "Scenario") -> None:
    """Those that grow are noticed in time: the classic client is told of each by its name."""
    prefix = f"many-{uuid.uuid4().hex[:8]}"
    names = [f"{prefix}-{each}" for each in range(TOPICS)]
    create(scenario.broker, names)

    commit_all(scenario.broker, scenario.group, names)
    daemon = scenario.start(KAFKA_TOPICS=f"^{prefix}-.*")
    with Turns(daemon) as turns:
        await_partitions(daemon, TOPICS)
        daemon.wait_ready(PATIENCE_SECONDS)
        turns.await_looks(30)
    assert turns.longest_seconds < LONGEST_GAP_SECONDS
    admin = AdminClient({"bootstrap.servers": scenario.broker.bootstrap})
    grown = [NewPartitions(name, 2) for name in names[:GROWING_TOPICS]]
    for answer in admin.create_partitions(grown).values():
        answer.result()
    await_partitions(daemon, TOPICS + GROWING_TOPICS)
