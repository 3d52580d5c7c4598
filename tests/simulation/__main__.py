"""The command line: many seeds with progress, or one with its trace.

python -m tests.simulation --seeds 2000 [--start 0] [--minutes 5] [--jobs 2]
python -m tests.simulation --seed 123 [--trace]
"""

import argparse
import sys
import time

from tests.simulation.pool import Sum, available_cores, run_seeds
from tests.simulation.run import run_seed

PROGRESS_SECONDS = 10.0
MAX_SHOWN = 10


def main() -> int:
    """Return 0 if nothing was wrong, else 1."""
    options = _options()
    if options.seed is not None:
        return _run_one(options.seed, with_trace=options.trace)
    return _run_many(options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, help="how many; without it, until the time is over")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--minutes", type=float, help="begin no more after that")
    parser.add_argument("--jobs", type=int, default=available_cores(), help="processes")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--trace", action="store_true", help="with --seed: say all that happened")
    options = parser.parse_args()
    if options.seed is None and options.seeds is None and options.minutes is None:
        options.seeds = 2000
    return options


def _run_one(seed: int, *, with_trace: bool) -> int:
    outcome = run_seed(seed, with_trace=with_trace)
    for line in outcome.trace:
        _say(line)
    _say(str(outcome))
    return 1 if outcome.violation else 0


def _run_many(options: argparse.Namespace) -> int:
    total = Sum()
    said_at = total.began_at
    end = None if options.minutes is None else total.began_at + 60.0 * options.minutes
    for outcome in run_seeds(options.start, options.seeds, options.jobs):
        total.add(outcome)
        if outcome.violation and len(total.failed) <= MAX_SHOWN:
            _say(str(outcome))
        now = time.monotonic()
        if now >= said_at + PROGRESS_SECONDS:
            said_at = now
            _say(str(total))
        if end is not None and now >= end:
            break
    _say(str(total))
    for kind, worlds in sorted(total.seen.items()):
        _say(f"{kind}: in {worlds} worlds")
    return 1 if total.failed else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
