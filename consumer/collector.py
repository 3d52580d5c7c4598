"""Python's garbage collector: out of the way of the records, and run when there is nothing to do.

Left to itself it runs whenever some hundred objects more are there than before, which is three
times for each chunk of records, and finds nothing: what the daemon makes is freed without it. So
it doesn't run by itself, and never looks at what was there before the first record. It is for
cycles alone, as the libraries leave them with an exception; these must not pile up, be there
nothing to do or never.
"""

import gc
import math
from collections.abc import Callable
from typing import Self

IDLE_SECONDS = 5.0
BUSY_SECONDS = 60.0
MOST_NEW = 10_000
"""Objects, after which those are looked at that came since: a few megabytes, and a millisecond."""

MOST_OF_THE_TIME = 0.01
"""For the looks at all objects, where one of them takes long."""


class Collector:
    """Owned by the thread that turns the loop. As it was before, when it is left."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._next_idle = self._next_busy = math.inf

    def __enter__(self) -> Self:
        gc.disable()
        gc.freeze()
        self._schedule(0.0)
        return self

    def __exit__(self, *_: object) -> None:
        gc.unfreeze()
        gc.enable()

    def turn(self, *, is_idle: bool) -> None:
        """Collect if it is time; ``is_idle``: the turn before this had nothing to do."""
        now = self._clock()
        if now >= (self._next_idle if is_idle else self._next_busy):
            gc.collect()
            self._schedule(self._clock() - now)
        elif gc.get_count()[0] >= MOST_NEW:
            gc.collect(1)

    def _schedule(self, taken_seconds: float) -> None:
        rest = taken_seconds / MOST_OF_THE_TIME
        now = self._clock()
        self._next_idle = now + max(IDLE_SECONDS, rest)
        self._next_busy = now + max(BUSY_SECONDS, rest)
