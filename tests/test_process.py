"""The process as its surroundings treat it: early signals, unread logs, broken streams, crashes."""

import array
import fcntl
import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
import termios
import textwrap
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

import consumer
from consumer.observability.log_writer import Writer
from tests.support.daemon import Daemon
from tests.support.waiting import eventually

SETTINGS = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
    "KAFKA_TOPICS": "audience-changes",
    "CUSTOMERIO_SITE_ID": "site",
    "CUSTOMERIO_API_KEY": "key",
    "CUSTOMERIO_URL": "http://127.0.0.1:9",
    "HTTP_HOST": "127.0.0.1",
    "HTTP_PORT": "0",
    "PATH": os.environ["PATH"],
    "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
}
RUN = [sys.executable, "-m", "consumer", "run"]
GONE_SECONDS = 20 + 5
AT_ONCE_SECONDS = 15  # less than a drain may take; so long a busy machine may stand still
PERSON = "person-4711@example.com"


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal, as Linux says."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def await_handler(pid: int) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("only Linux says which signals a process handles")
    while not catches(pid, signal.SIGTERM):
        time.sleep(0.001)


def program(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a few lines in a process of their own."""
    command = [sys.executable, "-c", textwrap.dedent(text), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=30, env=SETTINGS
    )


def lines(output: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in output.splitlines()]


# Signals in the first moments


MOMENTS = ["argparse", "pydantic", "confluent_kafka", "consumer.settings", "consumer.daemon"]
"""What has just been imported. Before the first of these a stop is Python's own death by a signal,
which lasts as long as an empty program takes."""
TIMED = [sys.executable, "-X", "importtime", *RUN[1:]]


def await_moment(process: subprocess.Popen[bytes], imported: str) -> None:
    """Wait until a process of `TIMED` has imported a module."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.rpartition(b"|")[2].strip() == imported.encode():
            break
    threading.Thread(target=process.stderr.read, daemon=True).start()


@pytest.mark.parametrize("imported", MOMENTS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_in_the_first_moments_ends_it_with_0(
    number: signal.Signals, imported: str, tmp_path: Path
) -> None:
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(TIMED, env=SETTINGS, cwd=tmp_path, stdout=nowhere, stderr=pipe) as child:
        await_moment(child, imported)
        child.send_signal(number)
        assert child.wait(AT_ONCE_SECONDS) == 0  # nothing was begun: at once


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0])
def test_a_stop_soon_after_its_start_ends_it_with_0(seconds: float, tmp_path: Path) -> None:
    with subprocess.Popen(RUN, env=SETTINGS, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        await_handler(process.pid)
        time.sleep(seconds)
        process.terminate()
        assert process.wait(GONE_SECONDS) == 0


@pytest.mark.parametrize("imported", MOMENTS)
def test_a_stop_in_the_first_moments_reaches_process_1(imported: str, tmp_path: Path) -> None:
    """The kernel passes over what such a process has no handler for."""
    own = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
    if not shutil.which("unshare") or subprocess.run([*own, "true"], check=False).returncode:
        pytest.skip("no process number 1 can be made here")
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    command = [*own, *TIMED]
    with subprocess.Popen(
        command, env=SETTINGS, cwd=tmp_path, stdout=nowhere, stderr=pipe
    ) as outer:
        try:
            await_moment(outer, imported)
            children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
            os.kill(int(children.read_text()), signal.SIGTERM)
            assert outer.wait(AT_ONCE_SECONDS) == 0
        finally:
            outer.kill()


def test_a_stop_does_not_wait_for_a_start_that_hangs() -> None:
    """As in asking DNS for HTTP_HOST: nothing was begun, so there is nothing to let go of."""
    text = textwrap.dedent(STOPPING).replace("stopper.begin", "# stopper.begin")
    with subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, env=SETTINGS
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        try:
            assert process.wait(3) == 0  # before the time of an overdue stop
        finally:
            process.kill()


def test_signals_are_watched_before_anything_heavy_is_imported() -> None:
    ended = program("""
        import sys
        import consumer.__main__
        print(*(each for each in sys.modules if each in (
            'argparse', 'importlib.metadata', 'logging', 'pydantic', 'confluent_kafka', 'json')))
    """)
    assert ended.stdout.strip() == ""


def test_the_version_is_the_projects() -> None:
    assert consumer.__version__ == importlib.metadata.version("segment-consumer")


@pytest.mark.parametrize("command", ["check", "demo"])
def test_sigterm_ends_the_other_commands_at_once(command: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [*RUN[:-1], command], env=SETTINGS, cwd=tmp_path, stdout=subprocess.DEVNULL
    ) as process:
        await_handler(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(AT_ONCE_SECONDS) == 128 + signal.SIGTERM


def test_a_signal_that_comes_again_while_python_ends_is_no_death() -> None:
    code = """if True:
    import atexit, os, signal, sys
    from consumer import __main__ as program
    # What runs after the interpreter has put its own handlers back can't be had from here: the
    # handler that it would reset is what is looked at.
    atexit.register(lambda: sys.stdout.write(str(signal.getsignal(signal.SIGTERM))))
    program._main = lambda *_: 0
    sys.exit(program.main(["run"]))
    """
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == str(signal.SIG_IGN)


# A second signal

STOPPING = """
    import os, signal, threading, sys
    from consumer.observability import logs
    from consumer.stopper import Stopper
    logs.configure("info", "json")
    stopper = Stopper()
    stopper.watch(signal.SIGTERM, signal.SIGINT)
    stopper.begin(30, lambda _: os.write(1, b"asked\\n"))
    os.write(1, b"ready\\n")
    lock = threading.Lock(); lock.acquire(); lock.acquire()
"""


@pytest.fixture
def stopping() -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process that was asked to stop by SIGTERM just now, and never will."""
    command = [sys.executable, "-c", textwrap.dedent(STOPPING)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=SETTINGS) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == b"asked\n"
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_that_follows_closely_is_the_first_one(
    stopping: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    stopping.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        stopping.wait(1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_later_second_signal_ends_it_at_once(
    stopping: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    stopping.send_signal(number)
    time.sleep(0.7)
    stopping.send_signal(number)
    assert stopping.wait(AT_ONCE_SECONDS) == 128 + number
    assert stopping.stdout is not None
    assert lines(stopping.stdout.read().decode())[-1]["event"] == "stopped_hard"


# A log that nobody reads

FLOOD = """
    import os, sys, time
    from consumer.observability import logs, log_writer
    log_writer.MAX_BYTES = 100_000
    logs.configure("info", "json")
    for number in range(10_000):
        logs.log("flood", "x" * 100, number=number)
    logs.log("bad", "an error", level="error")
    sys.stderr.write("done\\n")
    sys.stderr.flush()
    sys.stdin.readline()
    logs.flush(10)
    logs.log("after", "it flows again")
"""


def test_a_log_that_nobody_reads_stops_nobody_and_says_what_is_missing() -> None:
    command = [sys.executable, "-c", textwrap.dedent(FLOOD)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=SETTINGS) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            assert process.stderr.readline() == b"done\n"
            process.stdin.write(b"\n")
            process.stdin.close()
            said = lines(process.stdout.read().decode())
        finally:
            process.kill()
    numbers = [int(str(line["number"])) for line in said if line["event"] == "flood"]
    assert numbers == sorted(set(numbers))
    missing = [int(str(line["lines"])) for line in said if line["event"] == "log_dropped"]
    assert sum(missing) == 10_000 - len(numbers)
    assert 0 < len(numbers) < 5_000
    events = [line["event"] for line in said]
    assert events.count("bad") == 1, "an error finds room for longer"
    assert events[-1] == "after"


@pytest.fixture
def unread(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Yield a daemon with much to say, and the end of a pipe to read it from."""
    read, write = os.pipe()
    settings = {**SETTINGS, "LOG_LEVEL": "debug", "KAFKA_CONFIG": '{"debug": "all"}'}
    with subprocess.Popen(RUN, env=settings, cwd=tmp_path, stdout=write) as process:
        os.close(write)
        yield process, read
        process.kill()
    os.close(read)


def test_a_daemon_whose_log_nobody_reads_turns_and_stops(
    unread: tuple[subprocess.Popen[bytes], int],
) -> None:
    """Librdkafka's debug messages are some hundred a second: more than a pipe takes."""
    process, read = unread
    seen = b""
    while b'"listening"' not in seen or not seen.endswith(b"\n"):
        seen += os.read(read, 4096)
    (listening,) = (line for line in lines(seen.decode()) if line["event"] == "listening")
    eventually(lambda: waiting_bytes(read), 20, "a full pipe", until=(61_000).__lt__)

    def heartbeat() -> str:
        connection = HTTPConnection(str(listening["address"]), timeout=60)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        name = "segment_consumer_loop_heartbeat_timestamp_seconds "
        return next(line for line in text.splitlines() if line.startswith(name))

    first = heartbeat()
    eventually(heartbeat, 60, "another turn", until=lambda seen: seen != first)
    process.send_signal(signal.SIGTERM)
    assert process.wait(GONE_SECONDS) == 0


def waiting_bytes(descriptor: int) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0]


def test_a_disk_that_was_full_gets_a_line_about_what_is_missing(tmp_path: Path) -> None:
    ended = program(
        """
        import resource, signal, sys
        from consumer.observability import logs
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        logs.configure("info", "json", open(sys.argv[1], "w"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (250, resource.RLIM_INFINITY))
        for number in range(5):
            logs.log("a", "x" * 50, number=number)
        logs.flush()
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        logs.log("b", "there is room again")
        """,
        str(tmp_path / "log"),
    )
    assert ended.returncode == 0, ended.stderr
    whole = [json.loads(x) for x in (tmp_path / "log").read_text().splitlines() if x[-1] == "}"]
    assert [line["event"] for line in whole] == ["a", "b", "log_dropped"]
    assert whole[-1]["lines"] == 4


def test_several_threads_of_librdkafka_are_folded_as_one_by_the_steady_clock() -> None:
    ended = program("""
        import threading, time
        from consumer.observability import logs
        logs.configure("info", "json")
        wall = iter(range(0, 10**9, 3600))
        time.time = lambda: float(next(wall))
        def say():
            for _ in range(200):
                logs.librdkafka_logger().warning("%s [%s] %s", "FAIL", "c", "refused")
        threads = [threading.Thread(target=say) for _ in range(8)]
        for each in threads: each.start()
        for each in threads: each.join()
    """)
    assert len(lines(ended.stdout)) == 1, ended


# Standard streams


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["run"], ["check"], ["nonsense"]])
@pytest.mark.parametrize("way", ["full", "closed pipe", "closed"])
def test_a_broken_stream_changes_no_exit_code(
    arguments: list[str], way: str, tmp_path: Path
) -> None:
    """Without settings; for ``run`` and ``check`` that is 2."""
    redirected = {"full": ">/dev/full 2>&1", "closed": ">&- 2>&-", "closed pipe": ">&0 2>&0"}[way]
    read, write = os.pipe()
    os.close(read)
    bare = {name: SETTINGS[name] for name in ("PATH", "PYTHONPATH")}
    ended = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirected}', "sh", *RUN[:-1], *arguments],
        check=False,
        env=bare,
        cwd=tmp_path,
        stdin=write,
    )
    os.close(write)
    assert ended.returncode == (0 if arguments[0].startswith("--") else 2)


@pytest.mark.parametrize("way", [">/dev/full", ">&-"])
def test_a_daemon_with_a_broken_stdout_runs_and_stops_with_0(way: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        ["/bin/sh", "-c", f'exec "$@" {way}', "sh", *RUN], env=SETTINGS, cwd=tmp_path
    ) as process:
        await_handler(process.pid)
        time.sleep(2)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(GONE_SECONDS) == 0


# What nobody caught

CRASH = f"""
    import sys, threading
    from consumer import crashes
    from consumer.observability import logs
    logs.configure("info", "json")
    crashes.watch()
    def fail(): raise KeyError("{PERSON}")
    class Odd:
        def __del__(self): fail()
    def in_a_thread(name):
        thread = threading.Thread(target=fail, name=name)
        thread.start()
        thread.join()
"""


@pytest.mark.parametrize(
    ("how", "code", "event", "thread"),
    [
        ("fail()", 1, "crashed", "MainThread"),
        ("crashes.guarded(fail)", 1, "crashed", "MainThread"),
        ("in_a_thread('http')", 1, "crashed", "http"),
        ("in_a_thread('observer')", 1, "crashed", "observer"),
        ("in_a_thread('lookup')", 1, "crashed", "lookup"),
        ("in_a_thread('credentials')", 1, "crashed", "credentials"),
        ("in_a_thread('carrier-1')", 0, "uncaught", "carrier-1"),
        ("Odd()", 0, "uncaught", None),
    ],
)
def test_an_error_that_nobody_caught_is_one_line_without_what_it_says(
    how: str, code: int, event: str, thread: str | None
) -> None:
    ended = program(textwrap.dedent(CRASH) + how + "\n")
    assert ended.returncode == code
    assert ended.stderr == ""
    (line,) = lines(ended.stdout)
    assert (line["level"], line["event"], line["thread"]) == ("error", event, thread)
    assert str(line["message"]).startswith("KeyError")
    assert "in fail" in str(line["traceback"])
    assert PERSON not in ended.stdout


def test_what_it_gives_up_for_is_said_without_secrets() -> None:
    ended = program(
        textwrap.dedent(CRASH)
        + textwrap.dedent("""
            from confluent_kafka import KafkaError, KafkaException
            from consumer import masking
            masking.remember("swordfish-of-ours")
            def end(): raise KafkaException(KafkaError(-195, "swordfish-of-ours is wrong"))
            crashes.guarded(end)
        """)
    )
    (line,) = lines(ended.stdout)
    assert (ended.returncode, line["event"]) == (1, "gave_up")
    assert "*** is wrong" in str(line["message"])


def test_a_cause_is_told_too() -> None:
    ended = program(
        textwrap.dedent(CRASH)
        + textwrap.dedent("""
            try:
                fail()
            except KeyError as error:
                raise OSError(24, "too many") from error
        """)
    )
    (line,) = lines(ended.stdout)
    assert line["message"] == "OSError (EMFILE)"
    assert str(line["traceback"]).splitlines()[-1] == "OSError (EMFILE)"
    assert "KeyError" in str(line["traceback"])
    assert PERSON not in ended.stdout


def test_an_error_in_a_connections_thread_is_told_and_serving_goes_on() -> None:
    ended = program(
        textwrap.dedent(CRASH)
        + textwrap.dedent("""
            from http.client import HTTPConnection, RemoteDisconnected
            from consumer.observability.http_server import HttpServer
            server = HttpServer("127.0.0.1", 0, lambda path, accept: fail())
            host, _, port = server.start().partition(":")
            for _ in range(2):
                connection = HTTPConnection(host, int(port), timeout=60)
                connection.request("GET", "/")
                try:
                    connection.getresponse()
                except RemoteDisconnected:
                    pass
            server.stop()
        """)
    )
    assert [line["event"] for line in lines(ended.stdout)] == ["uncaught"] * 2, ended
    assert PERSON not in ended.stdout + ended.stderr


def test_sigquit_writes_every_threads_stack_and_it_goes_on() -> None:
    with Daemon(SETTINGS) as daemon:
        daemon.wait_log("listening", 60)
        eventually(lambda: daemon.get("/livez")[0], 60, "a turn", until=(200).__eq__)
        for times in range(1, 31):  # threads come and go meanwhile
            daemon.get("/livez")
            os.kill(daemon.pid, signal.SIGQUIT)
            eventually(
                lambda: daemon.errors.count("Thread MainThread"), 10, "it", until=times.__eq__
            )
        assert "engine/loop.py" in daemon.errors
        for name in ("http", "log", "observer", "stopper"):
            assert f"Thread {name}:\n" in daemon.errors
        assert daemon.get("/livez")[0] == 200
        daemon.terminate()
        assert daemon.wait(GONE_SECONDS) == 0


def test_a_fatal_signal_writes_every_threads_stack() -> None:
    with Daemon(SETTINGS) as daemon:
        daemon.wait_log("listening", 60)
        os.kill(daemon.pid, signal.SIGSEGV)
        assert daemon.wait(AT_ONCE_SECONDS) == -signal.SIGSEGV
        assert daemon.errors.startswith("Fatal Python error: Segmentation fault")
        assert daemon.errors.count("hread 0x") >= 2


def test_a_thread_that_logs_while_another_is_stopped_in_it_does_not_wait() -> None:
    """The queue's lock is never held while something is written."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    while True:
        try:
            os.write(write, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(write, True)
    writer = Writer(write, lambda _: b"")
    callers = [
        threading.Thread(target=writer.put, args=(b"line\n",), kwargs={"is_error": False})
        for _ in range(20)
    ]
    for each in callers:
        each.start()
    for each in callers:
        each.join(5)
        assert not each.is_alive()
    writer.flush(0.01)
    writer.close()
    os.close(read)
