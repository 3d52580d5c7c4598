"""The dead-letter topic's producer: a letter is settled only when the broker acknowledged it.

An idempotent producer with ``acks=all``. The owner thread calls it; delivery reports arrive in
`poll` on that thread. A letter that could not be written comes back with the error and is to be
sent again. One that the topic finds too big is tried once more on its own - the broker refuses a
whole produce request for one big record in it - and then goes without its value.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from consumer.core.letters import HEADER_PREFIX, Letter

_TOO_LARGE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a letter; no error: the broker has it."""

    letter: Letter
    error: str | None
    fatal: bool = False
    truncated: bool = False


class DeadLetters:
    """Sends letters to one topic."""

    def __init__(self, properties: Mapping[str, Any], topic: str) -> None:
        self._topic = topic
        self._producer = Producer(dict(properties))
        self._reports: deque[Report] = deque()
        self._alone: deque[Letter] = deque()
        self._in_flight = 0

    def send(self, letter: Letter) -> bool:
        """Hand over a letter; False: not now, the queue is full or one goes alone."""
        if self._alone:
            return False
        return self._produce(letter, self._on_delivery)

    def poll(self, timeout_seconds: float = 0.0) -> list[Report]:
        """Return what became of letters; waits for the first up to the timeout."""
        self._producer.poll(timeout_seconds)
        while self._alone and not self._in_flight:
            if not self._produce(self._alone[0], self._on_delivery_alone):
                break
            self._producer.poll(timeout_seconds)
        reports = list(self._reports)
        self._reports.clear()
        return reports

    def close(self, timeout_seconds: float) -> None:
        """Give what is on its way up to that long."""
        self._producer.flush(timeout_seconds)

    def _produce(
        self,
        letter: Letter,
        on_delivery: Callable[[Letter, KafkaError | None, Message], None],
        *,
        truncated: bool = False,
    ) -> bool:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        headers = [*letter.foreign_headers(), *letter.own_headers(now)]
        if truncated:
            headers.append((HEADER_PREFIX + "truncated", b"true"))
        try:
            self._producer.produce(
                self._topic,
                key=letter.key,
                value=None if truncated else letter.value,
                headers=headers,
                on_delivery=partial(on_delivery, letter),
            )
        except BufferError:
            if self._in_flight or truncated:
                return False
            # Not even an empty queue takes it: it is bigger than the queue may become.
            return self._produce(letter, self._on_delivery_truncated, truncated=True)
        except KafkaException as error:
            self._in_flight += 1
            on_delivery(letter, error.args[0], None)  # type: ignore[arg-type]  # no message: it never was one
            return True
        self._in_flight += 1
        return True

    def _on_delivery(self, letter: Letter, error: KafkaError | None, _: Message) -> None:
        self._in_flight -= 1
        if error is not None and error.code() in _TOO_LARGE:
            self._alone.append(letter)
        else:
            self._report(letter, error)

    def _on_delivery_alone(self, letter: Letter, error: KafkaError | None, _: Message) -> None:
        self._in_flight -= 1
        self._alone.popleft()
        if error is not None and error.code() in _TOO_LARGE and letter.value is not None:
            self._produce(letter, self._on_delivery_truncated, truncated=True)
        else:
            self._report(letter, error)

    def _on_delivery_truncated(self, letter: Letter, error: KafkaError | None, _: Message) -> None:
        self._in_flight -= 1
        self._report(letter, error, truncated=True)

    def _report(self, letter: Letter, error: KafkaError | None, *, truncated: bool = False) -> None:
        if error is None:
            self._reports.append(Report(letter, None, truncated=truncated))
        else:
            text = (
                f"the dead-letter topic {self._topic} can't be written: {error.name()}:"
                f" {error.str()}; it is tried again"
            )
            self._reports.append(Report(letter, text, error.fatal()))
