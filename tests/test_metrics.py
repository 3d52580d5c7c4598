"""What is counted, how it is published, and that ``/metrics`` shows it as the contract has it."""

import math
import time

import pytest
from prometheus_client import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from consumer import clock
from consumer.core import metrics
from consumer.core.metrics import METRICS, PREFIX
from consumer.core.snapshot import Board, Identity, initial_snapshot, snapshot_of
from consumer.core.tally import Histogram, Tally
from consumer.observability.exposition import Exposition

CLIENTS = ("client=consumer", "client=producer", "client=admin")
ACTIONS = ("action=add", "action=remove")
OPEN = "known only later"

# The public names once more, by hand: dashboards and alerts elsewhere are written against them.
CONTRACT: dict[str, tuple[str, tuple[tuple[str, ...], ...]]] = {
    "records_total": (
        "counter",
        (("outcome=accepted", "outcome=malformed", "outcome=tombstone", "outcome=ignored"),),
    ),
    "ids_received_total": ("counter", (ACTIONS,)),
    "ids_total": (
        "counter",
        (
            ACTIONS,
            (
                "outcome=delivered",
                "outcome=superseded",
                "outcome=duplicate",
                "outcome=rejected",
                "outcome=skipped",
                "outcome=released",
            ),
        ),
    ),
    "held_ids": ("gauge", ()),
    "buffer_limit_ids": ("gauge", ()),
    "batches_total": (
        "counter",
        (
            ACTIONS,
            (
                "reason=size",
                "reason=linger",
                "reason=revoke",
                "reason=shutdown",
                "reason=pressure",
                "reason=split",
            ),
        ),
    ),
    "batch_ids": ("histogram", (ACTIONS,)),
    "requests_total": ("counter", (ACTIONS, ("status=200", "status=timeout", "status=connection"))),
    "request_duration_seconds": ("histogram", (ACTIONS,)),
    "requests_in_flight": ("gauge", ()),
    "concurrency_limit": ("gauge", ()),
    "retries_total": (
        "counter",
        (("reason=throttled", "reason=server", "reason=timeout", "reason=connection"),),
    ),
    "delivery_latency_seconds": ("histogram", ()),
    "oldest_unsettled_seconds": ("gauge", ()),
    "last_delivery_timestamp_seconds": ("gauge", ()),
    "lag_records": ("gauge", ((OPEN,),)),
    "committed_offset": ("gauge", ((OPEN,),)),
    "partition_stalled": ("gauge", ((OPEN,),)),
    "assigned_partitions": ("gauge", ()),
    "commits_total": ("counter", (("outcome=ok", "outcome=failed"),)),
    "offset_resets_total": ("counter", ((OPEN,),)),
    "starts_at_end_total": ("counter", ((OPEN,),)),
    "rebalances_total": ("counter", (("event=assigned", "event=revoked", "event=lost"),)),
    "dead_letters_total": (
        "counter",
        (
            (
                "reason=malformed",
                "reason=invalid-id",
                "reason=rejected",
                "reason=segment-rejected",
            ),
        ),
    ),
    "paused": ("gauge", ()),
    "hold": (
        "gauge",
        (
            (
                "reason=unauthorized",
                "reason=redirect",
                "reason=not-found",
                "reason=unexpected-answer",
                "reason=dead-letter-limit",
                "reason=dead-letter-unavailable",
                "reason=stalled",
                "reason=kafka-unavailable",
                "reason=api-unavailable",
                "reason=schema-registry-unavailable",
                "reason=partition-stalled",
            ),
        ),
    ),
    "kafka_round_trip_seconds": ("gauge", (CLIENTS,)),
    "kafka_throttle_seconds": ("gauge", (CLIENTS,)),
    "kafka_prefetch_bytes": ("gauge", ()),
    "kafka_received_bytes_total": ("counter", (CLIENTS,)),
    "kafka_connection_attempts_total": ("counter", (CLIENTS,)),
    "kafka_disconnects_total": ("counter", (CLIENTS,)),
    "loop_heartbeat_timestamp_seconds": ("gauge", ()),
    "build_info": ("gauge", (("version=1.2.3",),)),
}


def series(groups: tuple[tuple[str, ...], ...]) -> set[frozenset[tuple[str, str]]]:
    """Return every combination of one label of each group."""
    found: set[frozenset[tuple[str, str]]] = {frozenset()}
    for group in groups:
        known = [(name, value) for name, _, value in (one.partition("=") for one in group)]
        found = {labels | {label} for labels in found for label in known if group != (OPEN,)}
    return found


def board(tally: Tally | None = None, gauges: dict[metrics.Key, float] | None = None) -> Board:
    """Return a board as an owner thread would have it a moment after it started."""
    snapshot = snapshot_of((tally or Tally()).freeze(), gauges or {}, {}, ())
    return Board(snapshot, turned_at=clock.now())


def scrape(shown: Board, accept: str = "") -> dict[str, Family]:
    """Return what prometheus_client's parser reads from our text, by the family's name."""
    content_type, body = Exposition(shown, "1.2.3").render(accept)
    openmetrics = content_type.startswith("application/openmetrics-text")
    parse = parse_openmetrics if openmetrics else parse_text
    return {family.name: family for family in parse(body.decode())}


def value(families: dict[str, Family], name: str, **labels: str) -> float:
    """Return one sample's value."""
    (found,) = (
        sample.value
        for family in families.values()
        for sample in family.samples
        if sample.name == PREFIX + name and sample.labels == labels
    )
    return float(found)


def test_the_declared_metrics_are_those_of_the_contract() -> None:
    assert [(metric.name, metric.kind) for metric in METRICS] == [
        (name, kind) for name, (kind, _) in CONTRACT.items()
    ]


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text;version=1.0.0,*/*;q=0.1"])
@pytest.mark.parametrize(("name", "kind", "groups"), [(n, *rest) for n, rest in CONTRACT.items()])
def test_every_series_whose_labels_are_known_is_exposed_at_zero_from_the_start(
    accept: str, name: str, kind: str, groups: tuple[tuple[str, ...], ...]
) -> None:
    shown = Board(initial_snapshot("1.2.3"), turned_at=clock.now())
    family = scrape(shown, accept)[PREFIX + name.removesuffix("_total")]
    assert family.type == kind
    assert family.documentation
    suffix = "_count" if kind == "histogram" else ""
    samples = [sample for sample in family.samples if sample.name == PREFIX + name + suffix]
    assert {frozenset(sample.labels.items()) for sample in samples} == series(groups)
    if name not in ("build_info", "loop_heartbeat_timestamp_seconds"):
        assert {sample.value for sample in family.samples} <= {0.0}


def test_the_text_names_counters_histograms_and_gauges_as_prometheus_does() -> None:
    content_type, body = Exposition(board(), "1.2.3").render("text/plain")
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    lines = body.decode().splitlines()
    assert "# TYPE segment_consumer_ids_total counter" in lines
    assert 'segment_consumer_ids_total{action="add",outcome="delivered"} 0.0' in lines
    assert 'segment_consumer_batch_ids_bucket{action="add",le="1000.0"} 0.0' in lines
    assert 'segment_consumer_batch_ids_bucket{action="add",le="+Inf"} 0.0' in lines
    assert 'segment_consumer_batch_ids_sum{action="add"} 0.0' in lines
    assert 'segment_consumer_hold{reason="dead-letter-limit"} 0.0' in lines
    assert 'segment_consumer_build_info{version="1.2.3"} 1.0' in lines


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain;version=1.0.0;escaping=allow-utf-8", False),
        ("application/openmetrics-text", True),
        ("text/html, Application/OpenMetrics-Text; version=0.0.1; q=0.5", True),
        ("application/openmetrics-text;version=x.y", True),
    ],
)
def test_the_format_is_the_one_that_was_asked_for(accept: str, openmetrics: bool) -> None:
    content_type, body = Exposition(board(), "1.2.3").render(accept)
    expected = "application/openmetrics-text; version=1.0.0" if openmetrics else "text/plain"
    assert content_type.startswith(expected)
    assert body.endswith(b"# EOF\n") is openmetrics


def test_what_was_counted_and_observed_is_in_the_scrape() -> None:
    tally = Tally()
    tally.add("ids_total", "add", "delivered", n=1000)
    tally.add("ids_total", "add", "delivered")
    tally.add("requests_total", "remove", "503")
    tally.observe(0.2, "request_duration_seconds", "add")
    for _ in range(3):
        tally.observe(400, "delivery_latency_seconds")
    gauges: dict[metrics.Key, float] = {
        ("lag_records", "audiences", "0"): 7,
        ("held_ids",): 12,
        ("hold", "stalled"): 1,
    }
    families = scrape(board(tally, gauges))
    assert value(families, "ids_total", action="add", outcome="delivered") == 1001
    assert value(families, "requests_total", action="remove", status="503") == 1
    assert value(families, "request_duration_seconds_bucket", action="add", le="0.1") == 0
    assert value(families, "request_duration_seconds_bucket", action="add", le="0.25") == 1
    assert value(families, "request_duration_seconds_bucket", action="add", le="+Inf") == 1
    assert value(families, "request_duration_seconds_sum", action="add") == 0.2
    assert value(families, "delivery_latency_seconds_count") == 3
    assert value(families, "delivery_latency_seconds_sum") == 1200
    assert value(families, "lag_records", topic="audiences", partition="0") == 7
    assert value(families, "held_ids") == 12
    assert value(families, "hold", reason="stalled") == 1
    assert value(families, "hold", reason="redirect") == 0


def test_a_series_goes_when_its_partition_goes() -> None:
    shown = board(gauges={("committed_offset", "audiences", "3"): 5})
    assert len(scrape(shown)[PREFIX + "committed_offset"].samples) == 1
    shown.snapshot = snapshot_of(Tally().freeze(), {}, {}, ())
    assert scrape(shown)[PREFIX + "committed_offset"].samples == []


def test_the_heartbeat_is_the_wall_time_of_the_last_turn() -> None:
    shown = board()
    shown.turned_at = clock.now() - 100
    heartbeat = value(scrape(shown), "loop_heartbeat_timestamp_seconds")
    assert heartbeat == pytest.approx(time.time() - 100, abs=2)


def test_process_and_interpreter_metrics_stand_beside_ours() -> None:
    families = scrape(board())
    assert "python_info" in families
    assert "python_gc_collections" in families


def test_a_snapshot_stays_as_it_was_when_counting_goes_on() -> None:
    tally = Tally()
    before = snapshot_of(tally.freeze(), {}, {}, ())
    tally.add("records_total", "accepted")
    tally.observe(1, "delivery_latency_seconds")
    assert before.samples["records_total", "accepted"] == 0
    assert before.histograms["delivery_latency_seconds",].total == 0
    after = snapshot_of(tally.freeze(), {}, {}, ())
    assert after.samples["records_total", "accepted"] == 1
    assert after.histograms["delivery_latency_seconds",].total == 1


@pytest.mark.parametrize(
    "key",
    [
        ("records_read_total",),
        ("records_total",),
        ("records_total", "lost"),
        ("records_total", "accepted", "twice"),
        ("requests_total", "upsert", "200"),
        ("held_ids",),
    ],
)
def test_counting_what_no_metric_declares_is_an_error(key: metrics.Key) -> None:
    tally = Tally()
    with pytest.raises(KeyError):
        tally.add(*key)
    with pytest.raises(KeyError):
        tally.observe(1, *key)
    assert tally.counters == Tally().counters


@pytest.mark.parametrize(
    "key", [("holds", "stalled"), ("hold", "bored"), ("records_total", "lost")]
)
def test_a_gauge_that_no_metric_declares_is_an_error(key: metrics.Key) -> None:
    with pytest.raises(KeyError):
        snapshot_of(Tally().freeze(), {key: 1}, {}, ())


def test_open_labels_create_their_series_when_first_counted() -> None:
    tally = Tally()
    assert not any(key[0] == "offset_resets_total" for key in tally.counters)
    tally.add("offset_resets_total", "audiences", n=2)
    tally.add("offset_resets_total", "audiences")
    assert tally.counters["offset_resets_total", "audiences"] == 3


def test_a_histograms_bounds_belong_to_their_buckets() -> None:
    histogram = Histogram((1, 10))
    for seen in (0, 1, 1.5, 10, 11, math.inf, 2, 2, 2, 2):
        histogram.observe(seen)
    assert histogram.freeze().counts == (2, 6, 2)


def test_the_sum_of_a_histogram_is_that_of_all_it_has_seen() -> None:
    histogram = Histogram((1, 10))
    for seen in (0.5, 2, 2, 2, 2):
        histogram.observe(seen)
    assert histogram.freeze().total == 8.5


def test_starting_is_not_ready_and_has_every_member_of_the_status() -> None:
    identity = Identity("a-host", "a-group", "2026-01-02T03:04:05.678Z", "https://api.invalid")
    snapshot = initial_snapshot("1.2.3", identity)
    assert snapshot.not_ready == ("starting",)
    assert snapshot.status == {
        "version": "1.2.3",
        "host": "a-host",
        "group": "a-group",
        "started": "2026-01-02T03:04:05.678Z",
        "state": "starting",
        "holds": [],
        "partitions": [],
        "segments": [],
        "api": {
            "url": "https://api.invalid",
            "concurrency_limit": 0,
            "in_flight": 0,
            "requests_per_second": 0.0,
            "last_error": None,
            "last_error_at": None,
            "last_success_at": None,
        },
    }


@pytest.mark.parametrize(
    ("accept", "is_openmetrics"),
    [
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text; q=0.000, text/plain", False),
        ("Application/OpenMetrics-Text ; Q=0.5 , text/plain;q=0.4", True),
        ("application/openmetrics-text;q=0.3, text/plain;q=0.9", False),
        ("application/openmetrics-text;q=0.3, text/*;q=0.9", False),
        (
            "application/openmetrics-text;version=1.0.0;q=0, application/openmetrics-text;q=0.1",
            True,
        ),
        ("application/openmetrics-text;q=nonsense", False),
        ("application/openmetrics-text;q=nan", False),
        ("application/openmetrics-text;q=2", False),
        ("application/openmetrics-text;version=1.0.0,*/*;q=0.1", True),
        ("*/*", False),
        ("", False),
        (",;,q=0;", False),
    ],
)
def test_openmetrics_is_for_those_who_name_it_and_like_it_no_less_than_text(
    accept: str, *, is_openmetrics: bool
) -> None:
    content_type, _ = Exposition(board(), "1.2.3").render(accept)
    assert content_type.startswith("application/openmetrics-text") == is_openmetrics
