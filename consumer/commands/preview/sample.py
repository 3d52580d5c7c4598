"""A sample: what became of one record, for people and programs to look at.

- readable: it has changes; where it has a ``detail`` too, a part of it can't be read
- ignored: it concerns nobody
- malformed: nothing of it can be read
- waiting: the Schema Registry doesn't say what it is
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal, assert_never

from msgspec import UNSET, Raw

from consumer.core.decoder import EventDecoder
from consumer.core.events import Action, Event, IdType, Malformed, Mixed
from consumer.core.mapping.reading import Changes, Ignored, Reading
from consumer.core.well_known import looks_like

Outcome = Literal["readable", "ignored", "malformed", "waiting"]

PLAIN = "these are events as they are: run without EVENT_MAPPING"
FRAMED = "these have a schema's id in front: set EVENT_FORMAT=schema-registry"
SPREAD = "a record goes over several lines here: write each in one line, as jq -c does"
VALUES_ONLY = "a file's lines are values, without keys and headers: preview the topic itself"
_EVENTS = EventDecoder("id")
_FRAMING = "Schema Registry framing"
_BESIDE = re.compile(r'nothing is at "\$(key|headers)')


@dataclass(frozen=True, slots=True)
class Change:
    """What a record changes: the good ids as they would be sent, the others as they are written."""

    segment_id: int
    action: Action
    id_type: IdType
    ids: tuple[str, ...]
    invalid: tuple[str, ...] = ()
    why_invalid: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One record; ``place`` says which, ``detail`` why it, or a part of it, is not read.

    ``hint``: what would read it, if that is known. ``unlisted``: the keys of segments that it names
    and the mapping's table doesn't have.
    """

    place: str
    outcome: Outcome
    changes: tuple[Change, ...] = ()
    detail: str = ""
    hint: str | None = None
    unlisted: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing of it would be refused."""
        is_clean = not self.detail and not any(change.invalid for change in self.changes)
        return self.outcome == "ignored" or (self.outcome == "readable" and is_clean)


def sample_of(
    place: str,
    value: bytes | None,
    reading: Reading,
    waiting: Collection[str] = (),
    mapping: str = "",
) -> Sample:
    """Return what became of a record.

    ``waiting`` has the details of those that the registry's silence makes malformed. ``mapping`` is
    the name of what read it, which is no hint.
    """
    match reading:
        case Event() | Mixed():
            return Sample(place, "readable", (_change_of(reading),))
        case Changes(changes, malformed):
            detail = malformed.detail if malformed else ""
            return Sample(place, "readable", tuple(map(_change_of, changes)), detail)
        case Ignored(detail):
            return Sample(place, "ignored", (), detail, _hint(value, detail, mapping))
        case Malformed(detail) if detail in waiting:
            return Sample(place, "waiting", (), detail)
        case Malformed(detail):
            return Sample(place, "malformed", (), detail, _hint(value, detail, mapping))
        case _:
            assert_never(reading)


def with_hint_of_lines(sample: Sample, *, is_spread: bool) -> Sample:
    """Return a sample of a file with what helps if the file is not what a preview reads.

    ``is_spread``: its first line has nothing but a bracket.
    """
    if sample.outcome == "malformed" and is_spread and sample.detail.startswith("not JSON"):
        return replace(sample, hint=SPREAD)
    if not sample.is_whole and _BESIDE.search(sample.detail):
        return replace(sample, hint=VALUES_ONLY)
    return sample


def _change_of(change: Event | Mixed) -> Change:
    event = change.event if isinstance(change, Mixed) else change
    ids: tuple[str, ...] = ()
    if event is not None:
        ids = tuple(event.ids) if isinstance(event.ids, list) else (str(event.id),)
    segment_id = int(change.segment_id)
    id_type: IdType = "id" if change.id_type is UNSET else change.id_type  # readers name it
    if isinstance(change, Event):
        return Change(segment_id, change.action, id_type, ids)
    invalid = tuple(map(_text, change.invalid))
    return Change(segment_id, change.action, id_type, ids, invalid, change.detail)


def _text(written: Raw) -> str:
    return bytes(written).decode(errors="replace")


def _hint(value: bytes | None, detail: str, mapping: str) -> str | None:
    """Return what would read a record that was not read."""
    if value is None:
        return None
    if _FRAMING in detail:
        return FRAMED
    if isinstance(_EVENTS.look_closely(value), Event):
        return PLAIN
    known = looks_like(value)
    return None if known and known.endswith(f"={mapping}") else known
