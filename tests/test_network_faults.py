"""What networks do to connections, to the API or to Kafka, is repeated and loses nothing.

A real TCP proxy stands between the daemon and one of its neighbours. In between customers flip; in
the end each of them has to be where their last record put them.
"""

from functools import partial
from typing import TYPE_CHECKING

import pytest

from consumer.commands.demo.standin import Fault
from tests.support.cluster import Record
from tests.support.flipping import Flipping
from tests.support.lateness import was_overtaken
from tests.support.scenario import additions, event
from tests.support.tcp_proxy import HOST, TcpProxy
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.api import FaultyApi
    from tests.support.daemon import Daemon
    from tests.support.scenario import Scenario

both_protocols = pytest.mark.parametrize("protocol", ["classic", "consumer"])

PATIENCE_SECONDS = 30
REQUEST_SECONDS = 1  # the scenarios' CUSTOMERIO_TIMEOUT_SECONDS
LATE = 0.6 * REQUEST_SECONDS  # what is left is for the way to the API, on a busy machine
LONGER_SESSION = 12
"""Where every round trip takes 0.4 s, finding the coordinator again can take half of the 6 s."""
DEFAULT_SESSION = 45

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
OF_KNOWN_LENGTH = _HEAD + b"Content-Length: 2\r\n\r\n{}"
IN_CHUNKS = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"


@pytest.fixture
def way_to_api(api: "FaultyApi") -> "Iterator[TcpProxy]":
    with TcpProxy(HOST, api.port) as proxy:
        yield proxy


def start_behind(scenario: "Scenario", way_to_api: TcpProxy) -> "Daemon":
    """Start a daemon that has no other way to the API."""
    return scenario.start_ready(CUSTOMERIO_URL=f"http://{way_to_api.address}")


def finish(scenario: "Scenario", flipping: Flipping, daemon: "Daemon") -> None:
    """Let the rest be delivered; check that everything is committed, right and accounted for."""
    verdict = flipping.finish(daemon, request_seconds=REQUEST_SECONDS)
    assert not verdict.wrong, str(verdict)
    assert not verdict.went_back, str(verdict)
    assert verdict.members > 150, str(verdict)
    scenario.await_all_committed()
    assert not any(scenario.broker.end_offsets(scenario.dead_letter_topic).values())
    assert daemon.exit_code is None


def retries(daemon: "Daemon", reason: str) -> float:
    return daemon.metric("retries_total", reason=reason)


def await_retries(
    daemon: "Daemon", reason: str, more: int, provoke: "Callable[[], None]" = lambda: None
) -> None:
    """Wait for so many more failed attempts; ``provoke`` is called again and again meanwhile."""
    enough = retries(daemon, reason) + more

    def provoked() -> float:
        provoke()
        return retries(daemon, reason)

    what = f"{more} more attempts that end with {reason}"
    eventually(provoked, PATIENCE_SECONDS, what, until=lambda count: count >= enough)


def await_more_accepted(scenario: "Scenario", count: int) -> None:
    scenario.await_accepted(scenario.api.counters().ids + count, PATIENCE_SECONDS)


# Between the daemon and the API


def test_reset_connections_to_the_api_are_tried_again(
    scenario: "Scenario", way_to_api: TcpProxy, flipping: Flipping
) -> None:
    """Some of what is cut off was applied before, some never is, some only afterwards."""
    never = Fault(delay_seconds=0.1)
    before = Fault(delay_seconds=0.1, apply_after_seconds=0)
    afterwards = Fault(delay_seconds=LATE, apply_after_seconds=LATE)
    scenario.api.script(flipping.draw.choices([never, before, afterwards, None], k=100_000))
    daemon = start_behind(scenario, way_to_api)

    def reset() -> None:
        if scenario.api.in_flight:
            way_to_api.reset()

    for _ in range(6):
        await_more_accepted(scenario, 50)
        await_retries(daemon, "connection", 1, reset)
    finish(scenario, flipping, daemon)


def test_what_a_reset_left_on_its_way_overwrites_nothing(
    scenario: "Scenario", way_to_api: TcpProxy
) -> None:
    """The API goes on with what it had received, whether or not it is told the same again.

    It is, unless its opposite was read before that.
    """
    customers = {f"customer-{number}" for number in range(100)}
    joining = Record("k", event(1, "add", *customers))
    leaving = Record("k", event(1, "remove", *customers))
    scenario.api.script([Fault(delay_seconds=LATE, apply_after_seconds=LATE)])
    daemon = start_behind(scenario, way_to_api)
    scenario.produce([joining])
    eventually(lambda: scenario.api.in_flight, PATIENCE_SECONDS, "a request")
    scenario.produce([leaving])
    way_to_api.reset()
    scenario.await_accepted(2 * len(customers))
    scenario.await_all_committed()
    wrong = {
        name: scenario.api.lateness.applied(1, name) for name in customers - scenario.api.removed(1)
    }
    assert all(was_overtaken("remove", each, REQUEST_SECONDS) for each in wrong.values()), wrong
    daemon.await_metric(1, "retries_total", reason="connection")


def test_an_api_behind_a_black_hole_is_tried_again(
    scenario: "Scenario", way_to_api: TcpProxy, flipping: Flipping
) -> None:
    daemon = start_behind(scenario, way_to_api)
    await_more_accepted(scenario, 100)
    way_to_api.black_hole()
    await_retries(daemon, "timeout", 1)
    delivered = daemon.total("ids_total", outcome="delivered")
    accepted = scenario.api.counters().accepted
    await_retries(daemon, "timeout", 5)
    assert daemon.total("ids_total", outcome="delivered") == delivered
    assert scenario.api.counters().accepted == accepted
    assert way_to_api.connections_open
    way_to_api.reset()  # what was swallowed does not come out again
    way_to_api.mend()
    await_more_accepted(scenario, 100)
    finish(scenario, flipping, daemon)


def test_answers_that_drip_too_slowly_are_no_success_and_those_in_time_are(
    scenario: "Scenario", way_to_api: TcpProxy, flipping: Flipping
) -> None:
    daemon = start_behind(scenario, way_to_api)
    await_more_accepted(scenario, 100)
    way_to_api.drip(20)  # three seconds for an answer
    await_retries(daemon, "timeout", 1)
    delivered = daemon.total("ids_total", outcome="delivered")
    accepted = scenario.api.counters().accepted
    eventually(
        lambda: scenario.api.counters().accepted,
        PATIENCE_SECONDS,
        "the API to accept what it is asked again",
        until=lambda count: count > accepted,
    )
    await_retries(daemon, "timeout", 1)
    assert daemon.total("ids_total", outcome="delivered") == delivered
    way_to_api.drip(200)  # a third of a second
    eventually(
        lambda: daemon.total("ids_total", outcome="delivered"),
        PATIENCE_SECONDS,
        "deliveries, though the answers drip",
        until=lambda count: count >= delivered + 100,
    )
    way_to_api.mend()
    finish(scenario, flipping, daemon)


def test_a_half_open_connection_to_the_api_costs_one_try(
    scenario: "Scenario", way_to_api: TcpProxy, flipping: Flipping
) -> None:
    daemon = start_behind(scenario, way_to_api)
    vanished = 0
    for _ in range(3):
        await_more_accepted(scenario, 100)
        vanished += way_to_api.vanish()
        await_retries(daemon, "timeout", 1)
    await_more_accepted(scenario, 100)
    finish(scenario, flipping, daemon)
    # The double, for a machine that is too busy to answer in time now and then.
    assert retries(daemon, "timeout") <= 2 * vanished


def test_answers_of_the_api_cut_anywhere_are_tried_again(
    scenario: "Scenario", way_to_api: TcpProxy, flipping: Flipping
) -> None:
    daemon = start_behind(scenario, way_to_api)
    for _ in range(10):
        await_more_accepted(scenario, 20)
        before = retries(daemon, "connection")
        way_to_api.cut_after(flipping.draw.randrange(60))  # in the next answer
        eventually(
            lambda: retries(daemon, "connection"),
            PATIENCE_SECONDS,
            "the answer that was cut to be noticed",
            until=before.__lt__,
        )
    finish(scenario, flipping, daemon)


def test_the_beginning_of_a_success_is_no_success(
    scenario: "Scenario", way_to_api: TcpProxy
) -> None:
    """What answers so applied nothing: something in between that promised too much."""
    daemon = start_behind(scenario, way_to_api)
    cuts = 0
    for answer in (OF_KNOWN_LENGTH, IN_CHUNKS):
        for length in (*range(0, len(answer) - 2, 12), len(answer) - 2, len(answer) - 1):
            scenario.api.script([Fault(raw=answer)])
            way_to_api.cut_after(length)
            scenario.produce(additions(1, 1, start=cuts))
            cuts += 1
            # Not what the API accepted: the next cut would be of an answer still on its way.
            eventually(
                partial(daemon.total, "requests_total", status="200"),
                PATIENCE_SECONDS,
                f"{cuts} answers to arrive whole",
                until=float(cuts).__eq__,
            )
    scenario.await_all_committed()
    assert len(scenario.api.members(1)) == cuts
    daemon.await_metric(cuts, "retries_total", reason="connection")
    assert daemon.total("requests_total", status="200") == cuts
    assert daemon.total("requests_total") == 2 * cuts
    assert not any(scenario.broker.end_offsets(scenario.dead_letter_topic).values())


# Between the daemon and Kafka


@pytest.mark.long("freezes and cuts beyond one of each kind", keep=("classic",))
@both_protocols
def test_reset_connections_to_kafka_cost_no_membership_and_no_record(
    scenario: "Scenario", flipping: Flipping
) -> None:
    way_in, proxy = scenario.broker.proxied(0)
    daemon = scenario.start_ready(KAFKA_BOOTSTRAP_SERVERS=way_in)
    (member,) = scenario.broker.group_members(scenario.group)
    for _ in range(6):
        await_more_accepted(scenario, 50)
        assert proxy.connections_open
        proxy.reset()
        flipping.await_caught_up()
    finish(scenario, flipping, daemon)
    assert scenario.broker.group_members(scenario.group) == [member]
    assert daemon.total("rebalances_total") == 1


def lag(scenario: "Scenario") -> int:
    ends = scenario.broker.end_offsets(scenario.topic)
    return sum(ends.values()) - sum(scenario.committed().values())


def await_lag(scenario: "Scenario", records: int) -> None:
    what = f"{records} records behind"
    eventually(lambda: lag(scenario), PATIENCE_SECONDS, what, until=lambda seen: seen >= records)


@pytest.mark.long("freezes and cuts beyond one of each kind", keep=("consumer",))
@both_protocols
def test_a_reset_on_a_long_way_to_kafka_costs_no_membership(
    scenario: "Scenario", flipping: Flipping
) -> None:
    """A commit is on its way, and is repeated while the coordinator is looked for."""
    way_in, proxy = scenario.broker.proxied(0)
    daemon = scenario.start_ready(
        KAFKA_BOOTSTRAP_SERVERS=way_in, KAFKA_SESSION_TIMEOUT_SECONDS=LONGER_SESSION
    )
    proxy.delay(0.2)
    for _ in range(2):
        await_more_accepted(scenario, 100)
        proxy.reset()
        flipping.await_caught_up()
    assert daemon.metric("rebalances_total", event="lost") == 0
    proxy.mend()
    finish(scenario, flipping, daemon)


@pytest.mark.long("freezes and cuts beyond one of each kind", keep=("classic",))
@both_protocols
def test_a_black_hole_before_kafka_that_is_shorter_than_the_session_costs_time_only(
    scenario: "Scenario", flipping: Flipping
) -> None:
    way_in, proxy = scenario.broker.proxied(0)
    daemon = scenario.start_ready(KAFKA_BOOTSTRAP_SERVERS=way_in)
    await_more_accepted(scenario, 100)
    (member,) = scenario.broker.group_members(scenario.group)
    proxy.black_hole()
    await_lag(scenario, 600)  # two seconds
    proxy.reset()
    proxy.mend()
    flipping.await_caught_up()
    finish(scenario, flipping, daemon)
    assert scenario.broker.group_members(scenario.group) == [member]


@pytest.mark.long("freezes and cuts beyond one of each kind", keep=("consumer",))
@both_protocols
def test_a_black_hole_before_kafka_that_outlasts_the_session_loses_nothing(
    scenario: "Scenario", flipping: Flipping
) -> None:
    way_in, proxy = scenario.broker.proxied(0)
    daemon = scenario.start_ready(KAFKA_BOOTSTRAP_SERVERS=way_in)
    await_more_accepted(scenario, 100)
    proxy.black_hole()
    eventually(
        lambda: scenario.broker.group_members(scenario.group),
        PATIENCE_SECONDS,
        "the group to count it out",
        until=[].__eq__,
    )
    assert daemon.get("/livez")[0] == 200
    proxy.reset()
    proxy.mend()
    flipping.await_caught_up()
    finish(scenario, flipping, daemon)


@pytest.mark.long("freezes and cuts beyond one of each kind")
def test_answers_of_kafka_that_drip_are_read_as_they_come(
    scenario: "Scenario", flipping: Flipping
) -> None:
    """An answer takes seconds then, and a quarter of the session at most before it is given up."""
    way_in, proxy = scenario.broker.proxied(0)
    daemon = scenario.start_ready(
        KAFKA_BOOTSTRAP_SERVERS=way_in,
        KAFKA_SESSION_TIMEOUT_SECONDS=DEFAULT_SESSION,
        # However much waits, no answer is longer than this of each partition.
        kafka_config={"max.partition.fetch.bytes": 4000},
    )
    await_more_accepted(scenario, 100)
    proxy.drip(8000)  # a quarter of what comes in
    await_lag(scenario, 300)
    await_more_accepted(scenario, 100)
    proxy.mend()
    flipping.await_caught_up()
    finish(scenario, flipping, daemon)
    assert daemon.metric("rebalances_total", event="lost") == 0


def await_connections(proxy: TcpProxy, count: int) -> None:
    eventually(
        lambda: proxy.connections_total,
        PATIENCE_SECONDS,
        "a connection instead of the cut one",
        until=lambda found: found >= count,
    )


def test_answers_of_kafka_cut_anywhere_are_asked_for_again(
    scenario: "Scenario", flipping: Flipping
) -> None:
    way_in, proxy = scenario.broker.proxied(0)
    daemon = scenario.start_ready(KAFKA_BOOTSTRAP_SERVERS=way_in)
    for _ in range(10):
        await_more_accepted(scenario, 20)
        before = proxy.connections_total
        proxy.cut_after(flipping.draw.randrange(5000))
        await_connections(proxy, before + 1)
    finish(scenario, flipping, daemon)


def test_dead_letters_whose_acknowledgements_are_lost_are_there_at_least_once(
    scenario: "Scenario",
) -> None:
    chunks, size = 3, 40
    way_in, proxy = scenario.broker.proxied(0)
    daemon = scenario.start_ready(
        KAFKA_BOOTSTRAP_SERVERS=way_in, KAFKA_SESSION_TIMEOUT_SECONDS=LONGER_SESSION
    )
    proxy.delay(0.2)
    for chunk in range(chunks):
        before = dead_letters(scenario)
        unreadable = [Record("k", b"unreadable", partition=number % 4) for number in range(size)]
        scenario.produce([*unreadable, *additions(1, size, start=size * chunk)])
        await_dead_letters(scenario, before + 1)
        proxy.reset()  # the broker has some, and its answer is on the way
    proxy.mend()
    scenario.await_all_committed(PATIENCE_SECONDS)
    found = scenario.broker.read_all(scenario.dead_letter_topic)
    headers = [dict(dead_letter.headers() or []) for dead_letter in found]
    assert len({each["dead-letter-source"] for each in headers}) == chunks * size
    assert len(scenario.api.members(1)) == chunks * size
    assert daemon.metric("rebalances_total", event="lost") == 0


def dead_letters(scenario: "Scenario") -> int:
    return sum(scenario.broker.end_offsets(scenario.dead_letter_topic).values())


def await_dead_letters(scenario: "Scenario", count: int) -> None:
    what = f"{count} dead letters"
    eventually(lambda: dead_letters(scenario), PATIENCE_SECONDS, what, until=lambda n: n >= count)
