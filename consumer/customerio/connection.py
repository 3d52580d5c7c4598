"""A connection to the API: one request after the other goes out, and h11 reads the answers.

All but the plainest: a 200 that is whole in one piece and has a length, as the API's are. That one
needs no more than a look; a test sees that h11 reads the same in it. Bodies are not unpacked, and
of an answer no more is read than anybody needs.
"""

import math
import re
import time
from datetime import UTC
from email.utils import parsedate_to_datetime

import h11

from consumer.core.outcomes import Answered
from consumer.customerio.wire import Wire

_MAX_HEAD_BYTES = 100 * 1024
MOST_BYTES = 64 * 1024
"""Of an answer of the API: no more is looked at."""

_CUT_MARK = "…".encode()  # ends a body that was cut: no JSON ends so, it passes for no success
_ASKED = (h11.Request(method="GET", target="/", headers=[("Host", "")]), h11.EndOfMessage())

_TELLING = (
    rb"connection:(?! keep-alive\r)|content-length:|location:|retry-after:|transfer-encoding:"
)
_HEADERS = rb"(?i:(?!%b)[a-z0-9-]+:[ -~]*\r\n)*" % _TELLING
_PLAIN = re.compile(
    rb"HTTP/1\.1 200 [ -~]*\r\n%b(?i:content-length): ?(\d{1,4})\r\n%b\r\n(.*)"
    % (_HEADERS, _HEADERS),
    re.DOTALL,
)
"""A 200 of a length. No header says anything else of the body, the connection or what to do."""


class Connection:
    """HTTP/1.1 on a wire. ``idle_until`` is in ``clock.now()`` seconds."""

    idle_until = math.inf

    def __init__(self, wire: Wire, most_bytes: int = MOST_BYTES) -> None:
        self.wire = wire
        self._most_bytes = most_bytes
        self._is_idle = False

    def ask(self, request: bytes) -> Answered:
        """Send a request and read its answer.

        Raises what `Wire.ask` does, and h11's RemoteProtocolError for what is no HTTP.
        """
        self._is_idle = False
        self.wire.ask(request)
        data = self.wire.receive()
        plain = _PLAIN.fullmatch(data)
        if plain is not None and int(plain[1]) == len(plain[2]):
            self._is_idle = True
            return Answered(200, plain[2])
        return self._read(data)

    def is_good(self) -> bool:
        """Whether another request can be sent: the answer was whole, with nothing behind it."""
        return self._is_idle and self.wire.is_good()

    def _read(self, data: bytes) -> Answered:
        """Read the answer that begins so."""
        reader = h11.Connection(h11.CLIENT, _MAX_HEAD_BYTES)
        for event in _ASKED:  # it is told that there was a request, not which
            reader.send(event)
        reader.receive_data(data)
        while not isinstance(head := self._next(reader), h11.Response):
            pass  # an interim answer: the other one will come
        body = bytearray()
        while isinstance(part := self._next(reader), h11.Data):
            body += part.data
            if len(body) > self._most_bytes:
                body[self._most_bytes :] = _CUT_MARK
                break
        unasked, _ = reader.trailing_data
        self._is_idle = reader.their_state is h11.DONE and not unasked
        wait, location = _first(head, b"retry-after"), _first(head, b"location")
        return Answered(
            status=head.status_code,
            body=bytes(body),
            retry_after_seconds=None if wait is None else retry_after_seconds(wait, time.time()),
            location=location,
        )

    def _next(self, reader: h11.Connection) -> object:
        """Return what h11 reads next, as soon as it is there."""
        while (event := reader.next_event()) is h11.NEED_DATA:
            reader.receive_data(self.wire.receive())
        return event


def _first(head: h11.Response, name: bytes) -> str | None:
    return next((value.decode("latin-1") for each, value in head.headers if each == name), None)


def retry_after_seconds(value: str, wall_clock: float) -> float | None:
    """Return the seconds that a ``Retry-After`` of seconds or a date means; None for neither.

    What is over already is 0.
    """
    seconds = re.fullmatch(r"\s*([+-]?\d{1,10}(\.\d*)?)\s*", value, re.ASCII)
    if seconds is not None:
        return max(0.0, float(seconds[1]))
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - wall_clock)
