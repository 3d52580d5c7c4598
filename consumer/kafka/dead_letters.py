"""The dead-letter topic's producer: a letter is settled only when the broker acknowledged it.

An idempotent producer with ``acks=all``. The owner thread calls it; delivery reports arrive in
`poll` on that thread. A letter that could not be written comes back with the error and is to be
sent again. One that the topic finds too big is tried once more on its own - the broker refuses a
whole produce request for one big record in it - and then goes without its value.

The producer is made when there is a letter, and made anew after an error that is fatal to it: an
idempotent one asks the broker for its id at once, and a principal that may not write is then fatal,
which is no reason for the daemon to end.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from consumer.core.dead_letters import HEADER_PREFIX, DeadLetter
from consumer.engine.ports import Report

_TOO_LARGE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})


class DeadLetters:
    """Sends letters to one topic."""

    def __init__(self, properties: Mapping[str, Any], topic: str) -> None:
        self._topic = topic
        self._properties = dict(properties)
        self._producer: Producer | None = None
        self._reports: deque[Report] = deque()
        self._alone: deque[DeadLetter] = deque()
        self._in_flight: dict[DeadLetter, bool] = {}

    def send(self, dead_letter: DeadLetter) -> bool:
        """Hand over a letter; False: not now, the queue is full or one goes alone."""
        if self._alone:
            return False
        return self._produce(dead_letter, self._on_delivery)

    def poll(self, timeout_seconds: float = 0.0) -> list[Report]:
        """Return what became of letters; waits for the first up to the timeout."""
        self._serve(timeout_seconds)
        while self._alone and not self._in_flight:
            if not self._produce(self._alone[0], self._on_delivery_alone):
                break
            self._serve(timeout_seconds)
        reports = list(self._reports)
        self._reports.clear()
        return reports

    def close(self, timeout_seconds: float) -> None:
        """Give what is on its way up to that long."""
        if self._producer is not None:
            with contextlib.suppress(KafkaException):
                self._producer.flush(timeout_seconds)

    def _serve(self, timeout_seconds: float) -> None:
        if self._producer is None:
            return
        try:
            self._producer.poll(timeout_seconds)
        except KafkaException as error:  # fatal, and no letter's own
            self._give_up(error.args[0])

    def _give_up(self, error: KafkaError) -> None:
        """Have the letters on their way come back, and begin anew with the next."""
        self._producer = None
        lost = dict.fromkeys([*self._in_flight, *self._alone])
        self._in_flight.clear()
        self._alone.clear()
        for dead_letter in lost:
            self._reports.append(Report(dead_letter, self._said(error)))

    def _produce(
        self,
        dead_letter: DeadLetter,
        on_delivery: Callable[[DeadLetter, KafkaError | None, Message], None],
        *,
        truncated: bool = False,
    ) -> bool:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        headers = [*dead_letter.foreign_headers(), *dead_letter.own_headers(now)]
        if truncated:
            headers.append((HEADER_PREFIX + "truncated", b"true"))
        if self._producer is None:
            self._producer = Producer(self._properties)
        try:
            self._producer.produce(
                self._topic,
                key=dead_letter.key,
                value=None if truncated else dead_letter.value,
                headers=headers,
                on_delivery=partial(on_delivery, dead_letter),
            )
        except BufferError:
            if self._in_flight or truncated:
                return False
            # Not even an empty queue takes it: it is bigger than the queue may become.
            return self._produce(dead_letter, self._on_delivery_truncated, truncated=True)
        except KafkaException as error:
            self._in_flight[dead_letter] = True
            on_delivery(dead_letter, error.args[0], None)  # type: ignore[arg-type]  # no message: it never was one
            return True
        self._in_flight[dead_letter] = True
        return True

    def _on_delivery(self, dead_letter: DeadLetter, error: KafkaError | None, _: Message) -> None:
        if self._is_given_up(dead_letter):
            return
        if error is not None and error.code() in _TOO_LARGE:
            self._alone.append(dead_letter)
        else:
            self._report(dead_letter, error)

    def _on_delivery_alone(
        self, dead_letter: DeadLetter, error: KafkaError | None, _: Message
    ) -> None:
        if self._is_given_up(dead_letter):
            return
        self._alone.popleft()
        if error is not None and error.code() in _TOO_LARGE and dead_letter.value is not None:
            self._produce(dead_letter, self._on_delivery_truncated, truncated=True)
        else:
            self._report(dead_letter, error)

    def _on_delivery_truncated(
        self, dead_letter: DeadLetter, error: KafkaError | None, _: Message
    ) -> None:
        if not self._is_given_up(dead_letter):
            self._report(dead_letter, error, truncated=True)

    def _is_given_up(self, dead_letter: DeadLetter) -> bool:
        """Take a letter off those on their way; whether it was not among them any more."""
        return not self._in_flight.pop(dead_letter, False)

    def _report(
        self, dead_letter: DeadLetter, error: KafkaError | None, *, truncated: bool = False
    ) -> None:
        if error is None:
            self._reports.append(Report(dead_letter, None, truncated=truncated))
            return
        self._reports.append(Report(dead_letter, self._said(error)))
        if error.fatal() or error.code() == KafkaError._FATAL:  # noqa: SLF001 - librdkafka's local error codes are spelt so
            self._give_up(error)

    def _said(self, error: KafkaError) -> str:
        return (
            f"the dead-letter topic {self._topic} can't be written: {error.name()}: {error.str()};"
            " it is tried again"
        )
