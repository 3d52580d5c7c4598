"""A dead letter as the replay reads it: what it is about, and whether it was asked for.

No id of a person is shown, so neither is the answer of the API that a detail quotes: it may name
the ids that it was sent.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from consumer.core.dead_letters import HEADER_PREFIX, DeadLetterReason, HasHeaders, headers_of
from consumer.core.events import Event, Mixed
from consumer.core.mapping.reading import Changes, SureReader
from consumer.core.message import Message

UNKNOWN = "-"
_LONGEST_DETAIL = 200
_SOURCE = re.compile(r"[A-Za-z0-9._-]{1,249}:\d+:\d+")
_TIME = re.compile(r"[0-9T:.Z+-]{10,40}")
_STATUS = re.compile(r"\d{3}\b")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a dead letter asks for, as far as it can be read."""

    segment_id: int
    action: str
    ids: int


@dataclass(frozen=True, slots=True)
class Labels:
    """What the headers say; ``-`` where they don't, or not in words of ours."""

    reason: str
    source: str
    time: str
    detail: str
    is_truncated: bool


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are wanted; an empty set: whatever it is."""

    reasons: frozenset[str] = frozenset()
    segments: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        """Whether some are left out."""
        return bool(self.reasons or self.segments)

    def takes(self, labels: Labels, changes: Sequence[Change]) -> bool:
        """Whether the dead letter was asked for: of several segments, one is enough."""
        has_reason = not self.reasons or labels.reason in self.reasons
        segments = {change.segment_id for change in changes}
        return has_reason and (not self.segments or not self.segments.isdisjoint(segments))


class Sieve:
    """Chooses dead letters; says which can't be replayed, as their source alone has the value.

    Counts both: ``taken`` and, among these, ``without_value``.
    """

    def __init__(
        self, selection: Selection, reader: SureReader, say: Callable[[str], None]
    ) -> None:
        self.taken = 0
        self.without_value = 0
        self._selection = selection
        self._reader = reader
        self._say = say

    def takes(self, message: Message) -> bool:
        """Whether a dead letter was chosen."""
        labels = labels_of(message)
        changes = changes_of(message, self._reader) if self._selection.segments else ()
        if not self._selection.takes(labels, changes):
            return False
        self.taken += 1
        if labels.is_truncated:
            self.without_value += 1
            self._say(
                f"skipped: {place_of(message)} has no value, it was too big for this topic; its"
                f" source still has it: {labels.source}"
            )
        return True


def labels_of(message: Message) -> Labels:
    """Return what the dead letter's headers say."""
    return labels_in(message, message.value())


def labels_in(record: HasHeaders, value: bytes | None) -> Labels:
    """Return what the headers of a dead letter with that value say."""
    headers = dict(_own_headers(record))
    reason = headers.get("reason", "")
    return Labels(
        reason=reason if reason in set(DeadLetterReason) else UNKNOWN,
        source=_only(_SOURCE, headers.get("source", "")),
        time=_only(_TIME, headers.get("time", "")),
        detail=_showable(reason, headers.get("detail", "")),
        is_truncated=headers.get("truncated") == "true" and value is None,
    )


def changes_of(message: Message, reader: SureReader) -> tuple[Change, ...]:
    """Return what the dead letter asks for, in order; nothing: it can't be read."""
    match reader.read(message.value(), message):
        case Event() as event:
            return (_change(event),)
        case Changes(changes):
            return tuple(map(_change, changes))
        case _:
            return ()


def place_of(message: Message) -> str:
    """Name a dead letter: ``topic:partition:offset``."""
    return f"{message.topic()}:{message.partition()}:{message.offset()}"


def _change(change: Event | Mixed) -> Change:
    event = change.event if isinstance(change, Mixed) else change
    invalid = len(change.invalid) if isinstance(change, Mixed) else 0
    count = invalid + (0 if event is None else _count(event))
    return Change(int(change.segment_id), change.action, count)


def _count(event: Event) -> int:
    return len(event.ids) if isinstance(event.ids, list) else 1


def _own_headers(message: HasHeaders) -> Iterator[tuple[str, str]]:
    for name, value in headers_of(message) or ():
        if name.startswith(HEADER_PREFIX):
            text = value.decode(errors="replace") if isinstance(value, bytes) else value or ""
            yield name.removeprefix(HEADER_PREFIX), text


def _only(expected: re.Pattern[str], text: str) -> str:
    return text if expected.fullmatch(text) else UNKNOWN


def _showable(reason: str, detail: str) -> str:
    """Return what may be shown of a detail: our own sentences, of an answer the status alone."""
    match reason:
        case DeadLetterReason.REJECTED | DeadLetterReason.SEGMENT_REJECTED:
            status = _STATUS.match(detail)
            return f"refused by the API with {status[0]}" if status else "refused by the API"
        case DeadLetterReason.MALFORMED | DeadLetterReason.INVALID_ID:
            line = "".join(each if each.isprintable() else " " for each in detail)
            return line if len(line) <= _LONGEST_DETAIL else f"{line[:_LONGEST_DETAIL]}…"
        case _:
            return UNKNOWN
