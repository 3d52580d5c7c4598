"""A connection to Kafka whose other side is gone without a word costs seconds, and nothing else."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.flipping import Flipping
from tests.support.gaps import Gaps
from tests.support.kafka import Broker

if TYPE_CHECKING:
    from tests.support.scenario import Scenario

SESSION_SECONDS = 45  # the default
MOST_SECONDS = 20.0
pytestmark = pytest.mark.xdist_group("a broker with long sessions")


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """Make a broker whose sessions are as long as by default."""
    with Broker(proxied_listeners=1, session_seconds=SESSION_SECONDS, heartbeat_seconds=5) as it:
        yield it


@pytest.mark.long("freezes and cuts beyond one of each kind", keep=("consumer",))
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_half_open_connections_to_kafka_cost_no_membership_and_no_long_gap(
    scenario: "Scenario", flipping: Flipping
) -> None:
    """With librdkafka's own minute until it looks it cost 61 s, and the membership."""
    way_in, proxy = scenario.broker.proxied(0)
    daemon = scenario.start_ready(
        KAFKA_BOOTSTRAP_SERVERS=way_in, KAFKA_SESSION_TIMEOUT_SECONDS=SESSION_SECONDS
    )
    flipping.await_caught_up()
    (member,) = scenario.broker.group_members(scenario.group)
    with Gaps(scenario) as gaps:
        assert proxy.vanish()
        # What was produced since then can come by a new connection only, as can its commit.
        flipping.await_caught_up()
    verdict = flipping.finish(daemon, request_seconds=1)
    assert gaps.longest_seconds < MOST_SECONDS
    assert not verdict.wrong, str(verdict)
    assert not verdict.went_back, str(verdict)
    assert scenario.broker.group_members(scenario.group) == [member]
    assert daemon.metric("rebalances_total", event="lost") == 0
    assert daemon.metric("rebalances_total", event="revoked") == 0
