"""The session of a KIP-848 group, which is the broker's to decide."""

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from consumer.kafka.topics import TIMEOUT_SECONDS, look


def broker_session(admin: AdminClient, group_id: str) -> tuple[float | None, float | None]:
    """Return a group's session and heartbeat interval in seconds, where the broker tells."""
    session = heartbeat = None
    for kind, name, prefix in (
        (ResourceType.BROKER, broker_id(admin), "group.consumer."),
        (ResourceType.GROUP, group_id, "consumer."),
    ):
        try:
            config = config_of(kind, name, admin)
        except KafkaException as error:
            if error.args[0].code() == KafkaError._UNSUPPORTED_FEATURE:  # noqa: SLF001 - librdkafka's local error codes are spelt so
                break  # asked again, for the group, that would take the whole timeout
            continue
        except (ValueError, TypeError):
            continue
        session = _seconds(config.get(prefix + "session.timeout.ms")) or session
        heartbeat = _seconds(config.get(prefix + "heartbeat.interval.ms")) or heartbeat
    return session, heartbeat


def config_of(kind: ResourceType, name: str, admin: AdminClient) -> dict[str, str]:
    """Return what is configured of a resource. Raises KafkaException, ValueError, TypeError."""
    futures = admin.describe_configs([ConfigResource(kind, name)], request_timeout=TIMEOUT_SECONDS)
    entries = next(iter(futures.values())).result()
    return {key: entry.value for key, entry in entries.items() if entry.value}


def broker_id(admin: AdminClient) -> str:
    """Return the id of one broker, whichever it is. Raises KafkaException."""
    return str(next(iter(look(admin).brokers), 0))


def _seconds(milliseconds: str | None) -> float | None:
    return int(milliseconds) / 1000 if milliseconds else None
