"""A dead letter as the replay reads it: what it is about, and whether it was asked for.

No id of a person is shown, so neither is the answer of the API that a detail quotes: it may name
the ids that it was sent.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from consumer.core.dead_letters import HEADER_PREFIX, DeadLetterReason, headers_of
from consumer.core.decoder import EventDecoder
from consumer.core.events import Event, IdType, Malformed, Mixed
from consumer.core.message import Message

UNKNOWN = "-"
_LONGEST_DETAIL = 200
_SOURCE = re.compile(r"[A-Za-z0-9._-]{1,249}:\d+:\d+")
_TIME = re.compile(r"[0-9T:.Z+-]{10,40}")
_STATUS = re.compile(r"\d{3}\b")


@dataclass(frozen=True, slots=True)
class Change:
    """What a dead letter asks for, as far as it can be read."""

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

    def takes(self, labels: Labels, change: Change | None) -> bool:
        """Whether the dead letter was asked for."""
        has_reason = not self.reasons or labels.reason in self.reasons
        segment_id = None if change is None else change.segment_id
        return has_reason and (not self.segments or segment_id in self.segments)


class Sieve:
    """Chooses dead letters; says which can't be replayed, as their source alone has the value.

    Counts both: ``taken`` and, among these, ``without_value``.
    """

    def __init__(
        self, selection: Selection, default_id_type: IdType, say: Callable[[str], None]
    ) -> None:
        self.taken = 0
        self.without_value = 0
        self._selection = selection
        self._decoder = EventDecoder(default_id_type)
        self._say = say

    def takes(self, message: Message) -> bool:
        """Whether a dead letter was chosen."""
        labels = labels_of(message)
        change = change_of(message, self._decoder) if self._selection.segments else None
        if not self._selection.takes(labels, change):
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
    headers = dict(_own_headers(message))
    reason = headers.get("reason", "")
    return Labels(
        reason=reason if reason in set(DeadLetterReason) else UNKNOWN,
        source=_only(_SOURCE, headers.get("source", "")),
        time=_only(_TIME, headers.get("time", "")),
        detail=_showable(reason, headers.get("detail", "")),
        is_truncated=headers.get("truncated") == "true" and message.value() is None,
    )


def change_of(message: Message, decoder: EventDecoder) -> Change | None:
    """Return what the dead letter asks for; None: it can't be read."""
    value = message.value()
    match None if value is None else decoder.look_closely(value):
        case None | Malformed():
            return None
        case Event() as event:
            return Change(int(event.segment_id), event.action, _count(event))
        case Mixed(good, segment_id, action, _, invalid):
            count = len(invalid) + (0 if good is None else _count(good))
            return Change(segment_id, action, count)


def place_of(message: Message) -> str:
    """Name a dead letter: ``topic:partition:offset``."""
    return f"{message.topic()}:{message.partition()}:{message.offset()}"


def _count(event: Event) -> int:
    return len(event.ids) if isinstance(event.ids, list) else 1


def _own_headers(message: Message) -> Iterator[tuple[str, str]]:
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
