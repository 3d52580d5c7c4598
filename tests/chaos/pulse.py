"""Whether the process of the tests itself stood still, and for how long."""

import math
import time

from tests.support.repeating import Repeating

_BEAT_SECONDS = 0.05


class Pulse(Repeating):
    """A thread that wakes up all the time. ``longest_seconds`` is how late it was at worst.

    The API and the proxies live in this process: while it stands still, a request waits there that
    its client has given up, and what it does afterwards is no fault of the client.
    """

    def __init__(self) -> None:
        super().__init__(_BEAT_SECONDS)
        self.longest_seconds = 0.0
        self._woke = math.inf

    def turn(self) -> None:
        """Note how late it is."""
        late = time.monotonic() - self._woke - _BEAT_SECONDS
        self.longest_seconds = max(self.longest_seconds, late)
        self._woke = time.monotonic()
