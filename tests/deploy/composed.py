"""What the compose file starts, as processes of this machine.

There is no registry of images here: each service's own words are kept, only its addresses move.
"""

import re
import subprocess
import sys
from pathlib import Path

from tests.deploy import compose
from tests.deploy.prometheus import Server
from tests.deploy.tools import ROOT, tool
from tests.support.child import Child
from tests.support.kafka_server import KafkaServer, Listener, free_ports


class Moved:
    """Moves what the file says to free ports of loopback."""

    def __init__(self) -> None:
        self._ports = dict(zip((9092, 29092, 9093, 8081, 8080, 9090), free_ports(6), strict=True))

    def port(self, port: int) -> int:
        """Return where a port of the file is here."""
        return self._ports[port]

    def text(self, text: str) -> str:
        """Return a text of the file with the addresses that are here."""
        for port, here in self._ports.items():
            text = re.sub(rf"\b{port}\b", str(here), text)
        return re.sub(r"(\bkafka|\bapi|://)(?=:\d)", _on_loopback, text)

    def environment(self, name: str) -> dict[str, str]:
        """Return the variables of a service that is here."""
        return {key: self.text(value) for key, value in compose.environment(name).items()}

    def started(self, name: str, folder: Path) -> Child:
        """Start one of ours that is no daemon, in a hurry."""
        (python, *module), arguments = compose.command(name)
        assert python == "python3"
        hurried = ["1000" if each == "50" else self.text(each) for each in arguments]
        with (folder / name).open("wb") as output:
            return Child(
                [sys.executable, *module, *hurried],
                environment={"PYTHONPATH": str(ROOT)},
                directory=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            )


def _on_loopback(match: re.Match[str]) -> str:
    return "://127.0.0.1" if match[1] == "://" else "127.0.0.1"


def kafka(moved: Moved, folder: Path) -> KafkaServer:
    """Return a broker with the properties that the image makes of the service's variables."""
    folder.mkdir()
    properties = {
        key.removeprefix("KAFKA_").lower().replace("_", "."): value
        for key, value in moved.environment("kafka").items()
    }
    port = moved.port(9092)
    data = {"log.dirs": str(folder / "data")}
    return KafkaServer(folder, [Listener("INSIDE", port, port)], {**properties, **data})


def prometheus(moved: Moved, folder: Path) -> Server:
    """Return the service's Prometheus; it has the daemon's address instead of asking a DNS."""
    folder.mkdir()
    words = compose.alerts_written(folder).split()[1:]
    text = (compose.FOLDER / "prometheus.yaml").read_text().replace("/rules/", f"{folder}/")
    address = f"127.0.0.1:{moved.port(8080)}"
    found = f"static_configs: [{{targets: ['{address}']}}]"
    text = re.sub(r"dns_sd_configs:\n.*", found, text)
    (folder / "prometheus.yaml").write_text(text.replace("5s", "500ms"))
    files = {"/etc/prometheus/prometheus.yaml": folder / "prometheus.yaml", "/prometheus": folder}
    options = [f"{word.partition('=')[0]}={files[word.partition('=')[2]]}" for word in words]
    listen = f"127.0.0.1:{moved.port(9090)}"
    return Server(folder, listen, [tool("prometheus"), *options, f"--web.listen-address={listen}"])
