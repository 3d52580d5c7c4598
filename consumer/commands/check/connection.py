"""The clients that the checks ask Kafka with, and what librdkafka says of what fails."""

# ruff: noqa: SLF001 - librdkafka's local error codes are spelt so

import logging
import re
import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from consumer.commands.check.finding import Finding, State
from consumer.kafka import certificate
from consumer.kafka.errors import is_alert, without_noise
from consumer.kafka.group import Group
from consumer.kafka.member import Member
from consumer.settings import Settings
from consumer.settings.properties import admin_properties, consumer_properties

_PATIENCE_SECONDS = 5.0
_TRY_SECONDS = 1.0
_STATE = re.compile(r" \(after \d+ms in state (\w+)")
_ADVERTISED = re.compile(r"^(?:\[thrd:[^\]]*\]: )?\S+/\d+: ")
"""What librdkafka puts before what happened to an address that a broker gave it."""

_PLAIN = "set KAFKA_SECURITY_PROTOCOL to plaintext or sasl_plaintext, or the port"


class Connection:
    """The admin client, with what librdkafka complains about on its account and the member's."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.heard = Heard()
        self._logger = logging.getLogger("consumer.commands.check")
        self._logger.handlers = [self.heard]
        self._logger.propagate = False
        self._properties: dict[str, Any] = {**admin_properties(settings), "logger": self._logger}
        self._failure: KafkaError | None = None
        self.admin = AdminClient(self._properties | {"error_cb": self._fail})

    def member(self) -> Member:
        """Return a member of the group that has not joined it."""
        return Member({**consumer_properties(self._settings), "logger": self._logger})

    def group(self) -> Group:
        """Return the group, as its coordinator tells of it."""
        settings = self._settings
        return Group(self._properties, settings.kafka_group_id, settings.kafka_group_protocol)

    def try_brokers(self) -> tuple[Finding, Mapping[str, Any] | None]:
        """Return what became of asking for the topics, and these; None: no broker answered."""
        servers = self._settings.kafka_bootstrap_servers
        tried = f"brokers {servers}"
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                listed = self.admin.list_topics(timeout=_TRY_SECONDS)
            except KafkaException as error:
                self.admin.poll(0)
                failure = self._failure or error.args[0]
                if time.monotonic() < deadline and not _is_hopeless(failure):
                    continue
                said = without_noise(failure.str())
                if is_alert(said) and (why := certificate.trouble_of(self._properties)):
                    said = f"{why}; {said}"
                return Finding(State.FAILED, tried, said, advice(failure)), None
            brokers = [f"{each.host}:{each.port}" for each in listed.brokers.values()]
            return Finding(State.GOOD, tried, f"answer; {', '.join(brokers)}"), listed.topics

    def _fail(self, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # says nothing of why
            self._failure = error

    def topic(self, name: str) -> Any:  # noqa: ANN401 - the library's metadata
        """Return what the broker says about one topic; None: nothing."""
        try:
            return self.admin.list_topics(name, timeout=_PATIENCE_SECONDS).topics.get(name)
        except KafkaException:
            return None


class Heard(logging.Handler):
    """Keeps the last complaint. librdkafka's records carry facility, client and text."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what the record says."""
        text = record.args[-1] if isinstance(record.args, tuple) and record.args else record.msg
        self.last = without_noise(str(text))


def advice(error: KafkaError) -> str:
    """Return what to do about it: by the kind of failure and where it happened.

    Not by words that a host's name may have in it: the text is looked at without it. If the broker
    is quick and we are slow, the handshake fails as it begins, and librdkafka calls that an error
    of the transport (rdkafka_ssl.c, rd_kafka_transport_ssl_connect): so the state counts, too.
    """
    said, code, state = without_noise(error.str()), error.code(), _state(error)
    match code, state:
        case KafkaError._RESOLVE, _:
            what = "correct KAFKA_BOOTSTRAP_SERVERS, or see DNS"
        case KafkaError._AUTHENTICATION, _ if "supported" in said:
            what = "see KAFKA_SECURITY_PROTOCOL and KAFKA_SASL_MECHANISM"
        case KafkaError._AUTHENTICATION, _:
            what = "see KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM"
        case _ if is_alert(said):
            what = (
                "show a certificate that is good, and of an authority that the broker knows: see"
                " KAFKA_SSL_CERTIFICATE_LOCATION and KAFKA_SSL_KEY_LOCATION"
            )
        case (KafkaError._SSL, _) | (_, "SSL_HANDSHAKE") if "certificate" in said:
            what = "see KAFKA_SSL_CA_LOCATION, and the names in the broker's certificate"
        case (KafkaError._SSL, _) | (_, "SSL_HANDSHAKE"):
            what = f"{_PLAIN}; else see the KAFKA_SSL_ settings"
        case KafkaError._BAD_MSG, _:
            what = "no Kafka listens there, or it wants KAFKA_SECURITY_PROTOCOL=ssl"
        case _, "APIVERSION_QUERY" | "AUTH_HANDSHAKE":
            what = "see KAFKA_SECURITY_PROTOCOL: this port may want ssl or sasl_ssl"
        case _:
            what = _way_there(error.str(), said)
    return what


def _way_there(text: str, said: str) -> str:
    if _ADVERTISED.match(text):
        return "a broker gave this address, so see the brokers' advertised.listeners"
    if said.endswith("Connection refused"):
        return "does a broker listen there? See KAFKA_BOOTSTRAP_SERVERS"
    return "see KAFKA_BOOTSTRAP_SERVERS, KAFKA_SECURITY_PROTOCOL, and firewalls on the way"


def _is_hopeless(error: KafkaError) -> bool:
    """Whether waiting mends nothing."""
    hopeless = {KafkaError._AUTHENTICATION, KafkaError._SSL}
    return error.code() in hopeless or _state(error) == "SSL_HANDSHAKE"


def _state(error: KafkaError) -> str:
    """Return what librdkafka was doing with the broker; empty: it doesn't say."""
    found = _STATE.search(error.str())
    return found[1] if found else ""
