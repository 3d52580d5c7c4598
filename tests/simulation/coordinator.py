"""What the coordinator of a big group sees: requests by kind, rebalances, partitions that move."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.simulation.classic import ClassicGroup
from tests.simulation.group import Group, Verdict
from tests.simulation.kip848 import NewGroup
from tests.simulation.oracle import Oracle

if TYPE_CHECKING:
    from consumer.engine.ports import Offsets
    from tests.simulation.api import Request
    from tests.simulation.process import Process


@dataclass(slots=True)
class Seen:
    """All with the moment; seconds of virtual time.

    A partition's gap is from the moment at which its owner reads no more, as it drains, to the one
    at which the next owner reads on. A wait is from when a record was written to when the API
    applied it.
    """

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)  # by kind, whole second
    rebalances: list[float] = field(default_factory=list)
    moves: list[float] = field(default_factory=list)
    gaps: list[tuple[float, float]] = field(default_factory=list)
    waits: list[tuple[float, float]] = field(default_factory=list)
    unread: dict[int, float] = field(default_factory=dict)  # since when

    def put_down(self, partitions: Iterable[int], now: float) -> None:
        """Take down that partitions are read no more."""
        for partition in partitions:
            self.unread.setdefault(partition, now)

    def taken_up(self, partition: int, now: float) -> None:
        """Take down that a partition is read again."""
        since = self.unread.pop(partition, None)
        if since is not None:
            self.gaps.append((since, now - since))

    def a_second(self, kind: str, begin: float, end: float) -> list[int]:
        """Return how many requests of a kind there were in each whole second of that time."""
        return [self.requests[kind, second] for second in range(int(begin) + 1, int(end))]


class Counted(Group):
    """Counts in ``seen`` what comes in."""

    seen: Seen

    def is_at_rest(self) -> bool:
        """Whether all have what they should have."""
        raise NotImplementedError

    def commit(
        self,
        member_id: str,
        epoch: int,
        offsets: "dict[int, Offsets]",
        *,
        is_repeated: bool = False,
    ) -> str:
        """Commit, and count it, also if it is refused."""
        self._count("commit")
        return super().commit(member_id, epoch, offsets, is_repeated=is_repeated)

    def _count(self, kind: str) -> None:
        self.seen.requests[kind, int(self._scheduler.now)] += 1

    def _rebalanced(self) -> None:
        self.seen.rebalances.append(self._scheduler.now)


class CountedClassic(Counted, ClassicGroup):
    """A rebalance is a generation. To each join belongs a SyncGroup, which is not counted."""

    def is_at_rest(self) -> bool:
        """Whether nobody is to join again."""
        return self.state == "stable"

    def join(self, member_id: str, owner: int, owned: frozenset[int], reply: Verdict) -> None:
        """Join, and count it."""
        self._count("join")
        super().join(member_id, owner, owned, reply)

    def heartbeat(self, member_id: str, generation: int) -> str:
        """Keep a session alive, and count it."""
        self._count("heartbeat")
        return super().heartbeat(member_id, generation)

    def _complete(self) -> None:
        before = self.generation
        super()._complete()
        if self.generation != before:
            self._rebalanced()


class CountedNew(Counted, NewGroup):
    """A rebalance is a new target. All else goes by heartbeats."""

    def is_at_rest(self) -> bool:
        """Whether all have what they are to have in the end."""
        return all(
            not each.leaving and each.assigned == self.target[name]
            for name, each in self.members.items()
        )

    def heartbeat(
        self,
        member_id: str,
        owner: int,
        epoch: int,
        owned: frozenset[int],
        reply: Verdict,
        instance: str = "",
    ) -> None:
        """Keep a session alive, and count it."""
        self._count("heartbeat")
        super().heartbeat(member_id, owner, epoch, owned, reply, instance)

    def _retarget(self) -> None:
        super()._retarget()
        self._rebalanced()


class Watcher(Oracle):
    """The oracle, which takes down in ``seen``, too, what moves and how long things take."""

    seen: Seen

    def begun(self, process: "Process", partition: int) -> None:
        """Take down that a process reads a partition now."""
        now = process.now()
        self.seen.moves.append(now)
        self.seen.taken_up(partition, now)
        super().begun(process, partition)

    def received(self, request: "Request") -> None:
        """Look at a request as the API applies it."""
        super().received(request)
        now = request.process.now()
        for partition, _, offset in request.origins.values():
            for record in self.logs[partition].between(offset, offset + 1):
                self.seen.waits.append((record.at, now - record.at))
