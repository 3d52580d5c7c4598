"""A record as it comes from Kafka."""

from typing import Any, Protocol

from consumer.core.dead_letters import Headers


class Message(Protocol):
    """A record as confluent-kafka gives it."""

    def error(self) -> Any: ...  # noqa: D102, ANN401 - these are the library's own
    def topic(self) -> str: ...  # noqa: D102
    def partition(self) -> int: ...  # noqa: D102
    def offset(self) -> int: ...  # noqa: D102
    def key(self) -> bytes | None: ...  # noqa: D102
    def value(self) -> bytes | None: ...  # noqa: D102
    def headers(self) -> Headers | None: ...  # noqa: D102
    def timestamp(self) -> tuple[int, int]: ...  # noqa: D102
    def leader_epoch(self) -> int | None: ...  # noqa: D102
