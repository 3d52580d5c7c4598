"""What operators can rely on where a login at Kafka takes tokens."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import certifi
import pytest
from confluent_kafka.admin import AdminClient

from consumer.settings import SECRETS, checks, load
from consumer.settings.properties import (
    admin_properties,
    consumer_properties,
    producer_properties,
    rotated,
)
from consumer.settings.property_checks import objection
from tests.support.certificates import Authority
from tests.support.token_endpoint import Asked, Hanging, TokenEndpoint
from tests.support.waiting import PATIENCE_SECONDS, eventually
from tests.test_readme import in_backticks, rows
from tests.test_settings import loaded, problem, problems, process

__all__ = ["process"]  # a fixture

OAUTHBEARER = {"KAFKA_SECURITY_PROTOCOL": "sasl_ssl", "KAFKA_SASL_MECHANISM": "OAUTHBEARER"}
OIDC = {
    **OAUTHBEARER,
    "KAFKA_OAUTH_PROVIDER": "oidc",
    "KAFKA_OAUTH_TOKEN_ENDPOINT_URL": "https://login.example.com/token",
    "KAFKA_OAUTH_CLIENT_ID": "us",
    "KAFKA_OAUTH_CLIENT_SECRET": "hunter2",
}
AWS = {**OAUTHBEARER, "KAFKA_OAUTH_PROVIDER": "aws-msk-iam", "AWS_REGION": "eu-west-1"}
GOOGLE = {**OAUTHBEARER, "KAFKA_OAUTH_PROVIDER": "gcp"}


@pytest.fixture
def endpoint() -> Iterator[TokenEndpoint]:
    with TokenEndpoint() as endpoint:
        yield endpoint


def test_librdkafka_is_told_where_to_fetch_tokens() -> None:
    settings = loaded(
        **OIDC,
        KAFKA_OAUTH_SCOPE="kafka read",
        KAFKA_OAUTH_EXTENSIONS="logicalCluster=lkc-1,identityPoolId=pool-1",
    )
    for properties in (consumer_properties, producer_properties, admin_properties):
        told = {name: text for name, text in properties(settings).items() if "oauth" in name}
        assert told == {
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": "https://login.example.com/token",
            "sasl.oauthbearer.client.id": "us",
            "sasl.oauthbearer.client.secret": "hunter2",
            "sasl.oauthbearer.scope": "kafka read",
            "sasl.oauthbearer.extensions": "logicalCluster=lkc-1,identityPoolId=pool-1",
        }
    assert settings.warnings == ()


def test_whom_to_trust_of_an_endpoint_is_said_by_itself_or_for_everything(tmp_path: Path) -> None:
    mine, ours = tmp_path / "mine.pem", certifi.where()
    mine.write_text(Path(ours).read_text())
    name = "https.ca.location"
    assert admin_properties(loaded(**OIDC))[name] == "probe"
    both = OIDC | {"SSL_CERT_FILE": ours}
    assert admin_properties(loaded(**both))[name] == ours
    assert admin_properties(loaded(**both, KAFKA_OAUTH_CA_LOCATION=str(mine)))[name] == str(mine)
    wrong = problem(**OIDC, KAFKA_OAUTH_CA_LOCATION="/nowhere")
    assert wrong.startswith("KAFKA_OAUTH_CA_LOCATION: got '/nowhere': is no file; accepts")


@pytest.mark.parametrize("variables", [AWS, GOOGLE], ids=["aws", "gcp"])
def test_of_a_signer_librdkafka_knows_nothing(variables: dict[str, str]) -> None:
    properties = consumer_properties(loaded(**variables))
    assert not any("oauthbearer" in name for name in properties)
    assert properties["sasl.mechanism"] == "OAUTHBEARER"


def test_the_secret_is_one() -> None:
    assert "KAFKA_OAUTH_CLIENT_SECRET" in SECRETS
    settings = loaded(**OIDC)
    assert settings.masked()["kafka_oauth_client_secret"] == "***"
    assert "hunter2" not in f"{settings!r}{settings.masked()}"


@pytest.mark.parametrize("left_out", list(OIDC)[3:])
def test_oidc_needs_all_three(left_out: str) -> None:
    given = {name: text for name, text in OIDC.items() if name != left_out}
    assert problem(**given).startswith(
        f"{left_out}: is missing, and KAFKA_OAUTH_PROVIDER is oidc; accepts "
    )


def test_all_that_oidc_lacks_is_said_at_once() -> None:
    lines = problems(**OAUTHBEARER, KAFKA_OAUTH_PROVIDER="oidc")
    assert [line.partition(":")[0] for line in lines] == list(OIDC)[3:]


@pytest.mark.parametrize("config", ["{}", '{"sasl.oauthbearer.method": "default"}'])
def test_a_mechanism_without_a_source_of_tokens_is_a_problem(config: str) -> None:
    assert problem(**OAUTHBEARER, KAFKA_CONFIG=config) == (
        "KAFKA_OAUTH_PROVIDER: is missing, and KAFKA_SASL_MECHANISM is OAUTHBEARER; accepts one of:"
        " oidc, aws-msk-iam, gcp; or a source of tokens in KAFKA_CONFIG"
        " (sasl.oauthbearer.method=oidc)"
    )


@pytest.mark.parametrize(
    "config",
    [
        {"enable.sasl.oauthbearer.unsecure.jwt": True},
        {
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.metadata.authentication.type": "azure_imds",
            "sasl.oauthbearer.config": "query=resource=api://me",
        },
    ],
)
def test_properties_may_say_where_tokens_come_from(config: dict[str, object]) -> None:
    settings = loaded(**OAUTHBEARER, KAFKA_CONFIG=json.dumps(config))
    assert settings.kafka_oauth_provider is None
    assert settings.warnings == ()


def test_where_properties_fetch_the_variables_count_too() -> None:
    config = {
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.grant.type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "sasl.oauthbearer.assertion.private.key.file": "/run/key.pem",
        "sasl.oauthbearer.assertion.claim.sub": "me",
    }
    url = "https://login.example.com/token"
    settings = loaded(
        **OAUTHBEARER, KAFKA_CONFIG=json.dumps(config), KAFKA_OAUTH_TOKEN_ENDPOINT_URL=url
    )
    assert settings.warnings == ()
    assert admin_properties(settings)["sasl.oauthbearer.token.endpoint.url"] == url


def test_two_sources_of_tokens_are_a_problem() -> None:
    line = problem(**OIDC, KAFKA_CONFIG='{"sasl.oauthbearer.method": "oidc"}')
    assert line == (
        "KAFKA_CONFIG: 'sasl.oauthbearer.method' is refused; KAFKA_OAUTH_PROVIDER says where"
        " tokens come from"
    )


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("sasl.oauthbearer.token.endpoint.url", "KAFKA_OAUTH_TOKEN_ENDPOINT_URL"),
        ("sasl.oauthbearer.client.id", "KAFKA_OAUTH_CLIENT_ID"),
        ("sasl.oauthbearer.client.credentials.client.id", "KAFKA_OAUTH_CLIENT_ID"),
        ("sasl.oauthbearer.client.secret", "KAFKA_OAUTH_CLIENT_SECRET"),
        ("sasl.oauthbearer.client.credentials.client.secret", "KAFKA_OAUTH_CLIENT_SECRET"),
        ("sasl.oauthbearer.scope", "KAFKA_OAUTH_SCOPE"),
        ("sasl.oauthbearer.extensions", "KAFKA_OAUTH_EXTENSIONS"),
        ("https.ca.location", "KAFKA_OAUTH_CA_LOCATION"),
        ("https.ca.pem", "KAFKA_OAUTH_CA_LOCATION"),
    ],
)
def test_a_property_with_a_variable_is_refused_by_name(name: str, variable: str) -> None:
    line = problem(**OAUTHBEARER, KAFKA_CONFIG=json.dumps({name: "x"}))
    assert line == f"KAFKA_CONFIG: {name!r} is refused; {variable} sets it"


@pytest.mark.parametrize("protocol", ["ssl", None])
def test_a_provider_without_sasl_is_a_problem(protocol: str | None) -> None:
    given = {**OIDC, "KAFKA_SASL_MECHANISM": "", "KAFKA_SECURITY_PROTOCOL": protocol or ""}
    line = problem(**given)
    assert line.startswith("KAFKA_SECURITY_PROTOCOL: ")
    assert "KAFKA_OAUTH_PROVIDER only counts with SASL; accepts sasl_ssl" in line


def test_a_mechanism_without_sasl_takes_no_provider_yet() -> None:
    line = problem(KAFKA_SECURITY_PROTOCOL="ssl", KAFKA_SASL_MECHANISM="OAUTHBEARER")
    assert line.startswith("KAFKA_SECURITY_PROTOCOL: got 'ssl', but KAFKA_SASL_MECHANISM only")


def test_a_provider_for_another_mechanism_is_a_problem_and_without_one_that_is_missing() -> None:
    login = {"KAFKA_SASL_USERNAME": "me", "KAFKA_SASL_PASSWORD": "pw"}
    assert problem(**OIDC | login | {"KAFKA_SASL_MECHANISM": "PLAIN"}) == (
        "KAFKA_OAUTH_PROVIDER: got 'oidc', and KAFKA_SASL_MECHANISM is PLAIN; accepts it with"
        " OAUTHBEARER only"
    )
    missing = problem(**OIDC | {"KAFKA_SASL_MECHANISM": ""})
    assert missing.startswith("KAFKA_SASL_MECHANISM: is missing, and KAFKA_SECURITY_PROTOCOL is")


def test_a_wrong_provider_hides_no_other_problem_and_invents_none() -> None:
    lines = problems(**OAUTHBEARER, KAFKA_OAUTH_PROVIDER="okta", KAFKA_OAUTH_EXTENSIONS="a b")
    assert [line.partition(": got")[0] for line in lines] == [
        "KAFKA_OAUTH_PROVIDER",
        "KAFKA_OAUTH_EXTENSIONS",
    ]
    url = {"KAFKA_OAUTH_TOKEN_ENDPOINT_URL": "login.example.com"}
    assert problem(**OIDC | url).startswith("KAFKA_OAUTH_TOKEN_ENDPOINT_URL: got ")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("logicalCluster", "has 'logicalCluster', which is no name=value"),
        ("a=1,", "has '', which is no name=value"),
        ("logical-cluster=1", "has 'logical-cluster=1', which is no name=value"),
        ("auth=x", "has 'auth', which is the token's own name"),
    ],
)
def test_extensions_are_names_and_values(text: str, why: str) -> None:
    assert why in problem(**OIDC, KAFKA_OAUTH_EXTENSIONS=text)


@pytest.mark.parametrize(("variables", "extra"), [(AWS, "aws"), (GOOGLE, "gcp")])
def test_a_provider_whose_extra_is_not_installed_is_a_problem(
    variables: dict[str, str], extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "find_spec", lambda _: None)
    assert f"accepts it after pip install 'segment-consumer[{extra}]'" in problem(**variables)


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ("", "is missing, and KAFKA_OAUTH_PROVIDER is aws-msk-iam; accepts a region: eu-west-1"),
        (
            "eu west",
            "got 'eu west', and KAFKA_OAUTH_PROVIDER is aws-msk-iam; accepts a region: eu-west-1",
        ),
    ],
)
def test_aws_needs_a_region(region: str, said: str) -> None:
    assert problem(**AWS | {"AWS_REGION": region}) == f"AWS_REGION: {said}"


def test_a_region_without_that_provider_is_nobodys_business() -> None:
    """A machine's environment may have any, for something else."""
    assert loaded(**OIDC).aws_region is None
    for variables in (OIDC, GOOGLE, {}):
        assert loaded(**variables, AWS_REGION="Not Of Ours").warnings == ()


def test_what_does_not_count_is_worth_a_word() -> None:
    alone = {name: text for name, text in OIDC.items() if name.startswith("KAFKA_OAUTH_CLIENT")}
    (said,) = loaded(**alone).warnings
    assert said == (
        "KAFKA_OAUTH_CLIENT_ID and KAFKA_OAUTH_CLIENT_SECRET count with KAFKA_OAUTH_PROVIDER=oidc"
        " only"
    )
    (said,) = loaded(**GOOGLE, KAFKA_OAUTH_SCOPE="s").warnings
    assert said == "KAFKA_OAUTH_SCOPE counts with KAFKA_OAUTH_PROVIDER=oidc only"


@pytest.mark.parametrize(
    ("host", "is_said"), [("login.example.com", True), ("localhost:14293", False)]
)
def test_an_endpoint_without_encryption_is_worth_a_word(host: str, is_said: bool) -> None:
    url = {"KAFKA_OAUTH_TOKEN_ENDPOINT_URL": f"http://{host}/token"}
    assert [each.partition(" is ")[0] for each in loaded(**OIDC | url).warnings] == (
        ["KAFKA_OAUTH_TOKEN_ENDPOINT_URL"] if is_said else []
    )


def test_settings_are_judged_without_asking_for_a_token(endpoint: TokenEndpoint) -> None:
    """A client of librdkafka fetches one as soon as it is made, and its end waits for that."""
    endpoint.fault = hanging = Hanging()
    loaded(**OIDC | {"KAFKA_OAUTH_TOKEN_ENDPOINT_URL": endpoint.url})
    hanging.end()
    assert endpoint.asked == []


def test_a_secret_in_two_places_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "KAFKA_OAUTH_CLIENT_SECRET").write_text("another")
    line = problem(**OIDC, SECRETS_DIR=str(tmp_path))
    assert "is set in the environment and in SECRETS_DIR" in line


def test_what_librdkafka_says_has_no_client_secret_in_it() -> None:
    name = "sasl.oauthbearer.client.secret"
    words = objection({"security.protocol": "hunter2", name: "hunter2"})
    assert words.startswith('Invalid value "***" for configuration property "security.protocol"')


def test_librdkafka_is_asked_as_it_will_be_told() -> None:
    """What it lacks for another grant it says when a client is made: not only then."""
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    line = problem(**OIDC, KAFKA_CONFIG=json.dumps({"sasl.oauthbearer.grant.type": grant}))
    assert "sasl.oauthbearer.assertion" in line


def test_a_secret_with_a_space_before_it_is_worth_a_word() -> None:
    (said,) = loaded(**OIDC | {"KAFKA_OAUTH_CLIENT_SECRET": " hunter2"}).warnings
    assert said == "KAFKA_OAUTH_CLIENT_SECRET begins with a space, which librdkafka takes off"


def test_an_endpoint_that_is_wrong_by_itself_is_not_missing_too() -> None:
    config = '{"sasl.oauthbearer.method": "oidc"}'
    line = problem(**OAUTHBEARER, KAFKA_CONFIG=config, KAFKA_OAUTH_TOKEN_ENDPOINT_URL="nowhere")
    assert line.startswith("KAFKA_OAUTH_TOKEN_ENDPOINT_URL: got 'nowhere'")


def test_the_client_s_secret_is_read_again_from_its_file(tmp_path: Path) -> None:
    secret = tmp_path / "KAFKA_OAUTH_CLIENT_SECRET"
    secret.write_text("hunter2")
    given = {name: text for name, text in OIDC.items() if name != secret.name}
    settings = loaded(**given, SECRETS_DIR=str(tmp_path))
    secret.write_text("swordfish\n")
    assert rotated(settings) == {"sasl.oauthbearer.client.secret": "swordfish"}


# The platforms of the reference

REFERENCE = (Path(__file__).resolve().parents[1] / "deploy" / "reference.md").read_text()
PLATFORMS = REFERENCE.partition("\n## Platforms\n")[2].partition("\n## ")[0]
BLOCKS = [
    (f"{platform.splitlines()[0]}, {number}", block)
    for platform in PLATFORMS.split("\n### ")[1:]
    for number, block in enumerate(re.findall(r"```dotenv\n(.*?)```", platform, re.DOTALL), 1)
]


def test_the_reference_has_the_platforms_that_everybody_asks_for() -> None:
    named = [name for name, _ in BLOCKS]
    assert named == [
        *("Amazon MSK, 1", "Google Cloud, 1", "Confluent Cloud, 1", "Confluent Cloud, 2"),
        *("Azure Event Hubs, 1", "Azure Event Hubs, 2", "Azure Event Hubs, 3"),
        *("Strimzi, 1", "Strimzi, 2"),
    ]


@pytest.mark.parametrize(("platform", "block"), BLOCKS, ids=[name for name, _ in BLOCKS])
@pytest.mark.usefixtures("process")
def test_what_the_reference_says_of_a_platform_is_taken_as_it_stands(
    platform: str, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a file of variables; in the place of the PEM files are others."""
    issued = Authority(tmp_path / "authority").issue("user")
    files = issued.put(tmp_path)
    for name, file in (("ca.crt", files.certificate), ("user.crt", files.certificate)):
        block = block.replace(f"/etc/kafka/{name}", str(file))
    block = block.replace("/etc/kafka/user.key", str(files.key))
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS")
    (tmp_path / ".env").write_text(block)
    settings = load()
    assert settings.warnings == (), platform
    for line in block.splitlines():
        name, _, text = line.partition("=")
        value = getattr(settings, name.lower())
        if name == "KAFKA_CONFIG":
            assert {n: v.get_secret_value() for n, v in value.items()} == {
                n: str(v) for n, v in json.loads(text).items()
            }
        else:
            assert (value.get_secret_value() if name in SECRETS else value) == text, name
    for properties in (consumer_properties, producer_properties, admin_properties):
        made = {n: v for n, v in properties(settings).items() if not n.startswith("sasl.")}
        made["security.protocol"] = str(made["security.protocol"]).removeprefix("sasl_")
        AdminClient({**made, "bootstrap.servers": "127.0.0.1:1", "log_level": 0})


def test_the_list_of_event_hubs_says_what_the_daemon_has_and_the_examples_set_the_rest() -> None:
    made = (consumer_properties(loaded()), producer_properties(loaded()))
    to_set = {}
    for names, _, ours, action in rows(PLATFORMS, "| property | recommended | ours |"):
        name = in_backticks(names)[0]
        found = {str(each[name]).lower() for each in made if name in each}
        if ours.startswith("librdkafka's: "):
            assert not found, name
        else:
            assert in_backticks(ours)[0] in found, name
        if not action.startswith("nothing"):
            to_set[name] = int(re.split(r"[:.]", action)[0])
    configs = re.findall(r"KAFKA_CONFIG=(.*)", PLATFORMS.partition("### Azure")[2])
    assert len(configs) == 3
    for each in map(json.loads, configs):
        assert {n: v for n, v in each.items() if not n.startswith("sasl.")} == to_set


def test_what_to_raise_where_answers_take_long_goes_together() -> None:
    (session,) = re.findall(r"KAFKA_SESSION_TIMEOUT_SECONDS=([0-9]+)", PLATFORMS)
    (answer,) = re.findall(r'"socket.timeout.ms": ([0-9]+)', PLATFORMS)
    config = json.dumps({"socket.timeout.ms": int(answer)})
    settings = loaded(KAFKA_SESSION_TIMEOUT_SECONDS=session, KAFKA_CONFIG=config)
    assert settings.warnings == ()
    properties = consumer_properties(settings)
    assert properties["socket.timeout.ms"] == answer
    assert 20_000 < int(answer) < int(str(properties["session.timeout.ms"])) / 4


@contextmanager
def client(endpoint: TokenEndpoint, config: str) -> Iterator[list[Asked]]:
    """Make a client of librdkafka with these properties; yield what it asked the endpoint."""
    variables = OAUTHBEARER | {"KAFKA_SECURITY_PROTOCOL": "sasl_plaintext"}
    url = {"KAFKA_OAUTH_TOKEN_ENDPOINT_URL": endpoint.url}
    settings = loaded(**variables, **url, KAFKA_CONFIG=config)
    made = admin_properties(settings)
    asking = AdminClient({**made, "bootstrap.servers": "127.0.0.1:1", "log_level": 0})
    yield eventually(lambda: endpoint.asked, PATIENCE_SECONDS, "a question for a token")
    del asking


def test_a_machine_s_identity_is_asked_for_as_azure_wants_it(endpoint: TokenEndpoint) -> None:
    """With the reference's example: a question with ``Metadata: true`` and nobody's secret."""
    (config,) = re.findall(r"KAFKA_CONFIG=(.*azure_imds.*)", PLATFORMS)
    with client(endpoint, config) as (asked, *_):
        assert asked.form == {
            "api-version": "2018-02-01",
            "resource": "https://NAMESPACE.servicebus.windows.net",
            "client_id": "IDENTITY",
        }
        assert not asked.client_secret


def test_a_token_of_the_platform_s_is_sent_with_a_grant_that_entra_has_not(
    endpoint: TokenEndpoint, tmp_path: Path
) -> None:
    """Why a workload identity of AKS can't log in: Entra wants it as ``client_assertion``."""
    (tmp_path / "token").write_text(endpoint.token())
    config = {
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.grant.type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "sasl.oauthbearer.assertion.file": str(tmp_path / "token"),
    }
    with client(endpoint, json.dumps(config)) as (asked, *_):
        assert asked.form.keys() == {"grant_type", "assertion"}
