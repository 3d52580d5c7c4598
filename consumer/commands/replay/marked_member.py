"""A member of the replay's group: the loop commits offsets, and what goes out are marks (`marks`).

The loop knows nothing of what was left: it hears of its own offsets only, as if they were what the
broker took.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from consumer.commands.replay.books import Books, Pending
from consumer.commands.replay.member import BoundedMember
from consumer.core.positions import Going
from consumer.engine.ports import (
    CommitAnswer,
    Committed,
    Listener,
    Offsets,
    Partition,
    Trouble,
)
from consumer.kafka.questions import Questions


@dataclass(slots=True, eq=False)
class Relay:
    """Between member and loop: the loop hears of its own offsets, the books of all."""

    _listener: Listener
    _books: Books
    _settled: Callable[[Partition, int, Pending], None]
    sent: Mapping[Partition, Offsets] = field(default_factory=dict)

    def assigned(self, partitions: Sequence[Partition]) -> None:
        """Pass it on; they begin with what is committed then."""
        self._books.close(partitions)
        self._listener.assigned(partitions)

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """Pass it on; they are drained and committed in there."""
        self._listener.revoked(partitions)
        self._books.close(partitions)

    def lost(self, partitions: Sequence[Partition]) -> None:
        """Pass it on."""
        self._listener.lost(partitions)
        self._books.close(partitions)

    def commit_answered(self, answer: CommitAnswer) -> None:
        """Pass it on, as the answer to what the loop asked for."""
        self._listener.commit_answered(self.as_asked(answer, self.sent))

    def kafka_error(self, error: Trouble) -> None:
        """Pass it on."""
        self._listener.kafka_error(error)

    def as_asked(self, answer: CommitAnswer, asked: Mapping[Partition, Offsets]) -> CommitAnswer:
        """Return the answer in the loop's offsets; what is in front of these is settled.

        If our notes were too long, the loop's own metadata, which has the topic's id, may not be.
        """
        too_long = answer.too_long - self._books.do_without_notes(answer.too_long)
        offsets = {name: asked[name].offset for name in answer.committed if name in asked}
        for name, offset, pending in self._books.settled(offsets):
            self._settled(name, offset, pending)
        return replace(answer, committed=offsets, too_long=too_long)


class MarkedMember(BoundedMember):
    """A member of the replay's group; what it commits are marks (`marks`).

    ``settled`` is told of each dead letter that the loop had, once its commit was answered.
    """

    def __init__(
        self,
        properties: Mapping[str, Any],
        ends: Mapping[Partition, int],
        books: Books,
        settled: Callable[[Partition, int, Pending], None],
    ) -> None:
        super().__init__(properties, ends)
        self._books = books
        self._settled = settled
        self._relay: Relay | None = None

    def subscribe(self, topics: Sequence[str], listener: Listener) -> None:
        """Join the group."""
        self._relay = Relay(listener, self._books, self._settled)
        super().subscribe(topics, self._relay)

    def start(self, positions: Mapping[Partition, Going], *, paused: bool) -> None:
        """Begin reading at these positions; see `Member.start`."""
        for name, going in positions.items():
            self._books.begin(name, going)
        super().start(positions, paused=paused)

    def commit(self, offsets: Mapping[Partition, Offsets]) -> str | None:
        """Send a commit; see `Member.commit`. One is on its way at a time."""
        if self._relay is not None:
            self._relay.sent = offsets
        return super().commit(self._books.marked(offsets))

    def commit_now(self, offsets: Mapping[Partition, Offsets]) -> CommitAnswer:
        """Commit and wait for the answer; see `Member.commit_now`."""
        answer = super().commit_now(self._books.marked(offsets))
        return answer if self._relay is None else self._relay.as_asked(answer, offsets)


class MarkedQuestions(Questions):
    """Asks the brokers where the replay's partitions stand, and has the books know it."""

    def __init__(self, properties: Mapping[str, Any], group_id: str, books: Books) -> None:
        super().__init__(properties, group_id)
        self._books = books

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, Committed]:
        """Return where reading begins. Raises KafkaException."""
        found = super().committed(partitions)
        self._books.found.update(found)
        start_of = self._books.start_of
        return {
            name: replace(each, offset=start_of(name, each.offset)) for name, each in found.items()
        }
