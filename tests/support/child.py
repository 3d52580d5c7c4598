"""A child process that does not outlive the tests, however they end."""

import atexit
import os
import signal
import subprocess
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Waits for the end of its input, which comes when this process is gone, be it by SIGKILL.
# PR_SET_PDEATHSIG would be tied to the thread that started the child, and to Linux.
_WATCHDOG = 'read -r _; kill -KILL "$0" 2>/dev/null'


class Child:
    """A running process with an environment of its own.

    It gets a session of its own: Ctrl-C reaches the tests, and they end their children.
    """

    def __init__(
        self,
        command: "Sequence[str | Path]",
        *,
        environment: "Mapping[str, str]",
        directory: "Path",
        stdout: int | IO[bytes],
        stderr: int | IO[bytes],
    ) -> None:
        self._process = subprocess.Popen(
            command,
            env=environment,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        self._watchdog = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHDOG, str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        atexit.register(self.kill)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def stdout(self) -> IO[bytes]:
        """The pipe of its standard output, if it was given one."""
        assert self._process.stdout is not None, "started without a pipe for stdout"
        return self._process.stdout

    @property
    def stderr(self) -> IO[bytes]:
        """The pipe of its standard error, if it was given one."""
        assert self._process.stderr is not None, "started without a pipe for stderr"
        return self._process.stderr

    @property
    def exit_code(self) -> int | None:
        """None while it runs; -9 after a SIGKILL."""
        code = self._process.poll()
        if code is not None:
            self._end_watchdog()
        return code

    def wait(self, timeout: float) -> int:
        """Wait for its end and return the exit code; fail after ``timeout`` seconds."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"process {self.pid} did not end in {timeout:g} s") from None
        self._end_watchdog()
        return code

    def terminate(self) -> None:
        """Send SIGTERM. A frozen process gets it when it thaws."""
        self._signal(signal.SIGTERM)

    def interrupt(self) -> None:
        """Send SIGINT."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """Send SIGKILL and wait until the process is gone. Harmless when it is."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._end_watchdog()

    def freeze(self) -> None:
        """Send SIGSTOP; when this returns the process does nothing any more."""
        self._signal(signal.SIGSTOP)
        if hasattr(os, "waitid"):  # not on every macOS
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """Send SIGCONT."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        # Popen knows whether the process was reaped: a pid that is used again gets no signal.
        self._process.send_signal(number)

    def _end_watchdog(self) -> None:
        atexit.unregister(self.kill)
        # Killed before its input is closed: it must not act on a pid that may be used again.
        self._watchdog.kill()
        self._watchdog.wait()
        if self._watchdog.stdin is not None:
            self._watchdog.stdin.close()
