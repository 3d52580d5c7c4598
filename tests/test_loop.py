"""The loop on a clock of its own: what only shows when reading, sending and rebalances meet."""

import itertools

import pytest

from consumer.core.attempts import Attempt
from consumer.core.outcomes import Answer, Answered, Broken
from consumer.core.positions import Gone
from consumer.engine.ports import Committed
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


def test_a_buffer_that_is_full_for_a_moment_throws_nothing_away_that_was_fetched_ahead() -> None:
    """A pause does, and librdkafka fetches it once more: of 44 MB read it received 247."""
    world = World(
        lambda _, offset: event("add", f"c{offset}", segment=offset % 5 + 1),
        per_second=200_000,
        buffer_max_ids=30_000,
    )
    world.run_until(1)
    assert world.loop.assignment.paused
    world.run_until(10)
    assert len(world.sent) > 300
    assert world.pauses == 0


def test_i7_a_large_segment_does_not_fill_the_buffer_while_requests_leave_nearly_empty() -> None:
    """With a request each in turns, the buffer was full of the large one's: a sixth of the rate."""
    world = World(
        lambda _, offset: event("add", f"c{offset}", segment=1 if offset % 2 else 2 + offset % 100),
        batch_max_ids=100,
        buffer_max_ids=2000,
        linger_seconds=1.0,
        max_in_flight=2,
    )
    world.latency = 0.05
    world.run_until(20)
    ids = [len(attempt.ids) for _, attempt in world.sent]
    assert len(ids) > 700
    assert sum(ids) / len(ids) > 70
    waited = [at - attempt.batch.opened_at for at, attempt in world.sent]
    assert max(waited) < 15, "a small one starved"


def test_i7_a_buffer_that_stays_full_pauses_reading_until_there_is_more_room() -> None:
    world = World(lambda _, offset: event("add", f"c{offset}"), buffer_max_ids=10_000)
    world.answer = lambda _: Answered(503)
    while world.now < START + 60:
        world.loop.turn()
        assert len(world.loop._backlog) <= 2100  # noqa: SLF001 - nobody else can see it
    assert world.pauses == 1
    world.answer = lambda _: ACCEPTED
    world.run_while(lambda: world.pipeline.held_ids > 9_500)
    assert world.loop.assignment.pausing, "there is some room already"
    world.run_while(lambda: world.loop.assignment.pausing)
    assert not world.loop.assignment.is_paused((TOPIC, 0))


def test_i7_dead_letters_that_pile_up_pause_reading_and_the_buffer_is_not_called_full() -> None:
    world = World(lambda _, offset: b"{" if offset % 2 else event("add", f"c{offset % 500}"))
    world.acknowledges = False
    world.run_until(10)
    assert len(world.loop._backlog) <= 2100  # noqa: SLF001 - nobody else can see it
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
    world.errors.append(FakeMessage(TOPIC, 1, 0, error=Gone()))
    world.topic_id = "another"
    world.run_until(70)

    def accept(_: Attempt) -> Answer:
        world.deaf_leaders.clear()  # in the very turn in which there is room again
        return ACCEPTED

    world.answer = accept
    world.run_until(200)
    assert any(said == "offsets_gone" for said, _ in world.said)
    assert world.pipeline.ledgers[TOPIC, 1].position == 600


def full_world(records: int = 10**9) -> World:
    """Return a world whose buffer is full of ids that the API doesn't take."""
    world = World(
        lambda partition, offset: event("add", f"c{partition}-{offset}"),
        records=records,
        per_second=2000,
        buffer_max_ids=500,
    )
    world.answer = lambda _: Answered(503)
    return world.run_while(lambda: not (world.loop.assignment.paused and world.sent))


def test_i7_a_partition_that_is_assigned_while_reading_is_paused_is_not_read_yet() -> None:
    world = full_world()
    world.inside_consume.append(lambda: world.loop.assigned([(TOPIC, 1)]))
    world.run_until(world.now - START + 5)
    assert (TOPIC, 1) in world.pipeline.ledgers
    assert len(world.loop._backlog) <= 4000  # noqa: SLF001 - nobody else can see it


def test_i7_a_partition_that_is_assigned_while_reading_is_paused_is_read_when_it_no_longer_is() -> (
    None
):
    world = full_world(600)

    def accept(_: Attempt) -> Answer:
        if (TOPIC, 1) not in world.pipeline.ledgers:  # in the very turn in which there is room
            world.inside_consume.append(lambda: world.loop.assigned([(TOPIC, 1)]))
        return ACCEPTED

    world.answer = accept
    world.run_until(200)
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


def test_i1_what_was_consumed_of_a_partition_that_goes_is_not_received_any_more() -> None:
    """It may come back, and begins where it was committed then."""
    world = full_world()
    backlog = world.loop._backlog  # noqa: SLF001 - nobody else can see it
    assert {message.partition() for message in backlog} == {0}
    world.loop.lost([(TOPIC, 0)])
    assert not world.loop._backlog  # noqa: SLF001
    assert not world.pipeline.held_ids


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
    answers = itertools.chain(lost, itertools.repeat(Answered(429)))
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


def test_i9_a_stop_that_is_asked_for_in_a_drain_ends_by_that_drains_deadline() -> None:
    world = World(
        lambda partition, offset: event("add", "x", segment=partition + 2 * offset + 1),
        partitions=2,
        records=2,
    )
    world.latency_of = lambda attempt: 16.0 if attempt.batch.lane.segment_id == 1 else 1000.0
    asked: list[float] = []

    def ask(_: Attempt) -> Answer:
        asked.append(world.now)
        world.loop.request_stop(world.now + 20.0)
        return ACCEPTED

    world.answer = ask
    world.run_until(6)
    began = world.now
    world.loop.revoked([(TOPIC, 0)])
    assert began < asked[0] < began + 20
    world.loop.stop(asked[0] + 20.0)
    assert world.now < began + 21


def test_i9_a_stop_that_is_asked_for_in_a_drain_begins_with_all_that_stays() -> None:
    """When that drain is over, it could be too late to start anything."""
    world = World(
        lambda partition, _: event("add", "x", segment=partition + 1),
        partitions=2,
        records=1,
        linger_seconds=60.0,
    )
    world.latency_of = lambda attempt: 6.0 if attempt.batch.lane.segment_id == 1 else 0.1
    asked: list[float] = []
    world.answer = lambda _: ACCEPTED if asked else ask()

    def ask() -> Answer:
        asked.append(world.now)
        world.loop.request_stop(world.now + 20.0)
        return Answered(503)

    world.run_until(2)
    began = world.now
    world.loop.revoked([(TOPIC, 0)])
    assert world.now > began + 12
    world.loop.stop(began + 20.0)
    assert world.loop.released == 0
    assert dict(world.commits) == {(TOPIC, 0): 1, (TOPIC, 1): 1}


def test_a_drain_that_can_start_nothing_more_waits_for_answers_only() -> None:
    world = World(one_each, buffer_max_ids=500, max_in_flight=2)
    world.latency = 3.0
    world.run_until(6)
    began = world.now
    world.loop.revoked([(TOPIC, 0)])
    latest_answer = max(at for at, _ in world.sent) + world.latency
    assert world.now < latest_answer + 1
    assert world.now < began + 14


def test_i11_a_drain_sends_the_dead_letters_of_what_was_refused_in_it() -> None:
    world = World(lambda _, offset: event("add", f"c{offset}"), records=3, linger_seconds=60.0)
    world.answer = lambda _: Answered(404, vouched=True)
    world.run_until(2)
    world.loop.revoked([(TOPIC, 0)])
    assert world.now < START + 4
    assert world.commits[-1] == ((TOPIC, 0), 3)
    assert world.loop.released == 0


def test_i9_a_drain_ends_by_its_deadline_though_dead_letters_are_not_acknowledged() -> None:
    world = World(lambda *_: b"{", records=3)
    world.acknowledges = False
    world.run_until(2)
    world.latest = START + 2 + 20 + 1
    world.loop.revoked([(TOPIC, 0)])
    assert world.commits[-1] == ((TOPIC, 0), 0)


# Commits and the lease


def test_a_topic_made_anew_is_gone_on_with_though_the_lease_was_over() -> None:
    """What was read before holds the new log's commits; membership is proven nevertheless."""
    world = World(lambda _, offset: event("add", f"c{offset}"), records=10, per_second=10)
    world.answer = lambda _: Answered(503) if world.now < START + 60 else ACCEPTED
    world.run_until(3)
    world.records = 0
    world.topic_id = "another"
    world.errors.append(FakeMessage(TOPIC, 0, 0, error=Gone()))
    world.run_until(200)
    assert not world.pipeline.held_ids
    assert not world.holds()


def test_i1_of_a_topic_made_anew_nothing_is_committed_before_the_old_one_is_delivered() -> None:
    """An offset of the old one would pass over records that the new one has yet to get."""
    world = World(lambda _, offset: event("add", f"c{offset}"), records=10, linger_seconds=0.5)
    world.run_until(5)
    assert world.commits[-1] == ((TOPIC, 0), 10)
    world.answer = lambda _: Answered(503)
    world.records = 20
    world.run_until(8)
    world.records = 3
    world.topic_id = "another"
    world.errors.append(FakeMessage(TOPIC, 0, 0, error=Gone()))
    world.commits.clear()
    world.run_until(20)
    assert {offset for _, offset in world.commits} == {0}
    world.answer = lambda _: ACCEPTED
    world.run_until(200)
    assert world.commits[-1] == ((TOPIC, 0), 3)


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


def test_i5_a_commit_proves_nothing_whose_answer_took_longer_than_the_lease() -> None:
    """The group may have counted the member out while it was on its way."""
    world = World(one_each, per_second=100, session_seconds=15.0)  # 2.5 s of lease
    world.commit_latency = 3.0
    world.run_until(60)
    assert world.commits
    assert not world.sent


def test_i5_what_the_group_says_is_no_member_starts_nothing_more() -> None:
    """However long ago it was one: its partitions are somebody else's at once."""
    world = World(one_each, per_second=100)
    world.run_until(10)
    world.is_member = False
    world.run_until(12)
    sent = len(world.sent)
    assert sent
    world.run_until(25)
    assert len(world.sent) == sent


def test_i5_a_request_carries_the_end_of_the_lease() -> None:
    world = World(one_each, per_second=100, session_seconds=15.0)  # 2.5 s of lease
    world.run_until(30)
    assert world.sent
    assert all(
        at < end <= at + 2.5 for (at, _), end in zip(world.sent, world.lease_ends, strict=True)
    )


def test_i5_a_drain_longer_than_the_lease_goes_on() -> None:
    """It proves membership too, else it would end in the midst of what could be delivered."""
    world = World(
        one_each, records=40, session_seconds=15.0, drain_seconds=30.0, max_in_flight=1
    )  # 2.5 s of lease
    world.run_while(lambda: world.pipeline.held_ids < 40)
    world.latency = 0.4
    world.loop.revoked([(TOPIC, 0)])
    assert world.now > START + 12
    assert world.commits[-1] == ((TOPIC, 0), 40)
    assert world.loop.released == 0


def test_i5_a_drain_that_is_fenced_waits_for_what_it_sent() -> None:
    """With the classic protocol the next owner begins when it returns."""
    world = World(one_each, per_second=100, linger_seconds=0.5)
    world.latency = 6.0
    world.run_until(8)
    sent = len(world.sent)
    assert world.flying_ids()
    world.is_member = False
    world.loop.revoked([(TOPIC, 0)])
    assert not world.flying_ids()
    assert len(world.sent) == sent


def test_one_commit_is_on_its_way_at_a_time() -> None:
    """Else the answer to an older one would prove what only the younger can."""
    world = World(one_each, per_second=100)
    world.commit_latency = 5.0
    world.run_until(21)
    assert 3 <= len(world.commits) <= 5


@pytest.mark.parametrize("is_stop", [False, True], ids=["revoke", "stop"])
def test_a_commit_that_is_repeated_takes_back_nothing_that_a_drain_committed(
    *, is_stop: bool
) -> None:
    """Its connection was lost with it, and a drain's own commits need not wait for that."""
    world = World(one_each, per_second=100)
    world.run_until(20)
    world.repeat_seconds = 3.0
    world.run_until(22.5)
    asked_at = world.now
    if is_stop:
        world.loop.request_stop(asked_at + 20)
        world.loop.stop(asked_at + 20)
    else:
        world.loop.revoked([(TOPIC, 0)])
    assert world.now < asked_at + 5
    assert not world.loop.released
    world.repeat_seconds = 0.0
    world.is_member = False  # what comes later is somebody else's
    if not is_stop:
        world.run_until(40)
    offsets = [offset for _, offset in world.commits]
    assert offsets == sorted(offsets)
    assert offsets[-1] > 2000


def send_commit_that_is_lost(world: World) -> None:
    """Have the loop send a commit that arrives three seconds later, being repeated."""
    world.run_while(lambda: world.loop.commits.sent_at is not None)
    world.repeat_seconds = 3.0
    world.run_while(lambda: world.loop.commits.sent_at is None)
    world.repeat_seconds = 0.0


@pytest.mark.parametrize("is_settled", [False, True], ids=["unsettled", "settled"])
def test_i1_a_commit_that_is_lost_with_a_drains_own_takes_nothing_back(*, is_settled: bool) -> None:
    """It was young when the drain began; how long the drain's own one took tells of it."""
    world = World(lambda _, offset: event("add", f"c{offset}"), per_second=100, linger_seconds=0.1)
    world.run_until(20)
    send_commit_that_is_lost(world)
    ledger = world.pipeline.ledgers[TOPIC, 0]
    if is_settled:
        world.records = ledger.position
        world.run_while(lambda: not ledger.is_settled())
    asked_at, world.commit_now_latency = world.now, 0.9
    world.loop.revoked([(TOPIC, 0)])
    assert world.now < asked_at + 7
    world.run_until(world.now - START + 5)  # librdkafka gives it up when all is answered
    offsets = [offset for _, offset in world.commits]
    assert offsets[-1] == max(offsets) > 1900
    assert not world.loop.released


def test_a_drain_waits_for_no_repeat_where_each_commit_takes_long() -> None:
    """The brokers are far away: a question and its answer take as long as one did before."""
    world = World(one_each, per_second=100)
    world.commit_latency = 0.2
    world.run_until(20)
    world.run_while(lambda: world.loop.commits.sent_at is None)
    world.commit_now_latency = 0.4
    asked_at = world.now
    world.loop.revoked([(TOPIC, 0)])
    assert world.now - asked_at < 2
    assert not world.loop.released


def test_i1_what_a_commit_took_back_in_a_drain_is_committed_again_at_its_end() -> None:
    """It was young when the drain began, and what tells that it was lost was over by then."""
    world = World(
        lambda partition, offset: event("add", f"c{offset}", segment=partition + 1),
        partitions=2,
        per_second=100,
        linger_seconds=0.5,
    )
    world.run_until(20)
    send_commit_that_is_lost(world)
    world.latency_of = lambda attempt: 6.0 if attempt.batch.lane.segment_id == 1 else 0.1
    world.loop.revoked([(TOPIC, 0), (TOPIC, 1)])
    offsets = [offset for (_, partition), offset in world.commits if partition == 1]
    assert offsets != sorted(offsets), "it was not repeated"
    assert offsets[-1] == max(offsets) > 900


def test_a_drain_does_not_wait_twice_for_a_commit_that_nobody_answers() -> None:
    world = World(one_each, partitions=2, per_second=100)
    world.run_until(20)
    world.repeat_seconds = 1000.0
    world.run_until(22)
    for partition, seconds in ((0, 3.4), (1, 0.0)):
        asked_at = world.now
        world.loop.revoked([(TOPIC, partition)])
        assert seconds <= world.now - asked_at < seconds + 1


def test_i1_a_drain_waits_for_the_repeat_from_when_somebody_is_there_to_take_it() -> None:
    """While no coordinator answers librdkafka repeats nothing: it comes after that."""
    world = World(one_each, per_second=100)
    world.run_until(20)
    world.is_away_until = world.now + 8
    world.repeat_seconds = 10.5
    world.run_until(21.3)
    asked_at = world.now
    world.loop.revoked([(TOPIC, 0)])
    assert asked_at + 9 < world.now < asked_at + 13
    assert not world.loop.released
    offsets = [offset for _, offset in world.commits]
    assert offsets == sorted(offsets)
    assert offsets[-1] > 2000


def test_i1_what_a_repeated_commit_took_back_is_committed_again() -> None:
    """No matter that nothing new arrives: a restart would read all of it once more."""
    world = World(
        lambda partition, offset: event("add", f"c{offset}", segment=partition + 1),
        partitions=2,
        records=500,
        per_second=2000,
    )
    world.latency_of = lambda attempt: 8.0 if attempt.batch.lane.segment_id == 2 else 0.1
    world.run_until(4.5)
    world.repeat_seconds = 12.0  # longer than a drain waits for it
    world.run_until(7)
    world.loop.revoked([(TOPIC, 1)])
    before = [offset for (_, partition), offset in world.commits if partition == 0]
    world.repeat_seconds = 0.0
    world.run_until(30)
    after = [offset for (_, partition), offset in world.commits if partition == 0]
    assert before[-1] == 500
    assert 0 in after[len(before) :], "it was not repeated"
    assert after[-1] == 500


def test_a_commit_that_failed_is_made_up_for_though_nothing_new_arrives() -> None:
    world = World(one_each, records=5)
    world.run_until(4)
    world.refused_commits = {0}
    world.run_while(lambda: world.pipeline.held_ids)
    world.run_until(15)
    assert world.commits[-1] == ((TOPIC, 0), 0)
    world.refused_commits = set()
    world.run_until(20)
    assert world.commits[-1] == ((TOPIC, 0), 5)


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


def test_leaders_that_do_not_answer_take_no_time_of_a_turn_and_leave_the_others_going() -> None:
    world = World(one_each, partitions=40, per_second=100)
    world.committed = Committed(None, "")
    world.deaf_leaders = set(range(40)) - {7}
    longest = 0.0
    while world.now < START + 200:
        began = world.now
        world.loop.turn()
        longest = max(longest, world.now - began)
    assert longest < 0.2
    assert set(world.pipeline.ledgers) == {(TOPIC, 7)}
    assert world.sent


def test_dead_letters_that_a_hold_keeps_back_do_not_make_the_topic_unavailable() -> None:
    world = World(
        lambda _, offset: event("add", "x", segment=offset + 1),
        per_second=20,
        dead_letter_max_consecutive=3,
    )
    world.answer = lambda _: Answered(404, vouched=True)
    world.run_until(60)
    assert world.holds() == {"dead-letter-limit"}
    assert world.pipeline.pending_dead_letters


# One segment and the others


def test_i4_under_a_low_rate_batches_are_far_fuller_instead_of_waiting_in_line() -> None:
    def mean_ids(rate: float) -> float:
        world = World(
            lambda _, offset: event("add", f"c{offset}", segment=offset % 1000 + 1),
            per_second=500,
            requests_per_second=rate,
            max_in_flight=64,
            linger_seconds=1.0,
        )
        world.run_until(120)
        late = [len(attempt.ids) for at, attempt in world.sent if at > START + 60]
        return sum(late) / len(late)

    assert mean_ids(10) > 5 * mean_ids(100)


def test_i4_a_hot_segment_does_not_delay_the_single_change_of_another() -> None:
    """However much of one segment is waiting: once read, the other leaves within its linger."""
    lonely = 60_000
    world = World(
        lambda _, offset: (
            event("add", "x", segment=2) if offset == lonely else event("add", f"c{offset}")
        ),
        per_second=10_000,
        requests_per_second=20.0,
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

    def answer(attempt: Attempt) -> Answer:
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
    attempts = [at for at, _ in world.sent if at > START + 60]
    assert len(attempts) < 10, "one after each backoff, which grew"
    world.answer = lambda _: ACCEPTED
    world.run_while(lambda: world.loop.assignment.paused, most_seconds=100)


@pytest.mark.parametrize(("partitions", "least", "most"), [(1, 4, 5), (5000, 0.5, 1)])
def test_thousands_of_partitions_are_published_less_often(
    partitions: int, least: float, most: float
) -> None:
    """Each time takes 30 ms with 5,000 of them, of the loop's and of everybody else's time."""
    world = World(one_each, partitions=partitions, records=0)
    world.run_until(2)
    seen = {id(world.published): world.published}
    while world.now < START + 12:
        world.loop.turn()
        seen[id(world.published)] = world.published
    assert 10 * least <= len(seen) - 1 <= 10 * most
