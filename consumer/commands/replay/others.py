"""The others: replays at the same time, of which is known what the group committed."""

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from consumer import clock
from consumer.commands.replay.marks import Mark, mark_of
from consumer.commands.replay.span import Spans
from consumer.engine.ports import Partition
from consumer.kafka.member import Member

TIMEOUT_SECONDS = 1.0


@dataclass(slots=True, eq=False)
class Others:
    """Asked by the thread that owns the member, when it has nothing else to do.

    ``left`` counts partitions of which they left some, at least. What a commit said before this
    replay is an earlier one's. If nothing changes for long, whoever has the rest may be done and
    have left all that was open, or stand still, or note nothing: nobody can tell.
    """

    _spans: Spans
    _member: Member
    _patience_seconds: float
    left: int = 0
    done: set[Partition] = field(default_factory=set)
    _changed: set[Partition] = field(default_factory=set)  # something was committed of them
    _marks: Mapping[Partition, Mark] | None = None  # as they were seen last
    _quiet_since: float = math.inf

    def look_at(self, names: AbstractSet[Partition]) -> None:
        """See how they stand with partitions."""
        answers = self._member.committed(names, TIMEOUT_SECONDS) if names else {}
        marks = {name: mark for name, each in answers.items() if (mark := mark_of(each))}
        if marks != self._marks or len(answers) < len(names):
            self._marks, self._quiet_since = marks, clock.now()
        for name, mark in marks.items():
            span = self._spans[name]
            if mark != span.mark.from_(0):
                self._changed.add(name)
            if (mark.seen if name in self._changed else mark.offset) >= span.end:
                self.done.add(name)
                self.left += mark.offset < span.end

    def forget(self) -> None:
        """Begin anew to be patient."""
        self._marks, self._quiet_since = None, math.inf

    @property
    def trouble(self) -> str:
        """Return why they are not waited for any more; empty: they are."""
        if clock.now() < self._quiet_since + self._patience_seconds:
            return ""
        waited = f"{self._patience_seconds:g} s"
        return f"another replay has what is left, and nothing new was committed of it for {waited}"
