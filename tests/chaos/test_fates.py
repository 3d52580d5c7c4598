"""The judge of the log that fails misses what is missing, and excuses only what was lost."""

from itertools import islice

import pytest

from tests.chaos import plan
from tests.chaos.fates import LOG_SEGMENT, Fates
from tests.chaos.ledger import Application
from tests.chaos.plan import Setup
from tests.support.flipping import Member
from tests.support.scenario import StepBack


def delivered(**at: float) -> dict[Member, list[Application]]:
    """Return that these ids were added, and when."""
    return {Member(LOG_SEGMENT, id_): [Application(time, "add")] for id_, time in at.items()}


@pytest.fixture
def fates() -> Fates:
    """Write a and b, of which nothing becomes."""
    fates = Fates()
    fates.write(["a", "b"])
    return fates


def test_what_was_delivered_is_right_and_what_was_not_is_missing(fates: Fates) -> None:
    assert not fates.problems(delivered(a=1.0, b=2.0))
    assert fates.missing(delivered(a=1.0)) == ["b"]
    assert fates.problems(delivered(a=1.0)) == ["b was never delivered"]


def test_what_was_lost_may_have_been_delivered_or_not(fates: Fates) -> None:
    fates.lose(["b"])
    assert not fates.problems(delivered(a=1.0))
    assert not fates.problems(delivered(a=1.0, b=2.0))
    assert fates.problems(delivered(b=2.0)) == ["a was never delivered"]


def test_what_was_aborted_must_not_have_been_delivered(fates: Fates) -> None:
    fates.abort(["b", "c"])
    assert not fates.problems(delivered(a=1.0))
    assert fates.problems(delivered(a=1.0, c=2.0)) == ["c was delivered and aborted"]


def test_an_id_that_nobody_wrote_must_not_be_delivered(fates: Fates) -> None:
    assert fates.problems(delivered(a=1.0, b=1.0, c=2.0)) == ["c was delivered, nobody wrote it"]
    others = {Member(LOG_SEGMENT - 1, "c"): [Application(1.0, "add")]}
    assert not fates.problems(delivered(a=1.0, b=1.0) | others), "another segment is another topic"


def test_what_waits_is_delivered_only_when_that_is_over(fates: Fates) -> None:
    fates.held_until(5.0, ["b"])
    assert not fates.problems(delivered(a=1.0, b=5.0))
    (problem,) = fates.problems(delivered(a=1.0, b=4.0))
    assert problem == "b was delivered at 4.000, readable from 5.000 on"


def test_a_commit_goes_back_to_the_cut_or_above_it_once(fates: Fates) -> None:
    fates.go_back(10.0, {0: 490})
    to_the_cut, above = StepBack(11.0, 0, 500, 490), StepBack(12.0, 0, 500, 495)
    assert not fates.unexplained([to_the_cut])
    assert not fates.unexplained([above])
    assert len(fates.unexplained([to_the_cut, above])) == 1


@pytest.mark.parametrize(
    "step",
    [StepBack(11.0, 0, 500, 489), StepBack(9.0, 0, 500, 490), StepBack(11.0, 1, 500, 490)],
    ids=["below the cut", "before it", "in another partition"],
)
def test_no_other_commit_goes_back(fates: Fates, step: StepBack) -> None:
    fates.go_back(10.0, {0: 490})
    assert len(fates.unexplained([step])) == 1


def test_each_way_back_explains_one_step(fates: Fates) -> None:
    fates.go_back(10.0, {0: 0, 1: 0})
    fates.go_back(20.0, {0: 490})
    steps = [StepBack(11.0, 0, 500, 20), StepBack(11.0, 1, 500, 0), StepBack(21.0, 0, 500, 490)]
    assert not fates.unexplained(steps)


def test_a_step_back_that_is_seen_late_takes_no_reason_from_the_next(fates: Fates) -> None:
    fates.go_back(10.0, {0: 490})
    fates.go_back(11.0, {0: 0})
    assert not fates.unexplained([StepBack(12.0, 0, 500, 490), StepBack(13.0, 0, 490, 20)])


def test_some_seeds_have_a_log_that_fails_and_the_others_are_as_they_were() -> None:
    with_it, without = Setup(8, "classic", is_static=False), Setup(2, "consumer", is_static=True)
    assert "log" not in plan.tracks(without)
    drawn = [step.kind for step in islice(plan.tracks(with_it)["log"], len(plan.LOG_KINDS))]
    assert sorted(drawn) == sorted(kind for kind, _ in plan.LOG_KINDS)
