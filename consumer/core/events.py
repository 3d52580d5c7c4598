"""Decodes the value of a Kafka record into the changes that it asks for.

The common record (a known action, an integer segment, one short id) costs one call of msgspec and a
few comparisons; everything else takes a slower path that finds out what exactly is wrong.

    bytes -> Event       all ids are good
           | Mixed       a readable record with invalid ids, and perhaps good ones
           | Malformed   not an event
"""

import json
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import msgspec
from msgspec import UNSET, UnsetType

MAX_SEGMENT_ID = 2**31 - 1
MAX_ID_BYTES = 150
MAX_EMAIL_BYTES = 254
_SHOWN_BITS = 100  # of a wrong number: enough to recognise it

ACTIONS = ("add", "remove")
ID_TYPES = ("id", "email", "cio_id")

Action = Literal["add", "remove"]
IdType = Literal["id", "email", "cio_id"]


class Event(msgspec.Struct, gc=False):
    """A readable record: either ``id`` or ``ids`` is set, all valid; no ``id_type``: the default.

    ``gc=False``: an event holds strings and numbers only, so it can't be part of a cycle.
    """

    segment_id: int | str
    action: Action
    id: str | int | UnsetType = UNSET
    ids: list[Any] | UnsetType = UNSET
    id_type: IdType | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Mixed:
    """A readable record with invalid ids: ``event`` carries the good ones, if there are any.

    ``invalid`` has lists and objects as the JSON that they are: whoever writes them again is deeper
    in the stack than the decoder was, and nesting as deep as that allows would be too deep there.
    """

    event: Event | None
    segment_id: int
    action: Action
    id_type: IdType
    invalid: tuple[Any, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """A value that is no event; ``detail`` says why, without quoting ids."""

    detail: str


class EventDecoder:
    """Decodes values; ``default_id_type`` is what an event without ``id_type`` means."""

    def __init__(self, default_id_type: IdType) -> None:
        self._default_id_type: IdType = default_id_type
        self._plain_default = default_id_type != "email"
        self._decode = msgspec.json.Decoder(Event).decode

    def decode(self, value: bytes) -> Event | Mixed | Malformed:
        """Return what ``value`` says. Never raises, whatever the bytes are."""
        try:
            event = self._decode(value)
            if not value.isascii():
                value.decode()  # msgspec doesn't look at members that it ignores
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._explain(value)
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
        members: dict[str, Any] = {"segment_id": event.segment_id, "action": event.action}
        for member in ("id", "ids", "id_type"):
            if (given := getattr(event, member)) is not UNSET:
                members[member] = given
        return self._classify(members)

    def _explain(self, value: bytes) -> Event | Mixed | Malformed:
        """Find out what the fast decoder did not like."""
        try:
            members = _lenient(value)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            return Malformed(_what_is_wrong(value, error))
        if not isinstance(members, dict):
            return Malformed(f"a JSON {_kind(members)}, not an object")
        return self._classify(members)

    def _classify(self, members: dict[str, Any]) -> Event | Mixed | Malformed:
        segment_id = _segment_id(members.get("segment_id", UNSET))
        if isinstance(segment_id, Malformed):
            return segment_id
        action = members.get("action", UNSET)
        if action not in ACTIONS:
            return Malformed(f'"action" is {_shown(action)}: "add" or "remove"')
        id_type = members.get("id_type", self._default_id_type)
        if id_type not in ID_TYPES:
            return Malformed(f'"id_type" is {_shown(id_type)}: "id", "email" or "cio_id"')
        given = _given_ids(members)
        if isinstance(given, Malformed):
            return given
        try:
            return self._sorted_ids(segment_id, action, id_type, given)
        except RecursionError:  # pragma: no cover - with CPython 3.11 the decoder gives up first
            return Malformed("nested too deeply")

    def _sorted_ids(
        self, segment_id: int, action: Action, id_type: IdType, given: list[Any]
    ) -> Event | Mixed:
        good: list[str] = []
        invalid: list[Any] = []
        problems: dict[str, None] = {}
        for candidate in given:
            name = _valid_id(candidate, id_type)
            if isinstance(name, str):
                good.append(name)
            else:
                is_nested = isinstance(candidate, list | dict)
                invalid.append(
                    msgspec.Raw(msgspec.json.encode(candidate)) if is_nested else candidate
                )
                problems[name.detail] = None
        event = Event(segment_id, action, ids=good, id_type=id_type) if good else None
        if invalid or event is None:
            detail = "; ".join(problems)
            return Mixed(event, segment_id, action, id_type, tuple(invalid), detail)
        return event


def _segment_id(given: object) -> int | Malformed:
    number = given
    if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) <= 20:  # noqa: PLR2004 - far more digits than the largest segment has
        number = int(given)
    if type(number) is not int or not 0 < number <= MAX_SEGMENT_ID:
        return Malformed(f'"segment_id" is {_shown(given)}: an integer, 1 to {MAX_SEGMENT_ID}')
    return number


def _given_ids(members: dict[str, Any]) -> list[Any] | Malformed:
    if "id" in members and "ids" in members:
        return Malformed('both "id" and "ids"')
    if "ids" in members:
        ids = members["ids"]
        if not isinstance(ids, list):
            return Malformed(f'"ids" is {_a_kind(ids)}, not a list')
        return ids or Malformed('"ids" is empty')
    if "id" not in members:
        return Malformed('neither "id" nor "ids"')
    if isinstance(members["id"], dict | list):
        return Malformed(f'"id" is {_a_kind(members["id"])}: a string or an integer')
    return [members["id"]]


def _valid_id(candidate: object, id_type: str) -> str | Malformed:
    """Return the id as it is sent, or why it can't be one."""
    if type(candidate) is int:
        # The largest integer that can be a valid id has fewer digits than Python refuses to print.
        name = str(candidate) if candidate.bit_length() <= 8 * MAX_EMAIL_BYTES else "9" * 1000
    elif isinstance(candidate, str):
        name = candidate
    else:
        return Malformed(f"an id is {_a_kind(candidate)}: a string or an integer")
    if not name:
        return Malformed("an id is empty")
    if id_type == "email":
        name = name.lower()
    length_bytes = len(name) if name.isascii() else len(name.encode())
    limit_bytes = MAX_EMAIL_BYTES if id_type == "email" else MAX_ID_BYTES
    if length_bytes > limit_bytes:
        return Malformed(f"an id is longer than {limit_bytes} bytes")
    if id_type == "email" and "@" not in name:
        return Malformed("an email address has no @")
    return name


def _lenient(value: bytes) -> object:
    """Decode JSON of any shape; an integer too long for msgspec doesn't spoil its neighbours."""
    try:
        return msgspec.json.decode(value)
    except msgspec.ValidationError:
        text = value.decode()
    members = json.loads(text, parse_int=_integer, parse_float=_float, parse_constant=_no_constant)
    msgspec.json.encode(members)  # raises for half a surrogate pair, which is no text
    return members


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= MAX_EMAIL_BYTES else digits


def _float(digits: str) -> msgspec.Raw:
    """Return a number as it is spelt, for its dead letter: a double may not reach so far."""
    return msgspec.Raw(digits.encode())


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


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
            return f"not UTF-8: {error.reason} at byte {error.start} of a string"
        case _:
            return f"not JSON: {error}"


def _kind(value: object) -> str:
    match value:
        case bool():
            return "boolean"
        case int() | float() | msgspec.Raw():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case None:
            return "null"
        case _:
            return "object"


def _shown(value: object) -> str:
    """Show a number, and of anything else the kind: a text may be a person's id."""
    if value is UNSET:
        return "missing"
    if isinstance(value, int | float) and not isinstance(value, bool):
        is_huge = isinstance(value, int) and value.bit_length() > _SHOWN_BITS
        return "a huge number" if is_huge else str(value)
    return _a_kind(value)


def _a_kind(value: object) -> str:
    kind = _kind(value)
    if kind == "null":
        return kind
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
