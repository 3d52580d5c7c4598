"""The consumer of librdkafka, and the new one that takes its place when it is of no use any more.

With KIP-848 much of what passes, or what somebody mends, is fatal for librdkafka's consumer (2.16,
``rd_kafka_cgrp_handle_ConsumerGroupHeartbeat``), so a new one joins, after a backoff:

- What the broker refuses for good in a heartbeat: a right on the group that is missing, a group
  that is full, the protocol switched off, and every other error that is not called retriable.
- The coordinator doesn't know the group any more, as after its broker was killed; or the group
  still has members of the classic protocol.
- A static member's name is in use, which it may hear as being fenced, too: a member that was killed
  keeps its name until its session is over, and one that was frozen or cut off for longer may find
  another process under its name. It asks for the name until it is free. Kafka gives nobody a name
  that is in use, so two of one name don't fence each other for ever. Should one be fenced twice
  without a partition in between, somebody else gives names away: that alone is the end.

With the classic protocol only being fenced is fatal, and nobody has a name there (`settings`).

A consumer whose certificate or key was replaced gives its partitions up in order, and a new one
joins.
"""

import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ParamSpec

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from consumer.core.backoff import backoff_seconds
from consumer.engine.ports import CommitAnswer, Listener, Partition, Trouble
from consumer.kafka import certificate
from consumer.kafka.credentials import Follower
from consumer.kafka.errors import FENCE, commit_answer, trouble
from consumer.kafka.reasons import is_alert
from consumer.kafka.token_endpoint import TokenTrouble

LONGEST_SECONDS = 10.0
"""Between two clients that end themselves: a name that is free again is not left for long."""

_END_OF_PARTITION = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's local error codes are spelt so
_TELL_SECONDS = 5.0
_LONG_LIFE_SECONDS = 60.0  # whose end has nothing to do with the end of the one before

P = ParamSpec("P")


class Client:
    """``consumer`` is the one of now; inside its ``consume`` and ``close`` ``listener`` is told.

    Nothing is heard of the ones before, which don't say that they lost their partitions: the
    listener is told so as soon as one has ended. Owned by one thread.

    ``farewell_seconds``: so long one that had partitions is kept before it leaves the group, which
    may not have noticed its end. Until then requests that were sent before are over, and nobody
    else has its partitions.
    """

    def __init__(self, properties: Mapping[str, Any], farewell_seconds: float = 0.0) -> None:
        self.follower = Follower(properties)
        self._farewell_seconds = farewell_seconds
        self._comes_back = properties.get("group.protocol") == "consumer"
        self._rejoin_at = math.inf
        self._is_over = False  # the one of now has ended itself
        self._token_trouble = TokenTrouble()
        self._told_at = time.monotonic()  # the first token is there soon
        self.listener: Listener | None = None
        self._topics: list[str] = []
        self._owned: set[Partition] = set()
        self._had_partitions = False  # the one of now
        self._consumers = 0
        self._ends = 0  # in a row
        self._fences = 0  # in a row
        self.consumer = self._new()
        self._consumers = 1

    def join(self, topics: Sequence[str], listener: Listener) -> None:
        """Join the group."""
        self._topics, self.listener = list(topics), listener
        self.subscribe()

    @property
    def is_subscribed(self) -> bool:
        """Whether the consumer of now is to be in the group, and is not at its end."""
        return self.listener is not None and not self._is_over

    def subscribe(self) -> None:
        """Have the consumer look what there is of its topics; see `Member.take_up_what_is_new`."""
        self.consumer.subscribe(
            self._topics,
            on_assign=self._of(self._consumers, self._on_assign),
            on_revoke=self._of(self._consumers, self._on_revoke),
            on_lost=self._of(self._consumers, self._on_lost),
        )

    def consume(self, count: int, timeout_seconds: float) -> list[Any]:
        """Return up to ``count`` messages; callbacks fire here."""
        if self.follower.outdates(self.consumer):
            self._rejoin_at = min(self._rejoin_at, time.monotonic())
        if time.monotonic() >= self._rejoin_at:
            self._replace()
        self._tell_token_trouble()
        messages = self.consumer.consume(count, timeout_seconds)
        if self._comes_back:  # the end is said once, anywhere among the records
            for message in messages:
                error = message.error()
                if error is not None and error.code() != _END_OF_PARTITION:  # these are many
                    self._heed(trouble(error))
        return messages

    def _tell_token_trouble(self) -> None:
        """Say now and then that there is no token: a client without one tries and says nothing."""
        why = self.follower.trouble
        if why and (now := time.monotonic()) >= self._told_at + _TELL_SECONDS:
            self._told_at = now
            self._say(Trouble("TOKEN", why, fatal=False, is_refusal=True))

    def heard(self, seen: Trouble) -> Trouble:
        """Return trouble as the daemon takes it: fatal is only what no new client mends."""
        is_final = not self._comes_back or self._fences > 1
        return replace(seen, fatal=seen.fatal and is_final)

    def replace(self) -> None:
        """Join with a new consumer: this one is given up, and its partitions with it."""
        self._lose(sorted(self._owned))
        self._replace()

    def _replace(self) -> None:
        """Join with a new consumer. One that has not lost its partitions gives them up in order."""
        try:
            new = self._new()
        except KafkaException as error:  # a file of the settings is not there now
            self._end()
            self._say(trouble(error.args[0]))
            return
        is_in_order = bool(self._owned)
        self._give_up(sorted(self._owned))
        ended, self.consumer = self.consumer, new
        self._consumers += 1
        delay = self._farewell_seconds if self._had_partitions and not is_in_order else 0.0
        self._rejoin_at, self._is_over, self._had_partitions = math.inf, False, False
        # Not here: a commit on its way is waited for, longer than the loop may stand still.
        closing = threading.Timer(delay, ended.close)
        closing.name, closing.daemon = "closing", True
        closing.start()
        if self.listener is not None:  # who may wait for the answer to that commit
            self.listener.commit_answered(CommitAnswer({}, "its client is gone", is_member=False))
            self.subscribe()

    def _new(self) -> Consumer:
        """Return a consumer that is silent until it is the one of now."""
        number = self._consumers + 1
        callbacks = {
            "on_commit": self._of(number, self._on_commit),
            "error_cb": self._of(number, self._on_error),
        }
        properties = self.follower.for_client()
        if "stats_cb" in properties:  # one that is closed delivers what it has still
            callbacks["stats_cb"] = self._of(number, properties["stats_cb"])
        consumer = Consumer({**properties, **callbacks})
        self._began = time.monotonic()
        return consumer

    def _of(self, number: int, callback: Callable[P, None]) -> Callable[P, None]:
        """Return a callback that is silent unless the consumer of that number is the one of now."""

        def call(*args: P.args, **kwargs: P.kwargs) -> None:
            if number == self._consumers:
                callback(*args, **kwargs)

        return call

    def _on_assign(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        names = _names(partitions)
        self._owned.update(names)
        self._had_partitions |= bool(names)
        self._fences = 0
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
        properties = self.follower.properties
        if is_alert(seen.detail) and (why := certificate.trouble_of(properties)):
            seen = replace(seen, detail=f"{why}; {seen.detail}")
        elif seen.is_refusal:
            why = self.follower.trouble or self._token_trouble.explained(seen.detail, properties)
            seen = replace(seen, detail=why)
        self._heed(seen)
        self._say(seen)

    def _say(self, seen: Trouble) -> None:
        if self.listener is not None:
            self.listener.kafka_error(self.heard(seen))

    def _heed(self, seen: Trouble) -> None:
        """Take in that the consumer of now has ended itself, if this says so for the first time.

        Another one may be about to join already, and what the broker takes back is lost all the
        same.
        """
        if not (seen.fatal and self._comes_back) or self._is_over:
            return
        self._is_over = True
        self._fences += seen.code == FENCE
        self._lose(sorted(self._owned))
        if self._rejoin_at == math.inf:
            self._end()

    def _end(self) -> None:
        """Have another one join, the later the more of them ended soon."""
        now = time.monotonic()
        self._ends = 1 if now - self._began > _LONG_LIFE_SECONDS else self._ends + 1
        jitter = random.uniform(0.5, 1.0)
        self._rejoin_at = now + backoff_seconds(self._ends + 1, LONGEST_SECONDS, jitter)

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


def _names(partitions: Iterable[TopicPartition]) -> list[Partition]:
    return [(each.topic, each.partition) for each in partitions]
