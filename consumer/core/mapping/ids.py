"""The ids of one change in the careful plan: where they stand, and which of them are good."""

from msgspec import Raw  # noqa: TC002 - as everywhere, for a reader

from consumer.core.events import Action, Event, IdType, Malformed, Mixed, valid_id
from consumer.core.mapping.language import ChangeRule, IdSource
from consumer.core.mapping.paths import Path
from consumer.core.mapping.scope import Scope, UnreadableError, WrongError
from consumer.core.mapping.view import View


def given_ids(
    rule: ChangeRule, scope: Scope, details: dict[str, None]
) -> tuple[IdSource, list[View]]:
    """Return the first place of ids where something is, and what.

    An empty text or list, or one of nulls, counts only if no other place has more: Protobuf has no
    other way to say that there is none.
    """
    chosen: tuple[IdSource, list[View], bool] | None = None
    for source in rule.ids:
        given, is_whole = _at_source(source, rule.place, scope)
        says_something = given is not None and not all(view.is_blank for view in given)
        if given is not None and (says_something or chosen is None):
            chosen = source, given, is_whole
        if says_something:
            break
    if chosen is None:
        paths = " or ".join(f'"{source.ids}"' for source in rule.ids)
        whys = (scope.why_nothing_is_at(at.ids) for at in rule.ids if isinstance(at.ids, Path))
        why = next((why for why in whys if why), "")
        raise WrongError(f"{rule.place}, id: nothing is at {paths}{why}")
    source, given, is_whole = chosen
    if not given:
        raise WrongError(f'{rule.place}, id: the list at "{source.ids}" is empty')
    if not is_whole:
        details[f'{rule.place}, id: nothing is at "{source.ids}" in some of the places'] = None
    return source, given


def _at_source(source: IdSource, place: str, scope: Scope) -> tuple[list[View] | None, bool]:
    """Return what is at a place of ids, None for nothing; and whether all of its ways lead there.

    The items of lists are ids, whatever they are.
    """
    if isinstance(source.ids, str):
        return [View.of(source.ids)], True
    try:
        found = list(scope.found(source.ids))
    except UnreadableError as error:
        raise WrongError(f'{place}, id: "{source.ids}": {error}') from None
    there = [view for view in found if view is not None and not view.is_null]
    if not source.ids.walks and there and there[0].kind == "object":
        what = scope.what_is_at(source.ids, there[0])
        raise WrongError(f"{place}, id: {what}: a string, an integer, or a list of them")
    given = [inner for view in there for inner in (view.items() if view.kind == "list" else [view])]
    return given if there else None, len(there) == len(found)


def change_of(segment_id: int, action: Action, id_type: IdType, given: list[View]) -> Event | Mixed:
    """Return a change: the good ids as they are sent, the others as they were written.

    ``given`` has at least one.
    """
    good: list[str] = []
    invalid: list[Raw] = []
    details: dict[str, None] = {}
    for view in given:
        name = _name(view, id_type)
        if isinstance(name, str):
            good.append(name)
        else:
            invalid.append(view.written)
            details[name.detail] = None
    if invalid:
        event = Event(segment_id, action, ids=good, id_type=id_type) if good else None
        return Mixed(event, segment_id, action, id_type, tuple(invalid), "; ".join(details))
    if len(good) == 1:
        return Event(segment_id, action, id=good[0], id_type=id_type)
    return Event(segment_id, action, ids=good, id_type=id_type)


def _name(view: View, id_type: IdType) -> str | Malformed:
    """Return an id as it is sent, or why it can't be one, as the plain event's rules have it."""
    if view.kind == "string" or view.is_integer:
        return valid_id(view.words()[0], id_type)
    kind = "a number with a fraction" if view.kind == "number" else view.a_kind
    return Malformed(f"an id is {kind}: a string or an integer")
