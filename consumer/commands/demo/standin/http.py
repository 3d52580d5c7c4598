"""HTTP/1.1 as far as the stand-in speaks it: a request off a buffer, a reply to bytes."""

from collections.abc import Mapping
from dataclasses import dataclass

_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request, not understood yet."""

    method: bytes
    path: str
    query: str
    headers: dict[bytes, bytes]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def encoded(self) -> bytes:
        """Return it as bytes."""
        lines = [f"HTTP/1.1 {self.status} ", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join(lines).encode("latin-1") + _HEAD_END + self.body


def take_request(buffer: bytearray) -> HttpRequest | None:
    """Take the first request off the buffer, if it is whole. Raises ValueError if it is no HTTP."""
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
    return HttpRequest(method, path, query, headers, body)
