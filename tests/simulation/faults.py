"""What goes wrong, when, for how long; all of it is over when the chaos is."""

from typing import TYPE_CHECKING

from tests.simulation.api import MISTAKES, ODD_STATUSES, OUTAGES, SERVER_STATUSES

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.setup import Setup
    from tests.simulation.world import World

KINDS = (
    *("freeze",) * 5,
    *("cut",) * 3,
    *("kill",) * 3,
    *("stop",) * 4,
    "join",
    *("api",) * 9,
    *("minority",) * 4,
    *("glue",) * 2,
    "mistake",
    "slow",
    *("kafka",) * 6,
    "reset",
    "outage",
    *("trouble",) * 3,
    *("dead_letters",) * 2,
    "unwritable",
    *("retention",) * 4,
    *("truncation",) * 3,
    *("election",) * 2,
    *("anew",) * 2,
)


class Faults:
    """Draws faults one after the other and lets them happen."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._draw = world.draw
        self._is_on = True

    def start(self) -> None:
        """Begin."""
        self._wait()

    def stop(self) -> None:
        """Let everything be well from now on."""
        self._is_on = False
        world = self._world
        world.api.weather.clear()
        world.api.weather.failing = {}
        world.kafka_weather.clear(self._world.scheduler.now)
        world.dead_letter_weather.clear()
        for process in world.alive():
            process.link.mend()
            process.link.slowness = 0.004
            process.thaw()

    def _wait(self) -> None:
        rate = self._world.setup.faults_per_second
        self._world.scheduler.after(self._draw.expovariate(rate), self._strike)

    def _strike(self) -> None:
        if not self._is_on:
            return
        setup = self._world.setup
        kind = self._draw.choice(_kinds(setup))
        self._world.trace(None, "fault", kind)
        getattr(self, f"_{kind}")()
        self._wait()

    def _later(self, seconds: float, action: str, *given: object) -> None:
        def act() -> None:
            if self._is_on:
                getattr(self, action)(*given)

        self._world.scheduler.after(seconds, act)

    def _victim(self) -> "Process | None":
        alive = self._world.alive()
        return self._draw.choice(alive) if alive else None

    def _about_a_session(self) -> float:
        return self._world.setup.session_seconds * self._draw.choice((0.4, 1.1, 1.6))

    def _some_seconds(self) -> float:
        return self._draw.choice((0.5, 2.0, 5.0, 9.0, 14.0)) * (0.5 + self._draw.random())

    # -- processes --------------------------------------------------------------------------------

    def _freeze(self) -> None:
        if victim := self._victim():
            calls = self._draw.choice((None, self._draw.randrange(60)))
            victim.freeze(self._about_a_session(), calls)

    def _cut(self) -> None:
        if victim := self._victim():
            victim.was_disturbed = True
            victim.link.cut()
            self._later(self._about_a_session(), "_mend", victim)

    def _mend(self, victim: "Process") -> None:
        victim.link.mend()

    def _kill(self) -> None:
        if victim := self._victim():
            victim.kill()
            self._later(self._draw.random() * 8.0, "_join")

    def _stop(self) -> None:
        if victim := self._victim():
            victim.ask_to_stop()
            self._later(self._draw.random() * 6.0, "_join")

    def _join(self) -> None:
        if len(self._world.alive()) < self._world.setup.members + 1:
            self._world.start_process()

    # -- the API ----------------------------------------------------------------------------------

    def _api(self) -> None:
        weather = self._world.api.weather
        weather.kind = self._draw.choice(OUTAGES)
        weather.share = self._draw.choice((0.1, 0.4, 0.7, 1.0))
        self._later(self._some_seconds(), "_api_is_well")

    def _minority(self) -> None:
        """Let up to half of the segments fail, for a while or for ever."""
        draw, world = self._draw, self._world
        if world.setup.is_patchy and world.ever_failing:
            return  # these fail, and no others
        segments = world.setup.segments
        odd = draw.random() < 0.3
        failing = {
            segment: (
                draw.choice(ODD_STATUSES if odd and draw.random() < 0.5 else SERVER_STATUSES),
                draw.choice((0.5, 1.0, 1.0)),
                draw.random() < 0.1,
            )
            for segment in draw.sample(segments, draw.randint(1, max(1, len(segments) // 2)))
        }
        world.api.weather.failing = failing
        world.ever_failing.update(failing)
        if not world.setup.is_patchy and draw.random() < 0.6:
            self._later(self._some_seconds(), "_minority_is_well", failing)

    def _minority_is_well(self, failing: object) -> None:
        if self._world.api.weather.failing is failing:
            self._world.api.weather.failing = {}

    def _glue(self) -> None:
        """Let unasked answers come, now and then beside failures: those they would hide."""
        weather = self._world.api.weather
        weather.glued = self._draw.choice((0.2, 1.0))
        if self._draw.random() < 0.5:
            weather.kind, weather.share = "5xx", 0.5
        self._later(self._some_seconds(), "_api_is_well")

    def _mistake(self) -> None:
        weather = self._world.api.weather
        weather.kind = self._draw.choice(MISTAKES)
        weather.share = self._draw.choice((0.5, 1.0))
        self._later(self._some_seconds(), "_api_is_well")

    def _slow(self) -> None:
        self._world.api.weather.slow = self._draw.choice((0.1, 0.5))
        self._later(self._some_seconds(), "_api_is_well")

    def _api_is_well(self) -> None:
        self._world.api.weather.clear()

    # -- Kafka ------------------------------------------------------------------------------------

    def _kafka(self) -> None:
        self._world.kafka_weather.storm(self._draw)
        for process in self._world.alive():
            process.was_disturbed = True
        self._later(self._some_seconds(), "_kafka_is_well")

    def _kafka_is_well(self) -> None:
        self._world.kafka_weather.clear(self._world.scheduler.now)

    def _reset(self) -> None:
        """Let a connection be lost with a commit on its way, and somebody join right afterwards.

        The API is slow: the repeated commit comes in the midst of the drain.
        """
        for process in self._world.alive():
            process.was_disturbed = True
        self._world.kafka_weather.late = 1.0
        self._world.api.weather.slow = 0.8
        self._later(7.0, "_api_is_well")
        self._later(0.2 + self._draw.random(), "_reset_now")

    def _reset_now(self) -> None:
        alive, draw = self._world.alive(), self._draw
        self._kafka_is_well()
        awaiting = [each for each in alive if each.client.awaits_commit()]
        if awaiting:
            victim = draw.choice(awaiting)
            victim.was_disturbed = True
            victim.link.cut()
            self._later(0.2 * draw.random(), "_mend", victim)
            if len(alive) < self._world.setup.members + 2:
                self._later(draw.random(), "_start")

    def _start(self) -> None:
        self._world.start_process()

    def _outage(self) -> None:
        for process in self._world.alive():
            process.was_disturbed = True
            process.link.cut()
        self._later(self._some_seconds(), "_outage_is_over")

    def _outage_is_over(self) -> None:
        for process in self._world.alive():
            process.link.mend()

    def _trouble(self) -> None:
        """Let commits and requests fail, and in the midst of it somebody join."""
        weather = self._world.api.weather
        weather.kind, weather.share = self._draw.choice(("reset", "5xx", "mute")), 1.0
        self._world.kafka_weather.failing = 1.0
        for process in self._world.alive():
            process.was_disturbed = True
        self._later(self._draw.random() * 6.0, "_join")
        self._later(9.0, "_kafka_is_well")
        self._later(9.0, "_api_is_well")

    def _dead_letters(self) -> None:
        weather = self._world.dead_letter_weather
        weather.failing = self._draw.choice((0.0, 0.3, 1.0))
        weather.latency = self._draw.choice((0.02, 1.0, 4.0))
        self._later(self._some_seconds(), "_dead_letters_are_well")

    def _unwritable(self) -> None:
        self._world.dead_letter_weather.is_unwritable = True
        self._world.dead_letter_weather.failing = 1.0
        self._later(self._some_seconds(), "_dead_letters_are_well")

    def _dead_letters_are_well(self) -> None:
        self._world.dead_letter_weather.clear()

    def _retention(self) -> None:
        log = self._draw.choice(self._world.logs)
        before = log.start + round((log.end - log.start) * self._draw.choice((0.2, 0.7, 1.0)))
        self._world.delete_head(log, before)

    def _election(self) -> None:
        log = self._draw.choice(self._world.logs)
        log.elect()
        if self._draw.random() < 0.5:
            log.skip(1)  # a marker of a transaction that its producer didn't end

    def _truncation(self) -> None:
        draw = self._draw
        log = draw.choice(self._world.logs)
        end = log.end
        to = log.start + round((end - log.start) * draw.choice((0.0, 0.5, 0.9)))
        self._world.truncate(log, to, to + round((end - to) * draw.choice((0.0, 0.5, 1.0, 1.5))))

    def _anew(self) -> None:
        self._world.make_topic_anew(self._draw.choice((0.0, 0.5, 1.0, 2.0)))


def _kinds(setup: "Setup") -> tuple[str, ...]:
    """Return what goes wrong in a world."""
    if setup.is_calm:
        return ("stop", "join")
    if setup.is_patchy:
        return ("minority",)
    return (*("reset",) * 5, "kill", "stop") if setup.is_torn else KINDS
