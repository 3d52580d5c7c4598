"""Commits, and the proof of membership that they are.

A partition's *committed* moves only when the broker answered; until then it is tried again at the
next interval, also when nothing new arrives: an asynchronous commit can fail in the middle of a
rebalance, and the call itself doesn't say so. One is on its way at a time, so that its answer is
known to be its own.

The lease. Kafka fences the commits of a member that lost its partitions without knowing it; nobody
fences its HTTP requests. So a request starts only while membership was proven recently: by the
broker's successful answer to a commit, dated when that commit was *sent*. While anything is held,
something is committed at least once a second, the same offset again if nothing moved. See `lease`.
While nothing is held, it is now and then, or nobody would notice that the client hangs: librdkafka
(2.16) doesn't time a session of KIP-848 out by itself, and no record comes to a client that hangs.

Inside a rebalance callback (`renew`, `commit_until`) the owner thread commits itself and waits:
another thread's commit would wait until the callback has returned, when the partitions are
somebody else's, and with KIP-848 the broker would take it.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from consumer.core.lease import Lease
from consumer.core.ledger import Ledger
from consumer.core.tally import Tally
from consumer.engine.claims import Claims, Sent
from consumer.engine.ports import (
    CarriersPort,
    CommitAnswer,
    MemberPort,
    Offsets,
    Options,
    Partition,
    Say,
    View,
)
from consumer.engine.repeats import Repeats

RENEW_SECONDS = 1.0
IDLE_SECONDS = 15.0  # less than a lease of the defaults, which is so proven all the time
PATIENCE_SECONDS = 60.0  # nothing bounds a commit that waits for its answer
MIN_LEASE_SECONDS = 2.0


@dataclass(slots=True, eq=False)
class Commits:
    """Owned by the loop. ``_ledgers`` are those of the partitions that are assigned now."""

    _options: Options
    _ledgers: Mapping[Partition, Ledger]
    _tally: Tally
    _member: MemberPort
    _carriers: CarriersPort
    _clock: Callable[[], float]
    _beat: Callable[[float], None]
    _say: Say
    lease: Lease = field(init=False)
    refusal: str = ""  # what the broker has against commits that it answers
    _claims: Claims = field(init=False)
    _doubtful: list[Partition] = field(default_factory=list)
    _session_seconds: float | None = None  # as the broker told it
    _sent: tuple[float, Sent] | None = None
    _repeats: Repeats = field(default_factory=Repeats)
    _is_overtaken: bool = False  # what is on its way: something was committed since
    _is_all_settled: bool = True  # and nothing was received since
    _next_commit: float = -math.inf
    _next_proof: float = -math.inf
    _prove_by: float = field(init=False)  # though nothing is held
    _is_tried: bool = False  # something was sent, and nothing confirmed since

    def __post_init__(self) -> None:
        given = self._options
        session, heartbeat = given.session_timeout_seconds, given.heartbeat_interval_seconds
        seconds = _lease_seconds(given, session, heartbeat)
        self._claims = Claims(self._ledgers, self._say)
        self.lease = Lease(seconds, is_agreed=not given.asks_session)
        self._prove_by = self._clock() + IDLE_SECONDS

    def agree(self, view: View) -> None:
        """Agree with the broker how long the lease is, where it tells its session.

        Also learn which epochs the positions have.
        """
        options = self._options
        self._doubtful += self._claims.learn(view.leaders)
        if view.session_seconds is not None:
            self._session_seconds = view.session_seconds
            session = min(view.session_seconds, options.session_timeout_seconds)
            heartbeat = view.heartbeat_seconds or options.heartbeat_interval_seconds
            self.lease.agree(_lease_seconds(options, session, heartbeat))
        elif view.asked and view.unreachable is None:
            self.lease.is_agreed = True  # a broker that doesn't tell: the setting is all there is

    def take_doubtful(self) -> list[Partition]:
        """Return which partitions are to be read once more before what is behind them is committed.

        As `Claims.learn` found; a record that came meanwhile leaves no gap to doubt.
        """
        doubtful, self._doubtful = self._doubtful, []
        ledgers = self._ledgers
        return [name for name in doubtful if name in ledgers and ledgers[name].gap]

    def problem(self, now: float, *, is_holding: bool) -> tuple[str, str] | None:
        """Return why nothing may be sent, and what that is; ``is_holding``: there is something."""
        if self.lease.seconds < MIN_LEASE_SECONDS:
            return "session", (
                f"the broker's session of {self._session_seconds} s is too short for"
                f" CUSTOMERIO_TIMEOUT_SECONDS={self._options.request_timeout_seconds}:"
                " a request must not outlive the membership that sent it. Lower the timeout, or"
                " raise group.consumer.session.timeout.ms at the broker"
            )
        if is_holding and not self.lease.is_proven(now):
            why = f": {self.refusal}" if self.refusal else ""
            return "lease", f"the broker does not confirm commits{why}; so nothing may be sent"
        return None

    def is_unconfirmed(self, now: float) -> bool:
        """Whether something is committed, and nothing was confirmed for as long as a lease is."""
        is_long_enough = self.lease.seconds >= MIN_LEASE_SECONDS
        return self._is_tried and is_long_enough and not self.lease.is_proven(now)

    @property
    def sent_at(self) -> float | None:
        """Return when the commit was sent that has no answer yet; None: there is none."""
        return None if self._sent is None else self._sent[0]

    def commit_soon(self) -> None:
        """Commit at the next occasion."""
        self._next_commit = self._next_proof = -math.inf

    def expect_holds(self) -> None:
        """Take in that records were received: some may be unsettled."""
        self._is_all_settled = False

    def begin_drain(self, now: float) -> None:
        """Commit soon, but nothing before a commit that may be lost must have been repeated.

        See `repeats`. And if its answer is a fence, and comes after the callback while librdkafka
        still gives partitions up, that ends the process: it recurses without end (2.16,
        ``rd_kafka_cgrp_incr_unassign_done``).
        """
        self.commit_soon()
        if self._sent is not None:
            self._repeats.expect(self._sent[0], now, now - self._sent[0])

    def await_repeat(self, deadline: float) -> None:
        """Let that time pass; not beyond the deadline: then a commit is better than none."""
        until = min(self._repeats.over_at, deadline)
        while (now := self._clock()) < until:
            self._beat(now)
            self._carriers.wait(0.1)

    def send(self, now: float) -> None:
        """Send what may be committed; prove membership with it, seldom if nothing is held."""
        if self._sent is not None:
            return
        if not self._ledgers:
            self._prove_by, self._is_tried = now + IDLE_SECONDS, False
        claims = self._claims
        offsets: dict[Partition, int] = {}
        if now >= self._next_commit:
            self._next_commit = now + self._options.commit_interval_seconds
            offsets = claims.to_commit()
        if now >= self._next_proof and (self._has_unsettled() or now >= self._prove_by):
            self._prove_by = now + IDLE_SECONDS
            offsets = claims.to_prove()
        to_send, is_all = claims.select(offsets, now)
        if not is_all:
            self.commit_soon()
        if not to_send:
            return
        self._next_proof = now + min(RENEW_SECONDS, self._options.commit_interval_seconds)
        self._prove_by, self._is_tried = now + IDLE_SECONDS, True
        self._sent = (now, claims.as_of_now(to_send))
        error = self._member.commit(to_send)
        if error is not None:
            self.answered(CommitAnswer({}, error))

    def answered(self, answer: CommitAnswer) -> None:
        """Take over what the broker says of the commit on its way.

        If a drain committed meanwhile, this one may have come after it, being repeated: then the
        broker has what it says, or who knows what, and all is committed again.
        """
        if self._sent is None:
            return
        if self._is_overtaken:
            self._is_overtaken = False
            self._doubt()
        sent_at, ledgers = self._sent
        self._sent = None
        self._repeats.round_trip = self._clock() - sent_at
        self._take(answer, sent_at, ledgers)

    def renew(self, now: float) -> bool:
        """Prove membership inside a drain, about once a second; False: it is lost.

        Not when no broker answers, for then nothing bounds it.
        """
        if now < max(self._next_proof, self._repeats.over_at):
            return True
        self._next_proof = now + RENEW_SECONDS
        to_send, _ = self._claims.select(self._claims.to_prove(), now)
        if not to_send or not self._is_reachable(0.5):
            return True
        return self._commit_and_wait(to_send, now).is_member

    def commit_until(self, deadline: float, ledgers: Iterable[Ledger]) -> None:
        """Commit what is settled; a failure that passes is tried again until the deadline.

        Also what was committed in this drain, if a commit may have been repeated since.
        """
        names = {(ledger.topic, ledger.partition) for ledger in ledgers}
        clock, claims = self._clock, self._claims
        if claims.to_commit() and not self.lease.is_proven(clock()):
            # What holds no ids, like a tombstone, is read without a lease: prove it now.
            self._next_proof = -math.inf
            self.renew(clock())
        self._doubt()
        while True:
            offsets = {name: each for name, each in claims.to_take().items() if name in names}
            now = clock()
            if not offsets or not self.lease.is_proven(now):
                return
            if self._is_reachable(min(2.0, max(deadline - now, 0.2))):
                answer = self._commit_and_wait(claims.some_of(offsets), now)
                if not answer.is_member or not (answer.error is None or answer.retriable):
                    return
                if answer.error is None and len(answer.committed) == len(offsets):
                    if clock() >= self._repeats.over_at:
                        return
                    self._doubt()
            if clock() >= deadline:
                return
            self._carriers.wait(0.1)
            self.await_repeat(deadline)

    def _has_unsettled(self) -> bool:
        """Whether anything waits; looks at all partitions, so not again while nothing comes."""
        self._is_all_settled = self._is_all_settled or not self._claims.has_unsettled()
        return not self._is_all_settled

    def _doubt(self) -> None:
        """Have all that is on its way committed again: it may come after what was since."""
        for ledger, _ in self._sent[1].values() if self._sent is not None else ():
            ledger.committed = None

    def _is_reachable(self, timeout_seconds: float) -> bool:
        """Whether the coordinator answers. If not, what is on its way is repeated once it does."""
        if self._member.is_reachable(timeout_seconds):
            return True
        if self._sent is not None:
            self._repeats.begin(self._clock())
        return False

    def _commit_and_wait(self, to_send: dict[Partition, Offsets], now: float) -> CommitAnswer:
        self._beat(now + PATIENCE_SECONDS)
        self._is_overtaken = self._sent is not None
        answer = self._member.commit_now(to_send)
        answered_at = self._clock()
        self._beat(answered_at)
        self._take(answer, now, self._claims.as_of_now(to_send))
        if self._sent is not None:  # lost with the same connection, it is repeated by then or later
            self._repeats.expect(self._sent[0], answered_at, answered_at - now)
        return answer

    def _take(self, answer: CommitAnswer, sent_at: float, sent: Sent) -> None:
        now = self._clock()
        if self._claims.answered(answer, sent, now):
            self.commit_soon()
        self.refusal = (answer.error or "") if answer.is_refusal else ""
        if answer.is_member and (answer.committed or answer.error is None):
            self.lease.proven(sent_at)  # what is refused for one partition is proven by another
            self._is_tried = False
        if answer.error is None:
            self._tally.add("commits_total", "ok")
            return
        self._tally.add("commits_total", "failed")
        text = f"{answer.error}; it is tried again"
        self._say(now, "commit_failed", answer.error, text, level="warning")
        if not answer.is_member:
            self.lease.void(now)


def _lease_seconds(options: Options, session_seconds: float, heartbeat_seconds: float) -> float:
    return session_seconds - options.request_timeout_seconds - heartbeat_seconds
