"""What became of each record of a log that fails, and what must be true of it at the end.

The rules:

- What was written, and nothing happened to, is delivered.
- What was lost - cut off, deleted, gone with its topic - never existed: it may have been delivered
  before, once or more often, or not at all.
- What was aborted is never delivered, and no id is that nobody wrote: a flipped bit makes one.
- What waits behind an open transaction, and what stands in a damaged batch or behind it, is
  delivered only when that is over.
- A commit goes back only because its log did: to the cut or above it, where more was read already;
  in a topic made anew as far as its beginning; once for each time and partition.

Whether a commit runs ahead of what was delivered is judged where the log is whole: behind a cut the
old commit is ahead until somebody notices, and nobody can help that.
"""

from typing import TYPE_CHECKING, NamedTuple

from tests.support.flipping import Member
from tests.support.scenario import StepBack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.chaos.ledger import Application

LOG_SEGMENT = 9
"""The segment that its records are about, and no others; all of them add."""


class WayBack(NamedTuple):
    """A log that ended at ``end`` again, at this Unix time at the earliest."""

    at: float
    partition: int
    end: int


class Fates:
    """Keeps the account of the ids that were written. Each is written once."""

    def __init__(self) -> None:
        self._due: set[str] = set()
        self._lost: set[str] = set()
        self._aborted: set[str] = set()
        self._not_before: dict[str, float] = {}
        self._ways_back: list[WayBack] = []

    @property
    def written(self) -> set[str]:
        """Whatever was written, also in transactions that were aborted."""
        return self._due | self._lost | self._aborted

    def write(self, ids: "Iterable[str]") -> None:
        """Expect these to be delivered from now on."""
        self._due.update(ids)

    def lose(self, ids: "Iterable[str]") -> None:
        """Take these for lost: the log has them no longer, or will not in a moment."""
        self._lost.update(ids)
        self._due -= self._lost

    def abort(self, ids: "Iterable[str]") -> None:
        """Take these for never written: their transaction is aborted, now or in the end."""
        self._aborted.update(ids)
        self._due -= self._aborted

    def held_until(self, at: float, ids: "Iterable[str]") -> None:
        """Note that nobody could read these before."""
        self._not_before.update(dict.fromkeys(ids, at))

    def go_back(self, at: float, ends: "Mapping[int, int]") -> None:
        """Note that the logs of these partitions end there, from now on."""
        self._ways_back += [WayBack(at, partition, end) for partition, end in ends.items()]

    def missing(self, applied: "Mapping[Member, Sequence[Application]]") -> list[str]:
        """Return what has not been delivered yet."""
        return sorted(each for each in self._due if not applied.get(_member(each)))

    def problems(self, applied: "Mapping[Member, Sequence[Application]]") -> list[str]:
        """Return what was not delivered and what should not have been, a line for each."""
        delivered = {
            member.customer: [each.at for each in applications]
            for member, applications in applied.items()
            if member.segment_id == LOG_SEGMENT and applications
        }
        return [
            *(f"{each} was never delivered" for each in self.missing(applied)),
            *(f"{each} was delivered and aborted" for each in sorted(self._aborted & {*delivered})),
            *(
                f"{each} was delivered, nobody wrote it"
                for each in sorted({*delivered} - self.written)
            ),
            *(
                f"{each} was delivered at {min(delivered[each]):.3f}, readable from {at:.3f} on"
                for each, at in self._not_before.items()
                if each in delivered and min(delivered[each]) < at
            ),
        ]

    def unexplained(self, steps_back: "Iterable[StepBack]") -> list[str]:
        """Return the commits that went back for no reason, or further than their log.

        Of several reasons it is the one that allows least, so that the others are left.
        """
        left = list(self._ways_back)
        unexplained = []
        for step in steps_back:
            reasons = [way for way in left if _explains(way, step)]
            if reasons:
                left.remove(max(reasons, key=lambda way: way.end))
            else:
                unexplained.append(f"a commit of the faulty log went back: {step}; {left}")
        return unexplained


def _explains(way: WayBack, step: StepBack) -> bool:
    return way.partition == step.partition and way.at <= step.at and way.end <= step.then


def _member(id_: str) -> Member:
    return Member(LOG_SEGMENT, id_)
