"""The secrets that the settings have, and texts of others as they may be shown: without these.

Brokers, token endpoints, the API and libraries may repeat what they were sent, and what they say is
logged, shown at ``/readyz`` and printed by the commands. Whoever takes in words of others passes
them through `masked`; whoever reads a secret has it remembered first. For the whole process, as the
log is: libraries log from threads of their own. Nothing is forgotten, for a rotated secret may be
repeated later. Only ever added to, so any thread may do either.
"""

import base64
import json
import re
from urllib.parse import quote, quote_plus

MASK = "***"

_SHORT = 8
"""Secrets below this length are masked where they are whole words: they may be part of any word."""

_WORD = r"(?<![\w-])(?<!\w\.){}(?![\w-])(?!\.\w)"
"""A word, and no part of a name with dots, as a property's or a host's."""

_NO_SECRET = 2
"""Up to this length they would riddle what is said."""

_known: dict[str, re.Pattern[str]] = {}


def remember(*secrets: str) -> None:
    """Mask these from now on, also in the spellings of URLs, forms and JSON."""
    for secret in secrets:
        for text in (secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]):
            if len(text) > _NO_SECRET and text not in _known:
                _known[text] = _pattern(text)


def remember_login(user: str, password: str) -> None:
    """Mask a password, and the pair as HTTP's Basic authentication spells it."""
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    remember(password, pair)


def masked(text: str) -> str:
    """Return what somebody else said, without secrets."""
    for secret, pattern in sorted(_known.items(), key=_length, reverse=True):
        if secret in text:
            text = pattern.sub(MASK, text)
    return text


def masked_bytes(said: bytes) -> bytes:
    """Return what somebody else sent, whether or not it is UTF-8, without secrets."""
    text = said.decode(errors="surrogateescape")
    return masked(text).encode(errors="surrogateescape")


def _length(known: tuple[str, re.Pattern[str]]) -> int:
    return len(known[0])


def _pattern(text: str) -> re.Pattern[str]:
    escaped = re.escape(text)
    return re.compile(escaped if len(text) >= _SHORT else _WORD.format(escaped))
