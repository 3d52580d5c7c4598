"""How fast is it, and what does it cost: the daemon beside a raw consume loop, in one run.

    python -m tests.bench.throughput [--events 2000000] [--api-seconds 0] [--protocol classic]

w1: one segment, adds. w2: 100 segments (zipf), a tenth removes. Events of 58 bytes in 8 partitions,
all produced before the start. The stand-in of the API runs in a process of its own. Everything
shares this machine's cores, so compare the rows of one run, not runs of different machines.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, TopicPartition

from tests.support.daemon import Daemon
from tests.support.kafka import Broker

PARTITIONS = 8
EVENT_BYTES = 58
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Figures:
    """What one system did with one topic."""

    system: str
    events_per_second: float
    cpu_seconds_per_million: float
    requests: int | None
    peak_mib: float

    def row(self) -> str:
        """Return the figures as a table row."""
        requests = "-" if self.requests is None else f"{self.requests:,}"
        return (
            f"| {self.system} | {self.events_per_second:,.0f} |"
            f" {self.cpu_seconds_per_million:.2f} | {requests} | {self.peak_mib:.0f} |"
        )


def events(workload: str, count: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values."""
    draw = random.Random(1)
    segments = [1] if workload == "w1" else list(range(1, 101))
    weights = [1 / (rank + 1) for rank in range(len(segments))]
    for start in range(0, count, 10_000):
        size = min(10_000, count - start)
        chosen = draw.choices(segments, weights, k=size)
        for number, segment in enumerate(chosen, start):
            remove = workload == "w2" and draw.random() < 0.1
            action = "remove" if remove else "add"
            head = f'{{"segment_id":{segment},"action":"{action}","id":"c'
            name = str(number).rjust(EVENT_BYTES - len(head) - 2, "0")
            yield name.encode(), f'{head}{name}"}}'.encode()


def raw_loop(bootstrap: str, topic: str, count: int) -> Figures:
    """Consume and count, nothing else: what the library and this machine can do at most."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"raw-{topic}",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 5,
            "queued.max.messages.kbytes": 16_384,
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    before = resource.getrusage(resource.RUSAGE_SELF)
    started, seen = time.perf_counter(), 0
    while seen < count:
        for message in consumer.consume(2000, 0.1):
            error = message.error()
            if error is None:
                message.value()
                seen += 1
            elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's local error codes are spelt so
                raise SystemExit(str(error))
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    consumer.close()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Figures("raw consume loop", seen / seconds, cpu / seen * 1e6, None, 0)


def daemon_run(bootstrap: str, topic: str, count: int, api: str, protocol: str) -> Figures:
    """Run the daemon over the whole topic."""
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "KAFKA_TOPICS": topic,
        "KAFKA_GROUP_ID": f"bench-{topic}-{time.time_ns()}",
        "KAFKA_GROUP_PROTOCOL": protocol,
        "KAFKA_SESSION_TIMEOUT_SECONDS": 6,
        "CUSTOMERIO_TIMEOUT_SECONDS": 2,
        "CUSTOMERIO_URL": api,
        "CUSTOMERIO_SITE_ID": "site",
        "CUSTOMERIO_API_KEY": "key",
        "CUSTOMERIO_REQUESTS_PER_SECOND": 100_000,
        "BATCH_LINGER_SECONDS": 1,
        "DRAIN_TIMEOUT_SECONDS": 5,
    }
    with Daemon(settings) as daemon:
        while not (seen_before := total(daemon, "ids_received_total")):
            time.sleep(0.02)
        begun, cpu_begun = time.perf_counter(), cpu_seconds(daemon.pid)
        while total(daemon, "ids_received_total") < count or total(daemon, "held_ids"):
            time.sleep(0.1)
        seconds = time.perf_counter() - begun
        cpu = cpu_seconds(daemon.pid) - cpu_begun
        requests = total(daemon, "requests_total")
        peak = peak_mib(daemon.pid)
        daemon.terminate()
        daemon.wait(20)
    handled = count - seen_before
    return Figures(
        f"segment-consumer, {protocol}", handled / seconds, cpu / handled * 1e6, int(requests), peak
    )


def total(daemon: Daemon, name: str) -> float:
    """Return the sum over a metric's series."""
    name = f"segment_consumer_{name}"
    return sum(value for (series, _), value in daemon.metrics().items() if series == name)


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_mib(pid: int) -> float:
    """Return the largest resident set of a process so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--api-seconds", type=float, default=0.0)
    parser.add_argument("--workload", choices=("w1", "w2"), action="append")
    parser.add_argument("--protocol", choices=("classic", "consumer"), default="classic")
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    command = [sys.executable, "-m", "consumer.commands.demo.standin", "--port", "0"]
    if options.api_seconds:
        command += ["--delay", str(options.api_seconds)]
    api = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert api.stdout is not None
        url = api.stdout.readline().strip()
        with Broker() as broker:
            for workload in options.workload or ["w1", "w2"]:
                topic = f"bench-{workload}"
                broker.create_topic(topic, PARTITIONS)
                print(f"{workload}: producing {options.events:,} events", flush=True)
                broker.produce(topic, events(workload, options.events))
                print("| system | events/s | CPU s per million | requests | peak RSS MiB |")
                print("|---|---|---|---|---|")
                for _ in range(options.runs):
                    print(raw_loop(broker.bootstrap, topic, options.events).row(), flush=True)
                    figures = daemon_run(
                        broker.bootstrap, topic, options.events, url, options.protocol
                    )
                    print(figures.row(), flush=True)
    finally:
        api.kill()
        api.wait()
    print(json.dumps({"events": options.events, "api_seconds": options.api_seconds}))


if __name__ == "__main__":
    main()
