"""The clients that the checks ask Kafka with, and what librdkafka logs about them."""

import logging
import re
import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from consumer.commands.check.finding import Finding, State
from consumer.kafka.group import Group
from consumer.kafka.member import Member
from consumer.settings import Settings
from consumer.settings.properties import admin_properties, consumer_properties

_PATIENCE_SECONDS = 5.0
_TRY_SECONDS = 1.0
_HOPELESS = re.compile("SASL|SSL|[Aa]uthenticat|not supported", re.ASCII)
"""What waiting doesn't mend."""

_NOISE = re.compile(
    r"^\[thrd:[^\]]*\]: |^\S+/(?:bootstrap|\d+): | \(after \d+ms in state \w+[^)]*\)"
)
_HINTS = (
    ("resolve", "correct KAFKA_BOOTSTRAP_SERVERS, or see DNS"),
    ("PLAINTEXT broker", "set KAFKA_SECURITY_PROTOCOL to plaintext or sasl_plaintext, or the port"),
    (
        "connection closed by peer",
        (
            "set KAFKA_SECURITY_PROTOCOL to plaintext or sasl_plaintext, or the port; else see the"
            " KAFKA_SSL_ settings"
        ),
    ),
    ("certificate", "see KAFKA_SSL_CA_LOCATION, and the names in the broker's certificate"),
    ("SSL", "see KAFKA_SECURITY_PROTOCOL and the KAFKA_SSL_ settings"),
    ("mechanism", "see KAFKA_SECURITY_PROTOCOL and KAFKA_SASL_MECHANISM"),
    ("uthenticat", "see KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM"),
    ("SASL", "see KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM"),
    ("refused", "does a broker listen there? See KAFKA_BOOTSTRAP_SERVERS"),
    ("ApiVersion", "see KAFKA_SECURITY_PROTOCOL: this port may want ssl or sasl_ssl"),
    ("response size", "no Kafka listens there, or it wants KAFKA_SECURITY_PROTOCOL=ssl"),
)


class Connection:
    """The admin client, with what librdkafka complains about on its account and the member's."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.heard = Heard()
        self._logger = logging.getLogger("consumer.commands.check")
        self._logger.handlers = [self.heard]
        self._logger.propagate = False
        self._properties: dict[str, Any] = {**admin_properties(settings), "logger": self._logger}
        self.admin = AdminClient(self._properties)

    def member(self) -> Member:
        """Return a member of the group that has not joined it."""
        return Member({**consumer_properties(self._settings), "logger": self._logger})

    def group(self) -> Group:
        """Return the group, as its coordinator tells of it."""
        return Group(self._properties, self._settings.kafka_group_id)

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
                said = self.heard.last
                if time.monotonic() < deadline and not _HOPELESS.search(said):
                    continue
                said = said or error.args[0].str()
                return Finding(State.FAILED, tried, said, _hint(said)), None
            brokers = [f"{each.host}:{each.port}" for each in listed.brokers.values()]
            return Finding(State.GOOD, tried, f"answer; {', '.join(brokers)}"), listed.topics

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
        self.last = _NOISE.sub("", _NOISE.sub("", str(text)))


def _hint(said: str) -> str:
    for words, hint in _HINTS:
        if words in said:
            return hint
    return "see KAFKA_BOOTSTRAP_SERVERS, KAFKA_SECURITY_PROTOCOL, and firewalls on the way"
