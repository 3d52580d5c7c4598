"""Finding the bad ids of a refused batch: few attempts, no wrong verdict, whatever happens."""

import random
from collections.abc import Callable, Collection

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.core.splitting import SINGLES, Split


class Search:
    """Drives a split as the pipeline does, against an API that refuses whatever has a bad id."""

    def __init__(self, ids: list[str], bad: Collection[str]) -> None:
        self.unsettled = dict.fromkeys(ids)
        self.bad = set(bad)
        self.attempts = 1  # the one that was refused before
        self.delivered: list[str] = []
        self.refused: list[str] = []
        self.whole = False
        self.split = Split(ids, "400 at first")

    def step(self) -> tuple[str, ...]:
        """Try the next part, and take in what became of it."""
        part = self.split.next_part(self.unsettled)
        assert part
        assert len(set(part)) == len(part)
        assert set(part) <= self.unsettled.keys()
        self.attempts += 1
        if self.bad.isdisjoint(part):
            self._settle(part, self.delivered)
            self._settle(self.split.accepted(), self.refused)
        else:
            names, whole = self.split.refused(self.unsettled, f"400 at attempt {self.attempts}")
            self.whole = self.whole or whole
            self._settle(names, self.refused)
        return part

    def run(self) -> "Search":
        """Go on until all is settled."""
        while self.unsettled:
            self.step()
        return self

    def _settle(self, names: Collection[str], where: list[str]) -> None:
        gone = [name for name in names if name in self.unsettled]
        where += gone
        for name in gone:
            del self.unsettled[name]


def ids(count: int) -> list[str]:
    return [f"customer-{number}" for number in range(count)]


def test_a_segment_that_refuses_everything_costs_nine_tries() -> None:
    search = Search(ids(1000), ids(1000)).run()
    assert search.attempts == 9
    assert search.whole
    assert search.refused == ids(1000)


def test_one_bad_id_in_a_thousand_costs_at_most_25_tries_wherever_it_is() -> None:
    attempts = []
    for bad in range(0, 1000, 9):
        search = Search(ids(1000), [ids(1000)[bad]]).run()
        assert search.refused == [f"customer-{bad}"]
        assert not search.whole
        attempts.append(search.attempts)
    assert max(attempts) <= 25


def test_ten_bad_ids_in_a_thousand_cost_at_most_160_tries() -> None:
    dice = random.Random(7)
    for _ in range(100):
        bad = dice.sample(ids(1000), 10)
        search = Search(ids(1000), bad).run()
        assert sorted(search.refused) == sorted(bad)
        assert search.attempts <= 160


def test_singles_are_spread_evenly_over_the_batch() -> None:
    split = Split(ids(800), "400")
    singles: list[str] = []
    for _ in range(SINGLES):
        singles += split.next_part(ids(800))
        split.refused(ids(800), "400")
    assert singles == ids(800)[::100]


@pytest.mark.parametrize("count", range(2, SINGLES))
def test_of_fewer_than_eight_ids_each_is_refused_alone(count: int) -> None:
    """So few refusals say nothing about the segment."""
    search = Search(ids(count), ids(count)).run()
    assert search.attempts == 1 + count
    assert sorted(search.refused) == sorted(ids(count))
    assert not search.whole


def test_with_exactly_eight_refused_the_batch_is_refused_as_a_whole() -> None:
    search = Search(ids(8), ids(8)).run()
    assert (search.attempts, search.whole) == (9, True)


def test_seven_refused_singles_and_a_success_are_no_verdict_on_the_rest() -> None:
    bad = ids(800)[:700:100]
    search = Search(ids(800), bad).run()
    assert sorted(search.refused) == sorted(bad)
    assert not search.whole


def test_a_try_without_a_verdict_is_repeated_as_it_was() -> None:
    """A timeout in between changes nothing: the same part goes again."""
    search = Search(ids(100), ids(100)[50:53])
    while search.unsettled:
        again = search.split.next_part(search.unsettled)
        assert search.step() == again


def test_what_the_api_said_last_is_remembered() -> None:
    search = Search(ids(20), ["customer-0"])
    assert search.split.detail == "400 at first"
    search.step()
    assert search.split.detail == "400 at attempt 2"
    search.step()
    assert search.split.detail == "400 at attempt 2"


def test_i12_good_ids_do_not_pay_when_the_singles_went_with_their_partition() -> None:
    """Once the last single left was refused, all the rest was refused with it."""
    search = Search(ids(800), ["customer-700"])
    for single in ids(800)[:700:100]:
        del search.unsettled[single]
    assert search.step() == ("customer-700",)
    search.run()
    assert search.refused == ["customer-700"]


def test_singles_that_went_with_their_partition_are_replaced() -> None:
    search = Search(ids(800), ids(800))
    for single in ids(800)[:700:100]:
        del search.unsettled[single]
    search.run()
    assert search.attempts == 9
    assert search.whole


def test_singles_that_replace_others_are_spread_evenly_too() -> None:
    search = Search(ids(800), ids(800))
    search.step()
    for single in ids(800)[100::100]:
        del search.unsettled[single]
    untried = list(search.unsettled)[1:]
    singles = [name for _ in range(7) for name in search.step()]
    assert singles == [untried[number * len(untried) // 7] for number in range(7)]


def test_when_only_refused_singles_are_left_they_are_tried_once_more() -> None:
    search = Search(ids(80), ids(80))
    search.step()
    search.step()
    for name in ids(80):
        if name not in {"customer-0", "customer-10"}:
            search.unsettled.pop(name, None)
    search.run()
    assert sorted(search.refused) == ["customer-0", "customer-10"]
    assert not search.whole


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.integers(2, 60), st.data())
def test_i12_no_verdict_is_wrong_though_ids_go_away_at_any_time(
    count: int, data: st.DataObject
) -> None:
    """Only eight bad singles may condemn a good id; everything is settled in bounded attempts."""
    names = ids(count)
    bad = data.draw(st.sets(st.sampled_from(names), max_size=count))
    search = Search(names, bad)
    goes: Callable[[], bool] = lambda: data.draw(st.integers(0, 5)) == 5  # noqa: E731 - a name for it
    while search.unsettled:
        search.step()
        if goes():
            for name in data.draw(st.sets(st.sampled_from(names), max_size=count // 2)):
                search.unsettled.pop(name, None)
    assert bad.isdisjoint(search.delivered)
    if not search.whole:
        assert set(search.refused) <= bad
    else:
        assert len(bad) >= SINGLES
    assert search.attempts <= 12 + 2 * count
