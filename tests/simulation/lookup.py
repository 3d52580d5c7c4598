"""Where partitions stand, asked in the background (``ports.LookupPort``)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from consumer.core.positions import Log
from consumer.engine.ports import Committed, Found, Partition
from tests.simulation.group import Group
from tests.simulation.log import TOPIC, PartitionLog
from tests.simulation.requests import Requests
from tests.simulation.scheduler import Scheduler

if TYPE_CHECKING:
    from tests.simulation.process import Process

LOOK_SECONDS = 2.0
RETRY_SECONDS = 1.0


class Lookup:
    """Asks again what was not answered, and for the topic's id now and then."""

    def __init__(
        self,
        scheduler: Scheduler,
        process: "Process",
        *,
        logs: list[PartitionLog],
        group: Group,
        requests: Requests,
    ) -> None:
        self.wanted: Mapping[Partition, int] = {}
        self.read: frozenset[str] = frozenset()
        self.topic_ids: Mapping[str, str] = {}
        self.trouble = ""
        self._scheduler = scheduler
        self._process = process
        self._logs = logs
        self._group = group
        self._requests = requests
        self._answered: set[int] = set()
        self._found: list[Found] = []
        self._rounds = 0  # only the last one goes on

    def start(self) -> None:
        """Begin to look at the topic's id."""
        self._process.when_running(self._look_at_id)

    def ask_now(self) -> None:
        """Ask for what is wanted."""
        self._rounds += 1
        self._ask(self._rounds)

    def leaders(self) -> dict[Partition, tuple[int, int]]:
        """Return what the leaders say of their logs: the end, and their epoch."""
        return {(TOPIC, log.partition): (log.end, log.leader_epoch) for log in self._logs}

    def found(self) -> Sequence[Found]:
        """Return what was found since."""
        found, self._found = self._found, []
        return found

    def _ask(self, number: int) -> None:
        self._answered.intersection_update(self.wanted.values())
        asked = {name: at for name, at in self.wanted.items() if at not in self._answered}
        if not asked or number != self._rounds:
            return
        self._requests.send(lambda: self._look(asked), self._hear)
        self._scheduler.after(
            RETRY_SECONDS, lambda: self._process.when_running(lambda: self._ask(number))
        )

    def _look(self, asked: Mapping[Partition, int]) -> list[Found]:
        found = []
        for name, number in sorted(asked.items()):
            if self._requests.does_not_say():
                continue
            commit, log = self._group.commits.get(name[1]), self._logs[name[1]]
            committed = Committed(None, "")
            if commit is not None:
                committed = Committed(commit.offset, commit.metadata, commit.leader_epoch)
            seen = Log(log.start, log.end, log.leader_epoch, log.topic_id)
            found.append(Found(name, number, committed, seen))
        return found

    def _hear(self, found: list[Found]) -> None:
        self._found += [each for each in found if each.number not in self._answered]
        self._answered.update(each.number for each in found)

    def _look_at_id(self) -> None:
        self._requests.send(lambda: self._logs[0].topic_id, self._hear_id)
        self._scheduler.after(LOOK_SECONDS, lambda: self._process.when_running(self._look_at_id))

    def _hear_id(self, topic_id: str) -> None:
        self.topic_ids = {TOPIC: topic_id}
