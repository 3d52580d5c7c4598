"""Protobuf: a schema's text as a decoder of payloads, by the package ``protobuf`` (its extra).

A payload begins with the *message indexes*: which message of the file it is, then which one nested
in it, and so on; each a varint in zigzag, behind their number; a zero alone is the first message.
"""

import base64
import binascii
import itertools
import re
from collections.abc import Callable, Sequence

from google.protobuf import (
    any_pb2,
    api_pb2,
    descriptor_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    source_context_pb2,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

from consumer.core.schemas.compiled import Compiled, UnfitError, UnusableError
from consumer.core.schemas.messages import reader_of
from consumer.core.schemas.proto_file import file_of

_WELL_KNOWN = [
    file.DESCRIPTOR
    for file in (
        *(any_pb2, descriptor_pb2, duration_pb2, empty_pb2, field_mask_pb2, source_context_pb2),
        *(struct_pb2, timestamp_pb2, type_pb2, wrappers_pb2, api_pb2),  # the last needs others
    )
]
_DECIMAL = """
syntax = "proto3";
package confluent.type;
message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }
"""
_BUILT_IN = (
    ("confluent/type/decimal.proto", _DECIMAL),
)  # which Confluent's registry knows by itself
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]++=*+\s*+")  # tried in one way: a text may be long
_MOST_INDEXES = 100  # deeper than any message is nested
_MOST_VARINT_BYTES = 5


def protobuf(text: str, references: Sequence[tuple[str, str]]) -> Compiled:
    """Return the decoder of a schema; ``references``: names and texts, each after what it needs.

    Raises UnusableError.
    """
    names = {name for name, _ in references}
    own = next(
        name for name in map("schema{}.proto".format, itertools.count()) if name not in names
    )
    pool, here = DescriptorPool(), set[str]()
    for known in _WELL_KNOWN:
        pool.AddSerializedFile(known.serialized_pb)
        here.add(known.name)
    for name, each in (*_BUILT_IN, *references, (own, text)):
        if name not in here:
            _add(pool, _described(name, each), here)
    messages = list(pool.FindFileByName(own).message_types_by_name.values())
    if not messages:
        raise UnusableError("it has no message")
    shown = " or ".join(message.full_name for message in messages)
    return Compiled("Protobuf", shown, _decoder(messages))


def _described(name: str, text: str) -> FileDescriptorProto:
    """Return a file's description; some registries have it as such, in base64."""
    if not _BASE64.fullmatch(text):
        return file_of(name, text)
    try:
        file = FileDescriptorProto.FromString(base64.b64decode(text))
    except (binascii.Error, DecodeError):
        raise UnusableError("neither a .proto file nor the description of one") from None
    file.name = name
    return file


def _add(pool: DescriptorPool, file: FileDescriptorProto, here: set[str]) -> None:
    """Add a file, without the imports that aren't there: it may only have options of them."""
    missing = [name for name in file.dependency if name not in here]
    if missing:
        is_public = {file.dependency[index] for index in file.public_dependency}
        del file.public_dependency[:]
        present = [name for name in file.dependency if name in here]
        del file.dependency[:]
        file.dependency.extend(present)
        file.public_dependency.extend(
            index for index, name in enumerate(present) if name in is_public
        )
    try:
        pool.AddSerializedFile(file.SerializeToString())
    except TypeError as error:
        imports = f"; it imports {', '.join(missing)}, not among its references" if missing else ""
        raise UnusableError(f"no Protobuf schema that can be used ({error}{imports})") from error
    here.add(file.name)


def _decoder(messages: Sequence[Descriptor]) -> Callable[[bytes], object]:
    known: dict[tuple[int, ...], Callable[[bytes], object]] = {}
    first = reader_of(messages[0])

    def decode(payload: bytes) -> object:
        if payload[:1] == b"\0":
            return first(payload[1:])
        indexes, begin = _indexes(payload)
        read = known.get(indexes)
        if read is None:
            read = known[indexes] = reader_of(_message_at(messages, indexes))
        return read(payload[begin:])

    return decode


def _indexes(payload: bytes) -> tuple[tuple[int, ...], int]:
    """Return the message indexes and where the message begins. Raises UnfitError."""
    count, at = _zigzag(payload, 0)
    if not 0 <= count <= _MOST_INDEXES:
        raise UnfitError
    indexes = []
    for _ in range(count):
        index, at = _zigzag(payload, at)
        indexes.append(index)
    return tuple(indexes) or (0,), at


def _zigzag(payload: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    for end in range(at, min(at + _MOST_VARINT_BYTES, len(payload))):
        number |= (payload[end] & 0x7F) << shift
        shift += 7
        if not payload[end] & 0x80:  # the last byte of it
            return (number >> 1) ^ -(number & 1), end + 1
    raise UnfitError


def _message_at(messages: Sequence[Descriptor], indexes: Sequence[int]) -> Descriptor:
    """Return the message that indexes lead to; the entries of maps don't count."""
    first, *others = indexes
    if not 0 <= first < len(messages):
        raise UnfitError
    message = messages[first]
    if not others:
        return message
    nested = [each for each in message.nested_types if not each.GetOptions().map_entry]
    return _message_at(nested, others)
