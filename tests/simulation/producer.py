"""Producers: customers who enter and leave segments, and records that nobody can read."""

import json
import random

from tests.simulation.account import SHARED
from tests.simulation.api import BAD
from tests.simulation.log import PartitionLog, Record
from tests.simulation.scheduler import Scheduler
from tests.simulation.setup import Setup

MAX_IDS_PER_RECORD = 14
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
        members: dict[str, object] = {"segment_id": segment, "action": action, "ids": given}
        if id_type != "id":
            members["id_type"] = id_type
        value = json.dumps(members).encode()
        lane = (segment, id_type)
        return Record(partition, offset, now, value, lane, action, tuple(names), len(invalid))

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
