"""Reads records whose values name their schema: by what the schema makes of them.

It has the face of a mapping (`Readings`) and has one inside, or the plain event, which reads what
was decoded. What can't be read because its schema isn't there yet is neither right nor wrong: it is
`Awaited`, and nothing behind it in its partition may be taken in.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec
from msgspec import UNSET

from consumer.core.decoder import EventDecoder
from consumer.core.events import Event, IdType, Malformed, Mixed
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


class PlainReadings:
    """Reads events as they are without a mapping; ``default_id_type`` is as of `EventDecoder`."""

    def __init__(self, default_id_type: IdType) -> None:
        self._default_id_type = default_id_type
        self._look_closely = EventDecoder(default_id_type).look_closely

    def read(self, value: bytes | None, _: Record) -> Reading:
        """Return what a record says; one without a value concerns nobody."""
        if value is None:
            return NO_VALUE
        found = self._look_closely(value)
        if isinstance(found, Mixed):
            return Changes((found,))
        if isinstance(found, Event) and found.ids is not UNSET and len(found.ids) == 1:
            found.id, found.ids = found.ids[0], UNSET
        return found

    def read_decoded(self, value: object, record: Record) -> Reading:
        """Return what a record says whose value was decoded already."""
        try:
            event = msgspec.convert(value, Event)
        except msgspec.ValidationError:
            return self._read_closely(value, record)
        name = event.id
        if type(name) is int:
            event.id = name = str(name)
        if event.id_type is UNSET:
            event.id_type = self._default_id_type
        is_plain = type(name) is str and name.isascii() and type(event.segment_id) is int
        if is_plain and event.ids is UNSET and event.id_type != "email":
            return event
        return self._read_closely(value, record)

    def _read_closely(self, value: object, record: Record) -> Reading:
        try:
            written = msgspec.json.encode(value, enc_hook=str)
        except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
            return Malformed("what was decoded has no JSON form")
        return self.read(written, record)
