"""A Kafka that asks who comes: at one listener for a password, at another for a certificate."""

from typing import TYPE_CHECKING

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from tests.support.kafka import Broker
from tests.support.waiting import PATIENCE_SECONDS, eventually

if TYPE_CHECKING:
    from tests.support.certificates import Authority
    from tests.support.kafka import Proxied

USER = "segment-consumer"

_MODULES = "org.apache.kafka.common.security"
_SCRAM = f"{_MODULES}.scram.ScramLoginModule"
_PLAIN = "listener.name.proxied0.plain.sasl.jaas.config"
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
            "listener.name.proxied0.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
            "listener.name.proxied0.scram-sha-512.sasl.jaas.config": f"{_SCRAM} required;",
            _PLAIN: _plain(""),
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
        """The listener for `USER` with the passwords that were set last."""
        return self.proxied(0)

    @property
    def with_certificate(self) -> "Proxied":
        """The listener for whoever has a certificate."""
        return self.proxied(1)

    def set_password(self, mechanism: str, password: str) -> None:
        """Let `USER` in with this password and no other; nobody stays in."""
        if mechanism == "PLAIN":
            self.configure({_PLAIN: _plain(password)})  # which is read at a start only
            return
        self._set_scram(password)
        eventually(
            lambda: self._lets_in(mechanism, password),
            PATIENCE_SECONDS,
            "the new password",
            ignoring=(KafkaException,),
        )
        self.with_password.proxy.reset()

    def _set_scram(self, password: str) -> None:
        how = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
        change = UserScramCredentialUpsertion(USER, how, password.encode())
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        admin.alter_user_scram_credentials([change])[USER].result()

    def _lets_in(self, mechanism: str, password: str) -> bool:
        """Come with this password. Raises KafkaException if it is refused."""
        asking = AdminClient(
            {
                "bootstrap.servers": self.with_password.bootstrap,
                "security.protocol": "sasl_plaintext",
                "sasl.mechanism": mechanism,
                "sasl.username": USER,
                "sasl.password": password,
                "log_level": 2,  # that it is refused at first is no news
            }
        )
        return bool(asking.list_topics(timeout=2).brokers)


def _plain(password: str) -> str:
    """Return what lets `USER` in with a password, and nobody without one."""
    users = f'user_{USER}="{password}"' if password else ""
    return f"{_MODULES}.plain.PlainLoginModule required {users};"


def _on_a_line(pem: str) -> str:
    r"""Return a PEM as a value in a file of properties, where \n is a new line."""
    return pem.strip().replace("\n", "\\n")
