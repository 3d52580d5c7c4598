"""What one process was given, sent and heard of: what it may commit, seen from outside."""

import math
from dataclasses import dataclass, field

from tests.simulation.api import is_bad
from tests.simulation.log import Change, Lane, Record

SHARED = "any"


@dataclass(slots=True)
class Flying:
    """A change whose request has no good answer yet; ``order`` is its record's."""

    lane: Lane
    action: str
    order: int
    sent_at: float
    came_back: bool = False


@dataclass(slots=True)
class Taken:
    """One assignment of one partition: what was handed out, and what is on its way.

    Records stand for themselves: a log that was truncated has others at the same offsets.
    """

    number: int
    handed: dict[Record, float] = field(default_factory=dict)  # when
    unread: tuple[float, float] = math.inf, 0.0  # from where on, and when that was so last
    order: dict[Record, int] = field(default_factory=dict)
    order_of_offset: dict[int, int] = field(default_factory=dict)
    latest: dict[Change, int] = field(default_factory=dict)  # the last record that says so
    in_flight: dict[tuple[int, Lane, str], Flying] = field(default_factory=dict)  # by offset

    def newest_opposite(self, lane: Lane, action: str, name: str) -> int:
        """Return the order of the last record that says the opposite; -1: none does."""
        return self.latest.get((lane, "remove" if action == "add" else "add", name), -1)


def is_shared(name: str) -> bool:
    """Whether an id is in several partitions: those change it in no order, and for each other."""
    return name.startswith(SHARED)


class Account:
    """``taken`` is by partition: the assignment of now, or the last one."""

    def __init__(self, *, skips: bool) -> None:
        self.taken: dict[int, Taken] = {}
        self.delivered: dict[Change, float] = {}  # when the request started that was answered 200
        self.buried: dict[Change, float] = {}  # when the broker had the dead letter
        self.buried_sources: dict[str, float] = {}
        self._skips = skips
        self._handed = 0

    def hand_out(self, record: Record, now: float) -> None:
        """Take down that the application got a record."""
        taken = self.taken[record.partition]
        taken.handed.pop(record, None)
        taken.handed[record] = now
        self._handed += 1
        taken.order[record] = taken.order_of_offset[record.offset] = self._handed
        for change in record.changes:
            taken.latest[change] = self._handed

    def why_unsettled(self, record: Record) -> str:
        """Return why a record's offset must not be passed by a commit; empty: it may be."""
        taken = self.taken.get(record.partition)
        handed_at = None if taken is None else taken.handed.get(record)
        if taken is None or handed_at is None:
            return "was never read"
        source = f"audience:{record.partition}:{record.offset}"
        needs_dead_letter = (record.is_malformed or record.invalid) and not self._skips
        if needs_dead_letter and self.buried_sources.get(source, -1.0) < handed_at:
            return "has no acknowledged dead letter (I11)"
        for change in record.changes:
            _, _, name = change
            if not is_shared(name) and not self._is_settled(taken, record, change, handed_at):
                return f"{name} is unsettled"
        return ""

    def waiting(self, record: Record) -> set[int]:
        """Return the segments of the record's good changes that are unsettled."""
        taken = self.taken[record.partition]
        handed_at = taken.handed[record]
        return {
            lane[0]
            for lane, action, name in record.changes
            if not is_shared(name)
            and not is_bad(lane, name)
            and not self._is_settled(taken, record, (lane, action, name), handed_at)
        }

    def lowest_flying(self, partition: int) -> int | None:
        """Return the lowest offset of a change whose request has no good answer yet.

        One that came back without it gives way to an opposite change, or goes with a repeat of it.
        """
        taken = self.taken.get(partition)
        if taken is None:
            return None
        flying = taken.in_flight.items()
        return min(
            (
                offset
                for (offset, _, name), change in flying
                if not change.came_back
                or (
                    taken.newest_opposite(change.lane, change.action, name) <= change.order
                    and self.delivered.get((change.lane, change.action, name), -1.0)
                    < change.sent_at
                )
            ),
            default=None,
        )

    def _is_settled(self, taken: Taken, record: Record, change: Change, handed_at: float) -> bool:
        lane, action, name = change
        if is_bad(lane, name):
            if self._skips or self.buried.get(change, -1.0) >= handed_at:
                return True
        elif self.delivered.get(change, -1.0) >= handed_at:
            return True
        return taken.newest_opposite(lane, action, name) > taken.order[record]
