"""What a commit says: of which partitions, which offsets, with what; and what its answer changes.

Not all that may be committed goes into one: its size is bounded, and a topic that the broker
refuses is committed apart (`core.together`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from consumer.core.ledger import Ledger
from consumer.core.together import Together
from consumer.engine.ports import CommitAnswer, Offsets, Partition, Say

MAX_COMMIT_BYTES = 400_000
"""Of one commit, which the broker writes as one batch of at most a megabyte; see `some_of`."""

_TOO_LONG = (
    "the broker finds the commits' metadata too long (offset.metadata.max.bytes): they go without."
    " What that costs: with KAFKA_AUTO_OFFSET_RESET=latest, members that start the group together"
    " can't tell that from new partitions and may read some from the beginning; and a topic that"
    " was made anew while nobody read it, of which somebody committed the old offsets once more,"
    " may be read from there on. A truncated log is noticed all the same. Allow 2,000 bytes"
)

Sent = dict[Partition, tuple[Ledger, int]]
"""What was committed, and how often each ledger had gone back by then."""


@dataclass(slots=True, eq=False)
class Claims:
    """Owned by `Commits`. ``_ledgers`` are those of the partitions that are assigned now."""

    _ledgers: Mapping[Partition, Ledger]
    _say: Say
    _refused: set[Partition] = field(default_factory=set)  # the last time
    _together: Together = field(default_factory=Together)
    _is_too_long_said: bool = False

    def learn(self, leaders: Mapping[Partition, tuple[int, int]]) -> list[Partition]:
        """Take in the epochs of positions behind a gap; return which are to be read once more.

        A leader whose log ends there or later has all that is before it; and that is what was read
        if the last record is of this leader, or the gap was read since this one was seen. A gap may
        have been fetched long before it is received, when another led: so it is read once more.
        One that led before the last record was written says nothing.
        """
        doubtful = []
        for name, ledger in self._ledgers.items():
            if not ledger.gap or name not in leaders:
                continue
            end, epoch = leaders[name]
            if epoch < (ledger.leader_epoch or 0):
                continue
            if epoch not in {ledger.leader_epoch, ledger.reread_under}:
                ledger.reread_under = epoch
                doubtful.append(name)
            elif end >= ledger.position:
                ledger.leader_epoch, ledger.gap = epoch, 0
        return doubtful

    def to_commit(self) -> dict[Partition, int]:
        """Return the offsets that may be committed and are not."""
        return {
            name: offset
            for name, ledger in self._ledgers.items()
            if (offset := ledger.committable()) != ledger.committed
        }

    def to_take(self) -> dict[Partition, int]:
        """Return those of them that the broker is not known to refuse."""
        return self._together.without_refused(self.to_commit())

    def to_prove(self) -> dict[Partition, int]:
        """Return what may be committed, and one offset more to commit again.

        The broker can refuse one partition for ever, and take another. What is repeated is not what
        was committed, for that can be more than is known: a commit whose answer was lost is not to
        be taken back.
        """
        offsets, ledgers = self.to_commit(), self._ledgers
        unmoved = [name for name in ledgers if name not in offsets]
        if unmoved and self._refused.issuperset(unmoved):
            self._refused.clear()
        for name in unmoved:
            if name not in self._refused:
                offsets[name] = ledgers[name].committable()
                break
        return offsets

    def has_unsettled(self) -> bool:
        """Whether anything waits for a request or a dead letter, be it a batch without ids left."""
        return any(not ledger.is_settled() for ledger in self._ledgers.values())

    def select(
        self, offsets: Mapping[Partition, int], now: float
    ) -> tuple[dict[Partition, Offsets], bool]:
        """Return what of ``offsets`` to commit now, and whether that is all there is to commit."""
        if not offsets:
            return {}, True
        selected = self._together.select(offsets, now)
        to_send = self.some_of(selected)
        return to_send, len(to_send) == len(selected) and not self._together.has_more

    def some_of(self, offsets: dict[Partition, int]) -> dict[Partition, Offsets]:
        """Return as much as one commit may carry, with what goes with it; the rest is next."""
        some: dict[Partition, Offsets] = {}
        room = MAX_COMMIT_BYTES
        for name, offset in offsets.items():
            ledger = self._ledgers[name]
            some[name] = Offsets(offset, ledger.metadata, ledger.leader_epoch)
            room -= 100 + len(ledger.topic) + len(ledger.metadata)
            if room <= 0:
                break
        return some

    def as_of_now(self, offsets: Iterable[Partition]) -> Sent:
        """Return the ledgers of what is sent now."""
        ledgers = self._ledgers
        return {name: (ledgers[name], ledgers[name].turns_back) for name in offsets}

    def answered(self, answer: CommitAnswer, sent: Sent, now: float) -> bool:
        """Take over what the broker took; return whether the rest is to be sent at once."""
        self._refused |= sent.keys()
        self._refused -= answer.committed.keys()
        for name, offset in answer.committed.items():
            ledger, turns_back = sent.get(name, (None, 0))
            if ledger is None or ledger.turns_back != turns_back:
                continue  # what was committed of the log as it was says nothing of this one
            if ledger.committed is None or ledger.committed < offset:
                ledger.committed = offset
        self._together.took(answer.committed)
        if answer.too_long:
            self._do_without_metadata(
                [sent[name][0] for name in answer.too_long if name in sent], now
            )
            return True
        if answer.is_refusal:
            self._together.refused(sent, self._ledgers, now)
        return answer.is_refusal and self._together.has_more

    def _do_without_metadata(self, ledgers: Iterable[Ledger], now: float) -> None:
        """Commit without what the broker finds too long, and say what that costs."""
        for ledger in ledgers:
            ledger.metadata = ""
        if not self._is_too_long_said:
            self._is_too_long_said = True
            self._say(now, "commit_failed", "metadata", _TOO_LONG, level="warning")
