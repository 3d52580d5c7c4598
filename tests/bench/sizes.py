"""The cost of steps of the core with ever more lanes, or waiting batches in one lane.

    python -m tests.bench.sizes [--lanes 1000 10000 200000] [--batches 100 10000 100000]

Microseconds of each step, the best of three pipelines of that size. All are to be flat, but for
what makes an index of all that waits, once. "a record" is the intake's, over as many lanes.
"""

import argparse
import time
from collections.abc import Callable, Iterable

from tests.support.driver import Driver
from tests.support.sizes import (
    MIXES,
    record,
    steps_with_batches,
    steps_with_lanes,
    with_batches,
    with_lanes,
)

Steps = dict[str, Callable[[], object]]
ROUNDS = 3


def micros(step: Callable[[], object]) -> float:
    """Return how long it takes."""
    began = time.perf_counter()
    step()
    return (time.perf_counter() - began) * 1e6


def best(make: Callable[[], Steps]) -> dict[str, float]:
    """Return the best time of each step."""
    rounds = [{name: micros(step) for name, step in make().items()} for _ in range(ROUNDS)]
    return {name: min(each[name] for each in rounds) for name in rounds[0]}


def per_record(lanes: int) -> float:
    """Return the microseconds of a record when there are so many lanes already."""
    driver = Driver(buffer_max_ids=10**9)
    values = [
        record(number % lanes, "add", f"c{number}") for number in range(lanes, lanes + 20_000)
    ]
    driver.read(*(record(number, "add", "x") for number in range(lanes)))
    return micros(lambda: driver.read(*values)) / len(values)


def print_table(title: str, sizes: Iterable[int], columns: list[dict[str, float]]) -> None:
    """Print a row for each step, a column for each size."""
    print(f"| {title} | " + " | ".join(f"{size:,}" for size in sizes) + " |")
    print("|---|" + "---|" * len(columns))
    for name in columns[0]:
        print(f"| {name} | " + " | ".join(f"{each[name]:.1f}" for each in columns) + " |")
    print()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lanes", type=int, nargs="+", default=[1_000, 10_000, 200_000])
    parser.add_argument("--batches", type=int, nargs="+", default=[100, 10_000, 100_000])
    options = parser.parse_args()
    columns = []
    for count in options.lanes:
        column = best(lambda: steps_with_lanes(with_lanes(count)))  # noqa: B023 - called at once
        column["a record"] = min(per_record(count) for _ in range(ROUNDS))
        columns.append(column)
    print_table("µs with so many lanes", options.lanes, columns)
    for mix in MIXES:
        columns = [
            best(lambda: steps_with_batches(*with_batches(count, mix)))  # noqa: B023 - called at once
            for count in options.batches
        ]
        print_table(f"µs with so many waiting in one lane: {mix}", options.batches, columns)


if __name__ == "__main__":
    main()
