"""The records of a file: the JSON value of one in each line, without key and headers."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from consumer.core.dead_letters import Headers

STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class Line:
    """A line as a record of a topic. Implements `mapping.beside.Record`."""

    place: str
    content: bytes
    of_topic: str

    def topic(self) -> str:
        """Return the topic that it would be of."""
        return self.of_topic

    def key(self) -> bytes | None:
        """Return that it has no key."""
        return None

    def headers(self) -> Headers | None:
        """Return that it has no headers."""
        return None


def lines_of(file: BinaryIO, name: str, topic: str) -> Iterator[Line]:
    """Yield the lines that have something in them. Raises OSError."""
    shown = "stdin" if name == STANDARD_INPUT else Path(name).name
    for number, line in enumerate(file, 1):
        content = line.rstrip(b"\r\n")
        if content.strip():
            yield Line(f"{shown}:{number}", content, topic)
