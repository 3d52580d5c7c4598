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
from consumer.kafka.member import committed_of

TIMEOUT_SECONDS = 5.0
_SOON_SECONDS = 1.0  # what is answered by then does not wait for the rest
_NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"  # of brokers that give topics none


class Questions:
    """Clients of their own, owned by one thread; to be thrown away when there is no answer.

    The member's may be closed and replaced at any time, and a question to a consumer that another
    thread closes ends the process. This one joins no group.
    """

    def __init__(self, properties: Mapping[str, Any], group_id: str) -> None:
        self._admin = AdminClient(dict(properties))
        self._consumer = Consumer({**properties, "group.id": group_id, "enable.auto.commit": False})

    def close(self) -> None:
        """End the clients."""
        self._consumer.close()

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

    def topics(self, names: Iterable[str]) -> dict[str, TopicDescription]:
        """Describe topics, without those that got no clear answer."""
        futures = self._admin.describe_topics(
            TopicCollection(sorted(names)), request_timeout=TIMEOUT_SECONDS
        )
        answers = {name: _result_of(future) for name, future in futures.items()}
        self._admin.poll(0)  # else what they log is never heard, and piles up
        self._consumer.poll(0)
        return {name: answer for name, answer in answers.items() if answer is not None}

    def logs(
        self, partitions: Iterable[Partition], topics: Mapping[str, TopicDescription]
    ) -> Iterator[dict[Partition, Log]]:
        """Yield where logs begin and end: those that answer soon, then what answers at all.

        One without a leader, which is among the ``topics``, would keep all others waiting.
        """
        led = {
            (name, each.id)
            for name, topic in topics.items()
            for each in topic.partitions
            if each.leader is not None and each.leader.id >= 0
        }
        firsts, ends = (
            self._ends_of((name for name in partitions if name in led), spec)
            for spec in (OffsetSpec.earliest(), OffsetSpec.latest())  # type: ignore[no-untyped-call]  # the library's
        )
        for seconds in (_SOON_SECONDS, TIMEOUT_SECONDS):
            wait([*firsts.values(), *ends.values()], seconds)
            found = {}
            for name in [name for name in firsts if firsts[name].done() and ends[name].done()]:
                first, end = _result_of(firsts.pop(name)), _result_of(ends.pop(name))
                if first is not None and end is not None:
                    id_ = id_of(topics[name[0]])
                    found[name] = Log(first.offset, end.offset, end.leader_epoch, id_)
            yield found

    def _ends_of(
        self, partitions: Iterable[Partition], spec: OffsetSpec
    ) -> "dict[Partition, Future[Any]]":
        asked = {TopicPartition(*name): spec for name in partitions}
        if not asked:
            return {}
        answers = self._admin.list_offsets(asked, request_timeout=TIMEOUT_SECONDS)
        return {(at.topic, at.partition): future for at, future in answers.items()}


def id_of(topic: TopicDescription) -> str:
    """Return a topic's id; empty if its brokers give topics none."""
    found = str(topic.topic_id)
    return "" if found == _NO_ID else found


def _result_of(future: "Future[Any]") -> Any:  # noqa: ANN401 - each question has its own answers
    try:
        return future.result()
    except KafkaException:
        return None
