"""Where partitions stand, as the brokers say: commits, logs and topic ids, in a thread of its own.

The owner thread says what it wants and takes what was found. What is not answered is asked for
again, and keeps nothing else waiting.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from confluent_kafka import KafkaException

from consumer import clock
from consumer.core.positions import topic_id_of
from consumer.engine.ports import Committed, Found, Partition
from consumer.kafka.credentials import Follower, LoginWatch
from consumer.kafka.errors import text_of
from consumer.kafka.questions import Questions, Topics, id_of

LOOK_SECONDS = 15.0
_MIN_BACKOFF_SECONDS = 0.5
_MAX_BACKOFF_SECONDS = 5.0
_VAIN_ROUNDS = 2


class Lookup:
    """Implements `ports.LookupPort`. ``trouble`` is why not all is answered; empty: it is.

    ``is_latest``: where nothing is committed it is also asked whether the group starts for the
    first time.
    """

    def __init__(
        self,
        properties: Mapping[str, Any],
        questions: Callable[[Mapping[str, Any]], Questions],
        *,
        is_latest: bool,
    ) -> None:
        self.wanted: Mapping[Partition, int] = {}
        self.read: frozenset[str] = frozenset()
        self.topic_ids: Mapping[str, str] = {}
        self.trouble = ""
        self._follower = Follower(properties)
        self._new_questions = questions
        self._questions: Questions | None = None
        self._is_latest = is_latest
        self._answered: set[int] = set()
        self._found: deque[Found] = deque()
        self._waker = threading.Event()
        self._is_over = False
        self._vain_rounds = 0

    def follow(self, watch: LoginWatch) -> None:
        """Take up what changes of the login."""
        self._follower.follow(watch)

    def start(self) -> None:
        """Begin asking."""
        threading.Thread(target=self._run, name="lookup", daemon=True).start()

    def close(self) -> None:
        """Ask nothing more; what is on its way is not waited for."""
        self._is_over = True
        self._waker.set()

    def ask_now(self) -> None:
        """Ask now: something else is wanted."""
        self._waker.set()

    def found(self) -> Sequence[Found]:
        """Return what was found since."""
        return [self._found.popleft() for _ in range(len(self._found))]

    def _run(self) -> None:
        backoff, look_at = 0.0, 0.0
        while not self._is_over:
            if self._open():
                self._try(self._ask)
                backoff = min(max(_MIN_BACKOFF_SECONDS, 2 * backoff), _MAX_BACKOFF_SECONDS)
            if clock.now() >= look_at:
                look_at = clock.now() + LOOK_SECONDS
                self._try(self._look_at_ids)
            backoff = backoff if self._open() else 0.0
            rest = max(0.0, look_at - clock.now())
            self._waker.wait(min(backoff, rest) if backoff else rest)
            self._waker.clear()
        self._end()

    def _open(self) -> dict[Partition, int]:
        """Return what is wanted and not answered."""
        wanted = self.wanted
        self._answered.intersection_update(wanted.values())
        return {name: number for name, number in wanted.items() if number not in self._answered}

    def _try(self, ask: Callable[[Questions], str]) -> None:
        """Ask, with new clients if those of before got no answer."""
        try:
            if self._follower.outdates(self._questions):
                self._end()
            if self._questions is None:
                self._questions = self._new_questions(self._follower.for_client())
            self.trouble = ask(self._questions)
            self._vain_rounds = self._vain_rounds + 1 if self.trouble else 0
            if self._vain_rounds >= _VAIN_ROUNDS:
                self._end()
        except Exception as error:  # noqa: BLE001 - this thread must outlive whatever a broker answers
            self.trouble = text_of(error)
            self._end()

    def _end(self) -> None:
        """Throw the clients away: what they know of the cluster may be what is wrong."""
        questions, self._questions, self._vain_rounds = self._questions, None, 0
        if questions is not None:
            with suppress(Exception):
                questions.close()

    def _ask(self, questions: Questions) -> str:
        """Ask for all that is wanted; return what is wrong, if not all was answered."""
        asked = self._open()
        topics = {topic for topic, _ in asked}
        trouble = "the group's coordinator does not say what is committed"
        committed = questions.committed(asked)
        first_start = None
        if self._is_latest and any(each.offset is None for each in committed.values()):
            try:
                first_start = questions.first_start(topics | self.read)
            except KafkaException as error:
                trouble = text_of(error)
                committed = {n: each for n, each in committed.items() if each.offset is not None}
        described = questions.topics(topics)
        self._take_ids(described)
        if unclear := self._unclear(described, committed):
            trouble = "the brokers do not describe the topics"
            committed = {n: each for n, each in committed.items() if n[0] not in unclear}
        for logs in questions.logs(committed, described):
            for name, log in logs.items():
                self._found.append(Found(name, asked[name], committed[name], log, first_start))
                self._answered.add(asked[name])
        if len(committed) < len(asked):
            return trouble
        return "their leaders do not answer" if self._open().keys() & asked.keys() else ""

    def _look_at_ids(self, questions: Questions) -> str:
        """See which topics there are now under the names that are read."""
        if self.read:
            self._take_ids(questions.topics(self.read))
        return self.trouble if self._open() else ""

    def _unclear(self, topics: Topics, committed: Mapping[Partition, Committed]) -> set[str]:
        """Return the topics that are not described now and have ids, as is known of them.

        Without the id nobody could tell whether it is still the same topic. Brokers that give none
        are not waited for.
        """
        silent = {name for name, each in topics.items() if each is None}
        of_commits = {n[0] for n, each in committed.items() if topic_id_of(each.metadata)}
        return silent & (self.topic_ids.keys() | of_commits)

    def _take_ids(self, topics: Topics) -> None:
        """Take over the ids; what is unknown now is as it was, and others' topics are forgotten."""
        found = {name: id_of(each) for name, each in topics.items()}
        ours = self.read | {topic for topic, _ in self.wanted}
        ids = {name: found.get(name) or self.topic_ids.get(name) for name in ours}
        self.topic_ids = {name: each for name, each in ids.items() if each}
