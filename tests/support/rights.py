"""The rights that the deployment's page says are needed: nothing else is given to who is tested."""

import re
from pathlib import Path

from confluent_kafka.admin import AclOperation, ResourceType

from tests.support.authorizer import CLUSTER, Right

_PAGE = Path(__file__).resolve().parents[2] / "deploy" / "README.md"
_HEADER = "| resource | operations |\n|---|---|\n"
_OPERATIONS = {
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
    "Create": AclOperation.CREATE,
    "Describe": AclOperation.DESCRIBE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
}


def documented(
    topic: str, group: str, dead_letter_topic: str, *, replays: bool = False
) -> list[Right]:
    """Return the rights of the table: of the daemon, and of ``replay`` if that is to run."""
    things = {
        "topics that are read": (ResourceType.TOPIC, topic),
        "group `KAFKA_GROUP_ID`": (ResourceType.GROUP, group),
        "the dead-letter topic": (ResourceType.TOPIC, dead_letter_topic),
        "cluster": CLUSTER,
    }
    for_replay = {
        "the dead-letter topic": (ResourceType.TOPIC, dead_letter_topic),
        "group `KAFKA_GROUP_ID` with `.replay` behind it": (ResourceType.GROUP, f"{group}.replay"),
    }
    rows = _rows()
    labels = {f"for `replay`: {name}": thing for name, thing in for_replay.items()}
    assert rows.keys() == things.keys() | labels.keys(), "a row that no test knows"
    wanted = things | labels if replays else things
    return [Right(*thing, operation) for name, thing in wanted.items() for operation in rows[name]]


def _rows() -> dict[str, list[AclOperation]]:
    """Return the operations of each row, by what they are for."""
    table = _PAGE.read_text().partition(_HEADER)[2].partition("\n\n")[0]
    cells = [row.strip("| ").split(" | ") for row in table.splitlines()]
    words = "|".join(sorted(_OPERATIONS, key=len, reverse=True))
    return {
        name: [_OPERATIONS[word] for word in re.findall(rf"\b({words})\b", operations)]
        for name, operations in cells
    }
