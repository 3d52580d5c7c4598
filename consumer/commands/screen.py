"""How lines look: with colours on a terminal, unless NO_COLOR asks for none."""

from typing import TextIO

from consumer.commands.output import Output

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_ASCII = str.maketrans({"✓": "+", "✗": "x", "…": "...", "→": "->", "█": "#", "░": "."})


class Screen(Output):
    """Writes lines to one stream, in ASCII if it takes nothing else."""

    def __init__(self, stream: TextIO | None, *, colours: bool) -> None:
        super().__init__(stream)
        self._colours = colours and self.isatty()

    def write(self, text: str) -> None:
        """Write a text."""
        if not self.takes(text):
            text = text.translate(_ASCII)
        super().write(text)

    def paint(self, text: str, colour: str) -> str:
        """Return ``text`` in a colour, if there are any."""
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self._colours else text
