"""The rows: which figures are compared, what that may come to at most, and what it aims at."""

import math
from dataclasses import dataclass

from tests.bench.figures import Point, Rounds, ratio


@dataclass(frozen=True, slots=True)
class Row:
    """One figure over another, each of the same round; without ``under`` the figure itself.

    ``bound`` is the most that it may be, with ``is_least`` the least; ``aim`` is better still.
    Without a bound it is only shown. ``at`` is a rate that both were measured at.
    """

    key: str
    what: str
    over: Point
    under: Point | None = None
    bound: float | None = None
    aim: float | None = None
    is_least: bool = False
    unit: str = ""
    at: Point | None = None

    @property
    def systems(self) -> set[str]:
        """Whose figures it takes."""
        return {point[0] for point in (self.over, self.under) if point is not None}

    def value(self, rounds: Rounds) -> float:
        """Return what it comes to."""
        return ratio(rounds, self.over, self.under)

    def title(self, rounds: Rounds) -> str:
        """Return what is compared, and at which rate if that differs from run to run."""
        if self.at is None:
            return self.what
        system, name = self.at
        rates = sorted({each[name] for each in rounds[system]})
        return f"{self.what}, at {' to '.join(f'{rate:,.0f}' for rate in rates)} events/s"

    def verdict(self, value: float) -> str:
        """Say whether bound and aim are met."""
        if self.bound is None:
            return ""
        if math.isnan(value):
            return "?"
        return "no" if self._misses(value, self.bound) else self._of_aim(value)

    def limits(self) -> tuple[str, str]:
        """Return bound and aim as text."""
        sign = "≥" if self.is_least else "≤"
        both = (self.bound, self.aim)
        bound, aim = ("" if each is None else f"{sign} {each:g}{self.unit}" for each in both)
        return bound, aim

    def shown(self, value: float) -> str:
        """Return a value as text."""
        return f"{value:,.0f}{self.unit}" if value >= 50 else f"{value:.2f}{self.unit}"

    def _of_aim(self, value: float) -> str:
        return "yes" if self.aim is None or self._misses(value, self.aim) else "aim"

    def _misses(self, value: float, limit: float) -> bool:
        return value < limit if self.is_least else value > limit


CPU, CPU_OF_ID, RATE = "cpu_us", "cpu_us_per_id_of_a_list", "events_per_second"
PLAIN = ("w1 intake", CPU)

ROWS = (
    Row(
        "w1-cpu",
        "w1: CPU µs per event, whole process, to the floor loop's",
        ("w1", CPU),
        ("w1 floor", CPU),
        2.0,
        1.5,
    ),
    Row("w2-cpu", "w2: the same", ("w2", CPU), ("w2 floor", CPU), 2.8, 2.0),
    Row(
        "w1-rate",
        "w1: events/s to the floor loop's",
        ("w1", RATE),
        ("w1 floor", RATE),
        0.45,
        0.6,
        is_least=True,
    ),
    Row("w2-rate", "w2: the same", ("w2", RATE), ("w2 floor", RATE), 0.33, 0.45, is_least=True),
    Row(
        "w2-requests",
        "w2: requests to the fewest that keep the linger at that rate",
        ("w2", "requests"),
        ("w2", "requests_within_linger"),
        1.15,
        1.05,
    ),
    Row(
        "w2-full",
        "w2: requests to as many full ones",
        ("w2", "requests"),
        ("w2", "ideal_requests"),
    ),
    Row(
        "lists",
        "taking in lists of 25 ids: CPU µs per id to a plain record's",
        ("lists", CPU_OF_ID),
        PLAIN,
        0.15,
        0.1,
    ),
    Row(
        "emails",
        "taking in emails: CPU µs per record to a plain one's",
        ("emails", CPU),
        PLAIN,
        1.2,
        1.05,
    ),
    Row("texts", "taking in segment ids as text: the same", ("texts", CPU), PLAIN, 1.2, 1.05),
    Row("integers", "taking in integer ids: the same", ("integers", CPU), PLAIN, 1.2, 1.05),
    Row(
        "segments",
        "taking in 100,000 segments to 1, nothing sent: CPU µs per record",
        ("100,000 segments", CPU),
        ("w1 held", CPU),
        1.5,
        1.2,
    ),
    Row(
        "partitions",
        "1,000 partitions to 8, a backlog (w2): CPU µs per event",
        ("w2 1,000 partitions", CPU),
        ("w2", CPU),
        1.3,
        1.1,
    ),
    Row(
        "live",
        "1,000 partitions to 8, a steady load: CPU µs per event",
        ("live 1,000 partitions", CPU),
        ("live", CPU),
        1.45,
        1.25,
        at=("live 1,000 partitions", "asked_per_second"),
    ),
    Row(
        "kip-848",
        "KIP-848 to classic (w1): CPU µs per event",
        ("w1 KIP-848", CPU),
        ("w1", CPU),
        1.1,
        1.0,
    ),
    Row(
        "memory",
        "peak RSS, default settings, a backlog behind a slow API",
        ("memory", "peak_mib"),
        None,
        150,
        120,
        unit=" MiB",
    ),
    Row(
        "api-20ms",
        "w2, an API of 20 ms: events/s to what 8 in flight allow",
        ("w2 20 ms", RATE),
        ("w2 20 ms", "allowed"),
        0.9,
        0.97,
        is_least=True,
    ),
    Row(
        "api-60ms",
        "w2, an API of 60 ms, slower than the daemon on any machine: the same",
        ("w2 60 ms", RATE),
        ("w2 60 ms", "allowed"),
        0.9,
        0.97,
        is_least=True,
    ),
    Row(
        "start",
        "start to first delivery, w1 waiting",
        ("w1", "first_delivery_seconds"),
        None,
        2.5,
        1.5,
        unit=" s",
    ),
    Row(
        "w1-raw",
        "for comparison, w1: a loop that only counts, CPU µs per event",
        ("w1 raw", CPU),
        ("w1 floor", CPU),
    ),
    Row("w2-raw", "for comparison, w2: the same", ("w2 raw", CPU), ("w2 floor", CPU)),
)
