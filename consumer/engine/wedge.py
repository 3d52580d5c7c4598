"""A wedged client: it gets nothing done, though the cluster answers. A new one takes its place.

Whatever it is that it hangs at, its requests are over by then: what is asked of it has gone without
a proof of membership for longer than a lease. So what it held is dropped as lost, and nothing that
is on its way can overtake the next owner.

Should a new one do no better, it is given more time than the one before: each costs the group a
rebalance.
"""

from dataclasses import dataclass, field

from consumer.engine.commits import Commits
from consumer.engine.outlook import Outlook
from consumer.engine.ports import MemberPort, ObserverPort, Options, Say

LEAST_SECONDS = 20.0
SESSIONS = 4 / 3
"""A minute, with a session of 45 s: librdkafka gives up a commit after less than a session."""

MOST_TIMES = 8

Trouble = tuple[str, float]
"""What the client fails at, and when it was last heard of in that matter."""


class Patience:
    """How long the client may fail, from when the cluster is known to be well (pure)."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._times = 1
        self._since: dict[Trouble, float] = {}

    def over(self, now: float, troubles: set[Trouble], *, is_well: bool, is_proven: bool) -> str:
        """Return what the client failed at for too long; empty: nothing. Said once of each."""
        if is_proven:
            self._times = 1
        if not is_well:
            troubles = set()
        self._since = {each: self._since.get(each, now) for each in troubles}
        for (what, _), since in self._since.items():
            if now - since >= self._times * self._seconds:
                self._times = min(2 * self._times, MOST_TIMES)
                self._since.clear()
                return what
        return ""


@dataclass(slots=True, eq=False)
class Wedge:
    """Owned by the loop."""

    _options: Options
    _commits: Commits
    _outlook: Outlook
    _member: MemberPort
    _observer: ObserverPort
    _say: Say
    _patience: Patience = field(init=False)

    def __post_init__(self) -> None:
        session = self._options.session_timeout_seconds
        self._patience = Patience(max(LEAST_SECONDS, SESSIONS * session))

    def look(self, now: float) -> None:
        """Begin with a new client if this one is wedged."""
        view = self._observer.view
        what = self._patience.over(
            now,
            self._troubles(now),
            is_well=view.asked and view.unreachable is None,
            is_proven=self._commits.lease.is_proven(now),
        )
        if what:
            text = f"{what}, though the cluster answers: a new client takes the place of this one"
            self._say(now, "client_replaced", what, text, level="error")
            self._member.start_anew()

    def _troubles(self, now: float) -> set[Trouble]:
        outlook, view = self._outlook, self._observer.view
        troubles: set[Trouble] = set()
        if self._commits.sent_at is not None:
            troubles.add(("a commit got no answer", self._commits.sent_at))
        # What is refused, as without a right, another client would be refused just so.
        if self._commits.is_unconfirmed(now) and not self._commits.refusal:
            troubles.add(("no commit was confirmed", 0.0))
        # Whoever waits for topics, or for members that must leave first, is silent and well.
        has_topics = not view.missing and (self._options.asks_session or view.partition_counts)
        is_out = view.is_member is False and not outlook.joined
        if is_out and has_topics and not view.group_obstacle:
            troubles.add(("the group was not joined, without a word", outlook.heard_at))
        return troubles
