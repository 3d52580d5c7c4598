"""Where a replay's refusals go: to the end of the topic, as what they were at their first refusal.

The source and time of the first refusal stay, ``dead-letter-replays`` is one higher. What moves
goes as it is. Of a dead letter that nobody could note as settled nothing is written, for it stays
where it is, and a copy would be one more with each such replay.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consumer.commands.replay.books import Books, Pending
from consumer.commands.replay.dead_letters import UNKNOWN
from consumer.core.dead_letters import HEADER_PREFIX, DeadLetter
from consumer.core.ledger import Ledger, base_of, offset_of
from consumer.engine.ports import Partition, Report
from consumer.kafka.dead_letters import DeadLetters

_SOURCE = re.compile(r"(.+):(\d+):(\d+)")

Place = tuple[Partition, int]
"""A partition and an offset."""

Header = tuple[str, bytes | str | None]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a refusal came from. ``first``: the dead letter whose source and time it keeps.

    ``refused`` counts the ids of each dead letter that it came from.
    """

    first: Pending | None
    refused: Mapping[Place, int]
    replays: int


class RefusedAgain(DeadLetters):
    """Sends what was refused again; owned by the loop's thread, as ``books`` and ``ledgers``."""

    def __init__(
        self,
        properties: Mapping[str, Any],
        topic: str,
        books: Books,
        ledgers: Mapping[Partition, Ledger],
    ) -> None:
        super().__init__(properties, topic)
        self._books = books
        self._ledgers = ledgers
        self._origins: dict[DeadLetter, Origin] = {}  # of what has no report yet

    def send(self, dead_letter: DeadLetter) -> bool:
        """Hand it over, or leave it where it is; False: not now, see `DeadLetters.send`."""
        self._origins[dead_letter] = origin = self._origin_of(dead_letter)
        is_sent = True
        if any(self._is_noted(place) for place in origin.refused):
            is_sent = super().send(dead_letter)
        else:
            self._reports.append(Report(dead_letter, None))
        if not is_sent:
            del self._origins[dead_letter]
        return is_sent

    def poll(self, timeout_seconds: float = 0.0) -> list[Report]:
        """Return what became of them; what the topic has is counted as refused again."""
        reports = super().poll(timeout_seconds)
        for report in reports:
            origin = self._origins.pop(report.dead_letter)
            if report.error is None:
                self._count(origin)
        return reports

    def headers_of(self, dead_letter: DeadLetter, time_rfc3339: str) -> list[Header]:
        """Return the headers of a dead letter."""
        origin = self._origins[dead_letter]
        if origin.first is None:
            return super().headers_of(dead_letter, time_rfc3339)
        if origin.first.moves:
            return list(dead_letter.headers)
        labels, headers = origin.first.labels, super().headers_of(dead_letter, time_rfc3339)
        kept = {
            HEADER_PREFIX + name: text.encode()
            for name, text in (("source", labels.source), ("time", labels.time))
            if text != UNKNOWN
        }
        headers = [(name, kept.get(name, value)) for name, value in headers]
        return [*headers, (f"{HEADER_PREFIX}replays", str(origin.replays).encode())]

    def _origin_of(self, dead_letter: DeadLetter) -> Origin:
        """Return where it came from: as long as it is not settled, that is all on its way."""
        names = {ledger.base: name for name, ledger in self._ledgers.items()}
        refused: dict[Place, int] = {
            (names[base_of(origin)], offset_of(origin)): count
            for origin, count in dead_letter.origins.items()
            if base_of(origin) in names
        }
        place = _place_of(dead_letter.source)
        if not refused and place is not None:
            refused = {place: 0}  # a record that can't be read
        pending = [each for each in map(self._pending, refused) if each is not None]
        first = None if place is None else self._pending(place)
        return Origin(
            first or next(iter(pending), None),
            refused,
            1 + max((each.labels.replays for each in pending), default=0),
        )

    def _count(self, origin: Origin) -> None:
        for place, count in origin.refused.items():
            pending = self._pending(place)
            if pending is not None:
                pending.refused_ids += count
                pending.is_unreadable = pending.is_unreadable or not count

    def _pending(self, place: Place) -> Pending | None:
        name, offset = place
        return self._books.pending.get(name, {}).get(offset)

    def _is_noted(self, place: Place) -> bool:
        account = self._books.accounts.get(place[0])
        return account is None or account.is_noted(place[1])


def _place_of(source: str) -> Place | None:
    found = _SOURCE.fullmatch(source)
    return None if found is None else ((found[1], int(found[2])), int(found[3]))
