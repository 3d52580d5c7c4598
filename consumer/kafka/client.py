"""The consumer of librdkafka, and the new one that takes its place when it has ended itself.

With KIP-848 some of what passes is fatal for librdkafka's consumer (2.16), so a new one joins:

- A static member's name is in use, which it may hear as being fenced, too: a member that was killed
  keeps its name until its session is over, and one that was frozen or cut off for longer may find
  another process under its name. It asks for the name until it is free. Kafka gives nobody a name
  that is in use, so two of one name don't fence each other for ever.
- The coordinator doesn't know the group any more, as after its broker was killed.

A consumer whose certificate or key was replaced gives its partitions up in order, and a new one
joins.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ParamSpec

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from consumer.engine.ports import CommitAnswer, Listener, Partition
from consumer.kafka import certificate
from consumer.kafka.credentials import Follower
from consumer.kafka.errors import NEEDS_NEW_CLIENT, commit_answer, is_alert, trouble

REJOIN_SECONDS = 1.0

P = ParamSpec("P")


class Client:
    """``consumer`` is the one of now; inside its ``consume`` and ``close`` ``listener`` is told.

    Nothing is heard of the ones before, which don't say that they lost their partitions: the
    listener is told so as soon as one has ended. Owned by one thread.
    """

    def __init__(self, properties: Mapping[str, Any]) -> None:
        self.follower = Follower(properties)
        self._comes_back = properties.get("group.protocol") == "consumer"
        self._rejoin_at = math.inf
        self.listener: Listener | None = None
        self._topics: list[str] = []
        self._owned: set[Partition] = set()
        self._consumers = 0
        self.consumer = self._new()
        self._consumers = 1

    def join(self, topics: Sequence[str], listener: Listener) -> None:
        """Join the group."""
        self._topics, self.listener = list(topics), listener
        self.subscribe()

    @property
    def is_subscribed(self) -> bool:
        """Whether the consumer of now is to be in the group, and is not at its end."""
        return self.listener is not None and self._rejoin_at == math.inf

    def subscribe(self) -> None:
        """Have the consumer look what there is of its topics; see `Member.look_again`."""
        self.consumer.subscribe(
            self._topics,
            on_assign=self._of(self._consumers, self._on_assign),
            on_revoke=self._of(self._consumers, self._on_revoke),
            on_lost=self._of(self._consumers, self._on_lost),
        )

    def consume(self, count: int, timeout_seconds: float) -> list[Any]:
        """Return up to ``count`` messages; callbacks fire here."""
        if self.follower.outdates(self.consumer):
            self.replace_soon()
        if time.monotonic() >= self._rejoin_at:
            self._replace()
        messages = self.consumer.consume(count, timeout_seconds)
        if self._comes_back:  # the end is said once, anywhere among the records
            for message in messages:
                if (error := message.error()) is not None:
                    self._heed(trouble(error).code)
        return messages

    def replace_soon(self) -> None:
        """Have a new consumer take the place of this one, which may be well."""
        self._rejoin_at = min(self._rejoin_at, time.monotonic())

    def _new(self) -> Consumer:
        """Return a consumer that is silent until it is the one of now."""
        number = self._consumers + 1
        callbacks = {
            "on_commit": self._of(number, self._on_commit),
            "error_cb": self._of(number, self._on_error),
        }
        return Consumer({**self.follower.properties, **callbacks})

    def _of(self, number: int, callback: Callable[P, None]) -> Callable[P, None]:
        """Return a callback that is silent unless the consumer of that number is the one of now."""

        def call(*args: P.args, **kwargs: P.kwargs) -> None:
            if number == self._consumers:
                callback(*args, **kwargs)

        return call

    def _on_assign(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        names = _names(partitions)
        self._owned.update(names)
        if self.listener is not None:
            self.listener.assigned(names)

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._give_up(_names(partitions))

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._lose(_names(partitions))

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        if self.listener is not None:
            self.listener.commit_answered(commit_answer(error, partitions))

    def _on_error(self, error: KafkaError) -> None:
        seen = trouble(error)
        if is_alert(seen.detail) and (why := certificate.trouble_of(self.follower.properties)):
            seen = replace(seen, detail=f"{why}; {seen.detail}")
        self._heed(seen.code)
        if self.listener is not None:
            self.listener.kafka_error(seen)

    def _heed(self, code: str) -> None:
        if code in NEEDS_NEW_CLIENT:
            self._lose(sorted(self._owned))
            self._rejoin_at = min(self._rejoin_at, time.monotonic() + REJOIN_SECONDS)

    def _give_up(self, names: Iterable[Partition]) -> None:
        if self.listener is not None and (given_up := self._disown(names)):
            self.listener.revoked(given_up)

    def _lose(self, names: Iterable[Partition]) -> None:
        if self.listener is not None and (lost := self._disown(names)):
            self.listener.lost(lost)

    def _disown(self, names: Iterable[Partition]) -> list[Partition]:
        """Return those that the listener has still; it hears of each end once."""
        owned = [name for name in names if name in self._owned]
        self._owned.difference_update(owned)
        return owned

    def _replace(self) -> None:
        """Join with a new consumer. One that has not lost its partitions gives them up in order."""
        try:
            new = self._new()
        except KafkaException as error:  # the files for TLS are replaced in this very moment
            self._rejoin_at = time.monotonic() + REJOIN_SECONDS
            self._on_error(error.args[0])
            return
        self._give_up(sorted(self._owned))
        ended, self.consumer = self.consumer, new
        self._consumers += 1
        self._rejoin_at = math.inf
        # Not here: a commit on its way is waited for, longer than the loop may stand still.
        threading.Thread(target=ended.close, name="closing", daemon=True).start()
        if self.listener is not None:  # who may wait for the answer to that commit
            self.listener.commit_answered(CommitAnswer({}, "its client is gone", is_member=False))
            self.subscribe()


def _names(partitions: Iterable[TopicPartition]) -> list[Partition]:
    return [(each.topic, each.partition) for each in partitions]
