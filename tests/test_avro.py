"""Avro: payloads by the schema that they were written with, as what JSON would have."""

import json
import sys
import uuid
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer

from consumer.core.schemas.compiled import Compiled, Source, UnfitError, UnusableError
from consumer.core.schemas.compiler import compiled

CHANGE = {
    "type": "record",
    "namespace": "shop",
    "name": "Change",
    "fields": [
        {"name": "segment", "type": ["null", "int"], "default": None},
        {
            "name": "action",
            "type": {"type": "enum", "name": "Action", "symbols": ["ADD", "REMOVE"]},
        },
        {"name": "ids", "type": {"type": "array", "items": ["string", "long"]}},
        {"name": "labels", "type": {"type": "map", "values": "boolean"}},
        {"name": "friend", "type": ["null", "Change"], "default": None},
        {"name": "raw", "type": "bytes"},
        {"name": "share", "type": "double"},
    ],
}


def avro(schema: Any, *references: tuple[str, Any]) -> Compiled:  # noqa: ANN401 - any JSON
    texts = tuple((name, json.dumps(each)) for name, each in references)
    return compiled(Source("AVRO", json.dumps(schema), texts))


def written(schema: Any, value: object, *references: tuple[str, Any]) -> bytes:  # noqa: ANN401 - as above
    named: dict[str, Any] = {}
    for _, each in references:
        parse_schema(each, named)
    stream = BytesIO()
    schemaless_writer(stream, parse_schema(schema, named), value)
    return stream.getvalue()


def read_back(schema: Any, value: object, *references: tuple[str, Any]) -> Any:  # noqa: ANN401 - as above
    decode = avro(schema, *references).decode
    assert decode is not None
    return decode(written(schema, value, *references))


def a_field(of_type: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    return {"type": "record", "name": "R", "fields": [{"name": "f", "type": of_type}]}


def change(**members: object) -> dict[str, object]:
    plain: dict[str, object] = {
        "segment": None,
        "action": "ADD",
        "ids": [],
        "labels": {},
        "friend": None,
    }
    return {**plain, "raw": b"", "share": 0.0, **members}


def test_a_record_is_what_json_would_have() -> None:
    friend = change(ids=["x"], action="REMOVE")
    value = change(segment=56, ids=["a", 2**40], labels={"x": True}, friend=friend, raw=b"\1")
    assert read_back(CHANGE, value) == value


@pytest.mark.parametrize(
    ("of_type", "value", "found"),
    [
        ({"type": "string", "logicalType": "uuid"}, uuid.UUID(int=7), str(uuid.UUID(int=7))),
        ({"type": "long", "logicalType": "timestamp-millis"}, 2**62, 2**62),
        ({"type": "long", "logicalType": "local-timestamp-micros"}, -5, -5),
        ({"type": "int", "logicalType": "date"}, 20_000, 20_000),
        ({"type": "int", "logicalType": "time-millis"}, 1, 1),
        ({"type": "string", "logicalType": "unheard-of"}, "x", "x"),
        (["null", {"type": "long", "logicalType": "timestamp-millis"}], 3, 3),
    ],
)
def test_a_logical_type_is_what_carries_it(of_type: Any, value: object, found: object) -> None:  # noqa: ANN401 - any JSON
    assert read_back(a_field(of_type), {"f": value}) == {"f": found}


@pytest.mark.parametrize(
    ("value", "found"), [("42.00", 42), ("-7", -7), ("0.50", "0.50"), ("1E+3", 1000)]
)
@pytest.mark.parametrize(
    "carrier",
    [{"type": "bytes"}, {"type": "fixed", "name": "F", "size": 8}],
    ids=["bytes", "fixed"],
)
def test_a_decimal_is_an_integer_or_a_text(
    carrier: dict[str, Any], value: str, found: object
) -> None:
    decimal = {**carrier, "logicalType": "decimal", "precision": 12, "scale": 2}
    of_type = {"type": "array", "items": {"type": "map", "values": ["null", decimal]}}
    schema = a_field(of_type)
    assert read_back(schema, {"f": [{"x": Decimal(value), "y": None}]}) == {
        "f": [{"x": found, "y": None}]
    }


def test_a_field_may_have_the_name_of_a_logical_type() -> None:
    schema = {
        "type": "record",
        "name": "R",
        "fields": [{"name": "logicalType", "type": "string", "default": "x"}],
    }
    assert read_back(schema, {"logicalType": "decimal"}) == {"logicalType": "decimal"}


def test_a_schema_may_be_a_union() -> None:
    schema = [a_field("string"), {"type": "record", "name": "S", "fields": []}]
    assert str(avro(schema)) == "Avro R or S"
    assert read_back(schema, ("R", {"f": "x"})) == {"f": "x"}
    assert read_back(schema, ("S", {})) == {}


def test_a_schema_may_be_no_record() -> None:
    assert read_back("string", "x") == "x"
    assert str(avro("string")) == "Avro string"
    assert read_back({"type": "array", "items": "int"}, [1]) == [1]
    assert str(avro({"type": "array", "items": "int"})) == "Avro array"


def test_schemas_refer_to_others_by_name() -> None:
    inner = {**a_field("int"), "name": "Inner", "namespace": "a"}
    middle = {**a_field(["null", "a.Inner"]), "name": "Middle", "namespace": "b"}
    outer = {**a_field("b.Middle"), "name": "Outer", "namespace": "c"}
    value = {"f": {"f": {"f": 5}}}
    assert read_back(outer, value, ("a.Inner", inner), ("b.Middle", middle)) == value


def test_decimals_of_a_reference_are_known() -> None:
    decimal = {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 0}
    inner = {**a_field(decimal), "name": "Inner"}
    assert read_back(a_field("Inner"), {"f": {"f": Decimal(3)}}, ("Inner", inner)) == {
        "f": {"f": 3}
    }


def test_it_is_called_by_its_name() -> None:
    assert str(avro(CHANGE)) == "Avro shop.Change"


def test_what_came_later_to_the_schema_counts_for_nothing() -> None:
    """A record is read by the schema that it names, whichever version that is."""
    older, newer = a_field("string"), a_field("string")
    newer["fields"].append({"name": "new", "type": "int", "default": 0})
    assert read_back(older, {"f": "x"}) == {"f": "x"}
    assert read_back(newer, {"f": "x", "new": 1}) == {"f": "x", "new": 1}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0",
        written(CHANGE, change(ids=["abc"]))[:-1],
        written(CHANGE, change()) + b"\0",
        b"\2\2\7",  # no such symbol
        b"\x06",  # no such branch
        b"\0\0\x02\0\x04\xff\xff",  # no UTF-8
        b"\xff" * 40,
        b"\0\0\x02\0" + b"\xfe" * 9 + b"\1",  # a length beyond reason
    ],
)
def test_what_the_schema_does_not_describe_does_not_fit(payload: bytes) -> None:
    decode = avro(CHANGE).decode
    assert decode is not None
    with pytest.raises(UnfitError):
        decode(payload)


NODE = a_field(["null", "R"])
TREE = a_field({"type": "array", "items": {"type": "map", "values": ["null", "R"]}})
BIG = {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 0}
NODE_WITH_DECIMALS = {**NODE, "fields": [*NODE["fields"], {"name": "g", "type": ["null", BIG]}]}


@pytest.mark.parametrize(
    ("schema", "level"),
    [(NODE, b"\2"), (TREE, b"\2\2\0\2"), ([NODE, "null"], b"\2"), (NODE_WITH_DECIMALS, b"\2")],
    ids=range(4),
)
@pytest.mark.parametrize("count", [600, 100_000])
def test_what_is_nested_without_end_does_not_fit(
    schema: Any,  # noqa: ANN401 - any JSON
    level: bytes,
    count: int,
) -> None:
    decode = avro(schema).decode
    assert decode is not None
    with pytest.raises(UnfitError):
        decode(level * count)


@pytest.mark.parametrize("schema", [NODE, NODE_WITH_DECIMALS], ids=range(2))
def test_what_is_deep_and_ends_fits_or_not(schema: Any) -> None:  # noqa: ANN401 - any JSON
    """It never raises anything else, and never ends the process."""
    decode = avro(schema).decode
    assert decode is not None
    zeros = 1 if schema is NODE else 2
    for count in (1, 300, 498, 499, 2000):
        payload = b"\2" * count + b"\0" * (1 + count * (zeros - 1) + zeros - 1)
        try:
            found: Any = decode(payload)
        except UnfitError:
            assert count > 200
            continue
        levels = 0
        while found is not None:
            found, levels = found["f"], levels + 1
        assert levels == count + 1


def test_a_long_value_of_a_recursive_schema_fits() -> None:
    value = change(ids=["abc"] * 1000, friend=change(ids=["x"]))
    assert read_back(CHANGE, value) == value


def test_there_is_nothing_behind_a_long_value_of_a_recursive_schema() -> None:
    decode = avro(CHANGE).decode
    assert decode is not None
    with pytest.raises(UnfitError):
        decode(written(CHANGE, change(ids=["abc"] * 1000)) + b"\0")


def test_what_is_nested_too_deeply_to_look_for_decimals_does_not_fit() -> None:
    fields = [{"name": "f", "type": NODE}, {"name": "g", "type": BIG}]
    decode = avro({"type": "record", "name": "S", "fields": fields}).decode
    assert decode is not None
    assert decode(b"\2\0" + b"\2\5") == {"f": {"f": {"f": None}}, "g": 5}
    with pytest.raises(UnfitError):
        decode(b"\2" * 495 + b"\0" + b"\2\5")


def test_without_its_extra_a_schema_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for extra, kind, library in (
        ("avro", "AVRO", "fastavro"),
        ("protobuf", "PROTOBUF", "google.protobuf"),
    ):
        monkeypatch.delitem(sys.modules, f"consumer.core.schemas.{extra}", raising=False)
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(UnusableError, match=rf"pip install segment-consumer\[{extra}\]"):
            compiled(Source(kind, '"string"'))


def test_a_recursive_schema_may_be_a_reference() -> None:
    decode = avro(a_field("N.R"), ("N.R", {**NODE, "namespace": "N"})).decode
    assert decode is not None
    with pytest.raises(UnfitError):
        decode(b"\2" * 100_000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "Unheard.Of",
        '"Unheard.Of"',
        '{"type": "record"}',
        "{}",
        "null of nothing",
        "[" * 10**5,
    ],
)
def test_what_is_no_schema_can_not_be_used(text: str) -> None:
    with pytest.raises(UnusableError, match="no Avro schema"):
        compiled(Source("AVRO", text))


def test_a_reference_that_is_none_can_not_be_used() -> None:
    with pytest.raises(UnusableError, match="no Avro schema"):
        compiled(Source("AVRO", '"string"', (("x", "{}"),)))


def test_another_type_of_schema_can_not_be_used() -> None:
    with pytest.raises(UnusableError, match="'XML', not AVRO, JSON or PROTOBUF"):
        compiled(Source("XML", "<a/>"))


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ('{"title": "Change"}', "JSON Schema Change"),
        ('{"$id": "https://x/y"}', "JSON Schema https://x/y"),
        ("{}", "JSON Schema"),
        ("[", "JSON Schema"),
        ("true", "JSON Schema"),
    ],
)
def test_of_a_json_schema_only_its_name_is_asked(text: str, called: str) -> None:
    found = compiled(Source("JSON", text))
    assert str(found) == called
    assert found.decode is None
