"""The dead-letter topic itself, which is made where it is missing."""

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from consumer.kafka.topics import TIMEOUT_SECONDS, Topics

_CONFIG = {
    "cleanup.policy": "delete",
    "retention.ms": str(30 * 24 * 3600 * 1000),
    "max.message.bytes": str(10 * 2**20),
}


def ensure(name: str, admin: AdminClient, topics: Topics) -> str | None:
    """Make the topic if it isn't among ``topics``; return why it can't be used, None: it can."""
    trouble = topics[name].missing
    if trouble is None:
        return None
    error = create(name, admin)
    if error is None or error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
        return None
    return f"dead-letter topic {name}: {trouble}; creating it: {error.str()}"


def create(name: str, admin: AdminClient, *, only_try: bool = False) -> KafkaError | None:
    """Create the topic, or have the broker say whether it would; return its error."""
    new = NewTopic(name, num_partitions=-1, replication_factor=-1, config=_CONFIG)
    futures = admin.create_topics([new], request_timeout=TIMEOUT_SECONDS, validate_only=only_try)
    try:
        futures[name].result()
    except KafkaException as error:
        return error.args[0]  # type: ignore[no-any-return]  # it is a KafkaError
    return None
