"""What of a lane waits: where an id is, and what is next, however many batches there are."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.core.backlog import Backlog
from consumer.core.events import ACTIONS, Action
from consumer.core.lanes import Batch, Lane

COUNTS = [1, 2, 20]
"""How many batches: the only one is searched, among several an id is looked up."""


def waiting(*names: str, action: Action = "add", opened_at: float = 0.0) -> Batch:
    """Return a batch that was closed."""
    ids = dict.fromkeys(names, 0)
    return Batch(Lane(1, "id"), action, opened_at, opened_at, ids, is_open=False)


def filled(count: int) -> tuple[Backlog[Batch], list[Batch]]:
    """Return a backlog with that many batches of two ids, and those."""
    backlog: Backlog[Batch] = Backlog()
    batches = [waiting(f"a{number}", f"b{number}") for number in range(count)]
    for batch in batches:
        backlog.add(batch)
    return backlog, batches


def find(backlog: Backlog[Batch], name: str) -> Batch | None:
    """Return the batch in which an id waits; None: in none."""
    return backlog.at(name) if name in backlog.known else None


@pytest.mark.parametrize("count", COUNTS)
def test_an_id_is_found_in_its_batch(count: int) -> None:
    backlog, batches = filled(count)
    for number, batch in enumerate(batches):
        assert find(backlog, f"a{number}") is batch
        assert find(backlog, f"b{number}") is batch
    assert find(backlog, "other") is None
    assert (backlog.count, backlog.ids) == (count, 2 * count)


@pytest.mark.parametrize("count", COUNTS)
def test_what_comes_after_a_look_is_found_too(count: int) -> None:
    backlog, _ = filled(count)
    assert find(backlog, "c") is None
    removes, tried = waiting("c", action="remove"), waiting("d")
    backlog.add(removes)
    backlog.put_back(tried)
    assert find(backlog, "c") is removes
    assert find(backlog, "d") is tried


@pytest.mark.parametrize("count", COUNTS)
def test_an_id_that_was_dropped_is_nowhere(count: int) -> None:
    backlog, batches = filled(count)
    find(backlog, "a0")
    del batches[0].ids["a0"]
    backlog.dropped(["a0"])
    assert find(backlog, "a0") is None
    assert find(backlog, "b0") is batches[0]
    assert (backlog.count, backlog.ids) == (count, 2 * count - 1)


@pytest.mark.parametrize("count", COUNTS)
def test_what_was_taken_is_nowhere(count: int) -> None:
    backlog, batches = filled(count)
    find(backlog, "a0")
    backlog.take(batches[0])
    assert find(backlog, "a0") is None
    assert batches[0] not in backlog.batches()
    assert (backlog.count, backlog.ids) == (count - 1, 2 * count - 2)


def test_what_is_not_there_can_be_taken() -> None:
    backlog, batches = filled(1)
    for batch in (waiting("x"), waiting("y", action="remove"), batches[0], batches[0]):
        backlog.take(batch)
    assert (backlog.count, backlog.ids) == (0, 0)


@pytest.mark.parametrize("action", ACTIONS)
def test_what_was_not_tried_yet_is_in_the_order_of_closing(action: Action) -> None:
    backlog: Backlog[Batch] = Backlog()
    batches = [waiting(name, action=action) for name in "abc"]
    for batch in batches:
        backlog.add(batch)
    tried = waiting("d", action=action)
    backlog.put_back(tried)
    assert list(backlog.fresh(action)) == batches
    assert [list(backlog.fresh(other)) for other in ACTIONS if other != action] == [[]]
    assert list(backlog.tried()) == [tried]
    backlog.take(batches[0])
    assert list(backlog.fresh(action)) == batches[1:]


def test_what_comes_back_is_behind_what_did_before() -> None:
    backlog: Backlog[Batch] = Backlog()
    first, second = waiting("a"), waiting("b", action="remove")
    backlog.put_back(first)
    backlog.put_back(second)
    assert list(backlog.tried()) == [first, second]
    backlog.take(first)
    backlog.put_back(first)
    assert list(backlog.tried()) == [second, first]


def test_the_oldest_is_known_of_each_kind() -> None:
    backlog: Backlog[Batch] = Backlog()
    assert backlog.oldest_opened_at() == []
    for opened_at, action in ((3.0, ACTIONS[0]), (4.0, ACTIONS[0]), (2.0, ACTIONS[1])):
        backlog.add(waiting(action=action, opened_at=opened_at))
    backlog.put_back(waiting("x", opened_at=7.0))
    backlog.put_back(waiting("y", opened_at=1.0))
    assert min(backlog.oldest_opened_at()) == 1.0
    assert {3.0, 2.0} <= set(backlog.oldest_opened_at())


def test_an_index_that_is_made_anew_knows_what_became_of_all_ids() -> None:
    """Of a backlog that came down to a few batches, and grew again."""
    backlog, batches = filled(2)
    assert find(backlog, "a0") is batches[0]
    backlog.take(batches[0])
    del batches[1].ids["a1"]
    backlog.dropped(["a1"])
    assert find(backlog, "a1") is None
    again = waiting("a0", "a1")
    backlog.put_back(again)
    for name, batch in (("a0", again), ("a1", again), ("b1", batches[1]), ("b0", None)):
        assert find(backlog, name) is batch


steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "put back", "take", "drop", "find", "find"]), st.integers(0, 40)
    ),
    max_size=60,
)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(steps)
def test_it_is_told_where_each_id_is_whatever_came_and_went(todo: list[tuple[str, int]]) -> None:
    backlog: Backlog[Batch] = Backlog()
    batches: list[Batch] = []
    for number, (step, which) in enumerate(todo):
        found = batches[which % len(batches)] if batches else waiting()
        match step:
            case "add" | "put back":
                batches.append(waiting(*(f"{number}-{each}" for each in range(which % 4))))
                (backlog.add if step == "add" else backlog.put_back)(batches[-1])
            case "take" if batches:
                batches.remove(found)
                backlog.take(found)
            case "drop" if found.ids:
                name, _ = found.ids.popitem()
                backlog.dropped((name,))
                assert find(backlog, name) is None
            case _:
                for name in found.ids:
                    assert find(backlog, name) is found
        assert backlog.count == len(batches)
        assert backlog.ids == sum(len(batch.ids) for batch in batches)
    for batch in batches:
        assert all(find(backlog, name) is batch for name in batch.ids)
    assert find(backlog, "nobody") is None
