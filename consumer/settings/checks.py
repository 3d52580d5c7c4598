"""What a setting must be beyond a type and a range.

A check returns the value, or raises ValueError with the reason.
"""

import json
import os
import re
import ssl
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from consumer.settings.librdkafka import refusal
from consumer.settings.problems import LinesError, shown
from consumer.settings.property_checks import single_problems
from consumer.settings.text import cleaned, is_quoted, is_utf8, unseen

LONGEST_TURN_SECONDS = 3
"""What a turn of the loop may take: it waits up to 2 s for a broker that doesn't answer."""

_SERVER = re.compile(
    r"(\[[0-9A-Fa-f:.]+\]|[^\x00-\x20\x7f-\U0010ffff:/@,;\"'\[\]]+)(:(?P<port>[0-9]{1,5}))?"
)
_PROTOCOL = re.compile(r"(SASL_SSL|SASL_PLAINTEXT|SSL|PLAINTEXT)://", re.IGNORECASE)
_PORTS = range(1, 65_536)
_LONGEST_PEM = 16 * 1024 * 1024
_CONFIG = "accepts a JSON object of librdkafka's properties"


_SEPARATED = frozenset({"kafka_bootstrap_servers", "kafka_topics", "event_segments"})
_TOLD_BY_THEMSELVES = frozenset({"kafka_config", "customerio_site_id", "customerio_api_key"})


def any_value(value: str, name: str, field: FieldInfo) -> None:
    """Check what any value must be: text of which all can be seen."""
    if "\0" not in value and not is_utf8(value):
        raise ValueError("is no UTF-8 text")
    what = unseen(value, but="\n\r\t" if name in _SEPARATED else "")
    if what and name not in _TOLD_BY_THEMSELVES:
        raise ValueError(what)
    if field.annotation in {int, float} and any(c.isdigit() and not c.isascii() for c in value):
        raise ValueError("has digits in it that are none of 0 to 9")


def servers(text: str) -> str:
    """Check ``host:port,host:port``."""
    reasons = [_no_server(server.strip()) for server in text.split(",")]
    if any(reasons):
        raise ValueError(*filter(None, reasons))
    return " ".join(text.split())  # librdkafka takes only a space for a space


def http_url(text: str) -> str:
    """Check a base URL. Credentials have variables of their own."""
    parts = http_parts(text)
    if parts is None or re.search(r"\s", text):
        raise ValueError("is no http or https URL")
    reasons = []
    if "@" in parts.netloc:
        reasons.append("has credentials in it")
    if parts.query or parts.fragment:
        reasons.append("has more than a path after the host")
    if reasons:
        raise ValueError(*reasons)
    return text


def credential(secret: SecretStr) -> SecretStr:
    """Check what a paste or an ``echo`` spoils, and what every request would be refused for."""
    return _credential(secret, ())


def site_id(secret: SecretStr) -> SecretStr:
    """Check that Basic authentication (RFC 7617) can carry it before the colon."""
    return _credential(secret, ["has a colon in it"] if ":" in secret.get_secret_value() else [])


def pem_file(path: str) -> str:
    """Check that a file is there and has something in PEM in it."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - Path doesn't take every text
            if b"-----BEGIN " not in file.read(_LONGEST_PEM):
                raise ValueError("has no PEM in it (-----BEGIN ...)")
    except FileNotFoundError:
        raise ValueError("is no file") from None
    except OSError as error:
        raise ValueError(f"can't be read ({type(error).__name__})") from None
    return path


def authorities(path: str) -> str:
    """Check a file of authorities, or what librdkafka takes instead: a directory, or ``probe``."""
    return path if path == "probe" or os.path.isdir(path) else pem_file(path)  # noqa: PTH112 - a path too long or with a NUL is False here


def librdkafka_config(text: str) -> dict[str, str]:
    """Return ``KAFKA_CONFIG`` as librdkafka takes it, all values as text. Shows no value."""
    twice: list[str] = []
    text = cleaned(text, secret=False)
    try:
        config = json.loads(
            text,
            object_pairs_hook=lambda pairs: _object(pairs, twice),
            parse_constant=lambda _: None,  # NaN is none of JSON's
        )
    except json.JSONDecodeError as error:
        what = error.msg.partition(":")[0].removesuffix(" at")  # what follows may be of a value
        raise LinesError(
            f"KAFKA_CONFIG: is no JSON ({what} at character {error.pos}); {_CONFIG}"
        ) from None
    except (ValueError, RecursionError):
        raise LinesError(f"KAFKA_CONFIG: is beyond reason; {_CONFIG}") from None
    if not isinstance(config, dict):
        raise LinesError(f"KAFKA_CONFIG: is no JSON object; {_CONFIG}")
    problems = {name: refusal(name) or _shape(name, value) for name, value in config.items()}
    good = {n: _as_text(v) for n, v in config.items() if not problems[n]}
    lines = [f"KAFKA_CONFIG: {problem}" for problem in problems.values() if problem]
    lines += [f"KAFKA_CONFIG: {shown(name)} is there twice; accepts it once" for name in twice]
    if lines:
        raise LinesError(*lines, *single_problems(good))
    return good


def certificates(path: str) -> str:
    """Check that a file has certificate authorities in it."""
    if not os.path.isfile(path):  # noqa: PTH113 - a path too long or with a NUL is False here
        raise ValueError("is no file")
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:
        raise ValueError(f"has no certificates that can be read ({type(error).__name__})") from None
    return path


def is_installed(module: str) -> bool:
    """Whether a module of an extra is there. It is not imported, the packages around it are."""
    try:
        return find_spec(module) is not None
    except ImportError:  # of the package around it
        return False


def http_parts(text: str) -> SplitResult | None:
    """Return the parts of an http or https URL with a host in ASCII; None if it is none."""
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        usable = parts.scheme in {"http", "https"} and host and host.isascii() and parts.port != 0
    except ValueError:  # whose words may show credentials
        return None
    return parts if usable else None


def _no_server(server: str) -> str | None:
    """Return why a server is none."""
    match = _SERVER.fullmatch(server)
    if match and int(match["port"] or 1) in _PORTS:
        return None
    protocol = _PROTOCOL.match(server)
    if protocol:
        instead = f"KAFKA_SECURITY_PROTOCOL={protocol[1].lower()}"
        return f"{shown(server)} has a protocol in front: take it off, and set {instead}"
    is_ipv6 = re.fullmatch(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*", server)
    hint = " (an IPv6 address stands between [ and ])" if is_ipv6 else ""
    return f"{shown(server)} is no host:port{hint}"


def _credential(secret: SecretStr, reasons: Sequence[str]) -> SecretStr:
    text = secret.get_secret_value()
    spoiled = "has white space or control characters in it"
    found = spoiled if re.search(r"[\s\x00-\x1f\x7f]", text) else unseen(text)
    quotes = "has quotes around it" if is_quoted(text.strip()) else None
    reasons = [*filter(None, (found, quotes)), *reasons]
    if reasons:
        raise ValueError(*reasons)
    return secret


def _object(pairs: list[tuple[str, object]], twice: list[str]) -> dict[str, object]:
    """Return a JSON object, and add to ``twice`` the names that would hide others."""
    counts = Counter(name for name, _ in pairs)
    twice += [name for name, count in counts.items() if count > 1 and is_utf8(name)]
    return dict(pairs)


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _shape(name: str, value: object) -> str | None:
    if not isinstance(value, str | int | float):
        return f"{shown(name)} has a value that is neither text nor number nor boolean"
    if not (is_utf8(name) and is_utf8(str(value))):
        return f"{shown(name)} or its value is no UTF-8 text"
    what = unseen(name) or unseen(str(value), but="\n\r\t")
    return f"{shown(name)} or its value {what}" if what else None
