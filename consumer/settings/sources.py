"""Where settings come from: the environment, ``.env``, and the files in ``SECRETS_DIR``.

Sources of pydantic-settings; they return text and don't judge it. Unlike its own they don't follow
``${}`` inside a password, take nothing but a newline from a secret, want the directory to exist,
and collect what is wrong instead of stopping at it.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
)

from consumer import masking
from consumer.settings import dotenv
from consumer.settings.problems import is_secret, shown
from consumer.settings.slips import slips
from consumer.settings.text import cleaned, is_quoted

_DOTENV = ".env"
_SECRETS_DIR = "SECRETS_DIR"
_FOUND = "FOUND"
"""A field of the settings that is no setting: no variable, no file."""

_OF_OTHERS = ("AWS_REGION",)
"""Read where it counts, and nobody's slip of the pen where a line of it is broken."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the places say beside the settings' values. ``files`` has those with a value."""

    proxies: Mapping[str, str] = field(repr=False)
    files: Mapping[str, Path]
    warnings: tuple[str, ...]
    problems: tuple[str, ...]


def sources(
    settings: type[BaseSettings],
    environ: Mapping[str, str] | None,
    chosen: Mapping[str, str],
    unneeded: Mapping[str, str],
) -> tuple[PydanticBaseSettingsSource, ...]:
    """Return the three places, the first one first, and before them themselves as `_FOUND`.

    With an ``environ``, that mapping is used instead of the process's environment and ``.env``.
    ``chosen`` comes before all places, ``unneeded`` behind them.
    """
    environment = _Environment(settings)
    dotenv = _DotEnv(settings)
    if environ is None:
        dotenv.read()
    else:
        environment.env_vars = environ
    places = environment, dotenv, _SecretsDirectory(settings)
    first = InitSettingsSource(settings, {_FOUND: places, **chosen})
    return first, *places, InitSettingsSource(settings, dict(unneeded))


def found(places: "tuple[_Environment, _DotEnv, _SecretsDirectory]") -> Found:
    """Return what there is to say of the places, once they are read."""
    environment, file, directory = places
    fields = {name.upper(): field for name, field in directory.settings_cls.model_fields.items()}
    return Found(
        proxies={
            name: cleaned(text or "", secret=False)
            for name, text in {**file.env_vars, **environment.env_vars}.items()
            if name.upper().endswith("_PROXY")
        },
        files={name: directory.files[name] for name in directory.values},
        warnings=(
            *slips(environment.env_vars, environment.name, fields),
            *slips(file.env_vars, file.name, fields),
            *slips(directory.files, directory.name, fields),
        ),
        problems=(
            *file.problems,
            *directory.problems,
            *_in_two_places((name for name in fields if is_secret(fields[name])), places),
            *_with_quotes((name for name in fields if _may_be_quoted(fields[name])), environment),
        ),
    )


def read_secret(path: Path) -> str | None:
    """Return a file's text without its trailing newline; None if there is nothing to be read.

    While Kubernetes swaps a mounted secret, a file can be missing or empty for a moment.
    """
    try:
        text = cleaned(path.read_text(encoding="utf-8"), secret=True)
    except (OSError, ValueError):
        return None
    masking.remember(text)
    return text or None


def allows_colours() -> bool:
    """Whether a terminal may be told colours (https://no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _in_two_places(secrets: Iterable[str], places: "Iterable[_Place]") -> Iterator[str]:
    for secret in secrets:
        names = [place.name for place in places if secret in place.values]
        if len(names) > 1:
            yield f"{secret}: is set in {' and in '.join(names)}; accepts one place"


def _may_be_quoted(field: FieldInfo) -> bool:
    """Whether quotes could be part of a secret: of a password, not of the API's credentials."""
    return is_secret(field) and field.default is None


def _with_quotes(passwords: Iterable[str], environment: "_Place") -> Iterator[str]:
    for name in passwords:
        if is_quoted(environment.values.get(name, "")):
            yield (
                f"{name}: got a value that is not shown: has quotes around it, which"
                f" docker --env-file leaves there; accepts it without them, or as a file in"
                f" {_SECRETS_DIR}, where quotes are part of it"
            )


class _Place(PydanticBaseSettingsSource):
    """One place. ``values`` has the settings in it, ``problems`` what can't be read of it."""

    name: str

    def __init__(self, settings: type[BaseSettings]) -> None:
        super().__init__(settings)
        self.values: dict[str, str] = {}
        self.problems: list[str] = []

    def prepare_field_value(
        self,
        field_name: str,
        field: FieldInfo,
        value: str | None,
        value_is_complex: bool,  # noqa: ARG002 - the signature is pydantic-settings'
    ) -> str | None:
        """Return a setting's text, undecoded, or None: an empty setting is none."""
        text = cleaned(value or "", secret=is_secret(field))
        if text:
            self.values[field_name.upper()] = text
        return text or None


class _Environment(_Place, EnvSettingsSource):
    name = "the environment"


class _DotEnv(_Place, DotEnvSettingsSource):
    name = _DOTENV

    def read(self) -> None:
        """Read the file, without its foreign lines."""
        try:
            text = Path(_DOTENV).read_text(encoding="utf-8-sig")
        except (FileNotFoundError, IsADirectoryError):
            return
        except (OSError, ValueError) as error:
            self.problems.append(
                f"{_DOTENV}: can't be read ({type(error).__name__}); accepts UTF-8 text"
            )
            return
        self.env_vars = dotenv.values(text)
        fields = map(str.upper, self.settings_cls.model_fields)
        names = [name for name in fields if name not in {_FOUND, *_OF_OTHERS}]
        self.problems += dotenv.broken_lines(text, names)


class _SecretsDirectory(_Place, SecretsSettingsSource):
    name = _SECRETS_DIR
    files: Mapping[str, Path] = {}

    def __call__(self) -> dict[str, Any]:
        """Read the directory that a place before this one names."""
        name = self.current_state.get(_SECRETS_DIR)
        if name is None:
            return {}
        self.secrets_dir = directory = Path(name).absolute()  # a ~ is not expanded
        if not os.path.isdir(directory):  # noqa: PTH112 - a path too long is False here
            got = f"{_SECRETS_DIR}: got {shown(name)}"
            self.problems.append(f"{got}; accepts a directory that exists")
            return {}
        try:
            paths = sorted(directory.iterdir())
            self.files = {path.name: path for path in paths if path.name != _FOUND}
        except OSError as error:
            self.problems.append(
                f"{_SECRETS_DIR}: got {shown(name)}, which can't be read ({type(error).__name__}); "
                "accepts a directory that can be listed"
            )
        return super().__call__()

    def get_field_value(
        self,
        field: FieldInfo,  # noqa: ARG002 - the signature is pydantic-settings'
        field_name: str,
    ) -> tuple[str | None, str, bool]:
        """Return the text of a variable's file as it is: a password may begin with a space."""
        name = field_name.upper()
        path = self.files.get(name)
        if path is None:
            return None, name, False
        try:
            if path.exists() and not path.is_file():
                raise IsADirectoryError  # or a pipe, which might never end
            return path.read_text(encoding="utf-8"), name, False
        except (OSError, ValueError) as error:
            self.problems.append(
                f"{name}: its file in {_SECRETS_DIR} can't be read ({type(error).__name__}); "
                "accepts a file of UTF-8 text"
            )
        return None, name, False
