"""A real Prometheus that scrapes real daemons, with the chart's alerts in a hurry."""

import json
import math
import re
import subprocess
import urllib.parse
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

from tests.deploy.chart import NAMESPACE, rendered
from tests.deploy.tools import tool
from tests.support.child import Child
from tests.support.kafka_server import free_ports
from tests.support.waiting import eventually

JOB = "release-segment-consumer"
SCRAPE_SECONDS = 0.5
STUCK_SECONDS = 5
LAG_RECORDS = 100

_START_SECONDS = 60
_ANSWER_SECONDS = 10

Labels = Mapping[str, str]


def noticing_less(
    rules: Mapping[str, Any], *, stuck_seconds: int, lag_records: int
) -> dict[str, Any]:
    """Return rules that call less of it stuck, and less of it a lag."""
    text = json.dumps(rules).replace("> 300", f"> {stuck_seconds}")
    changed: dict[str, Any] = json.loads(text.replace("> 100000", f"> {lag_records}"))
    return changed


def hurried(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Return rules in which each minute is a second."""
    text = re.sub(r"\b(\d+)m\b", r"\1s", json.dumps(rules).replace(":30s]", ":500ms]"))
    changed: dict[str, Any] = json.loads(text)
    for group in changed["groups"]:
        group["interval"] = f"{SCRAPE_SECONDS * 1000:g}ms"
    return changed


class Server:
    """A running Prometheus, and what can be asked of it."""

    def __init__(self, folder: Path, address: str, command: Sequence[str]) -> None:
        self._address = address
        self._said = folder / "said"
        with self._said.open("wb") as output:
            self._child = Child(
                command,
                environment={},
                directory=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        def is_ready() -> bool:
            assert self._child.exit_code is None, self._said.read_text()
            return self._get("/-/ready").startswith(b"Prometheus")

        eventually(is_ready, _START_SECONDS, "Prometheus to be ready", ignoring=(OSError,))
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()

    def firing(self) -> set[tuple[str, str]]:
        """Return the names of the alerts that fire now, each with its reason, topic or pod."""
        alerts = json.loads(self._get("/api/v1/alerts"))["data"]["alerts"]
        return {
            (each["labels"]["alertname"], _told(each["labels"]))
            for each in alerts
            if each["state"] == "firing"
        }

    def values(self, query: str, start: float, end: float) -> list[float]:
        """Return every sample of all series of a query, from start to end; no NaN."""
        found = self.range(query, start, end)
        samples = [float(value) for each in found for _, value in each["values"]]
        return [sample for sample in samples if not math.isnan(sample)]

    def range(self, query: str, start: float, end: float) -> list[dict[str, Any]]:
        """Return the series of a query, each as ``metric`` and ``values``."""
        parameters = urllib.parse.urlencode(
            {"query": query, "start": start, "end": end, "step": SCRAPE_SECONDS}
        )
        answer = json.loads(self._get(f"/api/v1/query_range?{parameters}"))
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def now(self, query: str) -> float:
        """Return the sum over all series of a query now; 0 of none."""
        answer = json.loads(self._get(f"/api/v1/query?{urllib.parse.urlencode({'query': query})}"))
        return sum(float(each["value"][1]) for each in answer["data"]["result"])

    def rules(self) -> dict[str, str]:
        """Return the alerts that it evaluates, each with its health."""
        groups = json.loads(self._get("/api/v1/rules"))["data"]["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}

    def _get(self, path: str) -> bytes:
        """Return the body of an answer; OSError for any but 200."""
        connection = HTTPConnection(self._address, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != HTTPStatus.OK:
            raise OSError(f"{path}: {answer.status} {body.decode(errors='replace')}")
        return body


class Prometheus(Server):
    """Scrapes ``members`` (address by name) as the PodMonitor labels them."""

    def __init__(self, folder: Path, members: Mapping[str, str]) -> None:
        (port,) = free_ports(1)
        address = f"127.0.0.1:{port}"
        spec = rendered("everything").one("PrometheusRule")["spec"]
        rules = hurried(noticing_less(spec, stuck_seconds=STUCK_SECONDS, lag_records=LAG_RECORDS))
        (folder / "rules.json").write_text(json.dumps(rules))
        every = f"{SCRAPE_SECONDS * 1000:g}ms"
        config = {
            "global": {
                "scrape_interval": every,
                "scrape_timeout": every,
                "evaluation_interval": every,
            },
            "rule_files": [str(folder / "rules.json")],
            "scrape_configs": [
                {
                    "job_name": JOB,
                    "static_configs": [
                        {"targets": [address], "labels": {"namespace": NAMESPACE, "pod": name}}
                        for name, address in members.items()
                    ],
                }
            ],
        }
        (folder / "prometheus.json").write_text(json.dumps(config))
        super().__init__(
            folder,
            address,
            [
                tool("prometheus"),
                f"--config.file={folder / 'prometheus.json'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
        )


def _told(labels: Labels) -> str:
    return labels.get("reason") or labels.get("topic") or labels.get("pod") or ""
