"""The chart with the values of five platforms, as their teams write them: ``platforms/*.yaml``."""

import json
from pathlib import Path

import pytest

from consumer import settings
from tests.deploy.chart import Release, parsed, rendered, template
from tests.deploy.tools import CHART, HELM, module, run, tool
from tests.support.certificates import Authority

pytestmark = pytest.mark.long("the deployment")
NEEDS = (*HELM, "kubernetes-validate")

FILES = {path.stem: path for path in sorted((Path(__file__).parent / "platforms").glob("*.yaml"))}
KUBERNETES = "1.34"
CREDENTIALS = ("CUSTOMERIO_SITE_ID", "CUSTOMERIO_API_KEY")


def released(name: str) -> Release:
    """Return what the chart makes of a platform's values."""
    return rendered(str(FILES[name]))


def ports(release: Release) -> set[int]:
    """Return the ports that members may go out to."""
    rules = release.one("NetworkPolicy")["spec"]["egress"]
    return {each["port"] for rule in rules for each in rule.get("ports", [])}


def both_pods(release: Release) -> list[dict[str, dict[str, str]]]:
    """Return the metadata of a member's pod and of the test's."""
    return [each["metadata"] for each in (release.workload["spec"]["template"], release.one("Pod"))]


def test_there_are_five() -> None:
    assert len(FILES) >= 5


@pytest.mark.parametrize("name", FILES)
def test_helm_and_kubernetes_take_it(name: str) -> None:
    options = ("--kube-version", f"{KUBERNETES}.0", "--values", FILES[name])
    linted = run(tool("helm"), "lint", "--strict", CHART, *options)
    assert linted.returncode == 0, linted.stdout
    for manifest in (released(name).workload, released(name).one("Pod")):
        module("kubernetes-validate").validate(manifest, KUBERNETES, strict=True)


@pytest.mark.parametrize("name", FILES)
def test_the_daemon_takes_what_it_becomes(name: str, tmp_path: Path) -> None:
    release = released(name)
    folder = tmp_path / "secrets"
    folder.mkdir()
    issued = Authority(tmp_path / "authority").issue("client")
    brought: tuple[str, ...] = () if "CUSTOMERIO_API_KEY" in release.projected else CREDENTIALS
    if (
        release.settings.get("KAFKA_SASL_MECHANISM")
        and "KAFKA_SASL_PASSWORD" not in release.projected
    ):
        brought += ("KAFKA_SASL_PASSWORD",)
    for path in (*release.projected, *brought):
        pem = issued.key if "key" in path else issued.certificate
        (folder / path).write_text(pem if path.endswith(".pem") else "a-secret")
    directory = release.settings["SECRETS_DIR"]
    given = {key: text.replace(directory, str(folder)) for key, text in release.settings.items()}
    given |= {each["name"]: each["value"] for each in release.container.get("env", [])}
    loaded = settings.load(given)
    assert not loaded.warnings
    assert loaded.customerio_api_key.get_secret_value() == "a-secret"


@pytest.mark.parametrize("name", FILES)
def test_no_secret_is_in_the_release(name: str) -> None:
    assert not released(name).all("Secret")
    assert settings.SECRETS & released(name).settings.keys() <= {"KAFKA_CONFIG"}


def test_openshift_chooses_the_user_and_answers_names_at_its_own_port() -> None:
    release = released("openshift-strimzi")
    for pod in (release.pod, release.one("Pod")["spec"]):
        assert pod["securityContext"].keys() == {"runAsNonRoot", "seccompProfile"}
    assert {5353, 9093, 443} <= ports(release)


def test_eks_gives_the_role_to_the_account_and_goes_out_by_the_proxy() -> None:
    release = released("eks-msk")
    account = release.one("ServiceAccount")["metadata"]
    assert account["annotations"]["eks.amazonaws.com/role-arn"].endswith(":role/segment-consumer")
    assert release.pod["serviceAccountName"] == account["name"]
    assert {9096, 3128} <= ports(release)
    assert release.pod["nodeSelector"]["kubernetes.io/arch"] == "arm64"


def test_gke_autopilot_has_requests_that_are_the_limits_and_the_registry_is_let_out() -> None:
    release = released("gke-confluent")
    assert release.container["resources"]["requests"] == release.container["resources"]["limits"]
    assert {9092, 443} <= ports(release)
    assert release.settings["KAFKA_GROUP_PROTOCOL"] == "consumer"


def test_event_hubs_have_their_odd_user_and_both_pods_the_workload_s_identity() -> None:
    release = released("aks-event-hubs")
    assert release.settings["KAFKA_SASL_USERNAME"] == "$ConnectionString"
    assert json.loads(release.settings["KAFKA_CONFIG"])["connections.max.idle.ms"] == 180_000
    for metadata in both_pods(release):
        assert metadata["labels"]["azure.workload.identity/use"] == "true"
    assert 9093 in ports(release)


def test_a_mesh_has_its_words_on_both_pods_and_its_ports_open() -> None:
    release = released("istio-argocd")
    for metadata in both_pods(release):
        assert metadata["annotations"]["sidecar.istio.io/nativeSidecar"] == "true"
        assert metadata["labels"]["cost-centre"] == "42"
    assert {15012, 9094} <= ports(release)
    assert "argocd.argoproj.io/sync-wave" in release.workload["metadata"]["annotations"]
    (parameter,) = release.one("TriggerAuthentication")["spec"]["configMapTargetRef"]
    assert parameter == {"parameter": "ca", "name": "company-ca", "key": "ca-bundle.pem"}


def test_what_the_chart_does_not_know_is_refused_for_a_platform_too(tmp_path: Path) -> None:
    given = parsed(FILES["eks-msk"].read_text())
    given["serviceAccount"]["anotations"] = {}
    (tmp_path / "values.yaml").write_text(module("PyYAML").safe_dump(given))
    code, _, wrong = template(str(tmp_path / "values.yaml"))
    assert code != 0
    assert "anotations" in wrong
