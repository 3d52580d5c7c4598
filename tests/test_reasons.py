"""What librdkafka's words come to: a cause, and a setting to change. And how they are found out."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException

from consumer.kafka.certificate import trouble_of, trouble_with
from consumer.kafka.client import Client
from consumer.kafka.diagnosis import Diagnosis, why_unreachable
from consumer.kafka.errors import trouble
from consumer.kafka.reasons import reason_of
from tests.support.token_endpoint import Hanging, TokenEndpoint
from tests.support.waiting import PATIENCE_SECONDS, eventually

UNREACHED = KafkaException(KafkaError(KafkaError._TRANSPORT, "Failed to get metadata"))  # noqa: SLF001 - its name


@pytest.mark.parametrize(
    ("text", "cause", "to_do"),
    [
        (
            (
                "sasl_ssl://b:9/bootstrap: SASL SCRAM-SHA-256 mechanism handshake failed: Broker:"
                " Unsupported SASL mechanism: broker's supported mechanisms: PLAIN,OAUTHBEARER"
                " (after 1ms in state AUTH_HANDSHAKE)"
            ),
            "the port takes another login",
            "set KAFKA_SASL_MECHANISM to PLAIN,OAUTHBEARER",
        ),
        (
            (
                'sasl_ssl://b:9/1: SASL authentication error: {"status":"invalid_token"}'
                " (after 1ms in state AUTH_REQ)"
            ),
            "the token is refused",
            "KAFKA_OAUTH_SCOPE",
        ),
        (
            "sasl_ssl://b:9/1: SASL authentication error: [aa-bb]: Access denied",
            "login refused",
            "KAFKA_OAUTH_PROVIDER",
        ),
        (
            "Failed to acquire SASL OAUTHBEARER token: no such client",
            "login refused",
            "KAFKA_OAUTH_CLIENT_SECRET",
        ),
        ("Broker: SASL Authentication failed", "login refused", "KAFKA_SASL_PASSWORD"),
        (
            "ssl://b:9/1: error:0A000086:SSL::certificate verify failed (after 1ms in state X)",
            "the broker's certificate can't be trusted",
            "KAFKA_SSL_CA_LOCATION",
        ),
        (
            "ssl://b:9/1: error:0A0000BF:SSL::no protocols available (after 1ms in state X)",
            "no encrypted connection",
            "KAFKA_SSL_ settings",
        ),
    ],
)
def test_words_that_no_broker_of_ours_says_too(text: str, cause: str, to_do: str) -> None:
    reason = reason_of(text)
    assert reason.is_refusal
    assert reason.is_sure
    assert reason.cause == cause
    assert to_do in reason.to_do
    assert str(reason) == f"{cause}: {reason.said}; {reason.to_do}"
    assert trouble(KafkaError(KafkaError._TRANSPORT, text)).is_refusal  # noqa: SLF001 - its name


@pytest.mark.parametrize(
    "said",
    [
        "SASL authentication error: SaslAuthenticateRequest failed: Local: Timed out",
        "SASL PLAIN mechanism handshake failed: Local: Broker transport failure: ",
    ],
)
def test_a_login_that_got_no_answer_is_not_refused(said: str) -> None:
    text = f"sasl_ssl://b:9/1: {said} (after 1ms in state AUTH_REQ)"
    assert not reason_of(text).is_refusal
    found = trouble(KafkaError(KafkaError._AUTHENTICATION, text))  # noqa: SLF001 - its name
    assert (found.code, found.detail, found.is_refusal) == ("_TRANSPORT", said, False)


def test_a_protocol_that_is_none_of_kafkas_ends_nothing() -> None:
    """It is read in a callback of the client, where an exception is the daemon's end."""
    said = "kafka://b:9/1: SaslHandshakeRequest failed: not valid in current SASL state"
    assert reason_of(said).cause == "the port takes no login"


def test_a_connection_that_did_some_good_may_be_closed_without_a_word() -> None:
    text = "b:9/1: Disconnected: connection closed by peer (after 600000ms in state UP)"
    assert not reason_of(text).is_refusal
    assert not trouble(KafkaError(KafkaError._TRANSPORT, text)).is_refusal  # noqa: SLF001 - its name
    assert reason_of(text, when_new=True).to_do.startswith(
        "set KAFKA_SECURITY_PROTOCOL to sasl_plaintext"
    )


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ssl://b-1.kafka:9093/bootstrap: SSL handshake failed: x", ("b-1.kafka", 9093)),
        ("[thrd:ssl://b:1/2]: ssl://b:1/2: SSL handshake failed: x", ("b", 1)),
        ("ssl://[::1]:9093/1: SSL handshake failed: x", ("::1", 9093)),
        ("SSL handshake failed: x", ("", 0)),
    ],
)
def test_whom_it_is_about_is_read_off_what_is_in_front(text: str, address: tuple[str, int]) -> None:
    reason = reason_of(text)
    assert (reason.host, reason.port) == address
    assert reason.said == "SSL handshake failed: x"


class Ends:
    """A consumer of the library that has nothing but ends of partitions, and says only so."""

    def consume(self, count: int, _: float) -> "list[Ends]":
        """Return as many."""
        return [self] * count

    def error(self) -> "Ends":
        """Return itself."""
        return self

    def code(self) -> int:
        """Return the library's code."""
        return int(KafkaError._PARTITION_EOF)  # noqa: SLF001 - its name


def test_the_end_of_a_partition_is_no_trouble_to_look_into() -> None:
    """With KIP-848 every error is looked into, and an idle topic has as many ends as records."""
    client = Client({"group.id": "g", "group.protocol": "consumer"})
    client.consumer = cast("Consumer", Ends())
    assert len(client.consume(3, 0.0)) == 3


# -- how it is found out ---------------------------------------------------------------------------


@contextmanager
def closing() -> Iterator[str]:
    """Listen where every connection is closed as soon as something comes; yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(100)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def test_a_port_that_closes_connections_is_told_though_the_library_has_no_error_for_it() -> None:
    with closing() as address:
        reason = why_unreachable({"bootstrap.servers": address}, 1.0)
    assert reason is not None
    assert reason.cause == "the port closes connections at the first word"
    assert "KAFKA_SECURITY_PROTOCOL" in reason.to_do


def test_what_can_not_be_found_out_is_told_as_it_was(tmp_path: Path) -> None:
    """A client that can't be made, as while a key is being replaced, is no reason to end."""
    key = {"security.protocol": "ssl", "ssl.key.location": str(tmp_path / "not-there.pem")}
    assert str(Diagnosis().of(UNREACHED, key)) == "Failed to get metadata"
    assert str(Diagnosis().of(ValueError("whatever"), {})) == "whatever"
    of_tokens = {"oauth_cb": lambda _: ("", 0.0), "bootstrap.servers": "127.0.0.1:1"}
    assert str(Diagnosis().of(UNREACHED, of_tokens)) == "Failed to get metadata"


def test_it_is_not_found_out_anew_with_every_question() -> None:
    diagnosis = Diagnosis()
    with closing() as address:
        first = diagnosis.of(UNREACHED, {"bootstrap.servers": address})
        assert first.is_refusal
    assert diagnosis.of(UNREACHED, {"bootstrap.servers": "127.0.0.1:1"}) is first


def test_a_token_endpoint_that_hangs_keeps_nobody_waiting_for_a_trials_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The end of a client waits for the answer that it asked for: half a minute and more."""
    with TokenEndpoint() as endpoint:
        endpoint.fault = hanging = Hanging()
        login = {
            "bootstrap.servers": "127.0.0.1:1",
            "security.protocol": "sasl_plaintext",
            "sasl.mechanism": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.client.id": "us",
            "sasl.oauthbearer.client.secret": "hunter2",
            "sasl.oauthbearer.token.endpoint.url": endpoint.url,
        }
        monkeypatch.setattr("consumer.kafka.diagnosis._AGAIN_SECONDS", 0.0)
        diagnosis = Diagnosis()
        said = str(diagnosis.of(UNREACHED, login))
        needed = f"no broker is asked without a token from {endpoint.url}"
        assert said.startswith(f"Failed to get metadata; {needed}; see KAFKA_OAUTH_")
        assert endings(), "the client's end waits, and we don't"
        asked = len(endpoint.asked)
        diagnosis.of(UNREACHED, login)
        assert len(endpoint.asked) == asked, "one at a time"
        hanging.end()
        eventually(lambda: not endings(), PATIENCE_SECONDS, "its end")
        asked = len(endpoint.asked)
        diagnosis.of(UNREACHED, login)
        assert len(endpoint.asked) > asked


def endings() -> list[str]:
    """Return the threads in which clients end."""
    return [each.name for each in threading.enumerate() if each.name == "ending"]


def test_a_certificate_that_can_not_be_looked_at_is_told_as_it_was() -> None:
    with closing() as address:
        port = int(address.rpartition(":")[2])
        assert trouble_with("127.0.0.1", port, {}) == ("", "")
        assert trouble_with("127.0.0.1", port, {"ssl.ca.pem": "x"}) == ("", "")
    assert trouble_with("127.0.0.1", 1, {"ssl.ca.location": "not-there.pem"}) == ("", "")


@pytest.mark.parametrize(
    ("month", "said"),
    [(b"12", "our certificate is over since 2001-12-31T00:00:00.000Z"), (b"13", "")],
)
def test_a_certificate_of_a_day_that_there_is_not_ends_nothing(
    month: bytes, said: str, tmp_path: Path
) -> None:
    """It is looked at in a callback of the client, where an exception is the daemon's end."""
    times = b"\x17\x0d000101000000Z\x17\x0d01%s31000000Z" % month
    file = tmp_path / "certificate.pem"
    file.write_text(ssl.DER_cert_to_PEM_cert(times))
    assert trouble_of({"ssl.certificate.location": str(file)}) == said
