"""The command line: rounds of chaos until the time is over.

    python -m tests.chaos [--minutes 5] [--seed N] [--protocol classic|consumer|both]
                          [--static | --no-static] [--logs DIRECTORY]

A round has its own seed, the first the one that is given. What it prints of a round repeats it:
the same faults in the same order, though no two runs of real processes are alike. What the
processes said is kept if something was wrong, or if ``--logs`` says where.
"""

import argparse
import contextlib
import itertools
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.plan import Setup
from tests.chaos.run import PLACES_AT_MOST, run
from tests.support.kafka import Broker

ROUND_SECONDS = 120.0

_TERMINAL = sys.stdout  # also while others print to nowhere
PROTOCOLS = {"both": ("classic", "consumer"), "classic": ("classic",), "consumer": ("consumer",)}


def main() -> int:
    """Return 0 if nothing was wrong, else 1."""
    options = _options()
    seed = random.randrange(10**6) if options.seed is None else options.seed
    _say(f"seed {seed}")
    begun, rounds, wrong = time.monotonic(), 0, []
    with Broker(proxied_listeners=PLACES_AT_MOST) as broker:
        for setup in _setups(seed, options):
            left = 60 * options.minutes - (time.monotonic() - begun)
            if rounds and left < ROUND_SECONDS / 4:
                break
            _say(f"\nround {rounds + 1}: {setup}")
            logs = Path(options.logs or tempfile.mkdtemp(prefix="chaos-"), f"{setup.seed}")
            with _quietly():
                verdict = run(broker, setup, min(left, ROUND_SECONDS), _say, logs)
            rounds += 1
            _say(str(verdict))
            if verdict.is_right and options.logs is None:
                shutil.rmtree(logs.parent)
            else:
                _say(f"  what the processes said is in {logs}")
            if not verdict.is_right:
                wrong.append(setup)
    _say(f"\n{rounds} rounds from seed {seed}, {len(wrong)} wrong")
    for setup in wrong:
        _say(f"  {setup}")
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--protocol", choices=tuple(PROTOCOLS), default="both")
    parser.add_argument(
        "--static", action=argparse.BooleanOptionalAction, help="members of KIP-848; else sometimes"
    )
    parser.add_argument("--logs", type=Path, help="where logs are kept")
    return parser.parse_args()


def _setups(seed: int, options: argparse.Namespace) -> Iterator[Setup]:
    """Yield the rounds: the protocols in turn, and every other time of KIP-848 static members."""
    protocols = PROTOCOLS[options.protocol]
    for number in itertools.count():
        protocol = protocols[number % len(protocols)]
        is_other_time = number // len(protocols) % 2 == 1
        is_static = is_other_time if options.static is None else options.static
        yield Setup(seed + number, protocol, is_static and protocol == "consumer")


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep back what is printed for pytest."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def _say(line: str) -> None:
    _TERMINAL.write(f"{line}\n")
    _TERMINAL.flush()


if __name__ == "__main__":
    sys.exit(main())
