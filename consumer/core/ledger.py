"""One assigned partition's account: how far it was read and how far it may be committed.

A *hold* is of an offset, by a holder: appended when a holder - a batch or a dead letter - receives
its first change from this very ledger object, duplicates included. Offsets of a partition arrive in
order, so the queue is in order: a holder that is settled leaves it, wherever it stands, and what
may be committed is the offset at the head, or the position when the queue is empty. There is no
bookkeeping per offset, so the cost of a record is constant however many segments there are, and
gaps in the offsets (compaction, transaction markers) hold nothing.

A revoked or lost partition's ledger is thrown away. What settles later touches an object that
nobody reads any more: that is the fence for commits. Hence holds belong to a *ledger object*, not
to a topic and partition, which may have gone and come back.

Invariants (tests name them):
- I1: ``committable()`` never exceeds the lowest offset with an unsettled change.
- ``committable()`` never goes back, except by ``go_back()``: the log was truncated or made anew.
- I7: what is settled is not kept, however long something older isn't.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import InitVar, dataclass, field
from itertools import islice

_OFFSET_BITS = 63
_OFFSET_MASK = (1 << _OFFSET_BITS) - 1
_NUMBER_BITS = 44
_BASE_MASK = ((1 << _NUMBER_BITS) - 1) << _OFFSET_BITS

Hold = tuple[int, float, float]
"""The offset, when it was read, and the record's timestamp in ms (inf: unknown)."""

Holds = OrderedDict[object, Hold]
"""By holder. A plain dict searches for its head after removals there."""


@dataclass(slots=True, eq=False)
class Ledger:
    """The account of one assignment of one partition; the ``number`` is never used twice.

    ``position`` is the next offset to read, ``leader_epoch`` that of the last record before it, if
    known: where that epoch ends before the record does, the log was cut off. ``gap`` is how many
    offsets without a record are right before the position, if that epoch is known: a transaction's
    marker, or what compaction took. Nobody says of which epoch these are, so no commit goes beyond
    them before that is learnt: whoever went on there would take the log for one that was cut.
    ``reread_under`` is the latest leader under which the gap, or one before, was read once more.
    ``committed`` is what the broker said is committed; None while it has nothing of this log.
    ``metadata`` goes with each commit; ``topic_id`` is of the topic that is read, empty if unknown.
    ``turns_back`` counts how often it went back. ``base`` names this ledger, and makes an *origin*
    of an offset: one integer that remembers both (``base + offset``), as small as what each held id
    can carry.
    """

    number: InitVar[int]
    topic: str
    partition: int
    position: int
    committed: int | None = None
    metadata: str = ""
    leader_epoch: int | None = None
    topic_id: str = ""
    gap: int = 0
    reread_under: int | None = None
    base: int = field(init=False)
    turns_back: int = 0
    echoes_until: float = -math.inf  # so long a lost attempt of what it holds may be applied
    _holds: Holds = field(default_factory=OrderedDict)

    def __post_init__(self, number: int) -> None:
        self.base = number << _OFFSET_BITS

    def source(self, offset: int) -> str:
        """Name a record as dead letters and logs do: ``topic:partition:offset``."""
        return f"{self.topic}:{self.partition}:{offset}"

    def hold(self, offset: int, holder: object, now: float, timestamp_ms: float = math.inf) -> Hold:
        """Keep ``offset``, read at ``now``, and all after it until ``holder`` is settled.

        Return what is kept, for the holder to remember too: there are very many of them.
        """
        self._holds[holder] = hold = (offset, now, timestamp_ms)
        return hold

    def let_go(self, holder: object) -> None:
        """Take note that ``holder`` is settled."""
        self._holds.pop(holder, None)

    def holders(self) -> Iterator[object]:
        """Yield what is unsettled, in the order of reading."""
        return iter(self._holds)

    def oldest(self, count: int) -> list[object]:
        """Return the first that are unsettled, in the order of reading."""
        return list(islice(self._holds, count))

    def head(self) -> tuple[object, float] | None:
        """Return what is unsettled of the oldest record, and when that was read; None: nothing."""
        for holder, (_, read_at, _) in self._holds.items():
            return holder, read_at
        return None

    def committable(self) -> int:
        """Return the offset that may be committed."""
        return _first(self._holds)[0] if self._holds else self.position - self.gap

    def pass_gap(self, end: int) -> None:
        """Go on at the end of the log: there is no record in between."""
        if end > self.position:
            if self.leader_epoch is not None:
                self.gap += end - self.position
            self.position = end

    def is_settled(self) -> bool:
        """Whether nothing that came from this ledger is still unsettled."""
        return not self._holds

    def oldest_read_at(self) -> float | None:
        """When the oldest record with an unsettled change was read; None when there is none."""
        return _first(self._holds)[1] if self._holds else None

    def undo_gap(self) -> None:
        """Be right behind the last record again, for its epoch says nothing of what is beyond."""
        self.position -= self.gap
        self.gap = 0

    def go_back(self, position: int) -> None:
        """Go on at ``position`` of a log that is another from there on, below what was read.

        What was read from beyond is still to be delivered, for the broker has those records no
        more: only this process can. Until it is, it holds the commit there. What is on its way to
        be committed is of the log as it was, and proves nothing of this one.
        """
        for holder, (offset, read_at, timestamp_ms) in self._holds.items():
            if offset > position:
                self._holds[holder] = (position, read_at, timestamp_ms)
        self.position, self.gap = position, 0
        self.committed = None
        self.turns_back += 1


def base_of(origin: int) -> int:
    """Return the base of the ledger that an origin remembers."""
    return origin & _BASE_MASK


def offset_of(origin: int) -> int:
    """Return the offset that an origin remembers."""
    return origin & _OFFSET_MASK


def _first(holds: Holds) -> Hold:
    return next(iter(holds.values()))
