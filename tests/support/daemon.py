"""The daemon as its operators have it: a process, its logs and its HTTP answers."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar, Self

from prometheus_client.parser import text_string_to_metric_families

from tests.support.child import Child
from tests.support.waiting import PATIENCE_SECONDS, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Log = dict[str, Any]
Metrics = dict[tuple[str, frozenset[tuple[str, str]]], float]

_REPOSITORY = Path(__file__).resolve().parents[2]
_SHOWN_LINES = 200
_BRIEFLY_SECONDS = 2


class Daemon:
    """A running ``python -m consumer run`` with the given settings and no others.

    Of the outer environment it gets ``PATH``, ``HOME`` and coverage's variables only; its working
    directory is empty, unless one is given, so that no ``.env`` is read. It serves HTTP on a free
    port of loopback. What it said is printed when it is closed: pytest shows that of failed tests.
    """

    open: ClassVar[list["Daemon"]] = []
    """Those that are not closed yet."""

    def __init__(
        self,
        settings: "Mapping[str, object]",
        *,
        arguments: "Sequence[str]" = ("run",),
        directory: Path | None = None,
        code: Path = _REPOSITORY,
    ) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="daemon-for-tests-"))
        self._output: list[str] = []
        self._logs: list[Log] = []
        self._errors: list[str] = []
        self._is_told = False
        self._child = Child(
            [sys.executable, "-m", "consumer", *arguments],
            environment=_environment(settings, code),
            directory=directory or self._directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._readers = [
            _reading(self._child.stdout, self._hear),
            _reading(self._child.stderr, self._errors.append),
        ]
        self.open.append(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None:
            sys.stdout.write(f"{self._last_status()}\n")
        self.close()

    def close(self) -> None:
        """Kill it if it still runs, and print what it said."""
        self._child.kill()
        self._join_readers()
        if self in self.open:
            self.open.remove(self)
        shutil.rmtree(self._directory, ignore_errors=True)
        if not self._is_told:
            sys.stdout.write(self.said() + "\n")

    # The process

    @property
    def exit_code(self) -> int | None:
        """None while it runs; the negative number of the signal that ended it."""
        return self._child.exit_code

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def terminate(self) -> None:
        """Send SIGTERM, as an orchestrator that stops it."""
        self._child.terminate()

    def stop(self) -> None:
        """Send SIGTERM, and see that it ends well."""
        self.terminate()
        assert self.wait(PATIENCE_SECONDS) == 0

    def interrupt(self) -> None:
        """Send SIGINT, as Ctrl-C."""
        self._child.interrupt()

    def kill(self) -> None:
        """Send SIGKILL and wait until it is gone."""
        self._child.kill()

    def freeze(self) -> None:
        """Send SIGSTOP; when this returns it does nothing any more."""
        self._child.freeze()

    def thaw(self) -> None:
        """Send SIGCONT."""
        self._child.thaw()

    def wait(self, timeout: float) -> int:
        """Wait for its end and return the exit code; everything it said is there then."""
        code = self._child.wait(timeout)
        self._join_readers()
        return code

    # Its logs

    def logs(self, event: str | None = None) -> list[Log]:
        """Return its log lines so far, or those of one event."""
        return [log for log in list(self._logs) if event is None or log.get("event") == event]

    def wait_log(
        self,
        event: str,
        timeout: float,
        predicate: "Callable[[Log], bool]" = lambda _: True,
    ) -> Log:
        """Wait for a log line of an event, and return the first that the predicate accepts."""

        def logged() -> Log | None:
            ended = self.exit_code is not None
            if ended:
                self._join_readers()
            for log in self.logs(event):
                if predicate(log):
                    return log
            assert not ended, f"ended ({self.exit_code}) before the log {event!r}:\n{self.said()}"
            return None

        found = eventually(logged, timeout, f"the log {event!r}")
        assert found is not None
        return found

    @property
    def output(self) -> str:
        """Its standard output so far."""
        return "".join(self._output)

    @property
    def errors(self) -> str:
        """Its standard error so far."""
        return "".join(self._errors)

    def said(self) -> str:
        """Return the last lines of both, for a person."""
        output, errors = list(self._output), list(self._errors)
        left_out = max(0, len(output) - _SHOWN_LINES)
        shown = "".join(output[left_out:] + ["stderr:\n"] * bool(errors) + errors[-_SHOWN_LINES:])
        return f"--- daemon {self.pid} (without its first {left_out} lines)\n{shown}"

    def evidence(self) -> str:
        """Return how it is now and what it said, for a person; it isn't printed once more then."""
        self._is_told = True
        return f"{self._last_status()}\n{self.said()}"

    # Its HTTP

    @property
    def address(self) -> str:
        """Where it serves HTTP, ``host:port``; waits until it says so."""
        return str(self.wait_log("listening", PATIENCE_SECONDS)["address"])

    def get(self, path: str, *, timeout: float = PATIENCE_SECONDS) -> tuple[int, str]:
        """Return status and body of an answer."""
        connection = HTTPConnection(self.address, timeout=timeout)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def wait_ready(self, timeout: float) -> None:
        """Wait until ``/readyz`` answers 200."""

        def asked() -> tuple[int, str]:
            assert self.exit_code is None, f"ended ({self.exit_code}):\n{self.said()}"
            return self.get("/readyz")

        def is_ready(answer: tuple[int, str]) -> bool:
            return answer[0] == HTTPStatus.OK

        self.wait_log("listening", timeout)
        what = "/readyz to answer 200"
        eventually(asked, timeout, what, until=is_ready, ignoring=(OSError,))

    def status(self) -> dict[str, Any]:
        """Return the answer of ``/status``."""
        _, body = self.get("/status")
        answer: dict[str, Any] = json.loads(body)
        return answer

    def metrics(self) -> Metrics:
        """Return one scrape: the value of each sample, by its full name and its labels."""
        _, body = self.get("/metrics")
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(body)
            for sample in family.samples
        }

    def metric(self, name: str, **labels: str) -> float:
        """Return one sample of a new scrape, its name without the prefix."""
        return self.metrics()[f"segment_consumer_{name}", frozenset(labels.items())]

    def total(self, name: str, **labels: str) -> float:
        """Return the sum over the labels that aren't named, of a new scrape; 0 of no sample."""
        return sum(
            value
            for (each, given), value in self.metrics().items()
            if each == f"segment_consumer_{name}" and labels.items() <= dict(given).items()
        )

    def await_metric(self, value: float, name: str, **labels: str) -> None:
        """Wait until ``total`` says so: what happened is published a little later."""
        sample = f"{name} {labels or ''}".rstrip()
        eventually(
            lambda: self.total(name, **labels),
            PATIENCE_SECONDS,
            sample,
            until=lambda seen: seen == value,
        )

    def reasons(self) -> str:
        """Return why it isn't ready; empty if it is."""
        status, body = self.get("/readyz")
        assert status in {HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE}
        return "" if status == HTTPStatus.OK else body

    def await_reason(self, words: str, timeout: float = PATIENCE_SECONDS) -> None:
        """Wait until it isn't ready, and says so of it."""

        def is_said(reasons: str) -> bool:
            return words in reasons

        eventually(
            self.reasons, timeout, f"{words!r} on /readyz", until=is_said, ignoring=(OSError,)
        )

    def holds(self) -> set[str]:
        """Return what holds it, as the metrics have it."""
        return {
            dict(labels)["reason"]
            for (name, labels), value in self.metrics().items()
            if name == "segment_consumer_hold" and value
        }

    def _last_status(self) -> str:
        """Return what it publishes, or why it doesn't; asks once and briefly."""
        if self.exit_code is not None:
            return f"no status: ended with {self.exit_code}"
        listening = self.logs("listening")
        if not listening:
            return "no status: it doesn't listen"
        try:
            status, body = self.get("/status", timeout=_BRIEFLY_SECONDS)
        except OSError as error:
            return f"no status: {error!r}"
        return f"status ({status}): {body}"

    def _hear(self, line: str) -> None:
        self._output.append(line)
        try:
            log = json.loads(line)
        except ValueError:
            return  # with LOG_FORMAT=console, or from something that is no log
        if isinstance(log, dict):
            self._logs.append(log)

    def _join_readers(self) -> None:
        for reader in self._readers:
            reader.join()


def _environment(settings: "Mapping[str, object]", code: Path) -> dict[str, str]:
    kept = ("PATH", "HOME")
    outer = {
        name: value
        for name, value in os.environ.items()
        if name in kept or name.startswith("COVERAGE_")
    }
    own = {"HTTP_HOST": "127.0.0.1", "HTTP_PORT": "0", "PYTHONPATH": str(code)}
    return {**outer, **own, **{name: str(value) for name, value in settings.items()}}


def _reading(pipe: IO[bytes], hear: "Callable[[str], None]") -> threading.Thread:
    def read() -> None:
        with pipe:
            for line in pipe:
                hear(line.decode(errors="replace"))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread
