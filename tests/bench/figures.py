"""The figures: what the bench measures of each system, each in some rounds, and what they come to.

Pure: nothing here measures anything.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import median

Figures = dict[str, float]
"""What one round of one system gave, by name. NaN: it could not be measured."""

Rounds = dict[str, list[Figures]]
"""The rounds of each system. Those of one number ran one after the other."""

Point = tuple[str, str]
"""A system and one of its figures."""


def middle(rounds: Rounds, point: Point) -> float:
    """Return the median of a figure over the rounds."""
    system, name = point
    return _median(each[name] for each in rounds[system])


def ratio(rounds: Rounds, over: Point, under: Point | None) -> float:
    """Return the median of the rounds' ratios; without ``under`` that of the figure itself.

    What disturbs the machine for a while disturbs both systems of a round, and cancels out.
    """
    if under is None:
        return middle(rounds, over)
    pairs = zip(rounds[over[0]], rounds[under[0]], strict=True)
    return _median(mine[over[1]] / theirs[under[1]] for mine, theirs in pairs)


def at_highest(rates: list[int], measure: Callable[[int], Figures]) -> Figures:
    """Return the figures at the first of the rates that gives any, and drop those before it.

    So whatever is compared with it is measured at the same one. The last stays, come what may.
    """
    while math.isnan((figures := measure(rates[0]))["cpu_us"]) and len(rates) > 1:
        del rates[0]
    return figures


def _median(values: Iterable[float]) -> float:
    """Return the median of those that could be measured; NaN if none could."""
    measured = [value for value in values if not math.isnan(value)]
    return median(measured) if measured else math.nan


def per_second(timeline: Sequence[tuple[float, int]], expected: int) -> float:
    """Return the rate between the first tenth of what is expected and the last.

    So neither the start counts nor the linger that ends it, which are as long for ten events as for
    ten million. ``timeline`` has (seconds, how many by then).
    """
    begun = next(each for each in timeline if each[1] >= 0.1 * expected)
    ended = next(each for each in timeline if each[1] >= 0.9 * expected)
    seconds = ended[0] - begun[0]
    return (ended[1] - begun[1]) / seconds if seconds > 0 else 0.0
