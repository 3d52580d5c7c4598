"""The alerts: each fires when it should and is silent when it should, and says what to do."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from consumer.core.metrics import METRICS, PREFIX
from consumer.core.outcomes import HoldReason
from tests.deploy.chart import parsed, rendered
from tests.deploy.prometheus import LAG_RECORDS, STUCK_SECONDS, noticing_less
from tests.deploy.recording import INTERVAL_SECONDS
from tests.deploy.tools import DEPLOY, PROMETHEUS, run, tool

pytestmark = pytest.mark.long("the deployment")
NEEDS = PROMETHEUS

CASES = Path(__file__).parent / "alerts.yaml"
RECORDED = Path(__file__).parent / "recorded.json"
NOT_PROVOKED = {
    "SegmentConsumerCommitsFailing",
    "SegmentConsumerNothingAccepted",
    "SegmentConsumerPartitionStalled",
    "SegmentConsumerStartedAtEnd",
}
"""Those that no night makes fire: they need a broker that refuses commits and nothing else, a topic
of nothing but junk, half a minute that a minute of a second has not, or a group without offsets
that reads ``latest``. They are tried with made-up series only."""


def rules() -> list[dict[str, Any]]:
    """Return the alerts as the chart renders them."""
    (group,) = rendered("everything").one("PrometheusRule")["spec"]["groups"]
    return list(group["rules"])


def test_the_rules_fire_and_are_silent_when_they_should(tmp_path: Path) -> None:
    """The cases are in alerts.yaml; promtool reads JSON as the YAML that it is."""
    spec = rendered("everything").one("PrometheusRule")["spec"]
    (tmp_path / "rules.json").write_text(json.dumps(spec))
    cases = {"rule_files": ["rules.json"], **parsed(CASES.read_text())}
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    checked = run(tool("promtool"), "check", "rules", tmp_path / "rules.json")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = run(tool("promtool"), "test", "rules", tmp_path / "cases.json")
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_a_recorded_night_makes_the_alerts_fire_that_fired_in_it(tmp_path: Path) -> None:
    """Two real daemons under the faults of test_watched.py, with a minute for each second."""
    recorded = json.loads(RECORDED.read_text())
    spec = noticing_less(
        rendered("everything").one("PrometheusRule")["spec"],
        stuck_seconds=STUCK_SECONDS,
        lag_records=LAG_RECORDS,
    )
    for rule in spec["groups"][0]["rules"]:
        del rule["annotations"]
    case = {
        "interval": f"{INTERVAL_SECONDS}s",
        "input_series": recorded["series"],
        "alert_rule_test": [
            {
                "eval_time": f"{check['seconds']}s",
                "alertname": check["alert"],
                "exp_alerts": [{"exp_labels": labels} for labels in check["firing"]],
            }
            for check in recorded["checks"]
        ],
    }
    cases = {"rule_files": ["rules.json"], "evaluation_interval": "30s", "tests": [case]}
    (tmp_path / "rules.json").write_text(json.dumps(spec))
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    tested = run(tool("promtool"), "test", "rules", tmp_path / "cases.json")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert {check["alert"] for check in recorded["checks"] if check["firing"]} == {
        rule["alert"] for rule in rules()
    } - NOT_PROVOKED


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    told = [each for case in parsed(CASES.read_text())["tests"] for each in case["alert_rule_test"]]
    names = {rule["alert"] for rule in rules()}
    assert {each["alertname"] for each in told if each.get("exp_alerts")} == names
    assert {each["alertname"] for each in told if not each.get("exp_alerts")} == names


@pytest.mark.parametrize("name", ["bare", "everything"])
def test_no_blank_is_left_in_the_rules(name: str) -> None:
    assert "__" not in json.dumps(rendered(name).one("PrometheusRule")["spec"])


def test_the_rules_ask_for_metrics_and_label_values_that_exist() -> None:
    known = {metric.name: metric for metric in METRICS}
    for rule in rules():
        for name, matchers in re.findall(rf"{PREFIX}(\w+)\{{([^}}]*)\}}", rule["expr"]):
            labels = {label.name: label.values for label in known[name].labels}
            asked = re.findall(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"', matchers)
            for label, values in asked:
                if label not in {"namespace", "job"}:
                    assert set(values.split("|")) <= set(labels[label]), rule["alert"]


def test_every_alert_says_how_bad_it_is_and_has_a_section_of_the_runbook() -> None:
    headings = re.findall(r"^## (\w+)$", (DEPLOY / "runbook.md").read_text(), re.MULTILINE)
    assert headings == list(dict.fromkeys(rule["alert"] for rule in rules()))
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
        assert rule["annotations"]["runbook_url"].endswith(f"#{rule['alert'].lower()}")


def test_the_runbook_has_what_to_do_about_each_reason_to_hold() -> None:
    section = (DEPLOY / "runbook.md").read_text().partition("## SegmentConsumerHeld")[2]
    table = section.partition("\n## ")[0]
    assert re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE) == [r.value for r in HoldReason]


def test_the_metrics_of_the_rules_are_in_the_reference() -> None:
    reference = (DEPLOY / "reference.md").read_text()
    for rule in rules():
        for name in re.findall(rf"{PREFIX}(\w+)\{{", rule["expr"]):
            assert f"| `{name}` |" in reference
