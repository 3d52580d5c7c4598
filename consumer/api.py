"""One request to the Track API, and what came of it.

h11 speaks HTTP, the sockets are ours, because two promises can only be kept where the socket is:

- *One deadline for a whole request.* An answer that drips outlives the timeouts that HTTP clients
  have, which are per operation. Here every wait ends with the request's time. Name resolution can't
  be interrupted; what comes back from it late has timed out like everything else.
- *Not one byte at or after the end of the lease.* The clock is looked at between the wait for the
  socket and the write. The API never applies half a request, so one that was stopped is Unsent.

What was given up must not arrive later either. Its connection is reset, so that the kernel drops
what it could not send yet; ``TCP_USER_TIMEOUT`` does the same if this process is dead or frozen.
"""

import base64
import contextlib
import math
import re
import select
import socket
import ssl
import struct
import time
from collections import deque
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, unquote, urlsplit

import certifi
import h11
import msgspec

from consumer import clock
from consumer.outcomes import Answer, Answered, Broken, Delivered, TimedOut, Unsent, outcome_of

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_MAX_BODY_BYTES = 64 * 1024
_CUT_MARK = "…".encode()  # ends a body that was cut: no JSON ends so, it passes for no success
_KEEPALIVE_SECONDS = 4.0  # connections that idle get reset
_READ_BYTES = 16 * 1024
_WRITE_BYTES = 16 * 1024  # one TLS record: no more is written between two looks at the clock
_MAX_HEAD_BYTES = 64 * 1024
_HEAD_END = b"\r\n\r\n"
_PORTS = {"http": 80, "https": 443}
_DROP_UNSENT = struct.pack("ii", 1, 0)


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
    lease_end: float = math.inf


class Api:
    """The API at one URL, for all threads at once.

    ``post`` and ``region`` raise nothing for what network and server do. A connection is opened
    whenever none is idle, and ``max_connections`` stay open for the next request: the caller limits
    how many requests there are, and one stuck in name resolution must not take another's place.
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

        ``proxy_url`` is an ``http://`` one; it is asked for a tunnel if ``url`` is ``https://``.
        ``ssl_cert_file`` has the authorities to trust instead of the usual ones. Raises ValueError
        for an unusable URL, OSError for an unusable file.
        """
        self._timeout_seconds = timeout_seconds
        self._max_idle = max_connections
        self._idle: deque[_Connection] = deque()
        self._route = _Route.to(url, proxy_url, ssl_cert_file, timeout_seconds)
        self._headers = [
            (b"Host", self._route.authority.encode("ascii")),
            (b"User-Agent", user_agent.encode()),
            (b"Accept", b"application/json"),
            (b"Accept-Encoding", b"identity"),
            *self._route.headers,
        ]
        self._login = _Login(_basic(*credentials))

    def post(self, request: Request) -> Answer:
        """Send one batch. What a 403 or 404 means is asked of ``region``, in a time of its own."""
        login = self._login
        path = (
            f"/api/v1/segments/{request.segment_id}/{request.action}_customers"
            f"?id_type={request.id_type}"
        )
        body = msgspec.json.encode({"ids": request.ids})
        attempt = _Attempt(request.deadline, request.lease_end)
        answer = self._exchange("POST", path, body, login, attempt)
        match answer:
            case Answered(HTTPStatus.FORBIDDEN):
                return replace(answer, vouched=self._accepts(login))
            case Answered(HTTPStatus.NOT_FOUND):
                return replace(answer, vouched=login.vouched or self._accepts(login))
            case Answered() if not login.vouched and isinstance(outcome_of(answer), Delivered):
                login.vouched = True
        return answer

    def region(self) -> Answer:
        """Ask whether the credentials are right here: 200 and a JSON object if they are."""
        return self._region(self._login)

    def reload_credentials(self, credentials: tuple[str, str]) -> bool:
        """Use these from the next request on; return whether they are others than before.

        With others nothing was delivered yet: a 404 vouches for nothing until something was.
        """
        authorization = _basic(*credentials)
        if authorization == self._login.authorization:
            return False
        self._login = _Login(authorization)
        return True

    def close(self) -> None:
        """Close the idle connections now and those in use after their request."""
        self._max_idle = 0
        while (connection := self._idle_connection()) is not None:
            connection.close()

    def _region(self, login: "_Login") -> Answer:
        attempt = _Attempt(clock.now() + self._timeout_seconds, math.inf)
        return self._exchange("GET", "/api/v1/accounts/region", b"", login, attempt)

    def _accepts(self, login: "_Login") -> bool:
        match self._region(login):
            case Answered(HTTPStatus.OK, body) if _is_object(body):
                login.vouched = True
                return True
        return False

    def _exchange(
        self, method: str, path: str, body: bytes, login: "_Login", attempt: "_Attempt"
    ) -> Answer:
        headers = [*self._headers, (b"Authorization", login.authorization)]
        if body:
            headers.append((b"Content-Type", b"application/json"))
            headers.append((b"Content-Length", b"%d" % len(body)))
        head = h11.Request(method=method, target=self._route.prefix + path, headers=headers)
        connection = None
        try:
            connection = self._idle_connection() or self._route.connect(attempt)
            answer = connection.exchange(head, body, attempt)
            attempt.time_left()
        except _LeaseOverError:
            return Unsent("the lease was over before the request was sent completely")
        except (OSError, h11.RemoteProtocolError) as error:
            if clock.now() >= attempt.deadline:
                return TimedOut(f"the deadline passed while {attempt.doing}")
            return Broken(f"{attempt.doing}: {_text(error)}", ambiguous=attempt.written)
        else:
            return answer
        finally:
            if connection is not None:
                self._release(connection)

    def _idle_connection(self) -> "_Connection | None":
        """Take the connection that idles the shortest, if it can still be used."""
        with contextlib.suppress(IndexError):
            while not (connection := self._idle.pop()).usable():
                connection.close()
            return connection
        return None

    def _release(self, connection: "_Connection") -> None:
        """Keep the connection for the next request, or close it; and close what idles too long."""
        if connection.reusable():
            self._idle.append(connection)
        else:
            connection.close()
        with contextlib.suppress(IndexError):
            oldest = self._idle.popleft()
            if oldest.usable():
                self._idle.appendleft(oldest)
            else:
                oldest.close()
            while len(self._idle) > self._max_idle:
                self._idle.popleft().close()


class _LeaseOverError(Exception):
    """The lease is over: what was not written yet never is."""


@dataclass(slots=True)
class _Login:
    """One pair of credentials. ``vouched``: the API accepted something with them."""

    authorization: bytes
    vouched: bool = False


@dataclass(slots=True)
class _Attempt:
    """The limits of one request, and how far it came."""

    deadline: float
    lease_end: float
    doing: str = "connecting"
    written: bool = False

    def time_left(self) -> float:
        """Return the seconds left, or raise TimeoutError."""
        left = self.deadline - clock.now()
        if left <= 0:
            raise TimeoutError
        return left

    def time_left_to_write(self) -> float:
        """Return the seconds left for writing, or raise TimeoutError or _LeaseOverError."""
        left = self.lease_end - clock.now()
        if left <= 0:
            raise _LeaseOverError
        return min(left, self.time_left())


@dataclass(frozen=True, slots=True)
class _Proxy:
    host: str
    port: int
    headers: list[tuple[bytes, bytes]]

    @classmethod
    def at(cls, url: str) -> "_Proxy":
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError("a proxy is an http:// URL")
        headers = []
        if parts.username is not None:
            authorization = _basic(unquote(parts.username), unquote(parts.password or ""))
            headers.append((b"Proxy-Authorization", authorization))
        host = parts.hostname.encode("idna").decode("ascii")
        return cls(host, parts.port or _PORTS["http"], headers)


@dataclass(frozen=True, slots=True)
class _Route:
    """The way to the API: directly, through a proxy's tunnel (https) or by its hands (http).

    ``prefix`` is what stands before the API's own paths in a request's target.
    """

    host: str
    port: int
    authority: str
    prefix: str
    trusted: ssl.SSLContext | None
    proxy: _Proxy | None
    timeout_seconds: float

    @classmethod
    def to(
        cls, url: str, proxy_url: str | None, ssl_cert_file: str | None, timeout_seconds: float
    ) -> "_Route":
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("the API is at an http:// or https:// URL")
        host = parts.hostname.encode("idna").decode("ascii")
        authority = _authority(host, parts.port)
        secure = parts.scheme == "https"
        proxy = None if proxy_url is None else _Proxy.at(proxy_url)
        forwarded = f"http://{authority}" if proxy is not None and not secure else ""
        return cls(
            host=host,
            port=parts.port or _PORTS[parts.scheme],
            authority=authority,
            prefix=forwarded + quote(parts.path.rstrip("/"), safe="/%"),
            trusted=_trust(ssl_cert_file) if secure else None,
            proxy=proxy,
            timeout_seconds=timeout_seconds,
        )

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """What a proxy without a tunnel wants to see in every request."""
        return [] if self.proxy is None or self.trusted is not None else self.proxy.headers

    def connect(self, attempt: _Attempt) -> "_Connection":
        """Open a connection. Raises OSError: nothing of a request can have reached the API."""
        via = self if self.proxy is None else self.proxy
        wire = self._dial(via.host, via.port, attempt)
        try:
            if self.trusted is not None:
                if self.proxy is not None:
                    wire.open_tunnel(self.host, self.port, self.proxy.headers, attempt)
                wire.secure(self.trusted, self.host, attempt)
        except BaseException:
            wire.close()
            raise
        return _Connection(wire)

    def _dial(self, host: str, port: int, attempt: _Attempt) -> "_Wire":
        """Try one address after the other, each with its share of the time."""
        attempt.doing = f"connecting to {host}:{port}"
        failure = OSError("the name has no address")
        addresses = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
        for index, (family, kind, protocol, _, address) in enumerate(addresses):
            share = attempt.time_left() / (len(addresses) - index)
            connected = socket.socket(family, kind, protocol)
            try:
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if hasattr(socket, "TCP_USER_TIMEOUT"):  # not on macOS
                    patience = math.ceil(self.timeout_seconds * 1000)
                    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience)
                connected.settimeout(share)
                connected.connect(address)
            except OSError as error:
                connected.close()
                failure = error
            else:
                return _Wire(connected)
        raise failure


class _Connection:
    """HTTP/1.1 on one wire, one request at a time."""

    def __init__(self, wire: "_Wire") -> None:
        self._wire = wire
        self._http = h11.Connection(h11.CLIENT, _MAX_HEAD_BYTES)
        self._idle_since = 0.0

    def exchange(self, head: h11.Request, body: bytes, attempt: _Attempt) -> Answered:
        """Send a request and read its answer. Raises OSError and RemoteProtocolError."""
        attempt.doing = "sending"
        attempt.written = True
        events = (head, h11.Data(body), h11.EndOfMessage())
        message = b"".join(self._http.send(event) or b"" for event in events)
        try:
            self._wire.send(message, attempt)
        except TimeoutError:
            raise
        except OSError:  # there may be an answer nevertheless, a 413 for one
            self._http.send_failed()
        attempt.doing = "awaiting the answer"
        return self._answer(attempt)

    def reusable(self) -> bool:
        """Make ready for the next request, or return False where none can follow."""
        http = self._http
        if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
            return False
        if http.trailing_data[0]:  # else it would be taken for the next request's answer
            return False
        http.start_next_cycle()
        self._idle_since = time.monotonic()
        return True

    def usable(self) -> bool:
        """Whether this idle connection is fresh, and the server said nothing more, not even bye."""
        fresh = time.monotonic() - self._idle_since < _KEEPALIVE_SECONDS
        return fresh and not self._wire.readable()

    def close(self) -> None:
        self._wire.close()

    def _answer(self, attempt: _Attempt) -> Answered:
        """Read the answer, and of its body no more than anybody needs."""
        while not isinstance(head := self._next_event(attempt), h11.Response):
            pass  # 100 Continue and its like
        body = bytearray()
        while isinstance(event := self._next_event(attempt), h11.Data):
            body += event.data
            if len(body) > _MAX_BODY_BYTES:
                body[_MAX_BODY_BYTES:] = _CUT_MARK
                break
        headers = {name: value.decode("latin-1") for name, value in reversed(list(head.headers))}
        wait = headers.get(b"retry-after")
        return Answered(
            status=head.status_code,
            body=bytes(body),
            retry_after_seconds=None if wait is None else retry_after_seconds(wait, time.time()),
            location=headers.get(b"location"),
        )

    def _next_event(self, attempt: _Attempt) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            data = self._wire.receive(attempt)
            if not data and self._http.their_state is h11.SEND_RESPONSE:
                raise ConnectionError("the connection was closed")
            self._http.receive_data(data)
        return event


class _Wire:
    """A socket whose every wait ends with the limits of the attempt that waits."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._given_up = False

    def secure(self, trusted: ssl.SSLContext, host: str, attempt: _Attempt) -> None:
        """Shake hands."""
        attempt.doing = f"shaking hands with {host}"
        secured = trusted.wrap_socket(
            self._socket,
            server_hostname=host,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,  # else an answer that was cut could pass for a whole one
        )
        self._socket = secured
        self._complete(secured.do_handshake, select.POLLIN, attempt.time_left)

    def open_tunnel(
        self, host: str, port: int, headers: list[tuple[bytes, bytes]], attempt: _Attempt
    ) -> None:
        """Have the proxy connect to the API."""
        attempt.doing = "asking the proxy for a tunnel"
        authority = _authority(host, port).encode("ascii")
        lines = [b"CONNECT %b HTTP/1.1" % authority, b"Host: " + authority]
        lines += [b": ".join(header) for header in headers]
        self.send(b"\r\n".join(lines) + _HEAD_END, attempt)
        answer = b""
        while _HEAD_END not in answer:
            part = self.receive(attempt)
            answer += part
            if not part or len(answer) > _MAX_HEAD_BYTES:
                raise ConnectionError("no HTTP answer")
        status = re.match(rb"HTTP/1\.[01] (\d{3})\b", answer)
        if status is None:
            raise ConnectionError("no HTTP answer")
        if not status[1].startswith(b"2"):
            raise ConnectionError(f"it answered {status[1].decode()}")

    def send(self, data: bytes, attempt: _Attempt) -> None:
        rest = memoryview(data)
        while rest:
            send = partial(self._socket.send, rest[:_WRITE_BYTES])
            sent = self._complete(send, select.POLLOUT, attempt.time_left_to_write)
            rest = rest[sent:]

    def receive(self, attempt: _Attempt) -> bytes:
        receive = partial(self._socket.recv, _READ_BYTES)
        return self._complete(receive, select.POLLIN, attempt.time_left)

    def readable(self) -> bool:
        return self._wait(select.POLLIN, 0)

    def close(self) -> None:
        if self._given_up:
            with contextlib.suppress(OSError):  # broken already
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP_UNSENT)
        self._socket.close()

    def _complete(
        self, operation: "Callable[[], T]", event: int, time_left: "Callable[[], float]"
    ) -> T:
        """Try ``operation`` until it need not wait, looking at the clock right before each try."""
        while True:
            try:
                left = time_left()
            except (TimeoutError, _LeaseOverError):
                self._given_up = True
                raise
            try:
                return operation()
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN, left)
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT, left)
            except BlockingIOError:
                self._wait(event, left)

    def _wait(self, event: int, seconds: float) -> bool:
        waiting = select.poll()
        waiting.register(self._socket, event)
        return bool(waiting.poll(seconds * 1000))


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


def _authority(host: str, port: int | None) -> str:
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed if port is None else f"{bracketed}:{port}"


def _basic(name: str, password: str) -> bytes:
    return b"Basic " + base64.b64encode(f"{name}:{password}".encode())


def _trust(ssl_cert_file: str | None) -> ssl.SSLContext:
    trusted = ssl.create_default_context(cafile=ssl_cert_file)
    if ssl_cert_file is None:  # images without ca-certificates exist
        trusted.load_verify_locations(certifi.where())
    trusted.set_alpn_protocols(["http/1.1"])
    return trusted


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(body), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _text(error: Exception) -> str:
    """Return what went wrong without what the server sent: h11 quotes that behind a colon."""
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return str(error).partition(":")[0]
