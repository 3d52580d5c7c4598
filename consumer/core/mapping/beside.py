"""What stands beside a record's value: its topic, key and headers, read when they are asked for."""

from typing import Protocol

from consumer.core.dead_letters import Headers, headers_of
from consumer.core.mapping.connect import payload_of


class Record(Protocol):
    """A record as confluent-kafka gives it, as far as a mapping reads it beside its value."""

    def topic(self) -> str: ...  # noqa: D102 - these are the library's own
    def key(self) -> bytes | None: ...  # noqa: D102
    def headers(self) -> Headers | None: ...  # noqa: D102


def key_text(record: Record) -> str | None:
    """Return a record's key as text; None if it has none; raise UnicodeDecodeError.

    Of a key in Connect's envelope it is the payload, if that is a text or a number.
    """
    key = record.key()
    if key is None:
        return None
    if key[:1] == b"{":
        inner = payload_of(key)
        word = inner.word() if inner is not None else None
        if word is not None:
            return word
    return key.decode()


def header_text(record: Record, name: str) -> str | None:
    """Return the last header of that name as text; None if there is none; UnicodeDecodeError."""
    found: bytes | str | None = None
    for each, content in headers_of(record) or ():
        if each == name:
            found = content
    return found.decode() if isinstance(found, bytes) else found
