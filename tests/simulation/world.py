"""A world from a seed: brokers, the API, producers, processes; chaos, then calm, then a verdict."""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from consumer.engine.loop import Loop
from tests.simulation.account import Account
from tests.simulation.api import Api, ApiWeather
from tests.simulation.carriers import Carriers
from tests.simulation.classic import ClassicGroup
from tests.simulation.classic_membership import ClassicMembership
from tests.simulation.client import Client
from tests.simulation.dead_letters import DeadLetters, DeadLetterWeather
from tests.simulation.faults import Faults
from tests.simulation.fetcher import Fetcher
from tests.simulation.kafka_weather import KafkaWeather
from tests.simulation.kip848 import NewGroup
from tests.simulation.kip848_membership import NewMembership
from tests.simulation.link import Link
from tests.simulation.log import PartitionLog
from tests.simulation.lookup import Lookup
from tests.simulation.oracle import Oracle, Violation
from tests.simulation.process import Process
from tests.simulation.producer import MAX_IDS_OF_MORE_CHANGES, MAX_IDS_PER_RECORD, Producer
from tests.simulation.requests import Requests
from tests.simulation.scheduler import Scheduler
from tests.simulation.setup import Setup, draw_setup
from tests.simulation.snapshots import Snapshots
from tests.simulation.verdict import check_last_words

if TYPE_CHECKING:
    from consumer.core.pipeline import Pipeline
    from consumer.engine.ports import Ports

PATIENCE_SECONDS = 60.0
LONG_SECONDS = 600.0
LOOK_SECONDS = 0.25
LOOK_AT_HEALTHY_SECONDS = 1.0
TWICE = 0.1  # of the processes of static members: those whose name another may have

LoopOf = Callable[["Process", "Pipeline", "Ports"], Loop]
Groups = dict[str, type[ClassicGroup] | type[NewGroup]]


class World:
    """``events`` is what happened: (when, which process, what)."""

    groups: ClassVar[Groups] = {"classic": ClassicGroup, "new": NewGroup}
    oracle_of: ClassVar[type[Oracle]] = Oracle

    def __init__(self, seed: int, loop_of: LoopOf, setup: Setup | None = None) -> None:
        self.setup: Setup = setup or draw_setup(seed)
        self.draw = random.Random(f"world {seed}")
        self.events: list[tuple[float, int | None, tuple[object, ...]]] = []
        self.scheduler = Scheduler()
        self.logs = [PartitionLog(each) for each in range(self.setup.partitions)]
        self.oracle = self.oracle_of(self.logs, self.setup.rules.batch_max_ids)
        self.kafka_weather = KafkaWeather()
        self.dead_letter_weather = DeadLetterWeather()
        weather = ApiWeather(self.setup.latency)
        self.api = Api(self.scheduler, self.draw, weather, self.oracle.received)
        self.group = self.groups[self.setup.protocol](
            self.scheduler,
            self.logs,
            self.oracle,
            session_seconds=self.setup.session_seconds,
            rebalance_seconds=self.setup.rebalance_seconds,
        )
        self.processes: list[Process] = []
        self.ever_failing: set[int] = set()  # segments of a failing minority
        self._loop_of = loop_of
        self._seen: object = None
        self._progress_at = 0.0
        self.producer = Producer(self.scheduler, self.draw, self.setup, self.logs)
        self.faults = Faults(self)

    # -- the course of things ---------------------------------------------------------------------

    def run(self) -> None:
        """Live from the beginning to the end. Raises `Violation`."""
        try:
            self.producer.start()
            for _ in range(self.setup.members):
                self.scheduler.after(2.0 * self.draw.random(), self.start_process)
            self.faults.start()
            if self.setup.is_patchy:
                self.scheduler.after(LOOK_AT_HEALTHY_SECONDS, self._look_at_healthy)
            self.scheduler.at(self.setup.chaos_seconds, self._end_chaos)
            self.scheduler.run()
            check_last_words(self)
        finally:
            self.scheduler.close()

    def trace(self, who: int | None, *what: object) -> None:
        """Take down what happened."""
        self.events.append((self.scheduler.now, who, what))

    def alive(self) -> list[Process]:
        """Return the processes that run, or would if they weren't frozen."""
        return [process for process in self.processes if not process.is_dead]

    def _end_chaos(self) -> None:
        self.trace(None, "calm")
        self.faults.stop()
        self.producer.stop()
        if all(process.stop_asked_at is not None for process in self.alive()):
            self.start_process()
        self._progress_at = self.scheduler.now
        self.scheduler.after(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Wait until everything is committed, at most so long without any progress (I8)."""
        behind = {log.partition: log.end for log in self.logs if not self._is_committed(log)}
        if not behind:
            self.trace(None, "settled")
            for process in self.alive():
                process.ask_to_stop()
            overdue = self.setup.options.drain_timeout_seconds + 5.0
            self.scheduler.after(max(overdue, 6.0), self.scheduler.stop)
        else:
            now, seen = self.scheduler.now, (dict(self.group.commits), self.oracle.requests)
            if seen != self._seen:
                self._seen, self._progress_at = seen, now
            told_to_wait = max(0.0, self.api.asked_to_wait_until - self.setup.chaos_seconds)
            if now > max(self._progress_at, self.api.asked_to_wait_until) + PATIENCE_SECONDS:
                raise Violation(f"I8: no progress in {PATIENCE_SECONDS} s of calm: {behind}")
            if now > self.setup.chaos_seconds + LONG_SECONDS + told_to_wait:
                raise Violation(f"I8: behind after {LONG_SECONDS} s of calm: {behind}")
            self.scheduler.after(LOOK_SECONDS, self._look)

    def _look_at_healthy(self) -> None:
        """Look whether segments that are well wait for those that aren't (I8)."""
        if self.scheduler.now < self.setup.chaos_seconds:
            for process in self.alive():
                self.oracle.check_healthy(process, self.ever_failing, self.setup.rules)
            self.scheduler.after(LOOK_AT_HEALTHY_SECONDS, self._look_at_healthy)

    def _is_committed(self, log: PartitionLog) -> bool:
        """Whether all is; who sees no leader can't commit what is behind the last record."""
        commit = self.group.commits.get(log.partition)
        if commit is None or not log.is_of(commit):
            return False
        is_blind, records = self.setup.is_blind, log.between(commit.offset, log.end)
        return not records if is_blind else commit.offset == log.end

    # -- what faults do ---------------------------------------------------------------------------

    def start_process(self) -> None:
        """Begin a new process."""
        setup, scheduler, draw = self.setup, self.scheduler, self.draw
        number = len(self.processes)
        most = MAX_IDS_PER_RECORD + (MAX_IDS_OF_MORE_CHANGES if setup.is_mapped else 0)
        snapshots = Snapshots(setup.rules.buffer_max_ids, most)
        process = Process(
            number,
            setup,
            scheduler,
            draw,
            publish=lambda process, published: snapshots.look(
                published, process.pipeline.ledgers.values()
            ),
            trace=self.trace,
        )
        process.link = Link(scheduler, draw, process)
        self.oracle.accounts[number] = Account(skips=setup.rules.reject_policy == "skip")
        kind = ClassicMembership if isinstance(self.group, ClassicGroup) else NewMembership
        membership = kind(
            scheduler,
            process.link,
            process,
            owner=number,
            heartbeat_seconds=setup.heartbeat_seconds,
            wake=process.poke,
        )
        membership.group = self.group
        if isinstance(membership, NewMembership):
            membership.instance = process.name = self._free_name() if setup.is_static else ""
        requests = Requests(
            scheduler,
            draw,
            process,
            link=process.link,
            group=self.group,
            weather=self.kafka_weather,
            commit_timeout_seconds=setup.commit_timeout_seconds,
        )
        process.client = Client(
            scheduler,
            process,
            link=process.link,
            group=self.group,
            requests=requests,
            membership=membership,
            fetcher=Fetcher(
                self.logs,
                lambda record: self.oracle.handed(process, record),
                lambda partition, _: self.oracle.begun(process, partition),
                setup.prefetch_records,
            ),
            poll_records=setup.poll_records,
        )
        process.lookup = Lookup(
            scheduler, process, logs=self.logs, group=self.group, requests=requests
        )
        process.carriers = Carriers(
            scheduler,
            draw,
            process,
            self.api,
            sent=self.oracle.sent,
            collected=self.oracle.collected,
            origins_of=lambda attempt: self.oracle.origins_of(process, attempt),
        )
        process.dead_letters = DeadLetters(
            scheduler, draw, process, self.dead_letter_weather, self.oracle.buried
        )
        self.processes.append(process)
        self.trace(number, "started")
        process.start(self._loop_of)

    def _free_name(self) -> str:
        """Return the first name that no process has; now and then one that another has."""
        names = [f"name-{number}" for number in range(len(self.alive()) + 1)]
        if self.draw.random() < TWICE:
            return self.draw.choice(names)
        return next(name for name in names if all(name != each.name for each in self.alive()))

    def delete_head(self, log: PartitionLog, before: int) -> None:
        """Let retention do its work."""
        settled_up_to = self.oracle.settled_up_to(log.partition)
        for record in log.delete_head(before):
            record.is_lost = record.offset >= settled_up_to

    def truncate(self, log: PartitionLog, to: int, then_up_to: int) -> None:
        """Let a partition lose its end, and others write to it before anybody looks."""
        for record in log.truncate(to):
            record.is_lost = True
        self.producer.fill(log, then_up_to)

    def make_topic_anew(self, share: float) -> None:
        """Delete the topic, its commits with it, make it again, and fill it up to that share."""
        for log in self.logs:
            end = log.end
            for record in log.make_anew():
                record.is_lost = True
            self.group.commits.pop(log.partition, None)
            self.producer.fill(log, round(end * share))
