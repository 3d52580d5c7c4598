"""From records to requests and back: composes intake, buffer, attempts, refusals and throttle.

The owner thread calls, in each turn of its loop:

    receive(messages)  ->  wake  ->  dispatch  =>  attempts for the carriers; and so on with what
                                                   it stopped before
    settle(attempt, outcome)      =>  dead letters for their topic
    acknowledged(dead letter)
    the ledgers' committable()    =>  offsets

and at a rebalance `flush` (everything of these partitions becomes due), then `forget`.

Nothing here reads a clock, logs, or draws a random number: ``now`` and ``jitter`` come in, what is
to be said goes out through ``notes``.

Invariants (tests name them):
- I1, I2, I3, I12: see `ledger`, `lanes`, `intake`, `attempts`.
- I4: a batch is due when the linger of its first id is over or when it is full; due lanes take
  turns, each sending its oldest batch; until it leaves, an open batch goes on filling. While the
  buffer is full, full requests have most of the turns.
- I5: after `forget`, no attempt carries a change of that ledger.
- I6: received = delivered + superseded + duplicate + rejected + skipped + released + held.
- I11: a refused change is settled by `acknowledged` only.
"""

import heapq
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from consumer.core.attempts import Attempt, Attempts
from consumer.core.buffer import Buffer
from consumer.core.dead_letters import DeadLetter
from consumer.core.decoder import EventDecoder
from consumer.core.events import IdType
from consumer.core.failing import Failing
from consumer.core.intake import Intake
from consumer.core.lanes import Batch, Lane
from consumer.core.ledger import Ledger
from consumer.core.mapping.reading import Reader
from consumer.core.message import Message
from consumer.core.notes import Notes
from consumer.core.outcomes import Outcome
from consumer.core.refusals import Refusals
from consumer.core.rules import Rules
from consumer.core.tally import Tally
from consumer.core.throttle import ENDED_BY_A_REQUEST, HoldState, Throttle

LANES_PER_LOOK = 1000  # a look at all of 200,000 would take a good part of a second


class Pipeline:
    """Single owner, no locks; see the module's docstring."""

    def __init__(
        self,
        rules: Rules,
        default_id_type: IdType,
        throttle: Throttle,
        tally: Tally,
        reader: Reader | None = None,
    ) -> None:
        self.rules = rules
        self.throttle = throttle
        self.tally = tally
        self.ledgers: dict[tuple[str, int], Ledger] = {}
        self.notes = Notes()
        self._ledgers_by_base: dict[int, Ledger] = {}
        self._buffer = Buffer(
            default_id_type,
            rules.linger_seconds,
            rules.batch_max_ids,
            self._ledgers_by_base,
            tally,
        )
        self._turns = self._buffer.turns
        self._assignments = 0
        self._startable: Batch | None = None  # found for a drain
        self._with_their_share: list[Lane] = []  # and something to send
        self._busiest: list[Lane] = []
        refusals = Refusals(rules, self._buffer, throttle, tally, self.notes)
        self._refusals = refusals
        decoder = EventDecoder(default_id_type)
        self._intake = Intake(rules, decoder, self._buffer, refusals, self.ledgers, tally, reader)
        self._attempts = Attempts(
            rules, self._buffer, refusals, self._ledgers_by_base, throttle, tally, self.notes
        )

    # -- partitions -----------------------------------------------------------------------------

    def assign(
        self,
        topic: str,
        partition: int,
        position: int,
        committed: int | None,
        metadata: str = "",
        *,
        leader_epoch: int | None = None,
        topic_id: str = "",
    ) -> Ledger:
        """Begin a fresh ledger at ``position``."""
        self._assignments += 1
        number = self._assignments
        ledger = Ledger(
            number, topic, partition, position, committed, metadata, leader_epoch, topic_id
        )
        self.ledgers[topic, partition] = ledger
        self._ledgers_by_base[ledger.base] = ledger
        return ledger

    def flush(self, ledgers: Iterable[Ledger], now: float, reason: str) -> None:
        """Make every batch that holds changes of ``ledgers`` due, and send those lanes first."""
        self._buffer.flush(ledgers, now, reason)

    def end_flush(self) -> None:
        """End what `flush` began: no lane goes first any more."""
        self._turns.end_flush()

    def forget(self, ledgers: Iterable[Ledger]) -> int:
        """Drop all unsettled changes of ``ledgers``; return how many ids were released."""
        ledgers = list(ledgers)
        bases = {ledger.base for ledger in ledgers}
        for ledger in ledgers:
            self._ledgers_by_base.pop(ledger.base, None)
            self.awaited.pop((ledger.topic, ledger.partition), None)
            if self.ledgers.get((ledger.topic, ledger.partition)) is ledger:
                del self.ledgers[ledger.topic, ledger.partition]
        held = self.held_ids
        if bases:
            self._refusals.release(bases)
            self._buffer.release(ledgers)
        return held - self.held_ids

    def can_progress(self, ledgers: Iterable[Ledger], now: float, latest_start: float) -> bool:
        """Whether something of ``ledgers`` is in flight or may start up to ``latest_start``."""
        ledgers = list(ledgers)
        bases = {ledger.base for ledger in ledgers}
        if self._refusals.is_on_its_way(bases):
            return True
        if any(not bases.isdisjoint(batch.bases) for batch in self._attempts.in_flight):
            return True
        earliest_start = max(now, self.earliest_start())
        if self.throttle.is_held or earliest_start > latest_start:
            return False
        found = self._startable  # the same as long as it isn't sent: nothing is searched each turn
        if found is None or bases.isdisjoint(found.bases) or not found.starts_by(latest_start):
            self._startable = self._buffer.startable(ledgers, latest_start)
        return self._startable is not None

    def is_echoing(self, ledgers: Iterable[Ledger], now: float) -> bool:
        """Whether an attempt of ``ledgers`` whose answer was lost may yet be applied."""
        return any(ledger.echoes_until > now for ledger in ledgers)

    # -- records in, attempts out -----------------------------------------------------------------

    def receive(
        self, messages: Sequence[Message], now: float, first: int = 0
    ) -> tuple[int, Message | None]:
        """Take in ``messages`` in order; see `intake.Intake.receive` for where it stops."""
        return self._intake.receive(messages, now, first)

    @property
    def awaited(self) -> dict[tuple[str, int], bytes]:
        """The partitions of which nothing is taken in: their next record's schema isn't there."""
        return self._intake.awaited

    def has_room(self) -> bool:
        """Whether the bounds allow to read on."""
        return self.held_ids < self.rules.buffer_max_ids and not self.is_backed_up()

    def is_backed_up(self) -> bool:
        """Whether reading on would only pile up dead letters."""
        return self._refusals.is_backed_up()

    def wake(self, now: float) -> None:
        """Queue the lanes whose time has come: a linger, a backoff or an echo is over."""
        self._turns.wake(now)

    def next_wake(self) -> float:
        """Return when `wake` will find something to do; inf: not by time."""
        return self._turns.next_wake()

    def has_queued(self) -> bool:
        """Whether a lane waits for its turn."""
        return bool(self._turns)

    def earliest_start(self) -> float:
        """Return when the throttle lets the next request start; inf: not by time alone."""
        return self.throttle.earliest_start(is_stranger=self._turns.next_is_stranger())

    def dispatch(
        self, now: float, latest_start: float = math.inf, *, is_crowded: bool = False
    ) -> list[Attempt]:
        """Return the attempts that start now, as many as the throttle allows.

        ``is_crowded``: nothing is read as the buffer is full.
        """
        attempts: list[Attempt] = []
        turns, may_start = self._turns, self.throttle.may_start
        is_probe = self.throttle.is_probing
        if is_probe and may_start(now, is_stranger=turns.next_is_stranger()):
            turns.begin_elsewhere()
        while turns and now <= latest_start:
            if not may_start(now, is_stranger=turns.next_is_stranger()):
                break
            laden = turns.next_laden() if is_crowded and not is_probe else None
            lane = laden or turns.next_lane(is_probe=is_probe)
            if lane is None:
                break
            if lane.has_its_share(self.throttle.slots) and not (
                latest_start < math.inf or self._buffer.has_one_lane()  # a drain, or nobody else
            ):
                self._with_their_share.append(lane)  # the next answer, whoever's, may mean more
                continue
            batch = self._buffer.next_batch(lane, now, full_first=lane is laden)
            if batch is not None:
                attempts.append(self._attempts.start(batch, now))
                turns.sent()
                self._buffer.look_again(lane, now)
        return attempts

    def flush_oldest(self, now: float, batches: int) -> None:
        """Make the oldest open batches due before their time: the buffer is full of waiting ids."""
        self._buffer.flush_oldest(now, batches)

    def oldest_timestamp_ms(self, attempt: Attempt) -> int | None:
        """Return the Kafka timestamp of the first record that the batch got ids from.

        Of each partition: it is the oldest, unless timestamps go back there. None: none is held any
        more, or none has a timestamp.
        """
        batch = attempt.batch
        times = (oldest_ms for _, _, oldest_ms in batch.bases.values())
        oldest = min(times, default=math.inf) if batch.ids else math.inf
        return int(oldest) if oldest < math.inf else None

    def settle(self, attempt: Attempt, outcome: Outcome, now: float, jitter: float) -> None:
        """Take in what became of an attempt; see `attempts`."""
        self._attempts.settle(attempt, outcome, now, jitter)
        for lane in self._with_their_share:
            self._turns.enqueue(lane)
        self._with_their_share.clear()

    # -- dead letters -----------------------------------------------------------------------------

    @property
    def dead_letters(self) -> deque[DeadLetter]:
        """The dead letters to send; one that could not be sent is put back."""
        return self._refusals.outbox

    @property
    def pending_dead_letters(self) -> int:
        """Return how many dead letters are not acknowledged yet."""
        return self._refusals.pending

    def acknowledged(self, dead_letter: DeadLetter) -> None:
        """Settle what ``dead_letter`` stands for: the broker has it."""
        self._refusals.acknowledged(dead_letter)

    # -- what the loop publishes ------------------------------------------------------------------

    @property
    def held_ids(self) -> int:
        """Return how many ids are buffered, waiting, in flight or in dead letters on their way."""
        return self._buffer.held_ids

    def holds(self, now: float) -> tuple[HoldState, ...]:
        """Return the holds, those that a request may end with the time of the next one."""
        at = self.earliest_start()
        if not self.has_queued():
            at = max(at, self.next_wake())
        if self.throttle.in_flight:
            at = now  # it is under way
        next_probe = max(at, now) if at < math.inf else None
        return tuple(
            replace(hold, next_probe=next_probe) if reason in ENDED_BY_A_REQUEST else hold
            for reason, hold in self.throttle.holds.items()
        )

    @property
    def failing(self) -> Failing:
        """The batches whose last attempt brought no delivery."""
        return self._buffer.failing

    def lanes(self) -> Iterator[Lane]:
        """Yield all lanes."""
        return self._buffer.lanes()

    def busiest(self, count: int) -> list[Lane]:
        """Return the lanes that hold the most ids, of those that were looked at so far.

        Each call looks at some; all are looked at in turns.
        """
        candidates = dict.fromkeys(self._busiest)
        candidates |= dict.fromkeys(batch.lane for batch in self._attempts.in_flight)
        candidates |= dict.fromkeys(self._buffer.look_at(LANES_PER_LOOK))
        busiest = heapq.nlargest(count, candidates, key=Lane.held_ids)
        self._busiest = [lane for lane in busiest if not lane.is_idle()]
        return self._busiest

    def in_flight_ids(self, lane: Lane) -> int:
        """Return how many ids of the lane are in flight, with their whole batches."""
        return sum(len(batch.ids) for batch in lane.in_flight)

    def oldest_read_at(self) -> float | None:
        """Return when the oldest unsettled record was read; None when there is none."""
        times = [ledger.oldest_read_at() for ledger in self.ledgers.values()]
        return min((at for at in times if at is not None), default=None)
