"""The compose file at work: events, Kafka, the daemon, the stand-in and Prometheus together."""

import json
from collections.abc import Iterator
from typing import NamedTuple
from urllib.request import urlopen

import pytest

from tests.deploy.chart import parsed
from tests.deploy.composed import Moved, kafka, prometheus
from tests.deploy.prometheus import Server
from tests.deploy.tools import CHART, COMPOSE
from tests.support.daemon import Daemon
from tests.support.waiting import PATIENCE_SECONDS, eventually

pytestmark = [pytest.mark.long("the deployment"), pytest.mark.xdist_group("composed")]
NEEDS = COMPOSE


class Here(NamedTuple):
    """What runs."""

    daemon: Daemon
    prometheus: Server
    api: str


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    """Start everything but Grafana."""
    folder, moved = tmp_path_factory.mktemp("compose"), Moved()
    broker = kafka(moved, folder / "kafka")
    children = [moved.started("api", folder), moved.started("events", folder)]
    port = str(moved.port(8080))
    try:
        with (
            Daemon({**moved.environment("segment-consumer"), "HTTP_PORT": port}) as daemon,
            prometheus(moved, folder / "prometheus") as watching,
        ):
            broker.start()  # last, as it is the slowest: nothing waits for anything
            yield Here(daemon, watching, moved.text("http://api:8081"))
    finally:
        for child in children:
            child.kill()
        broker.kill()


def test_events_flow_and_odd_ones_are_refused(here: Here) -> None:
    here.daemon.wait_ready(PATIENCE_SECONDS)
    for outcome in ("delivered", "rejected"):
        eventually(
            lambda outcome=outcome: here.daemon.total("ids_total", outcome=outcome),  # type: ignore[misc]
            PATIENCE_SECONDS,
            f"ids that are {outcome}",
        )
    with urlopen(f"{here.api}/standin/counters") as answer:  # noqa: S310 - of our own
        assert json.load(answer)["accepted"]


def test_prometheus_has_what_the_alerts_and_the_dashboard_ask_for(here: Here) -> None:
    selector = 'namespace="compose", job="segment-consumer", pod!=""'
    eventually(
        lambda: here.prometheus.now(f"segment_consumer_ids_received_total{{{selector}}}"),
        PATIENCE_SECONDS,
        "samples with the labels of a cluster",
    )
    (group,) = parsed((CHART / "files/alerts.yaml").read_text())["groups"]
    alerts = {rule["alert"] for rule in group["rules"]}
    eventually(
        here.prometheus.rules,
        PATIENCE_SECONDS,
        "the alerts to be evaluated",
        until=lambda seen: seen == dict.fromkeys(alerts, "ok"),
    )
