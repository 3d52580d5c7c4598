"""The clients that the checks ask Kafka with, and what librdkafka says of what fails."""

import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

from consumer.commands.check.finding import Finding, State
from consumer.daemon import tokens_of
from consumer.kafka import token_endpoint
from consumer.kafka.credentials import Follower
from consumer.kafka.diagnosis import Ear, explained
from consumer.kafka.group import Group
from consumer.kafka.member import Member
from consumer.kafka.reasons import reason_of
from consumer.kafka.tokens import FETCH_SECONDS, with_tokens
from consumer.settings import Settings
from consumer.settings.properties import (
    admin_properties,
    consumer_properties,
    producer_properties,
)

_PATIENCE_SECONDS = 5.0
_SILENCE_SECONDS = 10.0  # where nothing is heard at all
_TRY_SECONDS = 1.0


class Connection:
    """The admin client, with what librdkafka complains about on its account and the others'."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ear = Ear()
        self._tokens = tokens_of(settings)
        if self._tokens is not None:
            self._tokens.start()
            self._tokens.tried.wait(FETCH_SECONDS + _TRY_SECONDS)
        self._no_token = "" if self._tokens is None else self._tokens.trouble
        self._properties = with_tokens(admin_properties(settings), self._tokens)
        properties = self._ear.properties(self._properties)
        self.admin = AdminClient(Follower(properties).for_client())

    def member(self) -> Member:
        """Return a member of the group that has not joined it."""
        properties = {**consumer_properties(self._settings), "logger": self._ear.logger}
        return Member(with_tokens(properties, self._tokens))

    def group(self) -> Group:
        """Return the group, as its coordinator tells of it."""
        settings = self._settings
        properties = {**self._properties, "logger": self._ear.logger}
        return Group(properties, settings.kafka_group_id, settings.kafka_group_protocol)

    def producer(self) -> Producer:
        """Return a producer as the one of the dead letters."""
        properties = {**producer_properties(self._settings), "logger": self._ear.logger}
        return Producer(with_tokens(properties, self._tokens))

    def listen(self) -> None:
        """Forget what was heard."""
        self._ear.last = None

    def why(self) -> str:
        """Return librdkafka's last complaint, to be put behind what it is about."""
        return f": {self._ear.last.said}" if self._ear.last else ""

    def try_brokers(self) -> tuple[Finding, Mapping[str, Any] | None]:
        """Return what became of asking for the topics, and these; None: no broker answered."""
        servers = self._settings.kafka_bootstrap_servers
        tried = f"brokers {servers}"
        if self._tokens is not None and self._no_token:  # when the admin client was made
            to_do = token_endpoint.advice(self._tokens.provider)
            return Finding(State.FAILED, tried, self._no_token, to_do), None
        began = time.monotonic()
        while True:
            try:
                listed = self.admin.list_topics(timeout=_TRY_SECONDS)
            except KafkaException as error:
                self.admin.poll(0)
                reason = self._ear.reason or reason_of(error.args[0].str())
                patience = _PATIENCE_SECONDS if self._ear.reason else _SILENCE_SECONDS
                if time.monotonic() < began + patience and not reason.is_sure:
                    continue
                silent = token_endpoint.silence_of(self._properties)
                if self._ear.reason is None and silent:
                    return Finding(State.FAILED, tried, silent, token_endpoint.advice()), None
                reason = explained(reason, self._properties)
                return Finding(State.FAILED, tried, reason.what, reason.to_do), None
            brokers = [f"{each.host}:{each.port}" for each in listed.brokers.values()]
            return Finding(State.GOOD, tried, f"answer; {', '.join(brokers)}"), listed.topics

    def topic(self, name: str) -> Any:  # noqa: ANN401 - the library's metadata
        """Return what the broker says about one topic; None: nothing."""
        try:
            return self.admin.list_topics(name, timeout=_PATIENCE_SECONDS).topics.get(name)
        except KafkaException:
            return None
