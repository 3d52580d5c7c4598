"""One partition's account in a replay: what was left of it, and so what a commit may say.

The loop's ledger says up to where everything that it was given is settled. What was left it was
given as nothing, so it passes by; here that is known, and a commit stays in front of it. No I/O.

Invariants (tests name them):
- No mark passes an open dead letter, nor notes one as settled.
- A mark never goes back, unless the log was cut off or made anew.
- No more is noted than there is room for; what has none is open.
"""

import itertools
import math
from dataclasses import dataclass, field, replace

from consumer.commands.replay.marks import MAX_NOTED, Mark, Range, clipped
from consumer.engine.ports import Offsets


@dataclass(slots=True, eq=False)
class Account:
    """``mark`` is the one that the replay began with; ``limit``: so many ranges may be noted."""

    mark: Mark
    limit: int = MAX_NOTED
    _left: list[Range] = field(default_factory=list)
    _goes_on: bool = False  # what was read last was left
    _full_at: float = math.inf  # nothing that was left from here on is known

    @property
    def is_scattered(self) -> bool:
        """Whether not all that is settled can be noted."""
        return self._full_at < math.inf

    def was_settled(self, offset: int) -> bool:
        """Whether a dead letter was settled before this replay."""
        return self.mark.is_settled(offset)

    def is_noted(self, offset: int) -> bool:
        """Whether it will be known of a dead letter that it is settled."""
        return offset < self._full_at or self.was_settled(offset)

    def has_room(self, offset: int) -> bool:
        """Whether a dead letter that is read now can be left, and all others be noted."""
        if self.is_scattered:
            return False
        noted_behind = sum(1 for _ in clipped(self.mark.settled, offset, None))
        return self._goes_on or len(self._left) + max(noted_behind, 1) <= self.limit

    def take(self) -> None:
        """Take note of the next dead letter, which is not left."""
        self._goes_on = False

    def leave(self, offset: int) -> None:
        """Take note of the next one, which is left if it was open."""
        if self.was_settled(offset) or offset >= self._full_at:
            self.take()
        elif not self.has_room(offset):
            self._full_at = offset
        else:
            if self._goes_on:
                self._left[-1] = (self._left[-1][0], offset + 1)
            else:
                self._left.append((offset, offset + 1))
            self._goes_on = True

    def marked(self, settled_before: int) -> Mark:
        """Return the mark when all that was not left is settled before this offset."""
        known = min(settled_before, self._full_at)
        end = int(known)
        left = list(clipped(self._left, 0, end))
        offset = left[0][0] if left else max(self.mark.offset, end)
        settled: list[Range] = []
        for (_, begin), (stop, _) in itertools.pairwise([*left, (end, end)]):
            _append(settled, begin, stop)
        for first, stop in clipped(self.mark.settled, end, None):
            _append(settled, first, stop)
        mark = Mark(offset, tuple(settled)).from_(0)
        return Mark(mark.offset, mark.settled[: self.limit], max(settled_before, mark.offset))

    def note_nothing(self) -> None:
        """Do without notes: behind what was left first nothing will be known to be settled."""
        self.limit = 0
        if self._left:
            self._full_at = min(self._full_at, self._left[0][0])

    def epoch_at(self, asked: Offsets) -> int | None:
        """Return the epoch of a commit: what was settled before goes with the one of then.

        That of the position may be an older one, or one that nobody has read of yet.
        """
        has_more = self.mark.leader_epoch is not None and self.mark.reach > asked.offset
        return self.mark.leader_epoch if has_more else asked.leader_epoch

    def cut(self, offset: int) -> None:
        """Forget what was known from here on: the log is another there."""
        self.mark = replace(self.mark.cut(offset), leader_epoch=None)
        self._left = list(clipped(self._left, 0, offset))
        self._goes_on = False
        if self._full_at >= offset:
            self._full_at = math.inf


def _append(ranges: list[Range], first: int, end: int) -> None:
    if first >= end:
        return
    if ranges and first <= ranges[-1][1]:
        ranges[-1] = (ranges[-1][0], max(end, ranges[-1][1]))
    else:
        ranges.append((first, end))
