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

CREDENTIALS = (
    "CUSTOMERIO_SITE_ID and CUSTOMERIO_API_KEY must be those of the Track API (not an App API key),"
    " of this workspace and region"
)
"""What to do about a login that the API refuses."""


class HoldReason(StrEnum):
    """Why nothing is sent or gets through. The values are the labels of the ``hold`` metric."""

    UNAUTHORIZED = "unauthorized"
    REDIRECT = "redirect"
    NOT_FOUND = "not-found"
    UNEXPECTED_ANSWER = "unexpected-answer"
    DEAD_LETTER_LIMIT = "dead-letter-limit"
    DEAD_LETTER_UNAVAILABLE = "dead-letter-unavailable"
    STALLED = "stalled"
    KAFKA_UNAVAILABLE = "kafka-unavailable"
    API_UNAVAILABLE = "api-unavailable"
    SCHEMA_REGISTRY_UNAVAILABLE = "schema-registry-unavailable"
    PARTITION_STALLED = "partition-stalled"


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
    """The request's deadline passed before the answer was complete.

    ``ambiguous``: it may yet be applied, because the whole request was sent.
    """

    detail: str
    ambiguous: bool = True


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

_LOGIN_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
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
        case TimedOut(detail, ambiguous):
            return Retry(RetryReason.TIMEOUT, detail, ambiguous)
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

    Of a refused login also what to do. Never a word of the body: the API may quote the ids that it
    was sent, and no id of a person belongs there. The dead letter has the excerpt.
    """
    size, start = len(answer.body), answer.body.lstrip()[:1]
    kind = {b"{": "JSON", b"[": "JSON", b'"': "JSON", b"<": "HTML"}.get(start, "text")
    seen = f"{answer.status} with {size} bytes of {kind}" if start else f"{answer.status}, empty"
    login = {HTTPStatus.UNAUTHORIZED} if answer.vouched else _LOGIN_REFUSED
    return f"{seen}: {CREDENTIALS}" if answer.status in login else seen


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
        # Perhaps an intermediary's, which gave up on what the API may yet apply (520 to 524 too).
        return Retry(RetryReason.SERVER, detail, True, wait_seconds)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        target = (answer.location or "").partition("?")[0]
        to = f" to {excerpt(target.encode())}" if target else ""
        return Hold(HoldReason.REDIRECT, f"{status}{to}")
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return _of_success(answer, detail)
    return _refused_or_hold(answer, detail)


def _of_success(answer: Answered, detail: str) -> Delivered | Hold:
    """Believe a success whose body is empty or a JSON object, as the API's is, without errors."""
    body = _object_in(answer.body)
    errors = _errors_in(body or {})
    if body is None or errors or answer.status == HTTPStatus.MULTI_STATUS:
        said = f", with errors, the first of which {_shown(errors[0])}" if errors else ""
        return Hold(HoldReason.UNEXPECTED_ANSWER, detail + said)
    return Delivered()


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


def _object_in(body: bytes) -> dict[str, object] | None:
    """Return a body's JSON object, an empty one for nothing; None if it is something else."""
    try:
        found = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _errors_in(body: dict[str, object]) -> list[object]:
    """Return what the body calls errors, at the top or under ``meta`` as in the API's refusals."""
    meta = body.get("meta")
    found: list[object] = []
    for place in (body, meta if isinstance(meta, dict) else {}):
        for errors in (place.get("errors"), place.get("error")):
            if errors:
                found += errors if isinstance(errors, list) else [errors]
    return found


def _shown(error: object) -> str:
    """Return what can't be an id of an error: its kind, as the API's own words name it."""
    if not isinstance(error, dict):
        return f"is {'a text' if isinstance(error, str) else 'no object'}"
    named = {name: error.get(name) for name in ("reason", "type", "code", "field")}
    words = [f"{name} {word}" for name, word in named.items() if _is_word(word)]
    return f"has {', '.join(words)}" if words else "is an object"


def _is_word(value: object) -> bool:
    """Whether a text is lower-case letters of ASCII and ``_``: no number, no address."""
    letters = value.replace("_", "") if isinstance(value, str) else ""
    return letters.isascii() and letters.isalpha() and letters.islower()
