"""What ``KAFKA_TOPICS`` says: names of topics, and expressions for whole names.

The same expression meets three engines: POSIX on our side of the classic protocol, RE2 on the
broker's side of KIP-848, and Python's where the dead-letter topic is compared with it. What they
read differently is refused, so that an expression means one thing.
"""

import re
import warnings
from collections.abc import Iterable, Iterator

from consumer.settings.problems import shown
from consumer.settings.property_checks import expression_problem

_TOPIC_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")
_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\[:\w*:\]|[^\]])*\]|.", re.DOTALL)
"""An escape, a whole bracket expression, or one character."""

_POSIX_CLASSES = {
    "[:alnum:]": "A-Za-z0-9",
    "[:alpha:]": "A-Za-z",
    "[:digit:]": "0-9",
    "[:lower:]": "a-z",
    "[:upper:]": "A-Z",
}


def parse_topics(text: str) -> tuple[str, ...]:
    """Return the names and the expressions, these anchored as ``^(...)$``.

    Raises a ValueError with one argument for each part that is neither.
    """
    topics: list[str] = []
    problems: list[str] = []
    for part in _split(text):
        problem = _problem(part)
        if problem:
            problems.append(f"{shown(part)} {problem}")
        topics.append(_anchored(part) if part.startswith("^") else part)
    if problems or not topics:
        raise ValueError(*(problems or ["there is no name in it"]))
    return tuple(dict.fromkeys(topics))


def is_topic_name(name: str) -> bool:
    """Whether Kafka takes ``name`` as a topic's."""
    return bool(_TOPIC_NAME.fullmatch(name)) and name not in {".", ".."}


def covers(topics: Iterable[str], name: str) -> bool:
    """Whether a subscription to ``topics``, as ``parse_topics`` returned them, reads ``name``."""
    return any(
        _compiled(topic).fullmatch(name) if topic.startswith("^") else topic == name
        for topic in topics
    )


def _split(text: str) -> Iterator[str]:
    """Yield what stands between commas that are not inside an expression's (), {} or []."""
    part, depth = "", 0
    for token in _TOKEN.findall(text):
        depth = max(0, depth + (token in {"(", "{"}) - (token in {")", "}"}))
        if token == "," and depth == 0:  # noqa: S105 - a token of a parser is no password
            yield from filter(None, [part.strip()])
            part = ""
        else:
            part += token
    yield from filter(None, [part.strip()])


def _problem(part: str) -> str | None:
    if not part.startswith("^"):
        return None if is_topic_name(part) else "is no topic's name"
    # Unanchored too: anchored, "^a)|(b" would be well formed and mean something else.
    return (
        _read_differently(part)
        or expression_problem(part)
        or expression_problem(_anchored(part))
        or _python_problem(part)
    )


def _anchored(expression: str) -> str:
    return f"^({expression[1:]})$"


def _read_differently(expression: str) -> str | None:
    if expression == "^":
        return "is an empty expression"
    if "(?" in expression:
        return "has '(?', which POSIX expressions have not"
    for token in _TOKEN.findall(expression):
        if token.startswith("\\") and token[1:].isalnum():
            return f"has {token!r}, which POSIX expressions have not"
        if token.startswith("[") and "\\" in token:
            return r"has '\' between brackets, where POSIX expressions need none ('-' stands last)"
    return None


def _python_problem(expression: str) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _compiled(expression)
    except (re.error, FutureWarning, OverflowError, RecursionError) as error:
        return f"is no expression that all sides read alike: {error}"
    return None


def _compiled(expression: str) -> re.Pattern[str]:
    for posix, python in _POSIX_CLASSES.items():
        expression = expression.replace(posix, python)
    return re.compile(expression)
