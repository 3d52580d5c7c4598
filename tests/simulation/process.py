"""A process: the real loop on simulated ports, on a machine that may stop it anywhere."""

import math
import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from consumer.core.pipeline import Pipeline
from consumer.core.schemas.inquiries import Inquiries
from consumer.core.schemas.reader import PlainReadings, SchemaReader
from consumer.core.tally import Tally
from consumer.core.throttle import Throttle
from consumer.engine.loop import Loop
from consumer.engine.ports import GiveUp, Ports, Published, Schemas, View
from tests.simulation.log import TOPIC
from tests.simulation.producer import MAPPING
from tests.simulation.registry import Registry
from tests.simulation.scheduler import Scheduler, Task
from tests.simulation.setup import Setup

if TYPE_CHECKING:
    from consumer.core.mapping.reading import Reader
    from consumer.engine.ports import Partition
    from tests.simulation.carriers import Carriers
    from tests.simulation.client import Client
    from tests.simulation.dead_letters import DeadLetters
    from tests.simulation.link import Link
    from tests.simulation.lookup import Lookup

OVERTIME_SECONDS = 4.0


class Process:
    """``number`` is never used twice. What it does to the world goes through `when_running`."""

    def __init__(
        self,
        number: int,
        setup: Setup,
        scheduler: Scheduler,
        draw: random.Random,
        *,
        publish: "Callable[[Process, Published], None]",
        trace: Callable[..., None],
    ) -> None:
        self.number = number
        self.setup = setup
        self.link: Link
        self.client: Client
        self.lookup: Lookup
        self.carriers: Carriers
        self.dead_letters: DeadLetters
        self.loop: Loop
        self.pipeline: Pipeline
        self.task: Task
        self.stop_asked_at: float | None = None
        self.stop_deadline = math.inf
        self.ended_at: float | None = None
        self.is_dead = False
        self.was_disturbed = False  # frozen or cut off since the stop was asked for
        self.gave_up = ""
        self.name = ""  # a static member's
        self._publish = publish
        self._trace = trace
        self._scheduler = scheduler
        self._draw = draw
        self._is_frozen = False
        self._freeze_in: int | None = None
        self._freeze_seconds = 0.0
        self._waiting: list[Callable[[], object]] = []

    # -- life -------------------------------------------------------------------------------------

    def start(self, loop_of: Callable[["Process", Pipeline, Ports], Loop]) -> None:
        """Begin to run."""
        setup = self.setup
        throttle = Throttle(
            max_in_flight=setup.max_in_flight,
            requests_per_second=setup.requests_per_second,
            max_backoff_seconds=setup.rules.max_backoff_seconds,
        )
        reader: Reader | None = MAPPING if setup.is_mapped else None
        schemas: Schemas | None = None
        if setup.is_framed:
            schemas = Schemas(Registry(self._clock, self._draw), Inquiries())
            readings = MAPPING if setup.is_mapped else PlainReadings("id")
            reader = SchemaReader(schemas.inquiries.known, readings)
        pipeline = self.pipeline = Pipeline(setup.rules, "id", throttle, Tally(), reader)
        ports = Ports(
            member=self.client,
            lookup=self.lookup,
            carriers=self.carriers,
            dead_letters=self.dead_letters,
            observer=Observer(self),  # type: ignore[arg-type]  # nobody sets the view
            clock=self._clock,
            wall=lambda: self._scheduler.now,
            jitter=self._draw.random,
            say=self._say,
            beat=_ignore,
            publish=lambda published: self._publish(self, published),
            before_probe=self.point,
            schemas=schemas,
        )
        self.loop = loop_of(self, pipeline, ports)
        self.task = self._scheduler.spawn(f"process {self.number}", self._run)

    def _run(self) -> None:
        loop = self.loop
        try:
            self.lookup.start()
            self.client.subscribe(loop)
            while self.stop_asked_at is None:
                loop.turn()
            loop.stop(self.stop_deadline)
            self.client.close()
        except GiveUp as error:
            self.gave_up = str(error)
        self.die()

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self.stop_asked_at is None and not self.is_dead:
            self.trace("SIGTERM")
            self.was_disturbed = self._is_frozen or not self.client.is_served_well()
            now = self._scheduler.now
            self.stop_deadline = now + self.setup.options.drain_timeout_seconds
            self.loop.request_stop(self.stop_deadline)
            self.stop_asked_at = now
            self._scheduler.at(
                self.stop_deadline + OVERTIME_SECONDS, lambda: self.when_running(self.kill)
            )

    def kill(self) -> None:
        """End at once: kill -9, or the watchdog of a stop."""
        if not self.is_dead:
            self.trace("killed")
            self._scheduler.kill(self.task)
            self.die()

    def die(self) -> None:
        """Do nothing any more."""
        if not self.is_dead:
            self.is_dead = True
            self.ended_at = self._scheduler.now
            self._waiting.clear()
            self.trace("ended", self.gave_up)

    # -- being stopped and going on ---------------------------------------------------------------

    def point(self) -> None:
        """Be where the machine may stop the owner thread: any call of a port."""
        if self._freeze_in is not None:
            self._freeze_in -= 1
            if self._freeze_in < 0:
                self._freeze_in = None
                self._freeze()
                self._scheduler.block(self._scheduler.now)
        elif self.setup.hiccups and self._draw.random() < self.setup.hiccups:
            self._scheduler.block(self._scheduler.now + 0.1 * self._draw.random())

    def freeze(self, seconds: float, after_calls: int | None) -> None:
        """Send SIGSTOP and later SIGCONT: now, or after so many calls of ports."""
        if self.is_dead or self._is_frozen or self._freeze_in is not None:
            return
        self._freeze_seconds = seconds
        if after_calls is None:
            self._freeze()
        else:
            self._freeze_in = after_calls

    def _freeze(self) -> None:
        self.trace("SIGSTOP", self._freeze_seconds)
        self._is_frozen = self.was_disturbed = True
        self._scheduler.freeze(self.task)
        self._scheduler.after(self._freeze_seconds, self.thaw)

    def thaw(self) -> None:
        """Go on; background threads and the owner thread do so in any order."""
        self._freeze_in = None
        if self.is_dead or not self._is_frozen:
            return
        self.trace("SIGCONT")
        self._is_frozen = False
        self._scheduler.thaw(self.task)
        waiting, self._waiting = self._waiting, []
        moment = self._scheduler.now
        for action in waiting:
            moment += self._draw.choice((0.0, 0.0, 0.02 * self._draw.random()))
            self._scheduler.at(moment, partial(self.when_running, action))

    def when_running(self, action: Callable[[], object]) -> None:
        """Do something now, or when the process goes on, or never if it is dead."""
        if self._is_frozen:
            self._waiting.append(action)
        elif not self.is_dead:
            action()

    def poke(self) -> None:
        """Wake the owner thread if it waits for something."""
        self._scheduler.poke(self.task)

    # -- ports ------------------------------------------------------------------------------------

    def now(self) -> float:
        """Return the world's time, without being stopped."""
        return self._scheduler.now

    def unread_from(self, partition: int) -> float:
        """Return the offset of the record of a partition that waits for its schema; inf: none."""
        name = (TOPIC, partition)
        waits = name in self.pipeline.awaited and name in self.pipeline.ledgers
        return self.pipeline.ledgers[name].position if waits else math.inf

    def trace(self, *what: object) -> None:
        """Take down what happened."""
        self._trace(self.number, *what)

    def _clock(self) -> float:
        self.point()
        return self._scheduler.now

    def _say(
        self,
        now: float,  # noqa: ARG002 - the trace has its own
        event: str,
        key: str,  # noqa: ARG002 - nothing is folded here
        message: str,
        *,
        level: str,  # noqa: ARG002 - all of it is taken down
        **fields: object,  # noqa: ARG002 - the message says it
    ) -> None:
        self.point()
        self._trace(self.number, "log", event, message)


class Observer:
    """What the cluster's thread saw last (``ports.ObserverPort``)."""

    def __init__(self, process: Process) -> None:
        self.partitions: tuple[Partition, ...] = ()
        self.silent: Mapping[Partition, int] = {}
        self.member_id = ""
        self._process = process
        self._has_seen = False
        self._leaders: dict[Partition, tuple[int, int]] = {}
        self._looked_at = -math.inf

    def ask_now(self) -> None:
        """Ask now: `view` always does, but for the leaders."""
        self._looked_at = -math.inf

    @property
    def view(self) -> View:
        """Return what a broker says, if one answers."""
        process, setup = self._process, self._process.setup
        if not process.link.is_up or (self._has_seen and setup.is_blind):
            return View(asked=True, unreachable="no answer")
        self._has_seen = True
        if process.now() >= self._looked_at + setup.look_seconds:
            self._leaders, self._looked_at = process.lookup.leaders(), process.now()
        tells = setup.tells_session and setup.protocol == "new"
        return View(
            asked=True,
            leaders=self._leaders,
            dead_letter_trouble=process.dead_letters.trouble or None,
            is_member=process.client.is_member(self.member_id) if self.member_id else None,
            session_seconds=setup.session_seconds if tells else None,
            heartbeat_seconds=setup.heartbeat_seconds if tells else None,
        )


def _ignore(_: float) -> None:
    """Take no notice of a heartbeat."""
