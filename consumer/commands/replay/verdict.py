"""A verdict: what became of one dead letter, for people and programs to be told."""

from dataclasses import dataclass
from enum import StrEnum

from consumer.commands.replay.dead_letters import Change, Labels


class Outcome(StrEnum):
    """What became of a dead letter. The values are those of ``--json``."""

    DELIVERED = "delivered"
    REFUSED_AGAIN = "refused-again"
    SKIPPED = "skipped"
    LEFT = "left"
    WITHOUT_VALUE = "without-value"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``place`` is ``topic:partition:offset``; no id of a person is in ``why``.

    ``refused_ids`` are of those that were sent.
    """

    place: str
    labels: Labels
    changes: tuple[Change, ...]
    outcome: Outcome
    why: str = ""
    refused_ids: int = 0

    @property
    def ids(self) -> int:
        """Return how many ids it is about."""
        return sum(change.ids for change in self.changes)
