"""A word: a value as the text that conditions and tables compare."""

from collections.abc import Container

LARGEST_INTEGRAL = 2.0**53  # up to here a float is the integer that was written


class NoWordError(ValueError):
    """A number whose spelling is not known any more."""


def word_of(value: object) -> str | None:
    """Return a value's word; None if it has none; raise NoWordError.

    A string is its own word. ``true``, ``false`` and integers are spelled as in JSON, an integral
    float as the integer that it is. (``str`` of an integer of thousands of digits raises
    ValueError, as this does.)
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if value.is_integer() and abs(value) < LARGEST_INTEGRAL:
            return str(int(value))
        raise NoWordError
    return None


def word_in(value: object, known: Container[str]) -> str | None:
    """Return a value's word, to be looked for among those known; raise NoWordError.

    An integral float may be known as it was spelled (``1.0``), if not as the integer that it is.
    """
    word = word_of(value)
    if isinstance(value, float) and word not in known:
        raise NoWordError
    return word
