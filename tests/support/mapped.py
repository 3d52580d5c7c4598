"""Mappings in tests: a record as the intake has it, and what a mapping says of it, to compare."""

import json
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from consumer.core.dead_letters import Headers
from consumer.core.events import Event, IdType, Malformed, Mixed
from consumer.core.mapping.careful import reading_of
from consumer.core.mapping.document import table_of
from consumer.core.mapping.mapping import Mapping, mapping_of
from consumer.core.mapping.problems import Problem
from consumer.core.mapping.reading import Ignored, Reading

SEGMENTS = {"vip": 56, "churned": 57}


@dataclass(frozen=True)
class Beside:
    """What stands beside a record's value."""

    of_topic: str = "audiences"
    of_key: bytes | None = None
    of_headers: Headers | None = None

    def topic(self) -> str:  # noqa: D102 - as the library has them
        return self.of_topic

    def key(self) -> bytes | None:  # noqa: D102
        return self.of_key

    def headers(self) -> Headers | None:  # noqa: D102
        return self.of_headers


NOTHING_BESIDE = Beside()


def problems_of(
    text: str, segments: AnyMapping[str, int] | None = None, default: IdType = "id"
) -> list[str]:
    """Return all that is wrong with a mapping's text."""
    table = table_of(text)
    if isinstance(table, Problem):
        return [str(table)]
    found = mapping_of(table, segments, default)
    return [] if isinstance(found, Mapping) else [str(problem) for problem in found]


def mapping(
    text: str, segments: AnyMapping[str, int] | None = None, default: IdType = "id"
) -> Mapping:
    """Return the mapping of a text that is right."""
    table = table_of(text)
    assert not isinstance(table, Problem), table
    found = mapping_of(table, segments, default)
    assert isinstance(found, Mapping), [str(problem) for problem in found]
    return found


def said(reading: Reading) -> Any:  # noqa: ANN401 - see below
    """Return what a reading says as plain values.

    A change is (segment, action, id type, ids); of one with invalid ids, those stand behind it as
    they were written. What is malformed is its detail, what is ignored None.
    """
    if isinstance(reading, Ignored):
        return None
    if isinstance(reading, Malformed):
        return reading.detail
    changes = [reading] if isinstance(reading, Event) else list(reading.changes)
    found: list[Any] = [_change(change) for change in changes]
    if not isinstance(reading, Event) and reading.malformed is not None:
        found.append(reading.malformed.detail)
    return found


def read(by: Mapping, value: Any, beside: Beside = NOTHING_BESIDE) -> Any:  # noqa: ANN401 - see `said`
    """Return what a mapping says of a record; ``value`` is bytes, None, or what JSON is made of.

    The careful plan says the same by itself.
    """
    raw = None if value is None else encoded(value)
    found = by.read(raw, beside)
    assert said(read_carefully(by, raw, beside)) == said(found)
    return said(found)


def encoded(value: Any) -> bytes:  # noqa: ANN401 - see `said`
    """Return the JSON of a value, if it isn't bytes already."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def read_carefully(by: Mapping, value: bytes | None, beside: Beside) -> Reading:
    """Return what the careful plan says by itself."""
    if value is None:
        return reading_of(by._rules, beside, None)  # noqa: SLF001 - it is asked alone
    return by._read_closely(value, beside)  # noqa: SLF001 - it is asked alone


def _change(change: Event | Mixed) -> tuple[Any, ...]:
    if isinstance(change, Event):
        names = change.ids if change.ids is not UNSET else [change.id]
        return (change.segment_id, change.action, change.id_type, names)
    good = [] if change.event is None else _change(change.event)[3]
    invalid = [bytes(each).decode() for each in change.invalid]
    return (change.segment_id, change.action, change.id_type, good, invalid)
