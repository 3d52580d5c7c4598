"""What stands in the way, as far as Kafka is concerned: problems, and the holds they become.

Some problems make the daemon unready at once. When there has been any for `TROUBLE_SECONDS`, it is
told as ``kafka-unavailable``: a rebalance or a broker's restart alone is no reason for that. None
of these holds stops a request: whether one may start is the lease's to say, which is proven by the
member itself, and an observer that can't see knows less. Nothing here is fatal; what is wrong
outside is waited for.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, field

from consumer.core.outcomes import HoldReason
from consumer.core.pipeline import Pipeline
from consumer.engine.commits import Commits
from consumer.engine.ports import MemberPort, ObserverPort, Say, Trouble, View
from consumer.engine.stalls import StallWatch

LOOK_SECONDS = 0.5
TROUBLE_SECONDS = 15.0
REFUSED_SECONDS = 60.0
"""A login that is refused still is said again by then: librdkafka (2.16) folds half a minute."""

NOBODY = "-"  # who is in no group: what keeps us out is asked for
_SAYS_NOT_WHY = "_ALL_BROKERS_DOWN"  # and comes after each error that does


@dataclass(slots=True, eq=False)
class Patience:
    """Lets a trouble pass that doesn't last."""

    _since: float | None = None

    def lasting(self, trouble: str, now: float) -> str:
        """Return the trouble if there has been one, whichever, for `TROUBLE_SECONDS`."""
        if not trouble:
            self._since = None
        elif self._since is None:
            self._since = now
        is_long = self._since is not None and now - self._since >= TROUBLE_SECONDS
        return trouble if is_long else ""


@dataclass(slots=True, eq=False)
class Outlook:
    """Owned by the loop. ``problems`` says why it is not ready, besides holds, by what it is."""

    _pipeline: Pipeline
    _commits: Commits
    _member: MemberPort
    _observer: ObserverPort
    _stalls: StallWatch
    _say: Say
    _needs_dead_letters: bool
    problems: dict[str, str] = field(default_factory=dict)
    joined: bool = False
    has_looked: bool = False
    heard_at: float = -math.inf  # of trouble, from the client
    _next_look: float = -math.inf
    _kafka: Patience = field(default_factory=Patience)
    _dead_letters: Patience = field(default_factory=Patience)
    _client_trouble: Trouble | None = None

    def hear(self, error: Trouble, now: float) -> None:
        """Take in trouble of the client."""
        if error.code != _SAYS_NOT_WHY or self._client_trouble is None:
            self._client_trouble = error
        self.heard_at = now
        self._observer.ask_now()  # it asks seldom while nothing is wrong
        self._say(now, "kafka_error", error.code, error.detail, level="warning")

    def tell_observer(self) -> None:
        """Let the observer ask about the partitions that are assigned now."""
        self._observer.partitions = tuple(self._pipeline.ledgers)
        self._observer.ask_now()

    def look(self, now: float, waiting: str, dead_letter_trouble: str) -> None:
        """Tell what stands in the way, and why, from what the other threads saw.

        ``waiting`` is what the partitions wait for, ``dead_letter_trouble`` why dead letters fail.
        """
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        view, ledgers = self._observer.view, self._pipeline.ledgers
        self.has_looked = view.asked
        member_id = "" if ledgers else self._member.member_id()
        self._observer.member_id = "" if ledgers else member_id or NOBODY
        if ledgers or waiting:
            self.joined = True  # what was seen of the group may be older than that
        elif view.is_member is not None or not member_id:
            self.joined = bool(view.is_member and member_id)
        self._commits.agree(view)
        self.problems = self._find_problems(view, waiting, now)
        if not self.problems or self._is_let_in_again(view, now):
            self._client_trouble = None
        detail = self._kafka.lasting("; ".join(self.problems.values()), now)
        self.set_hold(HoldReason.KAFKA_UNAVAILABLE, detail, now)
        if self._needs_dead_letters:
            seen = view.dead_letter_trouble or ""
            is_long = self._dead_letters.lasting(seen, now) or dead_letter_trouble
            detail = (seen or dead_letter_trouble) if is_long else ""
            self.set_hold(HoldReason.DEAD_LETTER_UNAVAILABLE, detail, now)
        self.set_hold(HoldReason.PARTITION_STALLED, self._stalls.look(now), now)

    def set_hold(self, reason: HoldReason, detail: str, now: float) -> None:
        """Begin a hold, or end it if there is no detail."""
        throttle = self._pipeline.throttle
        if detail:
            if throttle.hold(reason, detail, now):
                self._say(now, "hold", reason.value, detail, level="error", reason=reason.value)
        elif reason in throttle.holds:
            throttle.end_hold(reason)
            say_ended(self._say, {reason}, now)

    def _is_let_in_again(self, view: View, now: float) -> bool:
        """Whether a login that was refused works again, though something else is wrong."""
        is_refused = self._client_trouble is not None and self._client_trouble.is_refusal
        return is_refused and not view.unreachable and now > self.heard_at + REFUSED_SECONDS

    def _find_problems(self, view: View, waiting: str, now: float) -> dict[str, str]:
        problems: dict[str, str] = {}
        heard = self._client_trouble
        if view.refused:
            problems["login"] = view.refused
        elif view.unreachable:
            problems["broker"] = f"no broker reachable: {view.unreachable}"
        for topic, trouble in view.missing.items():
            problems[f"topic {topic}"] = f"topic {topic}: {trouble}"
        if not self.joined:
            problems["group"] = _why_not_joined(view, heard)
        if waiting:
            problems["start"] = waiting
        unsendable = self._commits.problem(now, is_holding=bool(self._pipeline.held_ids))
        if unsendable is not None:
            name, text = unsendable
            problems[name] = text
        if problems.keys() - {"start"} and heard is not None:
            if heard.is_refusal:  # is why no broker can be asked
                problems.pop("broker", None)
                problems.setdefault("login", heard.detail)
            elif self.joined:
                problems["client"] = f"{heard.code}: {heard.detail}"
        return problems


def _why_not_joined(view: View, heard: Trouble | None) -> str:
    why = view.group_obstacle
    says_why = heard is not None and (heard.code != _SAYS_NOT_WHY or not view.unreachable)
    if not why and heard is not None and says_why and not heard.is_refusal:
        why = f"{heard.code}: {heard.detail}"
    return f"not joined to the group yet{why and ': '}{why}"


def say_ended(say: Say, reasons: Collection[HoldReason], now: float) -> None:
    """Log that holds are over."""
    for reason in reasons:
        text = "what was wrong is mended; going on"
        say(now, "hold_ended", reason.value, text, level="info", reason=reason.value)
