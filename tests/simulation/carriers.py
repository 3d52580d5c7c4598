"""Carriers in virtual time (``ports.CarriersPort``).

As the daemon's own carriers and wire do it: the clock is looked at right before the write, and
what the lease or the deadline forbids is not written. What was written goes on without us.
"""

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from consumer.core.attempts import Attempt
from consumer.core.outcomes import Answer, Answered, TimedOut, Unsent
from consumer.engine.ports import Result
from tests.simulation.api import Api, Request
from tests.simulation.connections import Connection, Connections
from tests.simulation.scheduler import Scheduler

if TYPE_CHECKING:
    from tests.simulation.process import Process

GRACE_SECONDS = 1.0


class Carriers:
    """``watch`` hears of each attempt that is handed over, and of each result it collects."""

    def __init__(
        self,
        scheduler: Scheduler,
        draw: random.Random,
        process: "Process",
        api: Api,
        *,
        sent: Callable[[Request], None],
        collected: Callable[[Request, Answer], None],
        origins_of: Callable[[Attempt], dict[str, tuple[int, int, int]]],
    ) -> None:
        self._scheduler = scheduler
        self._draw = draw
        self._process = process
        self._api = api
        self.connections = Connections(api)
        self._sent = sent
        self._collected = collected
        self._origins_of = origins_of
        self._pending: dict[Attempt, Request] = {}
        self._results: list[Result] = []

    def send(self, attempt: Attempt, lease_end: float) -> None:
        """Hand an attempt to a carrier."""
        self._process.point()
        now, batch = self._scheduler.now, attempt.batch
        request = Request(
            self._process,
            attempt,
            (batch.lane.segment_id, batch.lane.id_type),
            batch.action,
            now,
            attempt.deadline,
            lease_end,
            self._origins_of(attempt),
        )
        self._pending[attempt] = request
        self._sent(request)
        connecting = self._draw.choice((0.0, 0.0, 0.0, 0.01, 0.1 * self._draw.random()))
        if self._draw.random() < 0.02 and not self._process.setup.is_calm:
            # Where only some segments are to fail no probe should meet such a one again and again.
            longest = 0.2 if self._process.setup.is_patchy else 1.2
            connecting = longest * self._draw.random() * (attempt.deadline - attempt.started_at)
        self._scheduler.after(
            connecting, lambda: self._process.when_running(lambda: self._write(request))
        )

    def collect(self, timeout_seconds: float) -> Sequence[Result]:
        """Return what came back; wait for the first if something is on its way."""
        self._process.point()
        if not self._results and self._pending and timeout_seconds > 0:
            self._scheduler.block(self._scheduler.now + timeout_seconds, is_pokable=True)
        results, self._results = self._results, []
        results = [each for each in results if self._is_awaited(each)]
        now = self._scheduler.now
        for attempt in [each for each in self._pending if now > each.deadline + GRACE_SECONDS]:
            late = Result(attempt, TimedOut("overdue"), now - attempt.started_at)
            if self._is_awaited(late):
                results.append(late)
        return results

    def _is_awaited(self, result: Result) -> bool:
        request = self._pending.pop(result.attempt, None)
        if request is not None:
            self._collected(request, result.answer)
        return request is not None

    def wait(self, timeout_seconds: float) -> None:
        """Pause."""
        self._process.point()
        self._scheduler.block(self._scheduler.now + timeout_seconds)

    def _write(self, request: Request) -> None:
        now = self._scheduler.now
        if now >= request.deadline:
            self._answer(request, TimedOut("the deadline passed while connecting"))
        elif now >= request.lease_end:
            self._answer(request, Unsent("the lease was over"))
        else:
            request.written_at = now
            self._process.trace("written", request.action, request.lane, request.attempt.ids)
            self._at(request.deadline, request, TimedOut("no answer"))
            connection = self.connections.take()
            self._api.take(request, lambda at, answer: self._at(at, request, answer, connection))
            if connection.unread:
                self._answer(request, connection.unread[0])

    def _at(
        self, at: float, request: Request, answer: Answer, connection: Connection | None = None
    ) -> None:
        if at > request.deadline:
            return
        self._scheduler.at(
            at,
            lambda: self._process.when_running(lambda: self._arrive(request, answer, connection)),
        )

    def _arrive(self, request: Request, answer: Answer, connection: Connection | None) -> None:
        """Take in what came: behind an unread answer, it waits for the next one's turn."""
        if connection is not None and isinstance(answer, Answered):
            if connection.unread:
                connection.unread.popleft()
                connection.unread.append(answer)
            if connection.unread or not request.is_answered:
                self.connections.give_back(connection)
        self._answer(request, answer)

    def _answer(self, request: Request, answer: Answer) -> None:
        if request.is_answered:
            return
        request.is_answered = True
        now = self._scheduler.now
        if now >= request.deadline and not isinstance(answer, Unsent):
            answer = TimedOut("the deadline passed")
        self._process.trace("answer", request.action, request.lane, type(answer).__name__)
        self._results.append(Result(request.attempt, answer, now - request.sent_at))
        self._process.poke()
