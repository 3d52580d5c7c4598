"""What the bench measures on: a broker, the sink, and topics that are made when they are needed.

CPU and memory are counted by Linux, requests and ids by the sink; the daemon isn't asked anything
while it is measured. A run whose changes didn't all arrive ends the bench.
"""

import math
import subprocess
import sys
import time
import uuid
from collections.abc import Callable

import msgspec

from consumer import settings
from consumer.settings.properties import consumer_properties
from tests.bench import workloads
from tests.bench.figures import Figures, at_highest, per_second
from tests.bench.loops import Taken, Task
from tests.bench.sink import AllCame, Sink
from tests.bench.steady import Load
from tests.support.daemon import Daemon
from tests.support.kafka import Broker
from tests.support.processes import cpu_seconds, peak_mib

MANY, LIVE = "100,000 segments", "live"
PARTITIONS, MANY_PARTITIONS = 8, 1000
IN_FLIGHT = 8
PATIENCE_SECONDS = 300.0
POLL_SECONDS = 0.05
LIVE_PER_SECOND = (50_000, 25_000, 12_500)  # the highest that the machine manages
LIVE_NEAR = 1.25  # not behind that by more than so much, nor making up for it
WARM_UP_SECONDS, LIVE_SECONDS = 3.0, 6.0
MOST_HELD_EVENTS = 400_000  # more than the buffer takes and the slow API gets meanwhile
SLOW_API_SECONDS, FULL_SECONDS = 1.0, 6.0

_SHARES = {"w1": 1.0, "w2": 1.0, "lists": 0.1, MANY: 1.0}
_OTHERS_SHARE, _MOST_TAKEN_IN_SHARE = 0.15, 0.3
_QUICK = {"BATCH_LINGER_SECONDS": "1", "CUSTOMERIO_REQUESTS_PER_SECOND": "100000"}


class Stage:
    """One broker and one sink; ``events`` are those of w1 and w2, the others have a share of it."""

    def __init__(self, broker: Broker, sink: Sink, events: int, say: Callable[[str], None]) -> None:
        self._broker = broker
        self._sink = sink
        self._events = events
        self._say = say
        self._topics: set[str] = set()
        self._live_rates = list(LIVE_PER_SECOND)

    def loop(self, name: str, workload: str) -> Figures:
        """Let the raw loop or the floor loop read a workload."""
        topic = self._topic(workload)
        records = self._count(workload)
        properties = consumer_properties(settings.load(self._settings(topic)))
        taken = _child("loops", Task(properties, topic, PARTITIONS, records), name)
        return {
            "events_per_second": 0.8 * records / taken.middle_seconds,
            "cpu_us": taken.cpu_seconds / records * 1e6,
        }

    def intake(self, workload: str, *, sends: bool = True) -> Figures:
        """Take a workload in, without the daemon's threads and without HTTP.

        What is full is delivered at once, unless all is held: one segment fills its batches, and
        100,000 don't, so what these cost can be compared only where nothing is sent.
        """
        topic = self._topic(workload)
        records = min(self._count(workload), int(self._events * _MOST_TAKEN_IN_SHARE))
        task = Task(self._settings(topic), topic, PARTITIONS, records)
        taken = _child("intake", task, "send" if sends else "hold")
        each = taken.cpu_seconds / records * 1e6
        return {"cpu_us": each, "cpu_us_per_id_of_a_list": each / workloads.LIST_IDS}

    def backlog(
        self,
        workload: str,
        *,
        partitions: int = PARTITIONS,
        protocol: str = "classic",
        api_seconds: float = 0.0,
    ) -> Figures:
        """Let the daemon deliver a workload that waits, from its start to the last answer."""
        topic, events = self._topic(workload, partitions), self._count(workload)
        self._sink.begin(api_seconds)
        begun = time.monotonic()
        with self._daemon(topic, KAFKA_GROUP_PROTOCOL=protocol, **_QUICK) as daemon:
            self._await(daemon, lambda: self._sink.requests() > 0)
            cpu_of_start = cpu_seconds(daemon.pid)
            self._await(daemon, AllCame(self._sink, events))
            cpu, peak = cpu_seconds(daemon.pid), peak_mib(daemon.pid)
            self._check(daemon, events)
            requests = daemon.total("requests_total")
        timeline = self._sink.timeline()
        figures = {
            "events_per_second": per_second(timeline, events),
            "cpu_us": cpu / events * 1e6,
            "cpu_seconds_of_start": cpu_of_start,
            "requests": requests,
            "first_delivery_seconds": timeline[0][0] - begun,
            "peak_mib": peak,
        }
        if workload == "w2":
            rate = figures["events_per_second"]
            linger = float(_QUICK["BATCH_LINGER_SECONDS"])
            figures["requests_within_linger"] = workloads.w2_requests_within(events, rate, linger)
            figures["ideal_requests"] = workloads.w2_ideal_requests(events)
        if api_seconds:
            figures["allowed"] = IN_FLIGHT / api_seconds * workloads.BATCH_IDS
        return figures

    def live(self, partitions: int) -> Figures:
        """Let the daemon keep up with a steady rate: the highest that goes into many partitions.

        Those are measured first, and few at the same rate then.
        """
        if partitions == MANY_PARTITIONS:
            return at_highest(self._live_rates, lambda rate: self._live_at(rate, partitions))
        return self._live_at(self._live_rates[0], partitions)

    def _live_at(self, asked: int, partitions: int) -> Figures:
        topic, change = self._topic(LIVE, partitions), workloads.live_change(partitions)
        self._sink.begin()
        with self._daemon(topic, KAFKA_AUTO_OFFSET_RESET="latest", **_QUICK) as daemon:
            daemon.wait_ready(PATIENCE_SECONDS)
            with Load(self._broker.bootstrap, topic, asked, change, acks="0"):
                time.sleep(WARM_UP_SECONDS)
                ids, cpu = self._sink.count(), cpu_seconds(daemon.pid)
                time.sleep(LIVE_SECONDS)
                ids, cpu = self._sink.count() - ids, cpu_seconds(daemon.pid) - cpu
        rate = ids / LIVE_SECONDS
        figures = {"asked_per_second": float(asked), "events_per_second": rate}
        if asked / LIVE_NEAR <= rate <= asked * LIVE_NEAR:
            return {"cpu_us": cpu / ids * 1e6, **figures}
        self._say(f"{rate:,.0f} events/s came of {asked:,}: this machine is too busy")
        return {"cpu_us": math.nan, **figures}

    def memory(self) -> Figures:
        """Let the daemon's buffer be full, with default settings, of short ids and of long ones."""
        short, long = self._full("w2"), self._full("long")
        return {"peak_mib": max(short, long), "short_ids": short, "long_ids": long}

    def _full(self, workload: str) -> float:
        topic = self._topic(workload)
        self._sink.begin(SLOW_API_SECONDS)
        with self._daemon(topic) as daemon:
            daemon.wait_log("paused", PATIENCE_SECONDS)
            time.sleep(FULL_SECONDS)
            return peak_mib(daemon.pid)

    def _daemon(self, topic: str, **more: str) -> Daemon:
        """Return a daemon in a group of its own."""
        return Daemon({**self._settings(topic), **more})

    def _settings(self, topic: str) -> dict[str, str]:
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self._broker.bootstrap,
            "KAFKA_TOPICS": topic,
            "KAFKA_GROUP_ID": f"bench-{uuid.uuid4().hex[:8]}",
            "CUSTOMERIO_URL": self._sink.url,
            "CUSTOMERIO_SITE_ID": "site",
            "CUSTOMERIO_API_KEY": "key",
        }

    def _await(self, daemon: Daemon, is_so: Callable[[], bool]) -> None:
        """Wait for what the sink tells."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            if daemon.exit_code is not None or time.monotonic() > deadline:
                raise SystemExit(f"not all changes came: {daemon.evidence()}")
            time.sleep(POLL_SECONDS)

    def _check(self, daemon: Daemon, expected: int) -> None:
        """See that each change came, once, and that the daemon says the same."""
        daemon.await_metric(expected, "ids_total", outcome="delivered")
        came, different = self._sink.count(), self._sink.different()
        if (came, different) != (expected, expected):
            raise SystemExit(f"{expected:,} changes: {came:,} came, {different:,} different ones")

    def _topic(self, workload: str, partitions: int = PARTITIONS) -> str:
        """Return a topic with a workload, which is produced the first time."""
        topic = f"{workload.replace(' ', '-').replace(',', '')}-{partitions}"
        if topic not in self._topics:
            self._topics.add(topic)
            self._broker.create_topic(topic, partitions)
            count = self._count(workload)
            self._say(f"producing {count:,} records of {workload}, {partitions} partitions")
            records = workloads.OF[workload](count)
            workloads.produce(self._broker.bootstrap, topic, partitions, records)
        return topic

    def _count(self, workload: str) -> int:
        if workload == LIVE:  # each partition's first records take a broker far longer
            return MANY_PARTITIONS * workloads.BATCH_RECORDS
        if workload == "long":
            return MOST_HELD_EVENTS
        return int(self._events * _SHARES.get(workload, _OTHERS_SHARE))


def _child(module: str, task: Task, *arguments: str) -> Taken:
    """Let a process of its own do a task."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.bench.{module}", *arguments],
        input=msgspec.json.encode(task),
        stdout=subprocess.PIPE,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=Taken)
