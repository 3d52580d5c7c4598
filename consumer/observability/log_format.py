"""How a log line is written: whatever its fields are, on one line, without raising."""

import errno
import json
import logging
import math
import traceback
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from consumer import clock
from consumer.masking import masked

OURS = "segment_consumer"
LIBRDKAFKA = f"{OURS}.librdkafka"
"""The logger of librdkafka: it says facility, client and text as arguments."""

_DEEPEST = 8
_LARGEST = 2**64
_COLOURS = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[31;1m"}
_NO_COLOUR = "\x1b[0m"


class Json(logging.Formatter):
    """One JSON object a line, in ASCII: any collector takes it, and nothing breaks the line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        fields = {_text(name): _sayable(value) for name, value in _fields(record).items()}
        line = {
            "timestamp": clock.rfc3339(record.created),
            "level": record.levelname.lower(),
            "event": _event(record),
            "message": _message(record),
        }
        return json.dumps(line | fields | line)


class Console(logging.Formatter):
    """For people: aligned, a traceback below its line."""

    def __init__(self, *, coloured: bool) -> None:
        super().__init__()
        self._colours = _COLOURS if coloured else {}

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        fields = {_text(name): _sayable(value) for name, value in _fields(record).items()}
        lines = str(fields.pop("traceback", "")).splitlines()
        colour = self._colours.get(record.levelname, "")
        level = f"{colour}{record.levelname:<8}{_NO_COLOUR if colour else ''}"
        words = [f"{_printable(name)}={_word(value)}" for name, value in fields.items()]
        start = f"{clock.rfc3339(record.created)} {level} {_event(record):<15}"
        line = f"{start} {_printable(_message(record))}"
        return "\n    ".join(["  ".join([line, *words]), *map(_printable, lines)])


def stack_of(error: BaseException) -> str:
    """Return what kind of error it was and where it came from, but not what it says.

    A message may quote a value, and the value may be a person's id; source lines have none.
    """
    stacks: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(stacks) < _DEEPEST:
        stacks.append("".join(traceback.format_tb(cause.__traceback__)) + kind_of(cause))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\n".join(["Traceback (most recent call last):", *reversed(stacks)])


def kind_of(error: BaseException) -> str:
    """Return an error's type, and of one of the system which."""
    name = type(error).__qualname__
    code = errno.errorcode.get(error.errno or 0) if isinstance(error, OSError) else None
    return f"{name} ({code})" if code else name


def _event(record: logging.LogRecord) -> str:
    if record.name == LIBRDKAFKA:
        return "librdkafka"
    return _text(getattr(record, "event", record.name))


def _message(record: logging.LogRecord) -> str:
    """Return what is said; of a library's words not the secrets that were repeated to it."""
    return _said(record) if record.name == OURS else masked(_said(record))


def _said(record: logging.LogRecord) -> str:
    if record.name == LIBRDKAFKA and isinstance(record.args, tuple) and record.args:
        return _text(record.args[-1])
    try:
        return _text(record.getMessage())
    except (KeyError, TypeError, ValueError):  # a library's arguments that don't fit its format
        return _text(record.msg)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """Return what the caller gave; librdkafka's facility and client; a library's traceback."""
    fields: dict[str, object] = getattr(record, "fields", {})
    if record.name == LIBRDKAFKA and isinstance(record.args, tuple):
        return dict(zip(("facility", "client"), record.args[:-1], strict=False)) | fields
    if record.exc_info and record.exc_info[1]:
        return fields | {"traceback": stack_of(record.exc_info[1])}
    return fields


def _sayable(value: object) -> object:
    """Return what JSON can say of any value, even of one that can't be looked at."""
    try:
        return _plain(value, _DEEPEST)
    except Exception as error:  # noqa: BLE001 - a log line must not fail for a strange collection
        return f"<{type(value).__name__}: {type(error).__name__}>"


def _plain(value: object, depth: int) -> object:  # noqa: PLR0911 - one for each kind of value
    match value:
        case None | bool():
            return value
        case int() if abs(value) < _LARGEST:
            return int(value)
        case float() if math.isfinite(value):
            return float(value)
        case list() | tuple() | AbstractSet() | Mapping() if depth == 0:
            return "…"
        case list() | tuple():
            return [_plain(item, depth - 1) for item in value]
        case AbstractSet():
            return sorted((_plain(item, depth - 1) for item in value), key=repr)
        case Mapping():
            return {_text(key): _plain(item, depth - 1) for key, item in value.items()}
        case BaseException():
            return f"{type(value).__name__}: {_text(value)}"
        case _:
            return _text(value)


def _text(value: object) -> str:
    """Return any value as text that UTF-8 can encode."""
    try:
        if isinstance(value, bytes | bytearray):
            text = value.decode(errors="backslashreplace")
        else:
            text = str(value)
    except Exception as error:  # noqa: BLE001 - a log line must not fail for a value's __str__
        text = f"<{type(value).__name__}: {type(error).__name__}>"
    return text.encode(errors="backslashreplace").decode()


def _printable(text: str) -> str:
    """Return a text as one line that no terminal takes for a command."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def _word(value: object) -> str:
    """Return a field's value: a plain word as it is, anything else as JSON."""
    if isinstance(value, str) and value and not set(value) & set(' "='):
        return _printable(value)
    return _printable(json.dumps(value, ensure_ascii=False))
