"""A lane: everything for one (segment, id_type), and the rule that keeps its order.

Buffers are per lane and action. Sent independently, ``remove x`` and a later ``add x`` could arrive
in either order, and the API keeps whatever it processes last. So:

- What is not in flight is still to be decided. A new change takes its id out of whatever waits with
  the opposite action (superseded), and is dropped if the id waits with the same one (a duplicate).
  A batch that comes back undelivered gives up the ids that have an opposite change meanwhile, and
  what repeats the others is dropped. So a backlog collapses to each id's last word (see `backlog`).
- What is in flight is in the way of the opposite changes of its ids, and of nothing else: those ids
  wait, the others of their batch leave without them, unless that would make many small requests.
- An attempt whose fate is unknown (timeout, reset, answer cut short) may be applied until its start
  plus the request timeout. Until then its ids go on standing in the way as an *echo*, even when the
  batch was delivered by a later attempt, or was released because its partition went away.
- Batches of the same action fly side by side: a repetition does no harm.

Invariants (tests name them):
- I2 (this module's part): for an id of one lane, requests start in the order of its changes.
- I3: a batch has at most the limit of ids, none twice, all of one segment, action and id type.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from consumer.core.backlog import Backlog
from consumer.core.backoff import Backoff
from consumer.core.events import Action
from consumer.core.ledger import Hold, Ledger
from consumer.core.splitting import Split

FAILING_AFTER = 3  # failed attempts in a row, of whichever batches of a lane
BAD_AFTER = 3  # separate troubles in a row, that others' successes ended
SLOW_SECONDS = 1.0  # what holds a slot no longer costs others little
DOUBTS = 3  # for a slow attempt, if it or the one before failed; any other success ends one
MOST_DOUBTS = 12


@dataclass(slots=True, eq=False, repr=False)
class Batch(Backoff):
    """The ids of one request, from the first id until all of them are settled.

    ``ids`` maps each id that is not settled yet to its origin (see `ledger`); while the batch is
    in flight, those of the running attempt are among them. ``due_at`` is when the linger of its
    first id is over.

    Ledgers wait for the batch in which an id arrived. If others took ids over from it, those are
    its ``carriers``, and it is one of their ``sources``: it is over when all of them are. ``bases``
    has each ledger that waits for what it carries, and from which record on. ``latest`` is the last
    one that it got something from.
    """

    lane: "Lane"
    action: Action
    opened_at: float
    due_at: float
    ids: dict[str, int] = field(default_factory=dict)
    bases: dict[int, Hold] = field(default_factory=dict)
    latest: Ledger | None = None
    sources: tuple["Batch", ...] = ()
    carriers: tuple["Batch", ...] = ()
    reason: str = "linger"
    is_open: bool = True
    in_flight: bool = False
    is_tried: bool = False
    deadline: float = math.inf  # of the running attempt
    split: Split | None = None
    dead_letters: int = 0  # dead letters on their way
    settled: bool = False
    blocked_at: int = -1  # the lane's landings when it was last found that it may not leave

    def take_over(self, other: "Batch", names: Collection[str]) -> None:
        """Take ids over from another batch of the lane and action."""
        if len(names) == len(other.ids):
            self.ids.update(other.ids)
            other.ids.clear()
        else:
            self.ids.update((name, other.ids.pop(name)) for name in names)
        self.vouch_for(other)

    def vouch_for(self, other: "Batch") -> None:
        """Have the ledgers wait for this one too where they wait for another one.

        As far as they don't already, from an earlier offset on: else one that fails for hours would
        keep all that is settled meanwhile.
        """
        for source in (other, *other.sources):
            if source is not self and self._waits_less(source) and source not in self.sources:
                self.sources += (source,)
                source.carriers += (self,)
        for base, hold in other.bases.items():
            offset, read_at, oldest_ms = hold
            first, _, first_ms = self.bases.get(base, hold)
            self.bases[base] = (min(first, offset), read_at, min(first_ms, oldest_ms))

    def _waits_less(self, other: "Batch") -> bool:
        """Whether some ledger waits for another one from an earlier offset on, or only for it."""
        own = self.bases
        return any(base not in own or at[0] < own[base][0] for base, at in other.bases.items())

    def is_over(self) -> bool:
        """Whether no ledger has to wait for it any more."""
        return self.settled and not self.carriers

    def next_ids(self) -> tuple[str, ...]:
        """Return the ids of the next attempt."""
        if self.split is None:
            return tuple(self.ids)
        return self.split.next_part(self.ids)

    def is_joinable(self) -> bool:
        """Whether it may leave as one with others: no bad id is looked for in it, or feared."""
        return self.split is None and self.troubles < BAD_AFTER

    def starts_by(self, at: float) -> bool:
        """Whether no backoff keeps it from being sent at that time."""
        return not self.settled and self.lane.backoff_until(self) <= at


@dataclass(frozen=True, slots=True, eq=False)
class Echo:
    """Ids that an attempt of unknown fate may still be applied to until ``until``."""

    action: Action
    ids: Collection[str]
    until: float


_NOTHING: Backlog[Batch] = Backlog()  # of all lanes where nothing waits: there are many


@dataclass(slots=True, eq=False, repr=False)
class Lane(Backoff):
    """The batches of one (segment, id_type): open ones, the ``backlog``, and those in flight."""

    segment_id: int
    id_type: str
    add: Batch | None = None
    remove: Batch | None = None
    backlog: Backlog[Batch] = field(default_factory=lambda: _NOTHING)
    in_flight: tuple[Batch, ...] = ()
    echoes: tuple[Echo, ...] = ()
    splitting: Batch | None = None  # of which bad ids are looked for, the last if there are several
    landings: int = 0  # how often something ceased to be in the way
    turn: int = 0  # the number of the turn that it waits for; 0: of none
    flush: int = 0  # the last one that it goes first in: a partition that it holds is going away
    wake_at: float = math.inf  # the earliest entry that the timer has for it
    showed_hold: bool = False  # since its last success
    has_succeeded: bool = False
    doubts: int = 0  # that it gives back the slots that it gets; see `judge`

    def is_failing(self) -> bool:
        """Whether one attempt at a time has to do, under backoff: too many failed in a row."""
        return self.failures >= FAILING_AFTER or self.showed_hold

    def is_bad(self) -> bool:
        """Whether it fails while others don't, so that it tells nothing about the API."""
        return self.troubles >= BAD_AFTER

    def was_well(self) -> bool:
        """Whether its last attempt succeeded: else one that fails says nothing new."""
        return self.has_succeeded and not self.failures

    def judge(self, took_seconds: float, *, failed: bool) -> None:
        """Take in how long an attempt took, before it is known as the last one.

        What holds a slot for less than `SLOW_SECONDS` is no trouble to others, however it ends.
        """
        if took_seconds > SLOW_SECONDS and (failed or self.failures):
            self.doubts = min(self.doubts + DOUBTS, MOST_DOUBTS)
        elif not failed:
            self.doubts = max(self.doubts - 1, 0)

    def has_its_share(self, slots: int) -> bool:
        """Whether it must do with the half of the slots that it has: it is slow, and fails often.

        Else it would hold all of them, while its failures make them fewer for everybody.
        """
        return self.doubts > DOUBTS and 2 * len(self.in_flight) >= slots

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

    # -- batches -------------------------------------------------------------------------------

    def open_batches(self) -> list[Batch]:
        """Return the one or two open batches."""
        return [batch for batch in (self.add, self.remove) if batch is not None]

    def close(self, batch: Batch) -> None:
        """Let the open batch take no more ids; what it has waits in the backlog."""
        self._detach(batch)
        self._backlog().add(batch)

    def depart(self, batch: Batch) -> None:
        """Let a batch be in flight."""
        batch.in_flight = batch.is_tried = True
        self.in_flight += (batch,)

    def land(self, batch: Batch) -> None:
        """Let a batch be in flight no more."""
        if batch.in_flight:
            batch.in_flight = False
            self.in_flight = tuple(each for each in self.in_flight if each is not batch)
            self.landings += 1

    def take_out(self, batch: Batch) -> None:
        """Let a batch leave that waits."""
        if batch.is_open:
            self._detach(batch)
        else:
            self.backlog.take(batch)

    def put_back(self, batch: Batch) -> None:
        """Let a batch that came back wait for its next attempt, or for its dead letters."""
        self._backlog().put_back(batch)

    def discard(self, batch: Batch) -> None:
        """Let go of a batch, wherever it is."""
        if batch.is_open:
            self._detach(batch)
        self.land(batch)
        self.backlog.take(batch)

    def find(self, name: str) -> Batch | None:
        """Return what waits with this id: an open batch, or one of the backlog."""
        for batch in (self.add, self.remove):
            if batch is not None and name in batch.ids:
                return batch
        return self.backlog.at(name) if name in self.backlog.known else None

    def is_open_to(self, action: Action, names: Collection[str]) -> bool:
        """Whether none of these ids waits anywhere but in the open batch of that action."""
        opposite = self.remove if action == "add" else self.add
        return (opposite is None or opposite.ids.keys().isdisjoint(names)) and (
            not self.backlog.count or self.backlog.known.keys().isdisjoint(names)
        )

    def held_ids(self) -> int:
        """Return how many ids its batches hold."""
        others = [*self.open_batches(), *self.in_flight]
        return self.backlog.ids + sum(len(batch.ids) for batch in others)

    def oldest_opened_at(self) -> float:
        """Return when the oldest of its batches was opened; inf: it has none."""
        others = [batch for batch in (*self.open_batches(), *self.in_flight) if batch.ids]
        opened = [batch.opened_at for batch in others]
        return min(*opened, *self.backlog.oldest_opened_at(), math.inf, math.inf)

    def is_idle(self) -> bool:
        """Whether nothing is left that the lane must remember."""
        return not (self.add or self.remove or self.backlog.count or self.in_flight or self.echoes)

    # -- what may leave; see `leaving` ---------------------------------------------------------

    def in_the_way_of(self, action: Action) -> list[Collection[str]]:
        """Return the ids of which the API may apply an opposite change yet."""
        others: list[Batch | Echo] = [*self.in_flight, *self.echoes]
        return [each.ids for each in others if each.action != action]

    def forget_echoes(self, now: float) -> None:
        """Let what can be applied no more be in the way no more."""
        if self.echoes:
            remaining = tuple(echo for echo in self.echoes if echo.until > now)
            self.landings += len(self.echoes) - len(remaining)
            self.echoes = remaining

    def may_have_due(self, now: float) -> bool:
        """Whether a closer look may find something that can leave at once.

        What something may be in the way of waits in the backlog, and so does what may be tried
        again: an open batch that is due is looked at when its time has come.
        """
        add, remove = self.add, self.remove
        return (
            self.backlog.count > 0
            or (add is not None and add.due_at <= now)
            or (remove is not None and remove.due_at <= now)
        )

    def has_its_timer(self) -> bool:
        """Whether it will be looked at in time: before an open batch is due, if something is left.

        The timer may have been set while the lane had a turn, for the batch that was opened last.
        One of which nothing is left needs none, were it for a linger that takes an hour.
        """
        at, add, remove = self.wake_at, self.add, self.remove
        is_early = (add is None or at <= add.due_at) and (remove is None or at <= remove.due_at)
        return at < math.inf and is_early and not self.is_idle()

    def next_wake(self, now: float) -> float:
        """Return when a look at this lane may find something that can't be found at ``now``.

        What waits for an answer is not among it: an answer wakes the lane anyway.
        """
        times = [echo.until for echo in self.echoes]
        times += [batch.due_at for batch in self.open_batches() if batch.due_at > now]
        times += [each.not_before for each in self.backlog.tried() if each.not_before > now]
        if self.waits_until() > now:
            times.append(self.waits_until())
        return min(times, default=math.inf)

    def from_oldest(self, action: Action) -> Iterator[Batch]:
        """Yield what was not tried yet, the open batch last."""
        yield from self.backlog.fresh(action)
        open_batch = self.add if action == "add" else self.remove
        if open_batch is not None:
            yield open_batch

    def _detach(self, batch: Batch) -> None:
        batch.is_open = False
        if batch is self.add:
            self.add = None
        else:
            self.remove = None

    def _backlog(self) -> Backlog[Batch]:
        if self.backlog is _NOTHING:
            self.backlog = Backlog()
        return self.backlog
