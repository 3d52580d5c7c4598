"""Partitions in which records wait and from which nothing comes: when they are told, as what."""

import itertools

import pytest
from confluent_kafka import KafkaError

from consumer.core.ledger import Ledger
from consumer.core.positions import Going, Gone, Loss
from consumer.core.stalls import MOST_BETWEEN_LOOKS_SECONDS, STALLED_SECONDS, Stalls
from consumer.engine.assignment import PAUSE_AFTER_SECONDS, REST_SECONDS
from consumer.engine.ports import Damaged, EndOfPartition, MessageError, Trouble, View
from consumer.engine.stalls import ASK_SECONDS, MOST_TOLD, UNANSWERED_SECONDS
from consumer.kafka.errors import meaning_of
from tests.support.loop_world import START, TOPIC, World
from tests.support.records import FakeMessage, event

STALLED = "partition-stalled"
DAMAGE = Damaged(Trouble("_BAD_MSG", "MessageSet at offset 10 failed CRC32C check"))


class Watch:
    """The rule on a clock of the test's own; one partition waits unless a test says otherwise."""

    def __init__(self) -> None:
        self.stalls = Stalls()
        self.ledger = Ledger(1, TOPIC, 0, 10)
        self.now = 1000.0
        self.look()

    def look(self, *waiting: Ledger, is_paused: bool = False) -> None:
        """Look once."""
        self.stalls.look(waiting or [self.ledger], self.now, is_paused=is_paused)

    def wait(self, seconds: float, *waiting: Ledger, is_paused: bool = False) -> "Watch":
        """Look twice a second for so long."""
        for _ in range(int(2 * seconds)):
            self.now += 0.5
            self.look(*waiting, is_paused=is_paused)
        return self

    @property
    def stalled(self) -> list[Ledger]:
        """What is stalled."""
        return [each.ledger for each in self.stalls.silent()]

    @property
    def overdue(self) -> list[Ledger]:
        """What is silent for longer than its turn explains."""
        return [each.ledger for each in self.stalls.silent(self.stalls.patience)]


def test_a_partition_is_stalled_when_nothing_came_for_half_a_minute_though_records_wait() -> None:
    watch = Watch().wait(STALLED_SECONDS - 0.5)
    assert not watch.stalled
    assert watch.wait(0.5).stalled == [watch.ledger]
    assert watch.wait(1000.0).stalled == [watch.ledger]


def test_a_position_that_moves_ends_it() -> None:
    watch = Watch().wait(STALLED_SECONDS)
    watch.ledger.position += 1
    assert not watch.wait(STALLED_SECONDS - 0.5).stalled
    assert watch.wait(1.0).stalled


def test_a_partition_without_records_that_wait_is_none_and_begins_anew() -> None:
    watch = Watch().wait(STALLED_SECONDS)
    other = Ledger(2, TOPIC, 1, 10)
    assert watch.wait(0.5, other).stalled == []
    assert watch.wait(STALLED_SECONDS - 0.5).stalled == []


def test_another_assignment_of_the_same_partition_begins_anew() -> None:
    watch = Watch().wait(STALLED_SECONDS)
    watch.ledger = Ledger(2, TOPIC, 0, 10)
    assert not watch.wait(STALLED_SECONDS - 0.5).stalled


def test_the_time_of_a_pause_does_not_count_and_forgets_nothing() -> None:
    watch = Watch().wait(STALLED_SECONDS - 1).wait(1000.0, is_paused=True)
    assert not watch.stalled
    assert watch.wait(1.0).stalled
    assert watch.wait(10.0, is_paused=True).stalled


def test_time_in_which_nobody_looked_does_not_count() -> None:
    """A drain, or a process that was frozen: nothing could have come."""
    watch = Watch().wait(STALLED_SECONDS - 1)
    watch.now += MOST_BETWEEN_LOOKS_SECONDS + 0.1
    watch.look()
    assert not watch.stalled
    assert watch.wait(1.0).stalled


def test_what_the_client_said_is_known_as_long_as_it_is_silent() -> None:
    watch = Watch()
    watch.stalls.hear(watch.ledger, "damaged")
    (silence,) = watch.wait(STALLED_SECONDS).stalls.silent()
    assert (silence.position, silence.said) == (10, "damaged")
    watch.ledger.position += 1
    (silence,) = watch.wait(STALLED_SECONDS + 0.5).stalls.silent()
    assert silence.said == ""


def in_turns(watch: Watch, ledgers: list[Ledger], turn_seconds: float, turns: int) -> list[int]:
    """Let records come from one after the other, and return which of them seemed to be stalled."""
    seemed: set[int] = set()
    for turn in range(turns):
        for _ in range(int(2 * turn_seconds)):
            watch.now += 0.5
            watch.look(*ledgers)
            seemed |= {each.partition for each in watch.overdue}
        ledgers[turn % len(ledgers)].position += 1000
    return sorted(seemed)


def test_partitions_that_wait_for_their_turn_behind_many_others_are_none() -> None:
    """A fetch brings half a megabyte, of one partition where all have more than that."""
    watch = Watch()
    ledgers = [Ledger(number, TOPIC, number, 10) for number in range(100)]
    assert in_turns(watch, ledgers, 1.0, 500) == []
    assert watch.stalls.silent(), "that one waits for long is what it is about"


def test_one_of_many_from_which_nothing_comes_is_told_soon_after_the_others_had_their_turn() -> (
    None
):
    watch = Watch()
    ledgers = [Ledger(number, TOPIC, number, 10) for number in range(40)]
    in_turns(watch, ledgers, 1.0, 200)
    assert in_turns(watch, [*ledgers, watch.ledger], 1.0, 60) == []
    del ledgers[0]
    dead = Ledger(1000, TOPIC, 1000, 10)
    began = watch.now
    while dead not in watch.overdue:
        for ledger in ledgers:
            watch.wait(1.0, *ledgers, dead)
            ledger.position += 1
        assert watch.now < began + 4 * len(ledgers)
    assert watch.overdue == [dead]


def test_what_was_waited_for_is_forgotten() -> None:
    watch = Watch()
    in_turns(watch, [Ledger(number, TOPIC, number, 10) for number in range(100)], 1.0, 300)
    watch.ledger = Ledger(1000, TOPIC, 1000, 10)
    assert not watch.wait(STALLED_SECONDS + 1).overdue
    assert watch.wait(300.0).overdue
    watch.ledger = Ledger(1001, TOPIC, 1001, 10)
    assert watch.wait(STALLED_SECONDS + 1).overdue


def test_a_stall_that_is_over_makes_nobody_wait_for_longer() -> None:
    watch = Watch().wait(1000.0)
    watch.ledger.position += 1
    assert watch.wait(STALLED_SECONDS + 1).overdue


# -- in the loop ----------------------------------------------------------------------------------


def world_of(ends: dict[int, int], *, records: int = 10, partitions: int = 2) -> World:
    """Return a world that has so many records to give, and whose broker says that these wait."""
    world = World(
        lambda partition, offset: event("add", f"c{partition}-{offset}", segment=partition + 1),
        records=records,
        partitions=partitions,
    )
    said = {(TOPIC, partition): end for partition, end in ends.items()}
    world.observer.view = View(asked=True, ends=said)
    return world


def say(world: World, error: MessageError, offset: int = 10) -> None:
    world.errors.append(FakeMessage(TOPIC, 0, offset, error=error))


def stalled(world: World) -> dict[int, bool]:
    assert world.published is not None
    return {each.partition: each.is_stalled for each in world.published.partitions}


def detail(world: World) -> str:
    (hold,) = (each for each in world.pipeline.holds(world.now) if each.reason == STALLED)
    assert hold.next_probe is None, "no request ends it"
    return hold.detail


def test_i8_it_is_told_stops_nothing_and_is_over_with_the_next_record() -> None:
    world = world_of({0: 12, 1: 10}).run_until(STALLED_SECONDS)
    assert not world.holds()
    world.run_until(STALLED_SECONDS + 5)
    assert world.holds() == {STALLED}
    assert stalled(world) == {0: True, 1: False}
    assert detail(world) == f"nothing comes from {TOPIC}:0:10: no cause is known"
    assert ("partition_stalled", detail(world)) in world.said
    assert [said for said, _ in world.said].count("partition_stalled") == 1
    before = len(world.sent)
    world.records = 11
    world.run_until(STALLED_SECONDS + 20)
    assert len(world.sent) > before
    assert world.pipeline.ledgers[TOPIC, 0].committed == 11
    assert not world.holds()
    assert stalled(world) == {0: False, 1: False}


def test_a_turn_takes_all_back_together_from_which_nothing_comes() -> None:
    """One by one, with four thousand of them, the loop stood still for a quarter of a minute."""
    number = 50
    world = world_of(dict.fromkeys(range(number), 12), partitions=number).run_until(5)
    before = world.departures
    world.run_until(STALLED_SECONDS + 5)
    assert world.departures == before + 1
    assert all(stalled(world).values())
    told = [message for event, message in world.written if event == "partition_stalled"]
    assert len(told) == number


def test_markers_behind_the_last_record_are_no_stall() -> None:
    """The end stands behind them, and so does the position, as the partition was read so far."""
    world = world_of({0: 12, 1: 10}).run_until(5)
    say(world, EndOfPartition(), offset=12)
    assert not world.run_until(100).holds()


def test_the_cause_is_asked_for_before_it_is_told() -> None:
    world = world_of({0: 12}).run_until(ASK_SECONDS - 1)
    assert world.observer.silent == {}
    world.run_until(ASK_SECONDS + 5)
    assert world.observer.silent == {(TOPIC, 0): 10}
    causes = {(TOPIC, 0): "a transaction is open"}
    world.observer.view = View(asked=True, ends={(TOPIC, 0): 12}, causes=causes)
    world.run_until(STALLED_SECONDS + 5)
    assert detail(world) == f"nothing comes from {TOPIC}:0:10: a transaction is open"
    world.records = 12
    world.run_until(STALLED_SECONDS + 20)
    assert world.observer.silent == {}


def test_a_cause_that_is_found_later_is_written_and_one_that_grows_only_now_and_then() -> None:
    world = world_of({0: 12}).run_until(STALLED_SECONDS + 5)
    for end in range(13, 23):
        causes = {
            (TOPIC, 0): f"a transaction is open: what is committed ends at 10, the log at {end}"
        }
        world.observer.view = View(asked=True, ends={(TOPIC, 0): end}, causes=causes)
        world.run_until(STALLED_SECONDS + end)
    told = [message for event, message in world.written if event == "partition_stalled"]
    assert ["no cause is known" in told[0], "a transaction is open" in told[1]] == [True, True]
    assert len(told) == 2


def test_a_leader_that_does_not_answer_for_a_minute_is_a_cause() -> None:
    """Nobody knows whether anything waits there, and that is what has to be said."""
    world = world_of({})
    world.observer.view = View(asked=True, unanswered=frozenset({(TOPIC, 0)}))
    world.run_until(UNANSWERED_SECONDS - 1)
    assert stalled(world) == {0: False, 1: False}
    world.run_until(UNANSWERED_SECONDS + 10)
    assert stalled(world) == {0: True, 1: False}
    assert detail(world) == f"nothing comes from {TOPIC}:0:10: its leader does not answer"
    world.observer.view = View(asked=True)
    world.run_until(UNANSWERED_SECONDS + 20)
    assert stalled(world) == {0: False, 1: False}


def test_a_partition_whose_end_nobody_tells_is_told_only_with_a_cause() -> None:
    names = frozenset({(TOPIC, 0), (TOPIC, 1)})
    world = world_of({})
    world.observer.view = View(asked=True, unanswered=names, causes={(TOPIC, 1): "no leader"})
    world.run_until(STALLED_SECONDS + 10)
    assert stalled(world) == {0: False, 1: True}
    assert detail(world) == f"nothing comes from {TOPIC}:1:10: no leader"


def test_an_observer_that_sees_nothing_tells_of_no_stall() -> None:
    world = world_of({})
    ends = {(TOPIC, 0): 12}
    world.observer.view = View(asked=True, unreachable="no answer", ends=ends)
    assert world.run_until(100).holds() == {"kafka-unavailable"}


def test_a_full_buffer_is_no_stall() -> None:
    world = World(lambda _, offset: event("add", f"c{offset}"), buffer_max_ids=500)
    world.observer.view = View(asked=True, ends={(TOPIC, 0): 10**9})
    world.latency = 1000.0
    world.run_until(100)
    assert world.loop.assignment.paused
    assert STALLED not in world.holds()


def test_a_partition_whose_position_is_being_looked_for_is_no_stall() -> None:
    world = world_of({0: 12}).run_until(5)
    world.deaf_leaders.add(0)
    world.loop.assignment.lose_positions([(TOPIC, 0)], Gone(), world.now)
    assert world.run_until(100).holds() == {"kafka-unavailable"}


def test_a_partition_that_waits_for_its_turn_is_told_only_with_a_cause() -> None:
    """Each of many has more than a fetch brings: they come one after the other."""
    count = 80
    world = world_of(dict.fromkeys(range(count), 10**9), partitions=count, records=10**8)

    def give_to_one(_: float) -> None:
        world.pause([(TOPIC, partition) for partition in range(count)])
        world.resume([(TOPIC, int(world.now - START) % count)])

    world.per_second = 100.0
    world.before_consume = give_to_one
    causes = {(TOPIC, count - 1): "a transaction is open"}
    ends = world.observer.view.ends
    world.observer.view = View(asked=True, ends=ends, causes=causes)
    world.run_until(count - 10)
    assert stalled(world) == {each: each == count - 1 for each in range(count)}
    world.observer.view = View(asked=True, ends=ends)
    world.run_until(3 * count)
    assert STALLED not in world.holds()


def test_many_stalled_partitions_are_told_in_few_words() -> None:
    count = MOST_TOLD + 3
    world = world_of(dict.fromkeys(range(count), 12), partitions=count)
    world.run_until(STALLED_SECONDS + 10)
    assert detail(world).count("nothing comes from") == MOST_TOLD
    assert detail(world).endswith("; and 3 partitions more")
    assert all(stalled(world).values())


def test_a_partition_that_is_silent_for_no_known_cause_is_read_once_more_from_its_position() -> (
    None
):
    """If the client lost it and the log has grown since, only its leader's epochs tell."""
    world = world_of({0: 12})
    world.leader_epoch = 3
    world.run_until(STALLED_SECONDS - 1)
    before = len(world.started)
    world.run_until(STALLED_SECONDS + 100)
    assert world.started[before:] == [((TOPIC, 0), Going(10, 3))]
    assert world.is_read(0)


# -- damaged batches ------------------------------------------------------------------------------


def damaged_world() -> tuple[World, list[float]]:
    """Return a world whose partition 0 is damaged at the offset 10, and when that was read."""
    world = world_of({0: 20, 1: 10}).run_until(2)
    asked: list[float] = []

    def damage(_: float) -> None:
        if world.is_read(0) and (not asked or world.now > asked[-1] + 1.0):
            asked.append(world.now)
            say(world, DAMAGE)

    world.before_consume = damage
    return world, asked


def test_a_damaged_batch_is_read_again_after_a_rest_and_others_go_on() -> None:
    world, asked = damaged_world()
    world.run_until(STALLED_SECONDS + 20)
    assert 4 <= len(asked) <= 6
    assert min(later - earlier for earlier, later in itertools.pairwise(asked)) >= REST_SECONDS
    assert detail(world) == f"nothing comes from {TOPIC}:0:10: _BAD_MSG: {DAMAGE.trouble.detail}"
    assert world.pipeline.ledgers[TOPIC, 0].committed == 10
    assert ("offset_resets_total", TOPIC) not in world.pipeline.tally.counters
    world.before_consume = lambda _: None
    world.records = 20
    world.run_until(STALLED_SECONDS + 50)
    assert {each.committed for each in world.pipeline.ledgers.values()} == {20}
    assert not world.holds()


def test_an_offset_that_is_gone_behind_damage_is_none_and_the_partition_is_read_again() -> None:
    """The library took damage for an offset, and can say so late, and has stopped to read then."""
    world, asked = damaged_world()
    world.run_until(3)
    assert len(asked) == 1
    say(world, Gone(), offset=3_689_301_540_050_438_709)
    world.run_until(4)
    assert world.pipeline.ledgers[TOPIC, 0].position == 10
    assert not any(said == "offsets_gone" for said, _ in world.said)
    world.before_consume = lambda _: None
    world.records = 20
    world.run_until(4 + REST_SECONDS + 1)
    assert world.pipeline.ledgers[TOPIC, 0].position == 20


def test_a_log_that_was_cut_off_before_its_damage_is_gone_on_with_at_the_cut() -> None:
    world, _ = damaged_world()
    world.run_until(3)
    world.before_consume = lambda _: None
    world.records = 4
    say(world, Gone(4, is_compared=True))
    world.run_until(4)
    assert world.started[-1] == ((TOPIC, 0), Going(4, None, Loss.CUT_OFF))
    assert world.pipeline.ledgers[TOPIC, 0].position == 4


def test_a_partition_whose_position_is_being_looked_for_is_not_begun_by_what_comes_late() -> None:
    """The library refuses to begin one that has begun, and that would be the end."""
    world, _ = damaged_world()
    world.run_until(3)
    world.before_consume = lambda _: None
    world.deaf_leaders.add(0)
    world.lookup.topic_ids = {TOPIC: "another"}
    world.run_until(3.5)
    assert not world.is_read(0)
    say(world, Gone(), offset=3_689_301_540_050_438_709)
    world.run_until(4)
    begun = [name for name, _ in world.started]
    assert begun.count((TOPIC, 0)) == 2, "at the start, and after the damage"


def test_what_comes_behind_a_damaged_batch_is_not_taken_in() -> None:
    """The library goes on behind it in the same breath: nothing is skipped by itself."""
    world = world_of({0: 20, 1: 10}).run_until(2)
    behind = FakeMessage(TOPIC, 0, 15, event("add", "behind"))
    other = FakeMessage(TOPIC, 1, 10, event("add", "other", segment=2))
    world.errors += [FakeMessage(TOPIC, 0, 10, error=DAMAGE), behind, other]
    world.run_until(2.5)
    positions = {name[1]: each.position for name, each in world.pipeline.ledgers.items()}
    assert positions == {0: 10, 1: 11}
    assert not any(said == "paused" for said, _ in world.said)


@pytest.mark.parametrize("goes", ["revoked", "lost"])
def test_a_damaged_partition_that_goes_and_comes_back_is_read_at_once(goes: str) -> None:
    world, _ = damaged_world()
    world.run_until(3)
    world.before_consume = lambda _: None
    getattr(world.loop, goes)([(TOPIC, 0)])
    world.records = 20
    world.loop.assigned([(TOPIC, 0)])
    world.run_until(6)
    assert world.pipeline.ledgers[TOPIC, 0].position == 20


def test_i7_a_damaged_partition_that_is_made_anew_while_it_rests_is_paused_with_the_others() -> (
    None
):
    world, _ = damaged_world()
    world.run_until(3)
    world.before_consume = lambda _: None
    world.topic_id, world.lookup.topic_ids = "another", {TOPIC: "another"}
    world.run_until(3.5)
    assert world.is_read(0)
    for now in (world.now, world.now + PAUSE_AFTER_SECONDS):
        world.loop.assignment.pause_or_resume(now, has_backlog=True, is_full=True)
    assert not world.is_read(0)
    assert not world.is_read(1)


def test_a_damaged_partition_rests_no_longer_for_a_pause() -> None:
    world, _ = damaged_world()
    world.run_until(3)
    world.before_consume = lambda _: None
    world.records = 20
    world.loop.assignment.pausing = True
    world.run_until(3 + REST_SECONDS + 2)
    assert world.pipeline.ledgers[TOPIC, 0].position == 20


@pytest.mark.parametrize(
    "code",
    [
        KafkaError._BAD_MSG,  # noqa: SLF001 - librdkafka's local error codes are spelt so
        KafkaError._BAD_COMPRESSION,  # noqa: SLF001
        KafkaError._NOT_IMPLEMENTED,  # noqa: SLF001
        KafkaError.INVALID_MSG,
        KafkaError.MSG_SIZE_TOO_LARGE,
    ],
)
def test_what_the_library_says_of_a_batch_that_it_cannot_read_is_damage(code: int) -> None:
    error = KafkaError(code, "why")
    damage = meaning_of(FakeMessage(TOPIC, 0, 10, error=error))
    assert damage == Damaged(Trouble(error.name(), "why"))
