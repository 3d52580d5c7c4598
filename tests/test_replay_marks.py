"""What a replay's commits say: where the first open dead letter is, and what is settled beyond."""

import random

import pytest

from consumer.commands.replay.account import Account
from consumer.commands.replay.marks import MAX_NOTED, Mark, mark_of, metadata_with
from consumer.core.positions import metadata_text, topic_id_of
from consumer.engine.ports import Committed

SCATTERED = tuple((first, first + 1) for first in range(1, 401, 2))


def again(mark: Mark, metadata: str = "") -> Mark | None:
    """Return the mark as it is read from its commit."""
    return mark_of(Committed(mark.offset, metadata_with(metadata, mark)))


def test_a_mark_is_read_as_it_was_written() -> None:
    for mark in (Mark(7, (), 7), Mark(7, (), 90), Mark(7, ((8, 10), (12, 10**17)), 10**17)):
        assert again(mark) == mark


def test_a_mark_stands_beside_what_the_daemon_keeps_in_a_commit() -> None:
    own = metadata_text("letters", "id-of-the-topic", {"letters": 3})
    metadata = metadata_with(own, Mark(3, ((5, 9),), 9))
    assert topic_id_of(metadata) == "id-of-the-topic"
    assert mark_of(Committed(3, metadata)) == Mark(3, ((5, 9),), 9)
    assert metadata_with(metadata, Mark(9, (), 9)) == own
    assert metadata_with("", Mark(9, (), 9)) == ""


@pytest.mark.parametrize(
    "metadata",
    [
        "",
        "a text of somebody else",
        "[1]",
        '{"replay": 3}',
        '{"replay": {"settled": "1+2,x", "seen": "9"}}',
        '{"replay": {"settled": "-1+2", "seen": true}}',
        '{"replay": {"settled": "1+0", "seen": 2}}',
        '{"replay": {"settled": "' + "9" * 30 + '+1"}}',
    ],
)
def test_what_is_not_ours_says_that_nothing_is_settled_beyond(metadata: str) -> None:
    """So it is delivered once more, and not lost."""
    assert mark_of(Committed(5, metadata)) == Mark(5, (), 5)
    assert mark_of(Committed(None, metadata)) is None


def test_the_longest_mark_fits_into_a_commit() -> None:
    far = tuple((number * 10**10, number * 10**10 + 10**9) for number in range(1, MAX_NOTED + 1))
    own = metadata_text("letters", "0123456789012345678901", {})
    assert len(metadata_with(own, Mark(0, far, 10**18))) < 4096


def test_what_was_open_before_the_log_begins_is_gone() -> None:
    mark = Mark(3, ((5, 9), (12, 20)), 30)
    assert mark.from_(4) == Mark(4, ((5, 9), (12, 20)), 30)
    assert mark.from_(5) == mark.from_(7) == Mark(9, ((12, 20),), 30)
    assert mark.from_(40) == Mark(40, (), 40)
    assert [mark.open_before(end) for end in (0, 3, 4, 5, 9, 10, 20, 22)] == [
        *(0, 0, 1, 2, 2, 3, 5, 7)
    ]


def test_a_mark_never_passes_what_is_left() -> None:
    account = Account(Mark(10))
    account.take()
    account.leave(11)
    account.leave(12)
    account.take()
    account.leave(15)  # 14 has no record
    account.take()
    assert account.marked(10) == Mark(10, (), 10)
    assert account.marked(11) == Mark(11, (), 11)
    assert account.marked(14) == Mark(11, ((13, 14),), 14)
    assert account.marked(17) == Mark(11, ((13, 15), (16, 17)), 17)


def test_what_was_settled_before_stays_so() -> None:
    account = Account(Mark(3, ((4, 8), (10, 12))))
    assert [account.was_settled(offset) for offset in range(2, 13)] == [
        *(True, False, True, True, True, True, False, False, True, True, False)
    ]
    assert account.marked(3) == Mark(3, ((4, 8), (10, 12)), 3)
    account.take()
    assert account.marked(4) == Mark(8, ((10, 12),), 8)
    account.leave(8)
    account.take()
    assert account.marked(10) == Mark(8, ((9, 12),), 10)


def test_what_is_read_again_from_the_start_does_not_open_what_was_settled() -> None:
    account = Account(Mark(5, ((7, 9),)))
    for offset in range(5):
        account.leave(offset)
    assert account.marked(2) == Mark(5, ((7, 9),), 5)
    account.leave(5)
    account.take()
    account.leave(7)
    assert account.marked(8) == Mark(5, ((6, 9),), 8)


def test_beyond_the_room_for_notes_everything_is_open() -> None:
    account = Account(Mark(0), limit=2)
    for offset in range(20):
        if offset % 2:
            account.leave(offset)
        else:
            account.take()
    assert account.is_scattered
    assert account.marked(20) == Mark(1, ((2, 3), (4, 5)), 20)
    assert [account.is_noted(offset) for offset in (3, 4, 5, 6)] == [True, True, False, False]


def test_what_was_settled_before_is_known_to_be_wherever_it_is() -> None:
    """Else what is refused of it, when it is read from the start again, would be nowhere."""
    account = Account(Mark(0, ((9, 12),)), limit=2)
    for offset in range(0, 8, 2):
        account.leave(offset)
        account.take()
    assert [account.is_noted(offset) for offset in (8, 9, 11, 12)] == [False, True, True, False]


def test_whether_one_can_be_left_is_known_before() -> None:
    account = Account(Mark(0, ((50, 60), (70, 80))), limit=2)
    account.take()
    assert account.has_room(1)
    account.leave(1)
    assert account.has_room(2), "it is beside the one before"
    account.take()
    assert not account.has_room(3), "what is between would be one more"
    assert account.has_room(60), "what is between is noted already"


def test_what_was_left_can_be_left_again() -> None:
    """However full the notes are: else some of it would move in each run."""
    mark = Mark(0)
    for _ in range(3):
        account = Account(mark, limit=5)
        for offset in range(mark.offset, 11):
            if offset % 2:
                assert account.has_room(offset)
                account.leave(offset)
            else:
                account.take()
        mark = account.marked(11)
        assert mark == Mark(1, ((2, 3), (4, 5), (6, 7), (8, 9), (10, 11)), 11)


def test_a_log_that_was_cut_off_has_nothing_settled_behind_the_cut() -> None:
    account = Account(Mark(3, ((4, 8), (10, 12))))
    account.leave(3)
    account.cut(6)
    assert account.marked(6) == Mark(3, ((4, 6),), 6)
    account.take()
    assert account.marked(7) == Mark(3, ((4, 7),), 7)
    account.cut(0)  # made anew
    assert account.marked(0) == Mark(0, (), 0)
    assert account.marked(2) == Mark(2, (), 2)


@pytest.mark.parametrize("limit", [1, 2, 5, MAX_NOTED])
def test_in_run_after_run_no_open_dead_letter_is_passed_and_no_mark_goes_back(limit: int) -> None:
    """Runs that leave some, read from the start, and are killed in the midst of it."""
    for seed in range(200):
        draw = random.Random(seed)
        there = [offset for offset in range(draw.randrange(1, 60)) if draw.random() < 0.9]
        is_open = dict.fromkeys(there, True)
        mark = Mark(0)
        for _ in range(draw.randrange(1, 6)):
            account, start = Account(mark, limit), draw.choice((mark.offset, mark.offset, 0))
            come = draw.randrange(start, 62)
            likelihood = draw.choice((0.05, 0.5, 0.95))
            for offset in (each for each in there if each >= start):
                if draw.random() < likelihood:
                    account.leave(offset)
                else:
                    account.take()
                    is_open[offset] = is_open[offset] and offset >= come
            before, mark = mark, again(account.marked(come)) or Mark(0)
            assert mark.offset >= before.offset
            assert len(mark.settled) <= limit
            passed = [each for each in there if mark.is_settled(each) and is_open[each]]
            assert not passed, seed
            if limit == MAX_NOTED:  # there is room for all
                known = {each: not mark.is_settled(each) for each in there if each < come}
                assert known == {each: is_open[each] for each in known}, seed


# After an unclean election


def test_what_takes_the_place_of_what_was_settled_is_open_and_all_behind_it() -> None:
    mark = mark_of(Committed(2, metadata_with("", Mark(2, ((4, 8), (10, 12)), 12)), 5))
    assert mark is not None
    for offset, leader_epoch, cut in (
        (4, 5, None),  # as it was noted, or an older one
        (4, 3, None),
        (4, None, None),  # a broker that tells no epochs
        (12, 6, None),  # it came later
        (5, 6, Mark(2, ((4, 5),))),
        (3, 6, Mark(2)),
        (1, 6, Mark(1)),
    ):
        is_another = mark.is_older_than(offset, leader_epoch)
        assert is_another is (cut is not None)
        assert cut is None or mark.cut(offset) == cut


def test_what_was_noted_without_an_epoch_is_in_doubt() -> None:
    mark = Mark(2, ((4, 8),))
    assert not mark.is_older_than(1, 0), "the daemon trusts such an offset, too"
    assert mark.is_older_than(5, 0)
    assert not mark.is_older_than(8, 0), "nothing is noted there"


def test_a_log_that_is_another_forgets_the_epoch() -> None:
    """Those of a topic made anew begin at 0, and no broker knows the old ones."""
    account = Account(Mark(9, (), 9, leader_epoch=7))
    account.cut(0)
    assert account.mark.leader_epoch is None
