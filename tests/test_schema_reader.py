"""Reading by schemas: what a record says whose value names one, with a mapping and without."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from consumer.core.dead_letters import Headers
from consumer.core.events import Event, IdType, Malformed
from consumer.core.mapping.reading import Awaited, Ignored
from consumer.core.schemas.compiled import Compiled, UnfitError
from consumer.core.schemas.reader import Known, PlainReadings, SchemaReader
from tests.support.mapped import NOTHING_BESIDE, Beside, mapping, said
from tests.test_framing import GUID_PREFIX

PREFIX = b"\0\0\0\0\7"
EVENT = {"segment_id": 56, "action": "add", "id": "customer-42"}
BY_NAME = """
[[rule]]
segment_id = { path = "audience.key", map = { vip = 56 } }
action = { path = "kind", add = ["JOINED"], remove = ["LEFT"] }
id = [{ path = "who.email", id_type = "email" }, { path = "who.number" }]
"""
JOINED = {"audience": {"key": "vip"}, "kind": "JOINED", "who": {"email": None, "number": 42}}


def schema(decode: Callable[[bytes], object] | None) -> Compiled:
    return Compiled("Avro", "shop.Change", decode)


def as_json(payload: bytes) -> object:
    try:
        return json.loads(payload)
    except ValueError as error:
        raise UnfitError from error


def reader(known: Known, by: str | None = None, default: IdType = "id") -> SchemaReader:
    readings = PlainReadings(default) if by is None else mapping(by, default=default)
    return SchemaReader(known, readings)


def read(value: object, by: str | None = None, default: IdType = "id") -> Any:  # noqa: ANN401 - see `said`
    """Return what is said of a value that was decoded; as text it says the same."""
    found = reader({PREFIX: schema(lambda _: value)}, by, default).read(PREFIX, NOTHING_BESIDE)
    assert not isinstance(found, Awaited)
    text = reader({PREFIX: schema(None)}, by, default).read(
        PREFIX + json.dumps(value, ensure_ascii=False).encode(), NOTHING_BESIDE
    )
    assert not isinstance(text, Awaited)
    assert said(found) == said(text)
    return said(found)


def test_a_schema_that_is_not_there_yet_is_awaited() -> None:
    known: dict[bytes, Compiled | Malformed] = {}
    by = reader(known)
    assert by.read(PREFIX + b"{}", NOTHING_BESIDE) == Awaited(PREFIX)
    assert by.read(b"{}", Beside(of_headers=[("__value_schema_id", GUID_PREFIX)])) == Awaited(
        GUID_PREFIX
    )
    known[PREFIX] = schema(lambda _: EVENT)
    assert said(by.read(PREFIX, NOTHING_BESIDE)) == [(56, "add", "id", ["customer-42"])]  # type: ignore[arg-type]  # it is there now


@pytest.mark.parametrize("header", [GUID_PREFIX, PREFIX])
def test_a_schema_may_stand_in_a_header(header: bytes) -> None:
    by = reader({header: schema(as_json)})
    found = by.read(json.dumps(EVENT).encode(), Beside(of_headers=[("__value_schema_id", header)]))
    assert found == Event(56, "add", id="customer-42", id_type="id")


def test_headers_of_others_are_passed_over() -> None:
    by, value = reader({PREFIX: schema(as_json)}), PREFIX + json.dumps(EVENT).encode()
    found = by.read(value, Beside(of_headers=[("traceparent", b"00-1")]))
    assert found == Event(56, "add", id="customer-42", id_type="id")


def test_headers_that_the_library_can_not_give_out_are_none() -> None:
    """It takes their names for UTF-8; Kafka takes any bytes."""

    class Odd(Beside):
        def headers(self) -> Headers | None:
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    by = reader({PREFIX: schema(as_json)})
    found = by.read(PREFIX + json.dumps(EVENT).encode(), Odd())
    assert found == Event(56, "add", id="customer-42", id_type="id")


def test_one_that_nobody_knows_makes_its_records_malformed() -> None:
    unknown = Malformed("its schema 7: the schema is not found")
    assert reader({PREFIX: unknown}).read(PREFIX + b"x", NOTHING_BESIDE) == unknown


def test_a_value_that_its_schema_does_not_fit_is_malformed() -> None:
    assert reader({PREFIX: schema(as_json)}).read(PREFIX + b"{", NOTHING_BESIDE) == Malformed(
        "it isn't what its schema 7 describes, Avro shop.Change"
    )


def test_what_is_not_framed_is_plain_json_or_malformed() -> None:
    by = reader({})
    assert said(by.read(json.dumps(EVENT).encode(), NOTHING_BESIDE)) == [  # type: ignore[arg-type]  # nothing is awaited
        (56, "add", "id", ["customer-42"])
    ]
    found = by.read(b"[]", NOTHING_BESIDE)
    assert isinstance(found, Malformed)
    assert "begins with the byte 0x5b" in found.detail


def test_a_mapping_reads_what_was_decoded() -> None:
    assert read(JOINED, BY_NAME) == [(56, "add", "id", ["42"])]
    assert read({**JOINED, "kind": "LEFT", "who": {"email": "A@x.de"}}, BY_NAME) == [
        (56, "remove", "email", ["a@x.de"])
    ]
    assert "is not in the mapping's table" in read({**JOINED, "audience": {"key": "x"}}, BY_NAME)


def test_a_mapping_reads_plain_json_beside() -> None:
    by = reader({}, BY_NAME)
    found = by.read(json.dumps(JOINED).encode(), NOTHING_BESIDE)
    assert not isinstance(found, Awaited)
    assert said(found) == [(56, "add", "id", ["42"])]


def test_no_value_is_the_mappings_to_read() -> None:
    gone = '[[rule]]\nwhen = { "$value" = { exists = false } }\naction = "remove"\n'
    gone += 'segment_id = 56\nid = { path = "$key" }\n'
    by = reader({}, gone)
    found = by.read(None, Beside(of_key=b"k"))
    assert not isinstance(found, Awaited)
    assert said(found) == [(56, "remove", "id", ["k"])]
    for other in (reader({}), reader({}, BY_NAME)):
        assert isinstance(other.read(None, NOTHING_BESIDE), Ignored)


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({}, [(56, "add", "id", ["customer-42"])]),
        ({"segment_id": "56"}, [(56, "add", "id", ["customer-42"])]),
        ({"id": 42}, [(56, "add", "id", ["42"])]),
        ({"id": "ö"}, [(56, "add", "id", ["ö"])]),
        ({"more": "ö"}, [(56, "add", "id", ["customer-42"])]),
        ({"id": "x" * 150}, [(56, "add", "id", ["x" * 150])]),
        ({"id": "é" * 76}, [(56, "add", "id", [], [f'"{"é" * 76}"'])]),
        ({"segment_id": 2**31}, '"segment_id" is 2147483648: an integer, 1 to 2147483647'),
        ({"id_type": "cio_id"}, [(56, "add", "cio_id", ["customer-42"])]),
        ({"id": "A@X.de", "id_type": "email"}, [(56, "add", "email", ["a@x.de"])]),
        ({"id": ""}, [(56, "add", "id", [], ['""'])]),
        ({"id": "x" * 151}, [(56, "add", "id", [], [f'"{"x" * 151}"'])]),
        ({"id": "customer", "id_type": "email"}, [(56, "add", "email", [], ['"customer"'])]),
        ({"segment_id": 0}, '"segment_id" is 0: an integer, 1 to 2147483647'),
        ({"action": "ADD"}, '"action" is a string: "add" or "remove"'),
        ({"id": True}, [(56, "add", "id", [], ["true"])]),
        ({"ids": ["a"]}, 'both "id" and "ids"'),
        ({"unknown": [1]}, [(56, "add", "id", ["customer-42"])]),
    ],
)
def test_without_a_mapping_what_was_decoded_is_an_event(
    members: dict[str, Any],
    found: Any,  # noqa: ANN401 - see `said`
) -> None:
    assert read({**EVENT, **members}) == found


def test_an_escape_is_what_it_stands_for() -> None:
    by = reader({PREFIX: schema(None)})
    value = rb'{"segment_id": 56, "action": "add", "id": "%s"}' % (rb"\u00e9" * 76)
    found = by.read(PREFIX + value, NOTHING_BESIDE)
    assert not isinstance(found, Awaited)
    assert said(found)[0][3] == []


def test_it_may_have_a_list_of_ids() -> None:
    event = {"segment_id": 56, "action": "remove", "ids": ["a", "b", ""]}
    assert read(event) == [(56, "remove", "id", ["a", "b"], ['""'])]
    assert read({**event, "ids": ["a", "b"]}) == [(56, "remove", "id", ["a", "b"])]


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({"ids": None, "id_type": None}, [(56, "add", "id", ["customer-42"])]),
        ({"ids": [], "id_type": ""}, [(56, "add", "id", ["customer-42"])]),
        ({"ids": [], "id": "ö", "id_type": ""}, [(56, "add", "id", ["ö"])]),
        ({"ids": ["a"], "id": None}, [(56, "add", "id", ["a"])]),
        ({"ids": ["a", "b"], "id": "", "id_type": "cio_id"}, [(56, "add", "cio_id", ["a", "b"])]),
        ({"ids": [], "id": ""}, [(56, "add", "id", [], ['""'])]),
        ({"ids": ["a"]}, 'both "id" and "ids"'),
        ({"ids": None, "id": None}, 'neither "id" nor "ids"'),
        ({"ids": [], "id": None}, '"ids" is empty'),
        ({"segment_id": None}, '"segment_id" is missing: an integer, 1 to 2147483647'),
        ({"action": ""}, '"action" is a string: "add" or "remove"'),
    ],
)
def test_what_was_decoded_and_says_nothing_is_not_there(
    members: dict[str, Any],
    found: Any,  # noqa: ANN401 - see `said`
) -> None:
    """An optional field of Avro is null, and Protobuf can't tell an empty one from none."""
    by = reader({PREFIX: schema(lambda _: {**EVENT, **members})})
    reading = by.read(PREFIX, NOTHING_BESIDE)
    assert not isinstance(reading, Awaited)
    assert said(reading) == found


def test_an_event_that_names_no_type_has_the_default() -> None:
    assert read(EVENT, default="cio_id") == [(56, "add", "cio_id", ["customer-42"])]
    assert read({**EVENT, "id": "A@x.de"}, default="email") == [(56, "add", "email", ["a@x.de"])]


@pytest.mark.parametrize("value", [None, 1, "text", [EVENT], {}])
def test_what_was_decoded_and_is_no_event_is_malformed(value: object) -> None:
    assert isinstance(read(value), str)


def test_what_has_no_form_in_json_is_malformed() -> None:
    circle: list[object] = []
    circle.append(circle)
    by = reader({PREFIX: schema(lambda _: {**EVENT, "ids": circle})})
    assert by.read(PREFIX, NOTHING_BESIDE) == Malformed("what was decoded has no JSON form")


def test_a_change_has_the_members_that_the_intake_asks_for() -> None:
    """One id is in ``id``, more are in ``ids``; the segment is a number, the type is named."""
    for value in (EVENT, {**EVENT, "id": "ö"}, {**EVENT, "segment_id": "56"}):
        found = reader({PREFIX: schema(lambda _, value=value: value)}).read(PREFIX, NOTHING_BESIDE)  # type: ignore[misc]  # it takes one more
        assert found == Event(56, "add", id=value["id"], id_type="id")  # type: ignore[arg-type]  # a text
