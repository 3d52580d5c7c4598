"""How a replay stands, from what the loop publishes: when it is over, and what came of it.

It is over when the loop's committed offset is at the end of every partition: then everything up to
there was delivered, or refused again with its new dead letter acknowledged, or left, and a commit
says so. Or when what is left can't be read any more: it is damaged, or behind that, or the log got
shorter; or when another replay has it, of which nobody can tell whether it will ever be done.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from consumer import clock
from consumer.commands.replay.member import BoundedMember
from consumer.commands.replay.others import TIMEOUT_SECONDS, Others
from consumer.commands.replay.span import Spans
from consumer.commands.replay.voice import Voice, counted
from consumer.core.snapshot import Board, Snapshot
from consumer.engine.ports import Partition

_LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Score:
    """What became of the ids so far."""

    delivered: int
    needless: int
    refused_ids: int

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Score":
        """Return what a snapshot says."""
        return cls(
            delivered=snapshot.ids("delivered"),
            needless=snapshot.ids("superseded") + snapshot.ids("duplicate"),
            refused_ids=snapshot.ids("rejected"),
        )

    def __str__(self) -> str:
        parts = [f"{counted(self.delivered, 'id')} delivered"]
        if self.needless:
            parts.append(f"{self.needless:,} repeated or overtaken by a later dead letter")
        parts.append(f"{self.refused_ids:,} refused again")
        return ", ".join(parts)


@dataclass(slots=True, eq=False)
class Progress:
    """Looks at the board before each turn of the loop, on the thread that owns the member.

    Each of ``_spans`` has something to read.
    """

    _spans: Spans
    _member: BoundedMember
    _others: Others
    _board: Board
    _voice: Voice
    _on_done: Callable[[], None]
    done: bool = False
    stuck: tuple[str, ...] = ()  # where, and what was said
    _seen: Snapshot | None = None
    _holds: tuple[str, ...] = ()
    _ends: dict[Partition, int] = field(default_factory=dict)  # of logs that seem to be shorter
    _next_look: float = 0.0

    def is_done(self) -> bool:
        """Say how it stands, and whether everything is settled and committed."""
        snapshot = self._board.snapshot
        if snapshot is not self._seen:
            self._seen = snapshot
            own = dict(_committed(snapshot))
            left = self._left(own)
            if clock.now() >= self._next_look:
                self._next_look = clock.now() + _LOOK_SECONDS
                self._look_around(own, left)
                left = self._left(own)
            self.done = bool(own) and not left
            if self.done or self._is_stuck(own, left):
                self._on_done()
            else:
                self._tell(snapshot, left - own.keys() if own else set())
        return self.done or bool(self.stuck)

    def _left(self, own: Mapping[Partition, int]) -> set[Partition]:
        """Return what is not done; ``own`` has what is committed of that which this one has."""
        ends = {name: span.end for name, span in self._spans.items()}
        return {name for name in ends.keys() - self._others.done if own.get(name, 0) < ends[name]}

    def _look_around(self, own: Mapping[Partition, int], left: set[Partition]) -> None:
        """Ask the brokers for what doesn't come by itself."""
        short = self._member.short
        for name in left & own.keys() & short.keys():
            if own[name] >= short[name]:
                marks = self._member.watermarks(name, TIMEOUT_SECONDS)
                if marks is None:
                    break
                self._ends[name] = marks[1]
        if own and all(self._obstacle(name, own[name]) for name in left & own.keys()):
            self._others.look_at(left - own.keys())
        else:
            self._others.forget()

    def _is_stuck(self, own: Mapping[Partition, int], left: set[Partition]) -> bool:
        """Whether all that is left can't be read, and what is in front of it is settled."""
        obstacles = [
            self._obstacle(name, own[name]) if name in own else self._others.trouble
            for name in sorted(left)
        ]
        if left and all(obstacles):
            self.stuck = tuple(dict.fromkeys(obstacles))
        return bool(self.stuck)

    def _obstacle(self, name: Partition, committed: int) -> str:
        """Say why a partition is not read to its end by now, nor ever; empty: it may be."""
        (topic, partition), end, at = name, self._spans[name].end, self._reached(name)
        said = self._member.damaged.get(name)
        if said is not None and committed >= at:
            ends = "is damaged, and so ends the replay of its partition"
            return f"{topic}:{partition}:{at} {ends}: {said}"
        at = self._ends.get(name, end)
        if at < end and committed >= self._member.short.get(name, end):
            what = "the topic was made anew, or its log was cut off"
            return f"{topic}:{partition} ended at {end}, and ends at {at} now: {what}"
        return ""

    def _reached(self, name: Partition) -> int:
        return self._member.reached.get(name, self._spans[name].start)

    @property
    def state(self) -> str:
        """Say whether it is done."""
        return "done" if self.done else "ended" if self.stuck else "interrupted"

    def read(self) -> str:
        """Say how many dead letters were read, of how many."""
        return f"{self.count:,} of {counted(self.total, 'dead letter')} read"

    @property
    def count(self) -> int:
        """Return how many dead letters were read."""
        return sum(
            span.dead_letters if name in self._others.done else span.before(self._reached(name))
            for name, span in self._spans.items()
        )

    @property
    def total(self) -> int:
        """Return how many dead letters there are to read."""
        return sum(span.dead_letters for span in self._spans.values())

    @property
    def left_elsewhere(self) -> int:
        """Return of how many partitions others left some, at least."""
        return self._others.left

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
