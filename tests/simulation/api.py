"""The API in virtual time: what it makes of a request, and when it applies it.

Whatever the caller sees, a request is applied at its deadline at the latest, or never: what comes
later no client can prevent.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from consumer.core.outcomes import Answer, Answered, Broken
from tests.simulation.log import Lane
from tests.simulation.scheduler import Scheduler

if TYPE_CHECKING:
    from consumer.core.attempts import Attempt
    from tests.simulation.process import Process

REFUSING_SEGMENT = 7
MISSING_SEGMENT = 8
FOREIGN_SEGMENT = 9
BAD = "bad"

OUTAGES = ("reset", "refused", "late", "lost", "500", "503", "429", "502", "mute", "mixed")
MISTAKES = ("401", "403", "301", "404", "html", "418")


@dataclass(slots=True, eq=False)
class Request:
    """An attempt on its way. ``origins``: by id, its partition, assignment and offset."""

    process: "Process"
    attempt: "Attempt"
    lane: Lane
    action: str
    sent_at: float
    deadline: float
    lease_end: float
    origins: dict[str, tuple[int, int, int]]
    written_at: float | None = None
    is_applied: bool = False
    is_answered: bool = False


@dataclass(slots=True)
class ApiWeather:
    """What goes wrong now, and how often; ``latency`` is the mean of a healthy answer."""

    latency: float = 0.05
    slow: float = 0.0
    kind: str = ""
    share: float = 0.0

    def clear(self) -> None:
        """Let everything be well."""
        self.kind, self.share, self.slow = "", 0.0, 0.0


@dataclass(slots=True)
class Api:
    """``state`` is the action that was applied last, by lane and id."""

    scheduler: Scheduler
    draw: random.Random
    weather: ApiWeather
    watch: Callable[[Request], None]
    state: dict[tuple[Lane, str], str] = field(default_factory=dict)

    def take(self, request: Request, answer: Callable[[float, Answer], None]) -> None:
        """Take in what was written just now; ``answer`` gets the moment and what comes back."""
        draw, weather, now = self.draw, self.weather, self.scheduler.now
        seconds = draw.expovariate(1.0 / weather.latency)
        if draw.random() < weather.slow:
            seconds += draw.random() * 1.5 * (request.deadline - now)
        kind = weather.kind if draw.random() < weather.share else ""
        if kind == "mixed":
            kind = draw.choice(OUTAGES[:-1])
        if kind:
            self._go_wrong(request, kind, now + seconds, answer)
            return
        refusal = refusal_of(request)
        if refusal is None:
            applied_at = min(now + seconds * draw.random(), request.deadline)
            self._apply(request, applied_at)
            refusal = Answered(200, draw.choice((b"{}", b"", b"{}")))
        answer(now + seconds, refusal)

    def _go_wrong(  # noqa: C901 - one case for each thing that can go wrong
        self, request: Request, kind: str, at: float, answer: Callable[[float, Answer], None]
    ) -> None:
        draw, deadline, now = self.draw, request.deadline, self.scheduler.now
        sometime = now + draw.random() * max(0.0, deadline - now)
        wait = draw.choice((None, None, draw.random() * 4.0))
        match kind:
            case "reset":
                self._perhaps(request, sometime)
                answer(at, Broken("reset"))
            case "refused":
                answer(at, Broken("connection refused", ambiguous=False))
            case "late":
                self._perhaps(request, draw.choice((sometime, deadline)), always=True)
            case "lost":
                pass
            case "mute":
                self._perhaps(request, min(at, deadline), always=True)
                answer(draw.choice((at, deadline + 1.0)), Broken("cut short"))
            case "502":
                self._perhaps(request, sometime)
                answer(at, Answered(draw.choice((502, 504, 408)), b"<html>", wait))
            case "500" | "503":
                if draw.random() < 0.2:  # it was done all the same
                    self._perhaps(request, now)
                answer(at, Answered(int(kind), b'{"errors":[]}', wait))
            case "429":
                answer(at, Answered(429, b"", wait))
            case "301":
                answer(at, Answered(301, location="https://elsewhere.example"))
            case "html":
                answer(at, Answered(200, b"<html>login</html>"))
            case _:
                answer(at, Answered(int(kind), b"{}"))

    def _perhaps(self, request: Request, at: float, *, always: bool = False) -> None:
        if refusal_of(request) is None and (always or self.draw.random() < 0.6):
            self._apply(request, at)

    def _apply(self, request: Request, at: float) -> None:
        def apply() -> None:
            request.is_applied = True
            self.watch(request)
            for name in request.attempt.ids:
                self.state[request.lane, name] = request.action

        self.scheduler.at(at, apply)


def is_bad(lane: Lane, name: str) -> bool:
    """Whether the API refuses this id, alone and with others."""
    return BAD in name or lane[0] in {REFUSING_SEGMENT, MISSING_SEGMENT, FOREIGN_SEGMENT}


def refusal_of(request: Request) -> Answered | None:
    """Return what the API has against a request; None: nothing."""
    match request.lane[0]:
        case 8:
            return Answered(404, b'"Segment not found"', vouched=True)
        case 9:
            return Answered(403, b"{}", vouched=True)
        case 7:
            return Answered(422, b'{"meta":{"errors":["not manual"]}}')
    if any(BAD in name for name in request.attempt.ids):
        return Answered(400, b'{"meta":{"errors":["bad id"]}}')
    return None
