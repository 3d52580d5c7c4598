"""What rules of access can say of an expression for topics: names, and beginnings of names."""

import re

_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\[:\w*:\]|[^\]])*\]|.", re.DOTALL)
"""An escape, a whole bracket expression, or one character."""

_LITERAL = re.compile(r"\\?[A-Za-z0-9_-]|\\\.")
_OPTIONAL = frozenset("*?{")  # what stands before need not be there
_ANY = ("*", False)


def patterns_of(expression: str) -> list[tuple[str, bool]]:
    """Return names, and beginnings (with True), that together are what an expression may match.

    ``*``, which is how the brokers write it, if it may begin with anything.
    """
    tokens = _TOKEN.findall(expression.removeprefix("^").removesuffix("$"))
    found = {_pattern(each) for each in _alternatives(tokens)}
    return [_ANY] if _ANY in found else sorted(found)


def _alternatives(tokens: list[str]) -> list[list[str]]:
    """Return what ``|`` parts, outside of parentheses or in those that are around all of it."""
    parts: list[list[str]] = [[]]
    depth, is_wrapped = 0, tokens[:1] == ["("]
    for number, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token, 0)
        is_wrapped = is_wrapped and (depth > 0 or number == len(tokens) - 1)
        if token == "|" and not depth:  # noqa: S105 - a token of a parser is no password
            parts.append([])
        else:
            parts[-1].append(token)
    if is_wrapped:
        return _alternatives(tokens[1:-1])
    if len(parts) == 1:
        return parts
    return [each for part in parts for each in _alternatives(part)]


def _pattern(tokens: list[str]) -> tuple[str, bool]:
    """Return the name that it is, or what every name begins with that it may match."""
    beginning = ""
    for number, token in enumerate(tokens):
        follows = tokens[number + 1] if number + 1 < len(tokens) else ""
        if not _LITERAL.fullmatch(token) or follows in _OPTIONAL:
            return (beginning, True) if beginning else _ANY
        beginning += token[-1]
    return (beginning, False) if beginning else _ANY
