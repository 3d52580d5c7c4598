"""The Track API: a batch posted to a segment, and what its answer vouches for."""

from dataclasses import dataclass, replace
from http import HTTPStatus
from math import inf

import msgspec

from consumer import clock
from consumer.core.outcomes import Answer, Answered, Delivered, outcome_of
from consumer.customerio.client import Client
from consumer.customerio.network import basic
from consumer.customerio.wire import Exchange

GRACE_SECONDS = 0.8
"""After a request's deadline, for what is to be asked about its answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """One batch, as a carrier thread gets it. Times are ``clock.now()`` seconds.

    ``deadline`` is for everything from connecting to the answer's last byte. Nothing is written at
    or after ``lease_end``; ``math.inf`` where there is no lease.
    """

    segment_id: int
    action: str
    id_type: str
    ids: tuple[str, ...]
    deadline: float
    lease_end: float = inf


class Api:
    """The API at one URL, for all threads at once.

    ``post`` and ``region`` raise nothing for what network and server do.
    """

    def __init__(
        self,
        url: str,
        credentials: tuple[str, str],
        *,
        timeout_seconds: float,
        max_connections: int,
        proxy_url: str | None = None,
        ssl_cert_file: str | None = None,
        user_agent: str = "segment-consumer",
    ) -> None:
        """Connect to nothing yet. ``credentials`` are site id and API key.

        ``max_connections`` stay open for the next request, which is no limit of the requests.
        ``proxy_url`` is an ``http://`` one; it is asked for a tunnel if ``url`` is ``https://``.
        ``ssl_cert_file`` has the authorities to trust instead of the usual ones. Raises ValueError
        for an unusable URL, OSError for an unusable file.
        """
        self._timeout_seconds = timeout_seconds
        self._client = Client(
            url,
            timeout_seconds=timeout_seconds,
            max_connections=max_connections,
            proxy_url=proxy_url,
            ssl_cert_file=ssl_cert_file,
            user_agent=user_agent,
        )
        self._login = _Login(basic(*credentials))

    def post(self, request: Request) -> Answer:
        """Send one batch. What a 403 or 404 means is asked of ``region``, in what time is left.

        That is a little longer than the request's own: an answer in the last moment is one, too.
        """
        login = self._login
        path = (
            f"/api/v1/segments/{request.segment_id}/{request.action}_customers"
            f"?id_type={request.id_type}"
        )
        body = msgspec.json.encode({"ids": request.ids})
        exchange = Exchange(request.deadline, request.lease_end)
        answer = self._client.request(b"POST", path.encode(), body, login.authorization, exchange)
        match answer:
            case Answered(HTTPStatus.FORBIDDEN):
                return self._vouch(answer, login, request.deadline)
            case Answered(HTTPStatus.NOT_FOUND):
                if login.vouched:
                    return replace(answer, vouched=True)
                return self._vouch(answer, login, request.deadline)
            case Answered() if not login.vouched and isinstance(outcome_of(answer), Delivered):
                login.vouched = True
        return answer

    def region(self) -> Answer:
        """Ask whether the credentials are right here: 200 and a JSON object if they are."""
        return self._region(self._login, clock.now() + self._timeout_seconds)

    def reload_credentials(self, credentials: tuple[str, str]) -> bool:
        """Use these from the next request on; return whether they are others than before.

        With others nothing was delivered yet: a 404 vouches for nothing until something was.
        """
        authorization = basic(*credentials)
        if authorization == self._login.authorization:
            return False
        self._login = _Login(authorization)
        return True

    def close(self) -> None:
        """Close the idle connections; one in use belongs to the thread that uses it."""
        self._client.close()

    def _region(self, login: "_Login", deadline: float) -> Answer:
        exchange, path = Exchange(deadline, inf), b"/api/v1/accounts/region"
        return self._client.request(b"GET", path, None, login.authorization, exchange)

    def _vouch(self, answer: Answered, login: "_Login", deadline: float) -> Answered:
        """Ask what the answer means; how long that takes is no part of the request."""
        started = clock.now()
        vouched = self._accepts(login, deadline)
        return replace(answer, vouched=vouched, vouching_seconds=clock.now() - started)

    def _accepts(self, login: "_Login", deadline: float) -> bool:
        match self._region(login, deadline + GRACE_SECONDS):
            case Answered(HTTPStatus.OK, body) as answer if body.strip():
                is_accepted = isinstance(outcome_of(answer), Delivered)
                login.vouched = login.vouched or is_accepted
                return is_accepted
        return False


@dataclass(slots=True)
class _Login:
    """One pair of credentials. ``vouched``: the API accepted something with them."""

    authorization: bytes
    vouched: bool = False
