"""What the owner thread published, as metrics, the status and the reasons for not being ready."""

from collections.abc import Callable, Mapping
from dataclasses import asdict

from consumer import __version__, clock
from consumer.core.metrics import Key
from consumer.core.snapshot import Identity, Late, Snapshot, samples_of
from consumer.engine.ports import LaneState, PartitionState, Published
from consumer.observability.history import History

_RATE_WINDOW_SECONDS = 10.0
_BLOCKING = ("group", "start", "topic", "session", "login")


class Reporter:
    """Makes a `Snapshot` of what is published; remembers what it takes to tell rates.

    ``figures`` are those of the clients of Kafka.
    """

    def __init__(
        self,
        identity: Identity = Identity(),  # noqa: B008 - frozen
        figures: Callable[[], Mapping[Key, float]] = dict,
    ) -> None:
        self._identity = identity
        self._figures = figures
        self._history = History()
        self._rate_window: list[tuple[float, int]] = []

    def snapshot(self, seen: Published, wall: float) -> Snapshot:
        """Return everything as it is now; ``wall`` is the Unix time of ``seen.at``."""
        self._history.turn(seen.counts, lambda: _levels(seen), seen.at, wall)
        state, figures, rate = _state(seen), self._figures(), self._rate(seen)
        return Snapshot(
            Late(lambda: samples_of(seen.counts, _gauges(seen), figures)),
            seen.counts.histograms,
            Late(lambda: _status(seen, self._identity, state, rate, wall)),
            tuple(_not_ready(seen, state)),
            self._history.steps,
        )

    def _rate(self, seen: Published) -> float:
        """Return the requests answered per second over the last ten seconds."""
        counters, now = seen.counts.counters, seen.at
        total = sum(count for key, count in counters.items() if key[0] == "requests_total")
        window = [each for each in self._rate_window if now - each[0] <= _RATE_WINDOW_SECONDS]
        window.append((now, total))
        self._rate_window = window
        at, count = window[0]
        return round((total - count) / (now - at), 2) if now > at else 0.0


def _status(
    seen: Published, identity: Identity, state: str, rate: float, wall: float
) -> dict[str, object]:
    """Return what ``/status`` says; ``rate`` is of requests per second."""

    def time(at: float) -> str:
        return clock.rfc3339(wall - (seen.at - at))

    return {
        "version": __version__,
        "host": identity.host,
        "group": identity.group,
        "started": identity.started,
        "state": state,
        "holds": [
            {
                "reason": hold.reason.value,
                "since": time(hold.since),
                "detail": hold.detail,
                "next_probe": None if hold.next_probe is None else time(hold.next_probe),
            }
            for hold in seen.holds
        ],
        "partitions": [_partition(each) for each in seen.partitions],
        "segments": [_segment(each, time) for each in seen.lanes],
        "api": {
            "url": identity.api_url,
            "concurrency_limit": seen.concurrency_limit,
            "in_flight": seen.in_flight,
            "requests_per_second": rate,
            **_error(seen.last_api_error, time(seen.last_api_error_at)),
            "last_success_at": clock.rfc3339(seen.last_delivery_wall)
            if seen.last_delivery_wall
            else None,
        },
    }


def _levels(seen: Published) -> dict[str, float | None]:
    """Return what the history shows as it is at the end of a step."""
    lags = [lag for each in seen.partitions if (lag := _lag(each)) is not None]
    unread = [left for each in seen.partitions if (left := _unread(each)) is not None]
    return {
        "lag": sum(lags) if lags else None,
        "unread": sum(unread) if unread else None,
        "held_ids": seen.held_ids,
        "concurrency_limit": seen.concurrency_limit,
    }


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
        if each.is_stalled:
            gauges["partition_stalled", *name] = 1.0
    return gauges


def _lag(each: PartitionState) -> int | None:
    if each.end is None or each.committed is None:
        return None
    return max(0, max(each.end, each.position) - each.committed)


def _unread(each: PartitionState) -> int | None:
    return None if each.end is None else max(0, each.end - each.position)


def _partition(each: PartitionState) -> dict[str, object]:
    blocker = each.blocked_by
    return {
        "topic": each.topic,
        "partition": each.partition,
        "position": each.position,
        "committed": each.committed,
        "lag": _lag(each),
        "unread": _unread(each),
        "paused": each.paused,
        "blocked_by": None
        if blocker is None
        else {  # `asdict` takes ten times as long, and there may be thousands
            "segment_id": blocker.segment_id,
            "id_type": blocker.id_type,
            "age_seconds": blocker.age_seconds,
            "attempts": blocker.attempts,
            "last_error": blocker.last_error or None,
        },
    }


def _segment(lane: LaneState, time: Callable[[float], str]) -> dict[str, object]:
    return asdict(lane) | _error(lane.last_error, time(lane.last_error_at))


def _error(text: str, at: str) -> dict[str, object]:
    return {"last_error": text or None, "last_error_at": at if text else None}
