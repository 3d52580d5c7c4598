"""The events that the demo produces, and what must have become of each in the end.

Customers enter segments and leave them again, a few of both far more often than the rest. Changes
of one customer are keyed by the customer, the lists of the import segments by the segment, so the
order that counts is that of one partition. Among them are records that can't be read, ids that
can't be one, and what the API will refuse: ids that it doesn't take, and a segment that is
data-driven.

Pure: the same seed tells the same story.
"""

import json
import random
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate

EVENTS = range(1_000, 5_000_001)
"""How many a story may have; what is known of five million customers fits into memory."""

Lane = tuple[int, str]
"""A segment and an id type."""

ID_SEGMENTS = range(1, 41)
EMAIL_SEGMENTS = range(41, 47)
IMPORT_SEGMENTS = range(47, 51)
DATA_DRIVEN_SEGMENT = 51

REFUSED_PREFIX = "merged-away-"
"""Ids that start so are refused by the API, whatever else is in the request."""

_IMPORT_SHARE = 0.004
_IMPORT_IDS = (20, 200)
_SAY_AGAIN_SHARE = 0.1
_TOMBSTONES = 3
_JUNK: tuple[bytes, ...] = (
    b"customer-17 enters segment 4",
    b'{"segment_id": 4, "action": "add", "id": "customer-17"',
    b'{"segment_id": 4, "action": "toggle", "id": "customer-17"}',
    b'{"segment_id": "four", "action": "add", "id": "customer-17"}',
    b'{"segment_id": 4, "action": "add", "customer": "customer-17"}',
    b'{"segment_id": 4, "action": "add", "id": "customer-17", "ids": ["customer-18"]}',
    b'\x00\x00\x00\x00\x07{"segment_id": 4}',
    b"\xff\xfe",
)
_INVALID_IDS: tuple[object, ...] = ("", "x" * 200, True, None, 1.5)

Record = tuple[bytes, bytes | None]
"""Key and value."""


class Story:
    """Tells ``events`` records and more on request; knows how each must end.

    ``members`` has for each lane every id with whether its last event says that it is in.
    ``malformed`` are the values that can't be read, ``refused`` the ids that the API refuses and
    ``invalid`` the number of those that can't be one. ``turns`` counts changes that took an earlier
    one back. ``ignored`` are the records that concern no segment. ``mapping`` and ``segments`` are
    what reads the records, if they are no events, and ``junk`` is what can't be read.
    """

    mapping: str | None = None
    segments: Mapping[str, int] = {}
    junk: tuple[bytes, ...] = _JUNK

    def __init__(self, events: int, seed: int = 1) -> None:
        self.events = events
        self.told = 0
        self.members: dict[Lane, dict[str, bool]] = {}
        self.malformed: Counter[bytes] = Counter()
        self.refused: set[tuple[int, str]] = set()
        self.invalid = 0
        self.tombstones = 0
        self.ignored = 0
        self.ids = Counter({"add": 0, "remove": 0})
        self.turns = 0
        self._random = random.Random(seed)
        self._population = max(200, events // 5)
        self._crowd = list(accumulate(1 / rank for rank in range(1, len(ID_SEGMENTS) + 1)))
        self._oddities = self._spread_out(events)

    def records(self) -> Iterator[Record]:
        """Yield the records, the odd ones spread among the others, without an end."""
        while True:
            odd = self._oddities.pop(self.told, None)
            self.told += 1
            yield self._plain() if odd is None else odd()

    @property
    def unreadable(self) -> int:
        """Return how many records can't be read."""
        return self.malformed.total()

    def _spread_out(self, events: int) -> dict[int, Callable[[], Record]]:
        """Return what is told instead of a plain change, by the number of the record."""
        scale = max(1, min(10, events // 10_000))
        odd: list[Callable[[], Record]] = [self._tombstone] * _TOMBSTONES
        odd += [self._junk] * (2 * scale)
        odd += [self._mixed] * scale
        odd += [self._refused_id] * max(3, scale // 2)
        odd += [self._data_driven] * (6 * scale)
        self._random.shuffle(odd)
        return dict(zip(self._random.sample(range(events), len(odd)), odd, strict=True))

    # -- plain changes ----------------------------------------------------------------------------

    def _plain(self) -> Record:
        draw = self._random.random
        if draw() < _IMPORT_SHARE:
            return self._import()
        customer = int(self._population * draw() ** 3)
        segment_id = ID_SEGMENTS[bisect(self._crowd, draw() * self._crowd[-1])]
        if draw() < 0.1:  # noqa: PLR2004 - every tenth change names an address
            segment_id = EMAIL_SEGMENTS[segment_id % len(EMAIL_SEGMENTS)]
            address = f"Customer{customer}@Example.com"
            name = address.lower()
            action = self._change((segment_id, "email"), name)
            return self._said(name, segment_id, action, address, "email")
        name = f"customer-{customer}"
        action = self._change((segment_id, "id"), name)
        return self._said(name, segment_id, action, name, "id")

    def _said(self, key: str, segment_id: int, action: str, name: str, id_type: str) -> Record:
        """Return the record of one change."""
        if id_type != "id":
            return _record(key, segment_id, action, id=name, id_type=id_type)
        value = f'{{"segment_id":{segment_id},"action":"{action}","id":"{name}"}}'
        return key.encode(), value.encode()

    def _change(self, lane: Lane, name: str) -> str:
        """Let a customer enter who is out and leave who is in; now and then say it again."""
        members = self.members.setdefault(lane, {})
        before = members.get(name)
        is_in = before if before and self._random.random() < _SAY_AGAIN_SHARE else not before
        members[name] = is_in
        action = "add" if is_in else "remove"
        self.ids[action] += 1
        self.turns += before is not None and before is not is_in
        return action

    def _import(self) -> Record:
        """Let many customers enter or leave at once."""
        segment_id = self._random.choice(IMPORT_SEGMENTS)
        names = self._names(self._random.randint(*_IMPORT_IDS))
        action = self._change_all(segment_id, names)
        return _record(str(segment_id), segment_id, action, ids=names)

    def _names(self, count: int) -> list[str]:
        return [f"customer-{self._random.randrange(self._population)}" for _ in range(count)]

    def _change_all(self, segment_id: int, names: list[str]) -> str:
        is_in = self._random.random() < 0.6  # noqa: PLR2004 - more enter than leave
        members = self.members.setdefault((segment_id, "id"), {})
        for name in names:
            self.turns += members.get(name, is_in) is not is_in
            members[name] = is_in
        action = "add" if is_in else "remove"
        self.ids[action] += len(names)
        return action

    # -- what is odd ------------------------------------------------------------------------------

    def _tombstone(self) -> Record:
        self.tombstones += 1
        return b"customer-17", None

    def _junk(self) -> Record:
        value = self.junk[self.unreadable % len(self.junk)]
        self.malformed[value] += 1
        return b"customer-17", value

    def _mixed(self) -> Record:
        """Return a list with ids that can't be one among good ones."""
        segment_id = self._random.choice(IMPORT_SEGMENTS)
        names = self._names(10)
        action = self._change_all(segment_id, names)
        self.ids[action] += len(_INVALID_IDS)
        self.invalid += len(_INVALID_IDS)
        ids = [*names, *_INVALID_IDS]
        self._random.shuffle(ids)
        return _record(str(segment_id), segment_id, action, ids=ids)

    def _refused_id(self) -> Record:
        segment_id = ID_SEGMENTS[len(self.refused) % len(ID_SEGMENTS)]
        return self._to_be_refused(segment_id, f"{REFUSED_PREFIX}{len(self.refused)}")

    def _data_driven(self) -> Record:
        return self._to_be_refused(DATA_DRIVEN_SEGMENT, f"customer-{len(self.refused)}")

    def _to_be_refused(self, segment_id: int, name: str) -> Record:
        self.refused.add((segment_id, name))
        self.ids["add"] += 1
        return self._said(name, segment_id, "add", name, "id")


def _record(key: str, segment_id: int, action: str, **members: object) -> Record:
    event = {"segment_id": segment_id, "action": action, **members}
    return key.encode(), json.dumps(event, separators=(",", ":")).encode()
