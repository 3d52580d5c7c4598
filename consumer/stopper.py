"""The stopper: turns signals into a stop with a deadline, and ends the process if that is not kept.

The first SIGTERM or SIGINT asks for a stop: drain, commit, leave the group. A watchdog - the thread
that waits for signals - ends the process hard when that takes too long, for nothing bounds a
library call that waits for a broker; the second signal ends it at once. Both work while the main
thread sits in such a call, where a Python signal handler would not run: the wakeup file descriptor
is written by the C handler, and read by the thread.
"""

import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from consumer import clock
from consumer.observability import logs

OVERTIME_SECONDS = 4.0
"""A stop that is past its time by this much is ended hard; the contract allows 5 s."""
LAST_WORDS_SECONDS = 0.5


@dataclass(slots=True, eq=False)
class Stopper:
    """One stop. ``overdue_code`` is 0 for a daemon, as the next owner goes on."""

    _drain_timeout_seconds: float
    overdue_code: int = 0
    asked: bool = False
    asked_at: float = 0.0
    deadline: float = 0.0
    on_stop: Callable[[float], None] = lambda _: None
    _sender: socket.socket | None = None

    def watch(self) -> None:
        """Take over SIGTERM and SIGINT; call it in the main thread."""
        receiver, sender = socket.socketpair()
        self._sender = sender
        sender.setblocking(False)  # as set_wakeup_fd demands
        signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _ignored)
        threading.Thread(
            target=self._wait, args=(receiver, sender), name="stopper", daemon=True
        ).start()

    def stop(self) -> None:
        """Ask for the stop."""
        self.asked_at = clock.now()
        self.deadline = self.asked_at + self._drain_timeout_seconds
        self.on_stop(self.deadline)
        self.asked = True

    def finish(self) -> None:
        """Stop because the work is done; the deadline is watched as after a signal."""
        self.stop()
        if self._sender is not None:
            self._sender.send(b"\0")

    def _wait(self, receiver: socket.socket, sender: socket.socket) -> None:
        receiver.recv(1)
        if not self.asked:
            self.stop()
        overdue = self.deadline + OVERTIME_SECONDS
        while (left := overdue - clock.now()) > 0:
            if select.select([receiver], [], [], left)[0] and (number := receiver.recv(1)[0]):
                end_hard(128 + number, "stopped_hard", "a second signal", signal=number)
        sender.close()
        end_hard(
            self.overdue_code,
            "stopped_hard",
            "the stop took too long; what was held is the next owner's",
        )


def end_hard(code: int, event: str, message: str, **fields: object) -> NoReturn:
    """Say why, and be gone, whatever other threads are at."""

    def say() -> None:
        logs.log(event, message, level="error", **fields)
        logs.flush()
        sys.stdout.flush()

    # Whoever reads the log may have stopped, and another thread may hold its lock for ever.
    speaker = threading.Thread(target=say, name="last-words", daemon=True)
    speaker.start()
    speaker.join(LAST_WORDS_SECONDS)
    os._exit(code)


def _ignored(_signal: int, _frame: object) -> None:
    """Do nothing: the thread that reads the wakeup descriptor does."""
