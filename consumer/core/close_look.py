"""A closer look at the records that aren't taken in at once: they are read, or refused.

A record may be both: its good ids arrive, and the others are refused.
"""

from dataclasses import dataclass
from typing import assert_never, cast

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
from consumer.core.events import Event, Malformed, Mixed
from consumer.core.ledger import Ledger
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
        value, is_refused = message.value(), False
        if value is None:
            self._tally.add("records_total", "tombstone")
            return False
        by_type = self._buffer.by_type
        is_email = event is not None and by_type[event.id_type] is by_type["email"]
        names = plain_names(event, is_email=is_email) if event and value.isascii() else None
        if event is None or names is None or self._arrivals.lane_of(event) is None:
            found = self._decoder.look_closely(value)
            is_refused = not isinstance(found, Event)
            event = found if isinstance(found, Event) else self._refuse(message, found, ledger, now)
            if event is None:
                return True
            names = cast("list[str]", event.ids)
        self._refusals.unreadable_in_a_row = 0
        self._tally.add("records_total", "accepted")
        self._arrivals.take_names(event, names, ledger, message, now)
        return is_refused

    def _refuse(
        self, message: Message, event: Mixed | Malformed, ledger: Ledger, now: float
    ) -> Event | None:
        """Refuse what can't be delivered; return the good part of a mixed event."""
        match event:
            case Malformed(detail):
                self._take_malformed(message, detail, ledger, now)
                return None
            case Mixed():
                self._take_invalid(event, ledger, message.offset(), now)
                return event.event
            case _:
                assert_never(event)

    def _take_malformed(self, message: Message, detail: str, ledger: Ledger, now: float) -> None:
        refusals, offset = self._refusals, message.offset()
        self._tally.add("records_total", "malformed")
        refusals.unreadable_in_a_row += 1
        headers = headers_of(message)
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
        if refusals.refuse(dead_letter, now, detail):
            ledger.hold(offset, dead_letter, now)
        refusals.hold_at_limit(refusals.unreadable_in_a_row, detail, now)

    def _take_invalid(self, mixed: Mixed, ledger: Ledger, offset: int, now: float) -> None:
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
        if mixed.event is None:  # else it ends the row, as any record with a valid id
            self._tally.add("records_total", "accepted")
            refusals.unreadable_in_a_row += 1
            refusals.hold_at_limit(refusals.unreadable_in_a_row, mixed.detail, now)
