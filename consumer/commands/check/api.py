"""Checks of the Track API: reachable, the right credentials, the right region.

Asks ``/api/v1/accounts/region``, which changes nothing, in a thread of its own: name resolution
can't be interrupted.
"""

import re
import threading
from http import HTTPStatus
from urllib.parse import urlsplit

import msgspec

from consumer import clock
from consumer.commands.check.finding import Finding, State
from consumer.core.outcomes import (
    CREDENTIALS,
    Answer,
    Answered,
    Broken,
    TimedOut,
    Unsent,
    excerpt,
)
from consumer.customerio.network import Proxy
from consumer.daemon import api_of
from consumer.settings import Settings
from consumer.settings.problems import without_credentials

_GRACE_SECONDS = 1.0
_PATIENCE_SECONDS = 12.0
_AT_THE_PROXY = ("connecting to the proxy ", "asking the proxy ")
_NO_NAME = re.compile(r"\bname\b|name resolution|no address", re.IGNORECASE)
"""In the system's words for a name that DNS doesn't have."""


class ApiCheck:
    """Asks from its creation on, beside the other checks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._began_at = clock.now()
        self._answers: list[Answer] = []
        self._asking = threading.Thread(target=self._ask, name="check-api", daemon=True)
        self._asking.start()

    def finding(self) -> Finding:
        """Return what came back, waiting for it as long as a request may take."""
        settings = self._settings
        tried = f"API {settings.api_url}"
        if settings.proxy_url:
            tried += f" through the proxy {without_credentials(settings.proxy_url)}"
        seconds = min(settings.customerio_timeout_seconds + _GRACE_SECONDS, _PATIENCE_SECONDS)
        self._asking.join(max(0.0, self._began_at + seconds - clock.now()))
        answer = self._answers[0] if self._answers else TimedOut(f"no answer in {seconds:g} s")
        state, came_back, to_do = _verdict(answer, settings)
        return Finding(state, tried, came_back, to_do)

    def _ask(self) -> None:
        try:
            api = api_of(self._settings)
        except (OSError, ValueError) as error:  # a file or an URL that only its user finds wrong
            self._answers.append(Broken(f"the client can't be made: {error}"))
            return
        self._answers.append(api.region())
        api.close()


def _verdict(answer: Answer, settings: Settings) -> tuple[State, str, str]:
    match answer:
        case Answered():
            return _of_answer(answer, settings)
        case TimedOut(detail) | Broken(detail) | Unsent(detail):
            return State.FAILED, detail, _about_the_way(detail, settings)


def _of_answer(answer: Answered, settings: Settings) -> tuple[State, str, str]:
    said = f"{answer.status} {excerpt(answer.body)}".rstrip()
    match answer.status:
        case HTTPStatus.OK:
            return _of_region(_region_in(answer.body), said, settings)
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return State.FAILED, said, CREDENTIALS
        case status if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            other = "us" if settings.customerio_region == "eu" else "eu"
            host = urlsplit(answer.location or "").netloc or "elsewhere"
            to_do = f"set CUSTOMERIO_REGION={other}, if the account is there"
            if settings.customerio_url:
                to_do = "correct CUSTOMERIO_URL"
            return State.FAILED, f"{status}, redirected to {excerpt(host.encode())}", to_do
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.REQUEST_TIMEOUT:
            return State.FAILED, said, "nothing is wrong here; try again later"
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            to_do = "the API or a proxy has trouble; the daemon would wait for it"
            return State.FAILED, said, to_do
        case _:
            return State.FAILED, said, f"is {settings.api_url} the Track API? See CUSTOMERIO_URL"


def _of_region(region: str | None, said: str, settings: Settings) -> tuple[State, str, str]:
    if region is None:
        to_do = "this is not the API's answer: see CUSTOMERIO_URL, HTTPS_PROXY, or a login page"
        return State.FAILED, said, to_do
    came_back = f"accepts the credentials; the account's region is {region!r}"
    if region == settings.customerio_region:
        return State.GOOD, came_back, ""
    # The host of either region answers this question; only the right one takes changes.
    to_do = f"set CUSTOMERIO_REGION={region}"
    if settings.customerio_url:
        to_do += ", and see that CUSTOMERIO_URL leads there"
    return State.FAILED, came_back, to_do


def _region_in(body: bytes) -> str | None:
    try:
        answer = msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    region = answer.get("region")
    return excerpt(region.encode()) if isinstance(region, str) else None


def _about_the_way(detail: str, settings: Settings) -> str:
    """Return what to do, by what was being done and why it failed, not by words in a host's name.

    A detail is "<what was done>: <why>", or "the deadline passed while <what was done>".
    """
    doing, _, why = detail.removeprefix("the deadline passed while ").partition(": ")
    if doing.startswith(_AT_THE_PROXY) or doing == _connecting_to(settings.proxy_url):
        return "see HTTPS_PROXY and NO_PROXY"
    if doing.startswith("shaking hands"):
        return "set SSL_CERT_FILE, if a proxy or a private authority signs; see the clock, too"
    if _NO_NAME.search(why):
        return "see DNS and CUSTOMERIO_URL"
    return "see firewalls, HTTPS_PROXY and CUSTOMERIO_URL"


def _connecting_to(proxy_url: str | None) -> str | None:
    if proxy_url is None:
        return None
    proxy = Proxy.at(proxy_url)
    return f"connecting to {proxy.host}:{proxy.port}"
