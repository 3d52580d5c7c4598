"""How long nothing is delivered, looked at from outside."""

import time
from typing import TYPE_CHECKING

from tests.support.repeating import Repeating

if TYPE_CHECKING:
    from tests.support.scenario import Scenario

_PAUSE_SECONDS = 0.1


class Gaps(Repeating):
    """Looks what the API has accepted; ``longest_seconds`` is the longest time without a change.

    While the whole machine stood still nothing could change: that isn't counted.
    """

    def __init__(self, scenario: "Scenario") -> None:
        super().__init__(_PAUSE_SECONDS)
        self._api = scenario.api
        self._ids = scenario.api.counters().ids
        self._since = time.monotonic()
        self.longest_seconds = 0.0

    def turn(self) -> None:
        """Look once."""
        ids, now = self._api.counters().ids, time.monotonic()
        self._since += self.late_seconds
        self.longest_seconds = max(self.longest_seconds, now - self._since)
        if ids > self._ids:
            self._ids, self._since = ids, now
