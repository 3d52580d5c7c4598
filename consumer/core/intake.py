"""Takes records in: decodes them, buffers their ids, notes what they hold. The hot path.

`Intake.receive` runs a million times per second of CPU: no logging, no call that isn't needed, the
counts in local variables. What is no plain event takes the slower way (`_take_odd`).

Invariants (tests name them):
- I1: every record with an unsettled change has a hold in its ledger, duplicates included.
- I3: an open batch takes an id once and is sealed when it is full.
- I6: received = duplicate + superseded + what became held or was refused.
- I7: stops at the first record beyond the limit of held ids, or when dead letters pile up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, assert_never

from msgspec import UNSET

from consumer.core.buffer import Buffer
from consumer.core.dead_letters import (
    MAX_IDS_PER_DEAD_LETTER,
    DeadLetter,
    DeadLetterReason,
    Headers,
    headers_of,
    refusal,
)
from consumer.core.decoder import EventDecoder
from consumer.core.events import Event, Malformed, Mixed
from consumer.core.ledger import UNKNOWN_TIME, Ledger, time_of
from consumer.core.refusals import Refusals
from consumer.core.rules import Rules
from consumer.core.tally import Tally


class Message(Protocol):
    """A record as confluent-kafka gives it."""

    def error(self) -> Any: ...  # noqa: D102, ANN401 - these are the library's own
    def topic(self) -> str: ...  # noqa: D102
    def partition(self) -> int: ...  # noqa: D102
    def offset(self) -> int: ...  # noqa: D102
    def key(self) -> bytes | None: ...  # noqa: D102
    def value(self) -> bytes | None: ...  # noqa: D102
    def headers(self) -> Headers | None: ...  # noqa: D102
    def timestamp(self) -> tuple[int, int]: ...  # noqa: D102
    def leader_epoch(self) -> int | None: ...  # noqa: D102


@dataclass(slots=True, eq=False)
class Intake:
    """Fills the buffer and the ledgers."""

    _rules: Rules
    _decoder: EventDecoder
    _buffer: Buffer
    _refusals: Refusals
    _ledgers: Mapping[tuple[str, int], Ledger]
    _tally: Tally

    def receive(  # noqa: C901, PLR0912, PLR0915 - the hot path: a call per record costs a tenth of it
        self, messages: Sequence[Message], now: float, first: int = 0
    ) -> tuple[int, Message | None]:
        """Take in ``messages`` in order, as far as the bounds allow, and up to the first error.

        Those before ``first`` were. Return how many are taken then, and the last of them if it
        carries an error instead of a record: what it means decides about those behind it.
        """
        buffer, refusals, decode = self._buffer, self._refusals, self._decoder.decode
        by_type, max_ids = buffer.by_type, self._rules.batch_max_ids
        limit = -1 if refusals.is_backed_up() else self._rules.buffer_max_ids
        held, unreadable = buffer.held_ids, refusals.unreadable_in_a_row
        error: Message | None = None
        ledger: Ledger | None = None
        topic, partition = "", -1
        stamp: tuple[int, int] | None = None
        beginning = 0  # of an origin: all but the offset
        taken, accepted, adds, removes = first, 0, 0, 0
        duplicate_adds = duplicate_removes = superseded_adds = superseded_removes = 0
        # Without a copy: each of thousands may be behind the end of another partition.
        rest = map(messages.__getitem__, range(first, len(messages))) if first else messages
        for message in rest:
            if held >= limit:
                break
            taken += 1
            if message.error() is not None:
                error = message
                break
            if message.partition() != partition or message.topic() != topic:
                _note_epoch(messages, taken - 1, ledger)
                topic, partition = message.topic(), message.partition()
                ledger = self._ledgers.get((topic, partition))
                stamp = None
            if ledger is None:  # a record of an assignment that is over
                continue
            offset = message.offset()
            value = message.value()
            ledger.position = offset + 1
            event = None if value is None else decode(value)
            if not isinstance(event, Event):
                buffer.held_ids, refusals.unreadable_in_a_row = held, unreadable
                event = self._take_odd(message, event, ledger, now)
                held, unreadable = buffer.held_ids, refusals.unreadable_in_a_row
                if refusals.is_backed_up():
                    limit = -1
                if event is None:
                    continue
            found = message.timestamp()
            if found != stamp:  # the records of one millisecond share it
                kind, timestamp_ms = stamp = found
                beginning = (time_of(timestamp_ms) if kind else UNKNOWN_TIME) + ledger.base
            origin = beginning + offset
            accepted += 1
            unreadable = 0
            lane = by_type[event.id_type].get(event.segment_id)  # type: ignore[arg-type]  # an Event's segment_id is an int by now
            if lane is None:
                lane = buffer.new_lane(int(event.segment_id), event.id_type)
            names: Sequence[Any] = (event.id,) if event.ids is UNSET else event.ids
            is_add = event.action == "add"
            batch, other = (lane.add, lane.remove) if is_add else (lane.remove, lane.add)
            duplicate = superseded = 0
            for name in names:
                if batch is None:
                    batch = buffer.open(lane, event.action, now)
                if ledger.base not in batch.bases:
                    batch.bases.add(ledger.base)
                    ledger.hold(offset, batch, now)
                ids = batch.ids
                if name in ids:
                    duplicate += 1
                    continue
                if other is not None and name in other.ids:
                    del other.ids[name]
                    superseded += 1
                ids[name] = origin
                if len(ids) >= max_ids:
                    buffer.seal(batch, "size")
                    batch = None
            if superseded and other is not None and other.due_at <= now:
                buffer.turns.enqueue(lane)  # what it had to wait for may be what was taken out
            held += len(names) - duplicate - superseded
            if is_add:
                adds += len(names)
                duplicate_adds += duplicate
                superseded_removes += superseded
            else:
                removes += len(names)
                duplicate_removes += duplicate
                superseded_adds += superseded
        _note_epoch(messages, taken, ledger)
        buffer.held_ids, refusals.unreadable_in_a_row = held, unreadable
        add = self._tally.add
        add("records_total", "accepted", n=accepted)
        add("ids_received_total", "add", n=adds)
        add("ids_received_total", "remove", n=removes)
        add("ids_total", "add", "duplicate", n=duplicate_adds)
        add("ids_total", "remove", "duplicate", n=duplicate_removes)
        add("ids_total", "add", "superseded", n=superseded_adds)
        add("ids_total", "remove", "superseded", n=superseded_removes)
        return taken, error

    def _take_odd(
        self, message: Message, event: Mixed | Malformed | None, ledger: Ledger, now: float
    ) -> Event | None:
        """Take in what is no plain event; return the good part of a mixed one."""
        match event:
            case None:
                self._tally.add("records_total", "tombstone")
                return None
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


def _note_epoch(messages: Sequence[Message], end: int, ledger: Ledger | None) -> None:
    """Note the leader epoch of the last record before ``end``, once for a run of a partition's.

    Not of the first: the run may begin in an older epoch, and a log that goes on in a newer one
    would look as if it had been cut off there.
    """
    if ledger is None:
        return
    while messages[end - 1].error() is not None:  # the run began with a record
        end -= 1
    ledger.gap = 0
    epoch = messages[end - 1].leader_epoch()
    if epoch is not None:
        ledger.leader_epoch = epoch
