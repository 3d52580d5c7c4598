"""The keys of segments that records name, and that a mapping's table doesn't have.

For a preview: they are what is to be put into the table.
"""

from collections.abc import Iterator

from consumer.core.mapping.beside import Record
from consumer.core.mapping.careful import looked_up, rule_for, walk
from consumer.core.mapping.language import IGNORE, ChangeRule, Lookup, Rule
from consumer.core.mapping.paths import Path
from consumer.core.mapping.scope import Scope, UnreadableError, WrongError
from consumer.core.mapping.view import View


def unlisted_keys(rules: list[Rule], record: Record, value: View | None) -> tuple[str, ...]:
    """Return the keys of changes that would be read if the table had them, each once.

    Without what may be a person's id: a wrong path may lead to one.
    """
    scope = Scope(record, (value,) if value else ())
    rule = rule_for(rules, scope)
    places = walk(rule, scope) if rule else iter(())
    found = {
        key: None
        for place in places
        if not isinstance(place, WrongError) and rule
        for change in rule.changes
        for key in _keys(change, place)
        if "@" not in key
    }
    return tuple(found)


def _keys(change: ChangeRule, scope: Scope) -> Iterator[str]:
    lookup = change.segment_id
    if not isinstance(lookup, Lookup) or lookup.table is None or isinstance(lookup.otherwise, int):
        return
    action = looked_up(change.action, "", "", scope)
    if action is IGNORE or isinstance(action, WrongError):
        return
    words = _words(lookup.path, scope)
    if words and not any(word in lookup.table or word in _ids(change, scope) for word in words):
        yield words[0]


def _words(path: Path, scope: Scope) -> tuple[str, ...]:
    try:
        found = scope.one(path)
    except UnreadableError:
        return ()
    return found.words() if found else ()


def _ids(change: ChangeRule, scope: Scope) -> set[str]:
    """Return the words of all that is at any of the places of ids."""
    views: list[View] = []
    for source in change.ids:
        try:
            found = scope.found(source.ids) if isinstance(source.ids, Path) else ()
            views += [view for view in found if view is not None]
        except UnreadableError:
            continue
    return {word for view in views for each in (view, *view.items()) for word in each.words()}
