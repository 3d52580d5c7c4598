"""A socket to the API: where the deadline of a request, and the lease that it needs, are kept.

Promises that can only be kept where the socket is:

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
from typing import TypeVar

from consumer import clock

T = TypeVar("T")

HEAD_END = b"\r\n\r\n"

_READ_BYTES = 64 * 1024
_WRITE_BYTES = 256 * 1024  # no more is written between two looks at the clock
_WRITE_BYTES_TLS = 16 * 1024  # one record: more of them would be more than one write
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


class Wire:
    """A socket whose every wait ends with the limits of the exchange that it is used for."""

    def __init__(self, connected: socket.socket, exchange: Exchange) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._exchange = exchange
        self._write_bytes = _WRITE_BYTES
        self._is_used = False
        self._ahead = b""  # what came and was not asked for yet
        self._failure: OSError | None = None  # the same
        self._is_over = False
        self._is_broken = False

    def begin(self, exchange: Exchange) -> None:
        """Be used for another request."""
        self._exchange = exchange
        self._is_used = True

    def start_tls(self, trust: ssl.SSLContext, host: str) -> None:
        """Shake hands. Raises OSError."""
        exchange = self._exchange
        exchange.doing = f"shaking hands with {host}"
        self._write_bytes = _WRITE_BYTES_TLS
        try:
            self._socket = secured = trust.wrap_socket(
                self._socket,
                server_hostname=host,
                do_handshake_on_connect=False,
                suppress_ragged_eofs=False,  # else a cut answer could pass for a whole one
            )
            self._complete(secured.do_handshake, select.POLLIN, exchange.time_left)
        except BaseException:
            self.close()
            raise

    def ask(self, request: bytes) -> None:
        """Send a whole request. Raises LeaseOverError, TimeoutError, StaleError.

        That a new connection failed is told by what is received: perhaps an answer, like 413.
        """
        exchange = self._exchange
        exchange.doing = "sending"
        try:
            self.send(request, self._left_to_ask)
        except TimeoutError:
            raise
        except OSError as error:
            if self._is_used:
                raise StaleError from error
        else:
            exchange.written = True
            # The answer is not there yet; to wait for it is cheaper than to try in vain.
            self._wait(select.POLLIN, exchange.deadline - clock.now())
        exchange.doing = "awaiting the answer"

    def send(self, data: bytes, time_left: Callable[[], float] | None = None) -> None:
        """Send what may not be a request's own, such as asking for a tunnel; else see `ask`."""
        left = time_left or self._exchange.time_left_to_write
        rest = memoryview(data)
        while rest:
            send = partial(self._socket.send, rest[: self._write_bytes])
            rest = rest[self._complete(send, select.POLLOUT | select.POLLIN, left) :]

    def receive(self) -> bytes:
        """Receive what was sent next, or came ahead; nothing if this is the end. Raises OSError."""
        if self._ahead:
            data, self._ahead = self._ahead, b""
            return data
        if self._failure is not None:
            raise self._failure
        receive = partial(self._socket.recv, _READ_BYTES)
        return self._complete(receive, select.POLLIN, self._exchange.time_left)

    def is_good(self) -> bool:
        """Whether the last request went out whole."""
        return self._exchange.written

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

    def _wait(self, event: int, seconds: float) -> None:
        waiting = select.poll()
        waiting.register(self._socket, event)
        waiting.poll(max(0.0, seconds * 1000))
