"""The dead-letter topic's producer when nobody takes what it has."""

from consumer.core.letters import Letter, LetterReason
from consumer.dead_letters import DeadLetters
from tests.support.waiting import eventually

PATIENCE_SECONDS = 10.0
NOBODY = {
    "bootstrap.servers": "127.0.0.1:1",
    "message.timeout.ms": 200,
    "enable.idempotence": True,
    "acks": "all",
    "log_level": 0,
}


def test_i11_a_letter_that_was_not_written_comes_back_with_the_error() -> None:
    letters = DeadLetters(NOBODY, "dead-letters")
    letter = Letter(LetterReason.MALFORMED, "not JSON", "audience:0:7", b"k", b"{")
    assert letters.send(letter)
    (report,) = eventually(lambda: letters.poll(0.1), PATIENCE_SECONDS, "a report")
    assert report.letter is letter
    assert report.error is not None
    assert "the dead-letter topic dead-letters can't be written" in report.error
