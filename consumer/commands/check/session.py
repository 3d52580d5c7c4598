"""Check of the group's session: who decides it, and whether a request fits into it."""

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ResourceType

from consumer.commands.check.finding import Finding, State
from consumer.commands.check.rights import CLUSTER
from consumer.kafka.session import broker_id, broker_session, config_of
from consumer.settings import Settings
from consumer.settings.agreement import LEASE_SECONDS


def session_finding(settings: Settings, admin: AdminClient) -> Finding:
    """Return whether the broker's session and protocol go with the settings."""
    tried = f"group protocol {settings.kafka_group_protocol}"
    config = _broker_config(admin)
    if not config:
        if settings.kafka_group_protocol == "classic":
            return Finding(State.GOOD, tried, f"{_session(settings)}, as our settings say")
        said = "the broker doesn't tell its session (DescribeConfigs)"
        to_do = (
            f"make sure that it is at least {settings.kafka_session_timeout_seconds:g} s, as"
            " KAFKA_SESSION_TIMEOUT_SECONDS says, or allow DESCRIBE_CONFIGS on the cluster"
        )
        return Finding(State.WARNING, tried, said, to_do, CLUSTER)
    if settings.kafka_group_protocol == "classic":
        return _classic(settings, config, tried)
    protocols = config.get("group.coordinator.rebalance.protocols", "")
    if "group.consumer.session.timeout.ms" not in config or (
        protocols and "consumer" not in protocols.split(",")
    ):
        to_do = (
            "set KAFKA_GROUP_PROTOCOL=classic, or switch it on there"
            " (group.coordinator.rebalance.protocols; Kafka 4.0 or newer)"
        )
        return Finding(State.FAILED, tried, "the broker doesn't offer it", to_do)
    return _kip_848(settings, *broker_session(admin, settings.kafka_group_id), tried)


def _classic(settings: Settings, config: dict[str, str], tried: str) -> Finding:
    shortest = int(config.get("group.min.session.timeout.ms", 0)) / 1000
    longest = int(config.get("group.max.session.timeout.ms", 1e12)) / 1000
    if shortest <= settings.kafka_session_timeout_seconds <= longest:
        return Finding(State.GOOD, tried, f"{_session(settings)}, which the broker allows")
    said = f"the broker allows sessions from {shortest:g} to {longest:g} s"
    ours = f"KAFKA_SESSION_TIMEOUT_SECONDS is {settings.kafka_session_timeout_seconds:g}"
    return Finding(State.FAILED, tried, said, ours)


def _kip_848(
    settings: Settings, session: float | None, heartbeat: float | None, tried: str
) -> Finding:
    session = session or settings.kafka_session_timeout_seconds
    heartbeat = heartbeat or settings.heartbeat_interval_seconds
    said = f"the broker's session is {session:g} s, its heartbeat {heartbeat:g} s"
    counts = min(session, settings.kafka_session_timeout_seconds)
    least = settings.customerio_timeout_seconds + heartbeat + LEASE_SECONDS
    if counts < least:
        to_do = (
            f"raise group.consumer.session.timeout.ms to {least:g} s or more, or lower"
            " CUSTOMERIO_TIMEOUT_SECONDS: no request may outlive the membership that sent it"
        )
        return Finding(State.FAILED, tried, said, to_do)
    if session < settings.kafka_session_timeout_seconds:
        to_do = (
            f"set KAFKA_SESSION_TIMEOUT_SECONDS={session:g}: how long a connection may be without"
            " an answer follows from that"
        )
        return Finding(State.WARNING, tried, said, to_do)
    return Finding(State.GOOD, tried, said)


def _broker_config(admin: AdminClient) -> dict[str, str]:
    """Return a broker's configuration; empty: it doesn't tell."""
    try:
        return config_of(ResourceType.BROKER, broker_id(admin), admin)
    except KafkaException:
        return {}


def _session(settings: Settings) -> str:
    return f"a session of {settings.kafka_session_timeout_seconds:g} s"
