"""What can't be read says what it is, and which preset would read it."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.unreadable import not_an_object, what_is_wrong
from consumer.core.well_known import looks_like
from tests.support.mapped import mapping, read

EVENT = b'{"segment_id": 56, "action": "add", "id": "customer-42"}'
PLAIN = mapping("""
[[rule]]
segment_id = { path = "segment_id" }
action = { path = "action" }
id = { path = "id" }
""")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (b"", "empty value"),
        (b" \n", "empty value"),
        # Without the time in it: workers run only tests whose names are the same in each.
        (gzip.compress(EVENT, mtime=0), "the value is compressed with gzip: let Kafka compress"),
        (b"\x28\xb5\x2f\xfd\x00", "compressed with zstd"),
        (b"\x04\x22\x4d\x18\x00", "compressed with lz4"),
        (b"\xff\x06\x00\x00sNaPpY", "compressed with snappy"),
        (b"\x82SNAPPY\x00\x00", "compressed with snappy"),
        (EVENT.decode().encode("utf-16"), "UTF-16"),
        (EVENT.decode().encode("utf-16-le"), "UTF-16"),
        (EVENT.decode().encode("utf-16-be"), "UTF-16"),
        (EVENT.decode().encode("utf-32"), "UTF-32"),
        (b"\0\0\0\0\5" + EVENT, "Schema Registry framing (magic byte and schema id)"),
        (b"\1" + b"\5" * 16 + EVENT, "Schema Registry framing (magic byte and schema GUID)"),
        (b"\1" + EVENT[:5], "not JSON: "),
        (b'{"a": "\xff"}', "not UTF-8: invalid start byte at byte 7"),
        (EVENT[:-1] + b', "more": "\xff"}', "not UTF-8: invalid start byte"),
        (b'{"a": NaN}', "not JSON: NaN is no number of JSON's"),
        (b'{"a": [1, -Infinity]}', "not JSON: -Infinity is no number of JSON's"),
        (b'{"a": NaN', "not JSON: "),
        (b"{} {}", "two JSON values in one record: the second begins at byte 3"),
        (b'{"a": "\xc3\xa9"}\n{"a": 1}\n', "the second begins at byte 12"),
        (b" 1 [", "two JSON values in one record: the second begins at byte 3"),
        (b"42,56,add", "not JSON: "),
        (b"<event/>", "not JSON: "),
        (b"[1, 2", "not JSON: Input data was truncated"),
        (b'{"a": ' + b"[" * 100_000, "nested too deeply"),
        (b'"customer-42"', "a JSON string, not an object"),
        (b"5", "a JSON number, not an object"),
        (b"true", "a JSON boolean, not an object"),
        (b"[]", 'a JSON array, not an object: a mapping with each = "$" reads a list'),
        (json.dumps(EVENT.decode()).encode(), "a JSON text inside a JSON string: it was written"),
        (b'"{not really}"', "a JSON string, not an object"),
    ],
)
def test_what_is_no_json_object_in_utf_8_says_what_it_is(value: bytes, says: str) -> None:
    assert says in read(PLAIN, value)


def test_a_rule_that_looks_beside_the_value_too_wants_utf_8() -> None:
    by = mapping("""
[[rule]]
segment_id = { path = "segment_id" }
action = { path = "action" }
id = { path = "$topic" }
""")
    assert read(by, EVENT) == [(56, "add", "id", ["audiences"])]
    assert read(by, EVENT[:-1] + b', "more": "\xff"}').startswith("not UTF-8: ")


def test_null_and_objects_have_their_names() -> None:
    assert not_an_object(b"null") == "a JSON null, not an object"
    assert not_an_object(b"{}") == "a JSON object, not an object"
    assert not_an_object(b"") == "a JSON number, not an object"
    assert not_an_object(b"\xff") == "a JSON number, not an object"


def test_what_can_be_read_has_nothing_wrong_with_it() -> None:
    assert what_is_wrong(b"{}") == "not readable"


@given(st.binary())
def test_arbitrary_bytes_have_a_reason(value: bytes) -> None:
    for says in (what_is_wrong(value), not_an_object(value), looks_like(value) or "unknown"):
        assert says
        assert len(says) < 250


@pytest.mark.parametrize(
    ("members", "preset"),
    [
        ({"op": "c", "before": None, "after": {}}, "debezium"),
        ({"op": "c", "source": {}, "after": {}}, "debezium"),
        ({"schema": {}, "payload": {"op": "d", "source": {}}}, "debezium"),
        ({"id": 1, "__deleted": "true"}, "debezium"),
        ({"id": 1, "__op": "u"}, "debezium"),
        ({"database": "d", "table": "t", "type": "insert", "data": {}}, "maxwell"),
        ({"specversion": "1.0", "type": "t", "source": "/s", "id": "1"}, "cloudevents"),
        ({"type": "record", "action": "insert"}, "rudderstack"),
        ({"type": "audiencelist", "properties": {}}, "rudderstack"),
        ({"type": "track", "event": "Audience Exited", "properties": {}}, "segment-engage"),
        ({"type": "identify", "traits": {}}, "segment-engage"),
        ({"segmentMembership": {}}, "adobe-segmentmembership"),
        ({"type": "audience_membership_change_request"}, "mparticle"),
        ({"cohort_id": "c", "in_cohort": True, "users": []}, "amplitude"),
    ],
)
def test_what_is_well_known_names_its_preset(members: dict[str, object], preset: str) -> None:
    found = looks_like(json.dumps(members).encode())
    assert found is not None
    assert found.startswith("looks like a")
    assert found.endswith(f": EVENT_MAPPING={preset}")


def test_the_hint_is_a_sentence() -> None:
    value = b'{"before": null, "after": {}, "op": "c"}'
    assert looks_like(value) == "looks like a Debezium envelope: EVENT_MAPPING=debezium"


@pytest.mark.parametrize(
    "value",
    [
        EVENT,
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"op": "x", "source": {}}',
        b'{"type": "track", "event": "Order Completed", "properties": {}}',
        b'{"schema": {}, "payload": 5}',
        b'{"op": ["c"], "source": {}}',
    ],
)
def test_what_is_not_known_has_no_hint(value: bytes) -> None:
    assert looks_like(value) is None
