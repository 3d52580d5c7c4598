"""Tokens that are soon over, and an endpoint that fails, hangs and comes back: all goes on.

A real broker that checks each token, and asks for a newer one on the same connection. Of librdkafka
that fetches them itself, and of a signer (a stand-in of AWS's) whose tokens are fetched by ours.
"""

import itertools
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.authorizer import EVERYTHING
from tests.support.certificates import Authority
from tests.support.cluster import Record
from tests.support.daemon import Daemon
from tests.support.doors import Doors
from tests.support.scenario import GONE_SECONDS, PATIENCE_SECONDS, Load, Scenario, additions
from tests.support.token_endpoint import Fault, Hanging, TokenEndpoint, refused
from tests.support.waiting import eventually
from tests.support.ways import OIDC
from tests.test_stop_and_restart import newcomers

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.xdist_group("a broker that takes tokens")

Login = dict[str, Any]
"""Variables."""

ROOT = Path(__file__).resolve().parents[1]
UNREADABLE = Record(None, b"unreadable")
LIFE_SECONDS = 16.0
"""Of a token: more than the broker's sessions of 4 s, in which each connection logs in anew, and a
tenth more than the second that Kafka wants between two logins of one connection."""
SHORT_SECONDS = 8.0
"""Of one whose end is waited for."""

both_protocols = pytest.mark.parametrize("protocol", ["classic", "consumer"])
newer_protocol = pytest.mark.parametrize("protocol", ["consumer"])
by_both_ways = pytest.mark.parametrize("provider", ["oidc", "aws-msk-iam"])
long = pytest.mark.long("the other ways and protocols", keep=("consumer-aws-msk-iam",))


@pytest.fixture(scope="module")
def endpoint() -> "Iterator[TokenEndpoint]":
    with TokenEndpoint() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def broker(endpoint: TokenEndpoint, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Doors]":
    """Start a Kafka that takes tokens; here it takes the place of the other tests' Kafka."""
    authority = Authority(tmp_path_factory.mktemp("trusted") / "authority")
    with Doors(authority, [OIDC], endpoint) as broker:
        broker.allow("User:*", EVERYTHING)
        yield broker


@pytest.fixture(autouse=True)
def short_lived(endpoint: TokenEndpoint) -> "Iterator[None]":
    """Have it well again behind each test."""
    before = endpoint.client_secret
    endpoint.seconds, endpoint.fault = SHORT_SECONDS, None
    endpoint.asked.clear()
    yield
    release(endpoint.fault)
    endpoint.fault, endpoint.client_secret = None, before


def release(fault: Fault | None) -> None:
    """Let go of those that wait."""
    if isinstance(fault, Hanging):
        fault.end()


@pytest.fixture
def login(broker: Doors, endpoint: TokenEndpoint, provider: str) -> Login:
    """Return the variables with which whatever is started logs in."""
    settings = dict(broker.door(OIDC).settings)
    if provider == "oidc":
        return settings
    kept = {name: value for name, value in settings.items() if not name.startswith("KAFKA_OAUTH")}
    return {
        **kept,
        "KAFKA_OAUTH_PROVIDER": provider,
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "made-up",
        "AWS_SECRET_ACCESS_KEY": endpoint.client_secret,
        "PYTHONPATH": f"{ROOT / 'tests/support/signer'}:{ROOT}",
        "TOKEN_ENDPOINT_FOR_TESTS": endpoint.url,
    }


def await_asked(endpoint: TokenEndpoint, count: int) -> None:
    """Wait until so many tokens more were asked for."""
    enough = len(endpoint.asked) + count
    what = f"{count} questions for a token"
    eventually(lambda: len(endpoint.asked), PATIENCE_SECONDS, what, until=enough.__le__)


def words_of(login: Login, said: str, endpoint: TokenEndpoint) -> str:
    """Return what is said of a token that can't be had, by whoever fetches it."""
    if login["KAFKA_OAUTH_PROVIDER"] == "oidc":
        return f"no token from {endpoint.url}: {said}"
    return f"no token of aws-msk-iam: the signer's words: {said}"


@long
@by_both_ways
@both_protocols
def test_tokens_are_replaced_again_and_again_while_all_goes_on(
    scenario: Scenario, endpoint: TokenEndpoint, login: Login
) -> None:
    endpoint.seconds = LIFE_SECONDS
    daemon = scenario.start_ready(**login)
    began = time.monotonic()
    scenario.produce([UNREADABLE])  # from now on there is a producer, too
    with Load(scenario, newcomers(1, 20)) as load:
        eventually(
            lambda: endpoint.asked[-1].at - began,
            PATIENCE_SECONDS,
            "the fourth token",
            until=lambda seconds: seconds > 3 * 0.8 * LIFE_SECONDS,
        )
        scenario.produce([UNREADABLE])
        load.stop()
    scenario.await_all_committed()
    scenario.dead_letters(2)
    assert scenario.api.counters().duplicates == 0
    # A connection that logs in anew some 0.1 s too late is closed: so busy this machine may be.
    for event in ("lost", "revoked", "hold", "token_unavailable"):
        assert not daemon.logs(event)
    daemon.stop()


@newer_protocol
@pytest.mark.parametrize("provider", ["aws-msk-iam"])
def test_all_clients_have_the_same_token_at_80_percent_of_its_life_the_next(
    scenario: Scenario, endpoint: TokenEndpoint, login: Login
) -> None:
    endpoint.seconds = LIFE_SECONDS
    scenario.start_ready(**login)
    scenario.produce([UNREADABLE])
    scenario.dead_letters(1)
    await_asked(endpoint, 2)
    times = [asked.at for asked in endpoint.asked]
    pauses = [then - before for before, then in itertools.pairwise(times)]
    assert all(0.7 * LIFE_SECONDS < pause < LIFE_SECONDS for pause in pauses), pauses
    assert {asked.form["region"] for asked in endpoint.asked} == {"eu-west-1"}


@long
@by_both_ways
@both_protocols
def test_without_a_token_it_starts_says_why_and_goes_on_by_itself(
    scenario: Scenario, endpoint: TokenEndpoint, login: Login
) -> None:
    scenario.produce([UNREADABLE, *additions(1, 3)])
    endpoint.fault = refused("invalid_client", "this client is unknown")
    daemon = scenario.start(**login)
    daemon.await_reason(words_of(login, "", endpoint))
    daemon.await_reason("this client is unknown")
    eventually(daemon.holds, PATIENCE_SECONDS, "the hold", until={"kafka-unavailable"}.__eq__)
    assert daemon.get("/livez")[0] == 200
    endpoint.fault = None
    scenario.await_all_committed()
    scenario.dead_letters(1)
    daemon.wait_ready(PATIENCE_SECONDS)
    assert endpoint.client_secret not in daemon.output


@long
@by_both_ways
@newer_protocol
def test_an_endpoint_that_hangs_keeps_nothing_else_waiting(
    scenario: Scenario, endpoint: TokenEndpoint, login: Login
) -> None:
    endpoint.fault = hanging = Hanging()
    daemon = scenario.start(**login)
    await_asked(endpoint, 1)
    eventually(daemon.holds, PATIENCE_SECONDS, "the hold", until={"kafka-unavailable"}.__eq__)
    assert daemon.get("/livez")[0] == 200
    assert daemon.get("/readyz")[0] == 503
    endpoint.fault = None  # who was hung up on waits on
    scenario.produce(additions(1, 3))
    scenario.await_all_committed()
    daemon.wait_ready(PATIENCE_SECONDS)
    hanging.end()


@long
@by_both_ways
@newer_protocol
def test_a_stop_does_not_wait_for_an_endpoint_that_hangs(
    scenario: Scenario, endpoint: TokenEndpoint, login: Login
) -> None:
    endpoint.fault = Hanging()
    daemon = scenario.start(**login)
    await_asked(endpoint, 1)
    daemon.terminate()
    assert daemon.wait(GONE_SECONDS) == 0


@long
@by_both_ways
@newer_protocol
def test_an_endpoint_that_is_away_for_longer_than_a_token_lives_is_told_and_waited_for(
    scenario: Scenario, endpoint: TokenEndpoint, login: Login
) -> None:
    daemon = scenario.start_ready(**login)
    scenario.produce(additions(1, 3))
    scenario.await_all_committed()
    endpoint.fault = refused("temporarily_unavailable", "maintenance", 400)
    daemon.await_reason(words_of(login, "", endpoint))
    daemon.await_reason("maintenance")
    endpoint.fault = None
    scenario.produce(additions(1, 3, start=3))
    scenario.await_all_committed()
    daemon.wait_ready(PATIENCE_SECONDS)
    assert len(scenario.api.members(1)) == 6


@pytest.mark.parametrize("provider", ["oidc"])
@newer_protocol
def test_a_new_secret_is_taken_up_by_new_clients(
    scenario: Scenario, endpoint: TokenEndpoint, login: Login, tmp_path: Path
) -> None:
    secret = tmp_path / "KAFKA_OAUTH_CLIENT_SECRET"
    secret.write_text(endpoint.client_secret)
    daemon = scenario.start_ready(
        **login | {"KAFKA_OAUTH_CLIENT_SECRET": None, "SECRETS_DIR": tmp_path}
    )
    endpoint.client_secret = "another secret"
    daemon.await_reason("no such client")
    secret.write_text("another secret\n")
    scenario.produce([UNREADABLE, *additions(1, 3)])
    scenario.await_all_committed()
    scenario.dead_letters(1)
    daemon.wait_ready(PATIENCE_SECONDS)
    assert not re.search("(another|client's) secret", daemon.output)


@pytest.mark.parametrize("provider", ["oidc"])
@newer_protocol
def test_a_machine_s_identity_logs_in_by_properties_alone(
    scenario: Scenario, endpoint: TokenEndpoint, login: Login
) -> None:
    """As on Azure, where no secret is asked for: in place of a provider."""
    config = {
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.metadata.authentication.type": "azure_imds",
        "sasl.oauthbearer.config": "query=resource=https://kafka.example&client_id=a-machine",
    }
    kept = {name: None for name in login if "_OAUTH_" in name and not name.endswith("_URL")}
    daemon = scenario.start_ready(kafka_config=config, **login | kept)
    scenario.produce([UNREADABLE, *additions(1, 3)])
    scenario.await_all_committed()
    scenario.dead_letters(1)
    assert {asked.client_id for asked in endpoint.asked} == {"a-machine"}
    daemon.stop()


@long
@by_both_ways
@newer_protocol
def test_the_commands_have_tokens_too_and_say_when_there_is_none(
    scenario: Scenario, endpoint: TokenEndpoint, login: Login
) -> None:
    scenario.broker.create_topic(scenario.dead_letter_topic, 2)
    scenario.produce(additions(1, 3))
    scenario.produce(additions(2, 5), scenario.dead_letter_topic)
    said = {name: run(scenario, name, login) for name in ("check", "preview", "replay")}
    assert {line.split()[0] for line in said["check"].splitlines()} == {"ok"}
    assert "`run` would work" in said["preview"]
    assert len(scenario.api.members(2)) == 5
    endpoint.fault = refused("invalid_client", "this client is unknown")
    found = run(scenario, "check", login, code=1)
    assert words_of(login, "", endpoint) in found
    assert "this client is unknown" in found
    about = "KAFKA_OAUTH_CLIENT_SECRET" if login["KAFKA_OAUTH_PROVIDER"] == "oidc" else "AWS_REGION"
    assert about in found


def run(scenario: Scenario, command: str, login: Login, code: int = 0) -> str:
    """Return what a command says that ends with that code."""
    with Daemon(scenario.settings(**login), arguments=(command,)) as process:
        assert process.wait(PATIENCE_SECONDS) == code
        return process.output
