"""What the loop talks to: everything outside of it, as protocols.

The daemon gives it Kafka, HTTP and the machine's clock; a simulation gives it worlds of its own.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from consumer.core.dead_letters import DeadLetter
from consumer.core.intake import Message
from consumer.core.pipeline import Attempt
from consumer.customerio.carriers import Result
from consumer.kafka.dead_letters import Report
from consumer.kafka.member import CommitAnswer, Committed, Offsets, Partition
from consumer.kafka.observer import View

if TYPE_CHECKING:
    from consumer.engine.loop import Loop


@dataclass(frozen=True, slots=True)
class Options:
    """What the settings say about the loop; durations in seconds."""

    request_timeout_seconds: float
    drain_timeout_seconds: float
    commit_interval_seconds: float
    session_timeout_seconds: float
    heartbeat_interval_seconds: float
    offset_reset: str
    needs_dead_letters: bool
    is_static: bool = False
    returns_unnoticed: bool = False  # a start under the name of a member that stopped: no rebalance
    asks_session: bool = False


class MemberPort(Protocol):
    """See `member.Member`."""

    def consume(self, count: int, timeout_seconds: float) -> Sequence[Message]: ...  # noqa: D102
    def start(self, positions: dict[Partition, int], *, paused: bool) -> None: ...  # noqa: D102
    def stop(self, partitions: Iterable[Partition]) -> None: ...  # noqa: D102
    def pause(self, partitions: Iterable[Partition]) -> None: ...  # noqa: D102
    def resume(self, partitions: Iterable[Partition]) -> None: ...  # noqa: D102
    def commit(self, offsets: dict[Partition, Offsets]) -> str | None: ...  # noqa: D102
    def commit_now(self, offsets: dict[Partition, Offsets]) -> CommitAnswer: ...  # noqa: D102
    def committed(  # noqa: D102
        self, partitions: Iterable[Partition], timeout_seconds: float
    ) -> dict[Partition, Committed]: ...
    def watermarks(  # noqa: D102
        self, partition: Partition, timeout_seconds: float
    ) -> tuple[int, int] | None: ...
    def partition_counts(self, timeout_seconds: float) -> dict[str, int] | None: ...  # noqa: D102
    def look_again(  # noqa: D102
        self, topics: Iterable[str], timeout_seconds: float
    ) -> dict[str, int] | None: ...
    def is_reachable(self, timeout_seconds: float) -> bool: ...  # noqa: D102
    def member_id(self) -> str: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class CarriersPort(Protocol):
    """See `carriers.Carriers`."""

    def send(self, attempt: Attempt, lease_end: float) -> None: ...  # noqa: D102
    def collect(self, timeout_seconds: float) -> Sequence[Result]: ...  # noqa: D102
    def wait(self, timeout_seconds: float) -> None: ...  # noqa: D102


class DeadLettersPort(Protocol):
    """See `dead_letters.DeadLetters`."""

    def send(self, dead_letter: DeadLetter) -> bool: ...  # noqa: D102
    def poll(self, timeout_seconds: float = 0.0) -> Sequence[Report]: ...  # noqa: D102


class ObserverPort(Protocol):
    """See `observer.Observer`."""

    view: View
    partitions: tuple[Partition, ...]
    member_id: str
    watches_group: bool

    def ask_now(self) -> None: ...  # noqa: D102


class Say(Protocol):
    """See `logs.Repeats.log`."""

    def __call__(  # noqa: D102
        self, now: float, event: str, key: str, message: str, *, level: str, **fields: object
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside of the loop."""

    member: MemberPort
    carriers: CarriersPort
    dead_letters: DeadLettersPort
    observer: ObserverPort
    clock: Callable[[], float]  # seconds, see `clock`
    wall: Callable[[], float]  # Unix time
    jitter: Callable[[], float]  # [0, 1)
    say: Say
    beat: Callable[[float], None]  # the loop turned at, on `clock`
    publish: "Callable[[Loop, float], None]"
    before_probe: Callable[[], None]  # credentials are read again
