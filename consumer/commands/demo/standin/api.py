"""What the API understands of a request and says to it: its rules, in its words."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

import msgspec

from consumer import clock
from consumer.commands.demo.standin.http import HttpRequest, Reply

_ID_TYPES = ("id", "email", "cio_id")
_MAX_IDS = 1000
_MAX_SEGMENT_ID = 2**31 - 1
_ACTIONS = {"add_customers": "add", "remove_customers": "remove"}

JSON = {"Content-Type": "application/json"}
ACCEPTED = Reply(200, b"{}", JSON).encoded()
_UNAUTHORIZED = Reply(
    401,
    b'{"meta":{"error":"Unauthorized request"}}',
    JSON | {"WWW-Authenticate": 'Basic realm="Application"'},
)


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
    ids: Sequence[str] = ()


def understand(http: HttpRequest, authorization: bytes, in_flight: int) -> StandinRequest | Reply:
    """Check a request as the API does; return it, or what is wrong with it."""
    if http.headers.get(b"authorization") != authorization:
        return _UNAUTHORIZED
    match http.method, http.path.split("/")[1:]:
        case b"GET", ["api", "v1", "accounts", "region"]:
            return StandinRequest(clock.now(), in_flight, "region")
        case b"POST", ["api", "v1", "segments", segment, path] if path in _ACTIONS:
            return _changes(http, in_flight, segment, _ACTIONS[path])
        case _:
            return refusal("not found", 404)


class _Body(msgspec.Struct):
    ids: list[str]


_decode_body = msgspec.json.Decoder(_Body).decode


def _changes(
    http: HttpRequest, in_flight: int, segment: str, action: str
) -> StandinRequest | Reply:
    if not (segment.isascii() and segment.isdecimal() and 0 < int(segment) <= _MAX_SEGMENT_ID):
        return refusal("segment_id must be an int32")
    id_type = parse_qs(http.query).get("id_type", ["id"])[-1]
    if id_type not in _ID_TYPES:
        return refusal("id_type must be one of " + ", ".join(_ID_TYPES))
    try:
        ids = _decode_body(http.body).ids
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return refusal(str(error))
    if not 0 < len(ids) <= _MAX_IDS:
        return refusal(f"ids must have 1 to {_MAX_IDS} items")
    return StandinRequest(clock.now(), in_flight, action, int(segment), id_type, ids)


def region(url: str) -> bytes:
    """Return the answer to the credentials check."""
    answer = {"url": url, "region": "us", "environment_id": 3}
    return Reply(200, msgspec.json.encode(answer), JSON).encoded()


def refusal(problem: str, status: int = 400) -> Reply:
    """Return a refusal in the API's words."""
    return Reply(status, msgspec.json.encode({"meta": {"errors": [problem]}}), JSON)
