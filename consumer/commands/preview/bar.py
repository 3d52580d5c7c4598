"""The progress bar of a preview: on a terminal only, where it takes long, and gone at the end."""

from typing import TextIO

from consumer import clock
from consumer.commands.screen import Screen

FIRST_SECONDS = 0.5
EVERY_SECONDS = 0.1
_WIDTH = 24
_CLEAR = "\r\x1b[K"


class Bar:
    """Owned by one thread."""

    def __init__(self, stream: TextIO | None) -> None:
        self._screen = Screen(stream, colours=False)
        self._next = clock.now() + FIRST_SECONDS
        self._is_shown = False

    def show(self, what: str, done: int = 0, total: int = 0) -> None:
        """Show how far it is, unless it was shown just now; no ``total``: nobody knows how far."""
        now = clock.now()
        if self._screen.isatty() and now >= self._next:
            self._next = now + EVERY_SECONDS
            self._screen.write(_CLEAR + text_of(what, done, total))
            self._is_shown = True

    def clear(self) -> None:
        """Take it away; the line is free for something else."""
        if self._is_shown:
            self._screen.write(_CLEAR)
            self._is_shown = False


def text_of(what: str, done: int, total: int) -> str:
    """Return the bar as it is shown."""
    if not total:
        return f"  {what} …"
    full = min(_WIDTH, _WIDTH * done // total)
    return f"  {what} {'█' * full}{'░' * (_WIDTH - full)} {done:,} of {total:,}"
