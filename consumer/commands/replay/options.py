"""The options of ``replay``, as they are written on the command line."""

import re
import time
from argparse import ArgumentTypeError
from datetime import UTC, date, datetime

MAX_REPLAYS = 3
"""So often a dead letter is replayed, unless it is said otherwise."""

_DURATION = re.compile(r"([0-9]{1,6})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_RATE = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")


def since(text: str) -> float:
    """Return the Unix time (seconds) of a moment, or so long ago.

    Raises ArgumentTypeError.
    """
    if found := _DURATION.fullmatch(text):
        return time.time() - int(found[1]) * _SECONDS[found[2]]
    try:
        if _DATE.fullmatch(text):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
        if _RFC_3339.fullmatch(text):
            moment = datetime.fromisoformat(text.upper())
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        pass
    raise ArgumentTypeError(
        f"got {text!r}; accepts so long ago (30m, 2h, 7d), a date (2026-11-30), or a time"
        " (2026-11-30T02:00:00Z); without an offset it is UTC"
    )


def rate(text: str) -> float:
    """Return requests per second. Raises ArgumentTypeError."""
    found = float(text) if _RATE.fullmatch(text) else 0.0
    if not found:
        raise ArgumentTypeError(
            f"got {text!r}; accepts requests per second, more than 0: 20, or 0.5"
        )
    return found
