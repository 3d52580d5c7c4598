"""The new protocol (KIP-848): the broker reconciles each member by itself, over heartbeats.

The broker checks the member of a commit and its epoch, not whether the partition is still its own.

A static member has a name. Nobody else gets it before the member has left or its session is over.
Once it has left, its partitions wait for the next one of that name until its session would be over.
"""

from tests.simulation.group import (
    FENCED,
    FENCED_NAME,
    NAME_IN_USE,
    OK,
    STALE,
    UNKNOWN_MEMBER,
    Group,
    GroupMember,
    Verdict,
)


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
        instance: str = "",
    ) -> None:
        """Keep a session alive, take in what the member has, say what it is to have."""
        namesake = self._called(instance)
        if epoch == 0:
            if namesake is not None and not namesake.has_left:
                reply(NAME_IN_USE, "", 0, frozenset())
                return
            member = self._new_member(owner)
            member.instance = instance
            if namesake is not None:
                self._replace(namesake, member)
            else:
                self._retarget()
        elif member_id not in self.members:
            reply(FENCED_NAME if namesake else UNKNOWN_MEMBER, "", 0, frozenset())
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

    def leave(self, member_id: str) -> None:
        """Let a member go, a static one until its session would be over."""
        member = self.members.get(member_id)
        if member is None or not member.instance:
            super().leave(member_id)
        else:
            member.has_left = True

    def _called(self, instance: str) -> GroupMember | None:
        named = [each for each in self.members.values() if instance and each.instance == instance]
        return named[0] if named else None

    def _replace(self, old: GroupMember, new: GroupMember) -> None:
        """Give the next one of a name what the one before had; nobody else notices."""
        del self.members[old.member_id]
        self.target[new.member_id] = self.target.pop(old.member_id)

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
        return STALE if member.has_left or epoch != member.epoch else OK

    def _removed(self) -> None:
        self._retarget()

    def _retarget(self) -> None:
        self.epoch += 1
        self.target = self._balance({name: self.target.get(name, set()) for name in self.members})
