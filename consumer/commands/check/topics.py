"""Checks of the topics: that each is there, and can be read.

Tried by reading at the end, from the leader of every partition: that needs the same rights and the
same advertised addresses as the daemon, and joins no group.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_END, KafkaError

from consumer.commands.check.connection import Connection
from consumer.commands.check.finding import Finding, State, count
from consumer.core.positions import Going
from consumer.engine.ports import Partition
from consumer.kafka.errors import is_end_of_partition
from consumer.kafka.member import Member
from consumer.settings import Settings
from consumer.settings.subscription import covers

_READ_SECONDS = 5.0
_SHOWN_TOPICS = 5
_CREATE = "create it, or correct KAFKA_TOPICS"
_UNKNOWN = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - librdkafka's local error codes are spelt so
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 - as above
    }
)


class Trouble(NamedTuple):
    """What is wrong with a topic, and what to do."""

    said: str
    to_do: str


def topic_findings(
    settings: Settings, topics: Mapping[str, Any], connection: Connection, member: Member
) -> tuple[list[Partition], list[Finding]]:
    """Return the partitions that would be read, and a finding for each of ``KAFKA_TOPICS``."""
    named = [topic for topic in settings.kafka_topics if not topic.startswith("^")]
    known = dict(topics)
    for name in named:
        if name not in known:  # a listing leaves out what may not be described
            known[name] = connection.topic(name)
    matched = {
        topic: sorted(name for name in topics if covers([topic], name))
        for topic in settings.kafka_topics
        if topic.startswith("^")
    }
    wanted = {*named, *(name for names in matched.values() for name in names)}
    partitions = [(name, number) for name in sorted(wanted) for number in _partitions(known[name])]
    troubles = _read(member, partitions, connection)
    findings = [_named_finding(name, known[name], troubles) for name in named]
    findings += [_matched_finding(topic, names, troubles) for topic, names in matched.items()]
    return partitions, findings


def _partitions(topic: Any) -> Sequence[int]:  # noqa: ANN401 - the library's metadata, or None
    return [] if topic is None or topic.error is not None else sorted(topic.partitions)


def _read(
    member: Member, partitions: Sequence[Partition], connection: Connection
) -> dict[str, Trouble]:
    """Read at the end of each partition; return what was wrong, by topic."""
    waiting = set(partitions)
    troubles: dict[str, Trouble] = {}
    member.start(dict.fromkeys(partitions, Going(OFFSET_END)), paused=False)
    connection.heard.last = ""
    deadline = time.monotonic() + _READ_SECONDS
    while waiting and time.monotonic() < deadline:
        for message in member.consume(1000, 0.1):
            name = (message.topic(), message.partition())
            error = message.error()
            if name[0] is None:  # the group's trouble, which has a check of its own
                continue
            waiting.discard(name)
            if error is not None and not is_end_of_partition(message):
                troubles[name[0]] = _trouble(error, name[0])
    for topic, number in sorted(waiting):
        why = connection.heard.last
        said = f"partition {number} did not answer in {_READ_SECONDS:g} s{why and f': {why}'}"
        to_do = "its leader must be reachable from here: see the brokers' advertised.listeners"
        troubles.setdefault(topic, Trouble(said, to_do))
    member.stop(partitions)
    return troubles


def _named_finding(name: str, topic: Any, troubles: Mapping[str, Trouble]) -> Finding:  # noqa: ANN401 - the library's metadata, or None
    tried = f"topic {name}"
    if topic is None:
        return Finding(State.FAILED, tried, "unknown topic", _CREATE)
    trouble = troubles.get(name) if topic.error is None else _trouble(topic.error, name)
    if trouble is not None:
        return Finding(State.FAILED, tried, *trouble)
    return Finding(State.GOOD, tried, f"can be read, {count(len(topic.partitions), 'partition')}")


def _matched_finding(
    expression: str, names: Sequence[str], troubles: Mapping[str, Trouble]
) -> Finding:
    tried = f"topics {expression}"
    for name in names:
        if name in troubles:
            said, to_do = troubles[name]
            return Finding(State.FAILED, tried, f"{name}: {said}", to_do)
    if not names:
        said = "matches no topic that exists and may be described"
        to_do = "correct KAFKA_TOPICS, unless the topic is yet to come; it is picked up then"
        return Finding(State.WARNING, tried, said, to_do)
    shown = ", ".join(names[:_SHOWN_TOPICS]) + (", ..." if len(names) > _SHOWN_TOPICS else "")
    return Finding(State.GOOD, tried, f"can be read, {count(len(names), 'topic')} now: {shown}")


def _trouble(error: KafkaError, name: str) -> Trouble:
    code = error.code()
    if code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
        return Trouble(error.str(), f"allow READ and DESCRIBE on topic {name}")
    if code in _UNKNOWN:
        return Trouble(error.str(), _CREATE)
    return Trouble(error.str(), "the brokers answer, but not for this topic: see their logs")
