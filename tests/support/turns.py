"""How long a daemon's loop stands still, looked at from outside."""

import math
import re
import time
from typing import TYPE_CHECKING

from tests.support.repeating import Repeating
from tests.support.waiting import PATIENCE_SECONDS, eventually

if TYPE_CHECKING:
    from tests.support.daemon import Daemon

_PAUSE_SECONDS = 0.1
# Thousands of series are too many to be parsed ten times a second.
_HEARTBEAT = re.compile(r"^segment_consumer_loop_heartbeat_timestamp_seconds (\S+)", re.MULTILINE)


class Turns(Repeating):
    """Looks again and again how long ago the loop turned; ``longest_seconds`` is the longest of it.

    By so much as a look itself came late the whole machine stood still, which is not counted.
    """

    def __init__(self, daemon: "Daemon") -> None:
        super().__init__(_PAUSE_SECONDS)
        self._daemon = daemon
        self._due_at = math.inf
        self.longest_seconds = 0.0
        self.looks = 0

    def await_looks(self, count: int) -> None:
        """Wait until it has looked so many times more."""
        enough = self.looks + count
        what = f"{count} looks"
        eventually(lambda: self.looks, PATIENCE_SECONDS, what, until=lambda n: n >= enough)

    def turn(self) -> None:
        """Look once. What the answer takes doesn't count: it may have turned meanwhile."""
        asked_at = time.time()
        late, self._due_at = max(0.0, asked_at - self._due_at), asked_at + _PAUSE_SECONDS
        found = _HEARTBEAT.search(self._daemon.get("/metrics")[1])
        assert found is not None
        self.longest_seconds = max(self.longest_seconds, asked_at - float(found[1]) - late)
        self.looks += 1
