"""What ``/status`` and ``/history`` say: of the real loop, in a world of a test's own."""

from collections.abc import Callable
from typing import Any

import pytest

from consumer.core.attempts import Attempt
from consumer.core.metrics import BY_NAME
from consumer.core.outcomes import Answer, Answered
from consumer.core.snapshot import Identity, Snapshot
from consumer.core.tally import Tally
from consumer.engine.ports import Trouble, View
from consumer.observability.history import MAX_STEPS, History, quantile
from consumer.observability.status import Reporter
from tests.support.loop_world import ACCEPTED, TOPIC, World
from tests.support.records import event

IDENTITY = Identity("a-host", "a-group", "2026-01-02T03:04:05.678Z", "https://api.invalid")
UNAVAILABLE = Answered(503, b"no")
LATENCIES = BY_NAME["delivery_latency_seconds"].buckets
GAUGES: dict[str, float | None] = {"lag": 3, "held_ids": 2, "concurrency_limit": 1}


def failing(*segments: int, answer: Answer = UNAVAILABLE) -> Callable[[Attempt], Answer]:
    """Return an API that answers so to these segments, and accepts all else."""
    return lambda attempt: answer if attempt.batch.lane.segment_id in segments else ACCEPTED


def snapshot(world: World) -> Snapshot:
    """Return what was published last."""
    assert world.published is not None
    return Reporter(IDENTITY).snapshot(world.published, 1.7e9 + world.published.at)


def status(world: World) -> dict[str, Any]:
    """Return the status that was published last."""
    return dict(snapshot(world).status)


def segment_of(first: int, others: int) -> Callable[[int, int], bytes]:
    """Return records: each partition's first is for segment ``first``, then ``others`` take turns.

    Thousands of ids each wait in theirs, so that one alone is never among the busiest.
    """

    def value_of(partition: int, offset: int) -> bytes:
        segment = first if offset == 0 else 100 + offset % others
        return event("add", f"c{partition}-{offset}", segment=segment)

    return value_of


def test_a_segment_that_is_stuck_with_one_id_comes_first_whatever_else_waits() -> None:
    world = World(segment_of(7, others=40), per_second=2000.0, requests_per_second=20.0)
    world.answer = failing(7)
    world.run_until(60)
    segments = status(world)["segments"]
    assert len(segments) == 20
    first = segments[0]
    assert (first["segment_id"], first["id_type"]) == (7, "id")
    assert first["pending"] + first["in_flight"] == 1
    assert first["oldest_seconds"] > 50
    assert first["attempts"] >= 3
    assert first["last_error"] == "503 with 2 bytes of text"
    assert first["last_error_at"] > "2023-11-14"
    assert not [each for each in segments[1:] if each["last_error"]]


def test_the_failing_come_first_then_the_oldest() -> None:
    world = World(segment_of(7, others=40), per_second=2000.0, requests_per_second=20.0)
    world.answer = failing(7, 103, 117)
    world.run_until(60)
    segments = status(world)["segments"]
    assert {each["segment_id"] for each in segments[:3]} == {7, 103, 117}
    for part in (segments[:3], segments[3:]):
        ages = [each["oldest_seconds"] for each in part]
        assert ages == sorted(ages, reverse=True)


def test_an_error_goes_when_it_is_over() -> None:
    world = World(segment_of(7, others=2), records=2000)
    world.answer = failing(7)
    world.run_until(30)
    assert status(world)["segments"][0]["last_error_at"] is not None
    world.answer = failing()
    world.run_until(120)
    shown = status(world)
    assert shown["segments"] == []
    assert (shown["api"]["last_error"], shown["api"]["last_error_at"]) == (None, None)
    assert shown["api"]["last_success_at"] is not None


def test_the_apis_last_error_has_its_time() -> None:
    world = World(segment_of(7, others=1), records=1)
    world.answer = failing(7)
    world.run_until(30)
    api = status(world)["api"]
    assert api["last_error"] == "503 with 2 bytes of text"
    assert api["last_error_at"] is not None
    assert api["last_success_at"] is None


def test_a_partition_says_which_batch_keeps_its_commit_back() -> None:
    world = World(segment_of(7, others=3), records=3000, partitions=1)
    world.answer = failing(7)
    world.observer.view = View(asked=True, ends={(TOPIC, 0): 5000})
    world.run_until(60)
    (partition,) = status(world)["partitions"]
    blocked_by = partition["blocked_by"]
    assert (blocked_by["segment_id"], blocked_by["id_type"]) == (7, "id")
    assert 50 < blocked_by["age_seconds"] < 61
    assert blocked_by["attempts"] >= 3
    assert blocked_by["last_error"] == "503 with 2 bytes of text"
    assert (partition["position"], partition["committed"]) == (3000, 0)
    assert (partition["lag"], partition["unread"]) == (5000, 2000)


def test_nothing_keeps_back_a_commit_of_what_is_settled() -> None:
    world = World(segment_of(7, others=3), records=3000)
    world.run_until(60)
    (partition,) = status(world)["partitions"]
    assert partition["blocked_by"] is None
    assert partition["committed"] == 3000
    assert partition["unread"] is None, "nobody has said yet where the partition ends"


def test_a_dead_letter_on_its_way_keeps_the_commit_back_and_shows_no_detail_of_it() -> None:
    world = World(lambda _, offset: b"{" if offset == 0 else event("add", "x"), records=2)
    world.acknowledges = False
    world.run_until(20)
    (partition,) = status(world)["partitions"]
    assert partition["blocked_by"] | {"age_seconds": 0} == {
        "segment_id": None,
        "id_type": None,
        "age_seconds": 0,
        "attempts": 0,
        "last_error": "a dead letter (malformed) waits for the broker",
    }


def test_a_refused_batch_says_that_its_dead_letter_is_waited_for() -> None:
    world = World(segment_of(7, others=1), records=1)
    world.answer = failing(7, answer=Answered(400, b"c0-0 is no id"))
    world.acknowledges = False
    world.run_until(20)
    (partition,) = status(world)["partitions"]
    blocked_by = partition["blocked_by"]
    assert blocked_by["segment_id"] == 7
    expected = "refused by the API with 400; its dead letter waits for the broker"
    assert blocked_by["last_error"] == expected


def test_a_hold_of_the_api_says_when_the_next_probe_is_and_one_of_kafka_does_not() -> None:
    world = World(segment_of(7, others=1), records=100)
    world.answer = failing(7, 100, answer=Answered(401, b"{}"))
    world.run_until(30)
    (hold,) = status(world)["holds"]
    assert hold["reason"] == "unauthorized"
    assert hold["next_probe"] > hold["since"]
    world.observer.view = View(asked=True, unreachable="all brokers are down")
    world.answer = failing()
    world.run_until(150)
    (hold,) = status(world)["holds"]
    assert (hold["reason"], hold["next_probe"]) == ("kafka-unavailable", None)


def test_a_refused_login_is_the_reason_and_not_that_brokers_are_down() -> None:
    world = World(segment_of(7, others=1), records=100).run_until(1)
    world.observer.view = View(asked=True, unreachable="Local: Broker transport failure")
    world.loop.kafka_error(Trouble("_ALL_BROKERS_DOWN", "1/1 brokers are down"))
    refusal = "login refused: Authentication failed"
    world.loop.kafka_error(Trouble("_AUTHENTICATION", refusal, is_refusal=True))
    world.loop.kafka_error(Trouble("_ALL_BROKERS_DOWN", "1/1 brokers are down"))
    world.run_until(3)
    assert snapshot(world).not_ready == (refusal,)
    world.run_until(30)
    (hold,) = status(world)["holds"]
    assert (hold["reason"], hold["detail"]) == ("kafka-unavailable", refusal)
    world.loop.kafka_error(Trouble("_TRANSPORT", "Connection refused"))
    world.run_until(32)
    assert snapshot(world).not_ready != (refusal,), "it is something else now"
    world.observer.view = View(asked=True)
    world.run_until(34)
    assert snapshot(world).not_ready == ()


def test_the_status_says_which_process_it_is_of() -> None:
    shown = status(World(segment_of(7, others=1)).run_until(1))
    assert (shown["host"], shown["group"]) == ("a-host", "a-group")
    assert shown["started"] == "2026-01-02T03:04:05.678Z"
    assert shown["api"]["url"] == "https://api.invalid"


# -- the history -----------------------------------------------------------------------------------


def test_the_history_has_a_step_every_ten_seconds_and_an_hour_at_most() -> None:
    history, tally = History(), Tally()
    for tenths in range(0, 2 * 36_000, 2):
        tally.add("ids_total", "add", "delivered", n=3)
        history.turn(tally.freeze(), lambda: GAUGES, 50 + tenths / 10, 1.7e9 + tenths / 10)
    assert len(history.steps) == MAX_STEPS == 360
    assert {step["delivered"] for step in history.steps} == {150}
    times = [str(step["at"]) for step in history.steps]
    assert times == sorted(set(times))


def test_a_step_has_what_happened_in_it() -> None:
    history, tally = History(), Tally()
    tally.add("requests_total", "add", "200", n=5)
    history.turn(tally.freeze(), lambda: GAUGES, 100.0, 1.7e9)
    tally.add("ids_total", "add", "delivered", n=2)
    tally.add("ids_total", "remove", "delivered", n=1)
    tally.add("ids_total", "add", "duplicate", n=9)
    for action, label in (("add", "200"), ("remove", "200"), ("add", "503")):
        tally.add("requests_total", action, label)
    tally.observe(0.2, "delivery_latency_seconds")
    history.turn(tally.freeze(), lambda: GAUGES, 109.9, 1.7e9 + 9.9)
    before = history.steps
    history.turn(tally.freeze(), lambda: GAUGES, 110.1, 1.7e9 + 10.1)
    assert not before
    (step,) = history.steps
    assert step == {
        "at": "2023-11-14T22:13:30.100Z",
        "seconds": 10.1,
        "delivered": 3,
        "requests": {"200": 2, "503": 1},
        "latency_p50_seconds": 0.3,
        "latency_p95_seconds": 0.48,
        **GAUGES,
    }


def test_a_loop_that_stood_still_makes_one_long_step_and_keeps_its_pace() -> None:
    history, tally = History(), Tally()
    for at in (100.0, 165.0, 170.0, 175.0):
        history.turn(tally.freeze(), lambda: GAUGES, at, 1.7e9 + at)
    assert [step["seconds"] for step in history.steps] == [65.0, 5.0]


@pytest.mark.parametrize(
    ("counts", "share", "value"),
    [
        ((0,) * 14, 0.5, None),
        ((10,) + (0,) * 13, 0.5, 0.05),
        ((0, 0, 4) + (0,) * 11, 0.5, 0.75),
        ((1, 0, 0, 1) + (0,) * 10, 0.95, 2.35),
        ((0,) * 13 + (5,), 0.95, 86400),
    ],
)
def test_a_quantile_lies_within_its_bucket(
    counts: tuple[int, ...], share: float, value: float | None
) -> None:
    assert quantile(LATENCIES, counts, share) == value


def test_the_real_loop_is_in_its_history() -> None:
    world, reporter = World(segment_of(7, others=2), records=1000), Reporter(IDENTITY)
    for seconds in range(1, 61):
        world.run_until(seconds)
        assert world.published is not None
        shown = reporter.snapshot(world.published, 1.7e9 + world.published.at)
    assert len(shown.history) >= 5
    assert sum(int(str(step["delivered"])) for step in shown.history) == 1000
