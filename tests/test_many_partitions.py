"""Very many partitions, far away: the loop turns, whatever has to be asked."""

import time
from typing import TYPE_CHECKING

import pytest

from tests.support.cluster import Record
from tests.support.repeating import Repeating
from tests.support.scenario import event
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.api import FaultyApi
    from tests.support.daemon import Daemon
    from tests.support.kafka import Broker
    from tests.support.scenario import Scenario

PARTITIONS = 400
ONE_WAY_SECONDS = 0.045
MOST_SECONDS = 2.0  # one, and what the tests' own processes take from it


class Beat(Repeating):
    """Looks how long ago the loop turned; ``longest_seconds`` is the longest of it."""

    def __init__(self, daemon: "Daemon") -> None:
        super().__init__(pause_seconds=0.1)
        self._daemon = daemon
        self.longest_seconds = 0.0

    def turn(self) -> None:
        """Look once."""
        turned_at = self._daemon.metric("loop_heartbeat_timestamp_seconds")
        self.longest_seconds = max(self.longest_seconds, time.time() - turned_at)


@pytest.mark.long("the other protocol, and what waits", keep=("classic",))
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_many_far_partitions_begin_soon_and_the_loop_turns_meanwhile(
    scenario: "Scenario", new_topic: "Callable[..., str]", broker: "Broker", api: "FaultyApi"
) -> None:
    """Each asked for by itself, they stopped the loop for 54 s."""
    topic = new_topic(PARTITIONS)
    records = [Record("k", event(1, "add", f"c{n}"), partition=n) for n in range(PARTITIONS)]
    scenario.produce(records, topic)
    bootstrap, proxy = broker.proxied(0)
    proxy.delay(ONE_WAY_SECONDS)
    daemon = scenario.start(
        KAFKA_BOOTSTRAP_SERVERS=bootstrap, KAFKA_TOPICS=topic, KAFKA_SESSION_TIMEOUT_SECONDS=20
    )
    daemon.wait_log("assigned", 20)
    with Beat(daemon) as beat:
        scenario.await_accepted(PARTITIONS, timeout=20)
        eventually(
            lambda: broker.committed(scenario.group, topic),
            20,
            "a commit of each partition",
            until=dict.fromkeys(range(PARTITIONS), 1).__eq__,
        )
    assert beat.longest_seconds < MOST_SECONDS
    assert api.counters().duplicates == 0
