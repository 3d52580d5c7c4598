"""The pages say what the code says: tables, commands, names, and links between the pages."""

import ast
import importlib
import json
import re
import socket
import tomllib
from functools import cache
from importlib.metadata import version
from pathlib import Path
from urllib.request import urlopen

import pytest

from consumer import presets, settings
from consumer.__main__ import COMMANDS
from consumer.core.metrics import METRICS
from consumer.settings.librdkafka import RELIED_ON
from tests.brokers.tried import TRIED, table
from tests.support import page_states
from tests.support.command import said_by
from tests.support.kafka_jars import VERSION
from tests.support.mapped import mapping
from tests.test_architecture import MODULES, PURE_ROOMS

ROOT = Path(__file__).resolve().parents[1]
README, REFERENCE, INSIDE = (
    (ROOT / name).read_text() for name in ("README.md", "deploy/reference.md", "consumer/README.md")
)
PAGES = [
    page
    for page in sorted(ROOT.rglob("*.md"))
    if not any(part.startswith(".") for part in page.relative_to(ROOT).parts)
]


def rows(page: str, header: str) -> list[list[str]]:
    """Return the cells of the table that starts with ``header``."""
    table = page[page.index(header) :].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table]


def in_backticks(cell: str) -> list[str]:
    return re.findall(r"`([^`]*)`", cell)


def prose(page: Path) -> str:
    """Return a page without its blocks of code, where nothing is a link or a heading."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return frozenset(re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings)


def test_the_first_page_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_the_settings_table_has_every_variable_with_its_default() -> None:
    told = {
        name: default
        for names, defaults, _ in rows(REFERENCE, "| variable | default | meaning |")
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
            assert default.replace("<hostname>", socket.gethostname()) == str(shown), name
        else:
            assert field.default is None, name


def test_every_mapping_of_the_reference_is_one_and_every_preset_is_named() -> None:
    section = REFERENCE.partition("\n## Mappings\n")[2].partition("\n## ")[0]
    examples = re.findall(r"```toml\n(.*?)```", section, re.DOTALL)
    assert len(examples) == 3
    for example in examples:
        mapping(example, {"vip": 56})
    assert set(presets.NAMES) <= set(in_backticks(section.rpartition("The presets are")[2]))
    (row,) = [row for row in REFERENCE.splitlines() if row.startswith("| `EVENT_MAPPING`")]
    assert set(presets.NAMES) <= set(in_backticks(row))


def test_the_table_of_properties_has_what_the_daemon_relies_on_and_why() -> None:
    table = rows(REFERENCE, "| property | because |")
    assert {in_backticks(names)[0]: why for names, why in table} == RELIED_ON


def test_the_client_library_is_pinned_to_the_version_that_was_tried() -> None:
    """In both places it is the one that is installed here, and tested."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (bounds,) = [each for each in project["dependencies"] if each.startswith("confluent-kafka")]
    installed = version("confluent-kafka")
    major, minor, _ = installed.split(".")
    assert bounds == f"confluent-kafka>={installed},<{major}.{int(minor) + 1}"
    assert f"\nconfluent-kafka=={installed} " in (ROOT / "deploy/requirements.txt").read_text()


def test_the_metrics_table_has_every_metric_with_type_labels_and_meaning() -> None:
    table = rows(REFERENCE, "| metric | type | labels | meaning |")
    told = {name.strip("`"): rest for name, *rest in table}
    assert set(told) == {metric.name for metric in METRICS}
    for metric in METRICS:
        kind, labels, *meaning = told[metric.name]
        assert kind == metric.kind, metric.name
        assert in_backticks(labels) == [label.name for label in metric.labels], metric.name
        for label in metric.labels:
            assert all(value in labels for value in label.values), metric.name
        assert " | ".join(meaning) == metric.help, metric.name


def test_the_table_of_brokers_is_what_came_of_trying_them() -> None:
    assert table() in REFERENCE
    assert TRIED[-1].kafka == VERSION


def test_the_command_table_has_every_command() -> None:
    table = rows(REFERENCE, "| command | does | exits |")
    assert [in_backticks(name)[0].split()[1] for name, *_ in table] == list(COMMANDS)


def test_the_table_of_the_preview_has_every_option() -> None:
    told = [in_backticks(name)[0] for name, _ in rows(REFERENCE, "| option | does |")]
    usage = said_by("preview", "--help").split("\n\n")[0]
    taken = dict.fromkeys(re.findall(r"--[a-z-]+(?: [A-Z]+)?", usage))
    assert sorted(told) == sorted(each for each in taken if each != "--help")


def test_the_log_events_are_those_of_the_code() -> None:
    texts = {
        node.value
        for tree in MODULES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    events = rows(REFERENCE, "| event | level | says |")
    told = {name for names, *_ in events for name in in_backticks(names)}
    assert told <= texts, told - texts
    assert said_in_code() <= told, said_in_code() - told


def said_in_code() -> set[str]:
    """Return the events that calls which log something name."""
    calls = [
        node
        for tree in MODULES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and re.search(r"(^|\W_?)(say|log|tell|end_hard)$|notes\.add$", ast.unparse(node.func))
    ]
    given = {arg.value for call in calls for arg in call.args[:2] if isinstance(arg, ast.Constant)}
    return {each for each in given if isinstance(each, str) and re.fullmatch("[a-z_]+", each)}


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[\[<>=~]", each)[0] for each in project["dependencies"]}
    reasons = rows(REFERENCE, "| package | why |")
    told = {name for names, _ in reasons for name in in_backticks(names)}
    assert told == needed


def test_the_module_table_has_every_module_with_the_first_line_of_its_docstring() -> None:
    """On failure the difference is what to paste."""
    told = INSIDE[INSIDE.index("| module | owns |") :].partition("\n\n")[0].splitlines()[2:]
    expected = [
        f"| `{name}` | {(ast.get_docstring(tree) or '').splitlines()[0].rstrip('.')}"
        f"{' (pure)' if name in PURE_ROOMS else ''} |"
        for name, tree in MODULES.items()
        if name != "__init__"
    ]
    assert told == expected, "the table must be:\n" + "\n".join(expected)


def test_what_the_inside_page_names_exists() -> None:
    tops = {name.partition(".")[0] for name in MODULES}
    for name in re.findall(r"`((?:\w+\.)+\w+)`", INSIDE):
        if name.partition(".")[0] not in tops or name.endswith(".md"):
            continue
        parts = name.split(".")
        module = max((m for m in MODULES if f"{name}.".startswith(f"{m}.")), key=len)
        found: object = importlib.import_module(f"consumer.{module}")
        for part in parts[len(module.split(".")) :]:
            assert hasattr(found, part), name
            found = getattr(found, part)


def test_the_tests_that_a_page_names_exist() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    for page in PAGES:
        for name in re.findall(r"`(test_\w+)`", page.read_text()):
            assert f"def {name}(" in sources, f"{page.name}: {name}"


def test_the_two_commands_stand_alone_in_their_blocks() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    assert blocks[0].strip().endswith("segment-consumer demo")
    assert blocks[1].strip().endswith("pytest")
    assert all(block.count("\n") == 1 for block in blocks[:2])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(page))):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert there.is_relative_to(ROOT), target
        assert not anchor or anchor in anchors(there), target


def test_the_tables_of_the_status_have_its_members() -> None:
    with (
        page_states.serving("stuck-segment") as address,
        urlopen(f"http://{address}/status") as answer,
    ):
        status = json.load(answer)
    with page_states.serving("held") as address, urlopen(f"http://{address}/status") as answer:
        held = json.load(answer)
    text = (ROOT / "deploy" / "reference.md").read_text()
    blocked_by = next(each["blocked_by"] for each in status["partitions"] if each["blocked_by"])
    parts = {
        "holds": held["holds"][0],
        "partitions": status["partitions"][0],
        "partitions[].blocked_by": blocked_by,
        "segments": status["segments"][0],
        "api": status["api"],
    }
    for name, part in parts.items():
        members = ", ".join(f"`{member}`" for member in part)
        assert f"| `{name}` | {members} |" in text
    for name in status.keys() - parts.keys():
        assert f"`{name}`" in text
