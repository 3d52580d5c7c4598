"""What keeps a topic from being read or written, as the cluster says."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (
    AclOperation,
    AdminClient,
    ClusterMetadata,
    ListOffsetsResultInfo,
)

from consumer.kafka.errors import said_of

if TYPE_CHECKING:
    from concurrent.futures import Future

TIMEOUT_SECONDS = 5.0
READ_IS_DENIED = "READ is denied: allow it"

_ANY_TOPIC = "__consumer_offsets"  # a broker answers also if it isn't there


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic that was asked for; ``missing`` says why it is not to be had.

    ``is_denied``: it may be there, and we may not know.
    """

    partitions: int = 0
    missing: str | None = None
    is_denied: bool = False
    may_read: bool = True
    leaderless: frozenset[int] = frozenset()

    @property
    def unreadable(self) -> str | None:
        """Why it can't be read. A fetch that is refused says so once, and never that it may."""
        if self.is_denied:
            return f"{self.missing}: allow READ and DESCRIBE"
        return self.missing or (None if self.may_read else READ_IS_DENIED)

    def is_led(self, partition: int) -> bool:
        """Whether a partition has a leader, or nothing is known of it."""
        return partition not in self.leaderless


Topics = Mapping[str, Topic]
UNKNOWN = Topic()
"""One that was not asked for: it was assigned meanwhile."""


def look(admin: AdminClient, topic: str = _ANY_TOPIC) -> ClusterMetadata:
    """Ask whichever broker about one topic, for that is little. Raises KafkaException."""
    return admin.list_topics(topic, timeout=TIMEOUT_SECONDS)


def describe(names: Iterable[str], admin: AdminClient) -> Topics:
    """Ask for these topics alone, all in one request. Raises KafkaException if no broker answers.

    That request goes to the controller. Where there is none, or it is silent, whichever broker
    answers is asked for one after the other, and who may do what is not told.
    """
    wanted = sorted(set(names))
    seen = look(admin, wanted[0]) if wanted else look(admin)
    if wanted and seen.controller_id in seen.brokers:
        found = _described(wanted, admin)
        if found is not None:
            return found
    return {name: _listed(name, admin) for name in wanted}


def _described(names: Collection[str], admin: AdminClient) -> Topics | None:
    """Return the topics; None: there was no answer."""
    futures = admin.describe_topics(
        TopicCollection(list(names)),
        include_authorized_operations=True,
        request_timeout=TIMEOUT_SECONDS,
    )
    topics = {}
    for name, future in futures.items():
        try:
            described = future.result()
        except KafkaException as error:
            if error.args[0].code() < 0:  # librdkafka's own, and no broker's
                return None
            topics[name] = _not_to_be_had(error.args[0])
        else:
            allowed = described.authorized_operations
            may_read = not allowed or AclOperation.READ in allowed
            leaderless = frozenset(each.id for each in described.partitions if not each.leader)
            topics[name] = Topic(
                len(described.partitions), may_read=may_read, leaderless=leaderless
            )
    return topics


def _listed(name: str, admin: AdminClient) -> Topic:
    topic = look(admin, name).topics.get(name)
    if topic is None:
        return Topic(missing="unknown topic")
    if topic.error is not None:
        return _not_to_be_had(topic.error)
    leaderless = frozenset(number for number, each in topic.partitions.items() if each.leader < 0)
    return Topic(len(topic.partitions), leaderless=leaderless)


def _not_to_be_had(error: KafkaError) -> Topic:
    is_denied = error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    return Topic(missing=said_of(error), is_denied=is_denied)


def answer_of(asked: "Future[ListOffsetsResultInfo]") -> ListOffsetsResultInfo | None:
    """Return where a log begins or ends; None: its leader gave no answer.

    librdkafka (2.16) says that as a success, with an offset of its own, which is below 0.
    """
    try:
        found = asked.result()
    except KafkaException:
        return None
    return found if found.offset >= 0 else None
