"""A partition's account: what may be committed, and what holds it back."""

from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.core.ledger import Ledger, base_of, offset_of


class Batch:
    """What a ledger sees of a batch or a dead letter."""


def ledger_at(position: int, number: int = 1) -> Ledger:
    return Ledger(number, "audience", 3, position)


def read(ledger: Ledger, offset: int, holder: Batch | None = None, now: float = 0.0) -> None:
    """Read a record, as the intake does: the position first, then what it holds."""
    ledger.position = offset + 1
    if holder is not None:
        ledger.hold(offset, holder, now)


def test_without_holds_everything_read_may_be_committed() -> None:
    ledger = ledger_at(40)
    assert ledger.committable() == 40
    read(ledger, 40)
    assert ledger.committable() == 41


def test_a_fresh_ledger_knows_where_it_began_and_what_the_broker_has() -> None:
    ledger = Ledger(1, "audience", 3, 500, 400, "a census")
    assert (ledger.position, ledger.committed, ledger.metadata) == (500, 400, "a census")
    assert (ledger_at(7).committed, ledger_at(7).metadata) == (None, "")


def test_partition_0_at_offset_0_is_an_offset_like_any_other() -> None:
    ledger = ledger_at(0)
    batch = Batch()
    read(ledger, 0, batch)
    assert ledger.committable() == 0
    ledger.let_go(batch)
    assert ledger.committable() == 1


def test_i1_the_lowest_unsettled_record_holds_all_after_it() -> None:
    ledger = ledger_at(10)
    first, second = Batch(), Batch()
    read(ledger, 10, first)
    read(ledger, 11, second)
    read(ledger, 12)
    ledger.let_go(second)
    assert ledger.committable() == 10
    ledger.let_go(first)
    assert ledger.committable() == 13


def test_i1_a_gap_in_the_offsets_holds_nothing() -> None:
    ledger = ledger_at(10)
    batch = Batch()
    read(ledger, 17)
    read(ledger, 90, batch)
    assert ledger.committable() == 90
    ledger.let_go(batch)
    assert ledger.committable() == 91


def test_a_ledger_is_settled_when_all_its_holders_are() -> None:
    ledger = ledger_at(5)
    assert ledger.is_settled()
    batches = [Batch(), Batch()]
    for offset, batch in enumerate(batches, 5):
        read(ledger, offset, batch)
        assert not ledger.is_settled()
    for batch in reversed(batches):
        assert not ledger.is_settled()
        ledger.let_go(batch)
    assert ledger.is_settled()


def test_the_oldest_record_is_the_first_unsettled_one() -> None:
    ledger = ledger_at(5)
    assert ledger.oldest_read_at() is None
    first, second = Batch(), Batch()
    read(ledger, 5, first, now=100.0)
    read(ledger, 6, second, now=101.0)
    assert ledger.oldest_read_at() == 100.0
    ledger.let_go(first)
    assert ledger.oldest_read_at() == 101.0
    ledger.let_go(second)
    assert ledger.oldest_read_at() is None


def test_i1_a_log_made_anew_is_committed_at_its_beginning_until_the_old_one_is_delivered() -> None:
    ledger = Ledger(1, "audience", 3, 500, committed=500)
    old, new = Batch(), Batch()
    read(ledger, 500, old, now=1.0)
    ledger.go_back(0)
    assert ledger.position == 0
    assert ledger.committed is None
    read(ledger, 0, new, now=2.0)
    assert ledger.committable() == 0
    assert ledger.oldest_read_at() == 1.0
    ledger.let_go(new)
    assert ledger.committable() == 0
    assert not ledger.is_settled()
    ledger.let_go(old)
    assert ledger.is_settled()
    assert ledger.committable() == 1


def test_a_log_that_goes_back_with_nothing_unsettled_is_committed_where_it_goes_on() -> None:
    ledger = ledger_at(500)
    ledger.go_back(0)
    assert ledger.committable() == 0


def test_i1_a_log_that_was_cut_off_is_committed_at_the_cut_until_what_was_lost_is_delivered() -> (
    None
):
    ledger = ledger_at(480)
    before, at, beyond, new = (Batch() for _ in range(4))
    read(ledger, 480, before)
    read(ledger, 490, at)
    read(ledger, 495, beyond)
    ledger.go_back(490)
    read(ledger, 490, new)
    assert list(ledger.holders()) == [before, at, beyond, new]
    assert ledger.committable() == 480
    ledger.let_go(before)
    for each in (at, beyond, new):
        assert ledger.committable() == 490
        ledger.let_go(each)
    assert ledger.committable() == 491


def test_i1_a_log_that_was_cut_off_twice_is_held_at_the_lower_cut() -> None:
    ledger = ledger_at(500)
    batches = [Batch(), Batch(), Batch()]
    for batch, cut in zip(batches, (500, 300, 250), strict=True):
        read(ledger, ledger.position, batch)
        ledger.go_back(cut)
    assert ledger.turns_back == 3
    for batch in batches:
        assert ledger.committable() == 250
        assert not ledger.is_settled()
        ledger.let_go(batch)
    assert ledger.committable() == 250
    assert ledger.is_settled()


def test_an_origin_remembers_its_ledger_and_its_offset() -> None:
    ledgers = [ledger_at(0, number) for number in (1, 2, 10**6)]
    assert len({ledger.base for ledger in ledgers}) == 3
    for ledger in ledgers:
        for offset in (0, 1, 2**63 - 1):
            origin = ledger.base + offset
            assert offset_of(origin) == offset
            assert base_of(origin) == ledger.base


def test_a_source_is_named_as_dead_letters_name_it() -> None:
    assert ledger_at(0).source(17) == "audience:3:17"


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.none() | st.integers(0, 4), st.booleans()), max_size=40
    )
)
def test_i1_committable_is_the_lowest_unsettled_offset_and_never_goes_back(
    script: list[tuple[int, int | None, bool]],
) -> None:
    """Records of up to five batches at a time, settled in any order, compared with a search."""
    ledger = ledger_at(0)
    batches: dict[int, Batch] = {}
    joined: dict[Batch, int] = {}
    before = 0
    for gap, number, settles in script:
        offset = ledger.position - 1 + gap
        batch = None
        if number is not None:
            batch = batches.setdefault(number, Batch())
            if batch not in joined:
                joined[batch] = offset
                read(ledger, offset, batch)
        read(ledger, offset)
        if settles and batch is not None:
            ledger.let_go(batch)
            del batches[number or 0], joined[batch]
        expected = min(joined.values(), default=ledger.position)
        committable = ledger.committable()
        assert committable == expected
        assert list(ledger.holders()) == list(joined), "what is settled is not kept (I7)"
        assert committable >= before
        before = committable
