"""The tokens that all clients of the process log in with: fetched ahead, on a thread of its own.

librdkafka (2.16) asks for a token on a thread of its own, while the constructor of a client waits
for it, in steps of a second and for ten at most. So a client only gets the one that is there. What
is fetched is bounded by a timeout of ours, in a thread that is given up, one at a time: a provider
that hangs keeps nobody waiting.
"""

import queue
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from consumer import clock
from consumer.core.backoff import backoff_seconds
from consumer.engine.ports import Say
from consumer.masking import masked

FETCH_SECONDS = 20.0
"""Google's library looks for a machine's own account for ten before it says that there is none."""

_REFRESHED_AT = 0.8  # of its life
_ASKED_AGAIN = 0.5
"""Of what is left of a token, as librdkafka is told. It asks again at 80 % of that: told the truth,
it would do so as the next one is being fetched, get the same once more, and ask when it is nearly
over. Then a broker ends its sessions sooner than it lets anybody log in again (a second)."""

_SHORTEST_SECONDS = 1.0
_LOOK_SECONDS = 1.0  # at the clock
_MAX_BACKOFF_SECONDS = 30.0
_LONGEST_WORDS = 500
_MOST_HANGING = 1
"""Threads of fetches that were given up, beside the one that is waited for: a provider that hangs
keeps no more of them. Libraries come to an end by themselves, of a file's command nobody knows."""

Fetch = Callable[[], "Token"]
"""Returns a token that is new, or raises anything with the provider's words."""


class Token(NamedTuple):
    """A token as the broker gets it; ``expires_at`` in seconds since the epoch."""

    text: str
    expires_at: float


class Tokens:
    """The ``oauth_cb`` of clients, and the thread that has a token for them.

    Replaced at 80 % of its life. One that can't be had is tried again under a backoff; the one of
    before is good as long as it lives. ``tried`` is set once it is known how the first try ended.
    """

    def __init__(
        self, provider: str, fetch: Fetch, say: Say, *, fetch_seconds: float = FETCH_SECONDS
    ) -> None:
        self.provider = provider
        self.tried = threading.Event()
        self._fetch = fetch
        self._fetch_seconds = fetch_seconds
        self._say = say
        self._token: Token | None = None
        self._why = "the first one is being fetched"
        self._failures = 0
        self._answers = queue.SimpleQueue[Token | Exception]()
        self._fetching = 0  # threads whose answer was not taken yet

    def __call__(self, _config: str) -> tuple[str, float]:
        """Hand over the token to librdkafka, and until when not to ask again (see `_ASKED_AGAIN`).

        Raises LookupError if there is none: it asks again.
        """
        token, trouble = self._token, self.trouble
        if token is None or trouble:
            raise LookupError(trouble)
        now = time.time()
        return token.text, now + _ASKED_AGAIN * (token.expires_at - now)

    @property
    def trouble(self) -> str:
        """Why nobody can log in now, in the provider's words; empty: there is a token."""
        token = self._token
        if token is not None and token.expires_at > time.time():
            return ""
        return f"no token of {self.provider}: {self._why}"

    def start(self) -> None:
        """Begin to fetch."""
        threading.Thread(target=self._run, name="tokens", daemon=True).start()

    def turn(self) -> float:
        """Fetch once; return in how many seconds to do so again."""
        try:
            token = self._fetched()
        except Exception as error:  # noqa: BLE001 - whatever a provider's library raises is its word
            seconds = self._failed(error)
        else:
            seconds = self._took(token)
        self.tried.set()
        return seconds

    def rest(self, seconds: float) -> None:
        """Wait until the next turn, but not beyond the end of the token that there is.

        A machine that slept, or whose clock was set, comes to that sooner than it seems.
        """
        until = clock.now() + seconds
        while (left := until - clock.now()) > 0:
            threading.Event().wait(min(left, _LOOK_SECONDS))  # at least: a provider is not hunted
            if self.trouble and not self._failures:
                return

    def _run(self) -> None:
        while True:
            self.rest(self.turn())

    def _fetched(self) -> Token:
        """Return a new token. Raises what the provider's library does, or TimeoutError.

        What answers late is good as well: it may be all that a slow provider ever does.
        """
        if self._answers.empty() and self._fetching <= _MOST_HANGING:
            self._fetching += 1
            threading.Thread(target=self._ask, name="token", daemon=True).start()
        try:
            answer = self._answers.get(timeout=self._fetch_seconds)
        except queue.Empty:
            raise TimeoutError(f"no answer within {self._fetch_seconds:g} s") from None
        self._fetching -= 1
        if isinstance(answer, Exception):
            raise answer
        if answer.expires_at <= time.time():
            raise ValueError("it is over already, as this machine's clock says")
        return answer

    def _ask(self) -> None:
        try:
            self._answers.put(self._fetch())
        except Exception as error:  # noqa: BLE001 - raised to whoever takes it
            self._answers.put(error)

    def _took(self, token: Token) -> float:
        if self._failures:
            text = f"there are tokens of {self.provider} again"
            self._say(clock.now(), "token_fetched", self.provider, text, level="info")
        self._token, self._failures = token, 0
        self._why = "the next one is being fetched"
        return max(_SHORTEST_SECONDS, _REFRESHED_AT * (token.expires_at - time.time()))

    def _failed(self, error: Exception) -> float:
        self._failures += 1
        self._why = words_of(error)
        text = self.trouble or f"no new token of {self.provider}: {self._why}; the old one is good"
        text += ": it is tried again"
        self._say(clock.now(), "token_unavailable", self.provider, text, level="warning")
        jitter = random.uniform(0.5, 1.0)
        return backoff_seconds(self._failures + 1, _MAX_BACKOFF_SECONDS, jitter)


def with_tokens(properties: Mapping[str, Any], tokens: Tokens | None) -> dict[str, Any]:
    """Return a client's properties, with where its tokens come from if not from librdkafka."""
    return dict(properties) if tokens is None else {**properties, "oauth_cb": tokens}


def words_of(error: Exception) -> str:
    """Return what a provider's library says, on one line; its kind where it says nothing.

    Without secrets, of which no beginning is left where it is cut.
    """
    said = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    return " ".join(masked(said).split())[:_LONGEST_WORDS] or type(error).__name__
