"""When one more request may start: pace, concurrency, pauses, outages, holds."""

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.core.backoff import FIRST_BACKOFF_SECONDS, MAX_RETRY_AFTER_SECONDS, backoff_seconds
from consumer.core.outcomes import HoldReason, Retry, RetryReason
from consumer.core.throttle import (
    API_HOLDS,
    DECREASE_FACTOR,
    FIRST_PROBE_SECONDS,
    INITIAL_LIMIT,
    TELL_AFTER_SECONDS,
    TELLING_HOLDS,
    HoldState,
    Throttle,
)
from tests.support.driver import Driver
from tests.support.sizes import record

UNAUTHORIZED, REDIRECT = HoldReason.UNAUTHORIZED, HoldReason.REDIRECT
SERVER, TIMEOUT = RetryReason.SERVER, RetryReason.TIMEOUT
CONNECTION, THROTTLED = RetryReason.CONNECTION, RetryReason.THROTTLED


class Desk:
    """A throttle and a clock; a request is its start."""

    def __init__(self, *, ceiling: int = 100, rate: float = 1000.0, cap: float = 60.0) -> None:
        self.now = 1000.0
        self.throttle = Throttle(
            max_in_flight=ceiling, requests_per_second=rate, max_backoff_seconds=cap
        )

    def wait(self, seconds: float) -> "Desk":
        """Let time pass."""
        self.now += seconds
        return self

    def may_start(self) -> bool:
        """Whether a request may start now."""
        return self.throttle.may_start(self.now)

    def is_probing(self) -> bool:
        """Whether requests go out one at a time."""
        return self.throttle.is_probing

    def start(self) -> float:
        """Start a request."""
        assert self.may_start()
        self.throttle.started(self.now)
        return self.now

    def start_all(self) -> list[float]:
        """Start as many as may, and let some time pass."""
        starts = []
        while self.may_start():
            starts.append(self.start())
        self.now += 0.1
        return starts

    def accept(self, start: float) -> None:
        """Answer a request well."""
        self.throttle.accepted(start)

    def fail(
        self,
        start: float,
        reason: RetryReason = SERVER,
        *,
        lane: int = 1,
        after: float | None = None,
        jitter: float = 0.0,
        is_bad: bool = False,
        was_well: bool = True,
    ) -> None:
        """Let a request fail in passing."""
        retry = Retry(reason, "why", ambiguous=True, retry_after_seconds=after)
        self.throttle.failed(retry, lane, start, self.now, jitter, is_bad=is_bad, was_well=was_well)

    def hold(
        self,
        start: float,
        reason: HoldReason = UNAUTHORIZED,
        jitter: float = 0.0,
        *,
        detail: str = "why",
        is_bad: bool = False,
    ) -> bool:
        """Answer a request with a reason to hold; return whether it is a new one."""
        return self.throttle.held(reason, detail, start, self.now, jitter, is_bad=is_bad)

    def wait_until_free(self) -> float:
        """Let time pass until a request may start; return how long it was."""
        pause = max(0.0, self.throttle.earliest_start() - self.now)
        self.wait(pause)
        assert self.may_start()
        return pause


# -- the rate -----------------------------------------------------------------------------------


def starts_of(rate: float, calls: list[float]) -> list[float]:
    """Return the starts of a loop that comes at these times and starts all it may."""
    throttle = Throttle(max_in_flight=10**6, requests_per_second=rate, max_backoff_seconds=60.0)
    starts = []
    for now in calls:
        while throttle.may_start(now):
            throttle.started(now)
            throttle.unsent()
            starts.append(now)
    return starts


def most_in_two_seconds(starts: list[float]) -> int:
    return max((sum(1 for at in starts if s <= at <= s + 2.0 - 1e-9) for s in starts), default=0)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    st.sampled_from([0.1, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 7.3, 40.0]),
    st.lists(st.sampled_from([0.001, 0.01, 0.019, 0.021, 0.1, 0.5, 0.99, 1.0, 2.0, 7.0])),
)
def test_no_window_of_two_seconds_has_more_than_twice_the_rate_and_one(
    rate: float, steps: list[float]
) -> None:
    """Also with a loop that comes late, and then often."""
    calls, now = [], 0.0
    for step in [*steps, *[0.013] * 100]:
        now += step
        calls.append(now)
    assert most_in_two_seconds(starts_of(rate, calls)) <= 2 * rate + 1


@pytest.mark.parametrize("rate", [0.5, 1.0, 10.0, 100.0])
def test_a_loop_that_comes_in_time_gets_the_rate(rate: float) -> None:
    starts = starts_of(rate, [number * 0.005 for number in range(20_000)])
    assert 0.98 * rate * 100 <= len(starts) <= rate * 100 + 1


def test_a_loop_that_comes_every_20_milliseconds_gets_a_high_rate_too() -> None:
    starts = starts_of(1000.0, [number * 0.02 for number in range(500)])
    assert len(starts) >= 0.97 * 1000 * 10


def test_starts_are_evenly_paced_and_not_saved_up() -> None:
    calls = [0.0, 60.0, *(60.0 + number * 0.001 for number in range(1, 500))]
    starts = starts_of(10.0, calls)
    assert starts[:2] == [0.0, 60.0]
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert min(gaps) >= 0.08


def test_the_first_request_starts_at_once() -> None:
    assert Desk(rate=0.01).may_start()


# -- concurrency --------------------------------------------------------------------------------


def test_no_more_are_in_flight_than_the_limit() -> None:
    desk = Desk()
    assert len(desk.start_all()) == INITIAL_LIMIT
    desk.throttle.unsent()
    assert len(desk.start_all()) == 1


def test_the_ceiling_is_never_exceeded() -> None:
    desk = Desk(ceiling=3)
    assert len(desk.start_all()) == 3
    for _ in range(100):
        desk.accept(desk.now)
        desk.start_all()
    assert desk.throttle.in_flight == 3


def test_after_a_limits_worth_of_successes_there_is_one_more() -> None:
    desk = Desk()
    for start in desk.start_all():
        assert desk.throttle.slots == INITIAL_LIMIT
        desk.accept(start)
    assert desk.throttle.slots == INITIAL_LIMIT + 1
    starts = desk.start_all()
    for start in starts[:-1]:
        desk.accept(start)
    assert desk.throttle.slots == INITIAL_LIMIT + 1
    desk.accept(starts[-1])
    assert desk.throttle.slots == INITIAL_LIMIT + 2


@pytest.mark.parametrize("reason", RetryReason)
def test_a_failure_shrinks_the_limit_once_per_round_trip(reason: RetryReason) -> None:
    desk = Desk()
    first, second, third = desk.start(), desk.start(), desk.start()
    desk.wait(0.1).fail(first, reason)
    once = desk.throttle.limit
    assert once == pytest.approx(INITIAL_LIMIT * DECREASE_FACTOR)
    desk.fail(second, reason)
    desk.wait(5.0).accept(third)
    assert desk.throttle.limit == once
    desk.fail(desk.start(), reason)
    assert desk.throttle.limit == pytest.approx(once * DECREASE_FACTOR)


def test_a_request_that_started_right_after_the_limit_shrank_tells_something_new() -> None:
    desk = Desk()
    start = desk.start()
    desk.wait(0.1).fail(start)
    start = desk.start()
    desk.wait(0.1).fail(start)
    assert desk.throttle.limit == pytest.approx(INITIAL_LIMIT * DECREASE_FACTOR**2)


def test_the_limit_never_shrinks_below_one() -> None:
    desk = Desk()
    for _ in range(30):
        desk.wait_until_free()
        start = desk.start()
        desk.wait(1.0).fail(start)
    assert desk.throttle.slots == 1


def test_a_failure_begins_the_count_of_successes_again() -> None:
    desk = Desk()
    starts = desk.start_all()
    for start in starts[:-1]:
        desk.accept(start)
    desk.fail(starts[-1])
    limit = desk.throttle.limit
    for _ in range(math.floor(limit)):
        desk.accept(desk.start())
        desk.wait(0.1)
        assert desk.throttle.limit == limit
    desk.accept(desk.start())
    assert desk.throttle.limit == limit + 1


# -- Retry-After --------------------------------------------------------------------------------


def test_retry_after_of_a_429_pauses_everything() -> None:
    desk = Desk()
    desk.fail(desk.start(), THROTTLED, after=30.0)
    desk.wait(29.9)
    assert not desk.may_start()
    desk.wait(0.1)
    assert desk.may_start()


def test_retry_after_is_capped_at_five_minutes() -> None:
    desk = Desk()
    desk.fail(desk.start(), THROTTLED, after=86400.0)
    desk.wait(MAX_RETRY_AFTER_SECONDS - 0.1)
    assert not desk.may_start()
    desk.wait(0.1)
    assert desk.may_start()
    assert MAX_RETRY_AFTER_SECONDS == 300.0


def test_after_retry_after_requests_go_one_at_a_time_until_a_success() -> None:
    desk = Desk()
    starts = desk.start_all()
    desk.fail(starts.pop(), THROTTLED, after=30.0)
    for start in starts:
        desk.accept(start)  # it started before the pause, and says nothing
    desk.wait(30.0)
    assert desk.is_probing(), "they started before the pause"
    (single,) = desk.start_all()
    desk.fail(single)
    (single,) = desk.start_all()
    desk.accept(single)
    assert not desk.is_probing()
    assert len(desk.start_all()) > 1


def test_a_shorter_retry_after_does_not_shorten_the_pause() -> None:
    desk = Desk()
    first, second = desk.start(), desk.start()
    desk.fail(first, THROTTLED, after=30.0)
    desk.fail(second, THROTTLED, after=1.0)
    desk.wait(29.0)
    assert not desk.may_start()


def test_retry_after_zero_is_no_pause() -> None:
    desk = Desk()
    desk.fail(desk.start(), THROTTLED, after=0.0)
    assert desk.may_start()


# -- outages ------------------------------------------------------------------------------------


def outage(desk: Desk, lanes: int = 8, jitter: float = 0.999, reason: RetryReason = SERVER) -> None:
    """Let one request of each of so many lanes fail."""
    for lane in range(lanes):
        start = desk.start()
        desk.wait(0.1).fail(start, reason, lane=lane, jitter=jitter)


def test_one_failing_lane_does_not_pause_the_others() -> None:
    desk = Desk()
    for reason in (SERVER, TIMEOUT) * 10:
        desk.fail(desk.start(), reason, lane=1, jitter=0.999)
        desk.wait(1.0)
        assert desk.may_start()
    assert not desk.is_probing()


@pytest.mark.parametrize("reason", list(RetryReason))
@pytest.mark.parametrize("lanes", [3, 5, 8])
def test_failures_of_several_lanes_in_a_row_are_an_outage(reason: RetryReason, lanes: int) -> None:
    desk = Desk()
    for number in range(8):
        assert desk.may_start()
        assert not desk.is_probing()
        start = desk.start()
        desk.wait(0.1).fail(start, reason, lane=number % lanes, jitter=0.999)
    assert not desk.may_start()
    assert desk.is_probing()


def test_a_success_between_makes_it_no_outage() -> None:
    desk = Desk()
    for lane in range(50):
        desk.fail(desk.start(), lane=lane, jitter=0.999)
        if lane % 7 == 6:
            desk.accept(desk.start())
        desk.wait(0.1)
        assert desk.may_start()


def test_lanes_that_are_known_to_be_bad_make_no_outage() -> None:
    desk = Desk()
    for lane in range(50):
        start = desk.start()
        desk.wait(0.1).fail(start, lane=lane, jitter=0.999, is_bad=True)
        assert desk.may_start()
    assert not desk.is_probing()


def test_a_bad_lane_that_was_the_probe_is_no_reason_to_probe_at_once_again() -> None:
    desk = Desk()
    outage(desk)
    desk.wait_until_free()
    desk.fail(desk.start(), is_bad=True, jitter=0.5)
    assert not desk.may_start()


def test_a_lane_that_fails_again_does_not_shrink_the_limit_but_is_evidence_of_an_outage() -> None:
    desk = Desk()
    for lane in range(8):
        start = desk.start()
        desk.wait(0.1).fail(start, lane=lane, was_well=False, jitter=0.999)
    assert desk.throttle.limit == INITIAL_LIMIT
    assert desk.is_probing()


def test_a_429_shrinks_the_limit_whoever_gets_it() -> None:
    desk = Desk()
    start = desk.start()
    desk.wait(0.1).fail(start, THROTTLED, was_well=False, is_bad=True)
    assert desk.throttle.limit < INITIAL_LIMIT


def test_an_outage_lets_one_request_through_after_each_pause_and_ends_with_a_success() -> None:
    desk = Desk()
    for lane, start in enumerate(desk.start_all()):
        desk.fail(start, lane=lane, jitter=0.5)
    for _ in range(5):
        desk.wait_until_free()
        (single,) = desk.start_all()
        desk.fail(single, jitter=0.5)
        assert not desk.may_start()
    desk.wait_until_free()
    desk.accept(desk.start())
    assert not desk.is_probing()
    assert desk.may_start()


def test_the_success_of_a_request_from_before_an_outage_ends_it() -> None:
    """While something that took longer succeeded, it was no outage."""
    desk = Desk()
    slow = desk.start()
    for lane in range(8):
        start = desk.start()
        desk.wait(0.1).fail(start, lane=lane, was_well=False, jitter=0.999)
    assert desk.is_probing()
    desk.accept(slow)
    assert desk.may_start()
    assert not desk.is_probing()


def test_the_pauses_of_an_outage_grow_however_many_requests_failed_at_its_beginning() -> None:
    """Each of the requests in flight counted once, so the second pause was the longest one."""
    desk = Desk()
    starts = desk.start_all()
    for lane, start in enumerate([*starts, *starts]):
        desk.throttle.in_flight += lane >= len(starts)
        desk.fail(start, lane=lane, jitter=0.999)
    pauses = []
    for _ in range(14):
        pauses.append(desk.wait_until_free())
        (single,) = desk.start_all()
        desk.fail(single, jitter=0.999)
    assert pauses == pytest.approx([min(60.0, 0.5 * 1.5**n) * 0.999 for n in range(14)], abs=1e-3)


def test_the_next_outage_begins_with_a_short_pause_again() -> None:
    desk = Desk()
    for _ in range(2):
        for lane in range(12):
            desk.wait_until_free()
            start = desk.start()
            desk.wait(0.1).fail(start, lane=lane, jitter=0.999)
        desk.wait_until_free()
        desk.accept(desk.start())
    outage(desk)
    assert 0 < desk.wait_until_free() <= FIRST_BACKOFF_SECONDS


def test_retry_after_of_a_503_is_not_everybodys() -> None:
    desk = Desk()
    desk.fail(desk.start(), SERVER, after=300.0)
    assert desk.may_start()
    assert not desk.is_probing()


def test_retry_after_of_a_503_is_everybodys_when_the_outage_is_sure() -> None:
    """A few probes go on: among many lanes that ask for time, some may be well."""
    desk = Desk()
    outage(desk)
    for lane in range(7):
        assert desk.wait_until_free() < 60.0
        start = desk.start()
        desk.wait(0.1).fail(start, lane=100 + lane, after=200.0, jitter=0.5)
    assert desk.throttle.earliest_start() == pytest.approx(desk.now + 200.0)
    desk.throttle.started(desk.now)  # a stranger, which needn't wait
    desk.wait(0.1).accept(desk.now)
    assert desk.wait_until_free() < 1.0, "who is well shows that it was no outage"


# -- a trouble that is told ---------------------------------------------------------------------

API_DOWN = HoldReason.API_UNAVAILABLE


@pytest.mark.parametrize("reason", [SERVER, TIMEOUT, CONNECTION])
def test_a_trouble_that_lasts_is_told_with_its_beginning_and_what_was_seen_last(
    reason: RetryReason,
) -> None:
    desk = Desk()
    first = desk.now + 1.0
    for lane in range(5):
        start = desk.start()
        desk.wait(1.0).fail(start, reason, lane=lane)
    desk.now = first + TELL_AFTER_SECONDS - 0.01
    assert desk.throttle.tell_trouble(desk.now) is None
    told = desk.throttle.tell_trouble(desk.wait(0.01).now)
    assert told is not None
    assert (told.reason, told.since, told.attempts) == (API_DOWN, first, 5)
    assert told.detail.startswith("why")
    assert desk.throttle.tell_trouble(desk.now) is None, "it is told once"
    desk.fail(desk.start(), reason)
    assert desk.throttle.holds[API_DOWN].attempts == 6
    assert desk.throttle.holds[API_DOWN].since == first
    desk.accept(desk.start())
    assert not desk.throttle.holds
    assert desk.throttle.tell_trouble(desk.wait(100.0).now) is None


def test_what_is_told_stops_nothing() -> None:
    desk = Desk()
    desk.fail(desk.start())
    desk.throttle.tell_trouble(desk.wait(60.0).now)
    for reason in TELLING_HOLDS - {API_DOWN}:
        desk.throttle.hold(reason, "why", desk.now)
    assert desk.throttle.holds.keys() == TELLING_HOLDS
    assert len(desk.start_all()) > 1
    assert not desk.is_probing()
    assert not desk.throttle.is_held


def test_neither_a_429_nor_a_lane_known_to_be_bad_begins_a_trouble() -> None:
    desk = Desk()
    desk.fail(desk.start(), THROTTLED)
    desk.fail(desk.start(), is_bad=True)
    assert desk.throttle.tell_trouble(desk.wait(60.0).now) is None


def test_an_api_that_answers_so_that_it_holds_is_not_told_as_unavailable() -> None:
    desk = Desk()
    desk.fail(desk.start())
    desk.wait(0.1).hold(desk.start())
    desk.wait(2 * TELL_AFTER_SECONDS)
    assert desk.throttle.tell_trouble(desk.now) is None


def test_what_was_told_lasts_until_the_first_success_whatever_else_is_answered() -> None:
    desk = Desk()
    desk.fail(desk.start())
    assert desk.throttle.tell_trouble(desk.wait(TELL_AFTER_SECONDS).now) is not None
    desk.hold(desk.start())
    assert set(desk.throttle.holds) == {HoldReason.API_UNAVAILABLE, UNAUTHORIZED}
    desk.wait_until_free()
    desk.wait(0.1).accept(desk.start())
    assert not desk.throttle.holds


def test_a_success_in_time_begins_the_trouble_anew() -> None:
    desk = Desk()
    for _ in range(10):
        desk.fail(desk.start())
        desk.wait(TELL_AFTER_SECONDS - 0.1)
        assert desk.throttle.tell_trouble(desk.now) is None
        desk.accept(desk.start())


# -- holds --------------------------------------------------------------------------------------


def test_a_hold_stops_everything_for_the_backoff_then_one_probe_at_a_time() -> None:
    desk = Desk()
    starts = desk.start_all()
    assert desk.hold(starts[0])
    assert not desk.may_start()
    for start in starts[1:]:
        assert not desk.hold(start)
    assert desk.wait_until_free() == pytest.approx(FIRST_PROBE_SECONDS)
    desk.start()
    desk.wait(100.0)
    assert not desk.may_start(), "one probe at a time"


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_there_is_at_most_one_probe_per_backoff_and_it_grows_to_its_cap(jitter: float) -> None:
    desk = Desk(cap=60.0)
    desk.hold(desk.start(), jitter=jitter)
    pauses = []
    for _ in range(10):
        pauses.append(desk.wait_until_free())
        probe = desk.start()
        assert not desk.may_start()
        desk.wait(0.1)
        desk.hold(probe, jitter=jitter)
    expected = [FIRST_PROBE_SECONDS, *(min(60.0, 0.5 * 1.5**n) * jitter for n in range(9))]
    assert pauses == pytest.approx(expected)


def test_a_probe_that_fails_otherwise_waits_for_the_next_backoff_too() -> None:
    """The next batch of another lane went out at once: as many probes as lanes."""
    desk = Desk()
    desk.hold(desk.start())
    for lane in range(5):
        desk.wait_until_free()
        probe = desk.start()
        desk.wait(0.1).fail(probe, lane=lane, jitter=0.5)
        assert not desk.may_start()
        assert UNAUTHORIZED in desk.throttle.holds


@pytest.mark.parametrize("reason", sorted(API_HOLDS))
def test_the_success_of_a_probe_ends_the_hold(reason: HoldReason) -> None:
    desk = Desk()
    desk.hold(desk.start(), reason)
    desk.wait_until_free()
    probe = desk.start()
    desk.wait(0.1).accept(probe)
    assert not desk.throttle.holds
    assert len(desk.start_all()) > 1


def test_a_success_that_started_before_the_hold_does_not_end_it() -> None:
    desk = Desk()
    first, second = desk.start(), desk.start()
    desk.wait(1.0).hold(first)
    desk.wait(1.0).accept(second)
    assert UNAUTHORIZED in desk.throttle.holds


def test_a_success_that_started_at_the_very_moment_of_the_hold_does_not_end_it() -> None:
    desk = Desk()
    first, second = desk.start(), desk.start()
    desk.hold(first)
    desk.accept(second)
    assert UNAUTHORIZED in desk.throttle.holds


def test_a_hold_that_comes_back_is_a_new_one_with_a_short_backoff() -> None:
    desk = Desk()
    for _ in range(2):
        desk.wait_until_free()
        start = desk.start()
        assert desk.hold(start, jitter=0.999)
        for _ in range(4):
            desk.wait_until_free()
            start = desk.start()
            desk.wait(0.1)
            assert not desk.hold(start, jitter=0.999)
        desk.wait_until_free()
        probe = desk.start()
        desk.wait(0.1).accept(probe)
    desk.hold(desk.start(), jitter=0.999)
    assert desk.wait_until_free() == pytest.approx(FIRST_PROBE_SECONDS)


def test_a_lane_known_to_be_bad_begins_no_hold_but_is_a_probe_like_any_other() -> None:
    desk = Desk()
    assert not desk.hold(desk.start(), HoldReason.UNEXPECTED_ANSWER, is_bad=True)
    assert not desk.throttle.holds
    assert desk.may_start()
    assert desk.hold(desk.start(), UNAUTHORIZED, is_bad=True), "that is no lane's fault"
    desk.wait_until_free()
    desk.wait(0.1).hold(desk.start(), is_bad=True, jitter=0.5)
    assert not desk.may_start()


def test_a_hold_that_comes_after_an_outage_is_probed_at_once() -> None:
    desk = Desk()
    outage(desk)
    for _ in range(20):
        desk.wait_until_free()
        desk.fail(desk.start(), jitter=0.999)
    desk.wait_until_free()
    desk.hold(desk.start())
    assert desk.wait_until_free() == pytest.approx(FIRST_PROBE_SECONDS)


def test_a_holds_detail_is_what_was_seen_last_and_its_beginning_stays() -> None:
    desk = Desk()
    desk.hold(desk.start(), detail="one")
    began = desk.now
    desk.wait_until_free()
    desk.wait(5.0).hold(desk.start(), detail="two")
    assert desk.throttle.holds[UNAUTHORIZED] == HoldState(UNAUTHORIZED, began, "two", attempts=2)


def test_what_a_probe_sees_replaces_what_was_seen_before_it() -> None:
    desk = Desk()
    desk.hold(desk.start(), UNAUTHORIZED)
    desk.wait_until_free()
    probe = desk.start()
    desk.wait(0.1)
    assert desk.hold(probe, REDIRECT)
    assert set(desk.throttle.holds) == {REDIRECT}


def test_what_requests_from_before_the_hold_see_comes_beside_it() -> None:
    desk = Desk()
    first, second = desk.start(), desk.start()
    desk.wait(1.0).hold(first, UNAUTHORIZED)
    desk.wait(1.0)
    assert desk.hold(second, REDIRECT)
    assert set(desk.throttle.holds) == {UNAUTHORIZED, REDIRECT}
    assert desk.may_start(), "the backoff is the first one's"


@pytest.mark.parametrize("reason", sorted(API_HOLDS))
def test_another_segments_success_shows_that_an_odd_answer_was_one_segments(
    reason: HoldReason,
) -> None:
    """Two bad segments of twenty held the daemon half of the time, though others were well."""
    desk = Desk()
    odd, other = desk.start(), desk.start()
    desk.wait(0.1).hold(odd, reason)
    desk.wait(0.1).accept(other)
    assert bool(desk.throttle.holds) == (reason is not HoldReason.UNEXPECTED_ANSWER)


def test_a_503s_retry_after_is_not_everybodys_while_another_segment_holds() -> None:
    desk = Desk()
    desk.hold(desk.start(), HoldReason.UNEXPECTED_ANSWER)
    for lane in range(20):
        desk.wait_until_free()
        desk.fail(desk.start(), lane=lane, after=300.0, jitter=0.5)
        assert desk.wait_until_free() <= 60.0


def test_all_holds_of_requests_at_once_let_a_probe_through() -> None:
    desk = Desk()
    starts = [desk.start() for _ in API_HOLDS]
    desk.wait(1.0)
    for start, reason in zip(starts, sorted(API_HOLDS), strict=True):
        desk.hold(start, reason)
    assert set(desk.throttle.holds) == API_HOLDS
    assert desk.wait_until_free() == pytest.approx(FIRST_PROBE_SECONDS)


def test_a_hold_says_since_when_and_what_was_seen() -> None:
    desk = Desk()
    start = desk.start()
    desk.wait(1.0).hold(start)
    state = desk.throttle.holds[UNAUTHORIZED]
    assert (state.reason, state.since, state.detail) == (UNAUTHORIZED, 1001.0, "why")


def test_a_small_cap_of_the_backoff_counts_for_probes_too() -> None:
    desk = Desk(cap=0.05)
    desk.hold(desk.start())
    assert desk.wait_until_free() == pytest.approx(0.05)


@pytest.mark.parametrize("reason", sorted(set(HoldReason) - API_HOLDS - TELLING_HOLDS))
def test_a_hold_from_outside_lets_nothing_through_until_it_is_taken_away(
    reason: HoldReason,
) -> None:
    desk = Desk()
    assert desk.throttle.hold(reason, "why", desk.now)
    assert not desk.throttle.hold(reason, "again", desk.now)
    desk.wait(1e6)
    assert not desk.may_start()
    assert desk.throttle.end_hold(reason) == HoldState(reason, 1000.0, "again")
    assert desk.throttle.end_hold(reason) is None
    assert desk.may_start()


def test_a_success_ends_no_hold_from_outside() -> None:
    desk = Desk()
    desk.hold(desk.start())
    desk.wait_until_free()
    probe = desk.start()
    desk.throttle.hold(HoldReason.STALLED, "why", desk.now)
    desk.wait(0.1).accept(probe)
    assert set(desk.throttle.holds) == {HoldReason.STALLED}
    assert not desk.may_start()


# -- the backoff of a batch ---------------------------------------------------------------------


@pytest.mark.parametrize("cap", [0.1, 1.0, 60.0])
def test_a_backoff_is_exponential_with_full_jitter_up_to_its_cap(cap: float) -> None:
    for attempts in (1, 2, 3, 8, 31, 10**6):
        assert backoff_seconds(attempts, cap, 0.0) == 0.0
        ceiling = min(cap, 0.5 * 2.0 ** min(attempts - 1, 100))
        assert backoff_seconds(attempts, cap, 0.25) == pytest.approx(0.25 * ceiling)


# -- all of it ----------------------------------------------------------------------------------


def test_whatever_happens_it_never_stands_still_for_ever() -> None:
    """Random answers; then, once the API is well and all is answered, a request may start soon."""
    for seed in range(100):
        dice = random.Random(seed)
        desk = Desk(ceiling=dice.choice([1, 3, 20]), rate=dice.choice([0.3, 5.0, 100.0]))
        running: list[float] = []
        for _ in range(200):
            desk.wait(dice.choice([0.0, 0.01, 1.0, 30.0]))
            if desk.may_start() and dice.random() < 0.7:
                running.append(desk.start())
            elif running:
                start = running.pop(dice.randrange(len(running)))
                what = dice.randrange(5)
                if what == 0:
                    desk.accept(start)
                elif what == 1:
                    desk.hold(start, dice.choice(sorted(API_HOLDS)), dice.random())
                elif what == 2:
                    desk.throttle.unsent()
                else:
                    reason = dice.choice(list(RetryReason))
                    after = dice.choice([None, None, 5.0, 900.0])
                    lane = dice.randrange(4)
                    desk.fail(start, reason, lane=lane, after=after, jitter=dice.random())
            assert desk.throttle.in_flight == len(running)
            assert desk.throttle.limit >= 1
        for start in running:
            desk.accept(start)
        desk.wait(MAX_RETRY_AFTER_SECONDS)
        desk.wait_until_free()
        probe = desk.start()
        desk.wait(0.1).accept(probe)
        assert not desk.is_probing()


@pytest.mark.parametrize("lanes", [1, 2, 3, 20])
def test_429_without_retry_after_is_everybodys_however_few_segments_there_are(lanes: int) -> None:
    driver = Driver(batch_max_ids=10)
    driver.read(*(record(1 + n % lanes, "add", f"a{n}") for n in range(2000)))
    driver.wait()
    attempts = 0
    for _ in range(6000):
        for attempt in driver.attempts():
            attempts += 1
            driver.answer(attempt, Retry(THROTTLED, "429", ambiguous=False), jitter=0.7)
        driver.wait(0.1)
    assert attempts < 100
