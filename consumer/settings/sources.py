"""Where settings come from: the environment, ``.env``, and the files in ``SECRETS_DIR``.

The three places are read here and nowhere else, as text and without judging it. pydantic-settings
is not used for it: its reader of ``.env`` follows ``${}`` inside passwords, its reader of secrets
strips more than a newline and only warns of a missing directory.
"""

import difflib
import io
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from dotenv.parser import parse_stream

ENVIRONMENT = "the environment"
DOTENV = ".env"
SECRETS_DIR = "SECRETS_DIR"

_NOTHING: Mapping[str, str] = MappingProxyType({})

_OUR_PREFIXES = (
    "KAFKA_",
    "CUSTOMERIO_",
    "RETRY_",
    "EVENT_ID_",
    "BATCH_",
    "BUFFER_",
    "DRAIN_",
    "REJECT_",
    "DEAD_LETTER_",
    "LIVENESS_",
)
_SHARED_PREFIXES = ("HTTP_", "LOG_", "EVENT_", "COMMIT_", "SECRETS_")
"""Others use these too (``LOG_DIR``, ``COMMIT_SHA``): only a likely slip is worth a word."""

_SLIP_SIMILARITY = 0.8
_FOREIGN = re.compile(
    r".*_PROXY"
    # What Kubernetes puts into every pod for a service named kafka, kafka-bootstrap, http, ...
    r"|.*_SERVICE_(HOST|PORT(_.*)?)"
    r"|.*_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?"
)


@dataclass(frozen=True, slots=True)
class Found:
    """What the three places say. ``values`` has no empty text: an empty setting is none."""

    values: Mapping[str, str] = field(repr=False)
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, Path] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Terminal:
    """What the terminal must not be told: colours, and any command if it is ``dumb``."""

    no_color: bool
    dumb: bool


def find(
    names: Collection[str], secrets: Collection[str], environ: Mapping[str, str] | None
) -> Found:
    """Return what is set for ``names``, the first place first; a secret is in one place only.

    With an ``environ``, that mapping is used instead of the process's environment and ``.env``.
    """
    problems: list[str] = []
    environment = os.environ if environ is None else environ
    dotenv = _read_dotenv(problems) if environ is None else _NOTHING
    directory = _secrets_directory(
        environment.get(SECRETS_DIR) or dotenv.get(SECRETS_DIR, ""), problems
    )
    places = {
        ENVIRONMENT: environment,
        DOTENV: dotenv,
        SECRETS_DIR: _read_directory(directory, names, problems) if directory else _NOTHING,
    }

    values: dict[str, str] = {}
    files: dict[str, Path] = {}
    for name in names:
        found = {
            place: text
            for place, variables in places.items()
            if (text := _cleaned(variables.get(name, ""), secret=name in secrets))
        }
        if not found:
            continue
        if len(found) > 1 and name in secrets:
            problems.append(f"{name}: is set in {' and in '.join(found)}; accepts one place")
        place, values[name] = next(iter(found.items()))
        if directory and place == SECRETS_DIR:
            files[name] = directory / name
    return Found(
        values=values,
        proxies={
            name: text
            for name, text in {**dotenv, **environment}.items()
            if name.upper().endswith("_PROXY")
        },
        files=files,
        warnings=tuple(_unknown(names, places)),
        problems=tuple(problems),
    )


def read_secret(path: Path) -> str | None:
    """Return a file's text without its trailing newline; None if there is nothing to be read.

    While Kubernetes swaps a mounted secret, a file can be missing or empty for a moment.
    """
    try:
        return _cleaned(path.read_text(encoding="utf-8"), secret=True) or None
    except (OSError, ValueError):
        return None


def terminal() -> Terminal:
    """Return what the environment says about the terminal (https://no-color.org)."""
    return Terminal(
        no_color=bool(os.environ.get("NO_COLOR")), dumb=os.environ.get("TERM") == "dumb"
    )


def _cleaned(text: str, *, secret: bool) -> str:
    """Without what nobody means: a newline after a secret, space around anything else."""
    return text.rstrip("\r\n") if secret else text.strip()


def _read_dotenv(problems: list[str]) -> Mapping[str, str]:
    try:
        text = Path(DOTENV).read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        return _NOTHING
    except (OSError, ValueError) as error:
        problems.append(f"{DOTENV}: can't be read ({type(error).__name__}); accepts UTF-8 text")
        return _NOTHING
    lines = parse_stream(io.StringIO(text))
    return {line.key: line.value for line in lines if line.key and line.value is not None}


def _secrets_directory(text: str, problems: list[str]) -> Path | None:
    if not text.strip():
        return None
    directory = Path(text.strip())
    if directory.is_dir():
        return directory
    problems.append(f"{SECRETS_DIR}: got {text.strip()!r}; accepts a directory that exists")
    return None


def _read_directory(
    directory: Path, names: Collection[str], problems: list[str]
) -> Mapping[str, str]:
    """Return the files named like a variable; what else lies there without its text."""
    found: dict[str, str] = {}
    try:
        for path in sorted(directory.iterdir()):
            ours = path.name in names and path.is_file()
            found[path.name] = _read_file(path, problems) if ours else ""
    except OSError as error:
        problems.append(
            f"{SECRETS_DIR}: got {str(directory)!r}, which can't be read ({type(error).__name__}); "
            "accepts a directory that can be listed"
        )
    return found


def _read_file(path: Path, problems: list[str]) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        problems.append(
            f"{path.name}: its file in {SECRETS_DIR} can't be read ({type(error).__name__}); "
            "accepts UTF-8 text"
        )
        return ""


def _unknown(names: Collection[str], places: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield a warning for each variable that looks like ours and isn't. Never with its value."""
    for place, variables in places.items():
        for name in sorted(set(variables) - set(names)):
            nearest = _nearest(name, names)
            if nearest:
                yield f"{name} (in {place}) is none of the settings; the nearest is {nearest}"


def _nearest(name: str, names: Collection[str]) -> str | None:
    upper = name.upper()
    if _FOREIGN.fullmatch(upper) or not upper.startswith(_OUR_PREFIXES + _SHARED_PREFIXES):
        return None
    similarity = 0.0 if upper.startswith(_OUR_PREFIXES) else _SLIP_SIMILARITY
    return next(iter(difflib.get_close_matches(upper, names, 1, similarity)), None)
