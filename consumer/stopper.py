"""The stopper: turns signals into a stop with a deadline, and ends the process if that is not kept.

It is there before anything else is imported, so that no signal is a death, nor lost where the
process is number 1 (the kernel drops what such a process has no handler for). Until something was
begun there is nothing to let go of, and a stop is the end, at once.

Then the first SIGTERM or SIGINT asks for a stop: drain, commit, leave the group. A watchdog - the
thread that waits for signals - ends the process hard when that takes too long, for nothing bounds a
library call that waits for a broker; the second signal ends it at once. Both work while the main
thread sits in such a call, where a Python signal handler would not run: the wakeup file descriptor
is written by the C handler, and read by the thread. ``timeout``, terminals and process managers
signal twice, so a second signal that follows closely is the first one.
"""

import os
import select
import signal
import threading
from collections.abc import Callable
from typing import NoReturn

from consumer import clock, stacks

OVERTIME_SECONDS = 4.0
"""A stop that is past its time by this much is ended hard; the contract allows 5 s."""
SAME_SIGNAL_SECONDS = 0.5
LAST_WORDS_SECONDS = 0.5

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

OnStop = Callable[[float], None]
"""Hears of a stop's deadline, in the thread that waits for signals."""


class Stopper:
    """One stop. ``ended_code`` is the exit code of one that ends the process: too late, or early.

    It is 0 for a daemon, as the next owner goes on.
    """

    def __init__(self, ended_code: int = 0) -> None:
        self.ended_code = ended_code
        self.log_is_open = False
        self.asked = False
        self.asked_at = 0.0
        self.deadline = 0.0
        self._drain_timeout_seconds = 0.0
        self._on_stop: OnStop | None = None
        self._sender: int | None = None
        self._signals: tuple[signal.Signals, ...] = ()

    def watch(self, *signals: signal.Signals) -> None:
        """Take over these signals, and SIGQUIT; call it in the main thread."""
        self._signals = (*signals, signal.SIGQUIT)
        receiver, self._sender = os.pipe()
        os.set_blocking(self._sender, False)  # as set_wakeup_fd demands
        signal.set_wakeup_fd(self._sender, warn_on_full_buffer=False)
        threading.Thread(
            target=self._wait, args=(receiver, signals), name="stopper", daemon=True
        ).start()
        for number in self._signals:
            signal.signal(number, _ignored)

    def leave(self) -> None:
        """All is done: Python resets its own handlers as it ends, and a signal would be a death."""
        for number in self._signals:
            signal.signal(number, signal.SIG_IGN)

    def begin(self, drain_timeout_seconds: float, on_stop: OnStop = lambda _: None) -> None:
        """There is something to let go of from now on; a stop has so long for it."""
        self._drain_timeout_seconds = drain_timeout_seconds
        self._on_stop = on_stop
        if self.asked:
            on_stop(self.deadline)

    def stop(self) -> None:
        """Ask for the stop."""
        self.asked_at = clock.now()
        self.deadline = self.asked_at + self._drain_timeout_seconds
        self.asked = True  # before looking at what `begin` sets before it looks at this
        if self._on_stop is not None:
            self._on_stop(self.deadline)

    def finish(self) -> None:
        """Stop because the work is done; the deadline is watched as after a signal."""
        self.stop()
        if self._sender is not None:
            os.write(self._sender, b"\0")

    def _wait(self, receiver: int, signals: tuple[int, ...]) -> None:
        while not (_heard(receiver, None) in signals or self.asked):
            pass  # a signal that Python itself takes is written there, too
        if not self.asked:
            self.stop()
        if self._on_stop is None:
            self._end_early()
        overdue = self.deadline + OVERTIME_SECONDS
        while (left := overdue - clock.now()) > 0:
            number = _heard(receiver, left)
            if number in signals and clock.now() - self.asked_at >= SAME_SIGNAL_SECONDS:
                end_hard(128 + number, "stopped_hard", "a second signal", signal=number)
        end_hard(
            self.ended_code,
            "stopped_hard",
            "the stop took too long; what was held is the next owner's",
        )

    def _end_early(self) -> NoReturn:
        if self.log_is_open:
            end_hard(self.ended_code, "stopped", "before anything had begun", level="info")
        os._exit(self.ended_code)


def end_hard(
    code: int, event: str, message: str, *, level: str = "error", **fields: object
) -> NoReturn:
    """Say why, and be gone, whatever other threads are at."""
    from consumer.observability import logs  # noqa: PLC0415 - not before the signals are watched

    logs.log(event, message, level=level, **fields)
    logs.flush(LAST_WORDS_SECONDS)
    os._exit(code)


def _heard(receiver: int, timeout_seconds: float | None) -> int:
    """Return the number of the next signal; 0: none in time, or only a call."""
    ready, _, _ = select.select([receiver], [], [], timeout_seconds)
    number = os.read(receiver, 1)[0] if ready else 0
    if number == signal.SIGQUIT:
        stacks.write_soon()
    return number


def _ignored(_signal: int, _frame: object) -> None:
    """Do nothing: the thread that reads the wakeup descriptor does."""
