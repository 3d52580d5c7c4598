"""A backoff: for how long what failed is left alone, be it a batch, a lane, or everybody.

It grows with each round trip that failed: of attempts side by side only the first counts. How far
depends on whose the trouble is. A *trouble* is a run of failures, whoever's, with no success
between. As long as it lasts, all that fail in it may be in it together, and wait longer each time.
When somebody's success ends it, those that waited for long go on at once; but what failed in
several separate troubles without a success of its own is the trouble itself, and goes on waiting
longer each time, however many others succeed meanwhile.
"""

import math
from dataclasses import dataclass

FIRST_BACKOFF_SECONDS = 0.5
MAX_RETRY_AFTER_SECONDS = 300.0


def backoff_seconds(attempts: int, cap_seconds: float, jitter: float, growth: float = 2.0) -> float:
    """Return the wait after that many failed attempts: exponential, capped, with full jitter.

    Full jitter as in "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
    """
    ceiling = min(cap_seconds, FIRST_BACKOFF_SECONDS * growth ** min(attempts - 1, 60))
    return ceiling * jitter


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class Backoff:
    """What batches and lanes have in common, and everybody has once.

    ``failures`` counts attempts in a row that failed, ``troubles`` the separate ones among them;
    ``asked_until`` is what ``Retry-After`` asked for, which nobody's success shortens.
    """

    failures: int = 0
    troubles: int = 0
    level: int = 0
    not_before: float = -math.inf
    asked_until: float = -math.inf
    failed_at: float = -math.inf  # what started earlier tells nothing new

    def fail(
        self, started_at: float, now: float, cap: float, jitter: float, growth: float = 2.0
    ) -> None:
        """Wait longer than the last time."""
        self.failures += 1
        if started_at >= self.failed_at:
            self.failed_at = now
            self.level += 1
            wait = backoff_seconds(self.level, cap, jitter, growth)
            self.not_before = max(self.asked_until, now + wait)

    def ask(self, now: float, seconds: float) -> None:
        """Wait as long as ``Retry-After`` says, up to its cap."""
        self.wait(now, seconds)
        self.asked_until = max(self.asked_until, now + min(seconds, MAX_RETRY_AFTER_SECONDS))

    def wait(self, now: float, seconds: float) -> None:
        """Wait so long too, or until a success."""
        self.not_before = max(self.not_before, now + min(seconds, MAX_RETRY_AFTER_SECONDS))

    def trouble_over(self, now: float, cap: float, jitter: float) -> bool:
        """Wait no longer than its own troubles justify; return whether that is less than before."""
        if self.level <= self.troubles:
            return False
        self.level = self.troubles
        until = now + backoff_seconds(self.level, cap, jitter)
        self.not_before = max(self.asked_until, min(self.not_before, until))
        return True

    def succeed(self) -> None:
        """Forget all failures."""
        self.failures = self.troubles = self.level = 0
        self.failed_at = -math.inf
        self.not_before = self.asked_until
