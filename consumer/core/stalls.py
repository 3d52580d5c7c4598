"""Which partitions are silent: records wait in them, and none arrives.

A partition is silent as long as its position stands still while its end is ahead of it. Only time
in which records could have come counts: not while reading is paused, nor while nobody looked, as in
a drain or when the process was frozen. A position that moves ends it, be it past what holds no
record: a transaction's marker, or offsets that were compacted. So does a new assignment.

With many partitions that have much, each waits for its turn: a fetch brings what one of them has.
How long that takes, the waits that end tell. Whoever waits twice as long is overdue.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from consumer.core.ledger import Ledger

STALLED_SECONDS = 30.0
MOST_BETWEEN_LOOKS_SECONDS = 5.0


@dataclass(slots=True, eq=False)
class Silence:
    """One partition's; ``said`` is what the client said of it in this time.

    ``is_reread``: reading began once more from the position meanwhile.
    """

    ledger: Ledger
    position: int
    seconds: float = 0.0
    said: str = ""
    is_reread: bool = False


class Stalls:
    """Owned by the loop. By the ledger: what comes back after a rebalance has another one."""

    def __init__(self) -> None:
        self._silences: dict[Ledger, Silence] = {}
        self._looked_at = 0.0
        self._wait_seconds = 0.0  # the longest that ended lately, and is being forgotten

    def look(self, waiting: Iterable[Ledger], now: float, *, is_paused: bool) -> None:
        """Take in the partitions in which records wait; all others are not silent."""
        elapsed = now - self._looked_at
        self._looked_at = now
        if is_paused or elapsed > MOST_BETWEEN_LOOKS_SECONDS:
            elapsed = 0.0
        self._learn(elapsed)
        silences: dict[Ledger, Silence] = {}
        for ledger in waiting:
            silence = silences[ledger] = self._of(ledger)
            if silence is self._silences.get(ledger):
                silence.seconds += elapsed
        self._silences = silences

    def hear(self, ledger: Ledger, said: str) -> None:
        """Take in what the client said of a partition instead of giving a record."""
        silence = self._silences[ledger] = self._of(ledger)
        silence.said = said

    def silent(self, seconds: float = STALLED_SECONDS) -> list[Silence]:
        """Return those that are silent for that long."""
        return [each for each in self._silences.values() if each.seconds >= seconds]

    @property
    def patience(self) -> float:
        """Return for how many seconds one may be silent that only waits for its turn."""
        return max(STALLED_SECONDS, 2 * self._wait_seconds)

    def _learn(self, elapsed: float) -> None:
        """Take in how long those waited from which something came; a stall was no wait."""
        ended = [
            each.seconds
            for each in self._silences.values()
            if each.ledger.position != each.position and each.seconds < self.patience
        ]
        self._wait_seconds = max([self._wait_seconds - elapsed / 2, 0.0, *ended])

    def _of(self, ledger: Ledger) -> Silence:
        silence = self._silences.get(ledger)
        if silence is None or silence.position != ledger.position:
            return Silence(ledger, ledger.position)
        return silence
