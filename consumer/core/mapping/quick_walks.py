"""Several changes of one record in the quick plan: in order, and for every entry of a walk."""

from collections.abc import Callable
from typing import Any

from consumer.core.events import Event
from consumer.core.mapping.getters import Getter, Stand
from consumer.core.mapping.quick_changes import ReadChange
from consumer.core.mapping.reading import NOTHING_TO_WALK, Changes, Ignored
from consumer.core.mapping.structs import NotPlainError

QuickReading = Event | Changes | Ignored
Read = Callable[[Any], QuickReading | None]
"""Returns None, or raises, where the careful plan has to look."""


def in_order(readers: list[ReadChange], ignored: Ignored) -> Read:
    """Return what reads several changes at one place; ``ignored`` if none is left."""

    def read(subject: Any) -> QuickReading | None:  # noqa: ANN401 - what msgspec made
        found: list[Event] = []
        for read_change in readers:
            change = read_change(subject)
            if type(change) is Event:
                found.append(change)
            elif change is None:
                return None
        return _together(found) or ignored

    return read


def walker(walks: list[Getter], readers: list[ReadChange], ignored: Ignored) -> Read:
    """Return what reads the changes at every entry of a walk, or of walks inside of each other."""
    *outer, innermost = ((get, f"l{depth}", f"k{depth}") for depth, get in enumerate(walks, 1))

    def walk(stand: Stand, depth: int, found: list[Event]) -> int:
        """Return how many places there were."""
        if depth == len(outer):
            return _at_each(stand, innermost, readers, found)
        get, level, key = outer[depth]
        places = 0
        for name, entry in _entries(get(stand)):
            setattr(stand, level, entry)
            setattr(stand, key, name)
            places += walk(stand, depth + 1, found)
        return places

    def read(stand: Stand) -> QuickReading:
        found: list[Event] = []
        return (_together(found) or ignored) if walk(stand, 0, found) else NOTHING_TO_WALK

    return read


def _at_each(
    stand: Stand,
    walk: tuple[Getter, str, str],
    readers: list[ReadChange],
    found: list[Event],
) -> int:
    get, level, key = walk
    container = get(stand)
    for name, entry in _entries(container):
        setattr(stand, level, entry)
        setattr(stand, key, name)
        for read in readers:
            change = read(stand)
            if type(change) is Event:
                found.append(change)
            elif change is None:
                raise NotPlainError
    return len(container)


def _entries(container: Any) -> Any:  # noqa: ANN401 - whatever is there
    """Return pairs of a key and an entry."""
    if type(container) is dict:
        return container.items()
    if type(container) is list:
        return enumerate(container)
    raise NotPlainError


def _together(found: list[Event]) -> Event | Changes | None:
    if len(found) == 1:
        return found[0]
    return Changes(tuple(found)) if found else None
