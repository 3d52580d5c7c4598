"""What is wrong with a mapping, or a table of segments, is said whole, each with its place."""

import pytest

from consumer.core.mapping.document import table_of
from consumer.core.mapping.problems import Place, Problem
from consumer.core.mapping.segments import segments_of
from tests.support.mapped import SEGMENTS, mapping, problems_of

GOOD = {"segment_id": "1", "action": '"add"', "id": '{ path = "i" }'}


def rule(**keys: str) -> str:
    """Return the text of one rule: what is given, and what else it needs."""
    return "\n".join(
        ["[[rule]]", *(f"{key} = {value}" for key, value in {**GOOD, **keys}.items() if value)]
    )


A_SEGMENT = "a segment's id: an integer, 1 to 2147483647, or the same as text"
AN_ACTION = '"add", "remove", or a table with a path'
A_TYPE = '"id", "email" or "cio_id"'
BAD_NAME = "no name with a quote, a backslash or a control character"
KNOWN_OF_A_RULE = "when, each, segment_id, action, id, id_type, change are"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["rule: missing: [[rule]] begins one"]),
        ("rule = []", ["rule: missing: [[rule]] begins one"]),
        ("rule = 5", ["rule: missing: [[rule]] begins one"]),
        ("[rule]\nid = 5", ["rule: a table: [[rule]], in two brackets, begins one"]),
        ("rule = [5]", ["rule 1: a number: a rule is a table"]),
        ("{}", ["rule: missing: [[rule]] begins one"]),
        ("rules = 5\n" + rule(), ["rules: not known: rule are"]),
        (rule(segment="5"), [f"rule 1, segment: not known: {KNOWN_OF_A_RULE}"]),
        ("[[rule]]", [f"rule 1, {key}: missing" for key in ("segment_id", "action", "id")]),
        # when
        (rule(when='"track"'), ["rule 1, when: a text: a table of paths"]),
        (rule(when="{ a = [] }"), ["rule 1, when.a: an empty list"]),
        (
            rule(when="{ a = {} }"),
            ["rule 1, when.a: an empty table: { exists = true }, or a value"],
        ),
        (rule(when='{ a = { exists = "x" } }'), ["rule 1, when.a.exists: a text: true or false"]),
        (
            rule(when="{ a = 2026-11-02 }"),
            ["rule 1, when.a: a date or time: a text, number or boolean"],
        ),
        (rule(when="{ a = [[1]] }"), ["rule 1, when.a: a list: a text, number or boolean"]),
        (rule(when='{ "a[*]" = 1 }'), ['rule 1, when.a[*]: "a[*]": * is for ids']),
        (rule(when='{ "@key" = 1 }'), None),
        (rule(when='{ a = 1, "b." = 1 }'), ['rule 1, when.b.: "b." is no path from "." on']),
        # paths
        (rule(id="{ path = 5 }"), ["rule 1, id.path: a number: a path is a text"]),
        (rule(id="{}"), ["rule 1, id.path: missing"]),
        (rule(id='{ path = "" }'), ["rule 1, id.path: an empty path"]),
        (rule(id='{ path = ".a" }'), ['rule 1, id.path: ".a" is no path from ".a" on']),
        (rule(id='{ path = "$..a" }'), ['rule 1, id.path: "$..a" is no path from ".a" on']),
        (rule(id='{ path = "a..b" }'), ['rule 1, id.path: "a..b" is no path from "..b" on']),
        (rule(id='{ path = "a[x]" }'), ['rule 1, id.path: "a[x]" is no path from "[x]" on']),
        (rule(id='{ path = "a[0" }'), ['rule 1, id.path: "a[0" is no path from "[0" on']),
        (rule(id='{ path = "a[0]b" }'), ['rule 1, id.path: "a[0]b" is no path from "b" on']),
        (rule(id="{ path = '[\"\\x\"]' }"), None),
        (
            rule(id='{ path = "$value2" }'),
            ['rule 1, id.path: "$value2": $, $value, $topic, $key, $headers.NAME are known'],
        ),
        (
            rule(id='{ path = "$topic.a" }'),
            ['rule 1, id.path: "$topic.a": nothing is below $topic'],
        ),
        *(
            (
                rule(id=f'{{ path = "{path}" }}'),
                [f'rule 1, id.path: "{path}": a header is $headers.NAME or $headers["NAME"]'],
            )
            for path in ("$headers", "$headers[0]", "$headers.a.b")
        ),
        (
            rule(id='{ path = "^.a" }'),
            ['rule 1, id.path: "^.a" goes further out than there are walks'],
        ),
        (
            rule(id='{ path = "@key" }'),
            ['rule 1, id.path: "@key" is of an entry, and nothing is walked here'],
        ),
        (
            rule(id='{ path = "@value.a" }'),
            ['rule 1, id.path: "@value.a" is of an entry, and nothing is walked here'],
        ),
        (
            rule(id='{ path = "@key.a" }', each='"l"'),
            ['rule 1, id.path: "@key.a": nothing is below a key'],
        ),
        *(
            (rule(id="{ path = '" + path + "' }"), [f'rule 1, id.path: "{name}": {BAD_NAME}'])
            for path, name in [
                (r'["a\"b"].c', 'a"b'),
                (r'["a\\b"]', "a\\b"),
                (r'["a\nb"]', "a\nb"),
                (r"a\b", "a\\b"),
                (r"l[a\b=c]", "a\\b"),
            ]
        ),
        # each
        (rule(each="[]"), ["rule 1, each: 0 walks: 1 to 4"]),
        (rule(each='["a", "b", "c", "d", "e"]'), ["rule 1, each: 5 walks: 1 to 4"]),
        (rule(each="5"), ["rule 1, each: a number: a path is a text"]),
        (rule(each='"a[*]"'), ['rule 1, each: "a[*]": * is for ids']),
        (
            rule(each='"$key.a"'),
            ['rule 1, each: "$key.a": only what is in the value can be walked'],
        ),
        # segment_id
        *(
            (rule(segment_id=given), [f"rule 1, segment_id: {told}: {A_SEGMENT}"])
            for given, told in [
                ("0", "a number"),
                ("1.5", "a number"),
                ("true", "a boolean"),
                ('"x"', '"x"'),
                ("[1]", "a list"),
            ]
        ),
        (
            rule(segment_id='{ path = "a", table = 5 }'),
            ["rule 1, segment_id.table: not known: path, map, default, ignore are"],
        ),
        (
            rule(segment_id='{ path = "a", map = "segment" }'),
            ['rule 1, segment_id.map: a text: a table of words, or "segments"'],
        ),
        (rule(segment_id='{ path = "a", map = {} }'), ["rule 1, segment_id.map: empty"]),
        (
            rule(segment_id='{ path = "a", map = "segments" }'),
            ['rule 1, segment_id.map: EVENT_SEGMENTS, which "segments" means, is not set'],
        ),
        (
            rule(segment_id='{ path = "a", map = { x = 0, y = 1, z = "?" } }'),
            [
                f"rule 1, segment_id.map.x: a number: {A_SEGMENT}",
                f'rule 1, segment_id.map.z: "?": {A_SEGMENT}',
            ],
        ),
        (
            rule(segment_id='{ path = "a", map = { x = 1 }, default = 0 }'),
            [f"rule 1, segment_id.default: a number: {A_SEGMENT}"],
        ),
        (
            rule(segment_id='{ path = "a", map = { x = 1 }, ignore = "yes" }'),
            ["rule 1, segment_id.ignore: a text: true or false"],
        ),
        (
            rule(segment_id='{ path = "a", map = { x = 1 }, ignore = true, default = 1 }'),
            ["rule 1, segment_id.ignore: a default is given too"],
        ),
        *(
            (
                rule(segment_id=f'{{ path = "a", {key} = {value} }}'),
                [f"rule 1, segment_id.{key}: is of a map, and there is none"],
            )
            for key, value in [("default", "1"), ("ignore", "true")]
        ),
        # action
        (rule(action='"Add"'), [f'rule 1, action: "Add": {AN_ACTION}']),
        (rule(action="5"), [f"rule 1, action: a number: {AN_ACTION}"]),
        (
            rule(action='{ path = "a", added = [] }'),
            ["rule 1, action.added: not known: path, add, remove, ignore are"],
        ),
        (
            rule(action='{ path = "a", add = ["x", 1], remove = ["1"] }'),
            ['rule 1, action.remove: "1" has another meaning too'],
        ),
        (rule(action='{ path = "a", add = [] }'), ["rule 1, action.add: an empty list"]),
        (
            rule(action='{ path = "a", ignore = [{}] }'),
            ["rule 1, action.ignore: a table: a text, number or boolean"],
        ),
        # id and id_type
        (rule(id="[]"), ["rule 1, id: an empty list"]),
        (rule(id='""'), ["rule 1, id: a text: a path in a table, or one id"]),
        (rule(id="true"), ["rule 1, id: a boolean: a path in a table, or one id"]),
        (rule(id="[1.5]"), ["rule 1, id: a number: a path in a table, or one id"]),
        (
            rule(id='{ path = "a", type = "email" }'),
            ["rule 1, id.type: not known: path, id_type are"],
        ),
        (
            rule(id='{ path = "a", id_type = "mail" }'),
            [f'rule 1, id.id_type: "mail": {A_TYPE}'],
        ),
        (rule(id_type='"mail"'), [f'rule 1, id_type: "mail": {A_TYPE}']),
        (
            rule(id_type='{ path = "a", map = { x = "mail" } }'),
            [f'rule 1, id_type.map.x: "mail": {A_TYPE}'],
        ),
        (
            rule(id_type='{ path = "a", map = { x = "email" }, default = 5 }'),
            [f"rule 1, id_type.default: a number: {A_TYPE}"],
        ),
        # changes
        (
            rule(change="[]"),
            [
                *(
                    f"rule 1, {key}: belongs into the rule's changes, as it has some"
                    for key in ("segment_id", "action", "id")
                ),
                "rule 1, change: empty",
            ],
        ),
        ("[[rule]]\nchange = 5", ["rule 1, change: a number: [[rule.change]] begins one"]),
        ("[[rule]]\nchange = [5]", ["rule 1, change 1: a number: a change is a table"]),
        (
            "[[rule]]\n[[rule.change]]\nwhen = {}",
            [
                "rule 1, change 1, when: not known: segment_id, action, id, id_type are",
                *(f"rule 1, change 1, {key}: missing" for key in ("segment_id", "action", "id")),
            ],
        ),
        # what can't be
        (
            rule() + "\n" + rule(),
            ["rule 2: no record gets here: rule 1 has no conditions and fits all"],
        ),
        (
            rule(when='{ "$value" = { exists = false } }'),
            ['rule 1: "i" leads nowhere: the rule is for records without a value'],
        ),
        (
            rule(when='{ "$value" = { exists = false } }', id='"x"', each='"l"'),
            ["rule 1, each: the rule is for records without a value"],
        ),
    ],
)
def test_a_mapping_is_told_what_is_wrong_with_it(text: str, problems: list[str] | None) -> None:
    found = problems_of(text)
    assert found
    if problems is not None:
        assert found == problems


def test_every_problem_is_said_at_once_in_the_order_of_the_file() -> None:
    found = problems_of("""
kind = "x"
[[rule]]
when = { a = [] }
segment_id = 0
action = "Add"
id = { path = "a[" }
[[rule]]
[[rule.change]]
segment_id = { path = "^.a" }
action = "add"
id = "x"
""")
    assert [problem.partition(": ")[0] for problem in found] == [
        *("kind", "rule 1, when.a", "rule 1, segment_id", "rule 1, action", "rule 1, id.path"),
        "rule 2, change 1, segment_id.path",
    ]


def test_a_rule_for_records_without_a_value_may_stand_behind_one_for_all_others() -> None:
    gone = rule(when='{ "$value" = { exists = false } }', id='{ path = "$key" }')
    assert problems_of(rule() + "\n" + gone) == []
    assert problems_of(gone + "\n" + rule()) == []


def test_a_text_that_is_neither_toml_nor_json_says_where() -> None:
    (toml,) = problems_of("[[rule]]\nid = = 5")
    assert toml.startswith("not TOML: ")
    assert "line 2" in toml
    (json,) = problems_of('{"rule": [}')
    assert json.startswith("not JSON: ")
    assert "byte 10" in json
    (deep,) = problems_of('{"rule": ' + "[" * 100_000)
    assert deep.startswith("not JSON: ")


def test_json_has_null_and_toml_has_none() -> None:
    found = problems_of('{"rule": [{"when": {"a": null}, "segment_id": null, "action": null}]}')
    assert found == [
        "rule 1, when.a: null: use { exists = false }",
        f"rule 1, segment_id: null: {A_SEGMENT}",
        f"rule 1, action: null: {AN_ACTION}",
        "rule 1, id: missing",
    ]


def test_a_byte_order_mark_in_front_of_a_mapping_is_passed_over() -> None:
    assert mapping("\ufeff" + rule())


def test_a_table_of_segments() -> None:
    table = table_of('vip = 56\n"odd key" = "57"')
    assert not isinstance(table, Problem)
    assert segments_of(table) == {"vip": 56, "odd key": 57}
    assert problems_of(rule(segment_id='{ path = "a", map = "segments" }'), SEGMENTS) == []


def test_a_wrong_table_of_segments_says_each_key() -> None:
    wanted = "a segment's id is an integer, 1 to 2147483647"
    wrong = {"a": 0, "b": {"c": 1}, "d": True, "e": 1.0, "f": "x", "g": 7}
    assert [str(problem) for problem in segments_of({**wrong})] == [
        f"a: a number: {wanted}",
        f"b: a table: {wanted}",
        f"d: a boolean: {wanted}",
        f"e: a number: {wanted}",
        f"f: a text: {wanted}",
    ]
    (empty,) = segments_of({})
    assert "empty" in str(empty)


def test_a_place_says_as_much_as_is_known() -> None:
    assert str(Problem(Place(), "x")) == "x"
    assert str(Place(2, 1).at("id").at("path")) == "rule 2, change 1, id.path"
