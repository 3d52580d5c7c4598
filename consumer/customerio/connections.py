"""Connections to the API that idle, and whose they are.

Each is one thread's from `take` to `give_back`, so nobody else looks at it in between. In
httpcore's own pool (1.0.9) any thread may: one that sees a connection idle, and a moment later
readable, takes it for one that the server closed, and closes it in the midst of the request for
which another thread just took it.
"""

import ssl
import threading
from collections import deque
from dataclasses import dataclass, field

import httpcore


@dataclass(slots=True, eq=False)
class Connections:
    """The connections to one origin: at most so many idle, and none used that idled too long.

    The network opens them, with the SSL context if the origin is a secure one.
    """

    _origin: httpcore.Origin
    _network: httpcore.NetworkBackend
    _ssl_context: ssl.SSLContext | None
    _most: int
    _idle_seconds: float
    _idle: deque[httpcore.HTTPConnection] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> httpcore.HTTPConnection:
        """Return the connection that was used last, or one that is yet to be opened."""
        with self._lock:
            if self._idle and self._idle[0].has_expired():
                self._idle.popleft().close()
            while self._idle:
                connection = self._idle.pop()
                if not connection.has_expired():
                    return connection
                connection.close()
        return httpcore.HTTPConnection(
            self._origin,
            ssl_context=self._ssl_context,
            keepalive_expiry=self._idle_seconds,
            network_backend=self._network,
        )

    def give_back(self, connection: httpcore.HTTPConnection) -> None:
        """Keep a connection for the next request if it is good for one."""
        with self._lock:
            if connection.is_available() and len(self._idle) < self._most:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close the idle connections, and each other one when it is given back."""
        with self._lock:
            self._most = 0
            while self._idle:
                self._idle.pop().close()
