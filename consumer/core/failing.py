"""What fails: batches whose last attempt brought no delivery, the one failing longest first.

A failure is over with a delivery, or when its batch is settled in whatever way. So there are never
more of them than batches that were tried, and who shows some of them looks at no others.
"""

from dataclasses import dataclass
from itertools import islice

from consumer.core.lanes import Batch, Lane

_MOST_BATCHES = 1000  # that are looked at: one lane may have that many


@dataclass(frozen=True, slots=True)
class Failure:
    """What happened last to a batch (no id of a person), when, and to how many attempts in a row.

    ``at`` is in the loop's seconds.
    """

    error: str
    at: float
    attempts: int


NO_FAILURE = Failure("", 0.0, 0)


class Failing:
    """Owned by the buffer, which ends those of settled batches.

    ``suspects`` failed in the present trouble (see `backoff`): batches and lanes, with the lane.
    """

    def __init__(self) -> None:
        self.suspects: dict[Batch | Lane, Lane] = {}
        self._by_batch: dict[Batch, Failure] = {}

    def note(self, batch: Batch, error: str, now: float) -> None:
        """Take in what an attempt brought back; no error: a delivery."""
        if error:
            attempts = self.of(batch).attempts + 1
            self._by_batch[batch] = Failure(error, now, attempts)
        else:
            self.end(batch)

    def end(self, batch: Batch) -> None:
        """Forget the batch's failure, if it has one."""
        self._by_batch.pop(batch, None)
        self.suspects.pop(batch, None)

    def of(self, batch: Batch) -> Failure:
        """Return the failure of a batch; `NO_FAILURE` if it has none."""
        return self._by_batch.get(batch, NO_FAILURE)

    def lanes(self, count: int) -> dict[Lane, Failure]:
        """Return the lanes that have failed longest: attempts of the worst batch, newest error."""
        found: dict[Lane, Failure] = {}
        for batch, failure in islice(self._by_batch.items(), _MOST_BATCHES):
            known = found.get(batch.lane)
            if known is None:
                if len(found) == count:
                    break
                known = failure
            newest = max(known, failure, key=lambda each: each.at)
            attempts = max(known.attempts, failure.attempts)
            found[batch.lane] = Failure(newest.error, newest.at, attempts)
        return found
