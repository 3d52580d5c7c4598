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
        old="self._holds[holder] = (position, read_at, timestamp_ms)",
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
        old="ledger.position = last.offset() + 1",
        new="ledger.position = min(ledger.position + end, last.offset() + 1)",
        tests=(
            "tests/test_ledger.py",
            "tests/test_pipeline.py",
        ),
    ),
    Mutant(
        name="a-duplicate-without-a-hold",
        breaks="I1",
        file="consumer/core/intake.py",
        old="""
                if batch.latest is not ledger:
                    note(batch, ledger, message, now)
                duplicate_adds += is_add
""",
        new="duplicate_adds += is_add",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="a-hold-for-one-partition-only",
        breaks="I1",
        file="consumer/core/arrivals.py",
        old="if ledger.base not in batch.bases:",
        new="if not batch.bases:",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="holds-keyed-by-partition-instead-of-ledger",
        breaks="I1",
        file="consumer/core/arrivals.py",
        old="""
    if ledger.base not in batch.bases:
""",
        new="""
    noted = vars(note).setdefault("noted", {}).setdefault(batch, set())
    if (ledger.topic, ledger.partition) not in noted:
        noted.add((ledger.topic, ledger.partition))
""",
        tests=("tests/test_lanes.py", "tests/test_pipeline_invariants.py"),
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
        file="consumer/core/lanes.py",
        old="others: list[Batch | Echo] = [*self.in_flight, *self.echoes]",
        new="others: list[Batch | Echo] = []",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="an-open-batch-is-never-checked",
        breaks="I2",
        file="consumer/core/leaving.py",
        old="names = _free(batch.ids, in_the_way)",
        new="names = _free(batch.ids, () if batch.is_open else in_the_way)",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="order-check-ignores-the-parts-of-a-split",
        breaks="I2",
        file="consumer/core/lanes.py",
        old="others: list[Batch | Echo] = [*self.in_flight, *self.echoes]",
        new="""others: list[Batch | Echo] = [
            *(each for each in self.in_flight if each.split is None),
            *self.echoes,
        ]""",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="order-check-ignores-echoes",
        breaks="I2",
        file="consumer/core/lanes.py",
        old="others: list[Batch | Echo] = [*self.in_flight, *self.echoes]",
        new="others: list[Batch | Echo] = [*self.in_flight]",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="an-id-that-waits-keeps-its-batch-waiting",
        breaks="I4",
        file="consumer/core/leaving.py",
        old="return [name for name in ids if name not in blocked] if blocked else ids",
        new="return [] if blocked else ids",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="only-the-youngest-is-in-the-way",
        breaks="I2",
        file="consumer/core/leaving.py",
        old="for each in in_the_way:",
        new="for each in list(in_the_way)[-1:]:",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="batches-of-one-action-wait-for-each-other",
        breaks="I4",
        file="consumer/core/lanes.py",
        old="return [each.ids for each in others if each.action != action]",
        new="return [each.ids for each in others]",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="what-had-to-wait-is-not-looked-at-again-after-an-answer",
        breaks="I4",
        file="consumer/core/lanes.py",
        old="""
            self.in_flight = tuple(each for each in self.in_flight if each is not batch)
            self.landings += 1
""",
        new="self.in_flight = tuple(each for each in self.in_flight if each is not batch)",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="an-echo-that-is-over-wakes-nobody",
        breaks="I4",
        file="consumer/core/lanes.py",
        old="times = [echo.until for echo in self.echoes]",
        new="times: list[float] = []",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-shortened-backoff-is-not-noticed",
        breaks="I4",
        file="consumer/core/attempts.py",
        old="self._buffer.turns.enqueue(lane)",
        new="pass",
        tests=("tests/test_lanes.py",),
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
        name="superseded-stays-in-an-open-batch",
        breaks="I2",
        file="consumer/core/intake.py",
        old="""
                del other.ids[name]
                superseded_adds += not is_add
        """,
        new="superseded_adds += not is_add",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="only-the-running-part-of-a-split-is-in-the-way",
        breaks="I2",
        file="consumer/core/lanes.py",
        old="return [each.ids for each in others if each.action != action]",
        new="""
        return [
            each.split._last if isinstance(each, Batch) and each.split else each.ids
            for each in others
            if each.action != action
        ]
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
        name="a-record-of-another-topic-is-the-same-partitions",
        breaks="I1",
        file="consumer/core/intake.py",
        old="(has_others and message.topic() != topic)",
        new="False",
        tests=("tests/test_intake.py",),
    ),
    Mutant(
        name="two-topics-are-taken-for-one",
        breaks="I1",
        file="consumer/daemon.py",
        old="len(settings.kafka_topics) == 1 and ",
        new="",
        tests=("tests/test_intake.py",),
    ),
    Mutant(
        name="an-expression-is-taken-for-one-topic",
        breaks="I1",
        file="consumer/daemon.py",
        old=" and not _has_expression(settings)",
        new="",
        tests=("tests/test_intake.py",),
    ),
    Mutant(
        name="linger-from-the-last-id",
        breaks="I4",
        file="consumer/core/intake.py",
        old="ids[name] = base + message.offset()",
        new="""
            ids[name] = base + message.offset()
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
        name="a-drain-keeps-a-batch-of-which-all-was-superseded",
        breaks="I9",
        file="consumer/core/buffer.py",
        old="self.finish(batch)  # nothing of it may be left",
        new="pass",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-revoke-makes-nothing-due",
        breaks="I9",
        file="consumer/core/buffer.py",
        old="""
            make_due(batch, now, reason)
            self.finish(batch)  # nothing of it may be left
        """,
        new="""
            self.finish(batch)  # nothing of it may be left
        """,
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="backoff-is-not-kept",
        breaks="backoff",
        file="consumer/core/leaving.py",
        old="if batch.ids and batch.not_before <= now:",
        new="if batch.ids:",
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
        file="consumer/core/close_look.py",
        old="""
        if has_good:
            self._refusals.unreadable_in_a_row = 0
        else:
            self._count_unreadable(details[-1], now)
        """,
        new="""
        self._refusals.unreadable_in_a_row = 0
        """,
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="a-record-with-some-valid-ids-is-in-the-row",
        breaks="I10",
        file="consumer/core/close_look.py",
        old="""
        if has_good:
            self._refusals.unreadable_in_a_row = 0
""",
        new="""
        if has_good:
            self._refusals.unreadable_in_a_row += bool(self._refusals.unreadable_in_a_row)
""",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="a-record-counts-once-for-each-of-its-dead-letters",
        breaks="I10",
        file="consumer/core/close_look.py",
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
        file="consumer/core/close_look.py",
        old="""
        if self._refusals.refuse(dead_letter, now, detail):
            ledger.hold(offset, dead_letter, now)
        """,
        new="""
        self._refusals.refuse(dead_letter, now, detail)
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
