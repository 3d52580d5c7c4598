"""How much memory does a backlog take: peak resident set of the daemon with a slow API.

    python -m tests.bench.memory [--case backlog|segments|lists] [--held 1000000] [--seconds 60]

backlog: 2,000,000 events with ids of 100 characters over 3,000 segments. segments: 100,000 segments
of one id each. lists: records of 1 MB with many ids. Default settings but for the addresses and
``--held``, how many ids may be; the API takes 1 s per request. Runs until the buffer has been full
for a while, or all is read.
"""

import argparse
import random
import time
import uuid
from collections.abc import Iterator

from tests.bench.sink import Sink
from tests.support.daemon import Daemon
from tests.support.kafka import Broker
from tests.support.processes import peak_mib

API_SECONDS = 1.0
CASES = ("backlog", "segments", "lists")
LIMIT_MIB = {"backlog": 200, "segments": 300, "lists": 300}


def records(case: str, scale: float) -> Iterator[tuple[str, str]]:
    """Yield keys and values."""
    draw = random.Random(1)
    match case:
        case "backlog":
            for number in range(int(2_000_000 * scale)):
                name = str(number).rjust(100, "c")
                segment = draw.randrange(1, 3001)
                yield name, f'{{"segment_id":{segment},"action":"add","id":"{name}"}}'
        case "segments":
            for number in range(100_000):
                yield str(number), f'{{"segment_id":{number + 1},"action":"add","id":"c{number}"}}'
        case _:
            for number in range(int(200 * scale)):
                ids = ",".join(f'"c{number}-{each:08d}"' for each in range(66_000))
                yield (
                    str(number),
                    f'{{"segment_id":{number % 50 + 1},"action":"add","ids":[{ids}]}}',
                )


def measure(broker: Broker, url: str, case: str, options: argparse.Namespace) -> None:
    """Print what one case takes."""
    topic = f"memory-{case}-{uuid.uuid4().hex[:6]}"
    broker.create_topic(topic, 8, **{"max.message.bytes": 10 * 2**20})
    broker.produce(topic, records(case, options.scale))
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        "KAFKA_TOPICS": topic,
        "KAFKA_GROUP_ID": topic,
        "CUSTOMERIO_URL": url,
        "CUSTOMERIO_SITE_ID": "site",
        "CUSTOMERIO_API_KEY": "key",
        "BUFFER_MAX_IDS": options.held,
    }
    with Daemon(settings) as daemon:
        daemon.wait_ready(30)
        held_most = 0.0
        ends_at = time.monotonic() + options.seconds
        while time.monotonic() < ends_at:
            held_most = max(held_most, daemon.total("held_ids"))
            time.sleep(0.2)
        received = daemon.total("ids_received_total")
        print(
            f"| {case} | {peak_mib(daemon.pid):.0f} | {LIMIT_MIB[case]} |"
            f" {held_most:,.0f} | {received:,.0f} | {daemon.total('paused'):.0f} |",
            flush=True,
        )
        daemon.kill()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--case", choices=CASES, action="append")
    parser.add_argument("--held", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    print("| case | peak RSS MiB | bound | most ids held | ids received | paused |")
    print("|---|---|---|---|---|---|")
    with Broker() as broker, Sink() as sink:
        sink.begin(API_SECONDS)
        for case in options.case or CASES:
            measure(broker, sink.url, case, options)


if __name__ == "__main__":
    main()
