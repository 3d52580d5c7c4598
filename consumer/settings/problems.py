"""How a wrong setting is said: the variable's name, what it got, what it accepts."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

_LONGEST_SHOWN = 200
_MISSING = ": is missing"
_NOT_SHOWN = "a value that is not shown"


class SettingsError(Exception):
    """The settings are wrong. ``problems`` has a line for everything that is, without secrets.

    ``warnings`` has what may be the reason: names that look like ours.
    """

    def __init__(self, *problems: str, warnings: Iterable[str] = ()) -> None:
        super().__init__(*problems)
        self.problems = problems
        self.warnings = tuple(warnings)

    def __str__(self) -> str:
        return "\n".join([*self.problems, *(f"warning: {each}" for each in self.warnings)])


class LinesError(ValueError):
    """Complete lines about wrong settings, for a validator that knows more than its own field."""


def is_secret(field: FieldInfo) -> bool:
    """Whether a variable is set in one place only, and its text is never shown."""
    return SecretStr in (field.annotation, *get_args(field.annotation))


def accepts(field: FieldInfo) -> str:
    """Return what a variable accepts, from its type and range unless its description says."""
    if field.description:
        return field.description
    for kind in (field.annotation, *get_args(field.annotation)):
        if get_origin(kind) is Literal:
            return f"one of: {', '.join(get_args(kind))}"
    words = ["a whole number" if field.annotation is int else "a number"]
    for bound in field.metadata:
        match bound:
            case Gt(gt=limit):
                words.append(f"above {limit}")
            case Ge(ge=limit):
                words.append(f"at least {limit}")
            case Le(le=limit):
                words.append(f"at most {limit}")
    return ", ".join(words)


def lines_of(
    error: ValidationError, fields: Mapping[str, FieldInfo], given: Mapping[str, str]
) -> Iterator[str]:
    """Yield a line for each problem of a validation of what was ``given``.

    What can't be read where it stands isn't missing, too.
    """
    lines = list(_all_lines(error, fields, given))
    told = {line.partition(":")[0] for line in lines if _MISSING not in line}
    for line in lines:
        if _MISSING not in line or line.partition(":")[0] not in told:
            yield line


def _all_lines(
    error: ValidationError, fields: Mapping[str, FieldInfo], given: Mapping[str, str]
) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_input=False):
        variable = str(problem["loc"][0])
        cause = problem.get("ctx", {}).get("error")
        if isinstance(cause, LinesError):
            yield from map(str, cause.args)
            continue
        field = fields[variable.lower()]
        end = f"; accepts {accepts(field)}"
        if problem["type"] == "missing":
            yield f"{variable}{_MISSING}{end}"
            continue
        start = f"{variable}: got {_NOT_SHOWN if is_secret(field) else shown(given[variable])}"
        for reason in cause.args if isinstance(cause, ValueError) else ("",):
            yield f"{start}: {reason}{end}" if reason else start + end


def shown(text: str) -> str:
    """Return a value for a message: on one line, not too long, without credentials."""
    text = without_credentials(text)
    return repr(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…")


def without_credentials(text: str) -> str:
    """Return a text without what may be secret in it, should it be a URL or meant as one.

    A name and its password may look like a scheme and what follows: only a known one is shown.
    """
    known = r"^((?:https?|socks\w{0,2}|ftp|wss?):/+)?.*@"
    text = re.sub(known, r"\1***@", text, flags=re.DOTALL | re.IGNORECASE)
    return re.sub(r"(://[^?#]*[?#]).*", r"\1***", text, flags=re.DOTALL)
