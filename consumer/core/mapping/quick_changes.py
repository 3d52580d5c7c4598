"""Readers of one change for the quick plan: its segment, action and ids, if they are plain.

They are long on purpose: a call costs more than what is done in it.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from msgspec import UNSET, UnsetType

from consumer.core.events import (
    MAX_EMAIL_BYTES,
    MAX_ID_BYTES,
    MAX_SEGMENT_ID,
    Action,
    Event,
    IdType,
    Malformed,
    segment_id_of,
    valid_id,
)
from consumer.core.mapping.getters import Getter
from consumer.core.mapping.language import IGNORE, ChangeRule, Lookup, Verdict
from consumer.core.mapping.paths import Path
from consumer.core.mapping.reading import Ignored
from consumer.core.mapping.words import word_in, word_of

T = TypeVar("T")
_TypeOf = Callable[[Any], IdType | Verdict | None]
_Source = tuple[Getter, IdType | UnsetType, int, bool, _TypeOf]


class GetterOf(Protocol):
    """Makes getters; where the mapping needs what is there, it may raise AttributeError."""

    def __call__(self, path: Path, *, is_needed: bool = False) -> Getter: ...  # noqa: D102


ReadChange = Callable[[Any], Event | Ignored | None]
"""Returns None where the careful plan has to look."""

_segment_of_text = lru_cache(maxsize=4096)(segment_id_of)  # digits are slow to look at


def change_reader(  # noqa: C901 - see above
    rule: ChangeRule, getter: GetterOf, ignored: Ignored
) -> ReadChange:
    """Return what reads a change; ``ignored`` is what one that is to be ignored is read as."""
    get_segment, fixed_segment, segments, segment_otherwise = _asked(rule.segment_id, getter)
    get_action, fixed_action, actions, action_otherwise = _asked(rule.action, getter)
    is_number = isinstance(rule.segment_id, Lookup) and rule.segment_id.table is None
    sources = _sources(rule, getter)

    def read(subject: Any) -> Event | Ignored | None:  # noqa: ANN401, C901, PLR0912 - what msgspec made; a call costs more than a branch
        if get_segment is None:
            segment_id = fixed_segment
        elif is_number:
            segment_id = get_segment(subject)
            if type(segment_id) is not int or not 0 < segment_id <= MAX_SEGMENT_ID:
                segment_id = _segment_of(segment_id)
        else:
            found = get_segment(subject)
            segment_id = segments.get(found) or segment_otherwise(found)
        if get_action is None:
            action = fixed_action
        else:
            found = get_action(subject)
            action = actions.get(found) or action_otherwise(found)
        if segment_id is IGNORE or action is IGNORE:
            return ignored
        if segment_id is None or action is None:
            return None
        for get, fixed_type, limit_bytes, is_email, type_of in sources:
            found = get(subject)
            if found is UNSET or found is None:
                continue
            if type(found) is str and 0 < len(found) <= limit_bytes and found.isascii():
                if not is_email:
                    return Event(segment_id, action, found, UNSET, fixed_type)
                if "@" in found:
                    return Event(segment_id, action, found.lower(), UNSET, fixed_type)
            id_type = type_of(subject)
            return ignored if id_type is IGNORE else _event(segment_id, action, found, id_type)
        return None

    return read


def _sources(rule: ChangeRule, getter: GetterOf) -> list[_Source]:
    """Return what gets the ids at each place, of which type they are, and what bounds those have.

    Last what says of which type they are; if a record says it, the bounds are such that none fits.
    """
    found: list[_Source] = []
    for number, source in enumerate(rule.ids, 1):
        is_last = number == len(rule.ids)
        constant, id_type = _constant(source.ids), source.id_type
        get = getter(source.ids, is_needed=is_last) if isinstance(source.ids, Path) else constant
        type_of = _type_reader(id_type, getter)
        if isinstance(id_type, Lookup):
            found.append((get, UNSET, 0, False, type_of))
        else:
            is_email = id_type == "email"
            limit_bytes = MAX_EMAIL_BYTES if is_email else MAX_ID_BYTES
            found.append((get, id_type, limit_bytes, is_email, type_of))
    return found


def _constant(value: Any) -> Getter:  # noqa: ANN401 - what a mapping has
    return lambda _: value


def _asked(
    value: T | Lookup[T], getter: GetterOf
) -> tuple[Getter | None, Any, Mapping[Any, Any], Callable[[Any], Any]]:
    """Return what gets a value, or None and the constant that it is.

    And what its texts mean, and what says what anything means.
    """
    if not isinstance(value, Lookup):
        return None, value, {}, _constant(None)
    table, otherwise, missing = value.table or {}, value.otherwise, value.missing

    def meaning_of(found: Any) -> T | Verdict | None:  # noqa: ANN401 - whatever is there
        if found is UNSET or found is None:
            return missing
        word = found if type(found) is str else word_in(found, table)
        return None if word is None else table.get(word, otherwise)

    return getter(value.path, is_needed=missing is None), None, table, meaning_of


def _segment_of(found: Any) -> int | None:  # noqa: ANN401 - whatever is there
    """Return the segment that a record itself names."""
    if type(found) is int:
        return found if 0 < found <= MAX_SEGMENT_ID else None
    word = word_of(found) if type(found) is float else found
    return _segment_of_text(word) if type(word) is str else None


def _type_reader(id_type: IdType | Lookup[IdType], getter: GetterOf) -> _TypeOf:
    get, fixed, _, meaning_of = _asked(id_type, getter)
    return _constant(fixed) if get is None else lambda subject: meaning_of(get(subject))


def _event(
    segment_id: int, action: Action, found: object, id_type: IdType | Verdict | None
) -> Event | None:
    if id_type is None or isinstance(id_type, Verdict):
        return None
    if type(found) is list:
        names = found if _are_plain(found, id_type) else _names(found, id_type)
        if not names or len(names) < len(found):
            return None
        if len(names) > 1:
            return Event(segment_id, action, UNSET, names, id_type)
        found = names[0]
    name = _name(found, id_type)
    return None if name is None else Event(segment_id, action, name, UNSET, id_type)


def _are_plain(found: list[Any], id_type: IdType) -> bool:
    """Whether all are texts that are sent as they are, looked at together: lists may be long."""
    if id_type == "email" or not {*map(type, found)} <= {str}:
        return False
    is_short = "" not in found and max(map(len, found), default=0) <= MAX_ID_BYTES
    return is_short and "".join(found).isascii()


def _names(found: list[Any], id_type: IdType) -> list[str]:
    return [name for each in found if (name := _name(each, id_type)) is not None]


def _name(found: object, id_type: IdType) -> str | None:
    """Return a good id as it is sent."""
    if type(found) is int:
        found = str(found)
    if type(found) is not str:
        return None
    name = valid_id(found, id_type)
    return None if isinstance(name, Malformed) else name
