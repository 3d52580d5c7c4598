"""What a replay says on the terminal: lines, some of them at most every few seconds.

The same on a terminal, in a pipe and in a job's log. Nobody reading any more is no reason to stop.
"""

import contextlib
import os
from typing import TextIO

from consumer import clock

FIRST_PROGRESS_SECONDS = 2.0
PROGRESS_SECONDS = 5.0


class Voice:
    """Writes to one stream; owned by the thread that replays."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._next_progress = clock.now() + FIRST_PROGRESS_SECONDS
        self.is_heard = True

    def line(self, text: str = "") -> None:
        """Write a line."""
        if not self.is_heard:
            return
        try:
            self._stream.write(f"{text}\n")
            self._stream.flush()
        except OSError:
            self.is_heard = False
            self._discard()

    def progress(self, text: str, *, is_news: bool = False) -> None:
        """Write how it stands, unless that was said lately and nothing is new."""
        now = clock.now()
        if is_news or now >= self._next_progress:
            self._next_progress = now + PROGRESS_SECONDS
            self.line(text)

    def _discard(self) -> None:
        """Let what is left in the buffer go nowhere, else Python complains of it at exit."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


def counted(count: int, noun: str) -> str:
    """Return how many there are of something."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
