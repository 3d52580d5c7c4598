"""By every door that Kafka has, with the rights that are documented and no others, all goes well.

A real broker, real processes and signals: delivered, a member that comes and goes, dead letters, a
stop with things in flight, and the commands.
"""

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from confluent_kafka.admin import AclOperation, ResourceType

from consumer.commands.check.connection import Connection
from consumer.commands.check.dead_letters import dead_letter_finding
from consumer.settings import load
from tests.support.authorizer import CLUSTER, Right
from tests.support.certificates import Authority
from tests.support.cluster import Record
from tests.support.daemon import Daemon
from tests.support.doors import Door, Doors
from tests.support.kafka_frames import SASL_HANDSHAKE, Logins, answers_of, broken_off
from tests.support.rights import documented
from tests.support.scenario import PATIENCE_SECONDS, Load, Scenario, additions
from tests.support.token_endpoint import TokenEndpoint
from tests.support.waiting import eventually
from tests.support.ways import PLAIN_OPEN, SCRAM_512_OPEN, WAYS, Way
from tests.test_stop_and_restart import await_shares, newcomers

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.xdist_group("a broker with every door")

UNREADABLE = Record(None, b"unreadable")
LASTING = [way._replace(session_seconds=0) for way in WAYS]
BRIEF = SCRAM_512_OPEN._replace(name="brief", session_seconds=2)
by_every_door = pytest.mark.parametrize("way", LASTING, ids=[way.name for way in LASTING])
both_protocols = pytest.mark.parametrize("protocol", ["classic", "consumer"])
beyond = "doors beyond one of each kind"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Doors]":
    """Start a Kafka with every door; here it takes the place of the other tests' Kafka."""
    authority = Authority(tmp_path_factory.mktemp("trusted") / "authority")
    with TokenEndpoint() as tokens, Doors(authority, [*LASTING, BRIEF], tokens) as broker:
        yield broker


@pytest.fixture
def door(scenario: Scenario, broker: Doors, way: Way) -> Door:
    """Return the door by which whatever the scenario starts comes in."""
    door = broker.door(way)
    scenario.come_by(door)
    return door


class Allow:
    """Gives who comes by a door the rights that are documented, for what a scenario has."""

    def __init__(self, broker: Doors) -> None:
        self._broker = broker
        self._given: list[tuple[str, list[Right]]] = []

    def __call__(self, door: Door, scenario: Scenario, *, replays: bool = False) -> None:
        """Give them, until they are taken back."""
        names = scenario.topic, scenario.group, scenario.dead_letter_topic
        rights = documented(*names, replays=replays)
        self._broker.allow(door.principal, rights)
        self._given.append((door.principal, rights))

    def take_back(self) -> None:
        """Take them away: by the same door another test sees whatever its user may see."""
        for principal, rights in self._given:
            self._broker.take_away(principal, rights)


@pytest.fixture(autouse=True)
def allow(broker: Doors) -> "Iterator[Allow]":
    """Return what gives rights. Here before the scenario, so behind its daemons' end."""
    allow = Allow(broker)
    yield allow
    allow.take_back()


@by_every_door
def test_each_door_lets_its_own_in_and_shows_them_nothing(
    allow: Allow, door: Door, scenario: Scenario
) -> None:
    given = {name: str(value) for name, value in scenario.settings().items()}
    found, topics = Connection(load(given)).try_brokers()
    assert "answer; " in found.line()
    assert topics == {}
    allow(door, scenario)
    _, topics = Connection(load(given)).try_brokers()
    assert set(topics or {}) == {scenario.topic}


def test_a_login_that_breaks_off_is_not_called_refused(
    allow: Allow, broker: Doors, scenario: Scenario
) -> None:
    """As when a broker goes right then: nobody said that anything is wrong with the password."""
    door = broker.door(PLAIN_OPEN)
    scenario.come_by(door)
    allow(door, scenario)
    door.proxied.proxy.meddle(answers_of(SASL_HANDSHAKE, broken_off, lambda: True))
    daemon = scenario.start()
    daemon.await_reason("handshake failed: Local: Broker transport failure")
    assert "refused" not in daemon.reasons()
    door.proxied.proxy.mend()
    daemon.wait_ready(PATIENCE_SECONDS)


@pytest.mark.long(beyond, keep=("consumer-scram-512", "classic-oidc", "consumer-certificate"))
@by_every_door
@both_protocols
def test_all_is_delivered_while_members_come_and_go_and_nothing_is_repeated(
    scenario: Scenario, allow: Allow, door: Door
) -> None:
    allow(door, scenario)
    scenario.api.delay(0.05)
    first = start(scenario)
    scenario.produce([UNREADABLE])
    with Load(scenario, newcomers(1, 20)) as load:
        scenario.await_accepted(100)
        (letter,) = scenario.dead_letters(1)
        second = start(scenario)
        await_shares(first, second)
        scenario.produce(few for each in range(4) for few in additions(2, 1, each, partition=each))
        stop_with_things_waiting(second)
        first.await_metric(4, "assigned_partitions")
        stop_with_things_waiting(first)
        load.stop()
    assert letter.value() == UNREADABLE.value
    delivered = len(scenario.api.members(1)) + len(scenario.api.members(2))
    assert sum(scenario.committed().values()) == delivered + 1
    assert scenario.api.counters().duplicates == 0
    assert scenario.broker.group_members(scenario.group) == []


def start(scenario: Scenario) -> Daemon:
    """Start a daemon that sends what is full, and keeps the rest for a long time."""
    return scenario.start_ready(BATCH_MAX_IDS=50, BATCH_LINGER_SECONDS=60, DRAIN_TIMEOUT_SECONDS=20)


def stop_with_things_waiting(daemon: Daemon) -> None:
    """End it with SIGTERM while it has few ids of a segment, and more come; it finishes those."""
    eventually(
        lambda: {each["segment_id"] for each in daemon.status()["segments"]},
        PATIENCE_SECONDS,
        "ids that wait",
        until=lambda segments: 2 in segments,
    )
    daemon.stop()
    (stopped,) = daemon.logs("stopped")
    assert stopped["drained"] > 0
    assert stopped["released"] == 0


@pytest.mark.long("the other protocol where one shows it", keep=("consumer",))
@both_protocols
def test_whoever_has_to_log_in_again_and_again_does_so_and_all_goes_on(
    scenario: Scenario, allow: Allow, broker: Doors
) -> None:
    door = broker.door(BRIEF)
    scenario.come_by(door)
    allow(door, scenario)
    logins = Logins()
    door.proxied.proxy.meddle(logins)
    daemon = scenario.start_ready()
    with Load(scenario, newcomers(1, 20)) as load:
        eventually(
            lambda: max(logins.by_connection),
            PATIENCE_SECONDS,
            "three more logins on a connection",
            until=lambda count: count > 3,
        )
        load.stop()
    scenario.await_all_committed()
    assert scenario.api.counters().duplicates == 0
    for event in ("lost", "kafka_error", "hold"):
        assert not daemon.logs(event)


@pytest.mark.long("the other protocol where one shows it", keep=("consumer",))
@both_protocols
def test_topics_of_an_expression_take_the_same_rights(
    scenario: Scenario, allow: Allow, broker: Doors
) -> None:
    """And no right to see others: a topic of the expression that isn't ours is passed over."""
    door = broker.door(PLAIN_OPEN)
    scenario.come_by(door)
    allow(door, scenario)
    broker.create_topic(f"{scenario.topic}-of-others")
    daemon = scenario.start_ready(KAFKA_TOPICS=f"^{scenario.topic}.*")
    scenario.produce([UNREADABLE, *additions(1, 20)])
    scenario.await_all_committed()
    assert len(scenario.api.members(1)) == 20
    assert len(scenario.dead_letters(1)) == 1
    assert daemon.metric("assigned_partitions") == 4


@pytest.mark.long(beyond, keep=("consumer-scram-512", "consumer-oidc", "classic-certificate"))
@by_every_door
@both_protocols
def test_the_commands_come_in_by_it_too(
    scenario: Scenario, allow: Allow, broker: Doors, door: Door
) -> None:
    allow(door, scenario, replays=True)
    scenario.broker.create_topic(scenario.dead_letter_topic, 2)
    scenario.produce(additions(1, 3))
    scenario.produce(additions(2, 5), scenario.dead_letter_topic)
    check, preview, _ = outputs(scenario, "check", "preview", "replay")
    assert {line.split()[0] for line in check.splitlines()} == {"ok"}
    assert "`run` would work" in preview
    assert len(scenario.api.members(2)) == 5
    group = f"{scenario.group}.replay"
    assert sum(broker.committed(group, scenario.dead_letter_topic).values()) == 5


def test_the_right_to_make_topics_may_be_the_clusters(
    scenario: Scenario, allow: Allow, broker: Doors
) -> None:
    """Where it is on neither, it is said; and nothing but the topic's check wants it."""
    door = broker.door(PLAIN_OPEN)
    scenario.come_by(door)
    allow(door, scenario)
    create = Right(ResourceType.TOPIC, scenario.dead_letter_topic, AclOperation.CREATE)
    broker.take_away(door.principal, [create])
    settings = load({name: str(value) for name, value in scenario.settings().items()})

    def said() -> str:
        return dead_letter_finding(settings, Connection(settings), write=False).line()

    assert "can't be created: Authorization failed" in said()
    assert "allow CREATE and WRITE on topic" in said()
    of_the_cluster = [Right(*CLUSTER, AclOperation.CREATE)]
    broker.allow(door.principal, of_the_cluster)
    assert "is missing; the daemon may create it and will" in said()
    broker.take_away(door.principal, of_the_cluster)
    broker.allow(door.principal, [create])


def outputs(scenario: Scenario, *commands: str) -> list[str]:
    """Return what commands say that run side by side, and end well."""
    with ExitStack() as stack:
        processes = [
            stack.enter_context(Daemon(scenario.settings(), arguments=(each,))) for each in commands
        ]
        assert [process.wait(PATIENCE_SECONDS) for process in processes] == [0] * len(commands)
        return [process.output for process in processes]
