"""A stand-in of the Track API on loopback: what ``demo``, tests and benches send to.

It is an HTTP/1.1 keep-alive server in a daemon thread. It refuses what the API refuses (login,
path, segment, ``id_type``, body), answers in the API's words, and remembers what it accepted, so
that an outcome can be compared member by member. A *fault* makes it misbehave, request by request.

``python -m consumer.commands.demo.standin --port 8099`` runs one in a process of its own and prints
its URL; ``GET /standin/counters`` and ``GET /standin/members/{segment_id}?id_type=id`` then tell
its state.
"""

import argparse
import asyncio
import base64
import contextlib
import socket
import struct
import sys
import threading
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self, cast
from urllib.parse import parse_qs

import msgspec

from consumer import clock

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

_ID_TYPES = ("id", "email", "cio_id")
_MAX_IDS = 1000
_MAX_SEGMENT_ID = 2**31 - 1
_ACTIONS = {"add_customers": "add", "remove_customers": "remove"}
_STARTUP_SECONDS = 10.0
_HEAD_END = b"\r\n\r\n"
_TURNS_TO_ACCEPT = 5  # of the event loop, until an accepted socket is a connection


@dataclass(frozen=True, slots=True)
class StandinRequest:
    """One well-formed request with the right credentials, as a fault function sees it.

    ``action`` is ``add``, ``remove`` or ``region`` (the credentials check: no segment, no ids).
    ``in_flight`` counts the requests that are not answered yet, this one included.
    """

    arrived: float
    in_flight: int
    action: str
    segment_id: int = 0
    id_type: str = ""
    ids: "Sequence[str]" = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of one request.

    A request that would be answered normally (no ``status``, ``raw`` or ``hang``) is applied before
    its answer, however little of that is sent, unless its client is gone by then; any other is not.
    ``apply_after_seconds`` overrides that: applied so long after it arrived, whatever is answered
    and whether or not anybody still listens.
    """

    apply_after_seconds: float | None = None
    delay_seconds: float = 0.0  # before anything is answered
    hang: bool = False  # never answer: the client has to go
    status: int | None = None
    body: bytes = b""
    headers: "Mapping[str, str]" = field(default_factory=dict)
    raw: bytes | None = None  # these bytes instead of an HTTP answer
    drip_seconds: float = 0.0  # the pause after each byte of the answer
    cut_at: int | None = None  # send so many bytes of the answer, then close
    reset: bool = False  # close with a reset


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One well-formed request for a segment. ``status`` is None where no whole answer was sent."""

    arrived: float
    action: str
    segment_id: int
    id_type: str
    ids: int
    status: int | None


@dataclass(slots=True)
class SegmentCounters:
    """What one segment accepted, as in ``Counters``."""

    requests: int = 0
    ids: int = 0
    duplicates: int = 0


@dataclass(slots=True)
class Counters:
    """What happened so far.

    ``requests``, ``statuses`` (of whole answers) and ``peak_in_flight`` count everything that
    arrived, the others what was accepted. ``duplicates`` are ids whose last accepted action was the
    same already, ``repeated_ids`` those that one request named more than once.
    """

    requests: int = 0
    region_requests: int = 0
    peak_in_flight: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    accepted: int = 0
    ids: int = 0
    duplicates: int = 0
    repeated_ids: int = 0
    largest_request: int = 0
    segments: dict[int, SegmentCounters] = field(default_factory=dict)

    def copy(self) -> "Counters":
        """Return a copy that does not change."""
        segments = {segment_id: replace(counters) for segment_id, counters in self.segments.items()}
        return replace(self, statuses=self.statuses.copy(), segments=segments)


class Memory:
    """What was accepted. Every method may be called from any thread.

    Without ``remember_ids``, which costs most of a request's time, only numbers are kept.
    """

    def __init__(self, journal_limit: int, *, remember_ids: bool) -> None:
        self._remember_ids = remember_ids
        self._changed = threading.Condition()
        self._counters = Counters()
        self._added: defaultdict[tuple[int, str], set[str]] = defaultdict(set)
        self._removed: defaultdict[tuple[int, str], set[str]] = defaultdict(set)
        self._journal: deque[JournalEntry] = deque(maxlen=journal_limit)

    def counters(self) -> Counters:
        """Return the counters of this moment."""
        with self._changed:
            return self._counters.copy()

    def members(self, segment_id: int, id_type: str = "id") -> frozenset[str]:
        """Return the ids whose last accepted action is ``add``."""
        with self._changed:
            return frozenset(self._added[segment_id, id_type])

    def removed(self, segment_id: int, id_type: str = "id") -> frozenset[str]:
        """Return the ids whose last accepted action is ``remove``."""
        with self._changed:
            return frozenset(self._removed[segment_id, id_type])

    def journal(self) -> list[JournalEntry]:
        """Return the latest requests in the order of their answers."""
        with self._changed:
            return list(self._journal)

    def wait_for(self, condition: "Callable[[Counters], bool]", timeout_seconds: float) -> bool:
        """Wait until the counters fulfil ``condition``; False if they did not in time."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self._counters), timeout_seconds)

    def forget(self) -> None:
        """Start anew: nothing accepted, counted or journalled."""
        with self._changed:
            self._counters = Counters()
            self._added.clear()
            self._removed.clear()
            self._journal.clear()

    def arrive(self, in_flight: int, *, region: bool) -> None:
        """Count a request that arrived completely."""
        with self._changed:
            self._counters.requests += not region
            self._counters.region_requests += region
            self._counters.peak_in_flight = max(self._counters.peak_in_flight, in_flight)
            self._changed.notify_all()

    def apply(self, request: StandinRequest) -> None:
        """Let the request take effect: its action is the last word on its ids."""
        with self._changed:
            different, new = self._remember(request)
            counters = self._counters
            counters.accepted += 1
            counters.repeated_ids += len(request.ids) - different
            counters.largest_request = max(counters.largest_request, len(request.ids))
            segment = counters.segments.setdefault(request.segment_id, SegmentCounters())
            segment.requests += 1
            for each in (counters, segment):
                each.ids += different
                each.duplicates += different - new
            self._changed.notify_all()

    def _remember(self, request: StandinRequest) -> tuple[int, int]:
        """Return how many different ids there are, and for how many the action is news."""
        lane, ids = (request.segment_id, request.id_type), request.ids
        if not self._remember_ids:
            return len(ids), len(ids)
        same, opposite = self._added[lane], self._removed[lane]
        if request.action == "remove":
            same, opposite = opposite, same
        known = len(same)
        same.update(ids)
        new = len(same) - known
        if opposite:
            opposite.difference_update(ids)
        return new if new == len(ids) else len(set(ids)), new

    def answer(self, request: StandinRequest | None, status: int | None) -> None:
        """Count an answer; journal it if its request was well-formed and for a segment."""
        with self._changed:
            if status is not None:
                self._counters.statuses[status] += 1
            if request is not None and request.action != "region":
                entry = JournalEntry(
                    request.arrived,
                    request.action,
                    request.segment_id,
                    request.id_type,
                    len(request.ids),
                    status,
                )
                self._journal.append(entry)
            self._changed.notify_all()


class Standin(Memory):
    """The server. ``start`` after ``stop`` serves on the same port again, with the same memory."""

    def __init__(
        self,
        port: int = 0,
        *,
        site_id: str = "site",
        api_key: str = "key",
        fault: "Callable[[StandinRequest], Fault | None] | None" = None,
        ssl_context: "ssl.SSLContext | None" = None,
        journal_limit: int = 10_000,
        remember_ids: bool = True,
    ) -> None:
        super().__init__(journal_limit, remember_ids=remember_ids)
        self.port = port
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
        """The base URL, as ``CUSTOMERIO_URL`` takes it."""
        return f"{'http' if self._ssl_context is None else 'https'}://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Serve from now on. Raises OSError if the port is taken."""
        listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
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


@dataclass(frozen=True, slots=True)
class _Http:
    """One HTTP request, not understood yet."""

    method: bytes
    path: str
    query: str
    headers: dict[bytes, bytes]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    body: bytes
    headers: "Mapping[str, str]"

    def encoded(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} ", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join(lines).encode("latin-1") + _HEAD_END + self.body


class _Body(msgspec.Struct):
    ids: list[str]


_JSON = {"Content-Type": "application/json"}
_ACCEPTED = _Reply(200, b"{}", _JSON).encoded()
_UNAUTHORIZED = _Reply(
    401,
    b'{"meta":{"error":"Unauthorized request"}}',
    _JSON | {"WWW-Authenticate": 'Basic realm="Application"'},
)
_decode_body = msgspec.json.Decoder(_Body).decode


def _refusal(problem: str, status: int = 400) -> _Reply:
    return _Reply(status, msgspec.json.encode({"meta": {"errors": [problem]}}), _JSON)


def _take(buffer: bytearray) -> _Http | None:
    """Take the first request off the buffer if it is whole. Raises ValueError if it is no HTTP."""
    end = buffer.find(_HEAD_END)
    if end < 0:
        return None
    request_line, *lines = bytes(buffer[:end]).split(b"\r\n")
    parts = (line.partition(b":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in parts}
    start = end + len(_HEAD_END)
    length = int(headers.get(b"content-length", 0))
    if len(buffer) < start + length:
        return None
    body = bytes(buffer[start : start + length])
    del buffer[: start + length]
    method, target, _ = request_line.split(b" ")
    path, _, query = target.decode("ascii").partition("?")
    return _Http(method, path, query, headers, body)


def _understand(http: _Http, standin: Standin) -> StandinRequest | _Reply:
    """Check a request as the API does."""
    if http.headers.get(b"authorization") != standin.authorization:
        return _UNAUTHORIZED
    match http.method, http.path.split("/")[1:]:
        case b"GET", ["api", "v1", "accounts", "region"]:
            return StandinRequest(clock.now(), standin.in_flight, "region")
        case b"POST", ["api", "v1", "segments", segment, path] if path in _ACTIONS:
            return _changes(http, standin, segment, _ACTIONS[path])
        case _:
            return _refusal("not found", 404)


def _changes(http: _Http, standin: Standin, segment: str, action: str) -> StandinRequest | _Reply:
    if not (segment.isascii() and segment.isdecimal() and 0 < int(segment) <= _MAX_SEGMENT_ID):
        return _refusal("segment_id must be an int32")
    id_type = parse_qs(http.query).get("id_type", ["id"])[-1]
    if id_type not in _ID_TYPES:
        return _refusal("id_type must be one of " + ", ".join(_ID_TYPES))
    try:
        ids = _decode_body(http.body).ids
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _refusal(str(error))
    if not 0 < len(ids) <= _MAX_IDS:
        return _refusal(f"ids must have 1 to {_MAX_IDS} items")
    return StandinRequest(clock.now(), standin.in_flight, action, int(segment), id_type, ids)


def _region(standin: Standin) -> bytes:
    answer = {"url": standin.url, "region": "us", "environment_id": 3}
    return _Reply(200, msgspec.json.encode(answer), _JSON).encoded()


def _state(standin: Standin, http: _Http) -> _Reply:
    """Tell another process what was accepted."""
    match http.path.split("/")[2:]:
        case ["counters"]:
            state: object = standin.counters()
        case ["members", segment] if segment.isdecimal():
            id_type = parse_qs(http.query).get("id_type", ["id"])[-1]
            state = sorted(standin.members(int(segment), id_type))
        case _:
            return _refusal("not found", 404)
    return _Reply(200, msgspec.json.encode(state), _JSON)


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
            while self._task is None and (http := _take(self._buffer)) is not None:
                self._serve(http)
        except ValueError:  # no HTTP: nothing to be said to that
            self.close()

    def _serve(self, http: _Http) -> None:
        standin = self._standin
        if http.path.startswith("/standin/"):
            self._transport.write(_state(standin, http).encoded())
            return
        standin.in_flight += 1
        request = _understand(http, standin)
        region = isinstance(request, StandinRequest) and request.action == "region"
        standin.arrive(standin.in_flight, region=region)
        if isinstance(request, _Reply):
            self._answer(None, request.status, request.encoded())
            return
        fault = standin.fault(request) if standin.fault is not None else None
        if fault is not None:
            self._misbehave(request, fault)
        elif region:
            self._answer(request, 200, _region(standin))
        else:
            standin.apply(request)
            self._answer(request, 200, _ACCEPTED)

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
        status, answer = fault.status, _ACCEPTED
        if status is not None:
            answer = _Reply(status, fault.body, fault.headers).encoded()
        elif request.action == "region":
            answer = _region(self._standin)
        elif fault.apply_after_seconds is None:
            self._standin.apply(request)
        return (status or 200) if fault.cut_at is None else None, answer[: fault.cut_at]


def main(arguments: "Sequence[str] | None" = None) -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(
        prog="python -m consumer.commands.demo.standin", description=main.__doc__
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--site-id", default="site")
    parser.add_argument("--api-key", default="key")
    parser.add_argument("--delay", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--forget-ids", action="store_true", help="keep numbers only: faster")
    options = parser.parse_args(arguments)
    slow = Fault(delay_seconds=options.delay) if options.delay else None
    standin = Standin(
        options.port,
        site_id=options.site_id,
        api_key=options.api_key,
        fault=lambda _: slow,
        remember_ids=not options.forget_ids,
    )
    with standin, contextlib.suppress(KeyboardInterrupt):
        sys.stdout.write(standin.url + "\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
