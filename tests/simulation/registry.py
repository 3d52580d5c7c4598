"""The schema registry of a world: slow at times, and failing at times."""

import random
from collections.abc import Callable, Sequence

from consumer.core.schemas.answers import Failed, NotThere
from consumer.core.schemas.compiled import Compiled
from consumer.core.schemas.inquiries import Found

_JSON = Compiled("JSON Schema", "", None)
_DOWN = Failed("down")
_NOT_YET = NotThere("the schema is not found")


class Registry:
    """Has every schema, sooner or later; all are JSON Schema. Implements `ports.SchemasPort`."""

    def __init__(self, clock: Callable[[], float], draw: random.Random) -> None:
        self._clock = clock
        self._draw = draw
        self._answers: list[tuple[float, bytes, Found]] = []

    def ask(self, prefix: bytes) -> None:
        """Answer some time later."""
        draw = self._draw
        seconds = draw.choice((0.0, 0.01, 0.3, 3.0))
        kind = draw.random()
        answer = _DOWN if kind < 0.3 else _NOT_YET if kind < 0.35 else _JSON
        self._answers.append((self._clock() + seconds, prefix, answer))

    def found(self) -> Sequence[tuple[bytes, Found]]:
        """Return the answers that are there by now."""
        now = self._clock()
        there = [each for each in self._answers if each[0] <= now]
        self._answers = [each for each in self._answers if each[0] > now]
        return [(prefix, answer) for _, prefix, answer in there]
