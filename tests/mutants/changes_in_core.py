"""Wrong changes to the pure core: what is held, in which order it leaves, what an answer means."""

from tests.mutants.mutant import Mutant

CORE: tuple[Mutant, ...] = (
    # -- the ledger: what may be committed
    Mutant(
        name="commit-the-position",
        breaks="I1",
        file="consumer/core/ledger.py",
        old="return _first(self._holds)[0] if self._holds else self.position - self.gap",
        new="return self.position - self.gap",
        tests=("tests/test_ledger.py",),
    ),
    Mutant(
        name="commit-behind-the-first-hold",
        breaks="I1",
        file="consumer/core/ledger.py",
        old="return _first(self._holds)[0] if self._holds else self.position - self.gap",
        new="return _first(self._holds)[0] + 1 if self._holds else self.position - self.gap",
        tests=("tests/test_ledger.py",),
    ),
    Mutant(
        name="a-ledger-that-goes-back-forgets-what-was-read-beyond",
        breaks="I1",
        file="consumer/core/ledger.py",
        old="self._holds[holder] = (position, read_at)",
        new="self._holds = OrderedDict(list(self._holds.items())[:0])",
        tests=("tests/test_ledger.py",),
    ),
    Mutant(
        name="what-was-read-beyond-a-cut-holds-nothing-at-it",
        breaks="I1",
        file="consumer/core/ledger.py",
        old="if offset > position:",
        new="if offset < 0:",
        tests=("tests/test_ledger.py",),
    ),
    Mutant(
        name="a-commit-carries-the-epoch-in-which-its-run-began",
        breaks="nothing is read twice",
        file="consumer/core/intake.py",
        old="while messages[end - 1].error() is not None:  # the run began with a record",
        new="end = 1\n    while messages[end - 1].error() is not None:",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="a-truncated-log-goes-on-at-its-end",
        breaks="nothing is lost",
        file="consumer/core/positions.py",
        old="at = log.end if diverges_at is None else diverges_at",
        new="at = log.end",
        tests=("tests/test_positions.py",),
    ),
    Mutant(
        name="a-truncated-log-is-read-from-its-beginning",
        breaks="nothing is read twice",
        file="consumer/core/positions.py",
        old="at = min(at, log.end)",
        new="at = log.first",
        tests=("tests/test_positions.py",),
    ),
    Mutant(
        name="a-log-that-was-cut-off-behind-the-position-is-read-from-its-beginning",
        breaks="nothing is sent again",
        file="consumer/core/positions.py",
        old="if is_before and offset <= min(at, log.end):",
        new="if gone is None and offset <= log.end:",
        tests=("tests/test_positions.py",),
    ),
    Mutant(
        name="a-log-that-may-be-another-topics-goes-on-at-its-end",
        breaks="nothing is lost",
        file="consumer/core/positions.py",
        old="is_unclear or not is_known or at >= offset",
        new="is_unclear or at >= offset",
        tests=("tests/test_positions.py",),
    ),
    Mutant(
        name="topic-ids-tell-nothing",
        breaks="nothing is lost",
        file="consumer/core/positions.py",
        old="if is_known and position.topic_id != log.topic_id:",
        new="if False:",
        tests=("tests/test_positions.py",),
    ),
    Mutant(
        name="nobody-compares-the-leader-epochs",
        breaks="nothing is lost",
        file="consumer/core/positions.py",
        old="if epoch not in {None, log.leader_epoch} and not is_compared:",
        new="if False:",
        tests=("tests/test_positions.py",),
    ),
    Mutant(
        name="a-log-that-was-deleted-where-it-diverges-is-compared-for-ever",
        breaks="I8",
        file="consumer/core/positions.py",
        old="if is_another or at < log.first:",
        new="at = max(at, log.first)\n    if is_another:",
        tests=("tests/test_positions.py",),
    ),
    Mutant(
        name="a-gap-is-open",
        breaks="I1",
        file="consumer/core/intake.py",
        old="ledger.position = offset + 1",
        new="ledger.position = min(ledger.position + 1, offset + 1)",
        tests=("tests/test_ledger.py", "tests/test_pipeline.py"),
    ),
    Mutant(
        name="a-duplicate-without-a-hold",
        breaks="I1",
        file="consumer/core/intake.py",
        old="""
                if ledger.base not in batch.bases:
                    batch.bases.add(ledger.base)
                    ledger.hold(offset, batch, now)
        """,
        new="""
                if ledger.base not in batch.bases and name not in batch.ids:
                    batch.bases.add(ledger.base)
                    ledger.hold(offset, batch, now)
        """,
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="a-hold-for-one-partition-only",
        breaks="I1",
        file="consumer/core/intake.py",
        old="""
                if ledger.base not in batch.bases:
                    batch.bases.add(ledger.base)
                    ledger.hold(offset, batch, now)
        """,
        new="""
                if ledger.base not in batch.bases:
                    if not batch.bases:
                        ledger.hold(offset, batch, now)
                    batch.bases.add(ledger.base)
        """,
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="holds-keyed-by-partition-instead-of-ledger",
        breaks="I1",
        file="consumer/core/intake.py",
        old="""
                if ledger.base not in batch.bases:
                    batch.bases.add(ledger.base)
                    ledger.hold(offset, batch, now)
        """,
        new="""
                batch.bases.add(ledger.base)
                holders = buffer.__dict__.setdefault("holders", {})
                if (topic, partition) not in holders.setdefault(batch, set()):
                    holders[batch].add((topic, partition))
                    ledger.hold(offset, batch, now)
        """,
        tests=("tests/test_pipeline.py", "tests/test_pipeline_invariants.py"),
    ),
    Mutant(
        name="a-revoked-ledger-is-kept",
        breaks="I5",
        file="consumer/core/pipeline.py",
        old="del self.ledgers[ledger.topic, ledger.partition]",
        new="pass",
        tests=("tests/test_pipeline.py", "tests/test_pipeline_invariants.py"),
    ),
    Mutant(
        name="a-revoked-partitions-ids-are-kept",
        breaks="I5",
        file="consumer/core/pipeline.py",
        old="self._buffer.release(ledgers)",
        new="pass",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="what-is-released-is-not-counted",
        breaks="I6",
        file="consumer/core/buffer.py",
        old='self.settle_ids(batch.action, "released", len(gone))',
        new="self.held_ids -= len(gone)",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="superseded-never-settled",
        breaks="I8",
        file="consumer/core/buffer.py",
        old="self.finish(batch)  # one whose ids were all superseded",
        new="pass",
        tests=("tests/test_lanes.py",),
    ),
    # -- the order in a lane
    Mutant(
        name="no-order-check",
        breaks="I2",
        file="consumer/core/backlog.py",
        old="for each in self._opposite_ones(batch):",
        new="for each in ():",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="an-open-batch-is-never-checked",
        breaks="I2",
        file="consumer/core/backlog.py",
        old="index = len(row) if is_open else bisect_right(row, batch.compared_to, key=_seal)",
        new="index = bisect_right(row, batch.compared_to, key=_seal)",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="order-check-ignores-batches-in-backoff",
        breaks="I2",
        file="consumer/core/backlog.py",
        old="""            yield row[index]
""",
        new="""            if row[index].in_flight or not row[index].failures:
                yield row[index]
""",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="order-check-ignores-the-parts-of-a-split",
        breaks="I2",
        file="consumer/core/backlog.py",
        old="""            yield row[index]
""",
        new="""            if row[index].in_flight or row[index].split is None:
                yield row[index]
""",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="order-check-ignores-echoes",
        breaks="I2",
        file="consumer/core/backlog.py",
        old="if echo.action != batch.action and (is_open or echo.seal < (batch.seal or 0)):",
        new="if echo.settled:",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-blocker-stands-without-its-witness",
        breaks="I4",
        file="consumer/core/backlog.py",
        old="if not other.settled and witness in other.ids and witness in batch.ids:",
        new="if not other.settled:",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="only-the-nearest-is-compared",
        breaks="I2",
        file="consumer/core/backlog.py",
        old="""                batch.compared_to = each.seal or 0
""",
        new="""                batch.compared_to = 0
""",
        tests=("tests/test_backlog.py",),
    ),
    Mutant(
        name="what-was-sealed-later-is-in-the-way",
        breaks="I4",
        file="consumer/core/backlog.py",
        old="batch.compared_to = (batch.seal or 0) - 1",
        new="batch.compared_to = 1 << 62",
        tests=("tests/test_backlog.py",),
    ),
    Mutant(
        name="a-parked-batch-is-not-woken",
        breaks="I4",
        file="consumer/core/backlog.py",
        old="self._offer(batch)  # type: ignore[arg-type]  # of one lane, so of one type",
        new="pass",
        tests=("tests/test_lanes.py", "tests/test_backlog.py"),
    ),
    Mutant(
        name="a-batch-parked-by-an-id-that-it-lost-stays",
        breaks="I4",
        file="consumer/core/backlog.py",
        old="            if witness not in batch.ids and other.parked is not None:",
        new="            if other.settled and other.parked is not None:",
        tests=("tests/test_backlog.py",),
    ),
    Mutant(
        name="an-echo-that-is-over-wakes-nobody",
        breaks="I4",
        file="consumer/core/backlog.py",
        old="""                self._wake(echo, ())
""",
        new="""                pass
""",
        tests=("tests/test_backlog.py",),
    ),
    Mutant(
        name="a-long-look-is-not-taken-up-again",
        breaks="I4",
        file="consumer/core/backlog.py",
        old="return now if self._has_more else",
        new="return",
        tests=("tests/test_backlog.py",),
    ),
    Mutant(
        name="a-long-look-is-taken-up-by-a-lane-in-backoff",
        breaks="I4",
        file="consumer/core/backlog.py",
        old="""        self._has_more = False
        for echo""",
        new="""        for echo""",
        tests=("tests/test_backlog.py",),
    ),
    Mutant(
        name="a-shortened-backoff-is-not-noticed",
        breaks="I4",
        file="consumer/core/backlog.py",
        old='if batch.place == "resting":',
        new='if batch.place == "parked":',
        tests=("tests/test_lanes.py", "tests/test_backlog.py"),
    ),
    Mutant(
        name="what-is-settled-stays-in-its-ledger",
        breaks="I7",
        file="consumer/core/buffer.py",
        old="            if base in self._ledgers:  # else it is not ours any more",
        new="            if base in self._ledgers and self._ledgers[base].oldest(1) == [holder]:",
        tests=("tests/test_memory_over_hours.py",),
    ),
    Mutant(
        name="timers-that-count-no-more-stay",
        breaks="I7",
        file="consumer/core/turns.py",
        old="if len(self._timers) > 2 * self._timed + SPARE_TIMERS:",
        new="if not self._timers:",
        tests=("tests/test_memory_over_hours.py",),
    ),
    Mutant(
        name="a-drain-waits-for-no-echo",
        breaks="I2",
        file="consumer/core/buffer.py",
        old="ledger.echoes_until = max(ledger.echoes_until, until)",
        new="pass",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="ambiguous-attempts-are-forgotten",
        breaks="I2",
        file="consumer/core/attempts.py",
        old="if retry.ambiguous:",
        new="if retry is None:",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="an-echo-is-over-with-the-answer",
        breaks="I2",
        file="consumer/core/attempts.py",
        old="self._buffer.echo(batch, attempt.ids, attempt.deadline)",
        new="self._buffer.echo(batch, attempt.ids, now)",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-released-attempt-leaves-no-echo",
        breaks="I2",
        file="consumer/core/buffer.py",
        old="self.echo(batch, gone, batch.deadline)  # the running attempt stays in the way",
        new="pass",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="superseded-stays-in-its-batch",
        breaks="I2",
        file="consumer/core/intake.py",
        old="""
                    del other.ids[name]
                    superseded += 1
        """,
        new="pass",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="split-halves-out-of-order",
        breaks="I2",
        file="consumer/core/attempts.py",
        old="batch.split = Split(attempt.ids, refused.detail)",
        new="""
            batch.split = Split(attempt.ids, refused.detail)
            self._buffer._seals += 1
            batch.seal = self._buffer._seals  # as if they were batches of their own
        """,
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="an-address-in-upper-case-is-another",
        breaks="I2",
        file="consumer/core/events.py",
        old="name = name.lower()",
        new="pass",
        tests=("tests/test_events.py",),
    ),
    # -- what leaves when
    Mutant(
        name="linger-from-the-last-id",
        breaks="I4",
        file="consumer/core/intake.py",
        old="ids[name] = origin",
        new="""
                ids[name] = origin
                batch.due_at = now + buffer._linger_seconds
        """,
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="one-id-too-many",
        breaks="I3",
        file="consumer/core/intake.py",
        old="if len(ids) >= max_ids:",
        new="if len(ids) > max_ids:",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="lanes-take-no-turns",
        breaks="I4",
        file="consumer/core/turns.py",
        old="queue.append((lane.turn, lane))",
        new="queue.appendleft((lane.turn, lane))",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="a-revoke-makes-nothing-due",
        breaks="I9",
        file="consumer/core/buffer.py",
        old="""
        for batch in batches:
            make_due(batch, now, reason)
        """,
        new="",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="backoff-is-not-kept",
        breaks="backoff",
        file="consumer/core/backlog.py",
        old="if batch.not_before <= now and may_leave(batch):",
        new="if may_leave(batch):",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="reading-goes-on-beyond-the-limit",
        breaks="I7",
        file="consumer/core/intake.py",
        old="if held >= limit:",
        new="if limit < 0:",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="dead-letters-pile-up-without-a-limit",
        breaks="I7",
        file="consumer/core/refusals.py",
        old="or len(self._pending) >= MAX_PENDING_DEAD_LETTERS",
        new="",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="a-drain-waits-for-no-dead-letter-under-a-limits-hold",
        breaks="I9",
        file="consumer/core/refusals.py",
        old="return HoldReason.DEAD_LETTER_UNAVAILABLE not in self._throttle.holds and any(",
        new="return READING_STOPS.isdisjoint(self._throttle.holds) and any(",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="an-unsent-request-keeps-its-slot",
        breaks="I8",
        file="consumer/core/attempts.py",
        old="self._throttle.unsent()",
        new="pass",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="a-hold-lets-everything-through",
        breaks="I10",
        file="consumer/core/throttle.py",
        old="return self._one_at_a_time or self.is_held",
        new="return self._one_at_a_time",
        tests=("tests/test_throttle.py",),
    ),
    # -- what an answer means
    Mutant(
        name="fail-counts-as-done",
        breaks="I1",
        file="consumer/core/attempts.py",
        old="case Delivered():",
        new="case Delivered() | Retry():",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="a-404-is-the-segments-fault-from-the-start",
        breaks="I10",
        file="consumer/core/outcomes.py",
        old="case HTTPStatus.NOT_FOUND if answer.vouched:",
        new="case HTTPStatus.NOT_FOUND:",
        tests=("tests/test_outcomes.py",),
    ),
    Mutant(
        name="a-login-page-is-a-delivery",
        breaks="I10",
        file="consumer/core/outcomes.py",
        old="if body is None or errors or",
        new="if errors or",
        tests=("tests/test_outcomes.py",),
    ),
    Mutant(
        name="a-refused-batch-is-not-split",
        breaks="I12",
        file="consumer/core/attempts.py",
        old="if batch.split is None and not refused.whole and len(attempt.ids) > 1:",
        new="if batch.split is None and not refused.whole and not attempt.ids:",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="two-bad-ids-are-a-verdict-on-all",
        breaks="I12",
        file="consumer/core/splitting.py",
        old="SINGLES = 8",
        new="SINGLES = 2",
        tests=("tests/test_splitting.py",),
    ),
    Mutant(
        name="singles-are-chosen-by-place",
        breaks="I12",
        file="consumer/core/splitting.py",
        old="return min(stretch, key=",
        new="return stretch[0] if stretch else min(stretch, key=",
        tests=("tests/test_splitting.py",),
    ),
    Mutant(
        name="singles-are-chosen-by-a-salted-hash",
        breaks="I12",
        file="consumer/core/splitting.py",
        old="return blake2b(name.encode(), digest_size=8).digest()",
        new="return blake2b(str(hash(name)).encode(), digest_size=8).digest()",
        tests=("tests/test_splitting.py",),
    ),
    Mutant(
        name="a-period-may-fit-all-singles",
        breaks="I12",
        file="consumer/core/splitting.py",
        old="period = gcd(*(place - first for place in others)) or 1",
        new="period = 1",
        tests=("tests/test_splitting.py",),
    ),
    Mutant(
        name="singles-are-from-anywhere",
        breaks="I12",
        file="consumer/core/splitting.py",
        old="stretch = range(number * len(ids) // count, (number + 1) * len(ids) // count)",
        new="stretch = range(number, len(ids) - count + number + 1)",
        tests=("tests/test_splitting.py",),
    ),
    Mutant(
        name="a-record-without-a-valid-id-ends-the-row",
        breaks="I10",
        file="consumer/core/intake.py",
        old="""
            refusals.unreadable_in_a_row += 1
            refusals.hold_at_limit(refusals.unreadable_in_a_row, mixed.detail, now)
        """,
        new="""
            refusals.unreadable_in_a_row = 0
        """,
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="a-record-with-some-valid-ids-is-in-the-row",
        breaks="I10",
        file="consumer/core/intake.py",
        old="""
            accepted += 1
            unreadable = 0
        """,
        new="""
            accepted += 1
            unreadable = unreadable + 1 if unreadable else 0
        """,
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="a-record-counts-once-for-each-of-its-dead-letters",
        breaks="I10",
        file="consumer/core/intake.py",
        old="""
            if refusals.refuse(dead_letter, now, mixed.detail):
                ledger.hold(offset, dead_letter, now)
        """,
        new="""
            if refusals.refuse(dead_letter, now, mixed.detail):
                ledger.hold(offset, dead_letter, now)
            refusals.unreadable_in_a_row += 1
        """,
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="a-refused-id-does-not-wait-for-its-dead-letter",
        breaks="I11",
        file="consumer/core/refusals.py",
        old="dead_letter.batch.dead_letters += 1",
        new="dead_letter.batch = None",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="an-unreadable-record-does-not-wait-for-its-dead-letter",
        breaks="I11",
        file="consumer/core/intake.py",
        old="""
        if refusals.refuse(dead_letter, now, detail):
            ledger.hold(offset, dead_letter, now)
        refusals.hold_at_limit(
        """,
        new="""
        refusals.refuse(dead_letter, now, detail)
        refusals.hold_at_limit(
        """,
        tests=("tests/test_pipeline.py",),
    ),
    # -- the lease, and where a partition begins
    Mutant(
        name="no-lease",
        breaks="I5",
        file="consumer/core/lease.py",
        old="self.end = max(self.end, sent_at + self.seconds)",
        new="self.end = math.inf",
        tests=("tests/test_lease.py",),
    ),
    Mutant(
        name="a-commit-from-before-the-loss-proves-membership",
        breaks="I5",
        file="consumer/core/lease.py",
        old="if sent_at > self._void_until:",
        new="if self.seconds > 0:",
        tests=("tests/test_lease.py",),
    ),
    Mutant(
        name="the-brokers-shorter-session-counts-later",
        breaks="I5",
        file="consumer/core/lease.py",
        old="self.end += min(0.0, seconds - self.seconds)",
        new="",
        tests=("tests/test_lease.py",),
    ),
    Mutant(
        name="requests-start-before-the-session-is-known",
        breaks="I5",
        file="consumer/core/lease.py",
        old="return self.is_agreed and now < self.end",
        new="return now < self.end",
        tests=("tests/test_lease.py",),
    ),
    Mutant(
        name="a-session-that-grows-is-not-noticed",
        breaks="I8",
        file="consumer/core/lease.py",
        old="""
        self.end += min(0.0, seconds - self.seconds)
        self.seconds = seconds
        """,
        new="""
        self.end += min(0.0, seconds - self.seconds)
        self.seconds = min(self.seconds, seconds)
        """,
        tests=("tests/test_lease.py",),
    ),
    Mutant(
        name="latest-counts-for-new-partitions-too",
        breaks="nothing is lost",
        file="consumer/core/positions.py",
        old="if not group_has_commits or partition < census.get(topic, 0):",
        new="if reset:",
        tests=("tests/test_positions.py",),
    ),
)
