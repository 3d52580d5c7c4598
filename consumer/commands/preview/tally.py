"""The tally of a preview: what all samples together come to."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from consumer.commands.preview.sample import Outcome, Sample
from consumer.core.events import Action, IdType

Lane = tuple[int, IdType]


@dataclass(slots=True)
class Sum:
    """How many records, with how many good ids."""

    records: int = 0
    ids: int = 0


@dataclass(frozen=True, slots=True)
class Reason:
    """Why records are not read, or not as a whole; ``first`` is the place of one."""

    outcome: str
    detail: str
    records: int
    first: str


@dataclass(slots=True, eq=False)
class Tally:
    """Counts samples, in the order of reading."""

    read: int = 0
    fit: int = 0  # with an id that would be delivered
    whole: int = 0  # without those that are ignored
    by_outcome: Counter[Outcome] = field(default_factory=Counter)
    invalid_ids: int = 0
    sums: dict[tuple[int, IdType, Action], Sum] = field(default_factory=dict)
    hints: dict[Outcome, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    unlisted: Counter[str] = field(default_factory=Counter)  # keys of segments, by records
    _last: dict[Lane, dict[str, Action]] = field(default_factory=dict)
    _reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    _first: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, sample: Sample) -> None:
        """Count a sample."""
        self.read += 1
        self.by_outcome[sample.outcome] += 1
        self.fit += any(change.ids for change in sample.changes)
        self.whole += sample.is_whole and sample.outcome == "readable"
        self.unlisted.update(sample.unlisted)
        if sample.hint:
            self.hints[sample.outcome][sample.hint] += 1
        reasons: list[tuple[str, str]] = [
            ("malformed" if sample.changes else sample.outcome, sample.detail)
        ]
        counted = set()
        for change in sample.changes:
            kind = (change.segment_id, change.id_type, change.action)
            found = self.sums.setdefault(kind, Sum())
            found.records += kind not in counted
            found.ids += len(change.ids)
            counted.add(kind)
            self.invalid_ids += len(change.invalid)
            reasons.append(("invalid id", change.why_invalid))
            last = self._last.setdefault((change.segment_id, change.id_type), {})
            last.update(dict.fromkeys(change.ids, change.action))
        for reason in dict.fromkeys(each for each in reasons if each[1]):
            self._reasons[reason] += 1
            self._first.setdefault(reason, sample.place)

    @property
    def ids(self) -> int:
        """How many good ids there are."""
        return sum(each.ids for each in self.sums.values())

    @property
    def refused(self) -> int:
        """How many records would be refused, as a whole or a part of them."""
        return self.read - self.whole - self.by_outcome["ignored"] - self.by_outcome["waiting"]

    def reasons(self, *outcomes: str) -> Iterator[Reason]:
        """Yield the reasons, the most frequent one first; those of ``outcomes``, if any."""
        for (outcome, detail), records in self._reasons.most_common():
            if not outcomes or outcome in outcomes:
                yield Reason(outcome, detail, records, self._first[outcome, detail])

    def requests(self, batch_max_ids: int) -> int:
        """Return how many requests it takes if all arrives together: each id's last word counts."""
        return sum(
            -(-ids // batch_max_ids) for lane in self._last.values() for ids in _by_action(lane)
        )


def _by_action(lane: Mapping[str, Action]) -> list[int]:
    return list(Counter(lane.values()).values())
