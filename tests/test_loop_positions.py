"""Where the loop begins to read and goes on, and what it commits there, in virtual time."""

import pytest

from consumer.core.outcomes import Answered
from consumer.core.positions import Going, Gone, Log, Loss
from consumer.engine.assignment import STARTS_PER_TURN
from consumer.engine.commits import IDLE_SECONDS
from consumer.engine.ports import Committed, EndOfPartition, FirstStart, Found, GiveUp, View
from tests.support.loop_world import ACCEPTED, START, TOPIC, World
from tests.support.records import FakeMessage, event

FIRST = (TOPIC, 0)


def one_each(partition: int, offset: int) -> bytes:
    """Return an event that adds a customer of its own."""
    return event("add", f"c{partition}-{offset}")


def quick(**given: object) -> World:
    """Return a world without a linger."""
    return World(one_each, linger_seconds=0.5, **given)  # type: ignore[arg-type]  # whatever a world takes


def offsets_of(world: World, partition: int = 0) -> list[int]:
    """Return what was committed of a partition, without repetitions."""
    found = [offset for (_, number), offset in world.commits if number == partition]
    return [at for before, at in zip([None, *found], found, strict=False) if at != before]


# Answers


def test_an_answer_to_a_question_of_before_is_passed_over() -> None:
    """The partition went and came back; somebody else may have committed meanwhile."""
    world = quick(records=10)
    world.deaf_leaders.add(0)
    world.run_until(1)
    (stale,) = world.lookup.wanted.values()
    world.loop.revoked([FIRST])
    world.loop.assigned([FIRST])
    world.run_until(2)
    late = Found(FIRST, stale, Committed(3, ""), Log(0, 10, None, "one"))
    world.lookup.late.append(late)
    world.run_until(3)
    assert FIRST not in world.pipeline.ledgers
    world.deaf_leaders.clear()
    world.run_until(4)
    assert [going.offset for _, going in world.started] == [0]


def test_nothing_is_waited_for_in_the_groups_callback() -> None:
    world = quick(partitions=40)
    before = world.now
    world.loop.assigned([(TOPIC, partition) for partition in range(40)])
    assert world.now - before < 0.01


def test_what_waits_is_asked_for_as_long_as_it_is_assigned() -> None:
    world = quick(partitions=2)
    world.deaf_leaders = {0, 1}
    world.run_until(1)
    assert set(world.lookup.wanted) == {FIRST, (TOPIC, 1)}
    assert "2 partitions wait for their committed offset" in str(world.loop.assignment.waiting)
    world.lookup.trouble = "their leaders do not answer"
    assert world.loop.assignment.waiting.endswith(": their leaders do not answer")
    world.loop.lost([FIRST])
    world.run_until(2)
    assert set(world.lookup.wanted) == {(TOPIC, 1)}
    world.loop.stop(world.now + 10)
    assert not world.lookup.wanted


def test_thousands_of_partitions_begin_some_at_a_time() -> None:
    world = quick(partitions=2_000, records=0)
    most, begun = 0, 0
    while begun < 2_000:
        world.loop.turn()
        most = max(most, len(world.started) - begun)
        begun = len(world.started)
        assert world.now < START + 10
    assert most <= 500


def test_a_commit_of_thousands_of_partitions_is_made_of_some_that_the_broker_can_take() -> None:
    """It writes each commit as one batch, of a megabyte at most."""
    world = quick(partitions=3_000, records=0, offset_reset="latest")
    world.committed = Committed(None, "")
    census = {f"a-topic-that-is-read-{n}": 1 for n in range(60)}
    world.first_start = FirstStart(group_has_commits=False, census=census, counts={})
    world.run_until(20)
    assert {name[1] for name, _ in world.commits} == set(range(3_000))
    sizes = [sum(150 + len(o.metadata) for o in sent.values()) for sent in world.sent_commits]
    assert max(sizes) < 600_000
    world.loop.stop(world.now + 20)
    assert len(world.sent_commits) < 60


# A truncated log


def cut_off(world: World, end: int, *, records: int, diverges_at: int | None) -> None:
    """Let the log end somewhere else, and the broker say so."""
    world.records = records
    world.leader_epoch = 4
    world.errors.append(FakeMessage(TOPIC, 0, end, error=Gone(diverges_at, is_compared=True)))


def test_i1_a_truncated_log_goes_on_at_the_cut_and_its_commits_go_back_there_once() -> None:
    world = quick(records=500)
    world.leader_epoch = 3
    world.run_until(5)
    cut_off(world, 500, records=510, diverges_at=490)
    world.run_until(10)
    assert offsets_of(world)[-2:] == [490, 510] or offsets_of(world)[-1] == 510
    after = offsets_of(world)[offsets_of(world).index(500) + 1 :]
    assert min(after) == 490
    assert after == sorted(after)
    assert world.started[-1] == (FIRST, Going(490, 3, Loss.CUT_OFF))
    told = [fields for said, fields in world.told if said == "offsets_gone"]
    assert [(each["partition"], each["missed"]) for each in told] == [(0, "490 to 499")]
    assert world.pipeline.tally.counters["offset_resets_total", TOPIC] == 1
    assert ("starts_at_end_total", TOPIC) not in world.pipeline.tally.counters


def test_i8_a_log_that_is_cut_off_twice_is_told_twice() -> None:
    world = quick(records=500)
    world.leader_epoch = 3
    world.run_until(5)
    cut_off(world, 500, records=510, diverges_at=490)
    world.run_until(10)
    cut_off(world, 510, records=505, diverges_at=500)
    world.run_until(15)
    told = [message for said, message in world.written if said == "offsets_gone"]
    assert ["490 to 499" in told[0], "500 to 509" in told[1]] == [True, True]


def test_a_commit_without_metadata_is_gone_on_with_at_the_cut_all_the_same() -> None:
    """Its leader epoch tells of a log that was truncated while nobody read it."""
    world = quick(records=500)
    world.committed = Committed(500, "", 3)
    world.leader_epoch = 4
    world.run_until(1)
    assert world.started == [(FIRST, Going(500, 3))]
    cut_off(world, 500, records=510, diverges_at=490)
    world.run_until(5)
    assert world.started[-1] == (FIRST, Going(490, 3, Loss.CUT_OFF))


def test_i1_what_was_read_beyond_a_cut_is_delivered_and_holds_the_commit_there() -> None:
    world = quick(records=495)
    world.run_until(5)
    world.answer = lambda _: Answered(503)
    world.records = 500
    world.run_until(8)
    cut_off(world, 500, records=520, diverges_at=490)
    world.commits.clear()
    world.run_until(30)
    assert {offset for _, offset in world.commits} == {490}
    world.answer = lambda _: ACCEPTED
    world.run_until(200)
    assert offsets_of(world)[-1] == 520
    sent = {name for _, attempt in world.sent for name in attempt.ids}
    assert {f"c0-{offset}" for offset in range(520)} <= sent


def test_i1_the_answer_to_a_commit_of_before_says_nothing_of_the_log_as_it_is() -> None:
    world = quick(records=500)
    world.leader_epoch = 3
    world.commit_latency = 3.0
    world.run_while(lambda: 500 not in offsets_of(world))
    cut_off(world, 500, records=490, diverges_at=490)
    world.run_until(20)
    assert world.pipeline.ledgers[FIRST].committed == 490
    sent = len(world.commits)
    world.run_until(60)
    proofs = 40 / IDLE_SECONDS + 1
    assert len(world.commits) <= sent + proofs, "it is committed again and again"


def test_a_position_that_is_in_doubt_is_compared_by_the_broker() -> None:
    world = quick(records=600)
    world.leader_epoch = 4
    world.committed = Committed(500, '{"topic_id":"one"}', 3)
    world.run_until(1)
    assert world.started == [(FIRST, Going(500, 3))]
    assert not any(said == "offsets_gone" for said, _ in world.said)


def test_i1_what_is_not_read_after_a_pause_is_compared_with_the_log() -> None:
    """A pause throws away that a position is gone, which the client says once."""
    world = quick(records=10**6, buffer_max_ids=2000)
    world.leader_epoch = 3
    world.answer = lambda _: Answered(503)
    world.run_while(lambda: not world.pauses)
    world.leader_epoch = 4
    world.unread.add(0)
    world.answer = lambda _: ACCEPTED
    world.run_while(lambda: len(world.started) == 1)
    position = world.pipeline.ledgers[FIRST].position
    assert world.started[1:] == [(FIRST, Going(position, 3))]
    world.run_until(world.now - START + 5)
    assert world.pipeline.ledgers[FIRST].position > position


def test_commits_carry_the_latest_epoch_that_was_read() -> None:
    """One that is too old makes the log look as if it had been cut off where that epoch ended."""
    world = quick(records=100)
    world.leader_epoch = 3
    world.run_until(3)
    world.leader_epoch = 4
    world.records = 200
    world.run_until(6)
    epochs = [(o.offset, o.leader_epoch) for sent in world.sent_commits for o in sent.values()]
    assert (100, 3) in epochs
    assert epochs[-1] == (200, 4)


def last_commits(world: World) -> list[tuple[int, int | None]]:
    """Return offset and epoch of what was committed from 100 on, without repetitions."""
    sent = (each for commit in world.sent_commits for each in commit.values())
    return list(dict.fromkeys((o.offset, o.leader_epoch) for o in sent if o.offset >= 100))


def lead(world: World, epoch: int, end: int) -> None:
    """Let a leader have the log, up to an end that the observer sees."""
    world.leader_epoch = epoch
    world.observer.view = View(asked=True, leaders={FIRST: (end, epoch)})
    world.run_until(world.now - START + 3)


def end_at(world: World, end: int) -> None:
    """Let the consumer come to the log's end: behind the last record may be markers."""
    world.errors.append(FakeMessage(TOPIC, 0, end, error=EndOfPartition()))
    world.run_until(world.now - START + 3)


def test_i1_what_is_skipped_at_first_has_the_epoch_of_its_leader() -> None:
    """Else nobody could tell that the log was cut off and has grown beyond it."""
    world = quick(records=100, offset_reset="latest")
    world.leader_epoch, world.committed = 3, Committed(None, "")
    world.run_until(3)
    assert world.started == [(FIRST, Going(100, 3))]
    assert last_commits(world) == [(100, 3)]


def test_i1_a_marker_before_the_first_record_is_committed_with_an_epoch() -> None:
    """Else a record that takes its place, as the log is cut off, would never be read."""
    world = quick(records=100)
    world.leader_epoch, world.committed, world.first = 3, Committed(None, ""), 100
    world.run_until(3)
    assert world.started == [(FIRST, Going(100))]
    end_at(world, 101)
    lead(world, 3, end=101)
    assert last_commits(world) == [(100, 3), (101, 3)]


def test_a_transactions_marker_of_the_last_records_leader_is_committed() -> None:
    world = quick(records=100)
    lead(world, 3, end=100)
    end_at(world, 101)
    assert offsets_of(world)[-1] == 100, "the leader doesn't have it yet"
    lead(world, 3, end=101)
    assert last_commits(world) == [(100, 3), (101, 3)]
    assert len(world.started) == 1


def test_i1_a_marker_is_read_again_of_a_leader_that_may_have_another_log_before_it() -> None:
    """Nobody says whose it was; and the epoch of the record before may have ended there."""
    world = quick(records=100)
    lead(world, 3, end=100)
    lead(world, 4, end=500)
    end_at(world, 101)
    assert world.started[1:] == [(FIRST, Going(100, 3))]
    assert offsets_of(world)[-1] == 100
    end_at(world, 102)
    assert last_commits(world) == [(100, 3), (102, 4)]
    assert len(world.started) == 2


def test_i1_a_marker_is_read_again_of_each_leader() -> None:
    world = quick(records=100)
    lead(world, 3, end=100)
    for number, epoch in enumerate((4, 5, 6)):
        lead(world, epoch, end=500)
        end_at(world, 101)
        assert len(world.started) == 2 + number
        assert offsets_of(world)[-1] == 100


def test_i1_a_leader_of_before_the_last_record_tells_nothing_of_a_marker() -> None:
    world = quick(records=100)
    lead(world, 4, end=100)
    world.observer.view = View(asked=True, leaders={FIRST: (500, 3)})
    end_at(world, 101)
    assert offsets_of(world)[-1] == 100
    assert len(world.started) == 1


def test_where_nobody_tells_an_epoch_a_marker_is_committed_without() -> None:
    world = quick(records=100)
    world.run_until(3)
    end_at(world, 101)
    assert last_commits(world) == [(100, None), (101, None)]


def test_a_log_that_was_cut_behind_its_last_record_has_lost_nothing() -> None:
    world = quick(records=100)
    world.leader_epoch = 3
    world.run_until(3)
    world.errors.append(FakeMessage(TOPIC, 0, 103, error=EndOfPartition()))
    world.run_until(4)
    world.errors.append(FakeMessage(TOPIC, 0, 103, error=Gone(100, is_compared=True)))
    world.run_until(7)
    assert world.started[-1][1].offset == 100
    assert not any(said == "offsets_gone" for said, _ in world.said)


def test_the_epoch_of_a_commit_is_kept_until_something_was_read() -> None:
    world = quick(records=500)
    world.leader_epoch = 3
    world.committed = Committed(500, '{"topic_id":"one"}', 3)
    world.run_until(3)
    assert world.pipeline.ledgers[FIRST].leader_epoch == 3


# A topic made anew


def test_latest_reads_a_topic_made_anew_from_its_beginning() -> None:
    """The group noticed that it was gone, and the broker forgot its commits with it."""
    both = [FIRST, (TOPIC, 1)]
    world = quick(records=50, partitions=2, offset_reset="latest")
    world.committed = Committed(None, "")
    world.run_until(3)
    assert [going.offset for _, going in world.started] == [50, 50]
    world.loop.lost(both)
    world.topic_id, world.records = "another", 20
    world.loop.assigned(both)
    world.run_until(6)
    assert [going.offset for _, going in world.started[2:]] == [0, 0]
    assert len({name for _, attempt in world.sent for name in attempt.ids}) == 40
    counters = world.pipeline.tally.counters
    assert (counters["starts_at_end_total", TOPIC], counters["offset_resets_total", TOPIC]) == (
        2,
        4,
    )


def test_a_topic_made_anew_that_has_the_old_position_is_read_from_its_beginning() -> None:
    world = quick(records=500)
    world.run_until(5)
    world.topic_id, world.records = "another", 1000
    world.lookup.topic_ids = {TOPIC: "another"}
    world.run_until(30)
    assert world.started[-1] == (FIRST, Going(0, None, Loss.MADE_ANEW))
    assert world.pipeline.ledgers[FIRST].position == 1000
    assert offsets_of(world)[-1] == 1000
    metadata = [o.metadata for sent in world.sent_commits for o in sent.values()]
    assert (metadata[0], metadata[-1]) == ('{"topic_id":"one"}', '{"topic_id":"another"}')
    assert len([said for said, _ in world.said if said == "offsets_gone"]) == 1


@pytest.mark.parametrize("old", [0, 20])
def test_a_topic_made_anew_is_committed_though_its_first_offset_is_the_old_ones(old: int) -> None:
    """Else whoever has the partition next is told that it was made anew, each time."""
    world = quick(records=old)
    world.first, world.topic_id = old, "another"
    world.committed = Committed(old, '{"topic_id":"one"}')
    world.run_until(6)
    assert world.started == [(FIRST, Going(old, None, Loss.MADE_ANEW))]
    assert offsets_of(world) == [old]
    metadata = [o.metadata for sent in world.sent_commits for o in sent.values()]
    assert metadata == ['{"topic_id":"another"}']


def test_what_was_consumed_of_the_old_topic_is_not_received_after_the_new_one_began() -> None:
    world = quick(records=5000, buffer_max_ids=100, per_second=100_000)
    world.answer = lambda _: Answered(503)
    world.run_while(lambda: not world.loop._backlog)  # noqa: SLF001 - nobody else can see it
    received = world.pipeline.ledgers[FIRST].position
    world.topic_id, world.records = "another", 20
    world.lookup.topic_ids = {TOPIC: "another"}
    world.loop._begin(world.now)  # noqa: SLF001 - before a turn takes more of it in
    world.answer = lambda _: ACCEPTED
    world.run_until(300)
    assert world.pipeline.ledgers[FIRST].position == 20
    sent = {int(name[3:]) for _, attempt in world.sent for name in attempt.ids}
    assert max(sent) < received


@pytest.mark.parametrize("ids", [{}, {TOPIC: ""}, {TOPIC: "one"}, {"other": "x"}])
def test_a_topic_whose_id_is_the_same_or_unknown_is_read_on(ids: dict[str, str]) -> None:
    world = quick(records=500)
    world.run_until(3)
    world.lookup.topic_ids = ids
    world.run_until(6)
    assert len(world.started) == 1


def test_a_topic_whose_id_was_not_known_at_the_beginning_is_watched_from_when_it_is() -> None:
    world = quick(records=500)
    world.topic_id = ""
    world.run_until(3)
    world.lookup.topic_ids = {TOPIC: "one"}
    world.records = 510
    world.run_until(6)
    assert len(world.started) == 1
    assert next(iter(world.sent_commits[-1].values())).metadata == '{"topic_id":"one"}'
    world.topic_id = "another"
    world.lookup.topic_ids = {TOPIC: "another"}
    world.run_until(9)
    assert world.started[-1] == (FIRST, Going(0, None, Loss.MADE_ANEW))


def test_a_commit_of_a_topic_of_the_same_name_that_is_no_more_counts_for_nothing() -> None:
    world = quick(records=1000)
    world.committed = Committed(500, '{"topic_id":"old"}', None)
    world.run_until(5)
    assert world.started == [(FIRST, Going(0, None, Loss.MADE_ANEW))]
    assert offsets_of(world)[0] == 0 or offsets_of(world)[-1] == 1000
    assert world.pipeline.ledgers[FIRST].committed == 1000


# What the operator wants, and hears


@pytest.mark.parametrize(
    ("committed", "first", "records"),
    [
        (Committed(5, ""), 10, 20),
        (Committed(5, '{"topic_id":"one"}'), 0, 3),
        (Committed(5, '{"topic_id":"old"}'), 0, 20),
        (Committed(None, ""), 0, 20),
    ],
)
def test_with_error_the_daemon_gives_up_and_names_the_partition(
    committed: Committed, first: int, records: int
) -> None:
    world = quick(records=records, offset_reset="error")
    world.committed, world.first = committed, first
    with pytest.raises(GiveUp, match=f"{TOPIC}:0"):
        world.run_until(3)
    assert not world.sent


def test_latest_tells_what_it_skips() -> None:
    world = quick(records=70, partitions=25, offset_reset="latest")
    world.committed = Committed(None, "")
    world.run_until(3)
    (told,) = [message for said, message in world.said if said == "not_committed"]
    assert all(f"{TOPIC}:{partition}, 0 to 69" in told for partition in range(25))
    assert "are skipped" in told
    assert world.pipeline.tally.counters["offset_resets_total", TOPIC] == 25
    assert world.pipeline.tally.counters["starts_at_end_total", TOPIC] == 25
    assert not world.sent


def test_i8_what_is_skipped_a_moment_later_is_no_repetition() -> None:
    """Thousands of partitions don't begin in one turn, and not all leaders answer at once."""
    world = quick(records=70, partitions=STARTS_PER_TURN + 1, offset_reset="latest")
    world.committed = Committed(None, "")
    world.run_until(3)
    told = [message for said, message in world.written if said == "not_committed"]
    assert len(told) == 2
    assert f"{TOPIC}:{STARTS_PER_TURN}, 0 to 69" in told[1]


def test_what_is_skipped_is_written_though_others_of_the_topic_were_just_before() -> None:
    """A repetition is not, for half a minute: these are other records."""
    world = quick(records=70, offset_reset="latest")
    world.committed = Committed(None, "")
    world.run_until(1)
    world.loop.assigned([(TOPIC, 1)])
    world.run_until(3)
    for partition in (0, 1):
        assert any(f"{TOPIC}:{partition}, 0 to 69" in each for _, each in world.written)


def test_each_loss_of_a_position_is_written() -> None:
    world = quick(records=500)
    world.run_until(3)
    for end in (490, 480):
        world.records = end
        world.errors.append(FakeMessage(TOPIC, 0, end + 10, error=Gone(end, is_compared=True)))
        world.run_until(world.now - START + 1)
    for end in (490, 480):
        assert any(f"reading goes on at {end}" in each for _, each in world.written)


def test_earliest_tells_in_short_what_it_reads_once_more() -> None:
    world = quick(records=70, partitions=25)
    world.committed = Committed(None, "")
    world.run_until(3)
    (told,) = [message for said, message in world.said if said == "not_committed"]
    assert f"read from the beginning: {TOPIC}:0, 0 to 69" in told
    assert told.endswith(" and 5 more")
    assert ("offset_resets_total", TOPIC) not in world.pipeline.tally.counters
    assert sum(len(attempt.ids) for _, attempt in world.sent) == 25 * 70


def test_nothing_is_told_of_a_partition_that_has_no_records() -> None:
    world = quick(records=0)
    world.committed = Committed(None, "")
    world.run_until(3)
    assert not [said for said, _ in world.said if said == "not_committed"]


# Metadata


def test_metadata_that_the_broker_finds_too_long_is_done_without_and_said_once() -> None:
    world = quick(records=100, partitions=3)
    world.metadata_limit = 10
    world.run_until(30)
    assert {offset for _, offset in world.commits[-3:]} == {100}
    said = [message for said, message in world.said if "offset.metadata.max.bytes" in message]
    assert len(said) == 1
    assert not world.pipeline.held_ids


def test_a_drain_does_without_metadata_that_is_too_long() -> None:
    world = quick(records=100, commit_seconds=60.0)
    world.run_until(3)
    world.metadata_limit = 10
    world.records = 200
    world.run_until(4)
    world.loop.revoked([FIRST])
    assert offsets_of(world)[-1] == 200
