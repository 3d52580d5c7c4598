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
        old="(name in unanswered or silence.seconds < stalls.patience)",
        new="silence.seconds < stalls.patience",
        tests=("tests/test_stalls.py",),
    ),
    Mutant(
        name="a-partition-that-waits-for-its-turn-is-stalled",
        breaks="I8",
        file="consumer/engine/stalls.py",
        old="(name in unanswered or silence.seconds < stalls.patience)",
        new="name in unanswered",
        tests=("tests/test_stalls.py",),
    ),
    Mutant(
        name="what-waits-for-its-turn-is-never-learnt",
        breaks="I8",
        file="consumer/core/stalls.py",
        old="max([self._wait_seconds - elapsed / 2, 0.0, *ended])",
        new="0.0",
        tests=("tests/test_stalls.py",),
    ),
    Mutant(
        name="what-was-waited-for-is-never-forgotten",
        breaks="I8",
        file="consumer/core/stalls.py",
        old="max([self._wait_seconds - elapsed / 2, 0.0, *ended])",
        new="max([self._wait_seconds, *ended])",
        tests=("tests/test_stalls.py",),
    ),
    Mutant(
        name="a-stall-that-is-over-makes-others-wait",
        breaks="I8",
        file="consumer/core/stalls.py",
        old="if each.ledger.position != each.position and each.seconds < self.patience",
        new="if each.ledger.position != each.position",
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
        name="where-the-library-went-astray-is-an-offset-that-is-gone",
        breaks="nothing is sent again",
        file="consumer/engine/assignment.py",
        old="if name in self._resting:",
        new="if name is None:",
        tests=("tests/test_stalls.py",),
    ),
    Mutant(
        name="one-refused-topic-hides-what-became-of-others",
        breaks="I8",
        file="consumer/core/together.py",
        old="if len(topics) > 1:",
        new="if len(topics) > 1000:",
        tests=("tests/test_together.py",),
    ),
    Mutant(
        name="a-refused-topic-waits-for-the-next-commit-to-be-found",
        breaks="I8",
        file="consumer/engine/claims.py",
        old="return answer.is_refusal and self._together.has_more",
        new="return False",
        tests=("tests/test_together.py",),
    ),
    Mutant(
        name="a-topic-that-waits-to-be-committed-alone-hurries-the-loop",
        breaks="I8",
        file="consumer/engine/claims.py",
        old="""
        if not offsets:
            return {}, True
        """,
        new="""
        if not offsets:
            return {}, not self._together.has_more
        """,
        tests=("tests/test_together.py",),
    ),
    Mutant(
        name="a-refused-topic-is-committed-with-others-again",
        breaks="I8",
        file="consumer/core/together.py",
        old="return {name: each for name, each in offsets.items() if name[0] not in self._refused}",
        new="return dict(offsets)",
        tests=("tests/test_together.py",),
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
        old="is_long = self._dead_letters.lasting(seen, now) or dead_letter_trouble",
        new="is_long = seen or dead_letter_trouble",
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
