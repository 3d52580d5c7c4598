"""Whether the process of the tests itself stood still, and for how long."""

import threading
import time
from typing import Self

_BEAT_SECONDS = 0.05


class Pulse:
    """A thread that wakes up all the time. ``longest_seconds`` is how late it was at worst.

    The API and the proxies live in this process: while it stands still, a request waits there that
    its client has given up, and what it does afterwards is no fault of the client.
    """

    def __init__(self) -> None:
        self.longest_seconds = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        woke = time.monotonic()
        while not self._stopped.wait(_BEAT_SECONDS):
            late = time.monotonic() - woke - _BEAT_SECONDS
            self.longest_seconds = max(self.longest_seconds, late)
            woke = time.monotonic()
