"""The dead-letter topic up to where it ended when the replay began, as the loop has it.

What was appended later is dropped, above all the dead letters that this very replay appends: a
change refused again goes to the topic once more before its offset is committed. In their place the
loop gets the end of the partition, at the end as of the start, so no commit passes one unseen.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError

from consumer.core.positions import Going
from consumer.engine.ports import Damaged, Partition
from consumer.kafka.errors import is_end_of_partition
from consumer.kafka.member import Member

if TYPE_CHECKING:
    from consumer.core.message import Message


class BoundedMember(Member):
    """Reads up to ``ends``.

    ``reached`` is how far each partition was read, one past the last dead letter that was seen;
    ``damaged`` has what was said where one can't be read on. What librdkafka finds behind that is
    dropped: nothing is skipped by itself. ``short`` has where one seems to end before its end: that
    of a replica may be behind its leader's, so it is to be asked for.
    """

    def __init__(
        self,
        properties: Mapping[str, Any],
        ends: Mapping[Partition, int],
    ) -> None:
        super().__init__(properties)
        self.reached: dict[Partition, int] = {}
        self.damaged: dict[Partition, str] = {}
        self.short: dict[Partition, int] = {}
        self._behind: set[Partition] = set()  # damage, among the messages of now
        self._ends = ends
        self._ended: set[Partition] = set()

    def consume(self, count: int, timeout_seconds: float) -> list[Any]:
        """Return up to ``count`` messages of before the ends; see `Member.consume`."""
        messages = super().consume(count, timeout_seconds)
        self._behind.clear()
        return [each for message in messages for each in self._within(message)]

    def start(self, positions: Mapping[Partition, Going], *, paused: bool) -> None:
        """Begin reading at these positions; where they were read to before says nothing more."""
        self._ended -= positions.keys()
        for name in positions:
            self.short.pop(name, None)
        super().start(positions, paused=paused)

    def _within(self, message: Any) -> "Iterator[Message | EndOfSpan]":  # noqa: ANN401 - the library's
        name = (message.topic(), message.partition())
        if name in self._behind:
            return
        is_end = is_end_of_partition(message)
        if message.error() is not None and not is_end:
            if isinstance(meaning := self.meaning_of(message), Damaged):
                self._behind.add(name)
                self.damaged[name] = meaning.trouble.detail
            yield message
            return
        end = self._ends.get(name, 0)  # a partition that is newer than the replay: nothing of it
        offset = message.offset()
        if offset >= end:
            self.reached[name] = end
            if name not in self._ended:
                self._ended.add(name)
                yield EndOfSpan(name, end)
            return
        if is_end:
            self.short[name] = offset
        else:
            self.short.pop(name, None)
            self.reached[name] = offset + 1
        yield message


class EndOfSpan:
    """Says as librdkafka does that a partition was read to its end: an error, and no record."""

    _ERROR = KafkaError(KafkaError._PARTITION_EOF)  # noqa: SLF001 - librdkafka's local error codes are spelt so

    def __init__(self, name: Partition, end: int) -> None:
        self._name = name
        self._end = end

    def error(self) -> KafkaError:
        """Return what makes it one."""
        return self._ERROR

    def topic(self) -> str:
        """Return the topic."""
        return self._name[0]

    def partition(self) -> int:
        """Return the partition."""
        return self._name[1]

    def offset(self) -> int:
        """Return the end."""
        return self._end
