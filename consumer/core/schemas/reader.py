"""Reads records whose values name their schema: by what the schema makes of them.

It has the face of a mapping (`Readings`) and has one inside, or the plain event, which reads what
was decoded. What can't be read because its schema isn't there yet is neither right nor wrong: it is
`Awaited`, and nothing behind it in its partition may be taken in.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec
from msgspec import UNSET

from consumer.core.decoder import NOT_PLAIN, EventDecoder
from consumer.core.events import (
    ACTIONS,
    MAX_ID_BYTES,
    MAX_SEGMENT_ID,
    Event,
    IdType,
    Malformed,
    Mixed,
)
from consumer.core.mapping.beside import Record
from consumer.core.mapping.reading import Awaited, Changes, Ignored, Reading
from consumer.core.schemas.compiled import Compiled, UnfitError
from consumer.core.schemas.framing import ID_PREFIX_BYTES, Framed, framed, name_of

Known = Mapping[bytes, Compiled | Malformed]
"""Schemas by prefix; Malformed: what is to be said of the records of one that nobody knows."""


class Readings(Protocol):
    """What reads values, as text or decoded; see `mapping.Mapping`."""

    def read(self, value: bytes | None, record: Record) -> Reading: ...  # noqa: D102
    def read_decoded(self, value: object, record: Record) -> Reading: ...  # noqa: D102


class SchemaReader:
    """Reads records by the schemas ``known``, which somebody else fills. Never raises."""

    def __init__(self, known: Known, readings: Readings) -> None:
        self._known = known
        self._readings = readings
        self._read_decoded = readings.read_decoded

    def read(self, value: bytes | None, record: Record) -> Reading | Awaited:
        """Return what a record says, whether it has a value or none."""
        if value is None:
            return self._readings.read(None, record)
        return self.read_value(value, record)

    def read_value(self, value: bytes, record: Record) -> Reading | Awaited:
        """Return what a record says that has a value."""
        try:
            if not record.headers():  # nearly always, and then most of the rest need not be asked
                schema = self._known.get(value[:ID_PREFIX_BYTES])
                if schema.__class__ is Compiled and schema.decode is not None:
                    decoded = schema.decode(value[ID_PREFIX_BYTES:])
                    return self._read_decoded(decoded, record)
        except (UnfitError, SystemError, UnicodeDecodeError):
            pass  # it is looked at once more, to say what is wrong
        found = framed(value, record)
        if isinstance(found, Framed):
            return self._read_framed(*found, record)
        return self._readings.read(value, record) if found is None else found

    def _read_framed(self, prefix: bytes, payload: bytes, record: Record) -> Reading | Awaited:
        schema = self._known.get(prefix)
        if schema is None:
            return Awaited(prefix)
        if isinstance(schema, Malformed):
            return schema
        if schema.decode is None:
            return self._readings.read(payload, record)
        try:
            decoded = schema.decode(payload)
        except UnfitError:
            return Malformed(f"it isn't what its {name_of(prefix)} describes, {schema}")
        return self._read_decoded(decoded, record)


NO_VALUE = Ignored("no value")
_MEMBERS = ("segment_id", "action", "id", "ids", "id_type")


class PlainReadings:
    """Reads events as they are without a mapping; ``default_id_type`` is as of `EventDecoder`."""

    def __init__(self, default_id_type: IdType) -> None:
        self._default_id_type = default_id_type
        decoder = EventDecoder(default_id_type)
        self._decode = decoder.decode
        self._look_closely = decoder.look_closely

    def read(self, value: bytes | None, _: Record) -> Reading:
        """Return what a record says; one without a value concerns nobody."""
        if value is None:
            return NO_VALUE
        try:
            event = self._decode(value)
        except NOT_PLAIN:
            return self._read_written(value)
        if event.id_type is UNSET:
            event.id_type = self._default_id_type
        is_plain = type(event.id) is str and type(event.segment_id) is int and event.ids is UNSET
        if is_plain and event.id_type != "email" and value.isascii() and event.id.isascii():  # type: ignore[union-attr]  # it is a text
            return event
        return self._read_written(value)

    def read_decoded(self, value: object, record: Record) -> Reading:
        """Return what a record says whose value was decoded already.

        What says nothing is not there: null, as an optional field of Avro is, and what Protobuf
        can't tell from it.
        """
        if type(value) is not dict:
            return self._read_closely(value, record)
        name, segment_id, action = value.get("id"), value.get("segment_id"), value.get("action")
        if (
            type(name) is str
            and type(segment_id) is int
            and action in ACTIONS
            and 0 < segment_id <= MAX_SEGMENT_ID
            and 0 < len(name) <= MAX_ID_BYTES
            and name.isascii()
            and not value.get("ids")
            and not value.get("id_type")
            and self._default_id_type != "email"
        ):
            return Event(segment_id, action, name, UNSET, self._default_id_type)
        return self._read_closely(_without_nothing(value), record)

    def _read_closely(self, value: object, record: Record) -> Reading:
        try:
            written = msgspec.json.encode(value, enc_hook=str)
        except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
            return Malformed("what was decoded has no JSON form")
        return self.read(written, record)

    def _read_written(self, value: bytes) -> Reading:
        found = self._look_closely(value)
        if isinstance(found, Mixed):
            return Changes((found,))
        if isinstance(found, Event) and found.ids is not UNSET and len(found.ids) == 1:
            found.id, found.ids = found.ids[0], UNSET
        return found


def _without_nothing(value: dict[str, object]) -> dict[str, object]:
    """Return an event's members, without those that say nothing."""
    found = {name: each for name in _MEMBERS if (each := value.get(name)) is not None}
    if found.get("id_type") == "":
        del found["id_type"]
    if found.get("ids") == [] and "id" in found:
        del found["ids"]
    elif found.get("id") == "" and "ids" in found:
        del found["id"]
    return found
