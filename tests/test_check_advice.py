"""What ``check`` advises, by what failed and not by names; and commands that nobody listens to."""

import io
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from consumer.commands.check.api import ApiCheck, _verdict
from consumer.commands.check.check import run
from consumer.commands.check.connection import Connection
from consumer.commands.check.dead_letters import _written_finding
from consumer.commands.output import Output
from consumer.core.outcomes import Broken
from consumer.kafka.reasons import reason_of
from consumer.settings import Settings, load
from tests.support.certificates import Authority
from tests.support.daemon import Daemon

ROOT = Path(__file__).resolve().parents[1]
NOWHERE = "127.0.0.1:1"
PATIENCE_SECONDS = 30

API_ONLY: dict[str, object] = {
    "KAFKA_BOOTSTRAP_SERVERS": NOWHERE,
    "KAFKA_TOPICS": "audience-changes",
    "CUSTOMERIO_SITE_ID": "site",
    "CUSTOMERIO_API_KEY": "key",
    "CUSTOMERIO_TIMEOUT_SECONDS": 2,
}


def loaded(settings: dict[str, object], **more: object) -> Settings:
    return load({name: str(value) for name, value in {**settings, **more}.items()})


# -- nobody reads, or only ASCII ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings", "exit_code", "redirection"),
    [
        *(("check", API_ONLY, 1, where) for where in (">&-", ">/dev/full", "| head -c 1")),
        *(("check", {"HTTP_PORT": "x"}, 2, where) for where in (">&- 2>&-", "2>/dev/full")),
        ("run", {"HTTP_PORT": "x"}, 2, "2>&1 | true"),
    ],
)
def test_nobody_who_reads_changes_no_exit_code(
    tmp_path: Path, name: str, settings: dict[str, object], exit_code: int, redirection: str
) -> None:
    variables = {key: str(value) for key, value in settings.items()}
    variables |= {"PATH": os.environ["PATH"], "CUSTOMERIO_URL": f"http://{NOWHERE}"}
    command = f"{{ {sys.executable} -m consumer {name}; echo $? >{tmp_path}/code; }} {redirection}"
    ended = subprocess.run(
        ["/bin/sh", "-c", command],
        env={**variables, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert (tmp_path / "code").read_text() == f"{exit_code}\n"
    assert b"Traceback" not in ended.stderr
    assert b"Exception ignored" not in ended.stderr


def test_a_terminal_of_ascii_gets_the_rest_by_its_number(tmp_path: Path) -> None:
    more = {"KAFKA_GROUP_ID": "grüße", "CUSTOMERIO_URL": f"http://{NOWHERE}", "KAFKA_TOPICS": "a b"}
    ascii_only = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONCOERCECLOCALE": "0"}
    with Daemon({**API_ONLY, **more, **ascii_only}, arguments=("check",), directory=tmp_path) as it:
        assert (it.wait(PATIENCE_SECONDS), it.output) == (2, "")
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    assert (
        run(loaded(API_ONLY, KAFKA_BOOTSTRAP_SERVERS="x", CUSTOMERIO_URL="http://x"), stream) == 1
    )
    output = Output(stream)
    output.line("grüße…")
    assert output.is_heard
    stream.seek(0)
    assert stream.read().splitlines()[-1] == r"gr\xfc\xdfe\u2026"


# -- advice ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["sasl-ssl-certificate", "unauthorized", "PLAINTEXT", "127.0.0.1"])
@pytest.mark.parametrize(
    ("code", "said", "to_do"),
    [
        ("_RESOLVE", "Failed to resolve '{}:1': Name or service not known", "or see DNS"),
        ("_TRANSPORT", "Connect to ipv4#1.2.3.4:1 failed: Connection refused", "does a broker"),
        ("_TRANSPORT", "Connection setup timed out in state CONNECT", "firewalls on the way"),
        ("_TRANSPORT", "Disconnected (after 1ms in state APIVERSION_QUERY)", "may want ssl"),
        (
            "_TRANSPORT",
            "Disconnected (after 1ms in state AUTH_HANDSHAKE, 3 identical error(s) suppressed)",
            "may want ssl",
        ),
        (
            "_TRANSPORT",
            "SSL handshake failed: Disconnected (after 1ms in state SSL_HANDSHAKE)",
            "set KAFKA_SECURITY_PROTOCOL to plaintext or sasl_plaintext",
        ),
        ("_SSL", "SSL handshake failed: certificate verify failed", "see KAFKA_SSL_CA_LOCATION"),
        (
            "_TRANSPORT",
            "error:0A000086:SSL::certificate verify failed (after 1ms in state SSL_HANDSHAKE)",
            "see KAFKA_SSL_CA_LOCATION",
        ),
        ("_SSL", "SSL handshake failed: wrong version number", "to plaintext or sasl_plaintext"),
        ("_AUTHENTICATION", "SASL authentication error: Authentication failed", "KAFKA_SASL_PASS"),
        ("_AUTHENTICATION", "Unsupported SASL mechanism", "PROTOCOL and KAFKA_SASL_MECHANISM"),
        ("_BAD_MSG", "Receive failed: Invalid response size 1213486160", "no Kafka listens there"),
        ("_TIMED_OUT", "Failed to get metadata", "firewalls on the way"),
    ],
)
def test_advice_about_brokers_goes_by_what_failed_not_by_their_names(
    host: str, code: str, said: str, to_do: str
) -> None:
    text = f"sasl_ssl://{host}:1/bootstrap: {said.format(host)}"
    assert to_do in str(reason_of(KafkaError(getattr(KafkaError, code), text).str()))


@pytest.mark.parametrize("before", ["", "[thrd:b-1.kafka:9092/1]: "])
@pytest.mark.parametrize(
    "said",
    ["Connect to ipv4#1.2.3.4:9092 failed: Connection refused", "Connection setup timed out"],
)
def test_an_address_that_a_broker_gave_is_not_blamed_on_the_settings(
    before: str, said: str
) -> None:
    text = f"{before}b-1.kafka:9092/1: {said} (after 1ms in state CONNECT)"
    assert "advertised.listeners" in reason_of(text).to_do


@pytest.mark.parametrize("host", ["sasl-ssl.invalid", "unauthorized.PLAINTEXT.invalid"])
def test_a_brokers_name_changes_no_advice(host: str) -> None:
    connection = Connection(loaded(API_ONLY, KAFKA_BOOTSTRAP_SERVERS=f"{host}:9092"))
    found, topics = connection.try_brokers()
    assert topics is None
    assert found.to_do == "correct KAFKA_BOOTSTRAP_SERVERS, or see DNS"
    assert found.came_back.startswith(f"Failed to resolve '{host}:9092'")


def test_openssls_codes_are_not_repeated() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak_http() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(100)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=speak_http, daemon=True).start()
        bootstrap = f"127.0.0.1:{server.getsockname()[1]}"
        security = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "KAFKA_SECURITY_PROTOCOL": "ssl"}
        found, _ = Connection(loaded(API_ONLY, **security)).try_brokers()
        server.shutdown(socket.SHUT_RDWR)
    assert "wrong version number" in found.came_back
    assert not re.search("error:|routines", found.came_back)
    assert found.to_do.startswith("set KAFKA_SECURITY_PROTOCOL to plaintext")


@pytest.mark.parametrize(
    "host", ["api.example", "ssl-name-resolution.example", "the-proxy.example"]
)
@pytest.mark.parametrize(
    ("detail", "to_do"),
    [
        ("connecting to {}:443: Connection refused", "see firewalls"),
        ("connecting to {}:443: Name or service not known", "see DNS"),
        ("connecting to {}:443: Temporary failure in name resolution", "see DNS"),
        ("shaking hands with {}: certificate verify failed", "set SSL_CERT_FILE"),
        ("the deadline passed while connecting to {}:443", "see firewalls"),
        ("the deadline passed while shaking hands with {}", "set SSL_CERT_FILE"),
        ("the deadline passed while awaiting the answer", "see firewalls"),
        ("connecting to proxy.example:3128: Name or service not known", "see HTTPS_PROXY and"),
        ("asking the proxy for a tunnel: it answered 407", "see HTTPS_PROXY and NO_PROXY"),
    ],
)
def test_advice_about_the_api_goes_by_what_failed_not_by_its_name(
    host: str, detail: str, to_do: str
) -> None:
    settings = loaded(API_ONLY, HTTPS_PROXY="http://proxy.example:3128")
    _, _, said = _verdict(Broken(detail.format(host)), settings)
    assert said.startswith(to_do)


def test_a_producer_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    """As when a file that the admin client was made with is gone meanwhile."""
    files = Authority(tmp_path / "authority").issue("us").put(tmp_path)
    settings = loaded(
        API_ONLY,
        KAFKA_SECURITY_PROTOCOL="ssl",
        KAFKA_SSL_CERTIFICATE_LOCATION=files.certificate,
        KAFKA_SSL_KEY_LOCATION=files.key,
    )
    connection = Connection(settings)
    files.key.unlink()
    line = _written_finding(settings, "dead-letter topic letters", connection).line()
    assert line.startswith("FAILED   dead-letter topic letters: no producer can be made: ")
    assert "ssl.key.location" in line


def test_a_client_that_can_not_be_made_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was there when the settings were read."""

    def fail(_: Settings) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("consumer.commands.check.api.api_of", fail)
    line = ApiCheck(loaded(API_ONLY)).finding().line()
    assert line.startswith("FAILED")
    assert "No such file" in line
