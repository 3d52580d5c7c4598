"""The HTTP server: GET and HEAD, answered in threads, without letting a client hurt the daemon.

A request has a few seconds and a few kilobytes to arrive and its answer a few seconds to be taken,
and when all connections are taken the oldest one makes room, so that a probe gets through whoever
else holds connections open.
"""

import io
import re
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Lock, Thread
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote

from consumer import clock
from consumer.observability import logs
from consumer.observability.log_format import kind_of

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    _Request = socket.socket | tuple[bytes, socket.socket]  # the latter is UDP's

MAX_CONNECTIONS = 32
MAX_REQUEST_BYTES = 16 * 1024
PATIENCE_SECONDS = 5.0
"""How long a request may take to arrive, a connection to stay idle, an answer to be taken."""

_TEXT = "text/plain; charset=utf-8"

_BREATH_SECONDS = 0.005
_POLL_SECONDS = 0.1  # how soon stop() is seen


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said to a request."""

    body: str | bytes
    status: HTTPStatus = HTTPStatus.OK
    content_type: str = _TEXT
    headers: Mapping[str, str] = field(default_factory=dict)


def path_of(target: str) -> str:
    """Return the path that a request's target means, decoded: its origin or absolute form.

    A proxy is asked with the whole URL (RFC 9112, 3.2.2), and whoever asks us so means us.
    """
    scheme, found, rest = target.partition("://")
    if found and scheme.lower() in ("http", "https"):
        _, slash, path = re.split("[?#]", rest, maxsplit=1)[0].partition("/")
        target = slash + path or "/"
    path = unquote(re.split("[?#]", target, maxsplit=1)[0])
    return re.sub("^/+", "/", path)


class HttpServer:
    """Serves on daemon threads what ``answer`` says to a path and an ``Accept`` header."""

    def __init__(self, host: str, port: int, answer: Callable[[str, str], Answer]) -> None:
        self._host = host
        self._port = port
        self._answer = answer
        self._server: _Server | None = None

    def start(self) -> str:
        """Listen, and return the address as ``host:port``; OSError if that can't be."""
        try:
            self._server = _Server(self._host, self._port, self._answer)
        except OSError as error:
            wanted = _address(self._host, self._port)
            raise OSError(
                error.errno, f"can't listen on {wanted} (HTTP_HOST, HTTP_PORT): {error.strerror}"
            ) from error
        Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="http", daemon=True
        ).start()
        return _address(*self._server.socket.getsockname()[:2])

    def stop(self) -> None:
        """Stop listening and end the connections; does nothing if it isn't running."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.end_connections(leave=0)
            self._server = None


class _Server(ThreadingHTTPServer):
    """A thread a connection, and no more than ``MAX_CONNECTIONS`` of them.

    The lock is there because the accepting thread ends connections that their own threads may be
    closing: without it, it could hit a descriptor that is another socket by then.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    allow_reuse_port = False

    def __init__(self, host: str, port: int, answer: Callable[[str, str], Answer]) -> None:
        self.answer = answer
        self._connections: dict[socket.socket, None] = {}  # in the order of their coming
        self._lock = Lock()
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        self.address_family, *_, address = found[0]
        super().__init__((str(address[0]), port), _Connection)

    def server_bind(self) -> None:
        """Bind, on ``::`` for IPv4 too; the base class would ask DNS for our name, for seconds."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)

    def get_request(self) -> tuple[socket.socket, object]:
        """Accept; without free descriptors that fails at once, and must not become a spin."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(20 * _BREATH_SECONDS)
            raise

    def process_request(self, request: "_Request", client_address: object) -> None:
        """Start the connection's thread, once there is room; a flood comes at a bounded rate."""
        if len(self._connections) >= MAX_CONNECTIONS:
            self.end_connections(leave=MAX_CONNECTIONS - 1)
            time.sleep(_BREATH_SECONDS)
        with self._lock:
            self._connections[cast("socket.socket", request)] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: "_Request") -> None:
        """Close a connection, in its own thread."""
        with self._lock:
            self._connections.pop(cast("socket.socket", request), None)
            super().shutdown_request(request)

    def end_connections(self, leave: int) -> None:
        """End the oldest connections until ``leave`` are left; their threads then close them."""
        with self._lock:
            for connection in list(self._connections)[: len(self._connections) - leave]:
                del self._connections[connection]
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: "_Request", client_address: object) -> None:  # noqa: ARG002 - the base's
        """Say nothing of a client that went away; an error of ours is told, and serving goes on."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError | ValueError | HTTPException):
            text = f"{kind_of(error)} while answering HTTP"
            logs.log("uncaught", text, level="error", exc_info=error)


class _Connection(BaseHTTPRequestHandler):
    """One connection: its requests one after the other, each within its bounds."""

    server: _Server
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # with 0.9 a refusal would have no status
    server_version = "segment-consumer"
    sys_version = ""
    error_message_format = "%(message)s\n"
    error_content_type = _TEXT
    disable_nagle_algorithm = True  # headers and body are two writes

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._bounds = _Bounded(self.connection)
        self.rfile = io.BufferedReader(self._bounds)

    def handle_one_request(self) -> None:
        self._bounds.renew()
        try:
            super().handle_one_request()
        except HTTPException:  # the request line alone was too long: nothing to answer to
            self.close_connection = True

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body that nobody reads is not the next request
        if self.command in ("GET", "HEAD"):
            return True
        self._send(
            Answer(
                "GET and HEAD only\n", HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET, HEAD"}
            )
        )
        return False

    def do_GET(self) -> None:
        self._send(self.server.answer(self.path, ",".join(self.headers.get_all("Accept", []))))

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

    def _send(self, answer: Answer) -> None:
        body = answer.body.encode() if isinstance(answer.body, str) else answer.body
        self.connection.settimeout(PATIENCE_SECONDS)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Log nothing: probes and scrapes come every few seconds."""


class _Bounded(io.RawIOBase):
    """A connection's bytes: so many a request, and none after its time.

    A socket's own timeout begins anew with every byte, so that a drip would hold a thread for ever.
    """

    def __init__(self, connection: socket.socket) -> None:
        super().__init__()
        self._connection = connection
        self.renew()

    def renew(self) -> None:
        """Begin the bounds of the next request."""
        self._deadline = clock.now() + PATIENCE_SECONDS
        self._bytes_left = MAX_REQUEST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        if self._bytes_left <= 0:
            raise HTTPException("too many bytes")
        self._connection.settimeout(max(0.001, self._deadline - clock.now()))
        count = self._connection.recv_into(buffer)
        self._bytes_left -= count
        return count


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
