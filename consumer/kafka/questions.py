"""The questions about partitions: each for all of them in one request, to whom it concerns.

Thousands of partitions asked about one after the other would be a round trip each.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, wait
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec, TopicDescription

from consumer.core.positions import Log, census_of
from consumer.engine.ports import Committed, FirstStart, Partition
from consumer.kafka.errors import is_no_answer
from consumer.kafka.member import committed_of
from consumer.kafka.topics import answer_of

TIMEOUT_SECONDS = 5.0

_JOINS_NO_GROUP = {
    "enable.auto.commit": False,
    # Whatever operators say of members has to fit the others' defaults.
    "max.poll.interval.ms": 300_000,
}
_DESCRIBE_SECONDS = 2.0
_SOON_SECONDS = 1.0  # what is answered by then does not wait for the rest
_NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"  # of brokers that give topics none
_NOBODY_SAYS = -1  # who the leader is


Topics = Mapping[str, TopicDescription | None]


class Questions:
    """Clients of their own, owned by one thread; to be thrown away when there is no answer.

    The member's may be closed and replaced at any time, and a question to a consumer that another
    thread closes ends the process. This one joins no group.
    """

    def __init__(self, properties: Mapping[str, Any], group_id: str) -> None:
        self._admin = AdminClient(dict(properties))
        self._consumer = Consumer({**properties, **_JOINS_NO_GROUP, "group.id": group_id})

    def close(self) -> None:
        """End the clients."""
        self._consumer.close()

    def set_sasl_credentials(self, username: str, password: str) -> None:
        """Use another password from the next login on."""
        self._admin.set_sasl_credentials(username, password)
        self._consumer.set_sasl_credentials(username, password)

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, Committed]:
        """Return what the group has committed, without what got no clear answer.

        Raises KafkaException.
        """
        return committed_of(self._consumer, partitions, TIMEOUT_SECONDS)

    def first_start(self, read: Iterable[str]) -> FirstStart:
        """Find out whether the group starts for the first time. Raises KafkaException."""
        listed = self._admin.list_topics(timeout=TIMEOUT_SECONDS).topics
        counts = {name: len(topic.partitions) for name, topic in listed.items()}
        everywhere = [
            (name, partition)
            for name, count in counts.items()
            if not name.startswith("__")
            for partition in range(count)
        ]
        answers = self.committed(everywhere)
        if len(answers) < len(everywhere):
            raise KafkaException("the coordinator does not say of all topics what is committed")
        given = [each.metadata for each in answers.values() if each.offset is not None]
        return FirstStart(bool(given), census_of(given), {t: counts.get(t, 0) for t in read})

    def topics(self, names: Iterable[str]) -> Topics:
        """Describe topics, without those that are refused; None: no answer.

        The cluster's controller is asked, which may be away, or not be there: librdkafka's own
        cluster has none.
        """
        futures = self._admin.describe_topics(
            TopicCollection(sorted(names)), request_timeout=_DESCRIBE_SECONDS
        )
        found: dict[str, TopicDescription | None] = {}
        for name, future in futures.items():
            try:
                found[name] = future.result()
            except KafkaException as error:
                if is_no_answer(error.args[0]):
                    found[name] = None
        self._admin.poll(0)  # else what they log is never heard, and piles up
        self._consumer.poll(0)
        return found

    def logs(
        self, partitions: Iterable[Partition], topics: Topics
    ) -> Iterator[dict[Partition, Log]]:
        """Yield where logs begin and end: those that answer soon, then what answers at all.

        Each leader, as the ``topics`` have it, is asked by itself: librdkafka (2.16) has no answer
        to a question to several before the last of them answers. One without a leader is left out.
        """
        asked = _by_leader(partitions, topics)
        firsts, ends = (
            self._ends_of(asked, spec)
            for spec in (OffsetSpec.earliest(), OffsetSpec.latest())  # type: ignore[no-untyped-call]  # the library's
        )
        for seconds in (_SOON_SECONDS, TIMEOUT_SECONDS):
            wait([*firsts.values(), *ends.values()], seconds)
            found = {}
            for name in [name for name in firsts if firsts[name].done() and ends[name].done()]:
                first, end = answer_of(firsts.pop(name)), answer_of(ends.pop(name))
                if first is not None and end is not None:
                    id_ = id_of(topics[name[0]])
                    found[name] = Log(first.offset, end.offset, end.leader_epoch, id_)
            yield found

    def _ends_of(
        self, leaders: Iterable[Iterable[Partition]], spec: OffsetSpec
    ) -> "dict[Partition, Future[Any]]":
        found: dict[Partition, Future[Any]] = {}
        for partitions in leaders:
            asked = {TopicPartition(*name): spec for name in partitions}
            answers = self._admin.list_offsets(asked, request_timeout=TIMEOUT_SECONDS)
            found |= {(at.topic, at.partition): future for at, future in answers.items()}
        return found


def id_of(topic: TopicDescription | None) -> str:
    """Return a topic's id; empty if it is not known, or the brokers give topics none."""
    found = "" if topic is None else str(topic.topic_id)
    return "" if found == _NO_ID else found


def _by_leader(partitions: Iterable[Partition], topics: Topics) -> list[list[Partition]]:
    """Return the partitions of each leader; of topics that nobody describes together."""
    leaders = {
        (name, each.id): None if each.leader is None or each.leader.id < 0 else each.leader.id
        for name, topic in topics.items()
        for each in (() if topic is None else topic.partitions)
    }
    found: dict[int, list[Partition]] = {}
    for name in partitions:
        leader = leaders.get(name, _NOBODY_SAYS)
        if name[0] in topics and leader is not None:
            found.setdefault(leader, []).append(name)
    return list(found.values())
