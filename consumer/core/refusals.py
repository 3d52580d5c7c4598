"""What can never be delivered: dead letters, the policies, and the limit that stops a flood.

A refused change is settled when the broker acknowledged its dead letter (invariant I11), not
before: until then its ids are held, and its offset is not committed. What needs no dead letter is
read and delivered meanwhile, until so much waits for one that reading on would only add to it.

``DEAD_LETTER_MAX_CONSECUTIVE`` counts two runs on their own: records of which nothing can be used
(malformed, or without a valid id) in the order of reading, which a record with a valid id ends, and
refused requests in the order of their answers, which a delivery ends. One run for both would never
get long while readable records of segments that the API refuses keep coming: just the case of a
wrong workspace.
"""

from collections import deque
from dataclasses import dataclass, field

from consumer.core.buffer import Buffer
from consumer.core.dead_letters import DeadLetter
from consumer.core.notes import Notes
from consumer.core.outcomes import HoldReason
from consumer.core.rules import Rules
from consumer.core.tally import Tally
from consumer.core.throttle import Throttle

MAX_PENDING_DEAD_LETTERS = 1000
MAX_PENDING_DEAD_LETTER_BYTES = 16 * 2**20
READING_STOPS = frozenset({HoldReason.DEAD_LETTER_LIMIT, HoldReason.STALLED})


@dataclass(slots=True, eq=False)
class Refusals:
    """``outbox`` has the dead letters to send; one that could not be sent is put back."""

    _rules: Rules
    _buffer: Buffer
    _throttle: Throttle
    _tally: Tally
    _notes: Notes
    outbox: deque[DeadLetter] = field(default_factory=deque)
    unreadable_in_a_row: int = 0
    requests_in_a_row: int = 0
    _pending: dict[DeadLetter, None] = field(default_factory=dict)
    _pending_bytes: int = 0

    @property
    def pending(self) -> int:
        """Return how many dead letters are not acknowledged yet."""
        return len(self._pending)

    def is_backed_up(self) -> bool:
        """Whether reading on would only pile up what can't be put away."""
        return (
            not READING_STOPS.isdisjoint(self._throttle.holds)
            or len(self._pending) >= MAX_PENDING_DEAD_LETTERS
            or self._pending_bytes >= MAX_PENDING_DEAD_LETTER_BYTES
        )

    def is_on_its_way(self, bases: set[int]) -> bool:
        """Whether a dead letter that these ledgers wait for can be expected to be acknowledged.

        It may be another ledger's, if they have others of its batch.
        """
        return HoldReason.DEAD_LETTER_UNAVAILABLE not in self._throttle.holds and any(
            dead_letter.posted and not bases.isdisjoint(dead_letter.waited_for_by())
            for dead_letter in self._pending
        )

    def refuse(self, dead_letter: DeadLetter, now: float, log_detail: str) -> bool:
        """Do as the policy says; return whether the dead letter is waited for.

        ``log_detail`` is what may stand in the log: no id of a person.
        """
        self._notes.add("refused", dead_letter.reason.value, log_detail, source=dead_letter.source)
        if self._rules.reject_policy == "skip":
            self._buffer.settle_ids(dead_letter.action, "skipped", dead_letter.held_ids)
            return False
        self._pending[dead_letter] = None
        self._pending_bytes += dead_letter.size_bytes
        if dead_letter.batch is not None:
            dead_letter.batch.dead_letters += 1
        if self._rules.reject_policy == "stall":
            self._hold(
                HoldReason.STALLED,
                f"REJECT_POLICY is stall and this can't be delivered: {log_detail}"
                f" ({dead_letter.source}). To let it pass, restart with REJECT_POLICY=dead-letter"
                " or skip",
                now,
            )
        elif HoldReason.DEAD_LETTER_LIMIT not in self._throttle.holds:
            dead_letter.posted = True
            self.outbox.append(dead_letter)
        return True

    def hold_at_limit(self, in_a_row: int, log_detail: str, now: float) -> None:
        """Hold where going on would empty the topic into the dead letters."""
        limit = self._rules.dead_letter_max_consecutive
        if self._rules.reject_policy == "dead-letter" and limit and in_a_row >= limit:
            self._hold(
                HoldReason.DEAD_LETTER_LIMIT,
                f"{in_a_row} refusals in a row, the last: {log_detail}. Mend the producer or the"
                " settings and restart; to let them pass, raise DEAD_LETTER_MAX_CONSECUTIVE or set"
                " REJECT_POLICY=skip",
                now,
            )

    def acknowledged(self, dead_letter: DeadLetter) -> None:
        """Settle what the dead letter stands for: the broker has it."""
        self._tally.add("dead_letters_total", dead_letter.reason.value)
        if not dead_letter.settled:
            self._buffer.settle_ids(dead_letter.action, "rejected", dead_letter.held_ids)
            self._settle(dead_letter)

    def release(self, bases: set[int]) -> None:
        """Drop what came from these ledgers."""
        for dead_letter in list(self._pending):
            released = dead_letter.forget(bases)
            self._buffer.settle_ids(dead_letter.action, "released", released)
            if not dead_letter.bases:
                self._settle(dead_letter)
        self.outbox = deque(dead_letter for dead_letter in self.outbox if not dead_letter.settled)

    def _settle(self, dead_letter: DeadLetter) -> None:
        dead_letter.settled = True
        self._buffer.let_go(dead_letter, dead_letter.bases)
        del self._pending[dead_letter]
        self._pending_bytes -= dead_letter.size_bytes
        batch = dead_letter.batch
        if batch is not None:
            batch.dead_letters -= 1
            self._buffer.finish(batch)
            self._buffer.turns.enqueue(batch.lane)  # it may have nothing left to remember

    def _hold(self, reason: HoldReason, detail: str, now: float) -> None:
        if self._throttle.hold(reason, detail, now):
            self._notes.add("hold", reason.value, detail, reason=reason.value)
