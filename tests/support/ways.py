"""The ways to log in at a Kafka, and what a broker is told to take each of them."""

from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka.admin import ScramMechanism

from tests.support.token_endpoint import AUDIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.certificates import Authority, Issued

SCRAM = {
    "SCRAM-SHA-256": ScramMechanism.SCRAM_SHA_256,
    "SCRAM-SHA-512": ScramMechanism.SCRAM_SHA_512,
}

_SECURITY = "org.apache.kafka.common.security"
_OAUTH = f"{_SECURITY}.oauthbearer"


class Way(NamedTuple):
    """How one comes in, in the words of our variables; the user has the same ``name``.

    ``shown`` is the certificate that the broker shows there, None: its good one. ``unsigned``
    tokens are those that anybody can write. After ``session_seconds``, if it isn't 0, whoever has
    come in has to log in again, on the same connection.
    """

    name: str
    protocol: str
    mechanism: str = ""
    unsigned: bool = False
    shown: "Issued | None" = None
    session_seconds: int = 0

    @property
    def is_encrypted(self) -> bool:
        """Whether the broker shows a certificate there."""
        return self.protocol.endswith("ssl")

    @property
    def is_signed(self) -> bool:
        """Whether it takes tokens that somebody has signed whom the broker knows."""
        return self.mechanism == "OAUTHBEARER" and not self.unsigned

    @property
    def principal(self) -> str:
        """Who that is for the broker."""
        return f"User:{self.name}" if self.mechanism else f"User:CN={self.name}"


PLAIN = Way("plain", "sasl_ssl", "PLAIN")
PLAIN_OPEN = Way("plain-open", "sasl_plaintext", "PLAIN")
SCRAM_256 = Way("scram-256", "sasl_ssl", "SCRAM-SHA-256")
SCRAM_512 = Way("scram-512", "sasl_ssl", "SCRAM-SHA-512")
SCRAM_512_OPEN = Way("scram-512-open", "sasl_plaintext", "SCRAM-SHA-512")
OIDC = Way("oidc", "sasl_ssl", "OAUTHBEARER", session_seconds=4)
UNSECURED = Way("unsecured", "sasl_plaintext", "OAUTHBEARER", unsigned=True)
CERTIFICATE = Way("certificate", "ssl")

WAYS = (PLAIN, PLAIN_OPEN, SCRAM_256, SCRAM_512, SCRAM_512_OPEN, OIDC, UNSECURED, CERTIFICATE)
"""Those that companies have."""


def listener_properties(
    way: Way, listener: str, shown: "Issued", trusted: "Authority", password: str, keys_url: str
) -> "Iterator[tuple[str, str]]":
    """Yield what a broker is told of the listener for one way.

    It shows ``shown`` unless the way has a certificate of its own, and takes those of ``trusted``,
    the user with ``password``, or tokens that were signed with what is at ``keys_url``.
    """
    here = f"listener.name.{listener}"
    if way.is_encrypted:
        mine = way.shown or shown
        yield f"{here}.ssl.keystore.type", "PEM"
        yield f"{here}.ssl.keystore.certificate.chain", _on_a_line(mine.certificate)
        yield f"{here}.ssl.keystore.key", _on_a_line(mine.key)
    if not way.mechanism:
        yield f"{here}.ssl.client.auth", "required"
        yield f"{here}.ssl.truststore.type", "PEM"
        yield f"{here}.ssl.truststore.certificates", _on_a_line(trusted.certificate)
        return
    there = f"{here}.{way.mechanism.lower()}"
    yield f"{here}.sasl.enabled.mechanisms", way.mechanism
    yield f"{there}.connections.max.reauth.ms", str(way.session_seconds * 1000)
    if way.mechanism == "PLAIN":
        yield plain_user(way, listener, password)
    elif way.mechanism in SCRAM:
        yield f"{there}.sasl.jaas.config", f"{_SECURITY}.scram.ScramLoginModule required;"
    else:
        yield f"{there}.sasl.jaas.config", f"{_OAUTH}.OAuthBearerLoginModule required;"
        if way.is_signed:
            handler = f"{_OAUTH}.OAuthBearerValidatorCallbackHandler"
            yield f"{there}.sasl.server.callback.handler.class", handler
            yield f"{there}.sasl.oauthbearer.jwks.endpoint.url", keys_url
            yield f"{there}.sasl.oauthbearer.expected.audience", AUDIENCE


def plain_user(way: Way, listener: str, password: str) -> tuple[str, str]:
    """Return the property that has who comes by ``PLAIN``."""
    module = f"{_SECURITY}.plain.PlainLoginModule"
    who = f'{module} required user_{way.name}="{password}";'
    return f"listener.name.{listener}.plain.sasl.jaas.config", who


def scram_user(way: Way, password: str) -> list[str]:
    """Return the arguments of StorageTool that let the user in from the first start on."""
    return ["--add-scram", f"{way.mechanism}=[name={way.name},password={password}]"]


def _on_a_line(pem: str) -> str:
    r"""Return a PEM as a value in a file of properties, where \n is a new line."""
    return pem.strip().replace("\n", "\\n")
