"""Why nothing comes from a partition, as far as the cluster knows.

Asked only about partitions that are silent though records wait, so it costs nothing while all is
well.
"""

from collections.abc import Iterator, Mapping

from confluent_kafka import IsolationLevel, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AclOperation, AdminClient, OffsetSpec, TopicDescription

from consumer.engine.ports import Partition
from consumer.kafka.errors import text_of
from consumer.kafka.topics import READ_IS_DENIED, TIMEOUT_SECONDS


def causes_of(
    silent: Mapping[Partition, int], ends: Mapping[Partition, int], admin: AdminClient
) -> dict[Partition, str]:
    """Return the causes that are known; ``silent`` has the positions, ``ends`` the logs' ends."""
    if not silent:
        return {}
    causes = dict(_of_topics(silent, admin))
    causes |= _of_transactions({n: at for n, at in silent.items() if n not in causes}, ends, admin)
    return causes


def _of_topics(
    silent: Mapping[Partition, int], admin: AdminClient
) -> Iterator[tuple[Partition, str]]:
    """Yield those whose topic is gone or may not be read, or that have no leader."""
    topics = sorted({topic for topic, _ in silent})
    described = admin.describe_topics(
        TopicCollection(topics), include_authorized_operations=True, request_timeout=TIMEOUT_SECONDS
    )
    for topic, future in described.items():
        names = [name for name in silent if name[0] == topic]
        try:
            found = future.result()
        except (KafkaException, ValueError) as error:
            yield from ((name, text_of(error)) for name in names)
            continue
        for name in names:
            if cause := _of_topic(found, name[1]):
                yield name, cause


def _of_topic(topic: TopicDescription, partition: int) -> str:
    operations = topic.authorized_operations
    if operations and AclOperation.READ not in operations:
        return READ_IS_DENIED
    leaders = {each.id: each.leader for each in topic.partitions}
    return "" if leaders.get(partition) else "it has no leader: a broker is away"


def _of_transactions(
    silent: Mapping[Partition, int], ends: Mapping[Partition, int], admin: AdminClient
) -> dict[Partition, str]:
    """Return those before which a transaction is open: the two isolation levels' ends differ."""
    asked = {
        TopicPartition(*name): OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library's
        for name in silent
    }
    if not asked:
        return {}
    causes: dict[Partition, str] = {}
    answers = admin.list_offsets(
        asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=TIMEOUT_SECONDS
    )
    for at, future in answers.items():
        name = at.topic, at.partition
        try:
            stable = future.result().offset
        except KafkaException:
            continue
        end = ends.get(name, -1)
        if stable <= silent[name] and stable < end:
            causes[name] = (
                f"a transaction is open: what is committed ends at {stable}, the log at {end}"
            )
    return causes
