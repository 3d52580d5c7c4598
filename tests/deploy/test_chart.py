"""The chart: what it renders agrees with itself, with Kubernetes and with the daemon."""

import itertools
import json
import math
import re
import shlex
import shutil
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from consumer import presets, settings, stopper
from consumer.core.metrics import PREFIX
from consumer.core.snapshot import Board, initial_snapshot
from consumer.observability import health
from consumer.settings import agreement
from tests.deploy.chart import (
    KUBERNETES,
    MATRIX,
    NAMESPACE,
    Manifest,
    Release,
    documents,
    fails,
    parsed,
    rendered,
    template,
    values,
)
from tests.deploy.tools import CHART, DEPLOY, HELM, ROOT, module, run, tool
from tests.support.daemon import Daemon
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.long("the deployment")
NEEDS = (*HELM, "kubernetes-validate")

OLDEST, NEWEST = 27, 37
VERSIONS = [f"1.{minor}" for minor in (OLDEST, 30, 34, NEWEST)]
CUSTOM = {"PodMonitor", "PrometheusRule", "ScaledObject", "TriggerAuthentication"}
"""Kinds that operators bring: Kubernetes has no schema of them."""

BY_THE_CHART = {"KAFKA_GROUP_INSTANCE_ID"}
"""Variables that only follow from other values."""

MAYBE_SECRET = {"KAFKA_CONFIG"}
"""Variables that are a secret or none, by what is in them."""


def default_values() -> dict[str, Any]:
    defaults: dict[str, Any] = parsed((CHART / "values.yaml").read_text())
    return defaults


@pytest.fixture(params=MATRIX)
def release(request: pytest.FixtureRequest) -> Release:
    """Render the chart with each set of values."""
    return rendered(request.param)


# Kubernetes and Helm take it


@pytest.mark.parametrize("name", MATRIX)
def test_helm_has_nothing_to_say_against_it(name: str) -> None:
    options = ("--kube-version", KUBERNETES, "--values", CHART / "ci" / f"{name}-values.yaml")
    result = run(tool("helm"), "lint", "--strict", CHART, *options)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", MATRIX)
def test_every_manifest_is_valid_for_kubernetes(name: str, version: str) -> None:
    schemas = module("kubernetes-validate")
    code, said, wrong = template(name, kubernetes=f"{version}.0")
    assert code == 0, wrong
    for manifest in documents(said):
        if manifest["kind"] not in CUSTOM:
            schemas.validate(manifest, version, strict=True)


def test_an_older_kubernetes_is_refused() -> None:
    code, _, wrong = template("default", kubernetes=f"1.{OLDEST - 1}.0")
    assert code != 0
    assert "requires kubeVersion" in wrong


def test_names_are_unique_and_short_enough(release: Release) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in release.manifests]
    assert len(names) == len(set(names))
    assert all(len(name) <= 63 for _, name in names)


# The chart and the daemon have the same settings


def test_every_setting_of_the_daemon_is_in_the_chart_and_the_other_way_round() -> None:
    defaults = default_values()
    secrets = set(defaults["secrets"]) - {"existingSecret", "sources"}
    assert set(defaults["settings"]) | secrets | BY_THE_CHART == set(settings.VARIABLES)
    assert secrets == settings.SECRETS
    assert set(defaults["settings"]) & secrets == MAYBE_SECRET


def test_what_is_rendered_has_no_other_variables_and_leaves_none_out() -> None:
    ever: set[str] = set()
    for name in MATRIX:
        extra = {"HTTPS_PROXY"}
        assert rendered(name).variables - extra <= set(settings.VARIABLES), name
        ever |= rendered(name).variables - extra
    assert ever == set(settings.VARIABLES)


def test_the_chart_s_defaults_are_the_daemon_s() -> None:
    """But for the rate, which is a share of the account's, and the name, which is the pod's."""
    for name, default in default_values()["settings"].items():
        field = settings.Settings.model_fields[name.lower()]
        is_made = name in {"CUSTOMERIO_REQUESTS_PER_SECOND", "KAFKA_CLIENT_ID"}
        if is_made or field.is_required():
            assert default == "", name
        else:
            daemon_s = field.get_default(call_default_factory=True)
            assert default == ("" if daemon_s is None else daemon_s), name


def test_the_schema_has_the_daemon_s_bounds() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    daemon_s = settings.Settings.model_json_schema()["properties"]
    for name, told in schema["properties"]["settings"]["properties"].items():
        known = daemon_s[name]
        variants = [told, *told.get("anyOf", [])]
        of_daemon = [known, *known.get("anyOf", [])]
        for bound in ("minimum", "maximum", "exclusiveMinimum"):
            assert [v[bound] for v in variants if bound in v] == [
                v[bound] for v in of_daemon if bound in v
            ], f"{name}: {bound}"
        allowed = [set(v["enum"]) - {""} for v in variants if "enum" in v]
        assert allowed == [set(v["enum"]) for v in of_daemon if "enum" in v], name


EXISTING = {"mapping.toml": presets.text_of("segment-engage"), "segments.toml": "vip = 56\n"}
"""What is in a ConfigMap that isn't the chart's."""


def settings_with_files(release: Release, folder: Path) -> dict[str, str]:
    """Return a pod's settings; the files that they name are in ``folder`` instead of the pod."""
    mounts = {each["name"]: each["mountPath"] for each in release.container["volumeMounts"]}
    given = dict(release.settings)
    for volume in release.pod["volumes"]:
        if volume["name"] == "mapping":
            name = volume["configMap"]["name"]
            place = folder / "mapping"
            place.mkdir()
            for key, text in (
                EXISTING if name == "audiences" else release.config_map(name)
            ).items():
                (place / key).write_text(text)
            for variable in ("EVENT_MAPPING", "EVENT_SEGMENTS"):
                if variable in given:
                    given[variable] = given[variable].replace(mounts["mapping"], str(place))
    return given


@pytest.mark.parametrize("name", MATRIX)
def test_the_daemon_takes_what_the_chart_gives_it(name: str, tmp_path: Path) -> None:
    release = rendered(name)
    secret = {"CUSTOMERIO_SITE_ID": "site", "CUSTOMERIO_API_KEY": "key"}
    for each in release.all("Secret"):
        secret = each["stringData"]
    for key, text in secret.items():
        (tmp_path / key).write_text(text)
    given = {**settings_with_files(release, tmp_path), "SECRETS_DIR": str(tmp_path)}
    # The files of the TLS Secret are not here, and librdkafka would look for them.
    given = {key: text for key, text in given.items() if not key.endswith("_LOCATION")}
    (tmp_path / "KAFKA_SSL_KEY_PASSWORD").unlink(missing_ok=True)
    if "KAFKA_GROUP_INSTANCE_ID" in release.variables:
        given["KAFKA_GROUP_INSTANCE_ID"] = f"{release.workload['metadata']['name']}-0"
    loaded = settings.load(given)
    assert not loaded.warnings


# A mapping


def test_rules_and_segments_are_files_that_say_what_the_values_say(tmp_path: Path) -> None:
    given = settings_with_files(rendered("everything"), tmp_path)
    asked = parsed((CHART / "ci/everything-values.yaml").read_text())["mapping"]
    table = {str(key): segment for key, segment in asked["segments"].items()}
    assert json.loads(Path(given["EVENT_SEGMENTS"]).read_text()) == table
    (rules,) = json.loads(Path(given["EVENT_MAPPING"]).read_text()).values()
    assert rules == json.loads(json.dumps(asked["rules"])), "keys of JSON are texts"


def test_a_file_s_text_is_mounted_as_it_is(tmp_path: Path) -> None:
    text = presets.text_of("debezium")
    (tmp_path / "my.toml").write_text(text)
    release = rendered("default", "--set-file", f"mapping.text={tmp_path / 'my.toml'}")
    given = settings_with_files(release, tmp_path)
    assert Path(given["EVENT_MAPPING"]).read_text() == text
    assert "EVENT_SEGMENTS" not in given


def test_a_preset_takes_the_table_of_the_values() -> None:
    release = rendered(
        "default", "--set", "settings.EVENT_MAPPING=segment-engage,mapping.segments.vip=56"
    )
    assert release.settings["EVENT_MAPPING"] == "segment-engage"
    assert release.settings["EVENT_SEGMENTS"].endswith("/segments.json")


def test_the_guide_s_mapping_is_one(tmp_path: Path) -> None:
    guide = (DEPLOY / "README.md").read_text()
    (example,) = re.findall(r"```yaml\n(mapping:.*?)```", guide, re.DOTALL)
    (tmp_path / "my-values.yaml").write_text(example)
    release = rendered("default", "--values", str(tmp_path / "my-values.yaml"))
    given = settings_with_files(release, tmp_path)
    for name in ("CUSTOMERIO_SITE_ID", "CUSTOMERIO_API_KEY"):
        (tmp_path / name).write_text("secret")
    loaded = settings.load({**given, "SECRETS_DIR": str(tmp_path)})
    assert loaded.mapping is not None
    assert loaded.event_segments is not None
    assert dict(loaded.event_segments.ids) == {"vip": 56, "churned": 57}


def test_another_mapping_is_a_rollout() -> None:
    def annotations(*options: str) -> Any:  # noqa: ANN401 - of a manifest
        return rendered("everything", *options).workload["spec"]["template"]["metadata"]

    assert annotations("--set", "mapping.segments.vip=58") != annotations()
    assert annotations("--set", "mapping.rules[1].action=add") != annotations()
    assert annotations("--set", "secrets.CUSTOMERIO_API_KEY=new") == annotations()


@pytest.mark.parametrize("command", ["run", "check", "preview"])
def test_a_wrong_mapping_is_said_in_the_pod_s_first_line(command: str, tmp_path: Path) -> None:
    """And in its status, where `kubectl describe` shows it."""
    wrong = "mapping.rules[0].action=add,mapping.rules[0].segmentid=5,mapping.rules[0].id.path=who"
    release = rendered("default", "--set", wrong)
    for container in (release.container, *release.one("Pod")["spec"]["containers"]):
        assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
    for name in ("CUSTOMERIO_SITE_ID", "CUSTOMERIO_API_KEY"):
        (tmp_path / name).write_text("secret")
    given = {**settings_with_files(release, tmp_path), "SECRETS_DIR": str(tmp_path)}
    with Daemon(given, arguments=(command,)) as process:
        assert process.wait(PATIENCE_SECONDS) == 2
        first = (process.errors + process.output).splitlines()[0]
    assert first.startswith("EVENT_MAPPING: got '"), first
    assert "mapping.json': rule 1" in first
    assert "segmentid" in process.errors


def test_a_config_map_of_others_has_the_names_that_are_said() -> None:
    release = rendered("static-autoscaled")
    assert not [each for each in release.all("ConfigMap") if "mapping" in each["metadata"]["name"]]
    for pod in (release.pod, release.one("Pod")["spec"]):
        (volume,) = [each for each in pod["volumes"] if each["name"] == "mapping"]
        assert volume["configMap"] == {"name": "audiences"}
    names = [release.settings[name] for name in ("EVENT_MAPPING", "EVENT_SEGMENTS")]
    assert [name.rpartition("/")[2] for name in names] == ["mapping.toml", "segments.toml"]
    other = rendered("static-autoscaled", "--set", "mapping.existingConfigMap=new").workload
    assert other["spec"]["template"] != release.workload["spec"]["template"], "a rollout"


# Budgets, ports and paths


def test_a_pod_has_the_time_that_the_daemon_may_take(release: Release) -> None:
    drain = float(release.settings["DRAIN_TIMEOUT_SECONDS"])
    timeout = float(release.settings["CUSTOMERIO_TIMEOUT_SECONDS"])
    grace = release.pod["terminationGracePeriodSeconds"]
    assert timeout < drain
    assert grace == math.ceil(drain) + 10
    assert drain + stopper.OVERTIME_SECONDS < grace, "the daemon's own watchdog comes first"


def test_a_request_does_not_outlive_the_session(release: Release) -> None:
    given = release.settings
    session = float(given["KAFKA_SESSION_TIMEOUT_SECONDS"])
    heartbeat = agreement.heartbeat_interval_seconds(given["KAFKA_GROUP_PROTOCOL"], session)
    request = float(given["CUSTOMERIO_TIMEOUT_SECONDS"])
    assert session >= request + heartbeat + agreement.LEASE_SECONDS


def test_the_members_together_stay_within_the_account_s_rate() -> None:
    for name in MATRIX:
        given = parsed((CHART / "ci" / f"{name}-values.yaml").read_text())
        account = given.get("accountRequestsPerSecond", 100)
        release = rendered(name)
        spec = release.workload["spec"]
        replicas = spec.get("replicas") or release.one("ScaledObject")["spec"]["maxReplicaCount"]
        surge = spec["strategy"]["rollingUpdate"]["maxSurge"] + 1 if "strategy" in spec else 0
        rate = float(release.settings["CUSTOMERIO_REQUESTS_PER_SECOND"])
        assert rate * (replicas + surge) <= account, name
        assert "CUSTOMERIO_REQUESTS_PER_SECOND" in given["settings"] or (
            rate * (replicas + surge) > account * 0.99
        ), name


def test_a_rollout_never_drops_below_the_wanted_members_and_drains_one_at_a_time(
    release: Release,
) -> None:
    spec = release.workload["spec"]
    assert spec["minReadySeconds"] >= release.pod["terminationGracePeriodSeconds"]
    if release.workload["kind"] == "Deployment":
        assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        assert spec["progressDeadlineSeconds"] > spec["minReadySeconds"], "Kubernetes asks for it"


def test_a_rollout_goes_on_only_after_a_new_member_had_the_time_to_be_held(
    release: Release,
) -> None:
    """It drains others' partitions, lingers, asks the API, and is seen to be unready."""
    given = release.settings
    names = ("DRAIN_TIMEOUT_SECONDS", "BATCH_LINGER_SECONDS", "CUSTOMERIO_TIMEOUT_SECONDS")
    probe = release.container["readinessProbe"]
    seen = probe["periodSeconds"] * probe["failureThreshold"]
    least = sum(float(given[name]) for name in names) + seen
    assert release.workload["spec"]["minReadySeconds"] >= least


def test_the_probes_ask_paths_that_the_daemon_has(release: Release) -> None:
    answers = health.Answers(Board(initial_snapshot("1"), 0.0), 30, "1")
    paths = {
        kind: release.container[f"{kind}Probe"]["httpGet"]["path"]
        for kind in ("startup", "liveness", "readiness")
    }
    for path in paths.values():
        assert answers.to(path, "").status is not HTTPStatus.NOT_FOUND
    assert paths == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
    for monitor in release.all("PodMonitor"):
        assert {each["path"] for each in monitor["spec"]["podMetricsEndpoints"]} == {"/metrics"}


def test_all_ports_are_the_daemon_s(release: Release) -> None:
    (port,) = release.container["ports"]
    assert port == {"name": "http", "containerPort": int(release.settings["HTTP_PORT"])}
    for kind in ("startup", "liveness", "readiness"):
        assert release.container[f"{kind}Probe"]["httpGet"]["port"] == port["name"]
    for policy in release.all("NetworkPolicy"):
        (rule,) = policy["spec"]["ingress"]
        assert [each["port"] for each in rule["ports"]] == [port["name"]]
    for monitor in release.all("PodMonitor"):
        assert [each["port"] for each in monitor["spec"]["podMetricsEndpoints"]] == [port["name"]]
    for service in release.all("Service"):
        assert [each["port"] for each in service["spec"]["ports"]] == [port["containerPort"]]
    annotations = release.workload["spec"]["template"]["metadata"]["annotations"]
    assert annotations.get("prometheus.io/port", str(port["containerPort"])) == str(
        port["containerPort"]
    )


# Security


@pytest.mark.parametrize("of_member", [True, False], ids=["member", "check"])
def test_pods_are_as_restricted_as_the_standard_asks(release: Release, *, of_member: bool) -> None:
    pod = release.pod if of_member else release.one("Pod")["spec"]
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert user
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": int(user[1]),
        "runAsGroup": int(user[2]),
        "fsGroup": int(user[2]),
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


def test_secrets_are_files_of_a_directory_and_never_variables(release: Release) -> None:
    """A file mounted by itself would not change when the Secret does."""
    assert not (settings.SECRETS - MAYBE_SECRET) & set(release.settings)
    assert not settings.SECRETS & {each["name"] for each in release.container.get("env", [])}
    mounts = {each["mountPath"]: each for each in release.container["volumeMounts"]}
    mount = mounts[release.settings["SECRETS_DIR"]]
    assert "subPath" not in mount
    volumes = {each["name"]: each for each in release.pod["volumes"]}
    sources = volumes[mount["name"]]["projected"]["sources"]
    secrets = [each["secret"] for each in sources if "secret" in each]
    whole = [each["name"] for each in secrets if "items" not in each]
    own = [each["metadata"]["name"] for each in release.all("Secret")]
    assert whole == (own or ["segment-consumer-credentials"])


def test_new_keys_and_passwords_restart_nothing_and_other_settings_do() -> None:
    def annotations(*options: str, of: str = "everything") -> dict[str, str]:
        template_ = rendered(of, *options).workload["spec"]["template"]
        found: dict[str, str] = template_["metadata"]["annotations"]
        return found

    before = annotations()
    assert annotations("--set", "secrets.CUSTOMERIO_API_KEY=new") == before
    assert annotations("--set", "secrets.KAFKA_SASL_PASSWORD=new") == before
    assert annotations("--set", "secrets.KAFKA_CONFIG.linger\\.ms=1") != before
    assert annotations("--set", "settings.BATCH_MAX_IDS=500") != before
    config = ("--set", "settings.KAFKA_CONFIG.linger\\.ms=1")
    assert annotations(*config, of="default") != annotations(of="default")


def test_a_swapped_secret_is_read_again(tmp_path: Path) -> None:
    """The kubelet swaps all files at once: a new directory, and a link that is renamed onto it."""

    def swap(version: str) -> None:
        (tmp_path / f"..{version}").mkdir()
        for name in ("CUSTOMERIO_SITE_ID", "CUSTOMERIO_API_KEY"):
            (tmp_path / f"..{version}" / name).write_text(f"{name}-{version}\n")
        (tmp_path / "..data_tmp").symlink_to(f"..{version}")
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")

    def read() -> list[str]:
        return [secret.get_secret_value() for secret in loaded.reread_credentials()]

    swap("1")
    for name in ("CUSTOMERIO_SITE_ID", "CUSTOMERIO_API_KEY"):
        (tmp_path / name).symlink_to(Path("..data") / name)
    loaded = settings.load({**rendered("default").settings, "SECRETS_DIR": str(tmp_path)})
    assert not loaded.warnings
    assert read() == ["CUSTOMERIO_SITE_ID-1", "CUSTOMERIO_API_KEY-1"]
    swap("2")
    assert read() == ["CUSTOMERIO_SITE_ID-2", "CUSTOMERIO_API_KEY-2"]


def test_every_volume_that_is_mounted_is_there(release: Release) -> None:
    for pod in (release.pod, release.one("Pod")["spec"]):
        for container in pod["containers"]:
            mounted = {each["name"] for each in container["volumeMounts"]}
            assert mounted == {each["name"] for each in pod["volumes"]}


@pytest.mark.parametrize(
    ("option", "previews"),
    [
        ("replicas=2", False),
        ("settings.EVENT_MAPPING=debezium", True),
        ("settings.EVENT_FORMAT=schema-registry", True),
        ("mapping.rules[0].action=add", True),
        ("mapping.text=x", True),
        ("mapping.existingConfigMap=mine", True),
    ],
)
def test_helm_test_previews_records_that_are_no_events(option: str, *, previews: bool) -> None:
    """Of a new deployment the topics may be new, too: that there is nothing yet is no failure."""
    url = "settings.SCHEMA_REGISTRY_URL=http://registry:8081"
    pod = rendered("default", "--set", option, "--set", url).one("Pod")["spec"]
    commands = [each["args"] for each in pod["containers"]]
    assert commands == [["check"], *([["preview", "--allow-empty"]] if previews else [])]
    assert len({str({**each, "name": "", "args": []}) for each in pod["containers"]}) == 1


def test_what_leaves_a_pod_goes_to_dns_kafka_and_the_api_only() -> None:
    policy = rendered("default").one("NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    ports = [[each["port"] for each in rule["ports"]] for rule in policy["spec"]["egress"]]
    assert ports == [[53, 53], [9092], [443]]


def test_and_to_the_schema_registry_if_there_is_one() -> None:
    url = r"https://a.example/apis\,http://b:8081\,http://c\,https://d"
    policy = rendered(
        "default",
        *("--set", "settings.EVENT_FORMAT=schema-registry"),
        *("--set", f"settings.SCHEMA_REGISTRY_URL={url}"),
    ).one("NetworkPolicy")
    ports = [[each["port"] for each in rule["ports"]] for rule in policy["spec"]["egress"]]
    assert ports == [[53, 53], [9092], [443], [443, 8081, 80]]


OIDC: dict[str, str] = {
    "settings.KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
    "settings.KAFKA_SASL_MECHANISM": "OAUTHBEARER",
    "settings.KAFKA_OAUTH_PROVIDER": "oidc",
    "settings.KAFKA_OAUTH_TOKEN_ENDPOINT_URL": "https://login.example:8443/token",
    "settings.KAFKA_OAUTH_CLIENT_ID": "us",
}


def with_values(values: dict[str, str]) -> list[str]:
    """Return helm's options for values."""
    return [word for name, text in values.items() for word in ("--set", f"{name}={text}")]


@pytest.mark.parametrize(
    ("provider", "tokens"), [("OIDC", [8443]), ("aws-msk-iam", [443, 80]), ("gcp", [443, 80, 988])]
)
def test_and_to_where_tokens_come_from(provider: str, tokens: list[int]) -> None:
    options = with_values(OIDC | {"settings.KAFKA_OAUTH_PROVIDER": provider})
    policy = rendered("default", *options).one("NetworkPolicy")
    ports = [[each["port"] for each in rule["ports"]] for rule in policy["spec"]["egress"]]
    assert ports == [[53, 53], [9092], [443], tokens]


def test_settings_and_secret_of_a_token_endpoint_get_to_the_daemon(tmp_path: Path) -> None:
    secret = {"secrets.existingSecret": "", "secrets.KAFKA_OAUTH_CLIENT_SECRET": "hunter2"}
    account = {"secrets.CUSTOMERIO_SITE_ID": "s", "secrets.CUSTOMERIO_API_KEY": "k"}
    release = rendered("default", *with_values(OIDC | secret | account))
    given = {name: text for name, text in release.settings.items() if "OAUTH" in name}
    assert given == {
        name.removeprefix("settings."): text for name, text in OIDC.items() if "_OAUTH_" in name
    }
    for name, text in release.one("Secret")["stringData"].items():
        (tmp_path / name).write_text(text)
    loaded = settings.load({**release.settings, "SECRETS_DIR": str(tmp_path)})
    assert loaded.kafka_oauth_client_secret is not None
    assert loaded.kafka_oauth_client_secret.get_secret_value() == "hunter2"


def example(number: int, folder: Path, section: str = "Logins with tokens") -> Release:
    """Return what the chart makes of an example of its README."""
    text = (CHART / "README.md").read_text().partition(f"\n## {section}\n")[2]
    blocks = re.findall(r"```yaml\n(.*?)```", text.partition("\n## ")[0], re.DOTALL)
    (folder / "values.yaml").write_text(blocks[number])
    repository = "images.example/segment-consumer"
    return rendered(str(folder / "values.yaml"), "--set", f"image.repository={repository}")


def test_the_example_of_a_role_in_the_readme_is_taken(tmp_path: Path) -> None:
    release = example(0, tmp_path)
    (account,) = release.all("ServiceAccount")
    assert "eks.amazonaws.com/role-arn" in account["metadata"]["annotations"]
    given = {each["name"]: each["value"] for each in release.container["env"]}
    secrets = {"CUSTOMERIO_SITE_ID": "s", "CUSTOMERIO_API_KEY": "k", "SECRETS_DIR": ""}
    loaded = settings.load({**release.settings, **given, **secrets})
    assert (loaded.kafka_oauth_provider, loaded.aws_region) == ("aws-msk-iam", "eu-west-1")
    assert loaded.warnings == ()


def test_the_example_of_a_token_endpoint_in_the_readme_is_taken(tmp_path: Path) -> None:
    release = example(1, tmp_path)
    directory = release.settings["SECRETS_DIR"]
    paths = {name: text for name, text in release.settings.items() if name.endswith("_LOCATION")}
    assert paths == {
        "KAFKA_SSL_CA_LOCATION": f"{directory}/kafka-ssl-ca.pem",
        "KAFKA_OAUTH_CA_LOCATION": f"{directory}/kafka-oauth-ca.pem",
    }
    assert {"KAFKA_OAUTH_CLIENT_SECRET", "kafka-oauth-ca.pem"} <= set(release.projected)
    secrets = {
        "CUSTOMERIO_SITE_ID": "s",
        "CUSTOMERIO_API_KEY": "k",
        "SECRETS_DIR": "",
        "KAFKA_OAUTH_CLIENT_SECRET": "hunter2",
        **dict.fromkeys(paths, ""),
    }
    loaded = settings.load({**release.settings, **secrets})
    assert loaded.kafka_oauth_provider == "oidc"
    assert loaded.warnings == ()


def test_properties_may_say_where_tokens_come_from() -> None:
    """As of a machine's identity: without a provider, and without a Secret that might say it."""
    config = {
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.metadata.authentication.type": "azure_imds",
        "sasl.oauthbearer.config": "query=api-version=2018-02-01&resource=https://x",
    }
    account = {"CUSTOMERIO_SITE_ID": "s", "CUSTOMERIO_API_KEY": "k"}
    login = {name: OIDC[name] for name in OIDC if "_OAUTH_" not in name}
    given = login | {"secrets.existingSecret": ""} | {f"secrets.{n}": v for n, v in account.items()}
    options = ("--set-json", f"settings.KAFKA_CONFIG={json.dumps(config)}")
    release = rendered("default", *with_values(given), *options)
    loaded = settings.load({**release.settings, **account, "SECRETS_DIR": ""})
    assert {name: text.get_secret_value() for name, text in loaded.kafka_config.items()} == config
    assert loaded.warnings == ()


@pytest.mark.parametrize(
    ("number", "secrets"),
    [(0, ("KAFKA_SASL_PASSWORD",)), (1, ("KAFKA_SASL_PASSWORD", "SCHEMA_REGISTRY_PASSWORD"))],
    ids=["Event Hubs", "Confluent Cloud"],
)
def test_the_examples_of_clouds_in_the_readme_are_taken(
    number: int, secrets: tuple[str, ...], tmp_path: Path
) -> None:
    release = example(number, tmp_path, "Event Hubs and Confluent Cloud")
    given = dict.fromkeys(("CUSTOMERIO_SITE_ID", "CUSTOMERIO_API_KEY", *secrets), "x")
    loaded = settings.load({**release.settings, **given, "SECRETS_DIR": ""})
    assert loaded.warnings == ()
    reference = (DEPLOY / "reference.md").read_text()
    for name in ("KAFKA_SASL_MECHANISM", "KAFKA_SECURITY_PROTOCOL"):
        assert f"\n{name}={release.settings[name]}\n" in reference
    if "KAFKA_CONFIG" in release.settings:
        config = re.findall(r"PLAIN\n(?:.*\n){2}KAFKA_CONFIG=(.*)", reference)
        assert [json.loads(text) for text in config] == [
            json.loads(release.settings["KAFKA_CONFIG"])
        ]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"settings.KAFKA_OAUTH_PROVIDER": "okta"}, "value must be one of 'oidc', 'aws-msk-iam'"),
        (
            {"settings.KAFKA_OAUTH_PROVIDER": "", "secrets.existingSecret": ""},
            "settings.KAFKA_OAUTH_PROVIDER is empty, and settings.KAFKA_SASL_MECHANISM is OAUTH",
        ),
        (
            {"settings.KAFKA_SASL_MECHANISM": "GSSAPI"},
            '("GSSAPI") is not OAUTHBEARER: nobody would ask for a token',
        ),
        ({"settings.KAFKA_OAUTH_TOKEN_ENDPOINT_URL": ""}, "say where tokens are"),
        ({"settings.KAFKA_OAUTH_TOKEN_ENDPOINT_URL": "login.example"}, "is no URL of http or http"),
        ({"settings.KAFKA_OAUTH_CLIENT_ID": ""}, "say who asks for tokens"),
        ({"secrets.existingSecret": ""}, "secrets.KAFKA_OAUTH_CLIENT_SECRET is empty"),
    ],
)
def test_a_login_with_tokens_that_lacks_something_is_refused(
    changed: dict[str, str], why: str
) -> None:
    assert why in fails("default", *with_values(OIDC | changed))


# Selectors


def test_everything_that_selects_members_selects_these_pods_and_not_the_check(
    release: Release,
) -> None:
    labels = release.workload["spec"]["template"]["metadata"]["labels"]
    check = release.one("Pod")["metadata"]["labels"]
    selectors = [release.workload["spec"]["selector"]["matchLabels"]]
    for kind in ("PodDisruptionBudget", "PodMonitor"):
        selectors += [each["spec"]["selector"]["matchLabels"] for each in release.all(kind)]
    selectors += [each["spec"]["selector"] for each in release.all("Service")]
    selectors += [
        each["labelSelector"]["matchLabels"]
        for each in release.pod.get("topologySpreadConstraints", [])
    ]
    for selector in selectors:
        assert selector.items() <= labels.items()
        assert not selector.items() <= check.items()
    for policy in release.all("NetworkPolicy"):
        selector = policy["spec"]["podSelector"]["matchLabels"]
        assert selector.items() <= labels.items()
        assert selector.items() <= check.items()


def test_the_alerts_ask_for_the_series_that_the_pod_monitor_makes() -> None:
    """A pod's name is its member's name: an address tells nobody anything at night."""
    release = rendered("everything")
    (endpoint,) = release.one("PodMonitor")["spec"]["podMetricsEndpoints"]
    made = {each["targetLabel"]: each for each in endpoint["relabelings"]}
    assert made["instance"]["sourceLabels"] == ["__meta_kubernetes_pod_name"]
    wanted = f'namespace="{NAMESPACE}", job="{made["job"]["replacement"]}"'
    for group in release.one("PrometheusRule")["spec"]["groups"]:
        for rule in group["rules"]:
            assert wanted in rule["expr"], rule["alert"]


def test_a_held_member_does_not_block_a_node_s_drain(release: Release) -> None:
    for budget in release.all("PodDisruptionBudget"):
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
        assert budget["spec"]["maxUnavailable"] == 1


# Static membership and autoscaling


def test_static_members_have_the_names_of_their_pods() -> None:
    release = rendered("static")
    assert release.workload["kind"] == "StatefulSet"
    (variable,) = release.container["env"]
    assert variable["name"] == "KAFKA_GROUP_INSTANCE_ID"
    assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert release.workload["spec"]["serviceName"] == release.one("Service")["metadata"]["name"]


def test_static_members_speak_kip_848_whatever_the_settings_say() -> None:
    """With the classic protocol the daemon refuses a name."""
    for name in ("static", "static-autoscaled"):
        asked = rendered(name, "--set", "settings.KAFKA_GROUP_PROTOCOL=classic")
        assert asked.settings["KAFKA_GROUP_PROTOCOL"] == "consumer"
    assert rendered("default").settings["KAFKA_GROUP_PROTOCOL"] == "classic"


def test_an_autoscaled_release_leaves_the_number_to_keda_and_never_exceeds_the_partitions() -> None:
    for name, partitions, most in (("everything", 12, 12), ("static-autoscaled", 6, 4)):
        release = rendered(name)
        assert "replicas" not in release.workload["spec"]
        scaled = release.one("ScaledObject")["spec"]
        assert scaled["maxReplicaCount"] == most <= partitions
        assert scaled["scaleTargetRef"] == {
            "apiVersion": release.workload["apiVersion"],
            "kind": release.workload["kind"],
            "name": release.workload["metadata"]["name"],
        }
        (trigger,) = scaled["triggers"]
        assert trigger["metadata"]["consumerGroup"] == release.settings["KAFKA_GROUP_ID"]
        assert all(isinstance(value, str) for value in trigger["metadata"].values())


def test_keda_asks_no_more_often_than_it_polls_and_as_brokers_understand() -> None:
    """Lag that doesn't move between two questions counts as none: too soon, it never moves."""
    for name in ("everything", "static-autoscaled"):
        (trigger,) = rendered(name).one("ScaledObject")["spec"]["triggers"]
        assert trigger["metadata"]["excludePersistentLag"] == "true"
        assert trigger["useCachedMetrics"] is True
        assert trigger["metadata"]["version"] == "2.1.0", "the oldest that Kafka 4 knows"
        servers = trigger["metadata"]["bootstrapServers"]
        assert re.fullmatch(r"[\w.-]+:\d+(,[\w.-]+:\d+)*", servers), servers


def test_keda_gets_no_login_where_there_is_none() -> None:
    release = rendered("static-autoscaled", "--set", "kafkaTls.existingSecret=")
    (trigger,) = release.one("ScaledObject")["spec"]["triggers"]
    assert trigger["metadata"]["tls"] == "enable"
    assert "authenticationRef" not in trigger
    assert not release.all("TriggerAuthentication")


def test_keda_logs_in_as_the_daemon_does() -> None:
    release = rendered("everything")
    spec = release.one("TriggerAuthentication")["spec"]
    (secret,) = release.all("Secret")
    asked = {each["parameter"]: (each["name"], each["key"]) for each in spec["secretTargetRef"]}
    assert asked["password"] == (secret["metadata"]["name"], "KAFKA_SASL_PASSWORD")
    assert asked["ca"] == ("kafka-tls", "ca.crt")
    assert asked["keyPassword"][1] in secret["stringData"]
    (trigger,) = release.one("ScaledObject")["spec"]["triggers"]
    assert trigger["metadata"]["sasl"] == "scram_sha512"
    assert trigger["metadata"]["tls"] == "enable"


# Wrong values


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("image.repository=", "image.repository is empty"),
        ("settings.KAFKA_TOPICS=", "settings.KAFKA_TOPICS is empty"),
        ("secrets.existingSecret=", "the daemon needs credentials of the Track API"),
        ("secrets.CUSTOMERIO_API_KEY=k", "put it into the existing Secret"),
        ("image.repository=images.example/x:1", "a tag belongs into image.tag"),
        ("settings.KAFKA_BOOTSTRAP_SERVERS=kafka:port", '"kafka:port", which is no host:port'),
        ("settings.KAFKA_BOOTSTRAP_SERVERS=kafka:99999", '"kafka:99999", which is no host:port'),
        ("settings.KAFKA_TOPICS=a b", '"a b", which is no topic\'s name'),
        ("settings.DEAD_LETTER_TOPIC=a b", '("a b") is no topic\'s name'),
        ("settings.KAFKA_GROUP_ID=", "a group has a name"),
        ("settings.CUSTOMERIO_URL=track.customer.io", "is no URL of http or https"),
        ("settings.EVENT_FORMAT=schema-registry", "say where the registry is"),
        (
            "settings.EVENT_MAPPING=debezium,mapping.text=x",
            "settings.EVENT_MAPPING, mapping.text are all set: there is one mapping",
        ),
        ("mapping.text=x,mapping.rules[0].action=add", "mapping.rules, mapping.text are all set"),
        (
            "settings.EVENT_MAPPING=debezium,mapping.existingConfigMap=mine",
            "settings.EVENT_MAPPING, mapping.existingConfigMap with mapping.mappingKey are all set",
        ),
        (
            r'settings.EVENT_SEGMENTS=\{"a":1\},mapping.segments.a=1,mapping.text=x',
            "settings.EVENT_SEGMENTS, mapping.segments are all set: there is one table",
        ),
        ("mapping.segments.vip=56", "mapping.segments is set, but no mapping that would ask it"),
        (
            "mapping.existingConfigMap=mine,mapping.text=x",
            "mapping.text and mapping.existingConfigMap are both set",
        ),
        ("mapping.existingConfigMap=mine,mapping.mappingKey=", "but no key of it"),
        (
            "mapping.existingConfigMap=mine,mapping.mappingKey=,mapping.segmentsKey=s",
            "mapping.existingConfigMap with mapping.segmentsKey is set, but no mapping",
        ),
        ("mapping.text=x,mapping.segments.vip=0", "minimum: got 0, want 1"),
        ("mapping.text=x,mapping.segments.vip=many", "got string, want integer"),
        ("mapping.rules=debezium", "got string, want array"),
        ("settings.KAFKA_SECURITY_PROTOCOL=sasl_ssl", "say how to log in"),
        (
            "settings.KAFKA_SECURITY_PROTOCOL=sasl_ssl,settings.KAFKA_SASL_MECHANISM=PLAIN",
            "PLAIN needs a user",
        ),
        ("settings.KAFKA_SASL_USERNAME=user", "nobody would log in"),
        ("settings.DRAIN_TIMEOUT_SECONDS=10", "a drain has to outlast a request"),
        ("settings.DRAIN_TIMEOUT_SECONDS=300", "the group would take the member for dead"),
        ("settings.KAFKA_SESSION_TIMEOUT_SECONDS=14", "no request may outlive its membership"),
        ("settings.KAFKA_SESSION_TIMEOUT_SECONDS=301", "must be at most max.poll.interval.ms"),
        ("settings.DEAD_LETTER_TOPIC=audience-changes", "would come back as events"),
        ("settings.KAFKA_TOPICS=^segment-.*", "would come back as events"),
        ("settings.HTTP_PORT=80", "must be from 1024 on"),
        ("settings.HTTP_HOST=127.0.0.1", "probes and scrapes come from outside"),
        ("autoscaling.enabled=true", "say how many partitions the topics have"),
        (
            "autoscaling.enabled=true,autoscaling.partitions=4,autoscaling.maxReplicas=5",
            "autoscaling.maxReplicas (5) is more than autoscaling.partitions (4)",
        ),
        (
            "autoscaling.enabled=true,autoscaling.partitions=4,autoscaling.minReplicas=5",
            "autoscaling.minReplicas (5) is more than the maximum (4)",
        ),
        (
            "autoscaling.enabled=true,settings.KAFKA_SASL_MECHANISM=GSSAPI",
            "bring a ScaledObject of your own",
        ),
        ("settings.CUSTOMERIO_REQUESTS_PER_SECOND=26", "leave it empty and each gets its share"),
        ("kafkaTls.existingSecret=tls", "the files would not be used"),
        ("kafkaTls.certificateKey=tls.crt", "a client has both or none"),
        (
            "settings.KAFKA_SECURITY_PROTOCOL=ssl,kafkaTls.existingSecret=tls,kafkaTls.caKey=",
            "kafkaTls.existingSecret is set, but no key of it",
        ),
        (
            "resources.limits.memory=200Mi",
            "less than the 205 MiB that settings.BUFFER_MAX_IDS (200000)",
        ),
        ("settings.BUFFER_MAX_IDS=5000000", "members would be killed again and again"),
        (r"podLabels.app\.kubernetes\.io/name=x", "pods are found by it"),
        ("extraEnv[0].name=BATCH_MAX_IDS", "extraEnv has BATCH_MAX_IDS, which is the chart's own"),
        ("monitoring.prometheusRule.stuckSeconds=25", "would fire when all is well"),
        ("monitoring.prometheusRule.enabled=true", "else no alert would ever fire"),
        (r"monitoring.prometheusRule.selector=\{app=x\}", "has braces in it"),
        ("settings.HTTP_PORT=null", "missing property 'HTTP_PORT'"),
        ("repicas=3", "additional properties 'repicas' not allowed"),
        ("settings.BATCH_MAX_ID=3", "additional properties 'BATCH_MAX_ID' not allowed"),
        ("settings.BATCH_MAX_IDS=1001", "maximum: got 1,001, want 1,000"),
        ("settings.BATCH_MAX_IDS=many", "got string, want integer"),
        ("settings.CUSTOMERIO_REGION=de", "value must be one of 'us', 'eu'"),
        ("replicas=0", "minimum: got 0, want 1"),
        ("image.digest=sha256:12", "does not match pattern"),
    ],
)
def test_a_wrong_value_is_refused_with_its_reason(options: str, why: str) -> None:
    assert why in fails("default", "--set", options)


def test_an_account_s_rate_that_leaves_nothing_for_a_member_is_refused() -> None:
    wrong = fails("default", "--set-json", "accountRequestsPerSecond=0.001")
    assert "less than a request in 1000 s" in wrong


def test_all_that_contradicts_itself_is_told_at_once() -> None:
    wrong = fails("default", "--set", "settings.HTTP_PORT=80,settings.DRAIN_TIMEOUT_SECONDS=5")
    assert "must be from 1024 on" in wrong
    assert "a drain has to outlast a request" in wrong


# What people read


def commands(page: str, program: str) -> list[list[str]]:
    """Return the words behind a program in a page's blocks for a shell."""
    blocks = "".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    lines = blocks.replace("\\\n", " ").splitlines()
    return [w[1:] for line in lines if (w := shlex.split(line, comments=True))[:1] == [program]]


@pytest.fixture(params=[DEPLOY, CHART], ids=["the guide", "the chart's page"])
def page(request: pytest.FixtureRequest) -> str:
    """Return a page with values and commands."""
    folder: Path = request.param
    return (folder / "README.md").read_text()


@pytest.fixture
def made_of_it(page: str, tmp_path: Path) -> Release:
    """Return what all the page's commands of Helm make of the page's values."""
    least = "image:\n  repository: images.example/segment-consumer\n"
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (values,) = [each for each in blocks if least in each]
    (tmp_path / "my-values.yaml").write_text(values)
    given = ["--values", str(tmp_path / "my-values.yaml"), "--kube-version", KUBERNETES]
    made: list[Manifest] = []
    for command, *options in commands(page, "helm"):
        if command == "upgrade":
            own = {"--install", "--reuse-values", "CHART", "deploy/chart", *given, "my-values.yaml"}
            words = [word for word in options if word not in own]
            result = run(tool("helm"), "template", *words, *given, CHART)
            assert result.returncode == 0, result.stderr
            made += documents(result.stdout)
    return Release(made)


def test_the_commands_of_a_page_are_for_what_its_values_make(
    page: str, made_of_it: Release
) -> None:
    (name,) = {next(w for w in words if w[0] != "-") for _, *words in commands(page, "helm")}
    workload, *_ = made_of_it.all("Deployment")
    assert workload["metadata"]["name"] == name
    pods = [each["spec"]["template"]["metadata"]["labels"] for each in made_of_it.all("Job")]
    secrets = re.findall(r"existingSecret: (\S+)", page)
    for words in commands(page, "kubectl"):
        for word, following in itertools.pairwise([*words, ""]):
            if word.startswith("deployment/"):
                assert word == f"deployment/{name}"
            elif word == "--selector":
                label, _, value = following.partition("=")
                assert [value] == [pod[label] for pod in pods]
            elif word == "generic":
                assert following in secrets
            elif word.startswith("--replicas="):
                assert int(word.partition("=")[2]) in {0, workload["spec"]["replicas"]}


def test_every_value_is_documented_in_the_chart_s_readme() -> None:
    """The table is made of values.yaml: ``python -m tests.deploy.values_table`` writes it."""
    readme = (CHART / "README.md").read_text()
    told = [
        [cell.strip() for cell in row.strip("|").split(" | ")]
        for row in readme.splitlines()
        if row.startswith("| `")
    ]
    assert told == [[f"`{v.path}`", f"`{v.default}`", v.meaning] for v in values()]


def test_every_value_has_a_meaning_and_a_place_in_the_schema() -> None:
    """A value set to null is none: Helm would leave it out, and the templates count on it."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert "settings.KAFKA_TOPICS" in {value.path for value in values()}
    for value in values():
        assert value.meaning.endswith("."), value.path
        here = schema
        for key in value.path.split("."):
            assert key in here["required"], value.path
            here = here["properties"][key]


def test_the_notes_have_the_commands_for_this_release(tmp_path: Path) -> None:
    chart = tmp_path / "chart"
    shutil.copytree(CHART, chart)
    (chart / "templates/NOTES.txt").rename(chart / "files/NOTES.txt")
    (chart / "templates/notes.yaml").write_text(
        "kind: Notes\ntext: {{ tpl (.Files.Get `files/NOTES.txt`) . | toJson }}\n"
    )
    for name in MATRIX:
        code, said, wrong = template(name, chart=chart)
        assert code == 0, wrong
        (notes,) = (each["text"] for each in documents(said) if each["kind"] == "Notes")
        workload = rendered(name).workload
        target = f"{workload['kind'].lower()}/{workload['metadata']['name']}"
        assert f"kubectl --namespace {NAMESPACE} exec {target} -- segment-consumer check" in notes
        assert f"port-forward {target} {rendered(name).settings['HTTP_PORT']}" in notes
        alerts = bool(rendered(name).all("PrometheusRule"))
        assert ("NOBODY IS TOLD" in notes) is not alerts
        jobs = [each["metadata"]["name"] for each in rendered(name).all("Job")]
        assert ("dead letters are replayed" in notes) is bool(jobs)
        assert all(f"logs --follow job/{job}" in notes for job in jobs)


def test_the_chart_s_version_of_the_daemon_is_the_project_s() -> None:
    chart = parsed((CHART / "Chart.yaml").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    assert f'\nversion = "{chart["appVersion"]}"\n' in project
    assert f">=1.{OLDEST}." in chart["kubeVersion"]


def test_the_guide_and_the_runbook_name_only_values_and_metrics_that_exist() -> None:
    known = {value.path for value in values()}
    tops = {path.partition(".")[0] for path in known}
    for page in (DEPLOY / "README.md", DEPLOY / "runbook.md"):
        text = page.read_text()
        for path in re.findall(r"`((?:\w+\.)+\w+)`", text):
            if path.partition(".")[0] in tops:
                assert any(v == path or v.startswith(f"{path}.") for v in known), path
        for path, _ in re.findall(r"--set[ -]?(?:string )?([\w.]+)=(\S*)", text):
            assert any(v == path or path.startswith(f"{v}.") for v in known), path
        metrics = {key[0] for key in initial_snapshot("1").samples}
        for name in re.findall(rf"`{PREFIX}(\w+)", text):
            assert name in metrics, name
