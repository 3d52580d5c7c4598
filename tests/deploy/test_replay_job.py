"""The chart's Job that replays dead letters: where the members' settings and secrets are."""

from typing import Any

import pytest

from consumer import __main__
from tests.deploy.chart import MATRIX, Release, fails, rendered
from tests.deploy.tools import HELM

pytestmark = pytest.mark.long("the deployment")
NEEDS = HELM

ON = ("--set", "replay.enabled=true")


def container_of(release: Release) -> dict[str, Any]:
    """Return the Job's only container."""
    (found,) = release.one("Job")["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_there_is_none_unless_it_is_asked_for() -> None:
    assert not rendered("default").all("Job")
    assert not rendered("default", *ON, "--set", "enabled=false").all("Job")


@pytest.mark.parametrize("name", MATRIX)
def test_it_runs_as_a_member_does_and_serves_nothing(name: str) -> None:
    release = rendered(name, *ON)
    job, member = container_of(release), release.container
    own = ("args", "name", "ports", "env", "startupProbe", "livenessProbe", "readinessProbe")
    assert {k: v for k, v in job.items() if k not in own} == {
        k: v for k, v in member.items() if k not in own
    }
    assert "ports" not in job
    names = [each["name"] for each in job.get("env", [])]
    assert "KAFKA_GROUP_INSTANCE_ID" not in names, "it would be a member's name"
    pod = release.one("Job")["spec"]["template"]["spec"]
    same = [key for key in release.pod if key not in {"containers", "topologySpreadConstraints"}]
    assert {key: pod[key] for key in same} == {key: release.pod[key] for key in same}


def test_nothing_takes_it_for_a_member() -> None:
    release = rendered("everything")
    labels = release.one("Job")["spec"]["template"]["metadata"]["labels"]
    for selector in (
        release.workload["spec"]["selector"]["matchLabels"],
        release.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ):
        assert not selector.items() <= labels.items()
    policy = release.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    assert policy.items() <= labels.items(), "it reaches what they reach"


def test_it_is_not_tried_again_but_where_its_node_went() -> None:
    spec = rendered("everything").one("Job")["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    (rule,) = spec["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert (spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (3600, 86_400)
    bare = rendered("default", *ON).one("Job")["spec"]
    assert not {"activeDeadlineSeconds", "ttlSecondsAfterFinished"} & bare.keys()


def test_each_run_has_a_name_of_its_own() -> None:
    """For a Job can't be changed."""
    long = f"fullnameOverride={'n' * 52}"

    def name(*options: str) -> str:
        return str(rendered("default", *ON, *options).one("Job")["metadata"]["name"])

    assert name() == "release-segment-consumer-replay-1", "the revision"
    assert name("--set", "replay.run=2") == "release-segment-consumer-replay-2"
    longest = name("--set", long, "--set", f"replay.run={'x' * 30}")
    assert longest.endswith(f"-replay-{'x' * 30}")
    assert len(longest) <= 63
    assert "replay/run" in fails("default", *ON, "--set", "replay.run=Not_A_Name").replace(".", "/")


def test_its_arguments_are_the_command_s() -> None:
    args = container_of(rendered("everything"))["args"]
    assert args == ["replay", "--segment", "56", "--max-replays", "5", "--rate", "2.5"]
    chosen = __main__._parser().parse_args(args)  # noqa: SLF001 - nothing is run
    assert (chosen.segments, chosen.max_replays, chosen.rate) == ([56], 5, 2.5)
    assert container_of(rendered("default", *ON))["args"] == ["replay"]
    many = rendered("default", *ON, "--set", "replay.args={--segment,1000000000}")
    assert container_of(many)["args"] == ["replay", "--segment", "1000000000"]
