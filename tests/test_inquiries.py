"""Inquiries for schemas: the rules of the module's docstring, one after the other."""

from consumer.core.events import Malformed
from consumer.core.schemas.answers import Failed, NotThere
from consumer.core.schemas.compiled import Compiled
from consumer.core.schemas.inquiries import (
    AT_ONCE,
    LONGEST_PAUSE_SECONDS,
    MOST_VERDICTS,
    NOT_THERE_PAUSE_SECONDS,
    NOT_THERE_SECONDS,
    OVERDUE_SECONDS,
    VERDICT_SECONDS,
    Found,
    Inquiries,
)

SCHEMA = Compiled("Avro", "E", None)
DOWN = Failed("connection refused")
NOWHERE = NotThere("the schema is not found")


def prefix(number: int) -> bytes:
    return b"\0" + number.to_bytes(4)


ONE, TWO, THREE = prefix(1), prefix(2), prefix(3)


def well() -> Inquiries:
    """Return inquiries of a registry that had a schema already."""
    found = Inquiries()
    assert found.turn([prefix(99)], 0.0) == [prefix(99)]
    found.take(prefix(99), SCHEMA, 0.0)
    return found


def ask(inquiries: Inquiries, answer: Found, now: float, needed: bytes = ONE) -> None:
    assert inquiries.turn([needed], now) == [needed]
    inquiries.take(needed, answer, now)


def test_a_schema_is_asked_for_once_and_kept_for_ever() -> None:
    inquiries = Inquiries()
    assert inquiries.turn([ONE], 0.0) == [ONE]
    assert inquiries.turn([ONE], 0.1) == []
    inquiries.take(ONE, SCHEMA, 0.2)
    assert inquiries.known == {ONE: SCHEMA}
    assert inquiries.turn([ONE], 0.3) == []
    assert inquiries.turn([], 1e9) == []
    assert inquiries.turn([ONE], 1e9) == []
    assert inquiries.known == {ONE: SCHEMA}


def test_several_are_asked_for_at_once_up_to_a_bound() -> None:
    inquiries = Inquiries()
    many = [prefix(number) for number in range(2 * AT_ONCE)]
    assert inquiries.turn(many, 0.0) == many[:AT_ONCE]
    inquiries.take(many[0], SCHEMA, 0.1)
    assert inquiries.turn(many, 0.2) == [many[AT_ONCE]]


def test_a_failure_is_told_and_tried_again_with_longer_pauses() -> None:
    inquiries = well()
    now, pauses = 0.0, []
    for _ in range(8):
        ask(inquiries, DOWN, now)
        assert inquiries.trouble(now) == "schema 1: connection refused"
        begun = now
        while not inquiries.turn([ONE], now):
            now += 0.25
            assert now < 1000
        pauses.append(now - begun)
        inquiries.take(ONE, DOWN, now)
        now += LONGEST_PAUSE_SECONDS
    assert pauses[0] == 0.5
    assert pauses == sorted(pauses)
    assert max(pauses) == LONGEST_PAUSE_SECONDS


def test_each_pause_is_twice_the_one_before() -> None:
    inquiries = well()
    now = 0.0
    for pause in (0.5, 1.0, 2.0, 4.0, 8.0, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS):
        ask(inquiries, DOWN, now)
        assert inquiries.turn([ONE], now + pause - 0.01) == []
        now += pause
    ask(inquiries, SCHEMA, now)
    assert inquiries.trouble(now) == ""


def test_while_it_fails_one_is_asked_for_at_a_time_each_in_its_turn() -> None:
    inquiries = well()
    needed = [ONE, TWO, THREE]
    assert inquiries.turn(needed, 0.0) == needed
    for each in needed:
        inquiries.take(each, DOWN, 0.0)
    asked = []
    for turn in range(6):
        (one,) = inquiries.turn(needed, 100.0 * (turn + 1))
        assert inquiries.turn(needed, 100.0 * (turn + 1)) == []
        inquiries.take(one, DOWN, 100.0 * (turn + 1))
        asked.append(one)
    assert asked == [*needed, *needed]


def test_what_one_failed_with_keeps_nobody_else_waiting() -> None:
    """An answer may be nonsense for one schema only, such as one that can't be used."""
    inquiries = well()
    ask(inquiries, Failed("no Avro schema"), 0.0)
    assert inquiries.turn([ONE, TWO], 0.1) == [TWO]
    inquiries.take(TWO, SCHEMA, 0.2)
    assert inquiries.known[TWO] == SCHEMA


def test_a_success_has_all_others_asked_for_at_once() -> None:
    inquiries = well()
    needed = [ONE, TWO, THREE]
    inquiries.turn(needed, 0.0)
    for each in needed:
        inquiries.take(each, DOWN, 0.0)
    now = 0.5
    assert inquiries.turn(needed, now) == [ONE]
    inquiries.take(ONE, DOWN, now)
    assert inquiries.turn(needed, now) == [TWO]
    inquiries.take(TWO, SCHEMA, now)
    assert inquiries.turn(needed, now) == [THREE]
    inquiries.take(THREE, SCHEMA, now)
    assert inquiries.turn(needed, now) == [ONE]


def test_not_there_is_tried_for_a_minute_and_then_malformed() -> None:
    inquiries = well()
    now, asked = 10.0, 0
    while ONE not in inquiries.known:
        if inquiries.turn([ONE], now):
            asked += 1
            inquiries.take(ONE, NOWHERE, now)
        assert inquiries.trouble(now) == ""
        now += 0.5
    assert inquiries.known[ONE] == Malformed("its schema 1: the schema is not found")
    assert NOT_THERE_SECONDS <= now - 10.0 <= NOT_THERE_SECONDS + 1.0
    assert asked == NOT_THERE_SECONDS / NOT_THERE_PAUSE_SECONDS + 1


def test_what_comes_within_the_minute_is_read() -> None:
    inquiries = well()
    ask(inquiries, NOWHERE, 0.0)
    ask(inquiries, SCHEMA, 55.0)
    assert inquiries.known[ONE] == SCHEMA


def test_a_minute_after_the_verdict_it_is_asked_for_once_more() -> None:
    inquiries = well()
    ask(inquiries, NOWHERE, 0.0)
    ask(inquiries, NOWHERE, 60.0)
    assert inquiries.turn([ONE], 60.0 + VERDICT_SECONDS - 1) == []
    assert isinstance(inquiries.known[ONE], Malformed)
    assert inquiries.turn([], 60.0 + VERDICT_SECONDS) == []
    assert ONE not in inquiries.known
    ask(inquiries, NOWHERE, 500.0)  # one answer is enough
    assert isinstance(inquiries.known[ONE], Malformed)
    inquiries.turn([], 600.0)
    ask(inquiries, SCHEMA, 600.0)
    assert inquiries.known[ONE] == SCHEMA
    inquiries.turn([], 1e9)
    assert inquiries.known[ONE] == SCHEMA


def test_nothing_is_malformed_while_the_registry_never_knew_anything() -> None:
    inquiries = Inquiries()
    for turn in range(100):
        ask(inquiries, NOWHERE, turn * NOT_THERE_PAUSE_SECONDS)
        assert inquiries.trouble(turn) == (
            "schema 1: the schema is not found, nor is any other so far:"
            " is SCHEMA_REGISTRY_URL right?"
        )
    assert not inquiries.known


def test_once_it_knew_one_the_others_are_judged() -> None:
    inquiries = Inquiries()
    ask(inquiries, NOWHERE, 0.0)
    assert inquiries.turn([ONE, TWO], 100.0) == [ONE]  # one at a time: it may be down
    inquiries.take(ONE, NOWHERE, 100.0)
    assert inquiries.turn([ONE, TWO], 100.0) == [TWO]
    inquiries.take(TWO, SCHEMA, 100.0)
    assert inquiries.trouble(100.0) == ""
    ask(inquiries, NOWHERE, 100.1)
    assert isinstance(inquiries.known[ONE], Malformed)


def test_a_failure_between_is_told_and_counts_as_nothing() -> None:
    inquiries = well()
    ask(inquiries, NOWHERE, 0.0)
    ask(inquiries, DOWN, 30.0)
    assert "connection refused" in inquiries.trouble(30.0)
    ask(inquiries, NOWHERE, 59.0)
    assert inquiries.trouble(59.0) == ""
    assert ONE not in inquiries.known
    ask(inquiries, NOWHERE, 64.0)
    assert isinstance(inquiries.known[ONE], Malformed)


def test_a_failure_says_more_than_that_nothing_was_found_before() -> None:
    inquiries = Inquiries()
    ask(inquiries, NOWHERE, 0.0)
    ask(inquiries, DOWN, 30.0)
    assert inquiries.trouble(30.0) == "schema 1: connection refused"


def test_no_answer_is_a_failure() -> None:
    inquiries = well()
    assert inquiries.turn([ONE], 10.0) == [ONE]
    assert inquiries.trouble(10.0 + OVERDUE_SECONDS - 1) == ""
    assert inquiries.trouble(10.0 + OVERDUE_SECONDS) == "schema 1: no answer for 15 s"
    inquiries.take(ONE, SCHEMA, 30.0)
    assert inquiries.trouble(30.0) == ""


def test_what_failed_before_is_told_while_no_answer_comes() -> None:
    inquiries = well()
    ask(inquiries, DOWN, 0.0)
    assert inquiries.turn([ONE], 10.0) == [ONE]
    assert inquiries.trouble(1000.0) == "schema 1: connection refused"


def test_what_is_needed_no_more_is_not_asked_for_and_fails_nobody() -> None:
    inquiries = well()
    ask(inquiries, DOWN, 0.0)
    assert inquiries.turn([], 10.0) == []
    assert inquiries.trouble(10.0) == ""
    assert inquiries.turn([TWO], 10.0) == [TWO]


def test_what_is_needed_again_is_not_asked_for_while_the_answer_is_awaited() -> None:
    """A partition that comes and goes beside a registry that hangs."""
    inquiries = well()
    assert inquiries.turn([ONE], 0.0) == [ONE]
    assert inquiries.turn([], 1.0) == []
    assert inquiries.turn([ONE], 2.0) == []
    assert inquiries.trouble(2.0 + OVERDUE_SECONDS)
    inquiries.take(ONE, DOWN, 30.0)
    assert inquiries.turn([ONE], 31.0) == [ONE]


def test_the_minute_of_what_was_needed_no_more_begins_anew() -> None:
    inquiries = well()
    ask(inquiries, NOWHERE, 0.0)
    inquiries.turn([], 10.0)
    ask(inquiries, NOWHERE, 1000.0)
    assert ONE not in inquiries.known
    ask(inquiries, NOWHERE, 1000.0 + NOT_THERE_SECONDS)
    assert isinstance(inquiries.known[ONE], Malformed)


def test_an_answer_that_comes_late_is_kept_all_the_same() -> None:
    inquiries = well()
    inquiries.turn([ONE, TWO], 0.0)
    inquiries.turn([], 1.0)
    inquiries.take(ONE, SCHEMA, 2.0)
    inquiries.take(TWO, DOWN, 2.0)
    assert inquiries.known[ONE] == SCHEMA
    assert inquiries.trouble(2.0) == ""


def test_one_that_was_judged_and_then_comes_is_kept() -> None:
    inquiries = well()
    ask(inquiries, NOWHERE, 0.0)
    ask(inquiries, NOWHERE, 60.0)
    inquiries.take(ONE, SCHEMA, 61.0)
    inquiries.turn([], 1e9)
    assert inquiries.known[ONE] == SCHEMA


def test_what_is_not_there_is_kept_in_a_bounded_number() -> None:
    """Garbage may look like any id."""
    inquiries = well()
    for number in range(100, MOST_VERDICTS + 110):
        inquiries._not_there_since[prefix(number)] = -100.0  # noqa: SLF001 - a minute each would take a week
        ask(inquiries, NOWHERE, 0.0, prefix(number))
    inquiries.turn([], 0.0)
    assert len(inquiries.known) == MOST_VERDICTS + 1  # the schema of the one that is there
    assert len(inquiries._not_there_since) == MOST_VERDICTS  # noqa: SLF001 - what it keeps
