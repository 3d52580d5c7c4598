"""What the Schema Registry takes: where it is, and a login; settings that go together."""

import ssl
from collections.abc import Iterator, Mapping
from typing import Any

from consumer.settings import checks
from consumer.settings.problems import shown
from consumer.settings.proxies import proxy_variable, with_scheme

URLS = "http://host:port or https://host:port, with a path if need be; several, comma-separated"
_NAMES = (
    *("SCHEMA_REGISTRY_URL", "SCHEMA_REGISTRY_USERNAME", "SCHEMA_REGISTRY_PASSWORD"),
    *("SCHEMA_REGISTRY_BEARER_TOKEN", "SCHEMA_REGISTRY_CA_LOCATION"),
    *("SCHEMA_REGISTRY_CERTIFICATE_LOCATION", "SCHEMA_REGISTRY_KEY_LOCATION"),
)
_URL, _USERNAME, _PASSWORD, _TOKEN, _, _CERTIFICATE, _KEY = _NAMES
_LIBRARIES = ("fastavro", "google.protobuf")


def urls(text: str) -> tuple[str, ...]:
    """Return the URLs in a list, without slashes at their ends; raise ValueError."""
    found = [url.strip() for url in text.split(",") if url.strip()]
    reasons = dict[str, None]()
    for url in found:
        try:
            checks.http_url(url)
        except ValueError as error:
            reasons |= dict.fromkeys(map(str, error.args))
    if reasons or not found:
        raise ValueError(*(reasons or ["is no http or https URL"]))
    return tuple(dict.fromkeys(url.rstrip("/") for url in found))


def username(text: str) -> str:
    """Check that Basic authentication (RFC 7617) can carry it before the colon."""
    if ":" in text:
        raise ValueError("has a colon in it")
    return text


def registry_problems(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the registry's settings, of those ``given``: right by themselves."""
    if given.get("event_format") != "schema-registry":
        return
    if given.get("schema_registry_url", ()) is None:
        yield f"{_URL}: is missing, and EVENT_FORMAT is schema-registry; accepts {URLS}"
    if not any(checks.is_installed(library) for library in _LIBRARIES):
        yield (
            "EVENT_FORMAT: got 'schema-registry', and nothing is installed that reads Avro or"
            " Protobuf; accepts it after pip install segment-consumer[avro], or [protobuf], or"
            " [avro,protobuf]"
        )
    yield from _login_problems(given)
    yield from _certificate_problems(given)
    for url in given.get("schema_registry_url") or ():
        variable = proxy_variable(url, given["proxies"])
        proxy = given["proxies"][variable] if variable else ""
        parts = checks.http_parts(with_scheme(proxy)) if proxy else None
        if proxy and (parts is None or parts.scheme != "http"):
            yield f"{variable}: got {shown(proxy)}; accepts http://host:port"


def doubts(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is allowed and most likely not meant."""
    if given["event_format"] == "json":
        names = [name for name in _NAMES if given[name.lower()] is not None]
        if names:
            count = "count" if len(names) > 1 else "counts"
            yield f"{' and '.join(names)} {count} with EVENT_FORMAT=schema-registry only"


def _login_problems(given: Mapping[str, Any]) -> Iterator[str]:
    there = {name: given.get(name.lower()) is not None for name in (_USERNAME, _PASSWORD, _TOKEN)}
    known = {name for name in there if name.lower() in given}
    for name, other in ((_USERNAME, _PASSWORD), (_PASSWORD, _USERNAME)):
        if name in known and there[other] and not there[name]:
            yield f"{name}: is missing, and {other} is there; accepts text"
    if there[_TOKEN] and (there[_USERNAME] or there[_PASSWORD]):
        yield f"{_TOKEN}: is there beside {_USERNAME} or {_PASSWORD}; accepts one kind of login"


def _certificate_problems(given: Mapping[str, Any]) -> Iterator[str]:
    certificate, key = given.get(_CERTIFICATE.lower()), given.get(_KEY.lower())
    if key is not None and certificate is None and _CERTIFICATE.lower() in given:
        yield f"{_CERTIFICATE}: is missing, and {_KEY} is there; accepts the path of a PEM file"
    if certificate is not None and _KEY.lower() in given:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            yield (
                f"{_CERTIFICATE}: got {shown(certificate)}, which can't be used with its key"
                f" ({reason}); accepts a certificate whose key, without a password, is in {_KEY}"
                " or in the same file"
            )
