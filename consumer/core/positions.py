"""Where reading begins and goes on, from what a commit or a ledger says and what brokers have.

A partition with a committed offset goes on there, unless the log is no longer the one that it was
committed of. There are three ways to lose a position: retention deleted what stands there (on at
the first record there is); the log was cut off, as an unclean election does (on where it diverges,
so that only what took the place of the cut is read again); or the topic was made anew (its
beginning, also where it has outgrown the position: the topic's id tells). What a commit is of, its
metadata and leader epoch say.

A partition without one: ``latest`` counts at the group's first start only; a partition that appears
later is read from its beginning, else the records between its creation and our first commit would
be lost. But at the first start several members come at the same time, and each sees the others'
first commits: to tell "the group starts" from "the partition is new", the first commits carry a
*census* as metadata: how many partitions each topic had then. What the census counts was there at
the first start.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Any

_MAX_METADATA_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Position:
    """The offset to read next. ``leader_epoch`` is the latest of the records before it.

    ``topic_id`` is of the topic that it was read of, empty if that is not known.
    """

    offset: int
    leader_epoch: int | None = None
    topic_id: str = ""


@dataclass(frozen=True, slots=True)
class Gone:
    """What a fetch was told: the broker has the position no more.

    ``diverges_at`` is where the log ends that the position was read of. ``is_compared``: the leader
    epochs were, and differ. Comparing that position again would say no more.
    """

    diverges_at: int | None = None
    is_compared: bool = False


class Loss(StrEnum):
    """Why reading can't go on at a position."""

    DELETED = "its records were deleted before they were read"
    CUT_OFF = "the log was truncated"
    MADE_ANEW = "the topic was made anew"


@dataclass(frozen=True, slots=True)
class Going:
    """Where reading goes on; ``leader_epoch`` is the latest of the records before, if known.

    Where it is, the broker compares it with its log first, which may have been cut off since
    somebody looked.
    """

    offset: int
    leader_epoch: int | None = None
    loss: Loss | None = None


@dataclass(frozen=True, slots=True)
class Log:
    """A partition as its leader has it: the first offset there is, the end, the latest epoch."""

    first: int
    end: int
    leader_epoch: int | None = None
    topic_id: str = ""

    def epoch_at(self, going: Going) -> int | None:
        """Return the epoch of a position that reading goes on at: at the beginning the latest.

        Nothing before it can be cut off, so it needs no comparing. But without an epoch nothing
        would tell a marker that is passed before the first record (see `Ledger`) from a record that
        takes its place when the log is cut off.
        """
        is_known = going.leader_epoch is not None or going.offset > self.first
        return going.leader_epoch if is_known else self.leader_epoch


def goes_on(position: Position, log: Log, gone: Gone | None = None) -> Going:
    """Return where reading goes on that had come to ``position``."""
    offset, epoch = position.offset, position.leader_epoch
    is_known = bool(position.topic_id and log.topic_id)
    if is_known and position.topic_id != log.topic_id:
        return Going(log.first, None, Loss.MADE_ANEW)
    if offset < log.first:
        return Going(log.first, None, Loss.DELETED)
    is_compared = gone is not None and gone.is_compared
    if epoch not in {None, log.leader_epoch} and not is_compared:
        return Going(offset, epoch)  # if it was cut off, the broker says where
    diverges_at = None if gone is None else gone.diverges_at
    at = log.end if diverges_at is None else diverges_at
    is_before = gone is None or (is_known and diverges_at is not None)
    if is_before and offset <= min(at, log.end):  # what was fetched ahead is all that was cut off
        return Going(offset, epoch)
    is_unclear = is_compared and diverges_at is None
    is_another = is_unclear or not is_known or at >= offset  # it has grown since, for example
    if is_another or at < log.first:
        at, epoch = log.first, None
    at = min(at, log.end)
    return Going(at, epoch, Loss.CUT_OFF if at < offset else None)


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


def metadata_text(topic: str, topic_id: str, census: Mapping[str, int]) -> str:
    """Return a commit's metadata: the topic's id and the census, or just the topic's own part."""
    own: dict[str, object] = {"topic_id": topic_id} if topic_id else {}
    counts = dict(census)
    text = compact(own | ({"first_start": counts} if counts else {}))
    if len(text) <= _MAX_METADATA_CHARACTERS:
        return text
    return compact(own | {"first_start": {topic: counts.get(topic, 0)}})


def census_of(metadata: Iterable[str]) -> dict[str, int]:
    """Return the census that commits carry; foreign metadata is passed over."""
    census: dict[str, int] = {}
    for text in metadata:
        try:
            counts = members_of(text)["first_start"]
            census.update({str(topic): int(count) for topic, count in counts.items()})
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
            continue
    return census


def topic_id_of(metadata: str) -> str:
    """Return the id of the topic that a commit is of; empty if it doesn't say."""
    found = members_of(metadata).get("topic_id")
    return found if isinstance(found, str) else ""


def compact(members: Mapping[str, object]) -> str:
    """Return metadata with these members; empty, if there are none."""
    return json.dumps(members, separators=(",", ":")) if members else ""


def members_of(metadata: str) -> dict[str, Any]:
    """Return the members of metadata; foreign metadata has none."""
    try:
        found = json.loads(metadata)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
