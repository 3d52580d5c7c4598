"""Decodes the value of a Kafka record into an event.

There are two decoders. The fast one knows what an event looks like and takes nothing else: the
common record (a known action, a segment, one short id) costs one call of msgspec, which knows the
bounds, and a look whether all of it is ASCII. What it doesn't take goes to the lenient one, which
takes any JSON object and leaves each member as it was written, so that a dead letter has numbers
and nested values byte for byte.
"""

import msgspec
from msgspec import UNSET, Raw, UnsetType

from consumer.core.events import (
    ACTIONS,
    ID_TYPES,
    MAX_SEGMENT_ID,
    Action,
    Event,
    IdType,
    Malformed,
    Mixed,
    segment_id_of,
    valid_id,
)
from consumer.core.unreadable import BYTE_ORDER_MARK, not_an_object, what_is_wrong
from consumer.core.well_known import looks_like

_SHOWN_DIGITS = 30  # of a wrong number: enough to recognise it


class _Written(msgspec.Struct, gc=False):
    """The members of any JSON object that an event has, each as it was written."""

    segment_id: Raw | UnsetType = UNSET
    action: Raw | UnsetType = UNSET
    id: Raw | UnsetType = UNSET
    ids: Raw | UnsetType = UNSET
    id_type: Raw | UnsetType = UNSET


NOT_PLAIN = (msgspec.MsgspecError, RecursionError, TypeError)
"""What `EventDecoder.decode` raises; the last one for a value that is none."""


class EventDecoder:
    """Decodes values; ``default_id_type`` is what an event without ``id_type`` means.

    ``decode`` returns an event within the bounds that its type declares, or raises NOT_PLAIN. It
    says what `look_closely` would, if all of the value is ASCII (msgspec doesn't look at members
    that it ignores), its ids too (an escape may be anything), a text names a segment, and an
    address has an @ and is taken in lower case.
    """

    def __init__(self, default_id_type: IdType) -> None:
        self.decode = msgspec.json.Decoder(Event).decode
        self._default_id_type: IdType = default_id_type
        self._decode_leniently = msgspec.json.Decoder(_Written).decode

    def look_closely(self, value: bytes) -> Event | Mixed | Malformed:
        """Return what ``value`` says, an event's ids as ``ids``. Never raises, whatever it is."""
        value = value.removeprefix(BYTE_ORDER_MARK)
        try:
            msgspec.json.decode(value, type=Raw)  # what is no JSON is told from what is no object
            written = self._decode_leniently(value)
            value.decode()
            found = self._classify(written)
        except msgspec.ValidationError:
            found = Malformed(not_an_object(value))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return Malformed(what_is_wrong(value))
        if isinstance(found, Malformed) and (known := looks_like(value)):
            return Malformed(f"{found.detail}; {known}")
        return found

    def _classify(self, written: _Written) -> Event | Mixed | Malformed:
        segment_id = segment_id_of(_text(written.segment_id) or _integral(written.segment_id))
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


def plain_names(event: Event, *, is_email: bool) -> list[str] | None:
    """Return the ids of an ASCII event's list as they are sent; None if not all are plain."""
    if event.ids is UNSET or event.id is not UNSET or not "".join(event.ids).isascii():
        return None
    if not is_email:
        return event.ids
    names = [name.lower() for name in event.ids]
    return names if all("@" in name for name in names) else None


def _sorted_ids(
    segment_id: int, action: Action, id_type: IdType, given: list[Raw]
) -> Event | Mixed:
    good: list[str] = []
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


def _integral(written: Raw | UnsetType) -> str | None:
    """Return the digits of a number that is an integer, however it is written (``56.0``)."""
    if written is UNSET or _kind(written) != "number":
        return None
    number = float(bytes(written))
    return str(int(number)) if number.is_integer() else None


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
