"""What is committed together: one topic that the broker refuses hides what became of the others.

librdkafka (2.16) tells a commit of several topics as failed, for all of them, when one was refused:
a right was taken away, or the topic is gone. Nothing would be known to be committed any more, and
no membership proven, though the broker took the others. So each is committed alone once, and who is
refused alone, from then on, too.
"""

from collections import deque
from collections.abc import Collection, Mapping

Partition = tuple[str, int]
TRY_AGAIN_SECONDS = 10.0


class Together:
    """Owned by the loop. Time comes in as ``now``, in seconds."""

    def __init__(self) -> None:
        self._alone: deque[str] = deque()  # topics to be committed next, one by one
        self._refused: dict[str, float] = {}  # topics, and when they are tried again

    @property
    def has_more(self) -> bool:
        """Whether a topic waits to be committed alone."""
        return bool(self._alone)

    def select(self, offsets: Mapping[Partition, int], now: float) -> dict[Partition, int]:
        """Return what of ``offsets`` to commit now."""
        due = [topic for topic, at in self._refused.items() if now >= at]
        for topic in due:
            self._refused[topic] = now + TRY_AGAIN_SECONDS
        self._alone.extend(due)
        while self._alone:
            topic = self._alone.popleft()
            if of_topic := {name: each for name, each in offsets.items() if name[0] == topic}:
                return of_topic
        return self.without_refused(offsets)

    def without_refused(self, offsets: Mapping[Partition, int]) -> dict[Partition, int]:
        """Return those that are not known to be refused."""
        return {name: each for name, each in offsets.items() if name[0] not in self._refused}

    def took(self, committed: Collection[Partition]) -> None:
        """Take in what the broker took."""
        for topic, _ in committed:
            self._refused.pop(topic, None)

    def refused(
        self, sent: Collection[Partition], assigned: Collection[Partition], now: float
    ) -> None:
        """Take in that a commit was refused as a whole, for good, and not for the membership."""
        topics = dict.fromkeys(topic for topic, _ in sent)
        if len(topics) > 1:
            self._alone = deque(topics)
        elif topics.keys() < {topic for topic, _ in assigned}:
            self._refused.update(dict.fromkeys(topics, now + TRY_AGAIN_SECONDS))
