"""The beginnings on the page about mappings, each with records as their producers document them."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.mapped import Beside, mapping, read

PAGE = (Path(__file__).resolve().parents[1] / "deploy/mapping.md").read_text()
BEGINNINGS: dict[str, str] = dict(re.findall(r"```toml ([a-z-]+)\n(.*?)```", PAGE, re.DOTALL))
SEGMENTS = {"123123": 56, "emailzz5": 57}

ROW = {"id": 1, "segment_id": 56, "customer_id": "customer-42"}
UPPER = {"SEGMENT_ID": 56, "CUSTOMER_ID": "customer-42"}
KEY = Beside(of_key=b'{"SEGMENT_ID": 56, "CUSTOMER_ID": "customer-42"}')
ADDED = [(56, "add", "id", ["customer-42"])]
REMOVED = [(56, "remove", "id", ["customer-42"])]


def dms(operation: str, **more: object) -> dict[str, object]:
    """Return a row of https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Target.Kafka.html."""
    metadata = {
        "timestamp": "2019-10-31T22:53:59.721201Z",
        "record-type": "data",
        "operation": operation,
        "partition-key-type": "primary-key",
        "schema-name": "public",
        "table-name": "members",
        "transaction-id": 1,
    }
    return {"data": ROW, "metadata": metadata, **more}


def goldengate(operation: str, **images: object) -> dict[str, object]:
    """Return a row of GoldenGate for Big Data, "Using the JSON Formatter"."""
    return {
        "table": "SHOP.MEMBERS",
        "op_type": operation,
        "op_ts": "2015-11-05 18:45:36.000000",
        "current_ts": "2016-10-05T10:15:51.267000",
        "pos": "00000000000000002928",
        **images,
    }


def canal(operation: str, *rows: object) -> dict[str, object]:
    """Return rows of https://github.com/alibaba/canal/wiki/Canal-Kafka-RocketMQ-QuickStart."""
    return {
        "data": [*rows] or None,
        "database": "test",
        "es": 1619331876000,
        "id": 5,
        "isDdl": not rows,
        "mysqlType": {"segment_id": "int(11)"},
        "old": None,
        "pkNames": None,
        "sql": "",
        "table": "members",
        "ts": 1619331877986,
        "type": operation,
    }


def datastream(change: str, *, is_deleted: bool) -> dict[str, object]:
    """Return an event of https://cloud.google.com/datastream/docs/events-and-streams."""
    return {
        "uuid": "f23df35c-01c0",
        "read_timestamp": "2025-11-05T18:23:46.698000Z",
        "object": "public_members",
        "read_method": "postgresql-cdc",
        "schema_key": "69db",
        "sort_keys": [1762367011393, "BD/A0007310"],
        "source_metadata": {"table": "members", "is_deleted": is_deleted, "change_type": change},
        "payload": ROW,
    }


def airbyte(deleted_at: str | None) -> dict[str, object]:
    """Return a record of https://docs.airbyte.com/integrations/destinations/kafka."""
    data = {**ROW, "_ab_cdc_deleted_at": deleted_at}
    return {"_airbyte_ab_id": "26d73cde", "_airbyte_emitted_at": 1, "_airbyte_data": data}


def mparticle(*, is_member: bool) -> dict[str, object]:
    """Return one of https://docs.mparticle.com/integrations/amazon-kinesis-firehose/audience/."""
    return {
        "MembershipChangedTimestamp": "1234565788",
        "AudienceId": 123123,
        "AudienceName": "LowEngagement",
        "IsMember": is_member,
        "UserIdentities": {"CustomerId": "customer-42", "Email": "p@example.com", "Other": "b"},
    }


def lytics(event: str) -> dict[str, object]:
    """Return one of https://learn.lytics.com/ ("Webhooks: Audience Triggers")."""
    entry = {"id": "42976a26", "event": event, "slug": "emailzz5", "enter": "2020-10-14T13:27:33Z"}
    return {"id": "7076", "data": {"email": "Beth@example.com", "segment_events": [entry]}}


RECORDS: list[tuple[str, Any, Beside, Any]] = [
    # https://docs.ksqldb.io/en/latest/reference/serialization/, and Flink's upsert-kafka
    ("compacted", {"COUNT": 3}, KEY, ADDED),
    ("compacted", None, KEY, REMOVED),
    ("dms", dms("load"), Beside(), ADDED),
    ("dms", dms("insert"), Beside(), ADDED),
    ("dms", dms("update"), Beside(), ADDED),
    ("dms", dms("delete"), Beside(), REMOVED),
    (
        "dms",
        dms("update", **{"before-image": {**ROW, "segment_id": 55}}),
        Beside(),
        [(55, "remove", "id", ["customer-42"]), *ADDED],
    ),
    (
        "dms",
        {"control": {}, "metadata": {"record-type": "control", "table-name": "members"}},
        Beside(),
        None,
    ),
    ("goldengate", goldengate("I", after=UPPER), Beside(), ADDED),
    ("goldengate", goldengate("U", before={}, after=UPPER), Beside(), ADDED),
    ("goldengate", goldengate("D", before=UPPER), Beside(), REMOVED),
    ("goldengate", goldengate("T"), Beside(), None),
    (
        "goldengate",
        goldengate("D", before={"ID": 1}),
        Beside(),
        'rule 2, segment_id: nothing is at "before.SEGMENT_ID"',
    ),
    (
        "canal",
        canal("INSERT", ROW, {**ROW, "customer_id": "b"}),
        Beside(),
        [*ADDED, (56, "add", "id", ["b"])],
    ),
    ("canal", canal("DELETE", {**ROW, "segment_id": "56"}), Beside(), REMOVED),
    ("canal", canal("CREATE"), Beside(), None),
    # https://nightlies.apache.org/flink/flink-docs-stable/docs/connectors/table/formats/canal/
    ("canal", {"data": [ROW], "type": "DELETE"}, Beside(), REMOVED),
    ("datastream", datastream("UPDATE", is_deleted=False), Beside(), ADDED),
    ("datastream", datastream("DELETE", is_deleted=True), Beside(), REMOVED),
    ("airbyte", airbyte(None), Beside(), ADDED),
    ("airbyte", airbyte("2026-11-02"), Beside(), REMOVED),
    ("mparticle-kinesis", mparticle(is_member=True), Beside(), ADDED),
    ("mparticle-kinesis", mparticle(is_member=False), Beside(), REMOVED),
    ("lytics", lytics("enter"), Beside(), [(57, "add", "email", ["beth@example.com"])]),
    ("lytics", lytics("exit"), Beside(), [(57, "remove", "email", ["beth@example.com"])]),
]


@pytest.mark.parametrize(("name", "value", "beside", "says"), RECORDS)
def test_a_beginning_of_the_page_reads_what_is_documented(
    name: str,
    value: Any,  # noqa: ANN401 - what JSON is made of
    beside: Beside,
    says: Any,  # noqa: ANN401 - see `said`
) -> None:
    assert read(mapping(BEGINNINGS[name], SEGMENTS), value, beside) == says


def test_every_beginning_of_the_page_is_tried() -> None:
    assert {name for name, *_ in RECORDS} == BEGINNINGS.keys()
    assert BEGINNINGS
