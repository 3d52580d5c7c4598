"""Silences between members and the broker, and which of them may come together."""

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from tests.chaos.plan import SESSION_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

_REST_SECONDS = 0.4 * SESSION_SECONDS  # until everybody was heard of again


class Silences:
    """Lets ``at_most`` so many members be silent, else nobody is left to take over from them.

    The broker may be silent together with members only if ``broker_too``. With KIP-848 a commit
    proves membership and doesn't prolong the session: a member that is heard of again just before
    its session ends may send together with the next owner, and that is no fault of it. So silences
    that could add up to about a session are kept apart.
    """

    def __init__(self, *, at_most: int, broker_too: bool) -> None:
        self._at_most = at_most
        self._broker_too = broker_too
        self._change = threading.Condition()
        self._silent_members = 0
        self._is_broker_silent = False

    @contextlib.contextmanager
    def of_member(self) -> "Iterator[None]":
        """Wait until a member may be silent, and let it be."""
        with self._change:
            self._change.wait_for(self._may_member)
            self._silent_members += 1
        try:
            yield
            time.sleep(_REST_SECONDS)
        finally:
            with self._change:
                self._silent_members -= 1
                self._change.notify_all()

    @contextlib.contextmanager
    def of_broker(self) -> "Iterator[None]":
        """Wait until the broker may be silent, and let it be: for one reason at a time."""
        with self._change:
            self._change.wait_for(lambda: not self._is_broker_silent)
            self._is_broker_silent = True  # no member begins to be silent any more
            self._change.wait_for(lambda: self._broker_too or not self._silent_members)
        try:
            yield
            time.sleep(_REST_SECONDS)
        finally:
            with self._change:
                self._is_broker_silent = False
                self._change.notify_all()

    def _may_member(self) -> bool:
        is_free = self._broker_too or not self._is_broker_silent
        return is_free and self._silent_members < self._at_most
