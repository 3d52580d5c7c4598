"""A connection to Kafka whose other side is gone without a word costs seconds, and nothing else."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.flipping import Flipping
from tests.support.kafka import Broker

if TYPE_CHECKING:
    from tests.support.scenario import Scenario

SESSION_SECONDS = 45  # the default
MOST_SECONDS = 20.0
LOOKS_SECONDS = 0.1
pytestmark = pytest.mark.xdist_group("a broker with long sessions")


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """Make a broker whose sessions are as long as by default."""
    with Broker(proxied_listeners=1, session_seconds=SESSION_SECONDS, heartbeat_seconds=5) as it:
        if it.external:
            pytest.skip("needs a proxy before the broker")
        yield it


@pytest.mark.long("freezes and cuts beyond one of each kind", keep=("consumer",))
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_half_open_connections_to_kafka_cost_no_membership_and_no_long_gap(
    scenario: "Scenario",
) -> None:
    """With librdkafka's own minute until it looks it cost 61 s, and the membership."""
    way_in, proxy = scenario.broker.proxied(0)
    with Flipping(scenario) as flipping:
        daemon = scenario.start_ready(
            KAFKA_BOOTSTRAP_SERVERS=way_in, KAFKA_SESSION_TIMEOUT_SECONDS=SESSION_SECONDS
        )
        flipping.await_caught_up()
        (member,) = scenario.broker.group_members(scenario.group)
        assert proxy.vanish()
        longest = longest_gap(scenario)
        verdict = flipping.finish(daemon, request_seconds=1)
    assert longest < MOST_SECONDS
    assert not verdict.wrong, str(verdict)
    assert not verdict.went_back, str(verdict)
    assert scenario.broker.group_members(scenario.group) == [member]
    assert daemon.metric("rebalances_total", event="lost") == 0
    assert daemon.metric("rebalances_total", event="revoked") == 0


def longest_gap(scenario: "Scenario") -> float:
    """Return the longest time without a delivery, from now until they go on as before."""
    longest, last_ids, last_at = 0.0, scenario.api.counters().ids, time.monotonic()
    ends_at = last_at + 60
    while (now := time.monotonic()) < ends_at:
        ids = scenario.api.counters().ids
        longest = max(longest, now - last_at)
        if ids > last_ids:
            last_ids, last_at = ids, now
            if longest > 1:
                break
        time.sleep(LOOKS_SECONDS)
    return longest
