"""A TCP proxy on loopback that can do to a connection what networks do."""

import asyncio
import contextlib
import socket
import struct
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from tests.support.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Meddler = Callable[[bool, bytes], bytes]
    """Is told whether it is an answer, and what comes; returns what goes on. One a connection."""

HOST = "127.0.0.1"

_CHUNK_BYTES = 65536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER for zero seconds: close() sends a RST
_DRIPS_PER_SECOND = 20


class _AnswerCut(Exception):  # noqa: N818 - says what happened, is no error
    """The bytes that ``cut_after`` allowed are used up."""


class TcpProxy:
    """Forwards connections to a target until it is told otherwise.

    One thread runs an event loop that owns every socket; the methods hand it their work and
    return when it is done. Answers are the bytes that come from the target.
    """

    def __init__(self, target_host: str, target_port: int, port: int = 0) -> None:
        self._target = (target_host, target_port)
        self._listener = _bound(port)
        self.host = HOST
        self.port: int = self._listener.getsockname()[1]
        self.connections_total = 0
        """Connections accepted since the start."""
        self.answered_bytes = 0
        """Bytes of answers that went on to clients since the start."""
        self._connections: dict[asyncio.Task[None], list[socket.socket]] = {}
        self._delay_seconds = 0.0
        self._answer_bytes_per_second: float | None = None
        self._answer_bytes_left: int | None = None
        self._meddler: Callable[[], Meddler] | None = None
        self._vanished: list[socket.socket] = []
        self._flowing = asyncio.Event()
        self._accepting = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name=f"tcp-proxy-{self.port}", daemon=True
        )
        self._thread.start()
        self._do(self._mend)

    @property
    def address(self) -> str:
        """``host:port`` to connect to."""
        return f"{self.host}:{self.port}"

    @property
    def connections_open(self) -> int:
        """Connections that are open now, also those that a black hole keeps."""
        return len(self._connections)

    def cut(self) -> None:
        """Close all connections and refuse new ones, until ``mend``."""
        self._do(self._cut)

    def mend(self) -> None:
        """Undo everything: accept and forward at once and in full, also what was kept."""
        self._do(self._mend)

    def black_hole(self) -> None:
        """Accept connections and forward nothing, until ``mend`` (then all of it, as TCP would).

        Open connections stay open and silent, too.
        """

        async def black_hole() -> None:
            self._flowing.clear()

        self._do(black_hole)

    def delay(self, seconds: float) -> None:
        """Keep what arrives, in either direction, for so long before it goes on; 0 ends that."""

        async def delay() -> None:
            self._delay_seconds = seconds

        self._do(delay)

    def drip(self, bytes_per_second: float) -> None:
        """Let answers through no faster than this; 0 ends that."""

        async def drip() -> None:
            self._answer_bytes_per_second = bytes_per_second or None

        self._do(drip)

    def cut_after(self, answer_bytes: int) -> None:
        """Close one connection: the one that brings the answers' next byte but ``answer_bytes``.

        Exactly so many bytes of answers pass before. Later connections are not affected.
        """

        async def cut_after() -> None:
            self._answer_bytes_left = answer_bytes

        self._do(cut_after)

    def vanish(self) -> int:
        """Let the other side of the open connections be gone without a word: no FIN, no RST.

        They stay half-open, and silent, until ``mend``. New connections are forwarded. Return how
        many are gone.
        """
        before = len(self._vanished)

        async def vanish() -> None:
            # A descriptor more, and closing the proxy's own sends nothing.
            self._vanished += [ends[0].dup() for ends in self._connections.values()]
            await self._end_connections(by_reset=False)

        self._do(vanish)
        return len(self._vanished) - before

    def meddle(self, meddler: "Callable[[], Meddler] | None") -> None:
        """Let a meddler see, and change, what goes over each connection that opens from now on."""

        async def meddle() -> None:
            self._meddler = meddler

        self._do(meddle)

    def reset(self) -> None:
        """End all connections with a RST. New ones are accepted."""

        async def reset() -> None:
            await self._end_connections(by_reset=True)

        self._do(reset)

    def close(self) -> None:
        """Close everything and end the thread. Harmless the second time."""
        if self._loop.is_closed():
            return
        self._do(self._cut)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._listener.close()
        self._end_vanished()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _do(self, work: "Callable[[], Coroutine[Any, Any, None]]") -> None:
        asyncio.run_coroutine_threadsafe(work(), self._loop).result(PATIENCE_SECONDS)

    async def _mend(self) -> None:
        self._delay_seconds = 0.0
        self._answer_bytes_per_second = None
        self._answer_bytes_left = None
        self._meddler = None
        self._end_vanished()
        self._flowing.set()
        if not self._accepting:
            self._listener.listen()
            self._loop.add_reader(self._listener, self._accept)
            self._accepting = True

    def _end_vanished(self) -> None:
        for end in self._vanished:
            end.close()
        self._vanished.clear()

    async def _cut(self) -> None:
        if self._accepting:
            self._loop.remove_reader(self._listener)
            self._accepting = False
            # Bound and not listening: refuses, and keeps the port from everybody else. There
            # before the other goes, or somebody's connection would get the port in between.
            listening, self._listener = self._listener, _bound(self.port)
            listening.close()
        await self._end_connections(by_reset=False)

    async def _end_connections(self, *, by_reset: bool) -> None:
        connections = dict(self._connections)
        for task, sockets in connections.items():
            if by_reset:
                for end in sockets:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def _accept(self) -> None:
        # Not sock_accept() in a task: one that is cancelled just then loses a connection, open.
        with contextlib.suppress(OSError):  # it may be gone again
            client, _ = self._listener.accept()
            client.setblocking(False)
            self.connections_total += 1
            ends = [client]
            task = self._loop.create_task(self._carry(client, ends))
            self._connections[task] = ends
            task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        for end in self._connections.pop(task):
            end.close()

    async def _carry(self, client: socket.socket, ends: list[socket.socket]) -> None:
        await self._flowing.wait()
        target = socket.socket()
        ends.append(target)
        target.setblocking(False)
        try:
            await self._loop.sock_connect(target, self._target)
            async with asyncio.TaskGroup() as directions:
                meddler = self._meddler() if self._meddler else _pass_on
                send = partial(self._pump, meddler=meddler)
                directions.create_task(send(client, target, self._send, is_answer=False))
                directions.create_task(send(target, client, self._answer, is_answer=True))
        except* (OSError, _AnswerCut):
            pass  # one end is gone, so the other goes too

    async def _pump(
        self,
        source: socket.socket,
        sink: socket.socket,
        send: "Callable[[socket.socket, bytes], Coroutine[Any, Any, None]]",
        *,
        meddler: "Meddler",
        is_answer: bool,
    ) -> None:
        while True:
            chunk = await self._loop.sock_recv(source, _CHUNK_BYTES)
            if self._delay_seconds:
                await asyncio.sleep(self._delay_seconds)
            if not chunk:
                break
            if passed := meddler(is_answer, chunk):
                await send(sink, passed)
        await self._flowing.wait()
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    async def _send(self, sink: socket.socket, chunk: bytes) -> None:
        await self._flowing.wait()
        await self._loop.sock_sendall(sink, chunk)

    async def _answer(self, sink: socket.socket, chunk: bytes) -> None:
        while chunk:
            rate = self._answer_bytes_per_second
            part = chunk if rate is None else chunk[: max(1, int(rate / _DRIPS_PER_SECOND))]
            if self._answer_bytes_left is not None:
                part = part[: self._answer_bytes_left]
            await self._send(sink, part)
            self.answered_bytes += len(part)
            chunk = chunk[len(part) :]
            if self._answer_bytes_left is not None:
                self._answer_bytes_left -= len(part)
                if self._answer_bytes_left <= 0:
                    self._answer_bytes_left = None
                    raise _AnswerCut
            if rate is not None:
                await asyncio.sleep(len(part) / rate)


def _pass_on(_: bool, chunk: bytes) -> bytes:
    return chunk


def _bound(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((HOST, port))
    listener.setblocking(False)
    return listener
