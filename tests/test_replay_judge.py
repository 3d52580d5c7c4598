"""What becomes of each dead letter that a replay reads, and of what is refused again."""

import io
import time
from argparse import ArgumentTypeError
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import TopicMetadata
from pydantic import SecretStr

from consumer.commands.replay import options
from consumer.commands.replay.books import Books, Pending
from consumer.commands.replay.choice import Choice, Orders
from consumer.commands.replay.comparison import divergences
from consumer.commands.replay.dead_letters import Labels, Selection, labels_of, refused_at
from consumer.commands.replay.judge import Judge
from consumer.commands.replay.listing import Listing
from consumer.commands.replay.marked_member import Relay
from consumer.commands.replay.marks import Mark, mark_of, metadata_with
from consumer.commands.replay.member import EndOfSpan
from consumer.commands.replay.reader import DeadLetterReader
from consumer.commands.replay.refused_again import RefusedAgain
from consumer.commands.replay.replay import replaying
from consumer.commands.replay.span import Span, span_of
from consumer.commands.replay.survey import InterruptedSurveyError, Survey
from consumer.commands.replay.verdict import Outcome, Verdict
from consumer.commands.replay.voice import Voice
from consumer.core.dead_letters import DeadLetter, DeadLetterReason
from consumer.core.ledger import Ledger
from consumer.core.mapping.reading import Ignored
from consumer.core.pipeline import Pipeline
from consumer.core.positions import Going, Gone, Log, Loss, metadata_text
from consumer.core.rules import Rules
from consumer.core.tally import Tally
from consumer.core.throttle import Throttle
from consumer.engine.ports import (
    CommitAnswer,
    Committed,
    Damaged,
    EndOfPartition,
    Offsets,
    Partition,
    Trouble,
)
from consumer.settings import Settings, load
from tests.support.records import FakeMessage
from tests.support.scenario import PATIENCE_SECONDS, event
from tests.support.token_endpoint import Hanging, TokenEndpoint
from tests.support.waiting import eventually
from tests.test_reasons import closing

NAME = ("letters", 0)


class Desk:
    """A judge with its books, and what it told."""

    def __init__(
        self,
        orders: Orders | None = None,
        books: Books | None = None,
        mark: Mark = Mark(0),  # noqa: B008 - it is frozen
        *,
        takes_settled: bool = False,
    ) -> None:
        self.books = books or Books()
        self.begin(mark)
        self.told: list[Verdict] = []
        reader = DeadLetterReader(None, "id")
        self._judge = Judge(
            orders or Orders(), reader, self.books, self.told.append, takes_settled=takes_settled
        )

    def pipeline(self, buffer_max_ids: int) -> Pipeline:
        """Return the loop's, at the beginning of the partition."""
        throttle = Throttle(max_in_flight=1, requests_per_second=1.0, max_backoff_seconds=1.0)
        rules = Rules(1000, 1.0, buffer_max_ids, 1.0, 1.0, "dead-letter", 0)
        pipeline = Pipeline(rules, "id", throttle, Tally(), self._judge)
        pipeline.assign(*NAME, 0, 0)
        return pipeline

    def begin(self, mark: Mark) -> None:
        """Take the partition over, with what its group committed."""
        metadata = metadata_with("", mark)
        self.books.found[NAME] = Committed(mark.offset, metadata, mark.leader_epoch)
        self.books.begin(NAME, Going(mark.offset))

    def look_at(self, *messages: FakeMessage) -> list[bool]:
        """Return of each whether the loop gets something to deliver."""
        readings = [self._judge.read(each.value(), each) for each in messages]
        return [not isinstance(each, Ignored) for each in readings]

    @property
    def chosen(self) -> int:
        """Return how many were chosen."""
        return self._judge.chosen

    @property
    def outcomes(self) -> list[tuple[str, Outcome]]:
        """Return what was told of which."""
        return [(each.place, each.outcome) for each in self.told]

    def marked(self, offset: int) -> Mark:
        """Return what a commit of the loop's would say."""
        return self.books.accounts[NAME].marked(offset)


def letter(offset: int, value: bytes | None = None, **headers: str) -> FakeMessage:
    """Return a dead letter; without a value it adds a customer to segment 1."""
    named = {"reason": "rejected", **headers}
    return FakeMessage(
        *NAME,
        offset,
        event(1, "add", "customer-1") if value is None else value,
        key=b"k",
        headers=[(f"dead-letter-{name}", text.encode()) for name, text in named.items()],
    )


def junk(offset: int) -> FakeMessage:
    """Return a dead letter that can't be read."""
    return letter(offset, b"junk", reason="malformed")


def junk_mended(offset: int) -> FakeMessage:
    """Return one that could not be read, and can be now."""
    return letter(offset, reason="malformed")


JUNK = Selection(reasons=frozenset({"malformed"}))


def test_what_can_be_sent_is_for_the_loop_and_the_rest_is_told() -> None:
    desk = Desk()
    half = letter(2, event(1, "add", "", "b"), reason="invalid-id")
    none = letter(3, event(1, "add", "", ""), reason="invalid-id")
    assert desk.look_at(letter(0), junk(1), half, none, letter(4, replays="3")) == [
        *(True, False, True, False, False)
    ]
    assert desk.outcomes == [
        ("letters:0:1", Outcome.LEFT),
        ("letters:0:3", Outcome.LEFT),
        ("letters:0:4", Outcome.LEFT),
    ]
    assert desk.told[1].why == "nothing of it can be sent: an id is empty"
    assert sorted(desk.books.pending[NAME]) == [0, 2]
    assert desk.marked(5) == Mark(1, ((2, 3),), 5)
    assert desk.chosen == 5


def test_what_was_settled_before_is_passed_over_unless_it_is_to_be_read_again() -> None:
    mark = Mark(1, ((2, 3),), 4)
    assert Desk(mark=mark).look_at(*map(letter, range(4))) == [False, True, False, True]
    assert Desk(mark=mark, takes_settled=True).look_at(*map(letter, range(4))) == [True] * 4


def test_what_was_not_chosen_is_left_and_not_told() -> None:
    desk = Desk(Orders(Selection(segments=frozenset({2}))))
    assert desk.look_at(letter(0), letter(1, event(2, "add", "b"))) == [False, True]
    assert (desk.told, desk.chosen) == ([], 1)
    assert desk.marked(2) == Mark(0, ((1, 2),), 2)


def test_what_is_left_is_told_once_though_its_partition_comes_back() -> None:
    desk = Desk()
    desk.look_at(junk(0), junk(1))
    desk.books.close([NAME])
    desk.begin(Mark(1))
    desk.look_at(junk(1), junk(2))
    assert [place for place, _ in desk.outcomes] == ["letters:0:0", "letters:0:1", "letters:0:2"]
    assert desk.chosen == 3


def test_the_loop_has_each_judged_once_and_in_order_however_often_it_has_no_room() -> None:
    desk = Desk()
    pipeline = desk.pipeline(buffer_max_ids=2)
    ids = (event(1, "add", f"customer-{number}") for number in range(9))
    messages = [junk(at) if at % 4 == 2 else letter(at, value) for at, value in enumerate(ids)]
    taken = [pipeline.receive(messages, 0.0)[0]]
    while len(taken) < 5:
        taken.append(pipeline.receive(messages, 0.0, taken[-1])[0])
    assert taken == [2] * 5, "there is no room for more"
    assert (list(desk.books.pending[NAME]), desk.told) == ([0, 1], [])
    pipeline.forget([pipeline.ledgers[NAME]])
    pipeline.assign(*NAME, 2, 2)
    assert pipeline.receive(messages, 0.0, 2)[0] == 5
    assert [place for place, _ in desk.outcomes] == ["letters:0:2"]
    assert list(desk.books.pending[NAME]) == [0, 1, 3, 4]


def test_where_what_is_left_cannot_be_noted_it_moves_to_the_end() -> None:
    desk = Desk(books=Books(limit=1))
    desk.look_at(junk(0), letter(1))
    assert desk.look_at(junk(2), letter(3, replays="9"), letter(4)) == [True, True, True]
    assert [desk.books.pending[NAME][offset].moves for offset in (2, 3, 4)] == [True, True, False]
    assert all("moves to the end of the topic" in each.why for each in desk.told[1:])
    assert desk.marked(5) == Mark(0, ((1, 5),), 5)


def test_beyond_what_a_filter_left_and_could_not_be_noted_nothing_moves() -> None:
    """A copy of what stays open would be one more with each run."""
    desk = Desk(Orders(Selection(reasons=frozenset({"malformed"}))), Books(limit=1))
    mended = letter(1, event(1, "add", "a"), reason="malformed")
    assert desk.look_at(letter(0), mended, letter(2)) == [False, True, False]
    assert desk.look_at(junk(3), letter(4)) == [False, False]
    desk.books.marked({NAME: Offsets(5)})
    assert desk.books.scattered == {NAME}
    assert desk.marked(5) == Mark(0, ((1, 2),), 5)


def test_what_was_settled_before_needs_no_room_to_stay_so() -> None:
    mark = Mark(0, ((3, 4), (5, 6)))
    desk = Desk(books=Books(limit=2), mark=mark, takes_settled=True)
    assert desk.look_at(junk(0), letter(1), junk(2), junk(3)) == [False, True, True, False]
    assert [place for place, pending in desk.books.pending[NAME].items() if pending.moves] == [2]


def test_what_would_take_too_much_memory_is_for_the_next_run() -> None:
    desk = Desk(books=Books(max_pending=2))
    assert desk.look_at(*map(letter, range(4))) == [True, True, False, False]
    assert [each.why for each in desk.told] == [
        "too many are unsettled before it: for the next run"
    ] * 2
    list(desk.books.settled({NAME: 2}))
    assert desk.look_at(letter(4)) == [False], "else it would overtake the one before"
    assert desk.marked(5) == Mark(2, (), 5)


def test_skipping_sends_nothing() -> None:
    desk = Desk(Orders(skip=True))
    assert desk.look_at(letter(0), junk(1), letter(2, replays="9")) == [False] * 3
    assert {outcome for _, outcome in desk.outcomes} == {Outcome.SKIPPED}
    assert desk.marked(3) == Mark(3, (), 3)


# What is refused again


def refused(ledger: Ledger, *offsets: int) -> DeadLetter:
    """Return what the loop makes of one id refused of each of these dead letters."""
    return DeadLetter(
        DeadLetterReason.SEGMENT_REJECTED,
        "404 not found",
        ledger.source(offsets[0]),
        b"1",
        event(1, "add", *(f"customer-{offset}" for offset in offsets)),
        origins={ledger.base + offset: 1 for offset in offsets},
        bases={ledger.base},
    )


@pytest.fixture
def ledger() -> Ledger:
    """Return the ledger of the partition."""
    return Ledger(7, *NAME, 0)


def again(books: Books, ledger: Ledger, **properties: object) -> RefusedAgain:
    """Return where refusals go: to librdkafka's own cluster."""
    properties = properties or {"bootstrap.servers": "", "test.mock.num.brokers": 1}
    return RefusedAgain(properties, "letters", books, {NAME: ledger})


def headers(port: RefusedAgain, dead_letter: DeadLetter) -> dict[str, bytes | str | None]:
    """Return the headers with which it goes out."""
    assert port.send(dead_letter)
    found = port.headers_of(dead_letter, "2026-11-30T00:00:00Z")
    assert len(found) == len(dict(found)), "no name twice"
    return dict(found)


def test_the_first_refusal_stays_and_the_count_goes_up(ledger: Ledger) -> None:
    desk = Desk()
    first = letter(0, source="audience:2:17", time="2026-01-02T03:04:05Z")
    desk.look_at(first, letter(1, replays="2", source="audience:1:1"))
    found = headers(again(desk.books, ledger), refused(ledger, 0, 1))
    assert found == {
        "dead-letter-reason": b"segment-rejected",
        "dead-letter-detail": b"404 not found",
        "dead-letter-source": b"audience:2:17",
        "dead-letter-time": b"2026-01-02T03:04:05Z",
        "dead-letter-replays": b"3",
    }


def test_what_nobody_labelled_was_refused_here_and_now_for_the_first_time(ledger: Ledger) -> None:
    desk = Desk()
    desk.look_at(letter(0, source="customer-7", time="x", replays="x"))
    found = headers(again(desk.books, ledger), refused(ledger, 0))
    assert found["dead-letter-source"] == b"letters:0:0"
    assert found["dead-letter-time"] == b"2026-11-30T00:00:00Z"
    assert found["dead-letter-replays"] == b"1"


def test_what_moves_goes_as_it_is(ledger: Ledger) -> None:
    desk = Desk(books=Books(limit=1))
    moved = junk(2)
    desk.look_at(junk(0), letter(1), moved)
    dead_letter = DeadLetter(
        DeadLetterReason.MALFORMED,
        "it moves",
        ledger.source(2),
        moved.key(),
        moved.value(),
        moved.headers() or (),
        bases={ledger.base},
    )
    assert headers(again(desk.books, ledger), dead_letter) == {"dead-letter-reason": b"malformed"}


def test_what_cannot_be_noted_as_settled_is_not_written_once_more(ledger: Ledger) -> None:
    desk = Desk(Orders(Selection(reasons=frozenset({"rejected"}))), Books(limit=1))
    desk.look_at(junk(0), letter(1), junk(2), letter(3))
    port = again(desk.books, ledger)
    dead_letter = refused(ledger, 3)
    assert port.send(dead_letter)
    assert [each.dead_letter for each in port.poll()] == [dead_letter]
    assert desk.books.pending[NAME][3].refused_ids == 1
    assert port.send(refused(ledger, 1, 3)), "what can be noted of it must be written"
    assert port.poll() == []
    eventually(port.poll, PATIENCE_SECONDS, "the broker's word", until=bool)
    assert desk.books.pending[NAME][1].refused_ids == 1


def test_what_comes_back_or_is_not_taken_is_nobody_s_until_it_is_sent_again(
    ledger: Ledger,
) -> None:
    """It may never be: what was released meanwhile is the next owner's."""
    desk = Desk()
    desk.look_at(letter(0, source="audience:2:17"))
    nowhere = {"bootstrap.servers": "127.0.0.1:1", "message.timeout.ms": 10, "log_level": 0}
    port = again(desk.books, ledger, **nowhere, **{"queue.buffering.max.messages": 1})
    first, second = refused(ledger, 0), refused(ledger, 0)
    assert port.send(first)
    assert not port.send(second), "the queue is full"
    (report,) = eventually(port.poll, PATIENCE_SECONDS, "what became of it", until=bool)
    assert report.error is not None
    assert not port._origins  # noqa: SLF001 - nobody else knows what it keeps
    assert headers(port, first)["dead-letter-source"] == b"audience:2:17"


# What the loop hears of commits


class Loop:
    """What a member tells."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, object]] = []

    def assigned(self, partitions: Sequence[Partition]) -> None:
        """Hear of it."""
        self.heard.append(("assigned", partitions))

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """Hear of it."""
        self.heard.append(("revoked", partitions))

    def lost(self, partitions: Sequence[Partition]) -> None:
        """Hear of it."""
        self.heard.append(("lost", partitions))

    def commit_answered(self, answer: CommitAnswer) -> None:
        """Hear of it."""
        self.heard.append(("committed", answer.committed))

    def kafka_error(self, error: Trouble) -> None:
        """Hear of it."""
        self.heard.append(("error", error))


def test_the_loop_hears_of_its_own_offsets_and_what_is_before_them_is_settled() -> None:
    desk, loop = Desk(), Loop()
    settled: list[tuple[Partition, int, Pending]] = []
    relay = Relay(loop, desk.books, lambda *each: settled.append(each))
    desk.look_at(junk(0), letter(1), letter(2))
    relay.sent = {NAME: Offsets(2, "{}")}
    (marked,) = desk.books.marked(relay.sent).values()
    assert mark_of(Committed(marked.offset, marked.metadata)) == Mark(0, ((1, 2),), 2)
    relay.commit_answered(CommitAnswer({NAME: 0}, None))
    assert loop.heard == [("committed", {NAME: 2})]
    assert [(name, offset) for name, offset, _ in settled] == [(NAME, 1)]


def test_where_the_broker_takes_no_notes_none_are_sent() -> None:
    desk, loop = Desk(), Loop()
    relay = Relay(loop, desk.books, lambda *_: None)
    desk.look_at(junk(0), letter(1))
    asked = {NAME: Offsets(2, '{"topic_id":"x"}')}
    refusal = CommitAnswer({}, "too long", too_long=frozenset({NAME}))
    assert not relay.as_asked(refusal, asked).too_long, "the topic's id may be short enough"
    assert desk.books.marked(asked) == {NAME: Offsets(0, '{"topic_id":"x"}')}
    assert desk.books.scattered == {NAME}
    assert relay.as_asked(refusal, asked).too_long == {NAME}


def test_where_the_broker_takes_no_notes_nothing_is_written_of_what_the_next_run_delivers_again(
    ledger: Ledger,
) -> None:
    """A copy would be one more with each run."""
    desk = Desk()
    desk.look_at(letter(0), junk(1), letter(2))
    desk.books.do_without_notes([NAME])
    desk.look_at(junk(3))
    assert desk.marked(4).offset == 1
    assert [(at, each.moves) for at, each in desk.books.pending[NAME].items()] == [
        (0, False),
        (2, False),
    ], "3 does not move"
    port = again(desk.books, ledger)
    before, behind = refused(ledger, 0), refused(ledger, 2)
    assert port.send(behind)
    assert [each.dead_letter for each in port.poll()] == [behind]
    assert port.send(before)
    assert port.poll() == [], "that one the broker has to say"


@pytest.mark.parametrize("loss", [Loss.CUT_OFF, Loss.MADE_ANEW])
def test_in_a_log_that_is_another_nothing_is_settled(loss: Loss) -> None:
    desk = Desk(mark=Mark(2, ((60, 70),), 70))
    desk.look_at(letter(3), letter(55))
    desk.books.begin(NAME, Going(5, None, loss))
    assert desk.marked(6) == Mark(6, (), 6)
    assert list(desk.books.pending[NAME]) == [3]


def test_a_partition_that_comes_back_begins_with_what_is_committed_then() -> None:
    desk, loop = Desk(mark=Mark(5)), Loop()
    relay = Relay(loop, desk.books, lambda *_: None)
    relay.revoked([NAME])
    desk.books.found[NAME] = Committed(9, "")
    relay.assigned([NAME])
    desk.books.begin(NAME, Going(9))
    assert desk.marked(9) == Mark(9, (), 9)


def test_where_there_is_no_account_nothing_is_committed() -> None:
    """Nobody knows what is open there, and the loop's own offset would pass it."""
    desk = Desk()
    desk.books.close([NAME])
    with pytest.raises(KeyError, match="letters"):
        desk.books.marked({NAME: Offsets(3, "{}")})


def test_a_partition_that_is_read_from_the_start_and_comes_back_goes_on_where_it_was() -> None:
    before = Mark(30, ((31, 60),), 60)
    desk = Desk(Orders(JUNK), Books(starts={NAME: 2}), before, takes_settled=True)
    books = desk.books
    assert [books.start_of(NAME, at) for at in (30, 1, None)] == [2, 1, 2]
    assert books.start_of(("letters", 1), 9) == 9, "it isn't read from elsewhere"
    list(books.settled({NAME: 20}))
    books.close([NAME])
    assert books.start_of(NAME, 30) == 20
    desk.begin(before)
    assert desk.look_at(junk_mended(20)) == [True], "what was settled before is taken again"
    list(books.settled({NAME: 50}))
    books.close([NAME])
    assert books.start_of(NAME, 30) == 30, "what is open must be seen"
    desk.begin(before)
    mended = [junk_mended(offset) for offset in (31, 49, 50)]
    assert desk.look_at(*mended) == [False, False, True], "this run has settled the first two"
    books.begin(NAME, Going(40, None, Loss.CUT_OFF))
    assert books.start_of(NAME, 60) == 40


# From where to where


def test_a_replay_begins_at_the_first_open_one_and_passes_over_what_is_settled() -> None:
    mark = Mark(10, ((12, 20),), 25)
    committed = Committed(10, metadata_with("", mark))
    plain = span_of(committed, Log(3, 25), from_start=False, keeps_marks=False)
    assert (plain.start, plain.mark, plain.must_move) == (10, mark, False)
    assert (plain.dead_letters, plain.before(21)) == (7, 3)
    assert [plain.has(offset) for offset in (9, 10, 12, 20)] == [False, True, False, True]
    late = span_of(committed, Log(15, 25), from_start=False, keeps_marks=False)
    assert (late.start, late.deleted, late.must_move) == (20, 2, True)
    assert late.dead_letters == 5


def test_from_the_start_everything_is_open_but_a_filter_keeps_what_was_settled() -> None:
    mark = Mark(10, ((12, 20),), 25)
    committed = Committed(10, metadata_with("", mark))
    whole = span_of(committed, Log(3, 25), from_start=True, keeps_marks=False)
    assert (whole.start, whole.mark, whole.must_move) == (3, Mark(3), True)
    there = span_of(committed, Log(10, 25), from_start=True, keeps_marks=False)
    assert (there.mark, there.must_move) == (Mark(10), True), "its notes are to be forgotten"
    some = span_of(committed, Log(3, 25), from_start=True, keeps_marks=True)
    assert (some.start, some.mark, some.must_move) == (3, mark, False)
    assert (some.dead_letters, some.has(13)) == (22, True)


def test_of_a_topic_made_anew_nothing_is_settled() -> None:
    own = metadata_text("letters", "of-old", {})
    committed = Committed(10, metadata_with(own, Mark(10, ((12, 20),), 30)), 7)
    for end, topic_id in ((35, "of-new"), (9, "of-old"), (25, "")):  # it was read up to 30
        log = Log(2, end, topic_id=topic_id)
        anew = span_of(committed, log, from_start=False, keeps_marks=True)
        metadata = metadata_text("letters", topic_id, {})
        assert anew.offsets("letters") == Offsets(2, metadata), "no epoch of the old one"
        assert (anew.start, anew.mark, anew.is_anew, anew.must_move) == (2, Mark(2), True, True)
        assert (anew.deleted, anew.dead_letters) == (0, end - 2)
    new = span_of(Committed(None, ""), Log(2, 9), from_start=False, keeps_marks=False)
    assert (new.start, new.is_anew, new.must_move) == (2, False, False)


# After an unclean election


def test_where_the_log_must_be_as_it_was_noted_brokers_are_asked() -> None:
    committed = Committed(3, metadata_with("", Mark(3, ((8, 12), (14, 20)), 25)), 7)

    def doubtful(log: Log, *, from_start: bool = False, keeps_marks: bool = True) -> Going | None:
        return span_of(committed, log, from_start=from_start, keeps_marks=keeps_marks).doubtful

    assert doubtful(Log(0, 30)) == doubtful(Log(0, 30), from_start=True) == Going(20, 7)
    assert doubtful(Log(9, 30)) == Going(20, 7), "from 12 on"
    assert doubtful(Log(0, 30), from_start=True, keeps_marks=False) is None, "nothing is trusted"
    assert doubtful(Log(20, 30)) is None, "nothing of it is there"
    assert doubtful(Log(0, 24)) is None, "all is open in any case"
    nothing = span_of(Committed(9, "", 7), Log(9, 9), from_start=False, keeps_marks=False)
    assert nothing.doubtful is None


def test_what_is_behind_a_cut_is_open_again() -> None:
    committed = Committed(3, metadata_with("", Mark(3, ((8, 12), (14, 20)), 25)), 7)
    span = span_of(committed, Log(0, 30), from_start=False, keeps_marks=True)
    assert span.cut(10) == Span(0, 3, 30, Mark(3, ((8, 10),), 3), must_move=True)
    assert span.cut(10).offsets("").leader_epoch == 7, "what is in front of it is to be compared"
    assert span.cut(2) == Span(0, 2, 30, Mark(2, (), 2), must_move=True)
    late = span_of(committed, Log(9, 30), from_start=False, keeps_marks=True)
    assert (late.start, late.cut(10).start) == (12, 10)
    assert late.cut(4) == Span(9, 9, 30, Mark(9, (), 9), must_move=True, deleted=5)
    again = span_of(committed, Log(0, 30), from_start=True, keeps_marks=True)
    assert (again.cut(10).start, again.cut(10).mark) == (0, Mark(3, ((8, 10),), 3))


class Comparing:
    """A member whose brokers say at each position what is said in its turn."""

    def __init__(self, *says: Sequence[tuple[int, object] | EndOfSpan]) -> None:
        self.stopped: list[Partition] = []
        self._says = list(says)

    def start(self, positions: Mapping[Partition, Going], *, paused: bool) -> None:
        """Begin to read."""
        assert positions
        assert not paused

    def stop(self, names: Sequence[Partition]) -> None:
        """Stop reading."""
        self.stopped += names

    def consume(self, _: int, __: float) -> list[FakeMessage | EndOfSpan]:
        """Return what comes next; the partition's number and what a message means."""
        says = self._says.pop(0) if self._says else ()
        return [
            each if isinstance(each, EndOfSpan) else FakeMessage("letters", each[0], error=each[1])
            for each in says
        ]

    def meaning_of(self, message: FakeMessage) -> object:
        """Return what it means."""
        return message.error()


def test_brokers_say_from_where_on_a_log_is_another() -> None:
    positions = {("letters", number): Going(20, 5) for number in range(5)}
    member: Any = Comparing(
        [(0, None)],
        [(1, Gone(12, is_compared=True)), (2, Gone(is_compared=True))],
        [(3, Trouble("_TRANSPORT", "gone"))],
        [(3, EndOfPartition()), (0, Gone(3)), (4, Damaged(Trouble("_BAD_MSG", "CRC")))],
    )
    assert divergences(member, positions, PATIENCE_SECONDS) == {
        ("letters", 1): 12,
        ("letters", 2): 0,
    }
    assert sorted(member.stopped) == sorted(positions)


def test_brokers_that_do_not_say_are_asked_again() -> None:
    member: Any = Comparing([(0, Trouble("_TRANSPORT", "gone"))])
    assert divergences(member, {NAME: Going(20, 5)}, 0.0) is None
    assert member.stopped == [NAME]


def test_a_survey_waits_for_brokers_that_do_not_say_and_opens_what_is_behind_a_cut(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed = Committed(3, metadata_with("", Mark(3, ((8, 12),), 12)), 7)
    spans = {NAME: span_of(committed, Log(0, 30), from_start=False, keeps_marks=True)}
    stream = io.StringIO()
    member: Any = Comparing([(0, Gone(10, is_compared=True))])
    survey = Survey(settings, member, Voice(stream), lambda: False)
    assert survey._compared(spans) == {NAME: spans[NAME].cut(10)}  # noqa: SLF001 - a step of it
    assert stream.getvalue().startswith("letters:0 was cut off at 10")
    monkeypatch.setattr("consumer.commands.replay.survey._TIMEOUT_SECONDS", 0.0)
    said = survey._compared(spans)  # noqa: SLF001 - a step of it
    assert "don't tell whether the log" in str(said)
    other = {NAME: Span(0, 3, 9, Mark(3))}
    assert survey._compared(other) is other  # noqa: SLF001 - a step of it


def test_a_list_of_a_partition_ends_where_it_is_damaged_or_gone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream = io.StringIO()
    spans = {("letters", number): Span(0, 0, 9, Mark(0)) for number in range(3)}
    listing = Listing(Selection(), DeadLetterReader(None, "id"), Voice(stream), spans)
    ends: Any = [EndOfSpan(("letters", 2), 9)]
    member: Any = Comparing(
        [(0, Trouble("_TRANSPORT", "it went")), (0, Damaged(Trouble("_BAD_MSG", "CRC")))],
        [(1, Gone()), (0, Gone())],
        ends,
    )
    assert listing.write(member, lambda: False)
    assert stream.getvalue().splitlines()[1:] == [
        "letters:0:0 is damaged, and so ends the list: CRC",
        "letters:1:0 was deleted meanwhile: list again",
        "0 dead letters; nothing was replayed or committed",
    ]
    assert caplog.messages == ["it went"]


def test_what_a_cut_log_has_in_the_place_of_what_was_settled_is_delivered() -> None:
    desk = Desk(mark=Mark(1, ((3, 9),), 9, leader_epoch=5))

    def of(offset: int, leader_epoch: int) -> FakeMessage:
        return FakeMessage(*NAME, offset, event(1, "add", "a"), leader_epoch=leader_epoch)

    assert desk.look_at(of(3, 5), of(4, 5), of(5, 6), of(6, 6)) == [False, False, True, True]


def test_in_a_log_that_was_cut_off_what_is_left_is_told_once_more() -> None:
    desk = Desk()
    desk.look_at(junk(0), junk(1), junk(2))
    list(desk.books.settled({NAME: 3}))
    desk.books.begin(NAME, Going(1, None, Loss.CUT_OFF))
    assert desk.books.come[NAME] == 1
    desk.look_at(junk(1))
    assert [place for place, _ in desk.outcomes][2:] == ["letters:0:2", "letters:0:1"]


def test_a_commit_is_of_the_epoch_of_what_it_notes() -> None:
    """Else brokers would find the noted ones cut off, or those that took their place not."""
    desk = Desk(mark=Mark(1, ((3, 9),), 9, leader_epoch=5))

    def committed(offset: int, leader_epoch: int | None) -> int | None:
        (found,) = desk.books.marked({NAME: Offsets(offset, "", leader_epoch)}).values()
        return found.leader_epoch

    assert [committed(8, asked) for asked in (3, 6, None)] == [5, 5, 5]
    assert [committed(9, asked) for asked in (5, 6, None)] == [5, 6, None]
    desk.books.begin(NAME, Going(4, None, Loss.MADE_ANEW))
    assert committed(1, 0) == 0, "the new one has others"


class Moving:
    """A member by which a group's offsets are put elsewhere; ``answers`` come in turn."""

    def __init__(self, *answers: CommitAnswer) -> None:
        self.commits: list[Mapping[Partition, Offsets]] = []
        self._answers = list(answers)

    def commit_now(self, offsets: Mapping[Partition, Offsets]) -> CommitAnswer:
        """Take a commit."""
        self.commits.append(offsets)
        return self._answers.pop(0)


def survey_by(settings: Settings, member: Moving, stream: io.StringIO) -> Survey:
    """Return a survey that is stopped when nothing more is answered."""
    by: Any = member
    return Survey(settings, by, Voice(stream), lambda: not member._answers)  # noqa: SLF001 - ours


def test_what_a_survey_commits_says_of_which_topic_and_epoch_it_is(settings: Settings) -> None:
    """Else nobody could tell that it was made anew, or cut off, before the next commit."""
    committed = Committed(3, metadata_with("", Mark(3, ((8, 12),), 12)), 7)
    log = Log(9, 30, topic_id="the-id")
    span = span_of(committed, log, from_start=False, keeps_marks=False)
    member = Moving(CommitAnswer({}, None), CommitAnswer({}, None))
    spans = {NAME: span, ("letters", 1): Span(0, 3, 9, Mark(3))}
    survey_by(settings, member, io.StringIO()).move(spans)
    assert member.commits == [{NAME: Offsets(12, '{"topic_id":"the-id"}', 7)}]


def test_where_the_broker_takes_no_notes_a_survey_commits_without_them(settings: Settings) -> None:
    refusal = CommitAnswer({}, "too long", too_long=frozenset({NAME}))
    taken = CommitAnswer({NAME: 3}, None)
    span = Span(0, 3, 9, Mark(3, ((4, 5),), 5, 7), must_move=True, topic_id="the-id")
    member, of_another = Moving(refusal, taken), Moving(refusal, refusal, taken)
    for each in (member, of_another):
        survey_by(settings, each, io.StringIO()).move({NAME: span})
    which = '{"topic_id":"the-id"}'
    assert [each[NAME].metadata for each in member.commits][1:] == [which]
    assert [each[NAME].metadata for each in of_another.commits][1:] == [which, ""]


def test_a_survey_says_why_no_broker_answers_and_what_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a Job's replay that waits nothing else is to be seen."""
    monkeypatch.setattr("consumer.commands.replay.survey._TIMEOUT_SECONDS", 0.1)
    survey = survey_by(settings, Moving(), io.StringIO())
    why = survey._partition_count()  # noqa: SLF001 - it is asked for until somebody says stop
    assert str(why).startswith("no broker answers: Connect to ")
    assert str(why).endswith(
        "Connection refused; does a broker listen there? See KAFKA_BOOTSTRAP_SERVERS"
    )


def test_a_group_whose_offsets_cannot_be_moved_is_waited_for_visibly(settings: Settings) -> None:
    refused = CommitAnswer({}, "not now", is_member=True)
    fenced = CommitAnswer({}, "no member", is_member=False)
    span = Span(0, 3, 9, Mark(3), must_move=True)
    for answer, said in ((refused, "doesn't move the offsets: not now"), (fenced, "has members")):
        stream = io.StringIO()
        survey = survey_by(settings, Moving(answer), stream)
        survey._voice._next_progress = 0.0  # noqa: SLF001 - it is to be said at once
        with pytest.raises(InterruptedSurveyError):
            survey.move({NAME: span})
        assert said in stream.getvalue()


# The options


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-30", datetime(2026, 11, 30, tzinfo=UTC)),
        ("2026-11-30T02:30:00Z", datetime(2026, 11, 30, 2, 30, tzinfo=UTC)),
        ("2026-11-30t02:30:00.5z", datetime(2026, 11, 30, 2, 30, 0, 500_000, tzinfo=UTC)),
        ("2026-11-30T02:30+02:00", datetime(2026, 11, 30, 0, 30, tzinfo=UTC)),
        ("2026-11-30 02:30", datetime(2026, 11, 30, 2, 30, tzinfo=UTC)),
    ],
)
def test_a_moment_is_a_date_or_a_time(text: str, moment: datetime) -> None:
    assert options.since(text) == moment.timestamp()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("2h", 7200), ("7d", 604_800), ("1w", 604_800)],
)
def test_a_moment_is_so_long_ago(text: str, seconds: int) -> None:
    before = time.time()
    moment = options.since(text)
    assert before - seconds <= moment <= time.time() - seconds


@pytest.mark.parametrize("text", ["", "x", "2", "-2h", "2026-13-01", "2026-11-30T25:00Z", "h"])
def test_what_is_no_moment_is_told(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="accepts so long ago"):
        options.since(text)


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "1e3", "inf", "nan", "0.0"])
def test_what_is_no_rate_is_told(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="accepts requests per second"):
        options.rate(text)


@pytest.mark.parametrize(
    ("selection", "skip", "takes_all", "problem"),
    [
        (Selection(), True, False, "nothing says which: choose some with --reason"),
        (Selection(), True, True, ""),
        (JUNK, True, False, ""),
        (Selection(since=0.0), True, False, ""),
        (JUNK, True, True, "--all goes with --skip alone"),
        (Selection(), False, True, "--all goes with --skip alone"),
        (Selection(), False, False, ""),
    ],
)
def test_all_are_skipped_only_if_that_is_said(
    selection: Selection, skip: bool, takes_all: bool, problem: str
) -> None:
    found = Choice(Orders(selection, skip=skip), takes_all=takes_all).problem
    assert problem in found
    assert bool(problem) is bool(found)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return those of a daemon that may send 50 requests a second."""
    given: Mapping[str, str] = {
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "KAFKA_TOPICS": "audience",
        "CUSTOMERIO_SITE_ID": "s",
        "CUSTOMERIO_API_KEY": "k",
        "CUSTOMERIO_REQUESTS_PER_SECOND": "50",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return load()


def test_the_rate_is_the_lesser_one(settings: Settings) -> None:
    rates = [options.rate("0.5"), options.rate("200"), None]
    found = [replaying(settings, rate).customerio_requests_per_second for rate in rates]
    assert found == [0.5, 50, 50]


def test_what_is_buffered_leaves_room_in_the_books(settings: Settings) -> None:
    """Else dead letters of one id each would be left for the next run, but for no reason."""
    assert replaying(settings, None).buffer_max_ids < Books().max_pending
    small = settings.model_copy(update={"buffer_max_ids": 5000})
    assert replaying(small, None).buffer_max_ids == 5000


def test_when_it_was_refused_is_its_header_or_when_it_was_written() -> None:
    def at(message: FakeMessage) -> float | None:
        labels: Labels = labels_of(message)
        return refused_at(message, labels)

    assert at(letter(0, time="2026-01-02T00:00:00Z")) == 1767312000
    assert at(letter(0, time="9999")) == 1_700_000_000
    assert at(FakeMessage(value=b"x", timestamp=(0, -1))) is None
    assert not Selection(since=0).takes(labels_of(letter(0)), (), None)


def said_while_it_waits(settings: Settings) -> str:
    """Return what a survey says first of brokers that don't answer."""
    stream = io.StringIO()
    nobody: Any = Moving()
    survey = Survey(settings, nobody, Voice(stream), lambda: bool(stream.getvalue()))
    with pytest.raises(InterruptedSurveyError):
        survey.spans(from_start=False, keeps_marks=False)
    return stream.getvalue()


def test_brokers_that_do_not_answer_are_told_with_the_cause_and_the_setting(
    settings: Settings,
) -> None:
    said = said_while_it_waits(settings)
    assert said.startswith("waiting: no broker answers: Connect to ")
    assert said.endswith("does a broker listen there? See KAFKA_BOOTSTRAP_SERVERS\n")


def test_a_dead_letter_topic_that_may_not_be_seen_is_told_with_the_rights(
    settings: Settings,
) -> None:
    nobody: Any = Moving()
    survey = Survey(settings, nobody, Voice(io.StringIO()), lambda: False)
    denied = TopicMetadata()
    denied.error = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    said = survey._count_in({settings.dead_letter_topic: denied})  # noqa: SLF001 - a step of it
    assert str(said).endswith("Topic authorization failed; allow READ, WRITE and DESCRIBE on it")


def test_a_refusal_is_told_with_what_has_to_be_started_again(settings: Settings) -> None:
    """Until it reads, a replay does not look again at what it logs in with."""
    with closing() as address:
        given = settings.model_copy(update={"kafka_bootstrap_servers": address})
        said = said_while_it_waits(given)
    assert said.startswith("waiting: no broker answers: the port closes connections at the first")
    assert said.endswith("a secret or a file of ours, start the replay again\n")


def test_an_endpoint_that_gives_no_token_is_told_of_brokers_that_nobody_asked(
    settings: Settings,
) -> None:
    hanging = Hanging()
    with TokenEndpoint() as endpoint:
        endpoint.fault = hanging
        given = {
            "kafka_security_protocol": "sasl_plaintext",
            "kafka_sasl_mechanism": "OAUTHBEARER",
            "kafka_oauth_provider": "oidc",
            "kafka_oauth_token_endpoint_url": endpoint.url,
            "kafka_oauth_client_id": "us",
            "kafka_oauth_client_secret": SecretStr("hunter2"),
        }
        said = said_while_it_waits(settings.model_copy(update=given))
        hanging.end()
    assert f"; no broker is asked without a token from {endpoint.url}; see KAFKA_OAUTH_" in said
