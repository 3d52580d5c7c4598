"""While the API is down everything waits within its bounds; when it is back, it goes on at once."""

import contextlib
import math
import socket
import ssl
import subprocess
import time
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from consumer import clock
from consumer.commands.demo.standin import Fault, StandinRequest
from consumer.engine.loop import CHUNK_RECORDS
from tests.support.api import FaultyApi
from tests.support.certificates import need_openssl
from tests.support.kafka_server import free_ports
from tests.support.scenario import PATIENCE_SECONDS, Changes, assert_accounted
from tests.support.tcp_proxy import HOST
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.daemon import Daemon
    from tests.support.scenario import Scenario

BUFFER_IDS = 500
BACKOFF_SECONDS = 2.0
REQUEST_SECONDS = 1.0  # the scenarios' CUSTOMERIO_TIMEOUT_SECONDS
DRAIN_SECONDS = 4  # the scenarios' DRAIN_TIMEOUT_SECONDS
SESSION_SECONDS = 5  # and the longest time between two polls
SLACK_SECONDS = 20.0  # for a machine that is busy
FIRST_TRIES = 24  # eight side by side, and those before the backoffs have grown to their cap
TRIES_PER_BACKOFF = 3  # two on average, as the jitter is between nothing and the whole backoff


# The API, and ways of being down


class MovingApi(FaultyApi):
    """An API that goes and comes back at the same port, with the same memory."""

    def __init__(self) -> None:
        # Of the ports that clients connect from, a client could take one while it is free.
        super().__init__(free_ports(1)[0])

    def serve_with(self, certificate: "Path | None") -> None:
        """Serve with this certificate from now on; None: without TLS."""
        self.stop()
        self._ssl_context = None
        if certificate is not None:
            self._ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._ssl_context.load_cert_chain(certificate)
        self.start()


@pytest.fixture
def api() -> "Iterator[MovingApi]":
    with MovingApi() as api:
        yield api


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> "tuple[Path, Path]":
    """Make two certificates for 127.0.0.1 that sign themselves, each with its key in its file."""
    need_openssl()
    folder = tmp_path_factory.mktemp("tls")
    return certificate_at(folder / "right.pem"), certificate_at(folder / "wrong.pem")


def certificate_at(path: "Path") -> "Path":
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        f" -subj /CN=stand-in -addext subjectAltName=IP:127.0.0.1 -keyout {path} -out {path}.crt"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    path.write_text(path.read_text() + path.with_suffix(".pem.crt").read_text())
    return path


@contextlib.contextmanager
def refused(api: MovingApi) -> "Iterator[None]":
    api.stop()
    yield
    api.start()


@contextlib.contextmanager
def unreachable(api: MovingApi) -> "Iterator[None]":
    """Let nothing answer who connects: the queue of somebody who never accepts is full."""
    api.stop()
    with socket.create_server((HOST, api.port), backlog=0), socket.socket() as filling:
        filling.connect((HOST, api.port))
        yield
    api.start()


@contextlib.contextmanager
def hanging(api: MovingApi) -> "Iterator[None]":
    api.hang()
    yield
    api.heal()


@contextlib.contextmanager
def unavailable(api: MovingApi) -> "Iterator[None]":
    api.always(status=503)
    yield
    api.heal()


# What is seen of the daemon


def attempts(daemon: "Daemon") -> float:
    """Return how many requests ended, whichever way."""
    return daemon.total("requests_total")


def assert_within_bounds(daemon: "Daemon") -> None:
    """Check one moment of an outage."""
    assert daemon.get("/livez")[0] == 200
    assert daemon.metric("held_ids") <= BUFFER_IDS + CHUNK_RECORDS
    assert daemon.metric("paused") == 1
    assert_accounted(daemon.metrics())


def await_outage_of(daemon: "Daemon", seconds: float) -> None:
    """Wait until something has waited for so long; check the bounds all the time."""
    eventually(lambda: daemon.metric("paused"), PATIENCE_SECONDS, "a pause")

    def oldest() -> float:
        assert_within_bounds(daemon)
        return daemon.metric("oldest_unsettled_seconds")

    what = f"a record that is unsettled for {seconds:g} s"
    eventually(oldest, PATIENCE_SECONDS, what, until=lambda waited: waited > seconds)


def await_tries(daemon: "Daemon", more: int) -> None:
    enough = attempts(daemon) + more
    longest = more * (BACKOFF_SECONDS + REQUEST_SECONDS) + SLACK_SECONDS
    eventually(lambda: attempts(daemon), longest, f"{more} attempts", until=lambda n: n >= enough)


def most_tries(seconds: float) -> float:
    """Return how many attempts an outage of so many seconds may see."""
    return FIRST_TRIES + TRIES_PER_BACKOFF * seconds / BACKOFF_SECONDS


def assert_no_dead_letters(scenario: "Scenario") -> None:
    assert not any(scenario.broker.end_offsets(scenario.dead_letter_topic).values())


def start(scenario: "Scenario", **settings: object) -> "Daemon":
    """Start a daemon with a small buffer, that is neither alive nor a member if it stands still."""
    return scenario.start_ready(
        BUFFER_MAX_IDS=BUFFER_IDS,
        BATCH_MAX_IDS=100,
        RETRY_MAX_BACKOFF_SECONDS=BACKOFF_SECONDS,
        KAFKA_SESSION_TIMEOUT_SECONDS=SESSION_SECONDS,
        LIVENESS_TIMEOUT_SECONDS=SESSION_SECONDS - 1,
        kafka_config={"max.poll.interval.ms": SESSION_SECONDS * 1000},
        **settings,
    )


def endure(
    scenario: "Scenario", outage: "contextlib.AbstractContextManager[None]", **settings: object
) -> None:
    """Let the API be down for longer than the session, and come back."""
    changes = Changes(31, customers=2000)
    daemon = start(scenario, **settings)
    scenario.produce(changes.records(200))
    scenario.await_all_committed()
    committed = scenario.committed()
    (member,) = scenario.broker.group_members(scenario.group)
    tried = scenario.api.counters().requests
    eventually(
        lambda: attempts(daemon), PATIENCE_SECONDS, "their attempts", until=lambda n: n == tried
    )
    with outage:
        began = time.monotonic()
        scenario.produce(changes.records(10_000))
        await_outage_of(daemon, SESSION_SECONDS + 1)
        await_tries(daemon, 2)
        assert_within_bounds(daemon)
        most = most_tries(time.monotonic() - began)
        assert attempts(daemon) - tried <= most
        assert scenario.api.counters().requests - tried <= most
        assert daemon.status()["api"]["last_error"]
        assert daemon.holds() <= {"api-unavailable"}
        assert scenario.committed() == committed
        accepted = scenario.api.counters().accepted
    soon = BACKOFF_SECONDS + REQUEST_SECONDS + SLACK_SECONDS
    assert scenario.api.wait_for(lambda counters: counters.accepted > accepted, soon)
    scenario.await_all_committed(60)
    changes.await_right(scenario.api)
    eventually(
        lambda: daemon.metric("held_ids"), PATIENCE_SECONDS, "an end", until=lambda n: n == 0
    )
    daemon.await_metric(0, "paused")
    assert_accounted(daemon.metrics())
    assert_no_dead_letters(scenario)
    assert scenario.broker.group_members(scenario.group) == [member]
    assert daemon.metric("rebalances_total", event="revoked") == 0
    assert daemon.metric("rebalances_total", event="lost") == 0


# Outages


@pytest.mark.long("ways of an outage beyond one of each kind", keep=("503",))
@pytest.mark.parametrize(
    ("outage", "protocol"),
    [
        pytest.param(refused, "classic", id="refused"),
        pytest.param(unreachable, "consumer", id="unreachable"),
        pytest.param(hanging, "classic", id="hanging"),
        pytest.param(unavailable, "consumer", id="503"),
    ],
)
def test_an_api_that_is_down_is_waited_for_within_bounds(
    scenario: "Scenario",
    api: MovingApi,
    outage: "Callable[[MovingApi], contextlib.AbstractContextManager[None]]",
) -> None:
    endure(scenario, outage(api))


@pytest.mark.long("ways of an outage beyond one of each kind", keep=("no TLS",))
@pytest.mark.parametrize("is_secure", [True, False], ids=["wrong certificate", "no TLS"])
def test_an_api_whose_tls_fails_is_waited_for_within_bounds(
    scenario: "Scenario", api: MovingApi, certificates: "tuple[Path, Path]", is_secure: bool
) -> None:
    right, wrong = certificates

    @contextlib.contextmanager
    def outage() -> "Iterator[None]":
        api.serve_with(wrong if is_secure else None)
        yield
        api.serve_with(right)

    api.serve_with(right)
    endure(scenario, outage(), SSL_CERT_FILE=right)


@pytest.mark.long("ways of an outage beyond one of each kind")
def test_an_api_whose_name_is_unknown_is_waited_for_within_bounds(scenario: "Scenario") -> None:
    changes = Changes(32, customers=2000)
    scenario.produce(changes.records(10_000))
    daemon = start(scenario, CUSTOMERIO_URL="http://nowhere.invalid")
    began = time.monotonic()
    await_outage_of(daemon, 2 * BACKOFF_SECONDS)
    await_tries(daemon, 2)
    assert attempts(daemon) <= most_tries(time.monotonic() - began + 5.0)
    assert "nowhere.invalid" in daemon.status()["api"]["last_error"]
    assert not any(scenario.committed().values())
    held = daemon.metric("held_ids")
    daemon.terminate()
    assert daemon.wait(DRAIN_SECONDS + SLACK_SECONDS) == 0
    (stopped,) = daemon.logs("stopped")
    assert (stopped["drained"], stopped["released"]) == (0, held)
    assert scenario.broker.group_members(scenario.group) == []
    assert_no_dead_letters(scenario)
    scenario.start_ready()
    scenario.await_all_committed(60)
    changes.await_right(scenario.api)


# An API that says when it wants to be asked again

ANSWER_SECONDS = 1.0
WAIT_SECONDS = 2
LONGEST_BACKOFF_SECONDS = 0.5  # the scenarios' RETRY_MAX_BACKOFF_SECONDS
SIDE_BY_SIDE = 8  # the default of CUSTOMERIO_MAX_IN_FLIGHT


class Throttling:
    """A fault: answers 429 with ``Retry-After`` what comes until it has said so, and once more.

    The first answers take a while, so that several requests are out by then. ``put_off`` are these
    requests, each with when it may come again at the earliest; ``taken`` are all later ones.
    """

    def __init__(self, *, is_date: bool) -> None:
        self._is_date = is_date
        self._first_answer_at = math.inf
        self.put_off: list[tuple[StandinRequest, float]] = []
        self.probes: list[tuple[StandinRequest, float]] = []
        self.taken: list[StandinRequest] = []

    def __call__(self, request: StandinRequest) -> Fault:
        """Decide about one request; the server does so in one thread."""
        self._first_answer_at = min(self._first_answer_at, request.arrived + ANSWER_SECONDS)
        if request.arrived < self._first_answer_at:
            return self._put_off(request, self.put_off, ANSWER_SECONDS)
        if not self.probes:
            return self._put_off(request, self.probes, 0)
        self.taken.append(request)
        return Fault(delay_seconds=ANSWER_SECONDS / 2 / len(self.taken))

    def _put_off(
        self,
        request: StandinRequest,
        requests: list[tuple[StandinRequest, float]],
        delay_seconds: float,
    ) -> Fault:
        if self._is_date:  # of whole seconds
            date = math.ceil(time.time() + delay_seconds + WAIT_SECONDS - 1)
            until, told = clock.now() + date - time.time(), formatdate(date, usegmt=True)
        else:
            until, told = request.arrived + delay_seconds + WAIT_SECONDS, str(WAIT_SECONDS)
        requests.append((request, until))
        headers = {"Retry-After": told}
        return Fault(delay_seconds=delay_seconds, status=429, headers=headers)


@pytest.mark.long("ways of an outage beyond one of each kind", keep=("seconds",))
@pytest.mark.parametrize("is_date", [False, True], ids=["seconds", "date"])
def test_nothing_is_sent_before_retry_after_and_then_one_by_one_until_a_success(
    scenario: "Scenario", api: MovingApi, is_date: bool
) -> None:
    changes = Changes(33, customers=2000)
    daemon = scenario.start_ready(
        BATCH_MAX_IDS=100, CUSTOMERIO_TIMEOUT_SECONDS=3, KAFKA_SESSION_TIMEOUT_SECONDS=10
    )
    scenario.produce(changes.records(50))
    scenario.await_all_committed()
    api.fault = throttling = Throttling(is_date=is_date)
    scenario.produce(changes.records(2000))
    scenario.await_all_committed()
    changes.await_right(api)
    assert 1 < len(throttling.put_off) <= SIDE_BY_SIDE
    ((probe, second_until),) = throttling.probes
    first_until = max(until for _, until in throttling.put_off)
    first, second, *_ = throttling.taken
    for next_one, until in ((probe, first_until), (first, second_until)):
        assert next_one.in_flight == 1
        # A hundredth, for a date is compared with another clock.
        assert until - 0.01 <= next_one.arrived
        assert next_one.arrived <= until + LONGEST_BACKOFF_SECONDS + SLACK_SECONDS
    assert second.arrived >= first.arrived + ANSWER_SECONDS / 2
    assert max(request.in_flight for request in throttling.taken) > 1
    assert_accounted(daemon.metrics())
    assert_no_dead_letters(scenario)
