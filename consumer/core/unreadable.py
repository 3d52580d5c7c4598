"""Why a record's value can't be read, in words that say what to do, and never a person's id."""

import codecs
import json

import msgspec

BYTE_ORDER_MARK = codecs.BOM_UTF8  # passed over

_GUID_FRAME_BYTES = 17
_COMPRESSED = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\xff\x06\x00\x00sNaPpY", "snappy"),
    (b"\x82SNAPPY\x00", "snappy"),
)
_KINDS = {'"': "string", "[": "array", "{": "object", "t": "boolean", "f": "boolean", "n": "null"}


def what_is_wrong(value: bytes) -> str:
    """Say why ``value`` is no JSON in UTF-8; it has no byte order mark of UTF-8 any more."""
    if not value.strip():
        return "empty value"
    for mark, name in _COMPRESSED:
        if value.startswith(mark):
            return (
                f"the value is compressed with {name}: let Kafka compress"
                " (the producer's compression.type), not the value itself"
            )
    if _is_utf_16(value):
        return "UTF-16 or UTF-32, not UTF-8"
    if value[:1] == b"\0":
        return (
            "starts with a zero byte: Schema Registry framing"
            " (magic byte and schema id): EVENT_FORMAT=schema-registry reads it"
        )
    if value[:1] == b"\1" and len(value) >= _GUID_FRAME_BYTES:
        return (
            "starts with a one byte: Schema Registry framing"
            " (magic byte and schema GUID): EVENT_FORMAT=schema-registry reads it"
        )
    return _what_is_wrong_with_text(value)


def not_an_object(value: bytes) -> str:
    """Say what a JSON value is that is no object."""
    kind = _KINDS.get(value.lstrip()[:1].decode("ascii", "replace"), "number")
    if kind == "string" and has_json_inside(value):
        return "a JSON text inside a JSON string: it was written as JSON twice"
    if kind == "array":
        return 'a JSON array, not an object: a mapping with each = "$" reads a list'
    return f"a JSON {kind}, not an object"


def has_json_inside(value: bytes) -> bool:
    """Whether a JSON string, or any other value, is the text of a JSON object or list."""
    try:
        inner = msgspec.json.decode(value, type=str)
        if inner.lstrip()[:1] not in {"{", "["}:
            return False
        msgspec.json.decode(inner)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True


def _what_is_wrong_with_text(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        return f"not UTF-8: {error.reason} at byte {error.start}"
    try:
        msgspec.json.decode(value)
    except RecursionError:
        return "nested too deeply"
    except msgspec.MsgspecError as error:
        return _more_than_one(text) or _no_number(text) or f"not JSON: {error}"
    return "not readable"


def _is_utf_16(value: bytes) -> bool:
    if value.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    first, second, third = value[:1], value[1:2], value[2:3]
    brackets = {b"{", b"["}
    return (first in brackets and second == b"\0") or (
        first == b"\0" and second in brackets and third == b"\0"
    )


def _more_than_one(text: str) -> str | None:
    """Say where the second value begins, if the first one is whole."""
    bare = text.lstrip()
    try:
        _, end = json.JSONDecoder().raw_decode(bare)
    except (ValueError, RecursionError):
        return None
    rest = bare[end:].lstrip()
    if rest[:1] not in {"{", "["}:
        return None
    at = len(text[: len(text) - len(rest)].encode())
    return f"two JSON values in one record: the second begins at byte {at}"


def _no_number(text: str) -> str | None:
    names: list[str] = []
    try:
        json.loads(text, parse_constant=names.append)
    except (ValueError, RecursionError):
        return None
    return f"not JSON: {names[0]} is no number of JSON's" if names else None
