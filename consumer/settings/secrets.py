"""The secrets among settings: remembered, so that nobody's words are shown with one in them."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from consumer import masking

_LOGINS = (
    ("customerio_site_id", "customerio_api_key"),
    ("kafka_oauth_client_id", "kafka_oauth_client_secret"),
    ("schema_registry_username", "schema_registry_password"),
)
"""What goes together in a header of HTTP's."""

_NAMES = ("password", "passphrase", "secret", ".pem", "oauthbearer.config")
_LEAST = 8
"""Shorter values of ``KAFKA_CONFIG`` are numbers and everybody's words, but for `_NAMES`."""


def remember(given: Mapping[str, Any], proxies: Mapping[str, str]) -> None:
    """Have all secrets of settings masked from now on; of ``proxies`` their passwords."""
    secrets = [value for value in given.values() if isinstance(value, SecretStr)]
    masking.remember(*(each.get_secret_value() for each in secrets))
    masking.remember(*_of_properties(given["kafka_config"]), *_of_urls(proxies))
    for user, password in _LOGINS:
        if given[user] is not None and given[password] is not None:
            masking.remember_login(_plain(given[user]), _plain(given[password]))


def _of_properties(config: Mapping[str, SecretStr]) -> Iterator[str]:
    for name, value in config.items():
        text = value.get_secret_value()
        if len(text) >= _LEAST or name.endswith(_NAMES):
            yield text


def _of_urls(proxies: Mapping[str, str]) -> Iterator[str]:
    for url in proxies.values():
        try:
            password = urlsplit(url).password
        except ValueError:  # it is no URL
            continue
        if password:
            yield from (password, unquote(password))


def _plain(value: str | SecretStr) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value
