"""What librdkafka repeats: a commit that was lost, and that may come after those made since.

Inside a callback no answers are heard. What is on its way for longer than usual may wait to be
repeated, and would take back what is committed meanwhile: librdkafka lets the group have the
partitions only when it has its answer. So what a drain commits is committed once that is over.
"""

import math
from dataclasses import dataclass

LATE_SECONDS = 0.3
LATE_AT_MOST_SECONDS = 1.0  # however far away the brokers are: what is repeated takes 2.4 and more
REPEAT_SECONDS = 3.5
"""So long after a commit was lost librdkafka has repeated it: ``retry.backoff.max.ms`` and more."""


@dataclass(slots=True, eq=False)
class Repeats:
    """Owned by the commits. Until ``over_at`` one may come; ``round_trip`` is the last answer's."""

    over_at: float = -math.inf
    round_trip: float = 0.0
    _sent_at: float | None = None  # the commit that was taken for lost

    def expect(self, sent_at: float, now: float, seconds: float) -> None:
        """Take the commit sent then for lost, once, if so long is longer than usual for one."""
        late = min(max(LATE_SECONDS, 4 * self.round_trip), LATE_AT_MOST_SECONDS)
        if sent_at != self._sent_at and seconds > late:
            self._sent_at = sent_at
            self.begin(now)

    def begin(self, now: float) -> None:
        """From now on it is repeated."""
        self.over_at = now + REPEAT_SECONDS
