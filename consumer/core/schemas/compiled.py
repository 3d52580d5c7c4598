"""A compiled schema: what it is called, and how its payloads are decoded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


class UnusableError(Exception):
    """A schema that came from the registry can't be used; the text says why."""


class UnfitError(Exception):
    """A payload isn't what its schema describes."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A schema that can be used.

    ``decode`` returns what Python has for JSON - dictionaries, lists, texts, numbers - or raises
    UnfitError. None: the payload is JSON's own text.
    """

    kind: str
    name: str
    decode: Callable[[bytes], object] | None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".rstrip()


@dataclass(frozen=True, slots=True)
class Source:
    """A schema as the registry has it; ``references`` each come after what they need."""

    kind: str
    text: str
    references: Sequence[tuple[str, str]] = ()
