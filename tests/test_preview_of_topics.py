"""``segment-consumer preview`` on a real Kafka, as who begins to use it has it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from consumer.commands.preview.newest import newest
from consumer.kafka.member import Member
from consumer.settings import load
from consumer.settings.properties import consumer_properties
from tests.support.authorizer import EVERYTHING
from tests.support.certificates import Authority
from tests.support.cluster import Record
from tests.support.daemon import Daemon
from tests.support.doors import Doors
from tests.support.registry import Registry, Served, status
from tests.support.ways import CERTIFICATE, SCRAM_512_OPEN
from tests.test_avro import written
from tests.test_mapped_end_to_end import identify, track
from tests.test_rotation import with_certificate, with_password

if TYPE_CHECKING:
    from tests.support.kafka import Broker

ALL, NOT_ALL = 0, 1
PATIENCE_SECONDS = 60
NOWHERE = "127.0.0.1:1"
SEGMENTS = '{"vip": 56, "churned": 57}'
AVRO = {
    "type": "record",
    "name": "Membership",
    "fields": [
        {"name": "segment_id", "type": "int"},
        {"name": "action", "type": {"type": "enum", "name": "A", "symbols": ["add", "remove"]}},
        {"name": "id", "type": "string"},
    ],
}


class Preview:
    """Runs the command with the settings that a first try has, and none of the API's."""

    def __init__(self, broker: "Broker", topic: str, group: str) -> None:
        self.broker = broker
        self.topic = topic
        self.settings: dict[str, object] = {
            "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
            "KAFKA_TOPICS": topic,
            "KAFKA_GROUP_ID": group,
        }

    def put(self, *values: bytes | None, partition: int = 0) -> None:
        """Put records into a partition of the topic."""
        self.broker.produce(self.topic, [Record("k", each, partition=partition) for each in values])

    def run(self, *arguments: str, expect: int = ALL, **more: object) -> str:
        """Return what it wrote."""
        settings = {**self.settings, **more}
        with Daemon(settings, arguments=("preview", *arguments)) as process:
            code = process.wait(PATIENCE_SECONDS)
            assert (code, process.errors) == (expect, ""), process.output
            return process.output

    def objects(
        self, *arguments: str, expect: int = ALL, **more: object
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Return the records and the summary, as programs get them."""
        lines = self.run("--json", *arguments, expect=expect, **more).splitlines()
        *records, last = map(json.loads, lines)
        summary: dict[str, Any] = last["summary"]
        return records, summary


@pytest.fixture
def preview(broker: "Broker", topic: str, group: str) -> Preview:
    return Preview(broker, topic, group)


def added(name: str, segment_id: int = 56) -> bytes:
    return json.dumps({"segment_id": segment_id, "action": "add", "id": name}).encode()


def places(records: list[dict[str, Any]]) -> list[str]:
    return [each["record"].partition(":")[2] for each in records]


def test_events_are_shown_without_ids_and_nothing_is_joined_or_committed(
    preview: Preview, group: str
) -> None:
    preview.put(added("ann"), b'{"segment_id": 57, "action": "remove", "ids": ["bob", "carol"]}')
    output = preview.run()
    topic = preview.topic
    assert output.splitlines()[0] == f"  {topic}, read as events"
    assert f"  {topic}:0:0       56  add        1 id\n" in output
    assert f"  {topic}:0:1       57  remove     2 ids\n" in output
    assert "✓ `run` would work: it would read all 2 records, and send 3 ids in 2" in output
    assert not [name for name in ("ann", "bob", "carol") if name in output]
    assert "1 id: ann\n" in preview.run("--show-ids")
    admin = AdminClient({"bootstrap.servers": preview.broker.bootstrap})
    groups = {each.group_id for each in admin.list_consumer_groups().result().valid}
    assert group not in groups


def test_the_newest_of_all_partitions_are_read(preview: Preview) -> None:
    """Each topic has as many; the newest are told by their timestamps."""
    records = [
        Record("k", added(f"c{number}"), None, number % 3, 1_700_000_000_000 + number)
        for number in range(30)
    ]
    preview.broker.produce(preview.topic, records)
    shown, summary = preview.objects("--last", "5")
    assert places(shown) == ["0:9", "1:8", "1:9", "2:8", "2:9"]
    assert summary["read"] == 5
    preview.broker.create_topic(f"{preview.topic}-2", 1)
    preview.broker.produce(f"{preview.topic}-2", [Record("k", added("x"))] * 7)
    shown, summary = preview.objects("--last", "5", KAFKA_TOPICS=f"^{preview.topic}.*")
    assert summary["read"] == 10
    assert [each["record"] for each in shown[5:]] == [
        f"{preview.topic}-2:0:{n}" for n in range(2, 7)
    ]


def test_it_looks_behind_what_is_no_record(preview: Preview) -> None:
    """Each transaction leaves a marker, and what was aborted takes offsets, too."""
    preview.put(added("first"))
    producer = Producer(
        {"bootstrap.servers": preview.broker.bootstrap, "transactional.id": preview.topic}
    )
    producer.init_transactions(30)
    for number in range(5):
        producer.begin_transaction()
        for each in range(5):
            producer.produce(preview.topic, added(f"c{each}"), partition=0)
        if number == 0:
            producer.commit_transaction(30)
        else:
            producer.flush(30)
            producer.abort_transaction(30)
    shown, _ = preview.objects("--last", "6")
    assert places(shown) == [f"0:{offset}" for offset in range(6)]


def test_a_preset_reads_what_its_vendor_sends(preview: Preview) -> None:
    preview.put(
        track("vip", "ann"),
        track("vip", "ann", entered=False),
        track("big_spenders", "ann"),
        identify("bob", vip=True, churned=False),
    )
    shown, summary = preview.objects("--mapping", "segment-engage", EVENT_SEGMENTS=SEGMENTS)
    assert [each["outcome"] for each in shown] == ["readable", "readable", "ignored", "readable"]
    assert [(each["segment_id"], each["action"]) for each in shown[3]["changes"]] == [
        (56, "add"),
        (57, "remove"),
    ]
    assert (summary["readable"], summary["ignored"], summary["requests"]) == (3, 1, 3)


def test_what_another_preset_would_read_is_said(preview: Preview) -> None:
    preview.put(b'{"op": "c", "before": null, "after": {"segment_id": 1, "customer_id": "a"}}')
    plain = preview.run(expect=NOT_ALL)
    assert "→ looks like a Debezium envelope: try --mapping debezium" in plain
    wrong = preview.run(EVENT_MAPPING="maxwell")
    assert "! `run` would deliver nothing: the one record would be ignored: no rule" in wrong
    assert "→ looks like a Debezium envelope: try --mapping debezium" in wrong
    assert "✓ `run` would work" in preview.run("--mapping", "debezium")


def test_an_empty_topic_is_not_good(preview: Preview) -> None:
    output = preview.run(expect=NOT_ALL)
    assert f"✗ No record was found in {preview.topic}: `run` would wait" in output
    allowed = preview.run("--allow-empty")
    assert f"! No record was found in {preview.topic}: `run` would wait" in allowed


def test_a_topic_that_is_not_there_is_told_beside_what_can_be_read(preview: Preview) -> None:
    preview.put(added("ann"))
    output = preview.run(expect=NOT_ALL, KAFKA_TOPICS=f"{preview.topic},{preview.topic}-nix")
    assert f"  topic {preview.topic}-nix: " in output
    assert "-> create it, or correct KAFKA_TOPICS" in output
    assert "✗ Not all could be read, see above. Of what was: `run` would work" in output
    _, summary = preview.objects(expect=NOT_ALL, KAFKA_TOPICS=f"{preview.topic}-nix")
    assert len(summary["troubles"]) == 1


def test_a_broker_that_is_not_there_is_told(preview: Preview) -> None:
    output = preview.run(expect=NOT_ALL, KAFKA_BOOTSTRAP_SERVERS=NOWHERE)
    assert f"brokers {NOWHERE}: " in output
    assert "Connection refused -> does a broker listen there?" in output
    assert "✗ `run` would wait until what is said above is mended." in output


def test_junk_is_told_record_by_record(preview: Preview) -> None:
    preview.put(
        b"", b"\x1f\x8b\x08", b"\xff\xfe{", b"[1", None, b'"{}"', b"\0\0\0\0\7x", added("ann")
    )
    shown, summary = preview.objects(expect=NOT_ALL)
    outcomes = [each["outcome"] for each in shown]
    assert outcomes == [*["malformed"] * 4, "ignored", *["malformed"] * 2, "readable"]
    assert "compressed with gzip" in shown[1]["detail"]
    assert (summary["readable"], summary["malformed"], summary["ignored"]) == (1, 6, 1)


def test_a_topic_of_framed_records_asks_for_the_format(preview: Preview) -> None:
    preview.put(b"\0\0\0\0\7x", b"\0\0\0\0\7y")
    output = preview.run(expect=NOT_ALL)
    assert "→ these have a schema's id in front: set EVENT_FORMAT=schema-registry" in output


def test_the_registry_decodes(preview: Preview) -> None:
    registry = Registry()
    prefix, _ = registry.add(AVRO)
    preview.put(*(prefix + written(AVRO, json.loads(added(name))) for name in ("ann", "bob")))
    with Served(registry) as served:
        output = preview.run(EVENT_FORMAT="schema-registry", SCHEMA_REGISTRY_URL=served.url)
    assert "read as events, decoded by their schemas" in output
    assert "✓ `run` would work: it would read all 2 records, and send 2 ids in 1" in output
    assert registry.asked == ["/schemas/ids/1"]


def test_a_registry_that_fails_is_not_the_records_fault(preview: Preview) -> None:
    registry = Registry(fault=status(401))
    prefix, _ = registry.add(AVRO)
    other, _ = registry.add(AVRO)
    framed = [each + written(AVRO, json.loads(added("ann"))) for each in (prefix, other)]
    preview.put(*framed, added("bob"))
    with Served(registry) as served:
        shown, summary = preview.objects(
            expect=NOT_ALL, EVENT_FORMAT="schema-registry", SCHEMA_REGISTRY_URL=served.url
        )
    assert [each["outcome"] for each in shown] == ["waiting", "waiting", "readable"]
    assert "401" in shown[0]["detail"]
    assert summary["verdict"].startswith("`run` would hold until the Schema Registry answers")
    assert len(registry.asked) == 1


def test_an_id_that_the_registry_does_not_know_is_told(preview: Preview) -> None:
    preview.put(b"\0\0\0\0\7x")
    with Served(Registry()) as served:
        shown, _ = preview.objects(
            expect=NOT_ALL, EVENT_FORMAT="schema-registry", SCHEMA_REGISTRY_URL=served.url
        )
    assert shown[0]["outcome"] == "malformed"
    assert "schema 7" in shown[0]["detail"]


@pytest.mark.xdist_group("a broker that asks who comes")
def test_logins_are_used(tmp_path: Path, topic: str, group: str) -> None:
    authority = Authority(tmp_path / "authority")
    with Doors(authority, [SCRAM_512_OPEN, CERTIFICATE]) as broker:
        broker.set_password(SCRAM_512_OPEN, "right")
        broker.allow("User:*", EVERYTHING)
        broker.create_topic(topic, 1)
        preview = Preview(broker, topic, group)
        preview.put(added("ann"))
        login: dict[str, Any] = with_password(broker, tmp_path)
        (tmp_path / "KAFKA_SASL_PASSWORD").write_text("right")
        assert "`run` would work" in preview.run(**login)
        (tmp_path / "KAFKA_SASL_PASSWORD").write_text("mistaken")
        refused = preview.run(**login, expect=NOT_ALL)
        assert "see KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD" in refused
        assert "mistaken" not in refused
        files = authority.issue("preview").put(tmp_path)
        shown: dict[str, Any] = with_certificate(broker, files)
        assert "`run` would work" in preview.run(**shown)


def test_a_partition_that_says_nothing_is_given_up(preview: Preview) -> None:
    """What is found of the others is shown."""
    preview.put(added("ann"))
    loaded = load(
        {
            **{name: str(value) for name, value in preview.settings.items()},
            "CUSTOMERIO_SITE_ID": "x",
            "CUSTOMERIO_API_KEY": "x",
        }
    )
    member = Member(consumer_properties(loaded))
    try:
        found = newest(member, [(preview.topic, 0), (f"{preview.topic}-nix", 0)], 5, 0.5)
    finally:
        member.close()
    assert [each.offset() for each in found.records] == [0]
    assert found.troubles == [f"{preview.topic}-nix:0 doesn't say where it ends"]
