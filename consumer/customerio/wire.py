"""A socket to the API: where the deadline of a request, and the lease that it needs, are kept.

Promises that can only be kept where the socket is, so this is httpcore's network stream:

- *One deadline for a whole request.* An answer that drips outlives the timeouts that HTTP clients
  have, which are per operation. Here every wait ends with the request's time. Name resolution can't
  be interrupted; what comes back from it late has timed out like everything else.
- *Not one byte at or after the end of the lease.* The clock is looked at between the wait for the
  socket and the write. The API never applies half a request, so one that was stopped is unsent.
- *No answer before its question.* What comes before the last byte was written is looked at before
  each write. On a connection that was used before it may belong to the request before; on a new one
  it may be an early refusal, like 413, and is never a success.
  What was on its way then looks like an answer to any client.

What was given up must not arrive later either. Its connection is reset, so that the kernel drops
what it could not send yet; ``TCP_USER_TIMEOUT`` does the same if this process is dead or frozen.
"""

import contextlib
import re
import select
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import httpcore

from consumer import clock

T = TypeVar("T")

HEAD_END = b"\r\n\r\n"

_READ_BYTES = 64 * 1024
_WRITE_BYTES = 16 * 1024  # one TLS record: no more is written between two looks at the clock
_DROP_UNSENT = struct.pack("ii", 1, 0)
_INTERIM = re.compile(rb"(HTTP/1\.[01] 1\d\d(?:(?!\r\n\r\n).)*\r\n\r\n)+", re.DOTALL)


class LeaseOverError(Exception):
    """The lease is over: what was not written yet never is."""


class StaleError(Exception):
    """A connection that was used before is none any more, and the request was not sent."""


@dataclass(slots=True)
class Exchange:
    """One request and its answer on the wire: its limits, and how far it came.

    Limits are ``clock.now()`` seconds. ``written``: the whole request may have left, so it may be
    applied.
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


class Wire(httpcore.NetworkStream):
    """A socket whose every wait ends with the limits of the exchange that it is used for."""

    def __init__(self, connected: socket.socket, exchange: Exchange) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._exchange = exchange
        self._is_used = False
        self._parts: list[bytes] = []  # of a request that isn't whole yet
        self._ahead = b""  # what came and was not asked for yet
        self._failure: OSError | None = None  # the same
        self._is_over = False
        self._is_broken = False

    def begin(self, exchange: Exchange, *, is_used: bool) -> None:
        """Be used for another request."""
        self._exchange = exchange
        self._is_used = is_used

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the exchange has the limits
    ) -> "Wire":
        """Shake hands. Raises OSError."""
        exchange = self._exchange
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
        """Send a request, all at once when it is whole: httpcore ends each with an empty part.

        Raises LeaseOverError, TimeoutError, StaleError; WriteError: an answer may follow, like 413.
        """
        if buffer:
            self._parts.append(buffer)
            return
        whole = b"".join(self._parts)
        self._parts.clear()
        self._exchange.doing = "sending"
        try:
            self.send(whole, self._left_to_ask)
        except TimeoutError:
            raise
        except OSError as error:
            if self._is_used:
                raise StaleError from error
            raise httpcore.WriteError from error
        self._exchange.written = True

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the exchange has the limits
        """Receive. Raises OSError."""
        self._exchange.doing = "awaiting the answer"
        return self.receive(max_bytes)

    def send(self, data: bytes, time_left: Callable[[], float] | None = None) -> None:
        """Send what may not be a request's own, such as asking for a tunnel; else see `write`."""
        left = time_left or self._exchange.time_left_to_write
        rest = memoryview(data)
        while rest:
            send = partial(self._socket.send, rest[:_WRITE_BYTES])
            rest = rest[self._complete(send, select.POLLOUT | select.POLLIN, left) :]

    def receive(self, max_bytes: int) -> bytes:
        """Receive what was sent next, if it came ahead or not. Raises OSError."""
        if self._ahead:
            data, self._ahead = self._ahead[:max_bytes], self._ahead[max_bytes:]
            return data
        if self._failure is not None:
            raise self._failure
        receive = partial(self._socket.recv, max_bytes)
        return self._complete(receive, select.POLLIN, self._exchange.time_left)

    def is_good(self) -> bool:
        """Whether the last request went out whole and nothing but its answer came."""
        return self._exchange.written and not self._has_spoken()

    def _has_spoken(self) -> bool:
        """Whether there is something to read, or the connection's end.

        It is read to know: with TLS what comes may be no data, such as a session ticket.
        """
        try:
            data = self._socket.recv(_READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return bool(self._ahead)
        except OSError as error:
            self._failure = error
            data = b""
        self._is_over = not data
        self._ahead += data
        return True

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's interface
        """Answer nothing: httpcore asks what its own pool wants to know."""

    def close(self) -> None:
        """Close; with a reset if something was given up."""
        if self._is_broken:
            with contextlib.suppress(OSError):  # closed or broken already
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP_UNSENT)
        self._socket.close()

    def _left_to_ask(self) -> float:
        """Return the seconds left for writing. Raises ConnectionError if an answer came."""
        if self._has_spoken() and not self._is_interim():
            raise ConnectionError("the server spoke before the request was sent")
        return self._exchange.time_left_to_write()

    def _is_interim(self) -> bool:
        """Whether what came only says that an answer will come; a server may do so early."""
        is_short = len(self._ahead) < _READ_BYTES
        is_ours = not self._is_used and not self._is_over
        return is_ours and is_short and _INTERIM.fullmatch(self._ahead) is not None

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
