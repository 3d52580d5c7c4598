"""What platform teams ask of a chart: umbrellas, meshes, OpenShift, labels, alerts one by one."""

import itertools
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from consumer.settings import Settings
from tests.deploy.chart import (
    KUBERNETES,
    MATRIX,
    Manifest,
    Release,
    documents,
    fails,
    parsed,
    rendered,
    template,
)
from tests.deploy.tools import CHART, HELM, module, run, tool

pytestmark = pytest.mark.long("the deployment")
NEEDS = (*HELM, "kubernetes-validate")

SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def pods(release: Release) -> list[Manifest]:
    """Return both pods: with metadata and spec."""
    return [release.workload["spec"]["template"], release.one("Pod")]


def validated(release: Release) -> Release:
    """Return the release, if Kubernetes' schemas take its pods."""
    for manifest in (release.workload, release.one("Pod")):
        module("kubernetes-validate").validate(manifest, "1.34", strict=True)
    return release


def as_json(**values: object) -> tuple[str, ...]:
    """Return options that set these values."""
    return tuple(w for name, v in values.items() for w in ("--set-json", f"{name}={json.dumps(v)}"))


# Umbrella charts


@pytest.mark.parametrize("name", MATRIX)
def test_switched_off_there_is_nothing(name: str) -> None:
    code, said, wrong = template(name, "--set", "enabled=false")
    assert code == 0, wrong
    assert not documents(said)


def test_an_umbrella_chart_switches_it_on_and_off_and_overrides_it(tmp_path: Path) -> None:
    umbrella = tmp_path / "umbrella"
    shutil.copytree(CHART, umbrella / "charts/segment-consumer")
    version = parsed((CHART / "Chart.yaml").read_text())["version"]
    dependency = f"version: {version}, condition: segment-consumer.enabled"
    (umbrella / "Chart.yaml").write_text(
        f"apiVersion: v2\nname: umbrella\nversion: 1.0.0\n"
        f"dependencies:\n  - {{name: segment-consumer, {dependency}}}\n"
    )
    given = (CHART / "ci/default-values.yaml").read_text()
    openshift = "podSecurityContext: {runAsUser: null, runAsGroup: null, fsGroup: null}"
    text = "\n".join(f"  {line}" for line in (*given.splitlines(), openshift))
    (umbrella / "values.yaml").write_text(f"global: {{a: b}}\nsegment-consumer:\n{text}\n")
    off = ("--set", "segment-consumer.enabled=false")
    for options in ((), off):
        result = run(
            tool("helm"), "template", "r", umbrella, "--kube-version", KUBERNETES, *options
        )
        assert result.returncode == 0, result.stderr
        release = Release(documents(result.stdout))
        assert bool(release.manifests) is (options == ())
        if release.manifests:
            assert release.pod["securityContext"].keys() == {"runAsNonRoot", "seccompProfile"}


# Labels and annotations


@pytest.mark.parametrize("name", MATRIX)
def test_common_labels_are_on_everything_and_select_nothing(name: str) -> None:
    release = rendered(name, *as_json(commonLabels={"cost-centre": "42", "team": "x"}))
    for manifest in (*release.manifests, *pods(release)):
        assert manifest["metadata"]["labels"]["cost-centre"] == "42", manifest.get("kind")
    selecting = [release.workload["spec"]["selector"], release.pod]
    for kind in ("NetworkPolicy", "PodDisruptionBudget", "PodMonitor", "Service"):
        selecting += [each["spec"] for each in release.all(kind)]
    assert "cost-centre" not in json.dumps(selecting)


def test_annotations_of_the_workload_and_of_both_pods() -> None:
    release = rendered(
        "default",
        *as_json(
            workloadAnnotations={"reloader.stakater.com/auto": "true"},
            podAnnotations={"example.com/owner": "x", "example.com/of": "both"},
            podLabels={"azure.workload.identity/use": "true"},
            testPod={"podAnnotations": {"example.com/of": "test"}},
        ),
    )
    assert release.workload["metadata"]["annotations"] == {"reloader.stakater.com/auto": "true"}
    member, check = (each["metadata"] for each in pods(release))
    assert "reloader.stakater.com/auto" not in member["annotations"]
    assert member["annotations"]["example.com/of"] == "both"
    assert check["annotations"]["example.com/of"] == "test"
    assert check["annotations"]["helm.sh/hook"] == "test"
    for each in (member, check):
        assert each["annotations"]["example.com/owner"] == "x"
        assert each["labels"]["azure.workload.identity/use"] == "true"


@pytest.mark.parametrize("name", MATRIX)
def test_labels_and_annotations_that_are_no_text_become_text(name: str) -> None:
    """``--set`` makes numbers and booleans of what looks like them."""
    odd = {"n": 1000000, "d": 1.5, "yes": True, "no": False, "text": "1", "none": ""}
    text = {"n": "1000000", "d": "1.5", "yes": "true", "no": "false", "text": "1", "none": ""}
    metadata = (
        *("commonLabels", "podLabels", "podAnnotations", "workloadAnnotations", "nodeSelector"),
        *("serviceAccount.annotations", "testPod.podAnnotations"),
        *("replay.annotations", "replay.podAnnotations"),
        *("monitoring.podMonitor.labels", "monitoring.prometheusRule.labels"),
        *("monitoring.dashboard.labels", "monitoring.dashboard.annotations"),
        "monitoring.prometheusRule.additionalRuleLabels",
    )
    release = rendered(name, *as_json(**dict.fromkeys(metadata, odd)))
    assert release.manifests == rendered(name, *as_json(**dict.fromkeys(metadata, text))).manifests
    assert release.pod["nodeSelector"].items() >= text.items()


@pytest.mark.parametrize("value", ["commonLabels", "podLabels"])
def test_labels_that_select_are_refused_and_others_of_kubernetes_are_not(value: str) -> None:
    for label in ("app.kubernetes.io/name", "app.kubernetes.io/component", "helm.sh/chart"):
        assert "pods are found by it" in fails("default", *as_json(**{value: {label: "x"}}))
    release = rendered("default", *as_json(**{value: {"app.kubernetes.io/part-of": "audiences"}}))
    for each in pods(release):
        assert each["metadata"]["labels"]["app.kubernetes.io/part-of"] == "audiences"


def test_no_key_is_there_twice_whatever_is_added() -> None:
    """What is read is read strictly: a key that is there twice fails any test."""
    spread = {
        "topologyKey": "zone",
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"a": "b"}},
        "matchLabelKeys": ["c"],
    }
    ours = {"app.kubernetes.io/name": "mine", "helm.sh/chart": "mine"}
    release = rendered(
        "everything",
        *as_json(
            podAnnotations={"checksum/settings": "mine", "prometheus.io/scrape": "false"},
            commonLabels={"team": "x", "release": "x", "grafana_dashboard": "0"},
            topologySpreadConstraints=[spread],
            **{
                f"monitoring.{each}.labels": ours
                for each in ("podMonitor", "prometheusRule", "dashboard")
            },
        ),
        *("--set", "monitoring.podMonitor.enabled=true"),
    )
    assert release.workload["spec"]["template"]["metadata"]["labels"]["team"] == "audiences"
    assert release.one("PodMonitor")["metadata"]["labels"]["helm.sh/chart"] == "mine"
    (constraint,) = release.pod["topologySpreadConstraints"]
    assert constraint["matchLabelKeys"] == ["c"]
    scraped = rendered("default", *as_json(podAnnotations={"prometheus.io/scrape": "false"}))
    annotations = scraped.workload["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/scrape"] == "false"


def test_a_key_that_is_there_twice_is_noticed() -> None:
    with pytest.raises(AssertionError, match="twice"):
        parsed("a: {b: 1, b: 2}")


def test_modes_are_read_alike_by_parsers_of_every_yaml() -> None:
    """YAML 1.2 takes 0440 for 440."""
    for path in CHART.glob("templates/**/*"):
        if path.is_file():
            assert not re.search(r"^\s*\w+: 0\d", path.read_text(), re.MULTILINE), path


# Pods


def test_pods_have_what_a_platform_adds_and_the_test_pod_what_lets_it_end() -> None:
    mesh: list[Manifest] = [{"name": "mesh", "image": "mesh:1", "restartPolicy": "Always"}]
    release = validated(
        rendered(
            "default",
            *as_json(
                initContainers=mesh,
                extraContainers=[{"name": "beside", "image": "beside:1"}],
                hostAliases=[{"ip": "10.0.0.1", "hostnames": ["kafka-1"]}],
                dnsPolicy="None",
                dnsConfig={"nameservers": ["10.0.0.2"]},
                priorityClassName="high",
            ),
        )
    )
    for each in pods(release):
        spec = each["spec"]
        assert spec["initContainers"] == mesh
        assert spec["hostAliases"] == [{"ip": "10.0.0.1", "hostnames": ["kafka-1"]}]
        assert spec["dnsPolicy"] == "None"
        assert spec["dnsConfig"] == {"nameservers": ["10.0.0.2"]}
        assert spec["priorityClassName"] == "high"
    member, check = ([c["name"] for c in each["spec"]["containers"]] for each in pods(release))
    assert member == ["segment-consumer", "beside"], (
        "tools take the first for the one that is meant"
    )
    annotations = pods(release)[0]["metadata"]["annotations"]
    assert annotations["kubectl.kubernetes.io/default-container"] == "segment-consumer"
    assert check == ["check"], "one that never ends would keep the test from ending"


def test_a_native_sidecar_takes_a_kubernetes_that_knows_them() -> None:
    def said(kubernetes: str, **more: str) -> str:
        container = {"name": "mesh", "image": "mesh:1", **more}
        return template("default", *as_json(initContainers=[container]), kubernetes=kubernetes)[2]

    assert "which Kubernetes knows from 1.29 on" in said("1.28.9", restartPolicy="Always")
    assert not said("1.29.0", restartPolicy="Always")
    assert not said("1.28.9")


def test_names_of_the_chart_s_volumes_are_its_own() -> None:
    wrong = fails("default", *as_json(extraVolumes=[{"name": "secrets", "emptyDir": {}}]))
    assert "extraVolumes has secrets, which is the chart's own name" in wrong


def test_security_contexts_can_be_overridden_and_emptied() -> None:
    """OpenShift's restricted-v2 chooses users and groups, and refuses those that are chosen."""
    ids = dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"))
    release = rendered(
        "default", *as_json(podSecurityContext=ids, securityContext={"runAsUser": 7})
    )
    for each in pods(release):
        assert each["spec"]["securityContext"].keys() == {"runAsNonRoot", "seccompProfile"}
        for container in each["spec"]["containers"]:
            assert container["securityContext"]["runAsUser"] == 7
            assert container["securityContext"]["readOnlyRootFilesystem"] is True


# Alerts and dashboards


def alerts(*options: str) -> list[Manifest]:
    (group,) = rendered("everything", *options).one("PrometheusRule")["spec"]["groups"]
    return list(group["rules"])


def test_alerts_can_be_labelled_together_and_changed_and_switched_off_one_by_one() -> None:
    held = "SegmentConsumerHeld"
    prefix = "monitoring.prometheusRule"
    found = alerts(
        *as_json(
            **{
                f"{prefix}.additionalRuleLabels": {"team": "audiences", "tier": "2"},
                f"{prefix}.customRules": {held: {"for": "9m", "labels": {"severity": "page"}}},
                f"{prefix}.disabled": {
                    "SegmentConsumerNotScraped": True,
                    "SegmentConsumerStuck": False,
                },
            }
        )
    )
    before = {rule["alert"]: rule for rule in alerts()}
    assert {r["alert"] for r in found} == before.keys() - {"SegmentConsumerNotScraped"}
    for rule in found:
        assert rule["labels"]["team"] == "audiences"
        changed = rule["alert"] == held
        assert rule["labels"]["severity"] == (
            "page" if changed else before[rule["alert"]]["labels"]["severity"]
        )
        assert rule.get("for") == ("9m" if changed else before[rule["alert"]].get("for"))


@pytest.mark.parametrize("value", ["disabled", "customRules"])
def test_an_alert_that_there_is_not_can_not_be_changed(value: str) -> None:
    names = {rule["alert"] for rule in alerts()}
    rule = SCHEMA["properties"]["monitoring"]["properties"]["prometheusRule"]
    assert set(rule["properties"][value]["propertyNames"]["enum"]) == names
    wrong = fails("default", *as_json(**{f"monitoring.prometheusRule.{value}": {"Hold": {}}}))
    assert "Hold" in wrong


def test_each_release_has_a_dashboard_of_its_own() -> None:
    def dashboard(*options: str) -> Any:  # noqa: ANN401 - Grafana's JSON
        maps = rendered("everything", *options).all("ConfigMap")
        (found,) = [each for each in maps if each["metadata"]["name"].endswith("-dashboard")]
        (text,) = found["data"].values()
        return json.loads(text)

    plain, other = dashboard(), dashboard("--set", "fullnameOverride=other")
    elsewhere = dashboard("--namespace", "elsewhere")
    uids = {each["uid"] for each in (plain, other, elsewhere)}
    assert len(uids) == len({each["title"] for each in (plain, other, elsewhere)}) == 3
    assert all(re.fullmatch(r"[\w-]{1,40}", uid) for uid in uids), "what Grafana takes"
    assert dashboard("--set", "monitoring.dashboard.uid=mine")["uid"] == "mine"
    kept = ("panels", "templating")
    written = json.loads((CHART / "files/dashboard.json").read_text())
    assert [plain[key] for key in kept] == [written[key] for key in kept]


# The network


def egress(*options: str) -> list[list[int]]:
    policy = rendered("default", *options).one("NetworkPolicy")
    return [[each["port"] for each in rule["ports"]] for rule in policy["spec"]["egress"]]


@pytest.mark.parametrize(
    ("variables", "ports"),
    [
        ({"HTTPS_PROXY": "http://proxy:3128"}, [3128]),
        ({"https_proxy": "proxy"}, [80]),
        ({"HTTPS_PROXY": "https://user:word@proxy", "ALL_PROXY": "http://p:81/"}, [443, 81]),
        ({"HTTP_PROXY": "http://p:81", "HTTPS_PROXY": "http://p:81"}, [81]),
        ({"NO_PROXY": "kafka"}, None),
    ],
)
def test_proxies_are_let_through(variables: dict[str, str], ports: list[int] | None) -> None:
    env = [{"name": name, "value": value} for name, value in variables.items()]
    assert egress(*as_json(extraEnv=env)) == [[53, 53], [9092], [443], *([ports] if ports else [])]


def test_a_proxy_that_the_chart_does_not_see_takes_a_rule_of_yours() -> None:
    key = {"secretKeyRef": {"name": "proxy", "key": "url"}}
    hidden = as_json(extraEnv=[{"name": "HTTPS_PROXY", "valueFrom": key}])
    assert "say it in networkPolicy.extraEgress" in fails("default", *hidden)
    rule = as_json(**{"networkPolicy.extraEgress": [{"ports": [{"port": 3128}]}]})
    assert egress(*hidden, *rule)[-1] == [3128]


# Numbers and words


DECIMALS = [
    *(
        f"settings.{name}"
        for name, each in SCHEMA["properties"]["settings"]["properties"].items()
        if any(variant.get("type") == "number" for variant in each.get("anyOf", ()))
    ),
    "accountRequestsPerSecond",
    "monitoring.prometheusRule.stuckSeconds",
]


def test_there_are_decimals() -> None:
    floats = [name.upper() for name, f in Settings.model_fields.items() if f.annotation is float]
    assert {name for name in floats if name.endswith("_SECONDS")} <= {
        name.removeprefix("settings.") for name in DECIMALS
    }


@pytest.mark.parametrize("name", ["default", "everything"])
def test_decimals_may_be_text_and_are_the_same(name: str) -> None:
    """``--set`` makes text of a decimal, and a number of an integer."""
    numbers = {
        "settings.CUSTOMERIO_TIMEOUT_SECONDS": 7.25,
        "settings.DRAIN_TIMEOUT_SECONDS": 24.5,
        "settings.BATCH_LINGER_SECONDS": 0.5,
        "settings.KAFKA_SESSION_TIMEOUT_SECONDS": 40.5,
        "settings.RETRY_MAX_BACKOFF_SECONDS": 30.5,
        "settings.COMMIT_INTERVAL_SECONDS": 0.25,
        "settings.LIVENESS_TIMEOUT_SECONDS": 30.5,
        "settings.CUSTOMERIO_REQUESTS_PER_SECOND": 2.5,
        "accountRequestsPerSecond": 99.5,
        "monitoring.prometheusRule.stuckSeconds": 120.5,
    }
    assert set(numbers) == set(DECIMALS)
    as_text = [word for key, number in numbers.items() for word in ("--set", f"{key}={number}")]
    assert rendered(name, *as_text).manifests == rendered(name, *as_json(**numbers)).manifests


@pytest.mark.parametrize("name", DECIMALS)
def test_a_decimal_as_text_has_the_bounds_of_a_number(name: str) -> None:
    here = SCHEMA
    for key in name.split("."):
        here = here["properties"][key]
    number = next(each for each in here["anyOf"] if each.get("type") == "number")
    bad = ["x", "-1", "1e3", "."]
    bad += ["0", "0.0"] if "exclusiveMinimum" in number else []
    bad += [str(number["minimum"] - 0.5)] if number.get("minimum") else []
    for text in bad:
        fails("default", "--set-string", f"{name}={text}")
    if most := number.get("maximum"):
        wrong = fails("default", "--set-string", f"{name}={most + 0.5}")
        assert f"{name} ({most + 0.5}) must be at most {most}" in wrong


WORDS = {
    name: next(v["enum"] for v in each["anyOf"] if "enum" in v)
    for name, each in SCHEMA["properties"]["settings"]["properties"].items()
    if "enum" in json.dumps(each)
}


def test_words_may_be_in_any_case_and_are_the_same() -> None:
    """The pattern beside the words takes them in any case, and nothing else."""
    for name, words in WORDS.items():
        each = SCHEMA["properties"]["settings"]["properties"][name]
        (pattern,) = (v["pattern"] for v in each["anyOf"] if "pattern" in v)
        for word in words:
            for text in (word, word.upper(), word.capitalize(), word.swapcase()):
                assert re.fullmatch(pattern, text), (name, text)
            for text in (f"{word}x", f"x{word}"):
                assert not re.fullmatch(pattern, text), (name, text)


@pytest.mark.parametrize("name", MATRIX)
def test_the_chart_does_the_same_for_words_in_any_case(name: str) -> None:
    latest = ("--set", "settings.KAFKA_AUTO_OFFSET_RESET=latest")
    before = rendered(name, *latest)
    odd = {
        f"settings.{key}": before.settings[key].swapcase()
        for key in WORDS
        if key in before.settings
    }
    after = rendered(name, *as_json(**odd))
    for one, other in itertools.zip_longest(before.manifests, after.manifests):
        text = json.dumps(one) if one["kind"] != "ConfigMap" else json.dumps(one).lower()
        same = json.dumps(other) if other["kind"] != "ConfigMap" else json.dumps(other).lower()
        checksum = r'"checksum/settings": "\w+"'
        assert re.sub(checksum, "", text) == re.sub(checksum, "", same)


def test_words_that_contradict_are_refused_in_any_case() -> None:
    loud = "settings.KAFKA_SECURITY_PROTOCOL=SASL_SSL"
    assert "say how to log in" in fails("default", "--set", loud)
    plain = f"{loud},settings.KAFKA_SASL_MECHANISM=plain"
    assert "PLAIN needs a user" in fails("default", "--set", plain)
    long = "settings.KAFKA_GROUP_PROTOCOL=Classic,settings.KAFKA_SESSION_TIMEOUT_SECONDS=301"
    assert "must be at most max.poll.interval.ms" in fails("default", "--set", long)
    registry = "settings.EVENT_FORMAT=Schema-Registry"
    assert "say where the registry is" in fails("default", "--set", registry)
    scaled = f"autoscaling.enabled=true,autoscaling.partitions=4,{loud}"
    kerberos = fails("default", "--set", f"{scaled},settings.KAFKA_SASL_MECHANISM=gssapi")
    assert "bring a ScaledObject of your own" in kerberos


# The chart by itself


def test_what_is_published_refers_to_nothing_that_is_not_in_it(tmp_path: Path) -> None:
    """``helm package`` leaves out what .helmignore names; the repository is not there at all."""
    result = run(tool("helm"), "package", CHART, "--destination", tmp_path)
    assert result.returncode == 0, result.stderr
    (package,) = tmp_path.glob("*.tgz")
    shutil.unpack_archive(package, tmp_path / "out")
    published = [each for each in (tmp_path / "out").rglob("*") if each.is_file()]
    names = {each.name for each in published}
    assert {"README.md", "values.schema.json", "alerts.yaml"} <= names
    assert not any("values" in name and name.startswith("default") for name in names)
    for path in published:
        text = path.read_text()
        assert not re.search(r"deploy/|tests/|tests\.|\.\./|runbook\.md|reference\.md", text), path
        for target in re.findall(r"\]\(([^)#]+)\)", text) if path.suffix == ".md" else ():
            assert target.startswith("https://") or (path.parent / target).exists(), target


def test_the_readme_has_every_alert_and_how_bad_it_is() -> None:
    section = (CHART / "README.md").read_text().partition("## Alerts")[2].partition("\n## ")[0]
    told = re.findall(r"^\| (Segment\w+) \| ([\w, ]+) \|", section, re.MULTILINE)
    found: dict[str, list[str]] = {}
    for rule in parsed((CHART / "files/alerts.yaml").read_text())["groups"][0]["rules"]:
        found.setdefault(rule["alert"], []).append(rule["labels"]["severity"])
    assert told == [(name, ", ".join(severities)) for name, severities in found.items()]


def test_artifact_hub_takes_the_chart_s_annotations() -> None:
    """As in https://artifacthub.io/docs/topics/annotations/helm ."""
    chart = parsed((CHART / "Chart.yaml").read_text())
    annotations = chart["annotations"]
    assert all(isinstance(value, str) for value in annotations.values())
    assert annotations["artifacthub.io/category"] == "streaming-messaging"
    assert annotations["artifacthub.io/operator"] == "false"
    assert (
        annotations["artifacthub.io/prerelease"] == str(chart["version"].startswith("0.")).lower()
    )
    for change in parsed(annotations["artifacthub.io/changes"]):
        assert change.keys() == {"kind", "description"}
        assert change["kind"] in {"added", "changed", "deprecated", "removed", "fixed", "security"}
    for name in ("links", "recommendations"):
        for each in parsed(annotations[f"artifacthub.io/{name}"]):
            assert each["url"].startswith("https://")
    assert chart["keywords"]
