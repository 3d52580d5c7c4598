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
        self._waiting_since: float | None = None
        self._not_before = -math.inf
        self._trouble = ""

    def trouble(self, now: float) -> str:
        """Return why dead letters don't get through; empty: they do."""
        if self._trouble or self._waiting_since is None:
            return self._trouble
        waited = now - self._waiting_since
        is_long = waited >= PATIENCE_SECONDS
        text = f"the broker has acknowledged no dead letter for {waited:.0f} s; it is waited for"
        return text if is_long else ""

    def turn(self, now: float) -> None:
        """Send what there is, take in what came back."""
        dead_letters = self._pipeline.dead_letters
        may_send = now >= self._not_before and not self._returned
        while may_send and dead_letters and self._port.send(dead_letters[0]):
            dead_letters.popleft()
            self._in_flight += 1
        if self._waiting_since is None and (dead_letters or self._in_flight):
            self._waiting_since = now
        for report in self._port.poll():
            self._in_flight -= 1
            self._take(report, now)
        if not self._in_flight:
            returned = [each for each in self._returned if not each.settled]
            dead_letters.extendleft(reversed(returned))
            self._returned.clear()
        if not (dead_letters or self._in_flight):  # a hold may keep others from being sent at all
            self._waiting_since = None
            self._trouble = ""

    def _take(self, report: Report, now: float) -> None:
        dead_letter = report.dead_letter
        if report.error is None:
            self._trouble = ""
            self._waiting_since = now
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
        self._trouble = report.error
        self._not_before = now + RETRY_SECONDS
        self._returned.append(dead_letter)
