"""Wrong changes to the loop: turns, drains, commits and the lease, partitions that come and go."""

from tests.mutants.mutant import Mutant

LOOP: tuple[Mutant, ...] = (
    # -- a static member that stops
    Mutant(
        name="a-drain-commits-before-a-lost-commit-is-repeated",
        breaks="I3",
        file="consumer/engine/repeats.py",
        old="self.over_at = now + REPEAT_SECONDS",
        new="_ = REPEAT_SECONDS",
        tests=("tests/test_loop.py",),
    ),
    Mutant(
        name="a-drain-takes-the-time-without-a-coordinator-for-quiet",
        breaks="I1",
        file="consumer/engine/commits.py",
        old="self._repeats.begin(self._clock())",
        new="pass",
        tests=("tests/test_loop.py",),
    ),
    Mutant(
        name="a-drain-does-not-mind-how-long-its-own-commits-take",
        breaks="I1",
        file="consumer/engine/commits.py",
        old="self._repeats.expect(self._sent[0], answered_at, answered_at - now)",
        new="pass",
        tests=(
            "tests/test_loop.py::test_i1_a_commit_that_is_lost_with_a_drains_own_takes_nothing_back",
        ),
    ),
    Mutant(
        name="a-drain-ends-before-a-lost-commit-is-repeated",
        breaks="I1",
        file="consumer/engine/commits.py",
        old="if clock() >= self._repeats.over_at:",
        new="if clock():",
        tests=(
            "tests/test_loop.py::test_i1_a_commit_that_is_lost_with_a_drains_own_takes_nothing_back",
        ),
    ),
    Mutant(
        name="a-drain-takes-brokers-that-are-far-away-for-ones-that-lost-a-commit",
        breaks="I8",
        file="consumer/engine/repeats.py",
        old="late = min(max(LATE_SECONDS, 4 * self.round_trip), LATE_AT_MOST_SECONDS)",
        new="late = LATE_SECONDS",
        tests=("tests/test_loop.py",),
    ),
    Mutant(
        name="what-a-commit-took-back-in-a-drain-stays-back",
        breaks="I1",
        file="consumer/engine/commits.py",
        old="self._doubt()\n        while True:",
        new="while True:",
        tests=("tests/test_loop.py",),
    ),
    Mutant(
        name="what-a-repeated-commit-took-back-stays-back",
        breaks="I1",
        file="consumer/engine/commits.py",
        old="ledger.committed = None",
        new="pass",
        tests=("tests/test_loop.py",),
    ),
    # -- what the client may look at, and when
    Mutant(
        name="client-never-sees-new-partitions",
        breaks="I7",
        file="consumer/engine/loop.py",
        old="self._discovery.look(now)",
        new="pass",
        tests=("tests/test_loop_membership.py",),
    ),
    Mutant(
        name="client-looks-once-though-its-broker-did-not-know",
        breaks="I7",
        file="consumer/engine/discovery.py",
        old="self._again = changed if was_asked else looks",
        new="self._again = set()",
        tests=("tests/test_loop_membership.py",),
    ),
    Mutant(
        name="client-forgets-what-no-broker-could-be-asked-for",
        breaks="I7",
        file="consumer/engine/discovery.py",
        old="self._again = changed if was_asked else looks",
        new="self._again = changed",
        tests=("tests/test_loop_membership.py",),
    ),
    Mutant(
        name="topics-of-an-expression-are-looked-at-as-they-are-assigned",
        breaks="I8",
        file="consumer/engine/discovery.py",
        old="if self._has_expression:  # it found",
        new="if False:  # it found",
        tests=("tests/test_loop_membership.py",),
    ),
    Mutant(
        name="what-the-client-saw-is-never-taken-up",
        breaks="I7",
        file="consumer/engine/discovery.py",
        old="self._take_up_at = now + ANSWERS_SECONDS",
        new="pass",
        tests=("tests/test_loop_membership.py",),
    ),
    Mutant(
        name="nothing-wakes-a-client-that-waits-for-metadata",
        breaks="I8",
        file="consumer/engine/discovery.py",
        old="if is_spared and self._member.member_id():",
        new="if is_spared:",
        tests=("tests/test_loop_membership.py",),
    ),
    Mutant(
        name="every-member-lists-the-whole-cluster-all-the-time",
        breaks="I8",
        file="consumer/engine/discovery.py",
        old="if is_spared and self._member.member_id():",
        new="if False:",
        tests=("tests/test_loop_membership.py",),
    ),
    Mutant(
        name="a-member-that-the-group-dropped-calls-itself-ready",
        breaks="I8",
        file="consumer/engine/outlook.py",
        old="self.joined = bool(view.is_member and member_id)",
        new="self.joined = True",
        tests=("tests/test_loop_membership.py",),
    ),
    Mutant(
        name="classic-member-looks-at-the-topics-by-itself",
        breaks="I2",
        file="consumer/settings/properties.py",
        old='"topic.metadata.refresh.interval.ms": -1',
        new='"topic.metadata.refresh.interval.ms": 300',
        tests=("tests/test_properties.py",),
    ),
    # -- commits, and the lease that they prove
    Mutant(
        name="lease-dated-when-the-answer-came",
        breaks="I5",
        file="consumer/engine/commits.py",
        old="self.lease.proven(sent_at)",
        new="self.lease.proven(now)",
        tests=(
            "tests/test_loop.py::test_i5_a_commit_proves_nothing_whose_answer_took_longer_than_the_lease",
        ),
    ),
    Mutant(
        name="commit-trusted-without-answer",
        breaks="I8",
        file="consumer/engine/commits.py",
        old="error = self._member.commit(to_send)",
        new="""
        error = self._member.commit(to_send)
        for name, each in to_send.items():
            self._ledgers[name].committed = each.offset
        """,
        tests=(
            "tests/test_loop.py::test_a_commit_that_failed_is_made_up_for_though_nothing_new_arrives",
        ),
    ),
    Mutant(
        name="what-is-received-may-go-without-a-proof",
        breaks="I8",
        file="consumer/engine/loop.py",
        old="self.commits.expect_holds()",
        new="pass",
        tests=("tests/test_loop.py",),
    ),
    Mutant(
        name="who-rests-is-not-woken",
        breaks="I8",
        file="consumer/engine/assignment.py",
        old="or now >= self._wake_at",
        new="",
        tests=("tests/test_loop_positions.py", "tests/test_stalls.py"),
    ),
    Mutant(
        name="who-rested-counts-as-paused-though-it-is-read",
        breaks="I7",
        file="consumer/engine/assignment.py",
        old="self._is_paused.discard(name)",
        new="pass",
        tests=("tests/test_stalls.py",),
    ),
    Mutant(
        name="commits-repeat-what-was-committed",
        breaks="I1",
        file="consumer/engine/commits.py",
        old="""
            self._prove_by = now + IDLE_SECONDS
            offsets = claims.to_prove()
        """,
        new="""
            self._prove_by = now + IDLE_SECONDS
            if not offsets:
                name, ledger = next(iter(self._ledgers.items()))
                offsets = {name: ledger.committed or 0}
        """,
        tests=("tests/test_loop.py::test_i1_a_commit_whose_answer_was_lost_is_not_taken_back",),
    ),
    Mutant(
        name="nothing-is-proven-while-no-id-is-held",
        breaks="I8",
        file="consumer/engine/claims.py",
        old="return any(not ledger.is_settled() for ledger in self._ledgers.values())",
        new="""
            return any(
                getattr(holder, "ids", ())
                for ledger in self._ledgers.values()
                for holder in ledger.holders()
            )
        """,
        tests=(
            "tests/test_loop.py::test_a_batch_whose_ids_were_all_taken_out_does_not_hold_the_commit",
        ),
    ),
    Mutant(
        name="membership-is-not-proven-while-nothing-moves",
        breaks="I8",
        file="consumer/engine/commits.py",
        old="if now >= self._next_proof and (self._has_unsettled() or now >= self._prove_by):",
        new="if offsets and now >= self._next_proof and self._has_unsettled():",
        tests=(
            "tests/test_loop.py::test_a_batch_whose_ids_were_all_taken_out_does_not_hold_the_commit",
        ),
    ),
    Mutant(
        name="several-commits-on-their-way",
        breaks="I5",
        file="consumer/engine/commits.py",
        old="""
        if self._sent is not None:
            return
        if not self._ledgers:
        """,
        new="if not self._ledgers:",
        tests=("tests/test_loop.py::test_one_commit_is_on_its_way_at_a_time",),
    ),
    Mutant(
        name="a-refused-partition-denies-the-proof-of-others",
        breaks="I8",
        file="consumer/engine/commits.py",
        old="if answer.is_member and (answer.committed or answer.error is None):",
        new="if answer.is_member and answer.error is None:",
        tests=(
            "tests/test_loop.py::test_i8_a_partition_whose_commits_are_refused_does_not_stop_the_others",
        ),
    ),
    Mutant(
        name="a-refused-partition-is-asked-for-ever",
        breaks="I8",
        file="consumer/engine/claims.py",
        old="if name not in self._refused:",
        new="if name not in offsets:",
        tests=(
            "tests/test_loop_membership.py::test_i8_one_partition_whose_commits_are_refused_for_ever_stops_no_other",
        ),
    ),
    Mutant(
        name="a-refused-member-is-still-one",
        breaks="I5",
        file="consumer/engine/commits.py",
        old="""
        if not answer.is_member:
            self.lease.void(now)
        """,
        new="",
        tests=("tests/test_loop.py::test_i5_what_the_group_says_is_no_member_starts_nothing_more",),
    ),
    Mutant(
        name="a-drain-waits-for-what-can-not-start-before-the-session-is-known",
        breaks="I9",
        file="consumer/engine/drain.py",
        old="last = latest_start if lease.is_agreed else -math.inf",
        new="last = latest_start",
        tests=(
            "tests/test_loop_membership.py::test_i9_a_stop_before_the_session_is_known_waits_for_nothing",
        ),
    ),
    Mutant(
        name="a-commit-inside-a-callback-made-by-another-thread",
        breaks="I5",
        file="consumer/engine/drain.py",
        old="self._commits.commit_until(deadline, ledgers)",
        new="""
            commits, source = self._commits, self._commits._member
            late = commits._claims.some_of(commits._claims.to_commit())
            consume = source.consume

            def after_the_callback(*given):
                source.consume = consume
                if late:
                    source.commit(late)
                return consume(*given)

            if reason == "revoke":
                source.consume = after_the_callback
            else:
                commits.commit_until(deadline, ledgers)
        """,
        tests=("tests/test_loop.py::test_i5_a_drain_longer_than_the_lease_goes_on",),
    ),
    Mutant(
        name="a-drain-proves-no-membership",
        breaks="I9",
        file="consumer/engine/drain.py",
        old="is_member = is_member and self._commits.renew(now)",
        new="pass",
        tests=("tests/test_loop.py::test_i5_a_drain_longer_than_the_lease_goes_on",),
    ),
    Mutant(
        name="a-drain-that-is-fenced-lets-the-next-owner-begin-at-once",
        breaks="I5",
        file="consumer/engine/drain.py",
        old="is_member = is_member and self._commits.renew(now)",
        new="""
            if not self._commits.renew(now):
                return False
        """,
        tests=("tests/test_loop.py::test_i5_a_drain_that_is_fenced_waits_for_what_it_sent",),
    ),
    Mutant(
        name="carriers-get-no-lease",
        breaks="I5",
        file="consumer/engine/requests.py",
        old="self._carriers.send(attempt, self._lease.end)",
        new="self._carriers.send(attempt, 1e9)",
        tests=("tests/test_loop.py::test_i5_a_request_carries_the_end_of_the_lease",),
    ),
    # -- revokes and stops
    Mutant(
        name="a-revoke-commits-nothing",
        breaks="I9",
        file="consumer/engine/drain.py",
        old="self._commits.commit_until(deadline, ledgers)",
        new="pass",
        tests=("tests/test_loop.py::test_i5_a_drain_longer_than_the_lease_goes_on",),
    ),
    Mutant(
        name="drop-instead-of-release",
        breaks="I1",
        file="consumer/engine/drain.py",
        old="self._commits.commit_until(deadline, ledgers)",
        new="""
            self._pipeline._buffer.release({ledger.base for ledger in ledgers})
            self._commits.commit_until(deadline, ledgers)
        """,
    ),
    Mutant(
        name="what-was-lost-is-kept",
        breaks="I5",
        file="consumer/engine/loop.py",
        old="self._part_with(partitions, self.drain.release)",
        new="self._part_with(partitions, lambda _: None)",
    ),
    Mutant(
        name="a-request-starts-late-in-a-drain",
        breaks="I5",
        file="consumer/engine/drain.py",
        old="latest_start = deadline - self._request_timeout_seconds",
        new="latest_start = deadline",
        tests=(
            "tests/test_loop.py::test_a_drain_that_can_start_nothing_more_waits_for_answers_only",
        ),
    ),
    Mutant(
        name="a-drain-ignores-its-deadline",
        breaks="I9",
        file="consumer/engine/drain.py",
        old="""
            if now >= deadline:
                return is_member
        """,
        new="",
        tests=(
            "tests/test_loop.py::test_i9_a_drain_ends_by_its_deadline_though_dead_letters_are_not_acknowledged",
        ),
    ),
    Mutant(
        name="a-drain-ignores-echoes",
        breaks="I2",
        file="consumer/engine/drain.py",
        old="is_echoing = self._pipeline.is_echoing(ledgers, now)",
        new="is_echoing = False",
        tests=(
            "tests/test_loop.py::test_i2_a_drain_waits_until_a_lost_try_can_no_longer_be_applied",
        ),
    ),
    Mutant(
        name="a-drain-ignores-echoes-when-the-lease-is-over",
        breaks="I2",
        file="consumer/engine/drain.py",
        old="if not lease.is_proven(now) and not requests.in_flight and not is_echoing:",
        new="if not lease.is_proven(now) and not requests.in_flight:",
        tests=("tests/test_loop.py::test_i2_a_drain_waits_for_that_also_when_the_lease_is_over",),
    ),
    Mutant(
        name="a-drain-waits-for-nothing-on-its-way",
        breaks="I9",
        file="consumer/core/pipeline.py",
        old="if any(not bases.isdisjoint(batch.bases) for batch in self._attempts.in_flight):",
        new="if not bases:",
    ),
    Mutant(
        name="a-drain-sends-no-dead-letters",
        breaks="I9",
        file="consumer/engine/drain.py",
        old="""
            self._mailbox.turn(now)
            started = requests.dispatch(now, latest_start)
        """,
        new="started = requests.dispatch(now, latest_start)",
        tests=(
            "tests/test_loop.py::test_i11_a_drain_sends_the_dead_letters_of_what_was_refused_in_it",
        ),
    ),
    Mutant(
        name="dispatch-after-a-stop-was-asked-for",
        breaks="I9",
        file="consumer/engine/loop.py",
        old="if not self._stop.requested:  # what starts now must be over by the stop's deadline",
        new="if not self._stop.has_begun:",
        tests=(
            "tests/test_loop.py::test_nothing_starts_after_a_stop_was_asked_for_that_may_outlive_it",
        ),
    ),
    Mutant(
        name="a-second-drain-has-a-deadline-of-its-own",
        breaks="I9",
        file="consumer/engine/loop.py",
        old="deadline = min(deadline, self.drain.deadline, self._stop.deadline)",
        new="",
        tests=(
            "tests/test_loop.py::test_a_revoke_after_a_stop_was_asked_for_ends_by_the_stops_deadline",
        ),
    ),
    Mutant(
        name="a-stop-does-not-go-on-with-the-running-drain",
        breaks="I9",
        file="consumer/engine/loop.py",
        old="deadline = min(deadline, self.drain.deadline)",
        new="",
        tests=(
            "tests/test_loop.py::test_i9_a_stop_that_is_asked_for_in_a_drain_ends_by_that_drains_deadline",
        ),
    ),
    Mutant(
        name="a-stop-inside-a-drain-does-not-hurry-the-others",
        breaks="I9",
        file="consumer/engine/drain.py",
        old='self._pipeline.flush(list(self._pipeline.ledgers.values()), now, "shutdown")',
        new="",
        tests=(
            "tests/test_loop.py::test_i9_a_stop_that_is_asked_for_in_a_drain_begins_with_all_that_stays",
        ),
    ),
    Mutant(
        name="the-backlog-of-a-revoked-partition-is-kept",
        breaks="I1",
        file="consumer/engine/loop.py",
        old="""
        self._drop_backlog(partitions)
        end(self.assignment.take_away(partitions))
        """,
        new="end(self.assignment.take_away(partitions))",
        tests=(
            "tests/test_loop.py::test_i1_what_was_consumed_of_a_partition_that_goes_is_not_received_any_more",
        ),
    ),
    # -- a turn
    Mutant(
        name="answers-are-not-settled-before-the-callbacks",
        breaks="I9",
        file="consumer/engine/loop.py",
        old="""
            self.requests.settle(carriers.collect(BUSY_WAIT_SECONDS), self._ports.clock())
            wait = 0.0
        """,
        new="return carriers.collect(BUSY_WAIT_SECONDS), member.consume(CHUNK_RECORDS, 0.0)",
        tests=(
            "tests/test_loop.py::test_a_revoke_inside_consume_knows_the_answers_that_came_just_before",
        ),
    ),
    Mutant(
        name="dispatch-without-a-lease",
        breaks="I8",
        file="consumer/engine/requests.py",
        old="""
        if not self._lease.holds(now):
            return 0
        """,
        new="",
        tests=("tests/test_loop.py::test_i5_what_the_group_says_is_no_member_starts_nothing_more",),
    ),
    Mutant(
        name="a-marker-has-the-epoch-of-the-record-before",
        breaks="I1",
        file="consumer/core/ledger.py",
        old="self.gap += end - self.position",
        new="pass",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="a-marker-waits-for-an-epoch-that-nobody-tells",
        breaks="I8",
        file="consumer/core/ledger.py",
        old="if self.leader_epoch is not None:\n                self.gap",
        new="if True:\n                self.gap",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="a-leader-without-a-marker-tells-its-epoch",
        breaks="I1",
        file="consumer/engine/claims.py",
        old="elif end >= ledger.position:",
        new="else:",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="a-marker-is-of-whichever-leader",
        breaks="I1",
        file="consumer/engine/claims.py",
        old="if epoch not in {ledger.leader_epoch, ledger.reread_under}:",
        new="if epoch is None:",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="a-beginning-has-no-epoch",
        breaks="I1",
        file="consumer/core/positions.py",
        old="return going.leader_epoch if is_known else self.leader_epoch",
        new="return going.leader_epoch",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="a-commit-of-another-topic-stays-if-its-offset-is-the-same",
        breaks="I8",
        file="consumer/engine/starts.py",
        old="going.loss in {Loss.CUT_OFF, Loss.MADE_ANEW}",
        new="going.offset < (committed.offset or 0)",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="what-is-skipped-at-first-has-no-epoch",
        breaks="I1",
        file="consumer/engine/starts.py",
        old="Going(log.end, log.leader_epoch) if",
        new="Going(log.end) if",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="a-leader-of-before-tells-of-a-marker",
        breaks="I1",
        file="consumer/engine/claims.py",
        old="if epoch < (ledger.leader_epoch or 0):",
        new="if epoch is None:",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="a-marker-is-read-again-of-the-first-new-leader-only",
        breaks="I1",
        file="consumer/engine/claims.py",
        old="if epoch not in {ledger.leader_epoch, ledger.reread_under}:",
        new="if ledger.reread_under is None and epoch != ledger.leader_epoch:",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="a-marker-that-was-read-again-is-read-again",
        breaks="I8",
        file="consumer/engine/claims.py",
        old="ledger.reread_under = epoch",
        new="pass",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="a-marker-in-doubt-is-not-read-again",
        breaks="I8",
        file="consumer/engine/loop.py",
        old="[*self.assignment.made_anew(), *self.commits.take_doubtful()]",
        new="self.assignment.made_anew()",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="what-is-read-again-begins-behind-the-marker",
        breaks="I1",
        file="consumer/engine/assignment.py",
        old="self._pipeline.ledgers[name].undo_gap()",
        new="pass",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="an-epoch-that-is-learnt-is-not-committed",
        breaks="I8",
        file="consumer/engine/claims.py",
        old="ledger.leader_epoch, ledger.gap = epoch, 0",
        new="ledger.leader_epoch = epoch",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="what-is-not-read-after-a-pause-stays-unread",
        breaks="I1",
        file="consumer/engine/assignment.py",
        old="if to_resume and (unread := self._member.resume(to_resume)):",
        new="if to_resume and not (unread := self._member.resume(to_resume)):",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="a-gap-at-the-end-is-open",
        breaks="I1",
        file="consumer/engine/loop.py",
        old="ledger.pass_gap(end.offset())",
        new="pass",
    ),
    Mutant(
        name="dead-letter-settled-before-acknowledged",
        breaks="I11",
        file="consumer/engine/mailbox.py",
        old="dead_letters.popleft()",
        new="self._pipeline.acknowledged(dead_letters.popleft())",
        tests=(
            "tests/test_loop.py::test_i9_a_drain_ends_by_its_deadline_though_dead_letters_are_not_acknowledged",
        ),
    ),
    Mutant(
        name="a-dead-letter-that-failed-is-not-sent-again",
        breaks="I8",
        file="consumer/engine/mailbox.py",
        old="self._returned.append(dead_letter)",
        new="pass",
        tests=("tests/test_mailbox.py",),
    ),
    Mutant(
        name="dead-letters-that-failed-change-places",
        breaks="I2",
        file="consumer/engine/mailbox.py",
        old="dead_letters.extendleft(reversed(returned))",
        new="dead_letters.extendleft(returned)",
        tests=("tests/test_mailbox.py",),
    ),
    Mutant(
        name="a-dead-letter-that-failed-counts",
        breaks="I11",
        file="consumer/engine/mailbox.py",
        old="self._returned.append(dead_letter)",
        new="self._pipeline.acknowledged(dead_letter)",
        tests=("tests/test_mailbox.py",),
    ),
    # -- partitions that come
    Mutant(
        name="an-answer-of-another-assignment-is-taken",
        breaks="I1",
        file="consumer/engine/assignment.py",
        old="if question is None or question.number != found.number:",
        new="if question is None:",
        tests=(
            "tests/test_loop_positions.py::test_an_answer_to_a_question_of_before_is_passed_over",
        ),
    ),
    Mutant(
        name="reading-begins-before-the-brokers-have-said-where",
        breaks="nothing is lost",
        file="consumer/engine/assignment.py",
        old="self._await(partitions, None)",
        new="""
        self._await(partitions, None)
        self._member.start(dict.fromkeys(partitions, Going(0)), paused=False)
        """,
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="the-answer-to-a-commit-of-before-a-cut-counts",
        breaks="I1",
        file="consumer/engine/claims.py",
        old="if ledger is None or ledger.turns_back != turns_back:",
        new="if ledger is None:",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="all-partitions-are-one-commit",
        breaks="I8",
        file="consumer/engine/claims.py",
        old="if room <= 0:",
        new="if False:",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="what-is-skipped-of-a-topic-is-written-once-in-half-a-minute",
        breaks="nothing is skipped without a word",
        file="consumer/engine/starts.py",
        old="ranges[0],",
        new="topic,",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="what-latest-skips-at-a-start-is-a-lost-position",
        breaks="I8",
        file="consumer/engine/starts.py",
        old='self._pipeline.tally.add("starts_at_end_total", topic)',
        new="pass",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="metadata-that-is-too-long-is-sent-again",
        breaks="I8",
        file="consumer/engine/claims.py",
        old="if answer.too_long:",
        new="if False:",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="nobody-looks-at-the-topics-ids",
        breaks="nothing is lost",
        file="consumer/engine/loop.py",
        old="[*self.assignment.made_anew(), *self.commits.take_doubtful()]",
        new="self.commits.take_doubtful()",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="what-was-consumed-before-a-position-was-lost-is-received-after",
        breaks="I1",
        file="consumer/engine/loop.py",
        old="self._drop_backlog(names)",
        new="pass",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="latest-skips-without-a-word",
        breaks="I8",
        file="consumer/engine/starts.py",
        old="if log.end > log.first:",
        new="if False:",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="not-all-that-is-skipped-is-told",
        breaks="I8",
        file="consumer/engine/starts.py",
        old="shown = ranges if is_skipped else ranges[:SHOWN_PARTITIONS]",
        new="shown = ranges[:SHOWN_PARTITIONS]",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="latest-skips-what-a-topic-made-anew-has",
        breaks="nothing is lost",
        file="consumer/engine/starts.py",
        old="start is Start.END and not is_anew",
        new="start is Start.END",
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="a-second-loss-is-a-repetition",
        breaks="I8",
        file="consumer/engine/starts.py",
        old='f"{topic}:{partition}:{position}",',
        new='f"{topic}:{partition}",',
        tests=("tests/test_loop_positions.py",),
    ),
    Mutant(
        name="pause-forgotten-on-assign",
        breaks="I7",
        file="consumer/engine/assignment.py",
        old="self._member.start(positions, paused=not self.fetching)",
        new="self._member.start(positions, paused=False)",
        tests=(
            "tests/test_loop.py::test_i7_a_partition_that_is_assigned_while_reading_is_paused_is_not_read_yet",
        ),
    ),
    Mutant(
        name="a-new-partition-stays-paused",
        breaks="I7",
        file="consumer/engine/assignment.py",
        old="self._is_paused |= positions.keys()",
        new="pass",
        tests=(
            "tests/test_loop.py::test_i7_a_partition_that_is_assigned_while_reading_is_paused_is_read_when_it_no_longer_is",
            "tests/test_loop.py::test_i7_a_partition_that_goes_on_while_reading_is_paused_is_read_when_it_no_longer_is",
        ),
    ),
    Mutant(
        name="a-full-buffer-pauses-nothing",
        breaks="I7",
        file="consumer/engine/assignment.py",
        old="wanted = self._resting.keys() & reading if self.fetching else set(reading)",
        new="wanted = set()",
        tests=(
            "tests/test_loop.py::test_i7_a_buffer_that_stays_full_pauses_reading_until_there_is_more_room",
        ),
    ),
    Mutant(
        name="a-moment-without-room-throws-the-prefetch-away",
        breaks="no byte is fetched over and over",
        file="consumer/engine/assignment.py",
        old="PAUSE_AFTER_SECONDS = 0.5",
        new="PAUSE_AFTER_SECONDS = 0.0",
        tests=(
            "tests/test_loop.py::test_a_buffer_that_is_full_for_a_moment_throws_nothing_away_that_was_fetched_ahead",
        ),
    ),
    Mutant(
        name="a-topic-made-anew-goes-on-in-the-old-account",
        breaks="I1",
        file="consumer/engine/starts.py",
        old="ledger.go_back(going.offset)",
        new="ledger.position = going.offset",
        tests=(
            "tests/test_loop.py::test_i1_of_a_topic_made_anew_nothing_is_committed_before_the_old_one_is_delivered",
        ),
    ),
)
