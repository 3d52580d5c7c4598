"""What goes over a connection to Kafka, request by request: answers that are lost, or refused."""

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.tcp_proxy import Meddler

PRODUCE = 0
FETCH = 1
LIST_OFFSETS = 2
OFFSET_COMMIT = 8
SASL_HANDSHAKE = 17
CONSUMER_GROUP_HEARTBEAT = 68
OF_A_MEMBER = frozenset({FETCH, OFFSET_COMMIT, 9, 11, 12, 14, CONSUMER_GROUP_HEARTBEAT})
"""What only a member of a group asks: Fetch, its offsets, both protocols' heartbeats, joining."""

_SIZE = struct.Struct(">i")
_REQUEST = struct.Struct(">hhi")  # which API, its version, the request's number
_NUMBER = struct.Struct(">i")
_ERROR = struct.Struct(">h")
_ERROR_AT = 4 + 1 + 4  # behind the number, no tags, the throttle time: of flexible versions


class Frames:
    """Cuts a stream into frames; a frame goes on when it is complete."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, chunk: bytes) -> "list[bytes]":
        """Return the frames that are complete now, without their sizes."""
        self._rest += chunk
        frames = []
        while len(self._rest) >= _SIZE.size:
            end = _SIZE.size + _SIZE.unpack_from(self._rest)[0]
            if len(self._rest) < end:
                break
            frames.append(self._rest[_SIZE.size : end])
            self._rest = self._rest[end:]
        return frames


class Deaf:
    """While ``is_deaf``, no answer gets through on the connections that it is deaf to.

    ``to`` is asked with the APIs of all that was asked on one.
    """

    def __init__(self, to: "Callable[[set[int]], bool]") -> None:
        self.is_deaf = False
        self._to = to

    def __call__(self) -> "Meddler":
        """Return what meddles with a connection."""
        requests = Frames()
        asked: set[int] = set()

        def meddle(is_answer: bool, chunk: bytes) -> bytes:
            if not is_answer:
                asked.update(_REQUEST.unpack_from(frame)[0] for frame in requests.take(chunk))
            return b"" if is_answer and self.is_deaf and self._to(asked) else chunk

        return meddle


class Logins:
    """Counts, on each connection, how often somebody begins to log in."""

    def __init__(self) -> None:
        self.by_connection: list[int] = []

    def __call__(self) -> "Meddler":
        """Return what looks at a connection."""
        requests = Frames()
        at = len(self.by_connection)
        self.by_connection.append(0)

        def meddle(is_answer: bool, chunk: bytes) -> bytes:
            if not is_answer:
                asked = [_REQUEST.unpack_from(frame)[0] for frame in requests.take(chunk)]
                self.by_connection[at] += asked.count(SASL_HANDSHAKE)
            return chunk

        return meddle


def answers_of(
    api: int, change: "Callable[[bytes], bytes | None]", count: "Callable[[], bool]"
) -> "Callable[[], Meddler]":
    """Return what meddles with the answers of one API as long as ``count`` says so.

    ``change`` returns what comes instead; None: nothing, ever.
    """

    def meddler() -> "Meddler":
        frames = {False: Frames(), True: Frames()}
        asked: set[int] = set()

        def meddle(is_answer: bool, chunk: bytes) -> bytes:
            passed = []
            for frame in frames[is_answer].take(chunk):
                if not is_answer:
                    key, _, number = _REQUEST.unpack_from(frame)
                    if key == api:
                        asked.add(number)
                kept: bytes | None = frame
                if is_answer and (number := _NUMBER.unpack_from(frame)[0]) in asked:
                    asked.discard(number)
                    kept = change(frame) if count() else frame
                if kept is not None:
                    passed.append(_SIZE.pack(len(kept)) + kept)
            return b"".join(passed)

        return meddle

    return meddler


def lost(_: bytes) -> None:
    """Let an answer never come."""


def broken_off(_: bytes) -> None:
    """End the connection in place of an answer."""
    raise ConnectionResetError


def refused(code: int) -> "Callable[[bytes], bytes]":
    """Let an answer of a flexible version, whose body begins with its error, say this error."""

    def refuse(frame: bytes) -> bytes:
        return frame[:_ERROR_AT] + _ERROR.pack(code) + frame[_ERROR_AT + _ERROR.size :]

    return refuse
