"""Why nothing comes from a partition, as far as the cluster knows.

Asked only about partitions that are silent though records wait, so it costs nothing while all is
well.
"""

from collections.abc import Mapping

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from consumer.engine.ports import Partition
from consumer.kafka.topics import TIMEOUT_SECONDS, UNKNOWN, Topic, Topics, answer_of


def causes_of(
    silent: Mapping[Partition, int],
    ends: Mapping[Partition, int],
    topics: Topics,
    admin: AdminClient,
) -> dict[Partition, str]:
    """Return the causes that are known; ``silent`` has the positions, ``ends`` the logs' ends."""
    found = {name: _of_topic(topics.get(name[0], UNKNOWN), name[1]) for name in silent}
    causes = {name: cause for name, cause in found.items() if cause}
    rest = {name: at for name, at in silent.items() if name not in causes}
    return causes | _of_transactions(rest, ends, admin)


def _of_topic(topic: Topic, partition: int) -> str:
    if topic.unreadable:
        return topic.unreadable
    return "" if topic.is_led(partition) else "it has no leader: a broker is away"


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
        name, answer = (at.topic, at.partition), answer_of(future)
        end = ends.get(name, -1)
        if answer is not None and answer.offset <= silent[name] and answer.offset < end:
            causes[name] = (
                "a transaction is open: what is committed ends at"
                f" {answer.offset}, the log at {end}"
            )
    return causes
