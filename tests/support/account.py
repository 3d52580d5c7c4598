"""A naive account of every change, written down from what was read, sent and answered.

It has no ledger, timer or queue: it keeps all changes and looks through all of them, so that what
it says can be compared with what the pipeline says.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from consumer.core.attempts import Attempt
from consumer.core.backoff import Backoff
from consumer.core.lanes import DOUBTS, FAILING_AFTER, MOST_DOUBTS, SLOW_SECONDS, Batch
from consumer.core.leaving import MOST_PARTS

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
    latest: float = math.inf
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
class Waiting:
    """What waits for its first attempt, of one lane and action.

    Something of it may leave from ``earliest`` on. A change must from its own ``latest`` on, and
    all must as soon as there are enough of them for a full batch.
    """

    changes: dict[str, Change] = field(default_factory=dict)
    earliest: float = math.inf
    is_thinned: bool = False  # a batch of which all was superseded waits on until it is due


@dataclass(eq=False, slots=True)
class Parcel:
    """What one batch carries that was sent."""

    lane: LaneName
    action: str
    changes: dict[str, Change] = field(default_factory=dict)
    batch: Batch | None = None
    in_flight: bool = False
    until: float = -math.inf  # of the running attempt
    backoff: Backoff = field(default_factory=Backoff)
    alone: set[str] = field(default_factory=set)  # refused as the only one of an attempt
    has_accepted: bool = False  # of it, the API has something


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
    doubts: int = 0

    def most_in_flight(self, slots: int) -> int:
        """Return how many attempts it may have side by side, with so many slots for all lanes."""
        if self.goes_one_by_one():
            return 1
        return (slots + 1) // 2 if self.doubts > DOUBTS else slots

    def took(self, seconds: float, *, failed: bool) -> None:
        """Take down how long an attempt was on its way; before what became of it."""
        if not failed and not (self.backoff.failures and seconds > SLOW_SECONDS):
            self.doubts = max(0, self.doubts - 1)
        elif seconds > SLOW_SECONDS:
            self.doubts = min(MOST_DOUBTS, self.doubts + DOUBTS)

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
        self._waiting: defaultdict[tuple[LaneName, str], Waiting] = defaultdict(Waiting)
        self._parcels: list[Parcel] = []
        self._echoes: list[Echo] = []

    # -- what was read --------------------------------------------------------------------------

    def read(self, truth: Truth, base: int, now: float) -> None:
        """Take down a record."""
        lane, action = truth.lane, truth.action
        if truth.is_malformed:
            self.refused.append(self._change(truth, base, ""))
        for _ in range(truth.invalid):
            self.refused.append(self._change(truth, base, ""))
        mine = self._waiting[lane, action]
        others = self._waiting[lane, _opposite_of(action)]
        for name in truth.names:
            change = self._change(truth, base, name)
            change.latest = now + self._linger_seconds
            back = [each for each in self._parcels if each.lane == lane and not each.in_flight]
            same = [mine.changes.get(name)]
            same += [each.changes.get(name) for each in back if each.action == action]
            if repeated := [each for each in same if each is not None]:
                change.rides_on = repeated[0]
                self.end(change, "duplicate")
                continue
            superseded = [others.changes.pop(name, None)]
            others.is_thinned |= superseded != [None]
            superseded += [each.changes.pop(name, None) for each in back]
            for each in superseded:
                if each is not None:
                    self.end(each, "superseded")
            mine.changes[name] = change
            is_full = len(mine.changes) >= self._max_ids
            mine.earliest = min(mine.earliest, now if is_full else change.latest)
            self._drop_empty()

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
        for parcel in self._parcels:
            gone = [name for name, change in parcel.changes.items() if change.fate]
            if gone and parcel.in_flight:
                self._echoes.append(Echo(parcel.lane, parcel.action, frozenset(gone), parcel.until))
            for name in gone:
                del parcel.changes[name]
        for waiting in self._waiting.values():
            gone = [name for name, change in waiting.changes.items() if change.fate]
            for name in gone:
                del waiting.changes[name]
        self._drop_empty()
        self.refused = [change for change in self.refused if not change.fate]
        return released

    def refuse(self, parcel: Parcel, name: str) -> None:
        """Take down that an id is refused for good."""
        self.refused.append(parcel.changes.pop(name))

    def deliver(self, parcel: Parcel, name: str) -> None:
        """Take down that the API accepted an id."""
        self.end(parcel.changes.pop(name), "delivered")

    def came_back(self, parcel: Parcel) -> None:
        """Take down that it is in flight no more: it gives way to what is opposite."""
        parcel.in_flight = False
        others = [each for each in self._parcels if each.lane == parcel.lane and each is not parcel]
        back = [each.changes for each in others if not each.in_flight]
        for name in list(parcel.changes):
            newer = self._waiting[parcel.lane, parcel.action].changes.pop(name, None)
            opposites = self._waiting[parcel.lane, _opposite_of(parcel.action)].changes
            opposite = [opposites.get(name)]
            for changes in back:
                found = changes.get(name)
                if found is not None and found.action == parcel.action:
                    newer = changes.pop(name)
                opposite.append(found if newer is None else None)
            if newer is not None:
                newer.rides_on = parcel.changes[name]
                self.end(newer, "duplicate")
            elif any(opposite):
                self.end(parcel.changes.pop(name), "superseded")
        self._drop_empty()

    def echo(self, attempt: Attempt, until: float) -> None:
        """Take down that nobody knows whether the attempt was applied, or will be."""
        parcel = self.parcel_of(attempt)
        echo = Echo(parcel.lane, parcel.action, frozenset(attempt.ids), until)
        self._echoes.append(echo)

    def _drop_empty(self) -> None:
        self._parcels = [each for each in self._parcels if each.changes or each.in_flight]

    # -- what was sent --------------------------------------------------------------------------

    def sent(self, attempt: Attempt, now: float) -> Parcel:
        """Return the parcel that it carries, having checked that it may leave (I2, I4, I5)."""
        self.forget_echoes(now)
        found = [parcel for parcel in self._parcels if parcel.batch is attempt.batch]
        parcel = found[0] if found else self._leave(attempt, now)
        self._join(parcel, attempt)
        assert set(attempt.ids) <= parcel.changes.keys(), "it carries what is not its batch's"
        assert not parcel.in_flight, "a batch has two attempts at once"
        assert parcel.backoff.not_before <= now, "a batch left before its backoff was over"
        in_the_way = self._in_the_way(parcel.lane, parcel.action)
        assert in_the_way.isdisjoint(parcel.changes), "an opposite request may yet be applied"
        parcel.in_flight = True
        parcel.until = attempt.deadline
        return parcel

    def _leave(self, attempt: Attempt, now: float) -> Parcel:
        """Return a parcel of what leaves for the first time."""
        lane = (attempt.batch.lane.segment_id, attempt.batch.lane.id_type)
        parcel = Parcel(lane, attempt.batch.action, batch=attempt.batch)
        waiting, names = self._waiting[lane, parcel.action], attempt.ids
        assert waiting.earliest <= now, "not due"
        for name in names:
            change = waiting.changes.pop(name, None)
            assert change is not None, "an attempt carries what does not wait"
            parcel.changes[name] = change
        free = waiting.changes.keys() - self._in_the_way(lane, parcel.action)
        has_parts = len(free) < len(waiting.changes) and self._awaited(lane) >= MOST_PARTS
        assert len(names) == self._max_ids or not free or has_parts, "an attempt is not whole"
        if not (waiting.changes or waiting.is_thinned):
            waiting.earliest = math.inf
        self._parcels.append(parcel)
        return parcel

    def _join(self, parcel: Parcel, attempt: Attempt) -> None:
        """Let a parcel that was tried take others along that were, too."""
        for other in self._parcels:
            is_alike = (other.lane, other.action) == (parcel.lane, parcel.action)
            is_back = other is not parcel and not other.in_flight and other.changes
            if is_alike and is_back and other.changes.keys() <= attempt.batch.ids.keys():
                parcel.changes |= other.changes
                other.changes = {}
        self._drop_empty()

    def parcel_of(self, attempt: Attempt) -> Parcel:
        """Return what a running attempt carries; an empty one if all of it was released."""
        found = [parcel for parcel in self._parcels if parcel.batch is attempt.batch]
        lane = (attempt.batch.lane.segment_id, attempt.batch.lane.id_type)
        return found[0] if found else Parcel(lane, attempt.batch.action)

    # -- questions ------------------------------------------------------------------------------

    def forget_echoes(self, now: float) -> None:
        """Drop what can't be applied any more."""
        self._echoes = [echo for echo in self._echoes if echo.until > now]

    def _in_the_way(self, lane: LaneName, action: str) -> set[str]:
        """Return the ids of which an opposite request may be applied yet."""
        names: set[str] = set()
        for echo in self._echoes:
            if echo.lane == lane and echo.action != action:
                names |= echo.names
        for parcel in self._parcels:
            if parcel.lane == lane and parcel.action != action and parcel.in_flight:
                names |= parcel.changes.keys()
        return names

    def _awaited(self, lane: LaneName) -> int:
        """Return how many requests of the lane may be applied yet."""
        flying = [each for each in self._parcels if each.lane == lane and each.in_flight]
        return len(flying) + sum(echo.lane == lane for echo in self._echoes)

    def overdue(self, now: float, slots: int) -> Iterator[tuple[LaneName, str]]:
        """Yield of what something should have left by now, if one of so many slots is free (I4)."""
        self.forget_echoes(now)
        in_flight = Counter(parcel.lane for parcel in self._parcels if parcel.in_flight)
        due: list[tuple[LaneName, str]] = []
        for (lane, action), waiting in self._waiting.items():
            free = waiting.changes.keys() - self._in_the_way(lane, action)
            late = [name for name in free if waiting.changes[name].latest <= now]
            may_part = len(free) == len(waiting.changes) or self._awaited(lane) < MOST_PARTS
            if may_part and (late or len(free) >= self._max_ids):
                due.append((lane, action))
        due += [
            (parcel.lane, parcel.action)
            for parcel in self._parcels
            if not parcel.in_flight and parcel.backoff.not_before <= now
        ]
        for lane, action in due:
            health = self.health.get(lane, Health())
            if health.waits_until() <= now and in_flight[lane] < health.most_in_flight(slots):
                yield lane, action

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
        """Take down that all that is open may leave now."""
        for waiting in self._waiting.values():
            waiting.earliest = min(waiting.earliest, now)

    def flush(self, bases: set[int], now: float) -> None:
        """Take down that what these ledgers wait for is due, and may take others along."""
        for waiting in self._waiting.values():
            urged = [each for each in waiting.changes.values() if each.base in bases]
            for change in urged:
                change.latest = min(change.latest, now)
            waiting.earliest = min(waiting.earliest, now)

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


def _opposite_of(action: str) -> str:
    return "remove" if action == "add" else "add"
