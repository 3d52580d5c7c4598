"""A night as promtool reads it: what Prometheus scraped, and which alerts fired when.

Half a second of the night is half a minute of the recording, so that the chart's own durations
apply to it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.deploy.prometheus import SCRAPE_SECONDS, Prometheus

INTERVAL_SECONDS = 30

_METRICS = (
    "up",
    "segment_consumer_hold",
    "segment_consumer_oldest_unsettled_seconds",
    "segment_consumer_lag_records",
    "segment_consumer_dead_letters_total",
    "segment_consumer_commits_total",
    "segment_consumer_offset_resets_total",
    "segment_consumer_starts_at_end_total",
    "segment_consumer_retries_total",
    "segment_consumer_requests_total",
)
_CERTAIN_STEPS = 3
"""Alerts that fired, or were silent, for fewer evaluations are not looked at."""


def write(path: Path, prometheus: Prometheus, start: float, end: float) -> None:
    """Write what was scraped and what fired between two moments as a case of promtool."""
    steps = int((end - start) / SCRAPE_SECONDS)
    series = [
        {"series": name, "values": _notation(values)}
        for metric in _METRICS
        for name, values in _series(prometheus, metric, start, steps)
    ]
    fired = dict(_series(prometheus, 'ALERTS{alertstate="firing"}', start, steps))
    path.write_text(
        json.dumps({"series": series, "checks": list(_checks(fired, steps))}, indent=1) + "\n"
    )


def _series(
    prometheus: Prometheus, query: str, start: float, steps: int
) -> Iterator[tuple[str, list[float | None]]]:
    for each in prometheus.range(query, start, start + steps * SCRAPE_SECONDS):
        values: list[float | None] = [None] * (steps + 1)
        for at, value in each["values"]:
            values[round((at - start) / SCRAPE_SECONDS)] = float(value)
        yield _named(each["metric"]), values


def _named(labels: Mapping[str, str]) -> str:
    # A port is another one each night.
    shown = {**labels, "instance": labels["pod"]} if "pod" in labels else dict(labels)
    name = shown.pop("__name__")
    inside = ", ".join(f'{key}="{value}"' for key, value in sorted(shown.items()))
    return f"{name}{{{inside}}}"


def _notation(values: Sequence[float | None]) -> str:
    """Return the samples as promtool has them: runs, ``_`` for none, ``stale`` for an end."""
    words: list[str] = []
    before: float | None = None
    for value, run in groupby(values):
        times = len(list(run))
        if value is None:
            if before is not None:
                words.append("stale")
                times -= 1
            words += [f"_x{times}"] * bool(times)
        else:
            words.append(f"{value:.10g}x{times - 1}" if times > 1 else f"{value:.10g}")
        before = value
    return " ".join(words)


def _checks(fired: Mapping[str, Sequence[float | None]], steps: int) -> Iterator[dict[str, Any]]:
    """Yield, for each alert, moments in the middle of where it fired and where it did not."""
    by_name: dict[str, dict[str, Sequence[float | None]]] = {}
    for series, values in fired.items():
        by_name.setdefault(_labels(series)["alertname"], {})[series] = values
    for name, all_series in sorted(by_name.items()):
        states = [
            frozenset(s for s, values in all_series.items() if values[step] is not None)
            for step in range(steps + 1)
        ]
        step = 0
        for state, run in groupby(states):
            length = len(list(run))
            if length >= _CERTAIN_STEPS:
                seconds = (step + length // 2) * INTERVAL_SECONDS
                firing = [_without_name(_labels(each)) for each in sorted(state)]
                yield {"seconds": seconds, "alert": name, "firing": firing}
            step += length


def _labels(series: str) -> dict[str, str]:
    pairs = (pair.split("=", 1) for pair in series.partition("{")[2].rstrip("}").split(", "))
    return {key: json.loads(value) for key, value in pairs}


def _without_name(labels: Mapping[str, str]) -> dict[str, str]:
    return {key: text for key, text in labels.items() if key not in {"alertname", "alertstate"}}
