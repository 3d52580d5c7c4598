"""What the pure rooms want to be said in the log, for the loop to say."""

from collections import deque
from dataclasses import dataclass

MAX_NOTES = 10_000


@dataclass(frozen=True, slots=True)
class Note:
    """An event of the log, a key by which repetitions are folded, and fields."""

    event: str
    key: str
    message: str
    fields: dict[str, object]


class Notes(deque[Note]):
    """A queue of notes; what doesn't fit is left out, for it would repeat anyway."""

    def add(self, event: str, key: str, message: str, **fields: object) -> None:
        """Note something. No id of a person may be in it."""
        if len(self) < MAX_NOTES:
            self.append(Note(event, key, message, fields))
