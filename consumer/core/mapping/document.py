"""A mapping's text as tables: TOML, or JSON of the same shape."""

import tomllib

import msgspec

from consumer.core.mapping.problems import Place, Problem

Table = dict[str, object]

_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (type(None), "null"),
    (bool, "a boolean"),
    ((int, float), "a number"),
    (str, "a text"),
    (list, "a list"),
    (dict, "a table"),
)


def table_of(text: str) -> Table | Problem:
    """Return what ``text`` says; JSON begins with a brace, which TOML can't."""
    text = text.removeprefix("\ufeff")
    is_json = text.lstrip()[:1] == "{"
    try:
        return msgspec.json.decode(text, type=dict[str, object]) if is_json else tomllib.loads(text)
    except (tomllib.TOMLDecodeError, msgspec.MsgspecError, RecursionError) as error:
        return Problem(Place(), f"not {'JSON' if is_json else 'TOML'}: {error}")


def kind_of(given: object) -> str:
    """Name the kind of a value for a person."""
    for kinds, name in _KINDS:
        if isinstance(given, kinds):
            return name
    return "a date or time"
