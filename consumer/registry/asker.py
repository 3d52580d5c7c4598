"""The thread that asks the registry: prefixes in, schemas out.

It decides nothing: what is asked for, and when again, is `core.schemas.inquiries`'s. Compiling a
schema takes a while too, so it is done here. The thread begins with the first question; it is a
daemon thread, for one that hangs in name resolution can't be interrupted.
"""

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

from consumer.core.schemas.inquiries import Found


class Asker:
    """Implements `ports.SchemasPort` with ``fetch``; owned by one thread."""

    def __init__(self, fetch: Callable[[bytes], Found]) -> None:
        self._fetch = fetch
        self._asked: SimpleQueue[bytes] = SimpleQueue()
        self._found: SimpleQueue[tuple[bytes, Found]] = SimpleQueue()
        self._runs = False

    def ask(self, prefix: bytes) -> None:
        """Ask for a schema by its prefix, behind those that were asked for before."""
        self._asked.put(prefix)
        if not self._runs:
            self._runs = True
            threading.Thread(target=self._run, name="registry", daemon=True).start()

    def found(self) -> Sequence[tuple[bytes, Found]]:
        """Return what came since the last call. Doesn't wait."""
        found = []
        while True:
            try:
                found.append(self._found.get_nowait())
            except Empty:
                return found

    def _run(self) -> None:
        while True:
            prefix = self._asked.get()
            self._found.put((prefix, self._fetch(prefix)))
