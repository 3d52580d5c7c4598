"""The partitions assigned now: what they wait for, and which are paused.

A partition is taken over in the group's callback and begun when the brokers have said where it
stands. `LookupPort` asks that for all that wait, so nothing here waits for an answer, and one that
is missing keeps no other partition waiting. An answer is to one question: what comes after a
partition was given up, and may be back, is passed over.

So is a partition whose position is gone, one whose topic has another id than when it began, for
librdkafka (2.16) reads on where the old one had come to, if the new one has that, and one of whose
end nobody knows which leader's it is (`Claims.learn`).

Pausing never stops polling. It throws away what the client has fetched ahead, to be fetched once
more, so what lasts for a moment is no reason for it. It throws away, too, that a position is gone:
what is resumed and not read is looked up once more. Every new partition is paused or resumed
explicitly, by the present state: librdkafka keeps a pause across a revoke.
"""

import itertools
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from consumer.core.ledger import Ledger
from consumer.core.pipeline import Pipeline
from consumer.core.positions import Going, Gone
from consumer.engine.ports import Found, LookupPort, MemberPort, Partition, Say
from consumer.engine.starts import Starts

RESUME_BELOW = 0.8
STARTS_PER_TURN = 500  # thousands at once would take a good part of a second
REST_SECONDS = 10.0  # of a partition whose next batch is damaged: perhaps it is whole elsewhere
PAUSE_AFTER_SECONDS = 0.5  # a rebalance waits behind what was fetched ahead for so long, too


@dataclass(frozen=True, slots=True)
class _Question:
    """What a partition waits for; ``gone`` is why one that was read is to go on elsewhere."""

    number: int
    gone: Gone | None = None


@dataclass(slots=True, eq=False)
class Assignment:
    """Owned by the loop. ``paused``: it is the buffer's limit that slows reading down.

    ``pausing``: nothing can be taken in now, for whatever reason. ``fetching``: the client goes on
    fetching all the same, for that has not lasted.
    """

    _pipeline: Pipeline
    _member: MemberPort
    _lookup: LookupPort
    _say: Say
    _starts: Starts
    paused: bool = False
    pausing: bool = False
    fetching: bool = True
    _waiting: dict[Partition, _Question] = field(default_factory=dict)
    _is_asked: bool = True  # `LookupPort` knows of all that wait
    _found: deque[Found] = field(default_factory=deque)
    _is_paused: set[Partition] = field(default_factory=set)
    _resting: dict[Partition, float] = field(default_factory=dict)  # until when
    _wake_at: float = math.inf  # the first that rests
    _topic_ids: Mapping[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _pausing_since: float = math.inf

    def is_paused(self, name: Partition) -> bool:
        """Whether this partition is kept from being read as fast as it could be."""
        return self.paused or name in self._is_paused

    @property
    def waiting(self) -> str:
        """Return what partitions wait for; empty: nothing."""
        if not self._waiting:
            return ""
        why = f": {self._lookup.trouble}" if self._lookup.trouble else ""
        starting = len(self._waiting.keys() - self._pipeline.ledgers.keys())
        what = "their committed offset" if starting else "their first offset"
        return f"{starting or len(self._waiting)} partitions wait for {what}{why}"

    def is_begun(self, ledger: Ledger) -> bool:
        """Whether the partition is read from a position that the broker has."""
        return (ledger.topic, ledger.partition) not in self._waiting

    def begin(self, partitions: Sequence[Partition]) -> None:
        """Take over partitions in the group's callback.

        Something must be taken over even if nothing is known yet: else the library would begin to
        read on its own.
        """
        self._member.start({}, paused=False)
        self._await(partitions, None)

    def turn(self, now: float) -> bool:
        """Begin what may begin, as far as the brokers have answered; return whether any did.

        Raises GiveUp if a position is gone and that is what the operator wants.
        """
        self._ask()
        self._found.extend(self._lookup.found())
        positions: dict[Partition, Going] = {}
        for _ in range(min(len(self._found), STARTS_PER_TURN)):
            found = self._found.popleft()
            name, question = found.partition, self._waiting.get(found.partition)
            if question is None or question.number != found.number:
                continue
            ledger = self._pipeline.ledgers.get(name)
            if ledger is None:
                positions[name] = self._starts.begin(found, now)
            else:
                positions[name] = self._starts.go_on(ledger, found.log, question.gone, now)
            del self._waiting[name]
        if not positions:
            return False
        self._starts.tell(now)
        self._member.start(positions, paused=not self.fetching)
        if not self.fetching:
            self._is_paused |= positions.keys()
        self._is_asked = False
        return True

    def lose_positions(self, names: Sequence[Partition], gone: Gone | None, now: float) -> None:
        """Take in that the broker has the positions no more, or may not have them."""
        known = [name for name in names if name in self._pipeline.ledgers]
        if gone is not None and not gone.is_compared:
            # Of one that rests, librdkafka went astray, and says it late.
            self.rest([name for name in known if name in self._resting], now)
            known = [name for name in known if name not in self._resting]
        for name in known:
            self._pipeline.ledgers[name].undo_gap()
        self._member.stop(known)
        self._await(known, gone)

    def made_anew(self) -> list[Partition]:
        """Return the partitions that are read of topics with another id than they were begun of."""
        ids = self._lookup.topic_ids
        if ids is self._topic_ids:
            return []
        self._topic_ids = ids
        anew = []
        for name, ledger in self._pipeline.ledgers.items():
            topic_id = ids.get(ledger.topic, "")
            if not topic_id or topic_id == ledger.topic_id or name in self._waiting:
                continue
            if ledger.topic_id:
                anew.append(name)
            else:  # nobody could tell when it began
                self._starts.identify(ledger, topic_id)
        return anew

    def hold_back(self, names: Iterable[Partition]) -> None:
        """Stop reading partitions until they are to `go_on`, if that isn't so already."""
        held_back = {name for name in names if self._resting.get(name) != math.inf}
        if held_back:
            self._resting.update(dict.fromkeys(held_back, math.inf))
            self._is_paused |= held_back
            self._member.pause(held_back)

    def go_on(self, names: Iterable[Partition]) -> None:
        """Read partitions that were held back once more, from their positions."""
        going = self._back_to_positions(names)
        for name in names:
            self._resting.pop(name, None)
        if going:
            self._is_paused -= going.keys()
            self._member.start(going, paused=not self.fetching)
            if not self.fetching:
                self._is_paused |= going.keys()

    def rest(self, names: Iterable[Partition], now: float) -> None:
        """Read partitions once more from their positions, after a while.

        They are taken back to there at once. librdkafka (2.16) reads on in the middle of a damaged
        batch and takes what it finds for the next offset, which the broker doesn't have. The log
        is compared: what it said of its being another one may be what was lost. All together: the
        client is asked what it has each time, which takes milliseconds where it has thousands.
        """
        going = self._back_to_positions(names)
        if going:
            self._member.start(going, paused=True)
            self._is_paused.update(going)
            until = now + REST_SECONDS
            self._resting.update(dict.fromkeys(going, until))
            self._wake_at = min(self._wake_at, until)

    def _back_to_positions(self, names: Iterable[Partition]) -> dict[Partition, Going]:
        """Stop reading partitions; return where they are to be read on."""
        going: dict[Partition, Going] = {}
        for name in names:
            if name in self._pipeline.ledgers and name not in self._waiting:
                ledger = self._pipeline.ledgers[name]
                ledger.undo_gap()
                going[name] = Going(ledger.position, ledger.leader_epoch)
        if going:
            self._member.stop(going)
        return going

    def take_away(self, partitions: Sequence[Partition]) -> list[Ledger]:
        """Forget what was not begun yet; return the ledgers of what was."""
        for name in partitions:
            self._waiting.pop(name, None)
            self._resting.pop(name, None)
        self._is_asked = False
        ledgers = self._pipeline.ledgers
        return [ledgers[name] for name in partitions if name in ledgers]

    def let_go(self, partitions: Sequence[Partition]) -> None:
        """Stop reading."""
        self._is_paused -= set(partitions)
        self._member.stop(partitions)

    def forget_starting(self) -> None:
        """Begin nothing any more: the daemon stops."""
        self._waiting.clear()
        self._is_asked = False
        self._ask()

    def pause_or_resume(self, now: float, *, has_backlog: bool, is_full: bool) -> None:
        """Stop fetching while the buffer is full, or dead letters can't be put away.

        ``has_backlog``: something was consumed that could not be received, ``is_full``: because of
        the buffer's limit. What settled since does not count: fetching goes on when all is in.
        """
        pipeline = self._pipeline
        limit, held = pipeline.rules.buffer_max_ids, pipeline.held_ids
        is_full = is_full or held >= limit
        slows = is_full or (self.paused and held > RESUME_BELOW * limit)
        self.pausing = has_backlog or pipeline.is_backed_up() or is_full
        if not self.fetching:  # once it has lasted, it is worth to wait for more room
            self.pausing = self.pausing or slows
        self._pausing_since = min(self._pausing_since, now) if self.pausing else math.inf
        fetched, self.fetching = self.fetching, now - self._pausing_since < PAUSE_AFTER_SECONDS
        if slows != self.paused:
            self.paused = slows
            event = "paused" if slows else "resumed"
            text = "the buffer is full" if slows else "the buffer has room again"
            self._say(now, event, "", text, level="info", held_ids=held)
        if self.fetching != fetched or now >= self._wake_at:
            self._sort(now)

    def _sort(self, now: float) -> None:
        """Pause and resume whom it takes. Looks at all partitions, so only when it has to.

        What begins meanwhile is paused or resumed as it begins.
        """
        reading = self._pipeline.ledgers.keys() - self._waiting.keys()
        self._resting = {name: until for name, until in self._resting.items() if until > now}
        self._wake_at = min(self._resting.values(), default=math.inf)
        wanted = self._resting.keys() & reading if self.fetching else set(reading)
        if to_pause := wanted - self._is_paused:
            self._member.pause(to_pause)
        to_resume = (self._is_paused - wanted) & reading
        self._is_paused = wanted
        if to_resume and (unread := self._member.resume(to_resume)):
            self.lose_positions(unread, None, now)

    def _await(self, partitions: Sequence[Partition], gone: Gone | None) -> None:
        for name in partitions:
            self._waiting[name] = _Question(next(self._numbers), gone)
            if self._pipeline.awaited.pop(name, None) is not None:
                self._resting.pop(name, None)  # where it begins it may need another schema, or none
            self._is_paused.discard(name)  # it is not read, and begins as all others are then
        self._is_asked = False

    def _ask(self) -> None:
        """Have `LookupPort` ask for all that wait."""
        if not self._is_asked:
            self._is_asked = True
            # In this order: a topic that has begun is in one of them all the time.
            self._lookup.read = frozenset(topic for topic, _ in self._pipeline.ledgers)
            self._lookup.wanted = {name: each.number for name, each in self._waiting.items()}
            self._lookup.ask_now()
