"""A pipeline and an API in trouble, in virtual time: hours take a second.

Segments are numbered from 1, in the order in which they have work first. What the API says to each
at which moment is the test's; its answers have jitter of their own, drawn from a seed.
"""

import heapq
import itertools
import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from consumer.core.outcomes import Answer, Answered, outcome_of
from consumer.core.pipeline import Pipeline
from consumer.core.rules import Rules
from consumer.core.tally import Tally
from consumer.core.throttle import Throttle
from tests.support.records import FakeMessage, event

if TYPE_CHECKING:
    from consumer.core.attempts import Attempt

OK = Answered(200, b"{}")
TOPIC = "audience"


@dataclass(eq=False)
class Hours:
    """``says`` is asked for the answer to a segment at a time; each takes ``latency`` seconds.

    Each batch has one id. Segments have ``work`` batches at first; those in ``flowing`` get a new
    one whenever one was delivered.
    """

    segments: int
    says: Callable[[int, float], Answer]
    seed: int = 1
    latency: float = 0.1
    work: int = 1
    flowing: frozenset[int] = frozenset()
    max_in_flight: int = 8
    requests_per_second: float = 100.0
    now: float = 0.0
    pipeline: Pipeline = field(init=False)
    sent: list[tuple[float, int]] = field(default_factory=list)
    delivered: list[tuple[float, int]] = field(default_factory=list)
    well: set[int] = field(default_factory=set)  # segments that had a delivery

    def __post_init__(self) -> None:
        rules = Rules(1, 5.0, 10**6, 10.0, 60.0, "dead-letter", 0)
        throttle = Throttle(
            max_in_flight=self.max_in_flight,
            requests_per_second=self.requests_per_second,
            max_backoff_seconds=60.0,
        )
        self.pipeline = Pipeline(rules, "id", throttle, Tally())
        self._draw = random.Random(self.seed)
        self._numbers = itertools.count()
        self._flying: list[tuple[float, int, Attempt]] = []
        self.pipeline.assign(TOPIC, 0, 0, 0)
        for _ in range(self.work):
            self.read(range(1, self.segments + 1))

    def read(self, segments: Iterable[int]) -> None:
        """Let one more change come for each of these segments."""
        messages = []
        for segment in segments:
            number = next(self._numbers)
            value = event("add", f"x{number}", segment=segment)
            messages.append(FakeMessage(TOPIC, 0, number, value))
        taken, _ = self.pipeline.receive(messages, self.now)
        while taken < len(messages) and self.pipeline.has_room():
            taken, _ = self.pipeline.receive(messages, self.now, taken)

    def run(self, until: float, done: Callable[[], bool] = lambda: False) -> "Hours":
        """Go on until that time, or until it is done."""
        while not done():
            self._start()
            at = self._next_event()
            if at > until:
                self.now = until
                break
            self.now = max(self.now, at)
            self._answer()
        return self

    def _start(self) -> None:
        self.pipeline.wake(self.now)
        for attempt in self.pipeline.dispatch(self.now):
            self.sent.append((self.now, attempt.batch.lane.segment_id))
            seconds = self.latency * (0.5 + self._draw.random())
            entry = (self.now + seconds, next(self._numbers), attempt)
            heapq.heappush(self._flying, entry)

    def _next_event(self) -> float:
        throttle, times = self.pipeline.throttle, [self.pipeline.next_wake()]
        if self._flying:
            times.append(self._flying[0][0])
        if self.pipeline.has_queued() and throttle.in_flight < throttle.slots:
            times.append(self.pipeline.earliest_start())
        at = min(times)
        return at if at == math.inf else max(at, self.now + 1e-6)

    def _answer(self) -> None:
        while self._flying and self._flying[0][0] <= self.now:
            _, _, attempt = heapq.heappop(self._flying)
            segment = attempt.batch.lane.segment_id
            answer = self.says(segment, self.now)
            self.pipeline.settle(attempt, outcome_of(answer), self.now, self._draw.random())
            if answer is OK:
                self.delivered.append((self.now, segment))
                self.well.add(segment)
                if segment in self.flowing:
                    self.read([segment])

    # -- what is seen ---------------------------------------------------------------------------

    def requests(self, since: float = 0.0, until: float = math.inf) -> int:
        """Return how many requests started in that time."""
        return sum(1 for at, _ in self.sent if since <= at < until)
