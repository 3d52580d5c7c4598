"""A closer look at the records that aren't taken in at once: they are read, or refused.

A record may be both: its good ids arrive, and the others are refused.
"""

from dataclasses import dataclass, replace
from typing import assert_never

from msgspec import UNSET

from consumer.core.arrivals import Arrivals
from consumer.core.buffer import Buffer
from consumer.core.dead_letters import (
    MAX_IDS_PER_DEAD_LETTER,
    DeadLetter,
    DeadLetterReason,
    headers_of,
    refusal,
)
from consumer.core.decoder import EventDecoder, plain_names
from consumer.core.events import Action, Event, IdType, Malformed, Mixed
from consumer.core.ledger import Ledger
from consumer.core.mapping.reading import Changes, Ignored, Reading
from consumer.core.message import Message
from consumer.core.refusals import Refusals
from consumer.core.tally import Tally


@dataclass(slots=True, eq=False)
class CloseLook:
    """Takes one record at a time; what the buffer holds is up to date before and after."""

    _decoder: EventDecoder
    _arrivals: Arrivals
    _buffer: Buffer
    _refusals: Refusals
    _tally: Tally

    def take(self, message: Message, event: Event | None, ledger: Ledger, now: float) -> bool:
        """Take in a record; ``event`` is what it says if it is within the bounds of its type.

        Return whether some of it was refused.
        """
        value = message.value()
        if value is None:
            self._tally.add("records_total", "tombstone")
            return False
        by_type = self._buffer.by_type
        is_email = event is not None and by_type[event.id_type] is by_type["email"]
        names = plain_names(event, is_email=is_email) if event and value.isascii() else None
        if event is None or names is None or self._arrivals.lane_of(event) is None:
            found = self._decoder.look_closely(value)
            reading = Changes((found,)) if isinstance(found, Mixed) else found
            return self.take_reading(message, reading, ledger, now)
        self._refusals.unreadable_in_a_row = 0
        self._tally.add("records_total", "accepted")
        self._arrivals.take_names(event, names, ledger, message, now)
        return False

    def take_reading(self, message: Message, reading: Reading, ledger: Ledger, now: float) -> bool:
        """Take in what a record says, its changes in order; return whether some was refused."""
        match reading:
            case Ignored():
                is_tombstone = message.value() is None
                self._tally.add("records_total", "tombstone" if is_tombstone else "ignored")
                return False
            case Malformed(detail):
                self._tally.add("records_total", "malformed")
                self._refuse_record(message, detail, ledger, now)
                self._count_unreadable(detail, now)
                return True
            case Event():
                return self._take_changes((reading,), None, ledger, message, now)
            case Changes(changes, malformed):
                return self._take_changes(changes, malformed, ledger, message, now)
            case _:
                assert_never(reading)

    def _take_changes(
        self,
        changes: tuple[Event | Mixed, ...],
        malformed: Malformed | None,
        ledger: Ledger,
        message: Message,
        now: float,
    ) -> bool:
        """Take in changes of one record, and refuse what can't be delivered of it.

        The record is a dead letter itself if something of it can't be read, once, however much.
        """
        self._tally.add("records_total", "accepted")
        details = [] if malformed is None else [malformed.detail]
        refused: dict[tuple[int, Action, IdType], list[Mixed]] = {}
        has_good = False
        for change in changes:
            if isinstance(change, Mixed):
                lane = (change.segment_id, change.action, change.id_type)
                refused.setdefault(lane, []).append(change)
                details.append(change.detail)
            event = change.event if isinstance(change, Mixed) else change
            if event is not None:
                names = [str(event.id)] if event.ids is UNSET else event.ids
                self._arrivals.take_names(event, names, ledger, message, now)
                has_good = True
        for several in refused.values():
            self._refuse_ids(_together(several), ledger, message.offset(), now)
        if malformed is not None:
            self._refuse_record(message, malformed.detail, ledger, now)
        if has_good:
            self._refusals.unreadable_in_a_row = 0
        else:
            self._count_unreadable(details[-1], now)
        return bool(details)

    def _refuse_record(self, message: Message, detail: str, ledger: Ledger, now: float) -> None:
        offset, headers = message.offset(), headers_of(message)
        note = "" if headers is not None else "; its headers have a name that is no text: not kept"
        dead_letter = DeadLetter(
            DeadLetterReason.MALFORMED,
            detail + note,
            ledger.source(offset),
            message.key(),
            message.value(),
            headers or (),
            bases={ledger.base},
        )
        if self._refusals.refuse(dead_letter, now, detail):
            ledger.hold(offset, dead_letter, now)

    def _refuse_ids(self, mixed: Mixed, ledger: Ledger, offset: int, now: float) -> None:
        refusals = self._refusals
        self._tally.add("ids_received_total", mixed.action, n=len(mixed.invalid))
        self._buffer.held_ids += len(mixed.invalid)
        for start in range(0, len(mixed.invalid), MAX_IDS_PER_DEAD_LETTER):
            ids = mixed.invalid[start : start + MAX_IDS_PER_DEAD_LETTER]
            dead_letter = refusal(
                reason=DeadLetterReason.INVALID_ID,
                detail=mixed.detail,
                source=ledger.source(offset),
                segment_id=mixed.segment_id,
                action=mixed.action,
                id_type=mixed.id_type,
                ids=ids,
                origins={ledger.base + offset: len(ids)},
            )
            if refusals.refuse(dead_letter, now, mixed.detail):
                ledger.hold(offset, dead_letter, now)

    def _count_unreadable(self, detail: str, now: float) -> None:
        """Count a record without a valid id; one with some ends the row."""
        self._refusals.unreadable_in_a_row += 1
        self._refusals.hold_at_limit(self._refusals.unreadable_in_a_row, detail, now)


def _together(several: list[Mixed]) -> Mixed:
    """Return the invalid ids of changes of one kind as one: a record may have very many."""
    invalid = [each for mixed in several for each in mixed.invalid]
    detail = "; ".join(dict.fromkeys(mixed.detail for mixed in several))
    return replace(several[0], invalid=tuple(invalid), detail=detail)
