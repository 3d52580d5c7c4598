"""The command line; see the package."""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from queue import SimpleQueue

from tests.mutants.changes import MUTANTS
from tests.mutants.mutant import Mutant, RottenError
from tests.mutants.trial import Death, Limits, end_all, try_mutant, try_unchanged

SEEDS = 150
SURVIVED = "SURVIVED"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a mutant; no death: it survived."""

    mutant: Mutant
    death: Death | None
    seconds: float


def main() -> int:
    """Return 0 if all die, 1 if some survive, 2 if it can't be told."""
    options = _options()
    chosen = [each for each in MUTANTS if not options.only or each.name in options.only]
    unknown = set(options.only or ()) - {each.name for each in chosen}
    if unknown:
        _say(f"no mutant has the name {', '.join(sorted(unknown))}; --list has them all")
        return 2
    if options.list:
        for mutant in chosen:
            _say(f"{mutant.name:50} {mutant.breaks}")
        return 0
    try:
        return _try_all(chosen, options.seeds, options.jobs)
    except RottenError as error:
        _say(str(error))
        return 2


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="this one; may be repeated")
    parser.add_argument("--list", action="store_true", help="name them and what they break")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of the simulator")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time, each on a core")
    return parser.parse_args()


def _try_all(chosen: list[Mutant], seeds: int, jobs: int) -> int:
    began = time.monotonic()
    tests = sorted({test for mutant in chosen for test in mutant.tests})
    limits = try_unchanged(_widest(tests), Limits(seeds))
    _say(f"without a change nothing fails ({time.monotonic() - began:.0f} s)")
    outcomes = []
    for outcome in _outcomes(chosen, limits, jobs):
        outcomes.append(outcome)
        done, name = f"[{len(outcomes)}/{len(chosen)}]", outcome.mutant.name
        _say(f"{done} {name} ({outcome.seconds:.0f} s) {outcome.death or SURVIVED}")
    _say("")
    outcomes.sort(key=lambda outcome: chosen.index(outcome.mutant))
    for outcome in outcomes:
        mutant, died = outcome.mutant, outcome.death or SURVIVED
        _say(f"{mutant.name:50} {mutant.breaks:18} {outcome.seconds:5.0f} s  {died}")
    survivors = [outcome.mutant.name for outcome in outcomes if outcome.death is None]
    seconds = time.monotonic() - began
    _say(f"\n{len(outcomes)} mutants in {seconds:.0f} s, {len(survivors)} survived")
    for name in survivors:
        _say(f"survived: {name}")
    return 1 if survivors else 0


def _outcomes(chosen: list[Mutant], limits: Limits, jobs: int) -> Iterator[Outcome]:
    cores: SimpleQueue[int] = SimpleQueue()
    for core in _cores(jobs):
        cores.put(core)
    pool = ThreadPoolExecutor(jobs, initializer=_stay_on, initargs=(cores,))
    try:
        trials = [pool.submit(_try, mutant, limits) for mutant in chosen]
        for trial in as_completed(trials):
            yield trial.result()
    except BaseException:
        end_all()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _try(mutant: Mutant, limits: Limits) -> Outcome:
    began = time.monotonic()
    death = try_mutant(mutant, limits)
    return Outcome(mutant, death, time.monotonic() - began)


def _widest(tests: list[str]) -> list[str]:
    """Leave out what is part of another, so that nothing is run twice."""
    files = {test for test in tests if "::" not in test}
    return [test for test in tests if test in files or test.partition("::")[0] not in files]


def _cores(jobs: int) -> list[int]:
    if not hasattr(os, "sched_getaffinity"):  # not on macOS
        return [-1] * jobs
    cores = sorted(os.sched_getaffinity(0))
    return [cores[index % len(cores)] for index in range(jobs)]


def _stay_on(cores: "SimpleQueue[int]") -> None:
    """Keep this thread on a core, and with it what it starts: the simulator takes the first."""
    core = cores.get()
    if core >= 0:
        os.sched_setaffinity(0, {core})


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
