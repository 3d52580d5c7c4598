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
    blocker: "tuple[Batch | Echo, str] | None" = None

    def next_ids(self) -> tuple[str, ...]:
        """Return the ids of the next attempt."""
        if self.split is None:
            return tuple(self.ids)
        return self.split.next_part(self.ids)

    def is_waiting(self) -> bool:
        """Whether it is sealed and has ids to send that are not in flight."""
        return not self.in_flight and self.seal is not None and bool(self.ids)


@dataclass(frozen=True, slots=True)
class Echo:
    """Ids that an attempt of unknown fate may still be applied to until ``until``.

    ``bases`` names each ledger that its batch held.
    """

    action: str
    seal: int
    ids: Collection[str]
    until: float
    bases: frozenset[int]


@dataclass(slots=True, eq=False, repr=False)
class Lane(Backoff):
    """The batches of one (segment, id_type). ``sealed`` is in the order of sealing."""

    segment_id: int
    id_type: str
    add: Batch | None = None
    remove: Batch | None = None
    sealed: list[Batch] = field(default_factory=list)
    queued: bool = False
    goes_first: bool = False  # a partition that it holds is going away
    wake_at: float = math.inf  # the earliest entry that the timer has for it
    showed_hold: bool = False  # since its last success
    has_succeeded: bool = False
    _echoes: list[Echo] = field(default_factory=list)

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

    def take_out(self, batch: Batch) -> None:
        """Remove the batch from where it is, open or sealed."""
        if batch is self.add:
            self.add = None
        elif batch is self.remove:
            self.remove = None
        else:
            self.sealed.remove(batch)

    def open_batches(self) -> list[Batch]:
        """Return the one or two open batches, the one that is due earlier first."""
        both = [batch for batch in (self.add, self.remove) if batch is not None]
        if len(both) > 1 and both[1].due_at < both[0].due_at:
            both.reverse()
        return both

    def batches(self) -> list[Batch]:
        """Return all batches that are not settled, sealed ones first."""
        return [*self.sealed, *self.open_batches()]

    def held_ids(self) -> int:
        """Return how many ids its batches hold."""
        return sum(len(batch.ids) for batch in self.batches())

    def is_idle(self) -> bool:
        """Whether nothing is left that the lane must remember."""
        return not (self.add or self.remove or self.sealed or self._echoes)

    def echo(self, batch: Batch, ids: Collection[str], until: float) -> None:
        """Remember that ``ids`` may yet be applied until ``until``."""
        bases = frozenset(batch.bases)
        self._echoes.append(Echo(batch.action, batch.seal or 0, frozenset(ids), until, bases))

    def is_echoing(self, bases: set[int], now: float) -> bool:
        """Whether there is an echo of one of these ledgers."""
        return any(echo.until > now and not echo.bases.isdisjoint(bases) for echo in self._echoes)

    def forget_echoes(self, now: float) -> None:
        """Drop the echoes that are over."""
        if self._echoes:
            self._echoes = [echo for echo in self._echoes if echo.until > now]

    def next_batch(self, now: float) -> Batch | None:
        """Return the oldest batch that is due and may leave now, or None."""
        self.forget_echoes(now)
        if self.waits_until() > now:
            return None
        if self.is_failing() and any(batch.in_flight for batch in self.sealed):
            return None
        oldest = None
        for batch in self.sealed:
            if batch.is_waiting() and batch.not_before <= now and self.may_leave(batch):
                oldest = batch
                break
        for batch in self.open_batches():  # an older one must not wait for all that is full
            is_older = oldest is None or batch.opened_at < oldest.opened_at
            if is_older and batch.ids and batch.due_at <= now:
                if self.may_leave(batch):
                    return batch
                if not _is_in_backoff(batch.blocker, now):
                    break  # a younger one would be in its way next, and so on
        return oldest

    def next_wake(self, now: float) -> float:
        """Return when a look at this lane may find something that can't be found at ``now``.

        What waits for an answer is not among it: an answer wakes the lane anyway.
        """
        times = [echo.until for echo in self._echoes]
        times += [batch.due_at for batch in self.open_batches() if batch.due_at > now]
        times += [batch.not_before for batch in self.sealed if batch.not_before > now]
        if self.waits_until() > now:
            times.append(self.waits_until())
        return min(times, default=math.inf)

    def may_leave(self, batch: Batch) -> bool:
        """Apply the ordering rule of this module's docstring.

        The witness of the last refusal is remembered: while it stands, nothing is compared again.
        """
        if batch.blocker is not None:
            other, witness = batch.blocker
            stands = not other.settled if isinstance(other, Batch) else other in self._echoes
            if stands and witness in other.ids and witness in batch.ids:
                return False
            batch.blocker = None
        seal = math.inf if batch.seal is None else batch.seal
        others: list[Batch | Echo] = [*self.sealed, *self._echoes]
        for other in others:
            if other.action == batch.action or (other.seal or 0) >= seal:
                continue
            witness_found = _shared(batch.ids, other.ids)
            if witness_found is not None:
                batch.blocker = (other, witness_found)
                return False
        return True


def _is_in_backoff(blocker: "tuple[Batch | Echo, str] | None", now: float) -> bool:
    """Whether what is in the way is a batch that waits for its next attempt."""
    other = blocker[0] if blocker is not None else None
    return isinstance(other, Batch) and not other.in_flight and other.not_before > now


def _shared(ids: Collection[str], others: Collection[str]) -> str | None:
    """Return an id that is in both, or None."""
    if len(ids) > len(others):
        ids, others = others, ids
    for candidate in ids:
        if candidate in others:
            return candidate
    return None
