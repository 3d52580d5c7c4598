"""What keeps a topic from being read or written, as the cluster says."""

from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient, TopicMetadata

from consumer.engine.ports import Partition
from consumer.kafka.errors import text_of

TIMEOUT_SECONDS = 5.0
READ_IS_DENIED = "READ is denied: allow it"

Topics = Mapping[str, TopicMetadata]
"""A listing of topics by their names; it leaves out what may not be described."""


def trouble_of(name: str, admin: AdminClient, topics: Topics) -> str | None:
    """Return what is wrong with a topic; None: it is there."""
    if name not in topics:  # asking for it by its name tells why
        try:
            topics = admin.list_topics(name, timeout=TIMEOUT_SECONDS).topics
        except KafkaException as error:
            return text_of(error)
    topic = topics.get(name)
    if topic is None:
        return "unknown topic"
    return None if topic.error is None else topic.error.str()


def has_leader(name: Partition, topics: Topics) -> bool:
    """Whether a partition has a leader, or nothing is known of it."""
    topic = topics.get(name[0])
    partition = None if topic is None else topic.partitions.get(name[1])
    return partition is None or partition.leader >= 0


def unreadable(names: Sequence[str], admin: AdminClient) -> dict[str, str]:
    """Return those of the topics that are there and may not be read, with the reason.

    A fetch that is refused says so once, and nothing when it no longer is.
    """
    if not names:
        return {}
    futures = admin.describe_topics(
        TopicCollection(list(names)),
        include_authorized_operations=True,
        request_timeout=TIMEOUT_SECONDS,
    )
    reasons = {}
    for name, future in futures.items():
        try:
            allowed = future.result().authorized_operations
        except (KafkaException, ValueError):
            continue
        if allowed and AclOperation.READ not in allowed:
            reasons[name] = READ_IS_DENIED
    return reasons
