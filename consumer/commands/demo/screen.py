"""How the demo shows itself: a few lines that change in place, or a line a second.

In place on a terminal that can; elsewhere - a pipe, a file, a CI's log - plain lines, so that
nothing is ever overwritten. Colours only on a terminal and unless NO_COLOR asks for none.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

_NARROWEST = 40
_BAR_CELLS = 40
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


@dataclass(frozen=True, slots=True)
class Look:
    """What the output can show: lines that change in place, colours, more than ASCII."""

    in_place: bool
    colours: bool
    unicode: bool

    @classmethod
    def of(cls, stream: TextIO, *, no_color: bool, dumb: bool) -> "Look":
        """Return what ``stream`` can show; a ``dumb`` terminal knows no commands."""
        is_terminal = stream.isatty() and not dumb
        try:
            "✓✗█░".encode(stream.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            unicode = False
        else:
            unicode = True
        return cls(in_place=is_terminal, colours=is_terminal and not no_color, unicode=unicode)


class Screen:
    """Writes to one stream; ``close`` leaves the terminal as it was."""

    def __init__(self, stream: TextIO, look: Look) -> None:
        self.look = look
        self._stream = stream
        self._shown = 0

    def line(self, text: str = "") -> None:
        """Write a line that stays."""
        self._stream.write(f"{text}\n" if self.look.unicode else f"{_ascii(text)}\n")
        self._stream.flush()

    def frame(self, lines: Sequence[str]) -> None:
        """Show these lines where the ones before were. Only where `Look.in_place` is true."""
        width, height = self._size()
        lines = lines[: max(1, height - 1)]
        clipped = [_clip(each, width - 1) for each in lines]
        up = f"\x1b[{self._shown}F" if self._shown else ""
        body = "".join(f"\x1b[2K{each}\n" for each in clipped)
        rest = "\x1b[J" if self._shown > len(lines) else ""
        self._stream.write("\x1b[?25l" + up + (body if self.look.unicode else _ascii(body)) + rest)
        self._stream.flush()
        self._shown = len(lines)

    def clear(self) -> None:
        """Take the frame away."""
        if self._shown:
            self._stream.write(f"\x1b[{self._shown}F\x1b[J")
        self.close()

    def close(self) -> None:
        """Leave the frame where it is, and show the cursor again."""
        if self.look.in_place:
            self._stream.write("\x1b[?25h")
        self._stream.flush()
        self._shown = 0

    def paint(self, text: str, colour: str) -> str:
        """Return ``text`` in a colour, if there are any."""
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self.look.colours else text

    def bar(self, share: float) -> str:
        """Return a bar that is full to a share of 0 to 1."""
        full = round(_BAR_CELLS * min(max(share, 0.0), 1.0))
        return self.paint("█" * full, "green") + self.paint("░" * (_BAR_CELLS - full), "dim")

    def _size(self) -> tuple[int, int]:
        try:
            size = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return 80, 24
        return max(size.columns, _NARROWEST), max(size.lines, 2)


_ASCII = str.maketrans({"✓": "+", "✗": "x", "█": "#", "░": "-"})


def _ascii(text: str) -> str:
    return text.translate(_ASCII).encode("ascii", "replace").decode("ascii")


def _clip(text: str, width: int) -> str:
    """Cut a line to the columns there are; a colour's code takes none."""
    shown, position = 0, 0
    while position < len(text) and shown < width:
        if text[position] == "\x1b":
            position = text.index("m", position)
        else:
            shown += 1
        position += 1
    return text if position == len(text) else text[:position] + "\x1b[0m" * ("\x1b" in text)
