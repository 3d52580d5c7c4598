"""An event: what a record says, and which segments and ids it may name.

Whatever carries it (see `decoder`), a record's value is one of three:

    Event       all ids are good
    Mixed       a readable record with invalid ids, and perhaps good ones
    Malformed   not an event
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

MAX_SEGMENT_ID = 2**31 - 1
MAX_ID_BYTES = 150
MAX_EMAIL_BYTES = 254
_MAX_SEGMENT_DIGITS = 20  # leading zeros are no mistake

Action = Literal["add", "remove"]
IdType = Literal["id", "email", "cio_id"]

PlainId = Annotated[str, Meta(min_length=1, max_length=MAX_ID_BYTES)]
SegmentText = Annotated[str, Meta(min_length=1, max_length=_MAX_SEGMENT_DIGITS)]

ACTIONS: tuple[Action, ...] = ("add", "remove")
ID_TYPES: tuple[IdType, ...] = ("id", "email", "cio_id")


class Event(msgspec.Struct, gc=False):
    """A readable record: either ``id`` or ``ids`` is set; no ``id_type``: the default.

    The bounds are what can be said here of a plain one; the rest is `decoder`'s. ``gc=False``: an
    event holds strings and numbers only, so it can't be part of a cycle.
    """

    segment_id: Annotated[int, Meta(ge=1, le=MAX_SEGMENT_ID)] | SegmentText
    action: Action
    id: PlainId | int | UnsetType = UNSET
    ids: Annotated[list[PlainId], Meta(min_length=1)] | UnsetType = UNSET
    id_type: IdType | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Mixed:
    """A readable record with invalid ids, as they were written.

    ``event`` carries the good ones, if there are any.
    """

    event: Event | None
    segment_id: int
    action: Action
    id_type: IdType
    invalid: tuple[Raw, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """A value that is no event; ``detail`` says why, without quoting ids."""

    detail: str


def opposite_of(action: Action) -> Action:
    """Return the other one."""
    return "remove" if action == "add" else "add"


def segment_id_of(given: int | str | None) -> int | None:
    """Return the segment that ``given`` names; None if it names none."""
    if isinstance(given, str):
        is_short = given.isascii() and given.isdigit() and len(given) <= _MAX_SEGMENT_DIGITS
        given = int(given) if is_short else None
    return given if given is not None and 0 < given <= MAX_SEGMENT_ID else None


def valid_id(name: str, id_type: IdType) -> str | Malformed:
    """Return the id as it is sent, or why it can't be one."""
    if not name:
        return Malformed("an id is empty")
    if id_type == "email":
        name = name.lower()
    length_bytes = len(name) if name.isascii() else len(name.encode())
    limit_bytes = MAX_EMAIL_BYTES if id_type == "email" else MAX_ID_BYTES
    if length_bytes > limit_bytes:
        return Malformed(f"an id is longer than {limit_bytes} bytes")
    if id_type == "email" and "@" not in name:
        return Malformed("an email address has no @")
    return name
