"""How a connection to the API is opened: directly, or by way of a proxy."""

import base64
import math
import re
import socket
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from consumer.customerio.race import Address, Race, in_turns
from consumer.customerio.wire import HEAD_END, Exchange, Wire

_MAX_TUNNEL_BYTES = 64 * 1024
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


class Network:
    """Connects, directly or by way of ``proxy``: through its tunnel if ``tunnels``, else to it.

    ``timeout_seconds`` bounds what the kernel still sends.
    """

    def __init__(self, proxy: Proxy | None, *, tunnels: bool, timeout_seconds: float) -> None:
        self._proxy = proxy
        self._tunnels = tunnels
        self._patience = math.ceil(timeout_seconds * 1000)
        self._answered: Address | None = None

    def connect(self, host: str, port: int, exchange: Exchange) -> Wire:
        """Open a connection. Raises OSError: nothing of a request can have reached the API."""
        if self._proxy is None:
            exchange.doing = f"connecting to {host}:{port}"
            return self._dial(host, port, exchange)
        proxy = self._proxy
        exchange.doing = f"connecting to the proxy {proxy.host}:{proxy.port}"
        wire = self._dial(proxy.host, proxy.port, exchange)
        if self._tunnels:
            try:
                exchange.doing = f"asking the proxy {proxy.host}:{proxy.port} for a tunnel"
                _open_tunnel(wire, host, port, proxy.headers)
            except BaseException:
                wire.close()
                raise
        return wire

    def _dial(self, host: str, port: int, exchange: Exchange) -> Wire:
        """Connect to whichever address answers; the one that did last is tried first."""
        found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
        addresses = in_turns([(family, address) for family, _, _, _, address in found])
        addresses.sort(key=lambda each: each != self._answered)
        connected, self._answered = Race(addresses, exchange, self._prepare).run()
        return Wire(connected, exchange)

    def _prepare(self, connecting: socket.socket) -> None:
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # not on macOS
            connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self._patience)


def _open_tunnel(wire: Wire, host: str, port: int, headers: list[tuple[bytes, bytes]]) -> None:
    """Have the proxy connect to the API. Raises OSError."""
    target = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}").encode("ascii")
    lines = [b"CONNECT %b HTTP/1.1" % target, b"Host: " + target]
    lines += [b": ".join(header) for header in headers]
    wire.send(b"\r\n".join(lines) + HEAD_END)
    answer = b""
    while HEAD_END not in answer:
        part = wire.receive()
        answer += part
        if not part or len(answer) > _MAX_TUNNEL_BYTES:
            raise ConnectionError("it gave no HTTP answer, see HTTPS_PROXY")
    status = re.match(rb"HTTP/1\.[01] (\d{3})\b", answer)
    if status is None:
        raise ConnectionError("it gave no HTTP answer, see HTTPS_PROXY")
    if not status[1].startswith(b"2"):
        raise ConnectionError(f"it refused with {_named(int(status[1]))}, see HTTPS_PROXY")


def _named(status: int) -> str:
    """Return a status with its usual name: the proxy's own words may quote what it was sent."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def basic(name: str, password: str) -> bytes:
    """Return the value of a header for Basic authentication (RFC 7617), in UTF-8."""
    return b"Basic " + base64.b64encode(f"{name}:{password}".encode())
