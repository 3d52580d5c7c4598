"""The list of a dry run: a line for each dead letter that a replay would take."""

from collections.abc import Callable

from consumer.commands.replay.dead_letters import (
    UNKNOWN,
    Change,
    Selection,
    changes_of,
    labels_of,
    place_of,
)
from consumer.commands.replay.member import BoundedMember, EndOfSpan
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
    """Writes what ``selection`` takes. No id of a person is in it."""

    def __init__(self, selection: Selection, reader: SureReader, voice: Voice) -> None:
        self._selection = selection
        self._reader = reader
        self._voice = voice
        self._dead_letters = 0

    def takes(self, message: Message) -> bool:
        """Whether a dead letter was chosen; it is written at once."""
        labels, changes = labels_of(message), changes_of(message, self._reader)
        if not self._selection.takes(labels, changes):
            return False
        place = f"{message.partition()}:{message.offset()}"
        detail = labels.detail
        if labels.is_truncated:
            detail = f"its value was too big for this topic, the source has it; {detail}"
        self._dead_letters += 1
        self._write((place, labels.time, labels.reason, *_asked(changes), labels.source, detail))
        return True

    def write(
        self, member: BoundedMember, partitions: set[Partition], is_stopped: Callable[[], bool]
    ) -> bool:
        """Read ``partitions``, begun already, to their ends; return whether it came so far."""
        self._write(_HEADINGS)
        left = set(partitions)
        while left and not is_stopped() and self._voice.is_heard:
            for message in member.consume(_CHUNK_RECORDS, _WAIT_SECONDS):
                name = (message.topic(), message.partition())
                if isinstance(message, EndOfSpan):
                    left.discard(name)
                elif message.error() is not None:
                    meaning = member.meaning_of(message)
                    place = place_of(message)
                    if name in left and isinstance(meaning, Gone):
                        self._voice.line(f"{place} was deleted meanwhile: list again")
                        left.discard(name)
                    elif name in left and isinstance(meaning, Damaged):
                        said = meaning.trouble.detail
                        self._voice.line(f"{place} is damaged, and so ends the list: {said}")
                        left.discard(name)
                    elif isinstance(meaning, Trouble):
                        logs.log("kafka_error", meaning.detail, level="warning")
        self._voice.line(
            f"{counted(self._dead_letters, 'dead letter')}; nothing was replayed or committed"
        )
        return not left

    def _write(self, cells: tuple[str, ...]) -> None:
        padded = (cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True))
        self._voice.line("  ".join(padded).rstrip())


def _asked(changes: tuple[Change, ...]) -> tuple[str, str, str]:
    """Return the segments and actions, and how many ids they are about."""
    if not changes:
        return UNKNOWN, UNKNOWN, UNKNOWN
    segments = dict.fromkeys(str(change.segment_id) for change in changes)
    actions = dict.fromkeys(change.action for change in changes)
    ids = sum(change.ids for change in changes)
    return ",".join(segments), ",".join(actions), str(ids)
