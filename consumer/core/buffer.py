"""All lanes, and how many ids are held: buffered, waiting, in flight or waiting for a dead letter.

The life of a batch: `open` - ids arrive - `close` when it is full - `next_batch` when it leaves, be
it as it is or as one with others - attempts, each of which ends with `came_back` - `finish` when
nothing of it is left. `release` takes out the ids of a partition that went away.
"""

import math
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice

from msgspec import UNSET

from consumer.core.events import ID_TYPES, Action, IdType
from consumer.core.failing import Failing
from consumer.core.lanes import Batch, Echo, Lane
from consumer.core.leaving import next_batch
from consumer.core.ledger import Ledger, base_of
from consumer.core.tally import Tally
from consumer.core.turns import Turns


class Buffer:
    """``by_type`` finds a lane by id type (UNSET is the default one) and segment.

    ``ledgers`` are those of the assignment, by their base.
    """

    def __init__(
        self,
        default_id_type: IdType,
        linger_seconds: float,
        max_ids: int,
        ledgers: Mapping[int, Ledger],
        tally: Tally,
    ) -> None:
        self.by_type: dict[object, OrderedDict[int, Lane]] = {
            name: OrderedDict() for name in ID_TYPES
        }
        self.by_type[UNSET] = self.by_type[default_id_type]
        self.turns = Turns(max_ids)
        self.failing = Failing()
        self.held_ids = 0
        self.closed = 0  # how many batches were full
        self._open: OrderedDict[Batch, None] = OrderedDict()  # none that was flushed
        self._default_id_type = default_id_type
        self._linger_seconds = linger_seconds
        self._max_ids = max_ids
        self._ledgers = ledgers
        self._tally = tally

    def lanes(self) -> Iterator[Lane]:
        """Yield all lanes."""
        for id_type in ID_TYPES:
            yield from self.by_type[id_type].values()

    def has_one_lane(self) -> bool:
        """Whether there is one lane only."""
        return sum(len(self.by_type[id_type]) for id_type in ID_TYPES) == 1

    def look_at(self, count: int) -> list[Lane]:
        """Return so many lanes at most of each id type; the next time it's the others' turn."""
        looked: list[Lane] = []
        for id_type in ID_TYPES:
            lanes = self.by_type[id_type]
            for segment_id in list(islice(lanes, count)):
                lanes.move_to_end(segment_id)
                looked.append(lanes[segment_id])
        return looked

    def new_lane(self, segment_id: int, id_type: object) -> Lane:
        """Begin a lane."""
        name = self._default_id_type if id_type is UNSET else str(id_type)
        lane = Lane(segment_id, name)
        self.by_type[name][segment_id] = lane
        return lane

    def open(self, lane: Lane, action: Action, now: float) -> Batch:
        """Begin a batch; it is due when the linger of this, its first id, is over."""
        batch = Batch(lane, action, now, now + self._linger_seconds)
        if action == "add":
            lane.add = batch
        else:
            lane.remove = batch
        self._open[batch] = None
        self.turns.schedule(lane, batch.due_at)
        return batch

    def open_batch(self, lane: Lane, action: Action, now: float) -> Batch:
        """Return the lane's open batch, a new one if need be."""
        return (lane.add if action == "add" else lane.remove) or self.open(lane, action, now)

    def take_out(self, batch: Batch, name: str) -> None:
        """Take an id out of a batch that waits: there is a newer change of it."""
        del batch.ids[name]
        if not batch.is_open:
            self._shrink(batch, (name,))
            self.finish(batch)

    def close(self, batch: Batch) -> None:
        """Let an open batch take no more ids, for it is full: it may leave now."""
        self.closed += 1
        batch.reason = "size"
        self._open.pop(batch, None)  # a flush may have taken it already
        batch.lane.close(batch)
        self.turns.enqueue(batch.lane)

    def next_batch(self, lane: Lane, now: float, *, full_first: bool = False) -> Batch | None:
        """Return a batch that may leave now, and waits no longer; else set the lane's timer."""
        open_batches = lane.open_batches()
        for batch in open_batches:
            if batch.due_at <= now:
                self.finish(batch)  # one whose ids were all superseded
        found = next_batch(lane, now, self._max_ids, full_first=full_first)
        for batch in open_batches:
            if not batch.is_open:
                self._open.pop(batch, None)
        if not found:
            self._leave_to_time(lane, now)
            return None
        leaving, *others = found
        for batch in others:
            self.finish(batch)  # if nothing is left of it
        return leaving

    def look_again(self, lane: Lane, now: float) -> None:
        """Give the lane a turn if it may have something to send, else a timer if it needs one."""
        if lane.may_have_due(now):
            self.turns.enqueue(lane)
        elif not lane.turn and not lane.has_its_timer():
            self._leave_to_time(lane, now)

    def came_back(self, batch: Batch) -> None:
        """Let a batch that was in flight wait for its next attempt, unless nothing is left of it.

        An id that has an opposite change meanwhile leaves it. One that was repeated stays, and what
        repeats it leaves the batch where that waits.
        """
        lane = batch.lane
        lane.land(batch)
        if lane.add is not None or lane.remove is not None or lane.backlog.count:
            for name in list(batch.ids):
                newer = lane.find(name)
                if newer is None:
                    continue
                if newer.action == batch.action:
                    batch.vouch_for(newer)
                    self.take_out(newer, name)
                    self.settle_ids(batch.action, "duplicate", 1)
                else:
                    del batch.ids[name]
                    self.settle_ids(batch.action, "superseded", 1)
        if not self.finish(batch):
            lane.put_back(batch)

    def finish(self, batch: Batch) -> bool:
        """Settle the batch if nothing of it is left; return whether it is settled."""
        if batch.settled or batch.ids or batch.dead_letters:
            return batch.settled
        self._open.pop(batch, None)
        batch.lane.discard(batch)
        batch.settled = True
        batch.split = None
        self.failing.end(batch)
        for source in batch.sources:
            source.carriers = tuple(each for each in source.carriers if each is not batch)
        for each in (batch, *batch.sources):
            if each.is_over():
                self.let_go(each, each.bases)
        return True

    def let_go(self, holder: object, bases: Iterable[int]) -> None:
        """Take note that a holder of these ledgers is settled."""
        for base in bases:
            if base in self._ledgers:  # else it is not ours any more
                self._ledgers[base].let_go(holder)

    def echo(self, batch: Batch, ids: Collection[str], until: float) -> None:
        """Remember that ``ids`` of the batch may yet be applied until ``until``."""
        batch.lane.echoes += (Echo(batch.action, frozenset(ids), until),)
        for base in batch.bases.keys() & self._ledgers.keys():
            ledger = self._ledgers[base]
            ledger.echoes_until = max(ledger.echoes_until, until)

    def flush(self, ledgers: Iterable[Ledger], now: float, reason: str) -> None:
        """Make the batches that hold changes of these ledgers due, and their lanes first."""
        batches = _batches_of(ledgers)
        for batch in batches:
            make_due(batch, now, reason)
            self.finish(batch)  # nothing of it may be left
        self.turns.put_in_front(dict.fromkeys(batch.lane for batch in batches))

    def flush_oldest(self, now: float, count: int) -> None:
        """Make so many of the open batches due before their time, the oldest first.

        Each only once: where they may not leave yet, all there is to do is wait.
        """
        while self._open and count > 0:
            batch, _ = self._open.popitem(last=False)
            self.turns.enqueue(batch.lane)
            count -= make_due(batch, now, "pressure")

    def startable(self, ledgers: Iterable[Ledger], latest_start: float) -> Batch | None:
        """Return a batch of these ledgers whose backoffs are over by then."""
        for ledger in ledgers:
            for holder in ledger.holders():
                for batch in _carrying(holder):
                    if batch.ids and batch.starts_by(latest_start):
                        return batch
        return None

    def release(self, ledgers: Iterable[Ledger]) -> None:
        """Take out the ids of these ledgers."""
        ledgers = list(ledgers)
        bases = {ledger.base for ledger in ledgers}
        batches = _batches_of(ledgers)
        for batch in batches:
            self._release(batch, bases)
        for lane in dict.fromkeys(batch.lane for batch in batches):
            if not self._forget_if_idle(lane):
                self.turns.enqueue(lane)  # what they stood in the way of may leave now

    def settle_ids(self, action: str, outcome: str, count: int) -> None:
        """Count held ids as ended."""
        self._tally.add("ids_total", action, outcome, n=count)
        self.held_ids -= count

    def _release(self, batch: Batch, bases: set[int]) -> None:
        for base in bases & batch.bases.keys():
            del batch.bases[base]
        gone = [name for name, origin in batch.ids.items() if base_of(origin) in bases]
        if batch.in_flight and gone:
            self.echo(batch, gone, batch.deadline)  # the running attempt stays in the way
        elif not batch.is_open and not batch.in_flight:
            self._shrink(batch, gone)
        for name in gone:
            del batch.ids[name]
        self.settle_ids(batch.action, "released", len(gone))
        if not batch.is_open:
            self.finish(batch)

    def _shrink(self, batch: Batch, gone: Collection[str]) -> None:
        """Take note that a batch of the backlog lost ids: it may have waited for these alone."""
        lane = batch.lane
        lane.backlog.dropped(gone)
        if batch.blocked_at == lane.landings:
            batch.blocked_at = -1
            self.turns.enqueue(lane)

    def _leave_to_time(self, lane: Lane, now: float) -> None:
        """Set the lane's timer, or forget it if nothing of it is left."""
        wake_at = lane.next_wake(now)
        if wake_at < math.inf:
            self.turns.schedule(lane, wake_at)
        else:
            self._forget_if_idle(lane)

    def _forget_if_idle(self, lane: Lane) -> bool:
        is_idle = lane.is_idle()
        if is_idle:
            self.turns.unschedule(lane)
            self.failing.suspects.pop(lane, None)
            lanes = self.by_type[lane.id_type]
            if lanes.get(lane.segment_id) is lane:  # not a younger one of the same name
                del lanes[lane.segment_id]
        return is_idle


def make_due(batch: Batch, now: float, reason: str) -> bool:
    """Make an open batch due before its time; return whether it was not due anyway."""
    is_early = batch.is_open and batch.due_at > now
    if is_early:
        batch.due_at = now
        batch.reason = reason
    return is_early


def _batches_of(ledgers: Iterable[Ledger]) -> list[Batch]:
    """Return each batch that holds changes of these ledgers once."""
    holders = dict.fromkeys(holder for ledger in ledgers for holder in ledger.holders())
    return list(dict.fromkeys(batch for holder in holders for batch in _carrying(holder)))


def _carrying(holder: object) -> tuple[Batch, ...]:
    """Return the batches that carry what a ledger waits for; none: it is no batch."""
    return (holder, *holder.carriers) if isinstance(holder, Batch) else ()
