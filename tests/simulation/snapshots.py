"""Looks at what a process publishes: every id is accounted for (I6), memory is bounded (I7)."""

from typing import TYPE_CHECKING

from consumer.core.dead_letters import DeadLetter
from consumer.core.lanes import Batch
from consumer.observability.status import Reporter
from tests.simulation.oracle import Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from consumer.core.ledger import Ledger
    from consumer.engine.ports import Published

FEW = 8
EVERY = 5  # a whole snapshot is costly; between them the counters are looked at


class Snapshots:
    """One process's. ``record_ids`` is the most that one record carries."""

    def __init__(self, limit_ids: int, record_ids: int) -> None:
        self._limit_ids = limit_ids + record_ids
        self._reporter = Reporter()
        self._count = 0

    def look(self, published: "Published", ledgers: "Iterable[Ledger]") -> None:
        """Look at what is published, and at what is kept."""
        self._count += 1
        held: float = published.held_ids
        counters: Mapping[tuple[str, ...], float] = published.counts.counters
        if self._count % EVERY == 0:
            counters = self._reporter.snapshot(published, published.at).samples
            held = counters["held_ids",]
        received = ended = 0.0
        for key, value in counters.items():
            if key[0] == "ids_received_total":
                received += value
            elif key[0] == "ids_total":
                ended += value
        if received != ended + held:
            raise Violation(f"I6: {received} received, {ended} ended, {held} held")
        if not 0 <= held <= self._limit_ids:
            raise Violation(f"I7: {held} held, {self._limit_ids} at most")
        if self._count % EVERY == 0:
            for ledger in ledgers:
                _check_kept(ledger)


def _check_kept(ledger: "Ledger") -> None:
    """Look whether what is settled is kept because something older isn't."""
    are_settled = [_is_settled(holder) for holder in ledger.holders()]
    settled = sum(are_settled)
    if settled > len(are_settled) - settled + FEW:
        raise Violation(f"I7: {settled} of {len(are_settled)} kept by a ledger are settled")


def _is_settled(holder: object) -> bool:
    if isinstance(holder, Batch):
        return holder.is_over()
    return isinstance(holder, DeadLetter) and holder.settled
