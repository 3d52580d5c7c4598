"""A partition's log at the broker: records with gaps between their offsets, a head and an end."""

from bisect import bisect_left
from dataclasses import dataclass, field

from tests.support.records import FakeMessage

Lane = tuple[int, str]
TOPIC = "audience"


@dataclass(slots=True, eq=False)
class Record:
    """A record and what it means; ``names`` as they are to be sent. No action: malformed."""

    partition: int
    offset: int
    at: float
    value: bytes | None
    lane: Lane = (0, "")
    action: str = ""
    names: tuple[str, ...] = ()
    invalid: int = 0
    message: FakeMessage = field(init=False)

    def __post_init__(self) -> None:
        stamp = (1, round(self.at * 1000) + 1)
        self.message = FakeMessage(TOPIC, self.partition, self.offset, self.value, timestamp=stamp)

    @property
    def is_malformed(self) -> bool:
        """Whether it can't be read."""
        return self.value is not None and not self.action


class PartitionLog:
    """``start`` is the first offset there is, ``end`` the next to be written."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.start = 0
        self.end = 0
        self.cuts: list[int] = []  # where it was truncated
        self.reused: set[str] = set()  # ids of records at offsets that others had before a cut
        self._longest = 0
        self.records: list[Record] = []

    def append(self, record: Record) -> None:
        """Write a record."""
        if record.offset < self._longest:
            self.reused.update(record.names)
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

    def truncate(self, to: int) -> list[Record]:
        """Lose the end of the log, as an unclean leader election does; return it."""
        self._longest = max(self._longest, self.end)
        index = self.index(to)
        gone = self.records[index:]
        del self.records[index:]
        self.end = max(self.start, to)
        self.cuts.append(self.end)
        return gone

    @property
    def generation(self) -> int:
        """Return how often it was truncated: what a leader's epoch tells."""
        return len(self.cuts)

    def had_another(self, offset: int) -> bool:
        """Whether another record may have been at this offset before a cut."""
        return any(offset >= cut for cut in self.cuts)

    def has(self, offset: int, generation: int) -> bool:
        """Whether a position of a reader of that generation is still one of this log."""
        is_cut_off = any(offset > cut for cut in self.cuts[generation:])
        return self.start <= offset <= self.end and not is_cut_off
