"""The lines of a ``.env`` file: those that set something, and those of ours that don't."""

import io
import re
from collections.abc import Collection, Iterator

from dotenv.parser import Binding, parse_stream

from consumer.settings.slips import is_meant

_NAME = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\b", re.ASCII)


def values(text: str) -> dict[str, str]:
    """Return what the lines set; those that set nothing are passed over."""
    return {
        line.key: line.value
        for line in parse_stream(io.StringIO(text))
        if line.key and line.value is not None
    }


def broken_lines(text: str, variables: Collection[str]) -> Iterator[str]:
    """Yield a problem for each line that begins with a name of ours and sets nothing.

    Among them those that the open quote of a line above has swallowed.
    """
    for binding in parse_stream(io.StringIO(text)):
        sets = binding.value is not None and not binding.error
        for number, line in _lines(binding)[int(sets) :]:
            name = _NAME.match(line)
            if name and is_meant(name[1], variables):
                yield (
                    f".env: line {number} ({name[1]}) can't be read; accepts {name[1]}=value, and"
                    " a quote at both ends of the value or at none"
                )


def _lines(binding: Binding) -> list[tuple[int, str]]:
    """Return the lines of a binding with their numbers; empty ones before it are none of it."""
    lines = enumerate(binding.original.string.splitlines(), binding.original.line)
    return [(number, line) for number, line in lines if line.strip()]
