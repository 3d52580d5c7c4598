"""Waiting for a condition: the only place where a test sleeps."""

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

PATIENCE_SECONDS = 60
"""A guard against hanging, not a claim: a machine that is busy stalls for seconds, again and again.
What must happen soon says so itself."""

_POLL_SECONDS = 0.02
_LONGEST_POLL_SECONDS = 0.2


def eventually(
    predicate: "Callable[[], T]",
    timeout: float,
    what: str,
    *,
    until: "Callable[[T], object]" = bool,
    ignoring: tuple[type[Exception], ...] = (),
) -> T:
    """Call ``predicate`` until what it returns is true, or ``until`` says so of it; return that.

    ``timeout`` is in seconds; the predicate is called at least once, and once more at the end.
    ``what`` finishes the sentence "waited for …". Exceptions named by ``ignoring`` count as
    "not yet"; all others end the wait.

    Raises an ``AssertionError`` that says what was waited for and what was seen last, so let the
    predicate return what is looked at, and ``until`` judge it::

        eventually(lambda: broker.committed(group, topic), 10, "all commits", until=ends.__eq__)
    """
    deadline = time.monotonic() + timeout
    while True:
        began = time.monotonic()
        last_turn = began >= deadline
        seen: object
        try:
            value = predicate()
        except ignoring as error:
            seen = error
        else:
            if until(value):
                return value
            seen = value
        if last_turn:
            raise AssertionError(f"waited {timeout:g} s for {what}; last seen: {seen!r}")
        # What is dear to ask is asked less often: many tests that wait share the machine.
        cost = time.monotonic() - began
        time.sleep(min(max(_POLL_SECONDS, 2 * cost), _LONGEST_POLL_SECONDS))
