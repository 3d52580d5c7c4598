"""The daemon reads what producers write by a Schema Registry: a real process, a real Kafka.

The registry is Apicurio; where GUIDs, a login or faults are asked for, a stand-in.
"""

import json
import threading
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from consumer.core.outcomes import HoldReason
from tests.support.apicurio import Apicurio
from tests.support.cluster import Record
from tests.support.daemon import Daemon
from tests.support.protoc import message
from tests.support.registry import Registry, Served, status
from tests.support.scenario import DRAIN_SECONDS, PATIENCE_SECONDS, assert_accounted
from tests.support.waiting import eventually
from tests.test_avro import a_field, written
from tests.test_end_to_end import await_unready, headers_of_ours
from tests.test_replay import Replays

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.scenario import Scenario

HOLD = HoldReason.SCHEMA_REGISTRY_UNAVAILABLE.value
ACTION = {"type": "enum", "name": "Action", "symbols": ["add", "remove"]}
EVENT = {
    "type": "record",
    "name": "Event",
    "namespace": "shop",
    "fields": [
        {"name": "segment_id", "type": "int"},
        {"name": "action", "type": ACTION},
        {"name": "id", "type": ["null", "string", "long"]},
    ],
}
NEWER = {**EVENT, "fields": [*EVENT["fields"], {"name": "since", "type": "long", "default": 0}]}
MAPPING = """
[[rule]]
segment_id = { path = "audience.key", map = { vip = 56, churned = 57 } }
action = { path = "kind", add = ["JOINED", "ADD"], remove = ["LEFT", "REMOVE"] }
id = [{ path = "who.email", id_type = "email" }, { path = "who.number" }]
"""
AUDIENCE = {**a_field("string"), "name": "Audience", "namespace": "shop.common"}
AUDIENCE["fields"][0]["name"] = "key"
MEMBERSHIP = {
    "type": "record",
    "name": "Membership",
    "namespace": "shop",
    "fields": [
        {"name": "audience", "type": "shop.common.Audience"},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["JOINED", "LEFT"]}},
        {
            "name": "who",
            "type": {
                "type": "record",
                "name": "Who",
                "fields": [
                    {"name": "email", "type": ["null", "string"]},
                    {
                        "name": "number",
                        "type": [
                            "null",
                            {
                                "type": "bytes",
                                "logicalType": "decimal",
                                "precision": 20,
                                "scale": 2,
                            },
                        ],
                    },
                ],
            },
        },
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
COMMON = """
syntax = "proto3";
package shop.common;
message Audience { string key = 1; }
"""
PROTO = """
syntax = "proto3";
package shop;
import "shop/common.proto";
import "google/protobuf/wrappers.proto";
message Unrelated { int32 number = 1; }
message Memberships {
  enum Kind { ADD = 0; REMOVE = 1; }
  message Membership {
    shop.common.Audience audience = 1;
    Kind kind = 2;
    message Who { google.protobuf.StringValue email = 1; optional uint64 number = 2; }
    Who who = 3;
  }
}
"""


@pytest.fixture(scope="module")
def apicurio(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Apicurio]":
    """Run a real registry."""
    with Apicurio(tmp_path_factory.mktemp("apicurio")) as apicurio:
        yield apicurio


def prefix(schema_id: int) -> bytes:
    return b"\0" + schema_id.to_bytes(4)


def event(action: str, name: object, segment: int = 56, **more: object) -> dict[str, object]:
    return {"segment_id": segment, "action": action, "id": name, **more}


def in_avro(schema_id: int, value: object, schema: Any = EVENT, *references: Any) -> bytes:  # noqa: ANN401 - any JSON
    return prefix(schema_id) + written(schema, value, *references)


def start(scenario: "Scenario", url: str, **changed: object) -> Daemon:
    settings = {"EVENT_FORMAT": "schema-registry", "SCHEMA_REGISTRY_URL": url, **changed}
    return scenario.start(kafka_config=None, **settings)


def details(scenario: "Scenario", count: int) -> dict[bytes | None, str]:
    letters = scenario.dead_letters(count)
    assert {headers_of_ours(letter)["reason"] for letter in letters} == {"malformed"}
    return {letter.value(): headers_of_ours(letter)["detail"] for letter in letters}


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_events_in_avro_through_versions_of_their_schema(
    scenario: "Scenario", apicurio: Apicurio
) -> None:
    old = apicurio.register(f"{scenario.topic}-value", EVENT)
    new = apicurio.register(f"{scenario.topic}-value", NEWER)
    assert old != new
    cut = in_avro(new, event("add", "cut", since=7), NEWER)[:-1]
    long = in_avro(old, event("add", "long")) + b"\0"
    values = [
        in_avro(old, event("add", "a")),
        in_avro(new, event("add", "b", since=7), NEWER),
        in_avro(old, event("add", 12345678901)),
        in_avro(new, event("add", "c", since=7), NEWER),
        json.dumps(event("add", "plain")).encode(),
        in_avro(old, event("remove", "c")),
        None,
        cut,
        long,
        b"no frame",
    ]
    scenario.produce([Record("k", value, partition=0) for value in values])
    daemon = start(scenario, apicurio.url)
    daemon.wait_ready(PATIENCE_SECONDS)
    scenario.await_all_committed()
    assert scenario.api.members(56) == {"a", "b", "12345678901", "plain"}
    found = details(scenario, 3)
    assert found[cut] == f"it isn't what its schema {new} describes, Avro shop.Event"
    assert found[long] == f"it isn't what its schema {old} describes, Avro shop.Event"
    assert "begins with the byte 0x6e" in found[b"no frame"]
    for outcome, count in {"accepted": 6, "malformed": 3, "tombstone": 1}.items():
        daemon.await_metric(count, "records_total", outcome=outcome)
    assert_accounted(daemon.metrics())
    assert daemon.holds() == set()


def test_a_mapping_reads_every_kind_of_schema_with_references(
    scenario: "Scenario", apicurio: Apicurio, tmp_path: Path
) -> None:
    (tmp_path / "mapping.toml").write_text(MAPPING)
    topic = scenario.topic
    apicurio.register(f"{topic}-audience", AUDIENCE)
    reference = ("shop.common.Audience", f"{topic}-audience", 1)
    avro_id = apicurio.register(f"{topic}-avro", MEMBERSHIP, references=[reference])
    apicurio.register(f"{topic}-common", COMMON, "PROTOBUF")
    reference = ("shop/common.proto", f"{topic}-common", 1)
    proto_id = apicurio.register(f"{topic}-proto", PROTO, "PROTOBUF", [reference])
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "M"}
    json_id = apicurio.register(f"{topic}-json", {**schema, "type": "object"}, "JSON")

    def avro(audience: str, kind: str, **who: object) -> bytes:
        value = {"audience": {"key": audience}, "kind": kind, "who": who, "at": 2**62}
        return in_avro(avro_id, value, MEMBERSHIP, ("", AUDIENCE))

    def protobuf(audience: str, kind: int, **who: Any) -> bytes:  # noqa: ANN401 - fields
        name = "shop.Memberships.Membership"
        membership = message(PROTO, name, [("shop/common.proto", COMMON)])
        membership.audience.key, membership.kind = audience, kind
        if "email" in who:
            membership.who.email.value = who["email"]
        if "number" in who:
            membership.who.number = who["number"]
        indexes = b"\x04\x02\x00"  # two of them: the second message, and the first in that
        return prefix(proto_id) + indexes + bytes(membership.SerializeToString())

    in_json = {"audience": {"key": "churned"}, "kind": "JOINED", "who": {"number": "j"}}
    values = [
        avro("vip", "JOINED", email="A@x.de", number=None),
        avro("churned", "JOINED", email=None, number=Decimal("42.00")),
        avro("churned", "LEFT", email=None, number=Decimal(43)),
        protobuf("vip", 0, email="b@x.de"),
        protobuf("churned", 0, number=2**63),
        protobuf("churned", 1, number=44),
        prefix(json_id) + json.dumps(in_json).encode(),
        json.dumps({**in_json, "who": {"number": "plain"}}).encode(),
        unknown := avro("big-spenders", "JOINED", email=None, number=Decimal(1)),
    ]
    scenario.produce([Record("k", value, partition=0) for value in values])
    start(scenario, apicurio.url, EVENT_MAPPING=str(tmp_path / "mapping.toml"))
    scenario.await_all_committed()
    assert scenario.api.members(56, "email") == {"a@x.de", "b@x.de"}
    assert scenario.api.members(57) == {"42", str(2**63), "j", "plain"}
    assert "is not in the mapping's table" in details(scenario, 1)[unknown]


def test_what_was_deleted_in_the_registry_is_read_still(
    scenario: "Scenario", apicurio: Apicurio
) -> None:
    topic = scenario.topic
    apicurio.register(f"{topic}-common", COMMON, "PROTOBUF")
    text = 'syntax = "proto3"; import "c.proto"; message E { string id = 1; int32 segment_id = 2;'
    text += " shop.common.Audience more = 3; string action = 4; }"
    reference = ("c.proto", f"{topic}-common", 1)
    schema_id = apicurio.register(f"{topic}-value", text, "PROTOBUF", [reference])
    apicurio.delete(f"{topic}-value")
    value = prefix(schema_id) + b"\0\x0a\x01a\x10\x38\x22\x03add"
    scenario.produce([Record("k", value, partition=0)])
    start(scenario, apicurio.url)
    scenario.await_all_committed()
    assert scenario.api.members(56) == {"a"}


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_i10_a_registry_that_comes_and_goes_and_lies_costs_no_record(
    scenario: "Scenario",
) -> None:
    """Partitions that need nothing of it go on meanwhile."""
    registry = Registry()
    first, _ = registry.add(EVENT)
    second, _ = registry.add(NEWER)
    with Served(registry) as served:
        port = served.port
    daemon = start(scenario, served.url)  # nobody listens there
    one = first + written(EVENT, event("add", "one"))
    two = second + written(NEWER, event("add", "two", since=1))
    scenario.produce([Record("k", one, partition=0), Record("k", two, partition=1)])
    scenario.produce([Record("k", json.dumps(event("add", "plain")), partition=2)])
    daemon.await_reason("connecting to 127.0.0.1")
    scenario.await_accepted(1)
    assert scenario.api.members(56) == {"plain"}
    assert daemon.holds() == {HOLD}
    daemon.await_metric(1, "hold", reason=HOLD)
    registry.fault = status(200, b"<html>Please log in</html>")
    with Served(registry, port=port):
        daemon.await_reason("is this a Schema Registry")
        registry.fault = status(403, b'{"message": "no"}')
        daemon.await_reason("the login may not read this")
        registry.fault = lambda handler: (
            handler.answer(503, b"", {}) if "/2" in handler.path else handler.served()
        )
        scenario.await_accepted(2)
        assert scenario.api.members(56) == {"plain", "one"}
        await_unready(daemon, "1 partition waits for schema 2: .* it answered 503")
        paused = {each["partition"]: each["paused"] for each in daemon.status()["partitions"]}
        assert paused == {0: False, 1: True, 2: False, 3: False}
        scenario.produce([Record("k", first + written(EVENT, event("add", "more")), partition=0)])
        scenario.await_accepted(3)
        registry.fault = None
        scenario.await_all_committed()
    assert scenario.api.members(56) == {"plain", "one", "two", "more"}
    eventually(daemon.holds, PATIENCE_SECONDS, "no hold", until=lambda holds: not holds)
    daemon.await_metric(0, "records_total", outcome="malformed")
    assert [log["reason"] for log in daemon.logs("hold_ended")] == [HOLD]
    assert registry.asked.count("/schemas/ids/1") >= 1


def test_guids_a_login_that_rotates_and_nothing_said_of_it(
    scenario: "Scenario", tmp_path: Path
) -> None:
    registry = Registry()
    _, by_guid = registry.add(EVENT)
    registry.basic("reader", "hunter2-new")
    secret = tmp_path / "secrets" / "SCHEMA_REGISTRY_PASSWORD"
    secret.parent.mkdir()
    secret.write_text("hunter2-old\n")
    payload = written(EVENT, event("add", "in-header"))
    scenario.produce(
        [
            Record("k", payload, [("__value_schema_id", by_guid)], partition=0),
            Record("k", by_guid + written(EVENT, event("add", "in-front")), partition=0),
        ]
    )
    with Served(registry) as served:
        daemon = start(
            scenario,
            f"http://127.0.0.1:9,{served.url}",
            SCHEMA_REGISTRY_USERNAME="reader",
            SECRETS_DIR=str(secret.parent),
        )
        daemon.await_reason("it refuses the login")
        secret.write_text("hunter2-new\n")
        scenario.await_all_committed()
    assert scenario.api.members(56) == {"in-header", "in-front"}
    shown = [daemon.output, daemon.errors, *(daemon.get(p)[1] for p in ("/status", "/metrics"))]
    assert not [text for text in shown if "hunter2" in text]


def test_a_restart_in_the_midst_of_waiting_loses_and_repeats_nothing(
    scenario: "Scenario",
) -> None:
    registry = Registry()
    first, _ = registry.add(EVENT)
    second, _ = registry.add(NEWER)
    registry.fault = lambda handler: (
        handler.answer(503, b"", {}) if "/2" in handler.path else handler.served()
    )
    values = [first + written(EVENT, event("add", f"a{n}")) for n in range(20)]
    values += [second + written(NEWER, event("add", f"b{n}", since=n)) for n in range(20)]
    scenario.produce([Record("k", value, partition=0) for value in values])
    with Served(registry) as served:
        daemon = start(scenario, served.url)
        daemon.await_reason("waits for schema 2")
        eventually(scenario.committed, PATIENCE_SECONDS, "20", until=lambda at: at.get(0) == 20)
        daemon.stop()
        assert scenario.committed()[0] == 20
        registry.fault = None
        start(scenario, served.url)
        scenario.await_all_committed()
    assert scenario.api.counters().ids == 40
    assert len(scenario.api.members(56)) == 40


def test_i9_a_stop_does_not_wait_for_a_registry_that_hangs(scenario: "Scenario") -> None:
    registry, over = Registry(), threading.Event()
    prefix, _ = registry.add(EVENT)
    registry.fault = lambda _: over.wait(PATIENCE_SECONDS)
    scenario.produce([Record("k", prefix + written(EVENT, event("add", "a")), partition=0)])
    scenario.produce([Record("k", json.dumps(event("add", "plain")), partition=1)])
    try:
        with Served(registry) as served:
            daemon = start(scenario, served.url)
            scenario.await_accepted(1)
            eventually(lambda: registry.asked, PATIENCE_SECONDS, "a question")
            daemon.stop()
            (stopped,) = daemon.logs("stopped")
            assert stopped["released"] == 0
            assert stopped["seconds"] < DRAIN_SECONDS
            over.set()
    finally:
        over.set()
    assert scenario.api.members(56) == {"plain"}
    assert scenario.committed().get(0, 0) == 0


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_i2_partitions_that_wait_go_to_another_member_and_the_last_word_wins(
    scenario: "Scenario",
) -> None:
    registry = Registry()
    first, _ = registry.add(EVENT)
    second, _ = registry.add(NEWER)
    registry.fault = lambda handler: (
        handler.answer(503, b"", {}) if "/2" in handler.path else handler.served()
    )

    def value(number: int, partition: int) -> bytes:
        action, name = ("add", "remove")[number // 50 % 2], f"c{partition}-{number % 50}"
        if number < 300:
            return first + written(EVENT, event(action, name))
        return second + written(NEWER, event(action, name, since=number))

    counts = [630, 650, 680, 700]
    scenario.produce(
        [
            Record("k", value(number, partition), partition=partition)
            for partition, count in enumerate(counts)
            for number in range(count)
        ]
    )
    waiting = dict.fromkeys(range(4), 300)
    with Served(registry) as served:
        one = start(scenario, served.url)
        await_unready(one, "4 partitions wait for schema 2")
        eventually(scenario.committed, PATIENCE_SECONDS, "commits", until=waiting.__eq__)
        two = start(scenario, served.url)
        await_unready(two, "2 partitions wait for schema 2")
        await_unready(one, "2 partitions wait for schema 2")
        one.stop()
        await_unready(two, "4 partitions wait for schema 2")
        assert scenario.committed() == waiting
        registry.fault = None
        scenario.await_all_committed()
    expected = {
        f"c{partition}-{name}"
        for partition, count in enumerate(counts)
        for name in range(50)
        if max(n for n in range(name, count, 50)) // 50 % 2 == 0
    }
    assert scenario.api.members(56) == expected
    assert two.metric("records_total", outcome="accepted") == sum(counts) - sum(waiting.values())
    assert two.holds() == set()


def test_a_replay_reads_by_the_registry_too(scenario: "Scenario", tmp_path: Path) -> None:
    registry = Registry()
    by_id, _ = registry.add(EVENT)
    rule = '[[rule]]\nsegment_id = { path = "segment_id", map = { "SEGMENT" = 7 } }\n'
    rule += 'action = { path = "action" }\nid = { path = "id" }\n'
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(rule.replace("SEGMENT", "5"))
    scenario.produce([Record("k", by_id + written(EVENT, event("add", "a")), partition=0)])
    with Served(registry) as served, closing(Replays(scenario)) as replays:
        daemon = start(scenario, served.url, EVENT_MAPPING=str(mapping))
        details(scenario, 1)
        daemon.stop()
        mapping.write_text(rule.replace("SEGMENT", "56"))
        replays.run(
            EVENT_FORMAT="schema-registry",
            SCHEMA_REGISTRY_URL=served.url,
            EVENT_MAPPING=str(mapping),
        )
    assert scenario.api.members(7) == {"a"}


def check(scenario: "Scenario", url: str, *, is_good: bool) -> str:
    """Return the line of ``check`` about the registry."""
    settings = scenario.settings(
        EVENT_FORMAT="schema-registry", SCHEMA_REGISTRY_URL=url, HTTP_PORT=None
    )
    with Daemon(settings, arguments=("check",)) as checking:
        code = checking.wait(PATIENCE_SECONDS)
        lines = [line for line in checking.output.splitlines() if " schema registry " in line]
        assert len(lines) == 1, checking.said()
        assert (code == 0) is is_good, checking.said()
    return lines[0]


def test_the_check_has_a_line_for_it(scenario: "Scenario") -> None:
    registry = Registry()
    first, _ = registry.add(EVENT)
    with Served(registry) as served:
        url = served.url
        line = check(scenario, url, is_good=True)
        assert line == f"ok       schema registry {url}: answers; no newest record names a schema"
        scenario.produce([Record("k", first + written(EVENT, event("add", "a")), partition=2)])
        line = check(scenario, url, is_good=True)
        assert line.endswith("answers; the newest records are of schema 1, Avro shop.Event")
        scenario.produce([Record("k", prefix(77), partition=3)])
        line = check(scenario, url, is_good=False)
        assert f"schema 77, which {scenario.topic}:3:0 names: the schema is not found" in line
        assert line.startswith("FAILED ")
        assert line.endswith("is this the registry that the producers use? See SCHEMA_REGISTRY_URL")
        registry.fault = status(401)
        assert "it refuses the login" in check(scenario, url, is_good=False)
    assert "Connection refused -> see SCHEMA_REGISTRY_URL" in check(scenario, url, is_good=False)
