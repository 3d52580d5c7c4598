"""The dead-letter topic's producer when nobody takes what it has."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from consumer.core.dead_letters import DeadLetter, DeadLetterReason
from consumer.kafka import dead_letters
from consumer.kafka.dead_letters import DeadLetters
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from consumer.engine.ports import Report

PATIENCE_SECONDS = 60.0
NOBODY = {
    "bootstrap.servers": "127.0.0.1:1",
    "message.timeout.ms": 200,
    "acks": "all",
    "log_level": 0,
}


def test_i11_a_dead_letter_that_was_not_written_comes_back_with_the_error() -> None:
    dead_letters = DeadLetters(NOBODY, "dead-letters")
    dead_letter = DeadLetter(DeadLetterReason.MALFORMED, "not JSON", "audience:0:7", b"k", b"{")
    assert dead_letters.send(dead_letter)
    (report,) = eventually(lambda: dead_letters.poll(0.1), PATIENCE_SECONDS, "a report")
    assert report.dead_letter is dead_letter
    assert report.error is not None
    assert "the dead-letter topic dead-letters can't be written" in report.error


def test_i11_a_producer_that_hears_nothing_is_let_go_and_what_it_had_goes_through_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With librdkafka's own patience, of minutes, and whatever became of its connection."""
    monkeypatch.setattr(dead_letters, "_GRACE_SECONDS", 0.0)
    letters = DeadLetters(NOBODY | {"message.timeout.ms": 300_000}, "dead-letters")
    waiting = DeadLetter(DeadLetterReason.MALFORMED, "not JSON", "audience:0:7", b"k", b"{")
    assert letters.send(waiting)
    assert letters.poll() == [], "it is not silent yet"
    assert letters.send(replace(waiting, source="audience:0:8")), "nor does anything wait"
    monkeypatch.setattr(dead_letters, "_SILENCE_SECONDS", 0.0)
    reports: list[Report] = []

    def both() -> "list[Report]":
        reports.extend(letters.poll(0.05))
        return reports[1:]

    eventually(both, PATIENCE_SECONDS, "both letters")
    assert reports[0].dead_letter is waiting
    assert "was not acknowledged in time; it is tried again" in str(reports[0].error)
    monkeypatch.setattr(dead_letters, "_SILENCE_SECONDS", 60.0)
    assert letters.send(waiting), "through the next one"
    assert letters.poll() == [], "which has its time"
    letters.close(0.0)


def test_headers_of_ours_that_were_on_a_record_are_replaced() -> None:
    """As on one that somebody took from the dead letters back to a topic."""
    names = ("reason", "detail", "source", "time", "truncated", "replays")
    old = [(f"dead-letter-{name}", b"old") for name in names]
    dead_letter = DeadLetter(
        DeadLetterReason.MALFORMED,
        "not JSON",
        "audience:0:7",
        b"k",
        b"{",
        [("trace", b"1"), *old, ("trace", None)],
    )
    assert DeadLetters(NOBODY, "dead-letters").headers_of(dead_letter, "now") == [
        ("trace", b"1"),
        ("trace", None),
        ("dead-letter-reason", b"malformed"),
        ("dead-letter-detail", b"not JSON"),
        ("dead-letter-source", b"audience:0:7"),
        ("dead-letter-time", b"now"),
    ]
