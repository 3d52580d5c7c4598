"""The daemon as its operators see it: a real process between a real Kafka and an HTTP stand-in."""

import json
import re
from typing import TYPE_CHECKING, Any, cast

import pytest
from confluent_kafka import Message
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from consumer.engine.loop import CHUNK_RECORDS
from tests.support.cluster import Record
from tests.support.scenario import (
    GONE_SECONDS,
    PATIENCE_SECONDS,
    PREFIX,
    Changes,
    CommitWatch,
    additions,
    assert_accounted,
    event,
)
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.daemon import Daemon
    from tests.support.kafka import Broker
    from tests.support.scenario import Scenario

both_protocols = pytest.mark.parametrize("protocol", ["classic", "consumer"])

OK, UNAVAILABLE = 200, 503


def await_unready(daemon: "Daemon", pattern: str) -> None:
    """Wait until ``/readyz`` gives a reason that matches."""
    found = re.compile(pattern)
    eventually(
        daemon.reasons, PATIENCE_SECONDS, f"unready because of {pattern!r}", until=found.search
    )


def config_of(broker: "Broker", topic: str) -> dict[str, str]:
    """Return a topic's configuration."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    answer = admin.describe_configs([resource])[resource].result()
    return {name: entry.value for name, entry in answer.items()}


def configure(broker: "Broker", topic: str, name: str, value: str) -> None:
    """Change a topic's configuration."""
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.incremental_alter_configs([resource])[resource].result()


# What arrives, and what is committed


@both_protocols
def test_every_member_ends_where_the_last_change_put_it(scenario: "Scenario") -> None:
    changes = Changes(1)
    scenario.produce(changes.records(3000))
    daemon = scenario.start_ready()
    scenario.produce(changes.records(3000))

    def wrong() -> list[tuple[int, str, str]]:
        assert_accounted(daemon.metrics())
        return changes.wrong(scenario.api)

    eventually(wrong, PATIENCE_SECONDS, "no wrong member", until=lambda names: not names)
    scenario.await_all_committed()
    counters = scenario.api.counters()
    assert counters.repeated_ids == 0
    assert not counters.statuses.keys() - {OK}
    daemon.await_metric(0, "lag_records")
    daemon.await_metric(6000, "records_total", outcome="accepted")
    daemon.await_metric(4, "assigned_partitions")
    daemon.await_metric(0, "held_ids")
    delivered = daemon.total("ids_total", outcome="delivered")
    assert delivered == counters.ids
    for partition, end in scenario.broker.end_offsets(scenario.topic).items():
        labels = {"topic": scenario.topic, "partition": str(partition)}
        daemon.await_metric(end, "committed_offset", **labels)


@both_protocols
def test_brokers_call_a_member_what_the_settings_say(scenario: "Scenario") -> None:
    scenario.start_ready(KAFKA_CLIENT_ID="audiences of Köln")
    (member,) = scenario.broker.group_members(scenario.group)
    assert member.client_id == "audiences of Köln"


def test_no_id_is_seen_anywhere_outside_of_requests(scenario: "Scenario") -> None:
    daemon = scenario.start_ready(LOG_LEVEL="debug")
    scenario.api.script([503, 400])
    scenario.api.bad_ids({"customer-7"})
    mixed = Record("k", event(5, "add", "customer-1", "customer-" + "x" * 150))
    scenario.produce([*additions(5, 50), mixed, Record("k", b'{"id": "customer-2"}')])
    scenario.await_all_committed()
    shown = [daemon.get(path)[1] for path in ("/metrics", "/status", "/", "/readyz")]
    assert not [text for text in [daemon.output, daemon.errors, *shown] if "customer-" in text]


@both_protocols
def test_nothing_unsettled_is_committed(scenario: "Scenario") -> None:
    api = scenario.api
    scenario.start_ready()
    api.for_segment(2, hang=True)
    # In each partition the first records are the good segment's, then the bad one's is in between.
    for partition in range(4):
        good = [event(1, "add", f"good-{partition}-{number}") for number in range(20)]
        bad = event(2, "add", f"bad-{partition}")
        values = [*good[: 5 * partition], bad, *good[5 * partition :]]
        scenario.produce([Record("k", value, partition=partition) for value in values])
    lowest = {partition: 5 * partition for partition in range(4)}
    with CommitWatch(scenario) as watch:
        scenario.await_accepted(80)
        watch.await_looks(15)
        api.for_segment(2, status=503)
        eventually(lambda: api.counters().statuses[503], PATIENCE_SECONDS, "a 503")
        watch.await_looks(15)
        committed = scenario.committed()
        assert {partition: committed.get(partition, 0) for partition in lowest} == lowest
        assert all(offset <= lowest[partition] for partition, offset in watch.highest.items())
        api.heal()
        scenario.await_all_committed()
    assert not watch.went_back
    assert api.counters().duplicates == 0


def test_a_record_of_many_ids_becomes_requests_of_the_batch_size(scenario: "Scenario") -> None:
    scenario.start_ready(BATCH_MAX_IDS=100)
    names = [f"customer-{number}" for number in range(2345)]
    scenario.produce([Record("k", event(9, "remove", *names), partition=2)])
    scenario.await_all_committed()
    assert scenario.api.removed(9) == set(names)
    assert scenario.api.counters().largest_request == 100
    assert scenario.api.counters().ids == 2345


# What can't be delivered


def test_what_cannot_be_read_is_kept_byte_for_byte(scenario: "Scenario") -> None:
    foreign: list[tuple[str, str | bytes | None]] = [
        ("trace", b"1"),
        ("größe", b"\xff\x00\xfe"),
        ("trace", b"2"),
        ("nothing", None),
        ("empty", b""),
        ("dead-letter-note", b"somebody's own"),
    ]
    old: list[tuple[str, str | bytes | None]] = [
        ("dead-letter-reason", b"rejected"),
        ("dead-letter-truncated", b"true"),
        ("dead-letter-source", b"elsewhere:0:0"),
    ]
    unreadable = [
        Record(b"\x00\xff", b"no JSON \xff\x00", foreign[:3] + old + foreign[3:]),
        Record(None, b""),
        Record(b"", b"\x00\x00\x00\x00\x07" + event(1, "add", "x")),
        Record("k", None),  # a tombstone
        Record("k", event(1, "move", "x")),
        Record("k", b'{"segment_id": 1, "action": "add", "id": "x", "ids": ["y"]}'),
    ]
    daemon = scenario.start_ready()
    scenario.produce([record._replace(partition=1) for record in unreadable])
    scenario.await_all_committed()
    dead_letters = {headers_of_ours(each)["source"]: each for each in scenario.dead_letters(5)}
    expected = {
        f"{scenario.topic}:1:{offset}": record
        for offset, record in enumerate(unreadable)
        if record.value is not None
    }
    assert dead_letters.keys() == expected.keys()
    for source, record in expected.items():
        dead_letter = dead_letters[source]
        key = record.key.encode() if isinstance(record.key, str) else record.key
        assert (dead_letter.key(), dead_letter.value()) == (key, record.value)
        assert foreign_headers(dead_letter) == (foreign if record.headers else [])
        ours = headers_of_ours(dead_letter)
        assert ours["reason"] == "malformed"
        assert re.fullmatch(
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", ours["time"]
        )
        assert ours["detail"]
    assert "Schema Registry" in headers_of_ours(dead_letters[f"{scenario.topic}:1:2"])["detail"]
    daemon.await_metric(5, "records_total", outcome="malformed")
    daemon.await_metric(1, "records_total", outcome="tombstone")
    daemon.await_metric(5, "dead_letters_total", reason="malformed")
    daemon.await_metric(0, "ids_received_total", action="add")
    assert scenario.api.counters().requests == 0


_OURS = frozenset(
    f"dead-letter-{name}" for name in ("reason", "detail", "source", "time", "truncated")
)


def headers_of_ours(dead_letter: Message) -> dict[str, str]:
    """Return the headers that the daemon added, without their prefix; each is there once."""
    found = [(name, value or b"") for name, value in headers_of(dead_letter) if name in _OURS]
    assert len(dict(found)) == len(found)
    return {name.removeprefix("dead-letter-"): value.decode() for name, value in found}


def foreign_headers(dead_letter: Message) -> list[tuple[str, bytes | None]]:
    """Return the other headers, in their order."""
    return [(name, value) for name, value in headers_of(dead_letter) if name not in _OURS]


def headers_of(message: Message) -> list[tuple[str, bytes | None]]:
    """Return all headers as the library gives those of a record that was read."""
    return cast("list[tuple[str, bytes | None]]", message.headers() or [])


def test_invalid_ids_of_a_readable_record_cost_only_themselves(scenario: "Scenario") -> None:
    daemon = scenario.start_ready()
    ids = ["good", "", True, {"a": 1}, "x" * 151, 7, None, "ü" * 75]
    scenario.produce([Record("k", event(4, "add", *ids), partition=0)])
    scenario.await_all_committed()
    assert scenario.api.members(4) == {"good", "7", "ü" * 75}
    (dead_letter,) = scenario.dead_letters(1)
    assert dead_letter.key() == b"4"
    assert json.loads(dead_letter.value() or b"") == {
        "segment_id": 4,
        "action": "add",
        "id_type": "id",
        "ids": ["", True, {"a": 1}, "x" * 151, None],
    }
    ours = headers_of_ours(dead_letter)
    assert (ours["reason"], ours["source"]) == ("invalid-id", f"{scenario.topic}:0:0")
    daemon.await_metric(8, "ids_received_total", action="add")
    daemon.await_metric(3, "ids_total", action="add", outcome="delivered")
    daemon.await_metric(5, "ids_total", action="add", outcome="rejected")
    daemon.await_metric(1, "dead_letters_total", reason="invalid-id")


def test_the_dead_letter_topic_is_made_as_promised(scenario: "Scenario") -> None:
    scenario.start_ready()
    config = config_of(scenario.broker, scenario.dead_letter_topic)
    assert config["cleanup.policy"] == "delete"
    assert config["retention.ms"] == str(30 * 24 * 3600 * 1000)
    assert config["max.message.bytes"] == str(10 * 2**20)


def test_a_record_too_big_for_the_dead_letter_topic_goes_without_its_value(
    scenario: "Scenario",
) -> None:
    scenario.broker.create_topic(scenario.dead_letter_topic, 1, max_message_bytes=2000)
    daemon = scenario.start_ready()
    values = [b"small", b"big" * 5000, b"small too", b"BIG" * 5000, b"last"]
    scenario.produce([Record("k", value, [("h", b"1")], partition=0) for value in values])
    scenario.await_all_committed()
    dead_letters = {headers_of_ours(each)["source"]: each for each in scenario.dead_letters(5)}
    for offset, value in enumerate(values):
        dead_letter = dead_letters[f"{scenario.topic}:0:{offset}"]
        is_big = len(value) > 2000
        assert dead_letter.value() == (None if is_big else value)
        assert dead_letter.key() == b"k"
        assert foreign_headers(dead_letter) == [("h", b"1")]
        assert headers_of_ours(dead_letter).get("truncated") == ("true" if is_big else None)
        told = [
            log for log in daemon.logs() if log["level"] == "error" and f":0:{offset}" in str(log)
        ]
        assert bool(told) == is_big


def test_a_dead_letter_is_acknowledged_before_its_record_is_committed(
    scenario: "Scenario",
) -> None:
    scenario.broker.create_topic(scenario.dead_letter_topic, 1, max_message_bytes=100)
    daemon = scenario.start_ready()
    with CommitWatch(scenario) as watch:
        good = additions(1, 5)
        records = [*good[:3], Record("k", b"unreadable"), *good[3:]]
        scenario.produce([record._replace(partition=0) for record in records])
        scenario.await_accepted(5)
        watch.await_looks(15)
        assert watch.highest[0] == 3
        configure(scenario.broker, scenario.dead_letter_topic, "max.message.bytes", "100000")
        scenario.await_all_committed()
    daemon.await_metric(1, "dead_letters_total", reason="malformed")
    scenario.dead_letters(1)


# What the API's odd answers do

_HTML = b"<html><body>Please log in to the network</body></html>"


@pytest.mark.parametrize(
    ("fault", "reason", "told"),
    [
        pytest.param({"status": 401}, "unauthorized", "401", id="401"),
        pytest.param({"status": 403}, "unauthorized", "403", id="403"),
        pytest.param(
            {"status": 302, "headers": {"Location": "https://elsewhere.example/"}},
            "redirect",
            r"302.*https://elsewhere\.example/",
            id="redirect",
        ),
        pytest.param({"status": 404}, "not-found", "404", id="404 before any success"),
        pytest.param({"status": 418}, "unexpected-answer", "418", id="418"),
        pytest.param(
            {"status": 200, "body": _HTML},
            "unexpected-answer",
            "200 with 54 bytes of HTML",
            id="HTML",
        ),
    ],
)
def test_a_mistake_of_ours_holds_the_daemon_and_no_record_pays_for_it(
    scenario: "Scenario", fault: dict[str, Any], reason: str, told: str
) -> None:
    daemon = scenario.start_ready()
    scenario.api.always(**fault)
    scenario.api.region(**fault)
    scenario.produce([*additions(1, 30), *additions(2, 30)])
    await_unready(daemon, f"{reason}: {told}")
    eventually(daemon.holds, PATIENCE_SECONDS, f"the hold {reason}", until={reason}.__eq__)
    status = daemon.status()
    assert status["state"] == "held"
    assert [hold["reason"] for hold in status["holds"]] == [reason]
    assert daemon.get("/livez")[0] == OK
    assert daemon.wait_log("hold", PATIENCE_SECONDS)["reason"] == reason
    probes = scenario.api.counters().requests
    eventually(
        lambda: scenario.api.counters().requests,
        PATIENCE_SECONDS,
        "probes",
        until=lambda n: n >= probes + 3,
    )
    assert daemon.holds() == {reason}
    assert not any(scenario.committed().values())
    scenario.api.heal()
    scenario.await_all_committed()
    eventually(daemon.reasons, PATIENCE_SECONDS, "readiness", until=lambda text: not text)
    assert daemon.holds() == set()
    assert daemon.wait_log("hold_ended", PATIENCE_SECONDS)["reason"] == reason
    assert len(scenario.api.members(1)) == len(scenario.api.members(2)) == 30
    assert not any(scenario.broker.end_offsets(scenario.dead_letter_topic).values())


def test_a_404_after_a_success_refuses_the_segment(scenario: "Scenario") -> None:
    daemon = scenario.start_ready()
    scenario.api.unknown_segment(77)
    scenario.produce(additions(1, 5))
    scenario.await_accepted(5)
    scenario.produce([*additions(1, 5, start=5), *additions(77, 3)])
    scenario.await_all_committed()
    dead_letters = scenario.dead_letters(len(scenario.broker.read_all(scenario.dead_letter_topic)))
    refused = [json.loads(dead_letter.value() or b"") for dead_letter in dead_letters]
    assert sorted(name for each in refused for name in each["ids"]) == [
        "customer-0",
        "customer-1",
        "customer-2",
    ]
    for dead_letter, content in zip(dead_letters, refused, strict=True):
        assert dead_letter.key() == b"77"
        assert (content["segment_id"], content["action"]) == (77, "add")
        ours = headers_of_ours(dead_letter)
        assert ours["reason"] == "segment-rejected"
        assert "404" in ours["detail"]
        assert "Segment not found" in ours["detail"]
        assert ours["source"].startswith(f"{scenario.topic}:")
    assert len(scenario.api.members(1)) == 10
    daemon.await_metric(3, "ids_total", action="add", outcome="rejected")
    daemon.await_metric(len(dead_letters), "dead_letters_total", reason="segment-rejected")
    assert daemon.reasons() == ""


def test_a_rotated_key_needs_no_restart(scenario: "Scenario", tmp_path: "Path") -> None:
    (tmp_path / "CUSTOMERIO_API_KEY").write_text("old-key\n")
    daemon = scenario.start_ready(CUSTOMERIO_API_KEY=None, SECRETS_DIR=tmp_path)
    scenario.produce(additions(1, 10))
    await_unready(daemon, "unauthorized: 401")
    (tmp_path / "CUSTOMERIO_API_KEY").write_text("key\n")
    scenario.await_all_committed()
    assert len(scenario.api.members(1)) == 10
    assert "old-key" not in daemon.output


# Where reading begins


@both_protocols
def test_latest_skips_what_was_there_at_the_first_start_and_nothing_later(
    scenario: "Scenario",
) -> None:
    scenario.produce([record._replace(partition=0) for record in additions(1, 50)])
    daemon = scenario.start_ready(KAFKA_AUTO_OFFSET_RESET="latest")
    scenario.await_all_committed()
    scenario.produce(additions(2, 50))
    scenario.broker.add_partitions(scenario.topic, 7)
    new = [record._replace(partition=4 + n % 3) for n, record in enumerate(additions(3, 60))]
    scenario.produce(new)  # before the daemon can have seen these partitions
    scenario.await_accepted(110)
    scenario.await_all_committed()
    daemon.terminate()
    assert daemon.wait(GONE_SECONDS) == 0
    scenario.produce(additions(4, 50))  # while nobody reads
    scenario.start_ready(KAFKA_AUTO_OFFSET_RESET="latest")
    scenario.await_accepted(160)
    scenario.await_all_committed()
    assert {n: len(scenario.api.members(n)) for n in range(1, 5)} == {1: 0, 2: 50, 3: 60, 4: 50}
    assert scenario.api.counters().duplicates == 0


@both_protocols
def test_members_that_start_at_once_with_latest_agree_on_the_start(scenario: "Scenario") -> None:
    scenario.broker.add_partitions(scenario.topic, 6)
    old = [record._replace(partition=n % 6) for n, record in enumerate(additions(1, 60))]
    scenario.produce(old)
    daemons = [scenario.start(KAFKA_AUTO_OFFSET_RESET="latest") for _ in range(3)]
    for daemon in daemons:
        daemon.wait_ready(PATIENCE_SECONDS)
    scenario.await_all_committed()
    eventually(
        lambda: [daemon.metric("assigned_partitions") for daemon in daemons],
        PATIENCE_SECONDS,
        "two partitions each",
        until=[2, 2, 2].__eq__,
    )
    scenario.produce([each._replace(partition=n % 6) for n, each in enumerate(additions(2, 60))])
    scenario.await_accepted(60)
    scenario.await_all_committed()
    assert len(scenario.api.members(2)) == 60
    assert not scenario.api.members(1)


def test_error_gives_up_where_nothing_is_committed(scenario: "Scenario") -> None:
    scenario.produce(additions(1, 5))
    daemon = scenario.start(KAFKA_AUTO_OFFSET_RESET="error")
    assert daemon.wait(PATIENCE_SECONDS) == 1
    assert "KAFKA_AUTO_OFFSET_RESET" in daemon.output
    assert "Traceback" not in daemon.output + daemon.errors
    assert scenario.api.counters().requests == 0


def test_error_gives_up_where_offsets_are_gone(scenario: "Scenario") -> None:
    stop_after(scenario, 10)
    scenario.produce([record._replace(partition=0) for record in additions(2, 10)])
    scenario.broker.delete_records(scenario.topic, {0: 15})
    daemon = scenario.start(KAFKA_AUTO_OFFSET_RESET="error")
    assert daemon.wait(PATIENCE_SECONDS) == 1
    assert daemon.logs("offsets_gone")
    assert "Traceback" not in daemon.output + daemon.errors


def stop_after(scenario: "Scenario", count: int) -> None:
    """Let a daemon deliver and commit so many records of partition 0, and stop it."""
    daemon = scenario.start_ready()
    scenario.produce([record._replace(partition=0) for record in additions(1, count)])
    scenario.await_all_committed()
    daemon.terminate()
    assert daemon.wait(GONE_SECONDS) == 0


@both_protocols
def test_deleted_records_are_told_and_reading_goes_on(scenario: "Scenario") -> None:
    stop_after(scenario, 10)
    scenario.produce([record._replace(partition=0) for record in additions(2, 20)])
    scenario.broker.delete_records(scenario.topic, {0: 25})
    daemon = scenario.start_ready()
    scenario.await_all_committed()
    gone = daemon.wait_log("offsets_gone", PATIENCE_SECONDS)
    assert (gone["level"], gone["topic"], gone["partition"]) == ("error", scenario.topic, 0)
    assert gone["missed"] == "10 to 24"
    daemon.await_metric(1, "offset_resets_total", topic=scenario.topic)
    assert scenario.api.members(2) == {f"customer-{number}" for number in range(15, 20)}


@both_protocols
def test_records_deleted_while_reading_waits_do_not_stop_it(scenario: "Scenario") -> None:
    scenario.api.hang()
    daemon = scenario.start_ready(BUFFER_MAX_IDS=10)
    scenario.produce([record._replace(partition=0) for record in additions(1, 10_000)])
    eventually(lambda: daemon.metric("paused"), PATIENCE_SECONDS, "a pause")
    scenario.produce([record._replace(partition=0) for record in additions(2, 10_000)])
    scenario.broker.delete_records(scenario.topic, {0: 19_990})
    scenario.api.heal()
    scenario.await_all_committed()
    assert len(scenario.api.members(2)) >= 10
    assert_accounted(daemon.metrics())


@both_protocols
def test_a_topic_made_anew_is_read_from_its_beginning(scenario: "Scenario") -> None:
    daemon = scenario.start_ready()
    scenario.produce(additions(1, 200))
    scenario.await_all_committed()
    scenario.broker.delete_topic(scenario.topic)
    await_unready(daemon, f"topic {scenario.topic}")
    scenario.broker.create_topic(scenario.topic, 4)
    scenario.produce(additions(2, 20))
    scenario.await_accepted(220)
    scenario.await_all_committed()
    eventually(daemon.reasons, PATIENCE_SECONDS, "readiness", until=lambda text: not text)
    assert len(scenario.api.members(2)) == 20


# Waiting for what isn't there


@pytest.mark.long("the other protocol where one shows it", keep=("consumer",))
@both_protocols
def test_an_expression_means_the_whole_name(scenario: "Scenario") -> None:
    broker, name = scenario.broker, scenario.topic
    for other in (f"x{name}", f"{name}x"):
        broker.create_topic(other, 1)
        scenario.produce(additions(1, 5), other)
    broker.create_topic(f"{name}.a", 1)
    scenario.produce(additions(2, 5), f"{name}.a")
    scenario.start_ready(KAFKA_TOPICS=rf"^{name}\.(a|b),{name}")
    scenario.produce(additions(3, 5))
    scenario.await_accepted(10)
    broker.create_topic(f"{name}.b", 1)
    scenario.produce(additions(4, 5), f"{name}.b")
    scenario.await_accepted(15, timeout=PATIENCE_SECONDS + 30)  # topics are listed every 30 s
    eventually(
        lambda: broker.committed(scenario.group, f"{name}.b"),
        PATIENCE_SECONDS,
        "its commit",
        until={0: 5}.__eq__,
    )
    assert {n: len(scenario.api.members(n)) for n in range(1, 5)} == {1: 0, 2: 5, 3: 5, 4: 5}


@both_protocols
def test_a_missing_topic_is_waited_for(scenario: "Scenario") -> None:
    missing = f"{scenario.topic}-missing"
    daemon = scenario.start(KAFKA_TOPICS=f"{scenario.topic},{missing}")
    await_unready(daemon, f"topic {missing}: ")
    scenario.produce(additions(1, 5))
    scenario.await_accepted(5)
    assert daemon.get("/livez")[0] == OK
    scenario.broker.create_topic(missing, 2)
    scenario.produce(additions(2, 5), missing)
    scenario.await_accepted(10)
    daemon.wait_ready(PATIENCE_SECONDS)


@pytest.mark.long("ways of an outage beyond one of each kind", keep=("classic",))
@both_protocols
def test_a_broker_that_is_away_at_the_start_is_waited_for(scenario: "Scenario") -> None:
    bootstrap, proxy = scenario.broker.proxied(0)
    proxy.cut()
    daemon = scenario.start(KAFKA_BOOTSTRAP_SERVERS=bootstrap)
    scenario.produce(additions(1, 5))
    await_unready(daemon, "not joined")
    assert daemon.status()["state"] == "starting"
    await_unready(daemon, "kafka-unavailable: no broker reachable")
    assert daemon.holds() == {"kafka-unavailable"}
    assert daemon.get("/livez")[0] == OK
    # What repeats is said at most every 30 s: librdkafka would say it twenty times a second.
    assert len(daemon.output.splitlines()) < 20
    proxy.mend()
    scenario.await_all_committed()
    daemon.wait_ready(PATIENCE_SECONDS)
    assert daemon.holds() == set()


def test_a_dead_letter_topic_that_cannot_be_made_holds(scenario: "Scenario") -> None:
    """Its name collides with another one's, as ``.`` and ``_`` do; then that one goes."""
    scenario.broker.create_topic("collides_with", 1)
    daemon = scenario.start(DEAD_LETTER_TOPIC="collides.with")
    await_unready(daemon, "dead-letter-unavailable: .*collides")
    assert daemon.holds() == {"dead-letter-unavailable"}
    scenario.broker.delete_topic("collides_with")
    daemon.wait_ready(PATIENCE_SECONDS)
    scenario.broker.delete_topic("collides.with")


def test_wrong_settings_are_told_all_at_once(scenario: "Scenario") -> None:
    daemon = scenario.start(
        KAFKA_TOPICS=None,
        KAFKA_GROUP_PROTOCOL="modern",
        KAFKA_CONFIG='{"no.such.property": "hush-hush"}',
        CUSTOMERIO_API_KEY="hush\nhush",
        BATCH_MAX_IDS="many",
        DRAIN_TIMEOUT_SECONDS=0.5,
    )
    assert daemon.wait(PATIENCE_SECONDS) == 2
    for name in (
        "KAFKA_TOPICS",
        "KAFKA_GROUP_PROTOCOL",
        "KAFKA_CONFIG",
        "CUSTOMERIO_API_KEY",
        "BATCH_MAX_IDS",
        "DRAIN_TIMEOUT_SECONDS",
    ):
        assert re.search(rf"^{name}: ", daemon.errors, re.MULTILINE), name
    assert "Traceback" not in daemon.errors
    assert "hush" not in daemon.errors + daemon.output
    assert daemon.output == ""


def test_every_series_of_the_contract_is_there_at_zero_from_the_start(
    scenario: "Scenario",
) -> None:
    bootstrap, proxy = scenario.broker.proxied(0)
    proxy.cut()
    daemon = scenario.start(KAFKA_BOOTSTRAP_SERVERS=bootstrap)
    eventually(lambda: daemon.metric("buffer_limit_ids"), PATIENCE_SECONDS, "the first turn")
    found = {
        name.removeprefix(PREFIX) + "".join(f",{k}={v}" for k, v in sorted(labels)): value
        for (name, labels), value in daemon.metrics().items()
        if name.startswith(PREFIX) and not name.endswith("_created")
    }
    assert {name: value for name, value in found.items() if name in ZERO_SERIES} == dict.fromkeys(
        ZERO_SERIES, 0
    )
    assert found["buffer_limit_ids"] == 200_000
    assert found["concurrency_limit"] > 0
    assert found["loop_heartbeat_timestamp_seconds"] > 0
    assert [value for name, value in found.items() if name.startswith("build_info,version=")] == [1]


_ACTIONS = ("add", "remove")
ZERO_SERIES = (
    *(
        f"records_total,outcome={each}"
        for each in ("accepted", "malformed", "tombstone", "ignored")
    ),
    *(f"ids_received_total,action={action}" for action in _ACTIONS),
    *(
        f"ids_total,action={action},outcome={outcome}"
        for action in _ACTIONS
        for outcome in (
            *("delivered", "superseded", "duplicate", "rejected", "skipped", "released"),
        )
    ),
    "held_ids",
    *(
        f"batches_total,action={action},reason={reason}"
        for action in _ACTIONS
        for reason in ("size", "linger", "revoke", "shutdown", "pressure", "split")
    ),
    *(
        f"{name}_{part},action={action}"
        for name in ("batch_ids", "request_duration_seconds")
        for part in ("count", "sum")
        for action in _ACTIONS
    ),
    *(
        f"requests_total,action={action},status={status}"
        for action in _ACTIONS
        for status in ("timeout", "connection")
    ),
    "requests_in_flight",
    *(f"retries_total,reason={each}" for each in ("throttled", "server", "timeout", "connection")),
    "delivery_latency_seconds_count",
    "delivery_latency_seconds_sum",
    "oldest_unsettled_seconds",
    "last_delivery_timestamp_seconds",
    "assigned_partitions",
    *(f"commits_total,outcome={each}" for each in ("ok", "failed")),
    *(f"rebalances_total,event={each}" for each in ("assigned", "revoked", "lost")),
    *(
        f"dead_letters_total,reason={each}"
        for each in ("malformed", "invalid-id", "rejected", "segment-rejected")
    ),
    "paused",
    *(
        f"hold,reason={each}"
        for each in (
            "unauthorized",
            "redirect",
            "not-found",
            "unexpected-answer",
            "dead-letter-limit",
            "dead-letter-unavailable",
            "stalled",
            "kafka-unavailable",
            "api-unavailable",
            "schema-registry-unavailable",
            "partition-stalled",
        )
    ),
)


# The bound on memory


@both_protocols
def test_a_full_buffer_pauses_reading_and_the_member_stays(scenario: "Scenario") -> None:
    scenario.api.hang()
    daemon = scenario.start_ready(
        BUFFER_MAX_IDS=200, BATCH_MAX_IDS=50, kafka_config={"max.poll.interval.ms": 6000}
    )
    scenario.produce(additions(1, 10_000))
    (member,) = scenario.broker.group_members(scenario.group)
    eventually(lambda: daemon.metric("paused"), PATIENCE_SECONDS, "a pause")
    assert daemon.wait_log("paused", PATIENCE_SECONDS)
    assert daemon.status()["partitions"][0]["paused"]
    eventually(
        lambda: daemon.metric("oldest_unsettled_seconds"),
        PATIENCE_SECONDS,
        "a wait longer than max.poll.interval.ms",
        until=lambda seconds: seconds > 7,
    )
    assert scenario.broker.group_members(scenario.group) == [member]
    assert daemon.metric("rebalances_total", event="revoked") == 0
    assert daemon.metric("rebalances_total", event="lost") == 0
    scenario.api.heal()

    def committed() -> dict[int, int]:
        assert daemon.metric("held_ids") <= 200 + CHUNK_RECORDS
        return scenario.committed()

    ends = scenario.broker.end_offsets(scenario.topic)
    eventually(committed, PATIENCE_SECONDS, "all commits", until=ends.__eq__)
    assert len(scenario.api.members(1)) == 10_000
    daemon.await_metric(0, "paused")
    assert daemon.wait_log("resumed", PATIENCE_SECONDS)


@pytest.mark.long("the other protocol where one shows it", keep=("consumer",))
@both_protocols
def test_partitions_that_come_and_come_back_during_a_pause_are_read(scenario: "Scenario") -> None:
    scenario.api.hang()
    first = scenario.start_ready(BUFFER_MAX_IDS=50)
    scenario.produce(additions(1, 2000))
    eventually(lambda: first.metric("paused"), PATIENCE_SECONDS, "a pause")
    second = scenario.start(BUFFER_MAX_IDS=50)
    eventually(
        lambda: [each.metric("assigned_partitions") for each in (first, second)],
        PATIENCE_SECONDS,
        "two partitions each",
        until=[2, 2].__eq__,
    )
    eventually(lambda: first.metric("paused"), PATIENCE_SECONDS, "a pause again")
    second.terminate()
    assert second.wait(GONE_SECONDS) == 0
    eventually(
        lambda: first.metric("assigned_partitions"),
        PATIENCE_SECONDS,
        "all four again",
        until=lambda count: count == 4,
    )
    eventually(lambda: first.metric("paused"), PATIENCE_SECONDS, "a pause still")
    scenario.api.heal()
    scenario.await_all_committed()
    assert len(scenario.api.members(1)) == 2000
    assert_accounted(first.metrics())
