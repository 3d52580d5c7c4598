"""The schemas of a preview: asked for while it waits, but not for ever."""

import threading
from collections.abc import Callable

from consumer.core.schemas.answers import Failed
from consumer.core.schemas.framing import name_of
from consumer.core.schemas.inquiries import Found

PATIENCE_SECONDS = 15.0
_UNUSABLE = "it can't be used"  # of one schema; the registry is well


class ImpatientFetch:
    """Asks with ``fetch``; owned by one thread.

    Once the registry doesn't answer as it should, it is asked for nothing else. ``failures`` has
    what the reader says of records whose schema could not be had for that.
    """

    def __init__(
        self, fetch: Callable[[bytes], Found], patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._fetch = fetch
        self._patience_seconds = patience_seconds
        self._failed: Failed | None = None
        self.failures: set[str] = set()

    def __call__(self, prefix: bytes) -> Found:
        """Return what a prefix names, or why that is not known."""
        found = self._failed or self._within_patience(prefix)
        if isinstance(found, Failed):
            self.failures.add(f"its {name_of(prefix)}: {found.detail}")
            if not found.detail.startswith(_UNUSABLE):
                self._failed = found
        return found

    def _within_patience(self, prefix: bytes) -> Found:
        """Ask in a thread of its own: name resolution can't be interrupted."""
        answers: list[Found] = []
        asking = threading.Thread(
            target=lambda: answers.append(self._fetch(prefix)), name="preview-schemas", daemon=True
        )
        asking.start()
        asking.join(self._patience_seconds)
        if answers:
            return answers[0]
        return Failed(f"the registry did not answer in {self._patience_seconds:g} s")
