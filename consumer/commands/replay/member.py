"""The dead-letter topic up to where it ended when the replay began, as the loop has it.

What was appended later is dropped, above all the dead letters that this very replay appends: a
change refused again goes to the topic once more before its offset is committed. In their place the
loop gets the end of the partition, at the end as of the start, so no commit passes one unseen.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError

from consumer.core.dead_letters import DeadLetter
from consumer.core.message import Message
from consumer.core.positions import Going
from consumer.engine.ports import (
    CommitAnswer,
    Committed,
    Damaged,
    Listener,
    Offsets,
    Partition,
    Report,
)
from consumer.kafka.dead_letters import DeadLetters
from consumer.kafka.errors import is_end_of_partition
from consumer.kafka.member import Member
from consumer.kafka.questions import Questions


class BoundedMember(Member):
    """A member of the group that reads up to ``ends`` and passes on what ``takes`` says.

    ``reached`` is how far each partition was read, one past the last dead letter that was seen;
    ``damaged`` has what was said where one can't be read on. What librdkafka finds behind that is
    dropped: nothing is skipped by itself.
    """

    def __init__(
        self,
        properties: Mapping[str, Any],
        ends: Mapping[Partition, int],
        takes: Callable[[Message], bool],
    ) -> None:
        super().__init__(properties)
        self.reached: dict[Partition, int] = {}
        self.damaged: dict[Partition, str] = {}
        self._behind: set[Partition] = set()  # damage, among the messages of now
        self._ends = ends
        self._takes = takes
        self._ended: set[Partition] = set()

    def consume(self, count: int, timeout_seconds: float) -> list[Any]:
        """Return up to ``count`` messages of before the ends; see `Member.consume`."""
        messages = super().consume(count, timeout_seconds)
        self._behind.clear()
        return [kept for message in messages for kept in self._within(message)]

    def start(self, positions: Mapping[Partition, Going], *, paused: bool) -> None:
        """Begin reading at these positions; what was read to its end before is so no more."""
        self._ended -= positions.keys()
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
        if not is_end:
            self.reached[name] = offset + 1
        if is_end or self._takes(message):
            yield message


class LoneMember(BoundedMember):
    """Joins no group and commits nothing: for a replay of some dead letters.

    No offset could say which ones were replayed, so none is moved. Nobody can take its
    partitions away either, so there is no membership to prove: it answers commits itself, and the
    loop's lease always holds. Two such replays at once deliver the same ones twice.
    """

    def __init__(
        self,
        properties: Mapping[str, Any],
        ends: Mapping[Partition, int],
        takes: Callable[[Message], bool],
        starts: Mapping[Partition, int],
    ) -> None:
        super().__init__(properties, ends, takes)
        self._starts = starts
        self._is_assigned = False
        self._unanswered: Mapping[Partition, Offsets] = {}

    def subscribe(self, topics: Sequence[str], listener: Listener) -> None:  # noqa: ARG002 - joins nothing
        """Have the listener; it is assigned everything at the first `consume`."""
        self._client.listener = listener

    def consume(self, count: int, timeout_seconds: float) -> list[Any]:
        """Return messages; the callbacks fire here, as in a group."""
        listener = self._client.listener
        if listener is not None and not self._is_assigned:
            self._is_assigned = True
            listener.assigned(list(self._starts))
        if listener is not None and self._unanswered:
            answer, self._unanswered = _taken(self._unanswered), {}
            listener.commit_answered(answer)
        return super().consume(count, timeout_seconds)

    def commit(self, offsets: Mapping[Partition, Offsets]) -> str | None:
        """Send nothing; the answer comes with the next `consume`."""
        self._unanswered = offsets
        return None

    def commit_now(self, offsets: Mapping[Partition, Offsets]) -> CommitAnswer:
        """Send nothing, and say that it was taken."""
        return _taken(offsets)


class LoneQuestions(Questions):
    """What a `LoneMember` asks: the brokers about logs, nobody about commits."""

    def __init__(
        self, properties: Mapping[str, Any], group_id: str, starts: Mapping[Partition, int]
    ) -> None:
        super().__init__(properties, group_id)
        self._starts = starts

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, Committed]:
        """Return where the replay begins."""
        return {name: Committed(self._starts[name], "") for name in partitions}


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


class KeptDeadLetters(DeadLetters):
    """Where refused dead letters go in a replay that commits nothing: nowhere.

    They are on the topic, uncommitted, already, and a copy would be one more with each such replay.
    """

    def send(self, dead_letter: DeadLetter) -> bool:
        """Say with the next `poll` that the broker has it."""
        self._reports.append(Report(dead_letter, None))
        return True


def _taken(offsets: Mapping[Partition, Offsets]) -> CommitAnswer:
    return CommitAnswer({name: each.offset for name, each in offsets.items()}, None)
