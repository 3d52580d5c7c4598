"""A membership with the classic protocol: joins, waits for everybody, joins again."""

from tests.simulation.classic import ClassicGroup
from tests.simulation.group import JOINED, OK, REBALANCING
from tests.simulation.membership import Callback, Membership


class ClassicMembership(Membership):
    """Joins, waits for everybody, joins again when it gave something up."""

    group: ClassicGroup
    state = "out"  # or joining, member
    needs_join = True
    attempts = 0
    last_heard = 0.0

    def cut(self) -> None:
        """Take in that the connection is lost, and an answer with it."""
        if self.state == "joining":
            self.needs_join = True

    def leave(self) -> None:
        """Tell the group that we go."""
        super().leave()
        member_id = self.member_id
        self._link.request(lambda: self.group.leave(member_id))

    def begin_anew(self) -> None:
        """Be another client's membership; the old one leaves."""
        member_id = self.member_id
        self._link.request(lambda: self.group.leave(member_id))
        self.state, self.needs_join = "out", True
        super().begin_anew()

    def lose(self) -> None:
        """Take in that the group doesn't know us any more."""
        self.state = "out"
        self.needs_join = True
        super().lose()

    def _tells_always(self) -> bool:
        return True

    def _served(self, callback: Callback) -> None:
        if callback.kind != "assigned":
            self.needs_join = True

    def _idle(self) -> None:
        if self.needs_join:
            self._join()

    def _join(self) -> None:
        if self._busy() or self.has_left:
            self.needs_join = True
            return
        member_id, owned = self.member_id, frozenset(self.owned)
        self.state = "joining"
        self.attempts += 1
        attempt = self.attempts
        self.needs_join = not self._link.request(
            lambda: self.group.join(
                member_id,
                self._owner,
                owned,
                lambda *answer: self._link.answer(lambda: self._joined(attempt, *answer)),
            )
        )

    def _joined(
        self, attempt: int, error: str, member_id: str, epoch: int, owned: frozenset[int]
    ) -> None:
        if self.state != "joining" or attempt != self.attempts or self.has_left:
            return
        if error in {JOINED, REBALANCING}:
            self.member_id, self.epoch = member_id, epoch
            if error == REBALANCING:
                self._join()
        elif error:
            self.lose()
        else:
            self.member_id, self.epoch, self.state = member_id, epoch, "member"
            self.last_heard = self._scheduler.now
            self.needs_join = False
            self._take(owned)

    def _tick(self) -> None:
        if self.state == "member":
            silent = self._scheduler.now - self.last_heard
            if silent > self.group.session_seconds:
                self.lose()
                return
            member_id, epoch = self.member_id, self.epoch
            self._link.request(lambda: self._heard(member_id, epoch))
        elif self.needs_join:
            self._join()

    def _heard(self, member_id: str, epoch: int) -> None:
        error = self.group.heartbeat(member_id, epoch)
        self._link.answer(lambda: self._take_heartbeat(error, epoch))

    def _take_heartbeat(self, error: str, epoch: int) -> None:
        if self.state != "member" or self.epoch != epoch or self.has_left:
            return
        if error not in {OK, REBALANCING}:
            self.lose()
            return
        self.last_heard = self._scheduler.now
        if error == REBALANCING:
            self._join()
