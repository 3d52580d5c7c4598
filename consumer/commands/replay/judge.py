"""The judge: what is to become of each dead letter, as the loop takes it in.

In the order of reading, as what is left must be known before a commit could pass it (`account`).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from consumer.commands.replay.account import Account
from consumer.commands.replay.books import Books, Pending
from consumer.commands.replay.choice import Orders
from consumer.commands.replay.dead_letters import (
    Labels,
    changes_in,
    labels_in,
    refused_at,
)
from consumer.commands.replay.verdict import Outcome, Verdict
from consumer.core.events import Event, Malformed
from consumer.core.mapping.beside import Record
from consumer.core.mapping.reading import Changes, Ignored, Reading, SureReader
from consumer.engine.ports import Partition

if TYPE_CHECKING:
    from consumer.core.message import Message

_NOTHING = Ignored("it is not delivered")
_MOVES = "; where it was is too far between others to be noted: it moves to the end of the topic"
_FULL = "too many are unsettled before it: for the next run"


class Judge:
    """Implements `core.mapping.reading.Reader`: what it says of a record is to be delivered of it.

    The loop asks once of each that it takes in. ``tell`` hears, once, of each that is not
    delivered. ``takes_settled``: what was settled before this run is judged, too.
    """

    def __init__(
        self,
        orders: Orders,
        reader: SureReader,
        books: Books,
        tell: Callable[[Verdict], None],
        *,
        takes_settled: bool = False,
    ) -> None:
        self.chosen = 0
        self._orders = orders
        self._reader = reader
        self._books = books
        self._tell = tell
        self._takes_settled = takes_settled
        self._is_full = False

    @property
    def read_value(self) -> Callable[[bytes, Record], Reading]:
        """Return what judges a dead letter that has a value."""
        return self.read

    def read(self, value: bytes | None, record: Record) -> Reading:
        """Return what is to be delivered of a dead letter."""
        message = cast("Message", record)  # the loop has nothing less
        name, offset = (message.topic(), message.partition()), message.offset()
        self._books.compare(name, offset, message.leader_epoch())
        account, labels = self._books.accounts[name], labels_in(record, value)
        is_nobodys = value is None and not labels.has_any
        if is_nobodys or self._was_settled(account, name, offset):
            account.take()
            return _NOTHING
        reading = self._reader.read(value, record)
        changes = changes_in(reading)
        if not self._orders.selection.takes(labels, changes, refused_at(message, labels)):
            account.leave(offset)
            return _NOTHING
        return self._judged(name, offset, Pending(labels, changes), reading)

    def _judged(self, name: Partition, offset: int, chosen: Pending, reading: Reading) -> Reading:
        account, labels = self._books.accounts[name], chosen.labels
        outcome, why = self._outcome(labels, reading)
        if outcome is Outcome.LEFT and self._must_move(account, offset):
            chosen.moves, why = True, why + _MOVES
            reading = Malformed(why)
        place = f"{name[0]}:{name[1]}:{offset}"
        self._tell_once(name, offset, Verdict(place, labels, chosen.changes, outcome, why))
        if outcome is Outcome.LEFT and not chosen.moves:
            account.leave(offset)
            return _NOTHING
        account.take()
        if outcome is not Outcome.DELIVERED and not chosen.moves:
            return _NOTHING
        self._books.expect(name, offset, chosen)
        return reading

    def _was_settled(self, account: Account, name: Partition, offset: int) -> bool:
        """Whether it was settled and is not to be taken all the same."""
        is_taken = self._takes_settled and offset >= self._books.come.get(name, 0)
        return account.was_settled(offset) and not is_taken

    def _must_move(self, account: Account, offset: int) -> bool:
        """Whether one that is left would keep others from being noted: but it could be noted."""
        if self._is_full or account.was_settled(offset):
            return False
        return account.is_noted(offset) and not account.has_room(offset)

    def _tell_once(self, name: Partition, offset: int, verdict: Verdict) -> None:
        """Count and tell of one that was chosen, unless its partition was here before."""
        if offset >= self._books.told.get(name, 0):
            self._books.told[name] = offset + 1
            self.chosen += 1
            if verdict.outcome is not Outcome.DELIVERED:
                self._tell(verdict)

    def _outcome(self, labels: Labels, reading: Reading) -> tuple[Outcome, str]:
        """Return what is to become of one that was chosen, and why not, if it isn't delivered."""
        if self._orders.skip:
            return Outcome.SKIPPED, ""
        if labels.is_truncated:
            return Outcome.WITHOUT_VALUE, "it was too big for this topic; its source still has it"
        if isinstance(reading, Ignored):
            return Outcome.IGNORED, reading.detail
        if why := _why_nothing(reading):
            return Outcome.LEFT, f"nothing of it can be sent: {why}"
        if labels.replays >= self._orders.max_replays:
            return Outcome.LEFT, (
                f"it was replayed and refused {labels.replays} times"
                f" (--max-replays {self._orders.max_replays})"
            )
        self._is_full = self._is_full or self._books.is_full
        return (Outcome.LEFT, _FULL) if self._is_full else (Outcome.DELIVERED, "")


def _why_nothing(reading: Reading) -> str:
    """Return why nothing can be sent of what was read; empty: something can."""
    match reading:
        case Malformed(detail):
            return detail
        case Changes(changes, malformed):
            details = [] if malformed is None else [malformed.detail]
            for change in changes:
                if isinstance(change, Event) or change.event is not None:
                    return ""
                details.append(change.detail)
            return "; ".join(dict.fromkeys(details)) or "no change in it"
        case _:
            return ""
