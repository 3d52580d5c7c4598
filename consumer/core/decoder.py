"""Decodes the value of a Kafka record into an event.

There are two decoders. The fast one knows what an event looks like and takes nothing else: the
common record (a known action, an integer segment, one short id) costs one call of msgspec and a few
comparisons. What it doesn't take goes to the lenient one, which takes any JSON object and leaves
each member as it was written, so that a dead letter has numbers and nested values byte for byte.
"""

import msgspec
from msgspec import UNSET, Raw, UnsetType

from consumer.core.events import (
    ACTIONS,
    ID_TYPES,
    MAX_ID_BYTES,
    MAX_SEGMENT_ID,
    Action,
    Event,
    IdType,
    Malformed,
    Mixed,
    segment_id_of,
    valid_id,
)

_SHOWN_DIGITS = 30  # of a wrong number: enough to recognise it


class _Written(msgspec.Struct, gc=False):
    """The members of any JSON object that an event has, each as it was written."""

    segment_id: Raw | UnsetType = UNSET
    action: Raw | UnsetType = UNSET
    id: Raw | UnsetType = UNSET
    ids: Raw | UnsetType = UNSET
    id_type: Raw | UnsetType = UNSET


class EventDecoder:
    """Decodes values; ``default_id_type`` is what an event without ``id_type`` means."""

    def __init__(self, default_id_type: IdType) -> None:
        self._default_id_type: IdType = default_id_type
        self._plain_default = default_id_type != "email"
        self._decode = msgspec.json.Decoder(Event).decode
        self._decode_leniently = msgspec.json.Decoder(_Written).decode

    def decode(self, value: bytes) -> Event | Mixed | Malformed:
        """Return what ``value`` says. Never raises, whatever the bytes are."""
        try:
            event = self._decode(value)
            if not value.isascii():
                value.decode()  # msgspec doesn't look at members that it ignores
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._look_closely(value)
        name = event.id
        if (
            type(name) is str
            and event.ids is UNSET
            and type(event.segment_id) is int
            and 0 < event.segment_id <= MAX_SEGMENT_ID
            and 0 < len(name) <= MAX_ID_BYTES
            and name.isascii()
            and (self._plain_default if event.id_type is UNSET else event.id_type != "email")
        ):
            return event
        return self._with_valid_ids(event) or self._look_closely(value)

    def _with_valid_ids(self, event: Event) -> Event | None:
        """Return the event with its ids as they are sent; None if something about it is wrong."""
        segment_id = segment_id_of(event.segment_id)
        if segment_id is None or (event.id is UNSET) is (event.ids is UNSET):
            return None
        id_type = self._default_id_type if event.id_type is UNSET else event.id_type
        given = event.ids if event.id is UNSET else [event.id]
        ids: list[str | int] = []
        for each in given or ():
            name = valid_id(str(each), id_type)
            if not isinstance(name, str):
                return None
            ids.append(name)
        return Event(segment_id, event.action, ids=ids, id_type=id_type) if ids else None

    def _look_closely(self, value: bytes) -> Event | Mixed | Malformed:
        """Find out what the fast decoder did not like."""
        try:
            msgspec.json.decode(value, type=Raw)  # what is no JSON is told from what is no object
            written = self._decode_leniently(value)
            value.decode()
            return self._classify(written)
        except msgspec.ValidationError:
            return Malformed(f"a JSON {_kind(value.lstrip())}, not an object")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return Malformed(_what_is_wrong(value, error))

    def _classify(self, written: _Written) -> Event | Mixed | Malformed:
        segment_id = segment_id_of(_text(written.segment_id))
        if segment_id is None:
            shown = _shown(written.segment_id)
            return Malformed(f'"segment_id" is {shown}: an integer, 1 to {MAX_SEGMENT_ID}')
        action = _text(written.action)
        if action not in ACTIONS:
            return Malformed(f'"action" is {_shown(written.action)}: "add" or "remove"')
        id_type = self._default_id_type if written.id_type is UNSET else _text(written.id_type)
        if id_type not in ID_TYPES:
            shown = _shown(written.id_type)
            return Malformed(f'"id_type" is {shown}: "id", "email" or "cio_id"')
        given = _given_ids(written)
        if isinstance(given, Malformed):
            return given
        return _sorted_ids(segment_id, action, id_type, given)


def _sorted_ids(
    segment_id: int, action: Action, id_type: IdType, given: list[Raw]
) -> Event | Mixed:
    good: list[str | int] = []
    invalid: list[Raw] = []
    problems: dict[str, None] = {}
    for each in given:
        text = _text(each)
        name = _no_id(each) if text is None else valid_id(text, id_type)
        if isinstance(name, str):
            good.append(name)
        else:
            invalid.append(each)
            problems[name.detail] = None
    event = Event(segment_id, action, ids=good, id_type=id_type) if good else None
    if invalid or event is None:
        return Mixed(event, segment_id, action, id_type, tuple(invalid), "; ".join(problems))
    return event


def _given_ids(written: _Written) -> list[Raw] | Malformed:
    if written.id is not UNSET and written.ids is not UNSET:
        return Malformed('both "id" and "ids"')
    if written.ids is not UNSET:
        if _kind(written.ids) != "array":
            return Malformed(f'"ids" is {_a_kind(written.ids)}, not a list')
        return msgspec.json.decode(written.ids, type=list[Raw]) or Malformed('"ids" is empty')
    if written.id is UNSET:
        return Malformed('neither "id" nor "ids"')
    if _kind(written.id) in {"array", "object"}:
        return Malformed(f'"id" is {_a_kind(written.id)}: a string or an integer')
    return [written.id]


def _no_id(written: Raw) -> Malformed:
    kind = "a number with a fraction" if _kind(written) == "number" else _a_kind(written)
    return Malformed(f"an id is {kind}: a string or an integer")


def _text(written: Raw | UnsetType) -> str | None:
    """Return a string, or an integer's digits; None for anything else."""
    if written is UNSET:
        return None
    if _kind(written) == "string":
        return msgspec.json.decode(written, type=str)
    digits = bytes(written).decode()
    if digits.removeprefix("-").isdigit():
        return "0" if digits == "-0" else digits
    return None


def _what_is_wrong(value: bytes, error: Exception) -> str:
    if value[:1] == b"\0":
        return (
            "starts with a zero byte: Schema Registry framing"
            " (magic byte and schema id); plain JSON is expected"
        )
    if not value.strip():
        return "empty value"
    match error:
        case RecursionError():
            return "nested too deeply"
        case UnicodeDecodeError():
            return f"not UTF-8: {error.reason} at byte {error.start}"
        case _:
            return f"not JSON: {error}"


def _kind(written: Raw | bytes) -> str:
    """Name the kind of a JSON value, which its first character tells."""
    match bytes(written)[:1]:
        case b'"':
            return "string"
        case b"[":
            return "array"
        case b"{":
            return "object"
        case b"t" | b"f":
            return "boolean"
        case b"n":
            return "null"
        case _:
            return "number"


def _a_kind(written: Raw) -> str:
    kind = _kind(written)
    if kind == "null":
        return kind
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _shown(written: Raw | UnsetType) -> str:
    """Show a number, and of anything else the kind: a text may be a person's id."""
    if written is UNSET:
        return "missing"
    if _kind(written) != "number":
        return _a_kind(written)
    digits = bytes(written).decode()
    return digits if len(digits) <= _SHOWN_DIGITS else "a huge number"
