"""What reads dead letters: ours as events, and by the mapping those that it could not read.

A record that was malformed is on the topic as its producer wrote it, so it is the mapping's, if
there is one. Refused ids became an event, whatever the record was that they came from.
"""

from collections.abc import Callable

from consumer.commands.replay.dead_letters import labels_in
from consumer.core.dead_letters import TRIAL, DeadLetterReason, Headers
from consumer.core.decoder import EventDecoder
from consumer.core.events import IdType, Mixed
from consumer.core.mapping.beside import Record
from consumer.core.mapping.reading import Changes, Ignored, Reading, SureReader

WITHOUT_VALUE = Ignored("its value was too big for the topic")
OF_A_TRIAL = Ignored("a trial of `check --write`")
_EVENTS = frozenset(DeadLetterReason) - {DeadLetterReason.MALFORMED}


class DeadLetterReader:
    """Reads dead letters; ``mapping`` is what reads the daemon's records, None: they are events."""

    def __init__(self, mapping: SureReader | None, default_id_type: IdType) -> None:
        self._mapping = mapping
        self._look_closely = EventDecoder(default_id_type).look_closely

    @property
    def read_value(self) -> Callable[[bytes, Record], Reading]:
        """Return what reads a dead letter that has a value."""
        return self.read

    def read(self, value: bytes | None, record: Record) -> Reading:
        """Return what a dead letter asks for."""
        labels = labels_in(record, value)
        if labels.reason == TRIAL and value is None:
            return OF_A_TRIAL
        if labels.is_truncated:
            return WITHOUT_VALUE
        if self._mapping is not None and labels.reason not in _EVENTS:
            return self._mapping.read(value, _AtItsSource(record, labels.source))
        if value is None:
            return Ignored("no value")
        found = self._look_closely(value)
        return Changes((found,)) if isinstance(found, Mixed) else found


class _AtItsSource:
    """A record as it was in its source's topic, for a rule that names the topic."""

    def __init__(self, record: Record, source: str) -> None:
        self._record = record
        self._source = source

    def topic(self) -> str:
        """Return the source's topic, where it is known."""
        topic, _, _ = self._source.rpartition(":")[0].rpartition(":")
        return topic or self._record.topic()

    def key(self) -> bytes | None:
        """Return the record's key."""
        return self._record.key()

    def headers(self) -> Headers | None:
        """Return the record's headers, with those of the dead letter."""
        return self._record.headers()
