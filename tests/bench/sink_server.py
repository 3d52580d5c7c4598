"""The process of the API's stand-in: takes every request, answers ``{}``, at next to no cost.

    python -m tests.bench.sink_server

Its first line is its URL. It answers from a fixed buffer and keeps the bodies as they came: what is
in them is looked at when it is asked, as counting a full one's ids would take longer than all else.
"""

import json
import select
import socket
import time
from collections import deque
from contextlib import suppress

HOST = "127.0.0.1"
ACCEPTED = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
RECEIVE_BYTES = 1 << 16  # above 128 KiB each would be mapped, and given back


class Server:
    """One thread, no framework: a request costs two system calls and a search for its length.

    ``select`` and not ``epoll``, whose timeouts are rounded up to milliseconds: of a delay of 20 ms
    one would be a twentieth.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server((HOST, 0))
        self._pending: dict[socket.socket, bytes] = {}
        self._waiting: deque[tuple[float, socket.socket, bytes, bytes]] = deque()
        self._begin(0.0)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{HOST}:{self._listener.getsockname()[1]}"

    def serve(self) -> None:
        """Serve until the process is ended."""
        pending, waiting = self._pending, self._waiting
        while True:
            timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
            readable, _, _ = select.select([self._listener, *pending], (), (), timeout)
            for each in readable:
                if each is self._listener:
                    self._accept()
                else:
                    self._read(each)
            while waiting and waiting[0][0] <= time.monotonic():
                self._accept_changes(*waiting.popleft()[1:])

    def _begin(self, delay: float) -> None:
        self._delay = delay
        self._taken: list[tuple[float, bytes, bytes]] = []
        self._timeline: list[tuple[float, int]] = []
        self._waiting.clear()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pending[connection] = b""

    def _read(self, connection: socket.socket) -> None:
        try:
            came = connection.recv(RECEIVE_BYTES)
        except ConnectionError:
            came = b""
        if not came:
            del self._pending[connection]
            connection.close()
            return
        data = self._pending[connection] + came if self._pending[connection] else came
        end = data.find(b"\r\n\r\n") + 4
        if end < 4 or len(data) < end + (length := _length(data[:end])):
            self._pending[connection] = data
            return
        self._pending[connection] = data[end + length :]
        target = data[: data.index(b"\r")].split(b" ")[1]
        self._take(connection, target, data[end : end + length])

    def _take(self, connection: socket.socket, target: bytes, body: bytes) -> None:
        if target.startswith(b"/sink/"):
            _send(connection, _answer(self._asked(target.decode())))
        elif self._delay:
            self._waiting.append((time.monotonic() + self._delay, connection, target, body))
        else:
            self._accept_changes(connection, target, body)

    def _accept_changes(self, connection: socket.socket, target: bytes, body: bytes) -> None:
        _send(connection, ACCEPTED)
        if body:
            self._taken.append((time.monotonic(), target, body))

    def _asked(self, target: str) -> object:
        """Answer a question of the bench."""
        match target.split("/")[2:]:
            case ["begin", delay]:
                self._begin(float(delay))
                return {}
            case ["requests"]:
                return len(self._taken)
            case ["timeline"]:
                return self._counted()
            case ["different"]:
                return self._different()
            case _:
                raise ValueError(target)

    def _counted(self) -> list[tuple[float, int]]:
        """Return when each answer was given, and how many ids had come by then."""
        ids = self._timeline[-1][1] if self._timeline else 0
        for seconds, _, body in self._taken[len(self._timeline) :]:
            ids += len(json.loads(body)["ids"])
            self._timeline.append((seconds, ids))
        return self._timeline

    def _different(self) -> int:
        """Return how many different changes came."""
        found: dict[bytes, set[str]] = {}
        for _, target, body in self._taken:
            found.setdefault(target, set()).update(json.loads(body)["ids"])
        return sum(map(len, found.values()))


def _length(head: bytes) -> int:
    """Return how many bytes follow a request's head."""
    head = head.lower()
    at = head.find(b"\r\ncontent-length:")
    return 0 if at < 0 else int(head[at + 17 : head.index(b"\r", at + 17)])


def _send(connection: socket.socket, answer: bytes) -> None:
    with suppress(OSError):  # who asked may be gone
        connection.sendall(answer)


def _answer(value: object) -> bytes:
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def main() -> None:
    """Say where it is, and serve."""
    server = Server()
    print(server.url, flush=True)
    server.serve()


if __name__ == "__main__":
    main()
