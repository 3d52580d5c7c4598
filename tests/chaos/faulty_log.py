"""A topic whose log loses records, gets damaged, waits for transactions or is made anew.

It is read by the same group as the rest, and written only here, so what the log must have is known.
Each fault has records of its own, and new ones come behind it.
"""

import itertools
import time
from typing import TYPE_CHECKING, Self

from tests.chaos.fates import LOG_SEGMENT, Fates
from tests.support.cluster import Record
from tests.support.scenario import CommitWatch, Scenario, event
from tests.support.transactions import open_transaction
from tests.support.waiting import eventually

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from confluent_kafka import Producer

    from tests.chaos.ledger import Application
    from tests.chaos.plan import Setup, Step
    from tests.support.flipping import Member

RESTARTS = {"cut off", "damaged"}
"""What can be done to a log only while the broker is down."""

_PARTITIONS = 3
_MANY = 40
_PATIENCE_SECONDS = 180
_END_SECONDS = 60
_LOOK_PAUSE_SECONDS = 0.2


class FaultyLog:
    """Owned by one thread, but for what it says at the end. ``say`` takes what happens."""

    def __init__(
        self,
        scenario: Scenario,
        setup: "Setup",
        applied: "Mapping[Member, Sequence[Application]]",
        say: "Callable[[str], None]",
    ) -> None:
        self.topic = f"log-{scenario.group}"
        self._broker = scenario.broker
        self._scenario = Scenario(
            scenario.broker, scenario.api, self.topic, scenario.group, scenario.protocol
        )
        self._watch = CommitWatch(self._scenario, _LOOK_PAUSE_SECONDS)
        self._fates = Fates()
        self._applied = applied
        self._say = say
        self._draw = setup.draw("records of the log")
        self._numbers = itertools.count()

    @property
    def written(self) -> int:
        """How many records there were, also in transactions that were aborted."""
        return len(self._fates.written)

    def __enter__(self) -> Self:
        self._broker.create_topic(self.topic, _PARTITIONS)
        self._watch.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.__exit__()

    def strike(self, step: "Step", broker_is_there: "threading.Lock") -> None:
        """Let it happen; new records are behind it when this returns."""
        partition = int(step.size * _PARTITIONS)
        match step.kind:
            case "cut off":
                with broker_is_there:
                    self._cut_off(partition, step.seconds)
            case "damaged":
                with broker_is_there:
                    self._damage(partition, step.seconds)
            case "aborted" | "committed":
                is_committed = step.kind == "committed"
                self._keep_open(partition, step.seconds, broker_is_there, is_committed=is_committed)
            case "made anew":
                self._await_delivered()  # else what was lost before would never be missed
                with broker_is_there:
                    self._make_anew(step.seconds)
            case "retention":
                self._await_delivered()
                with broker_is_there:
                    self._retain(partition, step.seconds)
            case _:
                raise AssertionError(step)

    def problems(self) -> list[str]:
        """Return what is wrong at the end, when all is delivered and committed."""
        self._watch.stop()
        unexplained = self._fates.unexplained(self._watch.went_back)
        return [*self._fates.problems(self._applied), *unexplained]

    # -- faults -----------------------------------------------------------------------------------

    def _cut_off(self, partition: int, seconds: float) -> None:
        """Lose the last records, some of them delivered, and let others take their offsets."""
        self._write(partition, self._some())
        end = self._end(partition)
        self._fates.lose(self._write(partition, self._some()))
        time.sleep(seconds)
        self._fates.go_back(time.time(), {partition: end})
        self._broker.truncate(self.topic, {partition: end})
        self._write(partition, self._some())
        self._say(f"log: {partition} was cut off at {end}")

    def _damage(self, partition: int, seconds: float) -> None:
        """Let reading come to a damaged batch, and mend it.

        Nobody has read it before, for a transaction was open. All the while the broker must not be
        killed: it would look at what is on its disk, and cut it off.
        """
        transaction, inside = self._open_transaction(partition)
        self._fates.abort(inside)
        damaged_at = self._end(partition)
        unread = [*self._write(partition, self._some()), *self._write(partition, self._some())]
        self._broker.damage(self.topic, partition, damaged_at)
        transaction.abort_transaction(_END_SECONDS)
        time.sleep(seconds)
        self._fates.held_until(time.time(), unread)
        self._broker.damage(self.topic, partition, damaged_at)  # the same bit, as it was
        self._say(f"log: {partition} was damaged at {damaged_at}, and mended")

    def _keep_open(
        self,
        partition: int,
        seconds: float,
        broker_is_there: "threading.Lock",
        *,
        is_committed: bool,
    ) -> None:
        """Let a transaction be open while other things happen, also to the broker."""
        with broker_is_there:
            transaction, inside = self._open_transaction(partition)
            behind = self._write(partition, self._some())
        time.sleep(seconds)
        with broker_is_there:
            self._fates.held_until(time.time(), [*inside, *behind])
            if is_committed:
                self._fates.write(inside)
                transaction.commit_transaction(_END_SECONDS)
            else:
                self._fates.abort(inside)
                transaction.abort_transaction(_END_SECONDS)

    def _make_anew(self, seconds: float) -> None:
        """Delete the topic, some of it unread, and make it again, shorter or longer."""
        for partition in range(_PARTITIONS):
            self._fates.lose(self._write(partition, self._some()))
        time.sleep(seconds)
        ends = self._broker.end_offsets(self.topic)
        self._fates.go_back(time.time(), dict.fromkeys(ends, 0))
        self._broker.delete_topic(self.topic)
        self._broker.create_topic(self.topic, _PARTITIONS)
        for partition, end in ends.items():
            self._write(partition, self._draw.choice((0, end)) + self._some())
        self._say(f"log: made anew; it ended at {ends}")

    def _retain(self, partition: int, seconds: float) -> None:
        """Delete what is there, some of it unread."""
        self._fates.lose(self._write(partition, self._some()))
        end = self._end(partition)
        time.sleep(seconds)
        self._broker.delete_records(self.topic, {partition: end})
        self._write(partition, self._some())
        self._say(f"log: {partition} begins at {end}")

    # -- records ----------------------------------------------------------------------------------

    def _some(self) -> int:
        return self._draw.randint(1, _MANY)

    def _names(self, count: int) -> list[str]:
        """Return new ids, of which none becomes another one by a flipped bit at its end."""
        return [f"log-{next(self._numbers)}-x" for _ in range(count)]

    def _records(self, partition: int, names: list[str]) -> list[Record]:
        return [
            Record(name, event(LOG_SEGMENT, "add", name), partition=partition) for name in names
        ]

    def _write(self, partition: int, count: int) -> list[str]:
        """Write so many new records, as batches of their own; return their ids."""
        names = self._names(count)
        self._fates.write(names)
        self._scenario.produce(self._records(partition, names))
        return names

    def _open_transaction(self, partition: int) -> "tuple[Producer, list[str]]":
        """Write new records in a transaction; return what can end it, and their ids."""
        names = self._names(self._some())
        records = self._records(partition, names)
        return open_transaction(self._broker.bootstrap, self.topic, records), names

    def _end(self, partition: int) -> int:
        return self._broker.end_offsets(self.topic)[partition]

    def _await_delivered(self) -> None:
        eventually(
            lambda: self._fates.missing(self._applied),
            _PATIENCE_SECONDS,
            "the delivery of what the faulty log has",
            until=lambda missing: not missing,
        )
