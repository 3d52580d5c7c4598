"""The watch over partitions from which nothing comes: what is asked about them, and told.

Nothing is passed over: what stands in the way may be mended, or is an operator's to pass over.
Where no cause is known the partition is read once more from its position, should the client have
lost it.
"""

from dataclasses import dataclass, field

from consumer.core.ledger import Ledger
from consumer.core.pipeline import Pipeline
from consumer.core.stalls import Silence, Stalls
from consumer.engine.assignment import Assignment
from consumer.engine.ports import ObserverPort, Partition, Say, Trouble

UNANSWERED_SECONDS = 60.0  # after which a leader that says nothing is a cause
ASK_SECONDS = 10.0  # of silence, after which the cluster is asked for the cause
MOST_TOLD = 5


@dataclass(slots=True, eq=False)
class StallWatch:
    """Owned by the loop. ``told`` is what is said of each stalled partition."""

    _pipeline: Pipeline
    _assignment: Assignment
    _observer: ObserverPort
    _say: Say
    told: dict[Partition, str] = field(default_factory=dict)
    _stalls: Stalls = field(default_factory=Stalls)

    def hear(self, name: Partition, trouble: Trouble) -> None:
        """Take in what the client said of a partition instead of giving a record."""
        ledger = self._pipeline.ledgers.get(name)
        if ledger is not None:
            self._stalls.hear(ledger, f"{trouble.code}: {trouble.detail}")

    def look(self, now: float) -> str:
        """Return what is to be told of the stalled partitions; empty: there is none."""
        view, stalls = self._observer.view, self._stalls
        ends, unanswered, is_begun = view.ends, view.unanswered, self._assignment.is_begun
        awaited = self._pipeline.awaited  # their records come, and can't be read
        waiting = [
            ledger
            for name, ledger in self._pipeline.ledgers.items()
            if (ends.get(name, -1) > ledger.position or name in unanswered)
            and is_begun(ledger)
            and name not in awaited
        ]
        is_paused = self._assignment.pausing or view.unreachable is not None
        stalls.look(waiting, now, is_paused=is_paused)
        self._observer.silent = {
            _name(each.ledger): each.position for each in stalls.silent(ASK_SECONDS)
        }
        told, self.told = self.told, {}
        lost: list[Partition] = []
        for silence in stalls.silent():
            name = _name(silence.ledger)
            cause = "; ".join(filter(None, (silence.said, view.causes.get(name))))
            if not cause and name in unanswered and silence.seconds >= UNANSWERED_SECONDS:
                cause = "its leader does not answer"
            if not cause and (name in unanswered or silence.seconds < stalls.patience):
                continue  # who knows whether there is anything, or it waits for its turn
            if not cause and not silence.is_reread:
                silence.is_reread = True
                lost.append(name)
            place = silence.ledger.source(silence.position)
            self.told[name] = f"nothing comes from {place}: {cause or 'no cause is known'}"
            if self.told[name] != told.get(name):
                self._tell(silence, cause, now)
        self._assignment.rest(lost, now)
        return _all_of(self.told)

    def _tell(self, silence: Silence, cause: str, now: float) -> None:
        topic, partition = name = _name(silence.ledger)
        self._say(
            now,
            "partition_stalled",
            f"{topic}:{partition} {cause.partition(':')[0]}",  # what follows may grow
            self.told[name],
            level="error",
            topic=topic,
            partition=partition,
            offset=silence.position,
            cause=cause,
        )


def _name(ledger: Ledger) -> Partition:
    return ledger.topic, ledger.partition


def _all_of(told: dict[Partition, str]) -> str:
    texts = [told[name] for name in sorted(told)]
    more = len(texts) - MOST_TOLD
    return "; ".join(texts[:MOST_TOLD] + ([f"and {more} partitions more"] if more > 0 else []))
