"""Inquiries: which schema is asked for now, and what is made of what came back.

The rules, each with a test that names it:

- *Asked for once.* A schema is asked for when a record needs it, and not again while the answer is
  awaited. What came is kept for ever: an id never means another schema.
- *A failure is tried again*, for as long as a record waits: after half a second, then one, two, ...
  up to `LONGEST_PAUSE_SECONDS`. It is told as long as it lasts. Meanwhile one schema is asked for
  at a time, each in its turn; a success has all others asked for at once.
- *Not there is tried for a minute*: whoever writes may be ahead of the registry that is asked. Then
  its records are malformed, until a minute later: the next one has it asked for once more.
- *Nothing is malformed for a registry that never knew anything*: as long as no schema was found
  there, not there is a failure too. Perhaps the URL is another registry's.
- *No answer is a failure* after `OVERDUE_SECONDS`.
- What no record waits for any more isn't asked for, and fails nobody.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

from consumer.core.events import Malformed
from consumer.core.schemas.answers import Failed, NotThere
from consumer.core.schemas.compiled import Compiled
from consumer.core.schemas.framing import name_of

AT_ONCE = 8
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
OVERDUE_SECONDS = 15.0
NOT_THERE_PAUSE_SECONDS = 5.0
NOT_THERE_SECONDS = 60.0
VERDICT_SECONDS = 60.0
MOST_VERDICTS = 10_000
_WRONG_URL = ": is SCHEMA_REGISTRY_URL right?"

Found = Compiled | NotThere | Failed
"""What became of an inquiry."""


@dataclass(slots=True, eq=False)
class _Inquiry:
    """One schema that is needed. ``asked_at``: inf while nobody is asked for it."""

    asked_at: float = math.inf
    not_before: float = -math.inf
    failures: int = 0
    failure: str = ""
    not_there: str = ""


class Inquiries:
    """Owned by one thread. ``known`` has what records are read by, see `reader.Known`."""

    def __init__(self) -> None:
        self.known: dict[bytes, Compiled | Malformed] = {}
        self._needed: dict[bytes, _Inquiry] = {}  # what failed last comes last
        self._unanswered: set[bytes] = set()  # needed or not
        self._not_there_since: dict[bytes, float] = {}
        self._verdicts: dict[bytes, float] = {}  # since when, the oldest first
        self._has_found = False

    def turn(self, needed: Collection[bytes], now: float) -> list[bytes]:
        """Take in what is needed now; return what is to be asked for."""
        self._forget_verdicts(now)
        if not needed and not self._needed:
            return []
        kept = {prefix: each for prefix, each in self._needed.items() if prefix in needed}
        for prefix in self._needed.keys() - kept.keys():  # its minute is one in which it is needed
            self._not_there_since.pop(prefix, None)
        new = [prefix for prefix in needed if prefix not in kept and prefix not in self.known]
        self._needed = kept | {
            prefix: _Inquiry(asked_at=now if prefix in self._unanswered else math.inf)
            for prefix in new
        }
        asked = sum(each.asked_at < math.inf for each in self._needed.values())
        free = (1 if self.trouble(now) else AT_ONCE) - asked
        due = [
            prefix
            for prefix, each in self._needed.items()
            if each.asked_at == math.inf and each.not_before <= now
        ]
        due = due[: max(0, free)]
        for prefix in due:
            self._needed[prefix].asked_at = now
        self._unanswered.update(due)
        return due

    def take(self, prefix: bytes, found: Found, now: float) -> None:
        """Take in what became of an inquiry."""
        inquiry = self._needed.pop(prefix, None)
        self._unanswered.discard(prefix)
        if isinstance(found, Compiled):
            self._learn(prefix, found)
        elif inquiry is not None:
            inquiry.asked_at = math.inf
            if isinstance(found, Failed):
                self._needed[prefix] = inquiry
                inquiry.failure, inquiry.not_there = found.detail, ""
                pause = FIRST_PAUSE_SECONDS * 2**inquiry.failures
                inquiry.not_before = now + min(pause, LONGEST_PAUSE_SECONDS)
                inquiry.failures += pause < LONGEST_PAUSE_SECONDS
            else:
                self._take_not_there(prefix, found, inquiry, now)

    def trouble(self, now: float) -> str:
        """Return what has failed of what is needed; empty: nothing."""
        for prefix, each in self._needed.items():
            failure = each.failure
            if each.not_there and not self._has_found:
                failure = f"{each.not_there}, nor is any other so far{_WRONG_URL}"
            elif now - each.asked_at >= OVERDUE_SECONDS:
                failure = failure or f"no answer for {OVERDUE_SECONDS:.0f} s"
            if failure:
                return f"{name_of(prefix)}: {failure}"
        return ""

    def _learn(self, prefix: bytes, found: Compiled) -> None:
        self.known[prefix] = found
        self._verdicts.pop(prefix, None)
        self._has_found = True
        for each in self._needed.values():
            each.not_before = -math.inf

    def _take_not_there(
        self, prefix: bytes, found: NotThere, inquiry: _Inquiry, now: float
    ) -> None:
        since = self._not_there_since.setdefault(prefix, now)
        if self._has_found and now - since >= NOT_THERE_SECONDS:
            self.known[prefix] = Malformed(f"its {name_of(prefix)}: {found.detail}")
            self._verdicts[prefix] = now
            return
        self._needed[prefix] = inquiry
        inquiry.failure, inquiry.failures, inquiry.not_there = "", 0, found.detail
        inquiry.not_before = now + NOT_THERE_PAUSE_SECONDS

    def _forget_verdicts(self, now: float) -> None:
        """Have what was not there asked for once more; keep a bounded number of what wasn't."""
        while self._verdicts:
            prefix, since = next(iter(self._verdicts.items()))
            if now - since < VERDICT_SECONDS and len(self._verdicts) <= MOST_VERDICTS:
                break
            del self._verdicts[prefix], self.known[prefix]
        while len(self._not_there_since) > MOST_VERDICTS:
            del self._not_there_since[next(iter(self._not_there_since))]
