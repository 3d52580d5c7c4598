"""The thread that writes the log's lines: where nobody reads them, it is the only one that waits.

Between it and the threads that log is a queue of bounded size. What finds no room is dropped, and
so is what can't be written (a full disk, a reader that went away); as soon as lines flow again one
of them says how many are missing. A dropped line is missing between its neighbours: once the queue
was full it has to be half empty before it takes ordinary lines again. Errors find room for longer.
"""

import os
import select
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread

MAX_BYTES = 2 * 1024 * 1024
"""Of lines that wait; errors may fill as much again."""


class Writer:
    """Writes to a file descriptor; ``notice`` makes the line about so many that are missing."""

    def __init__(self, descriptor: int, notice: Callable[[int], bytes]) -> None:
        self._descriptor = descriptor
        self._notice = notice
        self._lines: deque[bytes] = deque()  # the first is being written
        self._bytes = 0
        self._missing = 0
        self._is_full = False
        self._is_closed = False
        self._is_torn = False
        self._changed = Condition()
        Thread(target=self._run, name="log", daemon=True).start()

    def put(self, line: bytes, *, is_error: bool) -> None:
        """Take a line, or drop it; never waits for a reader."""
        with self._changed:
            self._is_full = self._is_full or self._bytes + len(line) > MAX_BYTES
            if self._bytes + len(line) > 2 * MAX_BYTES or (self._is_full and not is_error):
                self._missing += 1
            else:
                self._append(line)

    def flush(self, timeout_seconds: float) -> None:
        """Wait until all lines are written, but not for longer."""
        with self._changed:
            self._changed.wait_for(lambda: not self._lines, timeout_seconds)

    def close(self) -> None:
        """Have the thread end when all is written; nothing may be put any more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _append(self, line: bytes) -> None:
        self._lines.append(line)
        self._bytes += len(line)
        self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._is_closed)
                if not self._lines:
                    return
                line = self._lines[0]
            is_written = self._write(line)
            with self._changed:
                self._written(is_written=is_written)

    def _written(self, *, is_written: bool) -> None:
        """Let the first line go, and say what is missing if lines flow again."""
        self._bytes -= len(self._lines.popleft())
        self._missing += not is_written
        if self._bytes <= MAX_BYTES // 2:
            self._is_full = False
        if self._missing and is_written and not self._is_full:
            self._append(self._notice(self._missing))
            self._missing = 0
        self._changed.notify_all()

    def _write(self, line: bytes) -> bool:
        left = memoryview(b"\n" + line if self._is_torn else line)
        try:
            while left:
                try:
                    left = left[os.write(self._descriptor, left) :]
                except BlockingIOError:  # whoever started us made the pipe so
                    select.select([], [self._descriptor], [])
                else:
                    self._is_torn = bool(left)
        except OSError:
            return False
        return True
