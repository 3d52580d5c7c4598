"""A Kafka that asks an authorizer, and what it is told to forbid."""

from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.kafka import Broker

AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}
"""The properties of such a broker."""

_NOBODY = "User:ANONYMOUS"  # who comes without a login, the tests' own clients too


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
