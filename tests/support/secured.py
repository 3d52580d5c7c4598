"""A Kafka that asks who comes: at one listener for a password, at another for a certificate."""

from typing import TYPE_CHECKING

from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from tests.support.kafka import Broker

if TYPE_CHECKING:
    from tests.support.certificates import Authority
    from tests.support.kafka import Proxied

USER = "segment-consumer"

_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
_ITERATIONS = 4096


class Secured(Broker):
    """Its own address, the tests', asks nobody for anything.

    ``trusted`` signs the certificate that it shows, and those that it takes.
    """

    def __init__(self, trusted: "Authority") -> None:
        shown = trusted.issue("broker")
        properties = {
            "listener.security.protocol.map": (
                "MAIN:PLAINTEXT,PROXIED0:SASL_PLAINTEXT,PROXIED1:SSL,CONTROLLER:PLAINTEXT"
            ),
            "listener.name.proxied0.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.proxied0.scram-sha-512.sasl.jaas.config": f"{_SCRAM} required;",
            "listener.name.proxied1.ssl.client.auth": "required",
            "listener.name.proxied1.ssl.keystore.type": "PEM",
            "listener.name.proxied1.ssl.keystore.certificate.chain": _on_a_line(shown.certificate),
            "listener.name.proxied1.ssl.keystore.key": _on_a_line(shown.key),
            "listener.name.proxied1.ssl.truststore.type": "PEM",
            "listener.name.proxied1.ssl.truststore.certificates": _on_a_line(trusted.certificate),
        }
        super().__init__(proxied_listeners=2, properties=properties)

    @property
    def with_password(self) -> "Proxied":
        """The listener for `USER` with the password that was set last."""
        return self.proxied(0)

    @property
    def with_certificate(self) -> "Proxied":
        """The listener for whoever has a certificate."""
        return self.proxied(1)

    def set_password(self, password: str) -> None:
        """Let `USER` in with this password and no other; whoever is in stays in."""
        how = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
        change = UserScramCredentialUpsertion(USER, how, password.encode())
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        admin.alter_user_scram_credentials([change])[USER].result()


def _on_a_line(pem: str) -> str:
    r"""Return a PEM as a value in a file of properties, where \n is a new line."""
    return pem.strip().replace("\n", "\\n")
