"""The daemon stops in time, and nothing is lost when daemons come, go, crash and return."""

import signal
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from consumer.kafka.member import Member
from consumer.stopper import SAME_SIGNAL_SECONDS
from tests.support.kafka import Broker
from tests.support.scenario import (
    GONE_SECONDS,
    PATIENCE_SECONDS,
    PREFIX,
    Changes,
    CommitWatch,
    Load,
    Scenario,
    additions,
    assert_accounted,
)
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.api import FaultyApi
    from tests.support.cluster import Record
    from tests.support.daemon import Daemon

both_protocols = pytest.mark.parametrize("protocol", ["classic", "consumer"])


def newcomers(segment_id: int, chunk: int) -> "Callable[[], list[Record]]":
    """Return what makes some more records each time, every one for another customer."""
    starts: Iterator[int] = iter(range(0, 10**9, chunk))
    return lambda: additions(segment_id, chunk, next(starts))


def gone_after(daemon: "Daemon") -> tuple[int, float]:
    """Send SIGTERM; return the exit code and the seconds that it took."""
    started = time.monotonic()
    daemon.terminate()
    code = daemon.wait(GONE_SECONDS + 10)
    return code, time.monotonic() - started


def rebalances(daemon: "Daemon") -> dict[str, float]:
    """Return what the group did with the daemon's partitions so far."""
    return {
        dict(labels)["event"]: value
        for (name, labels), value in daemon.metrics().items()
        if name == PREFIX + "rebalances_total"
    }


def await_shares(*daemons: "Daemon", partitions: int = 4) -> None:
    """Wait until the daemons have all partitions among them, and each at least one."""

    def shares() -> list[float]:
        return [daemon.metric("assigned_partitions") for daemon in daemons]

    eventually(
        shares,
        PATIENCE_SECONDS,
        f"{partitions} partitions among {len(daemons)} daemons",
        until=lambda found: sum(found) == partitions and all(found),
        ignoring=(OSError,),
    )


# Stopping

IN_FLIGHT = 8  # the default of CUSTOMERIO_MAX_IN_FLIGHT


@both_protocols
def test_a_stop_drains_and_a_restart_repeats_less_than_a_request(scenario: "Scenario") -> None:
    batch_max_ids = 20
    scenario.api.delay(0.02)
    first = scenario.start_ready(BATCH_MAX_IDS=batch_max_ids, CUSTOMERIO_REQUESTS_PER_SECOND=50)
    scenario.produce(additions(1, 4000))
    scenario.await_accepted(300)
    assert first.metric("held_ids") > 0
    code, seconds = gone_after(first)
    assert code == 0
    assert seconds < GONE_SECONDS
    accepted = scenario.api.counters().ids
    (stopped,) = first.logs("stopped")
    # The last request may be one with ids of the batch behind it, and that was released: it holds
    # the commit at its own first id until all of it is settled.
    repeated = accepted - sum(scenario.committed().values())
    cut_off = len(first.logs("request_failed"))  # by the drain's end, on a busy machine
    assert 0 <= repeated < batch_max_ids * (1 + IN_FLIGHT * cut_off)
    assert accepted + stopped["released"] <= 4000
    assert scenario.broker.group_members(scenario.group) == []
    scenario.api.delay(0)
    scenario.start_ready()
    scenario.await_all_committed()
    assert len(scenario.api.members(1)) == 4000
    assert scenario.api.counters().duplicates == repeated


@both_protocols
def test_a_stop_of_what_can_be_finished_releases_nothing(scenario: "Scenario") -> None:
    scenario.api.delay(0.3)
    daemon = scenario.start_ready(
        BATCH_LINGER_SECONDS=60, COMMIT_INTERVAL_SECONDS=60, DRAIN_TIMEOUT_SECONDS=15
    )
    scenario.produce(additions(1, 500))
    eventually(
        lambda: daemon.metric("held_ids"),
        PATIENCE_SECONDS,
        "500 held ids",
        until=lambda held: held == 500,
    )
    code, seconds = gone_after(daemon)
    assert code == 0
    assert seconds < 12, "it does not wait for the end of the drain's time"
    (stopped,) = daemon.logs("stopped")
    assert (stopped["drained"], stopped["released"]) == (500, 0)
    assert len(scenario.api.members(1)) == 500
    assert scenario.committed() == scenario.broker.end_offsets(scenario.topic)


def test_a_stop_commits_what_was_read_long_after_the_last_delivery(scenario: "Scenario") -> None:
    daemon = scenario.start_ready(COMMIT_INTERVAL_SECONDS=60)
    # With nothing held nothing is sent and so nothing proves the membership: the lease runs out.
    eventually(
        lambda: float(daemon.metric("loop_heartbeat_timestamp_seconds")) - started_at(daemon),
        PATIENCE_SECONDS,
        "a session without a commit",
        until=lambda seconds: seconds > 7,
    )
    scenario.produce([record._replace(value=None, partition=0) for record in additions(1, 5)])
    eventually(
        lambda: daemon.metric("records_total", outcome="tombstone"),
        PATIENCE_SECONDS,
        "5 tombstones",
        until=lambda count: count == 5,
    )
    assert gone_after(daemon)[0] == 0
    assert scenario.committed() == scenario.broker.end_offsets(scenario.topic)


def started_at(daemon: "Daemon") -> float:
    """Return when the daemon's process started, in Unix time."""
    return daemon.metrics()["process_start_time_seconds", frozenset()]


@both_protocols
def test_a_hanging_api_does_not_delay_a_stop(scenario: "Scenario") -> None:
    scenario.api.hang()
    daemon = scenario.start_ready()
    scenario.produce(additions(1, 500))
    eventually(lambda: daemon.metric("requests_in_flight"), PATIENCE_SECONDS, "a request")
    before = scenario.committed()
    code, seconds = gone_after(daemon)
    assert code == 0
    assert seconds < GONE_SECONDS
    (stopped,) = daemon.logs("stopped")
    assert (stopped["drained"], stopped["released"]) == (0, 500)
    assert scenario.committed() == before
    assert scenario.broker.group_members(scenario.group) == []
    scenario.api.heal()
    scenario.start_ready()
    scenario.await_all_committed()
    assert len(scenario.api.members(1)) == 500


@pytest.mark.long("ways of an outage beyond one of each kind", keep=("frozen-consumer",))
@both_protocols
@pytest.mark.parametrize("broker_is", ["killed", "frozen"])
def test_a_broker_that_is_away_does_not_delay_a_stop(scenario: "Scenario", broker_is: str) -> None:
    scenario.api.delay(0.1)
    daemon = scenario.start_ready(BATCH_MAX_IDS=10, CUSTOMERIO_REQUESTS_PER_SECOND=20)
    changes = Changes(3)
    scenario.produce(changes.records(1000))
    scenario.await_accepted(50)
    if broker_is == "killed":
        scenario.broker.kill()
    else:
        scenario.broker.pause()
    code, seconds = gone_after(daemon)
    assert code == 0
    assert seconds < GONE_SECONDS
    scenario.broker.recover()
    scenario.api.delay(0)
    scenario.start_ready()
    scenario.await_all_committed()
    changes.await_right(scenario.api)


@pytest.mark.parametrize(("second", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_signal_ends_a_drain_at_once(
    scenario: "Scenario", second: signal.Signals, code: int
) -> None:
    scenario.api.hang()
    daemon = scenario.start_ready(DRAIN_TIMEOUT_SECONDS=60)
    scenario.produce(additions(1, 50))
    eventually(lambda: daemon.metric("requests_in_flight"), PATIENCE_SECONDS, "a request")
    daemon.interrupt()
    daemon.wait_log("stopping", PATIENCE_SECONDS)
    eventually(
        lambda: daemon.status()["state"], PATIENCE_SECONDS, "a stop", until="stopping".__eq__
    )
    assert (daemon.get("/readyz")[0], daemon.get("/livez")[0]) == (503, 200)
    time.sleep(SAME_SIGNAL_SECONDS)
    (daemon.terminate if second is signal.SIGTERM else daemon.interrupt)()
    assert daemon.wait(GONE_SECONDS) == code


@both_protocols
def test_a_second_signal_ends_a_library_call_that_blocks(scenario: "Scenario") -> None:
    daemon = scenario.start_ready(DRAIN_TIMEOUT_SECONDS=60)
    scenario.broker.pause()
    daemon.terminate()
    # Closing librdkafka, which now waits for the broker:
    daemon.wait_log("revoked", PATIENCE_SECONDS)
    time.sleep(SAME_SIGNAL_SECONDS)
    daemon.terminate()
    assert daemon.wait(GONE_SECONDS) == 143


def test_a_stop_while_starting_is_clean(scenario: "Scenario") -> None:
    bootstrap, proxy = scenario.broker.proxied(0)
    proxy.cut()
    away = scenario.start(KAFKA_BOOTSTRAP_SERVERS=bootstrap)
    joining, hardly_there = scenario.start(), scenario.start()
    hardly_there.wait_log("starting", PATIENCE_SECONDS)
    assert gone_after(hardly_there)[0] == 0
    for daemon in (away, joining):
        daemon.wait_log("listening", PATIENCE_SECONDS)
        code, seconds = gone_after(daemon)
        assert code == 0
        assert seconds < GONE_SECONDS
        assert "Traceback" not in daemon.output + daemon.errors


@both_protocols
def test_partitions_that_were_never_begun_can_be_given_back(
    broker: "Broker", topic: str, group: str, protocol: str
) -> None:
    """As while the broker doesn't say what is committed."""
    assignor = {"partition.assignment.strategy": "cooperative-sticky"}
    member = Member(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": group,
            "group.protocol": protocol,
            "enable.auto.commit": False,
            **(assignor if protocol == "classic" else {}),
        }
    )
    listener = Idler(member)
    member.subscribe([topic], listener)
    eventually(lambda: [member.consume(1, 0.1), listener.told][1], PATIENCE_SECONDS, "partitions")
    member.close()
    assert listener.told == ["assigned", "revoked"]


class Idler:
    """A listener that begins nothing."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self.told: list[str] = []

    def assigned(self, _: object) -> None:
        """Begin nothing."""
        self.told.append("assigned")
        self._member.start({}, paused=False)

    def revoked(self, partitions: object) -> None:
        """Give back what was never begun."""
        self.told.append("revoked")
        self._member.stop(partitions)  # type: ignore[arg-type] # partitions, as it tells them

    lost = revoked

    def commit_answered(self, _: object) -> None:
        """Nothing is committed."""

    def kafka_error(self, _: object) -> None:
        """Nothing to do about it."""


def test_the_last_log_line_counts_what_the_stop_did_and_nothing_before(
    scenario: "Scenario",
) -> None:
    scenario.api.hang()
    first = scenario.start_ready()
    scenario.produce(additions(1, 100))
    eventually(lambda: first.metric("requests_in_flight"), PATIENCE_SECONDS, "a request")
    second = scenario.start_ready(DRAIN_TIMEOUT_SECONDS=4)
    eventually(
        lambda: first.metric("ids_total", action="add", outcome="released"),
        PATIENCE_SECONDS,
        "a revoke that could not be drained",
    )
    scenario.api.heal()
    scenario.await_all_committed()
    assert gone_after(first)[0] == 0
    (stopped,) = first.logs("stopped")
    assert (stopped["drained"], stopped["released"]) == (0, 0)
    assert second.exit_code is None


# Crashes


@both_protocols
def test_after_a_crash_every_member_ends_right(scenario: "Scenario") -> None:
    changes = Changes(4, customers=100)
    first = scenario.start_ready(BATCH_MAX_IDS=50)
    with CommitWatch(scenario) as watch, Load(scenario, lambda: changes.records(100)) as load:
        scenario.await_accepted(1000)
        scenario.api.capacity(3, status=503)
        scenario.api.delay(0.05)
        scenario.await_accepted(2000)
        first.kill()
        second = scenario.start()
        scenario.await_accepted(3000)
        second.kill()
        load.stop()
        scenario.api.heal()
        scenario.start_ready()
        scenario.await_all_committed()
        changes.await_right(scenario.api)
    assert not watch.went_back


# Members that come and go


@both_protocols
def test_a_member_that_joins_and_leaves_repeats_nothing(scenario: "Scenario") -> None:
    changes = Changes(5, customers=100)
    fresh = newcomers(100, 50)
    scenario.api.delay(0.02)
    first = scenario.start_ready()
    with (
        CommitWatch(scenario) as watch,
        Load(scenario, lambda: [*changes.records(50), *fresh()]) as load,
    ):
        scenario.await_accepted(300)
        second = scenario.start_ready()
        await_shares(first, second)
        scenario.await_accepted(scenario.api.counters().ids + 300)
        assert gone_after(second)[0] == 0
        await_shares(first)
        scenario.await_accepted(scenario.api.counters().ids + 300)
        load.stop()
        scenario.await_all_committed()
        changes.await_right(scenario.api)
    assert not watch.went_back
    assert scenario.api.counters().segments[100].duplicates == 0
    assert len(scenario.api.members(100)) == load.produced / 2
    assert_accounted(first.metrics())
    assert rebalances(first)["lost"] == 0


@both_protocols
def test_a_rolling_replacement_repeats_nothing(scenario: "Scenario") -> None:
    scenario.broker.add_partitions(scenario.topic, 6)
    scenario.api.delay(0.02)
    daemons = [scenario.start() for _ in range(3)]
    for daemon in daemons:
        daemon.wait_ready(PATIENCE_SECONDS)
    await_shares(*daemons, partitions=6)
    with CommitWatch(scenario) as watch, Load(scenario, newcomers(1, 100)) as load:
        for old in tuple(daemons):
            scenario.await_accepted(scenario.api.counters().ids + 300)
            old.terminate()
            new = scenario.start()
            assert old.wait(GONE_SECONDS) == 0
            daemons.remove(old)
            daemons.append(new)
            await_shares(*daemons, partitions=6)
        scenario.await_accepted(scenario.api.counters().ids + 300)
        load.stop()
        scenario.await_all_committed()
    assert len(scenario.api.members(1)) == load.produced
    assert scenario.api.counters().duplicates == 0
    assert not watch.went_back
    for daemon in daemons:
        assert_accounted(daemon.metrics())


# Static members


@pytest.mark.parametrize("protocol", ["consumer"])
def test_a_static_member_that_restarts_disturbs_nobody(scenario: "Scenario") -> None:
    first = scenario.start_ready(KAFKA_GROUP_INSTANCE_ID="first")
    second = scenario.start_ready(KAFKA_GROUP_INSTANCE_ID="second")
    both = (first, second)
    await_shares(*both)
    scenario.produce(additions(1, 200))
    scenario.await_all_committed()
    eventually(
        lambda: [each.metric("ids_total", action="add", outcome="delivered") for each in both],
        PATIENCE_SECONDS,
        "metrics that are no older than that",
        until=lambda delivered: sum(delivered) == 200,
    )
    before = rebalances(first)
    shares = {
        member.instance_id: member.partitions
        for member in scenario.broker.group_members(scenario.group)
    }
    # The tests' session is shorter than a start, so it is there already, and waits for its name.
    again = scenario.start(KAFKA_GROUP_INSTANCE_ID="second")
    again.wait_log("kafka_error", PATIENCE_SECONDS)
    assert gone_after(second)[0] == 0
    scenario.produce(additions(2, 200))  # half of it waits for its owner to come back
    again.wait_ready(PATIENCE_SECONDS)
    scenario.await_all_committed()
    assert rebalances(first) == before
    assert shares == {
        member.instance_id: member.partitions
        for member in scenario.broker.group_members(scenario.group)
    }
    assert scenario.api.counters().duplicates == 0
    again.await_metric(2, "assigned_partitions")


@pytest.mark.parametrize("protocol", ["consumer"])
def test_a_static_member_whose_name_was_taken_waits_for_it_and_says_so(
    scenario: "Scenario",
) -> None:
    """For librdkafka's client it is the end that somebody has its name."""
    first = scenario.start_ready(KAFKA_GROUP_INSTANCE_ID="name")
    second = scenario.start(KAFKA_GROUP_INSTANCE_ID="name")
    await_reason(second, "UNRELEASED_INSTANCE_ID")
    with Load(scenario, newcomers(1, 50)) as load:
        scenario.await_accepted(200)
        first.freeze()
        second.wait_ready(PATIENCE_SECONDS)
        first.thaw()
        first.wait_log("lost", PATIENCE_SECONDS)
        await_reason(first, "UNRELEASED_INSTANCE_ID")
        scenario.await_accepted(scenario.api.counters().ids + 200)
        assert not second.logs("lost"), "whoever has the name keeps it"
        assert gone_after(second)[0] == 0
        first.wait_ready(PATIENCE_SECONDS)
        load.stop()
    scenario.await_all_committed()
    assert len(scenario.api.members(1)) == load.produced
    assert gone_after(first)[0] == 0


def await_reason(daemon: "Daemon", code: str) -> None:
    """Wait until the daemon isn't ready, for what Kafka's client said."""
    eventually(
        daemon.reasons,
        PATIENCE_SECONDS,
        code,
        until=lambda reasons: code in reasons,
        ignoring=(OSError,),
    )


# A broker that goes and returns


@pytest.mark.long("ways of an outage beyond one of each kind")
@both_protocols
def test_a_group_that_its_coordinator_forgot_is_joined_anew(
    api: "FaultyApi", protocol: str
) -> None:
    """To librdkafka's KIP-848 client that is the end."""
    with Broker() as broker:
        broker.create_topic("audience", 4)
        scenario = Scenario(broker, api, "audience", "group", protocol)
        with closing(scenario):
            daemon = scenario.start_ready()
            scenario.produce(additions(1, 100))
            scenario.await_all_committed()
            broker.forget_groups()
            scenario.produce(additions(2, 100))
            scenario.await_all_committed(timeout=60)
            assert len(api.members(1)) == len(api.members(2)) == 100
            daemon.wait_ready(PATIENCE_SECONDS)
            assert gone_after(daemon)[0] == 0


@pytest.mark.long("ways of an outage beyond one of each kind", keep=("consumer",))
@both_protocols
def test_a_broker_that_returns_finds_everything_going_on(scenario: "Scenario") -> None:
    changes = Changes(6, customers=100)
    daemon = scenario.start_ready()
    scenario.produce(changes.records(500))
    scenario.await_all_committed()
    scenario.api.hang()
    scenario.produce(changes.records(500))
    eventually(lambda: daemon.metric("requests_in_flight"), PATIENCE_SECONDS, "a request")
    with CommitWatch(scenario) as watch:
        scenario.broker.kill()
        scenario.api.heal()  # what is held is delivered as long as the lease lasts
        eventually(
            lambda: daemon.metric("requests_in_flight") + daemon.metric("held_ids"),
            PATIENCE_SECONDS,
            "nothing in flight",
            until=lambda count: count == 0,
        )
        assert daemon.get("/livez")[0] == 200
        scenario.broker.restart()
        scenario.produce(changes.records(500))
        scenario.await_all_committed(timeout=30)
        changes.await_right(scenario.api)
    assert not watch.went_back
    daemon.wait_ready(10)
    assert_accounted(daemon.metrics())


def test_a_commit_that_failed_is_made_up_for_though_nothing_new_arrives(
    scenario: "Scenario",
) -> None:
    bootstrap, proxy = scenario.broker.proxied(0)
    daemon = scenario.start_ready(KAFKA_BOOTSTRAP_SERVERS=bootstrap)
    scenario.api.always(delay_seconds=0.7)
    scenario.produce(additions(1, 100))
    eventually(lambda: daemon.metric("requests_in_flight"), PATIENCE_SECONDS, "a request")
    before = scenario.committed()
    proxy.black_hole()  # the commit of what this request delivers is sent, and gets no answer
    scenario.await_accepted(100)
    assert scenario.committed() == before
    proxy.reset()
    proxy.mend()
    scenario.await_all_committed()
    assert_accounted(daemon.metrics())


def test_a_commit_that_failed_in_a_rebalance_is_made_up_for_though_nothing_new_arrives(
    scenario: "Scenario",
) -> None:
    """The leader's way to the broker is slow: between join and sync its commits are refused."""
    bootstrap, proxy = scenario.broker.proxied(0)
    leader = scenario.start_ready(
        KAFKA_BOOTSTRAP_SERVERS=bootstrap,
        COMMIT_INTERVAL_SECONDS=0.05,
    )
    proxy.delay(0.3)
    failed = threading.Event()
    fresh = newcomers(1, 20)
    with Load(scenario, lambda: [] if failed.is_set() else fresh()) as load:
        while not failed.is_set():
            second = scenario.start_ready()
            await_shares(leader, second)
            assert gone_after(second)[0] == 0
            await_shares(leader)
            if leader.metric("commits_total", outcome="failed"):
                failed.set()
        load.stop()
        scenario.await_all_committed()
    assert leader.logs("commit_failed")
    assert len(scenario.api.members(1)) == load.produced
