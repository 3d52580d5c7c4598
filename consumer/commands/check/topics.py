"""Checks of the topics: that each is there, and can be read.

Tried by reading at the end, from the leader of every partition: that needs the same rights and the
same advertised addresses as the daemon, and joins no group.
"""

import difflib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_END, KafkaError

from consumer.commands.check.connection import Connection
from consumer.commands.check.finding import Finding, State, count
from consumer.commands.check.rights import Right, to_read
from consumer.core.positions import Going
from consumer.engine.ports import Partition
from consumer.kafka.errors import is_end_of_partition
from consumer.kafka.member import Member
from consumer.settings import Settings
from consumer.settings.subscription import covers

_READ_SECONDS = 5.0
_DENIED = "READ is denied"
_SHOWN_TOPICS = 5
_SIMILARITY = 0.7
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
    """What is wrong with a topic, what to do, and the right that is missing, if it is one."""

    said: str
    to_do: str
    missing: Right | None = None


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
    others = _to_choose_from(topics, settings)
    findings = [_named_finding(name, known[name], troubles, others) for name in named]
    findings += [_matched_finding(*each, troubles, others) for each in matched.items()]
    return partitions, findings


def _to_choose_from(topics: Iterable[str], settings: Settings) -> list[str]:
    """Return the topics that can be seen and might be meant."""
    is_ours = {*settings.kafka_topics, settings.dead_letter_topic}
    return sorted(name for name in topics if not name.startswith("__") and name not in is_ours)


def _partitions(topic: Any) -> Sequence[int]:  # noqa: ANN401 - the library's metadata, or None
    return [] if topic is None or topic.error is not None else sorted(topic.partitions)


def _read(
    member: Member, partitions: Sequence[Partition], connection: Connection
) -> dict[str, Trouble]:
    """Read at the end of each partition; return what was wrong, by topic."""
    waiting = set(partitions)
    troubles: dict[str, Trouble] = {}
    member.start(dict.fromkeys(partitions, Going(OFFSET_END)), paused=False)
    connection.listen()
    deadline = time.monotonic() + _READ_SECONDS
    while waiting and time.monotonic() < deadline:
        for message in member.consume(1000, 0.1):
            name = (message.topic(), message.partition())
            error = message.error()
            if name[0] is None:  # the group's trouble, which has a check of its own
                continue
            waiting.discard(name)
            if error is not None and not is_end_of_partition(message):
                trouble = _trouble(error, name[0], ())
                denied = trouble.missing is not None  # for it may be described
                troubles[name[0]] = trouble._replace(said=_DENIED) if denied else trouble
    for topic, number in sorted(waiting):
        said = f"partition {number} did not answer in {_READ_SECONDS:g} s{connection.why()}"
        to_do = "its leader must be reachable from here: see the brokers' advertised.listeners"
        troubles.setdefault(topic, Trouble(said, to_do))
    member.stop(partitions)
    return troubles


def _named_finding(
    name: str,
    topic: Any,  # noqa: ANN401 - the library's metadata, or None
    troubles: Mapping[str, Trouble],
    others: Sequence[str],
) -> Finding:
    tried = f"topic {name}"
    trouble = _unknown("unknown topic", name, others) if topic is None else troubles.get(name)
    if topic is not None and topic.error is not None:
        trouble = _trouble(topic.error, name, others)
    if trouble is not None:
        return Finding(State.FAILED, tried, *trouble)
    return Finding(State.GOOD, tried, f"can be read, {count(len(topic.partitions), 'partition')}")


def _matched_finding(
    expression: str,
    names: Sequence[str],
    troubles: Mapping[str, Trouble],
    others: Sequence[str],
) -> Finding:
    tried = f"topics {expression}"
    for name in names:
        if name in troubles:
            said, to_do, missing = troubles[name]
            return Finding(State.FAILED, tried, f"{name}: {said}", to_do, missing)
    if not names:
        there = f"; there is {_some(others)}" if others else "; none can be seen at all"
        said = f"matches no topic that exists and may be described{there}"
        to_do = "correct KAFKA_TOPICS, unless the topic is yet to come; it is picked up then"
        return Finding(State.WARNING, tried, said, to_do)
    return Finding(
        State.GOOD, tried, f"can be read, {count(len(names), 'topic')} now: {_some(names)}"
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN_TOPICS]) + (", ..." if len(names) > _SHOWN_TOPICS else "")


def _trouble(error: KafkaError, name: str, others: Sequence[str]) -> Trouble:
    code = error.code()
    if code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
        right = to_read(name)
        return Trouble(error.str(), f"allow {right}", right)
    if code in _UNKNOWN:
        return _unknown(error.str(), name, others)
    return Trouble(error.str(), "the brokers answer, but not for this topic: see their logs")


def _unknown(said: str, name: str, others: Sequence[str]) -> Trouble:
    """Return what to do about a topic that isn't there: maybe another one was meant."""
    nearest = nearest_of(name, others)
    return Trouble(said, f"did you mean {nearest}? {_CREATE}" if nearest else _CREATE)


def nearest_of(name: str, others: Sequence[str]) -> str:
    """Return the topic whose name is most like this one, however it is capitalised; empty: none."""
    by_small = {each.lower(): each for each in others}
    nearest = difflib.get_close_matches(name.lower(), by_small, 1, _SIMILARITY)
    return by_small[nearest[0]] if nearest else ""
