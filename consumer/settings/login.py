"""What a login at Kafka and its encryption take: settings that go together."""

from collections.abc import Iterator, Mapping
from typing import Any

LOGIN = ("KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD")
_PROVIDER = "KAFKA_OAUTH_PROVIDER"
_FILES = ("KAFKA_SSL_CA_LOCATION", "KAFKA_SSL_CERTIFICATE_LOCATION", "KAFKA_SSL_KEY_LOCATION")
_OF_JAVA = "AWS_MSK_IAM"
_WITH_A_PASSWORD = frozenset({"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"})


def mechanism(text: str) -> str:
    """Return a mechanism in its own spelling; of a name of Java's clients say what it is here."""
    name = text.upper()
    if name.replace("-", "_") == _OF_JAVA:
        raise ValueError(
            f"is a name of Java's clients: set OAUTHBEARER, and {_PROVIDER}=aws-msk-iam"
        )
    return name


def login_problems(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is missing for a login, of settings ``given``: right by themselves."""
    if "kafka_security_protocol" not in given:
        return
    protocol = given["kafka_security_protocol"]
    if not (protocol or "").startswith("sasl"):
        login = [name for name in (*LOGIN, _PROVIDER) if given.get(name.lower()) is not None]
        if login:
            is_what = f"got {protocol!r}" if protocol else "is missing"
            yield (
                f"KAFKA_SECURITY_PROTOCOL: {is_what}, but {' and '.join(login)} only"
                f" {'count' if len(login) > 1 else 'counts'} with SASL; accepts sasl_ssl or"
                " sasl_plaintext there"
            )
        return
    mechanism = given.get("kafka_sasl_mechanism", "")  # wrong by itself
    if mechanism is None:
        yield (
            f"KAFKA_SASL_MECHANISM: is missing, and KAFKA_SECURITY_PROTOCOL is {protocol};"
            " accepts one of: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER, GSSAPI"
        )
    elif mechanism in _WITH_A_PASSWORD:
        for name in LOGIN[1:]:
            if name.lower() in given and given[name.lower()] is None:
                yield f"{name}: is missing, and KAFKA_SASL_MECHANISM is {mechanism}; accepts text"


def doubts(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is allowed and most likely not meant."""
    protocol = given.get("kafka_security_protocol") or "plaintext"
    files = [name for name in _FILES if given.get(name.lower()) is not None]
    if files and not protocol.endswith("ssl"):
        yield (
            f"{' and '.join(files)} {'count' if len(files) > 1 else 'counts'} with"
            " KAFKA_SECURITY_PROTOCOL=ssl or sasl_ssl only;"
            f" with {protocol} nothing is encrypted"
        )
    for name in ("KAFKA_SASL_PASSWORD", "KAFKA_SSL_KEY_PASSWORD", "KAFKA_OAUTH_CLIENT_SECRET"):
        secret = given.get(name.lower())
        text = secret.get_secret_value() if secret is not None else ""
        if text != text.lstrip():
            yield f"{name} begins with a space, which librdkafka takes off"
        if text != text.rstrip():
            yield f"{name} ends with a space, which is taken as part of it"
