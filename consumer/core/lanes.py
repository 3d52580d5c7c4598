"""A lane: everything for one (segment, id_type), and the rule that keeps its order.

Buffers are per lane and action. Sent independently, ``remove x`` and a later ``add x`` could arrive
in either order, and the API keeps whatever it processes last. So:

- A new change whose id waits in the *open* batch of the opposite action takes it out there. The two
  open batches of a lane therefore never share an id.
- A batch may leave only when no batch of the opposite action that was *sealed earlier* and is not
  settled shares an id with it. An open batch is never earlier than a sealed one.
- An attempt whose fate is unknown (timeout, reset, answer cut short) may be applied until its start
  plus the request timeout. Until then its ids go on standing in the way as an *echo*, even when the
  batch was delivered by a later attempt, or was released because its partition went away.
- Batches of the same action fly side by side: a repetition does no harm.

Invariants (tests name them):
- I2 (this module's part): for an id of one lane, requests start in the order of its changes.
- I3: a batch has at most the limit of ids, none twice, all of one segment, action and id type.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, field

from consumer.core.backlog import Backlog, Echo, Sealed
from consumer.core.backoff import Backoff
from consumer.core.splitting import Split

FAILING_AFTER = 3  # failed attempts in a row, of whichever batches of a lane
BAD_AFTER = 3  # separate troubles in a row, that others' successes ended


@dataclass(slots=True, eq=False, repr=False)
class Batch(Backoff):
    """The ids of one request, from the first id until all of them are settled.

    ``ids`` maps each id that is not settled yet to its origin (see `ledger`); while the batch is
    in flight, those of the running attempt are among them. ``bases`` names each ledger that it
    holds. ``due_at`` is when the linger of its first id is over.
    """

    lane: "Lane"
    action: str
    opened_at: float
    due_at: float
    ids: dict[str, int] = field(default_factory=dict)
    bases: set[int] = field(default_factory=set)
    reason: str = "linger"
    seal: int | None = None  # the order of sealing; None while open
    in_flight: bool = False
    deadline: float = math.inf  # of the running attempt
    split: Split | None = None
    dead_letters: int = 0  # dead letters on their way
    settled: bool = False
    blocker: tuple[Sealed | Echo, str] | None = None
    parked: dict[str, dict[Sealed, None]] | None = None  # what waits until such an id left it
    place: str = ""  # in the backlog
    compared_to: int = 0  # the seal of the next one that may be in the way
    counted: int = 0  # ids of it that the backlog counted

    def next_ids(self) -> tuple[str, ...]:
        """Return the ids of the next attempt."""
        if self.split is None:
            return tuple(self.ids)
        return self.split.next_part(self.ids)

    def starts_by(self, at: float) -> bool:
        """Whether no backoff keeps it from being sent at that time."""
        return not self.settled and self.lane.backoff_until(self) <= at

    def is_waiting(self) -> bool:
        """Whether it is sealed and has ids to send that are not in flight."""
        return not self.in_flight and self.seal is not None and bool(self.ids)


_NOTHING: Backlog[Batch] = Backlog()  # of all lanes without a sealed batch: there are many


@dataclass(slots=True, eq=False, repr=False)
class Lane(Backoff):
    """The batches of one (segment, id_type): open ones, and ``sealed``."""

    segment_id: int
    id_type: str
    add: Batch | None = None
    remove: Batch | None = None
    sealed: Backlog[Batch] = field(default_factory=lambda: _NOTHING)
    in_flight: int = 0  # batches
    turn: int = 0  # the number of the turn that it waits for; 0: of none
    flush: int = 0  # the last one that it goes first in: a partition that it holds is going away
    wake_at: float = math.inf  # the earliest entry that the timer has for it
    showed_hold: bool = False  # since its last success
    has_succeeded: bool = False

    def is_failing(self) -> bool:
        """Whether one attempt at a time has to do, under backoff: too many failed in a row."""
        return self.failures >= FAILING_AFTER or self.showed_hold

    def is_bad(self) -> bool:
        """Whether it fails while others don't, so that it tells nothing about the API."""
        return self.troubles >= BAD_AFTER

    def was_well(self) -> bool:
        """Whether its last attempt succeeded: else one that fails says nothing new."""
        return self.has_succeeded and not self.failures

    def waits_until(self) -> float:
        """Return until when nothing of it is sent."""
        return self.not_before if self.is_failing() else self.asked_until

    def succeed(self) -> None:
        """Forget all failures."""
        Backoff.succeed(self)
        self.showed_hold = False
        self.has_succeeded = True

    def backoff_until(self, batch: Batch) -> float:
        """Return when the backoffs of the batch and of its lane are over."""
        return max(batch.not_before, self.waits_until())

    def seal(self, batch: Batch) -> None:
        """Move the batch from the open ones to the sealed."""
        if self.sealed is _NOTHING:
            self.sealed = Backlog()
        self.close(batch)
        self.sealed.add(batch)

    def close(self, batch: Batch) -> None:
        """Take the batch from the open ones."""
        if batch is self.add:
            self.add = None
        else:
            self.remove = None

    def open_batches(self) -> list[Batch]:
        """Return the one or two open batches, the one that is due earlier first."""
        both = [batch for batch in (self.add, self.remove) if batch is not None]
        if len(both) > 1 and both[1].due_at < both[0].due_at:
            both.reverse()
        return both

    def held_ids(self) -> int:
        """Return how many ids its batches hold."""
        return self.sealed.ids + sum(len(batch.ids) for batch in self.open_batches())

    def oldest_opened_at(self) -> float:
        """Return when the oldest of its batches was opened; inf: it has none."""
        opened = [batch.opened_at for batch in self.open_batches() if batch.ids]
        return min(self.sealed.oldest_opened_at(), *opened, math.inf)

    def is_idle(self) -> bool:
        """Whether nothing is left that the lane must remember."""
        return not (self.add or self.remove or self.sealed or self.sealed.echoes)

    def echo(self, batch: Batch, ids: Collection[str], until: float) -> None:
        """Remember that ``ids`` of a sealed batch may yet be applied until ``until``."""
        self.sealed.echoes.append(Echo(batch.action, batch.seal or 0, frozenset(ids), until))

    def next_batch(self, now: float) -> Batch | None:
        """Return the oldest batch that is due and may leave now, or None."""
        self.sealed.forget_echoes(now)
        if self.waits_until() > now or (self.is_failing() and self.in_flight):
            return None
        oldest = self.sealed.first(now, self.may_leave)
        for batch in self.open_batches():  # an older one must not wait for all that is full
            is_older = oldest is None or batch.opened_at < oldest.opened_at
            if is_older and batch.ids and batch.due_at <= now:
                if self.may_leave(batch):
                    return batch
                if not _is_in_backoff(batch.blocker, now):
                    break  # a younger one would be in its way next, and so on
        if oldest is not None:
            self.sealed.take(oldest)
        return oldest

    def next_wake(self, now: float) -> float:
        """Return when a look at this lane may find something that can't be found at ``now``.

        What waits for an answer is not among it: an answer wakes the lane anyway.
        """
        times = [self.sealed.next_wake(now)]
        times += [batch.due_at for batch in self.open_batches() if batch.due_at > now]
        if self.waits_until() > now:
            times.append(self.waits_until())
        return min(times)

    def may_leave(self, batch: Batch) -> bool:
        """Apply the ordering rule of this module's docstring."""
        return self.sealed.may_leave(batch)


def _is_in_backoff(blocker: tuple[Sealed | Echo, str] | None, now: float) -> bool:
    """Whether what is in the way is a batch that waits for its next attempt."""
    other = blocker[0] if blocker is not None else None
    return isinstance(other, Batch) and not other.in_flight and other.not_before > now
