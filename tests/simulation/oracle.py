"""Says what must never happen, looking from outside: at the broker, the API and the topics.

It keeps no ledger and no lanes. The one thing that it takes from the inside is the origin that each
id of an attempt remembers, to know which record a request is about.
"""

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from consumer.core.dead_letters import DeadLetter, DeadLetterReason
from consumer.core.ledger import base_of, offset_of
from consumer.core.outcomes import Answer, Answered, Delivered, outcome_of
from consumer.core.rules import Rules
from tests.simulation.account import Account, Flying, Taken, is_shared
from tests.simulation.api import Request, is_bad
from tests.simulation.group import Commit, Watch
from tests.simulation.log import Lane, PartitionLog, Record

if TYPE_CHECKING:
    from consumer.core.attempts import Attempt
    from tests.simulation.process import Process

MANY_BAD = 8  # refused singles are a verdict on all of a batch
HEALTHY_WAIT_SECONDS = 20.0  # beside the linger, at most, while only other segments fail


class Violation(AssertionError):  # noqa: N818 - it is the code under test that errs
    """Something that must never happen."""


@dataclass(slots=True)
class Applied:
    """What the API applied last to an id."""

    assignment: int
    offset: int
    action: str
    owner: int


@dataclass(eq=False)
class Oracle(Watch):
    """``handed`` counts by partition how often the coordinator gave it away."""

    logs: list[PartitionLog]
    max_ids: int
    accounts: dict[int, Account] = field(default_factory=dict)
    handings: dict[int, int] = field(default_factory=dict)
    owners: dict[int, int] = field(default_factory=dict)
    applied: dict[tuple[Lane, str], Applied] = field(default_factory=dict)
    applications: dict[tuple[int, int, Lane, str], int] = field(default_factory=dict)
    requests: int = 0  # that were applied
    taken_back: int = 0  # commits, by repeated ones
    commits: dict[int, Commit] = field(default_factory=dict)  # the last that was of the log
    ledgers: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)

    # -- the broker -------------------------------------------------------------------------------

    def handed_out(self, partition: int, owner: int) -> None:
        """Take down whose a partition is."""
        self.handings[partition] = self.handings.get(partition, 0) + 1
        self.owners[partition] = owner

    def begun(self, process: "Process", partition: int) -> None:
        """Take down that a process reads a partition now, in an assignment of its own."""
        number = self.handings[partition]
        account = self.accounts[process.number]
        taken = account.taken.get(partition)
        if taken is None or taken.number != number:
            account.taken[partition] = Taken(number)

    def committed(
        self, partition: int, owner: int, old: Commit | None, new: Commit, *, is_repeated: bool
    ) -> None:
        """Look at a commit that the broker took (I1, I5, I11).

        One of a log as it was, before it was truncated or its topic made anew, may come late. The
        next one that is of the log goes back, to where that diverges and no further; once, for it
        is of the log.

        One that the client repeats may come after others, and the code can't always know. It has to
        make that good, or the world never settles (I8).
        """
        if self.owners.get(partition) != owner:
            raise Violation(f"I5: process {owner} committed partition {partition}, not its own")
        log = self.logs[partition]
        if log.is_beyond(new):
            raise Violation(
                f"I1: {partition}:{new.offset} was committed with epoch {new.leader_epoch}, which"
                " the log never had"
            )
        is_late = not log.is_of(new)
        if is_late and log.was_never_cut(new):
            raise Violation(
                f"I1: {partition}:{new.offset} was committed with epoch {new.leader_epoch},"
                " which ended before: whoever goes on there takes the log for another"
            )
        first, settled = self.settled_up_to(partition), log.settled_up_to(new)
        if is_late and settled <= first:
            return
        if settled < first and old is not None:
            if is_repeated:
                self.taken_back += 1
                self.commits[partition] = new  # whoever is next can't know that there was more
                return
            raise Violation(
                f"I1: the commit of partition {partition} went from {old.offset} to {settled},"
                f" all is settled up to {first}"
            )
        self.commits[partition] = new
        account = self.accounts[owner]
        for record in log.between(first, settled):
            if why := account.why_unsettled(record):
                invariant = "I11" if "I11" in why else "I1"
                raise Violation(
                    f"{invariant}: {partition}:{record.offset} {why}, committed is {new.offset}"
                )
        lowest = account.lowest_flying(partition)
        if lowest is not None and lowest < settled:
            raise Violation(f"I1: {partition}:{lowest} is on its way, committed is {new.offset}")

    def settled_up_to(self, partition: int) -> int:
        """Return up to where a log was settled, as its commits said."""
        commit = self.commits.get(partition)
        return 0 if commit is None else self.logs[partition].settled_up_to(commit)

    def buried(self, process: "Process", dead_letter: DeadLetter) -> None:
        """Look at a dead letter that the broker has (I10, I12)."""
        now = process.now()
        account = self.accounts[process.number]
        account.buried_sources[dead_letter.source] = now
        if dead_letter.reason is DeadLetterReason.MALFORMED:
            self._check_malformed(dead_letter)
        if dead_letter.reason not in {DeadLetterReason.REJECTED, DeadLetterReason.SEGMENT_REJECTED}:
            return
        said = json.loads(dead_letter.value or b"")
        lane, action = (said["segment_id"], said["id_type"]), said["action"]
        bad = [name for name in said["ids"] if is_bad(lane, name)]
        good = [name for name in said["ids"] if not is_bad(lane, name)]
        if good and (dead_letter.reason is DeadLetterReason.REJECTED or len(bad) < MANY_BAD):
            raise Violation(f"I10, I12: {good} of {lane} are dead letters, {dead_letter.detail}")
        for name in said["ids"]:
            account.buried[lane, action, name] = now

    def _check_malformed(self, dead_letter: DeadLetter) -> None:
        _, partition, offset = dead_letter.source.split(":")
        log, at = self.logs[int(partition)], int(offset)
        records = log.between(at, at + 1)
        if records and not records[0].is_malformed and not log.had_another(at):
            raise Violation(f"I10: {dead_letter.source} is a dead letter, and can be read")

    # -- the API ----------------------------------------------------------------------------------

    def origins_of(self, process: "Process", attempt: "Attempt") -> dict[str, tuple[int, int, int]]:
        """Return partition, assignment and offset of each id of an attempt."""
        account = self.accounts[process.number]
        for ledger in process.pipeline.ledgers.values():
            if (process.number, ledger.base) not in self.ledgers:
                number = account.taken[ledger.partition].number
                self.ledgers[process.number, ledger.base] = (ledger.partition, number)
        origins = {}
        for name in attempt.ids:
            origin = attempt.batch.ids.get(name)
            if origin is None:
                raise Violation(f"I3: {name} is sent and is not in its batch")
            partition, number = self.ledgers[process.number, base_of(origin)]
            origins[name] = (partition, number, offset_of(origin))
        return origins

    def sent(self, request: Request) -> None:
        """Look at a request as it is handed to a carrier (I3)."""
        ids = request.attempt.ids
        if not 1 <= len(ids) <= self.max_ids or len(set(ids)) < len(ids):
            raise Violation(f"I3: {len(ids)} ids, {len(set(ids))} different ones")
        if any(not isinstance(name, str) or not name for name in ids):
            raise Violation(f"I3: not all are strings: {ids}")
        account = self.accounts[request.process.number]
        for name, (partition, number, offset) in request.origins.items():
            taken = account.taken[partition]
            if taken.number != number:
                raise Violation(f"I5: {name} is of an assignment of {partition} that is over")
            if partition not in request.process.client.membership.owned:
                raise Violation(f"I5: {name} is of partition {partition}, which was given up")
            if not (is_shared(name) or is_bad(request.lane, name)):
                order = taken.order_of_offset[offset]
                taken.in_flight[offset, request.lane, name] = Flying(
                    request.lane, request.action, order, request.sent_at
                )

    def collected(self, request: Request, answer: Answer) -> None:
        """Take down an answer that the loop got."""
        account = self.accounts[request.process.number]
        if not isinstance(answer, Answered) or not isinstance(outcome_of(answer), Delivered):
            for name, (partition, number, offset) in request.origins.items():
                taken = account.taken[partition]
                flying = taken.in_flight.get((offset, request.lane, name))
                if taken.number == number and flying is not None:
                    flying.came_back = True
            return
        for name, (partition, number, offset) in request.origins.items():
            change = (request.lane, request.action, name)
            account.delivered[change] = max(
                request.sent_at, account.delivered.get(change, request.sent_at)
            )
            taken = account.taken[partition]
            if taken.number == number:
                taken.in_flight.pop((offset, request.lane, name), None)

    def received(self, request: Request) -> None:
        """Look at a request as the API applies it (I2, I5)."""
        owner = request.process.number
        self.requests += 1
        for name, (partition, number, offset) in request.origins.items():
            if self.owners[partition] != owner:
                raise Violation(
                    f"I5: process {owner} sent {request.action} {name}, but partition"
                    f" {partition} is process {self.owners[partition]}'s by now"
                )
            before = self.applied.get((request.lane, name))
            if (
                before is not None
                and not is_shared(name)
                and before.action != request.action
                and (before.assignment, before.offset) > (number, offset)
                and not self.logs[partition].had_another(min(offset, before.offset))
            ):
                raise Violation(
                    f"I2: {request.action} {name} of {partition}:{offset} was applied after"
                    f" {before.action} of offset {before.offset}"
                )
            self.applied[request.lane, name] = Applied(number, offset, request.action, owner)
            key = (partition, offset, request.lane, name)
            self.applications[key] = self.applications.get(key, 0) + 1

    def check_healthy(self, process: "Process", failing: set[int], rules: Rules) -> None:
        """Look for changes that waited too long while only these segments failed (I4, I8).

        What is behind a record whose schema isn't there yet waits for that.
        """
        account = self.accounts[process.number]
        latest = process.now() - rules.linger_seconds - HEALTHY_WAIT_SECONDS
        for partition in process.client.membership.owned:
            taken = account.taken.get(partition)
            if taken is None:
                continue
            unread_from = process.unread_from(partition)
            if unread_from < math.inf:
                taken.unread = unread_from, process.now()
            for record, handed_at in taken.handed.items():
                if handed_at > latest:
                    break
                if record.offset >= taken.unread[0] and taken.unread[1] > latest:
                    continue
                if waiting := account.waiting(record) - failing:
                    raise Violation(
                        f"I8: {partition}:{record.offset} of {sorted(waiting)} waits since"
                        f" {handed_at:.2f}, only segments {sorted(failing)} fail"
                    )

    # -- what a process publishes -----------------------------------------------------------------

    def handed(self, process: "Process", record: Record) -> None:
        """Take down that the application got a record."""
        self.accounts[process.number].hand_out(record, process.now())
