"""Finding the bad ids of a refused batch: few attempts, no wrong verdict, whatever happens."""

import math
import os
import random
import subprocess
import sys
import uuid
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


def singles_of(names: list[str]) -> list[str]:
    """Return the ids that are tried alone while each of them is refused."""
    search = Search(names, names)
    return [search.step()[0] for _ in range(min(SINGLES, len(names)))]


def places_of_singles(names: list[str]) -> list[int]:
    places = {name: place for place, name in enumerate(names)}
    return [places[name] for name in singles_of(names)]


@pytest.mark.parametrize("count", [8, 9, 15, 16, 17, 100, 999, 1000])
def test_there_is_a_single_from_each_eighth_of_the_batch(count: int) -> None:
    """So that a good stretch is found, however long the bad one beside it is."""
    places = places_of_singles(ids(count))
    for number, place in enumerate(places):
        assert number * count // SINGLES <= place < (number + 1) * count // SINGLES


SHAPES: dict[str, Callable[[int], str]] = {
    "numbers": str,
    "numbers of one length": "{:09d}".format,
    "a shared prefix": "customer-{}".format,
    "addresses": "user.{}@example.com".format,
    "UUIDs": lambda number: str(
        uuid.UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)
    ),
    "another length each": lambda number: "x" * (number % 100) + str(number),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("begins_at", [0, 1, 1_000_000])
def test_no_period_lines_up_with_the_singles(shape: str, begins_at: int) -> None:
    """Every 25th line of a list is a header, say: the ids between are good.

    Ids at places of one remainder are bad for some offset just if the period divides the
    differences of the singles' places, so this is all periods and all offsets.
    """
    for count in {*range(16, 100), *range(100, 1001, 23), 1000}:
        names = [SHAPES[shape](begins_at + number) for number in range(count)]
        first, *others = places_of_singles(names)
        grid = math.gcd(*(place - first for place in others))
        assert [period for period in range(2, 501) if grid % period == 0] == [], count


@pytest.mark.parametrize("period", [2, 3, 5, 25, 100, 125, 250, 500])
@pytest.mark.parametrize("offset", [0, 1, 24, 124])
def test_i12_good_ids_between_periodic_bad_ones_are_delivered(period: int, offset: int) -> None:
    bad = ids(1000)[offset % period :: period]
    search = Search(ids(1000), bad).run()
    assert not search.whole
    assert sorted(search.refused) == sorted(bad)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("per_cent", [25, 50])
def test_ids_that_are_bad_at_random_or_by_their_number_are_mistaken_as_rarely_as_chance_has_it(
    shape: str, per_cent: int
) -> None:
    """A share p of bad ids is taken for all of them in p to the eighth of the batches."""
    dice, wrong, batches = random.Random(3), 0, 256
    for batch in range(batches):
        begins_at = dice.choice((0, 1000 * batch, dice.randrange(10**8)))
        in_order = range(begins_at, begins_at + dice.randrange(50, 501))
        numbers = dice.sample(in_order, len(in_order))
        singles = set(singles_of([SHAPES[shape](number) for number in numbers]))
        every = 100 // per_cent
        wrong += all(n % every == 0 for n in numbers if SHAPES[shape](n) in singles)
    assert wrong <= (4 if per_cent == 50 else 1)


def test_the_singles_are_the_same_in_every_process() -> None:
    """What is tried does not depend on the salt that strings are hashed with."""
    script = (
        "from consumer.core.splitting import Split;"
        "ids = [f'customer-{n}' for n in range(1000)];"
        "print(Split(ids, '400').next_part(ids))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": salt},
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout
        for salt in ("1", "2")
    }
    assert said == {f"{(singles_of(ids(1000))[0],)}\n"}


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
    bad = singles_of(ids(800))[:7]
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
    *gone, last = singles_of(ids(800))
    search = Search(ids(800), [last])
    for single in gone:
        del search.unsettled[single]
    assert search.step() == (last,)
    search.run()
    assert search.refused == [last]


def test_singles_that_went_with_their_partition_are_replaced() -> None:
    search = Search(ids(800), ids(800))
    for single in singles_of(ids(800))[:7]:
        del search.unsettled[single]
    search.run()
    assert search.attempts == 9
    assert search.whole


def test_singles_that_replace_others_are_spread_over_the_batch_too() -> None:
    search = Search(ids(800), ids(800))
    (first,) = search.step()
    for single in singles_of(ids(800))[1:]:
        del search.unsettled[single]
    untried = [name for name in search.unsettled if name != first]
    singles = [name for _ in range(7) for name in search.step()]
    for number, single in enumerate(singles):
        assert single in untried[number * len(untried) // 7 : (number + 1) * len(untried) // 7]


def test_when_only_refused_singles_are_left_they_are_tried_once_more() -> None:
    search = Search(ids(80), ids(80))
    refused = {*search.step(), *search.step()}
    for name in ids(80):
        if name not in refused:
            search.unsettled.pop(name, None)
    search.run()
    assert set(search.refused) == refused
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
