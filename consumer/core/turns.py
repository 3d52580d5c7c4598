"""Whose turn it is: the queue of lanes with something to send, and the timers of those without.

A lane in the queue is looked at; if nothing of it may leave, it gets a timer for the moment when
that can change by time alone (a linger, a backoff or an echo ends). One that has its share of the
slots is put aside until the next answer. A lane has one entry in the
queue and one timer that counts, so both are bounded by the number of lanes: entries of the timer
that count no more are dropped when they are more than the others.

Lanes that failed since their last success queue apart, and get one turn of `FAILING_TURNS` while
others wait. A probe is theirs only if nobody else has anything to send. One that is slow and fails
often has half of the slots (`Lane.has_its_share`) while there are others: else none would be free
for them.

When the buffer is full, all that comes next in Kafka waits for room, of whichever segment. So what
makes the most of it goes first then: lanes with a full request in their backlog, all turns but one
of `OTHERS_TURNS`. If each segment had the same number of requests, a large one would fill the
buffer, and the small ones' requests would be nearly empty, as nothing comes for them.

Invariant I4 (this module's part): lanes take turns, so nothing starves.
"""

import heapq
import math
from collections import OrderedDict, deque
from collections.abc import Iterable

from consumer.core.lanes import Lane

FAILING_TURNS = 4
OTHERS_TURNS = 8
SPARE_TIMERS = 64  # that count no more, before they are looked for
_GOLDEN_SECTION = (math.sqrt(5) - 1) / 2

Queue = deque[tuple[int, Lane]]  # the number of the turn makes an entry count


class Turns:
    """The queue, the lanes that go first because a partition goes away, and the timers."""

    def __init__(self, full_ids: int) -> None:
        self._full_ids = full_ids
        self._laden: OrderedDict[Lane, None] = OrderedDict()  # of those that wait for their turn
        self._queue: Queue = deque()
        self._failing: Queue = deque()
        self._in_front: Queue = deque()
        self._turns = self._laden_turns = 0
        self._timers: list[tuple[float, int, Lane]] = []
        self._count = 0  # of turns and timers given
        self._timed = 0  # lanes with a timer
        self._flush = 1

    def __bool__(self) -> bool:
        """Whether a lane waits for its turn."""
        return bool(self._in_front or self._queue or self._failing)

    def enqueue(self, lane: Lane) -> None:
        """Give the lane a turn."""
        if not lane.turn:
            self._append(self._in_front if lane.flush == self._flush else self._queue, lane)
        if lane.backlog.ids >= self._full_ids:
            self._laden[lane] = None

    def next_lane(self, *, is_probe: bool = False) -> Lane | None:
        """Return the lane whose turn it is; it leaves the queue."""
        self._turns += 1
        queue = self._next_queue(is_probe=is_probe)
        if not queue:
            return None
        _, lane = queue.popleft()
        lane.turn = 0
        self._laden.pop(lane, None)
        return lane

    def next_laden(self) -> Lane | None:
        """Return a lane with a full request, in turns; it keeps its turn among all.

        None: there is none, or it is the others' turn, or some lanes go before all others.
        """
        self._laden_turns += 1
        while self._laden and not self._in_front and self._laden_turns % OTHERS_TURNS:
            lane, _ = self._laden.popitem(last=False)
            if not lane.failures and lane.backlog.ids >= self._full_ids:
                return lane
        return None

    def next_is_stranger(self) -> bool:
        """Whether the next probe's lane has not failed since its last success."""
        queue = self._next_queue(is_probe=True)
        return bool(queue) and not queue[0][1].failures

    def begin_elsewhere(self) -> None:
        """Turn the queue, so that the next lane is a far one.

        A golden section each time comes by all parts of it soon, whichever of them are bad.
        """
        queue = self._in_front or self._queue
        queue.rotate(-int(len(queue) * _GOLDEN_SECTION))

    def schedule(self, lane: Lane, at: float) -> None:
        """Give the lane a turn at that time, unless it has one earlier."""
        if at < lane.wake_at:
            self._timed += lane.wake_at == math.inf
            lane.wake_at = at
            self._count += 1
            heapq.heappush(self._timers, (at, self._count, lane))
            if len(self._timers) > 2 * self._timed + SPARE_TIMERS:
                self._drop_old_timers()

    def unschedule(self, lane: Lane) -> None:
        """Take back the lane's timer: nothing of it is left."""
        self._timed -= lane.wake_at < math.inf
        lane.wake_at = math.inf

    def wake(self, now: float) -> None:
        """Queue the lanes whose time has come."""
        timers = self._timers
        while timers and timers[0][0] <= now:
            at, _, lane = heapq.heappop(timers)
            if at == lane.wake_at:  # else it has an earlier one by now, or none
                self.unschedule(lane)
                self.enqueue(lane)

    def next_wake(self) -> float:
        """Return when `wake` will find something; inf: never by time alone."""
        return self._timers[0][0] if self._timers else math.inf

    def put_in_front(self, lanes: Iterable[Lane]) -> None:
        """Let these lanes go before all others until `end_flush`."""
        for lane in lanes:
            if not (lane.turn and lane.flush == self._flush):
                lane.flush = self._flush
                self._append(self._in_front, lane)  # its turn in another queue counts no more

    def end_flush(self) -> None:
        """End what `put_in_front` began."""
        self._flush += 1
        self._queue.extend(self._in_front)
        self._in_front.clear()

    def _next_queue(self, *, is_probe: bool) -> Queue:
        """Return the queue whose first lane has the next turn."""
        while self._failing and not _counts(self._failing[0]):
            self._failing.popleft()
        while self._queue and (self._queue[0][1].failures or not _counts(self._queue[0])):
            entry = self._queue.popleft()
            if _counts(entry):
                self._failing.append(entry)
        is_failings = not is_probe and self._turns % FAILING_TURNS == 0
        others = self._failing or self._queue if is_failings else self._queue or self._failing
        return self._in_front or others

    def _append(self, queue: Queue, lane: Lane) -> None:
        self._count += 1
        lane.turn = self._count
        queue.append((lane.turn, lane))

    def _drop_old_timers(self) -> None:
        """Keep the timers that count: a lane that fails for hours leaves one with each backoff."""
        counting = {lane: (at, n, lane) for at, n, lane in self._timers if at == lane.wake_at}
        self._timers = list(counting.values())
        heapq.heapify(self._timers)


def _counts(entry: tuple[int, Lane]) -> bool:
    """Whether it is the lane's turn still, and not one from before it was put in front."""
    turn, lane = entry
    return turn == lane.turn
