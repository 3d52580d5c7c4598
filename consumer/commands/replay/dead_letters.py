"""A dead letter as the replay reads it: what it is about, and whether it was asked for.

No id of a person is shown, so neither is the answer of the API that a detail quotes: it may name
the ids that it was sent.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from consumer.core.dead_letters import (
    HEADER_PREFIX,
    TRIAL,
    DeadLetterReason,
    HasHeaders,
    headers_of,
)
from consumer.core.events import Event, Mixed
from consumer.core.mapping.reading import Changes, Reading, SureReader
from consumer.core.message import Message

UNKNOWN = "-"
_LONGEST_DETAIL = 200
_SOURCE = re.compile(r"[A-Za-z0-9._-]{1,249}:\d+:\d+")
_TIME = re.compile(r"[0-9T:.Z+-]{10,40}")
_COUNT = re.compile(r"[0-9]{1,9}")
_STATUS = re.compile(r"\d{3}\b")
_REASONS: frozenset[str] = frozenset({*DeadLetterReason, TRIAL})


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a dead letter asks for, as far as it can be read."""

    segment_id: int
    action: str
    ids: int


@dataclass(frozen=True, slots=True)
class Labels:
    """What the headers say; ``-`` where they don't, or not in words of ours.

    ``replays`` counts how often it was replayed and refused. ``has_any``: a header is ours.
    """

    reason: str
    source: str
    time: str
    detail: str
    is_truncated: bool
    replays: int = 0
    has_any: bool = True


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are wanted; an empty set: whatever it is.

    ``since``: those refused then or later, by the Unix time (seconds).
    """

    reasons: frozenset[str] = frozenset()
    segments: frozenset[int] = frozenset()
    since: float | None = None

    def __bool__(self) -> bool:
        """Whether some are left out."""
        return bool(self.reasons or self.segments or self.since is not None)

    def takes(
        self, labels: Labels, changes: Sequence[Change], refused_at: float | None = None
    ) -> bool:
        """Whether the dead letter was asked for: of several segments, one is enough."""
        if self.reasons and labels.reason not in self.reasons:
            return False
        if self.since is not None and (refused_at is None or refused_at < self.since):
            return False
        segments = {change.segment_id for change in changes}
        return not self.segments or not self.segments.isdisjoint(segments)


def labels_of(message: Message) -> Labels:
    """Return what the dead letter's headers say."""
    return labels_in(message, message.value())


def labels_in(record: HasHeaders, value: bytes | None) -> Labels:
    """Return what the headers of a dead letter with that value say."""
    headers = dict(_own_headers(record))
    reason, replays = headers.get("reason", ""), headers.get("replays", "")
    return Labels(
        reason=reason if reason in _REASONS else UNKNOWN,
        source=_only(_SOURCE, headers.get("source", "")),
        time=_only(_TIME, headers.get("time", "")),
        detail=_showable(reason, headers.get("detail", "")),
        is_truncated=headers.get("truncated") == "true" and value is None,
        replays=int(replays) if _COUNT.fullmatch(replays) else 0,
        has_any=bool(headers),
    )


def refused_at(message: Message, labels: Labels) -> float | None:
    """Return when it was refused first, as its header says, or else when it was written.

    In Unix time (seconds); None: nobody says.
    """
    try:
        said = datetime.fromisoformat(labels.time)
    except ValueError:
        kind, timestamp_ms = message.timestamp()
        return timestamp_ms / 1000 if kind else None
    return (said if said.tzinfo else said.replace(tzinfo=UTC)).timestamp()


def changes_of(message: Message, reader: SureReader) -> tuple[Change, ...]:
    """Return what the dead letter asks for, in order; nothing: it can't be read."""
    return changes_in(reader.read(message.value(), message))


def changes_in(reading: Reading) -> tuple[Change, ...]:
    """Return the changes that were read, in order."""
    match reading:
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
