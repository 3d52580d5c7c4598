"""A Kafka client as the loop sees it (``ports.MemberPort``): records in, commits out.

As librdkafka does it: callbacks are served inside ``consume`` on the calling thread, ``consume``
waits its whole timeout, a synchronous commit is not bounded, questions time out.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from consumer.core.message import Message
from consumer.core.positions import Going
from consumer.engine.ports import (
    CommitAnswer,
    Listener,
    MessageError,
    Offsets,
    Partition,
    Trouble,
)
from tests.simulation.classic_membership import ClassicMembership
from tests.simulation.fetcher import Fetcher
from tests.simulation.group import Group
from tests.simulation.kip848_membership import NewMembership
from tests.simulation.link import Link
from tests.simulation.log import TOPIC
from tests.simulation.requests import Requests
from tests.simulation.scheduler import Scheduler

if TYPE_CHECKING:
    from tests.simulation.process import Process

DRAIN_END_SECONDS = 1.0


class Client:
    """Implements ``ports.MemberPort``."""

    def __init__(
        self,
        scheduler: Scheduler,
        process: "Process",
        *,
        link: Link,
        group: Group,
        membership: ClassicMembership | NewMembership,
        fetcher: Fetcher,
        requests: Requests,
        poll_records: int,
    ) -> None:
        self.membership = membership
        self.fetcher = fetcher
        self._scheduler = scheduler
        self._process = process
        self._link = link
        self._group = group
        self._poll_records = poll_records
        self._requests = requests
        self._listener: Listener | None = None
        self._answers: deque[CommitAnswer] = deque()
        self._errors: deque[Trouble] = deque()
        self._clients = 0  # before the one of now
        self._drain_began_at: float | None = None
        link.on_cut = self._cut
        link.on_mend = self._mended

    def subscribe(self, listener: Listener) -> None:
        """Join the group."""
        self._listener = listener
        self.membership.start()

    # -- reading ----------------------------------------------------------------------------------

    def consume(self, count: int, timeout_seconds: float) -> Sequence[Message]:
        """Serve callbacks and wait the whole timeout for records."""
        self._process.point()
        until = self._scheduler.now + timeout_seconds
        self._serve()
        while self._scheduler.now < until:
            self._scheduler.block(until, is_pokable=True)
            self._serve()
        self._process.point()
        if self.membership.callbacks:  # what is revoked is not handed out any more
            self._serve()
        return self.fetcher.take(min(count, self._poll_records), is_up=self._link.is_up)

    def start_anew(self) -> None:
        """Take a new client; nothing is heard of the old one any more."""
        self._process.point()
        self._process.trace("a new client")
        self._clients += 1
        self._answers.clear()
        gone = sorted(self.membership.owned)
        self.membership.begin_anew()
        self._requests.forget()
        if gone:
            self._tell("lost", gone)
        if self._listener is not None:
            answer = CommitAnswer({}, "its client is gone", is_member=False)
            self._listener.commit_answered(answer)

    def meaning_of(self, message: Message) -> MessageError:
        """Return what the fetcher said that it means."""
        meaning: MessageError = message.error()
        return meaning

    def start(self, positions: dict[Partition, Going], *, paused: bool) -> None:
        """Begin to read."""
        self._process.point()
        for (_, partition), going in sorted(positions.items()):
            self.fetcher.start(partition, going, is_paused=paused)

    def stop(self, partitions: Iterable[Partition]) -> None:
        """Read no more of them."""
        self._process.point()
        for _, partition in partitions:
            self.fetcher.stop(partition)

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Fetch no more of them for now."""
        for _, partition in sorted(partitions):
            self.fetcher.pause(partition)

    def resume(self, partitions: Iterable[Partition]) -> list[Partition]:
        """Fetch again; return what is not read any more."""
        return [name for name in sorted(partitions) if not self.fetcher.resume(name[1])]

    # -- committing -------------------------------------------------------------------------------

    def commit(self, offsets: dict[Partition, Offsets]) -> str | None:
        """Send a commit; its answer comes inside ``consume``."""
        self._process.point()
        number = self._clients
        self._commit(offsets, lambda answer: self._heard(answer, number))
        return None

    def commit_now(self, offsets: dict[Partition, Offsets]) -> CommitAnswer:
        """Commit and wait for the answer, however long it takes."""
        self._process.point()
        self._overtake()
        heard: list[CommitAnswer] = []

        def hear(answer: CommitAnswer) -> None:
            heard.append(answer)
            self._process.poke()

        self._commit(offsets, hear)
        while not heard:
            self._scheduler.block(self._scheduler.now + 60.0, is_pokable=True)
        return heard[0]

    def _overtake(self) -> None:
        """Tell what this commit overtakes, but for one at the drain's end, which is the last."""
        if self._drain_began_at is not None:
            seconds = self._process.setup.options.drain_timeout_seconds
            ends_at = min(self._drain_began_at + seconds, self._process.stop_deadline)
            if self._scheduler.now < ends_at - DRAIN_END_SECONDS:
                self._requests.overtake(self._drain_began_at)

    def _commit(
        self, offsets: dict[Partition, Offsets], hear: Callable[[CommitAnswer], None]
    ) -> None:
        membership = self.membership
        self._requests.commit(membership.member_id, membership.epoch, offsets, hear)

    def _heard(self, answer: CommitAnswer, number: int) -> None:
        if number == self._clients:
            self._answers.append(answer)
        self._process.poke()

    # -- questions --------------------------------------------------------------------------------

    def partition_counts(self, timeout_seconds: float) -> dict[str, int] | None:
        """Return how many partitions the topic has."""
        return self._requests.ask(lambda: {TOPIC: self.fetcher.partitions}, timeout_seconds)

    def look_at(self, _: Iterable[str]) -> bool:
        """Look at topics; here there are never more partitions."""
        return True

    def look_at_all(self) -> None:
        """List all topics; here there is nothing new."""

    def take_up_what_is_new(self) -> None:
        """Compare; here there is nothing new."""

    def is_reachable(self, timeout_seconds: float) -> bool:
        """Whether the coordinator answers."""
        return self._requests.ask(lambda: True, timeout_seconds) or False

    def member_id(self) -> str:
        """Return the name that the group knows us by."""
        return self.membership.member_id

    def awaits_commit(self) -> bool:
        """Whether a commit is on its way."""
        return self._requests.awaits_commit()

    def is_served_well(self) -> bool:
        """Whether the brokers answer, and no answer of a worse time is still awaited."""
        return self._requests.is_left_alone()

    def is_member(self, member_id: str) -> bool:
        """Whether the coordinator lists that member."""
        return member_id in self._group.members

    def close(self) -> None:
        """Serve what is left, give everything up, leave."""
        self._process.point()
        self._serve()
        membership = self.membership
        if membership.owned and self._listener is not None:
            gone = [(TOPIC, each) for each in sorted(membership.owned)]
            membership.is_serving = True
            self._listener.revoked(gone)
            membership.owned.clear()
        membership.leave()
        self._scheduler.block(self._scheduler.now + 0.1)

    # -- inside -----------------------------------------------------------------------------------

    def _serve(self) -> None:
        listener = self._listener
        if listener is None:
            return
        while self._answers:
            listener.commit_answered(self._answers.popleft())
        while self._errors:
            listener.kafka_error(self._errors.popleft())
        while self.membership.serve(self._tell):
            pass

    def _tell(self, kind: str, partitions: list[int]) -> None:
        listener = self._listener
        assert listener is not None
        self._process.trace(kind, partitions)
        names = [(TOPIC, each) for each in partitions]
        self._drain_began_at = self._scheduler.now if kind == "revoked" else None
        {
            "assigned": listener.assigned,
            "revoked": listener.revoked,
            "lost": listener.lost,
        }[kind](names)
        self._drain_began_at = None
        if kind != "assigned":
            for each in partitions:
                self.fetcher.stop(each)

    def _cut(self) -> None:
        self.membership.cut()
        self._requests.cut()
        self._errors.append(Trouble("_ALL_BROKERS_DOWN", "all brokers are down"))

    def _mended(self) -> None:
        self.membership.mended()
        self._requests.mended()
