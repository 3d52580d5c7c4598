"""What stands beside a record's value: its topic, key and headers, read when they are asked for."""

from typing import Protocol

import msgspec

from consumer.core.dead_letters import Headers, headers_of
from consumer.core.mapping.connect import payload_of
from consumer.core.mapping.view import View

_FRAME_BYTES = 5


class Record(Protocol):
    """A record as confluent-kafka gives it, as far as a mapping reads it beside its value."""

    def topic(self) -> str: ...  # noqa: D102 - these are the library's own
    def key(self) -> bytes | None: ...  # noqa: D102
    def headers(self) -> Headers | None: ...  # noqa: D102


class BinaryError(ValueError):
    """It is no text, though it could be read as one; the message says what it may be."""


def key_text(record: Record) -> str | None:
    """Return a record's key as text; None if it has none; raise UnicodeDecodeError, BinaryError.

    Converters write a text with quotes around it, or in Connect's envelope: those are taken off.
    A number in bytes, as ksqlDB writes one, or a key with a schema's id in front is UTF-8 only by
    chance, and would be an id that nobody has.
    """
    key = record.key()
    if key is None:
        return None
    if b"\0" in key:
        raise BinaryError(framing_of(key) or "it is no text: it has a zero byte")
    text = key.decode()
    inner = payload_of(key) if key[:1] == b"{" else _json_string(key) if key[:1] == b'"' else None
    word = inner.word() if inner is not None else None
    return text if word is None else word


def framing_of(key: bytes) -> str | None:
    """Say that a key has a schema's id in front, if it may."""
    if key[:1] != b"\0" or len(key) <= _FRAME_BYTES:
        return None
    return "it begins with a zero byte, as with a schema's id: of keys only text and JSON are read"


def _json_string(key: bytes) -> View | None:
    try:
        return View.of(msgspec.json.decode(key, type=str))
    except msgspec.MsgspecError:
        return None


def header_text(record: Record, name: str) -> str | None:
    """Return the last header of that name as text; None if there is none; UnicodeDecodeError."""
    found: bytes | str | None = None
    for each, content in headers_of(record) or ():
        if each == name:
            found = content
    return found.decode() if isinstance(found, bytes) else found
