"""A mapping that is watched for the keys of segments that its table doesn't have."""

from consumer.core.mapping.beside import Record
from consumer.core.mapping.mapping import Mapping
from consumer.core.mapping.reading import Reading


class KeyWatch:
    """Reads as its mapping does. Implements `core.schemas.reader.Readings`.

    ``unlisted`` has the keys of the record that was read last.
    """

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self.unlisted: tuple[str, ...] = ()

    def read(self, value: bytes | None, record: Record) -> Reading:
        """Return what a record says."""
        self.unlisted = self._mapping.unlisted_keys(value, record)
        return self._mapping.read(value, record)

    def read_decoded(self, value: object, record: Record) -> Reading:
        """Return what a record says whose value was decoded already."""
        self.unlisted = self._mapping.unlisted_keys_of_decoded(value, record)
        return self._mapping.read_decoded(value, record)
