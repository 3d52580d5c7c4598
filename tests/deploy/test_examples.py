"""The chart with secrets from Strimzi, cert-manager, External Secrets, vaults and the like.

The values are those in the chart's README; what is to become of them lies in ``examples/``.
"""

import json
import re
from pathlib import Path

import pytest

from consumer import settings
from consumer.commands.check.rights import rights_of
from consumer.settings import librdkafka
from consumer.settings.property_checks import single_problems
from tests.deploy.chart import Release, fails, parsed, rendered
from tests.deploy.examples import FOLDER, examples, excerpt, released, texts
from tests.deploy.tools import CHART, HELM
from tests.support.certificates import Authority

pytestmark = pytest.mark.long("the deployment")
NEEDS = HELM

NAMES = sorted(texts())
CREDENTIALS = ("CUSTOMERIO_SITE_ID", "CUSTOMERIO_API_KEY")


def test_there_is_an_example_of_each_and_what_becomes_of_it() -> None:
    assert {*NAMES} >= {
        *("strimzi", "cert-manager", "external-secrets", "sealed-secrets"),
        *("secrets-store-csi-driver", "vault-agent", "trust-manager", "variables-from-secrets"),
    }
    assert sorted(path.stem for path in FOLDER.iterdir()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_example_becomes_what_it_became(name: str) -> None:
    """``python -m tests.deploy.examples`` writes it anew; look at what changed."""
    assert excerpt(released(name)) == parsed((FOLDER / f"{name}.yaml").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_the_daemon_takes_what_an_example_gives_it(name: str, tmp_path: Path) -> None:
    release = released(name)
    folder, environ = tmp_path / "secrets", dict(release.settings)
    folder.mkdir()
    _fill(folder, release, name, Authority(tmp_path / "authority"))
    for variable, text in environ.items():
        environ[variable] = text.replace(release.settings["SECRETS_DIR"], str(folder))
    for each in release.container.get("env", []):
        environ[each["name"]] = "kafka:9092"
    loaded = settings.load(environ)
    assert not loaded.warnings
    assert loaded.customerio_api_key.get_secret_value() == "CUSTOMERIO_API_KEY"
    if loaded.kafka_sasl_mechanism:
        assert loaded.kafka_sasl_password
        assert loaded.kafka_sasl_password.get_secret_value() == "KAFKA_SASL_PASSWORD"


def _fill(folder: Path, release: Release, name: str, authority: Authority) -> None:
    """Write the files of the secrets' directory as the kubelet, a driver or an agent would."""
    issued = authority.issue("client")
    for path in (*release.projected, *_brought(release, name)):
        text = path
        if path.endswith(".pem"):
            text = issued.key if "key" in path else issued.certificate
        (folder / path).write_text(text)


def _brought(release: Release, name: str) -> list[str]:
    """Return the secrets that come whole: in an existing Secret, by a class, by annotations."""
    manifests = str(examples()[name])
    annotations = release.workload["spec"]["template"]["metadata"]["annotations"]
    injected = [key for key in annotations if "/agent-inject-secret-" in key]
    if injected:
        return [key.partition("/agent-inject-secret-")[2] for key in injected]
    if name == "external-secrets":
        return []
    found = re.findall(r"objectAlias: (\w+)", manifests)
    return found or list(CREDENTIALS)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_s_manifests_and_values_go_together(name: str) -> None:
    """The Secrets and ConfigMaps that the others make are those that the values name."""
    *others, values = examples()[name]
    for each in others:
        made = each["spec"].get("secretName", each["metadata"]["name"])
        assert str(made) in str(values), name


def test_the_user_in_strimzi_s_example_may_do_what_the_daemon_does() -> None:
    user, values = examples()["strimzi"]
    given = {name: values["settings"][name] for name in ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_TOPICS")}
    given |= {"KAFKA_GROUP_PROTOCOL": "consumer", **dict.fromkeys(CREDENTIALS, "x")}
    allowed = {
        (acl["resource"]["type"], acl["resource"].get("name", ""), tuple(acl["operations"]))
        for acl in user["spec"]["authorization"]["acls"]
    }
    assert allowed == {
        (each.kind, each.name, each.operations) for each in rights_of(settings.load(given))
    }


# Several places


SCRAM = (
    *("--set", "settings.KAFKA_SECURITY_PROTOCOL=sasl_ssl"),
    *("--set", "settings.KAFKA_SASL_MECHANISM=SCRAM-SHA-512"),
)
TLS = "settings.KAFKA_SECURITY_PROTOCOL=ssl"
PLAIN = "settings.KAFKA_SECURITY_PROTOCOL=sasl_ssl,settings.KAFKA_SASL_MECHANISM=PLAIN"
OWN = "secrets.existingSecret=,secrets.CUSTOMERIO_SITE_ID=s,secrets.CUSTOMERIO_API_KEY=k"
SOURCE = "secrets.sources[0].secret=s,secrets.sources[0].keys"


def test_keys_of_a_secret_are_renamed_and_those_of_a_config_map_too() -> None:
    files = released("trust-manager").projected
    assert files["kafka-ssl-ca.pem"] == ("configMap", "company-ca", "ca-bundle.pem")
    assert released("strimzi").projected == {
        "KAFKA_SASL_PASSWORD": ("secret", "segment-consumer", "password"),
        "kafka-ssl-ca.pem": ("secret", "audiences-cluster-ca-cert", "ca.crt"),
    }


def test_names_and_keys_that_yaml_takes_for_numbers_or_booleans_are_text() -> None:
    """A Secret may be called 0123, which is 83 in YAML 1.1, and a key ``on``."""
    release = released(
        "strimzi",
        *("--set-string", "secrets.existingSecret=0123,secrets.sources[0].secret=1e3"),
        *("--set-string", "secrets.sources[0].keys.KAFKA_SASL_PASSWORD=on"),
        *("--set-string", "priorityClassName=1,mapping.existingConfigMap=9,serviceAccount.name=7"),
    )
    secrets, mapping = release.pod["volumes"]
    assert secrets["projected"]["sources"][0]["secret"]["name"] == "0123"
    assert release.projected["KAFKA_SASL_PASSWORD"] == ("secret", "1e3", "on")
    assert mapping["configMap"]["name"] == "9"
    assert (release.pod["priorityClassName"], release.pod["serviceAccountName"]) == ("1", "7")
    assert release.one("ServiceAccount")["metadata"]["name"] == "7"
    selected = rendered("default", "--set-string", "nameOverride=9").workload["spec"]["selector"]
    assert selected["matchLabels"]["app.kubernetes.io/name"] == "9"


def test_values_in_the_release_and_others_secrets_are_one_directory() -> None:
    release = released(
        "strimzi",
        *("--set", "secrets.existingSecret="),
        *("--set", "secrets.CUSTOMERIO_SITE_ID=site,secrets.CUSTOMERIO_API_KEY=key"),
    )
    assert release.one("Secret")["stringData"].keys() == {
        "CUSTOMERIO_SITE_ID",
        "CUSTOMERIO_API_KEY",
    }
    (volume,) = release.pod["volumes"]
    whole, *_ = volume["projected"]["sources"]
    assert whole == {"secret": {"name": release.one("Secret")["metadata"]["name"]}}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (f"{SOURCE}.KAFKA_SSL_CA_FILE=ca.crt", "which is no variable of the daemon"),
        (f"{SOURCE}.KAFKA_TOPICS=t", "secrets.sources has KAFKA_TOPICS, which the chart counts on"),
        (f"{SOURCE}.LOG_LEVEL=l", "LOG_LEVEL comes from settings.LOG_LEVEL and secrets.sources"),
        (f"{SOURCE}.KAFKA_SSL_CA_LOCATION=ca.crt", "the files would not be used"),
        (f"{SOURCE}.KAFKA_SASL_PASSWORD=p", "nobody would log in"),
        (f"{SOURCE}.lower=p", "does not match pattern"),
        (
            "secrets.sources[0].keys.KAFKA_SASL_PASSWORD=p",
            "secrets.sources[0] names neither a secret nor a configMap: say whose keys these are",
        ),
        (
            f"secrets.sources[0].configMap=c,{SOURCE}.SSL_CERT_FILE=p",
            "secrets.sources[0] names a secret (s) and a configMap (c): it is one of them",
        ),
        (
            f"{OWN},{SOURCE}.CUSTOMERIO_API_KEY=p",
            "CUSTOMERIO_API_KEY comes from secrets.CUSTOMERIO_API_KEY and secrets.sources",
        ),
        (
            f"{TLS},kafkaTls.existingSecret=tls,{SOURCE}.KAFKA_SSL_CA_LOCATION=ca.crt",
            "comes from secrets.sources and kafkaTls: leave it in one place",
        ),
        (
            f"{TLS},settings.KAFKA_SSL_CA_LOCATION=/ca,{SOURCE}.KAFKA_SSL_CA_LOCATION=c",
            "comes from settings.KAFKA_SSL_CA_LOCATION and secrets.sources",
        ),
        (
            f"{TLS},{SOURCE}.KAFKA_SSL_CERTIFICATE_LOCATION=c",
            "a client has both or none",
        ),
        (f"secrets.existingSecret=,{SOURCE}.CUSTOMERIO_API_KEY=k", "CUSTOMERIO_SITE_ID is empty"),
        (
            f"{PLAIN},secrets.existingSecret=,{SOURCE}.KAFKA_SASL_USERNAME=u",
            "PLAIN needs a password",
        ),
        ("settings.SECRETS_DIR=/vault/secrets", "nobody would read secrets.*"),
        ("settings.SECRETS_DIR=vault,secrets.existingSecret=", "is no path from the root"),
        (
            f"settings.SECRETS_DIR=/vault,secrets.existingSecret=,{SOURCE}.CUSTOMERIO_API_KEY=k",
            "nobody would read CUSTOMERIO_API_KEY of secrets.sources",
        ),
        ("settings.KAFKA_BOOTSTRAP_SERVERS=", "settings.KAFKA_BOOTSTRAP_SERVERS is empty"),
    ],
)
def test_what_comes_from_two_places_or_from_nowhere_is_refused(options: str, why: str) -> None:
    assert why in fails("default", "--set", options)


PROPERTIES = {
    "connections.max.idle.ms": 180_000,
    "message.max.bytes": 1_000_000,
    "client.rack": "eu-1a",
    "socket.keepalive.enable": True,
}


@pytest.mark.parametrize("name", ["sealed-secrets", "vault-agent"])
def test_properties_of_the_library_may_be_settings_where_the_secrets_are_others(name: str) -> None:
    release = released(name, "--set-json", f"settings.KAFKA_CONFIG={json.dumps(PROPERTIES)}")
    assert not release.all("Secret")
    given = {**release.settings, "SECRETS_DIR": "", **dict.fromkeys(CREDENTIALS, "x")}
    found = settings.load(given).kafka_config
    assert {property_: text.get_secret_value() for property_, text in found.items()} == {
        **{property_: str(value) for property_, value in PROPERTIES.items()},
        "socket.keepalive.enable": "true",
    }
    assert "KAFKA_CONFIG" not in released(name).settings


SECRET_PROPERTIES = (
    *("sasl.password", "ssl.key.password", "ssl.key.pem", "ssl.keystore.password"),
    *("sasl.oauthbearer.client.secret", "sasl.oauthbearer.client.credentials.client.secret"),
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
)
"""What librdkafka takes for sensitive (``_RK_SENSITIVE``), but for paths, users and authorities."""


@pytest.mark.parametrize("name", SECRET_PROPERTIES)
def test_a_property_that_is_a_secret_is_no_setting(name: str) -> None:
    assert not any("has no property" in line for line in single_problems({name: "x"}))
    why = f"settings.KAFKA_CONFIG has {name}, which is a secret: put all of KAFKA_CONFIG into"
    if refused := librdkafka.refusal(name):
        variable = refused.partition("; ")[2].partition(" ")[0]
        why = f"settings.KAFKA_CONFIG has {name}, which has a variable of its own: put it into"
        why += f" secrets, as {variable}"
    given = json.dumps({name: "x"})
    assert why in fails("default", "--set-json", f"settings.KAFKA_CONFIG={given}")


def test_properties_of_the_library_stand_in_one_place() -> None:
    config = "settings.KAFKA_CONFIG.linger\\.ms=1"
    twice = f"{config},{OWN},secrets.KAFKA_CONFIG.retries=1"
    assert "comes from settings.KAFKA_CONFIG and secrets.KAFKA_CONFIG" in fails(
        "default", "--set", twice
    )
    beside = fails("default", "--set", "secrets.KAFKA_CONFIG.linger\\.ms=1")
    assert "under its name, or into settings.KAFKA_CONFIG if it has no secret" in beside
    late = fails("default", "--set", r"settings.KAFKA_CONFIG.max\.poll\.interval\.ms=15000")
    assert "must be less than max.poll.interval.ms (15 s)" in late
    plain = ("--set", "extraEnv[0].name=KAFKA_CONFIG,extraEnv[0].value=x")
    assert "extraEnv has KAFKA_CONFIG, which is the chart's own: use settings" in fails(
        "default", *plain
    )


def test_a_directory_elsewhere_takes_pem_files_beside_it() -> None:
    """As of an agent that has the secrets, and of trust-manager that has the authorities."""
    release = released(
        "vault-agent",
        *("--set", "settings.KAFKA_SECURITY_PROTOCOL=ssl"),
        *("--set", "secrets.sources[0].configMap=company-ca"),
        *("--set", "secrets.sources[0].keys.KAFKA_SSL_CA_LOCATION=ca.pem"),
    )
    assert release.settings["SECRETS_DIR"] == "/vault/secrets"
    path = Path(release.settings["KAFKA_SSL_CA_LOCATION"])
    mounts = {each["name"]: each["mountPath"] for each in release.container["volumeMounts"]}
    assert str(path.parent) == mounts["secrets"]
    assert path.name in release.projected


# Variables


def variables(*names: str, kind: str = "secretKeyRef") -> tuple[str, ...]:
    """Return options for variables that come from a key each."""
    return tuple(
        word
        for at, name in enumerate(names)
        for word in (
            *("--set", f"extraEnv[{at}].name={name}"),
            *("--set", f"extraEnv[{at}].valueFrom.{kind}.name=s"),
            *("--set", f"extraEnv[{at}].valueFrom.{kind}.key=k"),
        )
    )


def test_ours_may_be_a_variable_from_a_secret() -> None:
    release = released(
        "sealed-secrets",
        *("--set", "secrets.existingSecret="),
        *SCRAM,
        *variables(
            *("CUSTOMERIO_SITE_ID", "CUSTOMERIO_API_KEY"),
            *("KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"),
        ),
    )
    assert not release.all("Secret")
    assert not release.pod.get("volumes")
    assert "SECRETS_DIR" not in release.settings
    for pod in (release.pod, release.one("Pod")["spec"]):
        assert {each["name"] for each in pod["containers"][0]["env"]} == {
            *("CUSTOMERIO_SITE_ID", "CUSTOMERIO_API_KEY"),
            *("KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"),
        }


def test_ours_may_not_be_a_variable_with_a_value_or_that_the_chart_counts_on() -> None:
    for options, why in (
        (("--set", "extraEnv[0].name=CUSTOMERIO_API_KEY"), "the chart's own"),
        (variables("KAFKA_GROUP_INSTANCE_ID"), "which the chart counts on"),
        (variables("SECRETS_DIR"), "which the chart counts on"),
        (variables("HTTP_PORT"), "comes from settings.HTTP_PORT and extraEnv"),
    ):
        assert why in fails("default", *options)
    twice = fails("default", "--set", OWN, *variables("CUSTOMERIO_API_KEY"))
    assert "CUSTOMERIO_API_KEY comes from secrets.CUSTOMERIO_API_KEY and extraEnv" in twice


def test_brokers_that_the_chart_does_not_see_take_ports_and_no_autoscaling() -> None:
    hidden = ("--set", "settings.KAFKA_BOOTSTRAP_SERVERS=", *variables("KAFKA_BOOTSTRAP_SERVERS"))
    assert "say which ports the brokers have" in fails("default", *hidden)
    scaled = ("--set", "autoscaling.enabled=true,autoscaling.partitions=4")
    assert "KEDA has to know the brokers, too" in fails("default", *hidden, *scaled)


def test_the_chart_counts_on_nothing_that_may_come_from_elsewhere() -> None:
    """What a template asks of the settings, and is empty by default, is refused from elsewhere."""
    checks = (CHART / "templates/_checks_sources.tpl").read_text()
    (listed,) = re.findall(r"\$computed := list (.*) -}}", checks)
    computed = set(re.findall(r'"(\w+)"', listed))
    templates = [
        path.read_text()
        for path in CHART.glob("templates/**/*.*")
        if not path.name.startswith("_checks")
    ]
    asked = {name for text in templates for name in re.findall(r"settings\.([A-Z_]+)", text)}
    defaults = parsed((CHART / "values.yaml").read_text())["settings"]
    empty = {name for name in asked if defaults.get(name) == ""}
    assert empty - {"KAFKA_BOOTSTRAP_SERVERS"} <= computed


# KEDA


def autoscaled(name: str, *options: str) -> Release:
    return released(name, "--set", "autoscaling.enabled=true,autoscaling.partitions=4", *options)


def parameters(release: Release) -> dict[str, tuple[str, str]]:
    spec = release.one("TriggerAuthentication")["spec"]
    targets = [*spec.get("secretTargetRef", []), *spec.get("configMapTargetRef", [])]
    return {each["parameter"]: (each["name"], each["key"]) for each in targets}


def test_keda_logs_in_from_where_the_daemon_does() -> None:
    asked = parameters(autoscaled("strimzi"))
    assert asked == {
        "username": ("release-segment-consumer", "KAFKA_SASL_USERNAME"),
        "password": ("segment-consumer", "password"),
        "ca": ("audiences-cluster-ca-cert", "ca.crt"),
    }
    spec = autoscaled("trust-manager").one("TriggerAuthentication")["spec"]
    assert spec["configMapTargetRef"] == [
        {"parameter": "ca", "name": "company-ca", "key": "ca-bundle.pem"}
    ]
    given = (*SCRAM, *variables("KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"))
    asked = parameters(autoscaled("sealed-secrets", *given))
    assert asked == {"username": ("s", "k"), "password": ("s", "k")}
    user = variables("KAFKA_SASL_USERNAME", kind="configMapKeyRef")
    spec = autoscaled("sealed-secrets", *SCRAM, *user).one("TriggerAuthentication")["spec"]
    assert spec["configMapTargetRef"] == [{"parameter": "username", "name": "s", "key": "k"}]


def test_keda_has_the_key_s_password_wherever_it_is() -> None:
    """Where an existing Secret has none, KEDA takes it for empty."""
    asked = parameters(autoscaled("cert-manager"))
    assert asked["key"] == ("segment-consumer-kafka", "tls.key")
    assert asked["keyPassword"] == ("segment-consumer-credentials", "KAFKA_SSL_KEY_PASSWORD")
    second = "secrets.sources[1]"
    named = ("--set", f"{second}.secret=s,{second}.keys.KAFKA_SSL_KEY_PASSWORD=k")
    assert parameters(autoscaled("cert-manager", *named))["keyPassword"] == ("s", "k")
    assert "keyPassword" not in parameters(autoscaled("trust-manager"))
    assert "keyPassword" not in parameters(autoscaled("trust-manager", *named)), "of no key"


def test_what_keda_can_not_read_takes_a_trigger_authentication_of_yours() -> None:
    seen = ("--set", "autoscaling.enabled=true,autoscaling.partitions=4")
    tls = ("--set", "settings.KAFKA_SECURITY_PROTOCOL=ssl,settings.KAFKA_SSL_CA_LOCATION=/x/ca.pem")
    yours = ("--set", "autoscaling.authenticationRef.name=yours")
    assert "KEDA can't read KAFKA_SSL_CA_LOCATION" in fails("default", *seen, *tls)
    agent = "settings.KAFKA_SASL_USERNAME=u,settings.SECRETS_DIR=/x,secrets.existingSecret="
    hidden = ("--set", agent, *SCRAM)
    assert "KEDA can't read KAFKA_SASL_PASSWORD" in fails("default", *seen, *hidden)
    release = autoscaled("sealed-secrets", *tls, *yours)
    (trigger,) = release.one("ScaledObject")["spec"]["triggers"]
    assert trigger["authenticationRef"] == {"name": "yours"}
    assert not {"sasl", "tls"} & trigger["metadata"].keys(), "KEDA wants them in one place"
    assert not release.all("TriggerAuthentication")
    assert not autoscaled("strimzi", *yours).all("TriggerAuthentication"), "one is enough"
    bearer = ("--set", PLAIN.replace("PLAIN", "OAUTHBEARER"))
    assert autoscaled("sealed-secrets", *bearer, *yours)


def test_keda_is_told_what_it_takes_from_no_trigger_authentication() -> None:
    """The region above all."""
    login = PLAIN.replace("PLAIN", "OAUTHBEARER") + ",settings.KAFKA_OAUTH_PROVIDER=AWS-MSK-IAM"
    given = ("--set", login, "--set", "autoscaling.authenticationRef.name=yours")
    region = ("--set", "extraEnv[0].name=AWS_REGION,extraEnv[0].value=eu-west-1")
    release = autoscaled("sealed-secrets", *given, *region)
    (trigger,) = release.one("ScaledObject")["spec"]["triggers"]
    told = {"sasl", "saslTokenProvider", "tls", "awsRegion"}
    assert {key: value for key, value in trigger["metadata"].items() if key in told} == {
        "sasl": "oauthbearer",
        "saslTokenProvider": "aws_msk_iam",
        "tls": "enable",
        "awsRegion": "eu-west-1",
    }
    seen = ("--set", "autoscaling.enabled=true,autoscaling.partitions=4")
    assert "extraEnv has no AWS_REGION" in fails("default", *seen, *given)
