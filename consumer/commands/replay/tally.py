"""The tally of a replay: what became of the dead letters, by reason and segment."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from consumer.commands.replay.verdict import Outcome, Verdict

Key = tuple[str, int | None]
"""A reason and a segment; None: it can't be read which."""


@dataclass(slots=True, eq=False)
class Row:
    """Dead letters by outcome, and ids that were sent: a dead letter counts for each segment."""

    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    delivered_ids: int = 0
    refused_ids: int = 0

    @property
    def is_bad(self) -> bool:
        """Whether something of it was neither delivered nor skipped on demand."""
        return has_bad(self.outcomes)

    @property
    def dead_letters(self) -> int:
        """Return how many dead letters it is about."""
        return sum(self.outcomes.values())


@dataclass(slots=True, eq=False)
class Tally:
    """Owned by the thread that replays."""

    rows: dict[Key, Row] = field(default_factory=dict)
    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))

    def add(self, verdict: Verdict) -> None:
        """Count one dead letter."""
        self.outcomes[verdict.outcome] += 1
        is_sent = verdict.outcome in {Outcome.DELIVERED, Outcome.REFUSED_AGAIN}
        ids: dict[int | None, int] = {}
        for change in verdict.changes:
            ids[change.segment_id] = ids.get(change.segment_id, 0) + change.ids
        refused = verdict.refused_ids
        for segment_id, count in (ids or {None: 0}).items():
            row = self.rows.setdefault((verdict.labels.reason, segment_id), Row())
            row.outcomes[verdict.outcome] += 1
            if is_sent:  # of several segments nobody knows whose they were: the first's
                here = min(refused, count)
                refused -= here
                row.refused_ids += here
                row.delivered_ids += count - here

    def sorted(self) -> Iterator[tuple[Key, Row]]:
        """Yield the rows by reason and segment."""
        yield from sorted(self.rows.items(), key=lambda each: (each[0][0], each[0][1] or 0))

    @property
    def is_bad(self) -> bool:
        """Whether something was refused again or left though it was chosen, or has no value."""
        return has_bad(self.outcomes)


def has_bad(outcomes: Mapping[Outcome, int]) -> bool:
    """Whether not all of it was delivered, or skipped on demand."""
    return any(
        outcomes[each] for each in (Outcome.REFUSED_AGAIN, Outcome.LEFT, Outcome.WITHOUT_VALUE)
    )
