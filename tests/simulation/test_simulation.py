"""The real loop in very many random worlds of virtual time; see ``tests.simulation``.

``SIMULATION_SEEDS`` is how many seeds are run, 1500 without it; ``SIMULATION_START`` the first. A
plain run of the whole suite has the first 60 of them.
"""

import os
import subprocess
import sys

import pytest

from tests.simulation.api import KINDS_TO_SEE
from tests.simulation.broken import BROKEN
from tests.simulation.pool import Sum, available_cores, run_seeds
from tests.simulation.run import LoopOf, run_seed

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "1500"))
START = int(os.environ.get("SIMULATION_START", "0"))
FEW_HUNDRED = 400
FIRST = min(60, SEEDS)
SHOWN = 20


@pytest.mark.long("more worlds of the simulation", keep=("the first",))
@pytest.mark.parametrize(
    ("start", "count"),
    [(START, FIRST), (START + FIRST, SEEDS - FIRST)],
    ids=["the first", "the others"],
)
def test_no_invariant_is_violated_in_any_world(start: int, count: int) -> None:
    total = Sum()
    for outcome in run_seeds(start, count, available_cores()):
        total.add(outcome)
    assert total.count == count
    lines = [str(outcome) for outcome in total.failed[:SHOWN]]
    assert not lines, "\n".join([str(total), *lines])
    if count >= FEW_HUNDRED:  # the rare kinds need so many worlds
        assert total.seen.keys() >= KINDS_TO_SEE


@pytest.mark.usefixtures("one_core")
@pytest.mark.parametrize("seed", range(5))
def test_a_seed_has_one_trace(seed: int) -> None:
    first = run_seed(seed, with_trace=True)
    assert len(first.trace) > 20
    assert run_seed(seed, with_trace=True) == first


@pytest.mark.usefixtures("one_core")
def test_a_seed_has_the_same_trace_in_every_process() -> None:
    """Whatever the order of sets of strings is, which is another in each process."""
    said = {
        subprocess.run(
            [sys.executable, "-m", "tests.simulation", "--seed", "7", "--trace"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout
        for hash_seed in ("1", "2", "3")
    }
    assert len(said) == 1
    assert len(said.pop().splitlines()) > 20


@pytest.mark.usefixtures("one_core")
@pytest.mark.parametrize(("loop_of", "invariant"), BROKEN.values(), ids=BROKEN)
def test_a_broken_rule_is_found(loop_of: LoopOf, invariant: str) -> None:
    found = (run_seed(seed, loop_of).violation for seed in range(FEW_HUNDRED))
    assert any(violation.startswith(invariant) for violation in found)
