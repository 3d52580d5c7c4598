"""Wrong changes to how schemas are waited for, asked for, and decoded with."""

from tests.mutants.mutant import Mutant

_INTAKE = "consumer/core/intake.py"
_LOOP = "consumer/engine/loop.py"
_WATCH = "consumer/engine/schemas.py"
_ASSIGNMENT = "consumer/engine/assignment.py"
_INQUIRIES = "consumer/core/schemas/inquiries.py"
_REGISTRY = "consumer/registry/registry.py"
_OF_INTAKE = ("tests/test_intake_schemas.py",)
_OF_LOOP = ("tests/test_loop_schemas.py",)
_OF_INQUIRIES = ("tests/test_inquiries.py",)

SCHEMAS: tuple[Mutant, ...] = (
    # -- a record that can't be read yet
    Mutant(
        name="what-came-before-a-record-that-waits-is-not-noted",
        breaks="nothing is taken in twice",
        file=_INTAKE,
        old="""                    if taken - 1 > began:
                        _end_run(messages, taken - 1, ledger)
""",
        new="",
        tests=_OF_INTAKE,
    ),
    Mutant(
        name="a-record-that-waits-notes-what-another-partition-came-to",
        breaks="I1",
        file=_INTAKE,
        old="if taken - 1 > began:",
        new="if taken - 1 > first:",
        tests=_OF_INTAKE,
    ),
    Mutant(
        name="what-is-behind-a-record-that-waits-is-taken-in-later",
        breaks="I1",
        file=_INTAKE,
        old="if awaited and (topic, partition) in awaited:",
        new="if not awaited:",
        tests=_OF_INTAKE,
    ),
    Mutant(
        name="a-record-that-waits-counts-as-accepted",
        breaks="I6",
        file=_INTAKE,
        old="""                    others += 1
                    awaited[topic, partition]""",
        new="""                    awaited[topic, partition]""",
        tests=_OF_INTAKE,
    ),
    Mutant(
        name="the-end-of-a-partition-that-waits-is-passed",
        breaks="I1",
        file=_LOOP,
        old="if ledger is not None and _name(end) not in self._pipeline.awaited:",
        new="if ledger is not None:",
        tests=_OF_LOOP,
    ),
    Mutant(
        name="what-was-consumed-of-one-that-waits-is-kept",
        breaks="offsets arrive in order",
        file=_LOOP,
        old="self._drop_backlog(self._schemas.turn(now))",
        new="self._schemas.turn(now)",
        tests=_OF_LOOP,
    ),
    Mutant(
        name="one-that-is-forgotten-goes-on-waiting",
        breaks="a pause never outlives its assignment",
        file="consumer/core/pipeline.py",
        old="            self.awaited.pop((ledger.topic, ledger.partition), None)\n",
        new="",
        tests=_OF_LOOP,
    ),
    # -- the partition is held back, and read again
    Mutant(
        name="one-that-waits-is-read-on",
        breaks="a partition that waits is paused",
        file=_WATCH,
        old="self._assignment.hold_back(awaited)",
        new="pass",
        tests=_OF_LOOP,
    ),
    Mutant(
        name="one-that-waits-is-resumed-with-the-others",
        breaks="a partition that waits is paused",
        file=_ASSIGNMENT,
        old="            self._resting.update(dict.fromkeys(held_back, math.inf))\n",
        new="",
        tests=_OF_LOOP,
    ),
    Mutant(
        name="one-that-goes-on-rests",
        breaks="a pause never outlives its reason",
        file=_ASSIGNMENT,
        old="""        for name in names:
            self._resting.pop(name, None)
""",
        new="",
        tests=_OF_LOOP,
    ),
    Mutant(
        name="one-whose-position-is-lost-waits-on",
        breaks="a pause never outlives its reason",
        file=_ASSIGNMENT,
        old="if self._pipeline.awaited.pop(name, None) is not None:",
        new="if False:",
        tests=_OF_LOOP,
    ),
    Mutant(
        name="one-that-waits-is-held-back-once-only",
        breaks="a partition that waits is paused",
        file=_ASSIGNMENT,
        old="held_back = {name for name in names if self._resting.get(name) != math.inf}",
        new="held_back = {name for name in names if name not in self._resting}",
        tests=_OF_LOOP,
    ),
    Mutant(
        name="one-that-waits-is-told-as-stalled",
        breaks="I8",
        file="consumer/engine/stalls.py",
        old="            and name not in awaited\n",
        new="",
        tests=_OF_LOOP,
    ),
    Mutant(
        name="a-registry-that-fails-stops-all-requests",
        breaks="a partition waits alone",
        file="consumer/core/throttle.py",
        old="        HoldReason.SCHEMA_REGISTRY_UNAVAILABLE,  #",
        new="        #",
        tests=_OF_LOOP,
    ),
    # -- what is asked for
    Mutant(
        name="a-failure-is-asked-about-as-often-as-a-success",
        breaks="while it fails, one is asked for at a time",
        file=_INQUIRIES,
        old="(1 if self.trouble(now) else AT_ONCE)",
        new="AT_ONCE",
        tests=_OF_INQUIRIES,
    ),
    Mutant(
        name="a-success-leaves-the-others-to-their-pauses",
        breaks="a success has all others asked for at once",
        file=_INQUIRIES,
        old="            each.not_before = -math.inf\n",
        new="            pass\n",
        tests=_OF_INQUIRIES,
    ),
    Mutant(
        name="a-registry-that-knows-nothing-is-believed",
        breaks="I10",
        file=_INQUIRIES,
        old="if self._has_found and now - since >= NOT_THERE_SECONDS:",
        new="if now - since >= NOT_THERE_SECONDS:",
        tests=_OF_INQUIRIES,
    ),
    Mutant(
        name="what-is-not-there-is-malformed-at-once",
        breaks="not there is tried for a minute",
        file=_INQUIRIES,
        old="if self._has_found and now - since >= NOT_THERE_SECONDS:",
        new="if self._has_found:",
        tests=_OF_INQUIRIES,
    ),
    Mutant(
        name="a-verdict-is-for-ever",
        breaks="a minute later it is asked for once more",
        file=_INQUIRIES,
        old="if now - since < VERDICT_SECONDS and",
        new="if",
        tests=_OF_INQUIRIES,
    ),
    Mutant(
        name="a-verdict-takes-a-schema-with-it",
        breaks="what came is kept for ever",
        file=_INQUIRIES,
        old="        self._verdicts.pop(prefix, None)\n",
        new="",
        tests=_OF_INQUIRIES,
    ),
    Mutant(
        name="what-is-needed-again-is-asked-for-again",
        breaks="asked for once",
        file=_INQUIRIES,
        old="_Inquiry(asked_at=now if prefix in self._unanswered else math.inf)",
        new="_Inquiry()",
        tests=_OF_INQUIRIES,
    ),
    Mutant(
        name="a-minute-long-ago-counts",
        breaks="not there is tried for a minute",
        file=_INQUIRIES,
        old="            self._not_there_since.pop(prefix, None)\n        new",
        new="            pass\n        new",
        tests=_OF_INQUIRIES,
    ),
    Mutant(
        name="one-that-does-not-answer-is-waited-for-in-silence",
        breaks="I8",
        file=_INQUIRIES,
        old="elif now - each.asked_at >= OVERDUE_SECONDS:",
        new="elif now < each.asked_at < math.inf:",
        tests=_OF_INQUIRIES,
    ),
    # -- what is decoded
    Mutant(
        name="what-is-behind-an-avro-value-is-passed-over",
        breaks="a value that its schema doesn't fit is malformed",
        file="consumer/core/schemas/avro.py",
        old="""        if stream.read(1):
            raise UnfitError
        return found
""",
        new="""        return found
""",
        tests=("tests/test_avro.py",),
    ),
    Mutant(
        name="message-indexes-count-the-entries-of-maps",
        breaks="message indexes are honoured",
        file="consumer/core/schemas/protobuf.py",
        old=" if not each.GetOptions().map_entry]",
        new="]",
        tests=("tests/test_protobuf.py",),
    ),
    Mutant(
        name="the-header-counts-after-the-value",
        breaks="the header counts first",
        file="consumer/core/schemas/framing.py",
        old="        if given:\n",
        new="        if given and value[:1] not in {b'\\0', b'\\1'}:\n",
        tests=("tests/test_framing.py",),
    ),
    # -- the registry
    Mutant(
        name="the-url-that-is-down-is-asked-first-each-time",
        breaks="the one that answered last is asked first",
        file=_REGISTRY,
        old="                    self._access.sort(key=lambda each: each is not access)\n",
        new="",
        tests=("tests/test_registry.py",),
    ),
    Mutant(
        name="certificates-are-those-of-the-start",
        breaks="what rotates is taken up without a restart",
        file=_REGISTRY,
        old="            self._clients.pop(access).close()\n        return found",
        new="            pass\n        return found",
        tests=("tests/test_registry.py",),
    ),
)
