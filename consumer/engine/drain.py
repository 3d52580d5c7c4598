"""The drain: what is held of partitions that go away is sent and settled, or given up.

It runs inside the group's callback or a stop: without polling, and up to a deadline. Partitions
that stay are not disturbed. A stop is the same for all partitions.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from consumer.core.ledger import Ledger
from consumer.core.pipeline import Pipeline
from consumer.engine.commits import Commits
from consumer.engine.mailbox import Mailbox
from consumer.engine.ports import CarriersPort
from consumer.engine.publisher import Publisher
from consumer.engine.requests import BUSY_WAIT_SECONDS, Requests
from consumer.engine.stop import Stop


@dataclass(slots=True, eq=False)
class Drain:
    """Owned by the loop. ``released`` counts ids that were given up, since the start."""

    _pipeline: Pipeline
    _commits: Commits
    _requests: Requests
    _mailbox: Mailbox
    _publisher: Publisher
    _stop: Stop
    _carriers: CarriersPort
    _clock: Callable[[], float]
    _beat: Callable[[float], None]
    _request_timeout_seconds: float
    released: int = 0
    deadline: float = math.inf  # of the one that runs, or ran when a stop was asked for

    def run(self, ledgers: list[Ledger], deadline: float, reason: str) -> None:
        """Drain ``ledgers`` up to ``deadline``, commit, release what is left, forget them."""
        if not ledgers:
            return
        self.deadline = min(self.deadline, deadline)
        self._pipeline.flush(ledgers, self._clock(), reason)
        is_still_ours = self._settle_all(ledgers, deadline)
        self._commits.await_repeat(deadline)
        if is_still_ours:
            self._commits.commit_until(deadline, ledgers)
        self.release(ledgers)
        self._pipeline.end_flush()
        if not self._stop.requested:
            self.deadline = math.inf

    def release(self, ledgers: list[Ledger]) -> None:
        """Give up what is unsettled of ``ledgers``, and forget them."""
        self.released += self._pipeline.forget(ledgers)

    def _settle_all(self, ledgers: list[Ledger], deadline: float) -> bool:
        """Send and settle; return whether the membership held all along.

        Once it is lost nothing is sent any more, but what was sent is waited for all the same: the
        next owner may begin when this returns.

        A request starts only if its timeout ends before the deadline: one that outlived the drain
        could land after the next owner's opposite one. So could an attempt whose answer was lost:
        it is waited out.
        """
        latest_start = deadline - self._request_timeout_seconds
        lease, carriers, requests = self._commits.lease, self._carriers, self._requests
        self._commits.begin_drain(self._clock())
        is_member = True
        while True:
            now = self._clock()
            self._beat(now)
            if now >= deadline:
                return is_member
            is_echoing = self._pipeline.is_echoing(ledgers, now)
            if not is_echoing and all(ledger.is_settled() for ledger in ledgers):
                return is_member
            is_member = is_member and self._commits.renew(now)
            now = self._clock()
            self._join_a_stop(now)
            self._mailbox.turn(now)
            started = requests.dispatch(now, latest_start)
            self._publisher.turn(now)
            last = latest_start if lease.is_agreed else -math.inf
            if not (started or is_echoing or self._pipeline.can_progress(ledgers, now, last)):
                return is_member
            if not lease.is_proven(now) and not requests.in_flight and not is_echoing:
                return False
            results = carriers.collect(BUSY_WAIT_SECONDS)
            if not results and not requests.in_flight:
                until_next = requests.until_next(now) if now <= last else BUSY_WAIT_SECONDS
                carriers.wait(min(BUSY_WAIT_SECONDS, until_next))
            requests.settle(results, self._clock())

    def _join_a_stop(self, now: float) -> None:
        """Once a stop is asked for, what stays assigned is drained by the same deadline."""
        if self._stop.requested and not self._stop.has_begun:
            self._stop.has_begun = True
            self._pipeline.flush(list(self._pipeline.ledgers.values()), now, "shutdown")
