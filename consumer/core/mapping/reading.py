"""A reading: what a record says by a mapping.

Event       one change, all of its ids good
Changes     several changes, or one with invalid ids, in the order of the mapping; with what of
the record can't be read, if it is so of some
Ignored     a record that concerns nobody
Malformed   nothing of it can be read
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from consumer.core.events import Event, Malformed, Mixed
from consumer.core.mapping.beside import Record


class Changes(msgspec.Struct, frozen=True):
    """What a record changes, in order; a Struct, as that is made ten times as fast.

    The ids of an event in it are as they are sent, and an event names its id type. ``malformed``:
    what else the record has, and can't be read; then the record is a dead letter too, once.
    """

    changes: tuple[Event | Mixed, ...]
    malformed: Malformed | None = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """A record to be counted and passed over; ``detail`` says why, for a preview."""

    detail: str


NO_RULE = Ignored("no rule fits")
NOTHING_TO_WALK = Ignored("nothing to walk: an empty list or map")

Reading = Event | Changes | Ignored | Malformed


@dataclass(frozen=True, slots=True)
class Awaited:
    """Not a reading yet: the schema that a record names by this prefix isn't there.

    So the record is neither right nor wrong, and nothing behind it in its partition may be taken
    in before it.
    """

    prefix: bytes


class Reader(Protocol):
    """Says what records are that need not be plain events. Never raises, whatever a record is.

    The ids of what it says are as they are sent, and an event names its id type.
    """

    @property
    def read_value(self) -> Callable[[bytes, Record], Reading | Awaited]:
        """Return what reads a record that has a value: this is called for each."""

    def read(self, value: bytes | None, record: Record) -> Reading | Awaited:
        """Return what a record says, be it without a value: `Ignored` if that means nothing."""


class SureReader(Reader, Protocol):
    """A reader that has all that it needs."""

    @property
    def read_value(self) -> Callable[[bytes, Record], Reading]:
        """Return what reads a record that has a value."""

    def read(self, value: bytes | None, record: Record) -> Reading:
        """Return what a record says."""
