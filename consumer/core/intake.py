"""Takes records in: decodes them, buffers their ids, notes what they hold. The hot path.

`Intake.receive` goes round a million times per second of CPU: no logging, no call that isn't
needed, the counts in local variables. It takes the records of one plain id; all others take the
slower way (`_take_other`), to the same end.

Invariants (tests name them):
- I1: every record with an unsettled change has a hold in its ledger, duplicates included.
- I3: an open batch takes an id once and is closed when it is full.
- I6: received = duplicate + superseded + what became held or was refused.
- I7: stops at the first record beyond the limit of held ids, or when dead letters pile up.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Protocol, assert_never, cast

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
from consumer.core.decoder import NOT_PLAIN, EventDecoder, plain_names
from consumer.core.events import Action, Event, Malformed, Mixed, opposite_of, segment_id_of
from consumer.core.lanes import Batch, Lane
from consumer.core.ledger import Ledger
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


MAX_SEGMENT_TEXTS = 100_000


@dataclass(slots=True, eq=False)
class Intake:
    """Fills the buffer and the ledgers."""

    _rules: Rules
    _decoder: EventDecoder
    _buffer: Buffer
    _refusals: Refusals
    _ledgers: Mapping[tuple[str, int], Ledger]
    _tally: Tally
    _segment_ids: dict[str, int] = field(default_factory=dict)  # by the text of each

    def receive(  # noqa: C901, PLR0912, PLR0915 - the hot path: a call per record costs a tenth of it
        self, messages: Sequence[Message], now: float, first: int = 0
    ) -> tuple[int, Message | None]:
        """Take in ``messages`` in order, as far as the bounds allow, and up to the first error.

        It stops too when a batch is full, for that to leave before others fill up. Those before
        ``first`` were taken in. Return how many are taken then, and the last of them if it carries
        an error instead of a record: what it means decides about those behind it.
        """
        buffer, refusals, decode = self._buffer, self._refusals, self._decoder.decode
        lane_of = self._lane_of
        by_type, emails = buffer.by_type, buffer.by_type["email"]
        max_ids, unset = self._rules.batch_max_ids, UNSET
        limit = -1 if refusals.is_backed_up() else self._rules.buffer_max_ids
        held, unreadable, closed = buffer.held_ids, refusals.unreadable_in_a_row, buffer.closed
        error: Message | None = None
        ledger: Ledger | None = None
        topic, partition = "", -1
        base = 0  # of the ledger
        taken, adds, removes = first, 0, 0
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
                _end_run(messages, taken - 1, ledger)
                topic, partition = message.topic(), message.partition()
                ledger = self._ledgers.get((topic, partition))
                base = 0 if ledger is None else ledger.base
            if ledger is None:  # a record of an assignment that is over
                continue
            offset, value = message.offset(), message.value()
            lane: Lane | None = None
            event: Event | None = None
            name: Any = None
            try:
                event = decode(value)  # type: ignore[arg-type]  # None raises TypeError
                if event.ids is unset and value.isascii():  # type: ignore[union-attr]  # no None was decoded
                    lanes, name = by_type[event.id_type], event.id
                    if type(name) is not str:
                        name = "" if name is unset else str(name)
                    if lanes is emails:
                        name = name.lower() if "@" in name else ""
                    if name and name.isascii():
                        lane = lanes.get(event.segment_id) or lane_of(event)  # type: ignore[arg-type]  # a text is in none
            except NOT_PLAIN:
                event = None
            if lane is None or event is None:
                buffer.held_ids, refusals.unreadable_in_a_row = held, unreadable
                is_refused = self._take_other(message, event, ledger, now)
                held, unreadable = buffer.held_ids, refusals.unreadable_in_a_row
                if is_refused and refusals.is_backed_up():
                    limit = -1
                if buffer.closed != closed:
                    break
                continue
            unreadable = 0
            is_add = event.action == "add"
            if is_add:
                adds += 1
                batch, other = lane.add, lane.remove
            else:
                removes += 1
                batch, other = lane.remove, lane.add
            if batch is not None and name in batch.ids:
                if batch.latest is not ledger:
                    _note(batch, ledger, message, now)
                duplicate_adds += is_add
                duplicate_removes += not is_add
                continue
            if other is not None and name in other.ids:
                del other.ids[name]
                superseded_adds += not is_add
                superseded_removes += is_add
            elif name in lane.backlog.known:
                waiting = lane.backlog.at(name)
                if waiting.action == event.action:
                    _note(waiting, ledger, message, now)
                    duplicate_adds += is_add
                    duplicate_removes += not is_add
                    continue
                buffer.take_out(waiting, name)
                superseded_adds += not is_add
                superseded_removes += is_add
            else:
                held += 1
            if batch is None:
                batch = buffer.open(lane, event.action, now)
            if batch.latest is not ledger:
                _note(batch, ledger, message, now)
            ids = batch.ids
            ids[name] = base + offset
            if len(ids) >= max_ids:
                buffer.close(batch)
                break
        _end_run(messages, taken, ledger)
        buffer.held_ids, refusals.unreadable_in_a_row = held, unreadable
        self._count("add", adds, duplicate_adds, superseded_removes)
        self._count("remove", removes, duplicate_removes, superseded_adds)
        self._tally.add("records_total", "accepted", n=adds + removes)
        return taken, error

    def _count(self, action: Action, received: int, duplicate: int, superseded: int) -> None:
        """Count what changes of one action came to, and what they did to the opposite ones."""
        add = self._tally.add
        add("ids_received_total", action, n=received)
        if duplicate:
            add("ids_total", action, "duplicate", n=duplicate)
        if superseded:
            add("ids_total", opposite_of(action), "superseded", n=superseded)

    def _lane_of(self, event: Event) -> Lane | None:
        """Return the lane of an event, a new one if need be; None if it names no segment."""
        segment_id = event.segment_id
        if isinstance(segment_id, str):
            known = self._segment_ids.get(segment_id) or self._remember(segment_id)
            if known is None:
                return None
            segment_id = known
        lanes = self._buffer.by_type[event.id_type]
        return lanes.get(segment_id) or self._buffer.new_lane(segment_id, event.id_type)

    def _remember(self, text: str) -> int | None:
        segment_id = segment_id_of(text)
        if segment_id is not None:
            if len(self._segment_ids) >= MAX_SEGMENT_TEXTS:
                self._segment_ids.clear()
            self._segment_ids[text] = segment_id
        return segment_id

    def _take_other(
        self, message: Message, event: Event | None, ledger: Ledger, now: float
    ) -> bool:
        """Take in what is no event of one plain id: a list, or what has to be looked at closely.

        Return whether some of it was refused.
        """
        if event is not None and self._take_new(event, message, ledger, now):
            return False
        value, is_refused = message.value(), False
        if value is None:
            self._tally.add("records_total", "tombstone")
            return False
        by_type = self._buffer.by_type
        is_email = event is not None and by_type[event.id_type] is by_type["email"]
        names = plain_names(event, is_email=is_email) if event and value.isascii() else None
        lane = self._lane_of(event) if event and names else None
        if event is None or names is None or lane is None:
            found = self._decoder.look_closely(value)
            is_refused = not isinstance(found, Event)
            event = found if isinstance(found, Event) else self._refuse(message, found, ledger, now)
            if event is None:
                return True
            names, lane = cast("list[str]", event.ids), self._lane_of(event)
        self._refusals.unreadable_in_a_row = 0
        self._tally.add("records_total", "accepted")
        self._take_names(cast("Lane", lane), event.action, names, ledger, message, now)
        return is_refused

    def _take_new(self, event: Event, message: Message, ledger: Ledger, now: float) -> bool:
        """Take in a list of plain ids at once, if nothing has any of them and there is room.

        Return whether it was so; what wasn't is taken in one by one.
        """
        names, buffer = event.ids, self._buffer
        lanes = buffer.by_type[event.id_type]
        lane = lanes.get(event.segment_id)  # type: ignore[arg-type]  # a text is in none
        if (
            lane is None
            or names is UNSET
            or event.id is not UNSET
            or lanes is buffer.by_type["email"]
        ):
            return False
        batch = lane.add if event.action == "add" else lane.remove
        if batch is None or len(batch.ids) + len(names) >= self._rules.batch_max_ids:
            return False
        is_ascii = message.value().isascii() and "".join(names).isascii()  # type: ignore[union-attr]  # it was decoded
        if not is_ascii or lane.has_any(names):
            return False
        if batch.latest is not ledger:
            _note(batch, ledger, message, now)
        had = len(batch.ids)
        batch.ids.update(zip(names, repeat(ledger.base + message.offset()), strict=False))
        new = len(batch.ids) - had
        buffer.held_ids += new
        self._refusals.unreadable_in_a_row = 0
        self._tally.add("records_total", "accepted")
        self._count(event.action, len(names), len(names) - new, 0)
        return True

    def _take_names(
        self,
        lane: Lane,
        action: Action,
        names: Sequence[str],
        ledger: Ledger,
        message: Message,
        now: float,
    ) -> None:
        """Take in the ids of one record, one by one."""
        buffer, origin = self._buffer, ledger.base + message.offset()
        duplicate = superseded = 0
        for name in names:
            waiting = lane.find(name)
            if waiting is not None and waiting.action == action:
                _note(waiting, ledger, message, now)
                duplicate += 1
                continue
            if waiting is not None:
                buffer.take_out(waiting, name)
                superseded += 1
            batch = buffer.open_batch(lane, action, now)
            _note(batch, ledger, message, now)
            batch.ids[name] = origin
            if len(batch.ids) >= self._rules.batch_max_ids:
                buffer.close(batch)
        buffer.held_ids += len(names) - duplicate - superseded
        self._count(action, len(names), duplicate, superseded)

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


def _note(batch: Batch, ledger: Ledger, message: Message, now: float) -> None:
    """Have the ledger wait for what arrives in the batch, if it doesn't yet."""
    batch.latest = ledger
    if ledger.base not in batch.bases:
        offset, (kind, timestamp_ms) = message.offset(), message.timestamp()
        has_time = kind and timestamp_ms > 0
        batch.bases[ledger.base] = (offset, timestamp_ms if has_time else math.inf)
        ledger.hold(offset, batch, now)


def _end_run(messages: Sequence[Message], end: int, ledger: Ledger | None) -> None:
    """Take note of position and leader epoch at the end of a run of a partition's records.

    The epoch is the last record's, not the first's: the run may begin in an older epoch, and a log
    that goes on in a newer one would look as if it had been cut off there.
    """
    if ledger is None:
        return
    while messages[end - 1].error() is not None:  # the run began with a record
        end -= 1
    ledger.gap = 0
    last = messages[end - 1]
    ledger.position = last.offset() + 1
    epoch = last.leader_epoch()
    if epoch is not None:
        ledger.leader_epoch = epoch
