"""What stands in the way, as far as Kafka is concerned: problems, and the holds they become.

A problem makes the daemon unready at once. When there has been one for `TROUBLE_SECONDS`, it holds
as ``kafka-unavailable``: a rebalance or a broker's restart alone is no reason for that. Nothing
here is fatal; what is wrong outside is waited for.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, field

from consumer.core.outcomes import HoldReason
from consumer.core.pipeline import Pipeline
from consumer.engine.commits import Commits
from consumer.engine.ports import MemberPort, ObserverPort, Say, Trouble, View

LOOK_SECONDS = 0.5
TROUBLE_SECONDS = 15.0


@dataclass(slots=True, eq=False)
class Outlook:
    """Owned by the loop. ``problems`` says why it is not ready, besides holds, by what it is."""

    _pipeline: Pipeline
    _commits: Commits
    _member: MemberPort
    _observer: ObserverPort
    _say: Say
    _needs_dead_letters: bool
    problems: dict[str, str] = field(default_factory=dict)
    joined: bool = False
    has_looked: bool = False
    _next_look: float = -math.inf
    _since: float | None = None
    _client_trouble: str = ""

    def hear(self, error: Trouble, now: float) -> None:
        """Take in trouble of the client."""
        self._client_trouble = f"{error.code}: {error.detail}"
        self._say(now, "kafka_error", error.code, error.detail, level="warning")

    def tell_observer(self) -> None:
        """Let the observer ask about the partitions that are assigned now."""
        self._observer.partitions = tuple(self._pipeline.ledgers)
        self._observer.ask_now()

    def look(self, now: float, waiting: str, dead_letter_trouble: str) -> None:
        """Hold what can't go on, and say why, from what the other threads saw.

        ``waiting`` is what the partitions wait for, ``dead_letter_trouble`` why dead letters fail.
        """
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        view, ledgers = self._observer.view, self._pipeline.ledgers
        self.has_looked = view.asked
        self._observer.member_id = "" if ledgers else self._member.member_id()
        if view.is_member is not None and not ledgers:
            self.joined = view.is_member
        self._commits.agree(view)
        self.problems = self._find_problems(view, waiting, now)
        if not self.problems:
            self._client_trouble = ""
        # Partitions that wait for their start make the daemon unready, but the others go on.
        holding = {name: text for name, text in self.problems.items() if name != "start"}
        detail = "; ".join((holding if ledgers else self.problems).values())
        if not detail:
            self._since = None
        elif self._since is None:
            self._since = now
        is_long = self._since is not None and now - self._since >= TROUBLE_SECONDS
        self._set_hold(HoldReason.KAFKA_UNAVAILABLE, detail if is_long else "", now)
        if self._needs_dead_letters:
            trouble = view.dead_letter_trouble or dead_letter_trouble
            self._set_hold(HoldReason.DEAD_LETTER_UNAVAILABLE, trouble, now)

    def _set_hold(self, reason: HoldReason, detail: str, now: float) -> None:
        """Begin a hold, or end it if there is no detail."""
        throttle = self._pipeline.throttle
        if detail:
            if throttle.hold(reason, detail, now):
                self._say(now, "hold", reason.value, detail, level="error", reason=reason.value)
        elif reason in throttle.holds:
            throttle.end_hold(reason)
            say_ended(self._say, {reason}, now)

    def _find_problems(self, view: View, waiting: str, now: float) -> dict[str, str]:
        problems: dict[str, str] = {}
        if view.unreachable:
            problems["broker"] = f"no broker reachable: {view.unreachable}"
        for topic, trouble in view.missing.items():
            problems[f"topic {topic}"] = f"topic {topic}: {trouble}"
        heard = self._client_trouble
        if not self.joined:
            problems["group"] = f"not joined to the group yet{heard and ': '}{heard}"
        if waiting:
            problems["start"] = waiting
        unsendable = self._commits.problem(now, is_holding=bool(self._pipeline.held_ids))
        if unsendable is not None:
            name, text = unsendable
            problems[name] = text
        if heard and self.joined and problems.keys() - {"start"}:
            problems["client"] = heard
        return problems


def say_ended(say: Say, reasons: Collection[HoldReason], now: float) -> None:
    """Log that holds are over."""
    for reason in reasons:
        text = "what was wrong is mended; going on"
        say(now, "hold_ended", reason.value, text, level="info", reason=reason.value)
