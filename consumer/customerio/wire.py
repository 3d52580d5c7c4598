"""A socket to the API: where the deadline of a request, and the lease that it needs, are kept.

Two promises can only be kept where the socket is, so this is httpcore's network stream:

- *One deadline for a whole request.* An answer that drips outlives the timeouts that HTTP clients
  have, which are per operation. Here every wait ends with the request's time. Name resolution can't
  be interrupted; what comes back from it late has timed out like everything else.
- *Not one byte at or after the end of the lease.* The clock is looked at between the wait for the
  socket and the write. The API never applies half a request, so one that was stopped is unsent.

What was given up must not arrive later either. Its connection is reset, so that the kernel drops
what it could not send yet; ``TCP_USER_TIMEOUT`` does the same if this process is dead or frozen.
"""

import contextlib
import math
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import httpcore

from consumer import clock

T = TypeVar("T")

HEAD_END = b"\r\n\r\n"

_WRITE_BYTES = 16 * 1024  # one TLS record: no more is written between two looks at the clock
_DROP_UNSENT = struct.pack("ii", 1, 0)


class LeaseOverError(Exception):
    """The lease is over: what was not written yet never is."""


@dataclass(slots=True)
class Exchange:
    """One request and its answer on the wire: its limits, and how far it came.

    Limits are ``clock.now()`` seconds. ``written``: bytes of the request itself may have left, so
    it may be applied.
    """

    deadline: float
    lease_end: float
    doing: str = "connecting"
    written: bool = False

    def time_left(self) -> float:
        """Return the seconds left, or raise TimeoutError."""
        left = self.deadline - clock.now()
        if left <= 0:
            raise TimeoutError
        return left

    def time_left_to_write(self) -> float:
        """Return the seconds left for writing, or raise TimeoutError or LeaseOverError."""
        left = self.lease_end - clock.now()
        if left <= 0:
            raise LeaseOverError
        return min(left, self.time_left())


class Running(threading.local):
    """The exchange that each thread is at."""

    exchange = Exchange(-math.inf, -math.inf)


class Wire(httpcore.NetworkStream):
    """A socket whose every wait ends with the limits of the exchange that waits."""

    def __init__(self, connected: socket.socket, running: Running) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._running = running
        self._received = bytearray()  # since the last write: one answer
        self._is_broken = False
        self._is_used_up = False

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the exchange has the limits
    ) -> "Wire":
        """Shake hands. Raises OSError."""
        exchange = self._running.exchange
        exchange.doing = f"shaking hands with {server_hostname}"
        try:
            self._socket = secured = ssl_context.wrap_socket(
                self._socket,
                server_hostname=server_hostname,
                do_handshake_on_connect=False,
                suppress_ragged_eofs=False,  # else a cut answer could pass for a whole one
            )
            self._complete(secured.do_handshake, select.POLLIN, exchange.time_left)
        except BaseException:
            self.close()
            raise
        return self

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - the exchange has the limits
        """Send. Raises LeaseOverError, TimeoutError; WriteError: an answer may follow, like 413."""
        exchange = self._running.exchange
        exchange.doing = "sending"
        exchange.written = True
        self._received.clear()
        try:
            self.send(buffer)
        except TimeoutError:
            raise
        except OSError as error:
            raise httpcore.WriteError from error

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the exchange has the limits
        """Receive. Raises OSError."""
        self._running.exchange.doing = "awaiting the answer"
        data = self.receive(max_bytes)
        self._received += data
        return data

    def send(self, data: bytes) -> None:
        """Send what may not be a request's own, such as asking for a tunnel; else see `write`."""
        left_to_write = self._running.exchange.time_left_to_write
        rest = memoryview(data)
        while rest:
            send = partial(self._socket.send, rest[:_WRITE_BYTES])
            rest = rest[self._complete(send, select.POLLOUT, left_to_write) :]

    def receive(self, max_bytes: int) -> bytes:
        """Receive; see `read`, which keeps it as part of an answer."""
        receive = partial(self._socket.recv, max_bytes)
        return self._complete(receive, select.POLLIN, self._running.exchange.time_left)

    def end_answer(self, body_bytes: int, *, is_chunked: bool) -> None:
        """Use the connection up unless what came since the request ends where its answer ends.

        What the server says unasked would be taken for the next request's answer.
        """
        rest = self._received.partition(HEAD_END)[2]
        whole = (
            (b"\r\n" + rest).endswith(b"\r\n0\r\n\r\n") if is_chunked else len(rest) == body_bytes
        )
        self._is_used_up = not whole

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's interface
        """Answer what is asked before a connection is used again."""
        if info == "is_readable":
            return self._is_used_up or self._socket.fileno() < 0 or self._wait(select.POLLIN, 0)
        return self._socket if info == "ssl_object" and self._is_secured() else None

    def close(self) -> None:
        """Close; with a reset if something was given up."""
        if self._is_broken:
            with contextlib.suppress(OSError):  # closed or broken already
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP_UNSENT)
        self._socket.close()

    def _is_secured(self) -> bool:
        return isinstance(self._socket, ssl.SSLSocket)

    def _complete(
        self, operation: Callable[[], T], event: int, time_left: Callable[[], float]
    ) -> T:
        """Call ``operation`` until it need not wait; the clock is looked at right before."""
        while True:
            try:
                left = time_left()
            except (TimeoutError, LeaseOverError):
                self._is_broken = True
                raise
            try:
                return operation()
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN, left)
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT, left)
            except BlockingIOError:
                self._wait(event, left)

    def _wait(self, event: int, seconds: float) -> bool:
        waiting = select.poll()
        waiting.register(self._socket, event)
        return bool(waiting.poll(seconds * 1000))
