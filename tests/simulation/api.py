"""The API in virtual time: what it makes of a request, and when it applies it.

Whatever the caller sees, a request is applied at its deadline at the latest, or never: what comes
later no client can prevent.
"""

import random
from collections import Counter
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

OUTAGES = ("reset", "refused", "late", "lost", "5xx", "5xx", "5xx", "429", "mute", "mixed")
MISTAKES = ("401", "403", "301", "404", "html", "418")
SERVER_STATUSES = (500, 501, 502, 503, 504, 507, 520, 521, 522, 523, 524, 599, 408)
ODD_STATUSES = (402, 405, 409, 418, 424, 451)
MAX_RETRY_AFTER_SECONDS = 300.0  # a client waits no longer, whatever it is told

FAILING_SEGMENT = "a segment of a failing minority"
ODD_SEGMENT = "an odd 4xx of one segment"
LATE = "applied after the answer was a 5xx"
LONG_WAIT = "a Retry-After of minutes for one segment"
ABSURD_WAIT = "an absurd Retry-After"
GLUED = "a kept connection with an unasked answer"
KINDS_TO_SEE = frozenset({FAILING_SEGMENT, ODD_SEGMENT, LATE, LONG_WAIT, ABSURD_WAIT, GLUED})


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
    """What goes wrong now, and how often; ``latency`` is the mean of a healthy answer.

    ``failing`` has what each segment of a failing minority is answered: a status, how often, and
    whether it may ask to be left alone for minutes. ``glued`` is how often a second answer, that
    nobody asked for, comes behind one.
    """

    latency: float = 0.05
    slow: float = 0.0
    kind: str = ""
    share: float = 0.0
    glued: float = 0.0
    failing: dict[int, tuple[int, float, bool]] = field(default_factory=dict)

    def clear(self) -> None:
        """Let everything be well but the failing minority, which has its own time."""
        self.kind, self.share, self.slow, self.glued = "", 0.0, 0.0, 0.0


@dataclass(slots=True)
class Api:
    """``state`` is the action that was applied last, by lane and id.

    ``seen`` counts what went wrong; ``asked_to_wait_until`` is when the last ``Retry-After`` ends.
    """

    scheduler: Scheduler
    draw: random.Random
    weather: ApiWeather
    watch: Callable[[Request], None]
    state: dict[tuple[Lane, str], str] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    asked_to_wait_until: float = 0.0

    def take(self, request: Request, answer: Callable[[float, Answer], None]) -> None:
        """Take in what was written just now; ``answer`` gets the moment and what comes back."""
        draw, weather, now = self.draw, self.weather, self.scheduler.now
        seconds = draw.expovariate(1.0 / weather.latency)
        if draw.random() < weather.slow:
            seconds += draw.random() * 1.5 * (request.deadline - now)
        kind = weather.kind if draw.random() < weather.share else ""
        if kind == "mixed":
            kind = draw.choice(OUTAGES[:-1])
        status, share, is_long = weather.failing.get(request.lane[0], (0, 0.0, False))
        if status and draw.random() < share:
            self.seen[ODD_SEGMENT if status in ODD_STATUSES else FAILING_SEGMENT] += 1
            self._fail(request, status, now + seconds, answer, is_long=is_long)
            return
        if kind:
            self._go_wrong(request, kind, now + seconds, answer)
            return
        refusal = refusal_of(request)
        if refusal is None:
            applied_at = min(now + seconds * draw.random(), request.deadline)
            self._apply(request, applied_at)
            refusal = Answered(200, draw.choice((b"{}", b"", b"{}")))
        answer(now + seconds, refusal)

    def _go_wrong(
        self, request: Request, kind: str, at: float, answer: Callable[[float, Answer], None]
    ) -> None:
        draw, deadline, now = self.draw, request.deadline, self.scheduler.now
        sometime = now + draw.random() * max(0.0, deadline - now)
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
            case "5xx":
                self._fail(request, draw.choice(SERVER_STATUSES), at, answer)
            case "429":
                is_long = draw.random() < 0.02
                answer(at, Answered(429, b"", self._retry_after(at, is_long=is_long)))
            case "301":
                answer(at, Answered(301, location="https://elsewhere.example"))
            case "html":
                answer(at, Answered(200, b"<html>login</html>"))
            case _:
                answer(at, Answered(int(kind), b"{}"))

    def _fail(
        self,
        request: Request,
        status: int,
        at: float,
        answer: Callable[[float, Answer], None],
        *,
        is_long: bool = False,
    ) -> None:
        """Answer with a status of failure, after which an intermediary may yet pass it on."""
        draw, now = self.draw, self.scheduler.now
        wait = None
        if status in SERVER_STATUSES:
            span = max(0.0, request.deadline - now)
            self._perhaps(request, now + draw.choice((0.0, 1.0, draw.random())) * span, after=at)
            wait = self._retry_after(at, is_long=is_long)
            if is_long and wait is not None:
                self.seen[LONG_WAIT] += 1
        answer(at, Answered(status, draw.choice((b"<html>", b'{"errors":[]}', b"")), wait))

    def _retry_after(self, at: float, *, is_long: bool) -> float | None:
        """Return what an answer says; most say nothing, some are beyond all sense."""
        draw = self.draw
        wait: float | None = draw.choice((None, None, None, 0.0, draw.random() * 4.0))
        if is_long and draw.random() < 0.5:
            wait = draw.choice((20.0, 100.0, 300.0, 86_400.0, 1e300))
        if wait is not None:
            self.seen[ABSURD_WAIT] += wait > MAX_RETRY_AFTER_SECONDS
            end = at + min(wait, MAX_RETRY_AFTER_SECONDS)
            self.asked_to_wait_until = max(self.asked_to_wait_until, end)
        return wait

    def _perhaps(
        self, request: Request, at: float, *, always: bool = False, after: float | None = None
    ) -> None:
        if refusal_of(request) is None and (always or self.draw.random() < 0.6):
            self.seen[LATE] += after is not None and at > after
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
