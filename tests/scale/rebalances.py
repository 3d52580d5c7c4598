"""How fifty members behave in the simulator when they come and go, phase by phase."""

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from statistics import fmean, median

from tests.scale.paper import ENOUGH, MEMBERS, PARTITIONS, share
from tests.simulation.fleet import Fleet, Size, setup_of

SIZE = Size(MEMBERS, PARTITIONS, replaced=3, added=10)

TEXTS = {
    "start": f"{MEMBERS} start within 2 s",
    "quiet": "nothing",
    "replaced": f"one is replaced, of {SIZE.replaced}",
    "added": f"{SIZE.added} more start within 2 s",
}


@dataclass(frozen=True, slots=True)
class Phase:
    """What came of one thing that was done; of each replaced member where there are several.

    Seconds: how long a partition that moved was not read, as a median and at most; how long a
    change took at most, linger included. Requests: of a second, the mean and the most.
    """

    rebalances: int
    moves: int
    median_gap: float
    longest_gap: float
    longest_wait: float
    commits: float
    most_commits: int
    most_heartbeats: int
    most_joins: int


def phases_of(fleet: Fleet) -> Iterator[tuple[str, Phase]]:
    """Yield the phases of a fleet that has run."""
    for (name, begin), (_, end) in zip(fleet.phases, fleet.phases[1:], strict=False):
        yield name, _phase(fleet, name, begin, end)


def _phase(fleet: Fleet, name: str, begin: float, end: float) -> Phase:
    seen = fleet.seen
    share_of = SIZE.replaced if name == "replaced" else 1
    gaps = [length for since, length in seen.gaps if begin <= since < end] or [0.0]
    waits = [length for since, length in seen.waits if begin <= since < end]
    commits = seen.a_second("commit", begin, end)
    return Phase(
        rebalances=round(sum(begin <= at < end for at in seen.rebalances) / share_of),
        moves=round(sum(begin <= at < end for at in seen.moves) / share_of),
        median_gap=median(gaps),
        longest_gap=max(gaps),
        longest_wait=max(waits),
        commits=fmean(commits),
        most_commits=max(commits),
        most_heartbeats=max(seen.a_second("heartbeat", begin, end)),
        most_joins=max(seen.a_second("join", begin, end)),
    )


def live(protocol: str) -> Fleet:
    """Return a fleet that has run. Raises `Violation`."""
    fleet = Fleet(setup_of(protocol, SIZE, share(ENOUGH)), SIZE)
    fleet.run()
    return fleet


def row(protocol: str, name: str, phase: Phase) -> tuple[str, ...]:
    """Return a row of the reference's table."""
    told = (f"{each:.1f}" if isinstance(each, float) else str(each) for each in astuple(phase))
    return TEXTS[name], protocol, *told
