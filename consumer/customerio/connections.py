"""Connections to the API that idle, and whose they are.

Each is one thread's from `take` to `give_back`, so nobody else looks at it in between. In
httpcore's own pool (1.0.9) any thread may: one that sees a connection idle, and a moment later
readable, takes it for one that the server closed, and closes it in the midst of the request for
which another thread just took it.

A server that says more than it was asked makes the next answer a wrong one, and a change is lost.
So a connection is looked at by the thread that has it: what h11 read behind the answer, and before
each write what came since (`wire`). What no client can tell from its own answer is an unasked one
that was on its way when the request's last byte was written.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from consumer import clock
from consumer.customerio.connection import Connection
from consumer.customerio.wire import Exchange


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
            if connection.idle_until > clock.now():
                connection.wire.begin(exchange)
                return connection
            connection.wire.close()
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
        connection.wire.close()

    def close(self) -> None:
        """Close the idle connections, and each other one when it is given back."""
        self._closed.set()
        with self._lock:
            self._most = 0
            while self._idle:
                self._idle.pop().wire.close()

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
                    self._idle.popleft().wire.close()
                    left = self._idle_seconds
