"""The group at its coordinator, what both protocols share: members, sessions and commits.

A subclass says when partitions move. Whatever it does, a partition is handed out to one member at a
time: until it was given up, or its member's session is over, nobody else gets it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from consumer.engine.ports import Offsets
from tests.simulation.scheduler import Scheduler

if TYPE_CHECKING:
    from tests.simulation.log import PartitionLog

OK = ""
JOINED = "joined"  # no error: the new generation is known, who has what is not yet
UNKNOWN_MEMBER = "UNKNOWN_MEMBER_ID"
ILLEGAL_GENERATION = "ILLEGAL_GENERATION"
FENCED = "FENCED_MEMBER_EPOCH"
STALE = "STALE_MEMBER_EPOCH"
REBALANCING = "REBALANCE_IN_PROGRESS"
FENCED_NAME = "FENCED_INSTANCE_ID"
NAME_IN_USE = "UNRELEASED_INSTANCE_ID"

Verdict = Callable[[str, str, int, frozenset[int]], None]
"""What the client hears: an error, its name, the generation or epoch, its partitions."""


@dataclass(slots=True, eq=False)
class GroupMember:
    """A member as the coordinator knows it; ``owner`` is the process, for the oracle only."""

    member_id: str
    owner: int
    expires_at: float
    instance: str = ""  # the name of a static member
    has_left: bool = False  # a static one, whose partitions wait for it
    epoch: int = 0
    assigned: set[int] = field(default_factory=set)
    leaving: set[int] = field(default_factory=set)  # to be revoked, not given up yet
    leaving_since: float = 0.0
    reply: Verdict | None = None
    awaits: bool = False


@dataclass(frozen=True, slots=True)
class Commit:
    """A committed offset."""

    offset: int
    metadata: str
    leader_epoch: int | None


class Watch:
    """Whoever wants to know what the coordinator did."""

    def handed_out(self, partition: int, owner: int) -> None:
        """Hear that a partition is a process's now."""

    def committed(
        self, partition: int, owner: int, old: Commit | None, new: Commit, *, is_repeated: bool
    ) -> None:
        """Hear of a commit; ``is_repeated``: the client repeated it, after others maybe."""


class Group:
    """What is the same with both protocols."""

    def __init__(
        self,
        scheduler: Scheduler,
        logs: "list[PartitionLog]",
        watch: Watch,
        *,
        session_seconds: float,
        rebalance_seconds: float,
    ) -> None:
        self.members: dict[str, GroupMember] = {}
        self.commits: dict[int, Commit] = {}
        self.owners: dict[int, int] = {}  # by partition, who had it last
        self.session_seconds = session_seconds
        self.rebalance_seconds = rebalance_seconds
        self._scheduler = scheduler
        self._logs = logs
        self._watch = watch
        self._names = 0

    # -- what clients ask for ---------------------------------------------------------------------

    def commit(
        self, member_id: str, epoch: int, offsets: dict[int, Offsets], *, is_repeated: bool = False
    ) -> str:
        """Commit, if that member may; return an error or OK."""
        member = self.members.get(member_id)
        error = UNKNOWN_MEMBER if member is None else self._refuses(member, epoch)
        if error or member is None:
            return error
        for partition, each in offsets.items():
            old = self.commits.get(partition)
            new = Commit(each.offset, each.metadata, each.leader_epoch)
            self.commits[partition] = new
            self._watch.committed(partition, member.owner, old, new, is_repeated=is_repeated)
        return OK

    def leave(self, member_id: str) -> None:
        """Let a member go."""
        if member_id in self.members:
            self._remove(member_id)

    def _refuses(self, member: GroupMember, epoch: int) -> str:
        raise NotImplementedError

    def _removed(self) -> None:
        raise NotImplementedError

    # -- sessions ---------------------------------------------------------------------------------

    def _new_member(self, owner: int) -> GroupMember:
        self._names += 1
        member = GroupMember(f"member-{self._names}", owner, 0.0)
        self.members[member.member_id] = member
        self._renew(member)
        self._watch_session(member)
        return member

    def _renew(self, member: GroupMember) -> None:
        member.expires_at = self._scheduler.now + self.session_seconds

    def _watch_session(self, member: GroupMember) -> None:
        self._scheduler.at(member.expires_at, lambda: self._look_at_session(member))

    def _look_at_session(self, member: GroupMember) -> None:
        if self.members.get(member.member_id) is not member:
            return
        if member.awaits:
            self._renew(member)
        if member.expires_at <= self._scheduler.now:
            self._remove(member.member_id)
        else:
            self._watch_session(member)

    def _remove(self, member_id: str) -> None:
        del self.members[member_id]
        self._removed()

    def _hand_out(self, member: GroupMember, partition: int) -> None:
        member.assigned.add(partition)
        self.owners[partition] = member.owner
        self._watch.handed_out(partition, member.owner)

    # -- who should have what ---------------------------------------------------------------------

    def _balance(self, having: dict[str, set[int]]) -> dict[str, set[int]]:
        """Return a balanced assignment that moves as little as possible."""
        count, names = len(self._logs), sorted(having)
        if not names:
            return {}
        target: dict[str, set[int]] = {}
        free = set(range(count))
        by_load = sorted(names, key=lambda name: (-len(having[name]), name))
        for place, name in enumerate(by_load):
            quota = count // len(names) + (place < count % len(names))
            target[name] = set(sorted(having[name] & free)[:quota])
            free -= target[name]
        for partition in sorted(free):
            name = min(names, key=lambda each: (len(target[each]), each))
            target[name].add(partition)
        return target
