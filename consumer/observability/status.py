"""What the loop publishes: gauges, the status and the reasons for not being ready, as one value."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from consumer import __version__
from consumer.core.ledger import Ledger
from consumer.core.metrics import Key, Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumer.core.lanes import Lane
    from consumer.engine.loop import Loop

BUSIEST_SEGMENTS = 20


class Reporter:
    """Makes a `Snapshot` of a `Loop`. Looking for the busiest lanes is rationed: it visits all."""

    def __init__(self) -> None:
        self._segments: list[dict[str, object]] = []
        self._next_segments = 0.0
        self._rate_window: list[tuple[float, int]] = []

    def snapshot(self, loop: "Loop", now: float, wall: float) -> Snapshot:
        """Return everything as it is now; ``now`` on the loop's clock, ``wall`` in Unix time."""
        if now >= self._next_segments:
            lanes = loop.pipeline.busiest(BUSIEST_SEGMENTS)
            self._segments = [_segment(lane, now) for lane in lanes]
            count = sum(1 for _ in loop.pipeline.lanes())
            self._next_segments = now + (1.0 if count < 10_000 else 5.0)  # noqa: PLR2004 - some 10 ms of looking
        ends = loop.ports.observer.view.ends
        partitions = [
            _partition(ledger, ends, loop.assignment.is_paused(ledger))
            for ledger in loop.pipeline.ledgers.values()
        ]
        state = _state(loop)
        status: dict[str, object] = {
            "version": __version__,
            "state": state,
            "holds": [
                {
                    "reason": hold.reason.value,
                    "since": _rfc3339(wall - (now - hold.since)),
                    "detail": hold.detail,
                }
                for hold in loop.throttle.holds.values()
            ],
            "partitions": partitions,
            "segments": self._segments,
            "api": {
                "concurrency_limit": int(loop.throttle.limit),
                "in_flight": loop.throttle.in_flight,
                "requests_per_second": self._rate(loop, now),
                "last_error": loop.last_api_error or None,
            },
        }
        return loop.tally.snapshot(
            _gauges(loop, partitions, now), status, tuple(_not_ready(loop, state))
        )

    def _rate(self, loop: "Loop", now: float) -> float:
        """Return the requests answered per second over the last ten seconds."""
        counters = loop.tally.counters
        total = sum(count for key, count in counters.items() if key[0] == "requests_total")
        window = [(at, count) for at, count in self._rate_window if now - at <= 10.0]  # noqa: PLR2004 - the ten seconds of the docstring
        window.append((now, total))
        self._rate_window = window
        at, count = window[0]
        return round((total - count) / (now - at), 2) if now > at else 0.0


def _state(loop: "Loop") -> str:
    if loop.stopping or loop.stop_requested:
        return "stopping"
    if loop.throttle.holds:
        return "held"
    return "running" if loop.outlook.joined else "starting"


def _not_ready(loop: "Loop", state: str) -> list[str]:
    reasons = [f"{hold.reason}: {hold.detail}" for hold in loop.throttle.holds.values()]
    if state == "stopping":
        reasons.insert(0, "stopping")
    if not loop.outlook.has_looked:
        reasons.append("starting")
    blocking = ("group", "start", "topic", "session")
    reasons += [text for name, text in loop.outlook.problems.items() if name.startswith(blocking)]
    return reasons


def _gauges(loop: "Loop", partitions: list[dict[str, object]], now: float) -> dict[Key, float]:
    pipeline, throttle = loop.pipeline, loop.throttle
    oldest = pipeline.oldest_read_at()
    gauges: dict[Key, float] = {
        ("held_ids",): pipeline.held_ids,
        ("buffer_limit_ids",): pipeline.rules.buffer_max_ids,
        ("requests_in_flight",): throttle.in_flight,
        ("concurrency_limit",): int(throttle.limit),
        ("oldest_unsettled_seconds",): 0.0 if oldest is None else max(0.0, now - oldest),
        ("last_delivery_timestamp_seconds",): loop.last_delivery_wall,
        ("assigned_partitions",): len(pipeline.ledgers),
        ("paused",): float(loop.assignment.paused),
    }
    for reason in throttle.holds:
        gauges["hold", reason.value] = 1.0
    for each in partitions:
        name = (str(each["topic"]), str(each["partition"]))
        if isinstance(each["committed"], int):
            gauges["committed_offset", *name] = each["committed"]
        if isinstance(each["lag"], int):
            gauges["lag_records", *name] = each["lag"]
    return gauges


def _partition(
    ledger: Ledger, ends: "Mapping[tuple[str, int], int]", is_paused: bool
) -> dict[str, object]:
    end = ends.get((ledger.topic, ledger.partition))
    done = ledger.committed
    lag = None if end is None or done is None else max(0, max(end, ledger.position) - done)
    return {
        "topic": ledger.topic,
        "partition": ledger.partition,
        "position": ledger.position,
        "committed": done,
        "lag": lag,
        "paused": is_paused,
    }


def _segment(lane: "Lane", now: float) -> dict[str, object]:
    batches = lane.batches()
    in_flight = sum(len(batch.ids) for batch in batches if batch.in_flight)
    opened = [batch.opened_at for batch in batches if batch.ids]
    return {
        "segment_id": lane.segment_id,
        "id_type": lane.id_type,
        "pending": sum(len(batch.ids) for batch in batches) - in_flight,
        "in_flight": in_flight,
        "oldest_seconds": round(now - min(opened), 3) if opened else 0.0,
        "last_error": lane.last_error or None,
    }


def _rfc3339(unix: float) -> str:
    moment = datetime.fromtimestamp(unix, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
