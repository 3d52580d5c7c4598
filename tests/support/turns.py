"""How long a daemon's loop stands still, looked at from outside."""

import re
import time
from typing import TYPE_CHECKING

from tests.support.repeating import Repeating
from tests.support.waiting import PATIENCE_SECONDS, eventually

if TYPE_CHECKING:
    from tests.support.daemon import Daemon

# Thousands of series are too many to be parsed ten times a second.
LONGEST_GAP_SECONDS = 10.0
"""Under 1 s where nothing else runs; with one question after the other it was 42 s and 54 s."""
_HEARTBEAT = re.compile(r"^segment_consumer_loop_heartbeat_timestamp_seconds (\S+)", re.MULTILINE)


class Turns(Repeating):
    """Looks again and again how long ago the loop turned; ``longest_seconds`` is the longest of it.

    While the whole machine stood still it could not turn: that isn't counted.
    """

    def __init__(self, daemon: "Daemon", pause_seconds: float = 0.1) -> None:
        super().__init__(pause_seconds)
        self._daemon = daemon
        self.longest_seconds = 0.0
        self.looks = 0

    def await_looks(self, count: int) -> None:
        """Wait until it has looked so many times more."""
        enough = self.looks + count
        what = f"{count} looks"
        eventually(lambda: self.looks, PATIENCE_SECONDS, what, until=lambda n: n >= enough)

    def turn(self) -> None:
        """Look once. What the answer takes doesn't count: it may have turned meanwhile."""
        asked_at = time.time() - self.late_seconds
        found = _HEARTBEAT.search(self._daemon.get("/metrics")[1])
        assert found is not None
        self.longest_seconds = max(self.longest_seconds, asked_at - float(found[1]))
        self.looks += 1
