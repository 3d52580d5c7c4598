"""The discovery of what is new: topics and partitions that a client of the classic protocol needs.

With that protocol it is the client that finds them. When librdkafka (2.16) gets a listing of all
topics with something new in it, it joins the group anew, there and then, without waiting for the
end of a *revoked* that drains: the next owner would begin beside it, and the client is never right
again. So it is kept from looking by itself. What the observer sees of the topics that are read goes
to the client in a way that waits for rebalances (`MemberPort.look_again`). The listing of all
topics follows when nothing of that is new in it: for topics that an expression means since, for
topics that are gone, and because a client that waits for metadata to join with is waked by nothing
else.
"""

from collections.abc import Mapping

from consumer.engine.ports import MemberPort, ObserverPort

COUNTS_SECONDS = 2.0
LISTING_SECONDS = 30.0


class Discovery:
    """Owned by the loop."""

    def __init__(self, member: MemberPort, observer: ObserverPort) -> None:
        self._member = member
        self._observer = observer
        self._view = observer.view
        self._seen_counts: dict[str, int] | None = None  # of the topics that are read
        self._next_listing: float | None = None  # before the first turn

    def look(self, now: float) -> None:
        """Let the client see what is new; see the module's docstring."""
        if self._observer.view is not self._view:
            self._view = self._observer.view
            self._compare(self._view.partition_counts)
        if self._next_listing is None:  # what the client joined with is as good as a listing
            self._next_listing = now + LISTING_SECONDS
        if now >= self._next_listing:
            self._next_listing = now + LISTING_SECONDS
            self._member.partition_counts(COUNTS_SECONDS)

    def _compare(self, counts: Mapping[str, int]) -> None:
        """Tell the client of the topics that have other partitions than it was told of last."""
        seen = self._seen_counts
        if seen is None:
            self._seen_counts = dict(counts)
            return
        self._seen_counts = {name: n for name, n in seen.items() if name in counts}
        changed = [name for name, n in counts.items() if n != seen.get(name)]
        # Brokers learn of changes one after the other; if this one doesn't know, once more.
        if changed and (found := self._member.look_again(changed, COUNTS_SECONDS)):
            self._seen_counts.update(found)
