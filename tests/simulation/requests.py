"""What a client asks the coordinator for, and how the weather treats it."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from consumer.engine.ports import CommitAnswer, Offsets, Partition
from tests.simulation.group import FENCED, ILLEGAL_GENERATION, UNKNOWN_MEMBER, Group
from tests.simulation.kafka_weather import KafkaWeather
from tests.simulation.link import Link
from tests.simulation.scheduler import Scheduler

if TYPE_CHECKING:
    from tests.simulation.process import Process

T = TypeVar("T")
NOT_A_MEMBER = {UNKNOWN_MEMBER, ILLEGAL_GENERATION, FENCED}
UNBOUNDED_SECONDS = 45.0
LOADING = "COORDINATOR_LOAD_IN_PROGRESS"
TIMED_OUT = "_TIMED_OUT"
REPEATS = 2
LATE_SECONDS = 0.5  # after so long without an answer a commit may well be lost
REPEAT_SECONDS = 3.0  # `retry.backoff.max.ms`


@dataclass(slots=True, eq=False)
class Sending:
    """A commit that is sent until there is an answer. ``waits``: to be repeated.

    ``is_excused``: whoever commits before it is repeated could not know of it.
    """

    link: Link
    offsets: dict[Partition, Offsets]
    sent_at: float
    hear: Callable[[CommitAnswer], None]
    send: Callable[[], None] = lambda: None
    is_open: bool = True
    times: int = 0
    waits: bool = False
    is_ready: bool = False  # as soon as there is a connection
    cut_at: float = math.inf
    due_at: float = -math.inf  # at the earliest
    is_excused: bool = True

    def finish(self, error: str) -> None:
        """Have an answer, or none for good; the first counts."""
        if self.is_open:
            self.is_open = False
            self.hear(_commit_answer(self.offsets, error))

    def ready(self) -> None:
        """Go on when the backoff is over."""
        self.is_ready = True
        self.go_on()

    def go_on(self) -> None:
        """Be sent once more if that is due, and possible."""
        if self.is_open and self.is_ready and self.link.is_up:
            self.waits = self.is_ready = False
            self.send()


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
        self._commits: list[Sending] = []

    def commit(
        self,
        member_id: str,
        epoch: int,
        offsets: dict[Partition, Offsets],
        hear: Callable[[CommitAnswer], None],
    ) -> None:
        """Send a commit; ``hear`` gets the answer, or that there was none."""
        sending = Sending(self._link, offsets, self._scheduler.now, hear)
        given = {partition: each for (_, partition), each in sorted(offsets.items())}
        draw, weather = self._draw, self._weather

        def arrive() -> None:
            if draw.random() < weather.failing:
                self._link.answer(lambda: sending.finish(LOADING))
                return
            is_repeated = sending.times > 1 and sending.is_excused
            error = self._group.commit(member_id, epoch, given, is_repeated=is_repeated)
            if draw.random() >= weather.mute:
                late = 3.0 * draw.random() if draw.random() < weather.late else 0.0
                self._link.answer(lambda: sending.finish(error), late)

        sending.send = partial(self._send, sending, arrive)
        self._commits = [*(each for each in self._commits if each.is_open), sending]
        self._give_up_after(UNBOUNDED_SECONDS, sending)
        sending.send()

    def _send(self, sending: Sending, arrive: Callable[[], None]) -> None:
        sending.times += 1
        is_lost = self._draw.random() < self._weather.lost
        if not self._link.is_up:
            sending.waits = sending.is_ready = True
        elif not is_lost:
            self._link.request(arrive)
        self._give_up_after(self._commit_timeout_seconds, sending, sending.times)

    def _give_up_after(self, seconds: float, sending: Sending, times: int | None = None) -> None:
        """Say that there was no answer, if it wasn't sent once more meanwhile or is going to be."""

        def give_up() -> None:
            if times is None or (sending.times == times and not sending.waits):
                self._process.when_running(lambda: sending.finish(TIMED_OUT))

        self._scheduler.after(seconds, give_up)

    def cut(self) -> None:
        """Repeat the commits whose answers are lost with the connection, as librdkafka does.

        Not before a backoff is over, and there is a connection again; twice at most.
        """
        for sending in self._commits:
            if sending.is_open and not sending.waits and sending.times <= REPEATS:
                sending.waits, sending.cut_at = True, self._scheduler.now
                seconds = REPEAT_SECONDS * (0.8 + 0.2 * self._draw.random())
                sending.due_at = self._scheduler.now + seconds
                self._scheduler.after(seconds, partial(self._process.when_running, sending.ready))

    def overtake(self, drain_began_at: float) -> None:
        """Take down which lost commits a drain should have waited for, and does not.

        One that is lost a second time isn't waited for again: a drain would not end.
        """
        for sending in self._commits:
            was_late = sending.sent_at < drain_began_at - LATE_SECONDS
            is_coming = sending.waits and self._scheduler.now < sending.due_at
            is_known = was_late and sending.times == 1 and sending.cut_at < drain_began_at
            if sending.is_open and is_coming and is_known:
                sending.is_excused = False

    def mended(self) -> None:
        """Send what waits for a connection."""
        for sending in self._commits:
            sending.go_on()

    def forget(self) -> None:
        """Have nothing to do with what was sent so far: its client is gone."""
        for sending in self._commits:
            sending.is_open = False
        self._commits.clear()

    def awaits_commit(self) -> bool:
        """Whether a commit has no answer yet."""
        return any(each.is_open for each in self._commits)

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


def _commit_answer(offsets: dict[Partition, Offsets], error: str) -> CommitAnswer:
    committed = {} if error else {name: each.offset for name, each in offsets.items()}
    is_member = error not in NOT_A_MEMBER
    return CommitAnswer(committed, error or None, is_member=is_member, retriable=is_member)
