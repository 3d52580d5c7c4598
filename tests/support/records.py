"""Records as a consumer gives them, made without Kafka."""

import json
from collections.abc import Sequence

from consumer.core.dead_letters import Headers


class FakeMessage:
    """Answers like a ``confluent_kafka.Message``; ``error`` makes it one that carries no record."""

    def __init__(
        self,
        topic: str = "audience",
        partition: int = 0,
        offset: int = 0,
        value: bytes | None = None,
        *,
        key: bytes | None = None,
        headers: Headers | None = None,
        timestamp: tuple[int, int] = (1, 1_700_000_000_000),
        error: object | None = None,
        leader_epoch: int | None = None,
    ) -> None:
        self._leader_epoch = leader_epoch
        self._name = (topic, partition, offset)
        self._key = key
        self._value = value
        self._headers = headers
        self._timestamp = timestamp
        self._error = error

    def error(self) -> object | None:
        """Return what is wrong, if it is no record."""
        return self._error

    def topic(self) -> str:
        """Return the topic."""
        return self._name[0]

    def partition(self) -> int:
        """Return the partition."""
        return self._name[1]

    def offset(self) -> int:
        """Return the offset."""
        return self._name[2]

    def key(self) -> bytes | None:
        """Return the key."""
        return self._key

    def value(self) -> bytes | None:
        """Return the value; None: a tombstone."""
        return self._value

    def headers(self) -> Headers | None:
        """Return the headers."""
        return self._headers

    def timestamp(self) -> tuple[int, int]:
        """Return kind and milliseconds; kind 0: there is none."""
        return self._timestamp

    def leader_epoch(self) -> int | None:
        """Return the epoch of the leader that wrote it; None: the broker has none."""
        return self._leader_epoch


def event(action: str, *ids: object, segment: object = 1, **members: object) -> bytes:
    """Return the value of a record that asks for ``action`` on ``ids`` of ``segment``."""
    shape = {"id": ids[0]} if len(ids) == 1 else {"ids": list(ids)}
    return json.dumps({"segment_id": segment, "action": action, **shape, **members}).encode()


def messages(*values: bytes | None, partition: int = 0, first_offset: int = 0) -> list[FakeMessage]:
    """Return one message per value, at consecutive offsets of one partition."""
    return [
        FakeMessage(partition=partition, offset=first_offset + index, value=value)
        for index, value in enumerate(values)
    ]


def offsets(taken: Sequence[FakeMessage]) -> list[int]:
    """Return the offsets of messages."""
    return [message.offset() for message in taken]
