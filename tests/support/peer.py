"""A server of a few lines, and requests to it: for what a real one would never do."""

import contextlib
import itertools
import math
import socket
import threading
from typing import TYPE_CHECKING, Self

from consumer import clock
from consumer.customerio.api import Api, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_SECONDS = 60.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
MORE_THAN_BUFFERS = 32 * 1024 * 1024
"""More bytes than the kernel takes for a peer that does not read."""


def request(
    *ids: str,
    deadline: float = PATIENCE_SECONDS,
    lease: float = math.inf,
    segment_id: int = 56,
    action: str = "add",
    id_type: str = "id",
) -> Request:
    """Build a request; ``deadline`` and ``lease`` end so many seconds from now."""
    now = clock.now()
    ids = ids or ("customer-1", "customer-2")
    return Request(segment_id, action, id_type, ids, now + deadline, now + lease)


@contextlib.contextmanager
def client(
    url: str,
    credentials: tuple[str, str] = ("site", "key"),
    *,
    timeout_seconds: float = PATIENCE_SECONDS,
    proxy_url: str | None = None,
    ssl_cert_file: str | None = None,
) -> "Iterator[Api]":
    api = Api(
        url,
        credentials,
        timeout_seconds=timeout_seconds,
        max_connections=8,
        proxy_url=proxy_url,
        ssl_cert_file=ssl_cert_file,
        user_agent="segment-consumer/1.2.3",
    )
    with contextlib.closing(api):
        yield api


class Peer:
    """A server of a few lines: its n-th connection is treated by the n-th turn, or the last."""

    def __init__(self, *turns: "Callable[[Peer, socket.socket], object]") -> None:
        self._turns = turns
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.connections = 0
        self.seen: list[bytes] = []
        """Each request, or what there was of it before the client went."""
        self.was_reset = False
        """Whether a client went with a reset."""

    def __enter__(self) -> Self:
        self._begin(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()
        self._listener.close()

    def read(self, connection: socket.socket) -> bytes:
        """Read one request, or what there is of it."""
        seen = bytearray()
        try:
            while not is_whole(seen) and (part := connection.recv(65536)):
                seen += part
        except ConnectionResetError:
            self.was_reset = True
        finally:
            self.seen.append(bytes(seen))
        return bytes(seen)

    def _accept(self) -> None:
        for number in itertools.count():
            try:
                connection, _ = self._listener.accept()
            except OSError:  # the test is over
                return
            self.connections += 1
            connection.settimeout(PATIENCE_SECONDS)
            self._begin(self._serve, connection, self._turns[min(number, len(self._turns) - 1)])

    def _serve(
        self, connection: socket.socket, turn: "Callable[[Peer, socket.socket], object]"
    ) -> None:
        with connection, contextlib.suppress(ConnectionError):
            turn(self, connection)

    def _begin(self, target: "Callable[..., None]", *arguments: object) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments, daemon=True))
        self._threads[-1].start()


def is_whole(message: bytearray) -> bool:
    end = message.find(b"\r\n\r\n")
    if end < 0:
        return False
    lines = bytes(message[:end]).lower().split(b"\r\n")
    length = sum(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
    return len(message) >= end + 4 + length


def answer(raw: bytes) -> "Callable[[Peer, socket.socket], None]":
    """Answer one request with these bytes, then close."""

    def turn(peer: Peer, connection: socket.socket) -> None:
        peer.read(connection)
        connection.sendall(raw)

    return turn
