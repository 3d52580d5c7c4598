"""What can be wrong at a door, and what must be said of it: the cause, the setting to change."""

from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka.admin import AclOperation, ResourceType

from tests.support.rights import documented
from tests.support.ways import (
    CERTIFICATE,
    OIDC,
    PLAIN,
    PLAIN_OPEN,
    SCRAM_256,
    SCRAM_512,
    SCRAM_512_OPEN,
    UNSECURED,
    Way,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.support.authorizer import Right
    from tests.support.certificates import Authority, Issued
    from tests.support.doors import Doors

BY_RIGHTS = (PLAIN_OPEN, SCRAM_512_OPEN)
"""Whoever comes by these has the rights that are documented, at most. The second is of one row
alone, for there is one cluster."""

SECRET = "not-to-be-shown"
OVER_ELSEWHERE, FOR_ELSEWHERE = "over", "elsewhere"
"""Ways whose broker shows a certificate that is over, and one for another host."""

_LOGIN = ("KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD")
_NO_LOGIN = dict.fromkeys(_LOGIN)
_NO_PROVIDER = {
    f"KAFKA_OAUTH_{name}": None
    for name in ("PROVIDER", "TOKEN_ENDPOINT_URL", "CLIENT_ID", "CLIENT_SECRET")
}
_NO_TLS = {"KAFKA_SSL_CA_LOCATION": None}


class Place(NamedTuple):
    """Where one thing is tried: with a folder, topics and a group of its own.

    ``good`` is a certificate with which everybody comes in: an authority signs one at a time.
    """

    broker: "Doors"
    trusted: "Authority"
    stranger: "Authority"
    good: "Issued"
    folder: "Path"
    topic: str
    group: str

    @property
    def dead_letter_topic(self) -> str:
        """The topic for dead letters, which isn't there."""
        return f"{self.topic}.dead-letters"

    def rights(self) -> "list[Right]":
        """Return all that are needed here."""
        return documented(self.topic, self.group, self.dead_letter_topic)

    def put(self, name: str, text: str) -> "Path":
        """Write a file into the folder, or over it."""
        path = self.folder / name
        path.write_text(text)
        return path


Change = dict[str, object]


class Wrong(NamedTuple):
    """``change`` returns the settings that are wrong, None for one that is left out.

    Of what is said, ``cause`` and ``setting`` have to be a part; where ``check`` finds it out
    otherwise, it says ``in_check`` instead of the cause. With an empty ``has_hold`` the daemon does
    without, and only ``check`` warns. ``mend`` makes it right while the daemon runs; ``lacks`` are
    rights that aren't given.
    """

    what: str
    way: Way
    cause: str
    setting: str
    change: "Callable[[Place], Mapping[str, object]]" = lambda _: {}
    mend: "Callable[[Place], object] | None" = None
    lacks: "Callable[[Right], bool] | None" = None
    config: "Mapping[str, object] | None" = None
    has_hold: str = "kafka-unavailable"
    in_check: str = ""


def _password(place: Place) -> Change:
    folder = place.folder / "secrets"
    folder.mkdir()
    (folder / "KAFKA_SASL_PASSWORD").write_text(SECRET)
    return {"KAFKA_SASL_PASSWORD": None, "SECRETS_DIR": folder}


def _right_password(way: Way) -> "Callable[[Place], object]":
    def mend(place: Place) -> None:
        right = str(place.broker.door(way).settings["KAFKA_SASL_PASSWORD"])
        place.put("secrets/KAFKA_SASL_PASSWORD", right)

    return mend


def _certificate(place: Place, authority: "Authority", seconds: float = 3600) -> Change:
    files = authority.issue(CERTIFICATE.name, seconds=seconds).put(place.folder)
    return {
        "KAFKA_SSL_CERTIFICATE_LOCATION": files.certificate,
        "KAFKA_SSL_KEY_LOCATION": files.key,
        "KAFKA_SSL_KEY_PASSWORD": None,
    }


def _authority(place: Place) -> Change:
    return {"KAFKA_SSL_CA_LOCATION": place.put("ca.pem", place.stranger.certificate)}


def _no_certificate(_: Place) -> Change:
    names = ("CERTIFICATE_LOCATION", "KEY_LOCATION", "KEY_PASSWORD")
    return {f"KAFKA_SSL_{name}": None for name in names}


def _speaks(
    protocol: str, *, without: "Mapping[str, object] | None" = None, at: Way | None = None
) -> "Callable[[Place], Change]":
    """Return what has it speak a protocol, at another way's port, or at that without any login."""

    def change(place: Place) -> Change:
        there = {}
        if at is not None:
            there = {
                "KAFKA_BOOTSTRAP_SERVERS": place.broker.door(at).settings["KAFKA_BOOTSTRAP_SERVERS"]
            }
        return {"KAFKA_SECURITY_PROTOCOL": protocol, **(without or {}), **there}

    return change


def _at_nobodys(protocol: str) -> "Callable[[Place], Change]":
    return lambda place: {
        "KAFKA_SECURITY_PROTOCOL": protocol,
        "KAFKA_BOOTSTRAP_SERVERS": place.broker.bootstrap,
    }


def _is_of(kind: ResourceType, *operations: AclOperation) -> "Callable[[Right], bool]":
    return lambda right: right.kind == kind and (not operations or right.operation in operations)


def _is_of_topic(right: "Right") -> bool:
    return right.kind == ResourceType.TOPIC and not right.name.endswith(".dead-letters")


def _is_of_letters(right: "Right") -> bool:
    return right.kind == ResourceType.TOPIC and right.name.endswith(".dead-letters")


WITHOUT_TLS = "the port closes connections at the first word"
NO_TLS = "the port speaks no TLS"
NO_TRUST = "the broker's certificate can't be trusted: it is"
PROTOCOL = "KAFKA_SECURITY_PROTOCOL"

WRONG = (
    *(
        row
        for way in (PLAIN, SCRAM_256, SCRAM_512)
        for row in (
            Wrong(
                f"a wrong password, {way.mechanism}",
                way,
                "login refused",
                "KAFKA_SASL_PASSWORD",
                _password,
                _right_password(way),
            ),
            Wrong(
                f"an unknown user, {way.mechanism}",
                way,
                "login refused",
                "KAFKA_SASL_USERNAME",
                lambda _: {"KAFKA_SASL_USERNAME": "nobody"},
            ),
        )
    ),
    Wrong(
        "another mechanism than the port's",
        SCRAM_512,
        "the port takes another login",
        "KAFKA_SASL_MECHANISM to SCRAM-SHA-512",
        lambda _: {"KAFKA_SASL_MECHANISM": "PLAIN"},
    ),
    Wrong(
        "a certificate of ours that is over",
        CERTIFICATE,
        "our certificate is over since",
        "KAFKA_SSL_CERTIFICATE_LOCATION",
        lambda place: _certificate(place, place.trusted, seconds=-60),
        lambda place: place.good.put(place.folder),
    ),
    Wrong(
        "a certificate of ours that an authority signed whom the broker doesn't know",
        CERTIFICATE,
        "our certificate is refused",
        "KAFKA_SSL_CERTIFICATE_LOCATION",
        lambda place: _certificate(place, place.stranger),
        lambda place: place.good.put(place.folder),
    ),
    Wrong(
        "no certificate of ours where the port wants one",
        CERTIFICATE,
        "the port wants a certificate",
        "KAFKA_SSL_CERTIFICATE_LOCATION",
        _no_certificate,
    ),
    Wrong(
        "a certificate of the broker's that an authority signed whom we don't know",
        PLAIN,
        f"{NO_TRUST} of an authority that is not among KAFKA_SSL_CA_LOCATION",
        "KAFKA_SSL_CA_LOCATION",
        _authority,
        lambda place: place.put("ca.pem", place.trusted.certificate),
    ),
    Wrong(
        "the same, without any authority in the settings",
        PLAIN,
        f"{NO_TRUST} of an authority that is not among those that this system knows",
        "KAFKA_SSL_CA_LOCATION",
        lambda _: _NO_TLS,
    ),
    Wrong(
        "a certificate of the broker's that is over",
        Way(OVER_ELSEWHERE, "sasl_ssl", "PLAIN"),
        f"{NO_TRUST} over",
        "KAFKA_SSL_CA_LOCATION",
    ),
    Wrong(
        "a certificate of the broker's that is for another host",
        Way(FOR_ELSEWHERE, "sasl_ssl", "PLAIN"),
        f"{NO_TRUST} not for 127.0.0.1",
        "KAFKA_BOOTSTRAP_SERVERS",
    ),
    Wrong(
        "plaintext to a port for ssl",
        CERTIFICATE,
        WITHOUT_TLS,
        PROTOCOL,
        lambda place: {**_no_certificate(place), **_NO_TLS, PROTOCOL: "plaintext"},
    ),
    Wrong(
        "plaintext to a port for sasl_ssl",
        PLAIN,
        WITHOUT_TLS,
        PROTOCOL,
        _speaks("plaintext", without={**_NO_LOGIN, **_NO_TLS}),
    ),
    Wrong(
        "sasl_plaintext to a port for sasl_ssl",
        PLAIN,
        WITHOUT_TLS,
        PROTOCOL,
        _speaks("sasl_plaintext", without=_NO_TLS),
    ),
    Wrong("sasl_ssl to a port for plaintext", PLAIN, NO_TLS, PROTOCOL, _at_nobodys("sasl_ssl")),
    Wrong(
        "sasl_ssl to a port for sasl_plaintext", PLAIN_OPEN, NO_TLS, PROTOCOL, _speaks("sasl_ssl")
    ),
    Wrong(
        "ssl to a port for sasl_plaintext",
        PLAIN_OPEN,
        NO_TLS,
        PROTOCOL,
        _speaks("ssl", without=_NO_LOGIN),
    ),
    Wrong(
        "plaintext to a port for sasl_plaintext",
        PLAIN_OPEN,
        "the port closes connections without a login",
        f"{PROTOCOL} to sasl_plaintext",
        _speaks("plaintext", without=_NO_LOGIN),
    ),
    Wrong(
        "ssl to a port for sasl_ssl",
        PLAIN,
        "the port closes connections without a login",
        f"{PROTOCOL} to sasl_ssl",
        _speaks("ssl", without=_NO_LOGIN),
    ),
    Wrong(
        "sasl_plaintext to a port for plaintext",
        PLAIN_OPEN,
        "the port takes no login",
        f"{PROTOCOL} to plaintext",
        _at_nobodys("sasl_plaintext"),
    ),
    Wrong(
        "sasl_ssl to a port for ssl",
        CERTIFICATE,
        "the port takes no login",
        f"{PROTOCOL} to ssl",
        lambda _: {
            PROTOCOL: "sasl_ssl",
            "KAFKA_SASL_MECHANISM": "PLAIN",
            "KAFKA_SASL_USERNAME": "anybody",
            "KAFKA_SASL_PASSWORD": SECRET,
        },
    ),
    Wrong(
        "a secret that the token endpoint refuses",
        OIDC,
        "no token from http://127.0.0.1:",
        "KAFKA_OAUTH_CLIENT_SECRET",
        lambda _: {"KAFKA_OAUTH_CLIENT_SECRET": SECRET},
    ),
    Wrong(
        "a token that the brokers don't take",
        OIDC,
        "the token is refused",
        "KAFKA_OAUTH_SCOPE",
        lambda _: _NO_PROVIDER,
        config={
            "enable.sasl.oauthbearer.unsecure.jwt": True,
            "sasl.oauthbearer.config": f"principal={UNSECURED.name}",
        },
    ),
    Wrong(
        "no right on the topic",
        PLAIN_OPEN,
        "Topic authorization failed",
        "allow READ and DESCRIBE",
        lacks=_is_of_topic,
    ),
    Wrong(
        "the right to see the topic, and not to read it",
        PLAIN_OPEN,
        "READ is denied",
        "allow",
        lacks=lambda right: _is_of_topic(right) and right.operation == AclOperation.READ,
    ),
    Wrong(
        "no right on the group",
        PLAIN_OPEN,
        "READ on the group is denied",
        "allow READ and DESCRIBE on",
        in_check="Group authorization failed",
        lacks=lambda right: right.kind == ResourceType.GROUP,
    ),
    Wrong(
        "no right on the cluster",
        SCRAM_512_OPEN,
        "the broker doesn't tell its session",
        "DESCRIBE_CONFIGS",
        lambda _: {"KAFKA_GROUP_PROTOCOL": "consumer"},
        lacks=lambda right: right.kind == ResourceType.BROKER,
        has_hold="",
    ),
    Wrong(
        "no right on the dead-letter topic",
        PLAIN_OPEN,
        "Topic authorization failed",
        "WRITE",
        lacks=_is_of_letters,
        has_hold="dead-letter-unavailable",
    ),
    Wrong(
        "no right to make the dead-letter topic, neither on it nor on the cluster",
        PLAIN_OPEN,
        "Authorization failed",
        "CREATE",
        lacks=lambda right: _is_of_letters(right) and right.operation == AclOperation.CREATE,
        has_hold="dead-letter-unavailable",
    ),
)
"""Each of them a row: what is wrong, at which door, and what is said."""
