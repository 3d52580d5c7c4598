"""What an answer of the registry means; Confluent's REST API, which the others speak as well.

Only what says so is believed: a schema is a JSON object with its text, "not found" has the error
codes of a registry. Everything else - a login page, a 404 of a web server, half a JSON - is the
answer of something in its place, or of a registry in trouble, and says nothing about a schema.
What is shown of an answer is never more than its status, size and kind.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import assert_never

import msgspec

from consumer.core.outcomes import Answer, Answered, Broken, TimedOut, Unsent

_NOT_FOUND = {
    40401: "the subject is not found",
    40402: "the version is not found",
    40403: "the schema is not found",
}
_ADVICE: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: ": it refuses the login (SCHEMA_REGISTRY_USERNAME and the like)",
    HTTPStatus.FORBIDDEN: ": the login may not read this",
    HTTPStatus.NOT_FOUND: ", which no registry says of a schema: is the path in its URL right?",
}


class Reference(msgspec.Struct, frozen=True):
    """A schema that another one needs, by the name that it has there."""

    name: str
    subject: str
    version: int


class Entry(msgspec.Struct, frozen=True, rename={"text": "schema", "kind": "schemaType"}):
    """A schema as the registry has it."""

    text: str
    kind: str = "AVRO"
    references: tuple[Reference, ...] | None = None


@dataclass(frozen=True, slots=True)
class NotThere:
    """The registry is there, and doesn't know what it was asked for."""

    detail: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing was learnt; ``detail`` says why, and what to do."""

    detail: str


class _Refusal(msgspec.Struct):
    error_code: int


_entry = msgspec.json.Decoder(Entry).decode
_refusal = msgspec.json.Decoder(_Refusal).decode


def meaning_of(answer: Answer) -> Entry | NotThere | Failed:
    """Return what an answer to a question for one schema means."""
    match answer:
        case Answered():
            return _of_status(answer)
        case TimedOut(detail) | Broken(detail) | Unsent(detail):
            return Failed(detail)
        case _:
            assert_never(answer)


def _of_status(answer: Answered) -> Entry | NotThere | Failed:
    seen, status = _seen(answer), answer.status
    if status == HTTPStatus.OK:
        try:
            return _entry(answer.body)
        except (msgspec.MsgspecError, RecursionError):
            return Failed(f"{seen}, which is no schema: is this a Schema Registry?")
    detail = _NOT_FOUND.get(_error_code(answer.body))
    if status == HTTPStatus.NOT_FOUND and detail is not None:
        return NotThere(detail)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Failed(f"{seen}: a redirect, which is not followed")
    return Failed(seen + _ADVICE.get(status, ""))


def _error_code(body: bytes) -> int:
    try:
        return _refusal(body).error_code
    except (msgspec.MsgspecError, RecursionError):
        return 0


def _seen(answer: Answered) -> str:
    start = answer.body.lstrip()[:1]
    kind = {b"{": "JSON", b"[": "JSON", b'"': "JSON", b"<": "HTML"}.get(start, "text")
    code = _error_code(answer.body)
    said = f" (error code {code})" if code else ""
    size = f"with {len(answer.body)} bytes of {kind}{said}" if start else "with nothing in it"
    return f"it answered {answer.status} {size}"
