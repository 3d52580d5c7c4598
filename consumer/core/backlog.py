"""What of a lane waits behind its open batches: where an id is, and which batch is next (pure).

Two kinds of batches wait here. *Fresh* ones were closed before they could leave: they were full, or
something stood in the way of a part of them. *Tried* ones came back without a delivery.

Invariant: of all that waits in a lane, open batches included, an id is in one place at most,
whatever the action. So a change finds what it supersedes or repeats by its id alone (`known`), and
nothing that waits can stand in the way of anything else that does.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from consumer.core.events import Action

NOWHERE: dict[str, object] = {}


class Waiting(Protocol):
    """A batch, as far as the backlog goes; see `lanes.Batch`."""

    action: Action
    opened_at: float
    ids: dict[str, int]
    not_before: float


B = TypeVar("B", bound=Waiting)


@dataclass(slots=True, eq=False)
class Backlog(Generic[B]):
    """Owned by the lane. ``count`` is how many batches wait, ``ids`` how many ids they have.

    ``known`` has the ids that wait: those of the only batch, as with a healthy API no more wait, or
    the places of all.
    """

    count: int = 0
    ids: int = 0
    known: Mapping[str, object] = field(default_factory=lambda: NOWHERE)
    _adds: OrderedDict[B, None] = field(default_factory=OrderedDict)
    _removes: OrderedDict[B, None] = field(default_factory=OrderedDict)
    _tried: OrderedDict[B, None] = field(default_factory=OrderedDict)
    _places: dict[str, B] | None = None  # where each id is, if there are several batches

    def batches(self) -> Iterator[B]:
        """Yield all of them."""
        yield from self._adds
        yield from self._removes
        yield from self._tried

    def tried(self) -> Iterator[B]:
        """Yield what was tried, and waits for its next attempt or for dead letters."""
        return iter(self._tried)

    def fresh(self, action: Action) -> OrderedDict[B, None]:
        """Return what was not tried yet, the oldest first."""
        return self._adds if action == "add" else self._removes

    def add(self, batch: B) -> None:
        """Let a batch wait that was closed."""
        self._enter(batch, self.fresh(batch.action))

    def put_back(self, batch: B) -> None:
        """Let a batch wait for its next attempt."""
        self._enter(batch, self._tried)

    def take(self, batch: B) -> None:
        """Let go of a batch: it leaves, or is settled. No matter if it isn't here."""
        for those in (self._tried, self.fresh(batch.action)):
            if batch in those:
                del those[batch]
                self.count -= 1
                self.dropped(batch.ids)
                self._look_round()

    def dropped(self, names: Collection[str]) -> None:
        """Take note that these ids are not in the batch any more in which they waited."""
        self.ids -= len(names)
        if self._places is not None:
            for name in names:
                del self._places[name]

    def at(self, name: str) -> B:
        """Return the batch in which this known id waits."""
        return next(self.batches()) if self._places is None else self._places[name]

    def _enter(self, batch: B, those: OrderedDict[B, None]) -> None:
        those[batch] = None
        self.count += 1
        self.ids += len(batch.ids)
        if self._places is not None:
            self._places.update(dict.fromkeys(batch.ids, batch))
        self._look_round()

    def _look_round(self) -> None:
        """Remember where ids are to be looked for."""
        if self.count > 1:
            if self._places is None:
                self._places = {name: batch for batch in self.batches() for name in batch.ids}
            self.known = self._places
        else:
            self._places = None
            self.known = next((batch.ids for batch in self.batches()), NOWHERE)

    def oldest_opened_at(self) -> list[float]:
        """Return when the oldest batch of each kind was opened."""
        oldest = [next(iter(fresh)).opened_at for fresh in (self._adds, self._removes) if fresh]
        return [*oldest, *(batch.opened_at for batch in self._tried)]
