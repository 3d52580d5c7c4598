"""Records that a mapping reads, on their way through the intake."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.core.dead_letters import DeadLetterReason, Headers
from consumer.core.events import IdType
from consumer.core.ledger import offset_of
from consumer.core.mapping.mapping import Mapping
from consumer.core.outcomes import HoldReason
from tests.support.driver import DELIVERED, NO_SEGMENT, Driver
from tests.support.mapped import mapping
from tests.support.records import FakeMessage

_READS = """
segment_id = { path = "segment_id" }
action = { path = "action", add = ["add"], remove = ["remove"] }
id = [{ path = "id" }, { path = "ids" }]
"""
PLAIN = f"""
[[rule]]
when = {{ id_type = {{ exists = true }} }}
id_type = {{ path = "id_type", map = {{ id = "id", email = "email", cio_id = "cio_id" }} }}
{_READS}
[[rule]]
{_READS}
"""
SEVERAL = """
[[rule]]
each = "changes"
segment_id = { path = "s" }
action = { path = "a", add = ["+"], remove = ["-"], ignore = ["="] }
id = { path = "id" }
"""
UPSERT = """
[[rule]]
when = { "$value" = { exists = false } }
action = "remove"
segment_id = { path = "$key.s" }
id = { path = "$key.id" }

[[rule]]
when = { kind = "member" }
action = "add"
segment_id = { path = "$key.s" }
id = { path = "$key.id" }
"""


def plain(default: IdType) -> Mapping:
    """Return the mapping that reads what an event is without one."""
    return mapping(PLAIN, default=default)


def several(*changes: str) -> bytes:
    """Return a record of changes, each as ``segment, action, id``: ``5+a``; ``?`` is no segment."""
    return json.dumps(
        {
            "changes": [
                {"s": int(each[0]) if each[0] != "?" else "?", "a": each[1], "id": _id(each[2:])}
                for each in changes
            ]
        }
    ).encode()


def _id(name: str) -> object:
    """Return an id; ``null`` stands for one that is none: as an item of a list, which is an id."""
    return [None] if name == "null" else name


def waiting(driver: Driver) -> list[Any]:
    """Return each batch that waits, with its ids and the offsets that they are from."""
    return [
        (
            *(lane.segment_id, lane.id_type, batch.action),
            {name: offset_of(origin) for name, origin in batch.ids.items()},
            batch.bases,
        )
        for lane in driver.pipeline.lanes()
        for batch in [*lane.backlog.batches(), *lane.open_batches()]
        if batch.ids
    ]


# -- a plain event, read by a mapping -----------------------------------------------------------

good_names = st.one_of(
    st.sampled_from(["a", "B", "a@B", "é@B", "é", "x" * 150, "é" * 75, "a@" + "x" * 252]),
    st.sampled_from([0, -7, 2**53, 2**63, 2**64, "\u0130@x", "\n"]),
    st.text(min_size=1, max_size=4),
)
invalid_names = st.sampled_from(["", "x" * 151, "é" * 76, "@" * 255, True, 1.5, [], {}])
names = st.one_of(good_names, good_names, good_names, invalid_names)
events = st.fixed_dictionaries(
    {
        "segment_id": st.sampled_from([1, 2, "1", "01", 2.0, 2**31 - 1, 1, 2, 0, "x", 2**31, None]),
        "action": st.sampled_from(["add", "remove", "add", "remove", "Add", None]),
    },
    optional={"id_type": st.sampled_from(["id", "email", "cio_id", "Id"]), "more": names},
)
records = st.tuples(
    events,
    st.one_of(
        st.fixed_dictionaries({"id": names.filter(lambda name: not isinstance(name, list | dict))}),
        st.fixed_dictionaries({"ids": st.lists(names, min_size=1, max_size=6)}),
        st.just({}),
    ),
).map(lambda parts: {**parts[0], **parts[1]})


@settings(derandomize=True, deadline=None, max_examples=600)
@given(
    st.lists(
        st.tuples(records, st.sampled_from(["ascii", "utf-8", "mark"])) | st.none(), max_size=12
    ),
    st.sampled_from(["id", "email"]),
    st.sampled_from([1, 3, 1000]),
    st.sampled_from([0, 3]),
)
def test_a_mapping_that_reads_events_does_what_is_done_without_it(
    given_records: list[tuple[dict[str, Any], str] | None],
    default: IdType,
    batch_max_ids: int,
    limit: int,
) -> None:
    values = [None if each is None else _written(*each) for each in given_records]
    drivers = [
        Driver(
            default_id_type=default,
            reader=reader,
            batch_max_ids=batch_max_ids,
            dead_letter_max_consecutive=limit,
        )
        for reader in (None, plain(default))
    ]
    taken = [driver.read(*values) for driver in drivers]
    without, by_mapping = drivers
    assert taken[0] == taken[1]
    assert waiting(without) == waiting(by_mapping)
    assert without.tally.counters == by_mapping.tally.counters
    assert without.committable() == by_mapping.committable()
    assert without.throttle.holds.keys() == by_mapping.throttle.holds.keys()
    letters = [
        [(each.reason, each.source, each.key, each.value) for each in driver.dead_letters()]
        for driver in drivers
    ]
    assert letters[0] == letters[1]
    assert without.wait().run() == by_mapping.wait().run()


def _written(members: dict[str, Any], how: str) -> bytes:
    value = json.dumps(members, ensure_ascii=how == "ascii").encode()
    return b"\xef\xbb\xbf" + value if how == "mark" else value


# -- several changes of one record --------------------------------------------------------------


def test_i1_a_record_of_several_changes_is_held_until_all_are_settled() -> None:
    driver = Driver(reader=mapping(SEVERAL))
    driver.read(several("1+a", "2+b", "1-c"), several("3+d"))
    attempts = driver.wait().attempts()
    assert {attempt.batch.lane.segment_id for attempt in attempts} == {1, 2, 3}
    for attempt in sorted(attempts, key=lambda each: each.ids != ("d",)):
        assert driver.committable() == 0
        driver.pipeline.settle(attempt, DELIVERED, driver.now, 0.0)
    assert driver.committable() == 2


def test_i2_the_changes_of_a_record_count_in_the_order_in_which_they_stand() -> None:
    driver = Driver(reader=mapping(SEVERAL))
    driver.read(several("1+a", "1-a", "1+b", "1-b", "1+b"), several("1-c", "1+c"))
    assert driver.count("ids_total", "add", "superseded") == 2
    assert driver.count("ids_total", "remove", "superseded") == 2
    assert sorted(driver.wait().run()) == ["add b c", "remove a"]


def test_a_record_of_several_changes_is_one_record_of_as_many_ids() -> None:
    driver = Driver(reader=mapping(SEVERAL))
    driver.read(several("1+a", "2+b", "1-c", "1=d"))
    assert driver.count("records_total", "accepted") == 1
    assert driver.count("ids_received_total", "add") == 2
    assert driver.count("ids_received_total", "remove") == 1


def test_what_can_be_read_of_a_record_is_delivered_and_the_record_refused_once() -> None:
    driver = Driver(reader=mapping(SEVERAL))
    value = several("1+a", "?+b", "2-c", "?-d")
    driver.read(value, several("1+e"))
    (letter,) = driver.dead_letters()
    assert (letter.reason, letter.value) == (DeadLetterReason.MALFORMED, value)
    assert driver.count("records_total", "accepted") == 2
    assert driver.count("records_total", "malformed") == 0
    assert sorted(driver.wait().run()) == ["add a e", "remove c"]
    assert driver.committable() == 0
    driver.pipeline.acknowledged(letter)
    assert driver.committable() == 2


def test_invalid_ids_are_refused_each_with_its_change_and_beside_the_record() -> None:
    driver = Driver(reader=mapping(SEVERAL))
    value = several("1+a", "1+null", "2-null", "?+b")
    driver.read(value)
    letters = driver.dead_letters()
    assert [(each.reason, each.segment_id, each.action) for each in letters[:-1]] == [
        (DeadLetterReason.INVALID_ID, 1, "add"),
        (DeadLetterReason.INVALID_ID, 2, "remove"),
    ]
    assert (letters[-1].reason, letters[-1].value) == (DeadLetterReason.MALFORMED, value)
    assert driver.wait().run() == ["add a"]
    for letter in letters:
        assert driver.committable() == 0
        driver.pipeline.acknowledged(letter)
    assert driver.committable() == 1
    assert driver.count("ids_total", "add", "rejected") == 1
    assert driver.count("ids_total", "remove", "rejected") == 1
    assert driver.count("ids_received_total", "add") == 2


def test_invalid_ids_of_one_kind_go_together_however_many_changes_they_are_of() -> None:
    driver = Driver(reader=mapping(SEVERAL))
    many = [*["1+null"] * 1001, "1-null", "1+" + "x" * 151, "1+a"]
    driver.read(several(*many))
    letters = [
        (each.action, len(json.loads(each.value or b"")["ids"]), each.detail)
        for each in driver.dead_letters()
    ]
    what = "an id is null: a string or an integer"
    both = f"{what}; an id is longer than 150 bytes"
    assert letters == [("add", 1000, both), ("add", 2, both), ("remove", 1, what)]
    assert driver.count("ids_received_total", "add") == 1003
    assert driver.wait().run() == ["add a"]


def test_i5_a_record_of_several_changes_is_given_up_whole() -> None:
    driver = Driver(reader=mapping(SEVERAL))
    driver.read(several("1+a", "2+b", "3-null", "?+x"))
    assert driver.pipeline.forget(driver.ledgers) == 3
    assert driver.pipeline.held_ids == 0
    assert driver.dead_letters() == []
    assert driver.wait().run() == []
    assert driver.count("ids_total", "add", "released") == 2
    assert driver.count("ids_total", "remove", "released") == 1


def test_i7_reading_stops_behind_a_record_that_fills_a_batch() -> None:
    """What is full leaves before others fill up."""
    driver = Driver(reader=mapping(SEVERAL), batch_max_ids=2)
    messages = _messages(several("1+a", "1+b", "1+c"), several("1+d"))
    taken, _ = driver.pipeline.receive(messages, driver.now)
    assert taken == 1
    assert driver.sent() == ["add a b"]


def test_i11_what_is_refused_of_several_changes_holds_the_record_alone() -> None:
    driver = Driver(reader=mapping(SEVERAL))
    driver.read(several("1+a", "2+b"))
    for attempt in driver.wait().attempts():
        outcome = NO_SEGMENT if attempt.batch.lane.segment_id == 2 else DELIVERED
        driver.answer(attempt, outcome)
    (letter,) = driver.dead_letters()
    assert json.loads(letter.value or b"")["ids"] == ["b"]
    assert driver.committable() == 0
    driver.pipeline.acknowledged(letter)
    assert driver.committable() == 1


# -- records that are ignored, and records without a value --------------------------------------


def test_a_record_that_no_rule_fits_is_ignored_and_holds_nothing() -> None:
    driver = Driver(reader=mapping(UPSERT))
    driver.receive(_messages(b'{"kind": "other"}', b"null", key=b'{"s": 1, "id": "a"}'))
    assert driver.count("records_total", "ignored") == 1
    assert driver.count("records_total", "accepted") == 1
    assert driver.committable() == 1
    assert driver.wait().run() == ["remove a"]
    assert driver.committable() == 2


def test_a_record_that_is_all_ignored_is_counted_as_such() -> None:
    driver = Driver(reader=mapping(SEVERAL))
    driver.read(several("1=a", "2=b"), several(), several("1=a", "2+b"))
    assert driver.count("records_total", "ignored") == 2
    assert driver.count("records_total", "accepted") == 1
    assert driver.dead_letters() == []


def test_a_record_without_a_value_is_read_by_a_rule_for_it() -> None:
    driver = Driver(reader=mapping(UPSERT))
    driver.receive(
        [
            *_messages(b'{"kind": "member"}', None, key=b'{"s": 1, "id": "a"}'),
            *_messages(b'{"kind": "member"}', key=b'{"s": 2, "id": "b"}', offset=2),
        ]
    )
    assert driver.count("records_total", "accepted") == 3
    assert driver.count("records_total", "tombstone") == 0
    assert sorted(driver.wait().run()) == ["add b", "remove a"]


def test_a_key_that_cannot_be_read_makes_a_record_without_a_value_malformed() -> None:
    driver = Driver(reader=mapping(UPSERT))
    headers = [("h", b"1")]
    driver.receive(_messages(None, key=b"no JSON", headers=headers))
    (letter,) = driver.dead_letters()
    assert (letter.key, letter.value, letter.headers) == (b"no JSON", None, headers)
    assert driver.count("records_total", "malformed") == 1
    assert driver.committable() == 0
    driver.pipeline.acknowledged(letter)
    assert driver.committable() == 1


@pytest.mark.parametrize("text", [SEVERAL, UPSERT.replace("remove", "add")])
def test_a_record_without_a_value_is_a_tombstone_unless_a_rule_reads_it(text: str) -> None:
    text = text.replace(
        '"$value" = { exists = false }', '"$value" = { exists = false }, "$key" = 1'
    )
    driver = Driver(reader=mapping(text))
    driver.read(None, None)
    assert driver.count("records_total", "tombstone") == 2
    assert driver.count("records_total", "ignored") == 0
    assert driver.committable() == 2


# -- the row of records that nothing can be used of ---------------------------------------------

UNREADABLE = b"{"
IGNORED = several("1=x")
INVALID = several("1+null")


@pytest.mark.parametrize(
    ("values", "holds"),
    [
        ([UNREADABLE, IGNORED, UNREADABLE, IGNORED, UNREADABLE], True),
        ([UNREADABLE, IGNORED, UNREADABLE], False),
        ([IGNORED] * 5, False),
        ([UNREADABLE, UNREADABLE, several("1+a"), UNREADABLE], False),
        ([UNREADABLE, UNREADABLE, several("1+a", "2+b"), UNREADABLE], False),
        ([UNREADABLE, UNREADABLE, several("?+a", "2+b"), UNREADABLE], False),
        ([UNREADABLE, UNREADABLE, several("1+null", "2+b"), UNREADABLE], False),
        ([several("1+null", "2-null")] * 2, False),
        ([several("1+null", "2-null")] * 3, True),
        ([several("?+null", "2-null")] * 2, False),
        ([several("?+null", "2-null")] * 3, True),
        ([INVALID, UNREADABLE, several("?+a")], True),
    ],
)
def test_what_is_ignored_neither_grows_nor_ends_the_row(values: list[bytes], holds: bool) -> None:
    driver = Driver(reader=mapping(SEVERAL), dead_letter_max_consecutive=3)
    driver.read(*values)
    assert (HoldReason.DEAD_LETTER_LIMIT in driver.throttle.holds) is holds


def test_the_row_goes_on_from_one_poll_to_the_next() -> None:
    driver = Driver(reader=mapping(SEVERAL), dead_letter_max_consecutive=3)
    for value in (UNREADABLE, IGNORED, UNREADABLE, IGNORED):
        driver.read(value)
    assert not driver.throttle.holds
    driver.read(UNREADABLE)
    assert HoldReason.DEAD_LETTER_LIMIT in driver.throttle.holds


# -- what is asked of a record ------------------------------------------------------------------


class Shy(FakeMessage):
    """A record whose key and headers nobody may ask for."""

    def key(self) -> bytes | None:  # noqa: D102 - see above
        raise AssertionError("the key was asked for")

    def headers(self) -> Headers | None:  # noqa: D102 - see above
        raise AssertionError("the headers were asked for")


@pytest.mark.parametrize("value", [several("1+a"), several("1+a", "2-b"), several("1=a"), None])
def test_keys_and_headers_are_left_alone_unless_a_rule_names_them(value: bytes | None) -> None:
    driver = Driver(reader=mapping(SEVERAL))
    assert driver.receive([Shy(value=value)]) == 1


@pytest.mark.parametrize("make", [lambda: mapping(SEVERAL), lambda: None])
def test_a_batch_that_a_list_fills_is_closed(make: Callable[[], Mapping | None]) -> None:
    text = """
[[rule]]
segment_id = { path = "segment_id" }
action = "add"
id = { path = "ids" }
"""
    driver = Driver(reader=mapping(text) if make() else None, batch_max_ids=3)
    value = json.dumps({"segment_id": 1, "action": "add", "ids": list("abcdefg")}).encode()
    driver.read(value, value)
    assert driver.run() == ["add a b c", "add d e f"]
    assert driver.wait().run() == ["add g"]
    assert driver.committable() == 2


def _messages(
    *values: bytes | None,
    key: bytes | None = None,
    headers: Headers | None = None,
    offset: int = 0,
) -> list[FakeMessage]:
    return [
        FakeMessage(offset=number, value=value, key=key, headers=headers)
        for number, value in enumerate(values, offset)
    ]
