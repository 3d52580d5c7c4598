"""The settings: the environment as one frozen value. Nothing else reads the environment.

Everything that is wrong is told at once, so each setting is judged by itself (`checks`), then those
that are right are compared with each other (`agreement`).
"""

import socket
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from consumer import masking
from consumer.core.mapping.mapping import Mapping as EventMapping
from consumer.settings import (
    agreement,
    checks,
    login,
    mappings,
    oauth,
    proxies,
    registry,
    secrets,
    sources,
)
from consumer.settings.mappings import MappingSource, Segments
from consumer.settings.problems import (
    LinesError,
    SettingsError,
    is_secret,
    lines_of,
    without_credentials,
)
from consumer.settings.subscription import is_topic_name, parse_topics

__all__ = ["SECRETS", "VARIABLES", "Credentials", "Settings", "SettingsError", "load"]

Credentials = tuple[SecretStr, SecretStr]
"""The site id and the key of the Track API."""

_any_case = BeforeValidator(str.lower)
_Seconds = Annotated[float, Field(gt=0, le=86_400)]
_Text = Annotated[str | None, Field(description="text")]
_PATH = "the path of a PEM file"
_Path = Annotated[Annotated[str, AfterValidator(checks.pem_file)] | None, Field(description=_PATH)]


class Settings(BaseSettings):
    """Every variable under its name in lower case; durations are in seconds.

    ``kafka_topics`` has names, and expressions anchored as ``^(...)$``.
    Raises SettingsError with everything that is wrong.
    """

    model_config = SettingsConfigDict(
        alias_generator=str.upper,
        case_sensitive=True,
        extra="ignore",
        validate_default=False,
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )

    kafka_bootstrap_servers: Annotated[
        str, AfterValidator(checks.servers), Field(description="host:port,host:port")
    ]
    kafka_topics: Annotated[
        tuple[str, ...],
        BeforeValidator(parse_topics),
        Field(
            description="topic names, comma-separated, and regular expressions (POSIX extended) "
            "for whole names, that start with ^"
        ),
    ]
    kafka_group_id: str = Field("segment-consumer", description="text")
    kafka_client_id: str = Field(
        default_factory=lambda: f"segment-consumer-{socket.gethostname()}", description="text"
    )
    kafka_group_protocol: Annotated[Literal["classic", "consumer"], _any_case] = "classic"
    kafka_group_instance_id: _Text = None
    kafka_auto_offset_reset: Annotated[Literal["earliest", "latest", "error"], _any_case] = (
        "earliest"
    )
    kafka_session_timeout_seconds: float = Field(45.0, gt=0, le=3600)
    kafka_security_protocol: Annotated[
        Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] | None, _any_case
    ] = None
    kafka_sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI"] | None,
        BeforeValidator(login.mechanism),
    ] = None
    kafka_sasl_username: _Text = None
    kafka_sasl_password: SecretStr | None = Field(None, description="text")
    kafka_ssl_ca_location: Annotated[str, AfterValidator(checks.authorities)] | None = Field(
        None, description=f"{_PATH}, or of a directory of such files"
    )
    kafka_ssl_certificate_location: _Path = None
    kafka_ssl_key_location: _Path = None
    kafka_ssl_key_password: SecretStr | None = Field(None, description="text")
    kafka_oauth_provider: Annotated[Literal["oidc", "aws-msk-iam", "gcp"] | None, _any_case] = None
    kafka_oauth_token_endpoint_url: Annotated[str, AfterValidator(checks.http_url)] | None = Field(
        None, description="https://host/path or http://host/path"
    )
    kafka_oauth_client_id: _Text = None
    kafka_oauth_client_secret: SecretStr | None = Field(None, description="text")
    kafka_oauth_scope: _Text = None
    kafka_oauth_extensions: Annotated[str, AfterValidator(oauth.extensions)] | None = Field(
        None, description=oauth.EXTENSIONS
    )
    kafka_oauth_ca_location: Annotated[str, AfterValidator(checks.authorities)] | None = Field(
        None, description=f"{_PATH}, or of a directory of such files"
    )
    kafka_config: Annotated[
        dict[str, SecretStr],
        BeforeValidator(checks.librdkafka_config),
        Field(description="a JSON object of librdkafka's properties"),
    ] = Field(default_factory=dict)
    customerio_site_id: Annotated[
        SecretStr, AfterValidator(checks.site_id), Field(description="the Track API's site id")
    ]
    customerio_api_key: Annotated[
        SecretStr, AfterValidator(checks.credential), Field(description="the Track API's key")
    ]
    customerio_region: Annotated[Literal["us", "eu"], _any_case] = "us"
    customerio_url: Annotated[str, AfterValidator(checks.http_url)] | None = Field(
        None, description="http://host or https://host, with a port and a path if need be"
    )
    customerio_max_in_flight: int = Field(8, ge=1, le=1000)
    customerio_requests_per_second: float = Field(100.0, gt=0)
    customerio_timeout_seconds: _Seconds = 10.0
    retry_max_backoff_seconds: _Seconds = 60.0
    event_format: Annotated[Literal["json", "schema-registry"], _any_case] = "json"
    event_mapping: Annotated[
        MappingSource | None,
        BeforeValidator(mappings.mapping_source),
        Field(description=mappings.MAPPINGS),
    ] = None
    event_segments: Annotated[
        Segments | None,
        BeforeValidator(mappings.segments),
        Field(description=mappings.SEGMENTS),
    ] = None
    event_id_type: Annotated[Literal["id", "email", "cio_id"], _any_case] = "id"
    schema_registry_url: Annotated[
        tuple[str, ...] | None, BeforeValidator(registry.urls), Field(description=registry.URLS)
    ] = None
    schema_registry_username: Annotated[
        Annotated[str, AfterValidator(registry.username)] | None, Field(description="text")
    ] = None
    schema_registry_password: SecretStr | None = Field(None, description="text")
    schema_registry_bearer_token: Annotated[
        SecretStr | None, AfterValidator(checks.credential), Field(description="a token")
    ] = None
    schema_registry_ca_location: Annotated[str, AfterValidator(checks.certificates)] | None = Field(
        None, description=_PATH
    )
    schema_registry_certificate_location: _Path = None
    schema_registry_key_location: _Path = None
    batch_max_ids: int = Field(1000, ge=1, le=1000)
    batch_linger_seconds: float = Field(5.0, ge=0, le=86_400)
    buffer_max_ids: int = Field(200_000, ge=1)
    commit_interval_seconds: _Seconds = 1.0
    drain_timeout_seconds: _Seconds = 20.0
    reject_policy: Annotated[Literal["dead-letter", "skip", "stall"], _any_case] = "dead-letter"
    dead_letter_topic: str = Field(
        "segment-consumer.dead-letters",
        description="a topic's name: 1 to 249 of letters, digits, '.', '_' and '-'",
    )
    dead_letter_max_consecutive: int = Field(1000, ge=0)
    http_host: str = Field("0.0.0.0", description="text")  # noqa: S104 - probes come from outside
    http_port: int = Field(8080, ge=0, le=65_535)
    liveness_timeout_seconds: float = Field(30.0, ge=checks.LONGEST_TURN_SECONDS, le=86_400)
    log_level: Annotated[Literal["debug", "info", "warning", "error", "critical"], _any_case] = (
        "info"
    )
    log_format: Annotated[Literal["json", "console"], _any_case] = "json"
    secrets_dir: Path | None = Field(None, description="a directory that exists")
    ssl_cert_file: Annotated[str, AfterValidator(checks.certificates)] | None = Field(
        None, description=_PATH
    )
    aws_region: _Text = None
    found: Annotated[sources.Found, BeforeValidator(sources.found)] = Field(
        repr=False, exclude=True
    )
    """Where the settings came from. The last field: with it they are compared with each other."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return our sources. What the class is called with is none: it is `load`'s arguments."""
        given = {"environ": None, "chosen": {}, "unneeded": {}, **init_settings()}
        return sources.sources(settings_cls, **given)

    @model_validator(mode="wrap")
    @classmethod
    def _tell_problems(
        cls, given: dict[str, Any], validated: ModelWrapValidatorHandler[Self]
    ) -> Self:
        try:
            return validated(given)
        except ValidationError as error:
            lines = lines_of(error, cls.model_fields, given)
            warnings = sources.found(given["FOUND"]).warnings
            raise SettingsError(*lines, warnings=warnings) from None

    @field_validator("*", mode="before")
    @classmethod
    def _is_text(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, str):
            checks.any_value(value, str(info.field_name), cls.model_fields[str(info.field_name)])
        return value

    @field_validator("dead_letter_topic")
    @classmethod
    def _is_topic_name(cls, name: str) -> str:
        if not is_topic_name(name):
            raise ValueError("is no topic's name")
        return name

    @field_validator("found")
    @classmethod
    def _agree(cls, found: sources.Found, info: ValidationInfo) -> sources.Found:
        """Compare the settings that are right by themselves: ``info.data`` has only those.

        A validator of the model would not run at all while one setting is wrong.
        """
        together = {**info.data, "proxies": found.proxies}
        lines = (*found.problems, *agreement.disagreements(together))
        if lines:
            raise LinesError(*lines)
        return found

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is worth a word and no reason to stop: names that look like ours, and doubts."""
        given = dict(self)
        doubts = (
            *(*login.doubts(given), *oauth.doubts(given)),
            *(*mappings.doubts(given), *registry.doubts(given)),
        )
        return (*self.found.warnings, *doubts)

    @property
    def mapping(self) -> EventMapping | None:
        """What reads the records, made anew; None: they are events."""
        return mappings.compiled(self.event_mapping, self.event_segments, self.event_id_type)

    @property
    def heartbeat_interval_seconds(self) -> float:
        """How often the member tells the group that it lives; with KIP-848 as far as known."""
        return agreement.heartbeat_interval_seconds(
            self.kafka_group_protocol, self.kafka_session_timeout_seconds
        )

    @property
    def api_url(self) -> str:
        """The Track API's base, without a slash at its end."""
        return (self.customerio_url or agreement.API_URLS[self.customerio_region]).rstrip("/")

    @property
    def proxy_url(self) -> str | None:
        """The proxy between here and ``api_url``. May have credentials in it."""
        return self.proxy_of(self.api_url)

    def proxy_of(self, url: str) -> str | None:
        """Return the proxy between here and a URL. May have credentials in it."""
        variable = proxies.proxy_variable(url, self.found.proxies)
        return proxies.with_scheme(self.found.proxies[variable]) if variable else None

    @property
    def credentials(self) -> Credentials:
        """The credentials as of the start."""
        return self.customerio_site_id, self.customerio_api_key

    def reread_credentials(self, known: Credentials | None = None) -> Credentials:
        """Return the credentials as they are now in ``SECRETS_DIR``.

        What came from elsewhere, or can't be read while a mounted secret is being replaced, is as
        ``known`` (else as of the start).
        """
        names = ("CUSTOMERIO_SITE_ID", "CUSTOMERIO_API_KEY")
        files = [self.found.files.get(name) for name in names]
        texts = [sources.read_secret(file) if file else None for file in files]
        old = known or self.credentials
        site_id, api_key = (
            SecretStr(text) if text else secret for text, secret in zip(texts, old, strict=True)
        )
        masking.remember_login(site_id.get_secret_value(), api_key.get_secret_value())
        return site_id, api_key

    def reread(self, secret: SecretStr | None, variable: str) -> str | None:
        """Return a secret as it is now in ``SECRETS_DIR``, as of the start if it isn't there."""
        file = self.found.files.get(variable)
        text = sources.read_secret(file) if file else None
        return text or (None if secret is None else secret.get_secret_value())

    def masked(self) -> dict[str, Any]:
        """Return the settings for a log line, without secrets."""
        shown = {name: _masked(getattr(self, name.lower())) for name in VARIABLES}
        proxy = without_credentials(self.proxy_url) if self.proxy_url else None
        return {name.lower(): value for name, value in shown.items()} | {
            "api_url": self.api_url,
            "proxy_url": proxy,
            "ssl_cert_file": self.ssl_cert_file,
            "aws_region": self.aws_region,
        }


_NOT_OURS = {"ssl_cert_file", "aws_region", "found"}
VARIABLES = tuple(name.upper() for name in Settings.model_fields if name not in _NOT_OURS)
"""The names of all our variables."""

SECRETS = frozenset(
    name.upper() for name, field in Settings.model_fields.items() if is_secret(field)
)
"""Variables that are set in one place only, and whose text is never shown."""


def load(
    environ: Mapping[str, str] | None = None,
    *,
    chosen: Mapping[str, str] = MappingProxyType({}),
    unneeded: Mapping[str, str] = MappingProxyType({}),
) -> Settings:
    """Return the settings of the process, or of ``environ`` alone (then without ``.env``).

    ``chosen`` counts more than any place: what a command's options say. ``unneeded`` stands in for
    variables that a command doesn't need, where they are not set.
    Their secrets are masked in what others say from now on.
    Raises SettingsError with everything that is wrong.
    """
    settings = Settings(environ=environ, chosen=chosen, unneeded=unneeded)
    secrets.remember(dict(settings), settings.found.proxies)
    return settings


def _masked(value: object) -> object:
    """Return what a log line may have of a value."""
    match value:
        case SecretStr():
            return "***"
        case dict():
            return dict.fromkeys(value, "***")
        case Path():
            return str(value)
        case MappingSource() | Segments():
            return value.name
        case _:
            return value
