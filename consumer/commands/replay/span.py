"""A span: from where to where a replay reads one partition of the dead-letter topic."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from consumer.commands.replay.marks import Mark, mark_of, metadata_with
from consumer.core.positions import Going, Log, metadata_text, topic_id_of
from consumer.engine.ports import Committed, Offsets, Partition


@dataclass(frozen=True, slots=True)
class Span:
    """A partition's offsets from ``start`` up to ``end`` are to be replayed.

    ``low`` is the first offset that the broker still has. ``mark`` is how far the group came, in
    the log as it is: what that says is settled is passed over, unless ``takes_settled``.
    ``must_move``: it isn't what the group committed.
    """

    low: int
    start: int
    end: int
    mark: Mark
    must_move: bool = False
    deleted: int = 0
    is_anew: bool = False
    takes_settled: bool = False
    topic_id: str = ""

    @property
    def dead_letters(self) -> int:
        """Return how many there are, at most: an offset need not have a record."""
        return self.before(self.end)

    def before(self, offset: int) -> int:
        """Return how many there are before an offset, at most."""
        return max(0, offset - self.start) if self.takes_settled else self.mark.open_before(offset)

    def has(self, offset: int) -> bool:
        """Whether what is there is to be replayed."""
        return self.takes_settled or not self.mark.is_settled(offset)

    def offsets(self, topic: str) -> Offsets:
        """Return the mark as it is to be committed, with the topic's id, as the daemon does."""
        mark = self.mark
        metadata = metadata_with(metadata_text(topic, self.topic_id, {}), mark)
        return Offsets(mark.offset, metadata, mark.leader_epoch)

    @property
    def doubtful(self) -> Going | None:
        """Return up to where, and of which epoch, the log must be as it was; None: it need not."""
        mark = self.mark
        is_asked = mark.leader_epoch is not None and mark.reach > self.low
        return Going(mark.reach, mark.leader_epoch) if is_asked else None

    def cut(self, offset: int) -> "Span":
        """Return the span of a log that is another from ``offset`` on: that is open again."""
        mark = self.mark.cut(offset).from_(self.low)
        start = self.start if self.takes_settled else min(mark.offset, self.end)
        return replace(self, start=start, mark=mark, must_move=True)


Spans = Mapping[Partition, Span]


def span_of(committed: Committed, log: Log, *, from_start: bool, keeps_marks: bool) -> Span:
    """Return where to begin, from what the group committed: perhaps of another topic's log."""
    said, low, end = mark_of(committed), log.first, log.end
    of = topic_id_of(committed.metadata)
    is_another = bool(of and log.topic_id) and of != log.topic_id
    is_anew = said is not None and (is_another or max(said.seen, said.reach) > end)
    mark, deleted = Mark(low), 0
    if said is not None and not is_anew:
        deleted = said.open_before(low)
        mark = mark if from_start and not keeps_marks else said.from_(low)
    must_move = said is not None and (said.offset, said.settled) != (mark.offset, mark.settled)
    start = low if from_start else min(mark.offset, end)
    return Span(low, start, end, mark, must_move, deleted, is_anew, from_start, log.topic_id)
