"""A membership with the new protocol (KIP-848): all of it goes by heartbeats."""

from tests.simulation.group import FENCED_NAME, NAME_IN_USE
from tests.simulation.kip848 import NewGroup
from tests.simulation.membership import Callback, Membership

NAME_SECONDS = 1.5


class NewMembership(Membership):
    """Tells what it has, hears what it is to have. Its session is never over by its own clock.

    One heartbeat is on its way at a time, as librdkafka has it. ``instance`` is a static member's
    name; while somebody else has it, the client asks for it now and then.
    """

    group: NewGroup
    instance = ""
    is_in_transit = False
    not_before = 0.0

    def cut(self) -> None:
        """Take in that the connection is lost, and an answer with it."""
        self.is_in_transit = False

    def leave(self) -> None:
        """Tell the group that we go."""
        super().leave()
        member_id = self.member_id
        self._link.request(lambda: self.group.leave(member_id))

    def begin_anew(self) -> None:
        """Be another client's membership; the old one leaves."""
        member_id = self.member_id
        self._link.request(lambda: self.group.leave(member_id))
        self.is_in_transit = False
        super().begin_anew()

    def _served(self, callback: Callback) -> None:
        """Say nothing yet: `_idle` will."""

    def _idle(self) -> None:
        if self._target is not None:
            target, self._target = self._target, None
            self._take(target)
        if not self.callbacks and not self.has_left:
            self._tick()

    def _tick(self) -> None:
        if self.is_in_transit or (self.epoch == 0 and self._busy()):
            return
        if self._scheduler.now < self.not_before:
            return
        member_id, epoch, owned = self.member_id, self.epoch, frozenset(self.owned)
        self.is_in_transit = self._link.request(
            lambda: self.group.heartbeat(
                member_id,
                self._owner,
                epoch,
                owned,
                lambda *answer: self._link.answer(lambda: self._heard(epoch, *answer)),
                self.instance,
            )
        )

    def _heard(
        self, asked: int, error: str, member_id: str, epoch: int, assigned: frozenset[int]
    ) -> None:
        self.is_in_transit = False
        if self.has_left or (asked == 0) != (self.epoch == 0):
            return
        if error in {NAME_IN_USE, FENCED_NAME}:
            self.not_before = self._scheduler.now + NAME_SECONDS
        if error:
            self.lose()
            return
        self.member_id, self.epoch = member_id, epoch
        if self._busy():
            self._target = assigned
        else:
            self._take(assigned)
