"""Check of the dead-letter topic: that it is there or may be made, and takes what is written."""

import time
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient

from consumer import clock
from consumer.commands.check.connection import Connection
from consumer.commands.check.finding import Finding, State
from consumer.commands.check.rights import Right, to_write
from consumer.core.dead_letters import trial_headers
from consumer.kafka import dead_letter_topic
from consumer.settings import Settings

if TYPE_CHECKING:
    from consumer.core.message import Message

_ANSWER_SECONDS = 4.0
_WRITE_SECONDS = 8.0


def dead_letter_finding(settings: Settings, connection: Connection, *, write: bool) -> Finding:
    """Return whether dead letters would be taken; ``write``: by writing one record."""
    name = settings.dead_letter_topic
    tried = f"dead-letter topic {name}"
    if settings.reject_policy != "dead-letter":
        policy = settings.reject_policy
        return Finding(State.SKIPPED, tried, f"isn't used with REJECT_POLICY={policy}")
    try:
        allowed = _allowed(name, connection.admin)
    except KafkaException as error:
        reason: KafkaError = error.args[0]
        if reason.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return _creation_finding(name, tried, connection.admin, write=write)
        return _failed(tried, reason, to_write(name))
    if allowed and AclOperation.WRITE not in allowed:
        right, to_do = to_write(name), f"allow WRITE on topic {name}"
        return Finding(State.FAILED, tried, "WRITE is denied", to_do, right)
    if write:
        return _written_finding(settings, tried, connection)
    return Finding(State.GOOD, tried, "exists and may be written")


def _allowed(name: str, admin: AdminClient) -> Any:  # noqa: ANN401 - the library's, or None
    """Return what we may do with the topic, if the broker tells. Raises KafkaException."""
    futures = admin.describe_topics(
        TopicCollection([name]), include_authorized_operations=True, request_timeout=_ANSWER_SECONDS
    )
    return futures[name].result().authorized_operations


def _creation_finding(name: str, tried: str, admin: AdminClient, *, write: bool) -> Finding:
    error = dead_letter_topic.create(name, admin, only_try=True)
    if error is None:
        said = "is missing; the daemon may create it and will"
        said += "; until then --write has nothing to write to" * write
        return Finding(State.GOOD, tried, said)
    said = f"is missing and can't be created: {error.str()}"
    if error.code() in dead_letter_topic.DENIED:
        to_do = f"create it, or allow CREATE and WRITE on topic {name}"
        return Finding(State.FAILED, tried, said, to_do, to_write(name, create=True))
    if error.code() in dead_letter_topic.UNFIT:
        to_do = (
            "create it as the brokers' rules for topics allow, with cleanup.policy=delete, or"
            " change DEAD_LETTER_TOPIC"
        )
        return Finding(State.FAILED, tried, said, to_do)
    return Finding(State.FAILED, tried, said, "create it, or see why the brokers don't")


def _written_finding(settings: Settings, tried: str, connection: Connection) -> Finding:
    """Write a record without key and value, and say where it is. No replay takes it."""
    name = settings.dead_letter_topic
    answers: list[tuple[KafkaError | None, Message]] = []

    def keep(*answer: Any) -> None:  # noqa: ANN401 - the library's
        answers.append(answer)

    try:
        producer = connection.producer()
    except KafkaException as trouble:  # as for a file that is not there any more
        said = f"no producer can be made: {trouble.args[0].str()}"
        return Finding(State.FAILED, tried, said, "see KAFKA_CONFIG, and the files of the settings")
    headers: list[tuple[str, bytes | str | None]] = [*trial_headers(clock.rfc3339(time.time()))]
    producer.produce(name, headers=headers, on_delivery=keep)
    producer.flush(_WRITE_SECONDS)
    if not answers:
        producer.purge()
        said = f"a trial record was not acknowledged in {_WRITE_SECONDS:g} s{connection.why()}"
        to_do = "see whether its leader answers, and enough replicas are in sync"
        return Finding(State.FAILED, tried, said, to_do)
    error, record = answers[0]
    if error is not None:
        return _failed(tried, error, to_write(name))
    place = f"{record.topic()}:{record.partition()}:{record.offset()}"
    return Finding(State.GOOD, tried, f"took a trial record, {place}, which replay passes over")


def _failed(tried: str, error: KafkaError, right: Right) -> Finding:
    if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
        to_do = f"allow {right}, or change DEAD_LETTER_TOPIC"
        return Finding(State.FAILED, tried, error.str(), to_do, right)
    to_do = "see whether the brokers answer, and DEAD_LETTER_TOPIC"
    if error.code() == KafkaError.INVALID_RECORD:
        to_do = "set its cleanup.policy to delete: a compacted topic takes no record without a key"
    return Finding(State.FAILED, tried, error.str(), to_do)
