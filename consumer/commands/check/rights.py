"""The rights that the daemon needs where brokers ask an authorizer, and what gives them."""

import shlex
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from consumer.commands.check.expressions import patterns_of
from consumer.settings import Settings

_UNKNOWN = "User:PRINCIPAL"
_WITH_A_PASSWORD = frozenset({"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"})
_WORDS = {"DescribeConfigs": "DESCRIBE_CONFIGS"}
"""Of operations that the brokers' errors spell otherwise than in capitals."""


@dataclass(frozen=True, slots=True)
class Right:
    """What a principal may do with a ``topic``, a ``group`` or the ``cluster``.

    ``is_prefix``: with all whose names begin so.
    """

    kind: str
    operations: tuple[str, ...]
    name: str = ""
    is_prefix: bool = False

    def __str__(self) -> str:
        """Return it in words."""
        operations = " and ".join(_WORDS.get(each, each.upper()) for each in self.operations)
        return f"{operations} on {f'{self.kind} {self.name}' if self.name else 'the cluster'}"

    def command(self, servers: str, principal: str) -> str:
        """Return what gives it, to be typed in a shell."""
        words = ["kafka-acls.sh", "--bootstrap-server", servers, "--add"]
        words += ["--allow-principal", principal]
        for operation in self.operations:
            words += ["--operation", operation]
        words += [f"--{self.kind}", *([self.name] if self.name else [])]
        words += ["--resource-pattern-type", "prefixed"] if self.is_prefix else []
        return shlex.join(words)


CLUSTER = Right("cluster", ("DescribeConfigs",))


def to_read(topic: str, *, is_prefix: bool = False) -> Right:
    """Return what reading a topic takes."""
    return Right("topic", ("Read", "Describe"), topic, is_prefix)


def to_join(group_id: str) -> Right:
    """Return what being a member takes."""
    return Right("group", ("Read", "Describe"), group_id)


def to_write(topic: str, *, create: bool = False) -> Right:
    """Return what the dead-letter topic takes; ``create``: it is to be made, too."""
    return Right("topic", ("Write", "Describe", *(["Create"] if create else [])), topic)


def rights_of(settings: Settings) -> Iterator[Right]:
    """Yield all that the daemon needs with these settings."""
    for topic in settings.kafka_topics:
        if not topic.startswith("^"):
            yield to_read(topic)
            continue
        for name, is_prefix in patterns_of(topic):
            yield to_read(name, is_prefix=is_prefix)
    yield to_join(settings.kafka_group_id)
    if settings.reject_policy == "dead-letter":
        yield to_write(settings.dead_letter_topic, create=True)
    if settings.kafka_group_protocol == "consumer":
        yield CLUSTER


def commands_for(settings: Settings, missing: Collection[Right]) -> Iterator[str]:
    """Yield lines: what the principal needs, ``*`` before what is known to be ``missing``."""
    principal, of = _principal(settings)
    yield f"What {principal} needs{of} (* is missing):"
    for mark, right in marked(settings, missing):
        yield f"{mark} {right.command(settings.kafka_bootstrap_servers, principal)}"


def marked(settings: Settings, missing: Collection[Right]) -> Iterator[tuple[str, Right]]:
    """Yield all rights that are needed, with ``*`` what is known to be ``missing``."""
    wanted = list(rights_of(settings))
    named = {(each.kind, each.name) for each in wanted}
    wanted += sorted((each for each in missing if (each.kind, each.name) not in named), key=str)
    refused = {(each.kind, each.name) for each in missing}
    for right in wanted:
        yield "*" if (right.kind, right.name) in refused else " ", right


def _principal(settings: Settings) -> tuple[str, str]:
    """Return who the brokers take us for, if nothing maps names there, and how that is known."""
    protocol = settings.kafka_security_protocol or "plaintext"
    if protocol.startswith("sasl"):
        name = settings.kafka_sasl_username
        if settings.kafka_sasl_mechanism in _WITH_A_PASSWORD and name:
            return f"User:{name}", ""
        return _UNKNOWN, ", PRINCIPAL being what the brokers take from our token"
    if protocol == "ssl" and settings.kafka_ssl_certificate_location is not None:
        return _UNKNOWN, ", PRINCIPAL being what the brokers take from our certificate (CN=...)"
    return "User:ANONYMOUS", ""
