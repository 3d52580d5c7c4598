"""``/metrics``: the board's snapshot in Prometheus' text format or in OpenMetrics.

Beside our own metrics stand the ones that every Python service shows: ``process_*`` (memory, CPU,
file descriptors), ``python_gc_*`` and ``python_info``.
"""

import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from consumer import clock
from consumer.core import metrics
from consumer.core.metrics import Key
from consumer.core.snapshot import Board
from consumer.core.tally import HistogramValue

_OPENMETRICS = "application/openmetrics-text"
_TEXTS = ("text/plain", "text/*")
_QUALITY = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?", re.ASCII)  # RFC 9110, 12.4.2


class Exposition:
    """The board as text, in the format that a scraper asked for."""

    def __init__(self, board: Board, version: str) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_BoardCollector(board, version))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def render(self, accept: str) -> tuple[str, bytes]:
        """Return the content type and the body for an ``Accept`` header.

        OpenMetrics is for those who name it and like it no less than plain text. There are two
        formats, without parameters: our names need no escaping, and a version that is no number is
        an exception in ``choose_encoder``, an unknown one comes back as asked for.
        """
        liked = _qualities(accept)
        text = max((liked[name] for name in _TEXTS if name in liked), default=0.0)
        wanted = liked.get(_OPENMETRICS, 0.0)
        encode, content_type = choose_encoder(_OPENMETRICS if wanted and wanted >= text else "")
        return content_type, encode(self._registry)


class _BoardCollector(Collector):
    """Reads the board's snapshot once a scrape: what is in one scrape is of one moment."""

    def __init__(self, board: Board, version: str) -> None:
        self._board = board
        self._version = version

    def collect(self) -> Iterator[Metric]:
        snapshot = self._board.snapshot
        samples = {
            **snapshot.samples,
            ("build_info", self._version): 1.0,
            ("loop_heartbeat_timestamp_seconds",): _wall_time(self._board.turned_at),
        }
        series: dict[str, list[tuple[Key, float]]] = defaultdict(list)
        for (name, *values), sample in samples.items():
            series[name].append((tuple(values), sample))
        for metric in metrics.METRICS:
            if metric.kind == "histogram":
                yield _histogram(metric, snapshot.histograms)
            else:
                yield _family(metric, series[metric.name])


def _qualities(accept: str) -> dict[str, float]:
    """Return how much each media range of an ``Accept`` header is liked, the best of each name.

    A quality that is none counts as 0: plain text is right for everybody.
    """
    liked: dict[str, float] = {}
    for part in accept.lower().split(","):
        name, *parameters = (each.strip() for each in part.split(";"))
        quality = 1.0
        for key, _, value in (each.partition("=") for each in parameters):
            if key.strip() == "q":
                found = _QUALITY.fullmatch(value.strip())
                quality = float(found[0]) if found else 0.0
        liked[name] = max(quality, liked.get(name, 0.0))
    return liked


def _wall_time(turned_at: float) -> float:
    """Return the Unix time, to the millisecond, of a moment of our clock."""
    return round(time.time() - (clock.now() - turned_at), 3)


def _family(metric: metrics.Metric, series: Iterable[tuple[Key, float]]) -> Metric:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metrics.PREFIX + metric.name, metric.help, labels=_label_names(metric))
    for values, sample in series:
        family.add_metric(values, sample)
    return family


def _histogram(metric: metrics.Metric, histograms: Mapping[Key, HistogramValue]) -> Metric:
    family = HistogramMetricFamily(
        metrics.PREFIX + metric.name, metric.help, labels=_label_names(metric)
    )
    bounds = [*(str(float(bound)) for bound in metric.buckets), "+Inf"]
    for key in metric.known_series():
        value = histograms[key]
        buckets = list(zip(bounds, accumulate(value.counts), strict=True))
        family.add_metric(key[1:], buckets, value.total)
    return family


def _label_names(metric: metrics.Metric) -> list[str]:
    return [label.name for label in metric.labels]
