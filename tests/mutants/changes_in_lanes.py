"""Wrong changes to what waits in a lane, to what leaves it, and to how records get into it."""

from tests.mutants.mutant import Mutant

LANES: tuple[Mutant, ...] = (
    # -- who has to wait, and until when
    Mutant(
        name="an-echo-that-is-over-is-not-a-landing",
        breaks="I4",
        file="consumer/core/lanes.py",
        old="self.landings += len(self.echoes) - len(remaining)",
        new="pass",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="an-open-batch-that-had-to-wait-once-is-passed-over",
        breaks="I4",
        file="consumer/core/leaving.py",
        old="if batch.blocked_at == lane.landings and not batch.is_open:",
        new="if batch.blocked_at == lane.landings:",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="what-had-to-wait-once-is-never-looked-at-again",
        breaks="I4",
        file="consumer/core/leaving.py",
        old="if batch.blocked_at == lane.landings and not batch.is_open:",
        new="if batch.blocked_at >= 0 and not batch.is_open:",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="what-was-kept-by-an-id-is-kept-without-it",
        breaks="I4",
        file="consumer/core/buffer.py",
        old="            batch.blocked_at = -1",
        new="            pass",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="what-was-kept-by-an-id-waits-for-anothers-turn",
        breaks="I4",
        file="consumer/core/buffer.py",
        old="            batch.blocked_at = -1\n            self.turns.enqueue(lane)",
        new="            batch.blocked_at = -1",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-backoff-that-is-over-wakes-nobody",
        breaks="I4",
        file="consumer/core/lanes.py",
        old="times += [each.not_before for each in self.backlog.tried() if each.not_before > now]",
        new="pass",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-linger-that-is-over-wakes-nobody",
        breaks="I4",
        file="consumer/core/lanes.py",
        old="times += [batch.due_at for batch in self.open_batches() if batch.due_at > now]",
        new="pass",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-lanes-backoff-that-is-over-wakes-nobody",
        breaks="I4",
        file="consumer/core/lanes.py",
        old="times.append(self.waits_until())",
        new="pass",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-released-attempt-wakes-nobody",
        breaks="I4",
        file="consumer/core/buffer.py",
        old="self.turns.enqueue(lane)  # what they stood in the way of may leave now",
        new="pass",
        tests=("tests/test_lanes.py",),
    ),
    # -- what a batch is cut from
    Mutant(
        name="a-cut-beyond-the-limit",
        breaks="I3",
        file="consumer/core/leaving.py",
        old="share = names if len(names) <= room else tuple(names)[:room]",
        new="shares.append((batch, names))",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-cut-takes-what-is-not-due-alone",
        breaks="I4",
        file="consumer/core/leaving.py",
        old="if not room or (not shares and batch.is_open and batch.due_at > now):",
        new="if not room:",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-cut-is-not-filled-up-from-the-open-batch",
        breaks="I4",
        file="consumer/core/lanes.py",
        old="""
        yield from self.backlog.fresh(action)
        open_batch = self.add if action == "add" else self.remove
        if open_batch is not None:
""",
        new="""
        yield from self.backlog.fresh(action)
        open_batch = self.add if action == "add" else self.remove
        if open_batch is not None and not self.backlog.fresh(action):
""",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="what-has-to-wait-shortens-the-linger-of-what-comes-next",
        breaks="I4",
        file="consumer/core/leaving.py",
        old="lane.close(left)  # what stands in its way is not its successors' to wait for",
        new="pass",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="fresh-ones-leave-with-what-was-tried",
        breaks="what fails holds up one batch",
        file="consumer/core/leaving.py",
        old="for other in list(lane.backlog.tried()) if batch.is_joinable() else ():",
        new="for other in list(lane.backlog.batches()) if batch.is_joinable() else ():",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="what-came-back-leaves-with-the-opposite",
        breaks="I3",
        file="consumer/core/leaving.py",
        old="is_alike = other.action == batch.action and other.is_joinable()",
        new="is_alike = other.is_joinable()",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="what-came-back-leaves-with-a-split-one",
        breaks="I12",
        file="consumer/core/leaving.py",
        old="is_alike = other.action == batch.action and other.is_joinable()",
        new="is_alike = other.action == batch.action",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-split-one-takes-along-what-came-back",
        breaks="I12",
        file="consumer/core/leaving.py",
        old="for other in list(lane.backlog.tried()) if batch.is_joinable() else ():",
        new="for other in list(lane.backlog.tried()):",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="what-came-back-leaves-beyond-the-limit",
        breaks="I3",
        file="consumer/core/leaving.py",
        old="has_room = len(batch.ids) + len(other.ids) <= max_ids",
        new="has_room = len(batch.ids) < max_ids",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="what-came-back-leaves-batch-by-batch",
        breaks="I4",
        file="consumer/core/leaving.py",
        old="if is_alike and has_room and other.ids:",
        new="if False:",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="the-newest-of-a-lane-leaves-first",
        breaks="I4",
        file="consumer/core/leaving.py",
        old="due = sorted(_due(lane, now), key=_opened_at)",
        new="due = sorted(_due(lane, now), key=_opened_at, reverse=True)",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-failing-lane-has-several-tries-in-flight",
        breaks="backoff",
        file="consumer/core/leaving.py",
        old="if lane.waits_until() > now or (lane.is_failing() and lane.in_flight):",
        new="if lane.waits_until() > now:",
        tests=("tests/test_lanes.py",),
    ),
    # -- the last word
    Mutant(
        name="superseded-stays-in-a-batch-that-was-not-tried",
        breaks="I2",
        file="consumer/core/buffer.py",
        old="""
        del batch.ids[name]
        if not batch.is_open:
            self._shrink
""",
        new="""
        if not batch.is_open and not batch.is_tried:
            return
        del batch.ids[name]
        if not batch.is_open:
            self._shrink
""",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="superseded-stays-in-a-batch-that-was-tried",
        breaks="I2",
        file="consumer/core/buffer.py",
        old="""
        del batch.ids[name]
        if not batch.is_open:
            self._shrink
""",
        new="""
        if batch.is_tried:
            return
        del batch.ids[name]
        if not batch.is_open:
            self._shrink
""",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-list-leaves-superseded-ids-in-an-open-batch",
        breaks="I2",
        file="consumer/core/buffer.py",
        old="""
        del batch.ids[name]
        if not batch.is_open:
            self._shrink
""",
        new="""
        if batch.is_open:
            return
        del batch.ids[name]
        if not batch.is_open:
            self._shrink
""",
        tests=(
            "tests/test_lanes.py",
            "tests/test_intake.py",
        ),
    ),
    Mutant(
        name="what-came-back-keeps-what-is-superseded",
        breaks="I2",
        file="consumer/core/buffer.py",
        old="""
                    del batch.ids[name]
                    self.settle_ids(batch.action, "superseded", 1)
""",
        new="pass",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="what-came-back-keeps-what-was-repeated",
        breaks="an id waits once",
        file="consumer/core/buffer.py",
        old="""
                    self.take_out(newer, name)
                    self.settle_ids(batch.action, "duplicate", 1)
""",
        new="pass",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="what-came-back-is-compared-with-open-batches-alone",
        breaks="I2",
        file="consumer/core/buffer.py",
        old="if lane.add is not None or lane.remove is not None or lane.backlog.count:",
        new="if lane.add is not None or lane.remove is not None:",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="what-came-back-counts-as-superseded-by-a-repeat",
        breaks="I6",
        file="consumer/core/buffer.py",
        old='self.settle_ids(batch.action, "duplicate", 1)',
        new='self.settle_ids(batch.action, "superseded", 1)',
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-list-overlooks-what-waits-in-the-backlog",
        breaks="I2",
        file="consumer/core/lanes.py",
        old="not self.backlog.count or self.backlog.known.keys().isdisjoint(names)",
        new="True",
        tests=(
            "tests/test_lanes.py",
            "tests/test_intake.py",
        ),
    ),
    Mutant(
        name="a-list-overlooks-the-opposite-batch",
        breaks="I2",
        file="consumer/core/lanes.py",
        old="(opposite is None or opposite.ids.keys().isdisjoint(names))",
        new="True",
        tests=(
            "tests/test_lanes.py",
            "tests/test_intake.py",
        ),
    ),
    Mutant(
        name="a-list-fills-a-batch-and-leaves-it-open",
        breaks="I3",
        file="consumer/core/arrivals.py",
        old="if len(names) >= room:",
        new="if len(names) > room:",
        tests=(
            "tests/test_pipeline.py",
            "tests/test_intake.py",
        ),
    ),
    Mutant(
        name="a-list-has-one-id-too-many",
        breaks="I3",
        file="consumer/core/arrivals.py",
        old="if len(batch.ids) >= self._rules.batch_max_ids:",
        new="if len(batch.ids) > self._rules.batch_max_ids:",
        tests=(
            "tests/test_pipeline.py",
            "tests/test_intake.py",
        ),
    ),
    Mutant(
        name="a-list-that-fills-a-batch-repeats-what-is-in-it",
        breaks="an id waits once",
        file="consumer/core/arrivals.py",
        old=" or not batch.ids.keys().isdisjoint(names):",
        new=":",
        tests=("tests/test_intake.py",),
    ),
    Mutant(
        name="a-list-repeats-itself-in-the-next-batch",
        breaks="an id waits once",
        file="consumer/core/arrivals.py",
        old="if len(set(names)) < len(names) or ",
        new="if ",
        tests=("tests/test_intake.py",),
    ),
    Mutant(
        name="a-list-fills-batches-without-a-hold",
        breaks="I1",
        file="consumer/core/arrivals.py",
        old="""
            note(batch, ledger, message, now)
            part = names""",
        new="part = names",
        tests=("tests/test_intake.py",),
    ),
    Mutant(
        name="a-list-arrives-without-a-hold",
        breaks="I1",
        file="consumer/core/arrivals.py",
        old="""
        if batch.latest is not ledger:
            note(batch, ledger, message, now)
""",
        new="pass",
        tests=("tests/test_intake.py",),
    ),
    Mutant(
        name="a-repeat-in-a-list-is-of-its-last-partition",
        breaks="I1",
        file="consumer/core/arrivals.py",
        old="keep(name, origin)",
        new="batch.ids[name] = origin",
        tests=("tests/test_intake.py",),
    ),
    Mutant(
        name="what-repeats-in-a-list-is-held-twice",
        breaks="I6",
        file="consumer/core/arrivals.py",
        old="return len(batch.ids) - had",
        new="return len(names)",
        tests=("tests/test_intake.py",),
    ),
    Mutant(
        name="an-escape-in-a-list-may-be-anything",
        breaks="an id has 150 bytes",
        file="consumer/core/arrivals.py",
        old="value.isascii() and _BACKSLASH not in value",
        new="value.isascii()",
        tests=("tests/test_intake.py",),
    ),
    Mutant(
        name="a-list-arrives-in-what-is-no-utf-8",
        breaks="an event is valid as a whole",
        file="consumer/core/arrivals.py",
        old="value.isascii() and _BACKSLASH not in value",
        new="_BACKSLASH not in value",
        tests=("tests/test_intake.py",),
    ),
    Mutant(
        name="a-list-of-addresses-arrives-as-it-is",
        breaks="I2",
        file="consumer/core/arrivals.py",
        old=" or is_email:",
        new=":",
        tests=("tests/test_intake.py",),
    ),
    Mutant(
        name="a-lane-is-not-looked-at-when-an-answer-came",
        breaks="I8",
        file="consumer/core/lanes.py",
        old="self.backlog.count > 0",
        new="False",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="an-empty-lane-is-kept-for-its-linger",
        breaks="I7",
        file="consumer/core/lanes.py",
        old="return at < math.inf and is_early and not self.is_idle()",
        new="return at < math.inf and is_early",
        tests=("tests/test_memory_over_hours.py",),
    ),
    Mutant(
        name="any-timer-is-early-enough",
        breaks="I4",
        file="consumer/core/lanes.py",
        old="return at < math.inf and is_early and not self.is_idle()",
        new="return at < math.inf and not self.is_idle()",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-lane-has-no-timer-once-something-left",
        breaks="I4",
        file="consumer/core/buffer.py",
        old="elif not lane.turn and not lane.has_its_timer():",
        new="elif False:",
        tests=("tests/test_pipeline.py",),
    ),
    # -- where an id is
    Mutant(
        name="the-index-keeps-what-was-dropped",
        breaks="I2",
        file="consumer/core/backlog.py",
        old="del self._places[name]",
        new="pass",
        tests=("tests/test_backlog.py",),
    ),
    Mutant(
        name="the-index-misses-what-came-later",
        breaks="I2",
        file="consumer/core/backlog.py",
        old="self._places.update(dict.fromkeys(batch.ids, batch))",
        new="pass",
        tests=("tests/test_backlog.py",),
    ),
    Mutant(
        name="the-index-is-made-of-what-was-tried-alone",
        breaks="I2",
        file="consumer/core/backlog.py",
        old="self._places = {name: batch for batch in self.batches() for name in batch.ids}",
        new="self._places = {name: batch for batch in self._tried for name in batch.ids}",
        tests=("tests/test_backlog.py",),
    ),
    Mutant(
        name="the-only-batch-of-a-backlog-is-not-searched",
        breaks="I2",
        file="consumer/core/backlog.py",
        old="self.known = next((batch.ids for batch in self.batches()), NOWHERE)",
        new="self.known = NOWHERE",
        tests=("tests/test_backlog.py",),
    ),
    Mutant(
        name="what-left-the-backlog-counts-as-waiting",
        breaks="I6",
        file="consumer/core/backlog.py",
        old="self.ids -= len(names)",
        new="pass",
        tests=("tests/test_backlog.py",),
    ),
    Mutant(
        name="what-entered-the-backlog-is-not-counted",
        breaks="I6",
        file="consumer/core/backlog.py",
        old="self.ids += len(batch.ids)",
        new="pass",
        tests=("tests/test_backlog.py",),
    ),
    Mutant(
        name="a-batch-that-left-the-backlog-counts-as-waiting",
        breaks="I8",
        file="consumer/core/backlog.py",
        old="self.count -= 1",
        new="pass",
        tests=("tests/test_backlog.py",),
    ),
    Mutant(
        name="a-released-id-stays-in-the-index",
        breaks="I2",
        file="consumer/core/buffer.py",
        old="self._shrink(batch, gone)",
        new="pass",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-superseded-id-stays-in-the-index",
        breaks="I2",
        file="consumer/core/buffer.py",
        old="self._shrink(batch, (name,))",
        new="pass",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="an-id-that-was-cut-stays-in-the-index",
        breaks="I2",
        file="consumer/core/leaving.py",
        old="lane.backlog.dropped(those)",
        new="pass",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="an-id-that-left-with-its-like-stays-in-the-index",
        breaks="I2",
        file="consumer/core/leaving.py",
        old="lane.backlog.dropped(other.ids)",
        new="pass",
        tests=("tests/test_lanes.py",),
    ),
    # -- what the ledgers wait for
    Mutant(
        name="a-repeat-of-what-waits-without-a-hold",
        breaks="I1",
        file="consumer/core/intake.py",
        old="""
                    note(waiting, ledger, message, now)
                    duplicate_adds += is_add
""",
        new="duplicate_adds += is_add",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-lists-repeat-of-what-waits-without-a-hold",
        breaks="I1",
        file="consumer/core/arrivals.py",
        old="""
                note(waiting, ledger, message, now)
                duplicate += 1
""",
        new="duplicate += 1",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="no-ledger-waits-for-what-another-batch-took-over",
        breaks="I1",
        file="consumer/core/lanes.py",
        old="source.carriers += (self,)",
        new="pass",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-batch-takes-ids-over-without-their-ledgers",
        breaks="I9",
        file="consumer/core/lanes.py",
        old="for base, hold in other.bases.items():",
        new="for base, hold in ():",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-batch-is-over-though-another-carries-its-ids",
        breaks="I1",
        file="consumer/core/lanes.py",
        old="return self.settled and not self.carriers",
        new="return self.settled",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-batch-that-others-emptied-is-kept",
        breaks="I8",
        file="consumer/core/buffer.py",
        old="self.finish(batch)  # if nothing is left of it",
        new="pass",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-batch-that-newer-changes-emptied-is-kept",
        breaks="I8",
        file="consumer/core/buffer.py",
        old="""
            self._shrink(batch, (name,))
            self.finish(batch)
""",
        new="self._shrink(batch, (name,))",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="what-newer-changes-emptied-comes-back",
        breaks="I8",
        file="consumer/core/buffer.py",
        old="""
        if not self.finish(batch):
            lane.put_back(batch)
""",
        new="""
        self.finish(batch)
        if True:
            lane.put_back(batch)
""",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="what-waits-for-its-dead-letters-is-sent",
        breaks="no request is empty",
        file="consumer/core/leaving.py",
        old="if batch.ids and batch.not_before <= now:",
        new="if batch.not_before <= now:",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-batch-knows-the-last-of-its-ledgers-alone",
        breaks="I9",
        file="consumer/core/arrivals.py",
        old="batch.bases[ledger.base] = ledger.hold(message.offset(), batch, now, first_ms)",
        new="batch.bases = {ledger.base: ledger.hold(message.offset(), batch, now, first_ms)}",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="a-released-attempt-stays-in-flight",
        breaks="I4",
        file="consumer/core/lanes.py",
        old="""
        self.land(batch)
        self.backlog.take(batch)
""",
        new="self.backlog.take(batch)",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="a-settled-batch-stays-in-the-backlog",
        breaks="I8",
        file="consumer/core/lanes.py",
        old="""
        self.land(batch)
        self.backlog.take(batch)
""",
        new="self.land(batch)",
        tests=("tests/test_lanes.py",),
    ),
    Mutant(
        name="what-a-repeat-came-with-is-forgotten",
        breaks="I1",
        file="consumer/core/buffer.py",
        old="batch.vouch_for(newer)",
        new="pass",
        tests=("tests/test_lanes.py",),
    ),
    # -- records
    Mutant(
        name="a-run-ends-where-it-began",
        breaks="I1",
        file="consumer/core/intake.py",
        old="""_end_run(messages, taken - 1, ledger)
                topic, partition =""",
        new="topic, partition =",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="the-last-run-has-no-end",
        breaks="I1",
        file="consumer/core/intake.py",
        old="_end_run(messages, taken, ledger)",
        new="pass",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="a-text-is-the-segment-of-another",
        breaks="I3",
        file="consumer/core/arrivals.py",
        old="self._segment_ids.get(segment_id) or self._remember(segment_id)",
        new="self._segment_ids.get(segment_id[:1]) or self._remember(segment_id)",
        tests=("tests/test_intake.py",),
    ),
    Mutant(
        name="the-texts-of-segments-pile-up",
        breaks="I7",
        file="consumer/core/arrivals.py",
        old="if len(self._segment_ids) >= MAX_SEGMENT_TEXTS:",
        new="if False:",
        tests=("tests/test_intake.py",),
    ),
    Mutant(
        name="what-is-no-utf-8-is-read",
        breaks="an event is valid as a whole",
        file="consumer/core/intake.py",
        old="if event.ids is unset and value.isascii():",
        new="if event.ids is unset and value:",
        tests=("tests/test_intake.py",),
    ),
    Mutant(
        name="a-list-in-what-is-no-utf-8-is-read",
        breaks="an event is valid as a whole",
        file="consumer/core/close_look.py",
        old="if event and value.isascii() else None",
        new="if event and value else None",
        tests=("tests/test_intake.py",),
    ),
    Mutant(
        name="an-escaped-id-is-measured-in-characters",
        breaks="an id has 150 bytes",
        file="consumer/core/intake.py",
        old="if name.isascii():",
        new="if name is not _NOT_ASCII:",
        tests=("tests/test_intake.py",),
    ),
    Mutant(
        name="a-list-of-escaped-ids-is-measured-in-characters",
        breaks="an id has 150 bytes",
        file="consumer/core/decoder.py",
        old=' or not "".join(event.ids).isascii():',
        new=":",
        tests=("tests/test_intake.py",),
    ),
    Mutant(
        name="an-address-keeps-its-case",
        breaks="I2",
        file="consumer/core/intake.py",
        old='name = name.lower() if "@" in name else _NOT_ASCII',
        new='name = name if "@" in name else _NOT_ASCII',
        tests=("tests/test_intake.py",),
    ),
    Mutant(
        name="a-list-of-addresses-keeps-its-case",
        breaks="I2",
        file="consumer/core/decoder.py",
        old="names = [name.lower() for name in event.ids]",
        new="names = list(event.ids)",
        tests=("tests/test_intake.py",),
    ),
    Mutant(
        name="an-address-has-no-at",
        breaks="an address has an @",
        file="consumer/core/intake.py",
        old='name = name.lower() if "@" in name else _NOT_ASCII',
        new="name = name.lower()",
        tests=("tests/test_intake.py",),
    ),
    Mutant(
        name="a-list-of-addresses-has-no-at",
        breaks="an address has an @",
        file="consumer/core/decoder.py",
        old='return names if all("@" in name for name in names) else None',
        new="return names",
        tests=("tests/test_intake.py",),
    ),
    Mutant(
        name="a-list-wins-over-an-id",
        breaks="an event has id or ids",
        file="consumer/core/decoder.py",
        old="if event.ids is UNSET or event.id is not UNSET or",
        new="if event.ids is UNSET or",
        tests=("tests/test_intake.py",),
    ),
)
