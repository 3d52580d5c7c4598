"""Does a hot segment delay the others: a single change beside a backlog of a million.

    python -m tests.bench.isolation [--events 1000000] [--singles 10]

One segment's changes fill three of four partitions before the start; while they are worked off,
single changes of other segments arrive in the fourth, one every second. Printed is how long each
took from its production to the API's acceptance, beside the linger that each has to wait anyhow.
The API takes 50 ms per request; 25 requests a second make the backlog last.
"""

import argparse
import time
import uuid

from tests.support.api import FaultyApi
from tests.support.cluster import Record
from tests.support.daemon import Daemon
from tests.support.kafka import Broker
from tests.support.waiting import eventually

HOT = 1
LINGER_SECONDS = 2.0
API_SECONDS = 0.05


def main() -> None:
    """Print a line for each single change, and the slowest."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--singles", type=int, default=10)
    options = parser.parse_args()
    value = '{{"segment_id":{},"action":"add","id":"c{}"}}'
    with Broker() as broker, FaultyApi(journal=0) as api:
        api.delay(API_SECONDS)
        topic = f"bench-{uuid.uuid4().hex[:8]}"
        broker.create_topic(topic, 4)
        broker.produce(
            topic,
            (
                Record(None, value.format(HOT, number), partition=number % 3)
                for number in range(options.events)
            ),
        )
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
            "KAFKA_TOPICS": topic,
            "KAFKA_GROUP_ID": topic,
            "CUSTOMERIO_URL": api.url,
            "CUSTOMERIO_SITE_ID": "site",
            "CUSTOMERIO_API_KEY": "key",
            "CUSTOMERIO_REQUESTS_PER_SECOND": 25,
            "BATCH_LINGER_SECONDS": LINGER_SECONDS,
        }
        with Daemon(settings) as daemon:
            eventually(lambda: daemon.total("ids_received_total") > 0, 60, "the backlog")
            times = [single(broker, api, topic, number) for number in range(options.singles)]
            waiting = options.events - len(api.members(HOT))
            print(f"| slowest of {len(times)} | {max(times):.2f} s | linger {LINGER_SECONDS:g} s |")
            print(f"| changes of the hot segment still to be delivered | {waiting:,} | |")
            daemon.kill()


def single(broker: Broker, api: FaultyApi, topic: str, number: int) -> float:
    """Produce one change of a segment of its own; return how long it took."""
    segment = HOT + 1 + number
    began = time.monotonic()
    value = f'{{"segment_id":{segment},"action":"add","id":"single"}}'
    broker.produce(topic, [Record(None, value, partition=3)])
    eventually(lambda: api.members(segment), 60, "the single change")
    took = time.monotonic() - began
    print(f"| segment {segment} | {took:.2f} s | |", flush=True)
    return took


if __name__ == "__main__":
    main()
