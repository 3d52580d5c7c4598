"""Mutants of what is told of Kafka: stalled partitions, damage, what lasts."""

from tests.mutants.mutant import Mutant

STALLS: tuple[Mutant, ...] = (
    Mutant(
        name="a-pause-is-a-stall",
        breaks="I8",
        file="consumer/core/stalls.py",
        old="if is_paused or elapsed > MOST_BETWEEN_LOOKS_SECONDS:",
        new="if elapsed > MOST_BETWEEN_LOOKS_SECONDS:",
        tests=("tests/test_stalls.py",),
    ),
    Mutant(
        name="a-drain-is-a-stall",
        breaks="I8",
        file="consumer/core/stalls.py",
        old="if is_paused or elapsed > MOST_BETWEEN_LOOKS_SECONDS:",
        new="if is_paused:",
        tests=("tests/test_stalls.py",),
    ),
    Mutant(
        name="what-comes-ends-no-stall",
        breaks="I8",
        file="consumer/core/stalls.py",
        old="if silence is None or silence.position != ledger.position:",
        new="if silence is None:",
        tests=("tests/test_stalls.py",),
    ),
    Mutant(
        name="a-partition-that-nobody-knows-of-is-stalled",
        breaks="I8",
        file="consumer/engine/stalls.py",
        old="if not cause and name in unanswered:",
        new="if not cause and not name:",
        tests=("tests/test_stalls.py",),
    ),
    Mutant(
        name="an-idle-partition-is-stalled",
        breaks="I8",
        file="consumer/engine/stalls.py",
        old="ends.get(name, -1) > ledger.position",
        new="ends.get(name, -1) >= ledger.position",
        tests=("tests/test_stalls.py",),
    ),
    Mutant(
        name="a-blind-observer-sees-stalls",
        breaks="I8",
        file="consumer/engine/stalls.py",
        old="is_paused = self._assignment.pausing or view.unreachable is not None",
        new="is_paused = self._assignment.pausing",
        tests=("tests/test_stalls.py",),
    ),
    Mutant(
        name="what-is-behind-a-damaged-batch-is-taken-in",
        breaks="nothing is skipped by itself",
        file="consumer/engine/loop.py",
        old="""
            case Damaged(trouble):
                self._drop_backlog([name])
        """,
        new="            case Damaged(trouble):",
        tests=("tests/test_stalls.py",),
    ),
    Mutant(
        name="a-damaged-batch-is-read-again-and-again",
        breaks="I8",
        file="consumer/engine/assignment.py",
        old="self._resting[name] = now + REST_SECONDS",
        new="self._resting[name] = now",
        tests=("tests/test_stalls.py",),
    ),
    Mutant(
        name="damage-is-trouble-like-any",
        breaks="nothing is skipped by itself",
        file="consumer/kafka/errors.py",
        old="if error.code() in _DAMAGED:",
        new="if error.code() in _NO_ANSWER:",
        tests=("tests/test_stalls.py",),
    ),
    Mutant(
        name="nobody-looks-whether-a-batch-is-damaged",
        breaks="an id that nobody wrote is delivered",
        file="consumer/settings/librdkafka.py",
        old='"check.crcs": True,',
        new="",
        tests=("tests/test_properties.py",),
    ),
    Mutant(
        name="a-dead-letter-topic-that-is-away-for-a-moment-is-told",
        breaks="I8",
        file="consumer/engine/outlook.py",
        old='detail = self._dead_letters.lasting(view.dead_letter_trouble or "", now)',
        new='detail = view.dead_letter_trouble or ""',
        tests=("tests/test_outlook.py",),
    ),
    Mutant(
        name="a-dead-letter-that-gets-through-hides-one-that-does-not",
        breaks="I8",
        file="consumer/engine/mailbox.py",
        old="self._unacknowledged.pop(dead_letter, None)",
        new="self._unacknowledged = dict.fromkeys(self._unacknowledged, (now, report.error or ''))",
        tests=("tests/test_mailbox.py",),
    ),
)
