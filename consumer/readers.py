"""What reads records that need not be plain events: a mapping, schemas of a registry, or both."""

from collections.abc import Callable
from functools import partial

from consumer import __version__
from consumer.core.mapping.reading import Reader, SureReader
from consumer.core.schemas.inquiries import Found, Inquiries
from consumer.core.schemas.reader import PlainReadings, Readings, SchemaReader
from consumer.customerio.network import basic
from consumer.engine.ports import Schemas
from consumer.registry.asker import Asker
from consumer.registry.fetch import fetched
from consumer.registry.patient import PatientReader
from consumer.registry.registry import Access, Registry
from consumer.settings import Settings

Fetch = Callable[[bytes], Found]


def schemas_of(settings: Settings) -> Schemas | None:
    """Return the registry's schemas, none of which is known yet; None: no record names one."""
    if settings.event_format != "schema-registry":
        return None
    return Schemas(Asker(fetch_of(settings)), Inquiries())


def reader_of(settings: Settings, schemas: Schemas | None) -> Reader | None:
    """Return what reads records that are no events; None: they are events."""
    if schemas is None:
        return settings.mapping
    return SchemaReader(schemas.inquiries.known, _readings(settings))


def patient_reader_of(settings: Settings) -> SureReader | None:
    """Return one that waits for each schema that it needs, as commands may that do one thing."""
    if settings.event_format != "schema-registry":
        return settings.mapping
    return PatientReader(fetch_of(settings), _readings(settings))


def fetch_of(settings: Settings) -> Fetch:
    """Return what asks the registry for a schema by its prefix, and waits for it."""
    return partial(fetched, registry_of(settings).ask)


def registry_of(settings: Settings) -> Registry:
    """Return the registry, connected to nothing yet."""
    certificate = settings.schema_registry_certificate_location
    access = tuple(
        Access(
            url,
            settings.proxy_of(url),
            settings.schema_registry_ca_location or settings.ssl_cert_file,
            None if certificate is None else (certificate, settings.schema_registry_key_location),
        )
        for url in settings.schema_registry_url or ()
    )
    authorization = partial(_authorization, settings)
    return Registry(access, authorization, f"segment-consumer/{__version__}")


def _authorization(settings: Settings) -> bytes | None:
    """Return what a request says of who asks; secrets as they are now."""
    token = settings.schema_registry_bearer_token
    if token is not None:
        now = settings.reread(token, "SCHEMA_REGISTRY_BEARER_TOKEN") or ""
        return b"Bearer " + now.encode()
    username, password = settings.schema_registry_username, settings.schema_registry_password
    if username is None or password is None:
        return None
    return basic(username, settings.reread(password, "SCHEMA_REGISTRY_PASSWORD") or "")


def _readings(settings: Settings) -> Readings:
    return settings.mapping or PlainReadings(settings.event_id_type)
