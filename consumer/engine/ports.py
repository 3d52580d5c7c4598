"""What the engine meets the world through: protocols, and the values that cross them.

The daemon gives it Kafka, HTTP and the machine's clock; a simulation gives it worlds of its own.
Whoever implements a port imports it from here, never the other way round.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from consumer.core.attempts import Attempt
from consumer.core.dead_letters import DeadLetter
from consumer.core.message import Message
from consumer.core.outcomes import Answer
from consumer.core.positions import Going, Gone, Log
from consumer.core.schemas.inquiries import Found as FoundSchema
from consumer.core.schemas.inquiries import Inquiries
from consumer.core.tally import Counts
from consumer.core.throttle import HoldState

Partition = tuple[str, int]
"""A topic and the number of one of its partitions."""


class GiveUp(Exception):  # noqa: N818 - it says what the daemon does
    """The one exception: the daemon can't go on and ends with exit code 1."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the settings say about the engine; durations in seconds."""

    request_timeout_seconds: float
    drain_timeout_seconds: float
    commit_interval_seconds: float
    session_timeout_seconds: float
    heartbeat_interval_seconds: float
    offset_reset: str
    needs_dead_letters: bool
    asks_session: bool = False  # KIP-848: session and heartbeat are the broker's to decide
    has_expression: bool = False  # among the topics; which they mean is found out by looking


# -- the member of the group ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Offsets:
    """What to commit for a partition."""

    offset: int
    metadata: str = ""
    leader_epoch: int | None = None


@dataclass(frozen=True, slots=True)
class Committed:
    """A partition's committed offset as the broker has it; None: it has none."""

    offset: int | None
    metadata: str
    leader_epoch: int | None = None


@dataclass(frozen=True, slots=True)
class CommitAnswer:
    """What became of a commit: the offsets that the broker took, and the first error.

    ``is_member`` is False when the broker said that this member is no longer one. ``too_long`` are
    partitions whose metadata it finds too long: without it, it may take them.
    """

    committed: Mapping[Partition, int]
    error: str | None
    is_member: bool = True
    retriable: bool = True
    too_long: frozenset[Partition] = frozenset()

    @property
    def is_refusal(self) -> bool:
        """Whether the broker took nothing of it, for good, and not for the membership."""
        return self.is_member and not (self.error is None or self.retriable or self.committed)


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error of the client. ``code`` is librdkafka's name of it.

    ``is_refusal``: a broker is there, and doesn't let us in, or we don't trust it.
    """

    code: str
    detail: str
    fatal: bool = False
    is_refusal: bool = False


@dataclass(frozen=True, slots=True)
class EndOfPartition:
    """A partition was read to its end, ``message.offset()``: past markers and compacted offsets."""


@dataclass(frozen=True, slots=True)
class Damaged:
    """What stands at a partition's position can't be read; nothing behind it may be taken in."""

    trouble: Trouble


MessageError = EndOfPartition | Gone | Damaged | Trouble
"""What a message means that carries an error instead of a record."""


class Listener(Protocol):
    """What the group and the broker tell, inside `MemberPort.consume` or as the member leaves."""

    def assigned(self, partitions: Sequence[Partition]) -> None:
        """Take over partitions: answer with `MemberPort.start` now or later."""

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """Give partitions up, in order; they go to somebody else when this returns."""

    def lost(self, partitions: Sequence[Partition]) -> None:
        """Drop partitions: they are somebody else's already."""

    def commit_answered(self, answer: CommitAnswer) -> None:
        """Take in the broker's answer to the commit that was sent last."""

    def kafka_error(self, error: Trouble) -> None:
        """Take in trouble of the client itself."""


class MemberPort(Protocol):
    """See `kafka.member.Member`."""

    def consume(self, count: int, timeout_seconds: float) -> Sequence[Message]: ...  # noqa: D102
    def meaning_of(self, message: Message) -> MessageError: ...  # noqa: D102
    def start(self, positions: dict[Partition, Going], *, paused: bool) -> None: ...  # noqa: D102
    def stop(self, partitions: Iterable[Partition]) -> None: ...  # noqa: D102
    def pause(self, partitions: Iterable[Partition]) -> None: ...  # noqa: D102
    def resume(self, partitions: Iterable[Partition]) -> list[Partition]: ...  # noqa: D102
    def commit(self, offsets: dict[Partition, Offsets]) -> str | None: ...  # noqa: D102
    def commit_now(self, offsets: dict[Partition, Offsets]) -> CommitAnswer: ...  # noqa: D102
    def partition_counts(self, timeout_seconds: float) -> dict[str, int] | None: ...  # noqa: D102
    def look_at(self, topics: Iterable[str]) -> bool: ...  # noqa: D102
    def look_at_all(self) -> None: ...  # noqa: D102
    def take_up_what_is_new(self) -> None: ...  # noqa: D102
    def is_reachable(self, timeout_seconds: float) -> bool: ...  # noqa: D102
    def member_id(self) -> str: ...  # noqa: D102
    def start_anew(self) -> None: ...  # noqa: D102


# -- where partitions stand -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FirstStart:
    """Whether it is the group's first start. ``counts`` are the partitions of topics as of now."""

    group_has_commits: bool
    census: Mapping[str, int]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Found:
    """What the brokers have of a partition. ``number`` is of the question.

    ``first_start`` is there where nothing is committed, if it was to be asked for.
    """

    partition: Partition
    number: int
    committed: Committed
    log: Log
    first_start: FirstStart | None = None


class LookupPort(Protocol):
    """See `kafka.lookup.Lookup`. The engine sets what it is to ask about.

    ``wanted`` has the number of its question by partition: a partition that went and came back is
    another question. ``read`` are the topics whose ids are looked at now and then.
    """

    wanted: Mapping[Partition, int]
    read: frozenset[str]
    topic_ids: Mapping[str, str]
    trouble: str

    def ask_now(self) -> None: ...  # noqa: D102
    def found(self) -> Sequence[Found]: ...  # noqa: D102


# -- the API and the dead letters -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Result:
    """What an attempt brought back, and how long it took (seconds)."""

    attempt: Attempt
    answer: Answer
    seconds: float


class CarriersPort(Protocol):
    """See `customerio.carriers.Carriers`."""

    def send(self, attempt: Attempt, lease_end: float) -> None: ...  # noqa: D102
    def collect(self, timeout_seconds: float) -> Sequence[Result]: ...  # noqa: D102
    def wait(self, timeout_seconds: float) -> None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a dead letter; no error: the broker has it."""

    dead_letter: DeadLetter
    error: str | None
    truncated: bool = False


class DeadLettersPort(Protocol):
    """See `kafka.dead_letters.DeadLetters`."""

    def send(self, dead_letter: DeadLetter) -> bool: ...  # noqa: D102
    def poll(self, timeout_seconds: float = 0.0) -> Sequence[Report]: ...  # noqa: D102


# -- the schema registry --------------------------------------------------------------------------


class SchemasPort(Protocol):
    """See `registry.asker.Asker`. A schema is named by the prefix of the values written with it."""

    def ask(self, prefix: bytes) -> None: ...  # noqa: D102
    def found(self) -> Sequence[tuple[bytes, FoundSchema]]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Schemas:
    """Who is asked for schemas, and what is known of them: the records' reader looks there, too."""

    port: SchemasPort
    inquiries: Inquiries


# -- what the cluster says ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class View:
    """What the observer saw last. ``asked`` is False before its first round is over.

    ``unreachable`` is why no broker answered, ``refused`` the same where one is there and doesn't
    let us in, or isn't trusted; ``missing`` are named topics that aren't there or may
    not be read, with the reason; ``dead_letter_trouble`` is why dead letters can't be written.
    ``partition_counts`` is of the topics that have a name in the settings or are read.
    ``is_member`` answers `ObserverPort.member_id`; None: not asked or no answer.
    ``group_obstacle`` is what the group's members say of why a member of our protocol can't join,
    as of when the group was asked about last. The session and heartbeat times are the broker's for
    the KIP-848 protocol, where it tells them. ``unanswered`` are partitions whose end was asked for
    in vain; ``causes`` says why nothing may come from a silent one, as far as the cluster knows.
    ``leaders`` has ends with the epoch of the leader that told: up to there the log is its log.
    """

    asked: bool = False
    unreachable: str | None = None
    refused: str = ""
    missing: Mapping[str, str] = field(default_factory=dict)
    partition_counts: Mapping[str, int] = field(default_factory=dict)
    ends: Mapping[Partition, int] = field(default_factory=dict)
    leaders: Mapping[Partition, tuple[int, int]] = field(default_factory=dict)
    unanswered: frozenset[Partition] = frozenset()
    causes: Mapping[Partition, str] = field(default_factory=dict)
    dead_letter_trouble: str | None = None
    is_member: bool | None = None
    group_obstacle: str = ""
    session_seconds: float | None = None
    heartbeat_seconds: float | None = None


class ObserverPort(Protocol):
    """See `kafka.observer.Observer`. The engine sets what it is to ask about.

    ``silent`` are partitions from which nothing comes, with their positions.
    """

    view: View
    partitions: tuple[Partition, ...]
    silent: Mapping[Partition, int]
    member_id: str

    def ask_now(self) -> None: ...  # noqa: D102


# -- what the engine publishes --------------------------------------------------------------------


class BlockedBy(NamedTuple):
    """What keeps a partition's commit back: a batch of a lane, or a dead letter on its way.

    A named tuple, as `PartitionState`: there may be thousands of both, several times a second, and
    a frozen dataclass takes five times as long to make.

    ``segment_id`` and ``id_type`` are None for a record that can't be read. ``age_seconds`` counts
    from when it was read, ``attempts`` those in a row without a delivery; no error: not tried yet.
    """

    segment_id: int | None
    id_type: str | None
    age_seconds: float
    attempts: int
    last_error: str


class PartitionState(NamedTuple):
    """One assigned partition. ``end`` is None until the broker told it."""

    topic: str
    partition: int
    position: int
    committed: int | None
    end: int | None
    paused: bool
    blocked_by: BlockedBy | None
    is_stalled: bool = False


@dataclass(frozen=True, slots=True)
class LaneState:
    """One lane; ``oldest_seconds`` is the age of its oldest batch.

    ``attempts`` are those in a row without a delivery, of the batch that has most of them.
    """

    segment_id: int
    id_type: str
    pending: int
    in_flight: int
    oldest_seconds: float
    attempts: int
    last_error: str
    last_error_at: float  # only if there is one


@dataclass(frozen=True, slots=True)
class Published:
    """The engine at one moment: everything that anybody outside may know of it.

    ``at`` is on the engine's clock, as all times but the last delivery's. ``problems`` says why it
    is not ready besides its holds, by what it is.
    """

    at: float
    is_stopping: bool
    has_joined: bool
    has_looked: bool
    holds: tuple[HoldState, ...]
    problems: Mapping[str, str]
    partitions: tuple[PartitionState, ...]
    lanes: tuple[LaneState, ...]
    counts: Counts
    held_ids: int
    buffer_limit_ids: int
    is_paused: bool
    oldest_read_at: float | None
    in_flight: int
    concurrency_limit: int
    last_api_error: str
    last_api_error_at: float  # only if there is one
    last_delivery_wall: float  # Unix time


# -- all together ---------------------------------------------------------------------------------


class Say(Protocol):
    """See `observability.logs.Repeats.log`."""

    def __call__(  # noqa: D102
        self, now: float, event: str, key: str, message: str, *, level: str, **fields: object
    ) -> object: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside of the engine."""

    member: MemberPort
    lookup: LookupPort
    carriers: CarriersPort
    dead_letters: DeadLettersPort
    observer: ObserverPort
    clock: Callable[[], float]  # seconds, see `clock`
    wall: Callable[[], float]  # Unix time
    jitter: Callable[[], float]  # [0, 1)
    say: Say
    beat: Callable[[float], None]  # the loop turned at, on `clock`
    publish: Callable[[Published], None]
    before_probe: Callable[[], None]  # credentials are read again
    schemas: Schemas | None = None  # if records name them
