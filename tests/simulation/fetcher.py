"""What a client fetches: positions, pauses, a prefetch, and what it says at a log's ends."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from consumer.core.positions import Going, Gone
from consumer.engine.ports import EndOfPartition, MessageError
from tests.simulation.log import TOPIC, PartitionLog, Record
from tests.support.records import FakeMessage


@dataclass(slots=True, eq=False)
class Reading:
    """One partition that is read. ``position`` is of what is fetched next.

    ``epoch`` is of the last record before that, ``epoch_taken`` of the last that was handed out,
    ``leader_epoch`` of the leader that is known.
    """

    log: PartitionLog
    position: int
    epoch: int | None
    epoch_taken: int | None
    leader_epoch: int
    is_paused: bool
    queue: deque[FakeMessage] = field(default_factory=deque)
    records: deque[Record | None] = field(default_factory=deque)
    end_said: int | None = None
    is_gone: bool = False


class Fetcher:
    """``hand_out`` hears of each record that the application gets."""

    def __init__(
        self,
        logs: list[PartitionLog],
        hand_out: Callable[[Record], None],
        begun: Callable[[int, int], None],
        prefetch_records: int,
    ) -> None:
        self._logs = logs
        self._hand_out = hand_out
        self._begun = begun
        self._prefetch_records = prefetch_records
        self._readings: dict[int, Reading] = {}
        self._turn = 0

    @property
    def partitions(self) -> int:
        """Return how many there are."""
        return len(self._logs)

    def start(self, partition: int, going: Going, *, is_paused: bool) -> None:
        """Begin to read; with an epoch the broker is asked whether that is this log's offset."""
        log = self._logs[partition]
        epoch = going.leader_epoch
        reading = Reading(log, going.offset, epoch, epoch, -1, is_paused)
        self._readings[partition] = reading
        self._begun(partition, going.offset)

    def stop(self, partition: int) -> None:
        """Read it no more."""
        self._readings.pop(partition, None)

    def pause(self, partition: int) -> None:
        """Drop what was fetched, and fetch no more.

        That a position is gone is dropped, too, and said once: nothing comes any more then.
        """
        reading = self._readings[partition]
        reading.is_paused = True
        if reading.queue:
            reading.position, reading.epoch = reading.queue[0].offset(), reading.epoch_taken
            reading.queue.clear()
            reading.records.clear()
            reading.end_said = None

    def resume(self, partition: int) -> bool:
        """Fetch again; return whether it is read at all."""
        reading = self._readings[partition]
        reading.is_paused = False
        return not reading.is_gone

    def take(self, count: int, *, is_up: bool) -> list[FakeMessage]:
        """Return what is there, the partitions taking turns."""
        taken: list[FakeMessage] = []
        readings = list(self._readings.values())
        if not readings:
            return taken
        self._turn = (self._turn + 1) % len(readings)
        for reading in readings[self._turn :] + readings[: self._turn]:
            if reading.is_paused:
                continue
            if is_up and not reading.is_gone:
                self._fetch(reading)
            queue, records = reading.queue, reading.records
            while queue and len(taken) < count:
                taken.append(queue.popleft())
                record = records.popleft()
                if record is not None:
                    reading.epoch_taken = record.leader_epoch
                    self._hand_out(record)
        return taken

    def _fetch(self, reading: Reading) -> None:
        log = reading.log
        if gone := _why_gone(reading):
            reading.is_gone = True
            self._say(reading, gone)
            return
        if reading.position == log.end == reading.end_said:
            return
        if len(reading.queue) < self._prefetch_records:
            index = log.index(reading.position)
            for record in log.records[index : index + self._prefetch_records]:
                reading.queue.append(record.message)
                reading.records.append(record)
                reading.position, reading.epoch = record.offset + 1, record.leader_epoch
            if index + self._prefetch_records >= len(log.records):
                if log.end > reading.position:
                    reading.position, reading.epoch = log.end, log.epoch_before(log.end)
                if reading.end_said != log.end:
                    reading.end_said = log.end
                    self._say(reading, EndOfPartition())

    def _say(self, reading: Reading, error: MessageError) -> None:
        message = FakeMessage(TOPIC, reading.log.partition, reading.position, error=error)
        reading.queue.append(message)
        reading.records.append(None)


def _why_gone(reading: Reading) -> Gone | None:
    """Return what the broker says of a position that it has no more.

    A later leader is asked how far its log is the one that was read. An earlier one is of a topic
    that was made anew, which nobody notices as long as it has the offset.
    """
    log = reading.log
    if log.leader_epoch > reading.leader_epoch:
        reading.leader_epoch = log.leader_epoch
        if reading.epoch is not None:
            end = log.end_of(reading.epoch)
            if end is None or end < reading.position:
                return Gone(end, is_compared=True)
    return None if log.start <= reading.position <= log.end else Gone()
