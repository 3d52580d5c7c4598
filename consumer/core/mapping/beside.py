"""What stands beside a record's value: its topic, key and headers, read when they are asked for."""

from typing import Protocol

import msgspec

from consumer.core.dead_letters import Headers, headers_of
from consumer.core.mapping.connect import payload_of
from consumer.core.mapping.view import View


class Record(Protocol):
    """A record as confluent-kafka gives it, as far as a mapping reads it beside its value."""

    def topic(self) -> str: ...  # noqa: D102 - these are the library's own
    def key(self) -> bytes | None: ...  # noqa: D102
    def headers(self) -> Headers | None: ...  # noqa: D102


class BinaryKeyError(ValueError):
    """A key that is no text, though its bytes could pass for one."""

    def __init__(self) -> None:
        super().__init__("it begins with a zero byte, as a schema's id and numbers do, and no text")


def key_of(record: Record) -> bytes | None:
    """Return a record's key, if it may be text; raise BinaryKeyError.

    Framed by a schema's id, most keys are UTF-8: they would be sent as ids that nobody has.
    """
    key = record.key()
    if key is not None and key[:1] == b"\0":
        raise BinaryKeyError
    return key


def key_text(record: Record) -> str | None:
    """Return a record's key as text; None if it has none; raise UnicodeDecodeError, BinaryKeyError.

    Converters write a text with quotes around it, or in Connect's envelope: those are taken off.
    """
    key = key_of(record)
    if key is None:
        return None
    text = key.decode()
    inner = payload_of(key) if key[:1] == b"{" else _json_string(key) if key[:1] == b'"' else None
    word = inner.word() if inner is not None else None
    return text if word is None else word


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
