"""The sealed batches of a lane: their order, which one is next, and what waits for what.

A batch that waits for its turn has one of three places. *Ready*: it may be looked at, the one that
was sealed first before the others. *Resting*: under its own backoff. *Parked*: at what stands in
its way, by an id that both have; there it is left alone until that id has left one of them. So a
look costs what changed since the last one, and not how many batches there are.

What may stand in a sealed batch's way was sealed before it, and neither gets new ids. So each pair
is compared once, the nearest first: of a long chain only the next one has to be woken.
"""

import heapq
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar, cast

MOST_LOOKS = 1000  # at batches that may not leave, before other lanes have their turn


class Sealed(Protocol):
    """A batch, as far as the backlog goes; see `lanes.Batch`."""

    action: str
    opened_at: float
    ids: dict[str, int]
    seal: int | None
    not_before: float
    settled: bool
    blocker: "tuple[Sealed | Echo, str] | None"
    parked: "dict[str, dict[Sealed, None]] | None"
    place: str
    compared_to: int
    counted: int

    def is_waiting(self) -> bool: ...  # noqa: D102 - see there


B = TypeVar("B", bound=Sealed)


@dataclass(slots=True, eq=False)
class Echo:
    """Ids that an attempt of unknown fate may still be applied to until ``until``."""

    action: str
    seal: int
    ids: Collection[str]
    until: float
    settled: bool = False
    parked: dict[str, dict[Sealed, None]] | None = None


@dataclass(slots=True, eq=False)
class Backlog(Generic[B]):
    """Owned by the lane. ``ids`` counts those that its batches hold."""

    ids: int = 0
    echoes: list[Echo] = field(default_factory=list)
    _adds: list[B] = field(default_factory=list)  # in the order of sealing, as the removes
    _removes: list[B] = field(default_factory=list)
    _ready: list[tuple[int, B]] = field(default_factory=list)
    _resting: list[tuple[float, int, B]] = field(default_factory=list)
    _rests: int = 0
    _has_more: bool = False  # that was not looked at the last time

    def __bool__(self) -> bool:
        """Whether a batch of it is not settled."""
        return bool(self._adds or self._removes)

    def __iter__(self) -> Iterator[B]:
        """Yield all batches."""
        yield from self._adds
        yield from self._removes

    def add(self, batch: B) -> None:
        """Take in a batch that was sealed just now."""
        self._row(batch.action).append(batch)
        batch.compared_to = (batch.seal or 0) - 1
        self.changed(batch)

    def remove(self, batch: B) -> None:
        """Let go of a batch that is settled."""
        row = self._row(batch.action)
        del row[bisect_left(row, batch.seal or 0, key=_seal)]
        batch.place = ""

    def changed(self, batch: B) -> None:
        """Take note that an attempt of the batch is over, or that ids have left it."""
        self.ids += len(batch.ids) - batch.counted
        batch.counted = len(batch.ids)
        self._wake(batch, batch.ids)
        if batch.place == "parked" and batch.blocker is not None:
            other, witness = batch.blocker
            if witness not in batch.ids and other.parked is not None:
                del other.parked[witness][batch]
                batch.place = ""
        self._offer(batch)

    def hurry(self, batch: B) -> None:
        """Take note that the batch's backoff was shortened."""
        if batch.place == "resting":
            batch.place = ""
            self._offer(batch)

    def forget_echoes(self, now: float) -> None:
        """Drop the echoes that are over, at the beginning of each look."""
        self._has_more = False
        for echo in self.echoes:
            if echo.until <= now:
                echo.settled = True
                self._wake(echo, ())
        if self.echoes:
            self.echoes = [echo for echo in self.echoes if not echo.settled]

    def sweep(self) -> None:
        """Forget the places of what was released."""
        self._ready = [each for each in self._ready if each[1].place == "ready"]
        self._resting = [each for each in self._resting if each[2].place == "resting"]
        heapq.heapify(self._ready)
        heapq.heapify(self._resting)

    def first(self, now: float, may_leave: Callable[[B], bool]) -> B | None:
        """Return the batch sealed first of those that may leave now."""
        while self._resting and self._resting[0][0] <= now:
            self.hurry(heapq.heappop(self._resting)[2])
        for _ in range(MOST_LOOKS):
            if not self._ready:
                return None
            batch = self._ready[0][1]
            if batch.place == "ready" and batch.is_waiting():
                if batch.not_before <= now and may_leave(batch):
                    return batch
                if batch.not_before > now:
                    batch.place = "resting"
                    self._rests += 1
                    heapq.heappush(self._resting, (batch.not_before, self._rests, batch))
                else:
                    self._park(batch)
            elif batch.place == "ready":
                batch.place = ""
            heapq.heappop(self._ready)
        self._has_more = bool(self._ready)
        return None

    def take(self, batch: B) -> None:
        """Let the batch that `first` returned leave."""
        heapq.heappop(self._ready)
        batch.place = ""

    def next_wake(self, now: float) -> float:
        """Return when `first` may find something that can't be found at ``now``."""
        times = [echo.until for echo in self.echoes]
        if self._resting and self._resting[0][0] > now:
            times.append(self._resting[0][0])
        return now if self._has_more else min(times, default=math.inf)

    def may_leave(self, batch: B) -> bool:
        """Apply the lanes' rule of order; if not, ``blocker`` says what is in the way and by what.

        While that stands, nothing is compared again.
        """
        if batch.blocker is not None:
            other, witness = batch.blocker
            if not other.settled and witness in other.ids and witness in batch.ids:
                return False
            batch.blocker = None
        for each in self._opposite_ones(batch):
            witness_found = _shared(batch.ids, each.ids)
            if witness_found is not None:
                batch.blocker = (each, witness_found)
                batch.compared_to = each.seal or 0
                return False
        if batch.seal is not None:
            batch.compared_to = 0
        return True

    def oldest_opened_at(self) -> float:
        """Return when the oldest batch was opened; inf: there is none."""
        return min(
            (row[0].opened_at for row in (self._adds, self._removes) if row), default=math.inf
        )

    def _opposite_ones(self, batch: B) -> Iterator[B | Echo]:
        """Yield what may be in the way and wasn't compared yet; an open batch is after all."""
        row = self._removes if batch.action == "add" else self._adds
        is_open = batch.seal is None
        index = len(row) if is_open else bisect_right(row, batch.compared_to, key=_seal)
        while index:
            index -= 1
            yield row[index]
        for echo in self.echoes:
            if echo.action != batch.action and (is_open or echo.seal < (batch.seal or 0)):
                yield echo

    def _offer(self, batch: B) -> None:
        if not batch.place and batch.is_waiting():
            batch.place = "ready"
            heapq.heappush(self._ready, (batch.seal or 0, batch))

    def _park(self, batch: B) -> None:
        other, witness = cast("tuple[B | Echo, str]", batch.blocker)  # for it may not leave
        if other.parked is None:
            other.parked = {}
        other.parked.setdefault(witness, {})[batch] = None
        batch.place = "parked"

    def _wake(self, other: Sealed | Echo, ids: Collection[str]) -> None:
        """Give those that were parked by an id that is not among ``ids`` any more a new place."""
        parked = other.parked or {}
        for witness in [witness for witness in parked if witness not in ids]:
            for batch in parked.pop(witness):
                batch.place, batch.blocker = "", None
                self._offer(batch)  # type: ignore[arg-type]  # of one lane, so of one type

    def _row(self, action: str) -> list[B]:
        return self._adds if action == "add" else self._removes


def _seal(batch: Sealed) -> int:
    return batch.seal or 0


def _shared(ids: Collection[str], others: Collection[str]) -> str | None:
    """Return an id that is in both, or None."""
    if len(ids) > len(others):
        ids, others = others, ids
    for candidate in ids:
        if candidate in others:
            return candidate
    return None
