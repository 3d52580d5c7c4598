"""Readers of Protobuf messages: a payload as what Python has for JSON, by the fields' own names.

- A field that is not there and whose default counts (proto3) has that: an enum its first symbol, a
  boolean false, a list nothing. One that can be told from not there (``optional``, ``oneof``, a
  message, proto2) is left out.
- An enum is its symbol's name, or a number without one; 64 bits are an integer, bytes stay bytes.
- Wrappers are what is in them, a timestamp or duration its text in JSON (or its two numbers, if it
  is beyond what that can say), a Struct what it stands for.
"""

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from consumer.core.schemas.compiled import UnfitError

_Convert = Callable[[Any], object]


def reader_of(message: Descriptor) -> Callable[[bytes], object]:
    """Return what reads payloads of a message. It raises UnfitError."""
    parse = GetMessageClass(message).FromString
    convert = _Converters().of_message(message)

    def read(payload: bytes) -> object:
        try:
            return convert(parse(payload))
        except (DecodeError, RecursionError) as error:
            raise UnfitError from error

    return read


class _Converters:
    """The converters of messages that refer to each other, perhaps in a circle."""

    def __init__(self) -> None:
        self._known: dict[str, _Convert] = dict(_WELL_KNOWN)

    def of_message(self, message: Descriptor) -> _Convert:
        name = message.full_name
        if name not in self._known:
            fields: dict[int, tuple[str, _Convert | None]] = {}
            defaults: dict[str, object] = {}
            self._known[name] = _converter(fields, defaults)
            for field in message.fields:
                convert = self._of_field(field)
                fields[field.number] = field.name, convert
                if field.is_repeated:
                    defaults[field.name] = {} if _is_map(field) else []
                elif not field.has_presence:
                    default = field.default_value
                    defaults[field.name] = convert(default) if convert else default
        return self._known[name]

    def _of_field(self, field: FieldDescriptor) -> _Convert | None:
        """Return a field's converter; None if what the library has is right."""
        entry = field.message_type
        if entry is not None and _is_map(field):
            inner = self._of_one(entry.fields_by_name["value"])
            return lambda given: {
                _key(key): inner(each) if inner else each for key, each in given.items()
            }
        one = self._of_one(field)
        if not field.is_repeated:
            return one
        return list if one is None else lambda given: [one(each) for each in given]

    def _of_one(self, field: FieldDescriptor) -> _Convert | None:
        if field.message_type is not None:
            return self.of_message(field.message_type)
        if field.enum_type is not None:
            names: dict[int, str] = {}
            for each in field.enum_type.values:
                names.setdefault(each.number, each.name)
            return lambda number: names.get(number, number)
        return None


def _converter(
    fields: dict[int, tuple[str, _Convert | None]], defaults: dict[str, object]
) -> _Convert:
    def convert(message: Any) -> object:  # noqa: ANN401 - of a class made from a schema
        found = defaults.copy()
        for field, value in message.ListFields():
            name, inner = fields[field.number]
            found[name] = value if inner is None else inner(value)
        return found

    return convert


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _key(key: object) -> str:
    """Return the key of a map as JSON has it."""
    return str(key).lower() if isinstance(key, bool) else str(key)


def _time(given: Any) -> object:  # noqa: ANN401 - the library's own
    try:
        return given.ToJsonString()
    except ValueError:
        return {"seconds": given.seconds, "nanos": given.nanos}


def _struct(given: Any) -> object:  # noqa: ANN401 - as above
    return {name: _value(inner) for name, inner in given.fields.items()}


def _list(given: Any) -> object:  # noqa: ANN401 - as above
    return [_value(each) for each in given.values]


def _value(given: Any) -> object:  # noqa: ANN401 - as above
    kind = given.WhichOneof("kind")
    match kind:
        case "struct_value":
            return _struct(given.struct_value)
        case "list_value":
            return _list(given.list_value)
        case None | "null_value":
            return None
        case _:
            return getattr(given, kind)


_WRAPPERS = "DoubleValue FloatValue Int64Value UInt64Value Int32Value UInt32Value BoolValue"
_WELL_KNOWN: dict[str, _Convert] = {
    f"google.protobuf.{name}": convert
    for name, convert in (
        *((name, lambda given: given.value) for name in _WRAPPERS.split()),
        *((name, lambda given: given.value) for name in ("StringValue", "BytesValue")),
        *((name, _time) for name in ("Timestamp", "Duration")),
        *(("Struct", _struct), ("ListValue", _list), ("Value", _value)),
    )
}
