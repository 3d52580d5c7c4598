"""The survey: from where to where a replay reads each partition of the dead-letter topic.

Asked once, before anything is read: the topic's ends as of now, and what the replay's group
committed. What can't be answered is waited for, visibly, until somebody says stop.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from consumer.commands.replay.comparison import divergences
from consumer.commands.replay.marks import Mark, metadata_with
from consumer.commands.replay.span import Span, Spans, span_of
from consumer.commands.replay.voice import Voice, counted
from consumer.core.positions import Log
from consumer.engine.ports import Committed, Offsets, Partition
from consumer.kafka.credentials import Follower
from consumer.kafka.diagnosis import Diagnosis
from consumer.kafka.errors import said_of
from consumer.kafka.member import Member
from consumer.kafka.questions import id_of
from consumer.kafka.tokens import Tokens, with_tokens
from consumer.observability import logs
from consumer.settings import Settings
from consumer.settings.properties import admin_properties

T = TypeVar("T")

_TIMEOUT_SECONDS = 5.0
_PAUSE_SECONDS = 0.5
_AGAIN = "; if what is mended is a setting, a secret or a file of ours, start the replay again"


class InterruptedSurveyError(Exception):
    """Somebody said stop while something was waited for."""


class Survey:
    """Asks with a member that has not joined yet; waits until ``is_stopped``."""

    def __init__(
        self,
        settings: Settings,
        member: Member,
        voice: Voice,
        is_stopped: Callable[[], bool],
        tokens: Tokens | None = None,
    ) -> None:
        self._settings = settings
        self._topic = settings.dead_letter_topic
        self._group = settings.kafka_group_id
        self._member = member
        self._voice = voice
        self._is_stopped = is_stopped
        logger: Any = logs.librdkafka_logger()
        self._properties = with_tokens({**admin_properties(settings), "logger": logger}, tokens)
        self._admin = AdminClient(Follower(self._properties).for_client())
        self._diagnosis = Diagnosis()

    def spans(self, *, from_start: bool, keeps_marks: bool) -> Spans:
        """Return the span of each partition; none if there is no such topic.

        ``from_start``: from the beginning; ``keeps_marks``: and what was settled stays so for the
        next run. Raises InterruptedSurveyError when somebody says stop.
        """
        count = self._patiently(self._partition_count)
        names = [(self._topic, number) for number in range(count)]
        begin = partial(span_of, from_start=from_start, keeps_marks=keeps_marks)
        spans = self._patiently(lambda: self._spans_of(names, begin))
        return self._patiently(lambda: self._compared(spans))

    def move(self, spans: Spans) -> None:
        """Put the group's offsets to the marks, which takes a group without members.

        Raises InterruptedSurveyError when somebody says stop.
        """
        offsets = {name: each.offsets(name[0]) for name, each in spans.items() if each.must_move}
        if offsets:
            self._patiently(lambda: self._moved(offsets))

    def _partition_count(self) -> int | str:
        try:
            described = self._admin.list_topics(self._topic, timeout=_TIMEOUT_SECONDS).topics
        except KafkaException as error:
            trouble = error
        else:
            return self._count_in(described)
        reason = self._diagnosis.of(trouble, self._properties)
        return f"no broker answers: {reason}{_AGAIN if reason.is_refusal else ''}"

    def _count_in(self, described: Mapping[str, Any]) -> int | str:
        topic = described[self._topic]
        if topic.error is None:
            return len(topic.partitions)
        if topic.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return 0
        is_denied = topic.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        to_do = "; allow READ, WRITE and DESCRIBE on it" if is_denied else ""
        return f"topic {self._topic}: {said_of(topic.error)}{to_do}"

    def _spans_of(
        self, names: list[Partition], begin: Callable[[Committed, Log], Span]
    ) -> Spans | str:
        committed = self._member.committed(names, _TIMEOUT_SECONDS) if names else {}
        if missing := set(names) - committed.keys():
            return (
                f"the broker doesn't tell what group {self._group} committed for"
                f" {counted(len(missing), 'partition')}; the group must be readable"
            )
        topic_id = self._topic_id() if names else ""
        spans: dict[Partition, Span] = {}
        for name in names:
            marks = self._member.watermarks(name, _TIMEOUT_SECONDS)
            if marks is None:
                return f"the broker doesn't tell where {name[0]}:{name[1]} ends"
            spans[name] = begin(committed[name], Log(*marks, topic_id=topic_id))
        return spans

    def _compared(self, spans: Spans) -> Spans | str:
        """Return the spans of the logs as they are, if some were cut off."""
        doubtful = {name: up_to for name, span in spans.items() if (up_to := span.doubtful)}
        if not doubtful:
            return spans
        found = divergences(self._member, doubtful, _TIMEOUT_SECONDS)
        if found is None:
            return f"the brokers don't tell whether the log of {self._topic} was cut off"
        for name, at in found.items():
            self._voice.line(
                f"{name[0]}:{name[1]} was cut off at {at}, as by an unclean election: what was"
                " settled from there on is open again."
            )
        return {n: span.cut(found[n]) if n in found else span for n, span in spans.items()}

    def _topic_id(self) -> str:
        """Return the topic's id; empty if nobody tells it."""
        topics = TopicCollection([self._topic])
        future = self._admin.describe_topics(topics, request_timeout=_TIMEOUT_SECONDS)[self._topic]
        try:
            return id_of(future.result())
        except KafkaException:
            return ""

    def _moved(self, offsets: Mapping[Partition, Offsets]) -> bool | str:
        answer = self._member.commit_now(offsets)
        for shorter in (_without_notes, _without_metadata):
            if answer.too_long:
                answer = self._member.commit_now({n: shorter(of) for n, of in offsets.items()})
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


def _without_notes(offsets: Offsets) -> Offsets:
    return replace(offsets, metadata=metadata_with(offsets.metadata, Mark(offsets.offset)))


def _without_metadata(offsets: Offsets) -> Offsets:
    return replace(offsets, metadata="")
