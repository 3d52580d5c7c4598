"""How a connection to the API is opened: directly, or by way of a proxy."""

import base64
import math
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import httpcore

from consumer.customerio.wire import HEAD_END, Exchange, Running, Wire

_MAX_TUNNEL_BYTES = 64 * 1024
_READ_BYTES = 16 * 1024
_HTTP_PORT = 80


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


class Network(httpcore.NetworkBackend):
    """Connects, directly or by way of ``proxy``: through its tunnel if ``tunnels``, else to it.

    A thread tells `begin` what limits its next request has; all of a request's I/O is done in the
    thread that asked for it. ``timeout_seconds`` bounds what the kernel still sends.
    """

    def __init__(self, proxy: Proxy | None, *, tunnels: bool, timeout_seconds: float) -> None:
        self._proxy = proxy
        self._tunnels = tunnels
        self._timeout_seconds = timeout_seconds
        self._running = Running()

    def begin(self, exchange: Exchange) -> None:
        """Set the limits for what this thread does next."""
        self._running.exchange = exchange

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the exchange has the limits
        local_address: str | None = None,  # noqa: ARG002 - not used by us
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002 - not used by us
    ) -> Wire:
        """Open a connection. Raises OSError: nothing of a request can have reached the API."""
        if self._proxy is None:
            return self._dial(host, port)
        wire = self._dial(self._proxy.host, self._proxy.port)
        if self._tunnels:
            try:
                self._running.exchange.doing = "asking the proxy for a tunnel"
                _open_tunnel(wire, host, port, self._proxy.headers)
            except BaseException:
                wire.close()
                raise
        return wire

    def _dial(self, host: str, port: int) -> Wire:
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


def _open_tunnel(wire: Wire, host: str, port: int, headers: list[tuple[bytes, bytes]]) -> None:
    """Have the proxy connect to the API. Raises OSError."""
    target = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}").encode("ascii")
    lines = [b"CONNECT %b HTTP/1.1" % target, b"Host: " + target]
    lines += [b": ".join(header) for header in headers]
    wire.send(b"\r\n".join(lines) + HEAD_END)
    answer = b""
    while HEAD_END not in answer:
        part = wire.receive(_READ_BYTES)
        answer += part
        if not part or len(answer) > _MAX_TUNNEL_BYTES:
            raise ConnectionError("no HTTP answer")
    status = re.match(rb"HTTP/1\.[01] (\d{3})\b", answer)
    if status is None:
        raise ConnectionError("no HTTP answer")
    if not status[1].startswith(b"2"):
        raise ConnectionError(f"it answered {status[1].decode()}")


def basic(name: str, password: str) -> bytes:
    """Return the value of a header for Basic authentication (RFC 7617), in UTF-8."""
    return b"Basic " + base64.b64encode(f"{name}:{password}".encode())
