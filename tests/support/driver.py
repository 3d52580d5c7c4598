"""Drives a pipeline by hand: records in, attempts out, answers in, on a clock that a test moves."""

from collections.abc import Sequence
from typing import Any

from consumer.core.attempts import Attempt
from consumer.core.dead_letters import DeadLetter
from consumer.core.events import IdType
from consumer.core.ledger import Ledger
from consumer.core.mapping.reading import Reader
from consumer.core.message import Message
from consumer.core.outcomes import Delivered, Hold, HoldReason, Outcome, Refused, Retry, RetryReason
from consumer.core.pipeline import Pipeline
from consumer.core.rules import Rules
from consumer.core.tally import Tally
from consumer.core.throttle import Throttle
from tests.support.records import FakeMessage

LINGER = 5.0
TIMEOUT = 10.0

DELIVERED = Delivered()
TIMED_OUT = Retry(RetryReason.TIMEOUT, "timed out", ambiguous=True)
CUT_SHORT = Retry(RetryReason.CONNECTION, "cut short", ambiguous=True)
NOT_CONNECTED = Retry(RetryReason.CONNECTION, "connection refused", ambiguous=False)
UNAVAILABLE = Retry(RetryReason.SERVER, "503", ambiguous=False)
THROTTLED = Retry(RetryReason.THROTTLED, "429", ambiguous=False)
REFUSED = Refused(400, "400 bad id", whole=False)
NO_SEGMENT = Refused(404, "404 no such segment", whole=True)
UNAUTHORIZED = Hold(HoldReason.UNAUTHORIZED, "401")


class Driver:
    """A pipeline with some partitions; ``rules`` replace those of the settings' defaults."""

    def __init__(
        self,
        *,
        partitions: int = 1,
        default_id_type: IdType = "id",
        max_in_flight: int = 8,
        requests_per_second: float = 1000.0,
        reader: Reader | None = None,
        **rules: object,
    ) -> None:
        given: dict[str, Any] = {
            "batch_max_ids": 1000,
            "linger_seconds": LINGER,
            "buffer_max_ids": 200_000,
            "request_timeout_seconds": TIMEOUT,
            "max_backoff_seconds": 60.0,
            "reject_policy": "dead-letter",
            "dead_letter_max_consecutive": 0,
        }
        self.now = 1000.0
        self.is_crowded = False  # as if nothing were read, for the buffer is full
        self.throttle = Throttle(
            max_in_flight=max_in_flight,
            requests_per_second=requests_per_second,
            max_backoff_seconds=60.0,
        )
        self.tally = Tally()
        self.pipeline = Pipeline(
            Rules(**{**given, **rules}), default_id_type, self.throttle, self.tally, reader
        )
        self.ledgers: list[Ledger] = []
        for partition in range(partitions):
            self.ledgers.append(self.assign(partition, 0))

    def assign(self, partition: int, position: int) -> Ledger:
        """Get a partition."""
        return self.pipeline.assign("audience", partition, position, position)

    def read(self, *values: bytes | None, partition: int = 0) -> int:
        """Read one record per value, at the offsets that come next; return how many were taken."""
        position = self.pipeline.ledgers["audience", partition].position
        return self.receive(
            [
                FakeMessage(partition=partition, offset=offset, value=value)
                for offset, value in enumerate(values, position)
            ]
        )

    def receive(self, messages: Sequence[Message]) -> int:
        """Read records without an error, and start nothing meanwhile; return how many it were."""
        taken, error = self.pipeline.receive(messages, self.now)
        while error is None and taken < len(messages) and self.pipeline.has_room():
            taken, error = self.pipeline.receive(messages, self.now, taken)
        assert error is None
        return taken

    def wait(self, seconds: float = LINGER) -> "Driver":
        """Let time pass."""
        self.now += seconds
        return self

    def attempts(self) -> list[Attempt]:
        """Return what starts now."""
        self.pipeline.wake(self.now)
        return self.pipeline.dispatch(self.now, is_crowded=self.is_crowded)

    def one_try(self) -> Attempt:
        """Return the one attempt that starts now."""
        (attempt,) = self.attempts()
        return attempt

    def sent(self) -> list[str]:
        """Start what can start now; return action and ids of each attempt, as one line."""
        return [describe(attempt) for attempt in self.attempts()]

    def answer(self, attempt: Attempt, outcome: Outcome, jitter: float = 0.0) -> None:
        """Answer an attempt."""
        self.pipeline.settle(attempt, outcome, self.now, jitter)

    def run(self, outcome: Outcome = DELIVERED) -> list[str]:
        """Start and answer until nothing starts any more; return what went out."""
        lines: list[str] = []
        while attempts := self.attempts():
            lines += [describe(attempt) for attempt in attempts]
            for attempt in attempts:
                self.answer(attempt, outcome)
        return lines

    def dead_letters(self) -> list[DeadLetter]:
        """Take the dead letters that are to be sent."""
        dead_letters = list(self.pipeline.dead_letters)
        self.pipeline.dead_letters.clear()
        return dead_letters

    def committable(self, partition: int = 0) -> int:
        """Return what may be committed of a partition."""
        return self.pipeline.ledgers["audience", partition].committable()

    def count(self, *key: str) -> int:
        """Return a counter."""
        return self.tally.counters[key]

    def lanes(self) -> int:
        """Return how many lanes there are, when all that time can end has ended."""
        self.now += 10_000.0
        assert self.sent() == []
        return len(list(self.pipeline.lanes()))


def describe(attempt: Attempt) -> str:
    """Return an attempt's action and ids."""
    return f"{attempt.batch.action} {' '.join(attempt.ids)}"
