"""Tables and pictures of the curves, in files beside this one."""

import csv
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = tuple[float, ...]
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Paper:
    """How a curve is shown: the columns of its table, and what draws it."""

    columns: tuple[str, ...]
    draw: "Callable[[Any, list[Row]], None]"  # matplotlib's axes have no types


def write(name: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Write the table."""
    with (FOLDER / f"{name}.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([f"{value:.3f}".rstrip("0").rstrip(".") for value in row] for row in rows)


def read(name: str) -> list[Row]:
    """Return the rows of a table that was written."""
    with (FOLDER / f"{name}.csv").open(newline="") as file:
        _, *rows = csv.reader(file)
    return [tuple(map(float, row)) for row in rows]


def picture(name: str) -> None:
    """Draw a table that was written."""
    import matplotlib as mpl  # noqa: PLC0415 - the figures need no picture

    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    mpl.rcParams["svg.hashsalt"] = name  # the same table, the same file
    figure, axes = plt.subplots(figsize=(7, 4))
    PAPERS[name].draw(axes, read(name))
    figure.tight_layout()
    figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def _restart(axes: Any, rows: list[Row]) -> None:  # noqa: ANN401 - matplotlib's axes have no types
    for api_seconds in sorted({row[1] for row in rows}):
        line = [(row[0], row[2]) for row in rows if row[1] == api_seconds]
        axes.plot(*zip(*line, strict=True), marker="o", label=f"API takes {api_seconds:g} s")
    axes.set(
        title="Changes delivered twice by one restart, 500 changes/s, request timeout 4 s",
        xlabel="drain timeout, seconds",
        ylabel="changes delivered twice",
        ylim=(-10, None),
    )
    axes.legend()


def _outage(axes: Any, rows: list[Row]) -> None:  # noqa: ANN401 - the same
    lengths, first, gone = zip(*rows, strict=True)
    axes.plot(lengths, first, marker="o", label="until the first success")
    axes.plot(lengths, gone, marker="o", label="until the backlog is gone")
    axes.set(
        title="Recovery after an outage of the API, 200 changes/s, backoff up to 10 s",
        xlabel="length of the outage, seconds",
        ylabel="seconds after its end",
        ylim=(0, None),
    )
    axes.legend()


def _load(axes: Any, rows: list[Row]) -> None:  # noqa: ANN401 - the same
    loads, median, late = zip(*rows, strict=True)
    axes.plot(loads, median, marker="o", label="p50")
    axes.plot(loads, late, marker="o", label="p99")
    axes.set(
        title="From production to the API, 20 segments, linger 1 s, API 50 ms",
        xlabel="changes/s, one replica",
        ylabel="seconds",
        xscale="log",
        ylim=(0, None),
    )
    axes.legend()


def _rollout(axes: Any, rows: list[Row]) -> None:  # noqa: ANN401 - the same
    seconds = [row[0] for row in rows]
    axes.plot(seconds, [row[1] for row in rows], color="tab:grey", label="changes/s")
    axes.set(
        title="Three replicas replaced one by one, 1,000 changes/s",
        xlabel="seconds",
        ylabel="changes/s at the API",
        ylim=(0, 1.3 * max(row[1] for row in rows)),
    )
    latency = axes.twinx()
    latency.plot(seconds, [row[2] for row in rows], color="tab:blue", label="p50")
    latency.plot(seconds, [row[3] for row in rows], color="tab:orange", label="p99")
    latency.set(ylabel="latency, seconds", ylim=(0, 1.3 * max(row[3] for row in rows)))
    for earlier, later in itertools.pairwise(rows):
        if later[4] > earlier[4]:
            axes.axvline(later[0], color="tab:red", linestyle=":")
    handles = [*axes.get_lines()[:1], *latency.get_lines()]
    axes.legend(handles=handles, loc="upper center", ncol=3)


PAPERS = {
    "restart": Paper(("drain_timeout_seconds", "api_seconds", "delivered_twice"), _restart),
    "outage": Paper(("outage_seconds", "first_success_seconds", "backlog_gone_seconds"), _outage),
    "load": Paper(("changes_per_second", "p50_seconds", "p99_seconds"), _load),
    "rollout": Paper(
        ("second", "changes", "p50_seconds", "p99_seconds", "replicas_replaced"), _rollout
    ),
}
