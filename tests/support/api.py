"""The API as it misbehaves: a stand-in whose faults a test sets, also while requests come in."""

import random
import threading
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Self, TypedDict, Unpack

from consumer.commands.demo.standin import Fault, Standin, StandinRequest
from tests.support.lateness import Lateness

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

_NOT_FOUND = b'"Segment not found"'
_REFUSED = b'{"meta":{"errors":["one of the ids is not acceptable"]}}'
_KEPT_REQUESTS = 10_000

LOST_BEFORE = Fault(raw=b"", cut_at=0)
"""The connection is closed without an answer, and the request was not applied."""

LOST_ANSWER = Fault(cut_at=0)
"""The connection is closed without an answer, but the request was applied."""


class FaultFields(TypedDict, total=False):
    """The fields of ``Fault``, for keyword arguments."""

    apply_after_seconds: float | None
    delay_seconds: float
    hang: bool
    status: int | None
    body: bytes
    headers: "Mapping[str, str]"
    raw: bytes | None
    drip_seconds: float
    cut_at: int | None
    reset: bool


class FaultyApi(Standin):
    """What a test says last holds from the next request on, from whichever thread.

    What is beyond the capacity is refused at once. Else the first that has something to say about
    a request decides: the script, the segment's fault, the bad ids, chance, the fault for all; a
    delay is added to whatever that is. The credentials check (``region``) knows only its own fault.
    """

    def __init__(
        self, port: int = 0, *, site_id: str = "site", api_key: str = "key", journal: int = 10_000
    ) -> None:
        super().__init__(
            port, site_id=site_id, api_key=api_key, fault=self._fault_of, journal_limit=journal
        )
        self._rules = threading.Lock()
        self._received: deque[StandinRequest] = deque(maxlen=_KEPT_REQUESTS)
        self.lateness = Lateness(_KEPT_REQUESTS)
        self.heal()

    def start(self) -> Self:
        """Serve from now on. Raises OSError if the port is taken."""
        self.lateness.beats.begin()
        super().start()
        self._loop.call_soon_threadsafe(self.lateness.beats.go_on, self._loop)
        return self

    def apply(self, request: StandinRequest) -> None:
        """Let the request take effect, and note when."""
        super().apply(request)
        self.lateness.note(request)

    def heal(self) -> None:
        """Answer as the API does when all is well."""
        with self._rules:
            self._script: deque[Fault | None] = deque()
            self._chance: tuple[random.Random, Sequence[Fault], float] | None = None
            self._segments: dict[int, Fault] = {}
            self._capacity: tuple[int, Fault] | None = None
            self._bad_ids: tuple[frozenset[str], Fault] | None = None
            self._always: Fault | None = None
            self._region: Fault | None = None
            self._delay_seconds = 0.0

    def always(self, **fault: Unpack[FaultFields]) -> None:
        """Misbehave so for every request, until told otherwise."""
        with self._rules:
            self._always = Fault(**fault)

    def hang(self) -> None:
        """Take every request and never answer."""
        self.always(hang=True)

    def script(self, faults: "Iterable[Fault | int | None]") -> None:
        """Treat the next requests so, one by one: a fault, a status alone, or None for no fault."""
        with self._rules:
            self._script = deque(Fault(status=f) if isinstance(f, int) else f for f in faults)

    def by_chance(self, draw: random.Random, faults: "Sequence[Fault]", share: float) -> None:
        """Treat a share of the requests by one of these, until told otherwise; 0 ends that."""
        with self._rules:
            self._chance = (draw, faults, share) if share else None

    def for_segment(self, segment_id: int, **fault: Unpack[FaultFields]) -> None:
        """Misbehave so for one segment: ``for_segment(56, status=404)``. No fault heals it."""
        with self._rules:
            self._segments.pop(segment_id, None)
            if fault:
                self._segments[segment_id] = Fault(**fault)

    def unknown_segment(self, segment_id: int) -> None:
        """Let the segment not exist."""
        self.for_segment(segment_id, status=404, body=_NOT_FOUND)

    def bad_ids(self, ids: "Collection[str]", status: int = 400) -> None:
        """Refuse every request as a whole that has one of these ids in it."""
        with self._rules:
            refusal = Fault(status=status, body=_REFUSED)
            self._bad_ids = (frozenset(ids), refusal) if ids else None

    def capacity(self, in_flight: int | None, status: int = 429, retry_after: str = "") -> None:
        """Refuse what comes while so many are in flight already; makes sense with a delay."""
        headers = {"Retry-After": retry_after} if retry_after else {}
        with self._rules:
            refusal = Fault(status=status, headers=headers)
            self._capacity = None if in_flight is None else (in_flight, refusal)

    def delay(self, seconds: float) -> None:
        """Take so long for every request, whatever else happens to it."""
        with self._rules:
            self._delay_seconds = seconds

    def region(self, **fault: Unpack[FaultFields]) -> None:
        """Misbehave so when the credentials are checked. No fault heals it."""
        with self._rules:
            self._region = Fault(**fault) if fault else None

    def received(self) -> list[StandinRequest]:
        """Return the well-formed requests for segments, with their ids, in order of arrival."""
        with self._rules:
            return list(self._received)

    def _fault_of(self, request: StandinRequest) -> Fault | None:
        with self._rules:
            if request.action == "region":
                return self._region
            self._received.append(request)
            if self._capacity is not None and request.in_flight > self._capacity[0]:
                return self._capacity[1]
            fault = self._first_fault(request)
            if self._delay_seconds:
                fault = fault or Fault()
                delay_seconds = fault.delay_seconds + self._delay_seconds
                fault = replace(fault, delay_seconds=delay_seconds)
            return fault

    def _first_fault(self, request: StandinRequest) -> Fault | None:
        if self._script:
            return self._script.popleft()
        if request.segment_id in self._segments:
            return self._segments[request.segment_id]
        if self._bad_ids is not None and not self._bad_ids[0].isdisjoint(request.ids):
            return self._bad_ids[1]
        if self._chance is not None:
            draw, faults, share = self._chance
            if draw.random() < share:
                return draw.choice(faults)
        return self._always
