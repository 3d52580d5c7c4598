"""Connections to the API that idle, and whose they are.

Each is one thread's from `take` to `give_back`, so nobody else looks at it in between. In
httpcore's own pool (1.0.9) any thread may: one that sees a connection idle, and a moment later
readable, takes it for one that the server closed, and closes it in the midst of the request for
which another thread just took it.

A server that says more than it was asked makes the next answer a wrong one, and a change is lost.
So a connection is looked at by the thread that has it: what h11 read behind the answer, what came
since, and once more before each write (`wire`). What no client can tell from its own answer is an
unasked one that was on its way when the request's last byte was written.
"""

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import httpcore

from consumer import clock
from consumer.customerio.wire import Exchange, Wire


class Connection(httpcore.HTTP11Connection):
    """HTTP on a wire. ``idle_until`` is in ``clock.now()`` seconds."""

    idle_until = math.inf

    def __init__(self, origin: httpcore.Origin, wire: Wire) -> None:
        super().__init__(origin, wire)
        self.wire = wire

    def is_good(self) -> bool:
        """Whether another request can be sent, because nothing came that was not asked for."""
        unasked, _ = self._h11_state.trailing_data
        return self.is_idle() and not unasked and self.wire.is_good()


@dataclass(slots=True, eq=False)
class Connections:
    """The connections to one origin: at most so many idle, and none that idled too long.

    ``open`` gives a new one. The one that was used last is taken first, so that those that aren't
    needed any more idle until a thread of ours closes them.
    """

    _open: Callable[[Exchange], Connection]
    _most: int
    _idle_seconds: float
    _idle: deque[Connection] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closer: threading.Thread | None = None
    _closed: threading.Event = field(default_factory=threading.Event)

    def take(self, exchange: Exchange) -> Connection:
        """Return the connection that was used last, or a new one. Raises OSError."""
        while connection := self._last():
            if connection.idle_until > clock.now() and connection.is_good():
                connection.wire.begin(exchange, is_used=True)
                return connection
            connection.close()
        return self._open(exchange)

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next request if it is good for one."""
        if connection.is_good():
            with self._lock:
                if len(self._idle) < self._most:
                    connection.idle_until = clock.now() + self._idle_seconds
                    self._idle.append(connection)
                    self._have_closed()
                    return
        connection.close()

    def close(self) -> None:
        """Close the idle connections, and each other one when it is given back."""
        self._closed.set()
        with self._lock:
            self._most = 0
            while self._idle:
                self._idle.pop().close()

    def _last(self) -> Connection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _have_closed(self) -> None:
        if self._closer is None:
            name = "idle-connections"
            self._closer = threading.Thread(target=self._close_old, name=name, daemon=True)
            self._closer.start()

    def _close_old(self) -> None:
        """Close each connection when its time is over.

        One that is given back while this waits has its end later, so nobody needs to be woken.
        """
        left = self._idle_seconds
        while not self._closed.wait(left):
            now, left = clock.now(), self._idle_seconds
            with self._lock:
                while self._idle and (left := self._idle[0].idle_until - now) <= 0:
                    self._idle.popleft().close()
                    left = self._idle_seconds
