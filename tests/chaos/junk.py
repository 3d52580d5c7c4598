"""Records that nobody can deliver, and whether exactly these became dead letters."""

import random
from typing import TYPE_CHECKING

import msgspec

from tests.support.cluster import Record
from tests.support.crowd import SEGMENTS
from tests.support.scenario import event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from confluent_kafka import Message

REFUSED = frozenset(f"refused-{number}" for number in range(10_000))
"""The ids that the API refuses."""

_TOO_LONG = 200


class Junk:
    """Makes junk, each piece once. What it made must be on the dead-letter topic, and nothing else.

    A dead letter may be there twice: delivery is at least once.
    """

    def __init__(self, topic: str, draw: random.Random) -> None:
        self.topic = topic
        self._draw = draw
        self._made = 0
        self._values: set[bytes] = set()
        self._ids: set[str] = set()

    def records(self, count: int) -> list[Record]:
        """Return so many more."""
        return [Record(str(self._made), self._value()) for _ in range(count)]

    def problems(self, dead_letters: "Iterable[Message]") -> list[str]:
        """Return what is missing, and what is there and should not be."""
        values, ids = set(self._values), set(self._ids)
        problems = []
        for dead_letter in dead_letters:
            found = dict(dead_letter.headers() or [])
            reason, value = found["dead-letter-reason"], dead_letter.value() or b""
            if reason == b"malformed":
                wrong = {value} - self._values
                values.discard(value)
            else:
                named = set(msgspec.json.decode(value)["ids"])
                wrong = named - self._ids
                ids -= named
            if wrong:
                problems.append(f"a dead letter of what is no junk: {found}: {wrong}")
        missing = [*values, *ids]
        if missing:
            problems.append(f"{len(missing)} pieces of junk without a dead letter: {missing[:5]}")
        return problems

    def _value(self) -> bytes | None:
        self._made += 1
        number, segment_id = self._made, self._draw.choice(SEGMENTS)
        match number % 5:
            case 0:
                return None
            case 1:
                value = f"unreadable {number}".encode()
                self._values.add(value)
            case 2:
                value = event(0, "add", f"of-no-segment-{number}")
                self._values.add(value)
            case 3:
                value = self._of(segment_id, str(number).rjust(_TOO_LONG, "x"))
            case _:
                value = self._of(segment_id, f"refused-{number}")
        return value

    def _of(self, segment_id: int, name: str) -> bytes:
        self._ids.add(name)
        return event(segment_id, "add", name)
