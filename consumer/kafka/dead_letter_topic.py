"""The dead-letter topic itself, which is made where it is missing."""

from collections.abc import Mapping

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from consumer.kafka.errors import said_of
from consumer.kafka.topics import TIMEOUT_SECONDS, Topics

DENIED = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED})

UNFIT = frozenset({KafkaError.POLICY_VIOLATION, KafkaError.INVALID_CONFIG})
"""The brokers' rules for topics refuse one as ours, and not the right to make it. Most often for
the size of records: 8 MiB at most on Confluent Cloud and MSK Serverless."""

_KEPT = {"cleanup.policy": "delete", "retention.ms": str(30 * 24 * 3600 * 1000)}
_CONFIG = {**_KEPT, "max.message.bytes": str(10 * 2**20)}


def ensure(name: str, admin: AdminClient, topics: Topics) -> str | None:
    """Make the topic if it isn't among ``topics``; return why it can't be used, None: it can."""
    trouble = topics[name].missing
    if trouble is None:
        return None
    error = create(name, admin)
    if error is None or error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
        return None
    to_do = "; allow WRITE, DESCRIBE and CREATE" if error.code() in DENIED else ""
    return f"dead-letter topic {name}: {trouble}; creating it: {said_of(error)}{to_do}"


def create(name: str, admin: AdminClient, *, only_try: bool = False) -> KafkaError | None:
    """Create the topic, or have the broker say whether it would; return its error.

    Where it allows no records as large as ours may be, the topic takes what the broker does.
    """
    error = _create(name, admin, _CONFIG, only_try)
    if error is not None and error.code() in UNFIT:
        return _create(name, admin, _KEPT, only_try)
    return error


def _create(
    name: str, admin: AdminClient, config: Mapping[str, str], only_try: bool
) -> KafkaError | None:
    new = NewTopic(name, num_partitions=-1, replication_factor=-1, config=dict(config))
    futures = admin.create_topics([new], request_timeout=TIMEOUT_SECONDS, validate_only=only_try)
    try:
        futures[name].result()
    except KafkaException as error:
        return error.args[0]  # type: ignore[no-any-return]  # it is a KafkaError
    return None
