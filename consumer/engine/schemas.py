"""The watch over partitions whose next record names a schema that isn't there yet.

Each is held back, alone, and read again from its position when the schema has come; the owner never
waits for one. What is asked for, and for how long, is `core.schemas.inquiries`'s. A registry that
fails is told as ``schema-registry-unavailable``, which stops nobody else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from consumer.core.outcomes import HoldReason
from consumer.core.pipeline import Pipeline
from consumer.core.schemas.answers import NotThere
from consumer.core.schemas.framing import name_of
from consumer.engine.assignment import Assignment
from consumer.engine.outlook import Outlook
from consumer.engine.ports import Partition, Say, Schemas


@dataclass(slots=True, eq=False)
class SchemaWatch:
    """Owned by the loop. Without ``schemas`` no record names one."""

    _pipeline: Pipeline
    _assignment: Assignment
    _outlook: Outlook
    _schemas: Schemas | None
    _say: Say
    _told: str = ""

    def turn(self, now: float) -> Sequence[Partition]:
        """Hold back, ask, and go on with what has come.

        Return the partitions that are read again: what was consumed of them is to be forgotten.
        """
        if self._schemas is None:
            return ()
        awaited = self._pipeline.awaited
        port, inquiries = self._schemas.port, self._schemas.inquiries
        self._assignment.hold_back(awaited)
        for prefix, found in port.found():
            inquiries.take(prefix, found, now)
            if isinstance(found, NotThere):
                text = f"{name_of(prefix)}: {found.detail}; it is asked for again"
                self._say(now, "schema_not_found", name_of(prefix), text, level="warning")
        arrived = [name for name, prefix in awaited.items() if prefix in inquiries.known]
        for name in arrived:
            del awaited[name]
        if arrived:
            self._assignment.go_on(arrived)
        for prefix in inquiries.turn(dict.fromkeys(awaited.values()), now):
            port.ask(prefix)
        self._tell(inquiries.trouble(now), now)
        return arrived

    def _tell(self, trouble: str, now: float) -> None:
        if trouble:
            count = len(self._pipeline.awaited)
            partitions = f"{count} partition{'s wait' if count > 1 else ' waits'}"
            trouble = f"{partitions} for {trouble}"
        if trouble != self._told:
            self._told = trouble
            self._outlook.set_hold(HoldReason.SCHEMA_REGISTRY_UNAVAILABLE, trouble, now)
