"""The partitions assigned now: where they start, which are paused, what they wait for.

A partition begins with a fresh ledger at its committed offset; one without gets its first
position from `positions`. While the broker doesn't say - asking for committed offsets in a
rebalance can time out, and that is not "none committed" - it stays asked for, once a second. A
partition whose position the broker has no more goes on at the first record there is, in the same
ledger.

Pausing never stops polling. It throws away what the client has fetched ahead, to be fetched once
more, so what lasts for a moment is no reason for it. Every new partition is paused or resumed
explicitly, by the present state: librdkafka keeps a pause across a revoke.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from consumer.core.ledger import Ledger
from consumer.core.pipeline import Pipeline
from consumer.core.positions import Start, census_of, census_text, start_of
from consumer.engine.discovery import COUNTS_SECONDS
from consumer.engine.ports import GiveUp, MemberPort, Partition, Say

RESUME_BELOW = 0.8
PAUSE_AFTER_SECONDS = 0.5  # a rebalance waits behind what was fetched ahead for so long, too
RETRY_SECONDS = 1.0
WATERMARKS_SECONDS = 2.0  # of one leader that does not answer, in one turn of the loop


@dataclass(slots=True, eq=False)
class Assignment:
    """Owned by the loop. ``paused``: it is the buffer's limit that slows reading down.

    ``pausing``: nothing can be taken in now, for whatever reason. ``fetching``: the client goes on
    fetching all the same, for that has not lasted.
    """

    _pipeline: Pipeline
    _member: MemberPort
    _say: Say
    _reset: str
    paused: bool = False
    pausing: bool = False
    fetching: bool = True
    _starting: dict[Partition, None] = field(default_factory=dict)
    _gone: dict[Partition, None] = field(default_factory=dict)
    _is_paused: set[Partition] = field(default_factory=set)
    _retry_at: float = -math.inf
    _pausing_since: float = math.inf

    def is_paused(self, ledger: Ledger) -> bool:
        """Whether this partition is kept from being read as fast as it could be."""
        return self.paused or (ledger.topic, ledger.partition) in self._is_paused

    @property
    def waiting(self) -> str:
        """Return what partitions wait for; empty: nothing."""
        if self._starting:
            return f"{len(self._starting)} partitions wait for their committed offset"
        if self._gone:
            return f"{len(self._gone)} partitions wait for their first offset"
        return ""

    def begin(self, partitions: Sequence[Partition], now: float) -> None:
        """Take over partitions in the group's callback.

        Something must be taken over even if nothing is known yet: else the library would begin to
        read on its own.
        """
        self._starting.update(dict.fromkeys(partitions))
        self._start(now, in_callback=True)

    def retry(self, now: float) -> None:
        """Begin those that could not begin yet."""
        if now < self._retry_at:
            return
        if self._starting:
            self._start(now)
        if self._gone:
            self._go_on(now)

    def lose_position(self, name: Partition, now: float) -> None:
        """Take in that the broker has a partition's position no more.

        Raises GiveUp if that is what the operator wants.
        """
        topic, partition = name
        ledger = self._pipeline.ledgers.get(name)
        if ledger is None:
            return
        self._pipeline.tally.add("offset_resets_total", topic)
        if self._reset == "error":
            marks = self._member.watermarks(name, WATERMARKS_SECONDS)
            self._say_gone(ledger, None if marks is None else marks[0], now)
            raise GiveUp(
                f"offset {ledger.position} of {topic}:{partition} is gone"
                " and KAFKA_AUTO_OFFSET_RESET is error"
            )
        self._member.stop([name])
        self._gone[name] = None
        self._go_on(now)

    def take_away(self, partitions: Sequence[Partition]) -> list[Ledger]:
        """Forget what was not begun yet; return the ledgers of what was."""
        for name in partitions:
            self._starting.pop(name, None)
            self._gone.pop(name, None)
        ledgers = self._pipeline.ledgers
        return [ledgers[name] for name in partitions if name in ledgers]

    def let_go(self, partitions: Sequence[Partition]) -> None:
        """Stop reading."""
        self._is_paused -= set(partitions)
        self._member.stop(partitions)

    def forget_starting(self) -> None:
        """Begin nothing any more: the daemon stops."""
        self._starting.clear()
        self._gone.clear()

    def pause_or_resume(self, now: float, *, has_backlog: bool, is_full: bool) -> None:
        """Stop fetching while the buffer is full, or dead letters can't be put away.

        ``has_backlog``: something was consumed that could not be received, ``is_full``: because of
        the buffer's limit. What settled since does not count: fetching goes on when all is in.
        """
        pipeline = self._pipeline
        limit, held = pipeline.rules.buffer_max_ids, pipeline.held_ids
        is_full = is_full or held >= limit
        slows = is_full or (self.paused and held > RESUME_BELOW * limit)
        self.pausing = has_backlog or pipeline.is_backed_up() or is_full
        if not self.fetching:  # once it has lasted, it is worth to wait for more room
            self.pausing = self.pausing or slows
        self._pausing_since = min(self._pausing_since, now) if self.pausing else math.inf
        self.fetching = now - self._pausing_since < PAUSE_AFTER_SECONDS
        if slows != self.paused:
            self.paused = slows
            event = "paused" if slows else "resumed"
            text = "the buffer is full" if slows else "the buffer has room again"
            self._say(now, event, "", text, level="info", held_ids=held)
        reading = pipeline.ledgers.keys() - self._gone.keys()
        wanted = set() if self.fetching else set(reading)
        if to_pause := wanted - self._is_paused:
            self._member.pause(to_pause)
        if to_resume := (self._is_paused - wanted) & reading:
            self._member.resume(to_resume)
        self._is_paused = wanted

    def _start(self, now: float, *, in_callback: bool = False) -> None:
        """Begin the partitions whose start the broker tells."""
        self._retry_at = now + RETRY_SECONDS
        positions: dict[Partition, int] = {}
        member = self._member
        answers = member.committed(self._starting, 2.0) if self._starting else {}
        fresh = [name for name, each in answers.items() if each.offset is None]
        if in_callback and fresh and self._reset == "latest":
            fresh = []  # takes `partition_counts`, which are not to be asked for in a callback
            self._retry_at = now
        starts = self._first_positions(fresh) if fresh else {}
        for name, answer in answers.items():
            if answer.offset is not None:
                position, metadata = answer.offset, answer.metadata
            elif name in starts:
                position, metadata = starts[name]
            else:
                continue
            self._pipeline.assign(*name, position, answer.offset, metadata)
            positions[name] = position
            del self._starting[name]
        if positions or in_callback:
            self._read_from(positions)

    def _read_from(self, positions: dict[Partition, int]) -> None:
        """Begin reading, in the state that everything else is in."""
        self._member.start(positions, paused=not self.fetching)
        if not self.fetching:
            self._is_paused |= positions.keys()

    def _first_positions(self, fresh: Sequence[Partition]) -> dict[Partition, tuple[int, str]]:
        """Return position and metadata for partitions that have no committed offset."""
        member = self._member
        census: dict[str, int] = {}
        counts: dict[str, int] = {}
        group_has_commits = False
        if self._reset == "latest":
            known = member.partition_counts(COUNTS_SECONDS)
            if known is None:
                return {}
            everywhere = [(t, p) for t in known for p in range(known[t]) if not t.startswith("__")]
            answers = member.committed(everywhere, 5.0)
            if len(answers) < len(everywhere):
                return {}
            given = [each for each in answers.values() if each.offset is not None]
            group_has_commits = bool(given)
            census = census_of(each.metadata for each in given)
            topics = {topic for topic, _ in (*fresh, *self._pipeline.ledgers)}
            counts = census or {topic: known.get(topic, 0) for topic in topics}
        found: dict[Partition, tuple[int, str]] = {}
        for name in fresh:
            start = start_of(*name, self._reset, group_has_commits=group_has_commits, census=census)
            if start is Start.GIVE_UP:
                raise GiveUp(
                    f"{name[0]}:{name[1]} has no committed offset in this group"
                    " and KAFKA_AUTO_OFFSET_RESET is error"
                )
            marks = member.watermarks(name, WATERMARKS_SECONDS)
            if marks is None:  # its leader may be down: others first the next time, none now
                self._starting[name] = self._starting.pop(name)
                break
            position = marks[0] if start is Start.BEGINNING else marks[1]
            found[name] = (position, census_text(name[0], counts) if counts else "")
        return found

    def _go_on(self, now: float) -> None:
        """Begin partitions whose position is gone again, once the broker says what it has."""
        self._retry_at = now + RETRY_SECONDS
        for name in list(self._gone):
            marks = self._member.watermarks(name, WATERMARKS_SECONDS)
            if marks is None:
                self._gone[name] = self._gone.pop(name)
                break
            del self._gone[name]
            ledger, beginning = self._pipeline.ledgers[name], marks[0]
            self._say_gone(ledger, beginning, now)
            if beginning >= ledger.position:
                ledger.position = beginning
            else:
                ledger.restart(beginning)
            self._read_from({name: beginning})

    def _say_gone(self, ledger: Ledger, beginning: int | None, now: float) -> None:
        """Log what was missed; ``beginning`` is the first offset there is, None: not known."""
        is_behind = beginning is not None and beginning >= ledger.position
        missed = f"{ledger.position} to {beginning - 1}" if beginning and is_behind else "unknown"
        then = f"reading goes on at {beginning}, the first it has"
        self._say(
            now,
            "offsets_gone",
            f"{ledger.topic}:{ledger.partition}",
            f"the broker has offset {ledger.source(ledger.position)} no more; offsets missed:"
            f" {missed}; {'this ends the daemon' if self._reset == 'error' else then}",
            level="error",
            topic=ledger.topic,
            partition=ledger.partition,
            position=ledger.position,
            beginning=beginning,
            missed=missed,
        )
