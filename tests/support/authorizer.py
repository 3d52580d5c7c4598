"""A Kafka that asks an authorizer, and what it is told to forbid or to allow."""

from typing import TYPE_CHECKING, NamedTuple

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from tests.support.waiting import PATIENCE_SECONDS, eventually

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tests.support.kafka import Broker

AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}
"""The properties of such a broker."""

_NOBODY = "User:ANONYMOUS"  # who comes without a login, the tests' own clients too

NOTHING_UNTIL_ALLOWED = {
    "authorizer.class.name": AUTHORIZER["authorizer.class.name"],
    "super.users": _NOBODY,
}
"""The properties of one where whoever comes with a login may do what a rule allows, and no more."""


class Right(NamedTuple):
    """One operation on one thing; ``*`` is all of a kind."""

    kind: ResourceType
    name: str
    operation: AclOperation


CLUSTER = ResourceType.BROKER, "kafka-cluster"
EVERYTHING = [
    Right(kind, name, AclOperation.ALL)
    for kind, name in ((ResourceType.TOPIC, "*"), (ResourceType.GROUP, "*"), CLUSTER)
]


@pytest.fixture
def admin(broker: "Broker") -> "Iterator[AdminClient]":
    """Ask a broker with an authorizer as an administrator; its rules end with the test."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    yield admin
    allow_everything(admin)


def deny(admin: AdminClient, kind: ResourceType, name: str, operation: AclOperation) -> None:
    """Forbid one thing. Where there is a rule nothing else is allowed, unless another says so."""
    rules = [
        AclBinding(kind, name, ResourcePatternType.LITERAL, _NOBODY, "*", given, permission)
        for given, permission in (
            (AclOperation.ALL, AclPermissionType.ALLOW),
            (operation, AclPermissionType.DENY),
        )
    ]
    for future in admin.create_acls(rules).values():
        future.result()


def allow(admin: AdminClient, principal: str, rights: "Collection[Right]") -> None:
    """Allow somebody these things, and wait until the broker knows it."""
    rules = [
        AclBinding(
            right.kind,
            right.name,
            ResourcePatternType.LITERAL,
            principal,
            "*",
            right.operation,
            AclPermissionType.ALLOW,
        )
        for right in rights
    ]
    for future in admin.create_acls(rules).values():
        future.result()
    _await(admin, rights, principal, count=1)


def take_away(admin: AdminClient, principal: str, rights: "Collection[Right]") -> None:
    """Allow somebody these things no more, and wait until the broker knows it."""
    rules = [_filter(right, principal) for right in rights]
    for future in admin.delete_acls(rules).values():
        future.result()
    _await(admin, rights, principal, count=0)


def _await(admin: AdminClient, rights: "Collection[Right]", principal: str, count: int) -> None:
    """Wait until the broker tells so many rules for each: the controller has them first."""
    for right in rights:
        eventually(
            lambda: admin.describe_acls(_filter(right, principal)).result(),  # noqa: B023 - it is over with the turn
            PATIENCE_SECONDS,
            f"{count} rules for {right}",
            until=lambda rules: len(rules) == count,
        )


def _filter(right: Right, principal: str) -> AclBindingFilter:
    return AclBindingFilter(
        right.kind,
        right.name,
        ResourcePatternType.LITERAL,
        principal,
        "*",
        right.operation,
        AclPermissionType.ALLOW,
    )


def allow_everything(admin: AdminClient, *kinds: ResourceType) -> None:
    """Leave no rule, or none about some kinds of things."""
    for kind in kinds or (ResourceType.TOPIC, ResourceType.GROUP, ResourceType.BROKER):
        rules = AclBindingFilter(
            kind,
            None,  # type: ignore[arg-type]  # any
            ResourcePatternType.ANY,
            None,  # type: ignore[arg-type]  # any
            None,  # type: ignore[arg-type]  # any
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        for future in admin.delete_acls([rules]).values():
            future.result()
