"""What a command says on a terminal, in a pipe or to nobody: whole lines, whatever takes them.

Nobody reading any more is no reason to stop, and changes no exit code (see `standard_streams`).
"""

from typing import TextIO


class Output:
    """Writes to one stream, which may be None (closed); owned by one thread."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.is_heard = stream is not None

    def line(self, text: str = "") -> None:
        """Write a line."""
        self.write(text + "\n")

    def write(self, text: str) -> None:
        """Write a text; what the stream's encoding lacks is written by its number."""
        stream = self._stream
        if stream is None or not self.is_heard:
            return
        encoding = stream.encoding or "utf-8"
        try:
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()
        except (OSError, ValueError):
            self.is_heard = False

    def takes(self, text: str) -> bool:
        """Whether the stream's encoding has all that is in ``text``."""
        try:
            text.encode((self._stream and self._stream.encoding) or "utf-8")
        except UnicodeEncodeError:
            return False
        return True

    def isatty(self) -> bool:
        """Whether a person sees it at once."""
        return self._stream is not None and not self._stream.closed and self._stream.isatty()
