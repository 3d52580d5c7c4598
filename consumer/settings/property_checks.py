"""What librdkafka says about properties, found out by creating a client of it.

A producer knows the names and values of all properties, a consumer's too. Without brokers among
them it reaches for nothing, and costs about a millisecond.
"""

import logging
import re
from collections.abc import Iterator, Mapping

from confluent_kafka import KafkaException, Producer

from consumer.settings.librdkafka import (
    CONSUMER,
    CONSUMER_OWNED,
    PRODUCER,
    PRODUCER_OWNED,
    VARIABLES,
)
from consumer.settings.problems import shown

_TOGETHER = "Failed to create producer: "
"""How librdkafka starts when each property is fine by itself."""

_SHORT = 2
"""Values up to this length are not blacked out in librdkafka's words: they would riddle them."""

_FETCH_MIN_BYTES = range(1, 100_000_001)

_silent = logging.getLogger("consumer.settings.property_checks.silent")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


def expression_problem(expression: str) -> str | None:
    """Return what librdkafka has against a regular expression, in the engine that will match it."""
    # A list of expressions whose commas can't be escaped: say the same without them.
    commaless = re.sub(r"\{(\d+),\d*\}", r"{\1}", expression).replace(",", "_")
    words = _creation_error({"topic.blacklist": commaless})
    return None if words is None else "is no expression: " + words.rpartition('": ')[2]


def property_problems(properties: Mapping[str, str]) -> list[str]:
    """Return what librdkafka has against ``properties``, each with the variable to blame.

    First each property alone, since librdkafka stops at the first wrong one and calls it by another
    name than ours; then together. No value that ``KAFKA_CONFIG`` gave is repeated. All text must be
    UTF-8 without NUL: of anything else confluent_kafka 2.16 makes a segmentation fault.
    """
    good = dict(properties)
    problems = list(_of_each(good))
    return [*problems, *_of_all(good), *_of_a_consumer(good)]


def single_problems(properties: Mapping[str, str]) -> list[str]:
    """Return what librdkafka has against each of ``properties`` by itself."""
    return list(_of_each(dict(properties)))


def objection(properties: Mapping[str, str]) -> str:
    """Return what librdkafka has against ``properties`` together, in plain words; empty: nothing.

    No value that may be a secret is repeated.
    """
    words = _creation_error(properties)
    return "" if words is None else _for_people(words, properties)


def _creation_error(properties: Mapping[str, str | int | bool]) -> str | None:
    try:
        producer = Producer(dict(properties), logger=_silent)
    except KafkaException as error:
        return str(error.args[0].str()).strip()
    producer.close()
    return None


def _of_each(properties: dict[str, str]) -> Iterator[str]:
    """Yield what is wrong with each property by itself, and take it out."""
    for name, value in list(properties.items()):
        words = _creation_error({name: value})
        if words is not None and not words.startswith(_TOGETHER):
            del properties[name]
            yield _of_one(name, words)


def _of_one(name: str, words: str) -> str:
    if words.startswith("No such"):
        return f"KAFKA_CONFIG: librdkafka has no property {shown(name)}"
    allowed = re.search(r"allowed range (-?\d+\.\.-?\d+)", words)
    accepts = allowed[1] if allowed else "what its manual says"
    return f"KAFKA_CONFIG: librdkafka refuses the value of {shown(name)}; accepts {accepts}"


def _of_all(good: dict[str, str]) -> Iterator[str]:
    """Yield what is wrong with properties that are fine one by one, taking out the culprits."""
    blamed: set[str] = set()
    while words := _creation_error(PRODUCER | good | PRODUCER_OWNED):
        culprit = _culprit(words, good)
        if culprit in blamed:
            return
        blamed.add(culprit)
        reason = _for_people(words, good)
        value = good.pop(culprit, None)
        got = "" if value is None or _is_secret(culprit) else f"got {value!r}; "
        yield f"{VARIABLES.get(culprit, 'KAFKA_CONFIG')}: {got}librdkafka says: {reason}"


def _culprit(words: str, good: Mapping[str, str]) -> str:
    if "SASL mechanism" in words:
        return "sasl.mechanism"
    if "no certificate assigned" in words:  # to the key
        return "ssl.certificate.location"
    missing = [name for name in VARIABLES if name in words and name not in good]
    named = [name for name in good if name in words]
    return next(iter(missing), max(named, key=len, default=""))


def _for_people(words: str, properties: Mapping[str, str]) -> str:
    return _in_plain_words(_blacked_out(words.removeprefix(_TOGETHER), properties))


def _in_plain_words(words: str) -> str:
    """Return librdkafka's words without OpenSSL's code, routine and "BIO lib"."""
    if words.startswith("No provider for SASL mechanism"):
        return "this build has no GSSAPI; accepts PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER"
    start, _, code = words.partition("error:")
    if not code:
        return words
    reason = code.split(":", 3)[-1].strip()
    if not reason or reason.endswith(" lib"):
        reason = "what is there can't be read as that, or its password is missing or wrong"
        if start.startswith("ssl.key.location"):
            reason = "it is no private key, or KAFKA_SSL_KEY_PASSWORD is missing or wrong"
    return f"{start.strip().removesuffix(':')}: {reason}"


def _blacked_out(words: str, properties: Mapping[str, str]) -> str:
    secrets = {value for name, value in properties.items() if _is_secret(name)}
    for value in sorted(secrets, key=len, reverse=True):
        words = words.replace(value, "***") if len(value) > _SHORT else words
    return words


def _is_secret(name: str) -> bool:
    return name not in VARIABLES or name.endswith(("password", "secret"))


def _of_a_consumer(good: Mapping[str, str]) -> Iterator[str]:
    """Yield what only the creation of a consumer would find."""
    fetch_max = number(good, "fetch.max.bytes", int(CONSUMER["fetch.max.bytes"]))
    if fetch_max < (least := int(CONSUMER_OWNED["message.max.bytes"])):
        yield f"KAFKA_CONFIG: 'fetch.max.bytes' must be {least} or more"
    if number(good, "receive.message.max.bytes", fetch_max + 512) < fetch_max + 512:
        yield "KAFKA_CONFIG: 'receive.message.max.bytes' must be 'fetch.max.bytes' + 512 or more"
    if number(good, "fetch.min.bytes", 1) not in _FETCH_MIN_BYTES:
        yield "KAFKA_CONFIG: 'fetch.min.bytes' must be from 1 to 100000000"


def number(properties: Mapping[str, str], name: str, default: int) -> int:
    """Return a property's number as librdkafka reads it: the digits at its start."""
    digits = re.match(r"\s*[-+]?[0-9]+", properties.get(name, ""))
    return int(digits[0]) if digits else default
