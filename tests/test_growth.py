"""Partitions that are added while the group is at work."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.flipping import Flipping
from tests.support.scenario import PATIENCE_SECONDS

if TYPE_CHECKING:
    from tests.support.scenario import Scenario

both_protocols = pytest.mark.parametrize("protocol", ["classic", "consumer"])

API_SECONDS = 1.5
REQUEST_SECONDS = 3
PARTITIONS = 10


@pytest.mark.long("partitions that come in a drain")
@both_protocols
def test_i2_partitions_that_come_while_a_member_drains_do_not_hurry_the_next_owner(
    scenario: "Scenario",
) -> None:
    scenario.broker.add_partitions(scenario.topic, PARTITIONS)
    scenario.api.delay(API_SECONDS)
    changed: dict[str, Any] = {
        "CUSTOMERIO_TIMEOUT_SECONDS": REQUEST_SECONDS,
        "DRAIN_TIMEOUT_SECONDS": 3 * REQUEST_SECONDS,
        "CUSTOMERIO_MAX_IN_FLIGHT": 32,
    }
    with Flipping(scenario, partitions=PARTITIONS) as flipping:
        first = scenario.start_ready(**changed)
        scenario.await_accepted(300)
        second = scenario.start_ready(**changed)
        first.wait_log("revoked", PATIENCE_SECONDS)
        flipping.grow(PARTITIONS + 1)
        flipping.await_members(2)
        scenario.await_accepted(scenario.api.counters().ids + 300)
        verdict = flipping.finish(first, second, request_seconds=REQUEST_SECONDS)
    assert not verdict.wrong, str(verdict)
    assert not verdict.went_back, str(verdict)
    assert verdict.members > PARTITIONS
