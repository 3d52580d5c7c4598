"""One assigned partition's account: how far it was read and how far it may be committed.

A *hold* is (offset, holder, read at): appended when a holder - a batch or a dead letter - receives
its first change from this very ledger object, duplicates included. Offsets of a partition arrive in
order, so the queue is in order: settled holders are popped from its head, and what may be committed
is the offset at the head, or the position when the queue is empty. There is no bookkeeping per
offset, so the cost of a record is constant however many segments there are, and gaps in the offsets
(compaction, transaction markers) hold nothing.

A revoked or lost partition's ledger is thrown away. What settles later touches an object that
nobody reads any more: that is the fence for commits. Hence holds belong to a *ledger object*, not
to a topic and partition, which may have gone and come back.

Invariants (tests name them):
- I1: ``committable()`` never exceeds the lowest offset with an unsettled change.
- ``committable()`` never goes back, except by ``restart()`` (the topic was made anew).
"""

from collections import deque
from dataclasses import InitVar, dataclass, field
from itertools import islice
from typing import Protocol

_OFFSET_BITS = 63
_OFFSET_MASK = (1 << _OFFSET_BITS) - 1
_NUMBER_BITS = 44
_BASE_MASK = ((1 << _NUMBER_BITS) - 1) << _OFFSET_BITS
_TIME_SHIFT = _OFFSET_BITS + _NUMBER_BITS
_MAX_TIMESTAMP_MS = 1 << 43  # the year 2248
UNKNOWN_TIME = _MAX_TIMESTAMP_MS << _TIME_SHIFT
"""Beyond every time: what has none is the oldest only among its like."""


class Holder(Protocol):
    """What keeps a record's offset from being committed until it is settled."""

    settled: bool


@dataclass(slots=True, eq=False)
class Ledger:
    """The account of one assignment of one partition; the ``number`` is never used twice.

    ``position`` is the next offset to read. ``committed`` is what the broker said is committed;
    None while it has nothing; ``beginning`` is where reading began, so it may always be committed,
    as a proof of membership. ``base`` names this ledger, and makes an *origin* of an offset: one
    integer that remembers both and the record's time (``time_of(…) + base + offset``), as small as
    what each held id can carry.
    """

    number: InitVar[int]
    topic: str
    partition: int
    position: int
    committed: int | None = None
    metadata: str = ""
    base: int = field(init=False)
    beginning: int = field(init=False)
    _holds: deque[tuple[int, Holder, float]] = field(default_factory=deque)
    _old_holds: deque[tuple[int, Holder, float]] = field(default_factory=deque)
    """Of the log before a restart."""

    def __post_init__(self, number: int) -> None:
        self.base = number << _OFFSET_BITS
        self.beginning = self.position

    def source(self, offset: int) -> str:
        """Name a record as dead letters and logs do: ``topic:partition:offset``."""
        return f"{self.topic}:{self.partition}:{offset}"

    def hold(self, offset: int, holder: Holder, now: float) -> None:
        """Keep ``offset``, read at ``now``, and all after it until ``holder`` is settled."""
        self._holds.append((offset, holder, now))

    def committable(self) -> int | None:
        """Return the offset that may be committed; None: nothing beyond what was, for now."""
        if self._old_holds:
            _pop_settled(self._old_holds)
            if self._old_holds:
                return None
        _pop_settled(self._holds)
        return self._holds[0][0] if self._holds else self.position

    def is_settled(self) -> bool:
        """Whether nothing that came from this ledger is still unsettled."""
        _pop_settled(self._old_holds)
        _pop_settled(self._holds)
        return not self._old_holds and not self._holds

    def oldest_read_at(self) -> float | None:
        """When the oldest record with an unsettled change was read; None when there is none."""
        if self.is_settled():
            return None
        return (self._old_holds or self._holds)[0][2]

    def oldest(self, count: int) -> list[Holder]:
        """Return what is unsettled among the first ``count`` holders, the oldest first."""
        if self.is_settled():
            return []
        holds = self._old_holds or self._holds
        return [holder for _, holder, _ in islice(holds, count) if not holder.settled]

    def restart(self, position: int) -> None:
        """Go on at ``position`` of a log that began anew, below what was already read.

        What was read before is still to be delivered, and nothing of the new log is committed
        before it is: the broker has those records no more, so only this process can.
        """
        self._old_holds.extend(self._holds)
        self._holds.clear()
        self.position = self.beginning = position
        self.committed = None


def time_of(timestamp_ms: int) -> int:
    """Return what an origin begins with: a record's time. The oldest is the least."""
    return timestamp_ms << _TIME_SHIFT if 0 < timestamp_ms < _MAX_TIMESTAMP_MS else UNKNOWN_TIME


def timestamp_ms_of(origin: int) -> int | None:
    """Return the timestamp that an origin remembers; None if its record has none."""
    timestamp_ms = origin >> _TIME_SHIFT
    return timestamp_ms if 0 < timestamp_ms < _MAX_TIMESTAMP_MS else None


def base_of(origin: int) -> int:
    """Return the base of the ledger that an origin remembers."""
    return origin & _BASE_MASK


def offset_of(origin: int) -> int:
    """Return the offset that an origin remembers."""
    return origin & _OFFSET_MASK


def _pop_settled(holds: deque[tuple[int, Holder, float]]) -> None:
    while holds and holds[0][1].settled:
        holds.popleft()
