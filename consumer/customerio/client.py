"""HTTP: a request to one server, and what came of it. The only place of httpx.

httpx knows URLs and what headers a request has; it is asked once, and per request only what differs
is put in. Its engine, h11, reads the answers on connections that are kept by `connections` and
opened by `network`; their sockets are `wire`'s, where the deadline of the whole request and the
lease are kept. Redirects are not followed, and cookies not kept.
"""

import ssl
from dataclasses import replace
from http import HTTPStatus

import certifi
import h11
import httpx

from consumer import clock
from consumer.core.outcomes import Answer, Answered, Broken, TimedOut, Unsent
from consumer.customerio.connection import MOST_BYTES, Connection
from consumer.customerio.connections import Connections
from consumer.customerio.failures import text_of
from consumer.customerio.network import Network, Proxy
from consumer.customerio.wire import Exchange, LeaseOverError, StaleError
from consumer.masking import masked, masked_bytes

_IDLE_SECONDS = 20.0  # more than most lingers, less than balancers wait (60 s and more)
_PORTS = {"http": 80, "https": 443}
_SUCCESSES = range(200, 300)


class Client:
    """The server at one URL, for all threads at once; see `Api` for the arguments.

    ``certificate`` and its key, which may be None if both are in one file, say who we are. An
    answer that is longer than ``most_bytes`` is cut.

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
        certificate: tuple[str, str | None] | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        base = _base(url)
        proxy = None if proxy_url is None else Proxy.at(proxy_url)
        is_secure = base.scheme == "https"
        self._host = base.raw_host.decode("ascii")
        self._port = base.port or _PORTS[base.scheme]
        self._network = Network(proxy, tunnels=is_secure, timeout_seconds=timeout_seconds)
        self._trust = _trust(ssl_cert_file, certificate) if is_secure else None
        self._most_bytes = most_bytes
        self._connections = Connections(self._open, max_connections, _IDLE_SECONDS)
        headers = {
            "User-Agent": user_agent,
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Connection": "keep-alive",
        }
        lines = httpx.Request("GET", base, headers=headers).headers.raw
        target = base.raw_path
        if proxy is not None and not is_secure:  # it sends the request on, and wants the whole URL
            lines += proxy.headers
            target = str(base).encode("ascii")
        self._target = target.rstrip(b"/")
        self._headers = b"\r\n".join(b"%b: %b" % line for line in lines)

    def request(
        self,
        method: bytes,
        path: bytes,
        body: bytes | None,
        authorization: bytes | None,
        exchange: Exchange,
    ) -> Answer:
        """Send a request, with a JSON body or none. What network and server do raises nothing."""
        request = self._bytes_of(method, path, body, authorization)
        try:
            exchange.time_left()
            answer = self._ask(request, exchange)
            exchange.time_left()
            if not exchange.written and answer.status < HTTPStatus.MULTIPLE_CHOICES:
                raise ConnectionError("a success before the request was sent")
        except LeaseOverError:
            return Unsent("the lease was over before the request was sent completely")
        except (OSError, h11.RemoteProtocolError) as error:
            if clock.now() >= exchange.deadline:
                detail = f"the deadline passed while {exchange.doing}"
                return TimedOut(detail, ambiguous=exchange.written)
            return Broken(f"{exchange.doing}: {text_of(error)}", ambiguous=exchange.written)
        return answer if answer.status in _SUCCESSES else _without_secrets(answer)

    def close(self) -> None:
        """Close the idle connections; one in use belongs to the thread that uses it."""
        self._connections.close()

    def _bytes_of(
        self, method: bytes, path: bytes, body: bytes | None, authorization: bytes | None
    ) -> bytes:
        head = [b"%b %b%b HTTP/1.1" % (method, self._target, path), self._headers]
        if authorization is not None:
            head.append(b"Authorization: " + authorization)
        if body is not None:
            head += [b"Content-Type: application/json", b"Content-Length: %d" % len(body)]
        return b"\r\n".join((*head, b"", body or b""))

    def _ask(self, request: bytes, exchange: Exchange) -> Answered:
        """Ask on an idle connection; if it turns out to be none any more, on another."""
        while True:
            connection = self._connections.take(exchange)
            try:
                answer = connection.ask(request)
            except StaleError:
                connection.wire.close()
            except BaseException:
                connection.wire.close()
                raise
            else:
                self._connections.give_back(connection)
                return answer

    def _open(self, exchange: Exchange) -> Connection:
        wire = self._network.connect(self._host, self._port, exchange)
        if self._trust is not None:
            wire.start_tls(self._trust, self._host)
        return Connection(wire, self._most_bytes)


def _without_secrets(answer: Answered) -> Answered:
    """Return what isn't a success as it may be quoted: a server may repeat what it was sent."""
    location = None if answer.location is None else masked(answer.location)
    return replace(answer, body=masked_bytes(answer.body), location=location)


def _base(url: str) -> httpx.URL:
    """Return the base URL, without credentials: those have settings of their own."""
    try:
        base = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"the API's URL is none: {error}") from None
    if base.scheme not in {"http", "https"} or not base.host:
        raise ValueError("the API is at an http:// or https:// URL")
    return base.copy_with(username="", password="")


def _trust(ssl_cert_file: str | None, certificate: tuple[str, str | None] | None) -> ssl.SSLContext:
    trusted = ssl.create_default_context(cafile=ssl_cert_file)
    trusted.set_alpn_protocols(["http/1.1"])
    if ssl_cert_file is None:  # images without ca-certificates exist
        trusted.load_verify_locations(certifi.where())
    if certificate is not None:
        trusted.load_cert_chain(*certificate, password="")  # else OpenSSL asks on the terminal
    return trusted
