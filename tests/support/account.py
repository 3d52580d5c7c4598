"""A naive account of every change, written down from what was read, sent and answered.

It has no ledger, timer or queue: it keeps all changes and looks through all of them, so that what
it says can be compared with what the pipeline says.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from consumer.core.attempts import Attempt
from consumer.core.backoff import Backoff
from consumer.core.lanes import FAILING_AFTER, Batch

LaneName = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Truth:
    """A record, and what it means; ``names`` as they are to be sent."""

    partition: int
    offset: int
    value: bytes | None
    lane: LaneName = (0, "")
    action: str = ""
    names: tuple[str, ...] = ()
    invalid: int = 0

    @property
    def is_malformed(self) -> bool:
        """Whether it can't be read."""
        return self.value is not None and not self.action


@dataclass(eq=False, slots=True)
class Change:
    """One id of one record, or a record that can't be read (then it has no action)."""

    base: int  # of the ledger
    partition: int
    offset: int
    lane: LaneName
    action: str
    name: str
    fate: str = ""
    rides_on: "Change | None" = None

    @property
    def source(self) -> str:
        """Return where it came from, as a dead letter says it."""
        return f"audience:{self.partition}:{self.offset}"

    def is_settled(self) -> bool:
        """Whether its offset may be passed; a duplicate waits for what it is a duplicate of."""
        return self.fate != "" and (self.rides_on is None or self.rides_on.fate != "")


@dataclass(eq=False, slots=True)
class Parcel:
    """What should be one batch. It may leave from ``earliest`` on, and must from ``latest`` on."""

    lane: LaneName
    action: str
    earliest: float
    latest: float
    changes: dict[str, Change] = field(default_factory=dict)
    bases: set[int] = field(default_factory=set)
    seal: int | None = None
    batch: Batch | None = None
    in_flight: bool = False
    until: float = -math.inf  # of the running attempt
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(frozen=True, slots=True)
class Echo:
    """An attempt that may be applied until ``until``, whatever is known of it."""

    lane: LaneName
    action: str
    names: frozenset[str]
    until: float


@dataclass(eq=False, slots=True)
class Health:
    """How the attempts of one lane went."""

    backoff: Backoff = field(default_factory=Backoff)
    showed_hold: bool = False

    def goes_one_by_one(self) -> bool:
        """Whether its attempts wait for each other, and for its backoff."""
        return self.showed_hold or self.backoff.failures >= FAILING_AFTER

    def waits_until(self) -> float:
        """Return until when nothing of it leaves."""
        backoff = self.backoff
        return backoff.not_before if self.goes_one_by_one() else backoff.asked_until


class Account:
    """All changes of one process, and the batches that should carry them."""

    def __init__(self, max_ids: int, linger_seconds: float) -> None:
        self.changes: list[Change] = []
        self.received: Counter[str] = Counter()
        self.fates: Counter[tuple[str, str]] = Counter()
        self.refused: list[Change] = []  # neither in a batch nor in a dead letter yet
        self.health: dict[LaneName, Health] = {}
        self._suspects: list[Backoff] = []  # failed since anybody's last success
        self._max_ids = max_ids
        self._linger_seconds = linger_seconds
        self._open: dict[tuple[LaneName, str], Parcel] = {}
        self._sealed: list[Parcel] = []
        self._echoes: list[Echo] = []
        self._seals = 0

    # -- what was read --------------------------------------------------------------------------

    def read(self, truth: Truth, base: int, now: float) -> None:
        """Take down a record."""
        lane, action = truth.lane, truth.action
        if truth.is_malformed:
            self.refused.append(self._change(truth, base, ""))
        for _ in range(truth.invalid):
            self.refused.append(self._change(truth, base, ""))
        for name in truth.names:
            change = self._change(truth, base, name)
            parcel = self._open.get((lane, action))
            if parcel is None:
                due_at = now + self._linger_seconds
                parcel = self._open[lane, action] = Parcel(lane, action, due_at, due_at)
            parcel.bases.add(base)
            if name in parcel.changes:
                change.rides_on = parcel.changes[name]
                self.end(change, "duplicate")
                continue
            opposite = self._open.get((lane, "remove" if action == "add" else "add"))
            if opposite is not None and name in opposite.changes:
                self.end(opposite.changes.pop(name), "superseded")
            if not parcel.changes:  # perhaps it was closed when it had become empty
                parcel.latest = max(parcel.latest, now + self._linger_seconds)
            parcel.changes[name] = change
            if len(parcel.changes) >= self._max_ids:
                self._seal(parcel)

    def _change(self, truth: Truth, base: int, name: str) -> Change:
        change = Change(base, truth.partition, truth.offset, truth.lane, truth.action, name)
        self.changes.append(change)
        if truth.action:
            self.received[truth.action] += 1
        return change

    # -- what became of it ----------------------------------------------------------------------

    def end(self, change: Change, fate: str) -> None:
        """Settle a change, once."""
        assert not change.fate, f"{change} was settled before, now it is {fate}"
        change.fate = fate
        if change.action:
            self.fates[change.action, fate] += 1

    def release(self, bases: set[int]) -> int:
        """Release all that came from these ledgers; return how many ids it were."""
        released = 0
        for change in self.changes:
            if change.base in bases and not change.fate:
                self.end(change, "released")
                released += bool(change.action)
        for parcel in [*self._sealed, *self._open.values()]:
            gone = [name for name, change in parcel.changes.items() if change.fate]
            if gone and parcel.in_flight:
                self._echoes.append(Echo(parcel.lane, parcel.action, frozenset(gone), parcel.until))
            for name in gone:
                del parcel.changes[name]
            parcel.bases -= bases
            self._close(parcel)
        self.refused = [change for change in self.refused if not change.fate]
        return released

    def refuse(self, parcel: Parcel, name: str) -> None:
        """Take down that an id is refused for good."""
        self.refused.append(parcel.changes.pop(name))
        self._close(parcel)

    def deliver(self, parcel: Parcel, name: str) -> None:
        """Take down that the API accepted an id."""
        self.end(parcel.changes.pop(name), "delivered")
        self._close(parcel)

    def echo(self, attempt: Attempt, until: float) -> None:
        """Take down that nobody knows whether the attempt was applied, or will be."""
        parcel = self.parcel_of(attempt)
        echo = Echo(parcel.lane, parcel.action, frozenset(attempt.ids), until)
        self._echoes.append(echo)

    def _close(self, parcel: Parcel) -> None:
        if not parcel.changes and parcel.seal is not None and parcel in self._sealed:
            self._sealed.remove(parcel)

    # -- what was sent --------------------------------------------------------------------------

    def sent(self, attempt: Attempt, now: float) -> Parcel:
        """Return the parcel that it carries, having checked that it may leave (I2, I4, I5)."""
        parcel = self._carried_by(attempt)
        assert set(attempt.ids) <= parcel.changes.keys(), (
            "an attempt carries what is not its batch's"
        )
        is_first = parcel.batch is None
        assert not is_first or len(attempt.ids) == len(parcel.changes), (
            "a first attempt is not whole"
        )
        if parcel.seal is None:
            assert parcel.earliest <= now, "an open batch left before it was due"
            self._seal(parcel)
        assert not parcel.in_flight, "a batch has two attempts at once"
        assert parcel.backoff.not_before <= now, "a batch left before its backoff was over"
        self.forget_echoes(now)
        assert not self._stands_back(parcel), "an earlier opposite request may yet be applied"
        parcel.batch = attempt.batch
        parcel.in_flight = True
        parcel.until = attempt.deadline
        return parcel

    def parcel_of(self, attempt: Attempt) -> Parcel:
        """Return what a running attempt carries; an empty one if all of it was released."""
        found = [parcel for parcel in self._sealed if parcel.batch is attempt.batch]
        lane = (attempt.batch.lane.segment_id, attempt.batch.lane.id_type)
        return found[0] if found else Parcel(lane, attempt.batch.action, 0.0, 0.0)

    def _carried_by(self, attempt: Attempt) -> Parcel:
        lane = (attempt.batch.lane.segment_id, attempt.batch.lane.id_type)
        name = (lane, attempt.batch.action)
        known = [parcel for parcel in self._sealed if parcel.batch is attempt.batch]
        full = [
            parcel
            for parcel in self._sealed
            if parcel.batch is None
            and (parcel.lane, parcel.action) == name
            and parcel.changes.keys() == set(attempt.ids)
        ]
        open_one = [self._open[name]] if name in self._open else []
        candidates = [*known, *full, *open_one]
        assert candidates, "an attempt carries nothing that waits"
        return candidates[0]

    def _seal(self, parcel: Parcel) -> None:
        self._seals += 1
        parcel.seal = self._seals
        del self._open[parcel.lane, parcel.action]
        self._sealed.append(parcel)

    # -- questions ------------------------------------------------------------------------------

    def forget_echoes(self, now: float) -> None:
        """Drop what can't be applied any more."""
        self._echoes = [echo for echo in self._echoes if echo.until > now]

    def _stands_back(self, parcel: Parcel) -> bool:
        """Whether something of the opposite action has to be over first."""
        seal = math.inf if parcel.seal is None else parcel.seal
        earlier: Iterable[Parcel | Echo] = [
            *(each for each in self._sealed if (each.seal or 0) < seal),
            *self._echoes,
        ]
        names = parcel.changes.keys()
        return any(
            each.lane == parcel.lane
            and each.action != parcel.action
            and not names.isdisjoint(each.changes if isinstance(each, Parcel) else each.names)
            for each in earlier
        )

    def overdue(self, now: float) -> Iterator[Parcel]:
        """Yield what should have left by now, if there were slots and tokens enough (I4)."""
        self.forget_echoes(now)
        in_flight = {parcel.lane for parcel in self._sealed if parcel.in_flight}
        for parcel in [*self._sealed, *self._open.values()]:
            health = self.health.get(parcel.lane, Health())
            if (
                parcel.changes
                and not parcel.in_flight
                and (parcel.seal is not None or parcel.latest <= now)
                and parcel.backoff.not_before <= now
                and health.waits_until() <= now
                and not (health.goes_one_by_one() and parcel.lane in in_flight)
                and not self._stands_back(parcel)
                and not self._would_pass_an_older_one(parcel, now)
            ):
                yield parcel

    def _would_pass_an_older_one(self, parcel: Parcel, now: float) -> bool:
        """Whether an older open parcel of its lane is due and has to stand back."""
        return parcel.seal is None and any(
            each is not parcel
            and each.lane == parcel.lane
            and each.changes
            and each.earliest <= now
            and each.latest <= max(parcel.latest, now)
            and self._stands_back(each)
            for each in self._open.values()
        )

    def succeeded(self, parcel: Parcel, now: float, cap: float, jitter: float) -> None:
        """Take down that the API decided: whoever was in trouble until now is over it."""
        health = self.health.setdefault(parcel.lane, Health())
        health.showed_hold = False
        health.backoff.succeed()
        parcel.backoff.succeed()
        for suspect in self._suspects:
            suspect.trouble_over(now, cap, jitter)
        self._suspects.clear()

    def failed(self, backoff: Backoff, started_at: float, now: float, cap: float, j: float) -> None:
        """Take down that an attempt has to be repeated."""
        if backoff not in self._suspects:
            backoff.troubles += 1
            self._suspects.append(backoff)
        backoff.fail(started_at, now, cap, j)

    def flush_oldest(self, now: float) -> None:
        """Take down that any open batch may leave now."""
        for parcel in self._open.values():
            parcel.earliest = min(parcel.earliest, now)

    def flush(self, bases: set[int], now: float) -> None:
        """Take down that what holds changes of these ledgers is due."""
        for parcel in self._open.values():
            if not parcel.bases.isdisjoint(bases):
                parcel.earliest = min(parcel.earliest, now)
                parcel.latest = min(parcel.latest, now)

    def riders(self, change: Change) -> list[Change]:
        """Return the change with its duplicates, whose fate is its own."""
        return [each for each in self.changes if change in {each, each.rides_on}]

    def held(self) -> int:
        """Return how many ids are neither settled nor lost."""
        return sum(1 for change in self.changes if change.action and not change.fate)

    def lowest_unsettled(self) -> dict[int, int]:
        """Return, by ledger, the lowest offset that must not be passed by a commit.

        What is settled is forgotten here, so that looking through all of it stays cheap.
        """
        self.changes = [change for change in self.changes if not change.is_settled()]
        lowest: dict[int, int] = {}
        for change in self.changes:
            lowest[change.base] = min(change.offset, lowest.get(change.base, change.offset))
        return lowest
