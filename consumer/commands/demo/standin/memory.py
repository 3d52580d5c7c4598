"""What the stand-in accepted: who is in which segment, and how much came."""

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from consumer.commands.demo.standin.api import StandinRequest


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One well-formed request for a segment. ``status`` is None where no whole answer was sent."""

    arrived: float
    action: str
    segment_id: int
    id_type: str
    ids: int
    status: int | None


@dataclass(slots=True)
class SegmentCounters:
    """What one segment accepted, as in ``Counters``."""

    requests: int = 0
    ids: int = 0
    duplicates: int = 0


@dataclass(slots=True)
class Counters:
    """What happened so far.

    ``requests``, ``statuses`` (of whole answers) and ``peak_in_flight`` count everything that
    arrived, the others what was accepted. ``duplicates`` are ids whose last accepted action was the
    same already, ``repeated_ids`` those that one request named more than once.
    """

    requests: int = 0
    region_requests: int = 0
    peak_in_flight: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    accepted: int = 0
    ids: int = 0
    duplicates: int = 0
    repeated_ids: int = 0
    largest_request: int = 0
    segments: dict[int, SegmentCounters] = field(default_factory=dict)

    def copy(self) -> "Counters":
        """Return a copy that does not change."""
        segments = {segment_id: replace(counters) for segment_id, counters in self.segments.items()}
        return replace(self, statuses=self.statuses.copy(), segments=segments)


class Memory:
    """What was accepted. Every method may be called from any thread.

    Without ``remember_ids``, which costs most of a request's time, only numbers are kept.
    """

    def __init__(self, journal_limit: int, *, remember_ids: bool) -> None:
        self._remember_ids = remember_ids
        self._changed = threading.Condition()
        self._counters = Counters()
        self._added: defaultdict[tuple[int, str], set[str]] = defaultdict(set)
        self._removed: defaultdict[tuple[int, str], set[str]] = defaultdict(set)
        self._journal: deque[JournalEntry] = deque(maxlen=journal_limit)

    def counters(self) -> Counters:
        """Return the counters of this moment."""
        with self._changed:
            return self._counters.copy()

    def members(self, segment_id: int, id_type: str = "id") -> frozenset[str]:
        """Return the ids whose last accepted action is ``add``."""
        with self._changed:
            return frozenset(self._added[segment_id, id_type])

    def removed(self, segment_id: int, id_type: str = "id") -> frozenset[str]:
        """Return the ids whose last accepted action is ``remove``."""
        with self._changed:
            return frozenset(self._removed[segment_id, id_type])

    def journal(self) -> list[JournalEntry]:
        """Return the latest requests in the order of their answers."""
        with self._changed:
            return list(self._journal)

    def wait_for(self, condition: Callable[[Counters], bool], timeout_seconds: float) -> bool:
        """Wait until the counters fulfil ``condition``; False if they did not in time."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self._counters), timeout_seconds)

    def forget(self) -> None:
        """Start anew: nothing accepted, counted or journalled."""
        with self._changed:
            self._counters = Counters()
            self._added.clear()
            self._removed.clear()
            self._journal.clear()

    def arrive(self, in_flight: int, *, region: bool) -> None:
        """Count a request that arrived completely."""
        with self._changed:
            self._counters.requests += not region
            self._counters.region_requests += region
            self._counters.peak_in_flight = max(self._counters.peak_in_flight, in_flight)
            self._changed.notify_all()

    def apply(self, request: StandinRequest) -> None:
        """Let the request take effect: its action is the last word on its ids."""
        with self._changed:
            different, new = self._remember(request)
            counters = self._counters
            counters.accepted += 1
            counters.repeated_ids += len(request.ids) - different
            counters.largest_request = max(counters.largest_request, len(request.ids))
            segment = counters.segments.setdefault(request.segment_id, SegmentCounters())
            segment.requests += 1
            for each in (counters, segment):
                each.ids += different
                each.duplicates += different - new
            self._changed.notify_all()

    def _remember(self, request: StandinRequest) -> tuple[int, int]:
        """Return how many different ids there are, and for how many the action is news."""
        lane, ids = (request.segment_id, request.id_type), request.ids
        if not self._remember_ids:
            return len(ids), len(ids)
        same, opposite = self._added[lane], self._removed[lane]
        if request.action == "remove":
            same, opposite = opposite, same
        known = len(same)
        same.update(ids)
        new = len(same) - known
        if opposite:
            opposite.difference_update(ids)
        return new if new == len(ids) else len(set(ids)), new

    def answer(self, request: StandinRequest | None, status: int | None) -> None:
        """Count an answer; journal it if its request was well-formed and for a segment."""
        with self._changed:
            if status is not None:
                self._counters.statuses[status] += 1
            if request is not None and request.action != "region":
                entry = JournalEntry(
                    request.arrived,
                    request.action,
                    request.segment_id,
                    request.id_type,
                    len(request.ids),
                    status,
                )
                self._journal.append(entry)
            self._changed.notify_all()
