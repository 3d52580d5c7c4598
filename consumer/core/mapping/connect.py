"""The envelope of Connect's JSON converter: ``schema`` beside ``payload``."""

import msgspec
from msgspec import UNSET, Raw, UnsetType

from consumer.core.mapping.view import View


class _Envelope(msgspec.Struct, gc=False):
    schema: Raw | UnsetType = UNSET
    payload: Raw | UnsetType = UNSET


_decode = msgspec.json.Decoder(_Envelope).decode


def is_schema(written: Raw | UnsetType) -> bool:
    """Whether this is a schema of Connect's, which is an object or null."""
    return written is not UNSET and bytes(written)[:1] in {b"{", b"n"}


def payload_of(value: bytes | Raw) -> View | None:
    """Return what is in the envelope; None if ``value`` is none."""
    try:
        envelope = _decode(value)
    except (msgspec.MsgspecError, RecursionError):
        return None
    if envelope.payload is UNSET or not is_schema(envelope.schema):
        return None
    return View(envelope.payload)
