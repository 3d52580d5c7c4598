"""Junk of every kind: each record is delivered or dead-lettered as it was, and nothing falls over.

What must become of a value is said by an oracle that knows the contract and Python's ``json`` only.
"""

import json
import re
import socket
import struct
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self, cast

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from consumer.core.decoder import EventDecoder
from consumer.core.events import Event, IdType, Malformed, Mixed
from consumer.core.refusals import MAX_PENDING_DEAD_LETTER_BYTES
from tests.support.cluster import Record
from tests.support.driver import Driver
from tests.support.records import FakeMessage
from tests.support.scenario import PREFIX, assert_accounted, event
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.cluster import Text
    from tests.support.daemon import Daemon
    from tests.support.kafka import Broker
    from tests.support.scenario import Scenario

PARTITIONS = 4
PATIENCE_SECONDS = 60
MEGABYTE = 10**6

Headers = list[tuple[str, bytes | None]]


# -- the oracle ---------------------------------------------------------------------------------


class Reading(NamedTuple):
    """What a readable value asks for: the ids to deliver, as they are sent, and the invalid ones.

    The invalid ones as JSON texts, so that ``1``, ``1.0`` and ``true`` differ.
    """

    segment_id: int
    action: str
    id_type: str
    good: tuple[str, ...]
    invalid: tuple[str, ...]


def reading(  # noqa: PLR0911 - one for each way to be malformed
    value: bytes, default: str = "id"
) -> Reading | None:
    """Return what a value says; None: it is malformed."""
    try:
        members = json.loads(
            value.decode("utf-8-sig"),
            parse_int=_integer,
            parse_constant=_no_constant,
            object_pairs_hook=_object,
        )
    except (ValueError, RecursionError):
        return None
    if not isinstance(members, dict):
        return None
    segment_id = members.get("segment_id")
    if isinstance(segment_id, str) and re.fullmatch("[0-9]{1,20}", segment_id):
        segment_id = int(segment_id)
    if isinstance(segment_id, float) and segment_id.is_integer():
        segment_id = int(segment_id)
    action, id_type = members.get("action"), members.get("id_type", default)
    if type(segment_id) is not int or not 1 <= segment_id <= 2147483647:
        return None
    if action not in ("add", "remove") or id_type not in ("id", "email", "cio_id"):
        return None
    if ("id" in members) == ("ids" in members) or isinstance(members.get("id"), list | dict):
        return None
    ids = members.get("ids", [members.get("id")])
    if not isinstance(ids, list) or not ids:
        return None
    sent = [(name, _sent(name, id_type)) for name in ids]
    good = tuple(text for _, text in sent if text is not None)
    return Reading(
        segment_id, action, id_type, good, texts(name for name, text in sent if text is None)
    )


def _sent(name: object, id_type: str) -> str | None:
    """Return an id as the API gets it; None: it is invalid."""
    if type(name) is int:
        name = str(name)
    if not isinstance(name, str) or not name:
        return None
    if id_type != "email":
        return name if len(name.encode()) <= 150 else None
    name = name.lower()
    return name if "@" in name and len(name.encode()) <= 254 else None


def texts(ids: Any) -> tuple[str, ...]:  # noqa: ANN401 - whatever JSON may hold
    """Return ids as JSON texts; a number that JSON can't carry again is null there."""
    return tuple(json.dumps(_plain(name)) for name in ids)


def _plain(value: object) -> object:
    match value:
        case dict():
            return {name: _plain(each) for name, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case float():
            return None if value in (float("inf"), float("-inf")) else value
        case int():
            return _integer(str(value)) if not isinstance(value, bool) else value
        case _:
            return value


def _integer(digits: str) -> int | str:
    """Return the number, or of one that is too long for any id its digits: as an id the same."""
    return int(digits) if len(digits) <= 200 else digits


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return the object; raises ValueError if one of its texts has half a surrogate pair."""
    json.dumps(pairs, ensure_ascii=False).encode()
    return dict(pairs)


# -- values, keys and headers -------------------------------------------------------------------

_NAMES = ("segment_id", "action", "id", "ids", "id_type", r"\u0069d", "ID", "x", "", r"\ud800")
_NUMBERS = (
    *("0", "-0", "1", "-7", "2147483647", "2147483648", "18446744073709551616", "1.0", "1e2"),
    *("-0.0", "1E400", "-1e400", "NaN", "Infinity", "-Infinity", "01", "+1", "1.", ".5", "0x5"),
    *("9" * 150, "9" * 151, "-" + "9" * 149, "9" * 254, "9" * 300, "9" * 5000, "0." + "0" * 400),
)
_TEXTS = (
    *('"5"', '"056"', '"\N{ARABIC-INDIC DIGIT FIVE}"', '""', '"Ann@B.com"', '"@"', '"İ@x"'),
    *(r'"\ud800"', r'"\ude00\ud83d"', r'"\ud83d\ude00"', r'"\u0000"', r'"\uffff"', r'"\x"'),
    *('"a\nb"', '"a\x7fb"', '"\ufeff"', '"unended', "'single'", '"' + "x" * 151 + '"'),
    *('"' + "é" * 75 + '"', '"' + "é" * 76 + '"', '"' + "x" * 252 + '@y"', '"' + "x" * 253 + '@y"'),
)
_SHAPES = (
    *("null", "true", "false", "tru", "[]", "{}", '["a"]', '{"id": "a"}', "[[]]", "[1,]", "{", ""),
    *("[" * 50 + "]" * 50, '{"a":' * 50 + "1" + "}" * 50, "[" * 100_000, "/* no */ 1"),
)
literals = st.sampled_from((*_NUMBERS, *_TEXTS, *_SHAPES, '"add"', '"remove"', '"email"'))
names = st.sampled_from([f'"customer-{number}"' for number in range(8)])
lists = st.lists(names | literals, min_size=1, max_size=6).map(",".join).map("[{}]".format)
segments = st.sampled_from(["1", "2", "3", '"2"', "2147483647"])
good_members = st.tuples(
    segments.map('"segment_id": {}'.format),
    st.sampled_from(['"action": "add"', '"action": "remove"']),
    names.map('"id": {}'.format) | lists.map('"ids": {}'.format),
    st.sampled_from(['"x": [1, {"y": null}]', '"id_type": "email"', '"id_type": "cio_id"']),
)
odd_members = st.builds(
    '"{}": {}'.format, st.sampled_from(_NAMES), literals | names | lists | st.just('"add"')
)
# A member twice, a wrong one behind a right one, a right one behind a wrong one.
event_texts = st.builds(
    lambda right, odd, order: "{" + ", ".join(order([*right, *odd])) + "}",
    good_members,
    st.lists(odd_members, max_size=2),
    st.sampled_from([list, lambda members: members[::-1], lambda members: members[1:]]),
).map(str.encode)


def _mutated(value: bytes, at: int, length: int, noise: bytes) -> bytes:
    at %= len(value) + 1
    return value[:at] + noise + value[at + length :]


noises = st.binary(max_size=3) | st.sampled_from([b'"', b"\\", b"{", b"]", b",", b"\xff", b"\0"])
mutations = st.builds(_mutated, event_texts, st.integers(0, 500), st.integers(0, 9), noises)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
near_events = st.fixed_dictionaries(
    {"segment_id": st.integers(1, 3) | json_values, "action": st.sampled_from(["add", "remove"])},
    optional={"id": json_values, "ids": st.lists(json_values, max_size=5), "id_type": json_values},
)
LARGE = (
    b"\0" * 500_000,
    b"[" * 500_000,
    b'"' * 500_000,
    b'{"segment_id": 1, "action": "add", "id": ' + b"9" * 500_000 + b"}",
    b'{"segment_id": 1, "action": "add", "id": "customer-1", "x": ' + b"9" * 500_000 + b"}",
    event(1, "add", *(f"customer-{n}" if n % 3 else n % 2 * "é" * 99 for n in range(5000))),
    event(2, "remove", *(["customer-1", {"a": [1.5, None]}, ""] * 1000)),
)
values = st.one_of(
    event_texts,
    event_texts,
    mutations,
    near_events.map(json.dumps).map(str.encode),
    json_values.map(json.dumps).map(str.encode),
    st.binary(max_size=50),
    st.sampled_from([b"", b" \n", b"null", b"{}", b"\0\0\0\0\7{}", b"\xef\xbb\xbf{}"]),
    st.sampled_from(LARGE),
)
_OURS = tuple(f"dead-letter-{name}" for name in ("reason", "detail", "source", "time", "truncated"))
blobs = st.none() | st.sampled_from([b"", b"\xff\xfe", b"\0", b"k" * 100_000]) | st.binary()
# librdkafka takes the name of a header for a C string: none with a zero byte in it comes back.
header_names = st.sampled_from(
    (*_OURS, "", "dead-letter-", "Dead-Letter-Reason", "trace", "n" * 30_000, "größe")
) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9)
headers = st.lists(st.tuples(header_names, blobs), max_size=4) | st.just([("h", b"%d")] * 1000)


class Junk(NamedTuple):
    """A record to be; the partition counts where the oracle doesn't ask for another."""

    value: bytes | None
    key: bytes | None = None
    headers: Headers = []  # noqa: RUF012 - a NamedTuple's default, never changed
    partition: int = 0

    def __repr__(self) -> str:
        """Show the beginnings: what failed names the source, and a batch is large."""
        shown = [None if each is None else each[:80] for each in (self.value, self.key)]
        return f"Junk({shown[0]!r}, {shown[1]!r}, {len(self.headers)} headers, {self.partition})"


junk = st.builds(
    Junk, st.none() | values | values | values, blobs, headers, st.integers(0, PARTITIONS - 1)
)


# -- the decoder --------------------------------------------------------------------------------


def read_by_decoder(value: bytes, default: IdType) -> Reading | None:
    """Return what the decoder makes of a value, as the oracle has it."""
    found = EventDecoder(default).look_closely(value)
    if isinstance(found, Malformed):
        assert found.detail
        return None
    good: list[str] = []
    happening = found.event if isinstance(found, Mixed) else found
    if happening is not None:
        ids = [happening.id] if happening.ids is UNSET else happening.ids
        assert all(isinstance(name, str) for name in ids)
        good = cast("list[str]", ids)
        assert good
    if isinstance(found, Event):
        id_type = default if found.id_type is UNSET else found.id_type
        return Reading(int(found.segment_id), found.action, id_type, tuple(good), ())
    assert found.invalid
    assert found.detail
    invalid = [json.loads(bytes(name), parse_int=_integer) for name in found.invalid]
    return Reading(found.segment_id, found.action, found.id_type, tuple(good), texts(invalid))


@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # large values are junk, too
@settings(derandomize=True, deadline=None, max_examples=1000)
@given(values, st.sampled_from(["id", "email", "cio_id"]))
def test_the_decoder_says_what_the_contract_says_whatever_the_bytes_are(
    value: bytes, default: IdType
) -> None:
    assert read_by_decoder(value, default) == reading(value, default)


@pytest.mark.parametrize("default", ["id", "email", "cio_id"])
@pytest.mark.parametrize("shape", ["id", "ids"])
def test_every_odd_literal_in_every_place_is_what_the_contract_says(
    shape: str, default: IdType
) -> None:
    """Alone, in a list, and behind a number that makes the decoder look a second time."""
    good = {"segment_id": "1", "action": '"add"', shape: '["a@b"]', "id_type": '"id"'}
    for place in (*_NAMES, *good):
        for odd in (*_NUMBERS, *_TEXTS, *_SHAPES):
            for literal in (odd, f'["a@b", {odd}]', f'["a@b", 1e400, {odd}]'):
                members = {"y": "1e400", **good, place: literal}
                for kept in (members, {name: members[name] for name in members if name != "y"}):
                    text = ", ".join(f'"{name}": {each}' for name, each in kept.items())
                    value = b"{" + text.encode() + b"}"
                    assert read_by_decoder(value, default) == reading(value, default), value[:300]


@pytest.mark.parametrize("ids", [b'"id": "a"', b'"ids": ["a", ""]', b'"id": null', b'"ids": [1e9]'])
@pytest.mark.parametrize("member", [b'"x": "\xff"', b'"\xff": 1', b'"x": [{"y": "\xed\xa0\x80"}]'])
def test_what_is_not_utf_8_is_malformed_wherever_that_stands(ids: bytes, member: bytes) -> None:
    value = b'{"segment_id": 5, "action": "add", ' + ids + b", " + member + b"}"
    assert reading(value) is None
    assert read_by_decoder(value, "id") is None


# -- what goes to the dead-letter topic ---------------------------------------------------------


def test_i7_reading_stops_when_dead_letters_with_large_headers_pile_up() -> None:
    """Dead letters on their way are bounded in bytes, and headers are bytes too."""
    pipeline = Driver().pipeline
    large = [("h", b"x" * (MAX_PENDING_DEAD_LETTER_BYTES // 4))]
    records = [FakeMessage(offset=n, value=b"{", headers=large) for n in range(10)]
    taken, _ = pipeline.receive(records, 1000.0)
    assert taken <= 5


class DeadLetter(NamedTuple):
    """A dead letter as it must be: ``value`` of an unreadable record, else what it asks for."""

    reason: str
    key: bytes | None
    value: bytes | tuple[object, ...] | None
    headers: Headers | None


class Account:
    """What must have become of everything that was produced."""

    def __init__(self, topic: str, positions: "dict[int, int] | None" = None) -> None:
        self.members: defaultdict[tuple[int, str], dict[str, str]] = defaultdict(dict)
        self.counts: Counter[str] = Counter()
        self._topic = topic
        self._positions = Counter(positions or {})
        self._dead_letters: dict[str, DeadLetter] = {}

    def enter(self, each: Junk) -> Record:
        """Account for a record; return it as it is to be produced."""
        found = None if each.value is None else reading(each.value)
        # The order that counts is that of one partition.
        partition = each.partition if found is None else found.segment_id % PARTITIONS
        source = f"{self._topic}:{partition}:{self._positions[partition]}"
        self._positions[partition] += 1
        if each.value is None:
            self.counts["tombstone"] += 1
        elif found is None:
            self.counts["malformed"] += 1
            foreign = [(name, value) for name, value in each.headers if name not in _OURS]
            self._dead_letters[source] = DeadLetter("malformed", each.key, each.value, foreign)
        else:
            self._enter_readable(found, source)
        given = cast("list[tuple[str, Text]]", each.headers)
        return Record(each.key, each.value, given or None, partition)

    def take_dead_letters(self) -> dict[str, DeadLetter]:
        """Return the dead letters that are due since the last call, by their sources."""
        dead_letters, self._dead_letters = self._dead_letters, {}
        return dead_letters

    def _enter_readable(self, found: Reading, source: str) -> None:
        self.counts["accepted"] += 1
        self.counts["ids"] += len(found.good) + len(found.invalid)
        lane = found.segment_id, found.id_type
        self.members[lane].update(dict.fromkeys(found.good, found.action))
        if found.invalid:
            asked = (found.segment_id, found.action, found.id_type, found.invalid)
            key = str(found.segment_id).encode()
            self._dead_letters[source] = DeadLetter("invalid-id", key, asked, None)


class DeadLetterReader:
    """Reads the dead-letter topic on from where it was read to."""

    def __init__(self, broker: "Broker", topic: str) -> None:
        self._broker, self._topic = broker, topic
        self._read_to = dict.fromkeys(broker.end_offsets(topic), 0)
        self._consumer = Consumer(
            {
                "bootstrap.servers": broker.bootstrap,
                "group.id": "nobody",  # required; what is only assigned joins no group
                "enable.auto.commit": False,
            }
        )
        self._consumer.assign([TopicPartition(topic, n, OFFSET_BEGINNING) for n in self._read_to])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def news(self) -> list[Message]:
        """Return what is there by now and was not returned before."""
        ends = self._broker.end_offsets(self._topic)
        found: list[Message] = []

        def read() -> dict[int, int]:
            for message in self._consumer.consume(1000, 0.05):
                assert message.error() is None, message.error()
                found.append(message)
                self._read_to[cast("int", message.partition())] = cast("int", message.offset()) + 1
            return self._read_to

        eventually(read, PATIENCE_SECONDS, f"the dead letters up to {ends}", until=ends.__eq__)
        return found


def ours_of(message: Message) -> dict[str, str]:
    """Return the headers that the daemon added, without their prefix; each is there once."""
    found = [(name, value or b"") for name, value in headers_of(message) if name in _OURS]
    assert [name for name, _ in found] == list(_OURS[:4]), found
    ours = {name.removeprefix("dead-letter-"): value.decode() for name, value in found}
    assert all(ours.values())
    return ours


def headers_of(message: Message) -> Headers:
    """Return the headers as the library gives those of a record that was read."""
    return cast("Headers", message.headers() or [])


def as_dead_letters(messages: list[Message]) -> dict[str, DeadLetter]:
    """Return what was found on the dead-letter topic, by source.

    The invalid ids of one record may be in several dead letters, of at most 1000 each.
    """
    dead_letters: dict[str, DeadLetter] = {}
    for message in messages:
        ours = ours_of(message)
        reason, source = ours["reason"], ours["source"]
        if reason == "malformed":
            foreign = [header for header in headers_of(message) if header[0] not in _OURS]
            assert source not in dead_letters, "twice"
            dead_letters[source] = DeadLetter(reason, message.key(), message.value(), foreign)
        else:
            asked = json.loads(message.value() or b"", parse_int=_integer)
            assert asked.keys() == {"segment_id", "action", "id_type", "ids"}
            assert len(asked["ids"]) <= 1000
            before = (
                cast("tuple[Any, ...]", dead_letters[source].value)[3]
                if source in dead_letters
                else ()
            )
            lane = (asked["segment_id"], asked["action"], asked["id_type"])
            value = (*lane, (*before, *texts(asked["ids"])))
            dead_letters[source] = DeadLetter(reason, message.key(), value, None)
    return dead_letters


def await_settled(scenario: "Scenario", daemon: "Daemon") -> None:
    """Wait until everything is committed, as long as the daemon runs."""
    ends = scenario.broker.end_offsets(scenario.topic)

    def committed() -> dict[int, int]:
        assert daemon.exit_code is None, f"ended ({daemon.exit_code}):\n{daemon.said()}"
        return scenario.committed()

    eventually(committed, PATIENCE_SECONDS, f"commits at {ends}", until=ends.__eq__)


def assert_as_it_must_be(
    scenario: "Scenario", daemon: "Daemon", account: Account, reader: DeadLetterReader
) -> None:
    """Compare what came out with the account: dead letters, members and metrics."""
    dead_letters, expected = as_dead_letters(reader.news()), account.take_dead_letters()
    assert dead_letters.keys() == expected.keys()
    for source, dead_letter in expected.items():
        assert dead_letters[source] == dead_letter, source
    for (segment_id, id_type), ids in account.members.items():
        for action, found in (
            ("add", scenario.api.members(segment_id, id_type)),
            ("remove", scenario.api.removed(segment_id, id_type)),
        ):
            assert found == {name for name, last in ids.items() if last == action}
    counters = scenario.api.counters()
    assert counters.segments.keys() == {lane[0] for lane, ids in account.members.items() if ids}
    assert not counters.statuses.keys() - {200}
    eventually(
        lambda: counts_of(daemon),
        PATIENCE_SECONDS,
        f"the metrics to say {account.counts}",
        until=account.counts.__eq__,
    )


def counts_of(daemon: "Daemon") -> Counter[str]:
    """Return the records read, by outcome, and the ids received, as one scrape has them."""
    metrics = daemon.metrics()
    assert_accounted(metrics)
    found: Counter[str] = Counter()
    for (name, labels), value in metrics.items():
        if name == PREFIX + "records_total":
            found[dict(labels)["outcome"]] += int(value)
        if name == PREFIX + "ids_received_total":
            found["ids"] += int(value)
    return found


@pytest.fixture
def topic(new_topic: "Callable[..., str]") -> str:
    """Name a new topic that takes large records."""
    return new_topic(PARTITIONS, max_message_bytes=20 * MEGABYTE)


def start(scenario: "Scenario") -> "Daemon":
    """Start a daemon that no amount of junk holds."""
    return scenario.start_ready(DEAD_LETTER_MAX_CONSECUTIVE=0, COMMIT_INTERVAL_SECONDS=0.05)


def test_whatever_the_records_are_each_is_delivered_or_dead_lettered(scenario: "Scenario") -> None:
    daemon, account = start(scenario), Account(scenario.topic)

    @settings(
        derandomize=True,
        deadline=None,
        database=None,
        max_examples=30,
        phases=[Phase.generate],  # a smaller example takes as long, and the difference is told
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(junk, min_size=20, max_size=40))
    def try_out(batch: list[Junk]) -> None:
        scenario.produce([account.enter(each) for each in batch])
        await_settled(scenario, daemon)
        assert_as_it_must_be(scenario, daemon, account, reader)

    with DeadLetterReader(scenario.broker, scenario.dead_letter_topic) as reader:
        try_out()
    assert min(account.counts.values()) > 20, account.counts


def test_no_depth_of_an_id_ends_the_daemon(scenario: "Scenario") -> None:
    """How deep is too deep is not said; near the interpreter's limit all is as elsewhere.

    Some depths could be read and not be written again: such a record ended every daemon.
    """
    daemon = start(scenario)
    ids = [
        (depth, nested)
        for depth in range(1, 1200)
        for nested in (b"[" * depth + b"]" * depth, b'{"a":' * depth + b"0" + b"}" * depth)
    ]
    values = [
        b'{"segment_id":1,"action":"add","ids":["customer-%d",%b]}' % (depth, nested)
        for depth, nested in ids
    ]
    scenario.produce([Record(None, value, partition=0) for value in values])
    await_settled(scenario, daemon)
    with DeadLetterReader(scenario.broker, scenario.dead_letter_topic) as reader:
        dead_letters = {ours_of(message)["source"]: message for message in reader.news()}
    assert len(dead_letters) == len(values)
    delivered = set()
    for offset, (value, (depth, nested)) in enumerate(zip(values, ids, strict=True)):
        dead_letter = dead_letters[f"{scenario.topic}:0:{offset}"]
        if ours_of(dead_letter)["reason"] == "malformed":
            assert dead_letter.value() == value
        else:
            delivered.add(f"customer-{depth}")
            assert (dead_letter.value() or b"").count(nested) == 1
    assert scenario.api.members(1) == delivered
    assert "customer-100" in delivered


@pytest.mark.long("sizes")
def test_records_of_ten_megabytes_are_delivered_or_dead_lettered(scenario: "Scenario") -> None:
    daemon, account = start(scenario), Account(scenario.topic)
    opening = b'{"segment_id": 1, "action": "add", '
    ids = [f"customer-{number}" + "x" * 40 for number in range(180_000)]
    large = [
        b"\xff" * 10 * MEGABYTE,
        b"[" * 10 * MEGABYTE,
        opening + b'"id": "' + b"x" * 10 * MEGABYTE,
        opening + b'"ids": ["customer-1", "' + b"x" * 10 * MEGABYTE + b'"]}',
        opening + b'"ids": ["customer-2", -' + b"9" * 10 * MEGABYTE + b"]}",
        opening + b'"ids": ["customer-3", 0.' + b"9" * 10 * MEGABYTE + b"]}",
        opening + b'"id": "customer-4", "x": ' + b"9" * 10 * MEGABYTE + b"}",
        opening + b'"x": 1, ' * (MEGABYTE * 10 // 8) + b'"id": "customer-5"}',
        event(1, "remove", *ids),
        b"the last",
    ]
    scenario.produce([account.enter(Junk(value, b"k")) for value in large])
    await_settled(scenario, daemon)
    with DeadLetterReader(scenario.broker, scenario.dead_letter_topic) as reader:
        assert_as_it_must_be(scenario, daemon, account, reader)
    assert daemon.get("/livez")[0] == 200


# -- what no client of ours can produce ---------------------------------------------------------


def test_a_header_whose_name_is_no_text_does_not_end_the_daemon(scenario: "Scenario") -> None:
    """Kafka takes any bytes for a header's name; the library can't give such headers out."""
    if scenario.broker.external:
        pytest.skip("needs the tests' own broker: unset KAFKA_BOOTSTRAP_SERVERS_FOR_TESTS")
    daemon = start(scenario)
    odd: list[RawRecord] = [
        (b"key", b"unreadable", [(b"trace", b"1"), (b"gr\xf6\xdfe", b"2")]),
        (b"key", event(1, "add", "customer-1"), [(b"\xff", None)]),
        (None, None, [(b"\xff", b"")]),
        (b"key", event(1, "add", "customer-2", ""), [(b"\xff\xfe", b"")]),
        (b"key", b"unreadable as well", []),
    ]
    produce_raw(scenario.broker.bootstrap, scenario.topic, odd)
    await_settled(scenario, daemon)
    assert scenario.api.members(1) == {"customer-1", "customer-2"}
    with DeadLetterReader(scenario.broker, scenario.dead_letter_topic) as reader:
        dead_letters = as_dead_letters(reader.news())
    for offset in (0, 4):
        dead_letter = dead_letters.pop(f"{scenario.topic}:0:{offset}")
        assert (dead_letter.key, dead_letter.value) == odd[offset][:2]
    assert [dead_letter.reason for dead_letter in dead_letters.values()] == ["invalid-id"]


RawRecord = tuple[bytes | None, bytes | None, list[tuple[bytes, bytes | None]]]


def produce_raw(bootstrap: str, topic: str, records: list[RawRecord]) -> None:
    """Produce to partition 0 what a client makes that checks nothing: Produce, version 3."""
    name, batch = topic.encode(), _batch(records)
    request = (
        struct.pack(">hhih4s", 0, 3, 1, 4, b"test")  # key, version, correlation, client
        + struct.pack(">hhi", -1, -1, 30_000)  # no transaction, acks=all, timeout
        + struct.pack(">ih", 1, len(name))
        + name
        + struct.pack(">iii", 1, 0, len(batch))
        + batch
    )
    host, _, port = bootstrap.partition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        with connection.makefile("rb") as stream:
            answer = stream.read(struct.unpack(">i", stream.read(4))[0])
    (error,) = struct.unpack_from(">h", answer, 4 + 4 + 2 + len(name) + 4 + 4)
    assert error == 0, f"the broker's error {error}"


def _batch(records: list[RawRecord]) -> bytes:
    """Return a record batch of the format's version 2."""
    count = len(records)
    checked = struct.pack(">hiqqqhii", 0, count - 1, 0, 0, -1, -1, -1, count)
    for number, (key, value, headers) in enumerate(records):
        fields = [b"\0", _varint(0), _varint(number), _sized(key), _sized(value)]
        fields += [_varint(len(headers)), *(_sized(part) for each in headers for part in each)]
        checked += _sized(b"".join(fields))
    return struct.pack(">qiibI", 0, len(checked) + 9, -1, 2, _crc32c(checked)) + checked


def _sized(part: bytes | None) -> bytes:
    return _varint(-1) if part is None else _varint(len(part)) + part


def _varint(number: int) -> bytes:
    zigzag, encoded = (number << 1) ^ (number >> 63), bytearray()
    while zigzag > 0x7F:
        encoded.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    return bytes([*encoded, zigzag])


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
