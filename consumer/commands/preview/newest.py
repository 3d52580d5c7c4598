"""The newest records of topics, read without being a member of any group."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from consumer.core.message import Message
from consumer.core.positions import Going
from consumer.engine.ports import Partition
from consumer.kafka.errors import is_end_of_partition, said_of
from consumer.kafka.member import Member

_ANSWER_SECONDS = 2.0
_FARTHER = 10  # times as far back, where transactions or compaction left few records
_ROUNDS = 4

Told = Callable[[int, int], None]
"""Of how many partitions all was read, and how many there are."""


class Span(NamedTuple):
    """Offsets from ``start`` up to ``end`` are to be read; the broker has those from ``low`` on."""

    low: int
    start: int
    end: int


@dataclass(slots=True)
class Found:
    """The records in the order of topic, partition and offset, and what was in the way."""

    records: list[Message] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


def newest(
    member: Member,
    partitions: Iterable[Partition],
    count: int,
    patience_seconds: float,
    told: Told = lambda _, __: None,
) -> Found:
    """Return the newest ``count`` records of each topic.

    ``member`` has not joined and reads nothing; each partition that is silent for the patience is
    given up. Where less than ``count`` are found, it is looked farther back.
    """
    found = Found()
    spans = dict(_spans(member, list(partitions), count, found, told))
    kept: dict[str, list[Message]] = defaultdict(list)
    for _ in range(_ROUNDS):
        if not spans:
            break
        for message in _read(member, spans, patience_seconds, found, told):
            kept[message.topic()].append(message)
        for topic, messages in kept.items():
            kept[topic] = _the_newest(messages, count)
        spans = {
            name: Span(span.low, max(span.low, span.start - _FARTHER * count), span.start)
            for name, span in spans.items()
            if span.start > span.low and len(kept[name[0]]) < count
        }
    for messages in kept.values():
        found.records += messages
    found.records.sort(key=lambda each: (each.topic(), each.partition(), each.offset()))
    return found


def _spans(
    member: Member, partitions: list[Partition], count: int, found: Found, told: Told
) -> Iterable[tuple[Partition, Span]]:
    for done, name in enumerate(partitions):
        told(done, len(partitions))
        marks = member.watermarks(name, _ANSWER_SECONDS)
        if marks is None:
            found.troubles.append(f"{name[0]}:{name[1]} doesn't say where it ends")
        elif marks[1] > marks[0]:
            yield name, Span(marks[0], max(marks[0], marks[1] - count), marks[1])


def _read(
    member: Member,
    spans: Mapping[Partition, Span],
    patience_seconds: float,
    found: Found,
    told: Told,
) -> list[Message]:
    messages: list[Message] = []
    waiting = set(spans)
    member.start({name: Going(span.start) for name, span in spans.items()}, paused=False)
    deadline = time.monotonic() + patience_seconds
    while waiting and time.monotonic() < deadline:
        told(len(spans) - len(waiting), len(spans))
        for message in member.consume(1000, 0.1):
            name = (message.topic(), message.partition())
            if name not in waiting:
                continue
            deadline = time.monotonic() + patience_seconds
            if message.error() is not None:
                waiting.discard(name)
                if not is_end_of_partition(message):
                    found.troubles.append(f"{name[0]}:{name[1]}: {said_of(message.error())}")
                continue
            if message.offset() < spans[name].end:
                messages.append(message)
            if message.offset() + 1 >= spans[name].end:
                waiting.discard(name)
    for topic, number in sorted(waiting):
        found.troubles.append(f"{topic}:{number} did not answer in {patience_seconds:g} s")
    member.stop(spans)
    return messages


def _the_newest(messages: list[Message], count: int) -> list[Message]:
    """Return the newest by their timestamps, where these don't go back in a partition."""
    latest: dict[int, int] = defaultdict(int)
    ranked: list[tuple[int, int, int, Message]] = []
    for message in sorted(messages, key=lambda each: (each.partition(), each.offset())):
        number = message.partition()
        latest[number] = max(latest[number], message.timestamp()[1])
        ranked.append((latest[number], message.offset(), number, message))
    ranked.sort(key=lambda each: each[:3])
    return [message for *_, message in ranked[-count:]]
