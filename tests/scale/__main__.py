"""Prints the tables of the reference's section: ``python -m tests.scale``."""

import sys
from collections.abc import Iterable

from tests.scale import filling, paper, rebalances


def main() -> None:
    """Print what can be worked out at once first."""
    _say(paper.limits())
    _say(paper.member())
    _say(paper.requests())
    _say(filling.row(filling.fill(batches)) for batches in filling.OPEN_BATCHES)
    for protocol in ("classic", "consumer"):
        phases = rebalances.phases_of(rebalances.live(protocol))
        _say(rebalances.row(protocol, name, phase) for name, phase in phases)


def _say(rows: Iterable[Iterable[str]]) -> None:
    for row in rows:
        sys.stdout.write(f"| {' | '.join(row)} |\n")
    sys.stdout.write("\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
