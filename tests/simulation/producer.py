"""Producers: customers who enter and leave segments, and records that nobody can read."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace

from tests.simulation.account import SHARED
from tests.simulation.api import BAD
from tests.simulation.log import Lane, PartitionLog, Record
from tests.simulation.scheduler import Scheduler
from tests.simulation.setup import Setup
from tests.support.mapped import mapping

MAX_IDS_PER_RECORD = 14
MAX_IDS_OF_MORE_CHANGES = 6
"""Beside those, of a record that a mapping reads: two more changes of three ids each."""
MAPPING = mapping(
    """
    [[rule]]
    each = "changes"
    segment_id = { path = "segment_id" }
    action = { path = "action" }
    id = { path = "ids" }
    id_type = { path = "id_type" }
    """
)
"""Reads the records of worlds in which they are no events."""
UNREADABLE = (b"", b"\0\0\0\0\7{}", b"[]", b'{"segment_id":0}', b"\xff", b'{"action":"add"}')
JUNK: tuple[object, ...] = (None, "", True, 1.5, ["x"], {"x": 1}, "x" * 300)


class Producer:
    """Writes until `stop`. ``history`` has every record that ever was, in the order of writing."""

    def __init__(
        self, scheduler: Scheduler, draw: random.Random, setup: Setup, logs: list[PartitionLog]
    ) -> None:
        self.history: list[Record] = []
        self._scheduler = scheduler
        self._draw = draw
        self._setup = setup
        self._logs = logs
        self._is_on = True

    def start(self) -> None:
        """Begin; some is there before anybody reads."""
        for _ in range(self._draw.choice((0, 5, 30))):
            self._write(self._draw.choice(self._logs))
        self._go_on()

    def fill(self, log: PartitionLog, up_to: int) -> None:
        """Write until a log is so long."""
        while log.end < up_to:
            self._write(log)

    def stop(self) -> None:
        """Write no more."""
        self._is_on = False

    def _go_on(self) -> None:
        if not self._is_on:
            return
        for _ in range(self._draw.choice((1, 1, 2, 8))):
            self._write(self._draw.choice(self._logs))
        seconds = self._draw.expovariate(self._setup.records_per_second / 3.0)
        self._scheduler.after(seconds, self._go_on)

    def _write(self, log: PartitionLog) -> None:
        draw = self._draw
        if draw.random() < 0.15:
            log.skip(draw.choice((1, 1, 2, 7)))
        record = self._record(log)
        log.append(record)
        self.history.append(record)
        if draw.random() < 0.05:
            log.skip(1)

    def _record(self, log: PartitionLog) -> Record:
        draw, partition, offset, now = self._draw, log.partition, log.end, self._scheduler.now
        kind = draw.random()
        if kind < 0.02:
            return Record(partition, offset, now, None)
        if kind < 0.04:
            return Record(partition, offset, now, draw.choice(UNREADABLE))
        segment = draw.choice(self._setup.segments)
        id_type = draw.choice(self._setup.id_types)
        action = draw.choice(("add", "remove"))
        names = self._names(partition, draw.choice((1, 1, 1, 2, 6, 12)), id_type)
        given: list[object] = list(names)
        if id_type == "email":
            given = [draw.choice((name, name.upper())) for name in names]
        if draw.random() < 0.1:  # once more
            place = draw.randrange(len(given))
            given.append(given[place])
            names.append(names[place])
        invalid = draw.sample(JUNK, draw.choice((1, 2))) if kind < 0.07 else []
        if invalid and draw.random() < 0.3:
            names, given = [], []
        given += invalid
        lane = (segment, id_type)
        said = _said(lane, action, given)
        record = Record(
            partition,
            offset,
            now,
            json.dumps(said).encode(),
            lane,
            action,
            tuple(names),
            len(invalid),
        )
        return self._framed(self._of_several(record, said) if self._setup.is_mapped else record)

    def _framed(self, record: Record) -> Record:
        """Return a record whose value names one of a few schemas, if those of the world do."""
        if not self._setup.is_framed or record.value is None or self._draw.random() < 0.1:
            return record
        # Each schema is there from some record on, as when producers are renewed.
        prefix = b"\0" + (1 + record.offset // 20 % 4).to_bytes(4)
        return replace(record, value=prefix + record.value)

    def _of_several(self, record: Record, said: dict[str, object]) -> Record:
        """Return a record that a mapping reads: of one change, of several, of some, or of none."""
        draw, changes, also = self._draw, [said], []
        kind = draw.random()
        if kind < 0.05:
            value = b'{"changes": []}'
            return Record(record.partition, record.offset, record.at, value, is_ignored=True)
        segments = [each for each in self._setup.segments if each != record.lane[0]]
        for segment in draw.sample(segments, min(len(segments), draw.choice((0, 1, 1, 2)))):
            lane, action = (segment, record.lane[1]), draw.choice(("add", "remove"))
            names = self._names(record.partition, draw.choice((1, 1, 3)), lane[1])
            changes.insert(draw.randint(0, len(changes)), _said(lane, action, names))
            also += [(lane, action, name) for name in names]
        if is_partly := kind < 0.1:
            changes.insert(draw.randint(0, len(changes)), {"segment_id": 0, "action": "add"})
        value = json.dumps({"changes": changes}).encode()
        return replace(record, value=value, also=tuple(also), is_partly=is_partly)

    def _names(self, partition: int, count: int, id_type: str) -> list[str]:
        draw = self._draw
        names: dict[str, None] = {}
        for _ in range(count):
            kind = draw.random()
            if kind < 0.02:
                name = f"{BAD}-{partition}-{draw.randrange(2)}"
            elif kind < 0.05:
                name = f"{SHARED}-{draw.randrange(2)}"
            else:
                name = f"c-{partition}-{draw.randrange(self._setup.customers)}"
            names[name if id_type == "id" else f"{name}-@example.com"] = None
        return list(names)


def _said(lane: Lane, action: str, given: Sequence[object]) -> dict[str, object]:
    """Return an event, or what stands for one in a record of several."""
    segment_id, id_type = lane
    said: dict[str, object] = {"segment_id": segment_id, "action": action, "ids": given}
    return said if id_type == "id" else {**said, "id_type": id_type}
