"""The classic protocol with cooperative assignment: two phases, generations, a join barrier."""

from tests.simulation.group import (
    ILLEGAL_GENERATION,
    JOINED,
    OK,
    REBALANCING,
    UNKNOWN_MEMBER,
    Group,
    GroupMember,
    Verdict,
)
from tests.simulation.scheduler import Event

SYNC_SECONDS = 0.02


class ClassicGroup(Group):
    """``generation`` grows with each rebalance. What moves is nobody's for one generation."""

    generation = 0
    state = "stable"  # or preparing, completing
    _timer: Event | None = None

    def join(self, member_id: str, owner: int, owned: frozenset[int], reply: Verdict) -> None:
        """Join or join again; the answer comes when everybody has."""
        member = self.members.get(member_id) if member_id else self._new_member(owner)
        if member is None:
            reply(UNKNOWN_MEMBER, "", 0, frozenset())
            return
        if self.state != "preparing":
            self._prepare()
        member.assigned = set(owned)
        member.reply = reply
        member.awaits = True
        self._complete_if_all_are_there()

    def heartbeat(self, member_id: str, generation: int) -> str:
        """Keep a session alive; return an error, or that everybody is to join again."""
        member = self.members.get(member_id)
        if member is None:
            return UNKNOWN_MEMBER
        if generation != self.generation:
            return ILLEGAL_GENERATION
        self._renew(member)
        return REBALANCING if self.state == "preparing" else OK

    def _refuses(self, member: GroupMember, epoch: int) -> str:
        if epoch != self.generation:
            return ILLEGAL_GENERATION
        if self.state == "completing":
            return REBALANCING
        self._renew(member)
        return OK

    def _removed(self) -> None:
        if self.state == "preparing":
            self._complete_if_all_are_there()
        else:
            self._prepare()

    def _prepare(self) -> None:
        self.state = "preparing"
        for member in self.members.values():
            member.awaits = False
            self._reply(member, REBALANCING)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._scheduler.after(self.rebalance_seconds, self._complete)

    def _complete_if_all_are_there(self) -> None:
        if self.state == "preparing" and all(each.awaits for each in self.members.values()):
            self._complete()

    def _complete(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for member_id in [name for name, each in self.members.items() if not each.awaits]:
            del self.members[member_id]
        if not self.members:
            self.state = "stable"
            return
        self.generation += 1
        self.state = "completing"
        generation = self.generation
        for member in self.members.values():
            if member.reply is not None:
                member.reply(JOINED, member.member_id, generation, frozenset())
        self._scheduler.after(SYNC_SECONDS, lambda: self._sync(generation))

    def _sync(self, generation: int) -> None:
        """Tell all who has what; what somebody still has to give up is nobody's this time."""
        if generation != self.generation or self.state != "completing":
            return
        self.state = "stable"
        having = {name: member.assigned for name, member in self.members.items()}
        target = self._balance(having)
        taken = {partition for each in having.values() for partition in each}
        for name, member in self.members.items():
            wanted = target[name]
            added = sorted(wanted - member.assigned - taken)
            member.assigned &= wanted
            for partition in added:
                self._hand_out(member, partition)
            member.epoch = generation
            member.awaits = False
            self._renew(member)
            self._reply(member, OK)

    def _reply(self, member: GroupMember, error: str) -> None:
        reply, member.reply = member.reply, None
        if reply is not None:
            reply(error, member.member_id, self.generation, frozenset(member.assigned))
