"""Where ids arrive: each in the batch in which it waits from now on, or in none, if it repeats one.

`intake` does this for records of one plain id itself, to the same end; here is what it leaves out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from msgspec import UNSET

from consumer.core.buffer import Buffer
from consumer.core.events import Action, Event, opposite_of, segment_id_of
from consumer.core.lanes import Batch, Lane
from consumer.core.ledger import Ledger
from consumer.core.message import Message
from consumer.core.rules import Rules
from consumer.core.tally import Tally

MAX_SEGMENT_TEXTS = 100_000
_BACKSLASH = ord("\\")


@dataclass(slots=True, eq=False)
class Arrivals:
    """Finds lanes, and puts the ids of lists into them."""

    _rules: Rules
    _buffer: Buffer
    _tally: Tally
    _segment_ids: dict[str, int] = field(default_factory=dict)  # by the text of each

    def lane_of(self, event: Event) -> Lane | None:
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

    def take_list(
        self, event: Event, value: bytes | None, ledger: Ledger, message: Message, now: float
    ) -> int | None:
        """Take in a list of plain ids at once; None: that is not possible, and nothing arrived.

        ``value`` is the record's if that is an event; None: a reader said the ids as they are sent.
        Return how many are new: the others repeat what waits in the open batch.
        """
        names, buffer = cast("list[str]", event.ids), self._buffer
        if value is not None:
            is_email = buffer.by_type[event.id_type] is buffer.by_type["email"]
            is_plain = value.isascii() and _BACKSLASH not in value  # else an id may be anything
            if not is_plain or event.id is not UNSET or is_email:
                return None
        lane = self.lane_of(event)
        if lane is None or not lane.is_open_to(event.action, names):
            return None
        batch = buffer.open_batch(lane, event.action, now)  # it gets some of them in any case
        had, room = len(batch.ids), self._rules.batch_max_ids - len(batch.ids)
        if len(names) >= room:
            return self._fill_up(batch, names, ledger, message, now)
        if batch.latest is not ledger:
            note(batch, ledger, message, now)
        keep, origin = batch.ids.setdefault, ledger.base + message.offset()
        for name in names:
            keep(name, origin)
        return len(batch.ids) - had

    def _fill_up(
        self, batch: Batch, names: list[str], ledger: Ledger, message: Message, now: float
    ) -> int | None:
        """Take in a list that fills the batch, and others behind it; None: not all are new."""
        if len(set(names)) < len(names) or not batch.ids.keys().isdisjoint(names):
            return None
        limit, origin, taken = self._rules.batch_max_ids, ledger.base + message.offset(), 0
        while taken < len(names):
            batch = self._buffer.open_batch(batch.lane, batch.action, now)
            note(batch, ledger, message, now)
            part = names[taken : taken + limit - len(batch.ids)]
            batch.ids.update(dict.fromkeys(part, origin))
            taken += len(part)
            if len(batch.ids) == limit:
                self._buffer.close(batch)
        return taken

    def take_names(
        self, event: Event, names: Sequence[str], ledger: Ledger, message: Message, now: float
    ) -> None:
        """Take in the ids of a record that names a segment, one by one."""
        lane, action = cast("Lane", self.lane_of(event)), event.action
        buffer, origin = self._buffer, ledger.base + message.offset()
        duplicate = superseded = 0
        for name in names:
            waiting = lane.find(name)
            if waiting is not None and waiting.action == action:
                note(waiting, ledger, message, now)
                duplicate += 1
                continue
            if waiting is not None:
                buffer.take_out(waiting, name)
                superseded += 1
            batch = buffer.open_batch(lane, action, now)
            note(batch, ledger, message, now)
            batch.ids[name] = origin
            if len(batch.ids) >= self._rules.batch_max_ids:
                buffer.close(batch)
        buffer.held_ids += len(names) - duplicate - superseded
        self.count(action, len(names), duplicate, superseded)

    def count(self, action: Action, received: int, duplicate: int, superseded: int) -> None:
        """Count what changes of one action came to, and what they did to the opposite ones."""
        add = self._tally.add
        add("ids_received_total", action, n=received)
        if duplicate:
            add("ids_total", action, "duplicate", n=duplicate)
        if superseded:
            add("ids_total", opposite_of(action), "superseded", n=superseded)


def note(batch: Batch, ledger: Ledger, message: Message, now: float) -> None:
    """Have the ledger wait for what arrives in the batch, if it doesn't yet."""
    batch.latest = ledger
    if ledger.base not in batch.bases:
        kind, timestamp_ms = message.timestamp()
        first_ms = timestamp_ms if kind and timestamp_ms > 0 else math.inf
        batch.bases[ledger.base] = ledger.hold(message.offset(), batch, now, first_ms)
