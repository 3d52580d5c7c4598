"""All lanes, and how many ids are held: buffered, waiting, in flight or waiting for a dead letter.

The life of a batch: `open` - ids arrive - `seal` when it is full or leaves - attempts - `finish`
when nothing of it is left. `release` takes out the ids of a partition that went away.
"""

import math
from collections.abc import Iterator

from msgspec import UNSET

from consumer.core.events import ID_TYPES, IdType
from consumer.core.lanes import Batch, Lane
from consumer.core.ledger import base_of
from consumer.core.tally import Tally
from consumer.core.troubles import Troubles
from consumer.core.turns import Turns


class Buffer:
    """``by_type`` finds a lane by id type (UNSET is the default one) and segment."""

    def __init__(self, default_id_type: IdType, linger_seconds: float, tally: Tally) -> None:
        self.by_type: dict[object, dict[int, Lane]] = {name: {} for name in ID_TYPES}
        self.by_type[UNSET] = self.by_type[default_id_type]
        self.turns = Turns()
        self.troubles = Troubles()
        self.held_ids = 0
        self._default_id_type = default_id_type
        self._linger_seconds = linger_seconds
        self._tally = tally
        self._seals = 0

    def lanes(self) -> Iterator[Lane]:
        """Yield all lanes."""
        for id_type in ID_TYPES:
            yield from self.by_type[id_type].values()

    def new_lane(self, segment_id: int, id_type: object) -> Lane:
        """Begin a lane."""
        name = self._default_id_type if id_type is UNSET else str(id_type)
        lane = Lane(segment_id, name)
        self.by_type[name][segment_id] = lane
        return lane

    def open(self, lane: Lane, action: str, now: float) -> Batch:
        """Begin a batch; it is due when the linger of this, its first id, is over."""
        batch = Batch(lane, action, now, now + self._linger_seconds)
        if action == "add":
            lane.add = batch
        else:
            lane.remove = batch
        self.turns.schedule(lane, batch.due_at)
        return batch

    def seal(self, batch: Batch, reason: str) -> None:
        """Take no more ids; from now on it stands in the order of its lane."""
        self._seals += 1
        batch.seal = self._seals
        batch.lane.take_out(batch)
        batch.lane.sealed.append(batch)
        self._tally.add("batches_total", batch.action, reason)
        self.turns.enqueue(batch.lane)

    def next_batch(self, lane: Lane, now: float) -> Batch | None:
        """Return the lane's batch that may leave now, sealed; else set its timer."""
        for batch in lane.open_batches():
            if batch.due_at <= now:
                self.finish(batch)  # one whose ids were all superseded
        found = lane.next_batch(now)
        if found is not None:
            if found.seal is None:
                self.seal(found, found.reason)
            return found
        wake_at = lane.next_wake(now)
        if wake_at < math.inf:
            self.turns.schedule(lane, wake_at)
        elif lane.is_idle() and lane.wake_at == math.inf:
            lanes = self.by_type[lane.id_type]
            if lanes.get(lane.segment_id) is lane:  # not a younger one of the same name
                del lanes[lane.segment_id]
        return None

    def finish(self, batch: Batch) -> None:
        """Settle the batch if nothing of it is left."""
        if not (batch.ids or batch.dead_letters or batch.settled):
            batch.settled = True
            self.troubles.end(batch)
            batch.lane.take_out(batch)

    def flush(self, bases: set[int], now: float, reason: str) -> None:
        """Make the batches that hold changes of these ledgers due, and their lanes first."""
        touched: list[Lane] = []
        for lane in self.lanes():
            batches = [batch for batch in lane.batches() if not bases.isdisjoint(batch.bases)]
            if batches:
                touched.append(lane)
            for batch in batches:
                make_due(batch, now, reason)
        self.turns.put_in_front(touched)

    def release(self, bases: set[int]) -> None:
        """Take out the ids of these ledgers."""
        for lane in list(self.lanes()):
            for batch in lane.batches():
                if not bases.isdisjoint(batch.bases):
                    self._release(batch, bases)
            self.turns.enqueue(lane)  # what they stood in the way of may leave now

    def settle_ids(self, action: str, outcome: str, count: int) -> None:
        """Count held ids as ended."""
        self._tally.add("ids_total", action, outcome, n=count)
        self.held_ids -= count

    def _release(self, batch: Batch, bases: set[int]) -> None:
        batch.bases -= bases
        gone = [name for name, origin in batch.ids.items() if base_of(origin) in bases]
        if batch.in_flight and gone:
            batch.lane.echo(batch, gone, batch.deadline)  # the running attempt stays in the way
        for name in gone:
            del batch.ids[name]
        self.settle_ids(batch.action, "released", len(gone))
        if batch.seal is not None:
            self.finish(batch)


def make_due(batch: Batch, now: float, reason: str) -> bool:
    """Make an open batch due before its time; return whether it was not due anyway."""
    is_early = batch.seal is None and batch.due_at > now
    if is_early:
        batch.due_at = now
        batch.reason = reason
    return is_early
