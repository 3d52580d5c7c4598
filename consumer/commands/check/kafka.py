"""Checks of Kafka: the brokers, the topics, the group, the dead-letter topic, the session."""

import time
from collections.abc import Iterator, Sequence

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AclOperation, ConsumerGroupDescription

from consumer.commands.check.connection import Connection
from consumer.commands.check.dead_letters import dead_letter_finding
from consumer.commands.check.finding import Finding, State, count
from consumer.commands.check.records import records_finding
from consumer.commands.check.registry import registry_finding
from consumer.commands.check.rights import to_join
from consumer.commands.check.session import session_finding
from consumer.commands.check.topics import topic_findings
from consumer.engine.ports import Partition
from consumer.kafka.group import Group
from consumer.kafka.member import Member
from consumer.settings import Settings

_ANSWER_SECONDS = 4.0
_RETRY_SECONDS = 0.2

_NOT_YET = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)


def kafka_findings(settings: Settings, *, write: bool) -> Iterator[Finding]:
    """Yield a finding for each check; where no broker answers, that one alone."""
    try:
        connection = Connection(settings)
        found, topics = connection.try_brokers()
        yield found
        if topics is None:
            yield Finding(State.SKIPPED, "topics, group, dead letters", "no broker to ask")
            yield from _registry_findings(settings, None, ())
            return
        member = connection.member()
    except KafkaException as error:  # of what a client is created with
        yield Finding(State.FAILED, "librdkafka", error.args[0].str(), "see KAFKA_CONFIG")
        return
    try:
        partitions, findings = topic_findings(settings, topics, connection, member)
        yield from findings
        registry = list(_registry_findings(settings, member, partitions))
        yield from registry
        if partitions:
            yield records_finding(settings, member, partitions, _obstacle(findings, registry))
        group = _group_finding(settings, connection.group())
        yield group
        if group.state is not State.FAILED and partitions:
            yield _committed_finding(settings, member, partitions)
    finally:
        member.close()
    yield dead_letter_finding(settings, connection, write=write)
    yield session_finding(settings, connection.admin)


def _registry_findings(
    settings: Settings, member: Member | None, partitions: Sequence[Partition]
) -> Iterator[Finding]:
    """Yield what the Schema Registry says of the newest records, if records name schemas."""
    if settings.event_format == "schema-registry":
        yield registry_finding(settings, member, partitions)


def _obstacle(topics: Sequence[Finding], registry: Sequence[Finding]) -> str:
    """Return why records can't be tried; empty: they can."""
    if any(each.state is State.FAILED for each in topics):
        return "not all topics can be read"
    has_schemas = all(each.state is State.GOOD for each in registry)
    return "" if has_schemas else "no registry to ask for their schemas"


def _group_finding(settings: Settings, asked: Group) -> Finding:
    group_id = settings.kafka_group_id
    tried, right = f"group {group_id}", to_join(group_id)
    try:
        group = _described(asked)
    except KafkaException as error:
        reason: KafkaError = error.args[0]
        if reason.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            to_do = f"allow {right}, or change KAFKA_GROUP_ID"
            return Finding(State.FAILED, tried, reason.str(), to_do, right)
        to_do = "see the group's coordinator, and its topic __consumer_offsets"
        return Finding(State.FAILED, tried, reason.str(), to_do)
    allowed = group.authorized_operations
    if allowed and AclOperation.READ not in allowed:
        to_do = f"allow READ on group {group_id}"
        return Finding(State.FAILED, tried, "READ is denied", to_do, right)
    if asked.obstacle:
        said, _, to_do = asked.obstacle.partition(": ")
        return Finding(State.FAILED, tried, said, to_do)
    return Finding(State.GOOD, tried, f"may be joined, {count(len(group.members), 'member')} now")


def _described(group: Group) -> ConsumerGroupDescription:
    """Return the group; a coordinator that begins gets a moment. Raises KafkaException."""
    deadline = time.monotonic() + _ANSWER_SECONDS
    while True:
        try:
            return group.describe(_ANSWER_SECONDS, with_operations=True)
        except KafkaException as error:
            if error.args[0].code() not in _NOT_YET or time.monotonic() >= deadline:
                raise
        time.sleep(_RETRY_SECONDS)


def _committed_finding(
    settings: Settings, member: Member, partitions: Sequence[Partition]
) -> Finding:
    tried = "committed offsets"
    answers = member.committed(partitions, _ANSWER_SECONDS)
    if len(answers) < len(partitions):
        said = f"no answer for {len(partitions) - len(answers)} of {len(partitions)} partitions"
        to_do = "allow DESCRIBE on the group and on the topics; see the group's coordinator"
        return Finding(State.FAILED, tried, said, to_do)
    fresh = sum(answer.offset is None for answer in answers.values())
    came_back = f"{len(partitions) - fresh} of {count(len(partitions), 'partition')} have one"
    reset = settings.kafka_auto_offset_reset
    if not fresh:
        return Finding(State.GOOD, tried, came_back)
    if reset == "error":
        to_do = "set KAFKA_AUTO_OFFSET_RESET to earliest or latest: with error the daemon gives up"
        return Finding(State.FAILED, tried, came_back, to_do)
    came_back += f"; the others start as KAFKA_AUTO_OFFSET_RESET={reset} says"
    return Finding(State.GOOD, tried, came_back)
