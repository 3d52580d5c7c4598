"""Watched as on call would: a real Prometheus scrapes real daemons under faults.

The alerts fire and resolve with a second for each of their minutes, and what happened meanwhile is
what every query of the dashboard is tried on. With ``RECORD_THE_NIGHT=1`` in the environment it is
also written to recorded.json, which test_alerts.py replays.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.deploy import recording
from tests.deploy.chart import rendered
from tests.deploy.prometheus import JOB, Prometheus
from tests.deploy.test_alerts import NOT_PROVOKED, RECORDED, rules
from tests.deploy.tools import CHART, PROMETHEUS
from tests.support.api import FaultyApi
from tests.support.cluster import Record
from tests.support.daemon import Daemon
from tests.support.kafka_server import free_ports
from tests.support.scenario import Load, Scenario, additions
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.kafka import Broker

DASHBOARD = json.loads((CHART / "files/dashboard.json").read_text())

pytestmark = pytest.mark.long("the deployment")
NEEDS = PROMETHEUS

PATIENCE_SECONDS = 90


class Panel(NamedTuple):
    """A query of the dashboard, and where it is."""

    title: str
    query: str


class Night:
    """Two daemons and their Prometheus, and the alerts that have fired and resolved so far."""

    def __init__(self, folder: Path, scenario: Scenario) -> None:
        self.scenario = scenario
        self.api = scenario.api
        self.seen: set[str] = set()
        self._ports = dict(zip("ab", free_ports(2), strict=True))
        self._next = 0
        self.began_at = time.time()
        self.a = self.start("a")
        self.other = scenario.broker.proxied(0)
        self.b = self.start("b", self.other.bootstrap)
        self.prometheus = Prometheus(
            folder, {name: f"127.0.0.1:{port}" for name, port in self._ports.items()}
        )

    def start(self, name: str, bootstrap: str | None = None) -> Daemon:
        """Start one of the daemons at its port."""
        return self.scenario.start_ready(
            HTTP_PORT=self._ports[name],
            KAFKA_BOOTSTRAP_SERVERS=bootstrap or self.scenario.broker.bootstrap,
        )

    def more(self, count: int = 20, segment: int = 56) -> list[Record]:
        """Return changes of customers that nobody has seen yet."""
        self._next += count
        return additions(segment, count, self._next)

    def fires(self, alert: str, told: str) -> None:
        """Wait for an alert."""
        self._await((alert, told), fires=True)
        self.seen.add(alert)

    def resolves(self, alert: str, told: str) -> None:
        """Wait until an alert is over."""
        self._await((alert, told), fires=False)

    def _await(self, alert: tuple[str, str], *, fires: bool) -> None:
        eventually(
            self.prometheus.firing,
            PATIENCE_SECONDS,
            f"{alert} {'to fire' if fires else 'to resolve'}",
            until=lambda firing: (alert in firing) is fires,
        )


@pytest.fixture(scope="module")
def night(broker: "Broker", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """Start it, once for all tests here."""
    broker.create_topic("watched", 4)
    with FaultyApi() as api:
        scenario = Scenario(broker, api, "watched", "watched", "classic")
        night = Night(tmp_path_factory.mktemp("prometheus"), scenario)
        try:
            with night.prometheus:
                yield night
        finally:
            scenario.close()
            broker.recover()


def trouble_with_the_api(night: Night) -> None:
    """Let the key be wrong, then all of the API away, then one segment."""
    api = night.api
    # Somebody revokes the key.
    api.always(status=401)
    api.region(status=401)
    night.fires("SegmentConsumerHeld", "unauthorized")
    api.heal()
    night.resolves("SegmentConsumerHeld", "unauthorized")

    # The API is down.
    api.always(status=503)
    night.fires("SegmentConsumerApiFailing", "server")
    night.fires("SegmentConsumerHeld", "api-unavailable")
    api.heal()
    night.resolves("SegmentConsumerHeld", "api-unavailable")
    night.resolves("SegmentConsumerApiFailing", "server")

    # The API answers for all segments but one.
    api.for_segment(57, status=503)
    night.scenario.produce(night.more(20, segment=57))
    night.fires("SegmentConsumerStuck", "a")
    assert not [name for name, _ in night.prometheus.firing() if name.endswith("Held")]
    api.heal()
    night.resolves("SegmentConsumerStuck", "a")


def test_the_right_alerts_fire_and_resolve(night: Night) -> None:
    """One night: everything goes wrong once, and is mended."""
    api, scenario = night.api, night.scenario
    with Load(scenario, night.more):
        eventually(
            lambda: night.prometheus.values(
                "segment_consumer_lag_records", time.time(), time.time()
            ),
            PATIENCE_SECONDS,
            "the first scrapes",
            until=lambda values: len(values) >= 4,
        )
        night.resolves("SegmentConsumerMembersBelowWanted", "")
        night.resolves("SegmentConsumerNotScraped", "a")

        trouble_with_the_api(night)

        # A producer writes nonsense, and one segment is gone.
        scenario.produce([Record("k", b"no JSON"), *night.more(3, segment=404)])
        api.unknown_segment(404)
        scenario.produce(night.more(3, segment=404))
        night.fires("SegmentConsumerDeadLetters", "malformed")
        night.fires("SegmentConsumerDeadLetters", "segment-rejected")
        night.resolves("SegmentConsumerDeadLetters", "malformed")

        # One member is cut off from Kafka.
        night.other.proxy.cut()
        night.fires("SegmentConsumerMembersBelowWanted", "")
        night.other.proxy.mend()
        night.resolves("SegmentConsumerMembersBelowWanted", "")

        # The API answers slowly, for longer than producers wait.
        api.delay(0.9)
    with Load(scenario, lambda: [record for n in range(200) for record in night.more(1, n + 1)]):
        night.fires("SegmentConsumerLagGrowing", "")
    api.heal()
    scenario.await_all_committed(PATIENCE_SECONDS)
    night.resolves("SegmentConsumerLagGrowing", "")

    # All members are gone, and retention is faster than they are.
    for daemon in (night.a, night.b):
        daemon.kill()
    night.fires("SegmentConsumerNotScraped", "")
    night.fires("SegmentConsumerNotScraped", "a")
    night.fires("SegmentConsumerNotScraped", "b")
    scenario.produce(night.more(200))
    scenario.broker.delete_records("watched", scenario.broker.end_offsets("watched"))
    night.a = night.start("a")
    night.fires("SegmentConsumerOffsetsGone", "watched")
    night.b = night.start("b")
    night.resolves("SegmentConsumerNotScraped", "")
    night.resolves("SegmentConsumerNotScraped", "a")
    night.resolves("SegmentConsumerNotScraped", "b")
    night.resolves("SegmentConsumerOffsetsGone", "watched")
    assert night.seen == {rule["alert"] for rule in rules()} - NOT_PROVOKED
    if os.environ.get("RECORD_THE_NIGHT"):
        recording.write(RECORDED, night.prometheus, night.began_at, time.time())


def queries() -> Iterator[Panel]:
    """Yield every query of the dashboard as Grafana sends it."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            query = (
                target["expr"]
                .replace("$__rate_interval", "5s")
                .replace("$__range", "5m")
                .replace("$namespace", ".*")
                .replace("$job", JOB)
            )
            assert "$" not in query, panel["title"]
            yield Panel(panel["title"], query)


@pytest.mark.parametrize("panel", list(queries()), ids=lambda panel: panel.title.replace(" ", "-"))
def test_no_query_of_the_dashboard_returns_nothing(night: Night, panel: Panel) -> None:
    assert night.prometheus.values(panel.query, night.began_at, time.time()), panel.query


def test_the_config_map_has_the_dashboard() -> None:
    maps = rendered("everything").all("ConfigMap")
    (found,) = (each for each in maps if each["metadata"]["labels"].get("grafana_dashboard"))
    (text,) = found["data"].values()
    shown = json.loads(text)
    of_the_release = {name: shown[name] for name in ("title", "uid")}  # see test_platforms.py
    assert shown == {**DASHBOARD, **of_the_release}
