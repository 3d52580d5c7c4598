"""The values of a mapping's keys: a constant, or a path with what its words mean."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from consumer.core.events import ACTIONS, ID_TYPES, MAX_SEGMENT_ID, Action, IdType, segment_id_of
from consumer.core.mapping.document import Table, kind_of
from consumer.core.mapping.language import IGNORE, IdSource, Lookup, Verdict
from consumer.core.mapping.paths import BadPathError, Path, path_of
from consumer.core.mapping.problems import Place, Problems
from consumer.core.mapping.words import NoWordError, word_of

T = TypeVar("T")

SEGMENTS = "segments"
_SEGMENT = f"a segment's id: an integer, 1 to {MAX_SEGMENT_ID}, or the same as text"
_IGNORE_OR_DEFAULT = ("default", "ignore")


class Forms:
    """Understands values; ``segments`` is the table that a mapping names ``"segments"``."""

    def __init__(
        self, problems: Problems, segments: Mapping[str, int] | None, default_id_type: IdType
    ) -> None:
        self._problems = problems
        self._segments = segments
        self._default_id_type: IdType = default_id_type

    def path(self, given: object, place: Place, depth: int, *, walks: bool = False) -> Path | None:
        """Understand a path; only one that ``walks`` may have a star."""
        if not isinstance(given, str):
            what = f"{kind_of(given)}: a path is a text"
            self._wrong(place, "missing" if given is None else what)
            return None
        try:
            path = path_of(given, depth)
        except BadPathError as error:
            self._wrong(place, str(error))
            return None
        if path.walks and not walks:
            self._wrong(place, f'"{given}": * is for ids')
            return None
        return path

    def words(self, given: object, place: Place) -> list[str]:
        """Understand a word, or a list of them."""
        found = []
        for each in given if isinstance(given, list) else [given]:
            word = _word(each)
            if word is None:
                what = "use { exists = false }" if each is None else "a text, number or boolean"
                self._wrong(place, f"{kind_of(each)}: {what}")
            else:
                found.append(word)
        if not found and given == []:
            self._wrong(place, "an empty list")
        return found

    def segment_id(self, given: object, place: Place, depth: int) -> int | Lookup[int] | None:
        """Understand ``segment_id``."""
        if not isinstance(given, dict):
            return self._one_segment(given, place)
        self._problems.unknown_keys(given, ("path", "map", *_IGNORE_OR_DEFAULT), place)
        path = self.path(given.get("path"), place.at("path"), depth)
        if given.get("map") == SEGMENTS:
            table: Mapping[str, int] | None = self._segments
            if table is None:
                self._wrong(place.at("map"), 'EVENT_SEGMENTS, which "segments" means, is not set')
        else:
            table = self._table(given, place, self._one_segment)
        otherwise = self._otherwise(given, place, self._one_segment)
        return None if path is None else Lookup(path, table, otherwise)

    def action(self, given: object, place: Place, depth: int) -> Action | Lookup[Action] | None:
        """Understand ``action``."""
        if not isinstance(given, dict):
            return self._one_action(given, place)
        self._problems.unknown_keys(given, ("path", *ACTIONS, "ignore"), place)
        path = self.path(given.get("path"), place.at("path"), depth)
        table: dict[str, Action | Verdict] = {}
        meanings: list[tuple[str, Action | Verdict]] = [(each, each) for each in ACTIONS]
        for key, meaning in [*meanings, ("ignore", IGNORE)]:
            for word in self.words(given[key], place.at(key)) if key in given else []:
                if table.setdefault(word, meaning) is not meaning:
                    self._wrong(place.at(key), f'"{word}" has another meaning too')
        if not any(action in given for action in ACTIONS):
            table = {**{each: each for each in ACTIONS}, **table}
        return None if path is None else Lookup(path, table)

    def id_type(self, given: object, place: Place, depth: int) -> IdType | Lookup[IdType] | None:
        """Understand ``id_type``."""
        if not isinstance(given, dict):
            return self._one_id_type(given, place)
        self._problems.unknown_keys(given, ("path", "map", *_IGNORE_OR_DEFAULT), place)
        path = self.path(given.get("path"), place.at("path"), depth)
        table: dict[str, IdType] | None = self._table(given, place, self._one_id_type)
        otherwise: IdType | Verdict | None = self._otherwise(given, place, self._one_id_type)
        if table is None:
            table = {id_type: id_type for id_type in ID_TYPES}
        return None if path is None else Lookup(path, table, otherwise, self._default_id_type)

    def ids(self, table: Table, place: Place, depth: int) -> tuple[IdSource, ...] | None:
        """Understand ``id`` and ``id_type`` of a rule or a change."""
        default = self._default_id_type
        if "id_type" in table:
            id_type = self.id_type(table["id_type"], place.at("id_type"), depth)
        else:
            id_type = default
        if "id" not in table:
            self._wrong(place.at("id"), "missing")
            return None
        given = table["id"]
        if given == []:
            self._wrong(place.at("id"), "an empty list")
            return None
        places = given if isinstance(given, list) else [given]
        found = [self._id(each, place.at("id"), depth, id_type or default) for each in places]
        return tuple(each for each in found if each is not None)

    def _id(
        self, given: object, place: Place, depth: int, id_type: IdType | Lookup[IdType]
    ) -> IdSource | None:
        if isinstance(given, str | int) and not isinstance(given, bool) and given != "":
            return IdSource(str(given), id_type)
        if not isinstance(given, dict):
            self._wrong(place, f"{kind_of(given)}: a path in a table, or one id")
            return None
        self._problems.unknown_keys(given, ("path", "id_type"), place)
        path = self.path(given.get("path"), place.at("path"), depth, walks=True)
        own = id_type
        if "id_type" in given:
            own = self.id_type(given["id_type"], place.at("id_type"), depth) or id_type
        return None if path is None else IdSource(path, own)

    def _table(
        self, given: Table, place: Place, one: Callable[[object, Place], T | None]
    ) -> dict[str, T] | None:
        if "map" not in given:
            for key in _IGNORE_OR_DEFAULT:
                if key in given:
                    self._wrong(place.at(key), "is of a map, and there is none")
            return None
        entries, at = given["map"], place.at("map")
        if not isinstance(entries, dict) or not entries:
            other = f', or "{SEGMENTS}"' if one == self._one_segment else ""
            what = f"{kind_of(entries)}: a table of words{other}"
            self._wrong(at, what if entries else "empty")
            return None
        found = {word: one(meaning, at.at(word)) for word, meaning in entries.items()}
        return {word: meaning for word, meaning in found.items() if meaning is not None}

    def _otherwise(
        self, given: Table, place: Place, one: Callable[[object, Place], T | None]
    ) -> T | Verdict | None:
        ignore = given.get("ignore", False)
        if not isinstance(ignore, bool):
            self._wrong(place.at("ignore"), f"{kind_of(ignore)}: true or false")
            return None
        if ignore and "default" in given:
            self._wrong(place.at("ignore"), "a default is given too")
            return None
        if "default" in given:
            return one(given["default"], place.at("default"))
        return IGNORE if ignore else None

    def _one_segment(self, given: object, place: Place) -> int | None:
        is_one = isinstance(given, int | str) and not isinstance(given, bool)
        segment_id = segment_id_of(given) if is_one else None  # type: ignore[arg-type]  # it is one
        if segment_id is None:
            self._wrong(place, f"{_told(given)}: {_SEGMENT}")
        return segment_id

    def _one_action(self, given: object, place: Place) -> Action | None:
        for action in ACTIONS:
            if given == action:
                return action
        self._wrong(place, f'{_told(given)}: "add", "remove", or a table with a path')
        return None

    def _one_id_type(self, given: object, place: Place) -> IdType | None:
        for id_type in ID_TYPES:
            if given == id_type:
                return id_type
        self._wrong(place, f'{_told(given)}: "id", "email" or "cio_id"')
        return None

    def _wrong(self, place: Place, what: str) -> None:
        self._problems.add(place, what)


def _word(given: object) -> str | None:
    """Return the word of a constant; a number with a fraction is spelled as it is here."""
    try:
        return word_of(given)
    except NoWordError:
        return repr(given)


def _told(given: object) -> str:
    return f'"{given}"' if isinstance(given, str) else kind_of(given)
