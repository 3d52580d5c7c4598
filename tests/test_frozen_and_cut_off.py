"""What a member that was frozen, cut off or killed has in its hands overwrites nothing newer."""

from functools import partial
from typing import TYPE_CHECKING

import pytest

from consumer.commands.demo.standin import Fault
from tests.support.flipping import Flipping, Verdict
from tests.support.scenario import Scenario
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.api import FaultyApi
    from tests.support.daemon import Daemon
    from tests.support.kafka import Broker

PATIENCE_SECONDS = 30
REQUEST_SECONDS = 2
SLOW = 0.6 * REQUEST_SECONDS
"""When the API applies what it takes its time for, after it arrived.

The daemon counts from before it sent it: what is between the two must be less than the rest, or the
API applies it later than any client can know.
"""


@pytest.fixture(params=["classic", "consumer"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def scenario(
    broker: "Broker",
    api: "FaultyApi",
    new_topic: "Callable[..., str]",
    group: str,
    protocol: str,
) -> "Iterator[Scenario]":
    scenario = Scenario(broker, api, new_topic(10), group, protocol)
    yield scenario
    scenario.close()


def losses(daemon: "Daemon") -> int:
    """Return how often it heard that its partitions are gone.

    Revoked is said instead of lost where librdkafka has joined anew before it calls back. Nothing
    is sent then either: the lease is over.
    """
    return len(daemon.logs("lost")) + len(daemon.logs("revoked"))


def test_members_frozen_for_longer_than_their_session_overwrite_nothing(
    scenario: Scenario, flipping: Flipping
) -> None:
    *frozen, other = [join(scenario) for _ in range(5)]
    flipping.await_members(5)
    flipping.await_caught_up()
    slow_segment(scenario, 1)
    for daemon in frozen:
        await_requests_in_flight(daemon)
        daemon.freeze()
    before = [losses(daemon) for daemon in frozen]
    catch_up(scenario, flipping, members=1)
    slow_segment(scenario, 1)
    for daemon in frozen:
        daemon.thaw()
    for daemon, count in zip(frozen, before, strict=True):
        eventually(partial(losses, daemon), PATIENCE_SECONDS, "a loss", until=count.__lt__)
    assert_right(flipping.finish(*frozen, other, request_seconds=REQUEST_SECONDS))
    flipping.await_members(5)


@pytest.mark.long("freezes and cuts beyond one of each kind")
def test_a_member_frozen_in_a_drain_overwrites_nothing(
    scenario: Scenario, flipping: Flipping
) -> None:
    quickly = {"CUSTOMERIO_MAX_IN_FLIGHT": 4, "DRAIN_TIMEOUT_SECONDS": 60}
    frozen, other = join(scenario, **quickly), join(scenario, **quickly)
    flipping.await_members(2)
    flipping.await_caught_up()
    slow_api(scenario)
    await_requests_in_flight(frozen)
    third = join(scenario, **quickly)
    frozen.wait_log("revoked", PATIENCE_SECONDS)
    frozen.freeze()
    catch_up(scenario, flipping, members=2)
    slow_api(scenario)
    frozen.thaw()
    flipping.await_members(3)
    assert_right(flipping.finish(frozen, other, third, request_seconds=REQUEST_SECONDS))


@pytest.mark.long(
    "freezes and cuts beyond one of each kind", keep=("classic-silent", "consumer-refused")
)
@pytest.mark.parametrize("is_silent", [False, True], ids=["refused", "silent"])
def test_a_member_cut_off_from_kafka_only_overwrites_nothing(
    scenario: Scenario, flipping: Flipping, is_silent: bool
) -> None:
    way_in, proxy = scenario.broker.proxied(0)
    cut_off = join(scenario, KAFKA_BOOTSTRAP_SERVERS=way_in, CUSTOMERIO_REQUESTS_PER_SECOND=1)
    other = join(scenario)
    flipping.await_members(2)
    # The broker's view of a share is earlier than the member's.
    eventually(lambda: cut_off.metric("held_ids"), PATIENCE_SECONDS, "changes in its hands")
    before = losses(cut_off)
    (proxy.black_hole if is_silent else proxy.cut)()
    flipping.await_members(1)
    flipping.await_caught_up()
    flipping.await_caught_up()
    proxy.mend()
    eventually(lambda: losses(cut_off), PATIENCE_SECONDS, "a loss", until=before.__lt__)
    flipping.await_members(2)
    cut_off.terminate()
    assert cut_off.wait(PATIENCE_SECONDS) == 0
    assert_right(flipping.finish(other, request_seconds=REQUEST_SECONDS))


@pytest.mark.long("freezes and cuts beyond one of each kind")
def test_what_a_drain_sends_is_over_when_others_take_over(
    scenario: Scenario, flipping: Flipping
) -> None:
    moody_api(scenario, flipping, Fault(delay_seconds=SLOW, apply_after_seconds=SLOW))
    busy = {"CUSTOMERIO_MAX_IN_FLIGHT": 3, "BATCH_LINGER_SECONDS": 0.3}
    members = [join(scenario, **busy)]
    flipping.await_members(1)
    for count in (2, 3, 4):
        members.append(join(scenario, **busy))
        flipping.await_members(count)
    for count in (3, 2):
        leaving = members.pop(0)
        leaving.terminate()
        flipping.await_members(count)
        assert leaving.wait(PATIENCE_SECONDS) == 0
    assert_right(flipping.finish(*members, request_seconds=REQUEST_SECONDS))


@pytest.mark.long("freezes and cuts beyond one of each kind")
def test_what_a_drain_lost_sight_of_is_over_when_others_take_over(
    scenario: Scenario, flipping: Flipping
) -> None:
    """What was lost must be applied after the next owner began, or nobody would notice.

    So the timeout is long, and what comes after the lost try is quick: with 2 s, and the backoff
    and the linger of the others, a drain that waited for nothing left nobody wrong.
    """
    timeout = 3
    moody_api(scenario, flipping, Fault(cut_at=0, apply_after_seconds=0.6 * timeout))
    busy = {
        "CUSTOMERIO_TIMEOUT_SECONDS": timeout,
        "DRAIN_TIMEOUT_SECONDS": 2 * timeout,
        "CUSTOMERIO_MAX_IN_FLIGHT": 3,
        "BATCH_LINGER_SECONDS": 0.05,
        "RETRY_MAX_BACKOFF_SECONDS": 0.1,
    }
    members = [join(scenario, **busy)]
    flipping.await_members(1)
    for count in (2, 3, 4):
        members.append(join(scenario, **busy))
        flipping.await_members(count)
    for count in (3, 2):
        leaving = members.pop(0)
        leaving.terminate()
        flipping.await_members(count)
        assert leaving.wait(PATIENCE_SECONDS) == 0
    assert_right(flipping.finish(*members, request_seconds=timeout))


@pytest.mark.long("freezes and cuts beyond one of each kind", keep=("consumer-killed",))
@pytest.mark.parametrize(("protocol", "name"), [("classic", None), ("consumer", "killed")])
def test_what_a_killed_member_had_on_its_way_overwrites_nothing(
    scenario: Scenario, flipping: Flipping, name: str | None
) -> None:
    moody_api(
        scenario,
        flipping,
        Fault(delay_seconds=SLOW, apply_after_seconds=SLOW),
        Fault(delay_seconds=SLOW),
    )
    killed, other = join(scenario, KAFKA_GROUP_INSTANCE_ID=name), join(scenario)
    flipping.await_members(2)
    flipping.await_caught_up()
    await_requests_in_flight(killed)
    killed.kill()
    successor = join(scenario, KAFKA_GROUP_INSTANCE_ID=name)
    flipping.await_caught_up()
    flipping.await_members(2)
    assert_right(flipping.finish(other, successor, request_seconds=REQUEST_SECONDS))


def catch_up(scenario: Scenario, flipping: Flipping, *, members: int) -> None:
    """Let the API be quick until these members have delivered all that there was.

    What is on its way stays as slow as it was. Were the API slow for what comes now, nobody could
    say how long this takes: a customer flips twice a second, and a request of 1.2 s overlaps two
    flips. So a batch that is due shares an id with one on its way nearly always, and meanwhile
    younger ones of the opposite action go. In virtual time some waited for up to a minute.
    """
    scenario.api.heal()
    flipping.await_members(members)
    flipping.await_caught_up()


def slow_api(scenario: Scenario) -> None:
    """Let the API take most of the timeout, and go on with it when the client is gone."""
    seconds = 0.7 * REQUEST_SECONDS
    scenario.api.always(delay_seconds=seconds, apply_after_seconds=seconds)


def slow_segment(scenario: Scenario, segment_id: int) -> None:
    """Let the API take most of the timeout for one segment, and no time for the others."""
    scenario.api.for_segment(segment_id, delay_seconds=SLOW, apply_after_seconds=SLOW)


def moody_api(scenario: Scenario, flipping: Flipping, *moods: Fault) -> None:
    """Let half of the requests, by chance, be treated so, and the others at once."""
    well = (None,) * len(moods)
    scenario.api.script(flipping.draw.choices((*moods, *well), k=100_000))


def join(scenario: Scenario, **changed: object) -> "Daemon":
    settings = {
        "CUSTOMERIO_TIMEOUT_SECONDS": REQUEST_SECONDS,
        "BATCH_LINGER_SECONDS": 1,
        "DRAIN_TIMEOUT_SECONDS": 4,
        **changed,
    }
    return scenario.start(kafka_config=None, **settings)


def await_requests_in_flight(daemon: "Daemon") -> None:
    eventually(lambda: daemon.metric("requests_in_flight"), PATIENCE_SECONDS, "requests in flight")


def assert_right(verdict: Verdict) -> None:
    assert not verdict.wrong, str(verdict)
    assert not verdict.went_back, str(verdict)
    assert verdict.members > 500, str(verdict)
