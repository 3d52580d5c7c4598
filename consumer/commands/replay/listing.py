"""The list of a dry run: a line for each dead letter that a replay would take."""

import json
from collections.abc import Callable

from consumer.commands.replay.dead_letters import (
    UNKNOWN,
    Change,
    Labels,
    Selection,
    changes_of,
    labels_of,
    place_of,
    refused_at,
)
from consumer.commands.replay.member import BoundedMember, EndOfSpan
from consumer.commands.replay.span import Spans
from consumer.commands.replay.telling import described
from consumer.commands.replay.voice import Voice, counted
from consumer.core.mapping.reading import SureReader
from consumer.core.message import Message
from consumer.core.positions import Gone
from consumer.engine.ports import Damaged, Partition, Trouble
from consumer.observability import logs

_HEADINGS = ("dead letter", "refused at", "reason", "segment", "action", "ids", "source", "detail")
_WIDTHS = (11, 24, 16, 10, 6, 5, 24, 0)
_CHUNK_RECORDS = 1000
_WAIT_SECONDS = 0.1


class Listing:
    """Writes what ``selection`` takes of ``spans``. No id of a person is in it.

    ``write_object``: writes a line for programs; None: it is for people, and the voice's.
    """

    def __init__(
        self,
        selection: Selection,
        reader: SureReader,
        voice: Voice,
        spans: Spans,
        write_object: Callable[[str], None] | None = None,
    ) -> None:
        self._selection = selection
        self._reader = reader
        self._voice = voice
        self._spans = spans
        self._write_object = write_object
        self._dead_letters = 0

    def look_at(self, message: Message) -> None:
        """Write a dead letter, if it is chosen."""
        span = self._spans.get((message.topic(), message.partition()))
        labels = labels_of(message)
        if span is None or not span.has(message.offset()):
            return
        if message.value() is None and not labels.has_any:  # nobody's dead letter
            return
        changes = changes_of(message, self._reader)
        if not self._selection.takes(labels, changes, refused_at(message, labels)):
            return
        self._dead_letters += 1
        if self._write_object is None:
            self._write(_cells(message, labels, changes))
        else:
            place = {"dead_letter": place_of(message), "outcome": "listed"}
            self._write_object(json.dumps({**place, **described(labels, changes)}))

    def write(self, member: BoundedMember, is_stopped: Callable[[], bool]) -> bool:
        """Read the spans, begun already, to their ends; return whether it came so far."""
        if self._write_object is None:
            self._write(_HEADINGS)
        left = set(self._spans)
        while left and not is_stopped() and self._voice.is_heard:
            for message in member.consume(_CHUNK_RECORDS, _WAIT_SECONDS):
                if message.error() is None:
                    self.look_at(message)
                else:
                    self._take(message, member, left)
        is_whole = not left
        if self._write_object is not None:
            summary = {"state": _state(is_whole), "listed": self._dead_letters}
            self._write_object(json.dumps({"summary": summary}))
        self._voice.line(
            f"{counted(self._dead_letters, 'dead letter')}; nothing was replayed or committed"
        )
        return is_whole

    def _take(self, message: Message, member: BoundedMember, left: set[Partition]) -> None:
        """Take in what ends the list of a partition."""
        name = (message.topic(), message.partition())
        if isinstance(message, EndOfSpan):
            left.discard(name)
            return
        meaning, place = member.meaning_of(message), place_of(message)
        if name in left and isinstance(meaning, Gone):
            self._voice.line(f"{place} was deleted meanwhile: list again")
            left.discard(name)
        elif name in left and isinstance(meaning, Damaged):
            said = meaning.trouble.detail
            self._voice.line(f"{place} is damaged, and so ends the list: {said}")
            left.discard(name)
        elif isinstance(meaning, Trouble):
            logs.log("kafka_error", meaning.detail, level="warning")

    def _write(self, cells: tuple[str, ...]) -> None:
        padded = (cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True))
        self._voice.line("  ".join(padded).rstrip())


def _state(is_whole: bool) -> str:
    return "done" if is_whole else "interrupted"


def _cells(message: Message, labels: Labels, changes: tuple[Change, ...]) -> tuple[str, ...]:
    """Return what a line says of a dead letter."""
    place, detail = f"{message.partition()}:{message.offset()}", labels.detail
    if labels.is_truncated:
        detail = f"its value was too big for this topic, the source has it; {detail}"
    if labels.replays:
        detail = f"replayed {counted(labels.replays, 'time')}; {detail}"
    return place, labels.time, labels.reason, *_asked(changes), labels.source, detail


def _asked(changes: tuple[Change, ...]) -> tuple[str, str, str]:
    """Return the segments and actions, and how many ids they are about."""
    if not changes:
        return UNKNOWN, UNKNOWN, UNKNOWN
    segments = dict.fromkeys(str(change.segment_id) for change in changes)
    actions = dict.fromkeys(change.action for change in changes)
    ids = sum(change.ids for change in changes)
    return ",".join(segments), ",".join(actions), str(ids)
