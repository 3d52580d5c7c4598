"""The discovery of what is new: topics and partitions that a client of the classic protocol needs.

With that protocol it is the client that finds them. When librdkafka (2.16) gets a listing of all
topics with something new in it, it joins the group anew, there and then, without waiting for the
end of a *revoked* that drains: the next owner would begin beside it, and the client is never right
again. So it is kept from looking by itself. What the observer sees of the topics that are read goes
to the client in a way that waits for rebalances: it looks at them by their names, which has it do
nothing, and when the answers must be in, it is to take up what is new.

The listing of all topics follows when nothing of that is new in it: for topics that an expression
means since, for topics that are gone, and because a client that waits for metadata to join with is
woken by nothing else. It is as big as the cluster, so without an expression a member asks seldom.

Nothing here waits for an answer.
"""

import math
from collections.abc import Mapping

from consumer.engine.ports import MemberPort, ObserverPort

ANSWERS_SECONDS = 1.0  # a client's question waits behind a fetch, which waits for records
GONE_SECONDS = 3.0
LISTING_SECONDS = 30.0
SPARED_LISTINGS = 9  # between two, of a member that needs none


class Discovery:
    """Owned by the loop. ``has_expression``: among the topics of the settings."""

    def __init__(self, member: MemberPort, observer: ObserverPort, *, has_expression: bool) -> None:
        self._member = member
        self._observer = observer
        self._has_expression = has_expression
        self._view = observer.view
        self._seen_counts: dict[str, int] | None = None  # of the topics that are read
        self._again: set[str] = set()  # brokers learn of changes one after the other
        self._take_up_at = math.inf
        self._next_listing = math.inf
        self._listings_spared = 0

    def look(self, now: float) -> None:
        """Let the client see what is new; see the module's docstring."""
        if self._observer.view is not self._view:
            self._view = self._observer.view
            self._compare(self._view.partition_counts, now)
        if now >= self._take_up_at:
            self._take_up_at = math.inf
            self._member.take_up_what_is_new()
        if self._next_listing == math.inf:  # what the client joined with is as good as a listing
            self._next_listing = now + LISTING_SECONDS
        if now >= self._next_listing:
            self._next_listing = now + LISTING_SECONDS
            self._list()

    def _compare(self, counts: Mapping[str, int], now: float) -> None:
        """Have the client look at the topics that have other partitions than were seen last."""
        seen, self._seen_counts = self._seen_counts, dict(counts)
        if seen is None:
            return
        known: set[str] = set()  # to the client
        if self._has_expression:  # it found them by a listing, else they were not assigned
            known = {topic for topic, _ in self._observer.partitions} - seen.keys()
        elif seen.keys() - counts.keys():
            self._next_listing = min(self._next_listing, now + GONE_SECONDS)
            self._listings_spared = SPARED_LISTINGS
        changed = {name for name, n in counts.items() if n != seen.get(name)} - known
        if looks := changed | (self._again & counts.keys()):
            was_asked = self._member.look_at(sorted(looks))
            self._again = changed if was_asked else looks
            self._take_up_at = now + ANSWERS_SECONDS

    def _list(self) -> None:
        is_spared = not self._has_expression and self._listings_spared < SPARED_LISTINGS
        if is_spared and self._member.member_id():
            self._listings_spared += 1
        else:
            self._listings_spared = 0
            self._member.look_at_all()
