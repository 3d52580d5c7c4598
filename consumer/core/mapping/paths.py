"""A path: where a value stands, in a record's value or beside it.

a.b["odd.name"][0][-1]    members of objects, items of lists
people[*].id, people.*.id every item of a list, or value of a map
ids[type=email].value     the first item whose member says so
ids[a=x][b=y].value       the first item of which all of that is so
$ $.a $value.a            the top of the record's value, however deep the walks are
^.a ^.^.a                 one or two walks out
@key @value ^.@key        the key of a walk's entry (a list's: its index), the entry
$topic $key $headers.a    beside the value: text; $key.a where the key is JSON
"""

import re
from dataclasses import dataclass
from enum import Enum

import msgspec


class Source(Enum):
    """What a path starts from."""

    VALUE = "value"
    ENTRY_KEY = "@key"
    TOPIC = "$topic"
    KEY = "$key"
    HEADER = "$headers"


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an object."""

    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """An item of a list; a negative one is counted from its end."""

    index: int


@dataclass(frozen=True, slots=True)
class Every:
    """Every item of a list or value of a map."""


@dataclass(frozen=True, slots=True)
class Where:
    """The first item of a list whose members are these words."""

    wanted: tuple[tuple[str, str], ...]


Step = Member | Index | Every | Where


@dataclass(frozen=True, slots=True)
class Path:
    """A path as it was written, and what it means.

    ``level``: 0 is the record's top, 1 an entry of the first walk, and so on. A header's name is
    its only step; a key without steps is its text.
    """

    text: str
    source: Source
    level: int
    steps: tuple[Step, ...]

    @property
    def walks(self) -> bool:
        """Whether it may lead to more than one value."""
        return Every() in self.steps

    @property
    def header(self) -> str:
        """Return the name of the header that it leads to."""
        return "".join(step.name for step in self.steps if isinstance(step, Member))

    def __str__(self) -> str:
        return self.text


class BadPathError(ValueError):
    """A text that is no path; the message says why."""


_TOP = re.compile(r"\$(value|topic|key|headers)?(?![^.\[])")
_UNREADABLE = re.compile(r'["\\\x00-\x1f]')
_OUT = re.compile(r"\^\.?")
_STEP = re.compile(
    r"""(?P<start>^|\.)(?P<name>[^.\[\]"]+)
    | \.?\[\ *(?:
        (?P<index>-?[0-9]{1,9})
        | (?P<every>\*)
        | (?P<quoted>"(?:[^"\\]|\\.)*")
        | (?P<where>[^=\[\]"*]+)=(?P<word>"(?:[^"\\]|\\.)*"|[^\]"]+)
    )\ *\]""",
    re.VERBOSE,
)


def path_of(text: str, depth: int) -> Path:
    """Return the path that ``text`` says, inside of ``depth`` walks; raise BadPathError."""
    if text.startswith("$"):
        return _from_the_top(text)
    rest, level = text, depth
    while found := _OUT.match(rest):
        rest, level = rest[found.end() :], level - 1
    if level < 0:
        raise BadPathError(f'"{text}" goes further out than there are walks')
    if rest.split(".", 1)[0].split("[", 1)[0] in {"@key", "@value"} and level == 0:
        raise BadPathError(f'"{text}" is of an entry, and nothing is walked here')
    if rest == "@key":
        return Path(text, Source.ENTRY_KEY, level, ())
    if rest.startswith("@key"):
        raise BadPathError(f'"{text}": nothing is below a key')
    if rest.startswith("@value") and rest[6:7] in {"", ".", "["}:
        rest = rest[6:].removeprefix(".")
    elif not text:
        raise BadPathError("an empty path")
    return Path(text, Source.VALUE, level, _steps(text, rest))


def _from_the_top(text: str) -> Path:
    found = _TOP.match(text)
    if found is None:
        raise BadPathError(f'"{text}": $, $value, $topic, $key, $headers.NAME are known')
    steps = _steps(text, text[found.end() :].removeprefix("."))
    match found[1]:
        case None | "value":
            return Path(text, Source.VALUE, 0, steps)
        case "topic":
            if steps:
                raise BadPathError(f'"{text}": nothing is below $topic')
            return Path(text, Source.TOPIC, 0, ())
        case "key":
            return Path(text, Source.KEY, 0, steps)
        case _:
            if len(steps) != 1 or not isinstance(steps[0], Member):
                raise BadPathError(f'"{text}": a header is $headers.NAME or $headers["NAME"]')
            return Path(text, Source.HEADER, 0, steps)


def _steps(text: str, rest: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    at = 0
    while at < len(rest):
        found = _STEP.match(rest, at)
        if found is None or (at == 0 and rest[0] == "."):
            raise BadPathError(f'"{text}" is no path from "{rest[at:]}" on')
        step, last = _step(found), steps[-1] if steps else None
        if isinstance(step, Where) and isinstance(last, Where):
            steps[-1] = Where(last.wanted + step.wanted)
        else:
            steps.append(step)
        at = found.end()
    return tuple(steps)


def _step(found: re.Match[str]) -> Step:
    if found["index"] is not None:
        return Index(int(found["index"]))
    if found["every"] is not None or found["name"] == "*":
        return Every()
    if found["where"] is not None:
        word = found["word"]
        word = _unquoted(word) if word[0] == '"' else word.strip()
        return Where(((_readable(found["where"].strip()), word),))
    name = found["name"]
    return Member(_readable(_unquoted(found["quoted"]) if name is None else name))


def _readable(name: str) -> str:
    """Return a member's name, if msgspec can read one of it."""
    if _UNREADABLE.search(name):
        raise BadPathError(f'"{name}": no name with a quote, a backslash or a control character')
    return name


def _unquoted(text: str) -> str:
    try:
        return msgspec.json.decode(text, type=str)
    except msgspec.MsgspecError as error:
        raise BadPathError(f"{text}: {error}") from None
