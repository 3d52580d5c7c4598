"""Mappings that nobody wrote: whatever their rules name side by side, both plans say the same."""

import json
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from consumer.core.events import Event
from consumer.core.mapping.mapping import Mapping, mapping_of
from consumer.core.mapping.reading import Changes
from tests.support.mapped import Beside, read_carefully, said

Made = st.SearchStrategy[dict[str, Any]]

names = st.sampled_from(["a", "b", "id", "schema", "payload"])
words = st.sampled_from(["a", "add", "1", 1, True, ""])


def joined(steps: list[str]) -> str:
    first, *more = steps
    return first + "".join(step if step.startswith("[") else f".{step}" for step in more)


def paths(depth: int, *more: str) -> st.SearchStrategy[str]:
    """Return paths inside of so many walks; ``more``: further steps that they may have."""
    step = names | st.sampled_from(["[0]", "[-1]", "[a=1]", *more])
    steps = st.lists(step, min_size=1, max_size=3).map(joined)
    beside = st.sampled_from(["$", "$topic", "$key", "$key.a", "$headers.x"])
    if not depth:
        return steps | steps | beside
    outside = steps.map(lambda path: "^." * depth + path)
    entry = st.sampled_from(["@key", "@value", "@value.a", "^." * (depth - 1) + "@key"])
    return steps | entry | outside | beside


def lookups(depth: int, **parts: st.SearchStrategy[Any]) -> Made:
    return st.fixed_dictionaries({"path": paths(depth)}, optional=parts)


def tabled(depth: int, table: st.SearchStrategy[Any], default: object) -> Made:
    """Return what stands for a value by a table, or by itself."""
    bare = st.fixed_dictionaries({"path": paths(depth)})
    by_table = st.fixed_dictionaries({"path": paths(depth), "map": table})
    also = [{}, {"ignore": True}, {"default": default}]
    return bare | st.tuples(by_table, st.sampled_from(also)).map(lambda two: two[0] | two[1])


def id_types(depth: int) -> st.SearchStrategy[Any]:
    table = st.just({"a": "email", "1": "id", "": "cio_id"})
    return st.sampled_from(["id", "email"]) | tabled(depth, table, "email")


def changes(depth: int) -> Made:
    segments = st.just("segments") | st.just({"a": 1, "1": 2, "true": 3, "1.0": 4, "": 5})
    actions = lookups(depth, add=st.just(["a", True, 1]), ignore=st.just(["b", "0"]))
    place = st.fixed_dictionaries(
        {"path": paths(depth, "[*]")}, optional={"id_type": id_types(depth)}
    )
    return st.fixed_dictionaries(
        {
            "segment_id": st.just(7) | tabled(depth, segments, 9),
            "action": st.sampled_from(["add", "remove"]) | actions,
            "id": place | st.lists(place, min_size=1, max_size=3),
        },
        optional={"id_type": id_types(depth)},
    )


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    wanted = words | st.lists(words, min_size=1, max_size=2) | st.just({"exists": True})
    conditions = st.dictionaries(
        paths(0) | st.just("$value"), wanted | st.just({"exists": False}), max_size=2
    )
    rule: dict[str, Any] = {"when": draw(conditions)}
    depth = draw(st.sampled_from([0, 0, 1, 2]))
    if depth:
        walks = [draw(st.sampled_from(["$", "a", "a.b", "schema"]))]
        walks += [draw(st.sampled_from(["@value", "a"])) for _ in range(depth - 1)]
        rule["each"] = walks
    if draw(st.booleans()):
        return rule | draw(changes(depth))
    return rule | {"change": draw(st.lists(changes(depth), min_size=1, max_size=2))}


leaves = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        1.0,
        1.5,
        -1,
        2.0**53,
        "a",
        "b",
        "add",
        "",
        "1",
        "a@B",
        "é",
        "x" * 151,
    ]
)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=16,
)
besides = st.builds(
    Beside,
    st.sampled_from(["a", "add"]),
    st.none() | st.just(b"\xff") | trees.map(lambda tree: json.dumps(tree).encode()),
    st.none() | st.sampled_from([[("x", b"add")], [("x", b"\xff")], [("x", None), ("x", "1")]]),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(rules(), min_size=1, max_size=2), st.lists(st.none() | trees, max_size=8), besides)
def test_both_plans_of_a_mapping_say_the_same(
    table: list[dict[str, Any]], values: list[Any], beside: Beside
) -> None:
    by = mapping_of({"rule": table}, {"a": 1, "1": 2}, "id")
    assume(isinstance(by, Mapping))
    assert isinstance(by, Mapping)
    gives_up = by._plan.reader(lambda *_: None)  # noqa: SLF001 - it is asked alone
    for value in values:
        raw = json.dumps(value, ensure_ascii=False).encode()
        quick, careful = gives_up(raw, beside), read_carefully(by, raw, beside)
        assert said(by.read(raw, beside)) == said(careful)
        if quick is not None:
            assert said(quick) == said(careful)
            if isinstance(quick, Event | Changes):
                assert quick == careful
        by.unlisted_keys(raw, beside)
