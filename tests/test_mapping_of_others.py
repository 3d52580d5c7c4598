"""Records of other producers, in the shapes that these document, each read by a short mapping."""

import json
from typing import Any

import pytest

from tests.support.mapped import SEGMENTS, Beside, mapping, read

ADDED = [(56, "add", "id", ["customer-42"])]
REMOVED = [(56, "remove", "id", ["customer-42"])]

CANAL = """
[[rule]]
when = { type = ["INSERT", "UPDATE", "DELETE"], table = "members" }
each = "data"
segment_id = { path = "segment_id" }
action = { path = "$.type", add = ["INSERT", "UPDATE"], remove = ["DELETE"] }
id = { path = "customer_id" }
"""
WAL2JSON = """
[[rule]]
when = { action = ["I", "U"] }
action = "add"
segment_id = { path = "columns[name=segment_id].value" }
id = { path = "columns[name=customer_id].value" }
[[rule]]
when = { action = "D" }
action = "remove"
segment_id = { path = "identity[name=segment_id].value" }
id = { path = "identity[name=customer_id].value" }
"""
DMS = """
[[rule]]
when = { metadata.record-type = "data" }
segment_id = { path = "data.segment_id" }
action = { path = "metadata.operation", add = ["load", "insert", "update"], remove = ["delete"] }
id = { path = "data.customer_id" }
"""
GOLDENGATE = """
[[rule]]
when = { op_type = ["I", "U"] }
action = "add"
segment_id = { path = "after.SEGMENT_ID" }
id = { path = "after.CUSTOMER_ID" }
[[rule]]
when = { op_type = "D" }
action = "remove"
segment_id = { path = "before.SEGMENT_ID" }
id = { path = "before.CUSTOMER_ID" }
"""
STREAM_SQL = """
[[rule]]
when = { "$value" = { exists = false } }
action = "remove"
segment_id = { path = "$key.SEGMENT_ID" }
id = { path = "$key.CUSTOMER_ID" }
[[rule]]
action = "add"
segment_id = { path = "$key.SEGMENT_ID" }
id = { path = "$key.CUSTOMER_ID" }
"""
SQL_KEY = Beside(of_key=b'{"SEGMENT_ID": 56.0, "CUSTOMER_ID": "customer-42"}')
BATCH = """
[[rule]]
each = "$"
segment_id = { path = "data.segment_id" }
action = { path = "type", add = ["com.example.joined"], remove = ["com.example.left"] }
id = { path = "data.customer_id" }
"""
PER_TOPIC = """
[[rule]]
segment_id = { path = "$topic", map = "segments" }
action = { path = "$headers.event", add = ["joined"], remove = ["left"] }
id = { path = "$key" }
"""
FLAGS = """
[[rule]]
each = "flags"
segment_id = { path = "@key", map = "segments", ignore = true }
action = { path = "@value", add = [true, 1, "yes"], remove = [false, 0, "no"] }
id = [{ path = "$.externalId" }, { path = "$.email", id_type = "email" }]
"""


@pytest.mark.parametrize(
    ("text", "value", "beside", "says"),
    [
        pytest.param(
            CANAL,
            {
                "database": "shop",
                "table": "members",
                "type": "INSERT",
                "isDdl": False,
                "data": [
                    {"segment_id": "56", "customer_id": "a"},
                    {"segment_id": "56", "customer_id": "b"},
                ],
                "old": None,
            },
            Beside(),
            [(56, "add", "id", ["a"]), (56, "add", "id", ["b"])],
            id="Canal",
        ),
        pytest.param(
            WAL2JSON,
            {
                "action": "I",
                "schema": "public",
                "table": "members",
                "columns": [
                    {"name": "segment_id", "type": "integer", "value": 56},
                    {"name": "customer_id", "type": "text", "value": "customer-42"},
                ],
            },
            Beside(),
            ADDED,
            id="wal2json, an insert",
        ),
        pytest.param(
            WAL2JSON,
            {
                "action": "D",
                "identity": [
                    {"name": "customer_id", "type": "text", "value": "customer-42"},
                    {"name": "segment_id", "type": "integer", "value": 56},
                ],
            },
            Beside(),
            REMOVED,
            id="wal2json, a delete",
        ),
        pytest.param(WAL2JSON, {"action": "B"}, Beside(), None, id="wal2json, a begin"),
        pytest.param(
            DMS,
            {
                "data": {"segment_id": 56, "customer_id": "customer-42"},
                "metadata": {"record-type": "data", "operation": "delete"},
            },
            Beside(),
            REMOVED,
            id="AWS DMS",
        ),
        pytest.param(
            DMS,
            {"metadata": {"record-type": "control", "operation": "create-table"}},
            Beside(),
            None,
            id="AWS DMS, a control record",
        ),
        pytest.param(
            GOLDENGATE,
            {
                "table": "SHOP.MEMBERS",
                "op_type": "D",
                "before": {"SEGMENT_ID": 56, "CUSTOMER_ID": "customer-42"},
            },
            Beside(),
            REMOVED,
            id="GoldenGate",
        ),
        pytest.param(STREAM_SQL, {"SINCE": 1.5}, SQL_KEY, ADDED, id="stream SQL, an upsert"),
        pytest.param(STREAM_SQL, None, SQL_KEY, REMOVED, id="stream SQL, a deletion"),
        pytest.param(
            BATCH,
            [
                {
                    "specversion": "1.0",
                    "type": "com.example.joined",
                    "data": {"segment_id": 56, "customer_id": "customer-42"},
                }
            ],
            Beside(),
            ADDED,
            id="a batch of CloudEvents",
        ),
        pytest.param(
            PER_TOPIC,
            b"not looked at",
            Beside("vip", b"customer-42", [("event", b"left")]),
            REMOVED,
            id="a topic for each audience",
        ),
        pytest.param(
            FLAGS,
            {"externalId": "customer-42", "flags": {"vip": 1, "churned": "no", "other": 5}},
            Beside(),
            [*ADDED, (57, "remove", "id", ["customer-42"])],
            id="flags of a profile",
        ),
    ],
)
def test_a_short_mapping_reads_what_others_write(
    text: str,
    value: Any,  # noqa: ANN401 - what JSON is made of
    beside: Beside,
    says: Any,  # noqa: ANN401 - see `said`
) -> None:
    assert read(mapping(text, SEGMENTS), value, beside) == says


def test_a_row_as_a_text_inside_the_envelope_leads_nowhere() -> None:
    """As Debezium has MongoDB's documents: its preset can't read them, and says where it stops."""
    row = {"op": "c", "after": json.dumps({"segment_id": 56}), "source": {}}
    found = read(mapping(GOLDENGATE.replace("op_type", "op").replace('"I"', '"c"')), row)
    told = '"after" is a JSON text inside a JSON string'
    assert found == f'rule 1, segment_id: nothing is at "after.SEGMENT_ID": {told}'
