"""What an error of Kafka's client means for the daemon."""

# ruff: noqa: SLF001 - librdkafka's local error codes are spelt so

import re
from collections.abc import Sequence

from confluent_kafka import KafkaError, TopicPartition

from consumer.core.message import Message
from consumer.core.positions import Gone
from consumer.engine.ports import CommitAnswer, Damaged, EndOfPartition, MessageError, Trouble
from consumer.kafka.reasons import reason_of
from consumer.masking import masked

_NOT_OFFERED = (
    "the broker doesn't offer what is asked of it; if that is KAFKA_GROUP_PROTOCOL=consumer, switch"
    " it on there (group.coordinator.rebalance.protocols; Kafka 4.0 or newer), or set classic"
)
_FATAL_PREFIX = "Fatal error: "

_NOT_A_MEMBER = frozenset(
    {
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError.GROUP_ID_NOT_FOUND,
        KafkaError._FATAL,
    }
)
_END_OF_EPOCH = re.compile(r"broker end offset is (-?\d+)")
_NO_ANSWER = frozenset({KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._WAIT_COORD})
_PASSING = _NO_ANSWER | {
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.STALE_MEMBER_EPOCH,
    KafkaError.OFFSET_METADATA_TOO_LARGE,  # the next commit goes without
}
"""What passes by itself though the library doesn't call all of it retriable."""

FENCE = KafkaError(KafkaError.FENCED_INSTANCE_ID).name()

_WORDS = {
    KafkaError(code).name(): words
    for code, words in {
        KafkaError.GROUP_AUTHORIZATION_FAILED: (
            "group ACL: READ on the group is denied: allow READ and DESCRIBE on KAFKA_GROUP_ID"
        ),
        KafkaError.GROUP_MAX_SIZE_REACHED: (
            "the group is full: raise group.consumer.max.size (classic: group.max.size) at the"
            " broker, or run fewer members"
        ),
        KafkaError.UNSUPPORTED_VERSION: _NOT_OFFERED,
        KafkaError._UNSUPPORTED_FEATURE: _NOT_OFFERED,
        KafkaError.INCONSISTENT_GROUP_PROTOCOL: (
            "the group has members of another protocol or assignor: stop them all first"
        ),
        KafkaError.UNRELEASED_INSTANCE_ID: (
            "another member has KAFKA_GROUP_INSTANCE_ID until it has left or its session is over"
        ),
        KafkaError.FENCED_INSTANCE_ID: "another member has taken KAFKA_GROUP_INSTANCE_ID",
        KafkaError.GROUP_ID_NOT_FOUND: (
            "the coordinator has no such group, or one of the other protocol"
        ),
    }.items()
}
"""What is the matter and what to do, where the library's own words leave that open."""

_NAMES = {
    KafkaError(code).str(): KafkaError(code).name()
    for code in vars(KafkaError).values()
    if isinstance(code, int)
}


_DAMAGED = frozenset(
    {
        KafkaError._BAD_MSG,
        KafkaError._BAD_COMPRESSION,
        KafkaError._NOT_IMPLEMENTED,  # a format of batches that there isn't
        KafkaError.INVALID_MSG,  # the broker's own word for it
        KafkaError.MSG_SIZE_TOO_LARGE,  # a batch whose length is wrong
    }
)
"""What librdkafka says where it can't read a batch. It goes on behind it, or anywhere."""


def trouble(error: KafkaError) -> Trouble:
    """Return an error of the library as a value; ``fatal`` is what it calls so.

    One that a message carries says fatal by its code alone, for its ``fatal()`` is False; which
    error it was that is fatal stands in its text alone (confluent_kafka 2.16).
    """
    is_fatal = error.fatal() or error.code() == KafkaError._FATAL
    reason = reason_of(error.str())
    if reason.is_refusal:
        return Trouble(error.name(), str(reason), is_fatal, is_refusal=True)
    if error.code() == KafkaError._AUTHENTICATION:
        # A login that broke off, or got no answer, is called so, too (librdkafka 2.16).
        return Trouble(KafkaError(KafkaError._TRANSPORT).name(), reason.said, is_fatal)
    code, detail = error.name(), said_of(error)
    if error.code() == KafkaError._FATAL:
        found = [text for text in _NAMES if f"{_FATAL_PREFIX}{text}" in detail]
        code = _NAMES[max(found, key=len)] if found else code
    return Trouble(code, _WORDS.get(code, detail), is_fatal)


def meaning_of(message: Message) -> MessageError:
    """Return what a message means that carries an error instead of a record."""
    if is_end_of_partition(message):
        return EndOfPartition()
    error: KafkaError = message.error()
    if error.code() in {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}:
        return _gone(error.str())
    if error.code() in _DAMAGED:
        return Damaged(trouble(error))
    return trouble(error)


def _gone(text: str) -> Gone:
    """Return what librdkafka says of a position that is gone: only its text has the offset."""
    found = _END_OF_EPOCH.search(text)
    end = -1 if found is None else int(found[1])
    return Gone(end if end >= 0 else None, is_compared=found is not None)


def is_end_of_partition(message: Message) -> bool:
    """Whether a message, which may be a record, says that its partition was read to its end."""
    error = message.error()
    return error is not None and error.code() == KafkaError._PARTITION_EOF


def commit_answer(error: KafkaError | None, partitions: Sequence[TopicPartition]) -> CommitAnswer:
    """Return what the broker said of a commit: as a whole, and of each partition."""
    errors = [each.error for each in partitions if each.error is not None]
    if error is not None:
        errors.insert(0, error)
    committed = {
        (each.topic, each.partition): each.offset
        for each in partitions
        if error is None and each.error is None
    }
    too_long = {
        (each.topic, each.partition)
        for each in partitions
        if (each.error or error) == KafkaError.OFFSET_METADATA_TOO_LARGE
    }
    return CommitAnswer(
        committed=committed,
        error=masked(str(errors[0])) if errors else None,
        is_member=all(each.code() not in _NOT_A_MEMBER for each in errors),
        retriable=all(each.retriable() or each.code() in _PASSING for each in errors),
        too_long=frozenset(too_long),
    )


def is_no_answer(error: KafkaError) -> bool:
    """Whether it says that the broker didn't answer, rather than what it answered."""
    return error.code() in _NO_ANSWER


def is_of_ended_client(error: KafkaError) -> bool:
    """Whether the client is at its end and takes no more calls."""
    return error.code() in {KafkaError._DESTROY, KafkaError._FATAL}


def said_of(error: KafkaError) -> str:
    """Return what a broker or the library says, without secrets."""
    return masked(error.str())


def text_of(error: Exception) -> str:
    """Return what an exception says, without librdkafka's wrapping, and without secrets."""
    first = error.args[0] if error.args else error
    return said_of(first) if isinstance(first, KafkaError) else masked(str(first))
