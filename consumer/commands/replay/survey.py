"""From where to where a replay reads each partition of the dead-letter topic.

Asked once, before anything is read: the topic's ends as of now, and what the replay's group
committed. What can't be answered is waited for, visibly, until somebody says stop.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from consumer.commands.replay.voice import Voice, counted
from consumer.engine.ports import Committed, Offsets, Partition
from consumer.kafka.member import Member
from consumer.observability import logs
from consumer.settings import Settings
from consumer.settings.properties import admin_properties

T = TypeVar("T")

_TIMEOUT_SECONDS = 5.0
_PAUSE_SECONDS = 0.5


class InterruptedSurveyError(Exception):
    """Somebody said stop while something was waited for."""


@dataclass(frozen=True, slots=True)
class Span:
    """A partition's offsets from ``start`` up to ``end`` are to be replayed.

    ``low`` is the first offset that the broker still has, ``committed`` the group's.
    """

    low: int
    start: int
    end: int
    committed: int | None

    @property
    def dead_letters(self) -> int:
        """Return how many there are, at most: an offset need not have a record."""
        return self.end - self.start

    @property
    def deleted(self) -> int:
        """Return how many the broker deleted before they were replayed."""
        return 0 if self.committed is None else max(0, self.low - self.committed)

    @property
    def is_anew(self) -> bool:
        """Whether the topic was made anew: the group was further than it now ends."""
        return self.committed is not None and self.committed > self.end

    @property
    def must_move(self) -> bool:
        """Whether the group's offset is not where the replay begins."""
        return self.committed is not None and self.committed != self.start


Spans = Mapping[Partition, Span]


class Survey:
    """Asks with a member that has not joined yet; waits until ``is_stopped``."""

    def __init__(
        self, settings: Settings, member: Member, voice: Voice, is_stopped: Callable[[], bool]
    ) -> None:
        self._settings = settings
        self._topic = settings.dead_letter_topic
        self._group = settings.kafka_group_id
        self._member = member
        self._voice = voice
        self._is_stopped = is_stopped
        logger: Any = logs.librdkafka_logger()
        self._admin = AdminClient({**admin_properties(settings), "logger": logger})

    def spans(self, *, from_start: bool) -> Spans:
        """Return the span of each partition; none if there is no such topic.

        Raises InterruptedSurveyError when somebody says stop.
        """
        count = self._patiently(self._partition_count)
        names = [(self._topic, number) for number in range(count)]
        return self._patiently(lambda: self._spans_of(names, from_start=from_start))

    def move(self, offsets: Mapping[Partition, int]) -> None:
        """Put the group's offsets somewhere else, which takes a group without members.

        Raises InterruptedSurveyError when somebody says stop.
        """
        if offsets:
            self._patiently(lambda: self._moved(offsets))

    def _partition_count(self) -> int | str:
        try:
            described = self._admin.list_topics(self._topic, timeout=_TIMEOUT_SECONDS).topics
        except KafkaException as error:
            return f"no broker answers: {error.args[0].str()}"
        topic = described[self._topic]
        if topic.error is None:
            return len(topic.partitions)
        if topic.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return 0
        return f"topic {self._topic}: {topic.error.str()}"

    def _spans_of(self, names: list[Partition], *, from_start: bool) -> Spans | str:
        committed = self._member.committed(names, _TIMEOUT_SECONDS) if names else {}
        if missing := set(names) - committed.keys():
            return (
                f"the broker doesn't tell what group {self._group} committed for"
                f" {counted(len(missing), 'partition')}; the group must be readable"
            )
        spans: dict[Partition, Span] = {}
        for name in names:
            marks = self._member.watermarks(name, _TIMEOUT_SECONDS)
            if marks is None:
                return f"the broker doesn't tell where {name[0]}:{name[1]} ends"
            spans[name] = _span(*marks, committed[name], from_start=from_start)
        return spans

    def _moved(self, offsets: Mapping[Partition, int]) -> bool | str:
        answer = self._member.commit_now({name: Offsets(each) for name, each in offsets.items()})
        if answer.error is None:
            return True
        if answer.is_member:
            return f"the broker doesn't move the offsets: {answer.error}"
        return (
            f"group {self._group} has members: another replay runs, or one was killed less than"
            f" {self._settings.kafka_session_timeout_seconds:g} s ago"
        )

    def _patiently(self, ask: Callable[[], T | str]) -> T:
        """Ask until there is an answer; a text says why there is none yet."""
        while not self._is_stopped():
            answer = ask()
            if not isinstance(answer, str):
                return answer
            self._voice.progress(f"waiting: {answer}")
            time.sleep(_PAUSE_SECONDS)
        raise InterruptedSurveyError


def _span(low: int, end: int, committed: Committed, *, from_start: bool) -> Span:
    offset = committed.offset
    is_there = offset is not None and low <= offset <= end
    start = offset if offset is not None and is_there and not from_start else low
    return Span(low, start, end, offset)
