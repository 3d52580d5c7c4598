"""The books of a replay: an account for each partition, and what of it is on its way.

Everything by the offset of the dead letter that was read, for what is refused names no more of it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from consumer.commands.replay.account import Account
from consumer.commands.replay.dead_letters import Change, Labels
from consumer.commands.replay.marks import MAX_NOTED, Mark, mark_of, metadata_with
from consumer.core.positions import Going, Loss
from consumer.engine.ports import Committed, Offsets, Partition

MAX_PENDING = 100_000
"""Dead letters between the commit and what is read; each takes about 600 bytes."""

_NOTED_IN_ALL = 15_000  # ranges: a commit of all partitions is a batch of at most a megabyte


@dataclass(slots=True, eq=False)
class Pending:
    """A dead letter that the loop has. ``moves``: it goes to the end of the topic as it is.

    ``is_unreadable``: a part of it still can't be read.
    """

    labels: Labels
    changes: tuple[Change, ...]
    moves: bool = False
    refused_ids: int = 0
    is_unreadable: bool = False


@dataclass(slots=True, eq=False)
class Books:
    """Owned by the thread of the loop. ``found`` has what the lookup's thread saw committed.

    ``starts``: where partitions are read from first, if that isn't where they were committed;
    ``come``: up to where everything was settled or left by this process, ``told``: and told.
    """

    limit: int = MAX_NOTED
    max_pending: int = MAX_PENDING
    starts: Mapping[Partition, int] = field(default_factory=dict)
    come: dict[Partition, int] = field(default_factory=dict)
    told: dict[Partition, int] = field(default_factory=dict)
    found: dict[Partition, Committed] = field(default_factory=dict)
    accounts: dict[Partition, Account] = field(default_factory=dict)
    pending: dict[Partition, dict[int, Pending]] = field(default_factory=dict)
    scattered: set[Partition] = field(default_factory=set)
    """Those of which not all that is settled can be noted."""

    @classmethod
    def of(cls, partitions: int, starts: Mapping[Partition, int]) -> "Books":
        """Return empty books for so many partitions."""
        return cls(max(1, min(MAX_NOTED, _NOTED_IN_ALL // max(1, partitions))), starts=starts)

    @property
    def is_full(self) -> bool:
        """Whether more would take too much memory."""
        return sum(map(len, self.pending.values())) >= self.max_pending

    def begin(self, name: Partition, going: Going) -> None:
        """Open an account where a partition begins, or take in that its log is another one."""
        if name not in self.accounts:
            found = self.found.get(name)
            mark = (mark_of(found) if found is not None else None) or Mark(going.offset)
            self.accounts[name] = Account(mark, self.limit)
            self.pending[name] = {}
        if going.loss in {Loss.CUT_OFF, Loss.MADE_ANEW}:
            self._cut(name, going.offset)

    def compare(self, name: Partition, offset: int, leader_epoch: int | None) -> None:
        """Take in of which epoch a record is: its log may be another than what is noted is of."""
        if self.accounts[name].mark.is_older_than(offset, leader_epoch):
            self._cut(name, offset)

    def _cut(self, name: Partition, offset: int) -> None:
        """Forget what was known from here on: the log is another there."""
        self.accounts[name].cut(offset)
        for known in (self.come, self.told):
            if name in known:
                known[name] = min(known[name], offset)
        pending = self.pending[name]
        self.pending[name] = {at: each for at, each in pending.items() if at < offset}

    def start_of(self, name: Partition, committed: int | None) -> int | None:
        """Return where a partition is read from that the group committed up to there.

        One that was read from elsewhere, and comes back, goes on where it was; yet not behind the
        first open one, for whatever is left must be seen.
        """
        if name not in self.starts:
            return committed
        start = self.come.get(name, self.starts[name])
        return start if committed is None else min(start, committed)

    def close(self, names: Iterable[Partition]) -> None:
        """Forget partitions that are somebody else's now."""
        for name in names:
            self.accounts.pop(name, None)
            self.pending.pop(name, None)

    def expect(self, name: Partition, offset: int, pending: Pending) -> None:
        """Take note of a dead letter that the loop is given."""
        self.pending[name][offset] = pending

    def settled(
        self, committed: Mapping[Partition, int]
    ) -> Iterator[tuple[Partition, int, Pending]]:
        """Yield, and forget, what is in front of the loop's commits that were answered."""
        for name, end in committed.items():
            self.come[name] = max(self.come.get(name, 0), end)
            pending = self.pending.get(name, {})
            while pending and (offset := next(iter(pending))) < end:
                yield name, offset, pending.pop(offset)

    def marked(self, offsets: Mapping[Partition, Offsets]) -> dict[Partition, Offsets]:
        """Return what to commit where the loop would commit ``offsets``.

        Raises KeyError where there is no account: nobody knows what is open there.
        """
        return {name: self._marked(name, each) for name, each in offsets.items()}

    def _marked(self, name: Partition, asked: Offsets) -> Offsets:
        account = self.accounts[name]
        if account.is_scattered:
            self.scattered.add(name)
        mark = account.marked(asked.offset)
        metadata = metadata_with(asked.metadata, mark) if account.limit else asked.metadata
        return Offsets(mark.offset, metadata, account.epoch_at(asked))

    def do_without_notes(self, names: Iterable[Partition]) -> frozenset[Partition]:
        """Note nothing of partitions whose metadata the broker finds too long.

        Return those of which something was noted until now: the rest of it may not be too long.
        """
        noted = frozenset(n for n in names if n in self.accounts and self.accounts[n].limit)
        for name in noted:
            self.accounts[name].note_nothing()
        return noted
