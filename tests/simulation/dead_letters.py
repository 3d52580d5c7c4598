"""The dead-letter topic and a producer for it (``ports.DeadLettersPort``)."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from consumer.core.dead_letters import DeadLetter
from consumer.engine.ports import Report
from tests.simulation.scheduler import Scheduler

if TYPE_CHECKING:
    from tests.simulation.process import Process


@dataclass(slots=True)
class DeadLetterWeather:
    """How the dead-letter topic fares."""

    failing: float = 0.0
    latency: float = 0.02
    is_unwritable: bool = False

    def clear(self) -> None:
        """Let everything be well."""
        self.failing, self.latency, self.is_unwritable = 0.0, 0.02, False


class DeadLetters:
    """``acknowledged`` hears of each letter that the broker has, when it has it."""

    def __init__(
        self,
        scheduler: Scheduler,
        draw: random.Random,
        process: "Process",
        weather: DeadLetterWeather,
        acknowledged: Callable[["Process", DeadLetter], None],
    ) -> None:
        self._scheduler = scheduler
        self._draw = draw
        self._process = process
        self._weather = weather
        self._acknowledged = acknowledged
        self._reports: list[Report] = []

    @property
    def trouble(self) -> str:
        """Return why the topic can't be written, as the admin client sees it."""
        return "not authorized" if self._weather.is_unwritable else ""

    def send(self, dead_letter: DeadLetter) -> bool:
        """Hand over a letter; False: the queue is full."""
        self._process.point()
        draw, weather = self._draw, self._weather
        if draw.random() < weather.failing / 4:
            return False
        seconds = draw.expovariate(1.0 / weather.latency)
        fails = draw.random() < weather.failing or not self._process.link.is_up
        if fails:
            self._report(seconds, Report(dead_letter, "MSG_TIMED_OUT: no answer"))
        else:
            arrives = seconds * draw.random()
            self._scheduler.after(arrives, lambda: self._acknowledged(self._process, dead_letter))
            self._report(seconds, Report(dead_letter, None))
        return True

    def poll(self, timeout_seconds: float = 0.0) -> Sequence[Report]:  # noqa: ARG002 - the loop never waits here
        """Return what became of letters."""
        self._process.point()
        reports, self._reports = self._reports, []
        return reports

    def _report(self, seconds: float, report: Report) -> None:
        self._scheduler.after(
            seconds, lambda: self._process.when_running(lambda: self._reports.append(report))
        )
