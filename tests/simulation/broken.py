"""Loops with one rule broken each: what the simulation is there to find.

Each breaks its own objects only, so that nothing else in the process is changed.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from consumer.core.attempts import Attempt
from consumer.core.events import Action
from consumer.core.lanes import Lane
from consumer.core.lease import Lease
from consumer.core.ledger import Ledger
from consumer.core.outcomes import HoldReason, Outcome, Retry, RetryReason
from consumer.core.positions import Going, Gone, Log
from consumer.core.throttle import Throttle
from consumer.engine.assignment import Assignment
from consumer.engine.claims import Claims
from consumer.engine.drain import Drain
from consumer.engine.loop import Loop
from consumer.engine.ports import Offsets, Partition
from consumer.engine.repeats import Repeats
from consumer.engine.starts import Starts
from tests.simulation.run import LoopOf, real_loop

if TYPE_CHECKING:
    from consumer.core.buffer import Buffer
    from consumer.core.pipeline import Pipeline
    from consumer.engine.ports import Ports
    from tests.simulation.process import Process


class EndlessLease(Lease):
    """A lease that always holds."""

    def holds(self, now: float) -> bool:  # noqa: ARG002 - whatever the time is
        """Say yes."""
        return True

    @property
    def end(self) -> float:
        """Return the end of days."""
        return math.inf

    @end.setter
    def end(self, _: float) -> None:
        """Take no notice."""


class HastyLedger(Ledger):
    """A ledger that commits whatever was read."""

    __slots__ = ()

    def committable(self) -> int:
        """Return the position."""
        return self.position


class ForgetfulLedger(Ledger):
    """A ledger that forgets what was read of a log that goes back."""

    __slots__ = ()

    def go_back(self, position: int) -> None:
        """Go on at ``position`` with nothing unsettled."""
        self._holds.clear()
        super().go_back(position)


class RereadingStarts(Starts):
    """Reads a log that was truncated from its beginning."""

    __slots__ = ()

    def go_on(self, ledger: Ledger, log: Log, gone: Gone | None, now: float) -> Going:
        """Take it to diverge there."""
        if gone is not None:
            gone = replace(gone, diverges_at=0, is_compared=True)
        return super().go_on(ledger, log, gone, now)


class OverlookingStarts(Starts):
    """Reads a log that was truncated from its end, whatever took the place of what was lost."""

    __slots__ = ()

    def go_on(self, ledger: Ledger, log: Log, gone: Gone | None, now: float) -> Going:
        """Take it to diverge there."""
        if gone is None or ledger.topic_id != log.topic_id or ledger.position < log.first:
            return super().go_on(ledger, log, gone, now)
        at = min(ledger.position, log.end)
        ledger.go_back(at)
        ledger.leader_epoch = log.leader_epoch
        return Going(at, log.leader_epoch)


class BlindAssignment(Assignment):
    """Takes no notice of topic ids."""

    __slots__ = ()

    def made_anew(self) -> list[Partition]:
        """See nothing."""
        return []


class CarelessClaims(Claims):
    """Commits without leader epochs."""

    __slots__ = ()

    def some_of(self, offsets: dict[Partition, int]) -> dict[Partition, Offsets]:
        """Leave them out."""
        found = super().some_of(offsets)
        return {name: replace(each, leader_epoch=None) for name, each in found.items()}


class UnrulyLane(Lane):
    """A lane that keeps no order."""

    __slots__ = ()

    def in_the_way_of(self, action: Action) -> list[Collection[str]]:  # noqa: ARG002 - whichever
        """See nothing."""
        return []


class AnxiousThrottle(Throttle):
    """A throttle that lets nothing through while nobody sees a broker."""

    def earliest_start(self, *, is_stranger: bool = False) -> float:
        """Return the end of days then."""
        if HoldReason.KAFKA_UNAVAILABLE in self.holds:
            return math.inf
        return super().earliest_start(is_stranger=is_stranger)


def endless_lease(process: "Process", pipeline: "Pipeline", ports: "Ports") -> Loop:
    """Return a loop whose lease always holds."""
    loop = real_loop(process, pipeline, ports)
    lease = EndlessLease(loop.commits.lease.seconds)
    loop.commits.lease = loop.requests._lease = lease  # noqa: SLF001 - to break it
    return loop


def _with_ledgers(kind: type[Ledger]) -> LoopOf:
    def loop_of(process: "Process", pipeline: "Pipeline", ports: "Ports") -> Loop:
        begin = pipeline.assign

        def assign(*given: object, **named: object) -> Ledger:
            ledger = begin(*given, **named)  # type: ignore[arg-type]  # whatever the loop gives
            ledger.__class__ = kind
            return ledger

        pipeline.assign = assign  # type: ignore[method-assign]  # of this one only
        return real_loop(process, pipeline, ports)

    return loop_of


def _with_part(kind: type[Starts | Assignment | Claims]) -> LoopOf:
    """Return a loop with one of its parts broken."""

    def loop_of(process: "Process", pipeline: "Pipeline", ports: "Ports") -> Loop:
        loop = real_loop(process, pipeline, ports)
        parts = (loop.assignment, loop.assignment._starts, loop.commits._claims)  # noqa: SLF001 - to break it
        (part,) = (part for part in parts if issubclass(kind, type(part)))
        part.__class__ = kind
        return loop

    return loop_of


def unruly_lane(process: "Process", pipeline: "Pipeline", ports: "Ports") -> Loop:
    """Return a loop that keeps no order in a lane."""
    buffer: Buffer = pipeline._buffer  # noqa: SLF001 - to break it
    begin = buffer.new_lane

    def new_lane(segment_id: int, id_type: object) -> Lane:
        lane = begin(segment_id, id_type)
        lane.__class__ = UnrulyLane
        return lane

    buffer.new_lane = new_lane  # type: ignore[method-assign]  # of this one only
    return real_loop(process, pipeline, ports)


def anxious_throttle(process: "Process", pipeline: "Pipeline", ports: "Ports") -> Loop:
    """Return a loop that sends nothing while its observer sees nothing."""
    pipeline.throttle.__class__ = AnxiousThrottle
    return real_loop(process, pipeline, ports)


def blind_connections(process: "Process", pipeline: "Pipeline", ports: "Ports") -> Loop:
    """Return a loop whose connections are used again without a look."""
    process.carriers.connections.looks = False
    return real_loop(process, pipeline, ports)


def _with_outcomes(pipeline: "Pipeline", change: Callable[[Retry], Retry]) -> None:
    """Let ``pipeline`` hear other outcomes of a 5xx than there were."""
    settle = pipeline.settle

    def hear(attempt: Attempt, outcome: Outcome, now: float, jitter: float) -> None:
        if isinstance(outcome, Retry) and outcome.reason is RetryReason.SERVER:
            outcome = change(outcome)
        settle(attempt, outcome, now, jitter)

    pipeline.settle = hear  # type: ignore[method-assign]  # of this one only


def final_failures(process: "Process", pipeline: "Pipeline", ports: "Ports") -> Loop:
    """Return a loop that takes what was answered with a 5xx as never applied."""
    _with_outcomes(pipeline, lambda retry: replace(retry, ambiguous=False))
    return real_loop(process, pipeline, ports)


def waits_of_all(process: "Process", pipeline: "Pipeline", ports: "Ports") -> Loop:
    """Return a loop where one segment's failure, or its ``Retry-After``, is everybody's."""
    _with_outcomes(pipeline, lambda retry: replace(retry, reason=RetryReason.THROTTLED))
    return real_loop(process, pipeline, ports)


class HastyRepeats(Repeats):
    """Expects that nothing is repeated."""

    __slots__ = ()

    def begin(self, now: float) -> None:
        """Wait for nothing."""


def hasty_commits(process: "Process", pipeline: "Pipeline", ports: "Ports") -> Loop:
    """Return a loop that commits in a drain before a lost commit was repeated."""
    loop = real_loop(process, pipeline, ports)
    loop.commits._repeats.__class__ = HastyRepeats  # noqa: SLF001 - to break it
    return loop


class HastyDrain(Drain):
    """A drain that waits for no answers: whoever has the name next begins at once."""

    __slots__ = ()

    def _settle_all(self, ledgers: list[Ledger], deadline: float) -> bool:  # noqa: ARG002 - whichever
        return True


def hasty_drain(process: "Process", pipeline: "Pipeline", ports: "Ports") -> Loop:
    """Return a loop that goes while its requests are on their way."""
    loop = real_loop(process, pipeline, ports)
    loop.drain.__class__ = HastyDrain
    return loop


class StubbornLedger(Ledger):
    """Has the epoch of the last record for whatever is behind it."""

    __slots__ = ()

    def pass_gap(self, end: int) -> None:
        """Go on there, as if it were a record's."""
        self.position = max(self.position, end)


BROKEN: dict[str, tuple[LoopOf, str]] = {
    "a lease that always holds": (endless_lease, "I5"),
    "a ledger that commits the position": (_with_ledgers(HastyLedger), "I1"),
    "a ledger that forgets what was read of a log that goes back": (
        _with_ledgers(ForgetfulLedger),
        "I1",
    ),
    "a truncated log that is read from its beginning": (_with_part(RereadingStarts), "I1"),
    "a truncated log that goes on at its end": (_with_part(OverlookingStarts), "I1"),
    "topic ids that nobody looks at": (_with_part(BlindAssignment), "I8"),
    "commits without leader epochs": (_with_part(CarelessClaims), "I1"),
    "epochs of records for the markers behind them": (_with_ledgers(StubbornLedger), "I1"),
    "a lane that keeps no order": (unruly_lane, "I2"),
    "connections that are used again without a look": (blind_connections, "I2"),
    "5xx that are taken as final": (final_failures, "I2"),
    "an observer that is blind and stops all": (anxious_throttle, "I8"),
    "a drain that waits for no repeated commit": (hasty_commits, "I1"),
    "a drain that waits for no answer": (hasty_drain, "I5"),
    "failures of one segment that all wait for": (waits_of_all, "I8"),
}
