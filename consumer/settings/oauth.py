"""Where the tokens of a login at Kafka with OAUTHBEARER come from: settings that go together."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from consumer.settings import checks
from consumer.settings.problems import shown

EXTENSIONS = "name=value,name=value: names are letters, values have no comma and are printable"

PROVIDER, _REGION = "KAFKA_OAUTH_PROVIDER", "AWS_REGION"
_NEEDED = {
    "KAFKA_OAUTH_TOKEN_ENDPOINT_URL": "the URL of the token endpoint, https://host/path",
    "KAFKA_OAUTH_CLIENT_ID": "text",
    "KAFKA_OAUTH_CLIENT_SECRET": "text",
}
OF_OIDC = (
    *_NEEDED,
    *("KAFKA_OAUTH_SCOPE", "KAFKA_OAUTH_EXTENSIONS", "KAFKA_OAUTH_CA_LOCATION"),
)
_EXTRAS = {
    "aws-msk-iam": ("aws", ("aws_msk_iam_sasl_signer",)),
    "gcp": ("gcp", ("google.auth", "requests")),
}
"""What pip calls it, and what must be there to be imported."""

METHOD, _UNSECURE = "sasl.oauthbearer.method", "enable.sasl.oauthbearer.unsecure.jwt"
_TRUE = frozenset({"true", "t", "1"})
_IS_REGION = re.compile(r"[a-z0-9-]+")
_EXTENSION = re.compile(r"[A-Za-z]+=[\x21-\x2b\x2d-\x7e][\x20-\x2b\x2d-\x7e]*")


def extensions(text: str) -> str:
    """Check what the broker is told besides the token (RFC 7628): librdkafka does at a login."""
    for each in text.split(","):
        if not _EXTENSION.fullmatch(each):
            raise ValueError(f"has {shown(each)}, which is no name=value")
        if each.startswith("auth="):
            raise ValueError("has 'auth', which is the token's own name")
    return text


def oidc_properties(provider: str | None, authorities: str | None = None) -> dict[str, str]:
    """Return what librdkafka is told to fetch tokens, besides what variables say.

    Without a file of ``authorities`` the usual places are looked into.
    """
    if provider != "oidc":
        return {}
    return {METHOD: "oidc", "https.ca.location": authorities or "probe"}


def oauth_problems(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is missing for tokens, of settings ``given``: right by themselves.

    A protocol without SASL, and a mechanism that is missing, are said as of any login.
    """
    provider = given.get("kafka_oauth_provider", "")  # wrong by itself
    mechanism = given.get("kafka_sasl_mechanism") or "OAUTHBEARER"
    protocol = given.get("kafka_security_protocol") or ""
    sources = _sources(given.get("kafka_config", {}))
    is_to_have_one = given.get("kafka_sasl_mechanism") == "OAUTHBEARER" and "kafka_config" in given
    if provider is None and is_to_have_one and protocol.startswith("sasl") and not sources:
        yield (
            f"{PROVIDER}: is missing, and KAFKA_SASL_MECHANISM is OAUTHBEARER; accepts one of:"
            f" oidc, aws-msk-iam, gcp; or a source of tokens in KAFKA_CONFIG ({METHOD}=oidc)"
        )
    if not provider:
        return
    if mechanism != "OAUTHBEARER":
        yield (
            f"{PROVIDER}: got {provider!r}, and KAFKA_SASL_MECHANISM is {mechanism}; accepts it"
            " with OAUTHBEARER only"
        )
        return
    for name in sources:
        yield f"KAFKA_CONFIG: {name!r} is refused; {PROVIDER} says where tokens come from"
    yield from _lacks(provider, given)


def doubts(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is allowed and most likely not meant."""
    provider = given["kafka_oauth_provider"]
    names = [name for name in OF_OIDC if given[name.lower()] is not None]
    if names and provider != "oidc" and METHOD not in _sources(given["kafka_config"]):
        count = "count" if len(names) > 1 else "counts"
        yield f"{' and '.join(names)} {count} with {PROVIDER}=oidc only"
    url = given["kafka_oauth_token_endpoint_url"]
    if provider == "oidc" and url.startswith("http:") and not _is_here(url):
        yield f"KAFKA_OAUTH_TOKEN_ENDPOINT_URL is {shown(url)}: the secret is not encrypted there"


def _is_here(url: str) -> bool:
    """Whether it is this machine, as of an agent beside us."""
    return urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}


def _lacks(provider: str, given: Mapping[str, Any]) -> Iterator[str]:
    if provider == "oidc":
        for name, accepted in _NEEDED.items():
            if name.lower() in given and given[name.lower()] is None:
                yield f"{name}: is missing, and {PROVIDER} is oidc; accepts {accepted}"
        return
    extra, modules = _EXTRAS[provider]
    if not all(checks.is_installed(module) for module in modules):
        yield (
            f"{PROVIDER}: got {provider!r}, and what it takes is not installed; accepts it after"
            f" pip install 'segment-consumer[{extra}]' (an image: build it with EXTRAS={extra})"
        )
    if provider == "aws-msk-iam" and "aws_region" in given:
        region = given["aws_region"]
        if region is None or not _IS_REGION.fullmatch(region):  # it is part of a host's name there
            got = "is missing" if region is None else f"got {shown(region)}"
            yield f"{_REGION}: {got}, and {PROVIDER} is {provider}; accepts a region: eu-west-1"


def _sources(config: Mapping[str, Any]) -> list[str]:
    """Return the properties that make a client of librdkafka fetch or make tokens by itself."""
    said = {
        name: config[name].get_secret_value().lower()
        for name in (METHOD, _UNSECURE)
        if name in config
    }
    found = [METHOD] if said.get(METHOD) == "oidc" else []
    return [*found, _UNSECURE] if said.get(_UNSECURE) in _TRUE else found
