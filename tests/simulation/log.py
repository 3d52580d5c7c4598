"""A partition's log at the broker: records with gaps between their offsets, a head and an end.

Its leader has an epoch, which every record keeps; with them one tells a log that was truncated from
the one that was read, however long it has grown since (KIP-320). A topic that was made anew has
another id.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from consumer.core.positions import topic_id_of
from tests.support.records import FakeMessage

if TYPE_CHECKING:
    from tests.simulation.group import Commit

Lane = tuple[int, str]
Change = tuple[Lane, str, str]  # lane, action, id
TOPIC = "audience"


@dataclass(slots=True, eq=False)
class Record:
    """A record and what it means; ``names`` as they are to be sent. No action: malformed.

    ``also`` are changes of other lanes, of a record that a mapping reads. ``is_partly``: something
    else of it can't be read. ``is_ignored``: it concerns nobody. ``is_lost``: nobody may have read
    it, and nobody can any more.
    """

    partition: int
    offset: int
    at: float
    value: bytes | None
    lane: Lane = (0, "")
    action: str = ""
    names: tuple[str, ...] = ()
    invalid: int = 0
    also: tuple[Change, ...] = ()
    is_partly: bool = False
    is_ignored: bool = False
    is_lost: bool = False
    changes: tuple[Change, ...] = field(init=False)
    leader_epoch: int = field(init=False)
    message: FakeMessage = field(init=False)

    def __post_init__(self) -> None:
        own = tuple((self.lane, self.action, name) for name in self.names)
        self.changes = own + self.also

    def written(self, leader_epoch: int) -> None:
        """Take in who wrote it to the log."""
        self.leader_epoch = leader_epoch
        self.message = FakeMessage(
            TOPIC,
            self.partition,
            self.offset,
            self.value,
            timestamp=(1, round(self.at * 1000) + 1),
            leader_epoch=leader_epoch,
        )

    @property
    def is_malformed(self) -> bool:
        """Whether it can't be read, or not all of it."""
        return self.is_partly or not (self.value is None or self.action or self.is_ignored)


class PartitionLog:
    """``start`` is the first offset there is, ``end`` the next to be written."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.start = 0
        self.end = 0
        self.topic_id = "topic-0"
        self.records: list[Record] = []
        self._epochs: dict[int, int] = {0: 0}  # of leaders: where each begins
        self._lowest_cut: float = math.inf
        self._topics = 0

    @property
    def leader_epoch(self) -> int:
        """Return the epoch of the leader of now."""
        return max(self._epochs)

    def append(self, record: Record) -> None:
        """Write a record."""
        record.written(self.leader_epoch)
        self.records.append(record)
        self.end = record.offset + 1

    def skip(self, offsets: int) -> None:
        """Leave a gap: a transaction's marker, or what compaction took."""
        self.end += offsets

    def index(self, offset: int) -> int:
        """Return where in ``records`` the first one from ``offset`` on is."""
        return bisect_left(self.records, offset, key=lambda record: record.offset)

    def between(self, first: int, end: int) -> list[Record]:
        """Return the records of these offsets."""
        return self.records[self.index(first) : self.index(end)]

    def delete_head(self, before: int) -> list[Record]:
        """Let retention delete what is before an offset; return it."""
        before = min(before, self.end)
        index = self.index(before)
        gone = self.records[:index]
        del self.records[:index]
        self.start = max(self.start, before)
        return gone

    def elect(self) -> None:
        """Get another leader, that has all of it."""
        self._epochs[self.leader_epoch + 1] = self.end

    def truncate(self, to: int) -> list[Record]:
        """Lose the end of the log, as an unclean leader election does; return it."""
        epoch = self.leader_epoch + 1
        index = self.index(to)
        gone = self.records[index:]
        del self.records[index:]
        self.end = max(self.start, to)
        self._lowest_cut = min(self._lowest_cut, self.end)
        self._epochs = {each: at for each, at in self._epochs.items() if at < self.end}
        self._epochs[epoch] = self.end
        return gone

    def make_anew(self) -> list[Record]:
        """Become another topic's, and empty; return what it was."""
        gone, self.records = self.records, []
        self._topics += 1
        self.topic_id = f"topic-{self._topics}"
        self.start = self.end = 0
        self._epochs, self._lowest_cut = {0: 0}, 0
        return gone

    def end_of(self, epoch: int) -> int | None:
        """Return where the log ends of the leaders up to an epoch; None: it comes to no such."""
        return None if epoch > self.leader_epoch else max(self.start, self._diverges(epoch))

    def _diverges(self, epoch: int) -> int:
        """Return where what leaders up to an epoch wrote comes to its end, be it deleted since."""
        return min((at for each, at in self._epochs.items() if each > epoch), default=self.end)

    def epoch_before(self, offset: int) -> int:
        """Return the epoch of what is right before an offset, be it a marker."""
        return max((each for each, at in self._epochs.items() if at < offset), default=0)

    def is_of(self, commit: "Commit") -> bool:
        """Whether a commit is of this log, as far as it goes, and not of one that it was."""
        if topic_id_of(commit.metadata) not in {"", self.topic_id}:
            return False
        if commit.leader_epoch is None:
            return True
        end = self.end_of(commit.leader_epoch)
        return end is not None and end >= commit.offset

    def is_beyond(self, commit: "Commit") -> bool:
        """Whether a commit of this log has an epoch that no leader had yet."""
        is_this = topic_id_of(commit.metadata) == self.topic_id
        return is_this and (commit.leader_epoch or 0) > self.leader_epoch

    def settled_up_to(self, commit: "Commit") -> int:
        """Return how much of this log a commit settles, be it of one that it was."""
        if topic_id_of(commit.metadata) not in {"", self.topic_id}:
            return 0
        epoch = commit.leader_epoch
        return min(commit.offset, self.end if epoch is None else self._diverges(epoch))

    def was_never_cut(self, commit: "Commit") -> bool:
        """Whether all that is before a commit is as it was when it was written."""
        is_this = topic_id_of(commit.metadata) == self.topic_id
        return is_this and commit.offset <= min(self.end, self._lowest_cut)

    def had_another(self, offset: int) -> bool:
        """Whether another record may have been at this offset before."""
        return offset >= self._lowest_cut
