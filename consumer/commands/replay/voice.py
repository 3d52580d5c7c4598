"""What a replay says on the terminal: lines, some of them at most every few seconds.

The same on a terminal, in a pipe and in a job's log.
"""

from typing import TextIO

from consumer import clock
from consumer.commands.output import Output

FIRST_PROGRESS_SECONDS = 2.0
PROGRESS_SECONDS = 5.0


class Voice(Output):
    """Writes to one stream; owned by the thread that replays."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__(stream)
        self._next_progress = clock.now() + FIRST_PROGRESS_SECONDS

    def progress(self, text: str, *, is_news: bool = False) -> None:
        """Write how it stands, unless that was said lately and nothing is new."""
        now = clock.now()
        if is_news or now >= self._next_progress:
            self._next_progress = now + PROGRESS_SECONDS
            self.line(text)


def counted(count: int, noun: str) -> str:
    """Return how many there are of something."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
