"""The log: one line per event on standard output, JSON or for people.

    log("hold", "the API refuses our credentials", level="error", reason="unauthorized")

A line is flushed when it is written, and whatever its fields are it is written: a log call never
raises. librdkafka and other libraries come through the same lines.
"""

import io
import logging
import math
import re
import sys
import traceback
from collections import OrderedDict
from typing import TextIO

from consumer.observability.log_format import LIBRDKAFKA, Console, Json

REPEAT_SECONDS = 30.0

_logger = logging.getLogger("segment_consumer")
_librdkafka = logging.getLogger(LIBRDKAFKA)

_FLUSH_SECONDS = 1.0
_DIFFERING = re.compile(r"\d+(?=ms)|#\d+")  # between two of librdkafka's messages that say the same


def configure(level: str = "info", fmt: str = "json", stream: TextIO | None = None) -> None:
    """Write from now on to ``stream``, standard output by default, from ``level`` on.

    ``fmt`` is ``json`` or ``console``. Other libraries are heard from warnings on: httpx tells
    every request otherwise.
    """
    stream = stream or sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    handler = _Handler(stream)
    handler.setFormatter(Console(coloured=stream.isatty()) if fmt == "console" else Json())
    root = logging.getLogger()
    root.handlers = [handler]
    _logger.setLevel(level.upper())
    root.setLevel(max(logging.WARNING, _logger.level))


def log(event: str, message: str, *, level: str = "info", **fields: object) -> None:
    """Write a line. An exception as ``exc_info`` becomes the field ``traceback``."""
    number = logging.getLevelNamesMapping()[level.upper()]
    if not _logger.isEnabledFor(number):
        return
    error = fields.pop("exc_info", None)
    if isinstance(error, BaseException):
        fields["traceback"] = "".join(traceback.format_exception(error))
    _logger.log(number, "%s", message, extra={"event": event, "fields": fields})


def librdkafka_logger() -> logging.Logger:
    """Return what librdkafka's clients take as ``logger``; they map its levels to Python's."""
    return _librdkafka


def flush() -> None:
    """Write out what is left, unless another thread has been stuck in writing for a second."""
    for handler in logging.getLogger().handlers:
        lock = handler.lock
        if lock is not None and lock.acquire(timeout=_FLUSH_SECONDS):
            try:
                handler.flush()
            except (OSError, ValueError):
                pass  # nobody reads any more, and there is nowhere to say so
            finally:
                lock.release()


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


class _Librdkafka(logging.Filter):
    """Folds what a client repeats: with no broker there, it says so twenty times a second."""

    def __init__(self) -> None:
        super().__init__()
        self._repeats = Repeats()

    def filter(self, record: logging.LogRecord) -> bool:
        said = str(record.args)
        # KAFKA_CONFIG goes to all clients: each warns of what is the others' business.
        if "and will be ignored by this" in said:
            return False
        if record.levelno <= logging.DEBUG:  # who asks for that wants all of it
            return True
        kind = (record.levelno, _DIFFERING.sub("", said))
        unsaid = self._repeats.unsaid(record.created, kind)
        if unsaid:
            record.fields = {"repeated": unsaid}
        return unsaid is not None


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Lose the line: standard output is gone, and a log call must not be what ends us."""


_librdkafka.addFilter(_Librdkafka())
