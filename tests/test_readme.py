"""The README's tables and commands are those of the code."""

import ast
import re
from pathlib import Path

import pytest

from consumer import settings
from consumer.__main__ import COMMANDS
from consumer.core.metrics import METRICS
from consumer.core.outcomes import HoldReason
from tests.test_architecture import MODULES, PURE_ROOMS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def rows(header: str) -> list[list[str]]:
    """Return the cells of the table that starts with ``header``."""
    table = README[README.index(header) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table]


def in_backticks(cell: str) -> list[str]:
    return re.findall(r"`([^`]*)`", cell)


def test_the_settings_table_has_every_variable_with_its_default() -> None:
    told = {
        name: default
        for names, defaults, _ in rows("| variable | default | meaning |")
        for name, default in zip(
            in_backticks(names),
            in_backticks(defaults) or [defaults] * len(in_backticks(names)),
            strict=True,
        )
    }
    assert set(told) == set(settings.VARIABLES)
    for name, default in told.items():
        field = settings.Settings.model_fields[name.lower()]
        if field.is_required():
            assert default == "required", name
        elif default not in {"none", "by region"}:
            value = field.get_default(call_default_factory=True)
            shown = {True: "{}"}.get(value == {}, f"{value:g}" if type(value) is float else value)
            assert default == str(shown), name
        else:
            assert field.default is None, name


def test_the_metrics_table_has_every_metric_with_type_labels_and_meaning() -> None:
    told = {name.strip("`"): rest for name, *rest in rows("| metric | type | labels | meaning |")}
    assert set(told) == {metric.name for metric in METRICS}
    for metric in METRICS:
        kind, labels, *meaning = told[metric.name]
        assert kind == metric.kind, metric.name
        assert in_backticks(labels) == [label.name for label in metric.labels], metric.name
        for label in metric.labels:
            assert all(value in labels for value in label.values), metric.name
        assert " | ".join(meaning) == metric.help, metric.name


def test_the_module_table_has_every_module_with_the_first_line_of_its_docstring() -> None:
    told = {in_backticks(name)[0]: line for name, line in rows("| module | owns |")}
    assert set(told) == MODULES.keys() - {"__init__"}
    for name, line in told.items():
        docstring = ast.get_docstring(MODULES[name]) or ""
        pure = " (pure)" if name in PURE_ROOMS else ""
        assert line == docstring.splitlines()[0].rstrip(".") + pure, name


def test_the_command_table_has_every_command() -> None:
    told = [in_backticks(name)[0].split()[1] for name, *_ in rows("| command | does | exits |")]
    assert told == list(COMMANDS)


@pytest.mark.parametrize("reason", [reason.value for reason in HoldReason])
def test_every_hold_is_explained(reason: str) -> None:
    assert f'hold{{reason="{reason}"}}' in README


def test_the_two_commands_stand_alone_in_their_blocks() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    assert blocks[0].strip().endswith("segment-consumer demo")
    assert blocks[1].strip().endswith("pytest")
    assert all(block.count("\n") == 1 for block in blocks[:2])
