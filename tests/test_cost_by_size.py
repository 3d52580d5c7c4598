"""What must not cost more when there are more lanes or more waiting batches: calls are counted."""

import sys
from collections.abc import Callable
from functools import cache

import pytest

from tests.support.sizes import (
    MIXES,
    steps_with_batches,
    steps_with_lanes,
    with_batches,
    with_lanes,
)

SMALL, BIG = 1_000, 10_000
STEPS = tuple(steps_with_lanes(with_lanes(1)))


def calls(function: Callable[[], object]) -> int:
    """Return how many calls and resumptions of generators ``function`` makes."""
    count = 0

    def note(_: object, event: str, __: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("name", STEPS)
def test_i7_a_step_costs_the_same_with_ten_times_the_lanes(name: str) -> None:
    small, big = (costs_with_lanes(count)[name] for count in (SMALL, BIG))
    assert big <= small * 1.5 + 50


@cache
def costs_with_lanes(count: int) -> dict[str, int]:
    return {name: calls(step) for name, step in steps_with_lanes(with_lanes(count)).items()}


@pytest.mark.parametrize("mix", MIXES)
def test_i7_a_lane_goes_on_at_the_same_cost_with_ten_times_the_waiting_batches(mix: str) -> None:
    small, big = (costs_with_batches(count, mix) for count in (SMALL, BIG))
    for name in small:
        assert big[name] <= small[name] * 1.5 + 50, name


def costs_with_batches(count: int, mix: str) -> dict[str, int]:
    steps = steps_with_batches(*with_batches(count, mix))
    return {name: calls(step) for name, step in steps.items()}
