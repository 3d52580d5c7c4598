"""The loop on a clock of its own: what only shows when reading, sending and rebalances meet."""

import itertools

import pytest
from confluent_kafka import KafkaError

from consumer.core.outcomes import Answer, Answered, Broken
from consumer.core.pipeline import Try
from tests.support.loop_world import ACCEPTED, START, TOPIC, World
from tests.support.records import FakeMessage, event


def one_each(partition: int, offset: int) -> bytes:
    """Add another customer, to one of 40 segments."""
    return event("add", f"c{partition}-{offset}", segment=offset % 40 + 1)


# Reading


def test_i7_a_full_buffer_pauses_reading_though_answers_make_room_in_every_turn() -> None:
    """What was consumed beyond the limit must not grow while room comes back as fast as it goes."""
    world = World(
        lambda _, offset: event("add", f"c{offset}", segment=offset % 5 + 1),
        per_second=200_000,
        buffer_max_ids=30_000,
    )
    most = 0
    while world.now < START + 5:
        world.loop.turn()
        most = max(most, len(world.loop._backlog))  # noqa: SLF001 - nobody else can see it
    assert most <= 4000
    assert ("paused", "the buffer is full") in world.said
    assert len(world.sent) > 100


def test_i7_letters_that_pile_up_pause_reading_and_the_buffer_is_not_called_full() -> None:
    world = World(lambda _, offset: b"{" if offset % 2 else event("add", f"c{offset % 500}"))
    world.acknowledges = False
    world.run_until(10)
    assert len(world.loop._backlog) <= 2000  # noqa: SLF001 - nobody else can see it
    assert not any(said == "paused" for said, _ in world.said)
    assert not world.pipeline.tally.counters["batches_total", "add", "pressure"]


def test_i7_a_partition_that_goes_on_while_reading_is_paused_is_read_when_it_no_longer_is() -> None:
    world = World(
        lambda partition, offset: event("add", f"c{partition}-{offset}"),
        records=600,
        partitions=2,
        buffer_max_ids=1000,
    )
    world.answer = lambda _: Answered(503)
    world.run_while(lambda: not world.loop.assignment.paused)
    world.deaf_leaders.add(1)
    world.loop.assignment.lose_position((TOPIC, 1), world.now)
    world.run_until(70)

    def accept(_: Try) -> Answer:
        world.deaf_leaders.clear()  # in the very turn in which there is room again
        return ACCEPTED

    world.answer = accept
    world.run_until(200)
    assert any(said == "offsets_gone" for said, _ in world.said)
    assert world.pipeline.ledgers[TOPIC, 1].position == 600


def test_i4_a_due_batch_does_not_wait_for_a_backfill_of_its_own_segment() -> None:
    """It would wait for millions, and its offset would keep all of them from being committed."""
    world = World(
        lambda _, offset: event("remove", "leaver") if offset == 0 else event("add", f"c{offset}"),
        max_in_flight=2,
        requests_per_second=10.0,
    )
    world.run_until(7)
    removes = [attempt.ids for _, attempt in world.sent if attempt.batch.action == "remove"]
    assert removes == [("leaver",)]


# Rebalances


@pytest.mark.parametrize("slots", [1, 8])
def test_a_revoke_inside_consume_knows_the_answers_that_came_just_before(slots: int) -> None:
    """Else their batches fly until the deadline, and what was delivered is delivered again."""
    world = World(one_each, partitions=2, buffer_max_ids=5_000, max_in_flight=slots)
    took: list[float] = []

    def revoke(timeout_seconds: float) -> None:
        if world.now > START + 3 and world.collected and timeout_seconds == 0 and not took:
            took.append(-world.now)
            world.loop.revoked([(TOPIC, 1)])
            took.append(world.now)

    world.before_consume = revoke
    world.run_while(lambda: not took)
    assert sum(took) < 10
    assert world.loop.released == 0


def test_i2_a_drain_waits_until_a_lost_try_can_no_longer_be_applied() -> None:
    """Its retry was delivered, but the next owner's opposite could be overtaken by the first."""
    lost: list[Answer] = [Broken("cut short", ambiguous=True)]
    answers = itertools.chain(lost, itertools.repeat(ACCEPTED))
    world = World(lambda *_: event("add", "x"), records=1)
    world.answer = lambda _: next(answers)
    world.run_while(lambda: world.pipeline.held_ids or not world.sent)
    (first, _), *_ = world.sent
    assert world.now < first + 2
    world.loop.revoked([(TOPIC, 0)])
    assert first + 10 <= world.now < first + 11


def test_i2_a_drain_waits_for_that_also_when_the_lease_is_over() -> None:
    lost: list[Answer] = [Broken("cut short", ambiguous=True)]
    answers = itertools.chain(lost, itertools.repeat(Answered(503)))
    world = World(lambda *_: event("add", "x"), records=1, session_seconds=15.0)
    world.answer = lambda _: next(answers)
    world.run_while(lambda: not world.sent or world.flying_ids())
    (first, _), *_ = world.sent
    world.loses_answers_to_commits = True
    world.loop.revoked([(TOPIC, 0)])
    assert first + 10 <= world.now < first + 11


def test_nothing_starts_after_a_stop_was_asked_for_that_may_outlive_it() -> None:
    world = World(one_each, drain_seconds=10.0, max_in_flight=64, requests_per_second=1000.0)
    world.latency = 0.01
    asked: list[float] = []

    def ask(_: float) -> None:
        if world.now > START + 6 and not asked:
            asked.append(world.now)
            world.loop.request_stop(world.now + 10.0)

    world.before_consume = ask
    world.run_while(lambda: not asked)
    world.loop.stop(asked[0] + 10.0)
    assert not [attempt for at, attempt in world.sent if at > asked[0]]


def test_a_revoke_after_a_stop_was_asked_for_ends_by_the_stops_deadline() -> None:
    """Else the process is ended in the midst of the second drain, with nothing committed."""
    world = World(one_each, partitions=2)
    world.run_until(6)
    world.latency = 1000.0
    world.run_until(7)
    asked_at = world.now
    world.loop.request_stop(asked_at + 20.0)
    world.wait(15.0)
    world.loop.revoked([(TOPIC, 1)])
    world.loop.stop(asked_at + 20.0)
    assert world.now < asked_at + 21


def test_a_drain_that_can_start_nothing_more_waits_for_answers_only() -> None:
    world = World(one_each, buffer_max_ids=500, max_in_flight=2)
    world.latency = 3.0
    world.run_until(6)
    began = world.now
    world.loop.revoked([(TOPIC, 0)])
    latest_answer = max(at for at, _ in world.sent) + world.latency
    assert world.now < latest_answer + 1
    assert world.now < began + 14


def test_i2_a_static_member_waits_until_what_its_predecessor_sent_is_over() -> None:
    """It gets its partitions back at once, also from one that was killed in mid-request."""
    world = World(one_each, is_static=True)
    world.run_until(60)
    (first, _), *_ = world.sent
    assert START + 10 <= first < START + 11
    assert not world.holds()


# Commits and the lease


def test_a_topic_made_anew_is_gone_on_with_though_the_lease_was_over() -> None:
    """What was read before holds the new log's commits; membership is proven nevertheless."""
    world = World(lambda _, offset: event("add", f"c{offset}"), records=10, per_second=10)
    world.answer = lambda _: Answered(503) if world.now < START + 60 else ACCEPTED
    world.run_until(3)
    gone = KafkaError(KafkaError._AUTO_OFFSET_RESET)  # noqa: SLF001 - librdkafka's local error codes are spelt so
    world.records = 0
    world.errors.append(FakeMessage(TOPIC, 0, 0, error=gone))
    world.run_until(200)
    assert not world.pipeline.held_ids
    assert not world.holds()


def test_i1_a_commit_whose_answer_was_lost_is_not_taken_back() -> None:
    """The proofs of membership in between must not repeat what was committed before it."""
    world = World(one_each, per_second=20, linger_seconds=0.5, commit_seconds=5.0)
    world.run_until(12)
    world.loses_answers_to_commits = True
    world.run_until(18)
    world.loses_answers_to_commits = False
    world.run_until(30)
    offsets = [offset for _, offset in world.commits]
    assert offsets == sorted(offsets)
    assert offsets[-1] > 300


def test_a_batch_whose_ids_were_all_taken_out_does_not_hold_the_commit() -> None:
    """Nothing is held, yet something is unsettled: without a lease nobody would finish it."""
    values = [event("add", "x"), event("remove", "x", *(f"y{n}" for n in range(999)))]
    world = World(lambda _, offset: values[offset], records=2, session_seconds=15.0)
    world.run_until(30)
    ledger = world.pipeline.ledgers[TOPIC, 0]
    assert ledger.committed == 2
    assert world.pipeline.oldest_read_at() is None


def test_i8_a_partition_whose_commits_are_refused_does_not_stop_the_others() -> None:
    world = World(one_each, partitions=2, per_second=10)
    world.run_until(10)
    world.refused_commits = {1}
    world.run_until(120)
    latest, _ = world.sent[-1]
    assert latest > world.now - 10
    assert not world.holds()


# What else happens in a turn


def test_leaders_that_do_not_answer_take_two_seconds_of_a_turn_and_leave_the_others_going() -> None:
    world = World(one_each, partitions=40, per_second=100)
    world.has_commits = False
    world.deaf_leaders = set(range(40)) - {7}
    longest = 0.0
    while world.now < START + 200:
        began = world.now
        world.loop.turn()
        longest = max(longest, world.now - began)
    assert longest < 5
    assert set(world.pipeline.ledgers) == {(TOPIC, 7)}
    assert world.sent


def test_letters_that_a_hold_keeps_back_do_not_make_the_topic_unavailable() -> None:
    world = World(
        lambda _, offset: event("add", "x", segment=offset + 1),
        per_second=20,
        dead_letter_max_consecutive=3,
    )
    world.answer = lambda _: Answered(404, vouched=True)
    world.run_until(60)
    assert world.holds() == {"dead-letter-limit"}
    assert world.pipeline.pending_letters


# One segment and the others


def test_i4_under_a_low_rate_batches_are_far_fuller_instead_of_waiting_in_line() -> None:
    def mean_ids(rate: float) -> float:
        world = World(
            lambda _, offset: event("add", f"c{offset}", segment=offset % 2000 + 1),
            per_second=1_000,
            requests_per_second=rate,
            max_in_flight=64,
            linger_seconds=1.0,
        )
        world.run_until(210)
        late = [len(attempt.ids) for at, attempt in world.sent if at > START + 120]
        return sum(late) / len(late)

    assert mean_ids(20) > 5 * mean_ids(200)


def test_i4_a_hot_segment_does_not_delay_the_single_change_of_another() -> None:
    """However much of one segment is waiting: once read, the other leaves within its linger."""
    lonely = 300_000
    world = World(
        lambda _, offset: (
            event("add", "x", segment=2) if offset == lonely else event("add", f"c{offset}")
        ),
        per_second=50_000,
    )
    world.latency = 0.05
    world.run_while(lambda: world.pipeline.ledgers.get((TOPIC, 0)) is None)
    world.run_while(lambda: world.pipeline.ledgers[TOPIC, 0].position <= lonely)
    read_at = world.now
    world.run_while(lambda: not any("x" in attempt.ids for _, attempt in world.sent[-200:]))
    assert world.now < read_at + 5 + 2


@pytest.mark.parametrize("trouble", ["503", "slow"])
def test_a_segment_in_trouble_holds_back_itself_and_the_commit_not_the_others(
    trouble: str,
) -> None:
    world = World(
        lambda _, offset: event("add", f"c{offset}", segment=1 if offset % 10 == 0 else 2),
        per_second=2_000,
        timeout_seconds=5.0,
        session_seconds=20.0,
    )

    def answer(attempt: Try) -> Answer:
        return Answered(503) if attempt.batch.lane.segment_id == 1 else ACCEPTED

    if trouble == "503":
        world.answer = answer
    else:
        world.latency_of = lambda attempt: 4.9 if attempt.batch.lane.segment_id == 1 else 0.05
    world.run_until(60)
    delivered = world.pipeline.tally.counters["ids_total", "add", "delivered"]
    assert delivered > 0.85 * 2_000 * 50
    ledger = world.pipeline.ledgers[TOPIC, 0]
    assert (ledger.committed or 0) < ledger.position - 2_000
    assert not world.holds()


def test_i7_ids_of_a_segment_in_trouble_fill_the_buffer_and_pause_reading() -> None:
    world = World(lambda _, offset: event("add", f"c{offset}"), buffer_max_ids=20_000)
    world.answer = lambda _: Answered(503)
    world.run_until(120)
    assert world.loop.assignment.paused
    assert 20_000 <= world.pipeline.held_ids <= 22_000
    tries = [at for at, _ in world.sent if at > START + 60]
    assert len(tries) < 10, "one after each backoff, which grew"
    world.answer = lambda _: ACCEPTED
    world.run_while(lambda: world.loop.assignment.paused, most_seconds=100)
