"""The reference's section about a big deployment says what comes of working it out again.

What is worked out is the same to the letter, and so are counts; what is measured in virtual time is
near to it, for the daemon may become a little better without the page being wrong.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache

import pytest

from tests.scale import filling, paper, rebalances
from tests.simulation.broken import hasty_drain
from tests.simulation.fleet import Fleet, Size, setup_of
from tests.simulation.oracle import Violation
from tests.simulation.run import LoopOf, real_loop
from tests.test_readme import REFERENCE, ROOT, rows

LIMITS = "| what limits | worked out | comes to |"
MEMBER = "| of one member | worked out | comes to |"
REQUESTS = "| request | to | from a member | classic | KIP-848 |"
FILLING = "| open batches | ids a request |"
REBALANCES = "| what happens | protocol | rebalances |"
COUNTS = slice(2, 4)  # of rebalances: how many, and how many partitions moved

NEAR, AS_WITH_OTHER_LUCK = 0.15, 0.4
A_LITTLE = 0.5  # seconds, requests a second
SMALL = Size(members=6, partitions=24, replaced=2, added=1)


def as_table(found: Iterable[tuple[str, ...]]) -> str:
    """Return what is to be pasted."""
    return "must be near:\n" + "\n".join(f"| {' | '.join(row)} |" for row in found)


def is_near(told: str, found: str, near: float = NEAR) -> bool:
    """Whether two cells say about the same, or the very same where they have no number."""
    if not re.fullmatch(r"[\d,.]+", told) or not re.fullmatch(r"[\d,.]+", found):
        return told == found
    told_number, number = (float(each.replace(",", "")) for each in (told, found))
    return math.isclose(told_number, number, rel_tol=near, abs_tol=A_LITTLE)


@pytest.mark.parametrize(
    ("header", "worked_out"),
    [(LIMITS, paper.limits), (MEMBER, paper.member), (REQUESTS, paper.requests)],
    ids=["what limits", "a member", "requests to Kafka"],
)
def test_the_arithmetic_is_that_of_the_settings(
    header: str, worked_out: Callable[[], Iterator[tuple[str, ...]]]
) -> None:
    found = list(worked_out())
    assert [tuple(row) for row in rows(REFERENCE, header)] == found, as_table(found)


@pytest.mark.parametrize("place", [0, 1], ids=["classic", "consumer"])
def test_what_was_counted_on_a_real_broker_is_what_was_worked_out(place: int) -> None:
    for name, _, _, *rates, classic, consumer in paper.requests():
        counted = float((classic, consumer)[place])
        a_minute = float(rates[place]) * 60 / paper.MEMBERS
        assert counted == pytest.approx(a_minute, rel=0.1, abs=1.0), name


def test_the_chart_divides_and_adds_as_the_arithmetic_does() -> None:
    numbers = (ROOT / "deploy/chart/templates/_numbers.tpl").read_text()
    assert f"(ternary 0 {paper.SURGE} .Values.staticMembership)" in numbers
    memory = f"add {paper.BASE_MEBIBYTES} (ceil (divf (mulf .Values.settings.BUFFER_MAX_IDS"
    assert f"{memory} {paper.BYTES_AN_ID}) {paper.MEBIBYTE}))" in numbers
    assert "add (ceil .Values.settings.DRAIN_TIMEOUT_SECONDS) 10" in numbers


def test_the_busiest_of_few_members_has_more_than_the_mean() -> None:
    """With very many keys hardly any more, and at least the mean."""
    assert 1.0 < paper.busiest(10_000) / 200 < paper.busiest(1_000) / 20 < 2.0


@cache
def told_of_filling() -> dict[int, list[str]]:
    return {int(row[0].replace(",", "")): row for row in rows(REFERENCE, FILLING)}


def test_every_number_of_open_batches_is_told() -> None:
    assert tuple(told_of_filling()) == filling.OPEN_BATCHES


def test_the_defaults_do_for_as_many_open_batches_as_is_told() -> None:
    limit = paper.default("buffer_max_ids")
    enough = [
        batches
        for batches, row in told_of_filling().items()
        if int(row[3].replace(",", "")) <= limit and int(row[-1]) <= paper.DRAIN
    ]
    assert f"Up to {max(enough)} open batches a member the defaults do." in REFERENCE


@pytest.mark.long("sizes", keep=("20", "200"))
@pytest.mark.parametrize("batches", filling.OPEN_BATCHES)
def test_requests_are_as_full_and_waits_as_long_as_is_told(batches: int) -> None:
    told, found = told_of_filling()[batches], filling.row(filling.fill(batches))
    assert all(is_near(*cells) for cells in zip(told, found, strict=True)), as_table([found])
    held, drain = (int(told[place].replace(",", "")) for place in (3, 5))
    assert tuple(told[6:]) == filling.needed(held, drain)


@pytest.mark.long("the other protocol where one shows it", keep=("classic",))
@pytest.mark.usefixtures("one_core")
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_fifty_members_come_and_go_as_is_told(protocol: str) -> None:
    """With the oracle watching; nothing is delivered twice, and nothing is given up.

    Other draws of the same world came to the same counts, but for those of the start; what the
    fullest second had was up to 40 % more.
    """
    fleet = rebalances.live(protocol)
    assert (fleet.duplicates, fleet.released) == (0, 0)
    found = [rebalances.row(protocol, *phase) for phase in rebalances.phases_of(fleet)]
    told = [row for row in rows(REFERENCE, REBALANCES) if row[1] == protocol]
    counts = [[*row[COUNTS]] for row in found]
    assert [row[COUNTS] for row in told][1:] == counts[1:], as_table(found)
    cells = [zip(*both, strict=True) for both in zip(told, found, strict=True)]
    assert all(is_near(*cell, AS_WITH_OTHER_LUCK) for row in cells for cell in row), as_table(found)


def live(protocol: str, loop_of: LoopOf) -> Fleet:
    fleet = Fleet(setup_of(protocol, SMALL, 20.0), SMALL, loop_of)
    fleet.run()
    return fleet


@pytest.mark.usefixtures("one_core")
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_the_oracle_watches_a_fleet(protocol: str) -> None:
    """A member that doesn't wait for its answers before it lets go is found out."""
    assert live(protocol, real_loop).duplicates == 0
    with pytest.raises(Violation):
        live(protocol, hasty_drain)
