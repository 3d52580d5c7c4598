"""What the owner thread published, as metrics, the status and the reasons for not being ready."""

from collections.abc import Mapping
from dataclasses import asdict

from consumer import __version__, clock
from consumer.core.metrics import Key
from consumer.core.snapshot import Snapshot, snapshot_of
from consumer.engine.ports import LaneState, PartitionState, Published

_RATE_WINDOW_SECONDS = 10.0
_BLOCKING = ("group", "start", "topic", "session")


class Reporter:
    """Makes a `Snapshot` of what is published; remembers what it takes to tell a rate."""

    def __init__(self) -> None:
        self._rate_window: list[tuple[float, int]] = []

    def snapshot(self, seen: Published, wall: float) -> Snapshot:
        """Return everything as it is now; ``wall`` is the Unix time of ``seen.at``."""
        state = _state(seen)
        status: dict[str, object] = {
            "version": __version__,
            "state": state,
            "holds": [
                {
                    "reason": hold.reason.value,
                    "since": clock.rfc3339(wall - (seen.at - hold.since)),
                    "detail": hold.detail,
                }
                for hold in seen.holds
            ],
            "partitions": [_partition(each) for each in seen.partitions],
            "segments": [_segment(each) for each in seen.lanes],
            "api": {
                "concurrency_limit": seen.concurrency_limit,
                "in_flight": seen.in_flight,
                "requests_per_second": self._rate(seen.counts.counters, seen.at),
                "last_error": seen.last_api_error or None,
            },
        }
        return snapshot_of(seen.counts, _gauges(seen), status, tuple(_not_ready(seen, state)))

    def _rate(self, counters: Mapping[Key, int], now: float) -> float:
        """Return the requests answered per second over the last ten seconds."""
        total = sum(count for key, count in counters.items() if key[0] == "requests_total")
        window = [each for each in self._rate_window if now - each[0] <= _RATE_WINDOW_SECONDS]
        window.append((now, total))
        self._rate_window = window
        at, count = window[0]
        return round((total - count) / (now - at), 2) if now > at else 0.0


def _state(seen: Published) -> str:
    if seen.is_stopping:
        return "stopping"
    if seen.holds:
        return "held"
    return "running" if seen.has_joined else "starting"


def _not_ready(seen: Published, state: str) -> list[str]:
    reasons = [f"{hold.reason}: {hold.detail}" for hold in seen.holds]
    if state == "stopping":
        reasons.insert(0, "stopping")
    if not seen.has_looked:
        reasons.append("starting")
    reasons += [text for name, text in seen.problems.items() if name.startswith(_BLOCKING)]
    return reasons


def _gauges(seen: Published) -> dict[Key, float]:
    oldest = seen.oldest_read_at
    gauges: dict[Key, float] = {
        ("held_ids",): seen.held_ids,
        ("buffer_limit_ids",): seen.buffer_limit_ids,
        ("requests_in_flight",): seen.in_flight,
        ("concurrency_limit",): seen.concurrency_limit,
        ("oldest_unsettled_seconds",): 0.0 if oldest is None else max(0.0, seen.at - oldest),
        ("last_delivery_timestamp_seconds",): seen.last_delivery_wall,
        ("assigned_partitions",): len(seen.partitions),
        ("paused",): float(seen.is_paused),
    }
    for hold in seen.holds:
        gauges["hold", hold.reason.value] = 1.0
    for each in seen.partitions:
        name = (each.topic, str(each.partition))
        if each.committed is not None:
            gauges["committed_offset", *name] = each.committed
        if (lag := _lag(each)) is not None:
            gauges["lag_records", *name] = lag
    return gauges


def _lag(each: PartitionState) -> int | None:
    if each.end is None or each.committed is None:
        return None
    return max(0, max(each.end, each.position) - each.committed)


def _partition(each: PartitionState) -> dict[str, object]:
    return {
        "topic": each.topic,
        "partition": each.partition,
        "position": each.position,
        "committed": each.committed,
        "lag": _lag(each),
        "paused": each.paused,
    }


def _segment(lane: LaneState) -> dict[str, object]:
    return asdict(lane) | {"last_error": lane.last_error or None}
