"""Something that goes on beside a test until it is stopped."""

import threading
import time
from abc import ABC, abstractmethod
from typing import Self


class Repeating(ABC):
    """A thread that does the same again and again, with a pause of so long in between.

    ``late_seconds`` is by how much this turn comes late: so long the whole machine stood still.
    """

    def __init__(self, pause_seconds: float) -> None:
        self._pause_seconds = pause_seconds
        self.late_seconds = 0.0
        self._stopped = threading.Event()
        self._failure: Exception | None = None
        name = type(self).__name__.lower()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let it end, and wait for that. Raises what ended it before."""
        self._stopped.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    @abstractmethod
    def turn(self) -> None:
        """Do it once; called in the thread."""

    def _run(self) -> None:
        try:
            due_at = time.monotonic() + self._pause_seconds
            while not self._stopped.wait(self._pause_seconds):
                self.late_seconds = max(0.0, time.monotonic() - due_at)
                self.turn()
                due_at = time.monotonic() + self._pause_seconds
        except Exception as error:  # noqa: BLE001 - raised by stop(), where somebody hears it
            self._failure = error
