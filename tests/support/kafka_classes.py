"""Kafka's classes, loaded and linked before it starts: half of a start's CPU is theirs.

The tests start and restart brokers by the dozen, two at a time on two cores. The JVM of the tests'
own Kafka writes the cache (JEP 514) at the end of one start that is there for nothing else, once
per machine; a cache that doesn't fit any more is passed over by the JVM.
"""

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import kafka_jars

if TYPE_CHECKING:
    from collections.abc import Callable

_JVM_READS, _JVM_WRITES = "-XX:AOTCache=", "-XX:AOTCacheOutput="


def options(version: str, start_and_stop: "Callable[[str, Path], None]") -> list[str]:
    """Return what to give to the JVM of a Kafka; make its cache if there is none yet.

    ``start_and_stop`` lets a broker of its own, in that folder, start with an option and end.
    """
    if version != kafka_jars.VERSION:
        return []  # the others start rarely
    cache = kafka_jars.beside(version, f"{_java_version()}.classes")
    if not cache.exists():
        with kafka_jars.alone(cache.parent):
            if not cache.exists():
                _make(cache, start_and_stop)
    return [f"{_JVM_READS}{cache}"]


def _make(cache: Path, start_and_stop: "Callable[[str, Path], None]") -> None:
    with tempfile.TemporaryDirectory(prefix="learning-", dir=cache.parent) as folder:
        written = Path(folder) / "classes"
        start_and_stop(f"{_JVM_WRITES}{written}", Path(folder) / "kafka")
        written.rename(cache)


def _java_version() -> str:
    said = subprocess.run(
        [kafka_jars.java(), "--version"], capture_output=True, text=True, check=True
    )
    return said.stdout.split()[1]
