"""What is wrong at a token endpoint: librdkafka, which asks it, says so without its name.

It says (2.16) that it has no token again every ten seconds; after half a minute without an answer,
and after 50 s of an endpoint that says it can't answer now (5xx). In between, brokers refuse the
token of before.
"""

import math
import time
from collections.abc import Mapping
from typing import Any

_NO_TOKEN = "Failed to acquire SASL OAUTHBEARER token: "  # noqa: S105 - librdkafka's words
_URL = "sasl.oauthbearer.token.endpoint.url"
_MACHINE = "sasl.oauthbearer.metadata.authentication.type"
SETTINGS = (
    "see KAFKA_OAUTH_TOKEN_ENDPOINT_URL, KAFKA_OAUTH_CLIENT_ID, KAFKA_OAUTH_CLIENT_SECRET,"
    " KAFKA_OAUTH_SCOPE and KAFKA_OAUTH_CA_LOCATION"
)
_LASTS_SECONDS = 75.0


def is_about_a_token(words: str) -> bool:
    """Whether librdkafka says that it has no token, rather than that a broker refuses one."""
    return _NO_TOKEN in words


class TokenTrouble:
    """What was said last of a client's tokens. Owned by the client's thread."""

    def __init__(self) -> None:
        self._said, self._said_at = "", -math.inf

    def explained(self, detail: str, properties: Mapping[str, Any]) -> str:
        """Return a refused login with its cause: there is no new token, or whose the token is."""
        now = time.monotonic()
        if is_about_a_token(detail):
            self._said, self._said_at = trouble_of(detail, properties), now
            return self._said
        if _URL not in properties or "SASL" not in detail:
            return detail
        if now < self._said_at + _LASTS_SECONDS:
            return f"{self._said}; {detail}"
        return f"{detail}; the token is from {properties[_URL]}"


def advice(provider: str = "oidc") -> str:
    """Return what to do about a token that can't be had from a provider."""
    if provider == "aws-msk-iam":
        return "see AWS_REGION, and what AWS's clients take credentials from"
    if provider == "gcp":
        return "see Google's application default credentials: GOOGLE_APPLICATION_CREDENTIALS"
    return SETTINGS


def settings_of(properties: Mapping[str, Any]) -> str:
    """Return where tokens that librdkafka fetches are set: a machine's identity has no secret."""
    if properties.get(_MACHINE, "none") == "none":
        return SETTINGS
    return (
        "see sasl.oauthbearer.config in KAFKA_CONFIG, and whether the machine's metadata service"
        " can be reached"
    )


def silence_of(properties: Mapping[str, Any]) -> str:
    """Return what it may be that nothing is heard of: no broker is asked before there is a token.

    Empty: tokens come from elsewhere.
    """
    url = properties.get(_URL)
    return f"no answer, neither a token from {url} nor from a broker" if url else ""


def needed_by(properties: Mapping[str, Any]) -> str:
    """Return what comes before any broker is asked; empty: tokens come from elsewhere."""
    url = properties.get(_URL)
    return f"no broker is asked without a token from {url}" if url else ""


def trouble_of(words: str, properties: Mapping[str, Any]) -> str:
    """Return what librdkafka says of a token that it couldn't have, with the endpoint's name."""
    said = words.rpartition(_NO_TOKEN)[2]
    place = f" from {properties[_URL]}" if _URL in properties else ""
    return f"no token{place}: {said}"
