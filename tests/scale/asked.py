"""What one busy member asks of its brokers, counted: ``python -m tests.scale.asked``.

One real daemon with the settings' defaults, a real broker, a steady load. The proxy between them
reads which requests go by. Prints for each protocol how many of each kind there were in a minute;
how many fetches there are follows the load.
"""

import json
import struct
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

from tests.bench.steady import Load
from tests.support.api import FaultyApi
from tests.support.daemon import Daemon
from tests.support.kafka import Broker
from tests.support.kafka_frames import Frames
from tests.support.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from tests.support.tcp_proxy import Meddler

NAMES = {
    1: "Fetch",
    2: "ListOffsets",
    3: "Metadata",
    8: "OffsetCommit",
    9: "OffsetFetch",
    10: "FindCoordinator",
    11: "JoinGroup",
    12: "Heartbeat",
    14: "SyncGroup",
    15: "DescribeGroups",
    18: "ApiVersions",
    23: "OffsetForLeaderEpoch",
    32: "DescribeConfigs",
    68: "ConsumerGroupHeartbeat",
    69: "ConsumerGroupDescribe",
    75: "DescribeTopicPartitions",
}
SECONDS = 60.0
SETTLING_SECONDS = 15.0
CHANGES_PER_SECOND = 50.0
PARTITIONS = 12
SESSION_SECONDS, HEARTBEAT_SECONDS = 45, 5  # a broker's own, of KIP-848

_API = struct.Struct(">h")


class Asked:
    """Counts requests by the number of their API."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()

    def __call__(self) -> "Meddler":
        """Return what looks at one connection."""
        requests = Frames()

        def meddle(is_answer: bool, chunk: bytes) -> bytes:
            if not is_answer:
                self.counts.update(_API.unpack_from(frame)[0] for frame in requests.take(chunk))
            return chunk

        return meddle


def count(broker: Broker, protocol: str) -> Counter[int]:
    """Return what a busy member asks in a minute."""
    topic = f"asked-{protocol}"
    broker.create_topic(topic, partitions=PARTITIONS)
    bootstrap, proxy = broker.proxied(0)
    asked = Asked()
    proxy.meddle(asked)
    with FaultyApi() as api:
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "KAFKA_TOPICS": topic,
            "KAFKA_GROUP_ID": topic,
            "KAFKA_GROUP_PROTOCOL": protocol,
            "CUSTOMERIO_SITE_ID": "site",
            "CUSTOMERIO_API_KEY": "key",
            "CUSTOMERIO_URL": api.url,
        }
        with (
            Daemon({**settings, "HTTP_HOST": "127.0.0.1"}) as daemon,
            Load(broker.bootstrap, topic, CHANGES_PER_SECOND, _change),
        ):
            daemon.wait_ready(PATIENCE_SECONDS)
            time.sleep(SETTLING_SECONDS)
            before = asked.counts.copy()
            time.sleep(SECONDS)
            return asked.counts - before


def _change(number: int, _: float) -> tuple[str, str]:
    change = {"segment_id": 1 + number % 3, "action": "add", "id": f"c{number}"}
    return f"c{number}", json.dumps(change)


def main() -> None:
    """Print what there was."""
    with Broker(
        proxied_listeners=1,
        session_seconds=SESSION_SECONDS,
        heartbeat_seconds=HEARTBEAT_SECONDS,
    ) as broker:
        for protocol in ("classic", "consumer"):
            for api, number in sorted(count(broker, protocol).items()):
                sys.stdout.write(f"{protocol}: {NAMES.get(api, api)} {number}\n")


if __name__ == "__main__":
    main()
