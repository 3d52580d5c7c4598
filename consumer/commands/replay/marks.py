"""A mark: how far a replay came in a partition, as its commits say it.

The committed offset is that of the first dead letter that is open. What is settled beyond stands in
the commit's metadata, beside what the daemon keeps there: an older replay, or any other tool, that
knows nothing of it delivers these once more and loses none.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from consumer.core.positions import compact, members_of
from consumer.engine.ports import Committed

Range = tuple[int, int]
"""The first offset, and one past the last."""

MAX_NOTED = 150
"""Ranges in one commit's metadata, of which brokers take 4,096 bytes by default."""

_MEMBER = "replay"
_NOTED = re.compile(r"\d{1,18}\+\d{1,18}(,\d{1,18}\+\d{1,18})*")


@dataclass(frozen=True, slots=True)
class Mark:
    """``offset`` is the first open one; ``settled`` has ranges beyond it, in order and apart.

    ``seen``: before it everything was settled or left by whoever read the partition last.
    ``leader_epoch``: no record that was settled by then has a later one; None: nobody knows.
    """

    offset: int
    settled: tuple[Range, ...] = ()
    seen: int = 0
    leader_epoch: int | None = field(default=None, compare=False)

    @property
    def reach(self) -> int:
        """Return one past the last that is settled."""
        return self.settled[-1][1] if self.settled else self.offset

    def is_settled(self, offset: int) -> bool:
        """Whether the dead letter there was settled."""
        return offset < self.offset or any(first <= offset < end for first, end in self.settled)

    def open_before(self, end: int) -> int:
        """Return how many offsets before ``end`` are open."""
        noted = sum(last - first for first, last in clipped(self.settled, 0, end))
        return max(0, end - self.offset - noted)

    def from_(self, low: int) -> "Mark":
        """Return the mark in a log that begins at ``low``: what was open before it is gone."""
        offset = max(self.offset, low)
        settled = tuple(clipped(self.settled, offset, None))
        while settled and settled[0][0] <= offset:
            offset, settled = settled[0][1], settled[1:]
        return replace(self, offset=offset, settled=settled, seen=max(self.seen, offset))

    def cut(self, offset: int) -> "Mark":
        """Return the mark in a log that is another from ``offset`` on: nothing is settled there."""
        settled = tuple(clipped(self.settled, 0, offset))
        return replace(self, offset=min(self.offset, offset), settled=settled, seen=0)

    def is_older_than(self, offset: int, leader_epoch: int | None) -> bool:
        """Whether a record was written after what is settled behind it: then the log is another.

        An unclean election cuts a log off, and what takes the place of the cut is of a later
        leader. What was noted without an epoch is in doubt.
        """
        if leader_epoch is None or offset >= self.reach:
            return False
        if self.leader_epoch is None:
            return offset >= self.offset
        return leader_epoch > self.leader_epoch


def mark_of(committed: Committed) -> Mark | None:
    """Return what a commit says; None: nothing is committed. Foreign metadata says nothing more."""
    if committed.offset is None:
        return None
    said = members_of(committed.metadata).get(_MEMBER)
    said = said if isinstance(said, dict) else {}
    settled, seen = said.get("settled"), said.get("seen")
    ranges = tuple(_ranges(committed.offset, settled)) if isinstance(settled, str) else ()
    come = max(committed.offset, seen if type(seen) is int else 0)
    return Mark(committed.offset, ranges, come, committed.leader_epoch)


def metadata_with(metadata: str, mark: Mark) -> str:
    """Return a commit's metadata with what the mark says beyond the offset."""
    members = members_of(metadata)
    members.pop(_MEMBER, None)
    if mark.settled or mark.seen > mark.offset:
        members[_MEMBER] = {"seen": mark.seen, "settled": _noted(mark)}
    return compact(members)


def clipped(ranges: Iterable[Range], low: int, high: int | None) -> Iterator[Range]:
    """Yield what of the ranges is between ``low`` and ``high``; None: no end."""
    for first, end in ranges:
        start, stop = max(first, low), end if high is None else min(end, high)
        if start < stop:
            yield start, stop


def _noted(mark: Mark) -> str:
    """Return ranges as text: how far each begins behind the one before, and how long it is."""
    at, parts = mark.offset, []
    for first, end in mark.settled:
        parts.append(f"{first - at}+{end - first}")
        at = end
    return ",".join(parts)


def _ranges(offset: int, noted: str) -> Iterator[Range]:
    if not _NOTED.fullmatch(noted):
        return
    for part in noted.split(","):
        gap, length = part.split("+")
        first = offset + int(gap)
        offset = first + int(length)
        if first < offset:
            yield first, offset
