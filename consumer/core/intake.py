"""Takes records in: decodes them, buffers their ids, notes what they hold. The hot path.

`Intake.receive` goes round a million times per second of CPU: no logging, no call that isn't
needed, the counts in local variables. It takes the records of one plain id; `arrivals` takes lists
of new ones, and `close_look` whatever is left, to the same end. A record is decoded as a plain
event, unless there is a reader: then that says what it is.

Invariants (tests name them):
- I1: every record with an unsettled change has a hold in its ledger, duplicates included.
- I3: an open batch takes an id once and is closed when it is full.
- I6: received = duplicate + superseded + what became held or was refused.
- I7: stops at the first record beyond the limit of held ids, or when dead letters pile up.

A record that can't be read yet is passed over, and so is all that comes behind it in its partition,
as long as that is one of `Intake.awaited`: the ledger stays in front of it, for it is read again.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from consumer.core.arrivals import Arrivals, note
from consumer.core.buffer import Buffer
from consumer.core.close_look import CloseLook
from consumer.core.decoder import NOT_PLAIN, EventDecoder
from consumer.core.events import Event
from consumer.core.ledger import Ledger
from consumer.core.mapping.reading import Awaited, Ignored, Reader
from consumer.core.message import Message
from consumer.core.refusals import Refusals
from consumer.core.rules import Rules
from consumer.core.tally import Tally

if TYPE_CHECKING:
    from consumer.core.lanes import Lane


_NOT_ASCII = "\N{BULLET}"  # in place of what is no plain id


class Intake:
    """Fills the buffer and the ledgers; ``reader``: what reads records that are no plain events."""

    def __init__(
        self,
        rules: Rules,
        decoder: EventDecoder,
        buffer: Buffer,
        refusals: Refusals,
        ledgers: Mapping[tuple[str, int], Ledger],
        tally: Tally,
        reader: Reader | None = None,
    ) -> None:
        self._rules = rules
        self._reader = reader
        self._decode = decoder.decode
        self._buffer = buffer
        self._refusals = refusals
        self._ledgers = ledgers
        self._tally = tally
        self._arrivals = Arrivals(rules, buffer, tally)
        self._close_look = CloseLook(decoder, self._arrivals, buffer, refusals, tally)
        self.awaited: dict[tuple[str, int], bytes] = {}
        """The partitions of which nothing is taken in, and the schema that each waits for."""

    def receive(  # noqa: C901, PLR0912, PLR0915 - the hot path: a call per record costs a tenth of it
        self, messages: Sequence[Message], now: float, first: int = 0
    ) -> tuple[int, Message | None]:
        """Take in ``messages`` in order, as far as the bounds allow, and up to the first error.

        It stops too when a batch is full, for that to leave before others fill up. Those before
        ``first`` were taken in. Return how many are taken then, and the last of them if it carries
        an error instead of a record: what it means decides about those behind it.
        """
        buffer, refusals, decode = self._buffer, self._refusals, self._decode
        lane_of, take_list = self._arrivals.lane_of, self._arrivals.take_list
        by_type, emails = buffer.by_type, buffer.by_type["email"]
        max_ids, unset = self._rules.batch_max_ids, UNSET
        has_others = not self._rules.has_one_topic
        reader, awaited = self._reader, self.awaited
        read = None if reader is None else reader.read_value
        limit = -1 if refusals.is_backed_up() else self._rules.buffer_max_ids
        held, unreadable, closed = buffer.held_ids, refusals.unreadable_in_a_row, buffer.closed
        error: Message | None = None
        ledger: Ledger | None = None
        event: Any  # an `Event`; None: not decoded
        reading: Any = None  # what the reader says
        name: Any  # a text, whatever it was written as
        topic, partition = "", -1
        base = 0  # of the ledger
        began = first  # the run of records of one partition
        # The records of one id to add are what is left of those taken: they are the most.
        taken, others, removes = first, first, 0
        lists = list_adds = list_removes = ignored = 0
        duplicate_adds = duplicate_removes = superseded_adds = superseded_removes = 0
        # Without a copy: each of thousands may be behind the end of another partition.
        rest = map(messages.__getitem__, range(first, len(messages))) if first else messages
        for message in rest:
            if held >= limit:
                break
            taken += 1
            if message.error() is not None:
                error = message
                others += 1
                break
            if message.partition() != partition or (has_others and message.topic() != topic):
                _end_run(messages, taken - 1, ledger)
                topic, partition = message.topic(), message.partition()
                ledger = self._ledgers.get((topic, partition))
                base = 0 if ledger is None else ledger.base
                began = taken - 1
                if awaited and (topic, partition) in awaited:
                    ledger = None
            if ledger is None:  # a record of an assignment that is over
                others += 1
                continue
            value: Any = message.value()
            lane: Lane | None = None
            if read is None or reader is None:
                try:
                    event = decode(value)
                    if event.ids is unset and value.isascii():
                        lanes, name = by_type[event.id_type], event.id
                        if type(name) is not str:
                            name = _NOT_ASCII if name is unset else str(name)
                        if lanes is emails:
                            name = name.lower() if "@" in name else _NOT_ASCII
                        if name.isascii():
                            lane = lanes.get(event.segment_id) or lane_of(event)
                except NOT_PLAIN:
                    event = None
            else:
                reading = reader.read(None, message) if value is None else read(value, message)
                event = reading if type(reading) is Event else None
                if event is not None:
                    name = event.id
                    if name is not unset:
                        lane = by_type[event.id_type].get(event.segment_id) or lane_of(event)
                elif type(reading) is Ignored and value is not None:
                    others += 1
                    ignored += 1
                    continue
                elif type(reading) is Awaited:
                    others += 1
                    awaited[topic, partition] = reading.prefix
                    if taken - 1 > began:
                        _end_run(messages, taken - 1, ledger)
                    ledger = None
                    continue
            if lane is None:
                others += 1
                new = None
                if event is not None and event.ids is not unset:
                    # What a reader says needs no look at how it was written.
                    written = value if read is None else None
                    new = take_list(event, written, ledger, message, now)
                if new is not None:
                    size = len(event.ids)
                    held, unreadable, lists = held + new, 0, lists + 1
                    if event.action == "add":
                        list_adds, duplicate_adds = list_adds + size, duplicate_adds + size - new
                    else:
                        list_removes += size
                        duplicate_removes += size - new
                    if buffer.closed != closed:
                        break
                    continue
                buffer.held_ids, refusals.unreadable_in_a_row = held, unreadable
                if reading is None:
                    is_refused = self._close_look.take(message, event, ledger, now)
                else:
                    is_refused = self._close_look.take_reading(message, reading, ledger, now)
                held, unreadable = buffer.held_ids, refusals.unreadable_in_a_row
                if is_refused and refusals.is_backed_up():
                    limit = -1
                if buffer.closed != closed:
                    break
                continue
            unreadable = 0
            is_add = event.action == "add"
            if is_add:
                batch, other = lane.add, lane.remove
            else:
                removes += 1
                batch, other = lane.remove, lane.add
            if batch is not None and name in batch.ids:
                if batch.latest is not ledger:
                    note(batch, ledger, message, now)
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
                    note(waiting, ledger, message, now)
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
                note(batch, ledger, message, now)
            ids = batch.ids
            ids[name] = base + message.offset()
            if len(ids) >= max_ids:
                buffer.close(batch)
                break
        _end_run(messages, taken, ledger)
        buffer.held_ids, refusals.unreadable_in_a_row = held, unreadable
        plain = taken - others
        adds, removes = plain - removes + list_adds, removes + list_removes
        self._arrivals.count("add", adds, duplicate_adds, superseded_removes)
        self._arrivals.count("remove", removes, duplicate_removes, superseded_adds)
        self._tally.add("records_total", "accepted", n=plain + lists)
        if ignored:
            self._tally.add("records_total", "ignored", n=ignored)
        return taken, error


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
