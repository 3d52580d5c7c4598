"""The new protocol (KIP-848): the broker reconciles each member by itself, over heartbeats.

The broker checks the member of a commit and its epoch, not whether the partition is still its own.
"""

from tests.simulation.group import FENCED, OK, STALE, UNKNOWN_MEMBER, Group, GroupMember, Verdict


class NewGroup(Group):
    """``target`` is what each member is to have in the end."""

    epoch = 0

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]  # just as the base has it
        self.target: dict[str, set[int]] = {}

    def heartbeat(
        self,
        member_id: str,
        owner: int,
        epoch: int,
        owned: frozenset[int],
        reply: Verdict,
    ) -> None:
        """Keep a session alive, take in what the member has, say what it is to have."""
        if epoch == 0:
            member = self._new_member(owner)
            self._retarget()
        elif member_id not in self.members:
            reply(UNKNOWN_MEMBER, "", 0, frozenset())
            return
        else:
            member = self.members[member_id]
        if epoch > member.epoch:
            reply(FENCED, "", 0, frozenset())
            return
        self._renew(member)
        if member.leaving and not member.leaving & owned:
            member.leaving = set()
        self._reconcile(member)
        reply(OK, member.member_id, member.epoch, frozenset(member.assigned))

    def _reconcile(self, member: GroupMember) -> None:
        wanted = self.target[member.member_id]
        if surplus := member.assigned - wanted:
            member.assigned -= surplus
            if not member.leaving:
                member.leaving_since = self._scheduler.now
                self._scheduler.after(self.rebalance_seconds, lambda: self._give_up_on(member))
            member.leaving |= surplus
        if member.leaving:
            return
        member.epoch = self.epoch
        others = [each for each in self.members.values() if each is not member]
        taken = {each for other in others for each in other.assigned | other.leaving}
        for partition in sorted(wanted - member.assigned - taken):
            self._hand_out(member, partition)

    def _give_up_on(self, member: GroupMember) -> None:
        is_there = self.members.get(member.member_id) is member
        waited = self._scheduler.now - member.leaving_since
        if is_there and member.leaving and waited >= self.rebalance_seconds:
            self._remove(member.member_id)

    def _refuses(self, member: GroupMember, epoch: int) -> str:
        return STALE if epoch != member.epoch else OK

    def _removed(self) -> None:
        self._retarget()

    def _retarget(self) -> None:
        self.epoch += 1
        self.target = self._balance({name: self.target.get(name, set()) for name in self.members})
