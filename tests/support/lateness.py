"""What the stand-in applied later than any client can know, because its machine was too busy.

A client takes a request for over when the timeout since its start is (`consumer.core.lanes`), and
what is applied later nobody can put in order. The stand-in means to apply everything well before.
But while it stands still requests lie in its sockets, and what it was to apply waits: once it did
for 2.8 s, and applied what two owners had sent in the wrong order when it woke up.
"""

import bisect
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from consumer import clock

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from consumer.commands.demo.standin import StandinRequest

_BEAT_SECONDS = 0.02
_MOST_BEATS = 200_000
_BEATS_BACK = 10
"""So many beats may be between a request's coming and its reading, with no time lost in between.

There is one in a turn of the event loop at most, and a connection is accepted in one turn, known in
another and read in a third; before that a proxy's thread may have to pass it on.
"""


class Beats:
    """When an event loop was awake. Its own thread adds to it; any may read."""

    def __init__(self) -> None:
        self._moments: list[float] = []

    def begin(self) -> None:
        """Count from now on: nothing that will be read can have come before."""
        self._moments += [clock.now()] * _BEATS_BACK

    def go_on(self, loop: "asyncio.AbstractEventLoop") -> None:
        """Beat as long as the loop runs; called in its thread."""
        moments = self._moments
        moments.append(clock.now())
        if len(moments) > _MOST_BEATS:
            self._moments = moments[_MOST_BEATS // 2 :]
        loop.call_later(_BEAT_SECONDS, self.go_on, loop)

    def before(self, moment: float) -> float:
        """Return since when what was read at ``moment`` may have been there, at the earliest."""
        moments = self._moments
        earliest = moments[max(0, bisect.bisect_right(moments, moment) - _BEATS_BACK)]
        return min(earliest, moment)


class Applied(NamedTuple):
    """An action that took effect on an id. In seconds of ``clock.now()``.

    ``came_at``: when its request was there at the earliest, be it before it could be read.
    """

    came_at: float
    applied_at: float
    action: str

    def is_late(self, timeout_seconds: float) -> bool:
        """Whether a client with this timeout may have taken it for over by then."""
        return self.applied_at - self.came_at > timeout_seconds


class Lateness:
    """Keeps what was applied last, and when. Any thread may ask."""

    def __init__(self, limit: int) -> None:
        self.beats = Beats()
        self._applied: deque[tuple[StandinRequest, float]] = deque(maxlen=limit)

    def note(self, request: "StandinRequest") -> None:
        """Note that a request is applied now."""
        self._applied.append((request, clock.now()))

    def applied(self, segment_id: int, name: str, id_type: str = "id") -> list[Applied]:
        """Return what was applied to an id, in that order."""
        lane = (segment_id, id_type)
        return [
            Applied(self.beats.before(request.arrived), applied_at, request.action)
            for request, applied_at in list(self._applied)
            if (request.segment_id, request.id_type) == lane and name in request.ids
        ]


def was_overtaken(action: str, applied: "Sequence[Applied]", timeout_seconds: float) -> bool:
    """Whether ``action`` took effect, and was then undone only by what no client could know of.

    That is: by requests that were there already when it took effect, and had been for longer than
    the timeout when they took effect themselves.
    """
    right: Applied | None = None
    later: list[Applied] = []
    for each in applied:
        if each.action == action:
            right, later = each, []
        else:
            later.append(each)
    if right is None or not later:
        return False
    return all(each.came_at < right.applied_at and each.is_late(timeout_seconds) for each in later)
