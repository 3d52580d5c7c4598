"""Why no broker can be asked: found out by trying, where a client that tries all day doesn't say.

librdkafka (2.16) has no error for a port that closes connections at once, as one does that wants
TLS or a login. It only logs that, and that connections are closed is news only here.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from consumer import clock
from consumer.kafka import certificate
from consumer.kafka.errors import text_of
from consumer.kafka.farewell import let_go
from consumer.kafka.reasons import Reason, is_alert, reason_of
from consumer.kafka.token_endpoint import is_about_a_token, needed_by, settings_of, trouble_of

if TYPE_CHECKING:
    import threading

_SECONDS = 2.0
_AGAIN_SECONDS = 10.0
_TRY_SECONDS = 1.0
_TOKENS = "oauth_cb"  # who has none says so; the creation of another client would wait for one
_HEARS_ALL = {"log.connection.close": True, "statistics.interval.ms": 0}


class Ear(logging.Handler):
    """Hears what librdkafka says of one client's connections: ``logger`` and ``error_cb`` are its.

    ``last`` is its last complaint, ``reason`` the one that says most; both may be None.
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.last: Reason | None = None
        self.reason: Reason | None = None
        self.logger = logging.Logger(__name__, logging.INFO)  # noqa: LOG001 - who is named is kept for ever
        self.logger.addHandler(self)

    def properties(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Return a client's properties with which this is heard."""
        return {**properties, **_HEARS_ALL, "logger": self.logger, "error_cb": self.hear}

    def emit(self, record: logging.LogRecord) -> None:
        """Take in a line of the log. librdkafka's have facility, client and text."""
        words = record.args if isinstance(record.args, tuple) and record.args else (record.msg,)
        if record.levelno >= logging.ERROR or words[0] == "FAIL":
            self._take(str(words[-1]))

    def hear(self, error: KafkaError) -> None:
        """Take in an error."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - says nothing of why
            self._take(error.str())

    def _take(self, text: str) -> None:
        found = reason_of(text, when_new=True)
        self.last = found
        if self.reason is None or found.is_refusal or not self.reason.is_refusal:
            self.reason = found


class Diagnosis:
    """Why the owner of a client gets no answer from any broker; tried anew every few seconds."""

    def __init__(self) -> None:
        self._reason: Reason | None = None
        self._again_at = -math.inf
        self._ending: threading.Thread | None = None  # of the last trial

    def of(self, error: Exception, properties: Mapping[str, Any]) -> Reason:
        """Return why: more than the ``error`` says, if there is more to be found out."""
        if not isinstance(error, KafkaException) or _TOKENS in properties:
            return Reason("", text_of(error), "")
        if clock.now() >= self._again_at and not (self._ending and self._ending.is_alive()):
            self._reason = None
            with suppress(Exception):  # as where a certificate's key is not there yet
                self._reason = why_unreachable(properties, let_go=self._let_go)
            self._again_at = clock.now() + _AGAIN_SECONDS
        return self._reason or _unknown(text_of(error), properties)

    def _let_go(self, clients: list[AdminClient]) -> None:
        self._ending = let_go(clients)


def _unknown(said: str, properties: Mapping[str, Any]) -> Reason:
    """Return what is said, and who may be the matter: of tokens that don't come little is heard."""
    needed = needed_by(properties)
    if not needed:
        return Reason("", said, "")
    return Reason("", f"{said}; {needed}", settings_of(properties))


def why_unreachable(
    properties: Mapping[str, Any],
    seconds: float = _SECONDS,
    *,
    let_go: Callable[[list[AdminClient]], object] = let_go,
) -> Reason | None:
    """Return why no broker answers a client with these properties; None: one does, or no idea.

    Takes up to ``seconds``, and as long again where a certificate has to be looked at; the trial's
    client is ``let_go``. Raises KafkaException if there can be no such client.
    """
    ear = Ear()
    clients = [AdminClient(ear.properties(properties))]
    try:
        is_reached = _reaches(clients[0], ear, time.monotonic() + seconds)
    finally:
        let_go(clients)
    return None if is_reached or ear.reason is None else explained(ear.reason, properties)


def _reaches(client: AdminClient, ear: Ear, deadline: float) -> bool:
    while time.monotonic() < deadline:
        try:
            client.list_topics(timeout=_TRY_SECONDS)
        except KafkaException:
            client.poll(0)  # hears
        else:
            return True
        if ear.reason is not None and ear.reason.is_sure:
            break
    return False


def explained(reason: Reason, properties: Mapping[str, Any]) -> Reason:
    """Return a reason with what a certificate says, ours or the broker's, or who has no token."""
    if is_about_a_token(reason.said):
        said, to_do = trouble_of(reason.said, properties), settings_of(properties)
        return reason._replace(cause="", said=said, to_do=to_do)
    if is_alert(reason.said):
        why = certificate.trouble_of(properties)
        return reason._replace(cause=f"{why}; {reason.cause}") if why else reason
    if "certificate verify failed" in reason.said and reason.host:
        why, to_do = certificate.trouble_with(reason.host, reason.port, properties)
        return reason._replace(said=why, to_do=to_do) if why else reason
    return reason
