"""The snapshot: what is published of a moment.

A value that nobody changes any more, swapped on the ``Board`` as one reference: so one scrape is
one moment, and nothing is locked.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from consumer.core.metrics import Key, declared, known_series
from consumer.core.tally import Counts, HistogramValue, Tally

_NO_FIGURES: Mapping[Key, float] = {}
_ZERO_GAUGES: Mapping[Key, float] = dict.fromkeys(known_series("gauge"), 0.0)


K = TypeVar("K")
V = TypeVar("V")


class Late(Mapping[K, V]):
    """A mapping that is made when somebody looks into it: of most that are published, nobody does.

    ``make`` is given frozen values, so it may run in any thread, and whenever it does, the mapping
    is of the moment that was published. It is looked at by whoever asks over HTTP: what is there of
    thousands of partitions costs a scrape that time, and not the owner thread.
    """

    def __init__(self, make: Callable[[], Mapping[K, V]]) -> None:
        self._make = make
        self._made: Mapping[K, V] | None = None

    def __getitem__(self, key: K) -> V:
        return self._look()[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._look())

    def __len__(self) -> int:
        return len(self._look())

    def _look(self) -> Mapping[K, V]:
        if self._made is None:  # two who look first at the same time make the same twice
            self._made = self._make()
        return self._made


@dataclass(frozen=True, slots=True)
class Identity:
    """Which process this is: ``started`` in RFC 3339, the API's URL without credentials."""

    host: str = ""
    group: str = ""
    started: str = ""
    api_url: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the owner thread publishes; ``not_ready`` has the reasons, empty means ready.

    ``history`` is the last hour, the oldest step first.
    """

    samples: Mapping[Key, float]
    histograms: Mapping[Key, HistogramValue]
    status: Mapping[str, object]
    not_ready: tuple[str, ...]
    history: tuple[Mapping[str, object], ...] = ()

    def total(self, *start: str) -> int:
        """Return the sum of the counters or gauges whose keys begin so."""
        size = len(start)
        return int(sum(value for key, value in self.samples.items() if key[:size] == start))

    def ids(self, outcome: str) -> int:
        """Return how many ids ended so."""
        return sum(self.total("ids_total", action, outcome) for action in ("add", "remove"))


@dataclass(slots=True)
class Board:
    """The one thing shared with the HTTP threads: the owner assigns, they read.

    ``turned_at`` is ``clock.now()`` of the loop's last turn.
    """

    snapshot: Snapshot
    turned_at: float
    identity: Identity = Identity()

    def beat(self, now: float) -> None:
        """Note that the loop turned."""
        self.turned_at = now


def snapshot_of(
    counts: Counts,
    gauges: Mapping[Key, float],
    status: Mapping[str, object],
    not_ready: tuple[str, ...],
    history: tuple[Mapping[str, object], ...] = (),
) -> Snapshot:
    """Return the counts with these gauges; known gauges left out are 0."""
    samples = samples_of(counts, gauges)
    return Snapshot(samples, counts.histograms, status, not_ready, history)


def samples_of(
    counts: Counts, gauges: Mapping[Key, float], figures: Mapping[Key, float] = _NO_FIGURES
) -> Mapping[Key, float]:
    """Return all counters and gauges; known gauges left out are 0.

    ``figures`` are those that others than the owner count.
    """
    for key in gauges:
        declared(key, "gauge")
    return {**counts.counters, **_ZERO_GAUGES, **gauges, **figures}


def initial_snapshot(version: str, identity: Identity = Identity()) -> Snapshot:
    """Return what is published before the loop's first turn: starting, everything at 0."""
    status = {
        "version": version,
        "host": identity.host,
        "group": identity.group,
        "started": identity.started,
        "state": "starting",
        "holds": [],
        "partitions": [],
        "segments": [],
        "api": {
            "url": identity.api_url,
            "concurrency_limit": 0,
            "in_flight": 0,
            "requests_per_second": 0.0,
            "last_error": None,
            "last_error_at": None,
            "last_success_at": None,
        },
    }
    return snapshot_of(Tally().freeze(), {}, status, ("starting",))
