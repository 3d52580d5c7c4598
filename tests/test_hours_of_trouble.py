"""What fails stays where it fails (I4, I8): hours of it, for some segments or for all, in seconds.

All numbers are examples: each rule is tried with several seeds, statuses and shares.
"""

import random
from collections.abc import Callable, Iterable

import pytest

from consumer.core.outcomes import Answer, Answered, Broken, HoldReason, TimedOut
from tests.support.hours import OK, Hours

SOON_SECONDS = 20.0
HOUR = 3600.0
CAP_SECONDS = 60.0

UNAVAILABLE = Answered(503)
PATIENT = Answered(503, b"", 300.0)
CONFLICT = Answered(409, b"{}")
FAILURES = [
    pytest.param(Answered(500, b"{}"), id="500"),
    pytest.param(UNAVAILABLE, id="503"),
    pytest.param(Answered(599), id="599"),
    pytest.param(PATIENT, id="503 with Retry-After"),
    pytest.param(TimedOut("timed out"), id="timeout"),
    pytest.param(Broken("reset"), id="reset"),
]


def failing(bad: Iterable[int], answer: Answer) -> Callable[[int, float], Answer]:
    """Return an API that gives some segments this answer for ever."""
    segments = frozenset(bad)
    return lambda segment, _: answer if segment in segments else OK


def until_all_that_are_well_are_through(hours: Hours, bad: int) -> float:
    """Return how long it took until each segment that doesn't fail had a delivery."""
    well = hours.segments - bad
    return hours.run(HOUR, lambda: len(hours.well) >= well).now


# -- some fail, the others don't wait -------------------------------------------------------------


@pytest.mark.parametrize("answer", FAILURES)
def test_i4_the_first_forty_of_400_that_fail_for_ever_keep_the_others_from_nothing(
    answer: Answer,
) -> None:
    """It took 1,057 s: every probe of the outage was one of those that had just failed."""
    hours = Hours(400, failing(range(1, 41), answer))
    assert until_all_that_are_well_are_through(hours, 40) < SOON_SECONDS


@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize(
    ("segments", "bad", "latency"),
    [(400, 200, 0.02), (400, 200, 0.2), (100, 20, 0.1), (30, 25, 0.1), (12, 11, 0.05)],
)
def test_i4_however_many_fail_those_that_are_well_are_through_soon(
    segments: int, bad: int, latency: float, seed: int
) -> None:
    draw = random.Random(seed)
    answer = draw.choice((UNAVAILABLE, PATIENT))
    failing_ones = draw.sample(range(1, segments + 1), bad)
    hours = Hours(segments, failing(failing_ones, answer), seed=seed, latency=latency)
    assert until_all_that_are_well_are_through(hours, bad) < SOON_SECONDS


@pytest.mark.parametrize("bad", [1, 3, 6, 12])
@pytest.mark.parametrize("answer", FAILURES)
def test_i4_a_segment_that_comes_late_waits_for_no_outage_of_the_same_few(
    answer: Answer, bad: int
) -> None:
    """Nobody else had anything to send for ten minutes: the few looked like everybody."""
    hours = Hours(bad + 1, failing(range(1, bad + 1), answer), seed=bad, work=0)
    hours.read(range(1, bad + 1))
    hours.run(600.0)
    hours.read([bad + 1])
    hours.run(HOUR, lambda: bool(hours.delivered))
    assert hours.now - 600.0 < SOON_SECONDS


def rate_beside(bad: set[int], segments: int, answer: Answer, seed: int) -> float:
    """Return the rate of those that are well, as a share of what it is without the bad ones."""
    everybody = frozenset(range(1, segments + 1))
    hours = Hours(segments, failing(bad, answer), seed, 0.25, flowing=everybody).run(60.0)
    alone = Hours(segments, failing((), OK), seed, 0.25, flowing=everybody - bad).run(60.0)
    assert not hours.pipeline.throttle.holds
    return len(hours.delivered) / len(alone.delivered)


@pytest.mark.parametrize("bad", [{7}, {1, 2, 3}, set(range(1, 11))])
@pytest.mark.parametrize("answer", [UNAVAILABLE, PATIENT, Answered(524, b"", 17.0)])
def test_i4_segments_that_are_well_keep_their_rate_beside_bad_ones(
    answer: Answer, bad: set[int]
) -> None:
    """One segment's ``Retry-After: 300`` made 241 requests an hour of 7,095."""
    assert rate_beside(bad, 21, answer, seed=len(bad)) >= 0.9


@pytest.mark.parametrize("seed", range(1, 3))
@pytest.mark.parametrize("status", [409, 401, 301])
def test_i8_a_segment_that_shows_a_hold_takes_next_to_nothing_from_the_others(
    status: int, seed: int
) -> None:
    """It took two thirds of their rate: the lane came again and again, and was the probe, too."""
    assert rate_beside({1 + seed}, 20, Answered(status, b"{}"), seed) >= 0.9


@pytest.mark.parametrize("answer", [UNAVAILABLE, CONFLICT])
def test_a_bad_segment_is_tried_less_and_less_though_others_succeed(answer: Answer) -> None:
    everybody = frozenset(range(1, 21))
    hours = Hours(20, failing({3}, answer), flowing=everybody, requests_per_second=4.0).run(HOUR)
    tries = [at for at, segment in hours.sent if segment == 3]
    assert HOUR / CAP_SECONDS <= len(tries) <= 4 * HOUR / CAP_SECONDS
    assert tries[4] < CAP_SECONDS, "it begins with short waits"


# -- all fail -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(1, 3))
@pytest.mark.parametrize("segments", [1, 2, 5, 20, 400])
@pytest.mark.parametrize("answer", [UNAVAILABLE, Broken("refused", ambiguous=False), CONFLICT])
def test_i8_an_outage_sees_single_probes_under_a_growing_backoff_and_ends_for_all_at_once(
    answer: Answer, segments: int, seed: int
) -> None:
    hours = Hours(segments, lambda _, at: answer if at < HOUR else OK, seed=seed, work=3)
    hours.run(HOUR)
    per_cap = hours.requests(HOUR / 6, HOUR) / ((HOUR - HOUR / 6) / CAP_SECONDS)
    assert per_cap <= (2.6 if segments != 2 else 5.0), "two on average, as the jitter is full"
    assert hours.requests(0.0, 60.0) <= 45
    assert hours.requests(60.0, HOUR / 6) <= 45
    hours.run(2 * HOUR, lambda: bool(hours.delivered))
    first = hours.now
    assert first <= HOUR + CAP_SECONDS + 1.0
    hours.run(2 * HOUR, lambda: len(hours.delivered) == 3 * segments)
    assert hours.now - first <= 2.0 + 3 * segments * 0.15 / 4, "the others go on at once"


@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("segments", [5, 60])
def test_an_outage_that_asks_for_time_gets_it(segments: int, seed: int) -> None:
    hours = Hours(segments, lambda _, at: PATIENT if at < HOUR else OK, seed=seed, work=2)
    hours.run(HOUR)
    assert hours.requests(120.0, HOUR) <= 1.5 * HOUR / 300.0 * min(segments, 8) + 10


@pytest.mark.parametrize("answer", [UNAVAILABLE, CONFLICT, Answered(401)])
def test_who_was_in_an_outage_is_not_known_as_bad(answer: Answer) -> None:
    hours = Hours(20, lambda _, at: answer if at < HOUR else OK, work=2)
    hours.run(2 * HOUR)
    assert len(hours.delivered) == 40
    assert not hours.pipeline.throttle.is_probing


def test_a_hold_of_all_ends_with_the_first_success() -> None:
    hours = Hours(50, lambda _, at: Answered(401) if at < 600.0 else OK).run(600.0)
    assert set(hours.pipeline.throttle.holds) == {HoldReason.UNAUTHORIZED}
    hours.run(HOUR, lambda: bool(hours.delivered))
    first = hours.now
    assert not hours.pipeline.throttle.holds
    hours.run(HOUR, lambda: len(hours.delivered) == 50)
    assert hours.now - first < 5.0
