"""Sends the pipeline's dead letters, and tells it which ones the broker has.

Those that come back undelivered are sent again in the order in which they were refused, before all
that came after them: a replay reads them in the order of the topic.
"""

import math
from typing import TYPE_CHECKING

from consumer.core.pipeline import Pipeline
from consumer.engine.ports import DeadLettersPort, Report, Say

if TYPE_CHECKING:
    from consumer.core.dead_letters import DeadLetter

RETRY_SECONDS = 1.0
PATIENCE_SECONDS = 15.0


class Mailbox:
    """Owned by the loop."""

    def __init__(self, pipeline: Pipeline, dead_letters: DeadLettersPort, say: Say) -> None:
        self._pipeline = pipeline
        self._port = dead_letters
        self._say = say
        self._in_flight = 0
        self._returned: list[DeadLetter] = []  # undelivered, while others are still in flight
        self._unacknowledged: dict[DeadLetter, tuple[float, str]] = {}  # sent since, what came back
        self._not_before = -math.inf

    def trouble(self, now: float) -> str:
        """Return why the oldest dead letter doesn't get through; empty: not for long, or none."""
        for dead_letter, (since, error) in self._unacknowledged.items():
            if not dead_letter.settled:
                waited = now - since
                text = error or f"the broker has not acknowledged a dead letter for {waited:.0f} s"
                return text if waited >= PATIENCE_SECONDS else ""
        return ""

    def turn(self, now: float) -> None:
        """Send what there is, take in what came back."""
        dead_letters = self._pipeline.dead_letters
        may_send = now >= self._not_before and not self._returned
        while may_send and dead_letters and self._port.send(dead_letters[0]):
            self._unacknowledged.setdefault(dead_letters.popleft(), (now, ""))
            self._in_flight += 1
        for report in self._port.poll():
            self._in_flight -= 1
            self._take(report, now)
        if not self._in_flight:
            returned = [each for each in self._returned if not each.settled]
            dead_letters.extendleft(reversed(returned))
            self._returned.clear()
            waiting = self._unacknowledged.items()  # what was released meanwhile is nobody's
            self._unacknowledged = {each: seen for each, seen in waiting if not each.settled}

    def _take(self, report: Report, now: float) -> None:
        dead_letter = report.dead_letter
        if report.error is None:
            self._unacknowledged.pop(dead_letter, None)
            if report.truncated:
                self._say(
                    now,
                    "dead_letter_truncated",
                    dead_letter.source,
                    f"the record at {dead_letter.source} is too big for the dead-letter topic;"
                    " it went there without its value, its source still has it",
                    level="error",
                    source=dead_letter.source,
                )
            self._pipeline.acknowledged(dead_letter)
            return
        self._unacknowledged[dead_letter] = (self._unacknowledged[dead_letter][0], report.error)
        self._not_before = now + RETRY_SECONDS
        self._returned.append(dead_letter)
