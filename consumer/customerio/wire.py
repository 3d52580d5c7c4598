"""The sockets below the HTTP library: where a request's deadline and its lease are kept.

Two promises can only be kept where the socket is, so this is httpcore's network backend:

- *One deadline for a whole request.* An answer that drips outlives the timeouts that HTTP clients
  have, which are per operation. Here every wait ends with the request's time. Name resolution can't
  be interrupted; what comes back from it late has timed out like everything else.
- *Not one byte at or after the end of the lease.* The clock is looked at between the wait for the
  socket and the write. The API never applies half a request, so one that was stopped is unsent.

What was given up must not arrive later either. Its connection is reset, so that the kernel drops
what it could not send yet; ``TCP_USER_TIMEOUT`` does the same if this process is dead or frozen.

A thread tells `Network.begin` what limits its next request has; all of a request's I/O is done in
the thread that asked for it.
"""

import base64
import contextlib
import math
import re
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import httpcore

from consumer import clock

T = TypeVar("T")

_WRITE_BYTES = 16 * 1024  # one TLS record: no more is written between two looks at the clock
_MAX_TUNNEL_BYTES = 64 * 1024
_READ_BYTES = 16 * 1024
_HEAD_END = b"\r\n\r\n"
_DROP_UNSENT = struct.pack("ii", 1, 0)
_HTTP_PORT = 80


class LeaseOverError(Exception):
    """The lease is over: what was not written yet never is."""


@dataclass(slots=True)
class Exchange:
    """The limits of one request in ``clock.now()`` seconds, and how far it came.

    ``written``: bytes of the request itself may have left, so it may be applied.
    """

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
        """Return the seconds left for writing, or raise TimeoutError or LeaseOverError."""
        left = self.lease_end - clock.now()
        if left <= 0:
            raise LeaseOverError
        return min(left, self.time_left())


@dataclass(frozen=True, slots=True)
class Proxy:
    """An ``http://`` proxy; ``headers`` are what it wants to know of us."""

    host: str
    port: int
    headers: list[tuple[bytes, bytes]]

    @classmethod
    def at(cls, url: str) -> "Proxy":
        """Return the proxy of a URL. Raises ValueError."""
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError("a proxy is an http:// URL")
        headers = []
        if parts.username is not None:
            credentials = basic(unquote(parts.username), unquote(parts.password or ""))
            headers.append((b"Proxy-Authorization", credentials))
        host = parts.hostname.encode("idna").decode("ascii")
        return cls(host, parts.port or _HTTP_PORT, headers)


class _Running(threading.local):
    """What each thread is at."""

    exchange = Exchange(-math.inf, -math.inf)


class Network(httpcore.NetworkBackend):
    """Connects, directly or by way of ``proxy``: through its tunnel if ``tunnels``, else to it.

    ``timeout_seconds`` bounds what the kernel still sends.
    """

    def __init__(self, proxy: Proxy | None, *, tunnels: bool, timeout_seconds: float) -> None:
        self._proxy = proxy
        self._tunnels = tunnels
        self._timeout_seconds = timeout_seconds
        self._running = _Running()

    def begin(self, exchange: Exchange) -> None:
        """Set the limits for what this thread does next."""
        self._running.exchange = exchange

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the exchange has the limits
        local_address: str | None = None,  # noqa: ARG002 - not used by us
        socket_options: "Iterable[httpcore.SOCKET_OPTION] | None" = None,  # noqa: ARG002 - not used by us
    ) -> "Wire":
        """Open a connection. Raises OSError: nothing of a request can have reached the API."""
        if self._proxy is None:
            return self._dial(host, port)
        wire = self._dial(self._proxy.host, self._proxy.port)
        if self._tunnels:
            try:
                wire.open_tunnel(host, port, self._proxy.headers)
            except BaseException:
                wire.close()
                raise
        return wire

    def _dial(self, host: str, port: int) -> "Wire":
        """Try one address after the other, each with its share of the time."""
        exchange = self._running.exchange
        exchange.doing = f"connecting to {host}:{port}"
        failure = OSError("the name has no address")
        addresses = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
        for index, (family, kind, protocol, _, address) in enumerate(addresses):
            share = exchange.time_left() / (len(addresses) - index)
            connected = socket.socket(family, kind, protocol)
            try:
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if hasattr(socket, "TCP_USER_TIMEOUT"):  # not on macOS
                    patience = math.ceil(self._timeout_seconds * 1000)
                    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience)
                connected.settimeout(share)
                connected.connect(address)
            except OSError as error:
                connected.close()
                failure = error
            else:
                return Wire(connected, self._running)
        raise failure


class Wire(httpcore.NetworkStream):
    """A socket whose every wait ends with the limits of the exchange that waits."""

    def __init__(self, connected: socket.socket, running: _Running) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._running = running
        self._received = bytearray()  # since the last write: one answer
        self._is_broken = False
        self._is_used_up = False

    def open_tunnel(self, host: str, port: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Have the proxy connect to the API. Raises OSError."""
        self._running.exchange.doing = "asking the proxy for a tunnel"
        target = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}").encode("ascii")
        lines = [b"CONNECT %b HTTP/1.1" % target, b"Host: " + target]
        lines += [b": ".join(header) for header in headers]
        self._send(b"\r\n".join(lines) + _HEAD_END)
        answer = b""
        while _HEAD_END not in answer:
            part = self._receive(_READ_BYTES)
            answer += part
            if not part or len(answer) > _MAX_TUNNEL_BYTES:
                raise ConnectionError("no HTTP answer")
        status = re.match(rb"HTTP/1\.[01] (\d{3})\b", answer)
        if status is None:
            raise ConnectionError("no HTTP answer")
        if not status[1].startswith(b"2"):
            raise ConnectionError(f"it answered {status[1].decode()}")

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the exchange has the limits
    ) -> "Wire":
        """Shake hands. Raises OSError."""
        exchange = self._running.exchange
        exchange.doing = f"shaking hands with {server_hostname}"
        try:
            self._socket = secured = ssl_context.wrap_socket(
                self._socket,
                server_hostname=server_hostname,
                do_handshake_on_connect=False,
                suppress_ragged_eofs=False,  # else a cut answer could pass for a whole one
            )
            self._complete(secured.do_handshake, select.POLLIN, exchange.time_left)
        except BaseException:
            self.close()
            raise
        return self

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - the exchange has the limits
        """Send. Raises LeaseOverError, TimeoutError; WriteError: an answer may follow, like 413."""
        exchange = self._running.exchange
        exchange.doing = "sending"
        exchange.written = True
        self._received.clear()
        try:
            self._send(buffer)
        except TimeoutError:
            raise
        except OSError as error:
            raise httpcore.WriteError from error

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the exchange has the limits
        """Receive. Raises OSError."""
        self._running.exchange.doing = "awaiting the answer"
        data = self._receive(max_bytes)
        self._received += data
        return data

    def end_answer(self, body_bytes: int, *, is_chunked: bool) -> None:
        """Use the connection up unless what came since the request ends where its answer ends.

        What the server says unasked would be taken for the next request's answer.
        """
        rest = self._received.partition(_HEAD_END)[2]
        whole = (
            (b"\r\n" + rest).endswith(b"\r\n0\r\n\r\n") if is_chunked else len(rest) == body_bytes
        )
        self._is_used_up = not whole

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's interface
        """Answer what is asked before a connection is used again."""
        if info == "is_readable":
            return self._is_used_up or self._socket.fileno() < 0 or self._wait(select.POLLIN, 0)
        return self._socket if info == "ssl_object" and self._is_secured() else None

    def close(self) -> None:
        """Close; with a reset if something was given up."""
        if self._is_broken:
            with contextlib.suppress(OSError):  # closed or broken already
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP_UNSENT)
        self._socket.close()

    def _is_secured(self) -> bool:
        return isinstance(self._socket, ssl.SSLSocket)

    def _send(self, data: bytes) -> None:
        left_to_write = self._running.exchange.time_left_to_write
        rest = memoryview(data)
        while rest:
            send = partial(self._socket.send, rest[:_WRITE_BYTES])
            rest = rest[self._complete(send, select.POLLOUT, left_to_write) :]

    def _receive(self, max_bytes: int) -> bytes:
        receive = partial(self._socket.recv, max_bytes)
        return self._complete(receive, select.POLLIN, self._running.exchange.time_left)

    def _complete(
        self, operation: Callable[[], T], event: int, time_left: Callable[[], float]
    ) -> T:
        """Try ``operation`` until it need not wait, looking at the clock right before each try."""
        while True:
            try:
                left = time_left()
            except (TimeoutError, LeaseOverError):
                self._is_broken = True
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


def basic(name: str, password: str) -> bytes:
    """Return the value of a header for Basic authentication (RFC 7617), in UTF-8."""
    return b"Basic " + base64.b64encode(f"{name}:{password}".encode())
