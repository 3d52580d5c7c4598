"""What one check found, as a line for a person."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from consumer.masking import masked

if TYPE_CHECKING:
    from consumer.commands.check.rights import Right


class State(StrEnum):
    """How a check ended. Only ``FAILED`` makes the command fail."""

    GOOD = "ok"
    WARNING = "warning"
    FAILED = "FAILED"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was tried, what came back, and what to do about it (empty: nothing).

    ``missing`` is the right without which it failed, if it is one.
    """

    state: State
    tried: str
    came_back: str
    to_do: str = ""
    missing: "Right | None" = None

    def line(self) -> str:
        """Return it on one line, without what a terminal would take for a command.

        What came back is others' words, more often than not: no secret is in it.
        """
        end = f" -> {self.to_do}" if self.to_do else ""
        text = f"{self.state:<8} {self.tried}: {masked(self.came_back)}{end}"
        return "".join(each if each.isprintable() else " " for each in text)


def count(number: int, noun: str) -> str:
    """Return a number of things in words."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
