"""What holds of every mapping and every record: it never raises, and both of its plans agree."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer import presets
from consumer.core.decoder import EventDecoder
from consumer.core.events import Event, IdType, Malformed, Mixed
from consumer.core.mapping.mapping import Mapping
from consumer.core.mapping.reading import Changes, Ignored, Reading
from tests.support.mapped import SEGMENTS, Beside, mapping, read_carefully, said
from tests.test_events import near_events, values

PLAIN = """
[[rule]]
segment_id = { path = "segment_id" }
action = { path = "action" }
id = [{ path = "id" }, { path = "ids" }]
id_type = { path = "id_type" }
"""
EVERYTHING = """
[[rule]]
when = { a = { exists = true }, "c[0]" = "add" }
each = ["a", "b"]
segment_id = { path = "@key", map = { a = 1, b = 2, 0 = 3 }, ignore = true }
action = { path = "^.c", add = ["add", 1], remove = [false], ignore = "" }
id = [{ path = "@value.id" }, { path = "$.ids[*].id" }, { path = "$key.id" }]

[[rule]]
when = { a.b = ["add", 1, true], "$headers.x" = { exists = true } }
segment_id = { path = "ids[id=a].segment_id", map = "segments", default = 9 }
action = { path = "$headers.x" }
id = [{ path = "a.*.id" }, { path = "$key" }]
id_type = { path = "ids[-1]", map = { a = "email" }, ignore = true }

[[rule]]
when = { "$value" = { exists = false } }
segment_id = 5
action = "remove"
id = { path = "$key.a[0]" }

[[rule]]
when = { "$[0]" = { exists = true } }
each = "$"
[[rule.change]]
segment_id = { path = "segment_id" }
action = { path = "action" }
id = { path = "id" }
id_type = { path = "id_type" }
[[rule.change]]
segment_id = { path = "a.segment_id" }
action = "remove"
id = { path = "ids" }
id_type = "email"

[[rule]]
segment_id = { path = "segment_id" }
action = { path = "action" }
id = [{ path = "a.id" }, { path = "id" }, { path = "ids" }]
id_type = { path = "a.id_type" }
"""
MAPPINGS = [
    mapping(PLAIN),
    mapping(EVERYTHING, SEGMENTS),
    *(mapping(presets.text_of(name), {"a": 1, "b": 2, **SEGMENTS}) for name in presets.NAMES),
]
NAMES = st.sampled_from(
    [
        *("a", "b", "c", "id", "ids", "segment_id", "action", "id_type", "schema", "payload"),
        *("op", "before", "after", "data", "type", "properties", "customer_id", "user_profiles"),
    ]
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 3),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["add", "remove", "a", "b", "id", "email", "a@B", "é@É", "7", "u", "x" * 151]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)
besides = st.builds(
    Beside,
    st.sampled_from(["audiences", "é"]),
    st.none() | st.binary(max_size=4) | trees.map(lambda tree: json.dumps(tree).encode()),
    st.none()
    | st.lists(st.tuples(st.sampled_from("xy"), st.none() | st.sampled_from([b"add", b"\xff"]))),
)
often = settings(max_examples=300, deadline=None)


@often
@given(near_events, st.sampled_from(["id", "email", "cio_id"]), st.booleans())
def test_a_mapping_that_says_the_plain_event_reads_the_same(
    members: dict[str, Any], default: IdType, ascii_only: bool
) -> None:
    """Where they differ, a plain event has to have a list in ``ids`` and in nothing else.

    And it has to leave out what it doesn't have, instead of saying null.
    """
    value = json.dumps(members, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    plain = EventDecoder(default).look_closely(value)
    mapped = mapping(PLAIN, default=default).read(value, Beside())
    has_null = any(members.get(name, 0) is None for name in ("id", "id_type"))
    if has_null or is_of_another_shape(members, plain):
        return
    assert says(mapped) == says(plain)


def is_of_another_shape(members: dict[str, Any], plain: Event | Mixed | Malformed) -> bool:
    return isinstance(plain, Malformed) and (
        {"id", "ids"} <= members.keys()
        or isinstance(members.get("id"), list)
        or not isinstance(members.get("ids", []), list)
        or isinstance(members["segment_id"], float)
    )


def says(found: Reading | Mixed) -> Any:  # noqa: ANN401 - plain values, to compare
    """Return the meaning, without the wording of what is wrong."""
    if isinstance(found, Malformed):
        return "malformed"
    if isinstance(found, Changes):
        assert found.malformed is None
        (change,) = found.changes
        assert isinstance(change, Mixed)
        return says(change)
    if isinstance(found, Mixed):
        event = says(found.event) if found.event else None
        what = (found.segment_id, found.action, found.id_type)
        return event, what, [bytes(each) for each in found.invalid]
    assert isinstance(found, Event)
    names = found.ids if isinstance(found.ids, list) else [str(found.id)]
    return int(found.segment_id), found.action, found.id_type, names


@often
@given(st.sampled_from(MAPPINGS), st.none() | trees, besides, st.booleans())
def test_what_the_quick_plan_says_the_careful_one_says_too(
    by: Mapping,
    value: Any,  # noqa: ANN401 - what JSON is made of
    beside: Beside,
    has_value: bool,
) -> None:
    raw = json.dumps(value, ensure_ascii=False).encode() if has_value else None
    plan = by._plan  # noqa: SLF001 - it is asked alone
    gives_up = plan.reader(lambda _, __: None)
    quick = plan.read_nothing(beside) if raw is None else gives_up(raw, beside)
    careful = read_carefully(by, raw, beside)
    if quick is not None:
        assert said(quick) == said(careful)
        if isinstance(quick, Event | Changes):
            assert quick == careful


@often
@given(st.sampled_from(MAPPINGS), trees, besides)
def test_what_was_decoded_already_says_the_same(by: Mapping, value: Any, beside: Beside) -> None:  # noqa: ANN401 - what JSON is made of
    from_json = said(by.read(json.dumps(value).encode(), beside))
    if not has_an_envelope(value):
        assert said(by.read_decoded(value, beside)) == from_json


def has_an_envelope(value: object) -> bool:
    """Whether it is one of Connect's, which an Avro record never is in."""
    return isinstance(value, dict) and {"schema", "payload"} <= value.keys()


@often
@given(st.sampled_from(MAPPINGS), st.binary(max_size=30), besides)
def test_arbitrary_bytes_never_raise(by: Mapping, value: bytes, beside: Beside) -> None:
    assert isinstance(by.read(value, beside), Event | Changes | Ignored | Malformed)


@often
@given(st.sampled_from(MAPPINGS), trees | values, besides, st.integers(0), st.binary(max_size=3))
def test_nearly_readable_values_never_raise(
    by: Mapping,
    value: Any,  # noqa: ANN401 - what JSON is made of
    beside: Beside,
    at: int,
    noise: bytes,
) -> None:
    raw = json.dumps(value).encode()
    at %= len(raw)
    found = by.read(raw[:at] + noise + raw[at + len(noise) :], beside)
    assert isinstance(found, Event | Changes | Ignored | Malformed)
    for event in events_of(found):
        names = event.ids if isinstance(event.ids, list) else [event.id]
        assert all(isinstance(name, str) and 0 < len(name.encode()) <= 254 for name in names)
        assert event.id_type in {"id", "email", "cio_id"}
        assert isinstance(event.segment_id, int)


def events_of(found: Reading) -> list[Event]:
    if isinstance(found, Event):
        return [found]
    changes = found.changes if isinstance(found, Changes) else ()
    events = [each.event if isinstance(each, Mixed) else each for each in changes]
    return [event for event in events if event is not None]


@pytest.mark.parametrize(
    "value",
    [
        b'{"a": ' + b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"segment_id": 1, "action": "add", "id": ' + b"9" * 5000 + b"}",
        b'{"segment_id": ' + b"9" * 5000 + b', "action": "add", "id": 1}',
        b'{"segment_id": 1e999, "action": "add", "id": 1}',
        b'{"segment_id": 1, "action": "add", "id": 1e999, "more": "\\ud800"}',
        b'{"\\ud800": 1, "segment_id": 0, "action": "add", "id": 1}',
        b"\xef\xbb\xbf" * 3,
    ],
)
@pytest.mark.parametrize("by", MAPPINGS)
def test_extreme_values_never_raise(by: Mapping, value: bytes) -> None:
    assert isinstance(by.read(value, Beside()), Event | Changes | Ignored | Malformed)
    keyed = Beside(of_key=value, of_headers=[("x", value)])
    assert isinstance(by.read(None, keyed), Event | Changes | Ignored | Malformed)


def test_a_byte_order_mark_is_passed_over_and_a_second_one_is_not() -> None:
    (by, *_) = MAPPINGS
    event = b'{"segment_id": 56, "action": "add", "id": "a"}'
    mark = b"\xef\xbb\xbf"
    assert by.read(mark + event, Beside()) == by.read(event, Beside())
    assert isinstance(by.read(mark + event, Beside()), Event)
    refused = by.read(mark + event.replace(b"56", b"0"), Beside())
    assert refused == by.read(event.replace(b"56", b"0"), Beside())
    assert isinstance(by.read(mark + mark + event, Beside()), Malformed)
