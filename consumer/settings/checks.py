"""What a setting must be beyond a type and a range.

A check returns the value, or raises ValueError with the reason.
"""

import json
import os
import re
import ssl
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from consumer.settings.librdkafka import refusal
from consumer.settings.problems import LinesError, shown

_SERVER = re.compile(r"([A-Za-z_]+://)?(\[[0-9A-Fa-f:.]+\]|[^\s:/@,\[\]]+)(:(?P<port>\d{1,5}))?")
_PORTS = range(1, 65_536)
_CONFIG = "accepts a JSON object of librdkafka's properties"


def is_utf8(text: str) -> bool:
    """Whether C and the wire can have it. Bytes that are not are lone surrogates in Python.

    confluent_kafka 2.16 makes a segmentation fault of such a property's name.
    """
    return "\0" not in text and text == text.encode(errors="ignore").decode()


def servers(text: str) -> str:
    """Check ``host:port,host:port``."""
    for server in text.split(","):
        match = _SERVER.fullmatch(server.strip())
        if not match or int(match["port"] or 1) not in _PORTS:
            raise ValueError(f"{shown(server.strip())} is no host:port")
    return text


def http_url(text: str) -> str:
    """Check a base URL. Credentials have variables of their own."""
    parts = http_parts(text)
    if parts is None or re.search(r"\s", text):
        raise ValueError("is no http or https URL")
    if "@" in parts.netloc:
        raise ValueError("has credentials in it")
    if parts.query or parts.fragment:
        raise ValueError("has more than a path after the host")
    return text


def credential(secret: SecretStr) -> SecretStr:
    """Check what a paste or an ``echo`` spoils, and what every request would be refused for."""
    if re.search(r"[\s\x00-\x1f\x7f]", secret.get_secret_value()):
        raise ValueError("has white space or control characters in it")
    return secret


def site_id(secret: SecretStr) -> SecretStr:
    """Check that Basic authentication (RFC 7617) can carry it before the colon."""
    if ":" in secret.get_secret_value():
        raise ValueError("has a colon in it")
    return credential(secret)


def librdkafka_config(text: str) -> dict[str, str]:
    """Return ``KAFKA_CONFIG`` as librdkafka takes it, all values as text. Shows no value."""
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        what = error.msg.partition(":")[0]  # what follows may be of a value
        raise LinesError(
            f"KAFKA_CONFIG: is no JSON ({what} at character {error.pos}); {_CONFIG}"
        ) from None
    except (ValueError, RecursionError):
        raise LinesError(f"KAFKA_CONFIG: is beyond reason; {_CONFIG}") from None
    if not isinstance(config, dict):
        raise LinesError(f"KAFKA_CONFIG: is no JSON object; {_CONFIG}")
    problems = [refusal(name) or _shape(name, value) for name, value in config.items()]
    if any(problems):
        raise LinesError(*(f"KAFKA_CONFIG: {problem}" for problem in problems if problem))
    return {n: v if isinstance(v, str) else json.dumps(v) for n, v in config.items()}


def certificates(path: str) -> str:
    """Check that a file has certificate authorities in it."""
    if not os.path.isfile(path):  # noqa: PTH113 - a path too long or with a NUL is False here
        raise ValueError("is no file")
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:
        raise ValueError(f"has no certificates that can be read ({type(error).__name__})") from None
    return path


def http_parts(text: str) -> SplitResult | None:
    """Return the parts of an http or https URL with a host in ASCII; None if it is none."""
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        usable = parts.scheme in {"http", "https"} and host and host.isascii() and parts.port != 0
    except ValueError:  # whose words may show credentials
        return None
    return parts if usable else None


def _shape(name: str, value: object) -> str | None:
    if not isinstance(value, str | int | float):
        return f"{name!r} has a value that is neither text nor number nor boolean"
    if not (is_utf8(name) and is_utf8(str(value))):
        return f"{name!r} or its value is no UTF-8 text"
    return None
