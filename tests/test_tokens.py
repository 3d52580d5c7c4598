"""Tokens of a login at Kafka: fetched ahead, replaced in time, and told when they can't be had."""

import base64
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from confluent_kafka import KafkaException, Producer
from cryptography.hazmat.primitives import serialization

from consumer.core.dead_letters import DeadLetter, DeadLetterReason
from consumer.kafka.credentials import Follower, LoginWatch
from consumer.kafka.dead_letters import DeadLetters
from consumer.kafka.diagnosis import explained
from consumer.kafka.group import Group
from consumer.kafka.observer import Observer
from consumer.kafka.reasons import reason_of
from consumer.kafka.signers import fetch_of
from consumer.kafka.token_endpoint import TokenTrouble, silence_of, trouble_of
from consumer.kafka.tokens import Token, Tokens, with_tokens, words_of
from tests.support.token_endpoint import Hanging, TokenEndpoint, a_key, refused
from tests.support.waiting import PATIENCE_SECONDS, eventually
from tests.test_credentials import NOWHERE, Said
from tests.test_settings import REQUIRED
from tests.test_settings_of_oauth import OAUTHBEARER

LOGIN: dict[str, object] = {
    "bootstrap.servers": NOWHERE,
    "security.protocol": "sasl_plaintext",
    "sasl.mechanism": "OAUTHBEARER",
    "log_level": 0,
}
URL = "https://login.example.com/token"


class Provider:
    """What tokens are fetched from: answers in turn, the last one for ever."""

    def __init__(self, *answers: Token | Exception | threading.Event) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self) -> Token:
        """Return or raise the next answer; an event is waited for before that."""
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, threading.Event):
            answer.wait()
            return self()
        if isinstance(answer, Exception):
            raise answer
        return answer


def token(seconds: float, text: str = "token") -> Token:
    return Token(text, time.time() + seconds)


@pytest.fixture
def said() -> Said:
    return Said()


def test_a_token_is_replaced_at_80_percent_of_its_life(said: Said) -> None:
    tokens = Tokens("gcp", Provider(token(1000, "first"), token(500, "second")), said)
    assert tokens.turn() == pytest.approx(800, abs=5)
    assert tokens("")[0] == "first"
    assert tokens.turn() == pytest.approx(400, abs=5)
    assert tokens("")[0] == "second"
    assert said == []


def test_librdkafka_asks_again_before_the_token_is_nearly_over(said: Said) -> None:
    """At 80 % of what it is told: so it has the next token long before the end of this one."""
    tokens = Tokens("gcp", Provider(token(1000)), said)
    tokens.turn()
    text, until = tokens("what librdkafka says")
    assert text == "token"
    assert until == pytest.approx(time.time() + 500, abs=5)


def test_without_a_token_there_is_none_to_hand_over_and_the_providers_words_are_said(
    said: Said,
) -> None:
    tokens = Tokens("gcp", Provider(PermissionError("no such\naccount"), token(1000)), said)
    assert tokens.trouble == "no token of gcp: the first one is being fetched"
    assert not tokens.tried.is_set()
    assert tokens.turn() <= 1.0, "it is tried again soon"
    assert tokens.tried.is_set()
    assert tokens.trouble == "no token of gcp: no such account"
    with pytest.raises(LookupError, match=r"^no token of gcp: no such account$"):
        tokens("")
    tokens.turn()
    assert tokens.trouble == ""
    tokens.turn()
    assert said == [
        ("token_unavailable", "no token of gcp: no such account: it is tried again"),
        ("token_fetched", "there are tokens of gcp again"),
    ]


def test_the_token_of_before_is_good_as_long_as_it_lives(said: Said) -> None:
    tokens = Tokens("gcp", Provider(token(0.5), OSError("away")), said)
    tokens.turn()
    tokens.turn()
    assert tokens.trouble == ""
    assert said[0][1] == "no new token of gcp: away; the old one is good: it is tried again"
    eventually(lambda: tokens.trouble, PATIENCE_SECONDS, "its end")
    assert tokens.trouble == "no token of gcp: away"


def test_failures_wait_longer_and_longer_but_not_for_ever(said: Said) -> None:
    tokens = Tokens("gcp", Provider(OSError("away")), said)
    waits = [tokens.turn() for _ in range(20)]
    assert waits[0] < 1.1
    assert all(15 <= wait <= 30 for wait in waits[8:])


def test_a_fetch_that_hangs_is_given_up_and_keeps_the_next_one_waiting_for_nothing(
    said: Said,
) -> None:
    over = threading.Event()
    tokens = Tokens("gcp", Provider(over, token(1000)), said, fetch_seconds=0.1)
    tokens.turn()
    assert tokens.trouble == "no token of gcp: no answer within 0.1 s"
    tokens.turn()
    assert tokens.trouble == ""
    over.set()


def test_of_fetches_that_hang_one_is_left_behind_and_no_more(said: Said) -> None:
    over = threading.Event()
    provider = Provider(over)
    tokens = Tokens("gcp", provider, said, fetch_seconds=0.05)
    threads = threading.active_count()
    for _ in range(6):
        tokens.turn()
    assert provider.asked == 2
    assert threading.active_count() == threads + 2, "one that was given up, one that is waited for"
    provider.answers = [token(1000)]
    over.set()
    eventually(lambda: tokens.turn() > 1, PATIENCE_SECONDS, "their answers")
    assert tokens.trouble == ""
    assert provider.asked <= 4, "each asked once more in its own thread"


def test_an_answer_that_comes_late_is_good_as_well(said: Said) -> None:
    """A provider that is always slower than we are patient is no provider otherwise."""
    over = threading.Event()
    provider = Provider(over, token(1000))
    tokens = Tokens("gcp", provider, said, fetch_seconds=0.1)
    tokens.turn()
    over.set()
    eventually(lambda: not names_of("token"), PATIENCE_SECONDS, "its answer")
    tokens.turn()
    assert tokens.trouble == ""
    assert provider.asked == 2, "the one that hung asked twice, and no other one was begun"


def names_of(name: str) -> list[str]:
    """Return the threads of a name."""
    return [each.name for each in threading.enumerate() if each.name == name]


def test_the_next_one_is_fetched_at_the_end_of_a_token_that_came_sooner_than_it_seemed(
    said: Said,
) -> None:
    """As on a machine that slept: its own clock stood still, and the token's life went on."""
    tokens = Tokens("gcp", Provider(token(0.5)), said)
    tokens.turn()
    hours = threading.Thread(target=tokens.rest, args=(7200.0,), daemon=True)
    hours.start()
    eventually(lambda: not hours.is_alive(), PATIENCE_SECONDS, "the end of its rest")
    assert tokens.trouble == "no token of gcp: the next one is being fetched"


def test_whoever_waits_for_the_first_try_finds_what_came_of_it(said: Said) -> None:
    """A client that was made between the two would reach for nothing, in spite of the token."""
    tokens = Tokens("gcp", Provider(token(1000)), said)

    class Tried(threading.Event):
        found = "nobody was told"

        def set(self) -> None:
            self.found = tokens.trouble
            super().set()

    tokens.tried = tried = Tried()
    tokens.turn()
    assert tried.found == ""


def test_a_token_that_is_over_already_is_none(said: Said) -> None:
    tokens = Tokens("gcp", Provider(token(-1)), said)
    tokens.turn()
    assert tokens.trouble == "no token of gcp: it is over already, as this machine's clock says"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(111, "Connection refused"), "[Errno 111] Connection refused"),
        (ValueError("invalid_grant: x", {"error": "invalid_grant"}), "invalid_grant: x"),
        (KeyError(), "KeyError"),
    ],
)
def test_what_is_said_is_the_librarys_word(error: Exception, words: str) -> None:
    assert words_of(error) == words


# What the clients make of it


def test_a_client_that_is_made_before_the_first_token_reaches_for_nothing_and_waits_for_no_token(
    said: Said,
) -> None:
    tokens = Tokens("gcp", Provider(token(1000)), said)
    follower = Follower(with_tokens(LOGIN, tokens))
    assert follower.for_client() == {"log_level": 4}
    assert follower.trouble == (
        "no token of gcp: the first one is being fetched; see Google's application default"
        " credentials: GOOGLE_APPLICATION_CREDENTIALS"
    )
    Producer(follower.for_client())
    assert not follower.outdates(None)
    tokens.turn()
    assert follower.outdates(None)
    assert not follower.outdates(None), "once"
    assert follower.for_client()["oauth_cb"] is tokens
    assert not follower.outdates(None)


def test_the_first_token_is_noticed_beside_a_new_password(said: Said) -> None:
    tokens = Tokens("gcp", Provider(token(1000)), said)
    login = {"sasl.username": "me", "sasl.password": "old"}
    watch = LoginWatch(login, lambda: login, lambda _: "", said)
    follower = Follower(with_tokens(LOGIN | login, tokens))
    follower.follow(watch)
    follower.for_client()
    tokens.turn()
    login["sasl.password"] = "new"
    watch.look(0.0)
    assert follower.outdates(None)


def test_a_client_that_was_made_with_a_token_is_not_outdated_when_there_is_none_any_more(
    said: Said,
) -> None:
    tokens = Tokens("gcp", Provider(token(0.3), token(1000)), said)
    tokens.turn()
    follower = Follower(with_tokens(LOGIN, tokens))
    assert follower.for_client()["oauth_cb"] is tokens
    eventually(lambda: tokens.trouble, PATIENCE_SECONDS, "its end")
    assert not follower.outdates(None)
    tokens.turn()
    assert not follower.outdates(None)


def test_where_librdkafka_fetches_tokens_nothing_is_waited_for() -> None:
    assert with_tokens(LOGIN, None) == LOGIN
    follower = Follower(LOGIN)
    assert follower.for_client() == LOGIN
    assert follower.trouble == ""


def test_i11_a_dead_letter_waits_for_the_first_token_and_holds_nobody_up(said: Said) -> None:
    tokens = Tokens("gcp", Provider(token(1000)), said)
    letters = DeadLetters(with_tokens(LOGIN, tokens), "letters")
    letter = DeadLetter(DeadLetterReason.MALFORMED, "not JSON", "audience:0:7", b"k", b"{")
    began = time.monotonic()
    assert letters.send(letter)
    assert letters.poll() == []
    assert time.monotonic() - began < 5, "the creation of a client would wait for a token for 10 s"
    tokens.turn()
    (report,) = eventually(lambda: letters.poll(0.05), PATIENCE_SECONDS, "what waited")
    assert report.dead_letter is letter
    assert report.error is not None, "for the next producer"
    letters.close(0.0)


def test_a_new_client_secret_takes_a_new_client(said: Said) -> None:
    names = ("sasl.oauthbearer.client.id", "sasl.oauthbearer.client.secret")
    login = dict.fromkeys(names, "old")
    watch = LoginWatch({**LOGIN, **login}, lambda: login, lambda _: "", said)
    follower = Follower({**LOGIN, **login})
    follower.follow(watch)
    watch.look(0.0)
    assert not follower.outdates(None)
    login[names[1]] = "new"
    watch.look(3.0)
    assert follower.outdates(None)
    assert not follower.outdates(None)
    assert follower.for_client() == {**LOGIN, names[0]: "old", names[1]: "new"}
    assert said == [
        ("credentials_renewed", "the secret for tokens has changed; new clients use it")
    ]


# What librdkafka says of an endpoint


FAILED = "login refused: Failed to acquire SASL OAUTHBEARER token: "
REFUSED = 'login refused: SASL authentication error: {"status":"invalid_token"}'
FETCHES = {
    "sasl.oauthbearer.token.endpoint.url": URL,
    "sasl.oauthbearer.client.secret": "hunter2",
}


def test_an_endpoint_is_named() -> None:
    said = f'{FAILED}{{"error": "invalid_client", "error_description": "who is that"}}'
    assert trouble_of(said, FETCHES) == (
        f'no token from {URL}: {{"error": "invalid_client", "error_description": "who is that"}}'
    )
    assert trouble_of(f"{FAILED}away", {}) == "no token: away"


def test_what_is_to_be_looked_at_is_where_the_tokens_are_set() -> None:
    failed = reason_of(f"{FAILED}away")
    assert "KAFKA_OAUTH_CLIENT_SECRET" in explained(failed, FETCHES).to_do
    machine = {"sasl.oauthbearer.metadata.authentication.type": "azure_imds"}
    to_do = explained(failed, machine).to_do
    assert to_do.startswith("see sasl.oauthbearer.config in KAFKA_CONFIG")
    assert "KAFKA_OAUTH" not in to_do


def test_brokers_that_refuse_the_token_of_before_hide_no_endpoint_that_gives_no_other() -> None:
    trouble = TokenTrouble()
    assert trouble.explained(REFUSED, FETCHES) == f"{REFUSED}; the token is from {URL}"
    assert trouble.explained(f"{FAILED}away", FETCHES) == f"no token from {URL}: away"
    assert trouble.explained(REFUSED, FETCHES) == f"no token from {URL}: away; {REFUSED}"


def test_of_other_logins_nothing_is_added() -> None:
    trouble = TokenTrouble()
    assert trouble.explained(REFUSED, {}) == REFUSED
    untrusted = "no encrypted connection: certificate verify failed"
    assert trouble.explained(untrusted, FETCHES) == untrusted


def test_what_no_broker_is_asked_for_without_a_token_is_said() -> None:
    assert silence_of(FETCHES) == f"no answer, neither a token from {URL} nor from a broker"
    assert silence_of(LOGIN) == ""


# The signers, without their clouds


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Return a process without credentials of any cloud, on a machine that has no account."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "GOOGLE_", "CLOUDSDK_", "GCE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    return monkeypatch


def decoded(part: str) -> str:
    return base64.urlsafe_b64decode(part + "==").decode()


def test_a_token_of_aws_is_a_signed_url_of_the_region_for_15_minutes(
    alone: pytest.MonkeyPatch,
) -> None:
    alone.setenv("AWS_ACCESS_KEY_ID", "AKIAMADEUP")
    alone.setenv("AWS_SECRET_ACCESS_KEY", "made up")
    alone.setenv("AWS_SESSION_TOKEN", "session")
    made = fetch_of("aws-msk-iam", "eu-central-1")()
    assert made.expires_at == pytest.approx(time.time() + 900, abs=10)
    url = urlsplit(decoded(made.text))
    assert (url.scheme, url.netloc) == ("https", "kafka.eu-central-1.amazonaws.com")
    asked = {name: texts[0] for name, texts in parse_qs(url.query).items()}
    assert asked["Action"] == "kafka-cluster:Connect"
    assert asked["X-Amz-Expires"] == "900"
    assert asked["X-Amz-Security-Token"] == "session"
    scope = r"/eu-central-1/kafka-cluster/aws4_request"
    assert asked["X-Amz-Credential"].startswith("AKIAMADEUP/")
    assert asked["X-Amz-Credential"].endswith(scope)
    assert len(asked["X-Amz-Signature"]) == 64
    assert "made up" not in url.query


@pytest.mark.parametrize(("ends_in", "seconds"), [(300, 300), (86_400, 900)])
def test_a_token_of_aws_ends_with_the_credentials_that_it_is_signed_with(
    alone: pytest.MonkeyPatch, tmp_path: Path, ends_in: int, seconds: int
) -> None:
    """Temporary ones, as of a role: a signature with them is worth nothing when they are over."""
    ends = datetime.fromtimestamp(time.time() + ends_in, UTC).isoformat()
    given = {"Version": 1, "AccessKeyId": "AKIAMADEUP", "SecretAccessKey": "made up"}
    (tmp_path / "given").write_text(json.dumps(given | {"SessionToken": "s", "Expiration": ends}))
    (tmp_path / "config").write_text(f"[default]\ncredential_process = cat {tmp_path}/given\n")
    alone.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    made = fetch_of("aws-msk-iam", "eu-west-1")()
    assert made.expires_at == pytest.approx(time.time() + seconds, abs=10)
    assert made.expires_at <= time.time() + ends_in


def test_credentials_of_aws_are_looked_for_with_each_token(alone: pytest.MonkeyPatch) -> None:
    fetch = fetch_of("aws-msk-iam", "eu-west-1")
    with pytest.raises(LookupError, match=r"^AWS's client finds no credentials: neither"):
        fetch()
    alone.setenv("AWS_ACCESS_KEY_ID", "AKIAMADEUP")
    with pytest.raises(Exception, match="missing: AWS_SECRET_ACCESS_KEY"):
        fetch()
    alone.setenv("AWS_SECRET_ACCESS_KEY", "made up")
    assert fetch().text


@pytest.fixture
def endpoint() -> Iterator[TokenEndpoint]:
    with TokenEndpoint(seconds=600) as endpoint:
        yield endpoint


def service_account(endpoint: TokenEndpoint, file: Path) -> Path:
    """Write a service account's file, as Google's console gives it, whose tokens are of ours."""
    key = a_key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account = {
        "type": "service_account",
        "client_email": "us@project.iam.example.com",
        "private_key": key.decode(),
        "token_uri": endpoint.url,
    }
    file.write_text(json.dumps(account))
    return file


def test_a_token_of_google_is_an_access_token_in_the_form_of_a_jwt(
    alone: pytest.MonkeyPatch, endpoint: TokenEndpoint, tmp_path: Path
) -> None:
    file = service_account(endpoint, tmp_path / "account.json")
    alone.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    made = fetch_of("gcp", None)()
    assert made.expires_at == pytest.approx(time.time() + 600, abs=10)
    header, claims, access_token = map(decoded, made.text.split("."))
    assert json.loads(header) == {"typ": "JWT", "alg": "GOOG_OAUTH2_TOKEN"}
    said = json.loads(claims)
    assert said["exp"] == int(made.expires_at)
    assert (said["iss"], said["sub"]) == ("Google", "us@project.iam.example.com")
    assert access_token.count(".") == 2, "which is what the endpoint gave"
    (asked,) = endpoint.asked
    assertion = asked.form["assertion"].split(".")[1]
    assert json.loads(decoded(assertion))["scope"].endswith("/auth/cloud-platform")


def test_what_google_says_is_said(
    alone: pytest.MonkeyPatch, endpoint: TokenEndpoint, tmp_path: Path, said: Said
) -> None:
    tokens = Tokens("gcp", fetch_of("gcp", None), said)
    tokens.turn()
    assert tokens.trouble.startswith("no token of gcp: Your default credentials were not found")
    file = service_account(endpoint, tmp_path / "account.json")
    alone.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    endpoint.fault = refused("invalid_grant", "Invalid JWT Signature.", 400)
    tokens.turn()
    assert tokens.trouble == "no token of gcp: invalid_grant: Invalid JWT Signature."
    endpoint.fault = None
    tokens.turn()
    assert tokens.trouble == ""


# What `check` says of them


def checked(**variables: str) -> str:
    """Return what is said of the brokers, none of which is there: in a process of its own.

    Whoever has begun to fetch tokens does so until the end of the process.
    """
    given = {**REQUIRED, "KAFKA_BOOTSTRAP_SERVERS": NOWHERE, **OAUTHBEARER, **variables}
    text = (
        "from consumer.commands.check.connection import Connection\n"
        "from consumer.settings import load\n"
        "print(Connection(load()).try_brokers()[0].line())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", text],
        env={**os.environ, **given},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return ended.stdout.rstrip("\n")


def test_check_says_what_a_provider_says_and_where_to_look(alone: pytest.MonkeyPatch) -> None:
    alone.setenv("AWS_PROFILE", "nobody")
    said = checked(KAFKA_OAUTH_PROVIDER="aws-msk-iam", AWS_REGION="eu-west-1")
    assert "no token of aws-msk-iam: The config profile (nobody) could not be found" in said
    assert said.endswith("-> see AWS_REGION, and what AWS's clients take credentials from")
    said = checked(KAFKA_OAUTH_PROVIDER="gcp")
    assert "no token of gcp: Your default credentials were not found" in said
    assert "GOOGLE_APPLICATION_CREDENTIALS" in said


def test_check_names_an_endpoint_that_says_nothing_and_not_the_brokers_that_nobody_asked(
    endpoint: TokenEndpoint,
) -> None:
    endpoint.fault = hanging = Hanging()
    said = checked(
        KAFKA_OAUTH_PROVIDER="oidc",
        KAFKA_OAUTH_TOKEN_ENDPOINT_URL=endpoint.url,
        KAFKA_OAUTH_CLIENT_ID="us",
        KAFKA_OAUTH_CLIENT_SECRET="hunter2",
    )
    hanging.end()
    assert f"no answer, neither a token from {endpoint.url} nor from a broker" in said
    assert "-> see KAFKA_OAUTH_TOKEN_ENDPOINT_URL" in said


def test_a_running_client_asks_for_the_token_and_takes_it(said: Said) -> None:
    """The library's constructor waits for it, on another thread than the callback's."""
    asked = []

    class Watched(Tokens):
        def __call__(self, config: str) -> tuple[str, float]:
            asked.append(threading.current_thread() is threading.main_thread())
            return super().__call__(config)

    tokens = Watched("gcp", Provider(token(1000)), said)
    tokens.turn()
    with contextlib.closing(Producer(with_tokens(LOGIN, tokens))):
        assert asked == [False]


def test_who_asks_the_cluster_waits_for_no_clients_end(endpoint: TokenEndpoint, said: Said) -> None:
    """It waits for the endpoint, which hangs: of a secret of before, and of a group's silence."""
    secret = "sasl.oauthbearer.client.secret"
    login = {
        **LOGIN,
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.token.endpoint.url": endpoint.url,
        "sasl.oauthbearer.client.id": "us",
        secret: "old",
    }
    given = {secret: "old"}
    endpoint.fault = hanging = Hanging()
    watch = LoginWatch(login, lambda: given, lambda _: "", said)
    observer = Observer(login, "group", ("audience",), None, asks_session=False)
    observer.follow(watch)
    observer.start()
    eventually(lambda: endpoint.asked, PATIENCE_SECONDS, "its first question")
    given[secret] = "new"
    watch.look(0.0)
    eventually(
        lambda: names_of("ending"),
        PATIENCE_SECONDS,
        "the ends of a trial's client and of the one of before",
        until=lambda names: len(names) > 1,
    )
    view = observer.view
    eventually(
        lambda: observer.view, PATIENCE_SECONDS, "the next view", until=lambda v: v is not view
    )
    with pytest.raises(KafkaException, match=r"no answer in 0\.1 s"):
        Group(login, "group").describe(0.1)
    assert len(names_of("ending")) > 2
    hanging.end()


def test_the_observer_asks_nobody_while_there_is_no_token(said: Said) -> None:
    """Else it would wait for an answer that can't come, also when the token is there."""
    tokens = Tokens("gcp", Provider(PermissionError("no account")), said)
    tokens.turn()
    properties = with_tokens(LOGIN, tokens)
    observer = Observer(properties, "group", ("audience",), None, asks_session=False)
    observer.start()
    view = eventually(lambda: observer.view, PATIENCE_SECONDS, "a view", until=lambda v: v.asked)
    assert view.unreachable is not None
    assert view.unreachable.startswith("no token of gcp: no account; see ")
