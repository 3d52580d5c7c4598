"""What the API does to requests, within what it promises its clients.

It applies a request at once, well before the client's timeout, or never: what is applied later than
that no client can put right.
"""

import time
from email.utils import formatdate
from typing import TYPE_CHECKING

from consumer.commands.demo.standin import Fault
from tests.chaos.plan import REQUEST_SECONDS
from tests.support.api import LOST_ANSWER, LOST_BEFORE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LATE = 0.3 * REQUEST_SECONDS
_AFTERWARDS = 0.65 * REQUEST_SECONDS  # what is left is for the way, and for a busy machine
_PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>"


def faults(kind: str) -> "Sequence[Fault]":
    """Return what may become of a request in this weather."""
    return [fault for each in _all().values() for fault in each] if kind == "all" else _all()[kind]


def _all() -> "Mapping[str, Sequence[Fault]]":
    in_two_seconds = formatdate(time.time() + 2, usegmt=True)
    return {
        "lost": (LOST_ANSWER, LOST_BEFORE, Fault(reset=True), Fault(raw=b"", reset=True)),
        "late": (
            Fault(delay_seconds=_LATE),
            Fault(delay_seconds=_LATE, apply_after_seconds=0),
        ),
        "afterwards": (
            Fault(raw=b"", cut_at=0, apply_after_seconds=_AFTERWARDS),
            Fault(raw=b"", reset=True, apply_after_seconds=_AFTERWARDS),
            Fault(status=502, apply_after_seconds=_AFTERWARDS),
        ),
        "hanging": (Fault(hang=True), Fault(hang=True, apply_after_seconds=0)),
        "failing": (
            Fault(status=500),
            Fault(status=500, apply_after_seconds=0, delay_seconds=0.1),
            Fault(status=503, headers={"Retry-After": "1"}),
            Fault(status=408),
            Fault(status=502),
            Fault(status=504, apply_after_seconds=_LATE),
        ),
        "throttled": (
            Fault(status=429),
            Fault(status=429, headers={"Retry-After": "1"}),
            Fault(status=429, headers={"Retry-After": in_two_seconds}),
        ),
        "cut short": (
            *(Fault(cut_at=length) for length in (1, 20, 40, 60)),
            Fault(drip_seconds=0.01),
            Fault(drip_seconds=0.2),  # never done in time
        ),
        "mistaken": (
            Fault(status=401),
            Fault(status=301, headers={"Location": "https://elsewhere.example/"}),
            Fault(status=418),
            Fault(raw=_PAGE),
        ),
    }
