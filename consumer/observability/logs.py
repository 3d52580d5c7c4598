"""The log: one line per event on standard output, JSON or for people.

    log("hold", "the API refuses our credentials", level="error", reason="unauthorized")

A log call never raises and never waits for who reads the log: a line is made at once, and written
by a thread (`log_writer`) a moment later. librdkafka and other libraries come through the same
lines.
"""

import atexit
import io
import logging
import math
import re
import sys
from collections import OrderedDict
from typing import TextIO

from consumer import clock
from consumer.observability.log_format import LIBRDKAFKA, OURS, Console, Json, stack_of
from consumer.observability.log_writer import Writer

REPEAT_SECONDS = 30.0

_logger = logging.getLogger(OURS)
_librdkafka = logging.getLogger(LIBRDKAFKA)

_FLUSH_SECONDS = 1.0
_DIFFERING = re.compile(
    r"#(?:consumer|producer)-\d+"  # a client's name, which ends with its number
    r"|\b[0-9a-f]{8}-[0-9a-f-]{27}\b"  # a member's id
    r"|\b(?=[\w-]*[A-Z])(?=[\w-]*[a-z])[\w-]{22}\b"  # the same with KIP-848
    r"|(?<![\w.\-\[])\d+"  # a port, time, count or offset; not of kafka-1, topic.v2, topic [3]
)
"""What may differ between two of librdkafka's messages that say the same."""


def configure(level: str = "info", fmt: str = "json", stream: TextIO | None = None) -> None:
    """Write from now on to ``stream``, standard output by default, from ``level`` on.

    ``fmt`` is ``json`` or ``console``. Other libraries are heard from warnings on: httpx tells
    every request otherwise.
    """
    stream = stream or sys.stdout
    root = logging.getLogger()
    for handler in root.handlers:
        if isinstance(handler, _Handler):
            handler.close()
    root.handlers = [_Handler(stream, fmt)]
    _logger.setLevel(level.upper())
    root.setLevel(max(logging.WARNING, _logger.level))


def log(event: str, message: str, *, level: str = "info", **fields: object) -> None:
    """Write a line. Of an exception as ``exc_info`` it says type and place as ``traceback``."""
    number = logging.getLevelNamesMapping()[level.upper()]
    if not _logger.isEnabledFor(number):
        return
    error = fields.pop("exc_info", None)
    if isinstance(error, BaseException):
        fields["traceback"] = stack_of(error)
    _logger.log(number, "%s", message, extra={"event": event, "fields": fields})


def librdkafka_logger() -> logging.Logger:
    """Return what librdkafka's clients take as ``logger``; they map its levels to Python's."""
    return _librdkafka


def flush(timeout_seconds: float = _FLUSH_SECONDS) -> None:
    """Wait until all lines are written, but no longer for who reads them."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _Handler) and handler.writer is not None:
            handler.writer.flush(timeout_seconds)


atexit.register(flush)


class Repeats:
    """Says what repeats at most every ``REPEAT_SECONDS``, with the number of times unsaid.

    One thread owns it and passes in the time. At most ``limit`` things are remembered; beyond, the
    one that was said longest ago is forgotten, and said at once when it comes again. So a key is
    a kind of thing (a segment, a status), nothing that is new each time.
    """

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._said: OrderedDict[tuple[object, ...], tuple[float, int]] = OrderedDict()

    def log(
        self,
        now: float,
        event: str,
        key: object,
        message: str,
        *,
        level: str = "info",
        **fields: object,
    ) -> bool:
        """Write a line unless (event, key) was said lately; return whether it was written."""
        unsaid = self.unsaid(now, (event, key))
        if unsaid is None:
            return False
        if unsaid:
            fields["repeated"] = unsaid
        log(event, message, level=level, **fields)
        return True

    def unsaid(self, now: float, kind: tuple[object, ...]) -> int | None:
        """Return how often ``kind`` came unsaid since it was said; None: it is not to be said."""
        said_at, unsaid = self._said.get(kind, (-math.inf, 0))
        if now - said_at < REPEAT_SECONDS:
            self._said[kind] = (said_at, unsaid + 1)
            return None
        self._said[kind] = (now, 0)
        self._said.move_to_end(kind)
        if len(self._said) > self._limit:
            self._said.popitem(last=False)
        return unsaid


class _Librdkafka:
    """Folds what clients repeat: with no broker there, one says so twenty times a second.

    And where each new client ends at once, every second another one says the same.
    """

    def __init__(self) -> None:
        self._repeats = Repeats()

    def is_said(self, record: logging.LogRecord) -> bool:
        """Return whether a line is to be written; it gets the number of those that were not."""
        kind, said = _kind_and_text(record)
        # KAFKA_CONFIG goes to all clients: each warns of what is the others' business.
        if "and will be ignored by this" in said:
            return False
        if record.levelno <= logging.DEBUG:  # who asks for that wants all of it
            return True
        unsaid = self._repeats.unsaid(clock.now(), (record.levelno, kind, _DIFFERING.sub("", said)))
        if unsaid:
            record.fields = {"repeated": unsaid}
        return unsaid is not None


def _kind_and_text(record: logging.LogRecord) -> tuple[str, str]:
    """Return librdkafka's facility and text, which stand around the client's name."""
    if isinstance(record.args, tuple) and record.args:
        return str(record.args[0]), str(record.args[-1])
    return "", str(record.msg)


class _Handler(logging.Handler):
    """Makes lines of records, one at a time whoever logs: folding belongs to one thread at a time.

    Nothing is waited for meanwhile. What has no file descriptor, as a buffer in memory, can't make
    anybody wait: then there is no ``writer``.
    """

    def __init__(self, stream: TextIO, fmt: str) -> None:
        super().__init__()
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
        self.setFormatter(Console(coloured=stream.isatty()) if fmt == "console" else Json())
        self._stream = stream
        self._encoding = stream.encoding or "utf-8"
        self._librdkafka = _Librdkafka()
        try:
            self.writer: Writer | None = Writer(stream.fileno(), self._missing)
        except (OSError, ValueError):  # has none
            self.writer = None

    def emit(self, record: logging.LogRecord) -> None:
        """Make a record's line and hand it on."""
        if record.name == LIBRDKAFKA and not self._librdkafka.is_said(record):
            return
        try:
            if self.writer is not None:
                self.writer.put(self._line(record), is_error=record.levelno >= logging.ERROR)
            else:
                self._stream.write(self.format(record) + "\n")
                self._stream.flush()
        except (OSError, ValueError):
            pass  # nobody reads any more, and there is nowhere to say so

    def close(self) -> None:
        """End the writer when it has written all."""
        if self.writer is not None:
            self.writer.close()
        super().close()

    def _line(self, record: logging.LogRecord) -> bytes:
        return f"{self.format(record)}\n".encode(self._encoding, "backslashreplace")

    def _missing(self, lines: int) -> bytes:
        text = "lines are missing here: nobody read the log, or it could not be written"
        record = logging.LogRecord(_logger.name, logging.WARNING, "", 0, text, (), None)
        record.event, record.fields = "log_dropped", {"lines": lines}
        return self._line(record)
