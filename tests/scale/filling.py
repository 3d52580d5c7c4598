"""How full requests are when a member has ever more open batches, by the real pipeline.

A twentieth of the changes, in batches of a twentieth of the size: all else is as it would be.
"""

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.scale.paper import BATCH, CHANGES, ENOUGH, MEMBERS, TIMEOUT, default, memory, share
from tests.support.driver import DELIVERED, Driver
from tests.support.sizes import record

if TYPE_CHECKING:
    from consumer.core.attempts import Attempt

OPEN_BATCHES = (20, 100, 200, 400, 1_000)

_LOAD = CHANGES / MEMBERS
_LIMIT = int(default("buffer_max_ids"))
_PART = 20
_STEP_SECONDS = 0.02
_LATENCY_SECONDS = 0.2
_LOOKED_AT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Filling:
    """``wait`` is the longest of a batch's first id, ``drain`` how long sending all of it takes.

    ``limited`` is how many changes a second are taken with the default ``BUFFER_MAX_IDS``.
    """

    batches: int
    ids: float
    wait: float
    held: int
    drain: float
    limited: float


class Member:
    """One member at its share of the load: as many adds as removes, segments of a size."""

    def __init__(self, batches: int, limit: float) -> None:
        self.driver = Driver(
            batch_max_ids=BATCH // _PART,
            buffer_max_ids=10**9,
            requests_per_second=share(ENOUGH),
        )
        self.sizes: list[int] = []
        self.wait = 0.0
        self.held = 0
        self.changes = 0
        self._limit = limit / _PART
        self._segments = batches // 2
        self._draw = random.Random(1)
        self._flying: list[tuple[float, Attempt]] = []

    def live(self, seconds: float) -> None:
        """Let time pass, and measure that time only."""
        self.sizes, self.wait, self.held, self.changes = [], 0.0, 0, 0
        until = self.driver.now + seconds
        while self.driver.now < until:
            self._read()
            self._step()

    def drain(self) -> float:
        """Send all there is; return how many seconds it took."""
        driver = self.driver
        begun = driver.now
        driver.pipeline.flush(driver.ledgers, begun, "shutdown")
        while driver.pipeline.held_ids:
            self._step()
        return driver.now - begun

    def _read(self) -> None:
        driver = self.driver
        if driver.pipeline.held_ids < self._limit:
            count = round(_LOAD / _PART * _STEP_SECONDS)
            driver.read(*(self._change() for _ in range(count)))
            self.changes += count

    def _step(self) -> None:
        driver = self.driver
        self.held = max(self.held, driver.pipeline.held_ids)
        while self._flying and self._flying[0][0] <= driver.now:
            driver.answer(self._flying.pop(0)[1], DELIVERED)
        for attempt in driver.attempts():
            self._flying.append((driver.now + _LATENCY_SECONDS, attempt))
            self.sizes.append(len(attempt.ids))
            self.wait = max(self.wait, driver.now - attempt.batch.opened_at)
        driver.now += _STEP_SECONDS

    def _change(self) -> bytes:
        segment = 1 + self._draw.randrange(self._segments)
        action = self._draw.choice(("add", "remove"))
        return record(segment, action, f"c{self._draw.getrandbits(60)}")


def fill(batches: int) -> Filling:
    """Return what comes of so many open batches, once it is the same all the time."""
    member = _settled(batches, math.inf)
    ids = sum(member.sizes) / len(member.sizes) * _PART
    held, limited = member.held * _PART, _LOAD
    if held > _LIMIT:
        limited = _settled(batches, _LIMIT).changes * _PART / _LOOKED_AT_SECONDS
    return Filling(batches, ids, member.wait, held, member.drain(), limited)


def _settled(batches: int, limit: float) -> Member:
    member = Member(batches, limit)
    member.live(10.0 + 2.5 * batches / share(ENOUGH))
    member.live(_LOOKED_AT_SECONDS)
    return member


def row(filling: Filling) -> tuple[str, ...]:
    """Return a row of the reference's table."""
    held, drain = round(filling.held, -3), round(filling.drain)
    measured = f"{filling.batches:,}", f"{filling.ids:.0f}", f"{filling.wait:.0f}"
    rest = needed(held, drain)
    return *measured, f"{held:,}", f"{round(filling.limited, -2):,.0f}", f"{drain}", *rest


def needed(held: int, drain: int) -> tuple[str, str]:
    """Return the memory in MiB that a member wants to hold that, and the drain's least timeout."""
    return f"{memory(held)}", f"{math.ceil(TIMEOUT + drain)}"
