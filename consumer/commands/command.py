"""What the command line knows of a command; its work is imported when it is run."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass


def _nothing(_: argparse.ArgumentParser) -> None:
    """Add no options."""


@dataclass(frozen=True, slots=True)
class Command:
    """What it is for, what it does with the options that were given, what adds these.

    ``run`` returns the exit code.
    """

    purpose: str
    run: Callable[[argparse.Namespace], int]
    add_options: Callable[[argparse.ArgumentParser], None] = _nothing


def whole_number(allowed: range) -> Callable[[str], int]:
    """Return an option's type: a number of this range, in digits."""

    def parse(text: str) -> int:
        accepts = f"a whole number from {allowed[0]} to {allowed[-1]}"
        if not text.isascii() or not text.isdecimal() or int(text[:20]) not in allowed:
            raise argparse.ArgumentTypeError(f"got {text!r}; accepts {accepts}")
        return int(text)

    return parse
