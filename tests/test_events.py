"""What the value of a record says: every sentence of the contract about an event."""

import gzip
import json
from codecs import BOM_UTF8
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from consumer.core.dead_letters import DeadLetter, DeadLetterReason, refusal
from consumer.core.decoder import EventDecoder
from consumer.core.events import Event, IdType, Malformed, Mixed

Meaning = tuple[int, str, str, list[str]]
SCHEMA_REGISTRY = b"\0\0\0\0\7"
WHOLE_NUMBER_TOO_LARGE = b"1e999"
pure = settings(derandomize=True, deadline=None, max_examples=150)


def decode(value: bytes | dict[str, Any], default: IdType = "id") -> Event | Mixed | Malformed:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return EventDecoder(default).look_closely(raw)


def meaning(event: object, default: IdType = "id") -> Meaning:
    """Return segment, action, id type and ids of what must be an event."""
    assert isinstance(event, Event)
    ids = [event.id] if event.ids is UNSET else event.ids
    assert all(isinstance(name, str) for name in ids)
    id_type = default if event.id_type is UNSET else event.id_type
    return int(event.segment_id), event.action, id_type, ids  # type: ignore[return-value]  # strings, as asserted


def of(**members: object) -> dict[str, Any]:
    """Return an event with these members, and otherwise good ones."""
    return {"segment_id": 56, "action": "add", **members}


def malformed(value: bytes | dict[str, Any]) -> str:
    found = decode(value)
    assert isinstance(found, Malformed), found
    return found.detail


def invalid(found: object) -> list[object]:
    """Return the invalid ids of what must have some."""
    assert isinstance(found, Mixed), found
    return [json.loads(bytes(each)) for each in found.invalid]


def dead_letter_of(found: Mixed) -> DeadLetter:
    return refusal(
        reason=DeadLetterReason.INVALID_ID,
        detail=found.detail,
        source="",
        segment_id=found.segment_id,
        action=found.action,
        id_type=found.id_type,
        ids=found.invalid,
        origins={},
    )


# -- the examples -------------------------------------------------------------------------------


def test_the_first_example_adds_one_id() -> None:
    value = b'{"segment_id": 56, "action": "add", "id": "customer-42"}'
    assert meaning(decode(value)) == (56, "add", "id", ["customer-42"])


def test_the_second_example_removes_two_addresses() -> None:
    value = (
        b'{"segment_id": "56", "action": "remove", "ids": ["a@example.com", "b@example.com"],'
        b' "id_type": "email"}'
    )
    assert meaning(decode(value)) == (56, "remove", "email", ["a@example.com", "b@example.com"])


# -- segment_id and action ----------------------------------------------------------------------


@pytest.mark.parametrize("given", [1, 56, 2147483647, "1", "56", "2147483647"])
def test_a_segment_is_an_integer_or_its_decimal_string(given: object) -> None:
    assert meaning(decode(of(segment_id=given, id="a")))[0] == int(str(given))
    assert meaning(decode(of(segment_id=given, ids=["a", "b"])))[0] == int(str(given))


@pytest.mark.parametrize(
    "given",
    [
        *(
            0,
            -1,
            2147483648,
            10**30,
            -(10**30),
            5.5,
            0.0,
            -5.0,
            2.0**31,
            1e300,
            True,
            None,
            [],
            {},
            [5],
            "",
        ),
        *(
            "0",
            "-1",
            "+5",
            " 5",
            "5 ",
            "5.0",
            "1e3",
            "0x5",
            "five",
            "\N{ARABIC-INDIC DIGIT FIVE}",
            "\N{FULLWIDTH DIGIT FIVE}",
            "1" * 30,
            "2147483648",
        ),
    ],
)
def test_any_other_segment_makes_the_record_malformed(given: object) -> None:
    assert '"segment_id" is ' in malformed(of(segment_id=given, id="a"))
    assert '"segment_id" is ' in malformed(of(segment_id=given, ids=["a", ""]))


def test_a_record_without_a_segment_is_malformed() -> None:
    assert malformed({"action": "add", "id": "a"}).startswith('"segment_id" is missing')


@pytest.mark.parametrize("given", ["add", "remove"])
def test_an_action_is_add_or_remove(given: str) -> None:
    assert meaning(decode(of(action=given, id="a")))[1] == given


@pytest.mark.parametrize("given", ["Add", "ADD", "delete", "", " add", None, 1, True, ["add"], {}])
def test_any_other_action_makes_the_record_malformed(given: object) -> None:
    assert '"action" is ' in malformed(of(action=given, id="a"))


def test_a_record_without_an_action_is_malformed() -> None:
    assert malformed({"segment_id": 5, "id": "a"}).startswith('"action" is missing')


# -- id and ids ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("a", "a"),
        ("A b", "A b"),
        ("42", "42"),
        (42, "42"),
        (0, "0"),
        (-7, "-7"),
        (2**63, str(2**63)),
        (10**149, str(10**149)),
        ("ünïcödé", "ünïcödé"),
        ("\0", "\0"),
    ],
)
def test_an_id_is_a_string_or_an_integer_sent_as_its_decimal_string(
    given: object, sent: str
) -> None:
    assert meaning(decode(of(id=given)))[3] == [sent]
    assert meaning(decode(of(ids=[given, "z"])))[3] == [sent, "z"]


def test_one_record_has_any_number_of_ids_in_their_order() -> None:
    ids = [f"customer-{number}" for number in range(5000)]
    assert meaning(decode(of(ids=ids)))[3] == ids


@pytest.mark.parametrize("given", [True, False, None, 1.5, 42.0, float("1e300")])
def test_an_id_that_is_neither_string_nor_integer_is_invalid(given: object) -> None:
    found = decode(of(id=given))
    assert isinstance(found, Mixed)
    assert (found.event, invalid(found)) == (None, [given])
    found = decode(of(ids=["a", given, "b"]))
    assert isinstance(found, Mixed)
    assert meaning(found.event)[3] == ["a", "b"]
    assert invalid(found) == [given]


@pytest.mark.parametrize(
    "written",
    [
        *(b"1e999", b"-2.5E+4000", b"1.50", b"-0", b"5", b"9" * 5000, b"null"),
        *(b"[1e999]", b'{"a" : 1.10 }', b"[ ]", b'"\\u0061\\/"', '"é"'.encode()),
    ],
)
def test_what_is_invalid_is_written_again_byte_for_byte(written: bytes) -> None:
    ids = b'"ids": ["a@b", ' + written + b' , 1.5], "id_type": "email"'
    found = decode(b'{"segment_id": 1, "action": "add", ' + ids + b"}")
    assert isinstance(found, Mixed)
    assert meaning(found.event)[3] == ["a@b"]
    value = dead_letter_of(found).value
    assert value == b'{"segment_id":1,"action":"add","ids":[%b,1.5],"id_type":"email"}' % written


@pytest.mark.parametrize("given", [["x"], {"x": 1}, []])
def test_among_several_ids_a_list_or_an_object_is_invalid(given: object) -> None:
    found = decode(of(ids=["a", given]))
    assert isinstance(found, Mixed)
    assert meaning(found.event)[3] == ["a"]
    assert invalid(found) == [given]


@pytest.mark.parametrize(
    "members",
    [
        {"id": {}},
        {"id": {"id": "a"}},
        {"id": []},
        {"id": ["a"]},
        {"ids": "a"},
        {"ids": 5},
        {"ids": None},
        {"ids": {"a": 1}},
        {"ids": []},
        {"ids": False},
        {"id": "a", "ids": ["b"]},
        {"id": "a", "ids": None},
        {"id": None, "ids": ["b"]},
        {"id": "a", "ids": []},
        {},
    ],
)
def test_a_wrong_shape_of_the_ids_makes_the_record_malformed(members: dict[str, object]) -> None:
    assert '"id' in malformed(of(**members))


def test_an_empty_string_is_invalid_and_the_others_are_delivered() -> None:
    found = decode(of(ids=["", "a", ""]))
    assert isinstance(found, Mixed)
    assert (meaning(found.event)[3], invalid(found)) == (["a"], ["", ""])
    assert found.detail == "an id is empty"


@pytest.mark.parametrize("id_type", ["id", "cio_id"])
@pytest.mark.parametrize(("fits", "too_long"), [("x" * 150, "x" * 151), ("é" * 75, "é" * 76)])
def test_an_id_has_at_most_150_bytes(id_type: str, fits: str, too_long: str) -> None:
    assert meaning(decode(of(id=fits, id_type=id_type)))[3] == [fits]
    found = decode(of(id=too_long, id_type=id_type))
    assert isinstance(found, Mixed)
    assert (found.event, invalid(found)) == (None, [too_long])
    assert "150 bytes" in found.detail


def test_an_integer_has_at_most_150_digits() -> None:
    for digits, fits in (
        (150, True),
        (151, False),
        (254, False),
        (255, False),
        (1000, False),
        (6000, False),
    ):
        found = decode(b'{"segment_id": 5, "action": "add", "ids": ["a", ' + b"9" * digits + b"]}")
        if fits:
            assert meaning(found)[3] == ["a", "9" * digits]
        else:
            assert isinstance(found, Mixed)
            assert meaning(found.event)[3] == ["a"]
            assert "150 bytes" in found.detail


@pytest.mark.parametrize(
    ("fits", "too_long"),
    [
        ("x@" + "y" * 252, "x@" + "y" * 253),
        ("@" + "É" * 126, "@" + "É" * 127),
        ("@" + "İ" * 84, "@" + "İ" * 85),  # three bytes in lower case, two in upper case
    ],
)
def test_an_address_has_at_most_254_bytes_in_lower_case(fits: str, too_long: str) -> None:
    assert meaning(decode(of(id=fits, id_type="email")))[3] == [fits.lower()]
    found = decode(of(id=too_long, id_type="email"))
    assert isinstance(found, Mixed)
    assert "254 bytes" in found.detail


def test_an_address_has_an_at_sign() -> None:
    found = decode(of(ids=["a", 5, "@", "a@b"], id_type="email"))
    assert isinstance(found, Mixed)
    assert (meaning(found.event)[3], invalid(found)) == (["@", "a@b"], ["a", 5])
    assert found.detail == "an email address has no @"


def test_an_address_is_taken_in_lower_case_and_an_id_as_it_is() -> None:
    for shape in ({"id": "Ann@EXAMPLE.com"}, {"ids": ["Ann@EXAMPLE.com"]}):
        assert meaning(decode(of(**shape, id_type="email")))[3] == ["ann@example.com"]
        assert meaning(decode(of(**shape), "email"), "email")[3] == ["ann@example.com"]
        assert meaning(decode(of(**shape)))[3] == ["Ann@EXAMPLE.com"]
        assert meaning(decode(of(**shape, id_type="cio_id")))[3] == ["Ann@EXAMPLE.com"]


# -- id_type, unknown members -------------------------------------------------------------------


@pytest.mark.parametrize("default", ["id", "email", "cio_id"])
def test_without_an_id_type_the_setting_decides(default: IdType) -> None:
    assert meaning(decode(of(id="a@b"), default), default)[2] == default
    assert meaning(decode(of(ids=["a@b", "c@d"]), default), default)[2] == default


@pytest.mark.parametrize("default", ["id", "email", "cio_id"])
@pytest.mark.parametrize("id_type", ["id", "email", "cio_id"])
def test_a_named_id_type_counts_whatever_the_setting_is(id_type: str, default: IdType) -> None:
    assert meaning(decode(of(id="a@b", id_type=id_type), default))[2] == id_type


@pytest.mark.parametrize("given", [None, "", "Email", "phone", 1, [], {}])
def test_any_other_id_type_makes_the_record_malformed(given: object) -> None:
    assert '"id_type" is ' in malformed(of(id="a", id_type=given))


@pytest.mark.parametrize("more", [b"null", b'{"a": [1, {"b": 2}]}', b"9" * 5000, b"1e999", b"[[]]"])
def test_unknown_members_are_ignored(more: bytes) -> None:
    end = b', "more": ' + more + b', "ID": "b"}'
    assert meaning(decode(b'{"segment_id": 5, "action": "add", "id": "a"' + end))[3] == ["a"]
    assert isinstance(decode(b'{"segment_id": 5, "action": "add", "id": null' + end), Mixed)


# -- what is no event ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (b"", "empty value"),
        (b" \n", "empty value"),
        (b"null", "a JSON null, not an object"),
        (b"true", "a JSON boolean, not an object"),
        (b"12345", "a JSON number, not an object"),
        (b"42,56,add", "not JSON: JSON is malformed: trailing characters (byte 3)"),
        (b"[1, 2", "not JSON: Input data was truncated"),
        (b"1.5", "a JSON number, not an object"),
        (b'"text"', "a JSON string, not an object"),
        (b"[]", "a JSON array, not an object"),
        (b"{", "not JSON: "),
        (b"segment 5", "not JSON: "),
        (b'{"segment_id": 5,}', "not JSON: "),
        (b'{"segment_id": 5} {}', "two JSON values in one record: the second begins at byte 18"),
        (b'{"segment_id": 5, "action": "add", "ids": [NaN]}', "not JSON: NaN is no number"),
        (b'{"segment_id": 5, "action": "add", "ids": [1e999, NaN]}', "not JSON: NaN is no number"),
        ('{"segment_id": 5}'.encode("utf-16"), "UTF-16"),
        # Without the time in it: workers run only tests whose names are the same in each.
        (gzip.compress(b'{"segment_id": 5}', mtime=0), "compressed with gzip"),
        (b'"{\\"segment_id\\": 5}"', "a JSON text inside a JSON string"),
        (b'{"segment_id": 5, "action": "add", "id": "\xff"}', "not UTF-8: "),
        (b'{"segment_id": 5, "action": "add", "ids": [1e999, "\xff"]}', "not UTF-8: "),
        (b'{"segment_id": 5, "action": "add", "id": "a", "more": "\xff"}', "not UTF-8: "),
        (
            b'{"segment_id": 5, "action": "add", "id": "a", "x": ' + b"[" * 10**5,
            "nested too deeply",
        ),
        (SCHEMA_REGISTRY + b'{"segment_id": 5}', "Schema Registry"),
        (SCHEMA_REGISTRY, "Schema Registry"),
        (b"{}", '"segment_id" is missing'),
    ],
)
def test_what_is_no_json_object_in_utf_8_is_malformed(value: bytes, says: str) -> None:
    assert says in malformed(value)


def test_a_byte_order_mark_is_passed_over() -> None:
    value = json.dumps(of(ids=["a", "é"]), ensure_ascii=False).encode()
    assert meaning(decode(BOM_UTF8 + value)) == meaning(decode(value))
    assert malformed(BOM_UTF8 + b"[]") == malformed(b"[]")
    assert malformed(BOM_UTF8) == malformed(b"")
    assert "not JSON" in malformed(BOM_UTF8 + BOM_UTF8 + value)


@pytest.mark.parametrize("written", [b"56.0", b"56.000", b"5.6e1", b"560e-1", b"0.056E+3"])
def test_a_segment_may_be_an_integral_float(written: bytes) -> None:
    """Spreadsheets and stream SQL write numbers so."""
    for ids in (b'"id": "a"', b'"ids": ["a", "b"]'):
        found = decode(b'{"segment_id": ' + written + b', "action": "add", ' + ids + b"}")
        assert meaning(found)[0] == 56


@pytest.mark.parametrize(
    ("members", "known"),
    [
        (
            {"op": "c", "before": None, "after": {"segment_id": 5, "id": "a"}, "source": {}},
            "looks like a Debezium envelope: EVENT_MAPPING=debezium",
        ),
        (
            {"type": "track", "event": "Audience Entered", "properties": {}},
            "looks like a Segment audience event: EVENT_MAPPING=segment-engage",
        ),
    ],
)
def test_what_is_well_known_says_which_mapping_would_read_it(
    members: dict[str, object], known: str
) -> None:
    assert malformed(json.dumps(members).encode()) == (
        f'"segment_id" is missing: an integer, 1 to 2147483647; {known}'
    )


@pytest.mark.parametrize("half", [b'"\\ud800"', b'"\xed\xa0\x80"', b'["\\udfff"]'])
def test_half_a_surrogate_pair_is_no_text_wherever_it_stands(half: bytes) -> None:
    """Behind a number that is too large, the lenient decoder reads on."""
    for ids in (half, WHOLE_NUMBER_TOO_LARGE + b"," + half, half + b"," + WHOLE_NUMBER_TOO_LARGE):
        malformed(b'{"segment_id": 5, "action": "add", "ids": [' + ids + b"]}")


def test_a_number_that_is_too_large_does_not_spoil_its_neighbours() -> None:
    found = decode(b'{"segment_id": 5, "action": "add", "ids": ["a", 1e999, "\\ud83d\\ude00"]}')
    assert isinstance(found, Mixed)
    assert meaning(found.event)[3] == ["a", "😀"]


def test_a_huge_segment_is_not_written_out() -> None:
    assert len(malformed(of(segment_id=10**200, id="a"))) < 100


# -- what a detail says -------------------------------------------------------------------------

PERSON = "1234567.0"


@pytest.mark.parametrize(
    "members",
    [
        {"id": 1234567.0},
        {"ids": 1234567.0},
        {"ids": [1234567.0]},
        {"id": {"a": 1234567.0}},
        {"ids": {"a": 1234567.0}},
        {"ids": PERSON},
        {"ids": [PERSON * 30]},
        {"ids": [[PERSON]]},
        {"id": PERSON, "action": PERSON},
        {"id": PERSON, "id_type": PERSON},
        {"id": PERSON, "segment_id": PERSON},
        {"id": PERSON, "ids": [PERSON]},
    ],
)
def test_no_id_of_a_person_is_in_a_detail(members: dict[str, object]) -> None:
    """A detail is logged."""
    for default in ("id", "email"):
        found = EventDecoder(default).look_closely(json.dumps(of(**members)).encode())
        assert isinstance(found, Malformed | Mixed)
        assert "1234567" not in found.detail


@pytest.mark.parametrize(
    ("members", "detail"),
    [
        ({"ids": "a"}, '"ids" is a string, not a list'),
        ({"ids": 5}, '"ids" is a number, not a list'),
        ({"ids": None}, '"ids" is null, not a list'),
        ({"ids": {"a": 1}}, '"ids" is an object, not a list'),
        ({"ids": []}, '"ids" is empty'),
        ({"id": []}, '"id" is an array: a string or an integer'),
        ({"id": "a", "ids": ["b"]}, 'both "id" and "ids"'),
        ({}, 'neither "id" nor "ids"'),
        ({"id": True}, "an id is a boolean: a string or an integer"),
        ({"id": 1.5}, "an id is a number with a fraction: a string or an integer"),
        ({"id": "a", "action": 1.5}, '"action" is 1.5: "add" or "remove"'),
        ({"id": "a", "id_type": "b"}, '"id_type" is a string: "id", "email" or "cio_id"'),
    ],
)
def test_a_detail_names_the_member_and_the_kind_of_what_was_given(
    members: dict[str, object], detail: str
) -> None:
    found = decode(of(**members))
    assert isinstance(found, Malformed | Mixed)
    assert found.detail == detail


def test_each_problem_is_said_once() -> None:
    found = decode(of(ids=["", True, "", None, "x" * 151, True]))
    assert isinstance(found, Mixed)
    assert len(found.detail.split("; ")) == 4


# -- whatever the bytes are ---------------------------------------------------------------------

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["add", "remove", "id", "email", "cio_id", "a@b", "7", "x" * 151]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=2),
)
near_events = st.fixed_dictionaries(
    {
        "segment_id": st.integers(1, 9) | values,
        "action": st.sampled_from(["add", "remove"]) | values,
    },
    optional={"id": values, "ids": st.lists(values, max_size=5) | values, "id_type": values},
)


@pure
@given(st.binary())
def test_arbitrary_bytes_never_raise(value: bytes) -> None:
    assert isinstance(decode(value), Event | Mixed | Malformed)


@pure
@given(near_events, st.integers(0), st.binary(max_size=3), st.sampled_from(["id", "email"]))
def test_nearly_valid_values_never_raise(
    members: dict[str, Any], at: int, noise: bytes, default: IdType
) -> None:
    raw = json.dumps(members).encode()
    at %= len(raw)
    for value in (raw, raw[:at] + noise + raw[at + len(noise) :]):
        found = EventDecoder(default).look_closely(value)
        assert isinstance(found, Event | Mixed | Malformed)
        if not isinstance(found, Malformed):
            event = found if isinstance(found, Event) else found.event
            names = meaning(event)[3] if event else []
            assert all(0 < len(name.encode()) <= 254 for name in names)
        if isinstance(found, Mixed):
            assert found.invalid
            assert found.detail


@pure
@given(values)
def test_id_and_a_list_of_one_mean_the_same(given: object) -> None:
    """A single short id takes a faster way through the decoder."""
    alone, in_list = decode(of(id=given)), decode(of(ids=[given]))
    if isinstance(given, list | dict):
        assert isinstance(alone, Malformed)
    elif isinstance(alone, Event):
        assert meaning(alone) == meaning(in_list)
    elif isinstance(alone, Mixed):
        assert isinstance(in_list, Mixed)
        assert (alone.detail, invalid(alone)) == (in_list.detail, invalid(in_list))
    else:
        assert isinstance(in_list, Malformed)


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=37)


@pure
@given(st.integers(1, 2**31 - 1), st.sampled_from(["add", "remove"]), st.lists(texts, min_size=1))
def test_a_refused_event_comes_back_from_its_dead_letter(
    segment_id: int, action: str, ids: list[str]
) -> None:
    for id_type in ("id", "cio_id"):
        dead_letter = refusal(
            reason=DeadLetterReason.REJECTED,
            detail="",
            source="",
            segment_id=segment_id,
            action=action,
            id_type=id_type,
            ids=ids,
            origins={},
        )
        assert dead_letter.value is not None
        assert meaning(decode(dead_letter.value)) == (segment_id, action, id_type, ids)


@pure
@given(near_events)
def test_whatever_is_invalid_can_be_written_and_is_invalid_again(members: dict[str, Any]) -> None:
    found = decode(members)
    if isinstance(found, Mixed):
        value = dead_letter_of(found).value
        assert value is not None
        again = decode(value)
        assert isinstance(again, Mixed)
        assert again.event is None
        assert [bytes(each) for each in again.invalid] == [bytes(each) for each in found.invalid]
