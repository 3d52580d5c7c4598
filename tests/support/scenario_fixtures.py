"""The fixtures around the end-to-end tests' scenarios."""

from typing import TYPE_CHECKING

import pytest

from tests.support.flipping import Flipping
from tests.support.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.api import FaultyApi
    from tests.support.kafka import Broker


@pytest.fixture
def protocol() -> str:
    """Name the group protocol; a test that is parametrised over it gets both."""
    return "classic"


@pytest.fixture
def scenario(
    broker: "Broker", api: "FaultyApi", topic: str, group: str, protocol: str
) -> "Iterator[Scenario]":
    """Make a scenario with a topic of 4 partitions; its daemons end with the test."""
    scenario = Scenario(broker, api, topic, group, protocol)
    yield scenario
    scenario.close()


@pytest.fixture
def flipping(scenario: Scenario) -> "Iterator[Flipping]":
    """Let customers of the scenario enter and leave segments all the time."""
    with Flipping(scenario) as flipping:
        yield flipping
