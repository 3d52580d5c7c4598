"""The core as its owner sees it: linger and turns, partitions that go, dead letters, counts."""

import json
import math
import sys

import pytest

from consumer.core.dead_letters import DeadLetter, DeadLetterReason, Headers
from consumer.core.ledger import Ledger
from consumer.core.notes import MAX_NOTES, Note, Notes
from consumer.core.outcomes import HoldReason, Outcome, Retry, RetryReason, Unsent
from consumer.core.refusals import MAX_PENDING_DEAD_LETTER_BYTES, MAX_PENDING_DEAD_LETTERS
from consumer.core.throttle import HoldState
from tests.support.driver import (
    DELIVERED,
    LINGER,
    NO_SEGMENT,
    NOT_CONNECTED,
    REFUSED,
    THROTTLED,
    TIMED_OUT,
    TIMEOUT,
    UNAUTHORIZED,
    UNAVAILABLE,
    Driver,
    describe,
)
from tests.support.records import FakeMessage, event


def names(count: int, first: int = 0) -> list[str]:
    return [f"id-{number}" for number in range(first, first + count)]


def ids_of(dead_letter: DeadLetter) -> list[str]:
    found: list[str] = json.loads(dead_letter.value or b"")["ids"]
    return found


def received_and_ended(driver: Driver) -> tuple[int, int]:
    """Return how many ids came in, and how many ended or are held (I6)."""
    counters = driver.tally.counters
    received = sum(n for key, n in counters.items() if key[0] == "ids_received_total")
    ended = sum(n for key, n in counters.items() if key[0] == "ids_total")
    return received, ended + driver.pipeline.held_ids


# -- I4: when a batch leaves --------------------------------------------------------------------


def test_i4_the_linger_counts_from_the_first_id_of_a_batch() -> None:
    driver = Driver()
    driver.read(event("add", "x"))
    for name in "abcd":
        driver.wait(1.0).read(event("add", name))
        assert driver.sent() == []
    assert driver.wait(0.999).sent() == []
    assert driver.wait(0.001).sent() == ["add x a b c d"]
    assert driver.count("batches_total", "add", "linger") == 1


def test_i4_a_full_batch_leaves_at_once_and_the_next_lingers() -> None:
    driver = Driver(batch_max_ids=3)
    driver.read(event("add", *names(7)))
    assert driver.sent() == ["add id-0 id-1 id-2", "add id-3 id-4 id-5"]
    assert driver.wait().sent() == ["add id-6"]
    assert driver.count("batches_total", "add", "size") == 2


def test_i4_one_record_of_very_many_ids_becomes_full_batches() -> None:
    driver = Driver()
    driver.read(event("add", *names(2500)))
    assert [len(attempt.ids) for attempt in driver.attempts()] == [1000, 1000]
    assert [len(attempt.ids) for attempt in driver.wait().attempts()] == [500]


def test_i4_due_lanes_take_turns_each_sending_its_oldest_batch() -> None:
    driver = Driver(batch_max_ids=1, max_in_flight=1)
    driver.read(*[event("add", name, segment=1) for name in ("a1", "a2", "a3", "a4")])
    driver.read(*[event("add", name, segment=2) for name in ("b1", "b2")])
    driver.read(event("add", "c1", segment=3))
    order = ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]
    assert driver.run() == [f"add {name}" for name in order]


def test_i4_of_two_open_batches_the_one_that_is_due_earlier_leaves_first() -> None:
    driver = Driver(max_in_flight=1)
    driver.read(event("remove", "y"))
    driver.wait(1.0).read(event("add", "x"))
    assert driver.wait().run() == ["remove y", "add x"]


def test_i4_under_a_rate_limit_batches_grow_instead_of_queueing() -> None:
    driver = Driver(max_in_flight=1)
    driver.read(event("add", "x"))
    attempt = driver.wait().one_try()
    driver.read(event("add", "a"))
    driver.wait().read(event("add", "b"))
    assert driver.sent() == []
    driver.read(event("add", "c"))
    driver.answer(attempt, DELIVERED)
    assert driver.sent() == ["add a b c"]


def test_i4_a_lane_without_end_does_not_starve_the_others() -> None:
    driver = Driver(batch_max_ids=1, max_in_flight=1)
    driver.read(*[event("add", name) for name in names(100)])
    driver.read(event("add", "other", segment=2))
    lines: list[str] = []
    for number in range(4):
        driver.read(event("add", f"more-{number}"))
        attempt = driver.one_try()
        lines.append(describe(attempt))
        driver.answer(attempt, DELIVERED)
    assert "add other" in lines


def test_the_next_wake_is_when_something_can_leave() -> None:
    driver = Driver()
    assert driver.pipeline.next_wake() == math.inf
    driver.read(event("add", "x"))
    assert driver.pipeline.next_wake() == driver.now + LINGER
    driver.pipeline.wake(driver.now)
    assert not driver.pipeline.has_queued()
    driver.wait()
    driver.pipeline.wake(driver.now)
    assert driver.pipeline.has_queued()
    (attempt,) = driver.pipeline.dispatch(driver.now)
    driver.answer(attempt, UNAVAILABLE, jitter=0.5)
    assert driver.sent() == []
    assert driver.pipeline.next_wake() == driver.now + 0.25


def test_no_try_starts_after_the_latest_start() -> None:
    driver = Driver()
    driver.read(event("add", "x"))
    driver.pipeline.wake(driver.wait().now)
    assert driver.pipeline.dispatch(driver.now, driver.now - 0.001) == []
    assert len(driver.pipeline.dispatch(driver.now, driver.now)) == 1


# -- pressure -----------------------------------------------------------------------------------


def test_pressure_makes_the_oldest_open_batches_due() -> None:
    driver = Driver()
    for segment in (1, 2, 3):
        driver.read(event("add", f"id-{segment}", segment=segment))
        driver.wait(1.0)
    driver.pipeline.flush_oldest(driver.now, 2)
    assert driver.sent() == ["add id-1", "add id-2"]
    assert driver.count("batches_total", "add", "pressure") == 2


def test_pressure_passes_over_lanes_that_wait_for_something_else() -> None:
    """A lane in backoff was pressed again and again, and the buffer stayed full."""
    driver = Driver(linger_seconds=600.0, batch_max_ids=2)
    driver.read(event("add", "a", "b"))
    driver.answer(driver.one_try(), UNAVAILABLE, jitter=0.999)
    driver.read(event("add", "x", segment=2))
    assert driver.sent() == []
    driver.pipeline.flush_oldest(driver.now, 1)
    assert driver.sent() == ["add x"]


def test_pressure_leaves_what_is_due_anyway_its_reason() -> None:
    driver = Driver()
    driver.read(event("add", "x"))
    driver.wait()
    driver.pipeline.flush_oldest(driver.now, 1)
    driver.run()
    assert driver.count("batches_total", "add", "linger") == 1


def test_pressure_on_lanes_that_wait_for_long_gives_nobody_a_turn_again() -> None:
    """The owner looked at all of them a thousand times a second, until a `Retry-After` was over."""
    driver = Driver(linger_seconds=600.0)
    for segment in range(1, 6):
        driver.read(event("add", "x", segment=segment))
        driver.pipeline.flush_oldest(driver.now, 9)
        driver.answer(driver.one_try(), Retry(RetryReason.SERVER, "503", False, 200.0))
        driver.read(event("remove", "y", segment=segment))
    for _ in range(6):
        driver.pipeline.flush_oldest(driver.now, 1)
        assert driver.sent() == []
    assert not driver.pipeline.has_queued()
    driver.pipeline.flush_oldest(driver.now, 1)
    assert not driver.pipeline.has_queued()


def test_pressure_on_an_empty_pipeline_does_nothing() -> None:
    driver = Driver()
    driver.pipeline.flush_oldest(driver.now, 3)
    assert driver.sent() == []


# -- I7: how much is read -----------------------------------------------------------------------


def test_i7_reading_stops_at_the_first_record_beyond_the_limit() -> None:
    driver = Driver(buffer_max_ids=3)
    assert driver.read(*[event("add", name) for name in names(5)]) == 3
    assert driver.read(event("add", "x")) == 0
    driver.wait().run()
    assert driver.read(event("add", *names(10)), event("add", "y")) == 1
    assert driver.pipeline.held_ids == 10


def test_i7_reading_stops_when_dead_letters_pile_up() -> None:
    driver = Driver()
    assert driver.read(*[b"{"] * (MAX_PENDING_DEAD_LETTERS + 5)) == MAX_PENDING_DEAD_LETTERS
    assert driver.pipeline.is_backed_up()
    assert driver.read(event("add", "x")) == 0
    driver.pipeline.acknowledged(driver.dead_letters()[0])
    assert driver.read(event("add", "x"), event("add", "y")) == 2


def test_i7_reading_stops_when_large_dead_letters_pile_up() -> None:
    driver = Driver()
    value = b"{" * (MAX_PENDING_DEAD_LETTER_BYTES // 4)
    assert driver.read(*[value] * 6) == 4
    driver.pipeline.acknowledged(driver.dead_letters()[0])
    assert driver.read(value, value, value) == 1


def test_the_records_of_one_poll_belong_each_to_its_own_partition() -> None:
    driver = Driver(partitions=2)
    driver.pipeline.assign("other", 1, 0, 0)
    places = [("audience", 0), ("audience", 1), ("other", 1), ("other", 1), ("audience", 1)]
    records = [
        FakeMessage(topic, partition, offset, event("add", f"x{offset}"))
        for offset, (topic, partition) in enumerate(places, 10)
    ]
    assert driver.pipeline.receive(records, driver.now) == (5, None)
    ledgers = driver.pipeline.ledgers
    positions = {place: ledger.position for place, ledger in ledgers.items()}
    assert positions == {("audience", 0): 11, ("audience", 1): 15, ("other", 1): 14}
    committable = {place: ledger.committable() for place, ledger in ledgers.items()}
    assert committable == {("audience", 0): 10, ("audience", 1): 11, ("other", 1): 12}


def test_a_ledger_knows_the_latest_leader_epoch_that_was_read() -> None:
    driver = Driver(partitions=3)
    end = FakeMessage(partition=0, offset=13, error="end of partition")
    records = [
        *(FakeMessage(partition=0, offset=n, value=None, leader_epoch=n) for n in (10, 11, 12)),
        end,
        FakeMessage(partition=1, offset=4, value=None, leader_epoch=5),
        FakeMessage(partition=2, offset=4, value=None),
        FakeMessage(partition=9, offset=4, value=None, leader_epoch=99),
        FakeMessage(partition=1, offset=5, value=None, leader_epoch=6),
        end,
    ]
    messages = [end, *records]
    while messages:  # what an error means decides about what is behind it
        taken, _ = driver.pipeline.receive(messages, driver.now)
        messages = messages[taken:]
    assert [ledger.leader_epoch for ledger in driver.ledgers] == [12, 6, None]
    driver.pipeline.receive([FakeMessage(partition=1, offset=6, value=None)], driver.now)
    assert driver.ledgers[1].leader_epoch == 6
    driver.pipeline.receive([end], driver.now)
    driver.pipeline.receive([], driver.now)
    assert [ledger.leader_epoch for ledger in driver.ledgers] == [12, 6, None]


def test_behind_an_error_the_rest_is_taken_in_and_nothing_twice() -> None:
    driver = Driver()
    trouble = FakeMessage(error="broken")
    first, second = (FakeMessage(offset=at, value=event("add", f"c{at}")) for at in (0, 1))
    messages = [first, trouble, second]
    assert driver.pipeline.receive(messages, driver.now) == (2, trouble)
    assert driver.pipeline.receive(messages, driver.now, 2) == (3, None)
    assert driver.count("records_total", "accepted") == 2
    assert driver.ledgers[0].position == 2


def test_what_is_no_record_of_ours_is_not_taken_in() -> None:
    driver = Driver()
    trouble = FakeMessage(error="broken")
    stray = FakeMessage(partition=9, value=event("add", "x"))
    other_topic = FakeMessage("other", 0, 0, event("add", "x"))
    record = FakeMessage(offset=7, value=event("add", "x"))
    assert driver.pipeline.receive([stray, trouble, record], driver.now) == (2, trouble)
    assert driver.count("records_total", "accepted") == 0
    assert driver.pipeline.receive([other_topic, record], driver.now) == (2, None)
    assert driver.pipeline.held_ids == 1
    assert driver.ledgers[0].position == 8


def test_a_record_of_whatever_depth_is_taken() -> None:
    """One that is just not too deep to be read must not be too deep to be written again."""
    driver = Driver()
    for depth in range(900, 1010):
        nested = b'{"a":' * depth + b"1" + b"}" * depth
        driver.read(b'{"segment_id":1,"action":"add","ids":["good",' + nested + b"]}")
    assert len(driver.dead_letters()) == 110


def test_a_tombstone_is_counted_and_passed_over() -> None:
    driver = Driver()
    driver.read(None, event("add", "x"), None)
    assert driver.count("records_total", "tombstone") == 2
    assert driver.count("records_total", "accepted") == 1
    driver.wait().run()
    assert driver.committable() == 3


def test_a_batch_knows_the_time_of_its_oldest_record() -> None:
    driver = Driver(partitions=3)
    for partition, timestamp in enumerate([(1, 500), (2, 300), (0, 100)]):
        message = FakeMessage(
            partition=partition, value=event("add", f"x{partition}"), timestamp=timestamp
        )
        driver.pipeline.receive([message], driver.now)
    assert driver.pipeline.oldest_timestamp_ms(driver.wait().one_try()) == 300


def read_at(driver: Driver, timestamp_ms: int, value: bytes) -> None:
    """Read one record with a time."""
    offset = driver.ledgers[0].position
    message = FakeMessage(offset=offset, value=value, timestamp=(1, timestamp_ms))
    driver.pipeline.receive([message], driver.now)


def test_the_first_record_of_a_partition_counts_as_its_oldest() -> None:
    driver = Driver()
    for timestamp_ms, name in ((500, "x"), (500, "y"), (600, "z")):
        read_at(driver, timestamp_ms, event("add", name))
    assert driver.pipeline.oldest_timestamp_ms(driver.wait().one_try()) == 500


def test_what_leaves_as_one_is_as_old_as_the_oldest_of_it() -> None:
    driver = Driver(batch_max_ids=4)
    driver.throttle.limit = 1.0
    read_at(driver, 100, event("add", "a", "b", "c", "d"))
    running = driver.one_try()
    read_at(driver, 300, event("add", "e", "f", "g", "h"))
    read_at(driver, 400, event("add", "i"))
    read_at(driver, 500, event("remove", "e", "f"))
    driver.answer(running, DELIVERED)
    attempts = {each.ids: each for each in driver.attempts()}
    assert driver.pipeline.oldest_timestamp_ms(attempts["g", "h", "i"]) == 300


def test_what_is_no_longer_held_has_no_oldest_record() -> None:
    driver = Driver()
    read_at(driver, 300, event("add", "x"))
    attempt = driver.wait().one_try()
    driver.pipeline.forget(driver.ledgers)
    assert driver.pipeline.oldest_timestamp_ms(attempt) is None


@pytest.mark.parametrize("outcome", [UNAUTHORIZED, UNAVAILABLE, Unsent("the lease is over")])
def test_a_part_counts_as_split_once_however_often_it_is_tried(outcome: Outcome) -> None:
    driver = Driver()
    driver.read(event("add", "x", "y"))
    driver.answer(driver.wait().one_try(), REFUSED)
    for _ in range(3):
        driver.answer(driver.one_try(), outcome)
        driver.now += 1000.0
    assert driver.count("batches_total", "add", "split") == 1
    assert driver.run() != []
    assert driver.count("batches_total", "add", "split") == 2


def test_ids_per_request_are_counted_of_what_was_sent() -> None:
    driver = Driver()
    driver.read(event("add", "x", "y"))
    batch_ids = driver.tally.histograms["batch_ids", "add"]
    driver.answer(driver.wait().one_try(), Unsent("the lease is over"))
    assert sum(batch_ids.freeze().counts) == 0
    driver.answer(driver.one_try(), UNAVAILABLE)
    driver.now += 100.0
    driver.run()
    assert (sum(batch_ids.freeze().counts), batch_ids.freeze().total) == (2, 4.0)


def test_a_batch_without_times_knows_none() -> None:
    driver = Driver()
    message = FakeMessage(value=event("add", "x"), timestamp=(0, 0))
    driver.pipeline.receive([message], driver.now)
    assert driver.pipeline.oldest_timestamp_ms(driver.wait().one_try()) is None


# -- I1: what may be committed ------------------------------------------------------------------


def test_i1_a_duplicate_holds_its_offset_for_the_batch_that_it_is_in() -> None:
    driver = Driver(partitions=2)
    driver.read(event("add", "x"))
    driver.read(event("add", "x"), partition=1)
    attempt = driver.wait().one_try()
    assert driver.committable(1) == 0
    driver.answer(attempt, DELIVERED)
    assert (driver.committable(0), driver.committable(1)) == (1, 1)


def test_i1_a_record_of_several_batches_is_held_by_the_last_of_them() -> None:
    driver = Driver(batch_max_ids=2)
    driver.read(event("add", *names(4)))
    first, second = driver.attempts()
    driver.answer(second, DELIVERED)
    assert driver.committable() == 0
    driver.answer(first, DELIVERED)
    assert driver.committable() == 1


def test_the_oldest_unsettled_record_is_the_one_read_first() -> None:
    driver = Driver(partitions=2)
    assert driver.pipeline.oldest_read_at() is None
    driver.read(event("add", "x"), partition=1)
    driver.wait(1.0).read(event("add", "y"))
    assert driver.pipeline.oldest_read_at() == driver.now - 1.0
    driver.wait().run()
    assert driver.pipeline.oldest_read_at() is None


# -- I5: partitions that go away ----------------------------------------------------------------


def test_i5_after_forget_no_try_carries_a_change_of_that_ledger() -> None:
    driver = Driver(partitions=2)
    driver.read(event("add", "x"))
    driver.read(event("add", "y"), partition=1)
    assert driver.pipeline.forget([driver.ledgers[0]]) == 1
    assert driver.wait().run() == ["add y"]
    assert driver.count("ids_total", "add", "released") == 1


def test_i5_a_retry_and_a_split_carry_only_what_is_left() -> None:
    for outcome in (UNAVAILABLE, REFUSED):
        driver = Driver(partitions=2)
        driver.read(event("add", *names(3)))
        driver.read(event("add", "y", "z"), partition=1)
        attempt = driver.wait().one_try()
        driver.pipeline.forget([driver.ledgers[0]])
        driver.answer(attempt, outcome)
        assert {name for line in driver.run() for name in line.split()} == {"add", "y", "z"}


def test_a_later_answer_changes_nothing_of_what_was_released() -> None:
    for outcome in (DELIVERED, REFUSED, NO_SEGMENT, TIMED_OUT, UNAUTHORIZED, Unsent("over")):
        driver = Driver()
        driver.read(event("add", "x"))
        attempt = driver.wait().one_try()
        assert driver.pipeline.forget([driver.ledgers[0]]) == 1
        driver.answer(attempt, outcome)
        assert driver.count("ids_total", "add", "released") == 1
        assert received_and_ended(driver) == (1, 1)
        assert driver.dead_letters() == []
        assert driver.throttle.in_flight == 0


def test_what_settles_after_a_revoke_commits_nothing_for_the_next_assignment() -> None:
    driver = Driver()
    driver.read(event("add", "x"), event("add", "y"))
    attempt = driver.wait().one_try()
    old = driver.ledgers[0]
    driver.pipeline.forget([old])
    new = driver.assign(0, 0)
    driver.read(event("add", "x"))
    driver.answer(attempt, DELIVERED)
    assert old.committable() == 0
    assert new.committable() == 0
    assert new.base != old.base


def test_forgetting_nothing_and_forgetting_twice_release_nothing() -> None:
    driver = Driver()
    driver.read(event("add", "x"))
    assert driver.pipeline.forget([]) == 0
    ledger = driver.ledgers[0]
    assert driver.pipeline.forget([ledger]) == 1
    newer = driver.assign(0, 0)
    assert driver.pipeline.forget([ledger]) == 0
    assert driver.pipeline.ledgers["audience", 0] is newer


def test_a_forgotten_partition_takes_its_ids_out_of_all_lanes_and_counts_them() -> None:
    driver = Driver(batch_max_ids=3)
    driver.read(event("add", *names(5)), event("add", "x", segment=2), event("remove", "y", "z"))
    assert driver.pipeline.forget(driver.ledgers) == 8
    assert driver.pipeline.held_ids == 0
    assert driver.count("ids_total", "add", "released") == 6
    assert driver.count("ids_total", "remove", "released") == 2


def test_a_forgotten_partition_is_known_to_nobody() -> None:
    driver = Driver()
    ledger = driver.pipeline.assign("audience", 1, 0, None)
    driver.pipeline.forget([ledger])
    record = FakeMessage(partition=1, value=event("add", "x"))
    assert driver.pipeline.receive([record], driver.now) == (1, None)
    assert driver.pipeline.held_ids == 0
    stranger = Ledger(77, "audience", 2, 0)
    assert sys.getrefcount(ledger) == sys.getrefcount(stranger)


def test_urged_batches_are_due_and_their_lanes_go_first() -> None:
    driver = Driver(partitions=2, max_in_flight=1, batch_max_ids=2)
    driver.read(event("add", "a", "b"), event("add", "c", "d"), partition=1)
    driver.read(event("remove", "x", segment=2))
    driver.pipeline.flush([driver.ledgers[0]], driver.now, "revoke")
    attempt = driver.one_try()
    assert describe(attempt) == "remove x"
    assert driver.count("batches_total", "remove", "revoke") == 1
    driver.answer(attempt, DELIVERED)
    assert driver.run() == ["add a b", "add c d"]


def test_urging_does_not_disturb_the_batches_of_other_partitions() -> None:
    driver = Driver(partitions=2)
    driver.read(event("add", "x"))
    driver.read(event("add", "y", segment=2), partition=1)
    driver.pipeline.flush([driver.ledgers[0]], driver.now, "revoke")
    assert driver.sent() == ["add x"]
    driver.pipeline.end_flush()
    assert driver.wait().sent() == ["add y"]
    assert driver.count("batches_total", "add", "linger") == 1


def test_urging_again_reaches_lanes_that_had_their_turn_since() -> None:
    """A stop during a rebalance waited for the linger of such lanes."""
    driver = Driver(partitions=2)
    driver.read(event("add", "x"))
    driver.read(event("remove", "y"), partition=1)
    driver.pipeline.flush([driver.ledgers[0]], driver.now, "revoke")
    assert driver.sent() == ["add x"]
    driver.pipeline.flush([driver.ledgers[1]], driver.now, "shutdown")
    assert driver.sent() == ["remove y"]
    assert driver.count("batches_total", "remove", "shutdown") == 1


def test_after_calm_lanes_take_turns_again() -> None:
    driver = Driver(batch_max_ids=1, max_in_flight=1)
    driver.read(event("add", "a"), event("add", "b"))
    driver.pipeline.flush(driver.ledgers, driver.now, "revoke")
    first = driver.one_try()
    driver.read(event("add", "x", segment=2))
    driver.pipeline.end_flush()
    driver.answer(first, DELIVERED)
    assert driver.run() == ["add x", "add b"]
    driver.read(event("add", "c"), event("add", "y", segment=2), event("add", "d"))
    assert driver.run() == ["add c", "add y", "add d"]


def test_after_calm_a_lane_that_went_first_waits_for_its_turn() -> None:
    driver = Driver(batch_max_ids=1, max_in_flight=1)
    driver.read(event("add", "a"), event("add", "b"), event("add", "c"))
    driver.pipeline.flush(driver.ledgers, driver.now, "revoke")
    first = driver.one_try()
    driver.pipeline.end_flush()
    driver.read(event("add", "x", segment=2), event("add", "y", segment=2))
    driver.answer(first, DELIVERED)
    assert driver.run() == ["add b", "add x", "add c", "add y"]


def test_a_turn_from_before_a_flush_counts_no_more() -> None:
    """Its lane has had its turn in front: nothing is left to send, nor to look at."""
    driver = Driver(partitions=2, batch_max_ids=1)
    driver.read(event("add", "a"))
    driver.read(event("add", "b", segment=2), partition=1)
    driver.pipeline.flush([driver.ledgers[1]], driver.now, "revoke")
    assert driver.sent() == ["add b", "add a"]
    assert not driver.pipeline.has_queued()


def progresses(driver: Driver, seconds: float = 10.0) -> bool:
    """Whether a drain of partition 0 that lets requests start so long would go on."""
    return driver.pipeline.can_progress([driver.ledgers[0]], driver.now, driver.now + seconds)


def test_i9_a_drain_waits_for_another_partitions_dead_letter_that_its_batch_waits_for() -> None:
    """All of its own ids were delivered, and the next owner delivered them once more."""
    driver = Driver(partitions=2)
    driver.read(event("add", "good"))
    driver.read(event("add", "bad"), partition=1)
    driver.wait()
    while attempts := driver.attempts():
        for attempt in attempts:
            driver.answer(attempt, REFUSED if "bad" in attempt.ids else DELIVERED)
    (dead_letter,) = driver.dead_letters()
    assert driver.committable() == 0
    assert progresses(driver)
    driver.pipeline.acknowledged(dead_letter)
    assert driver.committable() == 1
    assert not progresses(driver)


def test_a_drain_waits_for_what_is_in_flight_and_for_what_may_start() -> None:
    driver = Driver(partitions=2)
    driver.read(event("add", "other", segment=2), partition=1)
    assert not progresses(driver)
    driver.read(event("add", "x"))
    assert progresses(driver)
    (attempt,) = (each for each in driver.wait().attempts() if each.ids == ("x",))
    assert progresses(driver, -1.0)
    driver.answer(attempt, DELIVERED)
    assert not progresses(driver)


def test_a_drain_lets_a_request_start_at_the_very_latest_start() -> None:
    driver = Driver()
    driver.read(event("add", "x"))
    assert progresses(driver, 0.0)
    assert progresses(driver, 0.0), "asked once more, with nothing new"


def test_a_drain_waits_for_a_batch_beside_one_in_backoff() -> None:
    driver = Driver(batch_max_ids=1)
    driver.read(event("add", "x"))
    driver.answer(driver.one_try(), UNAVAILABLE, jitter=0.999)
    assert not progresses(driver, 0.1)
    driver.read(event("add", "y"))
    assert progresses(driver, 0.1)


@pytest.mark.parametrize("outcome", [UNAVAILABLE, THROTTLED, TIMED_OUT])
def test_a_drain_does_not_wait_for_a_backoff_beyond_its_latest_start(outcome: Outcome) -> None:
    driver = Driver()
    driver.read(event("add", "x"))
    driver.answer(driver.wait().one_try(), outcome, jitter=0.5)
    assert progresses(driver, 0.25)
    assert not progresses(driver, 0.24)


def test_a_drain_does_not_wait_for_a_lane_that_fails_beyond_its_latest_start() -> None:
    """It waited for its whole time in vain: the lane's backoff was not looked at."""
    driver = Driver(batch_max_ids=1)
    driver.read(*[event("add", name) for name in names(3)])
    for attempt in driver.attempts():
        driver.answer(attempt, UNAVAILABLE, jitter=0.999)
    driver.read(event("remove", "y"))
    assert progresses(driver, 2.0)
    assert not progresses(driver, 1.9)


def test_a_drain_waits_neither_for_a_hold_nor_for_retry_after() -> None:
    driver = Driver(partitions=2)
    driver.read(event("add", "x"))
    driver.read(event("add", "y", segment=2), partition=1)
    mine, other = driver.wait().attempts()
    driver.answer(other, UNAUTHORIZED)
    assert progresses(driver), "an answer is awaited, whatever it will be"
    driver.answer(mine, UNAVAILABLE)
    assert not progresses(driver, 100.0)


def test_a_drain_waits_for_dead_letters_on_their_way() -> None:
    driver = Driver()
    driver.read(b"{")
    assert progresses(driver, -1.0)
    driver.throttle.hold(HoldReason.DEAD_LETTER_UNAVAILABLE, "no topic", driver.now)
    assert not progresses(driver)
    driver.throttle.end_hold(HoldReason.DEAD_LETTER_UNAVAILABLE)
    driver.pipeline.acknowledged(driver.dead_letters()[0])
    assert not progresses(driver)


def test_a_drain_does_not_wait_for_the_dead_letters_of_other_partitions() -> None:
    driver = Driver(partitions=2)
    driver.read(b"{", partition=1)
    assert not progresses(driver)


def test_a_drain_waits_for_dead_letters_that_were_sent_before_their_limit_holds() -> None:
    """They are on the topic in a moment; without their acknowledgement they go there twice."""
    driver = Driver(dead_letter_max_consecutive=2)
    driver.read(b"{", b"{")
    assert driver.throttle.holds
    assert progresses(driver)
    for dead_letter in driver.dead_letters():
        driver.pipeline.acknowledged(dead_letter)
    assert not progresses(driver)


def echoes(driver: Driver, partition: int = 0) -> bool:
    return driver.pipeline.is_echoing([driver.ledgers[partition]], driver.now)


def test_a_try_whose_answer_was_lost_echoes_until_its_deadline_for_its_partitions() -> None:
    driver = Driver(partitions=3)
    driver.read(event("add", "x"))
    driver.read(event("add", "y"), partition=1)
    driver.read(event("add", "z", segment=2), partition=2)
    first, second = driver.wait().attempts()
    assert not echoes(driver)
    driver.answer(second, UNAVAILABLE)
    driver.wait(1.0).answer(first, TIMED_OUT)
    driver.run()
    assert [echoes(driver, partition) for partition in range(3)] == [True, True, False]
    driver.wait(TIMEOUT - 1.001)
    assert echoes(driver)
    driver.wait(0.001)
    assert not echoes(driver)


# -- failures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "segments", "is_outage"),
    [
        (UNAVAILABLE, (1, 1, 1, 1, 1, 1, 1, 1), False),
        (UNAVAILABLE, (1, 2, 3, 4, 5, 6, 7), False),
        (UNAVAILABLE, (1, 2, 3, 4, 5, 6, 7, 8), True),
        (THROTTLED, (1, 1, 1, 2, 2, 3, 3, 3), True),
        (NOT_CONNECTED, (1, 1, 1, 2, 2, 3, 3, 3), True),
    ],
)
def test_an_outage_is_told_from_one_failing_segment(
    outcome: Outcome, segments: tuple[int, ...], is_outage: bool
) -> None:
    driver = Driver(batch_max_ids=1)
    driver.read(*[event("add", f"x{n}", segment=s) for n, s in enumerate(segments)])
    for attempt in driver.attempts():
        driver.answer(attempt, outcome, jitter=0.5)
    assert driver.throttle.is_probing == is_outage
    pause = 0.25 if is_outage else 0.0
    assert driver.throttle.earliest_start() == pytest.approx(driver.now + pause, abs=0.1)


def test_retry_after_pauses_the_other_segments_too() -> None:
    driver = Driver()
    driver.read(event("add", "x"))
    driver.answer(driver.wait().one_try(), Retry(RetryReason.THROTTLED, "429", False, 30.0))
    driver.read(event("add", "y", segment=2))
    assert driver.wait(29.9).sent() == []
    assert len(driver.wait(0.1).sent()) == 1, "one probe"


def test_a_failed_request_is_noted_and_waits_longer_each_time() -> None:
    driver = Driver()
    driver.read(event("add", "x", "y", segment=56))
    driver.wait()
    for attempts, backoff in enumerate((0.25, 0.5, 1.0), 1):
        attempt = driver.one_try()
        driver.answer(attempt, UNAVAILABLE, jitter=0.5)
        assert attempt.batch.not_before == driver.now + backoff
        fields = {"segment_id": 56, "action": "add", "ids": 2, "attempts": attempts}
        text = "503; it is tried again"
        assert driver.pipeline.notes[-1] == Note("request_failed", "server", text, fields)
        driver.wait(backoff)


# -- I11: dead letters --------------------------------------------------------------------------


def test_i11_an_unreadable_record_is_held_until_its_dead_letter_is_acknowledged() -> None:
    driver = Driver()
    message = FakeMessage(offset=3, value=b"{", key=b"k", headers=[("trace", b"1")])
    driver.pipeline.receive([message], driver.now)
    (dead_letter,) = driver.dead_letters()
    assert (dead_letter.reason, dead_letter.source) == (DeadLetterReason.MALFORMED, "audience:0:3")
    assert (dead_letter.key, dead_letter.value, dead_letter.headers) == (
        b"k",
        b"{",
        [("trace", b"1")],
    )
    assert driver.committable() == 3
    assert driver.pipeline.pending_dead_letters == 1
    assert driver.pipeline.oldest_read_at() == driver.now
    driver.pipeline.acknowledged(dead_letter)
    assert driver.committable() == 4
    assert driver.pipeline.pending_dead_letters == 0
    assert driver.count("dead_letters_total", "malformed") == 1
    assert driver.count("records_total", "malformed") == 1


class OddlyNamed(FakeMessage):
    """A record with a header whose name is no text."""

    def headers(self) -> Headers | None:
        """Raise what confluent_kafka raises."""
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")


def test_a_dead_letter_says_that_headers_were_not_kept_where_they_could_not_be() -> None:
    driver = Driver()
    driver.pipeline.receive(
        [FakeMessage(value=b"[]"), OddlyNamed(offset=1, value=b"[]")], driver.now
    )
    kept, not_kept = driver.dead_letters()
    assert kept.detail == 'a JSON array, not an object: a mapping with each = "$" reads a list'
    assert not_kept.detail == kept.detail + "; its headers have a name that is no text: not kept"
    assert not_kept.headers == ()


def test_i11_invalid_ids_are_held_until_their_dead_letters_are_acknowledged() -> None:
    driver = Driver()
    driver.read(event("add", "x", *[""] * 1001, None))
    assert driver.wait().run() == ["add x"]
    first, second = driver.dead_letters()
    assert first.reason == DeadLetterReason.INVALID_ID
    assert (len(ids_of(first)), len(ids_of(second))) == (1000, 2)
    assert driver.pipeline.held_ids == 1002
    assert driver.count("ids_received_total", "add") == 1003
    driver.pipeline.acknowledged(second)
    assert driver.committable() == 0
    driver.pipeline.acknowledged(first)
    assert driver.committable() == 1
    assert driver.count("ids_total", "add", "rejected") == 1002
    assert driver.count("records_total", "accepted") == 1


def test_the_dead_letter_of_invalid_ids_is_an_event_of_them() -> None:
    driver = Driver()
    driver.read(None, event("remove", "a@b", "x", 5, segment=56, id_type="email"))
    (dead_letter,) = driver.dead_letters()
    assert json.loads(dead_letter.value or b"") == {
        "segment_id": 56,
        "action": "remove",
        "ids": ["x", 5],
        "id_type": "email",
    }
    assert (dead_letter.key, dead_letter.source) == (b"56", "audience:0:1")
    assert dead_letter.detail == "an email address has no @"


def test_invalid_ids_are_held_for_the_record_that_they_came_from() -> None:
    driver = Driver(partitions=2)
    driver.read(None, event("add", ""), event("add", "", ""))
    assert driver.pipeline.held_ids == 3
    assert driver.pipeline.oldest_read_at() == driver.now
    assert driver.pipeline.forget([driver.ledgers[0]]) == 3
    assert driver.pipeline.held_ids == 0


def test_a_record_of_invalid_ids_alone_is_a_readable_one() -> None:
    driver = Driver()
    driver.read(event("remove", ""))
    assert driver.count("records_total", "accepted") == 1
    assert driver.count("ids_received_total", "remove") == 1
    assert driver.lanes() == 0


def test_i11_refused_ids_are_held_until_their_dead_letter_is_acknowledged() -> None:
    driver = Driver()
    driver.read(event("add", "x"), event("add", "y"))
    attempt = driver.wait().one_try()
    driver.answer(attempt, NO_SEGMENT)
    (dead_letter,) = driver.dead_letters()
    assert dead_letter.reason == DeadLetterReason.SEGMENT_REJECTED
    assert dead_letter.detail == NO_SEGMENT.detail
    assert dead_letter.source == "audience:0:0"
    assert ids_of(dead_letter) == ["x", "y"]
    assert driver.pipeline.held_ids == 2
    assert driver.committable() == 0
    driver.pipeline.acknowledged(dead_letter)
    assert driver.committable() == 2
    assert driver.count("ids_total", "add", "rejected") == 2


def test_the_dead_letter_of_refused_ids_is_an_event_of_them() -> None:
    driver = Driver()
    driver.read(event("remove", "a@b", "c@d", segment=56, id_type="email"))
    driver.answer(driver.wait().one_try(), NO_SEGMENT)
    (dead_letter,) = driver.dead_letters()
    assert json.loads(dead_letter.value or b"") == {
        "segment_id": 56,
        "action": "remove",
        "ids": ["a@b", "c@d"],
        "id_type": "email",
    }
    driver.pipeline.acknowledged(dead_letter)
    assert driver.count("ids_total", "remove", "rejected") == 2


def test_i11_dead_letters_are_acknowledged_in_any_order() -> None:
    driver = Driver()
    driver.read(b"{", b"[", b"}")
    dead_letters = driver.dead_letters()
    expected = {2: 0, 0: 1, 1: 3}
    for index, committable in expected.items():
        driver.pipeline.acknowledged(dead_letters[index])
        assert driver.committable() == committable


def test_a_released_dead_letter_is_not_sent_and_a_late_acknowledgement_settles_nothing() -> None:
    driver = Driver()
    driver.read(event("add", "x"), b"{")
    driver.answer(driver.wait().one_try(), REFUSED)
    sent = driver.pipeline.dead_letters.popleft()
    assert driver.pipeline.forget([driver.ledgers[0]]) == 1
    assert driver.dead_letters() == []
    assert driver.pipeline.pending_dead_letters == 0
    driver.pipeline.acknowledged(sent)
    assert received_and_ended(driver) == (1, 1)
    assert driver.count("ids_total", "add", "released") == 1
    assert driver.lanes() == 0


def test_a_late_acknowledgement_does_not_hold_the_rest_of_its_batch() -> None:
    driver = Driver(partitions=2)
    driver.read(event("add", *names(10)))
    driver.read(event("add", *names(10, 10)), partition=1)
    driver.answer(driver.wait().one_try(), REFUSED)
    driver.answer(driver.one_try(), REFUSED)
    driver.answer(driver.one_try(), DELIVERED)
    (sent,) = driver.dead_letters()
    driver.pipeline.forget([driver.ledgers[0]])
    driver.pipeline.acknowledged(sent)
    driver.run()
    assert driver.committable(1) == 1
    assert driver.lanes() == 0


def test_a_dead_letter_of_two_partitions_goes_on_holding_the_one_that_stays() -> None:
    driver = Driver(partitions=2)
    driver.read(event("add", "x"))
    driver.read(event("add", "y"), partition=1)
    driver.answer(driver.wait().one_try(), NO_SEGMENT)
    assert driver.pipeline.forget([driver.ledgers[0]]) == 1
    (dead_letter,) = driver.dead_letters()
    assert driver.committable(1) == 0
    driver.pipeline.acknowledged(dead_letter)
    assert driver.committable(1) == 1
    assert driver.count("ids_total", "add", "rejected") == 1


# -- I12: one bad id ----------------------------------------------------------------------------


def answer_well(driver: Driver, bad: set[str]) -> None:
    """Answer as an API that refuses whatever has a bad id in it."""
    while attempts := driver.attempts():
        for attempt in attempts:
            driver.answer(attempt, DELIVERED if bad.isdisjoint(attempt.ids) else REFUSED)


def test_i12_one_bad_id_costs_one_id() -> None:
    driver = Driver()
    driver.read(event("add", *names(100)))
    driver.wait()
    answer_well(driver, {"id-37"})
    (dead_letter,) = driver.dead_letters()
    assert (dead_letter.reason, ids_of(dead_letter)) == (DeadLetterReason.REJECTED, ["id-37"])
    assert driver.count("ids_total", "add", "delivered") == 99


def test_i12_a_bad_single_that_was_tried_first_costs_one_id() -> None:
    driver = Driver()
    driver.read(event("add", *names(100)))
    driver.wait()
    answer_well(driver, {"id-0"})
    (dead_letter,) = driver.dead_letters()
    assert ids_of(dead_letter) == ["id-0"]
    assert dead_letter.detail == REFUSED.detail


def test_a_refused_single_says_what_the_api_said_of_it_not_of_the_lanes_other_batches() -> None:
    """Another batch of the lane was delivered between, and the dead letter said nothing."""
    driver = Driver(batch_max_ids=20)
    driver.read(event("add", *names(20)))
    driver.answer(driver.one_try(), REFUSED)
    driver.answer(driver.one_try(), REFUSED)
    single = driver.one_try()
    driver.read(event("add", *names(20, 100)))
    driver.answer(driver.one_try(), DELIVERED)
    driver.answer(single, DELIVERED)
    (dead_letter,) = driver.dead_letters()
    assert dead_letter.detail == REFUSED.detail


def test_i12_good_ids_do_not_pay_for_a_bad_one_when_others_went_with_their_partition() -> None:
    """With the singles of one partition gone, one refused single condemned all the rest."""
    driver = Driver(partitions=2)
    driver.read(event("add", *names(800)))
    driver.read(event("add", *names(200, 800)), partition=1)
    driver.answer(driver.wait().one_try(), REFUSED)
    driver.pipeline.forget([driver.ledgers[0]])
    answer_well(driver, {"id-875"})
    (dead_letter,) = driver.dead_letters()
    assert ids_of(dead_letter) == ["id-875"]
    assert driver.count("ids_total", "add", "delivered") == 199


def test_a_part_that_was_delivered_counts_what_was_not_released_meanwhile() -> None:
    driver = Driver(partitions=2)
    driver.read(event("add", *names(10)))
    driver.read(event("add", *names(10, 10)), partition=1)
    driver.answer(driver.wait().one_try(), REFUSED)
    driver.answer(driver.one_try(), DELIVERED)
    part = driver.one_try()
    assert "id-9" in part.ids
    driver.pipeline.forget([driver.ledgers[0]])
    driver.answer(part, DELIVERED)
    driver.run()
    assert driver.count("ids_total", "add", "delivered") == 11
    assert received_and_ended(driver) == (20, 20)


def test_i11_a_batch_of_several_dead_letters_is_settled_by_the_last_of_them() -> None:
    driver = Driver()
    driver.read(event("add", *names(20)))
    driver.wait()
    answer_well(driver, {"id-3", "id-12"})
    first, second = driver.dead_letters()
    driver.pipeline.acknowledged(first)
    assert driver.committable() == 0
    driver.pipeline.acknowledged(second)
    assert driver.committable() == 1


def test_stall_holds_at_the_verdict_on_a_single() -> None:
    driver = Driver(reject_policy="stall")
    driver.read(event("add", *names(20)))
    driver.answer(driver.wait().one_try(), REFUSED)
    driver.answer(driver.one_try(), REFUSED)
    assert not driver.throttle.holds
    driver.answer(driver.one_try(), DELIVERED)
    assert driver.throttle.holds[HoldReason.STALLED].since == driver.now


def test_a_segment_that_refuses_everything_is_refused_as_a_whole() -> None:
    driver = Driver()
    driver.read(event("add", *names(1000)))
    driver.wait()
    answer_well(driver, set(names(1000)))
    (dead_letter,) = driver.dead_letters()
    assert dead_letter.reason == DeadLetterReason.SEGMENT_REJECTED
    assert ids_of(dead_letter) == names(1000)
    assert driver.count("batches_total", "add", "split") == 8


def test_parts_of_a_split_are_counted_once_however_often_they_are_tried() -> None:
    driver = Driver()
    driver.read(event("add", *names(2)))
    driver.answer(driver.wait().one_try(), REFUSED)
    for _ in range(3):
        driver.answer(driver.one_try(), UNAVAILABLE)
    driver.run()
    assert driver.count("batches_total", "add", "split") == 2


def test_a_segment_that_vanishes_during_a_split_is_refused_as_a_whole() -> None:
    driver = Driver()
    driver.read(event("add", *names(20)))
    driver.answer(driver.wait().one_try(), REFUSED)
    delivered = driver.one_try()
    driver.answer(delivered, DELIVERED)
    driver.answer(driver.one_try(), NO_SEGMENT)
    (dead_letter,) = driver.dead_letters()
    assert dead_letter.reason == DeadLetterReason.SEGMENT_REJECTED
    assert ids_of(dead_letter) == [name for name in names(20) if name not in delivered.ids]


def test_the_dead_letter_names_the_first_record_concerned() -> None:
    driver = Driver(partitions=2)
    driver.ledgers[1].position = 40
    driver.read(event("add", "x"), event("add", "y"), partition=1)
    driver.read(event("add", "z"))
    driver.wait()
    answer_well(driver, {"y"})
    (dead_letter,) = driver.dead_letters()
    assert dead_letter.source == "audience:1:41"


# -- policies and the limit ---------------------------------------------------------------------


def test_skip_settles_at_once_and_counts() -> None:
    driver = Driver(reject_policy="skip")
    driver.read(b"{", event("add", "", "x"), event("add", "y"))
    driver.answer(driver.wait().one_try(), NO_SEGMENT)
    assert driver.dead_letters() == []
    assert driver.count("ids_total", "add", "skipped") == 3
    assert driver.pipeline.held_ids == 0
    assert driver.committable() == 3
    assert driver.lanes() == 0


@pytest.mark.parametrize("value", [b"{", event("add", "")])
def test_stall_holds_and_sends_nothing_to_the_dead_letter_topic(value: bytes) -> None:
    driver = Driver(reject_policy="stall")
    assert driver.read(event("add", "x"), value, event("add", "y")) == 2
    assert HoldReason.STALLED in driver.throttle.holds
    assert "audience:0:1" in driver.throttle.holds[HoldReason.STALLED].detail
    assert driver.dead_letters() == []
    assert driver.read(event("add", "z")) == 0
    assert driver.wait().sent() == []
    assert driver.committable() == 0


@pytest.mark.parametrize(
    ("value", "reason", "detail"),
    [
        (b"true", "malformed", "a JSON boolean, not an object"),
        (event("add", ""), "invalid-id", "an id is empty"),
        (event("add", "x"), "segment-rejected", "segment-rejected: segment 1, 1 ids, add"),
    ],
)
def test_what_can_not_be_delivered_is_noted_and_so_is_the_hold_that_it_begins(
    value: bytes, reason: str, detail: str
) -> None:
    driver = Driver(reject_policy="stall")
    driver.read(value)
    for attempt in driver.wait(0.0 if driver.throttle.holds else LINGER).attempts():
        driver.answer(attempt, NO_SEGMENT)
    state = driver.throttle.holds[HoldReason.STALLED]
    assert state == HoldState(HoldReason.STALLED, driver.now, state.detail)
    assert detail in state.detail
    assert list(driver.pipeline.notes) == [
        Note("refused", reason, detail, {"source": "audience:0:0"}),
        Note("hold", "stalled", state.detail, {"reason": "stalled"}),
    ]


def test_stall_holds_at_a_refused_id_too() -> None:
    driver = Driver(reject_policy="stall")
    driver.read(event("add", "x"), event("remove", "y"))
    attempts = driver.wait().attempts()
    driver.answer(attempts[0], REFUSED)
    driver.answer(attempts[1], DELIVERED)
    assert HoldReason.STALLED in driver.throttle.holds
    assert driver.committable() == 0
    assert driver.pipeline.forget(driver.ledgers) == 1


def test_so_many_unreadable_records_in_a_row_hold_the_daemon() -> None:
    driver = Driver(dead_letter_max_consecutive=3)
    driver.read(b"{", b"{", event("add", "x"), b"{", b"{", None)
    assert not driver.throttle.holds
    assert driver.read(b"{", b"{") == 1
    assert HoldReason.DEAD_LETTER_LIMIT in driver.throttle.holds
    assert len(driver.dead_letters()) == 5
    assert driver.pipeline.is_backed_up()
    state = driver.throttle.holds[HoldReason.DEAD_LETTER_LIMIT]
    assert state.since == driver.now
    assert "not JSON" in state.detail


NO_ADDRESS = event("add", "customer-1")


def test_records_of_which_nothing_is_valid_are_in_the_row_too() -> None:
    """As with EVENT_ID_TYPE=email by mistake: the whole topic would go to the dead letters."""
    driver = Driver(dead_letter_max_consecutive=3, default_id_type="email")
    assert driver.read(*[NO_ADDRESS] * 10) == 3
    state = driver.throttle.holds[HoldReason.DEAD_LETTER_LIMIT]
    assert "3 refusals in a row, the last: an email address has no @" in state.detail
    assert len(driver.dead_letters()) == 3, "the last of them is on its way, too"
    assert driver.pipeline.pending_dead_letters == driver.pipeline.held_ids == 3


def test_unreadable_records_and_those_without_a_valid_id_are_one_row() -> None:
    driver = Driver(dead_letter_max_consecutive=4)
    assert driver.read(b"{", event("add", ""), None, event("add", "", ""), b"{", b"{") == 5
    assert HoldReason.DEAD_LETTER_LIMIT in driver.throttle.holds


def test_one_valid_id_in_a_record_ends_the_row() -> None:
    driver = Driver(dead_letter_max_consecutive=2)
    driver.read(*[b"{", event("add", "", "good"), event("add", ""), event("add", "good")] * 5)
    assert not driver.throttle.holds
    driver.read(event("add", ""), None, event("add", ""))
    assert HoldReason.DEAD_LETTER_LIMIT in driver.throttle.holds


def test_a_record_counts_once_however_many_invalid_ids_it_has() -> None:
    driver = Driver(dead_letter_max_consecutive=2)
    driver.read(event("add", *[""] * 2500))
    assert not driver.throttle.holds
    driver.read(event("add", *[""] * 2500))
    assert HoldReason.DEAD_LETTER_LIMIT in driver.throttle.holds
    assert len(driver.dead_letters()) == 6, "all of the record that reached the limit"


def test_the_row_of_records_and_that_of_requests_do_not_add_up_nor_end_each_other() -> None:
    driver = Driver(dead_letter_max_consecutive=3, batch_max_ids=1)
    for number in range(2):
        driver.read(event("add", ""))
        driver.read(event("add", f"{number}"), event("add", ""))
        driver.answer(driver.one_try(), NO_SEGMENT)
    assert not driver.throttle.holds
    driver.read(event("add", "good"), event("add", ""))
    driver.answer(driver.one_try(), DELIVERED)
    driver.read(event("add", ""))
    assert not driver.throttle.holds
    driver.read(event("add", ""))
    assert HoldReason.DEAD_LETTER_LIMIT in driver.throttle.holds


def test_so_many_refused_requests_in_a_row_hold_the_daemon() -> None:
    driver = Driver(dead_letter_max_consecutive=3, batch_max_ids=2)
    for number in range(2):
        driver.read(event("add", f"{number}a", f"{number}b"))
        driver.answer(driver.one_try(), NO_SEGMENT)
    driver.read(event("add", "good", "also"))
    driver.run()
    for number in range(2, 5):
        assert not driver.throttle.holds
        driver.read(event("add", f"{number}a", f"{number}b"))
        driver.answer(driver.one_try(), NO_SEGMENT)
    assert HoldReason.DEAD_LETTER_LIMIT in driver.throttle.holds
    assert len(driver.dead_letters()) == 5, "a batch refused whole counts once"
    state = driver.throttle.holds[HoldReason.DEAD_LETTER_LIMIT]
    assert state.since == driver.now
    assert NO_SEGMENT.summary in state.detail


def test_under_the_limits_hold_nothing_more_goes_to_the_dead_letter_topic() -> None:
    driver = Driver(dead_letter_max_consecutive=1, batch_max_ids=1)
    driver.read(event("add", "x"), event("add", "y"))
    for attempt in driver.attempts():
        driver.answer(attempt, NO_SEGMENT)
    assert len(driver.dead_letters()) == 1
    assert driver.pipeline.pending_dead_letters == 2
    assert driver.pipeline.held_ids == 2


@pytest.mark.parametrize(
    ("policy", "limit"), [("dead-letter", 0), ("skip", 2)], ids=["no limit", "skip"]
)
def test_without_a_limit_or_with_skip_no_row_is_too_long(policy: str, limit: int) -> None:
    driver = Driver(reject_policy=policy, dead_letter_max_consecutive=limit)
    assert driver.read(*[b"{", event("add", "")] * 50) == 100
    assert not driver.throttle.holds


# -- what is published --------------------------------------------------------------------------


def test_i6_every_id_is_accounted_for_at_every_step() -> None:
    driver = Driver(partitions=2)
    driver.read(event("add", "a", "b", "c", "a", ""), event("remove", "b"))
    driver.read(event("add", "d"), partition=1)
    assert received_and_ended(driver) == (7, 7)
    add, remove = driver.wait().attempts()
    driver.answer(add, NO_SEGMENT)
    driver.answer(remove, DELIVERED)
    assert received_and_ended(driver) == (7, 7)
    for dead_letter in driver.dead_letters():
        driver.pipeline.acknowledged(dead_letter)
        assert received_and_ended(driver) == (7, 7)
    assert driver.pipeline.held_ids == 0


def test_i6_every_id_of_every_record_of_a_poll_is_counted() -> None:
    driver = Driver()
    driver.read(
        event("add", "a", "b", "a", "a", "c"),
        event("add", "a", "d"),
        event("remove", "a", "b"),
        event("remove", "b", "e", "b"),
        event("remove", "a"),
        event("add", "e", "f"),
    )
    assert driver.count("records_total", "accepted") == 6
    assert driver.count("ids_received_total", "add") == 9
    assert driver.count("ids_received_total", "remove") == 6
    assert driver.count("ids_total", "add", "duplicate") == 3
    assert driver.count("ids_total", "remove", "duplicate") == 3
    assert driver.count("ids_total", "add", "superseded") == 2
    assert driver.count("ids_total", "remove", "superseded") == 1
    assert driver.pipeline.held_ids == 6
    assert sorted(driver.wait().run()) == ["add c d e f", "remove a b"]


def test_the_busiest_lanes_hold_the_most_ids() -> None:
    driver = Driver()
    for segment, count in ((1, 2), (2, 5), (3, 1), (4, 3)):
        driver.read(event("add", *names(count), segment=segment))
    assert [lane.segment_id for lane in driver.pipeline.busiest(2)] == [2, 4]


def test_a_batchs_trouble_lasts_until_a_delivery() -> None:
    driver = Driver()
    driver.read(event("add", "x", "y"))
    (lane,) = driver.pipeline.lanes()
    shown = []
    for outcome in (UNAVAILABLE, UNAUTHORIZED, REFUSED, DELIVERED):
        driver.wait(100.0)
        driver.answer(driver.one_try(), outcome)
        found = driver.pipeline.failing.lanes(20)
        shown += [(each.error, each.attempts, each.at == driver.now) for each in found.values()]
        assert set(found) <= {lane}
    assert shown == [("503", 1, True), ("401", 2, True), (REFUSED.summary, 3, True)]


def test_a_trouble_ends_with_its_batch_however_that_ends() -> None:
    driver = Driver()
    driver.read(event("add", "x", segment=1), event("add", "x", segment=2))
    first, second = driver.wait().attempts()
    driver.answer(first, UNAVAILABLE)
    driver.answer(second, NO_SEGMENT)
    assert [lane.segment_id for lane in driver.pipeline.failing.lanes(20)] == [1, 2]
    (dead_letter,) = driver.dead_letters()
    driver.pipeline.acknowledged(dead_letter)
    assert [lane.segment_id for lane in driver.pipeline.failing.lanes(20)] == [1]
    driver.pipeline.forget(driver.ledgers)
    assert driver.pipeline.failing.lanes(20) == {}


def test_a_lanes_trouble_is_that_of_its_worst_batch_and_its_newest_error() -> None:
    driver = Driver(batch_max_ids=1)
    driver.read(event("add", "x"), event("add", "y"))
    one, two = driver.attempts()
    driver.answer(one, UNAVAILABLE)
    driver.answer(two, UNAVAILABLE)
    driver.now += 1.0
    again = driver.attempts()[0]
    driver.answer(again, UNAUTHORIZED)
    (found,) = driver.pipeline.failing.lanes(20).values()
    assert (found.error, found.attempts, found.at) == ("401", 2, driver.now)


def test_a_try_has_its_deadline_and_a_ledger_what_it_was_assigned_with() -> None:
    driver = Driver()
    driver.read(event("add", "x"))
    attempt = driver.wait().one_try()
    assert (attempt.started_at, attempt.deadline) == (driver.now, driver.now + TIMEOUT)
    ledger = driver.pipeline.assign("audience", 3, 500, 400, "a census")
    assert (ledger.topic, ledger.partition, ledger.position) == ("audience", 3, 500)
    assert (ledger.committed, ledger.metadata) == (400, "a census")
    assert driver.ledgers[0].metadata == ""


def test_requests_are_counted_by_their_size() -> None:
    driver = Driver()
    driver.read(event("add", *names(30)))
    driver.wait().run()
    assert driver.tally.histograms["batch_ids", "add"].freeze().total == 30


def test_a_hold_that_two_requests_show_is_noted_once() -> None:
    driver = Driver()
    driver.read(event("add", "a"), event("add", "b", segment=2))
    attempts = driver.wait().attempts()
    for attempt in attempts:
        driver.answer(attempt, UNAUTHORIZED)
    assert len(attempts) == 2
    note = Note("hold", "unauthorized", "401", {"reason": "unauthorized"})
    assert list(driver.pipeline.notes) == [note]
    assert driver.throttle.holds[HoldReason.UNAUTHORIZED].detail == "401"


def test_what_is_to_be_logged_goes_out_as_notes_without_ids() -> None:
    driver = Driver()
    driver.read(b"{", event("add", "person-1", "person-2"), event("remove", "person-3"))
    add, remove = driver.wait().attempts()
    driver.answer(add, UNAVAILABLE)
    driver.answer(remove, UNAUTHORIZED)
    driver.wait(60.0)
    driver.answer(driver.attempts()[0], NO_SEGMENT)
    events = [note.event for note in driver.pipeline.notes]
    assert events == ["refused", "request_failed", "hold", "refused"]
    assert all("person" not in f"{note.message}{note.fields}" for note in driver.pipeline.notes)


def test_notes_that_nobody_takes_are_bounded() -> None:
    notes = Notes()
    for _ in range(MAX_NOTES + 5):
        notes.add("refused", "", "text")
    assert len(notes) == MAX_NOTES
