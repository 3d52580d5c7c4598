"""One place in the group: the process that has it now, and what happens to that."""

import threading
import time
from http.client import HTTPException
from typing import TYPE_CHECKING

from tests.chaos import ways
from tests.chaos.plan import REQUEST_SECONDS, SESSION_SECONDS
from tests.support.scenario import assert_accounted
from tests.support.tcp_proxy import HOST, TcpProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.plan import Setup, Step
    from tests.support.daemon import Daemon
    from tests.support.scenario import Scenario

PATIENCE_SECONDS = 60
BATCH_MAX_IDS = 50
DRIP_BYTES_PER_SECOND = 8000  # less than what comes in
SILENT = {"freeze", "nap", "cut", "short cut", "hole", "short hole"}
"""What keeps the process from the broker for some time."""


class Place:
    """Owned by one thread, but for ``scrape``. ``complain`` takes what must not be."""

    def __init__(
        self,
        number: int,
        scenario: "Scenario",
        topics: str,
        setup: "Setup",
        complain: "Callable[[str], None]",
    ) -> None:
        self.number = number
        self.way_to_api = TcpProxy(HOST, scenario.api.port)
        self.daemons: list[Daemon] = []
        self.scrapes = 0
        self._way_to_kafka = scenario.broker.proxied(number)
        self._scenario = scenario
        self._topics = topics
        self._setup = setup
        self._complain = complain
        self._in_use = threading.Lock()
        self._is_silent = False
        self._is_ended = False

    @property
    def daemon(self) -> "Daemon":
        """The process that was started last."""
        return self.daemons[-1]

    def start(self) -> None:
        """Start a process; a static one must not meet one of its name."""
        daemon = self._scenario.start(
            # As long as others wait for a member that doesn't rejoin; by default it is 5 min.
            kafka_config={"max.poll.interval.ms": 60_000},
            KAFKA_BOOTSTRAP_SERVERS=self._way_to_kafka.bootstrap,
            KAFKA_TOPICS=self._topics,
            KAFKA_GROUP_INSTANCE_ID=f"place-{self.number}" if self._setup.is_static else None,
            KAFKA_SESSION_TIMEOUT_SECONDS=SESSION_SECONDS,
            CUSTOMERIO_URL=f"http://{self.way_to_api.address}",
            CUSTOMERIO_TIMEOUT_SECONDS=REQUEST_SECONDS,
            BATCH_LINGER_SECONDS=self._setup.linger_seconds,
            CUSTOMERIO_MAX_IN_FLIGHT=self._setup.max_in_flight,
            BATCH_MAX_IDS=BATCH_MAX_IDS,
            BUFFER_MAX_IDS=1000,
        )
        with self._in_use:
            self.daemons.append(daemon)
            self._is_ended = False

    def strike(self, step: "Step") -> None:
        """Let it happen, and make it good again."""
        self.look_alive()
        match step.kind:
            case "kill":
                self._kill(step.seconds)
            case "stop":
                self.await_end(self.ask_to_stop(), self.name)
                time.sleep(step.seconds)
                self.start()
            case "replace":
                self._replace()
            case "freeze" | "nap":
                self._freeze(step.seconds)
            case _:
                ways.disturb(self._way_to_kafka.proxy, step, DRIP_BYTES_PER_SECOND)

    def look_alive(self) -> None:
        """Complain if the process is gone, and start another."""
        code = self.daemon.exit_code
        if code is not None and not self._is_ended:
            self._complain(f"process {self.name} ended by itself with {code}")
            self.start()

    @property
    def name(self) -> str:
        """Place and number of the process, for people."""
        return f"{self.number}.{len(self.daemons)}"

    def ask_to_stop(self) -> "Daemon":
        """Send SIGTERM; what is about to start would die of it, so that comes first."""
        self.daemon.wait_log("starting", PATIENCE_SECONDS)
        with self._in_use:
            self._is_ended = True
        self.daemon.terminate()
        return self.daemon

    def await_end(self, daemon: "Daemon", name: str) -> None:
        """Wait until it has stopped, as it should."""
        code = daemon.wait(PATIENCE_SECONDS)
        if code != 0:
            self._complain(f"process {name} stopped with {code}")

    def scrape(self) -> None:
        """Look once whether every id is accounted for (I6), if the process answers."""
        with self._in_use:
            daemon = self.daemon
            if self._is_silent or self._is_ended or not daemon.logs("listening"):
                return
            try:
                metrics = daemon.metrics()
            except (OSError, HTTPException):
                return  # it has just ended
            self.scrapes += 1
        try:
            assert_accounted(metrics)
        except AssertionError as error:
            self._complain(f"process {self.name}: not every id is accounted for: {error}")

    def close(self) -> None:
        """Close the way to the API."""
        self.way_to_api.close()

    def _kill(self, seconds: float) -> None:
        with self._in_use:
            self._is_ended = True
        self.daemon.kill()
        time.sleep(seconds)
        self.start()

    def _replace(self) -> None:
        name = self.name
        old = self.ask_to_stop()
        if self._setup.is_static:
            self.await_end(old, name)
            self.start()
        else:
            self.start()
            self.await_end(old, name)

    def _freeze(self, seconds: float) -> None:
        with self._in_use:
            self._is_silent = True
        self.daemon.freeze()
        try:
            time.sleep(seconds)
        finally:
            self.daemon.thaw()
            with self._in_use:
                self._is_silent = False
