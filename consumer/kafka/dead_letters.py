"""The dead-letter topic's producer: a dead letter is settled only when the broker acknowledged it.

The owner thread calls it; delivery reports arrive in `poll` on that thread. A dead letter that
could not be written in time comes back with the error and is to be sent again, so one may be
written twice. A producer that has something on its way and hears nothing for a minute is let go for
a new one: librdkafka's may come to a halt when a broker restarts (see `kafka.observer`), and would
hold the commits of its letters' partitions. One that the topic finds too big is tried once
more on its own - the broker refuses a whole produce request for one big record in it - and then
goes without its value.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from consumer import clock
from consumer.core.dead_letters import HEADER_PREFIX, DeadLetter
from consumer.engine.ports import Report
from consumer.kafka.credentials import Follower, LoginWatch
from consumer.kafka.dead_letter_topic import DENIED
from consumer.kafka.errors import said_of

_TOO_LARGE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})

_PURGED = frozenset({KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT})  # noqa: SLF001 - so spelt

_SILENCE_SECONDS = 60.0
_GRACE_SECONDS = 5.0

_Error = KafkaError | None
_OnDelivery = Callable[[DeadLetter, _Error, object], None]


class DeadLetters:
    """Sends dead letters to one topic. The first makes the producer: most daemons have none."""

    def __init__(self, properties: Mapping[str, Any], topic: str) -> None:
        self._topic = topic
        self._follower = Follower(properties)
        self._producer: Producer | None = None
        self._reports: list[Report] = []
        self._alone: deque[DeadLetter] = deque()
        self._in_flight = 0
        self._heard_at = math.inf  # of a broker, or else since when something is on its way
        self._outdated_at = math.inf

    def follow(self, watch: LoginWatch) -> None:
        """Take up what changes of the login."""
        self._follower.follow(watch)

    def send(self, dead_letter: DeadLetter) -> bool:
        """Hand over a dead letter; False: not now.

        The queue is full, one goes alone, or a new producer is about to be made.
        """
        self._renew()
        is_waiting = self._alone or self._outdated_at < math.inf
        return not is_waiting and self._produce(dead_letter, self._on_delivery)

    def poll(self, timeout_seconds: float = 0.0) -> list[Report]:
        """Return what became of dead letters; waits for the first up to the timeout."""
        self._renew()
        self._serve(timeout_seconds)
        while self._alone and not self._in_flight:
            if not self._produce(self._alone[0], self._on_delivery_alone):
                break
            self._serve(timeout_seconds)
        reports, self._reports = self._reports, []
        return reports

    def close(self, timeout_seconds: float) -> None:
        """Give what is on its way up to that long."""
        if self._producer is not None:
            self._producer.flush(timeout_seconds)

    def headers_of(
        self, dead_letter: DeadLetter, time_rfc3339: str
    ) -> list[tuple[str, bytes | str | None]]:
        """Return the headers of a dead letter that is written at that time."""
        return [*dead_letter.foreign_headers(), *dead_letter.own_headers(time_rfc3339)]

    def _renew(self) -> None:
        """Let go of a producer that is silent, or of another certificate or key than there is now.

        What it has on its way gets a moment to arrive; then it comes back, and goes through the
        next one. Not closed here: that may take longer than the loop may stand still.
        """
        is_silent = self._in_flight > 0 and clock.now() > self._heard_at + _SILENCE_SECONDS
        if is_silent or self._follower.outdates(self._producer):
            self._outdated_at = min(self._outdated_at, clock.now())
        producer = self._producer
        if producer is None or not self._in_flight:
            if producer is not None and self._outdated_at < math.inf:
                threading.Thread(target=producer.close, name="closing", daemon=True).start()
                self._producer = None
            self._outdated_at = math.inf
        elif clock.now() > self._outdated_at + _GRACE_SECONDS:
            producer.purge()

    def _serve(self, timeout_seconds: float) -> None:
        if self._producer is not None:
            self._producer.poll(timeout_seconds)

    def _produce(
        self, dead_letter: DeadLetter, on_delivery: _OnDelivery, *, truncated: bool = False
    ) -> bool:
        headers = self.headers_of(dead_letter, clock.rfc3339(time.time()))
        if truncated:
            headers.append((HEADER_PREFIX + "truncated", b"true"))
        producer = self._producer = self._producer or self._new()
        if producer is None:
            return False
        try:
            producer.produce(
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
            self._depart()
            on_delivery(dead_letter, error.args[0], None)
            return True
        self._depart()
        return True

    def _depart(self) -> None:
        if not self._in_flight:
            self._heard_at = clock.now()
        self._in_flight += 1

    def _arrive(self, error: _Error) -> None:
        self._in_flight -= 1
        if error is None or error.code() > 0:  # the others are librdkafka's own
            self._heard_at = clock.now()

    def _new(self) -> Producer | None:
        """Return a producer; None: not now, as when a certificate's key is not there yet."""
        try:
            return Producer(self._follower.for_client())
        except KafkaException:
            return None

    def _on_delivery(self, dead_letter: DeadLetter, error: _Error, _: object) -> None:
        self._arrive(error)
        if error is not None and error.code() in _TOO_LARGE:
            self._alone.append(dead_letter)
        else:
            self._report(dead_letter, error)

    def _on_delivery_alone(self, dead_letter: DeadLetter, error: _Error, _: object) -> None:
        self._arrive(error)
        self._alone.popleft()
        is_too_large = error is not None and error.code() in _TOO_LARGE
        if not (
            is_too_large
            and dead_letter.value is not None
            and self._produce(dead_letter, self._on_delivery_truncated, truncated=True)
        ):
            self._report(dead_letter, error)

    def _on_delivery_truncated(self, dead_letter: DeadLetter, error: _Error, _: object) -> None:
        self._arrive(error)
        self._report(dead_letter, error, truncated=True)

    def _report(self, dead_letter: DeadLetter, error: _Error, *, truncated: bool = False) -> None:
        if error is None:
            self._reports.append(Report(dead_letter, None, truncated=truncated))
            return
        to_do = ": allow WRITE and DESCRIBE" if error.code() in DENIED else ""
        purged = "it was not acknowledged in time"
        said = purged if error.code() in _PURGED else f"{error.name()}: {said_of(error)}{to_do}"
        text = f"the dead-letter topic {self._topic} can't be written: {said}; it is tried again"
        self._reports.append(Report(dead_letter, text))
