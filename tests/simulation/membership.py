"""A client's membership in the group, as librdkafka keeps it in the background.

What the group decides becomes callbacks that the application serves inside ``consume`` or
``close``; while one is being served, or waits for that, the client doesn't join again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation.link import Host, Link
from tests.simulation.scheduler import Scheduler


@dataclass(frozen=True, slots=True)
class Callback:
    """What the application is to be told."""

    kind: str  # assigned, revoked, lost
    partitions: frozenset[int]


class Membership:
    """``owned`` is what the group gave us and we have not given up."""

    def __init__(
        self,
        scheduler: Scheduler,
        link: Link,
        host: Host,
        *,
        owner: int,
        heartbeat_seconds: float,
        wake: Callable[[], None],
    ) -> None:
        self.member_id = ""
        self.epoch = 0
        self.owned: set[int] = set()
        self.callbacks: list[Callback] = []
        self.is_serving = False
        self.has_left = False
        self._scheduler = scheduler
        self._link = link
        self._host = host
        self._owner = owner
        self._heartbeat_seconds = heartbeat_seconds
        self._wake = wake
        self._target: frozenset[int] | None = None

    def start(self) -> None:
        """Join, and stay alive."""
        self._host.when_running(self._beat)

    def serve(self, tell: Callable[[str, list[int]], None]) -> bool:
        """Tell the application the next thing it has to know; return whether there was one."""
        if not self.callbacks:
            return False
        callback = self.callbacks.pop(0)
        partitions = set(callback.partitions)
        if callback.kind == "assigned":
            self.owned |= partitions
        else:
            partitions &= self.owned
        if partitions or callback.kind == "assigned":
            self.is_serving = True
            tell(callback.kind, sorted(partitions))
            self.is_serving = False
        if callback.kind != "assigned":
            self.owned -= partitions
        self._served(callback)
        if not self.callbacks:
            self._idle()
        return True

    def lose(self) -> None:
        """Take in that the group doesn't know us any more."""
        self.epoch = 0
        self.member_id = ""
        self._target = None
        self.callbacks = [Callback("lost", frozenset(range(10_000)))]
        self._wake()

    def begin_anew(self) -> None:
        """Be another client's membership, which begins with nothing."""
        self.epoch = 0
        self.member_id = ""
        self._target = None
        self.callbacks.clear()
        self.owned.clear()

    def mended(self) -> None:
        """Take in that there is a connection again: a heartbeat is overdue, and goes first."""
        if not self.has_left:
            self._tick()

    def leave(self) -> None:
        """Say that we go."""
        self.has_left = True

    def _busy(self) -> bool:
        return self.is_serving or bool(self.callbacks)

    def _take(self, target: frozenset[int]) -> None:
        """Begin to get from what we have to what we should have."""
        revoked, added = self.owned - target, target - self.owned
        if revoked:
            self.callbacks.append(Callback("revoked", frozenset(revoked)))
        if added or self._tells_always():
            self.callbacks.append(Callback("assigned", frozenset(added)))
        if self.callbacks:
            self._wake()

    def _tells_always(self) -> bool:
        return False

    def _served(self, callback: Callback) -> None:
        raise NotImplementedError

    def _idle(self) -> None:
        raise NotImplementedError

    def _tick(self) -> None:
        raise NotImplementedError

    def _beat(self) -> None:
        if not self.has_left:
            self._tick()
            seconds = self._heartbeat_seconds
            self._scheduler.after(seconds, lambda: self._host.when_running(self._beat))
