"""The tests' Kafka: a real broker that can be killed, frozen and cut off.

With ``KAFKA_BOOTSTRAP_SERVERS_FOR_TESTS`` in the environment it is that one instead; a test that
would do such things to it, or needs one with other properties, is skipped.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import pytest

from tests.support.cluster import Cluster, Member, Record
from tests.support.kafka_jars import VERSION
from tests.support.kafka_log import truncate_log
from tests.support.kafka_server import KafkaServer, Listener, free_ports, server_properties
from tests.support.tcp_proxy import HOST, TcpProxy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Broker", "Member", "Proxied", "Record"]


_SESSION_SECONDS, _HEARTBEAT_SECONDS = 6, 1

_TOOLS = {
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-dump-log.sh": "org.apache.kafka.tools.DumpLogSegments",
}
"""What Kafka's scripts run."""


class Proxied(NamedTuple):
    """A way to the broker that can be cut: a client that starts at ``bootstrap`` has no other."""

    bootstrap: str
    proxy: TcpProxy


class Broker(Cluster):
    """Apache Kafka in a process of the tests' own.

    ``session_seconds`` and ``heartbeat_seconds`` are what it gives to the members of a KIP-848
    group; members of a classic group bring theirs. Each proxied listener advertises the address
    of a proxy. ``properties`` are further ones of the broker, and win; ``version`` is Kafka's;
    ``system``, ``passwords`` and ``classes`` are `KafkaServer`'s.
    """

    def __init__(
        self,
        *,
        proxied_listeners: int = 0,
        session_seconds: float = _SESSION_SECONDS,
        heartbeat_seconds: float = _HEARTBEAT_SECONDS,
        properties: "Mapping[str, str] | None" = None,
        version: str = VERSION,
        system: "Mapping[str, str] | None" = None,
        passwords: "Sequence[str]" = (),
        classes: "Path | None" = None,
    ) -> None:
        self._proxies: list[TcpProxy] = []
        self._server: KafkaServer | None = None
        external = os.environ.get("KAFKA_BOOTSTRAP_SERVERS_FOR_TESTS")
        if external:
            times = session_seconds, heartbeat_seconds
            if properties or version != VERSION or times != (_SESSION_SECONDS, _HEARTBEAT_SECONDS):
                self._own()
            super().__init__(external)
            return
        port, controller_port, *proxied_ports = free_ports(2 + proxied_listeners)
        super().__init__(f"{HOST}:{port}")
        self._folder = Path(tempfile.mkdtemp(prefix="kafka-for-tests-"))
        atexit.register(self.close)
        self._proxies = [TcpProxy(HOST, port) for port in proxied_ports]
        self._server = KafkaServer(
            self._folder,
            [
                Listener("MAIN", port, port),
                *(
                    Listener(f"PROXIED{index}", proxied_port, proxy.port)
                    for index, (proxied_port, proxy) in enumerate(
                        zip(proxied_ports, self._proxies, strict=True)
                    )
                ),
            ],
            {
                **server_properties(controller_port, session_seconds, heartbeat_seconds, version),
                **(properties or {}),
            },
            version,
            system=system,
            passwords=passwords,
            classes=classes,
        )

    @property
    def external(self) -> bool:
        """Whether it is somebody else's."""
        return self._server is None

    def start(self) -> None:
        """Start it and wait until it answers."""
        if self._server is not None:
            self._server.start()
        self.await_answers()

    def stop(self) -> None:
        """End it as an operator does, with SIGTERM."""
        self._own().stop()

    def kill(self) -> None:
        """End it with SIGKILL. What it has acknowledged is there after a restart."""
        self._own().kill()

    def restart(self) -> None:
        """Start it again at the same ports with the same data; stop it first if it runs."""
        self._own().stop()
        self.start()

    def damage(self, topic: str, partition: int, offset: int) -> range:
        """Restart it with one bit flipped in the batch of that record, as a bad disk does.

        Return the offsets of the batch.
        """
        self._own().stop()
        offsets = self._own().damage(topic, partition, offset)
        self.start()
        return offsets

    def lose_disk(self, name: str) -> list[str]:
        """Take away one of the folders of ``log.dirs``; return the partitions that were on it."""
        disk = self._folder / name
        lost = [each.name for each in disk.glob("*-*") if each.is_dir()]
        disk.rename(disk.with_suffix(".lost"))
        return lost

    def find_disk(self, name: str) -> None:
        """Give it back, and restart it."""
        self._own().stop()
        (self._folder / name).with_suffix(".lost").rename(self._folder / name)
        self.start()

    def segment(self, topic: str, partition: int) -> Path:
        """Return the first file of a partition's log."""
        return self._own().segment(topic, partition)

    def run_tool(self, script: str, *arguments: str) -> str:
        """Run a script of Kafka's, as operators have them; return what it says."""
        return self._own().run_tool(_TOOLS[script], *arguments)

    def configure(self, properties: "Mapping[str, str]") -> None:
        """Restart it with other properties than it was made with."""
        self._own().configure(properties)
        self.restart()

    def forget_groups(self) -> None:
        """Kill it, and start it again without what it knew of groups, their commits included."""
        self.kill()
        for folder in (self._folder / "data").glob("__consumer_offsets-*"):
            shutil.rmtree(folder)
        self.start()

    def truncate(self, topic: str, ends: "Mapping[int, int]") -> None:
        """Kill it, and start it without the batches of records from these offsets on.

        By partition. So a log looks after an unclean election: another leader, of another epoch,
        that never had the last records. No batch may begin before such an offset and end behind it.
        """
        self.kill()
        for partition, end in ends.items():
            truncate_log(self._folder / "data" / f"{topic}-{partition}", end)
        self.start()

    def pause(self) -> None:
        """Freeze the process: connections stay open, nothing is answered."""
        self._own().freeze()

    def resume(self) -> None:
        """Let it go on, and wait until it answers."""
        self._own().thaw()
        self.await_answers()

    def recover(self) -> None:
        """Whatever a test did to it or its proxies: undo that."""
        for proxy in self._proxies:
            proxy.mend()
        if self._server is not None and self._server.thaw_or_start():
            self.await_answers()

    def proxied(self, index: int) -> Proxied:
        """Return the proxied listener number ``index``, counted from 0."""
        self._own()
        proxy = self._proxies[index]
        return Proxied(proxy.address, proxy)

    @property
    def server_log(self) -> str:
        """What the broker's process wrote."""
        return self._own().log

    def lines_about(self, name: str, most: int = 40) -> str:
        """Return the last lines of the broker's own log that are warnings or about ``name``."""
        if self._server is None:
            return "it is somebody else's"
        telling = (" WARN ", " ERROR ", f" {name} ")
        lines = self._server.log.splitlines()
        return "\n".join([line for line in lines if any(word in line for word in telling)][-most:])

    def last_lines(self, most: int = 40) -> str:
        """Return the last lines of the broker's own log."""
        if self._server is None:
            return "it is somebody else's"
        return "\n".join(self._server.log.splitlines()[-most:])

    def close(self) -> None:
        """Kill it, and remove its data and its proxies."""
        if self._server is None:
            return
        atexit.unregister(self.close)
        self._server.kill()
        for proxy in self._proxies:
            proxy.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _own(self) -> KafkaServer:
        if self._server is None:
            pytest.skip("needs the tests' own broker: unset KAFKA_BOOTSTRAP_SERVERS_FOR_TESTS")
        return self._server
