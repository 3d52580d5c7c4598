"""What a client asks the coordinator for, and how the weather treats it."""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from consumer.engine.ports import CommitAnswer, Offsets, Partition
from tests.simulation.group import FENCED, ILLEGAL_GENERATION, UNKNOWN_MEMBER, Group
from tests.simulation.kafka_weather import KafkaWeather
from tests.simulation.link import Link
from tests.simulation.log import TOPIC
from tests.simulation.scheduler import Scheduler

if TYPE_CHECKING:
    from tests.simulation.process import Process

T = TypeVar("T")
NOT_A_MEMBER = {UNKNOWN_MEMBER, ILLEGAL_GENERATION, FENCED}
UNBOUNDED_SECONDS = 45.0
LOADING = "COORDINATOR_LOAD_IN_PROGRESS"
TIMED_OUT = "_TIMED_OUT"


class Requests:
    """Commits and questions of one client."""

    def __init__(
        self,
        scheduler: Scheduler,
        draw: random.Random,
        process: "Process",
        *,
        link: Link,
        group: Group,
        weather: KafkaWeather,
        commit_timeout_seconds: float,
    ) -> None:
        self._scheduler = scheduler
        self._draw = draw
        self._process = process
        self._link = link
        self._group = group
        self._weather = weather
        self._commit_timeout_seconds = commit_timeout_seconds

    def commit(
        self,
        member_id: str,
        epoch: int,
        offsets: dict[Partition, Offsets],
        hear: Callable[[CommitAnswer], None],
    ) -> None:
        """Send a commit; ``hear`` gets the answer, or that there was none."""
        named = {partition: each.offset for (_, partition), each in offsets.items()}
        given = {partition: each for (_, partition), each in sorted(offsets.items())}
        draw, weather = self._draw, self._weather
        open_ones = [hear]

        def finish(error: str) -> None:
            if open_ones:
                open_ones.pop()(_commit_answer(named, error))

        def arrive() -> None:
            if draw.random() < weather.failing:
                self._link.answer(lambda: finish(LOADING))
                return
            error = self._group.commit(member_id, epoch, given)
            if draw.random() >= weather.mute:
                late = 3.0 * draw.random() if draw.random() < weather.late else 0.0
                self._link.answer(lambda: finish(error), late)

        is_sent = draw.random() >= weather.lost and self._link.request(arrive)
        is_away = not (is_sent or self._link.is_up)
        patience = UNBOUNDED_SECONDS if is_away else self._commit_timeout_seconds
        self._scheduler.after(
            patience, lambda: self._process.when_running(lambda: finish(TIMED_OUT))
        )

    def is_left_alone(self) -> bool:
        """Whether the brokers answer, and no answer of a worse time is still awaited."""
        cleared_since = self._scheduler.now - self._weather.cleared_at
        is_awaiting = self._weather.is_stormy or cleared_since < self._commit_timeout_seconds
        return self._link.is_up and not is_awaiting

    def does_not_say(self) -> bool:
        """Whether the coordinator has no answer about a partition this time."""
        return self._draw.random() < self._weather.failing

    def ask(self, look: Callable[[], T], timeout_seconds: float) -> T | None:
        """Return what ``look`` finds at the broker, if the answer comes in time."""
        self._process.point()
        heard: list[T] = []

        def hear(answer: T) -> None:
            heard.append(answer)
            self._process.poke()

        self.send(look, hear)
        until = self._scheduler.now + timeout_seconds
        while not heard and self._scheduler.now < until:
            self._scheduler.block(until, is_pokable=True)
        return heard[0] if heard else None

    def send(self, look: Callable[[], T], hear: Callable[[T], None]) -> None:
        """Have ``hear`` told what ``look`` finds at the broker, if the answer comes at all."""
        draw, weather = self._draw, self._weather

        def arrive() -> None:
            if draw.random() >= weather.mute:
                answer = look()
                late = 3.0 * draw.random() if draw.random() < weather.late else 0.0
                self._link.answer(lambda: hear(answer), late)

        if draw.random() >= weather.lost:
            self._link.request(arrive)


def _commit_answer(offsets: dict[int, int], error: str) -> CommitAnswer:
    committed = {} if error else {(TOPIC, each): offset for each, offset in offsets.items()}
    is_member = error not in NOT_A_MEMBER
    return CommitAnswer(committed, error or None, is_member=is_member, retriable=is_member)
