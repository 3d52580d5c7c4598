"""Where a partition starts that has no committed offset.

``latest`` counts at the group's first start only; a partition that appears later is read from its
beginning, else the records between its creation and our first commit would be lost. But at the
first start several members come at the same time, and each sees the others' first commits: to tell
"the group starts" from "the partition is new", the first commits carry a *census* as metadata: how
many partitions each topic had then. What the census counts was there at the first start.
"""

import json
from collections.abc import Iterable, Mapping
from enum import Enum, auto

_MAX_METADATA_CHARACTERS = 2000


class Start(Enum):
    """Where to begin."""

    BEGINNING = auto()
    END = auto()
    GIVE_UP = auto()


def start_of(
    topic: str, partition: int, reset: str, *, group_has_commits: bool, census: Mapping[str, int]
) -> Start:
    """Return where a partition without a committed offset begins.

    ``reset`` is ``earliest``, ``latest`` or ``error``; ``census`` is the one of the group's first
    start, empty if unknown.
    """
    if reset == "error":
        return Start.GIVE_UP
    if reset == "earliest":
        return Start.BEGINNING
    if not group_has_commits or partition < census.get(topic, 0):
        return Start.END
    return Start.BEGINNING


def census_text(topic: str, counts: Mapping[str, int]) -> str:
    """Return the metadata of a first commit: all topics' partitions, or just the topic's own."""
    text = json.dumps({"first_start": counts}, separators=(",", ":"))
    if len(text) <= _MAX_METADATA_CHARACTERS:
        return text
    own = {"first_start": {topic: counts.get(topic, 0)}}
    return json.dumps(own, separators=(",", ":"))


def census_of(metadata: Iterable[str]) -> dict[str, int]:
    """Return the census that commits carry; foreign metadata is passed over."""
    census: dict[str, int] = {}
    for text in metadata:
        try:
            counts = json.loads(text)["first_start"]
            census.update({str(topic): int(count) for topic, count in counts.items()})
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
            continue
    return census
