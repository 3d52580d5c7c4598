"""Getters: what a path leads to in an object that msgspec made, or beside it.

A getter takes a subject, which is such an object or a `Stand`, and returns what is there, or UNSET.
Most are one ``operator.attrgetter``, which is the quickest way that Python has.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from consumer.core.mapping.beside import Record, header_text, key_text
from consumer.core.mapping.paths import Every, Index, Member, Path, Source, Step, Where
from consumer.core.mapping.structs import Node, NotPlainError
from consumer.core.mapping.words import word_in

Getter = Callable[[Any], Any]


class Stand:
    """Where a rule stands in a record: its levels, their keys, and what is beside the value.

    ``l0`` is the record's value, ``l1`` the entry of the first walk with the key ``k1``, and so on.
    """

    __slots__ = (
        "_decode_key",
        "_key",
        "k1",
        "k2",
        "k3",
        "k4",
        "l0",
        "l1",
        "l2",
        "l3",
        "l4",
        "record",
    )

    def __init__(self, value: Any, record: Record, decode_key: Callable[[bytes], Any]) -> None:  # noqa: ANN401 - of a type made from a mapping
        self.l0 = value
        self.record = record
        self._decode_key = decode_key
        self._key: Any = None

    @property
    def key(self) -> Any:  # noqa: ANN401 - of a type made from a mapping
        """Return the key, decoded as far as it is looked at."""
        if self._key is None:
            key = self.record.key()
            if key is not None and not key.isascii():
                key.decode()  # msgspec doesn't look at what it skips
            self._key = UNSET if key is None else self._decode_key(key)
        return self._key


def getter_of(path: Path, node: Node, key: Node, *, stands: bool, is_needed: bool) -> Getter:
    """Return the getter of a path; ``node`` is where it begins. ``stands``: a `Stand` is given.

    Where it ``is_needed`` that something is there, the getter may raise AttributeError.
    """
    match path.source:
        case Source.VALUE:
            get = _inside([f"l{path.level}"] if stands else [], node, path.steps)
        case Source.ENTRY_KEY:
            get = attrgetter(f"k{path.level}")
        case Source.KEY if path.steps:
            get = _inside(["key"], key, path.steps)
        case Source.KEY:
            return lambda stand: _or_unset(key_text(stand.record))
        case Source.TOPIC:
            return lambda stand: stand.record.topic()
        case _:
            name = path.header
            return lambda stand: _or_unset(header_text(stand.record, name))
    is_sure = len(path.steps) <= (not stands)  # a field of the value itself
    return get if is_needed or is_sure else _if_there(get)


def _or_unset(text: str | None) -> str | UnsetType:
    return UNSET if text is None else text


def _if_there(get: Getter) -> Getter:
    """Return a getter that never raises AttributeError.

    That is, for nothing, null or no object on the way.
    """

    def get_if_there(subject: Any) -> Any:  # noqa: ANN401 - whatever is there
        try:
            return get(subject)
        except AttributeError:
            return UNSET

    return get_if_there


def _inside(attributes: list[str], node: Node, steps: tuple[Step, ...]) -> Getter:
    for number, step in enumerate(steps):
        if not isinstance(step, Member):
            element = node.element
            assert element is not None, "the tree is of all paths"  # noqa: S101 - for mypy
            rest = _inside([], element, steps[number + 1 :])
            return _from_a_container(_attribute(attributes), step, element, rest)
        attributes, node = [*attributes, node.fields[step.name]], node.members[step.name]
    return _attribute(attributes)


def _attribute(attributes: list[str]) -> Getter:
    return attrgetter(".".join(attributes)) if attributes else lambda subject: subject


def _from_a_container(
    first: Getter, step: Index | Where | Every, element: Node, rest: Getter
) -> Getter:
    match step:
        case Index(index):
            return _item(first, index, rest)
        case Where(wanted):
            members = [(_if_there(attrgetter(element.fields[name])), word) for name, word in wanted]
            return _item_where(first, members, rest)
        case _:
            return _every(first, _if_there(rest))


def _item(first: Getter, index: int, rest: Getter) -> Getter:
    def get(subject: Any) -> Any:  # noqa: ANN401 - whatever is there
        found = first(subject)
        is_there = type(found) is list and -len(found) <= index < len(found)
        return rest(found[index]) if is_there else UNSET

    return get


def _item_where(first: Getter, members: list[tuple[Getter, str]], rest: Getter) -> Getter:
    def get(subject: Any) -> Any:  # noqa: ANN401 - whatever is there
        found = first(subject)
        for each in found if type(found) is list else ():
            for member, word in members:
                there = member(each)
                if there != word and (type(there) is str or word_in(there, {word}) != word):
                    break
            else:
                return rest(each)
        return UNSET

    return get


def _every(first: Getter, rest: Getter) -> Getter:
    def get(subject: Any) -> Any:  # noqa: ANN401 - whatever is there
        container = first(subject)
        found: list[Any] = []
        if type(container) is dict:
            container = container.values()
        elif isinstance(container, msgspec.Struct):
            raise NotPlainError  # a map, of which another path names members
        elif type(container) is not list:
            return UNSET
        for each in container:
            inner = rest(each)
            if inner is UNSET:
                raise NotPlainError
            if type(inner) is list:
                found += inner
            else:
                found.append(inner)
        return found or UNSET

    return get
