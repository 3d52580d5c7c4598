"""A mapping as it was understood: rules, their conditions, and the changes that they read."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from consumer.core.events import Action, IdType
from consumer.core.mapping.paths import Path

T_co = TypeVar("T_co", covariant=True)


MOST_WALKS = 4  # inside of each other


class Verdict(Enum):
    """What a table may say instead of a value."""

    IGNORE = "ignore"


IGNORE = Verdict.IGNORE


@dataclass(frozen=True, slots=True)
class Lookup(Generic[T_co]):
    """A value that a record names by a word.

    Without a ``table`` the word is the value itself, as a segment's number is. ``otherwise`` is
    for words that the table doesn't have, ``missing`` for a path that leads nowhere, or to null;
    None: such a change is malformed.
    """

    path: Path
    table: Mapping[str, T_co | Verdict] | None
    otherwise: T_co | Verdict | None = None
    missing: T_co | None = None

    @property
    def ignores(self) -> bool:
        """Whether some words mean that the change is to be ignored."""
        return self.otherwise is IGNORE or IGNORE in (self.table or {}).values()


@dataclass(frozen=True, slots=True)
class IdSource:
    """One place where ids may be (or one id), and of which type they are."""

    ids: Path | str
    id_type: IdType | Lookup[IdType]


@dataclass(frozen=True, slots=True)
class ChangeRule:
    """How one change is read. ``ids``: the first that is there counts.

    ``place`` names it in what is said of a record: its rule's number, and its own if there are
    several.
    """

    place: str
    segment_id: int | Lookup[int]
    action: Action | Lookup[Action]
    ids: tuple[IdSource, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """What must be at ``path``: one of ``words``, or anything (nothing), if those are None."""

    path: Path
    words: frozenset[str] | None
    exists: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule; ``each`` has the path of every walk, each inside of the one before."""

    number: int
    when: tuple[Condition, ...]
    each: tuple[Path, ...]
    changes: tuple[ChangeRule, ...]

    @property
    def ignored(self) -> str:
        """Say why a record is ignored of which all changes are."""
        segments: dict[str, None] = {}
        words: dict[str, None] = {}
        for change in self.changes:
            segment_id, types = change.segment_id, [source.id_type for source in change.ids]
            if isinstance(segment_id, Lookup) and segment_id.ignores:
                segments[f'"{segment_id.path}"'] = None
            for lookup in (change.action, *types):
                if isinstance(lookup, Lookup) and lookup.ignores:
                    words[f'"{lookup.path}"'] = None
        said = []
        if segments:
            said.append(f"what is at {' or '.join(segments)} is not in the table of segments")
        if words:
            said.append(f"what is at {' or '.join(words)} is to be ignored")
        return f"rule {self.number}: {', or '.join(said)}"

    @property
    def reads_no_value(self) -> bool:
        """Whether it is for records without a value."""
        return any(
            not condition.exists and condition.words is None and is_whole_value(condition.path)
            for condition in self.when
        )


def is_whole_value(path: Path) -> bool:
    """Whether the path is ``$value``, the record's value itself."""
    return path.text in {"$value", "$"}


def paths_of(rule: Rule) -> list[tuple[Path, bool]]:
    """Return every path that a rule names but those of its walks; and whether it only asks for it.

    That is, whether something stands there, and not what.
    """
    found = [(condition.path, condition.words is None) for condition in rule.when]
    for change in rule.changes:
        lookups = [change.segment_id, change.action, *(source.id_type for source in change.ids)]
        found += [(each.path, False) for each in lookups if isinstance(each, Lookup)]
        found += [(each.ids, False) for each in change.ids if isinstance(each.ids, Path)]
    return found
