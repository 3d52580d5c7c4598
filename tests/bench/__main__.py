"""What the daemon costs, as ratios to what anything in Python costs at least, measured in one run.

    python -m tests.bench [--only ROW,...] [--save FILE] [--compare FILE] [--events 2000000]

Prints one table. Two systems that are compared run one after the other, three times, on the same
topics, and the median of the ratios counts: a machine that is busy disturbs both. Takes less than
ten minutes on two cores that are quiet; ``--events`` makes it shorter, and the start, which is in
every process's CPU, weigh more.
"""

import argparse
import io
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path

from tests.bench.figures import Figures, Rounds
from tests.bench.rows import ROWS, Row
from tests.bench.sink import Sink
from tests.bench.stage import MANY, MANY_PARTITIONS, MOST_HELD_EVENTS, PARTITIONS, Stage
from tests.bench.table import lines
from tests.support.kafka import Broker

ROUNDS = 3
BUSY = 1.0  # on any machine: something else runs all the time
SESSION_SECONDS, HEARTBEAT_SECONDS = 45.0, 5.0  # Kafka's own defaults
API_SECONDS, SLOWER_API_SECONDS = 0.02, 0.06  # the latter limits any machine
INDEX = {"log.index.size.max.bytes": "65536"}
"""A partition's indexes have their full size in memory from its first records on. With the default
of 10 MiB the first append to each of 1,000 partitions took tens of milliseconds."""

Measure = Callable[[Stage], Figures]
GROUPS: tuple[dict[str, Measure], ...] = (
    {
        "w1 raw": lambda stage: stage.loop("raw", "w1"),
        "w1 floor": lambda stage: stage.loop("floor", "w1"),
        "w1": lambda stage: stage.backlog("w1"),
        "w1 KIP-848": lambda stage: stage.backlog("w1", protocol="consumer"),
    },
    {
        "w2 raw": lambda stage: stage.loop("raw", "w2"),
        "w2 floor": lambda stage: stage.loop("floor", "w2"),
        "w2": lambda stage: stage.backlog("w2"),
        "w2 1,000 partitions": lambda stage: stage.backlog("w2", partitions=MANY_PARTITIONS),
        "w2 20 ms": lambda stage: stage.backlog("w2", api_seconds=API_SECONDS),
        "w2 60 ms": lambda stage: stage.backlog("w2", api_seconds=SLOWER_API_SECONDS),
    },
    {
        "w1 intake": lambda stage: stage.intake("w1"),
        "lists": lambda stage: stage.intake("lists"),
        "emails": lambda stage: stage.intake("emails"),
        "texts": lambda stage: stage.intake("texts"),
        "integers": lambda stage: stage.intake("integers"),
        "w1 held": lambda stage: stage.intake("w1", sends=False),
        MANY: lambda stage: stage.intake(MANY, sends=False),
    },
    {
        "live 1,000 partitions": lambda stage: stage.live(MANY_PARTITIONS),
        "live": lambda stage: stage.live(PARTITIONS),
    },
    {"memory": lambda stage: stage.memory()},
)
"""What runs in turns, by the systems' names."""

ONCE = {"memory"}


class Progress:
    """Says on standard error what goes on, and how long it has been."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def __call__(self, text: str) -> None:
        """Say it."""
        sys.stderr.write(f"{time.monotonic() - self._begun:4.0f} s  {text}\n")
        sys.stderr.flush()


def measure(stage: Stage, wanted: set[str], say: Callable[[str], None]) -> Rounds:
    """Measure the systems that are wanted, those of a group in turns."""
    rounds: Rounds = {}
    for group in GROUPS:
        for number in range(ROUNDS):
            for system, one in group.items():
                if system not in wanted or (number and system in ONCE):
                    continue
                figures = one(stage)
                rounds.setdefault(system, []).append(figures)
                told = ", ".join(f"{name} {value:,.4g}" for name, value in figures.items())
                say(f"{system}, round {number + 1}: {told}")
    return rounds


def chosen(only: str | None) -> Sequence[Row]:
    """Return the rows that are asked for."""
    if only is None:
        return ROWS
    keys = only.split(",")
    if unknown := set(keys) - {row.key for row in ROWS}:
        raise SystemExit(f"no such row: {', '.join(sorted(unknown))}")
    return [row for row in ROWS if row.key in keys]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--only", metavar="ROW,...", help=", ".join(row.key for row in ROWS))
    parser.add_argument("--save", type=Path, metavar="FILE")
    parser.add_argument("--compare", type=Path, metavar="FILE")
    parser.add_argument("--events", type=int, default=2_000_000)
    options = parser.parse_args()
    if options.events < MOST_HELD_EVENTS:
        parser.error(f"at least {MOST_HELD_EVENTS:,} events, else the buffer is never full")
    rows = chosen(options.only)
    before = json.loads(options.compare.read_text()) if options.compare else {"rows": {}}
    say, said = Progress(), io.StringIO()
    load = os.getloadavg()[0]
    if load > BUSY:
        say(f"the load of this machine is {load:.1f}: ratios of events/s will be worth little")
    try:
        with (
            redirect_stdout(said),  # daemons say all they said
            Broker(
                session_seconds=SESSION_SECONDS,
                heartbeat_seconds=HEARTBEAT_SECONDS,
                properties=INDEX,
            ) as broker,
            Sink() as sink,
        ):
            wanted = set().union(*(row.systems for row in rows))
            rounds = measure(Stage(broker, sink, options.events, say), wanted, say)
    except BaseException:
        sys.stderr.write(said.getvalue())
        raise
    for line in lines(rows, rounds, before["rows"]):
        print(line)
    if options.save:
        values = {row.key: row.value(rounds) for row in rows}
        saved = {"events": options.events, "load": load, "rows": values, "rounds": rounds}
        options.save.write_text(json.dumps(saved, indent=1) + "\n")


if __name__ == "__main__":
    main()
