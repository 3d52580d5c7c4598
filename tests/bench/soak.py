"""Does anything grow with time: memory, file descriptors, threads, metric series.

    python -m tests.bench.soak [--minutes 60] [--rate 500] [--protocol classic|consumer]

One real daemon, a real broker and a stand-in of the API that answers at once, in a process of its
own. Changes arrive at a steady rate; they belong to segments that come and go: a few hundred at any
time, each for half a minute and then never again. The slope of the resident set is that of the
second half, by least squares. Exits with 1 if anything grew:

- the resident set, by the slope over the second half, more than ``TOLERANCE_MIB`` (an allocator
  gives and takes about as much without any reason);
- descriptors, threads or series: if the median of the last quarter is above the most of the first
  half. (Connections to the API come and go, so there are some more or less at any moment.)
"""

import argparse
import random
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.steady import Load
from tests.support.daemon import Daemon
from tests.support.kafka import Broker
from tests.support.waiting import eventually

TOLERANCE_MIB = 3.0
SAMPLE_SECONDS = 5.0
PROGRESS_SAMPLES = 12
LIVE_SEGMENTS = 200
SEGMENT_SECONDS = 30.0
CUSTOMERS = 100_000
PATIENCE_SECONDS = 60
MIB = 2**20
HOUR_SECONDS = 3600.0


class Sample(NamedTuple):
    """What the daemon takes at one moment."""

    seconds: float
    rss_mib: float
    descriptors: int
    threads: int
    series: int


class Changes:
    """Changes of ever new segments."""

    def __init__(self) -> None:
        self._draw = random.Random(1)

    def next(self, _: int, seconds: float) -> tuple[str, str]:
        """Return key and value of a change of a segment that is there just now."""
        place = self._draw.randrange(LIVE_SEGMENTS)
        age = seconds + place * SEGMENT_SECONDS / LIVE_SEGMENTS  # one after the other is replaced
        segment_id = int(age / SEGMENT_SECONDS) * LIVE_SEGMENTS + place + 1
        action = "remove" if self._draw.random() < 0.3 else "add"
        name = f"customer-{self._draw.randrange(CUSTOMERS)}"
        return name, f'{{"segment_id":{segment_id},"action":"{action}","id":"{name}"}}'


def sample(daemon: Daemon, begun: float) -> Sample:
    """Look at the daemon."""
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{daemon.pid}/status").read_text().splitlines()
    )
    return Sample(
        seconds=time.monotonic() - begun,
        rss_mib=int(status["VmRSS"].split()[0]) * 1024 / MIB,
        descriptors=sum(1 for _ in Path(f"/proc/{daemon.pid}/fd").iterdir()),
        threads=int(status["Threads"]),
        series=len(daemon.metrics()),
    )


def slope(samples: Sequence[Sample]) -> float:
    """Return the growth of the resident set in MiB per second, by least squares."""
    fit = statistics.linear_regression(
        [each.seconds for each in samples], [each.rss_mib for each in samples]
    )
    return fit.slope


def grown(samples: Sequence[Sample]) -> list[str]:
    """Return what grew, having printed how each of them changed."""
    half, quarter = len(samples) // 2, len(samples) // 4
    first, last = samples[0], samples[-1]
    late = samples[half:]
    per_second = slope(late)
    growth_mib = per_second * (late[-1].seconds - late[0].seconds)
    print("\n| | first | most of the first half | median of the last quarter | last |")
    print("|---|---|---|---|---|")
    wrong = []
    for name in ("rss_mib", "descriptors", "threads", "series"):
        most = max(getattr(each, name) for each in samples[:half])
        after = statistics.median(getattr(each, name) for each in samples[-quarter:])
        row = (getattr(first, name), most, after, getattr(last, name))
        print(f"| {name} | " + " | ".join(f"{value:.1f}" for value in row) + " |")
        if name != "rss_mib" and after > most:
            wrong.append(name)
    print(
        f"\nslope of the second half: {per_second * HOUR_SECONDS:+.2f} MiB per hour,"
        f" {growth_mib:+.2f} MiB over {(late[-1].seconds - late[0].seconds) / 60:.1f} min"
        f" ({TOLERANCE_MIB:g} tolerated)"
    )
    if growth_mib > TOLERANCE_MIB:
        wrong.append("rss_mib")
    return wrong


def soak(broker: Broker, url: str, options: argparse.Namespace) -> bool:
    """Run the daemon for so long; return whether nothing grew and all was delivered."""
    topic = f"soak-{uuid.uuid4().hex[:8]}"
    # What was read long ago is deleted now and then: an hour is some GB at a high rate.
    broker.create_topic(topic, 4, retention_ms=600_000, segment_bytes=8 * MIB)
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        "KAFKA_TOPICS": topic,
        "KAFKA_GROUP_ID": topic,
        "KAFKA_GROUP_PROTOCOL": options.protocol,
        "KAFKA_SESSION_TIMEOUT_SECONDS": 6,
        "CUSTOMERIO_URL": url,
        "CUSTOMERIO_SITE_ID": "site",
        "CUSTOMERIO_API_KEY": "key",
        "CUSTOMERIO_TIMEOUT_SECONDS": 2,
        "CUSTOMERIO_REQUESTS_PER_SECOND": 1000,
        "BATCH_LINGER_SECONDS": 2,
        "DRAIN_TIMEOUT_SECONDS": 10,
    }
    samples: list[Sample] = []
    with Daemon(settings) as daemon:
        daemon.wait_ready(PATIENCE_SECONDS)
        with Load(broker.bootstrap, topic, options.rate, Changes().next) as load:
            begun, pause = time.monotonic(), threading.Event()
            while time.monotonic() - begun < 60 * options.minutes:
                pause.wait(SAMPLE_SECONDS)
                samples.append(sample(daemon, begun))
                if len(samples) % PROGRESS_SAMPLES == 1:
                    show(samples[-1], daemon, load)
        eventually(
            lambda: daemon.total("ids_received_total") - daemon.total("held_ids"),
            PATIENCE_SECONDS,
            f"{load.produced} changes to be settled",
            until=lambda settled: settled >= load.produced,
        )
        show(sample(daemon, begun), daemon, load)
        wrong = grown(samples)
        daemon.terminate()
        code = daemon.wait(PATIENCE_SECONDS)
        if code != 0:
            wrong.append(f"the exit code {code}")
    print(f"grew: {', '.join(wrong)}" if wrong else "nothing grew")
    return not wrong


def show(now: Sample, daemon: Daemon, load: Load) -> None:
    """Print a line of progress."""
    print(
        f"{now.seconds / 60:5.1f} min: {now.rss_mib:.1f} MiB, {now.descriptors} descriptors,"
        f" {now.threads} threads, {now.series} series; {load.produced:,} changes produced,"
        f" {daemon.total('ids_received_total') - daemon.total('held_ids'):,.0f} settled by"
        f" {daemon.total('requests_total'):,.0f} requests",
        flush=True,
    )


def main() -> int:
    """Return 0 if nothing grew, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=500.0, help="changes per second")
    parser.add_argument("--protocol", choices=("classic", "consumer"), default="classic")
    options = parser.parse_args()
    command = [
        sys.executable,
        "-m",
        "consumer.commands.demo.standin",
        "--port",
        "0",
        "--forget-ids",
    ]
    quickly = {"log.retention.check.interval.ms": "30000"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as api:
        try:
            assert api.stdout is not None
            url = api.stdout.readline().strip()
            with Broker(properties=quickly) as broker:
                return 0 if soak(broker, url, options) else 1
        finally:
            api.kill()


if __name__ == "__main__":
    sys.exit(main())
