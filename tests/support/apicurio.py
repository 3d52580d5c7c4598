"""A real Schema Registry: Apicurio in memory, on the Java runtime of the tests' Kafka.

It comes from Maven Central through ``jgo``, once, into a folder of the user's cache (160 MB), and
speaks Confluent's protocol at ``/apis/ccompat/v7``. It has no GUIDs, and wants no login.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Self

from tests.support.child import Child
from tests.support.kafka_jars import alone, cached, java, unavailable
from tests.support.kafka_server import free_ports
from tests.support.waiting import PATIENCE_SECONDS, eventually

VERSION = "3.3.3"
_DOWNLOAD_SECONDS = 600
_START_SECONDS = 180
_EXCERPT = 2000
_PATH = "/apis/ccompat/v7"
_RESOLVE = """
import sys
from jgo.maven import MavenContext
project = MavenContext().project("io.apicurio", "apicurio-registry-app")
print(project.at_version(sys.argv[1]).artifact("all", "tar.gz").resolve())
"""
_JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class Apicurio:
    """Runs from the beginning to the end of a ``with``; ``stop`` and ``start`` keep its port.

    What it had is gone then: it is in memory.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "apicurio.log"
        self._port, self._management_port = free_ports(2)
        self._child: Child | None = None
        self.url = f"http://127.0.0.1:{self._port}{_PATH}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            self._child = Child(
                [java(), *_JVM, "-jar", _home() / "quarkus-run.jar"],
                environment={
                    "QUARKUS_HTTP_HOST": "127.0.0.1",
                    "QUARKUS_HTTP_PORT": str(self._port),
                    "QUARKUS_MANAGEMENT_HOST": "127.0.0.1",
                    "QUARKUS_MANAGEMENT_PORT": str(self._management_port),
                },
                directory=self._folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        not_yet = OSError, HTTPException
        eventually(self._answers, _START_SECONDS, "Apicurio to answer", ignoring=not_yet)

    def stop(self) -> None:
        """End it."""
        if self._child is not None:
            self._child.kill()

    def register(
        self,
        subject: str,
        schema: object,
        kind: str = "AVRO",
        references: Sequence[tuple[str, str, int]] = (),
    ) -> int:
        """Register a schema, with references of (name, subject, version); return its id."""
        body: dict[str, Any] = {
            "schema": schema if isinstance(schema, str) else json.dumps(schema),
            "schemaType": kind,
        }
        if references:
            names = ("name", "subject", "version")
            body["references"] = [dict(zip(names, each, strict=True)) for each in references]
        found: int = self._ask(f"/subjects/{subject}/versions", body)["id"]
        return found

    def delete(self, subject: str) -> None:
        """Delete a subject, as a person does who thinks that nobody needs it any more."""
        self._ask(f"/subjects/{subject}", method="DELETE")

    def _ask(self, path: str, body: object = None, method: str = "") -> Any:  # noqa: ANN401 - any JSON
        connection = HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)
        data = None if body is None else json.dumps(body)
        kind = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
        try:
            method = method or ("GET" if data is None else "POST")
            connection.request(method, f"{_PATH}{path}", data, kind)
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == HTTPStatus.OK, text
            return json.loads(text)
        finally:
            connection.close()

    def _answers(self) -> bool:
        assert self._child is not None
        ended = self._child.exit_code is not None
        assert not ended, f"Apicurio ended: …{self._log.read_text(errors='replace')[-_EXCERPT:]}"
        return self._ask("/subjects") is not None


def _home() -> Path:
    """Return the folder that Apicurio is unpacked in; fetches it the first time."""
    home = cached(f"apicurio-registry-app_{VERSION}")
    if not home.is_dir():
        with alone(home.parent):
            if not home.is_dir():
                _fetch(home)
    return home


def _fetch(home: Path) -> None:
    """Fill ``home``, whole or not at all."""
    workshop = Path(tempfile.mkdtemp(prefix="fetching-", dir=home.parent))
    try:
        result = subprocess.run(
            [sys.executable, "-c", _RESOLVE, VERSION],
            env={**os.environ, "M2_REPO": str(workshop / "m2"), "JGO_CACHE_DIR": str(workshop)},
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_SECONDS,
            check=False,
        )
        if result.returncode != 0:
            last_line = (result.stderr.strip().splitlines() or ["no message"])[-1][:300]
            how = "run the tests once with a network that reaches Maven Central"
            unavailable(f"Apicurio could not be fetched ({last_line})", how)
        with tarfile.open(result.stdout.strip().splitlines()[-1]) as archive:
            archive.extractall(workshop / "home", filter="data")
        (workshop / "home").rename(home)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
