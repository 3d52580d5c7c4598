"""Customers who enter and leave segments at a steady rate, and the thread that lets them."""

import math
import random
import time
from typing import TYPE_CHECKING, Self

from tests.support.cluster import Record
from tests.support.crowd_producer import CrowdProducer
from tests.support.repeating import Repeating
from tests.support.scenario import event
from tests.support.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from tests.support.scenario import Scenario

SEGMENTS = range(1, 9)

_CROWD = 150
_FLIPS_EACH = 6
_FLIPS_PER_SECOND = 300
_TICK_SECONDS = 0.01


class Crowd(Repeating):
    """A thread that lets customers flip at a steady rate.

    A customer flips a few times within some seconds and then never again, another comes instead: so
    at any time many have just had their last word, and nothing repairs what goes wrong after it.
    Each stays in the partition of the name, or, if ``partitions`` is given, in one drawn at first.
    """

    def __init__(self, scenario: "Scenario", seed: int, partitions: int | None = None) -> None:
        super().__init__(_TICK_SECONDS)
        self._partitions = partitions
        self._flips = 0
        self._started = math.inf
        self._draw = random.Random(seed)
        self._newcomers = 0
        self._crowd = [self._newcomer() for _ in range(_CROWD)]
        broker = scenario.broker
        self._producer = CrowdProducer(broker.bootstrap, scenario.topic, broker.last_lines)

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        return super().__enter__()

    @property
    def silences(self) -> list[str]:
        """What is to be told of silences of its producer's."""
        return self._producer.silences

    def finish(self, patience_seconds: float) -> None:
        """Let nobody flip any more. What happened is in the topic when this returns.

        What Kafka didn't take while it was away goes there now, as soon as it takes anything.
        """
        self.stop()
        producer, deadline = self._producer, time.monotonic() + patience_seconds
        while left := producer.poll(_TICK_SECONDS):
            if time.monotonic() >= deadline:
                told = "\n".join([*producer.silences, producer.told()])
                raise AssertionError(f"{left} of {self._flips} flips without an answer: {told}")
        failures = producer.failures
        assert not failures, f"{len(failures)} flips got lost: {failures[0]}"

    def spread(self, partitions: int) -> None:
        """Let newcomers go to so many partitions, which are there."""
        assert self._partitions is not None, "a name's partition would be another one now"
        self._producer.learn_partitions(PATIENCE_SECONDS)
        self._partitions = partitions

    def turn(self) -> None:
        """Let as many flip as should have by now."""
        due = int((time.monotonic() - self._started) * _FLIPS_PER_SECOND)
        for _ in range(due - self._flips):
            self._flip(self._draw.randrange(_CROWD))
        self._flips = due
        self._producer.poll(0)

    def _flip(self, place: int) -> None:
        customer = self._crowd[place]
        value = event(customer.segment_id, customer.flip(), customer.name)
        self._producer.send(Record(customer.name, value, partition=customer.partition))
        if not customer.flips_left:
            self._crowd[place] = self._newcomer()

    def _newcomer(self) -> "Customer":
        self._newcomers += 1
        flips = self._draw.randint(1, 2 * _FLIPS_EACH - 1)
        segment_id, partition = self._draw.choice(SEGMENTS), None
        if self._partitions is not None:
            partition = self._draw.randrange(self._partitions)
        return Customer(f"customer-{self._newcomers}", segment_id, flips, partition)


class Customer:
    """Enters and leaves one segment, so many times in all. No partition: that of the name."""

    def __init__(self, name: str, segment_id: int, flips: int, partition: int | None) -> None:
        self.name = name
        self.segment_id = segment_id
        self.partition = partition
        self.flips_left = flips
        self._is_in = False

    def flip(self) -> str:
        """Return the action."""
        self._is_in = not self._is_in
        self.flips_left -= 1
        return "add" if self._is_in else "remove"
