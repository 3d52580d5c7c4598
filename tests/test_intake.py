"""The quick way through the intake comes to the same end as the close look at each record."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer import daemon
from consumer import settings as daemons_settings
from consumer.core.arrivals import MAX_SEGMENT_TEXTS
from consumer.core.decoder import EventDecoder
from consumer.core.events import Event, IdType, Malformed, Mixed
from consumer.core.ledger import base_of
from tests.support.driver import Driver
from tests.support.records import FakeMessage, event

Read = tuple[Counter[tuple[int, str, str]], list[tuple[str, bytes | None]]]
"""How many ids came to each segment, id type and action, with the ids; and the dead letters."""

names: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(["a", "B", "a@B", "é", "@", "x" * 150, "x" * 151, "é" * 75, "é" * 76, ""]),
    st.sampled_from([f"{'x' * 248}@b.co", f"{'x' * 249}@b.co", f"{'é' * 125}@b.c"]),
    st.sampled_from([0, -0, 7, -7, 2**53, 2**63, 2**64, True, None, 1.0, 1.5, [], {}]),
    st.text(max_size=4),
)
segments = st.sampled_from(
    [1, 2, "1", "01", "2147483647", "2147483648", 2**31 - 1, 2**31, 0, -1, "0", "", "1 ", "x", 1.5]
)
likely = st.sampled_from([1, 2, "1", "01"])
events = st.fixed_dictionaries(
    {
        "segment_id": likely | likely | segments,
        "action": st.sampled_from(["add", "remove", "add", "remove", "Add", None]),
    },
    optional={
        "id": names,
        "ids": st.lists(names, max_size=5) | names,
        "id_type": st.sampled_from(["id", "email", "cio_id", "Id", None]),
        "more": names,
    },
)


def as_taken_in(value: bytes, default: IdType) -> Read:
    """Return what is held after the intake has read this one record."""
    driver = Driver(default_id_type=default)
    driver.read(value)
    held: Counter[Any] = Counter()
    for lane in driver.pipeline.lanes():
        for batch in lane.open_batches():
            for name in batch.ids:
                held[lane.segment_id, lane.id_type, batch.action, name] += 1
    letters = [(each.detail, each.value) for each in driver.dead_letters()]
    received = driver.count("ids_received_total", "add") + driver.count(
        "ids_received_total", "remove"
    )
    assert received >= sum(held.values())
    accepted, malformed = (
        driver.count("records_total", each) for each in ("accepted", "malformed")
    )
    assert accepted + malformed == 1
    return held, letters


def as_looked_at(value: bytes, default: IdType) -> Read:
    """Return what must be held: the close look's event, and the dead letters of the rest."""
    found = EventDecoder(default).look_closely(value)
    held: Counter[Any] = Counter()
    event = found.event if isinstance(found, Mixed) else found
    if isinstance(event, Event):
        assert isinstance(event.ids, list)
        for name in dict.fromkeys(event.ids):
            held[event.segment_id, event.id_type, event.action, name] += 1
    if isinstance(found, Malformed):
        return held, [(found.detail, value)]
    if isinstance(found, Mixed):
        refused = {
            "segment_id": found.segment_id,
            "action": found.action,
            "ids": [json.loads(bytes(each)) for each in found.invalid],
            "id_type": found.id_type,
        }
        return held, [(found.detail, json.dumps(refused).encode())]
    return held, []


@settings(derandomize=True, deadline=None, max_examples=1500)
@given(events, st.sampled_from(["id", "email"]), st.booleans())
def test_the_quick_way_reads_what_the_close_look_reads(
    members: dict[str, Any], default: IdType, in_ascii: bool
) -> None:
    value = json.dumps(members, ensure_ascii=in_ascii).encode()
    held, letters = as_taken_in(value, default)
    must_hold, must_refuse = as_looked_at(value, default)
    assert held == must_hold
    assert [detail for detail, _ in letters] == [detail for detail, _ in must_refuse]
    for (_, is_value), (_, must_be) in zip(letters, must_refuse, strict=True):
        assert json.loads(is_value or b"") == json.loads(must_be or b"")


@pytest.mark.parametrize(
    "members",
    [
        {"ids": ["é" * 75, "é" * 76]},
        {"ids": ["A@b", "a@B", "a@b"], "id_type": "email"},
        {"ids": ["A@b", "ab"], "id_type": "email"},
        {"ids": ["a", "b"], "id": "a"},
        {"ids": ["a", "b", "a"], "segment_id": "01"},
        {"ids": ["a", "b"], "segment_id": "1 "},
    ],
    ids=str,
)
@pytest.mark.parametrize("in_ascii", [False, True])
def test_a_list_is_read_as_the_close_look_reads_it(members: dict[str, Any], in_ascii: bool) -> None:
    record = {"segment_id": 1, "action": "add", **members}
    value = json.dumps(record, ensure_ascii=in_ascii).encode()
    held, letters = as_taken_in(value, "id")
    must_hold, must_refuse = as_looked_at(value, "id")
    assert held == must_hold
    assert [detail for detail, _ in letters] == [detail for detail, _ in must_refuse]


@pytest.mark.parametrize(
    "value",
    [
        b'{"segment_id": 1, "action": "add", "id": "a", "more": "\xff"}',
        b'{"segment_id": 1, "action": "add", "ids": ["a", "b"], "more": "\xff"}',
        b'{"segment_id": 1, "action": "add", "id": "a"} {}',
        b"[" * 100_000,
        b"",
    ],
)
def test_what_is_no_event_as_a_whole_is_none_in_the_quick_way(value: bytes) -> None:
    """Also where it stands in members that nobody reads."""
    held, letters = as_taken_in(value, "id")
    assert not held
    assert [given for _, given in letters] == [value]


Batches = list[tuple[str, dict[str, int], set[int]]]


def waiting(driver: Driver) -> Batches:
    """Return each batch: its action, from which ledger each id is, and which ledgers wait for it.

    In the order in which they leave.
    """
    return [
        (
            batch.action,
            {name: base_of(origin) for name, origin in batch.ids.items()},
            set(batch.bases),
        )
        for lane in driver.pipeline.lanes()
        for batch in [*lane.backlog.batches(), *lane.open_batches()]
        if batch.ids
    ]


@settings(derandomize=True, deadline=None, max_examples=400)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "add", "remove"]),
            st.lists(st.sampled_from("abcdefghijkl"), min_size=1, max_size=7),
            st.sampled_from([0, 1]),
        ),
        max_size=30,
    ),
    st.sampled_from([1, 3, 5, 1000]),
)
def test_lists_and_single_ids_come_to_the_same(
    changes: list[tuple[str, list[str], int]], batch_max_ids: int
) -> None:
    both = [Driver(batch_max_ids=batch_max_ids, partitions=2) for _ in range(2)]
    for action, ids, partition in changes:
        record = {"segment_id": 1, "action": action}
        both[0].read(json.dumps({**record, "ids": ids}).encode(), partition=partition)
        singles = [json.dumps({**record, "id": name}).encode() for name in ids]
        both[1].read(*singles, partition=partition)
    assert waiting(both[0]) == waiting(both[1])
    assert both[0].pipeline.held_ids == both[1].pipeline.held_ids
    for key in both[0].tally.counters:
        if key[0].startswith("ids_"):
            assert both[0].count(*key) == both[1].count(*key), key
    assert both[0].wait().run() == both[1].wait().run()


def test_the_segment_of_a_text_is_its_own_whatever_was_seen() -> None:
    driver = Driver()
    driver.read(*[event("add", "x", segment=text) for text in ("1", "12", "01", "1", "2", "21")])
    assert sorted(lane.segment_id for lane in driver.pipeline.lanes()) == [1, 2, 12, 21]
    assert driver.count("ids_total", "add", "duplicate") == 2


def test_i7_the_texts_of_segments_that_are_remembered_have_a_limit() -> None:
    driver = Driver()
    texts = [f"{'0' * zeros}{number}" for zeros in range(16) for number in range(1, 6300)]
    assert len(set(texts)) > MAX_SEGMENT_TEXTS
    driver.read(*[event("add", "x", segment=text) for text in texts])
    assert {lane.segment_id for lane in driver.pipeline.lanes()} == set(range(1, 6300))
    assert len(driver.pipeline._intake._arrivals._segment_ids) <= MAX_SEGMENT_TEXTS  # noqa: SLF001 - nobody outside sees them


def positions_after(topics: str, *came: str) -> dict[str, int]:
    """Return the positions of two topics after a record of partition 0 of each that ``came``."""
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
        "KAFKA_TOPICS": topics,
        "CUSTOMERIO_SITE_ID": "site",
        "CUSTOMERIO_API_KEY": "key",
    }
    pipeline = daemon.pipeline_of(daemons_settings.load(given))
    ledgers = {topic: pipeline.assign(topic, 0, 0, 0) for topic in ("audience", "other")}
    messages = [FakeMessage(topic, 0, 0, event("add", topic)) for topic in came]
    assert pipeline.receive(messages, 1000.0) == (len(messages), None)
    return {topic: ledger.position for topic, ledger in ledgers.items()}


@pytest.mark.parametrize("topics", ["audience,other", "^audience|other"])
def test_i1_a_record_belongs_to_the_partition_of_its_own_topic(topics: str) -> None:
    assert positions_after(topics, "audience", "other") == {"audience": 1, "other": 1}
    assert positions_after(topics, "other") == {"audience": 0, "other": 1}
