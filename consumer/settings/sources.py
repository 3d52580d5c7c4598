"""Where settings come from: the environment, ``.env``, and the files in ``SECRETS_DIR``.

Sources of pydantic-settings; they return text and don't judge it. Unlike its own they don't follow
``${}`` inside a password, take nothing but a newline from a secret, want the directory to exist,
and collect what is wrong instead of stopping at it.
"""

import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
)

from consumer.settings.problems import is_secret
from consumer.settings.slips import slips

FOUND = "FOUND"
"""The name of the one field that is no variable: the sources fill it themselves."""

_ENVIRONMENT = "the environment"
_DOTENV = ".env"
_SECRETS_DIR = "SECRETS_DIR"


@dataclass(frozen=True, slots=True)
class Found:
    """What the places say beside the settings' values. ``files`` has those that gave a value."""

    proxies: Mapping[str, str] = field(repr=False)
    files: Mapping[str, Path]
    warnings: tuple[str, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terminal:
    """What the terminal must not be told: colours, and any command if it is ``dumb``."""

    no_color: bool
    dumb: bool


def sources(
    settings: type[BaseSettings], environ: Mapping[str, str] | None
) -> tuple[PydanticBaseSettingsSource, ...]:
    """Return the three places, the first one first, and what looks at them all when they are read.

    With an ``environ``, that mapping is used instead of the process's environment and ``.env``.
    """
    environment = _Environment(settings)
    dotenv = _DotEnv(settings)
    if environ is None:
        dotenv.read()
    else:
        environment.env_vars = environ
    directory = _SecretsDirectory(settings)
    return environment, dotenv, directory, _Findings(settings, environment, dotenv, directory)


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


class _Place(PydanticBaseSettingsSource):
    """One place. ``problems`` has what can't be read of it."""

    def __init__(self, settings: type[BaseSettings]) -> None:
        super().__init__(settings)
        self.problems: list[str] = []

    def prepare_field_value(
        self,
        field_name: str,
        field: FieldInfo,
        value: str | None,
        value_is_complex: bool,  # noqa: ARG002 - the signature is pydantic-settings'
    ) -> str | None:
        """Return a setting's text, undecoded, or None: an empty setting is none."""
        if value is None or field_name.upper() == FOUND:
            return None
        return _cleaned(value, secret=is_secret(field)) or None


class _Environment(_Place, EnvSettingsSource):
    __name__ = _ENVIRONMENT  # in `settings_sources_data`


class _DotEnv(_Place, DotEnvSettingsSource):
    __name__ = _DOTENV

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
        lines = parse_stream(io.StringIO(text))
        self.env_vars = {
            line.key: line.value for line in lines if line.key and line.value is not None
        }


class _SecretsDirectory(_Place, SecretsSettingsSource):
    __name__ = _SECRETS_DIR

    files: Mapping[str, Path] = {}

    def __call__(self) -> dict[str, Any]:
        """Read the directory that a place before this one names."""
        name = self.current_state.get(_SECRETS_DIR)
        if name is None:
            return {}
        self.secrets_dir = directory = Path(name).absolute()  # a ~ is not expanded
        if not directory.is_dir():
            self.problems.append(f"{_SECRETS_DIR}: got {name!r}; accepts a directory that exists")
            return {}
        try:
            self.files = {path.name: path for path in sorted(directory.iterdir())}
        except OSError as error:
            self.problems.append(
                f"{_SECRETS_DIR}: got {name!r}, which can't be read ({type(error).__name__}); "
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
        try:
            text = path.read_text(encoding="utf-8") if path and path.is_file() else None
        except (OSError, ValueError) as error:
            self.problems.append(
                f"{name}: its file in {_SECRETS_DIR} can't be read ({type(error).__name__}); "
                "accepts UTF-8 text"
            )
            text = None
        return text, name, False


class _Findings(InitSettingsSource):
    """Comes after the places, and looks at what they all say."""

    def __init__(
        self,
        settings: type[BaseSettings],
        environment: _Environment,
        dotenv: _DotEnv,
        directory: _SecretsDirectory,
    ) -> None:
        super().__init__(settings, {})
        self._environment, self._dotenv, self._directory = environment, dotenv, directory

    def __call__(self) -> dict[str, Any]:
        environment, dotenv = self._environment.env_vars, self._dotenv.env_vars
        files = self._directory.files
        variables = {name.upper() for name in self.settings_cls.model_fields} - {FOUND}
        found = Found(
            proxies={
                name: text or ""
                for name, text in {**dotenv, **environment}.items()
                if name.upper().endswith("_PROXY")
            },
            files={name: files[name] for name in self.settings_sources_data[_SECRETS_DIR]},
            warnings=(
                *slips(environment, _ENVIRONMENT, variables),
                *slips(dotenv, _DOTENV, variables),
                *slips(files, _SECRETS_DIR, variables),
            ),
            problems=(
                *self._dotenv.problems,
                *self._directory.problems,
                *self._secrets_in_two_places(),
            ),
        )
        return {FOUND: found}

    def _secrets_in_two_places(self) -> Iterator[str]:
        for name, info in self.settings_cls.model_fields.items():
            places = self.settings_sources_data.items()
            found = [place for place, values in places if name.upper() in values]
            if len(found) > 1 and is_secret(info):
                yield f"{name.upper()}: is set in {' and in '.join(found)}; accepts one place"
