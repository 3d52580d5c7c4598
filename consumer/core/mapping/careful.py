"""The careful plan: reads any record at all, rule by rule, and says what is wrong with it.

It looks at the value step by step, as it was written, so that what can't be delivered goes to the
dead letters byte for byte. A detail names the rule, the change, the key and the path, and of what
stands there only its kind: a wrong path may lead to a person's id.
"""

from collections.abc import Iterator
from typing import TypeVar

from consumer.core.events import (
    MAX_SEGMENT_ID,
    Action,
    Event,
    IdType,
    Malformed,
    Mixed,
    segment_id_of,
)
from consumer.core.mapping.beside import Record
from consumer.core.mapping.ids import change_of, given_ids
from consumer.core.mapping.language import (
    IGNORE,
    ChangeRule,
    Condition,
    Lookup,
    Rule,
    Verdict,
)
from consumer.core.mapping.reading import (
    NO_RULE,
    NOTHING_TO_WALK,
    Changes,
    Ignored,
    Reading,
)
from consumer.core.mapping.scope import Scope, UnreadableError, WrongError
from consumer.core.mapping.view import View

T = TypeVar("T")


def reading_of(rules: list[Rule], record: Record, value: View | None) -> Reading:
    """Return what a record says, by the first rule that fits; ``value`` is JSON from end to end."""
    scope = Scope(record, (value,) if value else ())
    rule = rule_for(rules, scope)
    return NO_RULE if rule is None else _read(rule, scope)


def rule_for(rules: list[Rule], scope: Scope) -> Rule | None:
    """Return the first rule that fits a record, at whose top the scope is."""
    has_value = bool(scope.entries)
    for rule in rules:
        is_meant = rule.reads_no_value is not has_value
        if is_meant and all(_holds(condition, scope) for condition in rule.when):
            return rule
    return None


def _holds(condition: Condition, scope: Scope) -> bool:
    try:
        if condition.words is None:
            return scope.has(condition.path) is condition.exists
        found = scope.one(condition.path)
    except UnreadableError:
        return False
    return found is not None and not condition.words.isdisjoint(found.words())


def _read(rule: Rule, scope: Scope) -> Reading:
    changes: list[Event | Mixed] = []
    details: dict[str, None] = {}  # each once, in order
    places = 0
    for place in walk(rule, scope):
        places += 1
        if isinstance(place, WrongError):
            details[str(place)] = None
        else:
            for change in rule.changes:
                _add(change, place, changes, details)
    malformed = Malformed("; ".join(details)) if details else None
    if not changes:
        return malformed or (Ignored(rule.ignored) if places else NOTHING_TO_WALK)
    (only, *more) = changes
    if isinstance(only, Event) and not more and malformed is None:
        return only
    return Changes(tuple(changes), malformed)


def _add(
    rule: ChangeRule, scope: Scope, changes: list[Event | Mixed], details: dict[str, None]
) -> None:
    try:
        change = _change(rule, scope, details)
    except WrongError as wrong:
        details[str(wrong)] = None
    else:
        if change is not None:
            changes.append(change)


def walk(rule: Rule, scope: Scope, depth: int = 0) -> Iterator[Scope | WrongError]:
    """Yield each place that the walks lead to, and what is wrong where there is nothing to walk."""
    if depth == len(rule.each):
        yield scope
        return
    path = rule.each[depth]
    found = scope.one(path)
    if found is None or found.kind not in {"list", "object"}:
        yield WrongError(f"rule {rule.number}, each: {scope.what_is_at(path, found)}")
        return
    for index, entry in enumerate(found.items()):
        yield from walk(rule, scope.entered(index, entry), depth + 1)
    for name, entry in found.members().items():
        yield from walk(rule, scope.entered(name, entry), depth + 1)


def _change(rule: ChangeRule, scope: Scope, details: dict[str, None]) -> Event | Mixed | None:
    """Return a change, None if it is to be ignored; what makes it so counts before all else."""
    segment_id = _segment_id(rule, scope)
    action: Action | Verdict | WrongError = looked_up(rule.action, rule.place, "action", scope)
    if segment_id is IGNORE or action is IGNORE:
        return None
    if isinstance(segment_id, WrongError):
        raise segment_id
    if isinstance(action, WrongError):
        raise action
    source, given = given_ids(rule, scope, details)
    id_type: IdType | Verdict | WrongError = looked_up(source.id_type, rule.place, "id_type", scope)
    if isinstance(id_type, WrongError):
        raise id_type
    if id_type is IGNORE:
        return None
    return change_of(segment_id, action, id_type, given)


def _segment_id(rule: ChangeRule, scope: Scope) -> int | Verdict | WrongError:
    lookup = rule.segment_id
    if isinstance(lookup, int) or lookup.table is not None:
        return looked_up(lookup, rule.place, "segment_id", scope)
    try:
        found = scope.one(lookup.path)
    except UnreadableError as error:
        return WrongError(f'{rule.place}, segment_id: "{lookup.path}": {error}')
    words = found.words() if found else ()
    segment_id = segment_id_of(words[0]) if words else None
    if segment_id is None:
        what = scope.what_is_at(lookup.path, found)
        wanted = f": an integer, 1 to {MAX_SEGMENT_ID}" if found else ""
        return WrongError(f"{rule.place}, segment_id: {what}{wanted}")
    return segment_id


def looked_up(
    lookup: T | Lookup[T], place: str, key: str, scope: Scope
) -> T | Verdict | WrongError:
    """Return what a rule has for what a record says at a key, or why there is nothing."""
    if not isinstance(lookup, Lookup):
        return lookup
    place = f"{place}, {key}"
    try:
        found = scope.one(lookup.path)
    except UnreadableError as error:
        return WrongError(f'{place}: "{lookup.path}": {error}')
    if (found is None or found.is_null) and lookup.missing is not None:
        return lookup.missing
    words = found.words() if found else ()
    if not words:
        return WrongError(f"{place}: {scope.what_is_at(lookup.path, found)}")
    table = lookup.table or {}
    meaning = next((table[word] for word in words if word in table), lookup.otherwise)
    if meaning is None:
        return WrongError(f'{place}: what is at "{lookup.path}" is not in the mapping\'s table')
    return meaning
