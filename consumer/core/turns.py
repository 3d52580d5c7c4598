"""Whose turn it is: the queue of lanes with something to send, and the timers of those without.

A lane in the queue is looked at; if nothing of it may leave, it gets a timer for the moment when
that can change by time alone (a linger, a backoff or an echo ends). A lane has one entry in the
queue and one timer that counts, so both are bounded by the number of lanes.

Lanes that failed since their last success queue apart, and get one turn of `FAILING_TURNS` while
others wait. A probe is theirs only if nobody else has anything to send.

Invariant I4 (this module's part): lanes take turns, so nothing starves.
"""

import heapq
import math
from collections import deque
from collections.abc import Iterable

from consumer.core.lanes import Lane

FAILING_TURNS = 4
_GOLDEN_SECTION = (math.sqrt(5) - 1) / 2


class Turns:
    """The queue, the lanes that go first because a partition goes away, and the timers."""

    def __init__(self) -> None:
        self._queue: deque[Lane] = deque()
        self._failing: deque[Lane] = deque()
        self._in_front: deque[Lane] = deque()
        self._turns = 0
        self._timers: list[tuple[float, int, Lane]] = []
        self._timer_count = 0

    def __bool__(self) -> bool:
        """Whether a lane waits for its turn."""
        return bool(self._in_front or self._queue or self._failing)

    def enqueue(self, lane: Lane) -> None:
        """Give the lane a turn."""
        if not lane.queued:
            lane.queued = True
            (self._in_front if lane.goes_first else self._queue).append(lane)

    def next_lane(self, *, is_probe: bool = False) -> Lane | None:
        """Return the lane whose turn it is; it leaves the queue."""
        while self._queue and self._queue[0].failures:
            self._failing.append(self._queue.popleft())
        self._turns += 1
        is_failings = not is_probe and self._turns % FAILING_TURNS == 0
        others = self._failing or self._queue if is_failings else self._queue or self._failing
        queue = self._in_front or others
        if not queue:
            return None
        lane = queue.popleft()
        lane.queued = False
        return lane

    def begin_elsewhere(self) -> None:
        """Turn the queue, so that the next lane is a far one.

        A golden section each time comes by all parts of it soon, whichever of them are bad.
        """
        queue = self._in_front or self._queue
        queue.rotate(-int(len(queue) * _GOLDEN_SECTION))

    def schedule(self, lane: Lane, at: float) -> None:
        """Give the lane a turn at that time, unless it has one earlier."""
        if at < lane.wake_at:
            lane.wake_at = at
            self._timer_count += 1
            heapq.heappush(self._timers, (at, self._timer_count, lane))

    def wake(self, now: float) -> None:
        """Queue the lanes whose time has come."""
        timers = self._timers
        while timers and timers[0][0] <= now:
            self._pop_timer()

    def next_wake(self) -> float:
        """Return when `wake` will find something; inf: never by time alone."""
        return self._timers[0][0] if self._timers else math.inf

    def wake_next(self) -> Lane | None:
        """Queue the lane of the next timer before its time, and return it; None: no timer."""
        while self._timers:
            lane = self._pop_timer()
            if lane is not None:
                return lane
        return None

    def put_in_front(self, lanes: Iterable[Lane]) -> None:
        """Let these lanes go before all others until `end_flush`."""
        for lane in lanes:
            if lane.goes_first:
                self.enqueue(lane)  # it had its turn since the last time
            else:
                lane.goes_first = lane.queued = True
                self._in_front.append(lane)
        self._queue = deque(lane for lane in self._queue if not lane.goes_first)
        self._failing = deque(lane for lane in self._failing if not lane.goes_first)

    def end_flush(self, lanes: Iterable[Lane]) -> None:
        """End what `put_in_front` began; ``lanes`` are all there are."""
        self._queue.extend(self._in_front)
        self._in_front.clear()
        for lane in lanes:
            lane.goes_first = False

    def _pop_timer(self) -> Lane | None:
        """Queue the lane of the next timer; None if it has an earlier one by now."""
        at, _, lane = heapq.heappop(self._timers)
        if at != lane.wake_at:
            return None
        lane.wake_at = math.inf
        self.enqueue(lane)
        return lane
