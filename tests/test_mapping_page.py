"""The page about mappings: each of its examples is run, and says what stands there."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.cluster import Record
from tests.support.daemon import Daemon
from tests.support.registry import Registry, Served
from tests.test_avro import written

if TYPE_CHECKING:
    from tests.support.kafka import Broker

PAGE = (Path(__file__).resolve().parents[1] / "deploy/mapping.md").read_text()
PATIENCE_SECONDS = 60
TOPIC = "memberships"
MEMBERSHIPS = [
    {"audience": {"number": 56}, "change": "JOINED", "members": ["ann"]},
    {"audience": {"number": 56}, "change": "JOINED", "members": ["bob", "eve", "kim"]},
    {"audience": {"number": 57}, "change": "LEFT", "members": ["ann"]},
]


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def blocks(title: str, kind: str) -> list[str]:
    found = re.finditer(rf"```{kind}\n(.*?)```", section(title), re.DOTALL)
    return [str(each[1]) for each in found]


def arguments_of(title: str) -> list[str]:
    """Return what stands behind the command in an example."""
    (line,) = re.findall(r"^segment-consumer preview (.*)$", section(title), re.MULTILINE)
    return str(line).split()


def exported(title: str) -> dict[str, object]:
    """Return the settings that an example exports."""
    found = re.findall(r"([A-Z_]+)=('[^']*'|\S+)", "".join(blocks(title, "sh")))
    return {name: text.strip("'") for name, text in found}


def preview(directory: Path, arguments: list[str], settings: dict[str, object]) -> str:
    with Daemon(settings, arguments=("preview", *arguments), directory=directory) as process:
        assert process.wait(PATIENCE_SECONDS) == 0, process.output
        assert process.errors == ""
        return process.output


@pytest.mark.parametrize(
    ("title", "mapping"),
    [
        ("Audience events of a customer data platform", None),
        ("Changes of a table of memberships", "members.toml"),
    ],
)
def test_an_example_of_a_file_says_what_stands_there(
    title: str, mapping: str | None, tmp_path: Path
) -> None:
    (records,) = blocks(title, "json")
    (tmp_path / "records.jsonl").write_text(records)
    if mapping is not None:
        (text,) = blocks(title, "toml")
        (tmp_path / mapping).write_text(text)
    said = preview(tmp_path, arguments_of(title), exported(title))
    assert blocks(title, "text") == [said], said


def test_the_example_of_a_registry_says_what_stands_there(broker: "Broker", tmp_path: Path) -> None:
    title = "Avro with a Schema Registry"
    (schema,), (mapping,) = blocks(title, "json"), blocks(title, "toml")
    (tmp_path / "membership.toml").write_text(mapping)
    registry = Registry()
    prefix, _ = registry.add(json.loads(schema))
    settings = exported(title)
    assert settings["KAFKA_TOPICS"] == TOPIC
    broker.create_topic(TOPIC, 1)
    try:
        values = [prefix + written(json.loads(schema), each) for each in MEMBERSHIPS]
        broker.produce(TOPIC, [Record("k", value, partition=0) for value in values])
        with Served(registry) as served:
            own = {
                "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
                "SCHEMA_REGISTRY_URL": served.url,
            }
            said = preview(tmp_path, arguments_of(title), settings | own)
    finally:
        broker.delete_topic(TOPIC)
    assert blocks(title, "text") == [said], said


def test_every_example_of_the_page_is_run() -> None:
    assert len(re.findall(r"```text\n", PAGE)) == 3
