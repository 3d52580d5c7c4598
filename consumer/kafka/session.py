"""The session of a KIP-848 group, which is the broker's to decide."""

from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

_TIMEOUT_SECONDS = 5.0


def broker_session(admin: AdminClient, group_id: str) -> tuple[float | None, float | None]:
    """Return a group's session and heartbeat interval in seconds, where the broker tells."""
    session = heartbeat = None
    for kind, name, prefix in (
        (ResourceType.BROKER, _broker_id(admin), "group.consumer."),
        (ResourceType.GROUP, group_id, "consumer."),
    ):
        try:
            resource = ConfigResource(kind, name)
            futures = admin.describe_configs([resource], request_timeout=_TIMEOUT_SECONDS)
            config = next(iter(futures.values())).result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError._UNSUPPORTED_FEATURE:  # noqa: SLF001 - librdkafka's local error codes are spelt so
                break  # asked again, for the group, that would take the whole timeout
            continue
        except (ValueError, TypeError):
            continue
        session = _seconds(config.get(prefix + "session.timeout.ms")) or session
        heartbeat = _seconds(config.get(prefix + "heartbeat.interval.ms")) or heartbeat
    return session, heartbeat


def _broker_id(admin: AdminClient) -> str:
    brokers = admin.list_topics(timeout=_TIMEOUT_SECONDS).brokers
    return str(next(iter(brokers), 0))


def _seconds(entry: Any) -> float | None:  # noqa: ANN401 - the library's entry has no public type
    return int(entry.value) / 1000 if entry is not None and entry.value else None
