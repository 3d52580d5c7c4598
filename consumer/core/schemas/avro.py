"""Avro: a schema's text as a decoder of payloads, by fastavro (extra ``avro``).

A record is read by the schema that it was written with, so what a schema became later counts for
nothing. What comes out is what JSON has: a union is whichever of its branches was written, an
enum's symbol a text, a decimal an integer, or a text if it has a fraction. Other logical types are
read as what carries them: a UUID as text, a time as a number, as every tool shows it that prints
Avro as JSON. To make dates of them would refuse records for years that Python doesn't know.

fastavro's compiled reader has no bound for how deep a value is nested where a schema refers to
itself: a few thousand bytes end the process. What could be so deep is left to its other reader, in
Python, which has one.
"""

import json
import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader
from fastavro._read_py import schemaless_reader as slow_reader

from consumer.core.schemas.compiled import Compiled, UnfitError, UnusableError

_MOST_BYTES_UNBOUND = 500  # a level takes a byte at least, and the stack is there for thousands


def avro(text: str, references: Sequence[tuple[str, str]]) -> Compiled:
    """Return the decoder of a schema; ``references``: names and texts, each after what it needs.

    Raises UnusableError.
    """
    named: dict[str, Any] = {}
    try:
        needed = [parse_schema(_carried(json.loads(each)), named) for _, each in references]
        schema = parse_schema(_carried(json.loads(text)), named)
    except Exception as error:  # whatever Python raises, fastavro does
        raise UnusableError(f"no Avro schema that can be read ({type(error).__name__})") from error
    is_recursive = any(_is_recursive(each) for each in (*needed, schema))
    has_decimals = '"decimal"' in "".join([text, *(each for _, each in references)])
    decode = _decoder(schema, is_recursive=is_recursive)
    return Compiled("Avro", _name(schema), _without_decimals(decode) if has_decimals else decode)


def _decoder(schema: Any, *, is_recursive: bool) -> Callable[[bytes], object]:  # noqa: ANN401 - fastavro's own
    most_bytes = _MOST_BYTES_UNBOUND if is_recursive else math.inf

    def decode(payload: bytes) -> object:
        stream = BytesIO(payload)
        read = schemaless_reader if len(payload) <= most_bytes else slow_reader
        try:
            found: object = read(stream, schema, None)
        except Exception as error:
            raise UnfitError from error
        if stream.read(1):
            raise UnfitError
        return found

    return decode


def _without_decimals(decode: Callable[[bytes], object]) -> Callable[[bytes], object]:
    def decode_plain(payload: bytes) -> object:
        try:
            return _plain(decode(payload))
        except RecursionError as error:
            raise UnfitError from error

    return decode_plain


def _is_recursive(schema: Any, inside: frozenset[str] = frozenset()) -> bool:  # noqa: ANN401 - fastavro's own
    """Whether something in a schema is of a type that it stands in."""
    match schema:
        case str():
            return schema in inside
        case list():
            return any(_is_recursive(each, inside) for each in schema)
        case {"fields": list(fields), "name": name}:
            return any(_is_recursive(each["type"], inside | {name}) for each in fields)
        case {"items": inner} | {"values": inner}:
            return _is_recursive(inner, inside)
        case _:
            return _is_recursive(schema["type"], inside)


def _carried(schema: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a schema without its logical types, but for decimals."""
    if isinstance(schema, list):
        return [_carried(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    is_kept = schema.get("logicalType") == "decimal"
    return {
        name: _carried(inner) for name, inner in schema.items() if name != "logicalType" or is_kept
    }


def _plain(value: object) -> object:
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else str(value)
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case _:
            return value


def _name(schema: Any) -> str:  # noqa: ANN401 - fastavro's own
    match schema:
        case list():
            return " or ".join(_name(each) for each in schema)
        case {"name": str(name)} | {"type": str(name)}:
            return name
        case _:
            return str(schema)
