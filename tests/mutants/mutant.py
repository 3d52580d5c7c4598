"""A mutant: one place in the code, and what is put there instead."""

from dataclasses import dataclass
from pathlib import Path


class RottenError(Exception):
    """A mutant that no longer fits the code, or that is none."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A wrong change. ``old`` occurs exactly once in ``file``; ``new`` takes its place.

    Both are lines as they stand in the file, so that they can be looked for; what is around them is
    stripped. ``breaks`` is the invariant of the design, or the promise, that is no longer kept.
    ``tests`` are asked if the simulator finds nothing.
    """

    name: str
    breaks: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = ()

    def applied_to(self, text: str) -> str:
        """Return the file's text with the change. Raises RottenError."""
        old, new = self.old.strip(), self.new.strip()
        count = text.count(old)
        if count != 1:
            raise RottenError(
                f"{self.name}: its old text is {count} times in {self.file}, not once:\n{old}"
            )
        return text.replace(old, new)

    def apply(self, root: Path) -> None:
        """Change the file below ``root``. Raises RottenError."""
        path = root / self.file
        path.write_text(self.applied_to(path.read_text()))
