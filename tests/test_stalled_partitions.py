"""Partitions of a real broker from which nothing comes: told with their cause, and gone past.

The broker has an authorizer, and its disk is tampered with.
"""

import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from confluent_kafka.admin import AclOperation, AdminClient, ResourceType

from tests.support.authorizer import AUTHORIZER, allow_everything, deny
from tests.support.kafka import Broker
from tests.support.scenario import PATIENCE_SECONDS, PREFIX, Scenario, additions
from tests.support.transactions import open_transaction
from tests.support.waiting import eventually
from tests.test_replay import NOT_ALL, Replays, dead_letter

if TYPE_CHECKING:
    from tests.support.api import FaultyApi
    from tests.support.daemon import Daemon

RUNBOOK = Path(__file__).resolve().parents[1] / "deploy" / "runbook.md"
STALLED = "partition-stalled"
FOLDED_SECONDS = 30
"""So long what repeats itself is one line of the log."""
pytestmark = pytest.mark.xdist_group("a broker whose partitions stall")


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """Make a broker that may be damaged."""
    with Broker(properties=AUTHORIZER) as broker:
        yield broker


def stalled(daemon: "Daemon") -> set[tuple[str, int]]:
    """Return the partitions that the metrics call stalled."""
    return {
        (dict(labels)["topic"], int(dict(labels)["partition"]))
        for (name, labels), value in daemon.metrics().items()
        if name == f"{PREFIX}partition_stalled" and value == 1
    }


def await_stalled(daemon: "Daemon", *names: tuple[str, int]) -> str:
    """Wait until these are stalled and no other; return what the hold says."""
    what = f"the stalled partitions {names}"
    eventually(lambda: stalled(daemon), PATIENCE_SECONDS, what, until=set(names).__eq__)
    holds = {hold["reason"]: hold["detail"] for hold in daemon.status()["holds"]}
    assert (STALLED in holds) == bool(names)
    if names:
        status, text = daemon.get("/readyz")
        assert status == 503
        assert f"{STALLED}: " in text
    else:
        daemon.wait_ready(PATIENCE_SECONDS)
    return str(holds.get(STALLED, ""))


def as_the_runbook_says(broker: Broker, script: str, told: dict[str, str]) -> str:
    """Run a command of the runbook, with what is to be put in; return what it says."""
    text = re.sub(r"\\\n\s*", "", RUNBOOK.read_text())
    (words,) = re.findall(rf"^ *{script} (.*?)(?: \| grep .*)?$", text, re.MULTILINE)
    return broker.run_tool(script, *(told.get(word, word) for word in words.split()))


def damaged_in(dumped: str) -> tuple[str, str]:
    """Return the batch that ``kafka-dump-log.sh`` finds damaged, and the line that follows."""
    lines = dumped.splitlines()
    (number,) = (number for number, line in enumerate(lines) if "isvalid: false" in line)
    return lines[number], lines[number + 1]


@pytest.mark.long("the other protocol where one shows it", keep=("consumer",))
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_an_open_transaction_and_a_forbidden_topic_are_told_and_go_on_when_that_is_over(
    scenario: Scenario, admin: AdminClient
) -> None:
    """Transactions that were committed or aborted, to their markers at the end, stall nothing."""
    broker, name = scenario.broker, scenario.topic
    topics = [f"{name}-{each}" for each in ("plain", "open", "forbidden", "committed", "aborted")]
    for topic in topics:
        broker.create_topic(topic, 1)
        scenario.produce(additions(1, 5), topic)
    plain, open_, forbidden, committed, aborted = topics
    deny(admin, ResourceType.TOPIC, forbidden, AclOperation.READ)
    server = broker.bootstrap
    open_transaction(server, committed, additions(2, 5)).commit_transaction(PATIENCE_SECONDS)
    open_transaction(server, aborted, additions(3, 5)).abort_transaction(PATIENCE_SECONDS)
    producer = open_transaction(server, open_, additions(4, 5))
    daemon = scenario.start_ready(KAFKA_TOPICS=f"^{re.escape(name)}-.*")
    scenario.await_accepted(10)
    detail = await_stalled(daemon, (forbidden, 0), (open_, 0))
    assert f"nothing comes from {open_}:0:5: a transaction is open" in detail
    assert "what is committed ends at 5, the log at 10" in detail
    assert f"nothing comes from {forbidden}:0:0: " in detail
    assert "READ is denied" in detail
    said = daemon.wait_log("partition_stalled", PATIENCE_SECONDS)
    assert said["topic"] in {open_, forbidden}
    assert {said["partition"], said["level"]} == {0, "error"}
    scenario.produce(additions(5, 5), plain)
    scenario.await_accepted(15)
    producer.commit_transaction(PATIENCE_SECONDS)
    await_stalled(daemon, (forbidden, 0))
    allow_everything(admin)
    await_stalled(daemon)
    assert {n: len(scenario.api.members(n)) for n in range(1, 6)} == {1: 5, 2: 5, 3: 0, 4: 5, 5: 5}
    ends = {topic: broker.end_offsets(topic)[0] for topic in topics}
    eventually(
        lambda: {topic: broker.committed(scenario.group, topic).get(0) for topic in topics},
        PATIENCE_SECONDS,
        f"commits at {ends}",
        until=ends.__eq__,
    )


@pytest.mark.long("damage of one kind where one shows it", keep=("classic-uncompressed",))
@pytest.mark.parametrize(
    ("protocol", "compression"), [("classic", "uncompressed"), ("consumer", "zstd")]
)
def test_reading_stops_before_a_damaged_batch_and_goes_on_behind_it_as_the_runbook_says(
    scenario: Scenario, compression: str
) -> None:
    broker, topic = scenario.broker, f"{scenario.topic}-damaged"
    broker.create_topic(topic, 2, compression_type=compression)
    for start in range(0, 30, 10):
        scenario.produce(additions(1, 10, start, partition=0), topic)
    batch = broker.damage(topic, 0, 15)
    assert batch == range(10, 20)
    scenario.produce(additions(1, 10, start=100, partition=1), topic)
    began = time.monotonic()
    daemon = scenario.start_ready(KAFKA_TOPICS=topic)
    scenario.await_accepted(20)
    detail = await_stalled(daemon, (topic, 0))
    assert f"nothing comes from {topic}:0:10: _BAD_MSG: " in detail
    assert "CRC" in detail
    scenario.produce(additions(1, 10, start=200, partition=1), topic)
    scenario.await_accepted(30)
    expected = {0: 10, 1: 20}
    eventually(
        lambda: broker.committed(scenario.group, topic),
        PATIENCE_SECONDS,
        "its commits",
        until=expected.__eq__,
    )
    whole = {f"customer-{n}" for n in (*range(10), *range(100, 110), *range(200, 210))}
    assert scenario.api.members(1) == whole
    assert scenario.api.counters().ids == 30, "nothing twice"
    assert not daemon.logs("offsets_gone")
    seldom = 3 + (time.monotonic() - began) / FOLDED_SECONDS
    assert len(daemon.logs("kafka_error")) <= seldom, "it is tried again seldom, and folded"
    daemon.stop()
    told = {
        "/var/lib/kafka/data/audience-3/00000000000000000000.log": str(broker.segment(topic, 0)),
        "kafka-1:9092": broker.bootstrap,
        "segment-consumer": scenario.group,
        "audience:3": f"{topic}:0",
        "BEYOND": str(batch.stop),
    }
    found, behind = damaged_in(as_the_runbook_says(broker, "kafka-dump-log.sh", told))
    assert re.match(r"baseOffset: 10 lastOffset: 19 count: 10 .* CreateTime: \d+ ", found)
    assert behind.startswith(f"baseOffset: {batch.stop} ")
    assert topic in as_the_runbook_says(broker, "kafka-consumer-groups.sh", told)
    again = scenario.start_ready(KAFKA_TOPICS=topic)
    scenario.await_accepted(40)
    assert scenario.api.members(1) == whole | {f"customer-{n}" for n in range(20, 30)}
    assert not again.holds()


@pytest.mark.parametrize("protocol", ["classic"])
def test_a_replay_ends_before_a_damaged_batch_and_says_where_it_is(scenario: Scenario) -> None:
    """It read it again every ten seconds, for ever."""
    with closing(Replays(scenario)) as replays:
        replays.create_topic()
        for start in range(0, 30, 10):
            replays.put(*(dead_letter(1, f"c{start + each}", partition=0) for each in range(10)))
        replays.put(*(dead_letter(2, f"d{each}", partition=1) for each in range(5)))
        batch = scenario.broker.damage(replays.topic, 0, 15)
        said = replays.run(expect=NOT_ALL)
        assert f"{replays.topic}:0:{batch.start} is damaged" in said
        assert "ended: 15 of 35 dead letters read, 15 ids delivered" in said
        assert replays.committed() == {0: batch.start, 1: 5, 2: 0}


@pytest.mark.long("a broker of its own that loses a disk")
def test_a_partition_without_a_leader_is_told_and_hides_no_other(api: "FaultyApi") -> None:
    """One of two disks is gone, and with it all that was only there."""
    disks = {"log.dirs": "data,other", "replica.high.watermark.checkpoint.interval.ms": "500"}
    with Broker(properties=disks) as broker:
        for topic in ("a", "b"):
            broker.create_topic(topic, 1)
        scenario = Scenario(broker, api, "a", "group", "consumer")
        with closing(scenario):
            daemon = scenario.start_ready(KAFKA_TOPICS="a,b")
            for segment, topic in enumerate(("a", "b"), 11):
                scenario.produce(additions(segment, 5), topic)
            scenario.await_accepted(10)
            lost = {"a-0", "b-0"}.intersection(broker.lose_disk("other"))
            (gone,) = (name.partition("-")[0] for name in lost)
            (other,) = {"a", "b"} - {gone}
            assert "it has no leader" in await_stalled(daemon, (gone, 0))
            scenario.produce(additions(2, 5), other)
            scenario.await_accepted(15)
            api.hang()
            scenario.produce(additions(3, 50), other)
            eventually(
                lambda: daemon.metric("lag_records", topic=other, partition="0"),
                PATIENCE_SECONDS,
                "the lag of the other one",
                until=lambda lag: lag == 50,
            )
            api.heal()
            broker.find_disk("other")
            scenario.produce(additions(4, 5), gone)
            await_stalled(daemon)
            scenario.await_accepted(70)
