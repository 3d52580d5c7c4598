"""A big group in good weather: all members start, rest, some are replaced, some more come.

The settings are the defaults, the oracle watches as in every world. Time is virtual; one thing
follows the other as soon as the group has come to rest, where Kubernetes has a new member be ready
for a while first.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from consumer.core.rules import Rules
from consumer.engine.ports import Options
from consumer.settings.agreement import heartbeat_interval_seconds
from tests.scale.paper import DRAIN, SESSION, TIMEOUT, default
from tests.simulation.coordinator import Counted, CountedClassic, CountedNew, Seen, Watcher
from tests.simulation.log import PartitionLog, Record
from tests.simulation.producer import Producer
from tests.simulation.run import LoopOf, real_loop
from tests.simulation.setup import Setup
from tests.simulation.verdict import check_last_words
from tests.simulation.world import LOOK_SECONDS, Groups, World

START_SECONDS = 2.0  # of a process, until it joins
RECORDS_PER_MEMBER = 1.5  # a second: it has something to settle nearly all the time
QUIET_SECONDS = 20.0
REST_SECONDS = 1.0
NEVER_SECONDS = 3600.0
MAX_POLL_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Size:
    """``replaced`` are replaced one by one, then ``added`` come at a time."""

    members: int
    partitions: int
    replaced: int
    added: int


def setup_of(protocol: str, size: Size, requests_per_second: float) -> Setup:
    """Return a calm world of that size with the settings' defaults."""
    heartbeat = heartbeat_interval_seconds(protocol, SESSION)
    return Setup(
        protocol="classic" if protocol == "classic" else "new",
        members=size.members,
        partitions=size.partitions,
        customers=20,
        latency=0.1,
        segments=(1, 2, 3),
        id_types=("id",),
        records_per_second=RECORDS_PER_MEMBER * size.members,
        chaos_seconds=NEVER_SECONDS,
        faults_per_second=0.0,
        session_seconds=SESSION,
        heartbeat_seconds=heartbeat,
        rebalance_seconds=MAX_POLL_SECONDS,
        tells_session=True,
        max_in_flight=int(default("customerio_max_in_flight")),
        requests_per_second=requests_per_second,
        poll_records=500,
        prefetch_records=500,
        commit_timeout_seconds=10.0,
        hiccups=0.0,
        is_calm=True,
        is_patchy=False,
        is_blind=False,
        look_seconds=12.0,
        is_torn=False,
        is_static=False,
        is_mapped=False,
        is_framed=False,
        rules=Rules(
            batch_max_ids=int(default("batch_max_ids")),
            linger_seconds=default("batch_linger_seconds"),
            buffer_max_ids=int(default("buffer_max_ids")),
            request_timeout_seconds=TIMEOUT,
            max_backoff_seconds=default("retry_max_backoff_seconds"),
            reject_policy="dead-letter",
            dead_letter_max_consecutive=int(default("dead_letter_max_consecutive")),
        ),
        options=Options(
            request_timeout_seconds=TIMEOUT,
            drain_timeout_seconds=DRAIN,
            commit_interval_seconds=default("commit_interval_seconds"),
            session_timeout_seconds=SESSION,
            heartbeat_interval_seconds=heartbeat,
            offset_reset="earliest",
            needs_dead_letters=True,
            asks_session=protocol == "consumer",
        ),
    )


class HealthyProducer(Producer):
    """Writes records of one customer each, with which nothing is wrong."""

    def _record(self, log: PartitionLog) -> Record:
        draw, partition = self._draw, log.partition
        segment, action = draw.choice(self._setup.segments), draw.choice(("add", "remove"))
        name = f"c-{partition}-{draw.randrange(self._setup.customers)}"
        value = json.dumps({"segment_id": segment, "action": action, "id": name}).encode()
        at = self._scheduler.now
        return Record(partition, log.end, at, value, (segment, "id"), action, (name,))


class Fleet(World):
    """``phases`` has when each began, and what was done then; the last is the end."""

    groups: ClassVar[Groups] = {"classic": CountedClassic, "new": CountedNew}
    oracle_of = Watcher

    def __init__(self, setup: Setup, size: Size, loop_of: LoopOf = real_loop) -> None:
        super().__init__(0, loop_of, setup)
        assert isinstance(self.group, Counted)
        assert isinstance(self.oracle, Watcher)
        self.seen = self.oracle.seen = self.group.seen = Seen()
        self.phases: list[tuple[str, float]] = [("start", 0.0)]
        self.producer = HealthyProducer(self.scheduler, self.draw, setup, self.logs)
        self._coordinator = self.group
        self._size = size

    def run(self) -> None:
        """Live from the beginning to the end. Raises `Violation`."""
        try:
            self.producer.start()
            self._start(self.setup.members)
            self._go_on(self._course())
            self.scheduler.run()
            check_last_words(self)
        finally:
            self.scheduler.close()

    @property
    def released(self) -> int:
        """Return how many ids were given up."""
        return sum(process.loop.released for process in self.processes)

    @property
    def duplicates(self) -> int:
        """Return how many times a change was applied once more."""
        return sum(count - 1 for count in self.oracle.applications.values())

    def trace(self, who: int | None, *what: object) -> None:
        """Take down what happened, and which partitions are read no more."""
        super().trace(who, *what)
        match who, what:
            case int(number), ("SIGTERM", *_):
                self.seen.put_down(self.processes[number].client.membership.owned, self._now)
            case int(), ("revoked" | "lost", list(partitions)):
                self.seen.put_down(partitions, self._now)

    @property
    def _now(self) -> float:
        return self.scheduler.now

    def _course(self) -> Iterator[float]:
        """Do one thing after the other; yield how long it takes before all may be at rest."""
        yield START_SECONDS
        self._begin("quiet")
        yield QUIET_SECONDS
        self._begin("replaced")
        for number in range(self._size.replaced):
            self.processes[number].ask_to_stop()
            self.scheduler.after(START_SECONDS, self.start_process)
            yield START_SECONDS + REST_SECONDS
        self._begin("added")
        self._start(self._size.added)
        yield START_SECONDS + REST_SECONDS
        self._begin("end")
        self._end_chaos()

    def _start(self, count: int) -> None:
        for _ in range(count):
            self.scheduler.after(START_SECONDS * self.draw.random(), self.start_process)

    def _begin(self, name: str) -> None:
        self.phases.append((name, self._now))

    def _go_on(self, course: Iterator[float]) -> None:
        seconds = next(course, None)
        if seconds is not None:
            self.scheduler.after(seconds, lambda: self._await_rest(course))

    def _await_rest(self, course: Iterator[float]) -> None:
        if self._is_at_rest():
            self._go_on(course)
        else:
            self.scheduler.after(LOOK_SECONDS, lambda: self._await_rest(course))

    def _is_at_rest(self) -> bool:
        return (
            self._now > self.seen.rebalances[-1] + REST_SECONDS
            and not self.seen.unread
            and self._coordinator.is_at_rest()
            and not any(each.client.membership.callbacks for each in self.alive())
        )
