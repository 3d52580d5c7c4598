"""Whether all ended well: the last words at the API (I2), the stops (I9), calm deploys."""

from collections import Counter
from typing import TYPE_CHECKING

from tests.simulation.account import is_shared
from tests.simulation.api import is_bad
from tests.simulation.oracle import Violation

if TYPE_CHECKING:
    from tests.simulation.log import Lane
    from tests.simulation.world import World

SLACK_SECONDS = 0.7


def check_last_words(world: "World") -> None:
    """Compare what the API has with what was said last. Raises `Violation`."""
    _check_stops(world)
    last: dict[tuple[Lane, str], str] = {}  # empty: of a record that may never have been read
    for record in world.producer.history:
        for lane, action, name in record.changes:
            last[lane, name] = "" if record.is_lost else action
    for (lane, name), action in last.items():
        if not action or is_shared(name) or is_bad(lane, name):
            continue
        said = world.api.state.get((lane, name))
        if said != action:
            raise Violation(f"I2: {name} of {lane}: the API has {said}, the last word is {action}")
    if world.setup.is_calm and not any("commit_failed" in what for _, _, what in world.events):
        _check_calm(world)


def _check_stops(world: "World") -> None:
    for process in world.processes:
        if process.stop_asked_at is None:
            continue
        if process.ended_at is None:
            raise Violation(f"I9: process {process.number} never stopped")
        late = process.ended_at - process.stop_deadline
        if late > SLACK_SECONDS and not process.was_disturbed:
            raise Violation(f"I9: process {process.number} stopped {late:.2f} s late")


def _check_calm(world: "World") -> None:
    """Look for what a quiet deploy delivered twice (I9)."""
    said = Counter(
        (record.partition, record.offset, lane, name)
        for record in world.producer.history
        for lane, _, name in record.changes
    )
    twice = [key for key, count in world.oracle.applications.items() if count > said[key]]
    if twice:
        raise Violation(f"I9: {len(twice)} changes were delivered twice, as {twice[0]}")
