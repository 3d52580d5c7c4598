"""Wrong changes to how the intake takes in what a mapping read, and to what an event may be."""

from tests.mutants.mutant import Mutant

_INTAKE = "consumer/core/intake.py"
_CLOSE_LOOK = "consumer/core/close_look.py"
_TESTS = ("tests/test_mapped_intake.py",)
_REPLAY = "tests/test_replay.py::"
_OF_REPLAYS = (
    f"{_REPLAY}test_a_malformed_record_is_read_by_the_mapping_as_it_was_in_its_source",
    f"{_REPLAY}test_refused_ids_are_an_event_whatever_the_mapping_reads",
    f"{_REPLAY}test_a_malformed_record_without_a_value_is_read_and_one_that_lost_it_is_not",
)
_OF_EVENTS = ("tests/test_events.py",)

READING: tuple[Mutant, ...] = (
    # -- what is ignored, and what has no value
    Mutant(
        name="what-is-ignored-ends-the-row",
        breaks="I10",
        file=_INTAKE,
        old="ignored += 1",
        new="unreadable, ignored = 0, ignored + 1",
        tests=_TESTS,
    ),
    Mutant(
        name="what-is-ignored-grows-the-row",
        breaks="what is ignored concerns nobody",
        file=_INTAKE,
        old="ignored += 1",
        new="unreadable, ignored = unreadable + 1, ignored + 1",
        tests=_TESTS,
    ),
    Mutant(
        name="what-is-ignored-is-not-counted",
        breaks="every record is counted",
        file=_INTAKE,
        old="ignored += 1",
        new="ignored = 0",
        tests=_TESTS,
    ),
    Mutant(
        name="a-tombstone-counts-as-ignored",
        breaks="a tombstone is counted as one",
        file=_INTAKE,
        old="elif type(reading) is Ignored and value is not None:",
        new="elif type(reading) is Ignored:",
        tests=_TESTS,
    ),
    # -- several changes of one record
    Mutant(
        name="the-changes-of-a-record-count-backwards",
        breaks="I2",
        file=_CLOSE_LOOK,
        old="for change in changes:",
        new="for change in reversed(changes):",
        tests=_TESTS,
    ),
    Mutant(
        name="only-the-first-change-of-a-record-counts",
        breaks="I1",
        file=_CLOSE_LOOK,
        old="for change in changes:",
        new="for change in changes[:1]:",
    ),
    Mutant(
        name="what-cannot-be-read-of-a-record-is-lost",
        breaks="I11",
        file=_CLOSE_LOOK,
        old="""
        if malformed is not None:
            self._refuse_record(
        """,
        new="""
        if malformed is not None and not changes:
            self._refuse_record(
        """,
        tests=_TESTS,
    ),
    Mutant(
        name="a-record-is-dead-lettered-for-each-of-its-changes",
        breaks="a record is one dead letter",
        file=_CLOSE_LOOK,
        old="""
                details.append(change.detail)
            event =
        """,
        new="""
                details.append(change.detail)
            if malformed is not None and change is not changes[0]:
                self._refuse_record(message, malformed.detail, ledger, now)
            event =
        """,
        tests=_TESTS,
    ),
    Mutant(
        name="invalid-ids-of-a-record-are-lost",
        breaks="I6",
        file=_CLOSE_LOOK,
        old="refused.setdefault(lane, []).append(change)",
        new="refused.setdefault(lane, [change])",
        tests=_TESTS,
    ),
    Mutant(
        name="a-record-in-part-malformed-is-in-the-row",
        breaks="a record with a valid id ends the row",
        file=_CLOSE_LOOK,
        old="if has_good:",
        new="if has_good and malformed is None:",
        tests=_TESTS,
    ),
    # -- dead letters, read again
    Mutant(
        name="what-was-too-big-is-read-as-a-record-without-a-value",
        breaks="nobody is removed because a record was too big",
        file="consumer/commands/replay/reader.py",
        old="if labels.is_truncated:",
        new="if labels.is_truncated and self._mapping is None:",
        tests=_OF_REPLAYS,
    ),
    Mutant(
        name="refused-ids-are-read-by-the-mapping",
        breaks="refused ids are events",
        file="consumer/commands/replay/reader.py",
        old=" and labels.reason not in _EVENTS:",
        new=":",
        tests=_OF_REPLAYS,
    ),
    Mutant(
        name="a-dead-letter-is-of-the-dead-letter-topic",
        breaks="a record is read as it was in its source",
        file="consumer/commands/replay/reader.py",
        old="return topic or self._record.topic()",
        new="return self._record.topic() or topic",
        tests=_OF_REPLAYS,
    ),
    # -- what an event may look like
    Mutant(
        name="a-byte-order-mark-makes-an-event-malformed",
        breaks="a byte order mark is passed over",
        file="consumer/core/decoder.py",
        old="        value = value.removeprefix(BYTE_ORDER_MARK)\n",
        new="",
        tests=_OF_EVENTS,
    ),
    Mutant(
        name="a-segment-is-rounded-down",
        breaks="a segment is an integer",
        file="consumer/core/decoder.py",
        old="return str(int(number)) if number.is_integer() else None",
        new="return str(int(number)) if abs(number) < 1e18 else None",
        tests=_OF_EVENTS,
    ),
    Mutant(
        name="what-is-well-known-is-not-named",
        breaks="a detail names the preset",
        file="consumer/core/decoder.py",
        old="if isinstance(found, Malformed) and (known := looks_like(value)):",
        new='if isinstance(found, Malformed) and (known := ""):',
        tests=_OF_EVENTS,
    ),
)
