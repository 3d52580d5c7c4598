"""Shapes that are well known: which preset would read a record that is no event.

For the detail of what is malformed without a mapping, and for a preview.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from msgspec import Raw

_members_of = msgspec.json.Decoder(dict[str, Raw]).decode


@dataclass(frozen=True, slots=True)
class _Shape:
    """A shape: members that are there, and of some of them what they may be."""

    name: str
    preset: str
    members: frozenset[str]
    values: Mapping[str, tuple[str, ...]]


def _shape(name: str, preset: str, members: str, **values: tuple[str, ...]) -> _Shape:
    return _Shape(name, preset, frozenset(members.split()) | values.keys(), values)


_ROW_IMAGES = ("c", "r", "u", "d", "t", "m")
_LISTS = ("audiencelist", "audienceList")
_SHAPES = (
    _shape("a Debezium envelope", "debezium", "source", op=_ROW_IMAGES),
    _shape("a Debezium envelope", "debezium", "before after", op=_ROW_IMAGES),
    _shape("a row that Debezium unwrapped", "debezium", "__deleted"),
    _shape("a row that Debezium unwrapped", "debezium", "", __op=_ROW_IMAGES),
    _shape(
        "a Maxwell row",
        "maxwell",
        "database table data",
        type=("insert", "update", "delete", "bootstrap-insert"),
    ),
    _shape("a Maxwell row", "maxwell", "data", type=("insert", "update", "delete")),
    _shape("a CloudEvent", "cloudevents", "specversion type source id"),
    _shape("a RudderStack record", "rudderstack", "action", type=("record",)),
    _shape("a RudderStack audience list", "rudderstack", "properties", type=_LISTS),
    _shape(
        "a Segment audience event",
        "segment-engage",
        "properties",
        type=("track",),
        event=("Audience Entered", "Audience Exited"),
    ),
    _shape("a Segment identify call", "segment-engage", "traits", type=("identify",)),
    _shape("an Adobe profile", "adobe-segmentmembership", "segmentMembership"),
    _shape(
        "an mParticle audience request",
        "mparticle",
        "",
        type=("audience_membership_change_request",),
    ),
    _shape("an Amplitude cohort", "amplitude", "cohort_id in_cohort users"),
)


def looks_like(value: bytes) -> str | None:
    """Return a sentence that names the preset for what ``value`` looks like; None if unknown.

    ``value`` is any bytes at all.
    """
    members = _members(value)
    if {"schema", "payload"} <= members.keys():
        members = _members(members["payload"]) or members
    for shape in _SHAPES:
        if shape.members <= members.keys() and all(
            _is_one_of(members[name], wanted) for name, wanted in shape.values.items()
        ):
            return f"looks like {shape.name}: EVENT_MAPPING={shape.preset}"
    return None


def _members(value: bytes | Raw) -> dict[str, Raw]:
    try:
        return _members_of(value)
    except (msgspec.MsgspecError, RecursionError):
        return {}


def _is_one_of(written: Raw, wanted: tuple[str, ...]) -> bool:
    return bytes(written) in {msgspec.json.encode(each) for each in wanted}
