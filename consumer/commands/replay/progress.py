"""How a replay stands, from what the loop publishes: when it is over, and what came of it.

It is over when the group's committed offset is at the end of every partition: then everything up
to there was delivered, or refused again with its new dead letter acknowledged. Or when nothing is
left but what is damaged, or behind that.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from consumer import clock
from consumer.commands.replay.member import BoundedMember
from consumer.commands.replay.survey import Spans
from consumer.commands.replay.voice import Voice, counted
from consumer.core.snapshot import Board, Snapshot
from consumer.engine.ports import Partition

_ELSEWHERE_SECONDS = 2.0
_TIMEOUT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Score:
    """What became of the ids and dead letters so far."""

    delivered: int
    needless: int
    refused_ids: int
    unreadable: int

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Score":
        """Return what a snapshot says."""
        return cls(
            delivered=snapshot.ids("delivered"),
            needless=snapshot.ids("superseded") + snapshot.ids("duplicate"),
            refused_ids=snapshot.ids("rejected"),
            unreadable=snapshot.total("records_total", "malformed"),
        )

    @property
    def has_refused(self) -> bool:
        """Whether something was refused again."""
        return bool(self.refused_ids or self.unreadable)

    def __str__(self) -> str:
        parts = [f"{counted(self.delivered, 'id')} delivered"]
        if self.needless:
            parts.append(f"{self.needless:,} repeated or overtaken by a later dead letter")
        parts.append(f"{self.refused_ids:,} refused again")
        if self.unreadable:
            parts.append(f"{counted(self.unreadable, 'dead letter')} unreadable as before")
        return ", ".join(parts)


@dataclass(slots=True, eq=False)
class Progress:
    """Looks at the board before each turn of the loop, on the thread that owns the member.

    Partitions that another member of the group has are looked up at the broker. Each of ``_spans``
    has something to read.
    """

    _spans: Spans
    _member: BoundedMember
    _board: Board
    _voice: Voice
    _on_done: Callable[[], None]
    done: bool = False
    stuck: tuple[str, ...] = ()  # where, and what was said
    _seen: Snapshot | None = None
    _holds: tuple[str, ...] = ()
    _elsewhere: set[Partition] = field(default_factory=set)  # replayed by other members
    _next_elsewhere: float = 0.0

    def is_done(self) -> bool:
        """Say how it stands, and whether everything is settled and committed."""
        snapshot = self._board.snapshot
        if snapshot is not self._seen:
            self._seen = snapshot
            own = dict(_committed(snapshot))
            left = {
                name
                for name, span in self._spans.items()
                if own.get(name, 0) < span.end and name not in self._elsewhere
            }
            if own and not own.keys() & left:
                left -= self._look_elsewhere(left)
            self.done = bool(own) and not left
            if self.done or self._is_stuck(left, own):
                self._on_done()
            else:
                self._tell(snapshot, left - own.keys() if own else set())
        return self.done or bool(self.stuck)

    def _is_stuck(self, left: set[Partition], committed: Mapping[Partition, int]) -> bool:
        """Whether damage stands before all that is left, and what is in front of it is settled."""
        damaged = self._member.damaged
        at = {name: self._reached(name) for name in sorted(left & damaged.keys())}
        if at.keys() == left and all(committed.get(name, 0) >= at[name] for name in at):
            self.stuck = tuple(
                f"{topic}:{partition}:{offset} is damaged, and so ends the replay of its"
                f" partition: {damaged[topic, partition]}"
                for (topic, partition), offset in at.items()
            )
        return bool(self.stuck)

    def _reached(self, name: Partition) -> int:
        return self._member.reached.get(name, self._spans[name].start)

    def read(self) -> str:
        """Return how many dead letters were read, of how many."""
        count = sum(
            span.dead_letters if name in self._elsewhere else self._reached(name) - span.start
            for name, span in self._spans.items()
        )
        total = sum(span.dead_letters for span in self._spans.values())
        return f"{count:,} of {counted(total, 'dead letter')} read"

    def _look_elsewhere(self, left: set[Partition]) -> set[Partition]:
        """Return which of these partitions another member replayed to their ends."""
        if not left or clock.now() < self._next_elsewhere:
            return set()
        self._next_elsewhere = clock.now() + _ELSEWHERE_SECONDS
        answers = self._member.committed(left, _TIMEOUT_SECONDS)
        done = {
            name for name, each in answers.items() if (each.offset or 0) >= self._spans[name].end
        }
        self._elsewhere |= done
        return done

    def _tell(self, snapshot: Snapshot, others: set[Partition]) -> None:
        holds = tuple(
            f"{hold['reason']}: {hold['detail']}"
            for hold in cast("list[Mapping[str, Any]]", snapshot.status["holds"])
        )
        is_news = holds != self._holds
        self._holds = holds
        text = f"{self.read()}, {Score.of(snapshot)}"
        waits = [each for each in snapshot.not_ready if each not in holds]
        if holds:
            text += f"; held: {'; '.join(holds)}"
        elif waits:
            text += f"; waiting: {'; '.join(waits)}"
        elif others:
            text += (
                f"; waiting: {counted(len(others), 'partition')} with another member of the group,"
                " a replay that runs or was killed"
            )
        self._voice.progress(text, is_news=is_news)


def _committed(snapshot: Snapshot) -> Iterator[tuple[Partition, int]]:
    """Yield what is committed of each partition that is assigned now."""
    for each in cast("list[Mapping[str, Any]]", snapshot.status["partitions"]):
        yield (each["topic"], each["partition"]), each["committed"] or 0
