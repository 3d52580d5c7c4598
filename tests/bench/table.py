"""The table as text: figures in, lines out."""

from collections.abc import Iterable, Mapping, Sequence

from tests.bench.figures import Rounds, middle
from tests.bench.rows import Row


def lines(
    rows: Sequence[Row], rounds: Rounds, before: Mapping[str, float] | None = None
) -> Iterable[str]:
    """Yield the table; with the values of an earlier run, from those to these."""
    yield "| row | what is compared | value | of | bound | aim | met |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        value = row.value(rounds)
        cells = [row.key, row.title(rounds), _change(row, value, (before or {}).get(row.key))]
        cells += [_parts(row, rounds), *row.limits(), row.verdict(value)]
        yield f"| {' | '.join(cells)} |"


def _change(row: Row, value: float, earlier: float | None) -> str:
    if earlier is None:
        return row.shown(value)
    return f"{row.shown(earlier)} → {row.shown(value)}"


def _parts(row: Row, rounds: Rounds) -> str:
    points = (row.over, row.under)
    return " / ".join(_number(middle(rounds, each)) for each in points if each is not None)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
