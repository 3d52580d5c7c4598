"""The threads that carry requests to the API and bring the answers back.

The owner thread gives a frozen request away and later gets (attempt, answer) from a queue; nothing
mutable is shared. Carriers are daemon threads: an executor would join its threads at exit, and a
request that hangs in name resolution can't be interrupted. Such a carrier is given up: a second
after its deadline the attempt counts as timed out, whatever it brings back later is thrown away,
and another thread takes its place.
"""

import threading
from collections.abc import Callable
from math import inf
from queue import Empty, SimpleQueue

from consumer.core.attempts import Attempt
from consumer.core.outcomes import Answer, Answered, Broken, TimedOut
from consumer.customerio.api import GRACE_SECONDS, Request
from consumer.engine.ports import Result

_GRACE_SECONDS = GRACE_SECONDS + 0.2


class Carriers:
    """Sends with ``post``; owned by one thread, which calls `send` and `collect`."""

    def __init__(self, post: Callable[[Request], Answer], clock: Callable[[], float]) -> None:
        self._post = post
        self._clock = clock
        self._requests: SimpleQueue[tuple[Attempt, Request]] = SimpleQueue()
        self._results: SimpleQueue[Result] = SimpleQueue()
        self._pending: dict[Attempt, None] = {}
        self._given_up: set[Attempt] = set()
        self._first_overdue_at = inf  # nothing pending is overdue before
        self._threads = 0

    def send(self, attempt: Attempt, lease_end: float) -> None:
        """Hand an attempt to a carrier; not a byte of it is written once the lease is over."""
        lane = attempt.batch.lane
        request = Request(
            segment_id=lane.segment_id,
            action=attempt.batch.action,
            id_type=lane.id_type,
            ids=attempt.ids,
            deadline=attempt.deadline,
            lease_end=lease_end,
        )
        self._pending[attempt] = None
        self._first_overdue_at = min(self._first_overdue_at, attempt.deadline + _GRACE_SECONDS)
        if len(self._pending) + len(self._given_up) > self._threads:
            self._threads += 1
            threading.Thread(
                target=self._carry, name=f"carrier-{self._threads}", daemon=True
            ).start()
        self._requests.put((attempt, request))

    def collect(self, timeout_seconds: float) -> list[Result]:
        """Return what came back; waits for the first if something is on its way."""
        results: list[Result] = []
        wait = timeout_seconds if self._pending else 0.0
        try:
            results.append(self._results.get(timeout=wait) if wait else self._results.get_nowait())
            while True:
                results.append(self._results.get_nowait())
        except Empty:
            pass
        return [*filter(self._is_awaited, results), *self._overdue()]

    def wait(self, timeout_seconds: float) -> None:
        """Pause the calling thread where other threads can run."""
        threading.Event().wait(timeout_seconds)

    def _is_awaited(self, result: Result) -> bool:
        self._given_up.discard(result.attempt)
        return self._pending.pop(result.attempt, 0) is None

    def _overdue(self) -> list[Result]:
        now = self._clock()
        if now <= self._first_overdue_at:
            return []
        late = [each for each in self._pending if now > each.deadline + _GRACE_SECONDS]
        for attempt in late:
            del self._pending[attempt]
            self._given_up.add(attempt)
        left = (each.deadline + _GRACE_SECONDS for each in self._pending)
        self._first_overdue_at = min(left, default=inf)
        answer = TimedOut("no answer by the deadline, not even from the connection")
        return [Result(attempt, answer, now - attempt.started_at) for attempt in late]

    def _carry(self) -> None:
        while True:
            attempt, request = self._requests.get()
            started = self._clock()
            try:
                answer = self._post(request)
            except Exception as error:  # noqa: BLE001 - a carrier that dies would take its attempt along
                answer = Broken(f"{type(error).__name__} while sending")
            seconds = self._clock() - started
            if isinstance(answer, Answered):
                seconds -= answer.vouching_seconds
            self._results.put(Result(attempt, answer, seconds))
