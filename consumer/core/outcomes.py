"""What a request's answer means for the ids that it carried.

The API gives one status for a whole request: no result per id, no counts, no idempotency key. Error
bodies come in at least four shapes and may not be JSON, so only the status decides, and for a 2xx
whether the body is the API's at all (a proxy's login page is a 200 too).

An *answer* is what the HTTP side saw; an *outcome* is what the pipeline does about it:

    Answered | TimedOut | Broken | Unsent   -->   Delivered | Retry | Refused | Hold | Unsent
"""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import assert_never

EXCERPT_CHARACTERS = 300


class HoldReason(StrEnum):
    """Why nothing is sent. The values are the labels of the ``hold`` metric."""

    UNAUTHORIZED = "unauthorized"
    REDIRECT = "redirect"
    NOT_FOUND = "not-found"
    UNEXPECTED_ANSWER = "unexpected-answer"
    DEAD_LETTER_LIMIT = "dead-letter-limit"
    DEAD_LETTER_UNAVAILABLE = "dead-letter-unavailable"
    STALLED = "stalled"
    KAFKA_UNAVAILABLE = "kafka-unavailable"


class RetryReason(StrEnum):
    """Why a request is tried again. The values are the labels of ``retries_total``."""

    THROTTLED = "throttled"
    SERVER = "server"
    TIMEOUT = "timeout"
    CONNECTION = "connection"


@dataclass(frozen=True, slots=True)
class Answered:
    """The API, or something in its place, answered completely.

    ``vouched`` says that this URL and these credentials are known to be right: for a 403 because
    ``/api/v1/accounts/region`` accepted them just now, for a 404 because of that or of an earlier
    delivery. It means nothing for other statuses. ``retry_after_seconds`` is the ``Retry-After``
    header's, whichever form it had, from the moment of the answer; ``vouching_seconds`` went into
    asking, after the answer.
    """

    status: int
    body: bytes = b""
    retry_after_seconds: float | None = None
    location: str | None = None
    vouched: bool = False
    vouching_seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The request's deadline passed before the answer was complete. It may yet be applied."""

    detail: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The connection failed or the answer was cut short.

    ``ambiguous`` is false only where nothing of the request can have reached the API (name
    resolution, connection refused, TLS handshake): such an attempt can't be applied later.
    """

    detail: str
    ambiguous: bool = True


@dataclass(frozen=True, slots=True)
class Unsent:
    """The lease was over before the last byte went out: the API can't have taken it."""

    detail: str


Answer = Answered | TimedOut | Broken | Unsent


@dataclass(frozen=True, slots=True)
class Delivered:
    """The API accepted all ids of the request."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again, for ever. ``ambiguous``: the API may yet apply the failed attempt."""

    reason: RetryReason
    detail: str
    ambiguous: bool
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The API will never take this request. ``whole``: whatever ids are in it.

    ``detail`` quotes the answer, so it is for the dead letter alone; logs and status get `summary`.
    """

    status: int
    detail: str
    whole: bool

    @property
    def summary(self) -> str:
        """Return what may be shown to anybody."""
        return f"refused by the API with {self.status}"


@dataclass(frozen=True, slots=True)
class Hold:
    """Something is wrong that is not the records' fault: credentials, URL, region, a proxy."""

    reason: HoldReason
    detail: str


Outcome = Delivered | Retry | Refused | Hold | Unsent

_GAVE_UP_WAITING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}
"""Answers of an intermediary that waited for the API in vain: it may yet apply the request."""

_HOLDS: dict[int, HoldReason] = {
    HTTPStatus.UNAUTHORIZED: HoldReason.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN: HoldReason.UNAUTHORIZED,
    HTTPStatus.NOT_FOUND: HoldReason.NOT_FOUND,
}
"""What a status that is not the ids' fault holds for; any other is an unexpected answer."""


def outcome_of(answer: Answer) -> Outcome:
    """Return what ``answer`` means. Pure; the table is in deploy/reference.md."""
    match answer:
        case Answered():
            return _of_status(answer)
        case TimedOut(detail):
            return Retry(RetryReason.TIMEOUT, detail, ambiguous=True)
        case Broken(detail, ambiguous):
            return Retry(RetryReason.CONNECTION, detail, ambiguous)
        case Unsent():
            return answer
        case _:
            assert_never(answer)


def status_label(answer: Answer) -> str | None:
    """Return an attempt's label of ``requests_total``; None if it never went out."""
    match answer:
        case Answered(status):
            return str(status)
        case TimedOut():
            return "timeout"
        case Broken():
            return "connection"
        case Unsent():
            return None
        case _:
            assert_never(answer)


def error_of(outcome: Outcome) -> str:
    """Return what went wrong, for logs and status; empty for a delivery."""
    match outcome:
        case Delivered():
            return ""
        case Refused():
            return outcome.summary
        case Retry(detail=detail) | Hold(detail=detail) | Unsent(detail=detail):
            return detail
        case _:
            assert_never(outcome)


def summary(answer: Answered) -> str:
    """Return status, kind and size of an answer, for logs and status.

    Never a word of the body: the API may quote the ids that it was sent, and no id of a person
    belongs there. The dead letter has the excerpt.
    """
    size, start = len(answer.body), answer.body.lstrip()[:1]
    kind = {b"{": "JSON", b"[": "JSON", b'"': "JSON", b"<": "HTML"}.get(start, "text")
    return f"{answer.status} with {size} bytes of {kind}" if start else f"{answer.status}, empty"


def excerpt(body: bytes) -> str:
    """Return the start of a body of unknown kind as one printable line."""
    text = body[: 4 * EXCERPT_CHARACTERS].decode(errors="replace")
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    whole = len(line) <= EXCERPT_CHARACTERS and len(body) <= 4 * EXCERPT_CHARACTERS
    return line if whole else line[:EXCERPT_CHARACTERS] + "…"


def _of_status(answer: Answered) -> Outcome:
    status, wait_seconds = answer.status, answer.retry_after_seconds
    detail = summary(answer)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Retry(RetryReason.THROTTLED, detail, False, wait_seconds)
    if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Retry(RetryReason.SERVER, detail, status in _GAVE_UP_WAITING, wait_seconds)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        target = (answer.location or "").partition("?")[0]
        to = f" to {excerpt(target.encode())}" if target else ""
        return Hold(HoldReason.REDIRECT, f"{status}{to}")
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES and _is_the_apis(answer.body):
        return Delivered()
    return _refused_or_hold(answer, detail)


def _quoted(answer: Answered) -> str:
    return f"{answer.status} {excerpt(answer.body)}".rstrip()


def _refused_or_hold(answer: Answered, detail: str) -> Refused | Hold:
    match answer.status:
        case (
            HTTPStatus.BAD_REQUEST
            | HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            | HTTPStatus.UNPROCESSABLE_ENTITY
        ):
            return Refused(answer.status, _quoted(answer), whole=False)
        case HTTPStatus.FORBIDDEN if answer.vouched:
            return Refused(answer.status, _quoted(answer), whole=False)
        case HTTPStatus.NOT_FOUND if answer.vouched:
            return Refused(answer.status, _quoted(answer), whole=True)
        case status:
            return Hold(_HOLDS.get(status, HoldReason.UNEXPECTED_ANSWER), detail)


def _is_the_apis(body: bytes) -> bool:
    """Whether a success's body is empty or a JSON object, as the API's is."""
    if not body.strip():
        return True
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False
