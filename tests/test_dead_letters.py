"""The dead-letter topic's producer when nobody takes what it has."""

from consumer.core.dead_letters import DeadLetter, DeadLetterReason
from consumer.kafka.dead_letters import DeadLetters
from tests.support.waiting import eventually

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
