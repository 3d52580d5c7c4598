"""The examples in the chart's README, and what becomes of them.

``python -m tests.deploy.examples`` writes what the chart makes of each into ``examples/``.
"""

import re
import tempfile
from pathlib import Path
from typing import Any

from tests.deploy.chart import Manifest, Release, parsed, rendered
from tests.deploy.tools import CHART, module

FOLDER = Path(__file__).parent / "examples"
_SECTION = "## Secrets and certificates from where they are\n"
_BASE: Manifest = {"image": {"repository": "images.example/segment-consumer"}}
_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
_ABOUT = re.compile(r"^(KAFKA_(SECURITY|SASL|SSL)_|SCHEMA_REGISTRY_|SECRETS_DIR|SSL_CERT_FILE)")
_WATCHED = ("vault.hashicorp.com/",)


def examples() -> dict[str, list[Manifest]]:
    """Return the YAML blocks of each example: its values last, before them what others need."""
    return {name: [parsed(block) for block in blocks] for name, blocks in texts().items()}


def texts() -> dict[str, list[str]]:
    """Return the blocks as they are written."""
    section = (CHART / "README.md").read_text().partition(_SECTION)[2].partition("\n## ")[0]
    parts = re.split(r"^### (.+)$", section, flags=re.MULTILINE)[1:]
    return {
        name.lower().replace(" ", "-"): _BLOCK.findall(text)
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    }


def released(name: str, *options: str) -> Release:
    """Return what the chart makes of an example's values."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        module("PyYAML").safe_dump({**_BASE, **examples()[name][-1]}, file)
        file.flush()
        return rendered(file.name, *options)


def excerpt(release: Release) -> Manifest:
    """Return what a release has to do with secrets and certificates, of both pods."""
    pods = {"member": release.workload["spec"]["template"], "check": release.one("Pod")}
    return {
        "settings": {key: v for key, v in release.settings.items() if _ABOUT.match(key)},
        "secrets": [each["metadata"]["name"] for each in release.all("Secret")],
        "egress": release.one("NetworkPolicy")["spec"]["egress"],
        **{name: _of_pod(pod) for name, pod in pods.items()},
    }


def _of_pod(pod: Manifest) -> dict[str, Any]:
    container = pod["spec"]["containers"][0]
    annotations = pod["metadata"]["annotations"]
    return {
        "annotations": {k: v for k, v in annotations.items() if k.startswith(_WATCHED)},
        "env": container.get("env", []),
        "volumeMounts": container.get("volumeMounts", []),
        "volumes": pod["spec"].get("volumes", []),
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for example in examples():
        text = module("PyYAML").safe_dump(excerpt(released(example)), sort_keys=True)
        (FOLDER / f"{example}.yaml").write_text(text)
