"""The process of one Apache Kafka: broker and controller in one JVM, in a folder of its own.

Before 3 there is a ZooKeeper beside it in place of the controller: KRaft is a preview there.
"""

import contextlib
import os
import random
import socket
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from tests.support import kafka_classes
from tests.support.child import Child
from tests.support.kafka_jars import VERSION, class_path, java
from tests.support.kafka_log import damage_batch
from tests.support.tcp_proxy import HOST
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_CLUSTER_ID = "c2VnbWVudC1jb25zdW1lcg"
_START_SECONDS = 180
_STOP_SECONDS = 30
_TOOL_SECONDS = 120
_LEARN_SECONDS = 180
_LOG_EXCERPT = 3000
# The collector and the compiler that are ready soonest on a machine with few cores.
_JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class Listener(NamedTuple):
    """Where the broker listens, and the port that it tells clients to come to."""

    name: str
    port: int
    advertised_port: int


class KafkaServer:
    """Starts, ends and freezes the JVM. The folder keeps its data from start to start.

    ``options`` of the JVM make Kafka start sooner. ``system`` are properties of the JVM, and
    ``passwords`` are arguments of StorageTool's: users that are there from the first start on.
    ``classes`` is a folder of further ones.
    """

    def __init__(
        self,
        folder: "Path",
        listeners: "Sequence[Listener]",
        properties: "Mapping[str, str]",
        version: str = VERSION,
        options: "Sequence[str] | None" = None,
        *,
        system: "Mapping[str, str] | None" = None,
        passwords: "Sequence[str]" = (),
        classes: "Path | None" = None,
    ) -> None:
        self._version = version
        self._system = [f"-D{name}={value}" for name, value in (system or {}).items()]
        self._passwords = passwords
        self._classes = classes
        class_path(version)  # fetched before the lock is taken that learning holds: it is the same
        self._options = kafka_classes.options(version, _learn) if options is None else options
        self._keeper: Child | None = None
        self._keeper_port = properties.get("zookeeper.connect", "").rpartition(":")[2]
        self._folder = folder
        self._port = listeners[0].port
        self._properties = folder / "server.properties"
        self._log = folder / "server.log"
        self._child: Child | None = None
        self._frozen = False
        lines = {
            "log.dirs": str(folder / "data"),
            **_listening(listeners, properties.get("controller.quorum.voters")),
            **properties,
        }
        self._properties.write_text("".join(f"{name}={lines[name]}\n" for name in lines))

    @property
    def log(self) -> str:
        """What the process wrote, in all its starts."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def configure(self, properties: "Mapping[str, str]") -> None:
        """Change what it is told with the next start; the last line of a name counts."""
        with self._properties.open("a") as lines:
            lines.writelines(f"{name}={value}\n" for name, value in properties.items())

    def start(self) -> None:
        """Start the process and wait until it listens."""
        assert not self._runs(), "Kafka runs already"
        if self._keeper_port:
            self._start_keeper()
        elif not (self._folder / "data").exists():
            self._format()
        options = [*self._options, *self._system]
        self._child = self._spawn("kafka.Kafka", self._properties, options=options)
        eventually(self._listens, _START_SECONDS, "Kafka to listen")

    def stop(self, seconds: float = _STOP_SECONDS) -> None:
        """End it with SIGTERM and wait for it. Harmless when it doesn't run."""
        self.thaw()
        if self._child is not None:
            self._child.terminate()
            self._child.wait(seconds)

    def kill(self) -> None:
        """End it with SIGKILL. Harmless when it doesn't run."""
        self._frozen = False
        for child in (self._child, self._keeper):
            if child is not None:
                child.kill()

    def freeze(self) -> None:
        """Send it SIGSTOP: its sockets stay open and silent."""
        assert self._child is not None, "Kafka was never started"
        self._child.freeze()
        self._frozen = True

    def thaw(self) -> bool:
        """Let it go on; return whether it was frozen."""
        frozen, self._frozen = self._frozen, False
        if frozen and self._child is not None:
            self._child.thaw()
        return frozen

    def thaw_or_start(self) -> bool:
        """Make it run; return whether there was something to do."""
        if self._runs():
            return self.thaw()
        self.start()
        return True

    def damage(self, topic: str, partition: int, offset: int) -> range:
        """Flip a bit of a record on its disk; return the offsets of the batch that it stands in.

        The broker was stopped in good order: it doesn't look at what is on the disk then.
        """
        assert not self._runs(), "it would not read what it has in memory"
        return damage_batch(self.segment(topic, partition), offset)

    def segment(self, topic: str, partition: int) -> "Path":
        """Return the first file of a partition's log."""
        return self._folder / "data" / f"{topic}-{partition}" / f"{0:020}.log"

    def run_tool(self, name: str, *arguments: str) -> str:
        """Run one of Kafka's own tools by the name of its class; return what it says."""
        command = [str(java()), *_JVM, "-cp", class_path(artifact="kafka-tools"), name, *arguments]
        result = subprocess.run(
            command,
            env={},
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=_TOOL_SECONDS,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def _runs(self) -> bool:
        return self._child is not None and self._child.exit_code is None

    def _listens(self) -> bool:
        assert self._runs(), f"Kafka ended while starting: …{self.log[-_LOG_EXCERPT:]}"
        return _is_open(self._port)

    def _start_keeper(self) -> None:
        """Start ZooKeeper unless it runs; it goes on when Kafka is stopped."""
        if self._keeper is not None and self._keeper.exit_code is None:
            return
        port = int(self._keeper_port)
        configuration = self._folder / "zookeeper.properties"
        lines = (
            f"dataDir={self._folder / 'zookeeper'}",
            f"clientPort={port}",
            f"clientPortAddress={HOST}",
            "admin.enableServer=false",
        )
        configuration.write_text("".join(f"{line}\n" for line in lines))
        self._keeper = self._spawn(
            "-Dzookeeper.jmx.log4j.disable=true",
            "org.apache.zookeeper.server.ZooKeeperServerMain",
            configuration,
        )
        eventually(lambda: _is_open(port), _START_SECONDS, "ZooKeeper to listen")

    def _spawn(self, *arguments: "str | Path", options: "Sequence[str]" = ()) -> Child:
        with self._log.open("ab") as log:
            return Child(
                self._java(*arguments, options=options),
                environment={},
                directory=self._folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _format(self) -> None:
        command = self._java("kafka.tools.StorageTool", "format")
        result = subprocess.run(
            [*command, "-t", _CLUSTER_ID, "-c", self._properties, *self._passwords],
            env={},
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=_START_SECONDS,
            check=False,
        )
        assert result.returncode == 0, f"Kafka's folder: {result.stdout}{result.stderr}"

    def _java(self, *arguments: "str | Path", options: "Sequence[str]" = ()) -> "list[str | Path]":
        classes = class_path(self._version)
        if self._classes is not None:
            classes += f"{os.pathsep}{self._classes}"
        return [java(), *_JVM, *options, "-cp", classes, *arguments]


def _learn(option: str, folder: "Path") -> None:
    """Start a broker with this option of its JVM, and end it."""
    folder.mkdir()
    port, controller_port = free_ports(2)
    properties = server_properties(controller_port, session_seconds=6, heartbeat_seconds=1)
    server = KafkaServer(folder, [Listener("MAIN", port, port)], properties, options=[option])
    try:
        server.start()
        server.stop(_LEARN_SECONDS)
    finally:
        server.kill()


def server_properties(
    controller_port: int, session_seconds: float, heartbeat_seconds: float, version: str = VERSION
) -> dict[str, str]:
    """Return the properties of a broker that is alone and that tests wait for."""
    roles = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
    }
    if version.startswith("2."):
        roles = {"broker.id": "1", "zookeeper.connect": f"{HOST}:{controller_port}"}
    return roles | {
        # A broker that was killed is let in again only when its old session is over.
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "200",
        "auto.create.topics.enable": "false",
        "log.cleaner.backoff.ms": "200",
        "log.cleaner.dedupe.buffer.size": "4194304",
        "offsets.topic.num.partitions": "1",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "group.consumer.session.timeout.ms": str(round(session_seconds * 1000)),
        "group.consumer.min.session.timeout.ms": "500",
        "group.consumer.heartbeat.interval.ms": str(round(heartbeat_seconds * 1000)),
        "group.consumer.min.heartbeat.interval.ms": "100",
    }


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens at, outside of the range that clients connect from.

    A port of that range, left free by a killed broker, can become the source port of the very
    connection that a client tries to it: the client then talks to itself.
    """
    ports: set[int] = set()
    while len(ports) < count:
        port = random.randrange(15000, 30000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            ports.add(port)
    return list(ports)


def _is_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def _listening(listeners: "Sequence[Listener]", controller: str | None) -> dict[str, str]:
    own = [f"{each.name}://{HOST}:{each.port}" for each in listeners]
    advertised = [f"{each.name}://{HOST}:{each.advertised_port}" for each in listeners]
    names = [each.name for each in listeners]
    more = {}
    if controller is not None:
        own.append(f"CONTROLLER://{controller.partition('@')[2]}")
        names.append("CONTROLLER")
        more = {"controller.listener.names": "CONTROLLER"}
    return {
        "listeners": ",".join(own),
        "advertised.listeners": ",".join(advertised),
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in names),
        "inter.broker.listener.name": listeners[0].name,
        **more,
    }
