"""What goes to the dead-letter topic, before anybody sends it.

A dead letter keeps offsets from being committed like a batch does, until the broker acknowledged it
(invariant I11). A record that can't be read keeps its key, value and headers byte for byte; ids
that the API or the rules refused become an event again, keyed by the segment, for a later replay.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import msgspec

from consumer.core.lanes import Batch
from consumer.core.ledger import base_of

HEADER_PREFIX = "dead-letter-"
MAX_IDS_PER_DEAD_LETTER = 1000
TRIAL = "trial"
"""The reason on a record that ``check --write`` wrote: it has no value, and nobody reads it."""

Headers = Sequence[tuple[str, bytes | str | None]]


class DeadLetterReason(StrEnum):
    """Why a change can't be delivered. The values are the labels of ``dead_letters_total``."""

    MALFORMED = "malformed"
    INVALID_ID = "invalid-id"
    REJECTED = "rejected"
    SEGMENT_REJECTED = "segment-rejected"


class HasHeaders(Protocol):
    """A record as confluent-kafka gives it, as far as its headers go."""

    def headers(self) -> Headers | None: ...  # noqa: D102 - the library's own


def headers_of(message: HasHeaders) -> Headers | None:
    """Return a record's headers; None if the library can't give them out.

    Kafka takes any bytes for a header's name, confluent_kafka (2.16) only UTF-8.
    """
    try:
        return message.headers() or ()
    except (SystemError, UnicodeDecodeError):
        return None


@dataclass(slots=True, eq=False)
class DeadLetter:
    """One record for the dead-letter topic.

    ``origins`` counts its held ids by origin; a malformed record has none. ``bases`` names each
    ledger that it holds. ``source`` is ``topic:partition:offset`` of the first record concerned.
    ``batch`` is what its ids were refused with, if they got that far. ``posted``: nothing but the
    broker keeps it from the topic.
    """

    reason: DeadLetterReason
    detail: str
    source: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    action: str = "add"
    origins: dict[int, int] = field(default_factory=dict)
    bases: set[int] = field(default_factory=set)
    batch: Batch | None = None
    segment_id: int | None = None  # None: of a record that can't be read
    id_type: str | None = None
    posted: bool = False
    settled: bool = False

    @property
    def held_ids(self) -> int:
        """Return how many held ids wait for its acknowledgement."""
        return sum(self.origins.values())

    @property
    def size_bytes(self) -> int:
        """Return about how much memory its content takes."""
        headers = sum(len(name) + len(value or b"") for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers

    def waited_for_by(self) -> set[int]:
        """Return each ledger that waits for it: those of its ids, or of others of their batch."""
        return self.bases | (self.batch.bases.keys() if self.batch is not None else set())

    def forget(self, bases: set[int]) -> int:
        """Drop what came from those ledgers; return how many ids it were."""
        self.bases -= bases
        gone = [origin for origin in self.origins if base_of(origin) in bases]
        return sum(self.origins.pop(origin) for origin in gone)

    def own_headers(self, time_rfc3339: str) -> list[tuple[str, bytes]]:
        """Return the headers that say why it is here."""
        texts = {
            "reason": self.reason.value,
            "detail": self.detail,
            "source": self.source,
            "time": time_rfc3339,
        }
        return _headers(texts)

    def foreign_headers(self) -> list[tuple[str, bytes | str | None]]:
        """Return the record's headers without older ones of ours."""
        return [(name, value) for name, value in self.headers if name not in _OWN_HEADERS]


_OWN_HEADERS = frozenset(
    HEADER_PREFIX + name for name in ("reason", "detail", "source", "time", "truncated", "replays")
)


def trial_headers(time_rfc3339: str) -> Iterator[tuple[str, bytes]]:
    """Return the headers of a record that only tries whether it can be written."""
    detail = "written by `segment-consumer check --write` as a trial; a replay passes it over"
    yield from _headers({"reason": TRIAL, "detail": detail, "time": time_rfc3339})


def _headers(texts: Mapping[str, str]) -> list[tuple[str, bytes]]:
    return [(HEADER_PREFIX + name, text.encode()) for name, text in texts.items()]


def refusal(
    *,
    reason: DeadLetterReason,
    detail: str,
    source: str,
    segment_id: int,
    action: str,
    id_type: str,
    ids: Iterable[str | msgspec.Raw],
    origins: dict[int, int],
    batch: Batch | None = None,
) -> DeadLetter:
    """Return the dead letter of refused ids (at most 1000) of one segment, action and id type."""
    event = {"segment_id": segment_id, "action": action, "ids": list(ids), "id_type": id_type}
    return DeadLetter(
        reason=reason,
        detail=detail,
        source=source,
        key=str(segment_id).encode(),
        value=msgspec.json.encode(event),
        action=action,
        origins=origins,
        bases={base_of(origin) for origin in origins},
        batch=batch,
        segment_id=segment_id,
        id_type=id_type,
    )
