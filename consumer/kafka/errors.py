"""What an error of Kafka's client means for the daemon."""

# ruff: noqa: SLF001 - librdkafka's local error codes are spelt so

import re
from collections.abc import Sequence

from confluent_kafka import KafkaError, TopicPartition

from consumer.core.intake import Message
from consumer.engine.ports import CommitAnswer, EndOfPartition, MessageError, OffsetGone, Trouble

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
_NO_ANSWER = frozenset({KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._WAIT_COORD})
_PASSING = _NO_ANSWER | {
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.STALE_MEMBER_EPOCH,
}
"""What passes by itself though the library doesn't call all of it retriable."""

_FATAL_FOR_ONE_CLIENT = tuple(
    KafkaError(code)
    for code in (
        KafkaError.UNRELEASED_INSTANCE_ID,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.GROUP_ID_NOT_FOUND,
    )
)
NEEDS_NEW_CLIENT = frozenset(error.name() for error in _FATAL_FOR_ONE_CLIENT)
"""The codes of what ends librdkafka's client, and not the next one; see `client`."""


_REFUSED = {
    KafkaError._AUTHENTICATION: "login refused",
    KafkaError.SASL_AUTHENTICATION_FAILED: "login refused",
    KafkaError._SSL: "no encrypted connection",
}
_NOISE = re.compile(
    r"^\[thrd:[^\]]*\]: |^\S+/(?:bootstrap|\d+): "
    r"| \(after \d+ms in state \w+(?:, \d+ identical error\(s\) suppressed)?\)"
    r"|error:[0-9A-F]{8}:[^:]*:[^:]*:"
)
"""What librdkafka and OpenSSL say of themselves, around what happened."""


def trouble(error: KafkaError) -> Trouble:
    """Return an error of the library as a value.

    One that a message carries says fatal by its code alone, for its ``fatal()`` is False; which
    error it was that is fatal stands in its text alone (confluent_kafka 2.16).
    """
    for each in _FATAL_FOR_ONE_CLIENT:
        if each.str() in error.str():
            return Trouble(each.name(), error.str())
    is_fatal = error.fatal() or error.code() == KafkaError._FATAL
    words = without_noise(error.str())
    refusal = "our certificate is refused" if is_alert(words) else _REFUSED.get(error.code())
    if refusal:
        return Trouble(error.name(), f"{refusal}: {words}", is_fatal, is_refusal=True)
    return Trouble(error.name(), error.str(), is_fatal)


def meaning_of(message: Message) -> MessageError:
    """Return what a message means that carries an error instead of a record."""
    if is_end_of_partition(message):
        return EndOfPartition()
    error: KafkaError = message.error()
    if error.code() in {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}:
        return OffsetGone()
    return trouble(error)


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
    return CommitAnswer(
        committed=committed,
        error=str(errors[0]) if errors else None,
        is_member=all(each.code() not in _NOT_A_MEMBER for each in errors),
        retriable=all(each.retriable() or each.code() in _PASSING for each in errors),
    )


def is_no_answer(error: KafkaError) -> bool:
    """Whether it says that the broker didn't answer, rather than what it answered."""
    return error.code() in _NO_ANSWER


def is_of_ended_client(error: KafkaError) -> bool:
    """Whether the client is at its end and takes no more calls."""
    return error.code() == KafkaError._DESTROY


def without_noise(text: str) -> str:
    """Return what happened, of what librdkafka says."""
    while (shorter := _NOISE.sub("", text)) != text:
        text = shorter
    return text


def is_alert(words: str) -> bool:
    """Whether it is what the other end of an encrypted connection says of us as it ends it.

    With TLS 1.3 that comes when the handshake is over for us, as an error of the transport.
    """
    return "SSL alert number" in words


def text_of(error: Exception) -> str:
    """Return what an exception says, without librdkafka's wrapping."""
    first = error.args[0] if error.args else error
    return first.str() if isinstance(first, KafkaError) else str(first)
