"""The loop: one thread that owns the consumer, the pipeline and every decision.

A turn: consume (rebalance callbacks fire here) -> receive -> settle what came back -> dispatch what
is due -> dead letters -> commit -> pause or resume -> look around -> publish.

It does no I/O of its own: it talks to `ports`, reads the clock once per step and blocks only inside
a port, so the same code runs in a simulation. When there is nothing to do it blocks where other
threads can run; a loop that polled with timeout 0 starved the carriers of the interpreter and was
five times slower.

Rebalances (callbacks of `member.Member`): *assigned* begins fresh ledgers; *revoked* drains,
commits, releases and forgets, and other partitions are not disturbed; *lost* releases and forgets
without a commit. A stop is the same as revoking everything. The parts: `assignment`, `commits` with
the lease, `mailbox` for dead letters, `outlook` for what stands in the way.
"""

import math
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaException

from consumer.core.intake import Message
from consumer.core.ledger import Ledger
from consumer.core.outcomes import Delivered, error_of, outcome_of, status_label
from consumer.core.pipeline import Pipeline
from consumer.core.throttle import API_HOLDS
from consumer.customerio.carriers import Result
from consumer.engine.assignment import Assignment
from consumer.engine.commits import Commits
from consumer.engine.mailbox import Mailbox
from consumer.engine.outlook import Outlook
from consumer.engine.ports import Options, Ports
from consumer.errors import GiveUp
from consumer.kafka.member import (
    CommitAnswer,
    Partition,
    Trouble,
    is_end_of_partition,
    is_offset_gone,
    trouble,
)

CHUNK_RECORDS = 2000
IDLE_WAIT_SECONDS = 0.1
BUSY_WAIT_SECONDS = 0.02
PUBLISH_SECONDS = 0.2
REJOIN_SECONDS = 1.0
"""So long after a callback of the group the client has joined again at the latest, if it has to."""
ANSWER_SECONDS = 3.0


class Loop:
    """See the module's docstring. Implements `member.Listener`."""

    def __init__(self, options: Options, pipeline: Pipeline, ports: Ports) -> None:
        self.options = options
        self.pipeline = pipeline
        self.throttle = pipeline.throttle
        self.tally = pipeline.tally
        self.ports = ports
        self.commits = Commits(options, pipeline, ports)
        self.assignment = Assignment(options, pipeline, ports)
        self.outlook = Outlook(options, pipeline, self.commits, ports)
        self.mailbox = Mailbox(pipeline, ports)
        self.stopping = False
        self.stop_requested = False
        self.released = 0
        self._moved_at = -math.inf  # the last callback of the group
        self.last_delivery_wall = 0.0
        self.last_api_error = ""
        self._drain_deadline = math.inf  # of the drain that runs, or ran when a stop was asked for
        self._stop_deadline = math.inf
        self._backlog: list[Message] = []  # consumed, and beyond the bounds
        self._is_full = False  # the buffer's limit is what keeps the backlog out
        self._next_publish = -math.inf

    # -- what the daemon calls --------------------------------------------------------------------

    def request_stop(self, deadline: float) -> None:
        """Ask for a stop; may be called from any thread, so it does next to nothing."""
        self._stop_deadline = deadline
        self.stop_requested = True

    def turn(self) -> None:
        """Turn once; see the module's docstring. Raises GiveUp if the daemon can't go on."""
        now = self.ports.clock()
        self.ports.beat(now)
        results, messages = self._wait_for_work(now)
        now = self.ports.clock()
        self._receive(messages, now)
        self._settle(results, now)
        if not self.stop_requested:  # what starts now must be over by the stop's deadline
            self._dispatch(now, math.inf)
        self.mailbox.turn(now)
        self.assignment.look_for_new(now)
        self.assignment.retry(now)
        self.commits.send(now)
        self.assignment.pause_or_resume(now, has_backlog=bool(self._backlog), is_full=self._is_full)
        self.outlook.look(now, self.assignment.waiting, self.mailbox.trouble(now))
        self._speak(now)

    def stop(self, deadline: float) -> None:
        """Drain all, commit, release what is left; the source is to be closed afterwards."""
        self.stopping = True
        self.ports.publish(self, self.ports.clock())
        self.assignment.forget_starting()
        self._backlog.clear()
        deadline = min(deadline, self._drain_deadline)
        names = list(self.pipeline.ledgers)
        self._give_up(list(self.pipeline.ledgers.values()), deadline, "shutdown")
        if self.options.returns_unnoticed and self._moved_at > -math.inf:
            self._see_rebalance_out(names, deadline)
        self.ports.publish(self, self.ports.clock())

    # -- the group's callbacks --------------------------------------------------------------------

    def assigned(self, partitions: Sequence[Partition]) -> None:
        """Begin fresh ledgers, here or as soon as the broker says where."""
        self.tally.add("rebalances_total", "assigned")
        self._moved_at = self.ports.clock()
        self.outlook.joined = True
        self._say("assigned", partitions)
        self.assignment.begin(() if self.stopping else partitions, self.ports.clock())
        self.commits.commit_soon()
        self.outlook.tell_cluster()

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """Finish what can be finished, commit, and let go."""
        self.tally.add("rebalances_total", "revoked")
        self._say("revoked", partitions)
        deadline = self.ports.clock() + self.options.drain_timeout_seconds
        deadline = min(deadline, self._drain_deadline, self._stop_deadline)
        self._part_with(partitions, lambda ledgers: self._give_up(ledgers, deadline, "revoke"))
        self._moved_at = self.ports.clock()

    def lost(self, partitions: Sequence[Partition]) -> None:
        """Drop everything at once: somebody else has these partitions."""
        self.tally.add("rebalances_total", "lost")
        self._say("lost", partitions, level="warning")
        self.commits.lease.void(self.ports.clock())
        self.outlook.joined = False
        self._part_with(partitions, self._release)
        self._moved_at = self.ports.clock()

    def commit_answered(self, answer: CommitAnswer) -> None:
        """Take over what the broker says is committed; a success proves membership."""
        self.commits.answered(answer)

    def kafka_error(self, error: Trouble) -> None:
        """Remember the client's trouble; give up if it is fatal."""
        if error.fatal:
            raise GiveUp(f"librdkafka can't go on: {error.code}: {error.detail}")
        self.outlook.hear(error)

    # -- a turn's steps ---------------------------------------------------------------------------

    def _wait_for_work(self, now: float) -> tuple[Sequence[Result], Sequence[Message]]:
        """Block where something is to be expected: at the carriers or at the consumer."""
        member, carriers = self.ports.member, self.ports.carriers
        in_flight = self.throttle.in_flight
        if not (self.assignment.pausing or self._backlog):
            limit = BUSY_WAIT_SECONDS if in_flight else IDLE_WAIT_SECONDS
            messages = member.consume(CHUNK_RECORDS, min(limit, self._until_next(now)))
            return carriers.collect(0.0), messages
        if in_flight:
            # Settled before the callbacks that consume may fire: a drain must know of them.
            self._settle(carriers.collect(BUSY_WAIT_SECONDS), self.ports.clock())
            return (), member.consume(CHUNK_RECORDS, 0.0)
        wait = min(BUSY_WAIT_SECONDS, self._until_next(now))
        return (), member.consume(CHUNK_RECORDS, wait)

    def _until_next(self, now: float) -> float:
        """Return how long nothing can become due; at least a millisecond, so as not to spin."""
        next_at = self.pipeline.next_wake()
        if self.pipeline.has_queued() and self.throttle.in_flight < self.throttle.slots:
            if self.commits.lease.holds(now):
                next_at = min(next_at, max(self.throttle.earliest_start(), now))
            else:
                next_at = now + BUSY_WAIT_SECONDS
        return min(max(next_at - now, 0.001), IDLE_WAIT_SECONDS)

    def _receive(self, messages: Sequence[Message], now: float) -> None:
        self._is_full = False
        if self._backlog:
            self._backlog.extend(messages)
            messages = self._backlog
        if not messages:
            return
        taken, errors = self.pipeline.receive(messages, now)
        self._backlog = list(messages[taken:])
        self._is_full = bool(self._backlog) and not self.pipeline.is_backed_up()
        for message in errors:
            self._message_error(message, now)

    def _message_error(self, message: Message, now: float) -> None:
        name = _name(message)
        ledger = self.pipeline.ledgers.get(name)
        if is_end_of_partition(message):
            # Behind the last record there may be transaction markers and compacted offsets.
            if ledger is not None and message.offset() > ledger.position:
                ledger.position = message.offset()
        elif is_offset_gone(message):
            self._drop_backlog([name])
            self.assignment.lose_position(name, now)
        else:
            self.kafka_error(trouble(message.error()))

    def _settle(self, results: Sequence[Result], now: float) -> None:
        for result in results:
            batch = result.attempt.batch
            label = status_label(result.answer)
            outcome = outcome_of(result.answer)
            if label is not None:
                self.tally.add("requests_total", batch.action, label)
                self.tally.observe(result.seconds, "request_duration_seconds", batch.action)
            if isinstance(outcome, Delivered):
                self._note_delivery(batch.timestamp_ms)
            elif label is not None:
                self.last_api_error = error_of(outcome)
            holds = set(self.throttle.holds)
            self.pipeline.settle(result.attempt, outcome, now, self.ports.jitter())
            self.outlook.say_ended(holds - self.throttle.holds.keys(), now)

    def _note_delivery(self, timestamp_ms: int | None) -> None:
        wall = self.ports.wall()
        self.last_delivery_wall = wall
        if timestamp_ms is not None and timestamp_ms > 0:
            latency_seconds = wall - timestamp_ms / 1000
            if latency_seconds >= 0:
                self.tally.observe(latency_seconds, "delivery_latency_seconds")

    def _dispatch(self, now: float, latest_start: float) -> int:
        self.pipeline.wake(now)
        lease = self.commits.lease
        if not lease.holds(now):
            return 0
        if self.throttle.holds.keys() & API_HOLDS and self.throttle.may_start(now):
            self.ports.before_probe()
        attempts = self.pipeline.dispatch(now, latest_start)
        for attempt in attempts:
            self.ports.carriers.send(attempt, lease.end)
        if self.assignment.paused and not attempts and not self.throttle.in_flight:
            self.pipeline.flush_oldest(now, self.throttle.slots)
        return len(attempts)

    def _speak(self, now: float) -> None:
        """Log what the pipeline noted, and publish now and then."""
        notes = self.pipeline.notes
        while notes:
            note = notes.popleft()
            level = "error" if note.event == "hold" else "warning"
            self.ports.say(now, note.event, note.key, note.message, level=level, **note.fields)
        if now >= self._next_publish:
            self._next_publish = now + PUBLISH_SECONDS
            self.ports.publish(self, now)

    # -- giving up partitions ---------------------------------------------------------------------

    def _part_with(
        self, partitions: Sequence[Partition], end: Callable[[list[Ledger]], None]
    ) -> None:
        self._drop_backlog(partitions)
        end(self.assignment.take_away(partitions))
        self.assignment.let_go(partitions)
        self.outlook.tell_cluster()
        self.ports.publish(self, self.ports.clock())

    def _drop_backlog(self, partitions: Sequence[Partition]) -> None:
        """Forget what was consumed and not received yet."""
        gone = set(partitions)
        self._backlog = [each for each in self._backlog if _name(each) not in gone]

    def _give_up(self, ledgers: list[Ledger], deadline: float, reason: str) -> None:
        """Drain ``ledgers`` up to ``deadline``, commit, release what is left, forget them."""
        if not ledgers:
            return
        self._drain_deadline = min(self._drain_deadline, deadline)
        self.pipeline.flush(ledgers, self.ports.clock(), reason)
        is_still_ours = self._drain(ledgers, deadline)
        self.commits.await_repeat(deadline)
        if is_still_ours:
            self.commits.commit_until(deadline, ledgers)
        self._release(ledgers)
        self.pipeline.end_flush()
        if not self.stop_requested:
            self._drain_deadline = math.inf

    def _drain(self, ledgers: list[Ledger], deadline: float) -> bool:
        """Send and settle without polling; return whether the membership held all along.

        A request starts only if its timeout ends before the deadline: one that outlived the drain
        could land after the next owner's opposite one. So could a try whose answer was lost: it is
        waited out.
        """
        latest_start = deadline - self.options.request_timeout_seconds
        lease, carriers = self.commits.lease, self.ports.carriers
        self.commits.begin_drain(self.ports.clock())
        while True:
            now = self.ports.clock()
            self.ports.beat(now)
            if now >= deadline:
                return True
            is_echoing = self.pipeline.is_echoing(ledgers, now)
            if not is_echoing and all(ledger.is_settled() for ledger in ledgers):
                return True
            if not self.commits.renew(now):
                return False
            now = self.ports.clock()
            if self.stop_requested and not self.stopping:
                self.stopping = True  # what stays assigned is drained by the same deadline
                self.pipeline.flush(list(self.pipeline.ledgers.values()), now, "shutdown")
            self.mailbox.turn(now)
            started = self._dispatch(now, latest_start)
            self._speak(now)
            last = latest_start if lease.is_agreed else -math.inf
            progresses = started or self.pipeline.can_progress(ledgers, now, last)
            if not progresses and not is_echoing:
                return True
            if not lease.is_proven(now) and not self.throttle.in_flight and not is_echoing:
                return False
            results = carriers.collect(BUSY_WAIT_SECONDS)
            if not results and not self.throttle.in_flight:
                carriers.wait(min(BUSY_WAIT_SECONDS, self._until_next(now)))
            self._settle(results, self.ports.clock())

    def _see_rebalance_out(self, names: list[Partition], deadline: float) -> None:
        """Take part in a rebalance that goes on until its end, or the deadline.

        What one member gives up another gets in a second round, which begins when the first joins
        again, right after its callbacks. A static member that left in between would be let in again
        without a rebalance, and what it gave up would stay without an owner.
        """
        clock, member, cluster = self.ports.clock, self.ports.member, self.ports.observer
        member.pause(names)  # what is read now is dropped, and callbacks must not wait behind it
        cluster.watches_group = True
        began_at = clock()
        while (now := clock()) < deadline:
            self.ports.beat(now)
            view = cluster.view  # before the callbacks of a round that ended just now are heard
            try:
                member.consume(CHUNK_RECORDS, IDLE_WAIT_SECONDS)
            except (GiveUp, KafkaException):
                return  # all is committed: no reason to end with anything but 0
            asked_from = max(began_at, self._moved_at + REJOIN_SECONDS)
            knows = view.asked_at >= asked_from
            if not self.outlook.joined or view.unreachable or (knows and not view.is_rebalancing):
                return
            if now >= asked_from and not knows:
                cluster.ask_now()
            if now > began_at + ANSWER_SECONDS and self._moved_at < began_at and not knows:
                return  # no word of the group, nor of a rebalance

    def _release(self, ledgers: list[Ledger]) -> None:
        self.released += self.pipeline.forget(ledgers)

    def _say(self, event: str, partitions: Sequence[Partition], level: str = "info") -> None:
        names = [f"{topic}:{partition}" for topic, partition in partitions]
        now = self.ports.clock()
        text = f"{len(names)} partitions"
        self.ports.say(now, event, str(now), text, level=level, partitions=names)


def _name(message: Message) -> Partition:
    return message.topic(), message.partition()
