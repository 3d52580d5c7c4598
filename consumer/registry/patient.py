"""A reader that waits for each schema that a record needs: for commands that do one thing."""

from collections.abc import Callable

from consumer.core.events import Malformed
from consumer.core.mapping.beside import Record
from consumer.core.mapping.reading import Awaited, Reading
from consumer.core.schemas.compiled import Compiled
from consumer.core.schemas.framing import name_of
from consumer.core.schemas.inquiries import Found
from consumer.core.schemas.reader import Readings, SchemaReader


class PatientReader:
    """Reads records by schemas that ``fetch`` returns, each asked for once.

    What can't be had makes its records malformed, whyever it is so. Never raises.
    """

    def __init__(self, fetch: Callable[[bytes], Found], readings: Readings) -> None:
        self.known: dict[bytes, Compiled | Malformed] = {}
        self._fetch = fetch
        self._reader = SchemaReader(self.known, readings)

    @property
    def read_value(self) -> Callable[[bytes, Record], Reading]:
        """Return what reads a record that has a value."""
        return self.read

    def read(self, value: bytes | None, record: Record) -> Reading:
        """Return what a record says, whether it has a value or none."""
        while isinstance(found := self._reader.read(value, record), Awaited):
            self.known[found.prefix] = self._schema(found.prefix)
        return found

    def _schema(self, prefix: bytes) -> Compiled | Malformed:
        found = self._fetch(prefix)
        if isinstance(found, Compiled):
            return found
        return Malformed(f"its {name_of(prefix)}: {found.detail}")
