"""No secret is shown, whoever repeats it: brokers, endpoints, the API, libraries."""

import base64
import io
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from consumer import masking
from consumer.commands.check.connection import Connection
from consumer.commands.check.finding import Finding, State
from consumer.core.outcomes import Answered
from consumer.customerio.api import Api, Request
from consumer.kafka.errors import commit_answer, said_of, text_of, trouble
from consumer.kafka.reasons import reason_of
from consumer.kafka.tokens import words_of
from consumer.masking import masked, masked_bytes
from consumer.observability import logs
from consumer.settings.properties import admin_properties
from tests.support.api import FaultyApi
from tests.support.token_endpoint import TokenEndpoint, refused
from tests.support.waiting import PATIENCE_SECONDS, eventually
from tests.test_settings import loaded
from tests.test_settings_of_oauth import OIDC

SECRET = "the client's s3cret/of+ours"


@pytest.fixture(autouse=True)
def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without secrets, and leave none to others."""
    monkeypatch.setattr(masking, "_known", {})


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """Return what is logged."""
    stream = io.StringIO()
    logs.configure(stream=stream)
    yield stream
    logs.configure()


@pytest.fixture
def endpoint() -> Iterator[TokenEndpoint]:
    """Return a token endpoint that repeats the secret in its error."""
    with TokenEndpoint() as endpoint:
        endpoint.fault = refused("invalid_client", f"the secret {SECRET} is wrong")
        yield endpoint


# -- what is masked -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f"{SECRET}",
        f"before{SECRET}behind",
        "the+client%27s+s3cret%2Fof%2Bours",
        "the%20client%27s%20s3cret%2Fof%2Bours",
    ],
)
def test_a_secret_is_masked_in_every_spelling(text: str) -> None:
    masking.remember(SECRET)
    assert masked(f"error: {text}, {text}!") == f"error: {text}, {text}!".replace(
        text, text.replace(SECRET, "***") if SECRET in text else "***"
    )


def test_json_s_spelling_is_masked_too() -> None:
    masking.remember('say "friend"')
    assert masked('{"secret": "say \\"friend\\""}') == '{"secret": "***"}'


@pytest.mark.parametrize("text", ["key-shares, monkeys, keys, the_key, ssl.key.location", "a"])
def test_a_short_secret_riddles_no_other_words(text: str) -> None:
    masking.remember("key", "a", "", "is")
    assert masked(text) == text
    assert masked(f"{text}: 'key'. key") == f"{text}: '***'. ***"


def test_a_secret_that_is_part_of_another_leaves_nothing_of_it() -> None:
    masking.remember("swordfish", "swordfish-of-ours")
    assert masked("swordfish-of-ours swordfish") == "*** ***"


def test_a_login_of_http_is_masked_as_it_is_sent() -> None:
    masking.remember_login("us", SECRET)
    sent = base64.b64encode(f"us:{SECRET}".encode()).decode()
    assert masked(f"Authorization: Basic {sent}; {SECRET}") == "Authorization: Basic ***; ***"


def test_bytes_that_are_no_text_stay_as_they_are() -> None:
    masking.remember("schlüssel")
    assert masked_bytes(b"\xff schl\xc3\xbcssel \x00") == b"\xff *** \x00"


# -- which are known ------------------------------------------------------------------------------

GIVEN = {
    **OIDC,
    "CUSTOMERIO_SITE_ID": "a-site-id-of-ours",
    "CUSTOMERIO_API_KEY": "an-api-key-of-ours",
    "KAFKA_OAUTH_CLIENT_SECRET": SECRET,
    "KAFKA_SSL_KEY_PASSWORD": "k3y-password",
    "SCHEMA_REGISTRY_URL": "https://registry.example.com",
    "SCHEMA_REGISTRY_USERNAME": "anna",
    "SCHEMA_REGISTRY_PASSWORD": "a-registry-password",
    "KAFKA_CONFIG": json.dumps(
        {"ssl.keystore.password": "pw1", "client.rack": "a-rack-of-ours", "fetch.wait.max.ms": 500}
    ),
    "HTTPS_PROXY": "http://proxy:pr%40xy-password@proxy.example.com:3128",
}


def test_all_secrets_of_the_settings_are_known() -> None:
    loaded(**GIVEN)
    basic = base64.b64encode(b"a-site-id-of-ours:an-api-key-of-ours").decode()
    shown = ("a-site-id-of-ours", "an-api-key-of-ours", SECRET, "k3y-password", "pw1", basic)
    more = ("a-registry-password", "a-rack-of-ours", "pr%40xy-password", "pr@xy-password")
    for secret in (*shown, *more):
        assert masked(f"got '{secret}'") == "got '***'"
    assert masked("waited 500 ms for us and anna") == "waited 500 ms for us and anna"


def test_a_secret_that_came_later_is_known_as_soon_as_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "KAFKA_OAUTH_CLIENT_SECRET"
    file.write_text("of-the-beginning")
    given = {name: text for name, text in OIDC.items() if name != file.name}
    settings = loaded(**given, SECRETS_DIR=str(tmp_path))
    file.write_text("of-later-on\n")
    settings.reread(settings.kafka_oauth_client_secret, file.name)
    assert masked("of-the-beginning, of-later-on") == "***, ***"


def test_a_login_of_http_that_came_later_is_known_as_it_is_sent(tmp_path: Path) -> None:
    """A proxy that repeats the header of a request has it in what a dead letter quotes."""
    names = ("CUSTOMERIO_SITE_ID", "CUSTOMERIO_API_KEY")
    for name in names:
        (tmp_path / name).write_text("of-the-beginning")
    settings = loaded(**dict.fromkeys(names, ""), SECRETS_DIR=str(tmp_path))
    (tmp_path / names[1]).write_text("of-later-on\n")
    settings.reread_credentials()
    assert masked(base64.b64encode(b"of-the-beginning:of-later-on").decode()) == "***"


# -- where others speak ---------------------------------------------------------------------------

TEXT = f"SASL authentication error: {SECRET} is wrong"
LEFT = "SASL authentication error: *** is wrong"
REFUSED = KafkaError._AUTHENTICATION  # noqa: SLF001 - librdkafka's local error codes are spelt so


def test_what_librdkafka_says_has_none() -> None:
    masking.remember(SECRET)
    error = KafkaError(REFUSED, f"sasl_ssl://broker:9092/1: {TEXT} (after 5ms in state AUTH_REQ)")
    for said in (
        reason_of(error.str()).what,
        trouble(error).detail,
        trouble(KafkaError(KafkaError.UNKNOWN, TEXT)).detail,
        said_of(error),
        text_of(KafkaException(error)),
        text_of(ValueError(TEXT)),
        str(commit_answer(error, []).error),
    ):
        assert LEFT in said
        assert SECRET not in said


def test_a_mechanism_that_a_broker_names_is_no_way_out() -> None:
    masking.remember("a-mechanism")
    said = "Unsupported SASL mechanism: broker's supported mechanisms: a-mechanism"
    assert "a-mechanism" not in str(reason_of(said))


def test_what_a_providers_library_says_has_none() -> None:
    masking.remember(SECRET)
    assert words_of(ValueError(TEXT)) == LEFT
    assert words_of(ValueError(f"{'x' * 490}{SECRET}")) == f"{'x' * 490}***"


def test_what_a_check_says_that_came_back_has_none() -> None:
    masking.remember(SECRET)
    assert Finding(State.FAILED, "brokers", TEXT).line() == f"FAILED   brokers: {LEFT}"


@pytest.mark.parametrize("name", ["segment_consumer.librdkafka", "botocore.credentials"])
def test_lines_of_libraries_have_none(said: io.StringIO, name: str) -> None:
    masking.remember(SECRET)
    logging.getLogger(name).error("%s [%s] %s", "FAIL", "client", TEXT)
    line = json.loads(said.getvalue())
    assert LEFT in line["message"]


def test_what_an_endpoint_repeats_is_in_no_line_of_librdkafka_and_not_in_check(
    endpoint: TokenEndpoint, said: io.StringIO
) -> None:
    settings = loaded(
        **OIDC
        | {
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "KAFKA_OAUTH_TOKEN_ENDPOINT_URL": endpoint.url,
            "KAFKA_OAUTH_CLIENT_SECRET": SECRET,
        }
    )
    connection = Connection(settings)
    found, _ = connection.try_brokers()
    assert "the secret *** is wrong" in found.line()
    assert "the secret *** is wrong" in connection.why()
    properties: dict[str, Any] = {**admin_properties(settings), "logger": logs.librdkafka_logger()}
    client = AdminClient(properties)

    def logged() -> str:
        client.poll(0)
        return said.getvalue()

    everything = eventually(
        logged, PATIENCE_SECONDS, "its words", until=lambda text: "is wrong" in text
    )
    for spelling in (SECRET, json.dumps(SECRET)[1:-1]):
        assert spelling not in everything + found.line() + connection.why()


def test_a_refusal_that_is_quoted_in_a_dead_letter_has_none() -> None:
    masking.remember(SECRET)
    with FaultyApi() as server:
        server.always(status=400, body=TEXT.encode())
        api = Api(server.url, ("site", "key"), timeout_seconds=5, max_connections=1)
        answer = api.post(Request(1, "add", "id", ("anna",), time.monotonic() + 3600))
        api.close()
    assert isinstance(answer, Answered)
    assert answer.body == LEFT.encode()
