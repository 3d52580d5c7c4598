"""The command line: measure one curve, or draw its picture again.

    python -m tests.bench.curves restart|outage|load|rollout [--draw-only]

The picture takes ``pip install matplotlib``.
"""

import argparse

from tests.bench.curves import measure, paper
from tests.support.kafka import Broker

MEASUREMENTS = {
    "restart": measure.restart,
    "outage": measure.outage,
    "load": measure.load,
    "rollout": measure.rollout,
}


def main() -> None:
    """Print a row as soon as it is there; write the table and the picture at the end."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("curve", choices=MEASUREMENTS)
    parser.add_argument("--draw-only", action="store_true")
    options = parser.parse_args()
    columns = paper.PAPERS[options.curve].columns
    if not options.draw_only:
        print(*columns, sep=" | ", flush=True)
        rows = []
        with Broker() as broker:
            for row in MEASUREMENTS[options.curve](broker):
                print(*(f"{value:g}" for value in row), sep=" | ", flush=True)
                rows.append(row)
        paper.write(options.curve, columns, rows)
    paper.picture(options.curve)


if __name__ == "__main__":
    main()
