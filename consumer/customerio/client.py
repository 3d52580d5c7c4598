"""HTTP: a request to one server, and what came of it. The only place of httpx.

httpx speaks HTTP; its connections are kept by `connections` and opened by `network`, and their
sockets are `wire`'s, where the deadline of the whole request and the lease are kept. Redirects are
not followed, cookies not kept, bodies not unpacked, and of an answer no more is read than anybody
needs.
"""

import re
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy

import certifi
import httpcore
import httpx

from consumer import clock
from consumer.core.outcomes import Answer, Answered, Broken, TimedOut, Unsent
from consumer.customerio.connections import Connection, Connections
from consumer.customerio.failures import text_of
from consumer.customerio.network import Network, Proxy
from consumer.customerio.wire import Exchange, LeaseOverError, StaleError

_MAX_BODY_BYTES = 64 * 1024
_CUT_MARK = "…".encode()  # ends a body that was cut: no JSON ends so, it passes for no success
_IDLE_SECONDS = 20.0  # more than most lingers, less than balancers wait (60 s and more)


class Client:
    """The server at one URL, for all threads at once; see `Api` for the arguments.

    A connection is opened whenever none is idle, and ``max_connections`` stay open for the next
    request: the caller limits how many requests there are, and one stuck in name resolution must
    not take another's place.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float,
        max_connections: int,
        proxy_url: str | None,
        ssl_cert_file: str | None,
        user_agent: str,
    ) -> None:
        base = _base(url)
        self._base = str(base).rstrip("/")
        proxy = None if proxy_url is None else Proxy.at(proxy_url)
        is_secure = base.scheme == "https"
        self._network = Network(proxy, tunnels=is_secure, timeout_seconds=timeout_seconds)
        self._origin = httpcore.URL(self._base).origin
        self._trust = _trust(ssl_cert_file) if is_secure else None
        self._connections = Connections(self._open, max_connections, _IDLE_SECONDS)
        is_forwarded = proxy is not None and not is_secure
        self._client = httpx.Client(
            transport=_Transport(self._connections, is_forwarded=is_forwarded),
            headers={
                "User-Agent": user_agent,
                "Accept": "application/json",
                "Accept-Encoding": "identity",
            },
            timeout=None,  # noqa: S113 - the deadline is the wire's
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            trust_env=False,
        )
        self._proxy_headers = proxy.headers if proxy is not None and is_forwarded else []

    def request(
        self, method: str, path: str, body: bytes | None, authorization: bytes, exchange: Exchange
    ) -> Answer:
        """Send a request, with a JSON body or none. What network and server do raises nothing."""
        headers = [(b"Authorization", authorization), *self._proxy_headers]
        if body is not None:
            headers.append((b"Content-Type", b"application/json"))
        request = self._client.build_request(
            method,
            self._base + path,
            content=body,
            headers=headers,
            extensions={"exchange": exchange},
        )
        try:
            exchange.time_left()
            response = self._client.send(request, stream=True)
            try:
                answer = _read(response)
            finally:
                response.close()
            exchange.time_left()
            if not exchange.written and answer.status < HTTPStatus.MULTIPLE_CHOICES:
                raise httpcore.RemoteProtocolError("a success before the request was sent")
        except LeaseOverError:
            return Unsent("the lease was over before the request was sent completely")
        except (OSError, httpcore.ProtocolError) as error:
            if clock.now() >= exchange.deadline:
                detail = f"the deadline passed while {exchange.doing}"
                return TimedOut(detail, ambiguous=exchange.written)
            return Broken(f"{exchange.doing}: {text_of(error)}", ambiguous=exchange.written)
        return answer

    def close(self) -> None:
        """Close the idle connections; one in use belongs to the thread that uses it."""
        self._connections.close()

    def _open(self, exchange: Exchange) -> Connection:
        host = self._origin.host.decode("ascii")
        wire = self._network.connect(host, self._origin.port, exchange)
        if self._trust is not None:
            wire.start_tls(self._trust, host)
        return Connection(self._origin, wire)


class _Transport(httpx.BaseTransport):
    """httpx's requests on connections of ours, which its own transport has no room for.

    ``is_forwarded``: the other side is a proxy that wants the whole URL.
    """

    def __init__(self, connections: Connections, *, is_forwarded: bool) -> None:
        self._connections = connections
        self._is_forwarded = is_forwarded

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the answer's body is yet to be read."""
        url = request.url
        target = str(url).encode("ascii") if self._is_forwarded else url.raw_path
        question = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=target),
            headers=request.headers.raw,
            content=request.stream,
        )
        connection, answer = self._ask(question, request.extensions["exchange"])
        # Kept from httpx, which reads it though it doesn't follow, and raises for what is no URL.
        headers = [each for each in answer.headers if each[0].lower() != b"location"]
        locations = [value for name, value in answer.headers if name.lower() == b"location"]
        location = locations[0].decode("latin-1") if locations else None
        return httpx.Response(
            answer.status,
            headers=headers,
            stream=_Body(answer, partial(self._connections.give_back, connection)),
            extensions={**answer.extensions, "location": location},
        )

    def _ask(
        self, question: httpcore.Request, exchange: Exchange
    ) -> tuple[Connection, httpcore.Response]:
        """Ask on an idle connection; if it turns out to be none any more, on another."""
        while True:
            connection = self._connections.take(exchange)
            try:
                return connection, connection.handle_request(question)
            except StaleError:
                connection.close()
            except BaseException:
                connection.close()
                raise


class _Body(httpx.SyncByteStream):
    """The body of an httpcore response as httpx reads it."""

    def __init__(self, answer: httpcore.Response, at_end: Callable[[], None]) -> None:
        self._answer = answer
        self._at_end = at_end

    def __iter__(self) -> Iterator[bytes]:
        yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()
        self._at_end()


def _read(response: httpx.Response) -> Answered:
    """Read the answer, and of its body no more than anybody needs. Raises OSError."""
    body = bytearray()
    for part in response.iter_raw():
        body += part
        if len(body) > _MAX_BODY_BYTES:
            body[_MAX_BODY_BYTES:] = _CUT_MARK
            break
    wait = next(iter(response.headers.get_list("retry-after")), None)
    return Answered(
        status=response.status_code,
        body=bytes(body),
        retry_after_seconds=None if wait is None else retry_after_seconds(wait, time.time()),
        location=response.extensions["location"],
    )


def retry_after_seconds(value: str, wall_clock: float) -> float | None:
    """Return the seconds that a ``Retry-After`` of seconds or a date means; None for neither.

    What is over already is 0.
    """
    seconds = re.fullmatch(r"\s*([+-]?\d{1,10}(\.\d*)?)\s*", value, re.ASCII)
    if seconds is not None:
        return max(0.0, float(seconds[1]))
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - wall_clock)


def _base(url: str) -> httpx.URL:
    """Return the base URL, without credentials: those have settings of their own."""
    try:
        base = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"the API's URL is none: {error}") from None
    if base.scheme not in {"http", "https"} or not base.host:
        raise ValueError("the API is at an http:// or https:// URL")
    return base.copy_with(username="", password="")


def _trust(ssl_cert_file: str | None) -> ssl.SSLContext:
    trusted = ssl.create_default_context(cafile=ssl_cert_file)
    trusted.set_alpn_protocols(["http/1.1"])
    if ssl_cert_file is None:  # images without ca-certificates exist
        trusted.load_verify_locations(certifi.where())
    return trusted
