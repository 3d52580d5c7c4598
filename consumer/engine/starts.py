"""The starts: ledgers of partitions that begin, positions of those that go on, and what is missed.

Whatever isn't read, or is read again, is told with topic, partition and range; of a topic that was
made anew nobody knows what the old one had. That a partition has no committed offset is news, too:
its group may be new, but the broker also forgets the offsets of a group that was away for long, and
nobody can tell one from the other.
"""

from dataclasses import dataclass, field

from consumer.core.ledger import Ledger
from consumer.core.pipeline import Pipeline
from consumer.core.positions import (
    Going,
    Gone,
    Log,
    Loss,
    Position,
    Start,
    census_of,
    goes_on,
    metadata_text,
    start_of,
    topic_id_of,
)
from consumer.engine.ports import FirstStart, Found, GiveUp, Say

SHOWN_PARTITIONS = 20
_NO_CENSUS = FirstStart(group_has_commits=False, census={}, counts={})
_EXPIRED = "it, or the group, is new, or the broker forgot them (offsets.retention.minutes)"


@dataclass(slots=True, eq=False)
class Starts:
    """Owned by the loop."""

    _pipeline: Pipeline
    _say: Say
    _reset: str
    _uncommitted: dict[tuple[str, bool], list[str]] = field(default_factory=dict)
    _first_ids: dict[str, str] = field(default_factory=dict)  # of the topics, as they were begun

    def begin(self, found: Found, now: float) -> Going:
        """Begin a fresh ledger; return where. Raises GiveUp if that is what the operator wants."""
        (topic, partition), committed, log = found.partition, found.committed, found.log
        if committed.offset is None:
            first_start = found.first_start or _NO_CENSUS
            going = self._first(found, first_start)
            census = first_start.census or first_start.counts
        else:
            of = topic_id_of(committed.metadata)
            position = Position(committed.offset, committed.leader_epoch, of)
            going = goes_on(position, log)
            census = census_of([committed.metadata])
            self._tell_loss(topic, partition, committed.offset, going, now)
        is_of_another = going.loss in {Loss.CUT_OFF, Loss.MADE_ANEW}  # whatever its offset is
        self._pipeline.assign(
            topic,
            partition,
            going.offset,
            None if is_of_another else committed.offset,
            metadata_text(topic, log.topic_id, census),
            leader_epoch=log.epoch_at(going),
            topic_id=log.topic_id,
        )
        if log.topic_id:
            self._first_ids.setdefault(topic, log.topic_id)
        return going

    def go_on(self, ledger: Ledger, log: Log, gone: Gone | None, now: float) -> Going:
        """Move a ledger to where reading goes on; return that. Raises GiveUp as `begin`."""
        position = Position(ledger.position, ledger.leader_epoch, ledger.topic_id)
        going = goes_on(position, log, gone)
        self._tell_loss(ledger.topic, ledger.partition, ledger.position, going, now)
        if going.loss is Loss.DELETED:
            ledger.position = going.offset
        elif going.loss is not None:
            ledger.go_back(going.offset)
            ledger.leader_epoch = log.epoch_at(going)
            self.identify(ledger, log.topic_id)
        return going

    def identify(self, ledger: Ledger, topic_id: str) -> None:
        """Take in which topic a ledger is of."""
        ledger.topic_id = topic_id
        ledger.metadata = metadata_text(ledger.topic, topic_id, census_of([ledger.metadata]))

    def tell(self, now: float) -> None:
        """Say which partitions had no committed offset, in one line for a topic.

        All of those that are skipped, for nothing else has the ranges.
        """
        for (topic, is_skipped), ranges in self._uncommitted.items():
            shown = ranges if is_skipped else ranges[:SHOWN_PARTITIONS]
            more = f" and {len(ranges) - len(shown)} more" * (len(ranges) > len(shown))
            then = "are skipped" if is_skipped else "are read from the beginning"
            self._say(
                now,
                "not_committed",
                ranges[0],  # what begins later is no repetition
                f"no committed offsets in this group: {_EXPIRED}. With KAFKA_AUTO_OFFSET_RESET"
                f"={self._reset} these {then}: {', '.join(shown)}{more}",
                level="warning" if is_skipped else "info",
                topic=topic,
            )
        self._uncommitted.clear()

    def _first(self, found: Found, first_start: FirstStart) -> Going:
        """Return the first position of a partition without a committed offset."""
        (topic, partition), log = found.partition, found.log
        start = start_of(
            topic,
            partition,
            self._reset,
            group_has_commits=first_start.group_has_commits,
            census=first_start.census,
        )
        if start is Start.GIVE_UP:
            raise GiveUp(
                f"{topic}:{partition} has no committed offset in this group ({_EXPIRED})"
                " and KAFKA_AUTO_OFFSET_RESET is error"
            )
        # Of a topic made anew the broker forgot the commits; all it has came after that start.
        first_id = self._first_ids.get(topic)
        is_anew = first_id is not None and log.topic_id not in {"", first_id}
        is_skipped = start is Start.END and not is_anew
        if log.end > log.first:
            ranges = self._uncommitted.setdefault((topic, is_skipped), [])
            ranges.append(f"{topic}:{partition}, {log.first} to {log.end - 1}")
            if is_skipped:
                self._pipeline.tally.add("starts_at_end_total", topic)
            if is_skipped or is_anew:
                self._pipeline.tally.add("offset_resets_total", topic)
        return Going(log.end, log.leader_epoch) if is_skipped else Going(log.first)

    def _tell_loss(
        self, topic: str, partition: int, position: int, going: Going, now: float
    ) -> None:
        """Count and log that a position is gone. Raises GiveUp as `begin`."""
        if going.loss is None:
            return
        self._pipeline.tally.add("offset_resets_total", topic)
        at, ends = going.offset, self._reset == "error"
        missed, what = {
            Loss.DELETED: (f"{position} to {at - 1}", "offsets missed"),
            Loss.CUT_OFF: (f"{at} to {position - 1}", "what was read there is no longer in it"),
            Loss.MADE_ANEW: ("unknown", "offsets missed of the old one"),
        }[going.loss]
        then = "this ends the daemon" if ends else f"reading goes on at {at}"
        self._say(
            now,
            "offsets_gone",
            f"{topic}:{partition}:{position}",
            f"the broker has offset {topic}:{partition}:{position} no more: {going.loss};"
            f" {what}: {missed}; {then}",
            level="error",
            topic=topic,
            partition=partition,
            position=position,
            beginning=at,
            missed=missed,
            reason=going.loss.name.lower(),
        )
        if ends:
            raise GiveUp(
                f"offset {position} of {topic}:{partition} is gone ({going.loss})"
                " and KAFKA_AUTO_OFFSET_RESET is error"
            )
