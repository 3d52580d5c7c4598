"""A mapping reads records as the language says, rule by rule."""

import json
from typing import Any

import pytest

from consumer.core.events import Event, Mixed
from consumer.core.mapping.mapping import Mapping
from consumer.core.mapping.paths import Every
from consumer.core.mapping.reading import NO_RULE, NOTHING_TO_WALK, Changes, Ignored
from consumer.core.mapping.view import View
from tests.support.mapped import (
    NOTHING_BESIDE,
    SEGMENTS,
    Beside,
    encoded,
    mapping,
    read,
    read_carefully,
    said,
)

# -- the four rules that the language is shown by -----------------------------------------------

AUDIENCES = mapping("""
[[rule]]
when = { type = "track", event = ["Audience Entered", "Audience Exited"] }
segment_id = { path = "properties.audience_key", map = { vip = 56, churned = 57 } }
action = { path = "event", add = ["Audience Entered"], remove = ["Audience Exited"] }
id = [{ path = "userId" }, { path = "context.traits.email", id_type = "email" }]
id_type = "id"
""")
MEMBERSHIPS = mapping("""
[[rule]]
each = "segmentMembership.ups"
segment_id = { path = "@key", map = { aud_x = 56, aud_y = 57, aud_z = 58 } }
action = { path = "status", add = ["realized", "existing"], remove = "exited", ignore = "updated" }
id = { path = "$.identityMap.email[0].id" }
id_type = "email"
""")
COMPACTED = mapping("""
[[rule]]
when = { "$value" = { exists = false } }
action = "remove"
segment_id = { path = "$key.segment_id" }
id = { path = "$key.customer_id" }

[[rule]]
action = "add"
segment_id = { path = "segment_id" }
id = { path = "customer_id" }
""")
UPDATES = mapping("""
[[rule]]
when = { op = "u" }
[[rule.change]]
action = "remove"
segment_id = { path = "before.segment_id" }
id = { path = "before.customer_id" }
[[rule.change]]
action = "add"
segment_id = { path = "after.segment_id" }
id = { path = "after.customer_id" }
""")


def entered(**members: Any) -> dict[str, Any]:  # noqa: ANN401 - what JSON is made of
    return {
        "type": "track",
        "event": "Audience Entered",
        "properties": {"audience_key": "vip"},
        "userId": "customer-42",
        **members,
    }


def test_a_record_that_a_rule_fits_is_read_by_it() -> None:
    assert read(AUDIENCES, entered()) == [(56, "add", "id", ["customer-42"])]
    left = entered(event="Audience Exited", properties={"audience_key": "churned"})
    assert read(AUDIENCES, left) == [(57, "remove", "id", ["customer-42"])]


def test_the_first_id_that_is_there_counts_with_its_type() -> None:
    context = {"traits": {"email": "Ann@Example.com"}}
    assert read(AUDIENCES, entered(context=context)) == [(56, "add", "id", ["customer-42"])]
    for nobody in ({"userId": None}, {}):
        record = {**entered(context=context), **nobody}
        if not nobody:
            del record["userId"]
        assert read(AUDIENCES, record) == [(56, "add", "email", ["ann@example.com"])]


def test_a_map_is_walked_with_its_keys() -> None:
    ups = {"aud_x": {"status": "realized"}, "aud_y": {"status": "exited"}}
    record = {"segmentMembership": {"ups": ups}, "identityMap": {"email": [{"id": "Ann@b.c"}]}}
    assert read(MEMBERSHIPS, record) == [
        (56, "add", "email", ["ann@b.c"]),
        (57, "remove", "email", ["ann@b.c"]),
    ]


def test_a_word_to_be_ignored_ignores_its_change_alone() -> None:
    ups = {"aud_x": {"status": "updated"}, "aud_y": {"status": "existing"}}
    record = {"segmentMembership": {"ups": ups}, "identityMap": {"email": [{"id": "a@b"}]}}
    assert read(MEMBERSHIPS, record) == [(57, "add", "email", ["a@b"])]
    del ups["aud_y"]
    raw = b'{"segmentMembership": {"ups": {"aud_x": {"status": "updated"}}}}'
    ignored = Ignored('rule 1: what is at "status" is to be ignored')
    assert MEMBERSHIPS.read(raw, NOTHING_BESIDE) == ignored
    assert read(MEMBERSHIPS, record) is None


def test_a_record_without_a_value_is_read_by_its_key() -> None:
    gone = Beside(of_key=b'{"segment_id": 56, "customer_id": "customer-42"}')
    assert read(COMPACTED, None, gone) == [(56, "remove", "id", ["customer-42"])]
    here = {"segment_id": 56, "customer_id": "customer-42"}
    assert read(COMPACTED, here, gone) == [(56, "add", "id", ["customer-42"])]
    assert COMPACTED.reads_no_value


def test_a_record_without_a_value_is_ignored_if_no_rule_is_for_those() -> None:
    for by in (AUDIENCES, UPDATES, MEMBERSHIPS):
        assert not by.reads_no_value
        assert by.read(None, NOTHING_BESIDE) is NO_RULE


def test_a_rule_without_conditions_is_not_for_records_without_a_value() -> None:
    by = mapping("""
[[rule]]
action = "add"
segment_id = 56
id = { path = "$key" }
""")
    assert by.read(None, Beside(of_key=b"a")) is NO_RULE
    assert read(by, {}, Beside(of_key=b"a")) == [(56, "add", "id", ["a"])]


def test_records_without_a_value_have_rules_of_their_own() -> None:
    by = mapping("""
[[rule]]
when = { "$value" = { exists = false }, "$topic" = "vip" }
action = "remove"
segment_id = 56
id = { path = "$key" }
[[rule]]
when = { "$value" = { exists = false }, "$topic" = ["churned", "gone"] }
action = "remove"
segment_id = 57
id = { path = "$key" }
""")
    assert read(by, None, Beside("vip", b"a")) == [(56, "remove", "id", ["a"])]
    assert read(by, None, Beside("gone", b"a")) == [(57, "remove", "id", ["a"])]
    assert read(by, None, Beside("others", b"a")) is None
    assert read(by, {}, Beside("vip", b"a")) is None


def test_null_is_no_value_too() -> None:
    gone = Beside(of_key=b'{"segment_id": 56, "customer_id": "customer-42"}')
    for null in (b"null", b" null\n"):
        assert read(COMPACTED, null, gone) == [(56, "remove", "id", ["customer-42"])]
        assert read(AUDIENCES, null) is None


def test_a_record_of_several_changes_says_them_in_the_order_of_the_mapping() -> None:
    record = {
        "op": "u",
        "after": {"segment_id": 57, "customer_id": 42},
        "before": {"segment_id": 56, "customer_id": 42},
    }
    assert read(UPDATES, record) == [(56, "remove", "id", ["42"]), (57, "add", "id", ["42"])]


def test_a_record_that_no_rule_fits_is_ignored() -> None:
    for record in ({}, {"op": "c"}, {"op": None}, {"op": ["u"]}, {"op": {"u": "u"}}, {"op": 1.5}):
        assert read(UPDATES, record) is None


def test_an_event_of_the_plain_shape_is_read_only_if_a_rule_reads_it() -> None:
    event = {"segment_id": 56, "action": "add", "id": "a"}
    assert read(UPDATES, event) is None
    assert read(COMPACTED, event) == 'rule 2, id: nothing is at "customer_id"'


def test_the_first_rule_that_fits_counts() -> None:
    by = mapping("""
[[rule]]
when = { a = 1 }
action = "add"
segment_id = 1
id = "x"
[[rule]]
when = { b = 1 }
action = "add"
segment_id = 2
id = "x"
""")
    assert read(by, {"a": 1, "b": 1}) == [(1, "add", "id", ["x"])]
    assert read(by, {"a": 2, "b": 1}) == [(2, "add", "id", ["x"])]


# -- conditions ---------------------------------------------------------------------------------


def rule(when: str) -> Mapping:
    return mapping(f"""
[[rule]]
when = {when}
action = "add"
segment_id = 56
id = "x"
""")


@pytest.mark.parametrize(
    ("when", "fits", "does_not"),
    [
        ('{ a = "x" }', [{"a": "x"}], [{}, {"a": "y"}, {"a": None}, {"a": ["x"]}, {"a": {}}]),
        ('{ a = ["x", "y"] }', [{"a": "x"}, {"a": "y"}], [{"a": "z"}]),
        ("{ a = true }", [{"a": True}, {"a": "true"}], [{"a": False}, {"a": 1}]),
        ("{ a = 1 }", [{"a": 1}, {"a": 1.0}, {"a": "1"}], [{"a": True}, {"a": 1.5}]),
        ('{ a = "1.0" }', [b'{"a": 1.0}', {"a": "1.0"}], [b'{"a": 1.00}', {"a": 1}]),
        ("{ a = 1.5 }", [{"a": "1.5"}, b'{"a": 1.5}'], [b'{"a": 1.50}', {"a": 1}]),
        (
            "{ a = { exists = true } }",
            [{"a": 0}, {"a": ""}, {"a": []}, {"a": {"b": 1}}],
            [{}, {"a": None}],
        ),
        (
            '{ a = { exists = true }, "a.b" = { exists = false } }',
            [{"a": {}}, {"a": 5}],
            [{"a": None}, {}, {"a": {"b": 1}}],
        ),
        ("{ a = { exists = false } }", [{}, {"a": None}], [{"a": False}, {"a": {}}]),
        ('{ a.b = "x" }', [{"a": {"b": "x"}}], [{"a": "x"}, {"a": None}, {"a": []}, {}]),
        ('{ "a.b" = "x" }', [{"a": {"b": "x"}}], [{"a.b": "x"}]),
        ("{ a.b = { exists = true } }", [{"a": {"b": 1}}], [{"a": 1}, {"a": {"b": None}}]),
        ("{ a.exists = true, a.b = 1 }", [{"a": {"b": 1, "exists": True}}], [{"a": {"b": 1}}]),
        ("{ '[\"a.b\"]' = 'x' }", [{"a.b": "x"}], [{"a": {"b": "x"}}]),
        ('{ "a[0]" = "x" }', [{"a": ["x"]}], [{"a": []}, {"a": "x"}, {"a": {"0": "x"}}]),
        ('{ "a[-1].b" = "x" }', [{"a": [1, {"b": "x"}]}], [{"a": [{"b": "x"}, 1]}]),
        ('{ "a[k=v].b" = "x" }', [{"a": [{"k": "v", "b": "x"}]}], [{"a": [{"k": "w"}]}, {"a": 1}]),
        ('{ a = "x", b = "y" }', [{"a": "x", "b": "y"}], [{"a": "x"}, {"b": "y"}]),
        (
            '{ a = "x", b = "y", c = { exists = true } }',
            [{"a": "x", "b": "y", "c": 1}],
            [{"a": "x", "b": "y"}, {"a": 1, "b": "y", "c": 1}],
        ),
        ('{ "$value" = { exists = true } }', [{}, {"a": 1}], [b"null", None]),
        ('{ "$.a" = "x", "$value.b" = "y" }', [{"a": "x", "b": "y"}], [{"a": "x"}]),
        ('{ "$topic" = "audiences" }', [{}], []),
        ('{ "$topic" = "others" }', [], [{}]),
        ('{ "$key" = "k" }', [{}], []),
        ('{ "$headers.kind" = "joined" }', [{}], []),
        ('{ "$headers.other" = { exists = false } }', [{}], []),
        ('{ "$key.a" = { exists = true } }', [], [{}]),
    ],
)
def test_conditions(when: str, fits: list[Any], does_not: list[Any]) -> None:
    by, beside = rule(when), Beside(of_key=b"k", of_headers=[("kind", b"joined")])
    for value in fits:
        assert read(by, value, beside) == [(56, "add", "id", ["x"])], value
    for value in does_not:
        assert read(by, value, beside) is None, value


# -- paths --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a", {"a": "x"}),
        ("$.a", {"a": "x"}),
        ("$value.a", {"a": "x"}),
        ("a.b.c", {"a": {"b": {"c": "x"}}}),
        ('[\\"odd.name\\"].a', {"odd.name": {"a": "x"}}),
        ('a[\\"b c\\"]', {"a": {"b c": "x"}}),
        ("a-b.c d", {"a-b": {"c d": "x"}}),
        ('a[\\"\\\\u00e9\\"]', {"a": {"é": "x"}}),
        ("a[0]", {"a": ["x", "y"]}),
        ("a[-1].b", {"a": [1, {"b": "x"}]}),
        ("a[0][1]", {"a": [["y", "x"]]}),
        ("a[type=b].c", {"a": [{"type": "a", "c": "y"}, {"type": "b", "c": "x"}]}),
        ('a[type=\\"b]\\"].c', {"a": [{"type": "b]", "c": "x"}]}),
        ("a[n=1.0].c", {"a": [{"n": 1.0, "c": "x"}]}),
        ("a[n=1].c", {"a": [{"n": 1.0, "c": "x"}]}),
        ("a[on=true].c", {"a": [{"on": False}, None, 5, {"on": True, "c": "x"}]}),
        ("_id.$oid", {"_id": {"$oid": "x"}}),
        ("$", "x"),
        ("$[0]", ["x"]),
        ("$topic", {}),
        ("$key", {}),
        ("$headers.x", {}),
        ('$headers[\\"x\\"]', {}),
    ],
)
def test_a_path_leads_to_what_it_says(path: str, value: Any) -> None:  # noqa: ANN401
    by = mapping(f"""
[[rule]]
action = "add"
segment_id = 56
id = {{ path = "{path}" }}
""")
    beside = Beside("x", b"x", [("x", b"y"), ("x", b"x")])
    assert read(by, value, beside) == [(56, "add", "id", ["x"])]


@pytest.mark.parametrize(
    ("path", "ids"),
    [
        ("people[*].id", ["a", "b"]),
        ("people.*.id", ["a", "b"]),
        ("by_name[*].id", ["c", "d"]),
        ("by_name.*.id", ["c", "d"]),
        ("teams[*].people[*].id", ["e", "f"]),
        ("lists[*].ids", ["g", "h", "i"]),
        ("ids", ["j", "5"]),
        ("ids[*]", ["j", "5"]),
        ("$.ids[*]", ["j", "5"]),
    ],
)
def test_a_star_walks_a_list_or_a_map_of_ids(path: str, ids: list[str]) -> None:
    by = mapping(f"""
[[rule]]
action = "add"
segment_id = 56
id = {{ path = "{path}" }}
""")
    value = {
        "people": [{"id": "a"}, {"id": "b"}],
        "by_name": {"c": {"id": "c"}, "d": {"id": "d"}},
        "teams": [{"people": [{"id": "e"}]}, {"people": [{"id": "f"}]}],
        "lists": [{"ids": ["g", "h"]}, {"ids": ["i"]}],
        "ids": ["j", 5],
    }
    assert read(by, value) == [(56, "add", "id", ids)]


def test_a_map_is_walked_though_another_path_names_a_member_of_it() -> None:
    """Its members were taken for none, and the next place of ids counted."""
    by = mapping("""
[[rule]]
when = { "people.boss" = { exists = false } }
segment_id = 56
action = "add"
id = [{ path = "people[*].id" }, { path = "author" }]
""")
    assert read(by, {"people": {"x": {"id": "a"}, "y": {"id": "b"}}, "author": "c"}) == [
        (56, "add", "id", ["a", "b"])
    ]
    assert read(by, {"people": [{"id": "a"}], "author": "c"}) == [(56, "add", "id", ["a"])]
    assert read(by, {"people": 5, "author": "c"}) == [(56, "add", "id", ["c"])]


def test_a_text_is_not_walked() -> None:
    by = mapping("""
[[rule]]
action = "add"
segment_id = { path = "s" }
id = [{ path = "s[*]" }, { path = "s.*" }, { path = "i" }]
""")
    assert read(by, {"s": "57", "i": "a"}) == [(57, "add", "id", ["a"])]


def test_a_star_leads_to_no_single_thing() -> None:
    assert View.of("a").at((Every(),)) is None


def test_a_framed_key_is_not_sent_as_an_id() -> None:
    """Nobody has such an id, and the API takes it without a word."""
    key = b'\0\0\0\0\7{"segment_id": 56, "customer_id": "a"}'
    assert read(COMPACTED, None, Beside(of_key=key)) == (
        'rule 1, segment_id: "$key.segment_id": it begins with a zero byte, as with a schema\'s id:'
        " of keys only text and JSON are read"
    )


def test_a_key_is_text_and_its_members_are_there_if_it_is_json() -> None:
    by = mapping("""
[[rule]]
when = { "$key.id" = { exists = true } }
action = "add"
segment_id = 1
id = { path = "$key.id" }
[[rule]]
action = "add"
segment_id = 2
id = { path = "$key" }
""")
    for key, says in [
        (b'{"id": 5}', [(1, "add", "id", ["5"])]),
        (b'{"schema": {"type": "struct"}, "payload": {"id": 5}}', [(1, "add", "id", ["5"])]),
        (b'{"schema": {"type": "int32"}, "payload": 5}', [(2, "add", "id", ["5"])]),
        (b'{"schema": null, "payload": "c-5"}', [(2, "add", "id", ["c-5"])]),
        (b'{"id": "\xc3\xa9"}', [(1, "add", "id", ["é"])]),
        (b'{"id": 5, "more": "\xff"}', 'rule 2, id: "$key": it is no UTF-8 text'),
        (b'{"number": 5}', [(2, "add", "id", ['{"number": 5}'])]),
        (b'{"schema": {}, "payload": [5]}', [(2, "add", "id", ['{"schema": {}, "payload": [5]}'])]),
        (b'{"schema": {}, "payload": "\xff"}', 'rule 2, id: "$key": it is no UTF-8 text'),
        (b'"c-5"', [(2, "add", "id", ["c-5"])]),
        (b'"c-5', [(2, "add", "id", ['"c-5'])]),
        (b"{", [(2, "add", "id", ["{"])]),
        (b"null", [(2, "add", "id", ["null"])]),
        ("Zoë".encode(), [(2, "add", "id", ["Zoë"])]),
        (b"\xff", 'rule 2, id: "$key": it is no UTF-8 text'),
        (b"\0\0\0\x2a", 'rule 2, id: "$key": it is no text: it has a zero byte'),
        (b"c-5\0\0\x01", 'rule 2, id: "$key": it is no text: it has a zero byte'),
        (
            b"\0\0\0\0\x05\x06c-5",
            (
                'rule 2, id: "$key": it begins with a zero byte, as with a schema\'s id:'
                " of keys only text and JSON are read"
            ),
        ),
        (None, 'rule 2, id: nothing is at "$key"'),
    ]:
        assert read(by, {}, Beside(of_key=key)) == says, key


def test_a_header_is_text() -> None:
    by = mapping("""
[[rule]]
action = { path = "$headers.do" }
segment_id = { path = "$headers.segment" }
id = { path = "$headers.who" }
id_type = { path = "$headers.kind" }
""")

    def says(**headers: bytes | str | None) -> Any:  # noqa: ANN401 - see `read`
        return read(by, {}, Beside(of_headers=list(headers.items())))

    good: dict[str, bytes | str | None] = {"do": b"add", "segment": b"56", "who": b"A@b"}
    assert says(**good) == [(56, "add", "id", ["A@b"])]
    assert says(**good, kind=b"email") == [(56, "add", "email", ["a@b"])]
    assert says(**{**good, "do": "remove"}) == [(56, "remove", "id", ["A@b"])]
    for header, text in [("do", "action"), ("segment", "segment_id"), ("who", "id")]:
        wrong = says(**{**good, header: b"\xff"})
        assert wrong == f'rule 1, {text}: "$headers.{header}": it is no UTF-8 text'
        assert says(**{**good, header: None}).startswith(f"rule 1, {text}: nothing is at")
    assert says(**good, kind=b"\xff").startswith("rule 1, id_type: ")
    assert read(by, {}) == 'rule 1, segment_id: nothing is at "$headers.segment"'


def test_neither_key_nor_headers_are_asked_for_where_no_rule_names_them() -> None:
    class Unasked(Beside):
        def key(self) -> bytes | None:
            raise AssertionError("the key was asked for")

        def headers(self) -> None:
            raise AssertionError("the headers were asked for")

    assert read(AUDIENCES, entered(), Unasked()) == [(56, "add", "id", ["customer-42"])]
    assert read(UPDATES, {"op": "u"}, Unasked())
    by_topic = mapping("""
[[rule]]
when = { op = "c" }
action = "add"
segment_id = { path = "$topic", map = { audiences = 56 } }
id = { path = "id" }
[[rule]]
action = "add"
segment_id = 57
id = { path = "$key" }
""")
    assert read(by_topic, {"op": "c", "id": "a"}, Unasked()) == [(56, "add", "id", ["a"])]


# -- walks --------------------------------------------------------------------------------------

PROFILES = mapping("""
[[rule]]
each = ["profiles", "audiences"]
segment_id = { path = "audience" }
action = { path = "$.action" }
id = { path = "^.id" }
""")


def test_walks_stand_inside_of_each_other() -> None:
    record = {
        "action": "add",
        "profiles": [
            {"id": "a", "audiences": [{"audience": 1}, {"audience": 2}]},
            {"id": "b", "audiences": {"x": {"audience": 3}}},
        ],
    }
    assert read(PROFILES, record) == [
        (1, "add", "id", ["a"]),
        (2, "add", "id", ["a"]),
        (3, "add", "id", ["b"]),
    ]


def test_a_walk_has_keys_on_every_level() -> None:
    by = mapping("""
[[rule]]
each = ["segments", "@value"]
segment_id = { path = "^.@key" }
action = { path = "^.^.action" }
id = { path = "@value" }
""")
    record = {"action": "remove", "segments": {"1": ["a", "b"], "2": ["c"]}}
    assert read(by, record) == [
        (1, "remove", "id", ["a"]),
        (1, "remove", "id", ["b"]),
        (2, "remove", "id", ["c"]),
    ]


def test_the_key_of_a_list_is_its_index() -> None:
    by = mapping("""
[[rule]]
each = "lists"
segment_id = { path = "@key", map = { 0 = 10, 1 = 11 } }
action = "add"
id = { path = "@value" }
""")
    assert read(by, {"lists": ["a", "b"]}) == [(10, "add", "id", ["a"]), (11, "add", "id", ["b"])]
    assert read(by, {"lists": ["a", "b", "c"]})[2].startswith("rule 1, segment_id: ")


def test_a_list_of_events_is_walked_from_the_top() -> None:
    by = mapping("""
[[rule]]
each = "$"
segment_id = { path = "segment_id" }
action = { path = "action" }
id = { path = "id" }
""")
    events = [{"segment_id": 1, "action": "add", "id": n} for n in ("a", "b")]
    assert read(by, events) == [(1, "add", "id", ["a"]), (1, "add", "id", ["b"])]
    enveloped = {"schema": {"type": "array"}, "payload": events}
    assert read(by, enveloped) == read(by, events)
    assert by.read(b"[]", NOTHING_BESIDE) is NOTHING_TO_WALK
    assert read(by, 5) == 'rule 1, each: "$" is a number'


def test_a_walk_that_leads_nowhere_is_malformed_and_an_empty_one_ignored() -> None:
    assert read(PROFILES, {"action": "add"}) == 'rule 1, each: nothing is at "profiles"'
    assert read(PROFILES, {"action": "add", "profiles": None}) == 'rule 1, each: "profiles" is null'
    assert read(PROFILES, {"action": "add", "profiles": []}) is None
    assert read(PROFILES, {"action": "add", "profiles": [{"audiences": []}]}) is None


def test_what_is_good_of_a_walk_is_read() -> None:
    profiles: list[Any] = [
        {"id": "a", "audiences": [{"audience": 1}, {"audience": 0}, {"audience": 2}]},
        {"id": "b", "audiences": [{"audience": -1}]},
        None,
        {"id": "c", "audiences": [{"audience": 3}]},
    ]
    assert read(PROFILES, {"action": "add", "profiles": profiles}) == [
        (1, "add", "id", ["a"]),
        (2, "add", "id", ["a"]),
        (3, "add", "id", ["c"]),
        (
            'rule 1, segment_id: "audience" is a number: an integer, 1 to 2147483647;'
            ' rule 1, each: nothing is at "audiences"'
        ),
    ]


def test_several_changes_are_read_at_each_place_of_a_walk() -> None:
    by = mapping("""
[[rule]]
each = "moves"
[[rule.change]]
action = "remove"
segment_id = { path = "from" }
id = { path = "id" }
[[rule.change]]
action = "add"
segment_id = { path = "to" }
id = { path = "id" }
""")
    moves = [{"from": 1, "to": 2, "id": "a"}, {"from": 2, "to": "x", "id": "b"}]
    assert read(by, {"moves": moves}) == [
        (1, "remove", "id", ["a"]),
        (2, "add", "id", ["a"]),
        (2, "remove", "id", ["b"]),
        'rule 1, change 2, segment_id: "to" is a string: an integer, 1 to 2147483647',
    ]


# -- segment_id, action, id_type ----------------------------------------------------------------


def field(text: str) -> Mapping:
    """Return a mapping of one rule, whose keys are these and, if they are missing, constants."""
    rest = [("segment_id", "56"), ("action", '"add"'), ("id", '"x"')]
    lines = [f"{key} = {value}" for key, value in rest if f"\n{key} = " not in f"\n{text}"]
    return mapping("\n".join(["[[rule]]", text, *lines]), SEGMENTS)


@pytest.mark.parametrize("given", [7, "7", 7.0, "007", 2**31 - 1])
def test_a_segment_is_an_integer_or_a_decimal_text(given: object) -> None:
    by = field('segment_id = { path = "s" }')
    assert read(by, {"s": given}) == [(int(str(given).split(".")[0]), "add", "id", ["x"])]


@pytest.mark.parametrize("given", [0, -1, 1.5, 2**31, 1e300, "", "x", "7.0", True, [7], {}, None])
def test_all_else_is_no_segment(given: object) -> None:
    said = read(field('segment_id = { path = "s" }'), {"s": given})
    assert said.startswith('rule 1, segment_id: "s" is ')


def test_a_segment_is_looked_up_as_text() -> None:
    by = field('segment_id = { path = "s", map = { vip = 1, 42 = 2, true = "3", "1.5" = 4 } }')
    for given, segment in [("vip", 1), (42, 2), ("42", 2), (42.0, 2), (True, 3), (1.5, 4)]:
        assert read(by, {"s": given}) == [(segment, "add", "id", ["x"])], given
    spelled = field(
        'segment_id = { path = "s", map = { "7.0" = 1, 8 = 3, "-0" = 4 }, ignore = true }'
    )
    for raw, says in [
        (b'{"s": 7.0}', [(1, "add", "id", ["x"])]),
        (b'{"s": 7.00}', None),
        (b'{"s": 7}', None),
        (b'{"s": 8.0}', [(3, "add", "id", ["x"])]),
        (b'{"s": -0}', None),
        (b'{"s": 1e999}', None),
    ]:
        assert read(spelled, raw) == says, raw
    for given in ("VIP", 43, None, [], {}, ""):
        assert read(by, {"s": given}).startswith("rule 1, segment_id: "), given


def test_the_table_of_segments_is_named() -> None:
    by = field('segment_id = { path = "s", map = "segments" }')
    assert read(by, {"s": "vip"}) == [(56, "add", "id", ["x"])]


def test_a_segment_that_is_in_no_table_is_another_or_ignored_if_the_mapping_says_so() -> None:
    other = field('segment_id = { path = "s", map = { vip = 1 }, default = 9 }')
    assert read(other, {"s": "none"}) == [(9, "add", "id", ["x"])]
    ignored = field('segment_id = { path = "s", map = { vip = 1 }, ignore = true }')
    assert read(ignored, {"s": "none"}) is None
    told = field('segment_id = { path = "s", map = { vip = 1 }, ignore = false }')
    assert read(told, {"s": "none"}).startswith("rule 1, segment_id: ")
    for by in (other, ignored, told):
        assert read(by, {}) == 'rule 1, segment_id: nothing is at "s"'
        assert read(by, {"s": []}) == 'rule 1, segment_id: "s" is a list'


def test_what_is_to_be_ignored_is_so_whatever_else_is_wrong_with_it() -> None:
    segments = field("""
segment_id = { path = "s", map = { vip = 1 }, ignore = true }
action = { path = "a" }
id = { path = "i" }
""")
    assert read(segments, {"s": "none"}) is None
    actions = field("""
segment_id = { path = "s" }
action = { path = "a", ignore = ["noted"] }
id = { path = "i" }
""")
    assert read(actions, {"a": "noted"}) is None
    assert read(actions, {"a": "add", "s": 1, "i": "x"}) == [(1, "add", "id", ["x"])]


@pytest.mark.parametrize(
    ("words", "given", "action"),
    [
        ("", "add", "add"),
        ("", "remove", "remove"),
        (', add = ["in"], remove = ["out"]', "in", "add"),
        (', add = "in", remove = "out"', "out", "remove"),
        (', add = ["true"], remove = ["false"]', True, "add"),
        (", add = [true], remove = [false]", False, "remove"),
        (", add = [1, 2], remove = [0]", 2, "add"),
        (", add = [1, 2], remove = [0]", 0.0, "remove"),
        (", add = [1.5]", 1.5, "add"),
        (', add = [""]', "", "add"),
    ],
)
def test_words_of_an_action(words: str, given: object, action: str) -> None:
    by = field(f'action = {{ path = "a"{words} }}')
    assert read(by, {"a": given}) == [(56, action, "id", ["x"])]


@pytest.mark.parametrize("given", ["IN", " in", "add", None, 1, True, [], {}, ["in"]])
def test_any_other_word_is_malformed(given: object) -> None:
    by = field('action = { path = "a", add = ["in"], remove = ["out"] }')
    assert read(by, {"a": given}).startswith("rule 1, action: ")
    assert read(by, {}) == 'rule 1, action: nothing is at "a"'


def test_the_type_of_an_id() -> None:
    by = field('id_type = { path = "t", map = { mail = "email", crm = "id", own = "cio_id" } }')
    for word, id_type in [("mail", "email"), ("crm", "id"), ("own", "cio_id")]:
        said = read(by, {"t": word})
        assert said[0][2] == id_type
    assert read(by, {})[0][2] == "id"
    assert read(by, {"t": "fax"}) == (
        'rule 1, id_type: what is at "t" is not in the mapping\'s table'
    )
    ignored = field('id_type = { path = "t", map = { mail = "email" }, ignore = true }')
    assert read(ignored, {"t": "fax"}) is None
    walked = field("""
each = "$"
id_type = { path = "t", map = { mail = "email" }, ignore = true }
id = { path = "i" }
""")
    assert read(walked, [{"t": "fax", "i": 5}, {"t": "mail", "i": True}, {"t": "mail"}]) == [
        (56, "add", "email", [], ["true"]),
        'rule 1, id: nothing is at "i"',
    ]
    other = field('id_type = { path = "t", map = { mail = "email" }, default = "cio_id" }')
    assert read(other, {"t": "fax"})[0][2] == "cio_id"
    own = field('id_type = { path = "t" }')
    assert read(own, {"t": "cio_id"})[0][2] == "cio_id"
    assert read(own, {"t": None})[0][2] == "id"
    assert read(own, {"t": []}) == 'rule 1, id_type: "t" is a list'


def test_without_an_id_type_the_setting_decides() -> None:
    text = '[[rule]]\nsegment_id = 56\naction = "add"\nid = { path = "i" }'
    assert read(mapping(text, default="email"), {"i": "A@b"}) == [(56, "add", "email", ["a@b"])]
    assert read(mapping(text, default="cio_id"), {"i": "A@b"}) == [(56, "add", "cio_id", ["A@b"])]


# -- ids ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("a", (["a"],)),
        ("Zoë", (["Zoë"],)),
        (42, (["42"],)),
        (2**70, ([str(2**70)],)),
        (["a", 5], (["a", "5"],)),
        (["a"], (["a"],)),
        ("", ([], ['""'])),
        (1.5, ([], ["1.5"])),
        (56.0, ([], ["56.0"])),
        (True, ([], ["true"])),
        ([None], ([], ["null"])),
        ("x" * 151, ([], ['"' + "x" * 151 + '"'])),
        ("é" * 76, ([], ['"' + "\\u00e9" * 76 + '"'])),
        (["a", "", 1.5, "b", {"c": 1}], (["a", "b"], ['""', "1.5", '{"c": 1}'])),
        (["a", ["b"]], (["a"], ['["b"]'])),
    ],
)
def test_ids_are_what_they_are_in_an_event(given: object, says: tuple[Any, ...]) -> None:
    assert read(field('id = { path = "i" }'), {"i": given}) == [(56, "add", "id", *says)]


_NO_IDS: tuple[object, ...] = ("", "x" * 151, "é" * 76, None, 1.5, False, ["b"], {})


@pytest.mark.parametrize(
    ("odd", "sent"),
    [
        ("b", "b"),
        ("x" * 150, "x" * 150),
        ("é" * 75, "é" * 75),
        (7, "7"),
        *[(each, None) for each in _NO_IDS],
    ],
)
def test_a_list_is_read_as_each_of_its_ids_is(odd: object, sent: str | None) -> None:
    """Those that are plain are looked at together."""
    by = field('id = { path = "i" }')
    for given in (["a", odd, "c"], [odd, "a", "c"], ["a", "c", odd]):
        ((*_, good), *_) = [change[:4] for change in read(by, {"i": given})]
        assert good == [sent if each is odd else each for each in given if each is not odd or sent]


def test_minus_zero_is_zero() -> None:
    by = field('id = { path = "i" }')
    assert read(by, b'{"i": -0}') == [(56, "add", "id", ["0"])]
    assert read(by, b'{"i": [-0, 1.5]}') == [(56, "add", "id", ["0"], ["1.5"])]


def test_an_address_is_taken_in_lower_case_and_has_an_at() -> None:
    by = field('id = { path = "i" }\nid_type = "email"')
    assert read(by, {"i": ["A@B.c", "b"]}) == [(56, "add", "email", ["a@b.c"], ['"b"'])]
    assert read(by, {"i": "A@B.c"}) == [(56, "add", "email", ["a@b.c"])]
    assert read(by, {"i": "a"}) == [(56, "add", "email", [], ['"a"'])]
    for fits, more in [("@" + "y" * 253, "y"), ("@" + "É" * 126, "É")]:
        assert read(by, {"i": fits}) == [(56, "add", "email", [fits.lower()])]
        (invalid,) = read(by, {"i": fits + more})
        assert invalid[3] == []
    assert read(by, {"i": ["A@B.c", "D@e"]}) == [(56, "add", "email", ["a@b.c", "d@e"])]


def test_an_id_may_be_a_constant() -> None:
    assert read(field('id = "everybody"'), {}) == [(56, "add", "id", ["everybody"])]
    assert read(field('id = [{ path = "i" }, 42]'), {}) == [(56, "add", "id", ["42"])]


def test_what_is_no_id_at_all_is_malformed() -> None:
    by = field('id = [{ path = "i" }, { path = "j.k", id_type = "email" }]')
    assert read(by, {}) == 'rule 1, id: nothing is at "i" or "j.k"'
    assert read(by, {"i": []}) == 'rule 1, id: the list at "i" is empty'
    assert read(by, {"i": {"a": 1}}) == (
        'rule 1, id: "i" is an object: a string, an integer, or a list of them'
    )


def test_null_is_nothing_and_a_record_without_an_id_is_kept_whole() -> None:
    """To dead-letter the null alone would lose what another mapping could read."""
    by = field('id = [{ path = "i" }, { path = "j", id_type = "email" }]')
    assert read(by, {"i": None, "j": "a@b"}) == [(56, "add", "email", ["a@b"])]
    for nobody in ({"i": None, "j": None}, {"i": None}, {"j": None}, {}):
        assert read(by, nobody) == 'rule 1, id: nothing is at "i" or "j"'


@pytest.mark.parametrize("blank", ["", [], [""], [None], ["", None]])
def test_what_is_blank_is_passed_over_only_if_something_else_is_there(blank: object) -> None:
    """A field of Protobuf that nobody set is an empty text, or list."""
    by = field('id = [{ path = "i" }, { path = "j", id_type = "email" }]')
    assert read(by, {"i": blank, "j": "a@b"}) == [(56, "add", "email", ["a@b"])]
    alone = read(by, {"i": blank})
    for also_blank in (None, "", [], [None]):
        assert read(by, {"i": blank, "j": also_blank}) == alone
    if blank == []:
        assert alone == 'rule 1, id: the list at "i" is empty'
    else:
        invalid = [json.dumps(each) for each in (blank if isinstance(blank, list) else [blank])]
        assert alone == [(56, "add", "id", [], invalid)]


def test_places_of_a_star_where_nothing_is_are_told() -> None:
    by = field('id = { path = "people[*].id" }')
    told = 'rule 1, id: nothing is at "people[*].id" in some of the places'
    for nobody in ({}, {"id": None}, None):
        people = [{"id": "a"}, nobody, {"id": 5}]
        assert read(by, {"people": people}) == [(56, "add", "id", ["a", "5"]), told]
    nothing: list[dict[str, Any]] = [{"people": []}, {"people": [{}]}, {}]
    for record in nothing:
        assert read(by, record) == 'rule 1, id: nothing is at "people[*].id"'
    told = 'rule 1, id: nothing is at "people[*].id": "people" is a number'
    assert read(by, {"people": 5}) == told


def test_half_a_surrogate_pair_is_no_id() -> None:
    """As in a plain event, the record is no JSON then."""
    for given in (b'"\\ud800"', b'["a", "\\udfff"]', b'["a", 1e999, "\\ud800"]'):
        assert read(field('id = { path = "i" }'), b'{"i": ' + given + b"}").startswith("not JSON: ")


def test_no_id_of_a_person_is_in_a_detail() -> None:
    """A wrong path may lead to one."""
    person = "1234567"
    by = mapping(
        """
[[rule]]
each = "list"
segment_id = { path = "p" }
action = { path = "p", add = ["in"] }
id = { path = "p" }
id_type = { path = "p" }
[[rule]]
segment_id = { path = "p", map = { x = 1 } }
action = "add"
id = { path = "p" }
""".replace("each", "when = { list = { exists = true } }\neach")
    )
    for value in (person, 1234567, 1234567.5, [person], {person: person}, [[person]]):
        for record in ({"list": [{"p": value}]}, {"list": {person: {"p": value}}}, {"p": value}):
            assert person not in str(read(by, record))


# -- what comes of it ---------------------------------------------------------------------------


def test_one_change_is_an_event_whose_ids_are_as_they_are_sent() -> None:
    found = AUDIENCES.read(b'{"type": "track", "event": "Audience Entered", "userId": 42,'
                           b' "properties": {"audience_key": "vip"}}', NOTHING_BESIDE)  # fmt: skip
    assert found == Event(56, "add", id="42", id_type="id")
    of_a_list = field('id = { path = "i" }').read(b'{"i": ["a"]}', NOTHING_BESIDE)
    assert of_a_list == Event(56, "add", id="a", id_type="id")
    several = field('id = { path = "i" }').read(b'{"i": ["a", 5]}', NOTHING_BESIDE)
    assert several == Event(56, "add", ids=["a", "5"], id_type="id")


def test_one_change_with_invalid_ids_is_among_changes() -> None:
    found = field('id = { path = "i" }').read(b'{"i": ["a", true, 1.5]}', NOTHING_BESIDE)
    assert isinstance(found, Changes)
    assert found.malformed is None
    (mixed,) = found.changes
    assert isinstance(mixed, Mixed)
    assert mixed.event == Event(56, "add", ids=["a"], id_type="id")
    assert mixed.detail == (
        "an id is a boolean: a string or an integer;"
        " an id is a number with a fraction: a string or an integer"
    )


def test_each_problem_is_said_once() -> None:
    people = [{"s": 0}, {"s": 0}, {"s": "x"}]
    by = field('each = "people"\nsegment_id = { path = "s" }')
    assert read(by, {"people": people}) == (
        'rule 1, segment_id: "s" is a number: an integer, 1 to 2147483647;'
        ' rule 1, segment_id: "s" is a string: an integer, 1 to 2147483647'
    )


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"after": {"SEGMENT_ID": 1}}, ': "SEGMENT_ID" is there'),
        ({"after": {"segmentId": 1}}, ': "segmentId" is there'),
        ({"after": {"segment": 1, "ann@example.com": 1}}, ""),
        ({"AFTER": {"segment_id": 1}}, ': "AFTER" is there'),
        ({"after": '{"segment_id": 1}'}, ': "after" is a JSON text inside a JSON string'),
        ({"after": "ann@example.com"}, ': "after" is a string'),
        ({"after": 5}, ': "after" is a number'),
        ({"after": [{"segment_id": 1}]}, ""),
        ({"after": None}, ""),
        ({}, ""),
    ],
)
def test_what_is_in_the_way_to_where_nothing_is_is_told(record: Any, why: str) -> None:  # noqa: ANN401 - see `read`
    """Other databases spell names in capitals; documents come as texts; people are never told."""
    by = field('segment_id = { path = "after.segment_id" }')
    assert read(by, record) == f'rule 1, segment_id: nothing is at "after.segment_id"{why}'
    by = mapping("""
[[rule]]
segment_id = 1
action = "add"
id = [{ path = "$key" }, { path = "after.segment_id" }, { path = "after.id" }]
""")
    told = 'rule 1, id: nothing is at "$key" or "after.segment_id" or "after.id"'
    assert read(by, record) == f"{told}{why}"


def test_several_members_may_say_which_item_of_a_list_is_meant() -> None:
    by = field('segment_id = { path = "s[type=x][of = 5].id" }')
    items = [{"type": "x", "id": 1}, {"of": 5, "id": 2}, {"type": "y", "of": 5, "id": 3}]
    assert read(by, {"s": items}) == 'rule 1, segment_id: nothing is at "s[type=x][of = 5].id"'
    assert read(by, {"s": [*items, {"type": "x", "of": 5, "id": 4}]}) == [(4, "add", "id", ["x"])]
    assert read(by, {"s": [*items, {"type": "x", "of": [5], "id": 4}]}).startswith("rule 1")


def test_why_a_record_is_ignored_is_told() -> None:
    """An audience that is in no table is most often a slip in the table."""
    by = mapping("""
[[rule]]
when = { one = { exists = true } }
segment_id = { path = "one", map = { vip = 1 }, ignore = true }
action = "add"
id = "i"
[[rule]]
each = "all"
segment_id = { path = "@key", map = { vip = 1 }, ignore = true }
action = { path = "do", ignore = ["no"] }
id = { path = "id" }
id_type = { path = "of", map = { mail = "email" }, ignore = true }
""")
    at_all = (
        'rule 2: what is at "@key" is not in the table of segments,'
        ' or what is at "do" or "of" is to be ignored'
    )
    for value, detail in [
        (b'{"one": "VIP"}', 'rule 1: what is at "one" is not in the table of segments'),
        (b'{"all": {"VIP": {"do": "add", "id": "i"}}}', at_all),
        (b'{"all": {"vip": {"do": "no", "id": "i"}}}', at_all),
        (b'{"all": {"vip": {"do": "add", "id": "i", "of": "phone"}}}', at_all),
        (b'{"all": {}}', NOTHING_TO_WALK.detail),
        (b'{"all": []}', NOTHING_TO_WALK.detail),
    ]:
        for found in (by.read(value, NOTHING_BESIDE), read_carefully(by, value, NOTHING_BESIDE)):
            assert found == Ignored(detail), value
    assert UPDATES.read(b"{}", NOTHING_BESIDE) == NO_RULE
    assert NO_RULE.detail


def test_several_changes_all_to_be_ignored_ignore_the_record() -> None:
    by = mapping("""
[[rule]]
[[rule.change]]
action = { path = "a", ignore = ["x"] }
segment_id = 1
id = "i"
[[rule.change]]
action = { path = "b", ignore = ["x"] }
segment_id = 1
id = "i"
""")
    ignored = Ignored('rule 1: what is at "a" or "b" is to be ignored')
    assert by.read(b'{"a": "x", "b": "x"}', NOTHING_BESIDE) == ignored
    assert read(by, {"a": "x", "b": "add"}) == [(1, "add", "id", ["i"])]
    assert read(by, {"a": "x", "b": "y"}).startswith("rule 1, change 2, action: ")


def test_json_says_the_same_as_toml() -> None:
    by = mapping("""{"rule": [{"when": {"op": "c"}, "segment_id": {"path": "s"},
                     "action": "add", "id": [{"path": "i"}]}]}""")
    assert read(by, {"op": "c", "s": 1, "i": "a"}) == [(1, "add", "id", ["a"])]


def test_names_in_capitals_are_names_like_others() -> None:
    by = field('segment_id = { path = "SEGMENT_ID" }\nid = { path = "CUSTOMER_ID" }')
    assert read(by, {"SEGMENT_ID": 7.0, "CUSTOMER_ID": 42}) == [(7, "add", "id", ["42"])]


def test_a_path_to_nothing_of_the_value_leaves_it_alone() -> None:
    """It may be anything then, as an Avro record is."""
    by = field('id = { path = "$key" }')
    for value in (b"\0\0\0\0\1x", b"\xff", b"{"):
        assert read(by, value, Beside(of_key=b"a")) == [(56, "add", "id", ["a"])]
    assert read(by, b"\xff", Beside(of_key=b"\xff")).startswith("rule 1, id: ")
    assert read(by, b"null", Beside(of_key=b"a")) is None


# -- keys that a table lacks --------------------------------------------------------------------


def test_keys_that_the_table_lacks_are_told_of_changes_that_it_would_read() -> None:
    by = mapping(
        """
[[rule]]
when = { traits = { exists = true } }
each = "traits"
segment_id = { path = "@key", map = "segments", ignore = true }
action = { path = "@value", add = ["true"], remove = ["false"], ignore = ["none"] }
id = [{ path = "$.user" }, { path = "$.traits.email", id_type = "email" }]
[[rule]]
when = { audience = { exists = true } }
segment_id = { path = "audience", map = { vip = 1 } }
action = "add"
id = { path = "users" }
[[rule]]
when = { other = { exists = true } }
[[rule.change]]
segment_id = { path = "other", map = { vip = 1 }, default = 2 }
action = "add"
id = "x"
[[rule.change]]
segment_id = { path = "more" }
action = "add"
id = "x"
""",
        SEGMENTS,
    )

    def unlisted(value: object) -> tuple[str, ...]:
        found = by.unlisted_keys(encoded(value), NOTHING_BESIDE)
        assert by.unlisted_keys_of_decoded(value, NOTHING_BESIDE) == found
        return found

    traits = {"vip": True, "new": True, "plan": "pro", "late": "none", "old": False, "x": None}
    assert unlisted({"traits": traits, "user": "u"}) == ("new", "old")
    assert unlisted({"audience": 7.0}) == ("7",)
    for nothing in ({"other": "z", "more": 5}, {"audience": "vip"}, {"audience": ["a"]}, {}, None):
        assert unlisted(nothing) == ()
    for value in (b"{", b"\xff", None):
        assert by.unlisted_keys(value, NOTHING_BESIDE) == ()
    assert by.unlisted_keys(b'\xef\xbb\xbf{"audience": "a"}', NOTHING_BESIDE) == ("a",)
    wrong_paths: list[tuple[object, object]] = [("u-1", "u-1"), ("u-1", ["u-1"]), ("a@b", "u-1")]
    for audience, users in wrong_paths:  # that lead to a person
        assert unlisted({"audience": audience, "users": users}) == ()


def test_what_stands_in_a_key_that_is_no_text_is_no_key_of_a_segment() -> None:
    by = mapping("""
[[rule]]
when = { audience = { exists = true } }
segment_id = { path = "audience", map = { vip = 1 } }
action = "add"
id = [{ path = "$key" }, { path = "user" }]
[[rule]]
segment_id = { path = "$key.audience", map = { vip = 1 } }
action = "add"
id = { path = "user" }
""")
    for key in (b"\xff", b"\0\0\0\0\7abc"):
        beside = Beside(of_key=key)
        assert by.unlisted_keys(b'{"audience": "new", "user": "u"}', beside) == ("new",)
        assert by.unlisted_keys(b'{"audience": "u", "user": "u"}', beside) == ()
        assert by.unlisted_keys(b'{"user": "u"}', beside) == ()
    assert by.unlisted_keys(b'{"user": "u"}', Beside(of_key=b'{"audience": "a"}')) == ("a",)


# -- Connect's envelope -------------------------------------------------------------------------


def test_connects_envelope_is_taken_off_before_any_rule() -> None:
    row = {"op": "u", "before": {"segment_id": 1, "customer_id": 5}, "after": {"segment_id": 2}}
    for schema in ({"type": "struct", "fields": []}, None):
        assert read(UPDATES, {"schema": schema, "payload": row}) == read(UPDATES, row)
        assert read(UPDATES, {"payload": row, "schema": schema}) == read(UPDATES, row)
        assert read(UPDATES, {"schema": schema, "payload": None}) is None


def test_what_only_looks_like_an_envelope_is_none() -> None:
    whole = {"op": "c", "s": 1, "i": "a"}
    by = field('segment_id = { path = "s" }\nid = { path = "i" }')
    others: list[dict[str, Any]] = [
        {"schema": "v1", "payload": {}},
        {"payload": {"s": 9}},
        {"schema": {}},
    ]
    for members in others:
        assert read(by, {**whole, **members}) == [(1, "add", "id", ["a"])]


def test_members_of_the_envelopes_names_may_be_named() -> None:
    for path in ("payload.s", "schema.s"):
        by = field(f'segment_id = {{ path = "{path}" }}')
        name = path.partition(".")[0]
        assert read(by, {name: {"s": 1}}) == [(1, "add", "id", ["x"])]
        enveloped = {"schema": {}, "payload": {name: {"s": 1}}}
        assert read(by, enveloped) == [(1, "add", "id", ["x"])]
    both = field('segment_id = { path = "payload.s" }\nid = { path = "schema.i" }')
    record = {"payload": {"s": 1}, "schema": "x"}
    told = 'rule 1, id: nothing is at "schema.i": "schema" is a string'
    assert read(both, record) == told
    inner = {"payload": {"s": 1}, "schema": {"i": "a"}}
    assert read(both, {"schema": {}, "payload": inner}) == [(1, "add", "id", ["a"])]


def test_rules_for_lists_and_for_objects_stand_side_by_side() -> None:
    by = mapping("""
[[rule]]
when = { "$[0]" = { exists = true } }
each = "$"
segment_id = { path = "s" }
action = "add"
id = { path = "i" }
[[rule]]
segment_id = { path = "s" }
action = "remove"
id = { path = "i" }
""")
    one = {"s": 1, "i": "a"}
    assert read(by, [one]) == [(1, "add", "id", ["a"])]
    assert read(by, one) == [(1, "remove", "id", ["a"])]
    assert read(by, {"schema": {}, "payload": [one]}) == [(1, "add", "id", ["a"])]
    assert read(by, {"schema": {}, "payload": one}) == [(1, "remove", "id", ["a"])]
    assert read(by, 5) == 'rule 2, segment_id: nothing is at "s"'


# -- values that were decoded already -----------------------------------------------------------


def test_what_was_decoded_already_is_read_alike() -> None:
    assert AUDIENCES.read_decoded(entered(), NOTHING_BESIDE) == Event(
        56, "add", id="customer-42", id_type="id"
    )
    assert AUDIENCES.read_decoded({"type": "other"}, NOTHING_BESIDE) is NO_RULE
    by = field('id = { path = "i" }')
    found = by.read_decoded({"i": [5, b"\1\2"]}, NOTHING_BESIDE)
    assert found == Event(56, "add", ids=["5", "AQI="], id_type="id")
    at_topic = field('id = { path = "$topic" }\nsegment_id = { path = "s" }')
    assert at_topic.read_decoded({"s": 1}, Beside("t")) == Event(1, "add", id="t", id_type="id")


def test_what_was_decoded_and_is_nothing_is_no_value() -> None:
    gone = Beside(of_key=b'{"segment_id": 56, "customer_id": "a"}')
    assert said(COMPACTED.read_decoded(None, gone)) == [(56, "remove", "id", ["a"])]


def test_what_was_decoded_is_in_no_envelope() -> None:
    by = field('segment_id = { path = "payload.s" }\nid = { path = "i" }')
    inner = {"schema": {}, "payload": {"s": 1}, "i": ["a", 1.5]}
    assert said(by.read_decoded(inner, NOTHING_BESIDE)) == [(1, "add", "id", ["a"], ["1.5"])]


def test_what_was_decoded_and_has_no_json_form_is_malformed() -> None:
    circle: dict[str, Any] = {}
    circle["i"] = [circle]
    by = field('id = { path = "i.j" }')
    for value in ({"i": {object(): 1}}, circle, {"i": "\ud800"}):
        found = by.read_decoded(value, NOTHING_BESIDE)
        assert not isinstance(found, Event)


# -- the quick plan -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "value"),
    [
        (AUDIENCES, entered()),
        (AUDIENCES, entered(userId="Zoë")),
        (AUDIENCES, entered(userId=42)),
        (AUDIENCES, entered(userId=None, context={"traits": {"email": "a@b"}})),
        (AUDIENCES, {"type": "identify"}),
        (AUDIENCES, {}),
        (AUDIENCES, {"schema": {"type": "struct"}, "payload": entered()}),
        (
            MEMBERSHIPS,
            {
                "segmentMembership": {"ups": {"aud_x": {"status": "exited"}}},
                "identityMap": {"email": [{"id": "a@b"}]},
            },
        ),
        (
            UPDATES,
            {
                "op": "u",
                "before": {"segment_id": 1, "customer_id": "a"},
                "after": {"segment_id": 2.0, "customer_id": ["a", "b"]},
            },
        ),
        (PROFILES, {"action": "add", "profiles": [{"id": 5, "audiences": [{"audience": "1"}]}]}),
        (PROFILES, {"action": "add", "profiles": []}),
        (COMPACTED, None),
        (COMPACTED, {"segment_id": 1, "customer_id": "a"}),
        (rule('{ a = true, b = 1, "c[0]" = "x" }'), {"a": True, "b": 1.0, "c": ["x"]}),
        (rule("{ a.b = { exists = true } }"), {"a": {"b": []}}),
        (rule('{ "$topic" = "audiences", "$headers.x" = "y" }'), {}),
        (field('id = { path = "l[*].id" }'), {"l": [{"id": "a"}, {"id": 5}]}),
        (field('id = { path = "l[t=a].id" }'), {"l": [None, {"t": "a", "id": "b"}]}),
        (field('id = [{ path = "l[*].id" }, { path = "i" }]'), {"i": "a"}),
        (field('id = { path = "$key" }'), {}),
        (field('id = { path = "i" }\nid_type = { path = "t.u" }'), {"i": "a"}),
        (
            field('id = { path = "i" }\nid_type = { path = "t.u" }'),
            {"i": "a@b", "t": {"u": "email"}},
        ),
        (field('segment_id = { path = "s", map = { true = 1 } }'), {"s": True}),
        (field('segment_id = { path = "s", map = { x = 1 }, ignore = true }'), {"s": "y"}),
        (field('segment_id = { path = "s" }'), {"s": "0056"}),
        (field('action = { path = "a", ignore = ["x"] }'), {"a": "x"}),
        (field('id = "x"'), {"more": 1e300}),
    ],
)
def test_the_quick_plan_reads_what_is_usual_without_the_careful_one(
    by: Mapping,
    value: Any,  # noqa: ANN401 - what JSON is made of
) -> None:
    """Which would say the same, but take thirty times as long."""
    beside = Beside(of_key=b'{"segment_id": 1, "customer_id": "a"}', of_headers=[("x", b"y")])
    plan = by._plan  # noqa: SLF001 - it is asked alone
    if value is None:
        found = plan.read_nothing(beside)
    else:
        found = plan.reader(lambda *_: None)(encoded(value), beside)
    assert found is not None
    assert said(found) == read(by, value, beside)
