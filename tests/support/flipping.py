"""Customers who enter and leave segments all the time, and whether all end up where they belong."""

import math
import os
import random
import sys
import time
from typing import TYPE_CHECKING, NamedTuple, Self

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from tests.support.repeating import Repeating
from tests.support.scenario import CommitWatch, StepBack, assert_accounted, event
from tests.support.waiting import PATIENCE_SECONDS, eventually

if TYPE_CHECKING:
    from tests.support.daemon import Daemon
    from tests.support.scenario import Scenario

SEGMENTS = range(1, 9)
BY_NAME = -1
"""The partition of a customer that librdkafka finds by the name."""

_CROWD = 150
_FLIPS_EACH = 6
_FLIPS_PER_SECOND = 300
_TICK_SECONDS = 0.01


class Member(NamedTuple):
    """A customer in a segment, or not in it any more."""

    segment_id: int
    customer: str


class Verdict(NamedTuple):
    """How it ended. ``wrong``: the last accepted request is not their last record's."""

    seed: int
    members: int
    wrong: list[Member]
    flips: int
    requests: int
    duplicates: int
    went_back: list[StepBack]

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {self.members} members, {len(self.wrong)} wrong,"
            f" {self.flips} flips, {self.requests} requests, {self.duplicates} duplicate ids,"
            f" {len(self.went_back)} commits went back"
            + "".join(f"\n{step}" for step in self.went_back)
        )


class Flipping:
    """Keeps a crowd flipping and an eye on the commits while a test does what it likes.

    Without a ``seed`` it is ``SEED_FOR_TESTS``, to repeat a run, else a new one. The topic may get
    more partitions only if ``partitions`` says how many it has now.
    """

    def __init__(
        self,
        scenario: "Scenario",
        *,
        seed: int | None = None,
        partitions: int | None = None,
        pause_seconds: float = 0.03,
        patience_seconds: float = 60,
    ) -> None:
        if seed is None:
            seed = int(os.environ.get("SEED_FOR_TESTS") or random.randrange(2**32))
        self.seed = seed
        self.draw = random.Random(self.seed)
        self.watch = CommitWatch(scenario, pause_seconds)
        self._scenario = scenario
        self._crowd = Crowd(scenario, self.seed, partitions)
        self._patience_seconds = patience_seconds

    def __enter__(self) -> Self:
        self.watch.__enter__()
        self._crowd.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._crowd.__exit__()
        self.watch.__exit__()

    def grow(self, partitions: int) -> None:
        """Give the topic more partitions, ``partitions`` in all, for customers who come now."""
        self._scenario.broker.add_partitions(self._scenario.topic, partitions)
        self._crowd.spread(partitions)

    def await_members(self, count: int) -> None:
        """Wait until so many members have all partitions among them, each at least one."""
        scenario = self._scenario
        partitions = scenario.broker.partitions(scenario.topic)

        def shares() -> list[int]:
            members = scenario.broker.group_members(scenario.group)
            owned = [partition for member in members for _, partition in member.partitions]
            return [len(each.partitions) for each in members] if sorted(owned) == partitions else []

        def complete(shares: list[int]) -> bool:
            return len(shares) == count and all(shares)

        what = f"{count} members with all partitions"
        patience = self._patience_seconds
        eventually(shares, patience, what, until=complete, ignoring=(KafkaException,))

    def await_caught_up(self) -> None:
        """Wait until everything is settled that had happened when this was called."""
        scenario = self._scenario
        ends = scenario.broker.end_offsets(scenario.topic)

        def lag() -> dict[int, int]:
            committed = scenario.committed()
            return {at: end - committed.get(at, 0) for at, end in ends.items()}

        def gone(lag: dict[int, int]) -> bool:
            return all(each <= 0 for each in lag.values())

        patience = self._patience_seconds
        eventually(lag, patience, "the lag to go", until=gone, ignoring=(KafkaException,))

    def finish(self, *daemons: "Daemon", request_seconds: float) -> Verdict:
        """End it; let ``daemons``, who are all there are, deliver the rest; compare."""
        self._crowd.finish(self._patience_seconds)
        self.await_caught_up()
        for daemon in daemons:
            _await_nothing_held(daemon, self._patience_seconds)
            assert_accounted(daemon.metrics())
        time.sleep(request_seconds)  # what is still on its way somewhere may be accepted until then
        self.watch.stop()
        verdict = self._verdict()
        sys.stdout.write(f"{verdict}\n")
        return verdict

    def _verdict(self) -> Verdict:
        scenario, api = self._scenario, self._scenario.api
        records = scenario.broker.read_all(scenario.topic)
        expected = _last_words(records)
        accepted = {
            Member(segment_id, customer): action
            for segment_id in SEGMENTS
            for action, customers in (
                ("add", api.members(segment_id)),
                ("remove", api.removed(segment_id)),
            )
            for customer in customers
        }
        counters = api.counters()
        return Verdict(
            seed=self.seed,
            members=len(expected),
            wrong=[member for member in expected if accepted.get(member) != expected[member]],
            flips=len(records),
            requests=counters.requests,
            duplicates=counters.duplicates,
            went_back=self.watch.went_back,
        )


class Crowd(Repeating):
    """A thread that lets customers flip at a steady rate.

    A customer flips a few times within some seconds and then never again, another comes instead: so
    at any time many have just had their last word, and nothing repairs what goes wrong after it.
    Each stays in the partition of the name, or, if ``partitions`` is given, in one drawn at first.
    """

    def __init__(self, scenario: "Scenario", seed: int, partitions: int | None = None) -> None:
        super().__init__(_TICK_SECONDS)
        self._topic = scenario.topic
        self._partitions = partitions
        self._flips = 0
        self._started = math.inf
        self._draw = random.Random(seed)
        self._newcomers = 0
        self._crowd = [self._newcomer() for _ in range(_CROWD)]
        self._failures: list[KafkaError] = []
        self._said = "nothing was said"
        self._producer = Producer(
            {
                "bootstrap.servers": scenario.broker.bootstrap,
                "acks": "all",
                "max.in.flight.requests.per.connection": 1,  # in order also if one is repeated
                "linger.ms": 5,
                "log_level": 2,  # that the broker goes and comes is no news
                "error_cb": self._hear,
            }
        )

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        return super().__enter__()

    def finish(self, patience_seconds: float) -> None:
        """Let nobody flip any more. What happened is in the topic when this returns.

        What Kafka didn't take while it was away goes there now, as soon as it takes anything.
        """
        self.stop()
        left = self._producer.flush(patience_seconds)
        assert not left, f"{left} of {self._flips} flips without an answer; {self._said}"
        assert not self._failures, f"{len(self._failures)} flips got lost: {self._failures[0]}"

    def spread(self, partitions: int) -> None:
        """Let newcomers go to so many partitions, which are there."""
        assert self._partitions is not None, "a name's partition would be another one now"
        self._producer.list_topics(self._topic, timeout=PATIENCE_SECONDS)  # so that it knows them
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
        self._producer.produce(
            self._topic,
            value,
            customer.name,
            partition=customer.partition,
            on_delivery=self._delivered,
        )
        if not customer.flips_left:
            self._crowd[place] = self._newcomer()

    def _newcomer(self) -> "Customer":
        self._newcomers += 1
        flips = self._draw.randint(1, 2 * _FLIPS_EACH - 1)
        segment_id, partition = self._draw.choice(SEGMENTS), BY_NAME
        if self._partitions is not None:
            partition = self._draw.randrange(self._partitions)
        return Customer(f"customer-{self._newcomers}", segment_id, flips, partition)

    def _hear(self, error: KafkaError) -> None:
        self._said = f"heard last, at {time.strftime('%H:%M:%S')}: {error}"

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failures.append(error)


class Customer:
    """Enters and leaves one segment, so many times in all."""

    def __init__(self, name: str, segment_id: int, flips: int, partition: int) -> None:
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


def _last_words(records: list[Message]) -> dict[Member, str]:
    """Return each member's last action; the records are in each partition's order."""
    words: dict[Member, str] = {}
    for record in records:
        flip = msgspec.json.decode(record.value() or b"")
        words[Member(flip["segment_id"], flip["id"])] = flip["action"]
    return words


def _await_nothing_held(daemon: "Daemon", patience_seconds: float) -> None:
    def held() -> float:
        assert daemon.exit_code is None, f"ended ({daemon.exit_code}):\n{daemon.said()}"
        return daemon.metric("held_ids")

    eventually(held, patience_seconds, "nothing held", until=lambda count: count == 0)
