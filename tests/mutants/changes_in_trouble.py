"""Changes to how trouble is told apart and waited out: a segment's, some segments', the API's."""

from tests.mutants.mutant import Mutant

TROUBLE: tuple[Mutant, ...] = (
    Mutant(
        name="probes-begin-at-the-head-of-the-queue",
        breaks="I4",
        file="consumer/core/pipeline.py",
        old="turns.begin_elsewhere()",
        new="pass",
        tests=("tests/test_hours_of_trouble.py",),
    ),
    Mutant(
        name="lanes-that-fail-queue-among-the-others",
        breaks="I4",
        file="consumer/core/turns.py",
        old="while self._queue and (self._queue[0][1].failures or not _counts(self._queue[0])):",
        new="while self._queue and not _counts(self._queue[0]):",
        tests=(
            "tests/test_hours_of_trouble.py",
            "tests/test_lanes.py",
        ),
    ),
    Mutant(
        name="a-lane-that-is-slow-and-fails-may-have-all-slots",
        breaks="I4",
        file="consumer/core/pipeline.py",
        old="lane.has_its_share(self.throttle.slots) and not (",
        new="lane.doubts < 0 and not (",
        tests=(
            "tests/test_lanes.py",
            "tests/test_collapse.py",
        ),
    ),
    Mutant(
        name="a-drain-leaves-half-of-the-slots-to-nobody",
        breaks="I9",
        file="consumer/core/pipeline.py",
        old="latest_start < math.inf or self._buffer.has_one_lane()",
        new="self._buffer.has_one_lane()",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-lane-with-its-share-waits-for-its-own-answers",
        breaks="I4",
        file="consumer/core/pipeline.py",
        old="self._turns.enqueue(lane)",
        new="pass",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="the-only-lane-leaves-half-of-the-slots-to-nobody",
        breaks="I4",
        file="consumer/core/pipeline.py",
        old="latest_start < math.inf or self._buffer.has_one_lane()",
        new="latest_start < math.inf",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-lane-that-fails-at-once-has-half-of-the-slots",
        breaks="I4",
        file="consumer/core/lanes.py",
        old="if took_seconds > SLOW_SECONDS and (failed or self.failures):",
        new="if failed or self.failures:",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-slow-success-makes-up-for-a-failure",
        breaks="I4",
        file="consumer/core/lanes.py",
        old="if took_seconds > SLOW_SECONDS and (failed or self.failures):",
        new="if took_seconds > SLOW_SECONDS and failed:",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="one-success-makes-up-for-all-failures",
        breaks="I4",
        file="consumer/core/lanes.py",
        old="self.doubts = max(self.doubts - 1, 0)",
        new="self.doubts = 0",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="one-failing-lane-is-an-outage",
        breaks="I4",
        file="consumer/core/throttle.py",
        old="_OUTAGE_FAILURES = 8",
        new="_OUTAGE_FAILURES = 2",
        tests=("tests/test_throttle.py",),
    ),
    Mutant(
        name="a-lane-known-to-be-bad-is-evidence-of-an-outage",
        breaks="I4",
        file="consumer/core/throttle.py",
        old="""
        if not is_bad:
            self._failures += 1
        """,
        new="""
        if lane:
            self._failures += 1
        """,
        tests=("tests/test_throttle.py",),
    ),
    Mutant(
        name="a-lane-that-fails-again-shrinks-the-limit",
        breaks="I4",
        file="consumer/core/throttle.py",
        old="if is_throttled or was_well:",
        new="if is_throttled or not is_bad:",
        tests=(
            "tests/test_throttle.py",
            "tests/test_hours_of_trouble.py",
        ),
    ),
    Mutant(
        name="a-503s-retry-after-is-everybodys",
        breaks="I4",
        file="consumer/core/throttle.py",
        old="if is_throttled and retry.retry_after_seconds is not None:",
        new="if retry.retry_after_seconds is not None:",
        tests=(
            "tests/test_throttle.py",
            "tests/test_hours_of_trouble.py",
        ),
    ),
    Mutant(
        name="a-503s-retry-after-is-nobodys",
        breaks="backoff",
        file="consumer/core/attempts.py",
        old="                lane.ask(now, asked_seconds)",
        new="                pass",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-lane-that-shows-a-hold-does-not-wait",
        breaks="I8",
        file="consumer/core/attempts.py",
        old="lane.showed_hold = True",
        new="pass",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-bad-lane-holds-everybody-for-ever",
        breaks="I8",
        file="consumer/core/throttle.py",
        old="if not before and is_bad and reason is HoldReason.UNEXPECTED_ANSWER:",
        new="if not before and not reason:",
        tests=("tests/test_throttle.py",),
    ),
    Mutant(
        name="no-trouble-counts-as-separate",
        breaks="backoff",
        file="consumer/core/attempts.py",
        old="backoff.troubles += 1",
        new="pass",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="the-end-of-an-outage-is-not-everybodys",
        breaks="I4",
        file="consumer/core/attempts.py",
        old="if backoff.trouble_over(now, self._rules.max_backoff_seconds, jitter):",
        new="if not lane:",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="each-attempt-side-by-side-doubles-the-backoff",
        breaks="backoff",
        file="consumer/core/backoff.py",
        old="if started_at >= self.failed_at:",
        new="if started_at > -math.inf:",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-batch-that-has-to-wait-keeps-younger-ones-back",
        breaks="I4",
        file="consumer/core/leaving.py",
        old="""
        elif not batch.is_open:  # that one may yet get others
            batch.blocked_at = lane.landings
""",
        new="""
        elif not batch.is_open:  # that one may yet get others
            break
""",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-batch-in-backoff-keeps-younger-ones-back",
        breaks="I4",
        file="consumer/core/leaving.py",
        old="if lane.waits_until() > now or (lane.is_failing() and lane.in_flight):",
        new="""
    rests = any(batch.not_before > now for batch in lane.backlog.tried())
    if rests or lane.waits_until() > now or (lane.is_failing() and lane.in_flight):
""",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-524-was-never-applied",
        breaks="I2",
        file="consumer/core/outcomes.py",
        old="return Retry(RetryReason.SERVER, detail, True, wait_seconds)",
        new="return Retry(RetryReason.SERVER, detail, status in {408, 502, 504}, wait_seconds)",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-dead-api-is-told-after-minutes",
        breaks="I8",
        file="consumer/core/throttle.py",
        old="TELL_AFTER_SECONDS = 14.0",
        new="TELL_AFTER_SECONDS = 16.0",
        tests=("tests/test_trouble_is_told.py",),
    ),
    Mutant(
        name="what-is-told-stops-everything",
        breaks="I8",
        file="consumer/core/throttle.py",
        old="_PASSABLE = API_HOLDS | TELLING_HOLDS",
        new="_PASSABLE = ENDED_BY_A_REQUEST",
        tests=("tests/test_throttle.py",),
    ),
    Mutant(
        name="what-is-told-lets-probes-through-alone",
        breaks="I8",
        file="consumer/core/throttle.py",
        old="not self.holds.keys() <= TELLING_HOLDS",
        new="bool(self.holds)",
        tests=("tests/test_throttle.py",),
    ),
    Mutant(
        name="a-dead-api-is-told-for-ever",
        breaks="I8",
        file="consumer/engine/requests.py",
        old="if not pipeline.held_ids and not throttle.in_flight:",
        new="if pipeline is None:",
        tests=("tests/test_trouble_is_told.py",),
    ),
    Mutant(
        name="a-dead-api-is-told-where-it-began",
        breaks="I8",
        file="consumer/core/throttle.py",
        old="""
        if HoldReason.API_UNAVAILABLE in self.holds:
            self.holds[HoldReason.API_UNAVAILABLE] = self._trouble
        """,
        new="        pass",
        tests=(
            "tests/test_throttle.py",
            "tests/test_trouble_is_told.py",
        ),
    ),
    Mutant(
        name="a-429-of-few-segments-slows-nobody",
        breaks="I8",
        file="consumer/core/throttle.py",
        old="is_throttled or len(self._failed_lanes) >= _OUTAGE_LANES",
        new="len(self._failed_lanes) >= _OUTAGE_LANES",
        tests=("tests/test_throttle.py",),
    ),
    Mutant(
        name="who-gets-a-429-is-a-stranger-for-ever",
        breaks="I8",
        file="consumer/core/throttle.py",
        old="is_stranger = is_throttled or (not is_bad and lane not in self._failed_lanes)",
        new="is_stranger = not is_bad and lane not in self._failed_lanes",
        tests=("tests/test_throttle.py",),
    ),
    Mutant(
        name="an-odd-answer-is-everybodys-whoever-is-well-meanwhile",
        breaks="I8",
        file="consumer/core/throttle.py",
        old="if started_at > hold.since or hold.reason is HoldReason.UNEXPECTED_ANSWER:",
        new="if started_at > hold.since:",
        tests=("tests/test_throttle.py",),
    ),
    Mutant(
        name="a-stranger-waits-for-an-outage-of-the-same-few",
        breaks="I4",
        file="consumer/core/throttle.py",
        old="self._strangers if is_stranger and not self._api_holds() else self._everybody",
        new="self._everybody",
        tests=("tests/test_hours_of_trouble.py",),
    ),
    Mutant(
        name="strangers-hammer-in-an-outage",
        breaks="I8",
        file="consumer/core/throttle.py",
        old="self._strangers.fail(started_at, now, self._max_backoff_seconds, jitter, _GROWTH)",
        new="pass",
        tests=("tests/test_hours_of_trouble.py",),
    ),
    Mutant(
        name="one-segments-retry-after-outlives-the-outage",
        breaks="I8",
        file="consumer/core/throttle.py",
        old="self._everybody.wait(now, retry.retry_after_seconds)",
        new="self._everybody.ask(now, retry.retry_after_seconds)",
        tests=("tests/test_throttle.py",),
    ),
    Mutant(
        name="pressure-flushes-the-newest",
        breaks="I4",
        file="consumer/core/buffer.py",
        old="batch, _ = self._open.popitem(last=False)",
        new="batch, _ = self._open.popitem()",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="a-refused-login-is-told-as-an-api-that-is-away",
        breaks="I8",
        file="consumer/core/throttle.py",
        old="self._trouble = None  # what answers so is there",
        new="pass",
        tests=("tests/test_throttle.py",),
    ),
)
