"""Customers who enter and leave segments all the time, and whether all end up where they belong."""

import os
import random
import sys
import time
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, Self

import msgspec
from confluent_kafka import KafkaException

from consumer import clock
from tests.support.crowd import SEGMENTS, Crowd
from tests.support.lateness import was_overtaken
from tests.support.scenario import CommitWatch, StepBack, assert_accounted
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from confluent_kafka import Message

    from tests.support.daemon import Daemon
    from tests.support.lateness import Applied
    from tests.support.scenario import Scenario

_STORIES = 5


class Member(NamedTuple):
    """A customer in a segment, or not in it any more."""

    segment_id: int
    customer: str


class Verdict(NamedTuple):
    """How it ended. ``wrong``: the last accepted request is not their last record's.

    ``overtaken``: nor is theirs, but the API had it longer than any client can know (`lateness`).
    ``stories`` tell of the first of them.
    """

    seed: int
    members: int
    wrong: list[Member]
    overtaken: list[Member]
    flips: int
    requests: int
    duplicates: int
    went_back: list[StepBack]
    stories: list[str]

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {self.members} members, {len(self.wrong)} wrong,"
            f" {len(self.overtaken)} overtaken by what was applied too late,"
            f" {self.flips} flips, {self.requests} requests, {self.duplicates} duplicate ids,"
            f" {len(self.went_back)} commits went back"
            + "".join(f"\n{each}" for each in (*self.went_back, *self.stories))
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

    @property
    def silences(self) -> list[str]:
        """What is to be told of times when the crowd's producer heard nothing for long."""
        return self._crowd.silences

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
        verdict = self._verdict(request_seconds)
        sys.stdout.write(f"{verdict}\n")
        return verdict

    def _verdict(self, request_seconds: float) -> Verdict:
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
        wrong = [member for member in expected if accepted.get(member) != expected[member]]
        applied = {member: api.lateness.applied(*member) for member in wrong}
        overtaken = [
            member
            for member in wrong
            if was_overtaken(expected[member], applied[member], request_seconds)
        ]
        counters = api.counters()
        return Verdict(
            seed=self.seed,
            members=len(expected),
            wrong=[member for member in wrong if member not in overtaken],
            overtaken=overtaken,
            flips=len(records),
            requests=counters.requests,
            duplicates=counters.duplicates,
            went_back=self.watch.went_back,
            stories=[_story(member, records, applied[member]) for member in wrong[:_STORIES]],
        )


def _last_words(records: "list[Message]") -> dict[Member, str]:
    """Return each member's last action; the records are in each partition's order."""
    words: dict[Member, str] = {}
    for record in records:
        flip = msgspec.json.decode(record.value() or b"")
        words[Member(flip["segment_id"], flip["id"])] = flip["action"]
    return words


def _story(member: Member, records: "list[Message]", applied: "Sequence[Applied]") -> str:
    """Tell what was asked for a member and what the API did, in Unix time."""
    since = time.time() - clock.now()
    moments = [
        (record.timestamp()[1] / 1000, f"asked to {flip['action']}")
        for record in records
        if (flip := msgspec.json.decode(record.value() or b""))["id"] == member.customer
    ]
    for each in applied:
        came = f"applied {each.action}, which came at {each.came_at + since:.3f} at the earliest"
        moments.append((each.applied_at + since, came))
    told = "; ".join(f"{at:.3f} {what}" for at, what in sorted(moments, key=itemgetter(0)))
    return f"{member.customer} in {member.segment_id}: {told}"


def _await_nothing_held(daemon: "Daemon", patience_seconds: float) -> None:
    def held() -> float:
        assert daemon.exit_code is None, f"ended ({daemon.exit_code}):\n{daemon.said()}"
        return daemon.metric("held_ids")

    eventually(held, patience_seconds, "nothing held", until=lambda count: count == 0)
