"""The image as ``deploy/release`` builds it, on a stand-in for its base, and run read-only.

The base that the Dockerfile names can't be had without an image registry: what takes its name here
is a Debian with Python made by debootstrap, in the tests' own storage.
"""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.deploy.tools import ROOT, run, tool
from tests.support.child import Child

DOCKERFILE = (ROOT / "Dockerfile").read_text()
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
TAG = f"segment-consumer:{VERSION}"

_SUITE = "trixie"
_PACKAGES = "python3,python3-venv,ca-certificates"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_BUILD_SECONDS = 1200
_WRAPPED = """#!/bin/sh
# Podman as the tests need it: in a storage of its own, without a registry, in a sandbox.
command=$1
shift
case $command in
    build) set -- --isolation chroot --pull=never --quiet "$@" ;;
    run) set -- --ulimit nofile=1024:1024 --ulimit nproc=4096:4096 "$@" ;;
esac
exec {podman} "$command" "$@"
"""


def base_name() -> str:
    """Return the name of the base, as the Dockerfile has it."""
    match = re.search(r"^ARG BASE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert match
    return match[1]


class Image:
    """The built image, and what it was built in; ``dist`` has what was released with it."""

    def __init__(self, folder: Path) -> None:
        storage = ("--root", str(folder / "storage"), "--runroot", str(folder / "run"))
        self._podman = [tool("podman"), *storage, "--runtime", tool("runc")]
        self._folder = folder
        self.dist = folder / "dist"

    def build(self) -> None:
        """Make the base and a release on it; the Dockerfile is used as it stands."""
        archive = _base(self._folder)
        self._run(self._podman, "import", "--quiet", archive, f"localhost/{base_name()}")
        wrapped = self._folder / "podman"
        wrapped.write_text(_WRAPPED.format(podman=shlex.join(self._podman)))
        wrapped.chmod(0o755)
        result = run(
            *("deploy/release", VERSION),
            environment={"CONTAINER_TOOL": str(wrapped), "DIST": str(self.dist), "AUDIT": "no"},
            timeout=_BUILD_SECONDS,
        )
        assert result.returncode == 0, f"{result.stdout[-5000:]}\n{result.stderr[-5000:]}"

    def inspect(self, template: str) -> str:
        """Return what the image's description says, by a Go template."""
        return self._run(self._podman, "image", "inspect", "--format", template, TAG).strip()

    def run(self, *arguments: str, entrypoint: str | None = None) -> str:
        """Run a container to its end as the chart does, and return what it said; 0 is expected."""
        return self._run(self._podman, *_container(arguments, entrypoint))

    @contextmanager
    def running(self, *arguments: str, environment: dict[str, str]) -> Iterator[Child]:
        """Run a container meanwhile. A signal to it reaches what runs in it."""
        said = self._folder / "said"
        with said.open("wb") as output:
            child = Child(
                [*self._podman, *_container(arguments, None, environment)],
                environment=dict(os.environ),
                directory=self._folder,
                stdout=output,
                stderr=output,
            )
            try:
                yield child
            finally:
                child.terminate()
                child.wait(60)

    def said(self) -> str:
        """Return what the running container has said so far."""
        return (self._folder / "said").read_text()

    def _run(self, command: list[str], *arguments: str | Path) -> str:
        result = run(*command, *arguments, timeout=_BUILD_SECONDS)
        assert result.returncode == 0, f"{arguments[0]}: {result.stdout}\n{result.stderr}"
        return result.stdout


def _container(
    arguments: tuple[str, ...], entrypoint: str | None, environment: dict[str, str] | None = None
) -> list[str]:
    """Return the command for a container of no rights, no network and no writable place."""
    return [
        *("run", "--rm", "--network=none", "--read-only", "--read-only-tmpfs=false"),
        *("--cap-drop=all", "--security-opt=no-new-privileges"),
        *("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"),
        *(f"--env={name}={value}" for name, value in (environment or {}).items()),
        *([f"--entrypoint={entrypoint}"] if entrypoint else []),
        TAG,
        *arguments,
    ]


def _base(folder: Path) -> Path:
    """Return the stand-in as an archive; it is made once and kept in a folder of the cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    archive = cache / "segment-consumer-tests" / f"{_SUITE}-with-python.tar"
    if not archive.is_file():
        archive.parent.mkdir(parents=True, exist_ok=True)
        system = folder / "system"
        _bootstrap(system)
        fresh = Path(tempfile.mktemp(dir=archive.parent))  # noqa: S306 - only root is here
        subprocess.run(["tar", "-C", system, "-cf", fresh, "."], check=True)
        fresh.rename(archive)
        shutil.rmtree(system)
    return archive


def _bootstrap(system: Path) -> None:
    options = ("--variant=minbase", f"--include={_PACKAGES}")
    result = run(tool("debootstrap"), *options, _SUITE, system, timeout=_BUILD_SECONDS)
    assert result.returncode == 0, result.stdout[-2000:]
    shutil.rmtree(system / "var/cache/apt")
    shutil.rmtree(system / "var/lib/apt/lists")
    for compiled in system.rglob("*.pyc"):  # the real base has none either
        compiled.unlink()
    # The build fetches packages as this machine does.
    if _CERTIFICATES.is_file():
        shutil.copyfile(_CERTIFICATES, system / _CERTIFICATES.relative_to("/"))
    (system / "etc/pip.conf").write_text(f"[global]\ncert = {_CERTIFICATES}\n")
