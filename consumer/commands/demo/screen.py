"""How the demo's lines look: with colours on a terminal, unless NO_COLOR asks for none."""

from typing import TextIO

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_ASCII = str.maketrans({"✓": "+", "✗": "x"})


class Screen:
    """Writes lines to one stream, in ASCII if it takes nothing else."""

    def __init__(self, stream: TextIO, *, colours: bool) -> None:
        self._stream = stream
        self._colours = colours and stream.isatty()

    def line(self, text: str = "") -> None:
        """Write a line."""
        try:
            text.encode(self._stream.encoding or "ascii")
        except UnicodeEncodeError:
            text = text.translate(_ASCII).encode("ascii", "replace").decode()
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def paint(self, text: str, colour: str) -> str:
        """Return ``text`` in a colour, if there are any."""
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self._colours else text
