"""The types of what a mapping reads of a record's value: msgspec Structs, made of its paths.

All paths of all rules are put together in one tree. A member that a path names becomes a field;
what is walked or counted, a list (or a map) of what is looked at inside; where a path ends,
anything. So msgspec reads a record once, makes an object only of what is named, and skips the rest
without looking at it: half of what it costs to decode a record of 400 bytes whole.
"""

from dataclasses import dataclass, field
from typing import Any, Union

import msgspec
from msgspec import UNSET, Raw, UnsetType

from consumer.core.mapping.connect import is_schema
from consumer.core.mapping.language import Rule, paths_of
from consumer.core.mapping.paths import Every, Member, Source, Step, Where

ENVELOPE = ("schema", "payload")
_SCALAR = (str, int, float, bool)


class NotPlainError(Exception):
    """It isn't what the quick plan knows; the careful one says what it is."""


@dataclass(slots=True)
class Node:
    """A place in the records' values, and what is looked at there.

    ``is_leaf``: what stands here is used itself, not only asked for. ``fields``: the fields of
    its Struct, by the names of the members.
    """

    members: dict[str, "Node"] = field(default_factory=dict)
    element: "Node | None" = None
    is_walked: bool = False
    is_leaf: bool = False
    fields: dict[str, str] = field(default_factory=dict)

    def at(self, step: Step) -> "Node":
        """Return the node that a step leads to, made if it is new."""
        if isinstance(step, Member):
            return self.members.setdefault(step.name, Node())
        if self.element is None:
            self.element = Node()
        self.is_walked |= isinstance(step, Every)
        if isinstance(step, Where):
            for name, _ in step.wanted:
                self.element.at(Member(name)).is_leaf = True
        return self.element


def trees_of(rules: list[Rule]) -> tuple[Node, Node, list[list[Node]]]:
    """Return the trees of all paths into the value and into the key.

    And, for each rule, the nodes that its paths begin at: the top, an entry of its first walk, ...
    """
    value, key, levels_of_rules = Node(), Node(), []
    for rule in rules:
        levels = [value]
        for each in rule.each:
            levels.append(_follow(levels[each.level], (*each.steps, Every())))
        levels_of_rules.append(levels)
        for path, is_probed in paths_of(rule):
            if path.source is Source.VALUE:
                node = _follow(levels[path.level], path.steps)
                node.is_leaf |= not is_probed
            elif path.source is Source.KEY and path.steps:
                _follow(key, path.steps).is_leaf |= not is_probed
    return value, key, levels_of_rules


def _follow(node: Node, steps: tuple[Step, ...]) -> Node:
    for step in steps:
        node = node.at(step)
    return node


class Decoder:
    """Decodes a value, or a key, as far as it is looked at, into the ``type`` made for it.

    ``bare`` is msgspec's own; ``decode`` takes off the envelope of Connect's JSON converter too,
    ``schema`` beside ``payload``: by decoding once more, without the schema. If ``has_mark``, a
    value is in an envelope only if the field ``mark`` of what ``bare`` returns is set.

    They raise what msgspec raises, ``decode`` NotPlainError too.
    """

    def __init__(self, tree: Node) -> None:
        marks = [name for name in ENVELOPE if name not in tree.members]
        self.type: Any = type_of(tree, {"mark": marks[0]} if marks else {})
        self.bare = msgspec.json.Decoder(self.type).decode
        self.has_mark = bool(marks and tree.members and not tree.is_leaf and tree.element is None)
        self._has_members = bool(tree.members)
        fields: list[tuple[str, Any, Any]] = [
            ("schema", _unless_missing(Raw), UNSET),
            ("payload", _unless_missing(self.type), UNSET),
        ]
        envelope = msgspec.defstruct("Envelope", fields, gc=False)
        self._decode_envelope = msgspec.json.Decoder(envelope).decode

    def decode(self, value: bytes) -> Any:  # noqa: ANN401 - of the type made here
        """Decode a value, which may be in an envelope."""
        found = self.bare(value)
        if found is None or (type(found) is dict and found.keys() >= {*ENVELOPE}):
            raise NotPlainError
        if not self._has_members or getattr(found, "mark", None) is UNSET:
            return found
        envelope: Any = self._decode_envelope(value)
        if envelope.payload is UNSET or not is_schema(envelope.schema):
            return found
        if envelope.payload is None:
            raise NotPlainError
        return envelope.payload


def type_of(node: Node, mark: dict[str, str] | None = None) -> Any:  # noqa: ANN401 - a type
    """Return the type of what stands at a node, as far as it is looked at; null fits everywhere.

    ``mark``: a field besides, by which an envelope is known, and its name in JSON.
    """
    parts: list[Any] = []
    if node.members:
        parts.append(_struct_of(node, mark or {}))
    if node.element is not None:
        inner = type_of(node.element)
        parts.append(list[inner])  # type: ignore[valid-type]  # it is known when a mapping is
        if node.is_walked and not node.members:
            parts.append(dict[str, inner])  # type: ignore[valid-type]  # as above
    if not parts:
        return Any if node.is_leaf else Raw
    if node.is_leaf:
        parts.extend(_SCALAR)
    return Union[(*parts, None)]


def _struct_of(node: Node, mark: dict[str, str]) -> type[msgspec.Struct]:
    node.fields = {name: f"f{number}" for number, name in enumerate(node.members)}
    fields: list[tuple[str, Any, Any]] = [
        (node.fields[name], _unless_missing(type_of(inner)), UNSET)
        for name, inner in node.members.items()
    ]
    fields += [(name, _unless_missing(Raw), UNSET) for name in mark]
    names = {of_field: name for name, of_field in node.fields.items()} | mark
    return msgspec.defstruct("Value", fields, rename=names, gc=False)


def _unless_missing(of_type: Any) -> Any:  # noqa: ANN401 - types that msgspec takes
    return of_type if of_type is Any else Union[of_type, UnsetType]  # noqa: UP007 - it is a value
