"""What a dead letter carries, and how long it holds what."""

import json

import pytest

from consumer.core.dead_letters import DeadLetter, DeadLetterReason, refusal
from consumer.core.ledger import Ledger

OLD = Ledger(1, "audience", 0, 0)
NEW = Ledger(2, "audience", 1, 0)


def unreadable(**members: object) -> DeadLetter:
    given = {"source": "audience:0:7", "key": b"k", "value": b"{", **members}
    return DeadLetter(DeadLetterReason.MALFORMED, "not JSON", **given)  # type: ignore[arg-type]  # what the tests give fits


def refused() -> DeadLetter:
    """Return the letter of three ids, two of them of the older ledger."""
    return refusal(
        reason=DeadLetterReason.REJECTED,
        detail='400 {"meta": {}}',
        source="audience:0:5",
        segment_id=56,
        action="remove",
        id_type="email",
        ids=["a@b", "c@d", "e@f"],
        origins={OLD.base + 5: 1, OLD.base + 6: 1, NEW.base + 5: 1},
    )


def test_refused_ids_become_an_event_keyed_by_the_segment() -> None:
    dead_letter = refused()
    assert (dead_letter.key, dead_letter.action) == (b"56", "remove")
    assert json.loads(dead_letter.value or b"") == {
        "segment_id": 56,
        "action": "remove",
        "ids": ["a@b", "c@d", "e@f"],
        "id_type": "email",
    }


def test_an_unreadable_record_keeps_key_value_and_headers_byte_for_byte() -> None:
    headers = [("trace", b"\xff\0"), ("none", None), ("text", "x"), ("trace", b"again")]
    dead_letter = unreadable(headers=headers, key=None, value=b"\xff")
    assert (dead_letter.key, dead_letter.value) == (None, b"\xff")
    assert dead_letter.foreign_headers() == headers


def test_the_headers_say_what_was_wrong_where_and_when() -> None:
    assert dict(refused().own_headers("2026-01-02T03:04:05Z")) == {
        "dead-letter-reason": b"rejected",
        "dead-letter-detail": b'400 {"meta": {}}',
        "dead-letter-source": b"audience:0:5",
        "dead-letter-time": b"2026-01-02T03:04:05Z",
    }


def test_headers_are_utf_8() -> None:
    dead_letter = refused()
    dead_letter.detail = "400 ungültig"
    assert ("dead-letter-detail", "400 ungültig".encode()) in dead_letter.own_headers("")


@pytest.mark.parametrize("name", ["reason", "detail", "source", "time", "truncated"])
def test_headers_of_ours_that_were_on_the_record_are_replaced(name: str) -> None:
    headers = [(f"dead-letter-{name}", b"old"), ("dead-letter-office", b"theirs")]
    assert unreadable(headers=headers).foreign_headers() == headers[1:]


def test_the_reasons_are_those_of_the_contract() -> None:
    assert list(DeadLetterReason) == ["malformed", "invalid-id", "rejected", "segment-rejected"]


def test_a_dead_letter_holds_its_ids_for_the_ledgers_that_they_came_from() -> None:
    dead_letter = refused()
    assert dead_letter.held_ids == 3
    assert dead_letter.bases == {OLD.base, NEW.base}


def test_a_forgotten_ledger_takes_its_ids_out_of_the_account() -> None:
    dead_letter = refused()
    assert dead_letter.forget({OLD.base}) == 2
    assert (dead_letter.held_ids, dead_letter.bases) == (1, {NEW.base})
    assert dead_letter.forget({OLD.base}) == 0
    assert dead_letter.forget({NEW.base, 77}) == 1
    assert (dead_letter.held_ids, dead_letter.bases) == (0, set())


def test_an_unreadable_record_holds_no_ids_but_its_ledger() -> None:
    dead_letter = unreadable(bases={OLD.base})
    assert dead_letter.held_ids == 0
    assert dead_letter.forget({OLD.base}) == 0
    assert dead_letter.bases == set()


def test_the_size_of_a_dead_letter_is_that_of_its_content() -> None:
    assert unreadable(key=b"12", value=b"345").size_bytes == 5
    assert unreadable(key=None, value=None).size_bytes == 0
