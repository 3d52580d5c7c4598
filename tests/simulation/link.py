"""A client's connection to its broker: in order, sometimes slow, sometimes cut."""

import random
from collections.abc import Callable
from typing import Protocol, TypeVar

from tests.simulation.scheduler import Scheduler

T = TypeVar("T")


class Host(Protocol):
    """The process at this end."""

    def when_running(self, action: Callable[[], object]) -> None:
        """Do something now, or when it thaws, or never if it is dead."""


class Link:
    """Requests arrive in order, and so do the answers; a cut loses what is on its way."""

    def __init__(self, scheduler: Scheduler, draw: random.Random, host: Host) -> None:
        self.is_up = True
        self.slowness = 0.004
        self.cuts = 0
        self.on_cut: Callable[[], None] = _nothing
        self.on_mend: Callable[[], None] = _nothing
        self._scheduler = scheduler
        self._draw = draw
        self._host = host
        self._last_arrival = 0.0
        self._last_answer = 0.0

    def cut(self) -> None:
        """Lose the connection, and what is on its way."""
        self.is_up = False
        self.cuts += 1
        self._host.when_running(self.on_cut)

    def mend(self) -> None:
        """Connect again."""
        if not self.is_up:
            self.is_up = True
            self._host.when_running(self.on_mend)

    def request(self, serve: Callable[[], None]) -> bool:
        """Have the broker do something; return False if nothing can be sent."""
        if not self.is_up:
            return False
        now = self._scheduler.now
        self._last_arrival = max(self._last_arrival, now + self._latency())
        cuts = self.cuts
        self._scheduler.at(self._last_arrival, lambda: serve() if cuts == self.cuts else None)
        return True

    def answer(self, take: Callable[[], None], late_seconds: float = 0.0) -> None:
        """Have the client take in an answer."""
        now = self._scheduler.now
        self._last_answer = max(self._last_answer, now + self._latency() + late_seconds)
        cuts = self.cuts

        def arrive() -> None:
            if self.is_up and cuts == self.cuts:
                self._host.when_running(take)

        self._scheduler.at(self._last_answer, arrive)

    def _latency(self) -> float:
        return self._draw.random() * self.slowness


def _nothing() -> None:
    """Stand in until there is a client."""
