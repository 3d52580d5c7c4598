"""What each client of librdkafka is created with: consumer, dead-letter producer, admin.

Operators tune with ``KAFKA_CONFIG``: it comes after our tuning and before what the daemon owns.
"""

from pydantic import SecretStr

from consumer.settings import Settings, librdkafka, oauth, sources
from consumer.settings.librdkafka import Properties
from consumer.settings.text import unseen

_MOST_SECONDS = 10.0
_LEAST_SECONDS = 1.5  # operators may let a fetch wait for records as long as librdkafka does, 0.5 s


def consumer_properties(settings: Settings) -> Properties:
    """Return what the consumer is created with."""
    properties = _with_operators(librdkafka.COMMON | librdkafka.CONSUMER, settings)
    properties |= librdkafka.CONSUMER_OWNED | {"group.id": settings.kafka_group_id}
    if settings.kafka_group_instance_id:
        properties["group.instance.id"] = settings.kafka_group_instance_id
    if settings.kafka_group_protocol == "consumer":
        # KIP-848: session, heartbeat and assignor are the broker's; librdkafka refuses them here.
        return properties | {"group.protocol": "consumer"}
    return properties | {
        "group.protocol": "classic",
        "partition.assignment.strategy": "cooperative-sticky",
        # When it sees new partitions by itself, librdkafka joins anew at once, also while `revoked`
        # still drains what the next owner gets then. It looks when `engine.discovery` lets it.
        "topic.metadata.refresh.interval.ms": -1,
        "session.timeout.ms": _milliseconds(settings.kafka_session_timeout_seconds),
        "heartbeat.interval.ms": _milliseconds(settings.heartbeat_interval_seconds),
    }


def producer_properties(settings: Settings) -> Properties:
    """Return what the dead-letter producer is created with."""
    properties = _with_operators(librdkafka.COMMON | librdkafka.PRODUCER, settings)
    return properties | librdkafka.PRODUCER_OWNED


def admin_properties(settings: Settings) -> Properties:
    """Return what the admin client is created with."""
    return _with_operators(librdkafka.COMMON, settings)


def rotated(settings: Settings) -> dict[str, str]:
    """Return users and secrets as they are now in ``SECRETS_DIR``, by librdkafka's names.

    Without what came from elsewhere, or can't be read while a mounted secret is being replaced.
    Raises ValueError for what is refused at the start: confluent_kafka (2.16) takes no NUL.
    """
    files = settings.found.files
    names = [name for name in librdkafka.ROTATING if librdkafka.VARIABLES[name] in files]
    texts = {name: sources.read_secret(files[librdkafka.VARIABLES[name]]) for name in names}
    for name, text in texts.items():
        if text and (what := unseen(text)):
            raise ValueError(f"{librdkafka.VARIABLES[name]} {what}")
    return {name: text for name, text in texts.items() if text}


def _with_operators(tuning: Properties, settings: Settings) -> Properties:
    properties = tuning | _timeouts(settings)
    for name, value in settings.kafka_config.items():
        properties[name] = value.get_secret_value()
    for name, variable in librdkafka.VARIABLES.items():
        value = getattr(settings, variable.lower())
        if value is not None:
            properties[name] = value.get_secret_value() if isinstance(value, SecretStr) else value
    authorities = settings.kafka_oauth_ca_location or settings.ssl_cert_file
    properties |= oauth.oidc_properties(settings.kafka_oauth_provider, authorities)
    properties["bootstrap.servers"] = settings.kafka_bootstrap_servers
    return properties


def _timeouts(settings: Settings) -> Properties:
    """Return how long an answer, or a connection, is waited for before a new connection is tried.

    Who is at the other end may be gone without a word, which is noticed by that alone. It must not
    cost the membership: with librdkafka's 60 s and 30 s it does, and 61 s without a delivery.
    """
    seconds = min(settings.kafka_session_timeout_seconds / 4, _MOST_SECONDS)
    return {
        "socket.timeout.ms": _milliseconds(max(seconds, _LEAST_SECONDS)),
        "socket.connection.setup.timeout.ms": _milliseconds(_MOST_SECONDS),
    }


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
