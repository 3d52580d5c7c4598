"""The stand-in's server: connections, their requests one after the other, the faults."""

import asyncio
import base64
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Self, cast
from urllib.parse import parse_qs

import msgspec

from consumer.commands.demo.standin.api import (
    ACCEPTED,
    JSON,
    StandinRequest,
    refusal,
    region,
    understand,
)
from consumer.commands.demo.standin.fault import Fault
from consumer.commands.demo.standin.http import HttpRequest, Reply, take_request
from consumer.commands.demo.standin.memory import Memory

_EVERYWHERE = "0.0.0.0"  # noqa: S104 - if somebody asks for it
_STARTUP_SECONDS = 10.0
_TURNS_TO_ACCEPT = 5  # of the event loop, until an accepted socket is a connection


class Standin(Memory):
    """The server. ``start`` after ``stop`` serves on the same port again, with the same memory."""

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        site_id: str = "site",
        api_key: str = "key",
        fault: Callable[[StandinRequest], Fault | None] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        journal_limit: int = 10_000,
        remember_ids: bool = True,
    ) -> None:
        super().__init__(journal_limit, remember_ids=remember_ids)
        self.port = port
        self._host = host
        self.fault = fault
        self.authorization = b"Basic " + base64.b64encode(f"{site_id}:{api_key}".encode())
        self.in_flight = 0
        self.connections: set[_Connection] = set()
        self._ssl_context = ssl_context
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event

    @property
    def url(self) -> str:
        """The base URL on this machine, as ``CUSTOMERIO_URL`` takes it."""
        host = "127.0.0.1" if self._host == _EVERYWHERE else self._host
        return f"{'http' if self._ssl_context is None else 'https'}://{host}:{self.port}"

    def start(self) -> Self:
        """Serve from now on. Raises OSError if the port is taken."""
        listener = socket.create_server((self._host, self.port), backlog=1024)
        self.port = listener.getsockname()[1]
        started = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listener, started)), name="standin", daemon=True
        )
        self._thread.start()
        started.wait(_STARTUP_SECONDS)
        return self

    def stop(self) -> None:
        """Reset all connections and close the port; what was not applied by now never is."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
            self._thread = None

    def close_connections(self) -> None:
        """Close every open connection, as the API does with those that idle."""

        def close() -> None:
            for connection in list(self.connections):
                connection.close()

        self._loop.call_soon_threadsafe(close)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def _serve(self, listener: socket.socket, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self.in_flight = 0
        server = await self._loop.create_server(
            lambda: _Connection(self), sock=listener, ssl=self._ssl_context
        )
        started.set()
        await self._stopping.wait()
        self._loop.remove_reader(listener)
        for _ in range(_TURNS_TO_ACCEPT):  # or asyncio would leave what it just accepted open
            await asyncio.sleep(0)
        server.close()
        for connection in list(self.connections):
            connection.close(reset=True)


class _Connection(asyncio.Protocol):
    """One client's connection: requests in, one at a time, answers out."""

    def __init__(self, standin: Standin) -> None:
        self._standin = standin
        self._transport: asyncio.Transport
        self._buffer = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._standin.connections.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._standin.connections.discard(self)
        self._lost.set()

    def close(self, *, reset: bool = False) -> None:
        """Close; with a reset, what was not sent yet is thrown away."""
        if reset:
            connected: socket.socket = self._transport.get_extra_info("socket")
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        else:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            while self._task is None and (http := take_request(self._buffer)) is not None:
                self._serve(http)
        except ValueError:  # no HTTP: nothing to be said to that
            self.close()

    def _serve(self, http: HttpRequest) -> None:
        standin = self._standin
        if http.path.startswith("/standin/"):
            self._transport.write(_state(standin, http).encoded())
            return
        standin.in_flight += 1
        request = understand(http, standin.authorization, standin.in_flight)
        is_region = isinstance(request, StandinRequest) and request.action == "region"
        standin.arrive(standin.in_flight, region=is_region)
        if isinstance(request, Reply):
            self._answer(None, request.status, request.encoded())
            return
        fault = standin.fault(request) if standin.fault is not None else None
        if fault is not None:
            self._misbehave(request, fault)
        elif is_region:
            self._answer(request, 200, region(standin.url))
        else:
            standin.apply(request)
            self._answer(request, 200, ACCEPTED)

    def _answer(self, request: StandinRequest | None, status: int | None, answer: bytes) -> None:
        self._standin.in_flight -= 1
        self._standin.answer(request, status)
        self._transport.write(answer)

    def _misbehave(self, request: StandinRequest, fault: Fault) -> None:
        loop = asyncio.get_running_loop()
        if fault.apply_after_seconds is not None:
            loop.call_later(fault.apply_after_seconds, self._standin.apply, request)
        if fault.delay_seconds or fault.hang or fault.drip_seconds:
            self._task = loop.create_task(self._take_time(request, fault))
        else:
            self._answer(request, *self._outcome(request, fault))
            self._end(fault)

    async def _take_time(self, request: StandinRequest, fault: Fault) -> None:
        await asyncio.sleep(fault.delay_seconds)
        if fault.hang:
            await self._lost.wait()
        status, answer = self._outcome(request, fault)
        at_once = len(answer) if not fault.drip_seconds else 0
        self._answer(request, status, answer[:at_once])
        for byte in answer[at_once:]:
            if self._lost.is_set():
                break
            self._transport.write(bytes([byte]))
            await asyncio.sleep(fault.drip_seconds)
        self._end(fault)
        self._task = None
        self.data_received(b"")

    def _end(self, fault: Fault) -> None:
        if fault.cut_at is not None or fault.reset:
            self.close(reset=fault.reset)

    def _outcome(self, request: StandinRequest, fault: Fault) -> tuple[int | None, bytes]:
        """Apply the request if the fault lets it; return what is answered."""
        if self._lost.is_set():
            return None, b""
        if fault.raw is not None:
            return None, fault.raw[: fault.cut_at]
        status, answer = fault.status, ACCEPTED
        if status is not None:
            answer = Reply(status, fault.body, fault.headers).encoded()
        elif request.action == "region":
            answer = region(self._standin.url)
        elif fault.apply_after_seconds is None:
            self._standin.apply(request)
        return (status or 200) if fault.cut_at is None else None, answer[: fault.cut_at]


def _state(memory: Memory, http: HttpRequest) -> Reply:
    """Return what was accepted, for another process."""
    match http.path.split("/")[2:]:
        case ["counters"]:
            state: object = memory.counters()
        case ["members", segment] if segment.isdecimal():
            id_type = parse_qs(http.query).get("id_type", ["id"])[-1]
            state = sorted(memory.members(int(segment), id_type))
        case _:
            return refusal("not found", 404)
    return Reply(200, msgspec.json.encode(state), JSON)
