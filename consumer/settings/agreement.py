"""What settings must be together: each pair that could contradict itself, compared.

A check returns a whole line, with the name of the setting to change.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import SecretStr

from consumer.settings.checks import http_parts
from consumer.settings.librdkafka import VARIABLES
from consumer.settings.login import LOGIN, login_problems
from consumer.settings.mappings import mapping_problems
from consumer.settings.oauth import OF_OIDC, PROVIDER, oauth_problems, oidc_properties
from consumer.settings.problems import shown
from consumer.settings.property_checks import number, property_problems
from consumer.settings.proxies import proxy_variable, with_scheme
from consumer.settings.registry import registry_problems
from consumer.settings.subscription import covers

API_URLS = {"us": "https://track.customer.io", "eu": "https://track-eu.customer.io"}

LEASE_SECONDS = 2.0
"""The shortest lease: what is left of a session after a request and a heartbeat."""

_ROUNDING = 1e-6
_MAX_POLL_INTERVAL = "max.poll.interval.ms"


def disagreements(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong between settings, of those in ``given``: right by themselves."""
    for check, names in _AGREEMENTS:
        if all(name in given for name in names):
            line = check(*(given[name] for name in names))
            if line:
                yield line
    yield from mapping_problems(given)
    yield from registry_problems(given)
    properties = {
        property_: _plain(given[variable.lower()])
        for property_, variable in VARIABLES.items()
        if given.get(variable.lower()) is not None
    }
    config = {name: _plain(value) for name, value in given.get("kafka_config", {}).items()}
    without_login = [*login_problems(given), *oauth_problems(given)]
    yield from without_login
    if without_login or any(n.lower() not in given for n in (*LOGIN, PROVIDER, *OF_OIDC)):
        # librdkafka would say the same once more, and of nothing else.
        properties = {n: text for n, text in properties.items() if not n.startswith("sasl.")}
        properties = _without_sasl(properties)
    elif properties.get("sasl.mechanism") == "OAUTHBEARER":
        # With SASL a client fetches a token as soon as it is made, and its end waits for that.
        properties = _without_sasl(properties) | oidc_properties(given["kafka_oauth_provider"])
    yield from property_problems(properties | config)


def heartbeat_interval_seconds(protocol: str, session_seconds: float) -> float:
    """Return how often a member tells that it lives.

    ``classic``: as the daemon sets it. KIP-848: the broker's default, unless it can't be so.
    """
    return min(session_seconds / 6, 3.0 if protocol == "classic" else 5.0)


def _plain(value: str | SecretStr) -> str:
    """Return a text, secret or not."""
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _without_sasl(properties: dict[str, str]) -> dict[str, str]:
    name = "security.protocol"
    protocol = properties.get(name)
    return properties | {name: protocol.removeprefix("sasl_")} if protocol else properties


def _max_poll_seconds(config: Mapping[str, SecretStr]) -> float:
    if _MAX_POLL_INTERVAL not in config:
        return 300.0
    # What is no number there is told by librdkafka, and nothing else is wrong for it.
    given = {_MAX_POLL_INTERVAL: _plain(config[_MAX_POLL_INTERVAL])}
    return number(given, _MAX_POLL_INTERVAL, 10**12) / 1000


def _drain_outlasts_a_request(drain: float, timeout: float) -> str | None:
    if timeout < drain:
        return None
    return (
        f"DRAIN_TIMEOUT_SECONDS: got {drain:g}; accepts more than CUSTOMERIO_TIMEOUT_SECONDS "
        f"({timeout:g})"
    )


def _drain_ends_within_a_poll(drain: float, config: Mapping[str, SecretStr]) -> str | None:
    # The number may be KAFKA_CONFIG's, which are not shown.
    if drain < _max_poll_seconds(config):
        return None
    return (
        f"DRAIN_TIMEOUT_SECONDS: got {drain:g}; accepts less than {_MAX_POLL_INTERVAL} "
        "(300 s unless KAFKA_CONFIG says)"
    )


def _session_outlasts_a_request(session: float, protocol: str, timeout: float) -> str | None:
    heartbeat = heartbeat_interval_seconds(protocol, session)
    if session - timeout - heartbeat > LEASE_SECONDS - _ROUNDING:
        return None
    return (
        f"KAFKA_SESSION_TIMEOUT_SECONDS: got {session:g}; accepts at least "
        f"CUSTOMERIO_TIMEOUT_SECONDS ({timeout:g}) + the heartbeat interval ({heartbeat:g} now) "
        f"+ {LEASE_SECONDS:g}"
    )


def _session_fits_a_poll(
    session: float, protocol: str, config: Mapping[str, SecretStr]
) -> str | None:
    if protocol != "classic" or session <= _max_poll_seconds(config):
        return None
    return (
        f"KAFKA_SESSION_TIMEOUT_SECONDS: got {session:g}; accepts at most {_MAX_POLL_INTERVAL} "
        "(300 s unless KAFKA_CONFIG says)"
    )


def _static_members_are_kip_848s(name: str | None, protocol: str) -> str | None:
    # A classic group gives a name's partitions to the next process of that name at once, while the
    # one before may still deliver.
    if name is None or protocol == "consumer":
        return None
    return (
        f"KAFKA_GROUP_INSTANCE_ID: got {shown(name)}, with KAFKA_GROUP_PROTOCOL={protocol}; "
        "accepts text with KAFKA_GROUP_PROTOCOL=consumer only"
    )


def _dead_letters_are_not_read(dead_letters: str, topics: tuple[str, ...]) -> str | None:
    if not covers(topics, dead_letters):
        return None
    return (
        f"DEAD_LETTER_TOPIC: got {dead_letters!r}, which KAFKA_TOPICS reads; accepts a topic that "
        "is neither named nor matched there"
    )


def _proxy_is_usable(region: str, url: str | None, proxies: Mapping[str, str]) -> str | None:
    variable = proxy_variable(url or API_URLS[region], proxies)
    parts = None if variable is None else http_parts(with_scheme(proxies[variable]))
    if variable is None or (parts is not None and parts.scheme == "http"):
        return None
    return f"{variable}: got {shown(proxies[variable])}; accepts http://host:port"


_AGREEMENTS: tuple[tuple[Callable[..., str | None], tuple[str, ...]], ...] = (
    (_drain_outlasts_a_request, ("drain_timeout_seconds", "customerio_timeout_seconds")),
    (_drain_ends_within_a_poll, ("drain_timeout_seconds", "kafka_config")),
    (
        _session_outlasts_a_request,
        ("kafka_session_timeout_seconds", "kafka_group_protocol", "customerio_timeout_seconds"),
    ),
    (
        _session_fits_a_poll,
        ("kafka_session_timeout_seconds", "kafka_group_protocol", "kafka_config"),
    ),
    (_static_members_are_kip_848s, ("kafka_group_instance_id", "kafka_group_protocol")),
    (_dead_letters_are_not_read, ("dead_letter_topic", "kafka_topics")),
    (_proxy_is_usable, ("customerio_region", "customerio_url", "proxies")),
)
