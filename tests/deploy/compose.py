"""The compose file as Docker Compose's own loader understands it."""

import functools
import json
from pathlib import Path
from typing import Any

from tests.deploy.tools import DEPLOY, run, tool

FOLDER = DEPLOY / "compose"
FILE = FOLDER / "compose.yaml"

Service = dict[str, Any]


@functools.cache
def services() -> dict[str, Service]:
    """Return the services by name; what the specification doesn't know fails."""
    return loaded(FILE)


def loaded(file: Path) -> dict[str, Service]:
    """Return the services of a file, whose paths begin at the folder of ours."""
    result = run(tool("env"), "-C", FOLDER, tool("compose-go"), "-format", "json", file)
    assert result.returncode == 0, result.stdout + result.stderr
    found: dict[str, Service] = json.loads(result.stdout)["services"]
    return found


def command(name: str) -> tuple[list[str], list[str]]:
    """Return what a service starts: its entry point, and the arguments of that."""
    service = services()[name]
    return list(service["entrypoint"]), list(service["command"])


def mounted(name: str) -> dict[str, str]:
    """Return the files that a service sees, path outside by path inside."""
    return {each["target"]: each["source"] for each in services()[name].get("volumes", [])}


def environment(name: str) -> dict[str, str]:
    """Return a service's variables."""
    return {key: str(value) for key, value in services()[name]["environment"].items()}


def published(name: str) -> list[tuple[str, str, int]]:
    """Return where a service can be reached from outside: address, port there, port inside."""
    ports = services()[name].get("ports", [])
    return [(each["host_ip"], each["published"], each["target"]) for each in ports]


def alerts_written(folder: Path) -> str:
    """Fill the alerts' blanks as the service does before it starts; return what it goes on with."""
    (script,) = command("prometheus")[1]
    fill, _, rest = script.partition(" && exec ")
    (blank,) = (path for path in mounted("prometheus") if "/blank/" in path)
    fill = fill.replace(blank, mounted("prometheus")[blank])
    filled = run("/bin/sh", "-c", fill.replace("/rules/", f"{folder}/"))
    assert filled.returncode == 0, filled.stderr
    return rest
