"""The judge of the chaos sees what is wrong, and lets pass what is not."""

from itertools import islice

import pytest

from tests.chaos import plan
from tests.chaos.junk import Junk
from tests.chaos.ledger import Application
from tests.chaos.plan import Setup
from tests.chaos.verdict import Flip, early_commits, story
from tests.support.flipping import Member

SOMEBODY = Member(1, "customer-1")
ADDED = Flip(10.0, 0, 5, SOMEBODY, "add")
REMOVED = Flip(20.0, 0, 8, SOMEBODY, "remove")


def test_a_commit_of_what_was_delivered_before_is_right() -> None:
    assert not early_commits([ADDED], {0: [(12.0, 6)]}, {SOMEBODY: [Application(11.0, "add")]})


@pytest.mark.parametrize(
    "applied",
    [[], [Application(13.0, "add")], [Application(9.0, "add")], [Application(11.0, "remove")]],
    ids=["never", "later", "for another record", "the opposite"],
)
def test_a_commit_of_what_was_not_delivered_is_early(applied: list[Application]) -> None:
    assert early_commits([ADDED], {0: [(12.0, 6)]}, {SOMEBODY: applied})


def test_a_commit_that_is_not_above_a_record_says_nothing_of_it() -> None:
    assert not early_commits([ADDED], {0: [(12.0, 5)], 1: [(12.0, 6)]}, {})


def test_a_change_is_settled_when_a_later_one_is_there() -> None:
    flips = [ADDED, REMOVED]
    assert not early_commits(flips, {0: [(21.0, 8)]}, {})
    assert early_commits(flips, {0: [(19.0, 8)]}, {})
    assert early_commits(flips, {0: [(21.0, 9)]}, {})


def test_a_story_is_told_in_the_order_of_time() -> None:
    told = story(SOMEBODY, [ADDED, REMOVED], [Application(15.0, "add")])
    assert told.endswith("10.000 asked to add; 15.000 applied add; 20.000 asked to remove")


def test_junk_without_a_dead_letter_is_missed() -> None:
    junk = Junk("junk", plan.Setup(1, "classic", is_static=False).draw("junk"))
    junk.records(10)
    assert junk.problems([])


def test_a_seed_says_all_that_goes_wrong() -> None:
    first, same, other = (
        {name: list(islice(steps, 50)) for name, steps in plan.tracks(setup).items()}
        for setup in (
            Setup(7, "classic", is_static=False),
            Setup(7, "classic", is_static=False),
            Setup(8, "classic", is_static=False),
        )
    )
    assert first == same
    assert first != other


def test_every_kind_of_trouble_has_its_turn() -> None:
    tracks = plan.tracks(Setup(7, "classic", is_static=False))
    for name, kinds in {
        "place 0": plan.PLACE_KINDS,
        "way": plan.WAY_KINDS,
        "weather": plan.WEATHER_KINDS,
        "broker": plan.BROKER_KINDS,
        "topic": plan.TOPIC_KINDS,
    }.items():
        drawn = [step.kind for step in islice(tracks[name], len(kinds))]
        assert sorted(drawn) == sorted(kind for kind, _ in kinds)
