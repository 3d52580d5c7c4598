"""What keeps a topic from being read or written, as the cluster says."""

from collections.abc import Iterable, Mapping

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient, TopicDescription

from consumer.kafka.errors import text_of

TIMEOUT_SECONDS = 5.0

Topics = Mapping[str, TopicDescription | KafkaException]
"""Each topic that was asked for, by its name, or why it is not to be had."""


def describe(names: Iterable[str], admin: AdminClient) -> Topics:
    """Ask for these topics alone, all in one request.

    Raises KafkaException if no broker answers: then each of them has the same error, librdkafka's.
    """
    wanted = sorted(set(names))
    if not wanted:  # whether a broker answers is to be known all the same
        admin.describe_cluster(request_timeout=TIMEOUT_SECONDS).result()
        return {}
    futures = admin.describe_topics(
        TopicCollection(wanted), include_authorized_operations=True, request_timeout=TIMEOUT_SECONDS
    )
    topics: dict[str, TopicDescription | KafkaException] = {}
    for name, future in futures.items():
        try:
            topics[name] = future.result()
        except KafkaException as error:
            if error.args[0].code() < 0:  # of librdkafka's own, not of a broker
                raise
            topics[name] = error
    return topics


def trouble_of(name: str, topics: Topics) -> str | None:
    """Return what is wrong with a topic that was asked for; None: it is there."""
    topic = topics[name]
    return text_of(topic) if isinstance(topic, KafkaException) else None


def unreadable(name: str, topics: Topics) -> str | None:
    """Return why a topic that was asked for can't be read; None: it can.

    A fetch that is refused says so once, and nothing when it no longer is.
    """
    topic = topics[name]
    if isinstance(topic, KafkaException):
        return text_of(topic)
    allowed = topic.authorized_operations
    return "READ is denied: allow it" if allowed and AclOperation.READ not in allowed else None


def partition_counts(topics: Topics) -> dict[str, int]:
    """Return how many partitions each topic has that is there."""
    return {
        name: len(topic.partitions)
        for name, topic in topics.items()
        if not isinstance(topic, KafkaException)
    }
