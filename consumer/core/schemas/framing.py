"""The framing: which schema a record's value names, and where what it describes begins.

As Confluent's documentation has it ("Wire format", and its header serializers). A *prefix* is a
magic byte and what identifies a schema: 0 with an id of 4 bytes, or 1 with a GUID of 16. It stands
in front of the value, or is all that the header ``__value_schema_id`` has; then the value is
nothing but the payload. With Protobuf the message indexes follow the prefix, wherever that is.
"""

from typing import NamedTuple

from consumer.core.dead_letters import HasHeaders, headers_of
from consumer.core.events import Malformed
from consumer.core.unreadable import BYTE_ORDER_MARK, what_is_wrong

HEADER = "__value_schema_id"
ID_PREFIX_BYTES = 5
GUID_PREFIX_BYTES = 17
_PREFIX_BYTES = {0: ID_PREFIX_BYTES, 1: GUID_PREFIX_BYTES}


class Framed(NamedTuple):
    """A value with its schema's prefix, byte for byte; ``payload``: message indexes and all."""

    prefix: bytes
    payload: bytes


def framed(value: bytes, record: HasHeaders) -> Framed | Malformed | None:
    """Return what a value names and has; None if it is plain JSON, an object without a prefix."""
    headers = headers_of(record)
    if headers:
        given = [content for name, content in headers if name == HEADER]
        if given:
            return _by_header(given[-1], value)
    size = _PREFIX_BYTES.get(value[0]) if value else None
    if size is None:
        return None if _is_plain(value) else Malformed(_what_it_is(value))
    if len(value) < size:
        kind = "a schema's id" if size == ID_PREFIX_BYTES else "a schema's GUID"
        return Malformed(f"{len(value)} bytes, which is too short for a magic byte and {kind}")
    return Framed(value[:size], value[size:])


def schema_id_of(prefix: bytes) -> int | None:
    """Return the id in a prefix; None if it has a GUID."""
    return int.from_bytes(prefix[1:]) if len(prefix) == ID_PREFIX_BYTES else None


def guid_of(prefix: bytes) -> str:
    """Return the GUID in a prefix, as it is spelled in a URL."""
    digits = prefix[1:].hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def name_of(prefix: bytes) -> str:
    """Name a schema for a person."""
    schema_id = schema_id_of(prefix)
    return f"schema {guid_of(prefix) if schema_id is None else schema_id}"


def _by_header(content: bytes | str | None, value: bytes) -> Framed | Malformed:
    prefix = content.encode() if isinstance(content, str) else content or b""
    size = _PREFIX_BYTES.get(prefix[0]) if prefix else None
    if size is None or len(prefix) < size:
        return Malformed(f"the header {HEADER} has no magic byte with a schema's id or GUID")
    return Framed(prefix[:size], prefix[size:] + value)


def _is_plain(value: bytes) -> bool:
    return value[:1] == b"{" or value.removeprefix(BYTE_ORDER_MARK).lstrip()[:1] == b"{"


def _what_it_is(value: bytes) -> str:
    if not value:
        return "empty value"
    known = what_is_wrong(value)
    if known.startswith(("the value is compressed", "UTF-16")):
        return known
    return (
        f"begins with the byte {value[0]:#04x}: no magic byte of a schema (0 with an id, 1 with a"
        f" GUID), no header {HEADER}, and no JSON object"
    )
