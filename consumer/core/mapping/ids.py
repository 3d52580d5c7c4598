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
    """Return the first place of ids where something is, and what; null only if nothing else is."""
    nulls: tuple[IdSource, list[View]] | None = None
    for source in rule.ids:
        given, missing = _at_source(source, rule.place, scope)
        if not given:
            continue
        if missing:
            details[f'{rule.place}, id: nothing is at "{source.ids}" in some of the places'] = None
        if not all(view.is_null for view in given):
            return source, given
        nulls = nulls or (source, given)
    if nulls is not None:
        return nulls
    paths = " or ".join(f'"{source.ids}"' for source in rule.ids)
    whys = (scope.why_nothing_is_at(each.ids) for each in rule.ids if isinstance(each.ids, Path))
    why = next((why for why in whys if why), "")
    raise WrongError(f"{rule.place}, id: nothing is at {paths}{why}")


def _at_source(source: IdSource, place: str, scope: Scope) -> tuple[list[View], bool]:
    """Return what is at a place of ids, and whether some of its ways lead nowhere."""
    if isinstance(source.ids, str):
        return [View.of(source.ids)], False
    try:
        found = list(scope.found(source.ids))
    except UnreadableError as error:
        raise WrongError(f'{place}, id: "{source.ids}": {error}') from None
    there = [view for view in found if view is not None]
    if not source.ids.walks and there and there[0].kind == "object":
        what = scope.what_is_at(source.ids, there[0])
        raise WrongError(f"{place}, id: {what}: a string, an integer, or a list of them")
    given = [inner for view in there for inner in (view.items() if view.kind == "list" else [view])]
    if not given and there:
        raise WrongError(f'{place}, id: the list at "{source.ids}" is empty')
    return given, len(there) < len(found)


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
