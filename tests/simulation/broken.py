"""Loops with one rule broken each: what the simulation is there to find.

Each breaks its own objects only, so that nothing else in the process is changed.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from consumer.core.attempts import Attempt
from consumer.core.lanes import Batch, Lane
from consumer.core.lease import Lease
from consumer.core.ledger import Ledger
from consumer.core.outcomes import Outcome, Retry, RetryReason
from consumer.engine.commits import Commits
from consumer.engine.drain import Drain
from consumer.engine.loop import Loop
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

    def committable(self) -> int | None:
        """Return the position."""
        return self.position


class UnrulyLane(Lane):
    """A lane that keeps no order."""

    __slots__ = ()

    def may_leave(self, batch: Batch) -> bool:  # noqa: ARG002 - whichever it is
        """Say yes."""
        return True


def endless_lease(process: "Process", pipeline: "Pipeline", ports: "Ports") -> Loop:
    """Return a loop whose lease always holds."""
    loop = real_loop(process, pipeline, ports)
    lease = EndlessLease(loop.commits.lease.seconds)
    loop.commits.lease = loop.requests._lease = lease  # noqa: SLF001 - to break it
    return loop


def hasty_ledger(process: "Process", pipeline: "Pipeline", ports: "Ports") -> Loop:
    """Return a loop that commits what was read."""
    begin = pipeline.assign

    def assign(*given: object) -> Ledger:
        ledger = begin(*given)  # type: ignore[arg-type]  # whatever the loop gives
        ledger.__class__ = HastyLedger
        return ledger

    pipeline.assign = assign  # type: ignore[method-assign, assignment]  # of this one only
    return real_loop(process, pipeline, ports)


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


class HastyCommits(Commits):
    """Commits that wait for none to be repeated."""

    __slots__ = ()

    @property
    def _quiet_until(self) -> float:
        return -math.inf

    @_quiet_until.setter
    def _quiet_until(self, _: float) -> None: ...


def hasty_commits(process: "Process", pipeline: "Pipeline", ports: "Ports") -> Loop:
    """Return a loop that commits in a drain before a lost commit was repeated."""
    loop = real_loop(process, pipeline, ports)
    loop.commits.__class__ = HastyCommits
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


BROKEN: dict[str, tuple[LoopOf, str]] = {
    "a lease that always holds": (endless_lease, "I5"),
    "a ledger that commits the position": (hasty_ledger, "I1"),
    "a lane that keeps no order": (unruly_lane, "I2"),
    "connections that are used again without a look": (blind_connections, "I2"),
    "5xx that are taken as final": (final_failures, "I2"),
    "a drain that waits for no repeated commit": (hasty_commits, "I1"),
    "a drain that waits for no answer": (hasty_drain, "I5"),
    "failures of one segment that all wait for": (waits_of_all, "I8"),
}
