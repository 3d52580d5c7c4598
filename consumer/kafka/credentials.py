"""What Kafka's clients log in with, as it is now: passwords, certificates and keys may change.

They are replaced where they lie, in files, while the daemon runs. A thread of its own reads them
again every few seconds; who owns a client looks here whenever it uses it. A running client is told
a password. What librdkafka (2.16) needs for TLS it makes of the files once, when a client is made:
a new client takes its place, as it does for a secret that librdkafka fetches tokens with, and for
the first token that there is. Files that don't go together, as a certificate whose key isn't there
yet, are waited for: librdkafka itself is asked whether it can use them.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from consumer import clock
from consumer.engine.ports import Say
from consumer.kafka import token_endpoint
from consumer.kafka.tokens import Tokens

INTERVAL_SECONDS = 3.0

_USER, _PASSWORD, _KEY_PASSWORD = "sasl.username", "sasl.password", "ssl.key.password"
_FETCHES = ("sasl.oauthbearer.client.id", "sasl.oauthbearer.client.secret")
_FILES = (
    *("ssl.ca.location", "ssl.certificate.location", "ssl.key.location"),
    *("ssl.keystore.location", "ssl.crl.location"),
)


_REACHES = frozenset({"bootstrap.servers", "security.protocol", "sasl.mechanism", "oauth_cb"})
"""Without these a client reaches for nothing; with the last one its creation waits for a token."""


class HasLogin(Protocol):
    """A client of the library: consumer, producer or admin client."""

    def set_sasl_credentials(self, username: str, password: str) -> None: ...  # noqa: D102 - the library's own


@dataclass(frozen=True, slots=True)
class Login:
    """What a client was, or would be, made with: by librdkafka's names, but files by a digest."""

    sasl: Mapping[str, str] = field(repr=False)
    tls: Mapping[str, str] = field(repr=False)
    fetches: Mapping[str, str] = field(default_factory=dict, repr=False)


class LoginWatch:
    """``now`` is the newest login that can be used; written by one thread, read by any.

    ``reread`` returns the properties among user and passwords that stand in files, as they are now,
    or raises ValueError if one can't be one; ``objection`` returns what librdkafka has against
    properties, without a value that may be a secret.
    """

    def __init__(
        self,
        properties: Mapping[str, Any],
        reread: Callable[[], Mapping[str, str]],
        objection: Callable[[Mapping[str, str]], str],
        say: Say,
    ) -> None:
        self._properties = dict(properties)
        self._files = [name for name in _FILES if name in properties and _is_encrypted(properties)]
        self._reread = reread
        self._objection = objection
        self._say = say
        self.now = self._look(Login({}, {}), properties)

    def start(self) -> None:
        """Begin to look, if there is anything that may change."""
        if self._files or self._given(clock.now()):
            threading.Thread(target=self._run, name="credentials", daemon=True).start()

    def look(self, now: float) -> None:
        """Look once, and publish what is new and can be used."""
        known, found = self.now, self._look(self.now, self._given(now))
        if found.tls != known.tls and (why := self._objection(self._made_of(found))):
            text = f"the new files for TLS can't be used: {why}; those of before stay in use"
            self._say(now, "credentials_unusable", "", text, level="warning")
            found = Login(found.sasl, known.tls, found.fetches)
        if found == known:
            return
        self.now = found
        for changed, text in (
            (found.sasl != known.sasl, "the login at Kafka has changed; the next one uses it"),
            (found.tls != known.tls, "the files for TLS have changed; new clients use them"),
            (
                found.fetches != known.fetches,
                "the secret for tokens has changed; new clients use it",
            ),
        ):
            if changed:
                self._say(now, "credentials_renewed", text, text, level="info")

    def _run(self) -> None:
        while True:
            threading.Event().wait(INTERVAL_SECONDS)
            self.look(clock.now())

    def _given(self, now: float) -> Mapping[str, str]:
        """Return what stands in files now; nothing while that can't be used."""
        try:
            return self._reread()
        except ValueError as error:
            text = f"{error}; the one of before stays in use"
            self._say(now, "credentials_unusable", "login", text, level="warning")
            return {}

    def _look(self, known: Login, given: Mapping[str, Any]) -> Login:
        """Return what there is now; what can't be read at the moment is as it was."""
        sasl = {name: given[name] for name in (_USER, _PASSWORD) if name in given}
        tls = {name: given[name] for name in (_KEY_PASSWORD,) if name in given}
        fetches = {name: given[name] for name in _FETCHES if name in given}
        for name in self._files:
            try:
                content = Path(self._properties[name]).read_bytes()
            except OSError:  # or it is a directory of authorities, which is not followed
                continue
            tls[name] = hashlib.sha256(content).hexdigest()
        return Login({**known.sasl, **sasl}, {**known.tls, **tls}, {**known.fetches, **fetches})

    def _made_of(self, login: Login) -> dict[str, str]:
        """Return what of a client's properties librdkafka makes its TLS of."""
        tls = {name: str(of) for name, of in self._properties.items() if name.startswith("ssl.")}
        return {**tls, **_properties_of(login), "security.protocol": "ssl"}


class Follower:
    """What the clients of one owner are made with. Owned by that owner's thread."""

    def __init__(self, properties: Mapping[str, Any]) -> None:
        self.properties = dict(properties)
        tokens = properties.get("oauth_cb")
        self._tokens = tokens if isinstance(tokens, Tokens) else None
        self.is_waiting = False  # the client was made while there was no token
        self._watch: LoginWatch | None = None
        self._login = Login({}, {})

    @property
    def trouble(self) -> str:
        """Why a client can't log in, whoever it asks, and what to do; empty: nothing is known."""
        if self._tokens is None or not (why := self._tokens.trouble):
            return ""
        return f"{why}; {token_endpoint.advice(self._tokens.provider)}"

    def for_client(self) -> dict[str, Any]:
        """Return what a client is to be made with now.

        One that is made while there is no token reaches for nothing, and is outdated as soon as
        there is one: the creation of a real one would wait for it, and fail.
        """
        self.is_waiting = bool(self.trouble)
        if not self.is_waiting:
            return self.properties
        kept = {name: of for name, of in self.properties.items() if name not in _REACHES}
        return {**kept, "log_level": 4}  # else it says that it has no servers

    def follow(self, watch: LoginWatch) -> None:
        """Take up what changes from now on."""
        self._watch, self._login = watch, watch.now

    def outdates(self, client: HasLogin | None) -> bool:
        """Tell the owner's client of a new password; return whether a new one must take its place.

        ``properties`` are those for that one then.
        """
        has_token_now = self.is_waiting and not self.trouble
        self.is_waiting &= not has_token_now
        if self._watch is None or self._watch.now is self._login:
            return has_token_now
        before, self._login = self._login, self._watch.now
        self.properties |= _properties_of(self._login)
        sasl = self._login.sasl
        if client is not None and sasl != before.sasl and sasl.keys() == {_USER, _PASSWORD}:
            client.set_sasl_credentials(sasl[_USER], sasl[_PASSWORD])
        is_made_of_others = (self._login.tls, self._login.fetches) != (before.tls, before.fetches)
        return has_token_now or is_made_of_others


def _is_encrypted(properties: Mapping[str, Any]) -> bool:
    return str(properties.get("security.protocol", "")).lower() in {"ssl", "sasl_ssl"}


def _properties_of(login: Login) -> dict[str, str]:
    """Return what of a login is a property, and not a file's content."""
    return {
        **login.sasl,
        **login.fetches,
        **{k: v for k, v in login.tls.items() if k == _KEY_PASSWORD},
    }
