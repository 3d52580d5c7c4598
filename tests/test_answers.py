"""What a registry's answers mean: a schema, not there, or nothing at all."""

import json

import pytest

from consumer.core.outcomes import Answer, Answered, Broken, TimedOut, Unsent
from consumer.core.schemas.answers import Entry, Failed, NotThere, Reference, meaning_of

SECRET = "hunter2-in-the-answer"


def answered(status: int, body: object) -> Answered:
    return Answered(status, body if isinstance(body, bytes) else json.dumps(body).encode())


def test_a_schema_is_an_object_with_its_text() -> None:
    assert meaning_of(answered(200, {"schema": '"string"'})) == Entry('"string"')
    assert meaning_of(
        answered(
            200,
            {
                "subject": "s",
                "id": 7,
                "version": 2,
                "schemaType": "PROTOBUF",
                "schema": "x",
                "references": [{"name": "a.proto", "subject": "a", "version": 3, "more": 1}],
            },
        )
    ) == Entry("x", "PROTOBUF", (Reference("a.proto", "a", 3),))
    assert meaning_of(answered(200, {"schema": "x", "references": None})) == Entry("x")


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        (40401, "the subject is not found"),
        (40402, "the version is not found"),
        (40403, "the schema is not found"),
    ],
)
def test_not_there_is_what_a_registry_says_so_of(code: int, detail: str) -> None:
    body = {"error_code": code, "message": SECRET}
    assert meaning_of(answered(404, body)) == NotThere(detail)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (answered(200, b""), "200 with nothing in it, which is no schema"),
        (answered(200, b"<html>" + SECRET.encode()), "bytes of HTML, which is no schema"),
        (answered(200, {"schema": 7}), "bytes of JSON, which is no schema"),
        (answered(200, {"schemaType": "AVRO"}), "which is no schema"),
        (answered(200, {"schema": "x", "references": [{"name": "y"}]}), "which is no schema"),
        (answered(200, b'{"schema": "x"'), "which is no schema"),
        (answered(200, b"[" * 100_000), "which is no schema"),
        (answered(204, b""), "it answered 204 with nothing in it"),
        (answered(404, b"<html>"), "which no registry says of a schema: is the path"),
        (answered(404, {"error_code": 404}), "(error code 404), which no registry says"),
        (answered(404, {"error_code": "40403"}), "which no registry says"),
        (answered(401, {"error_code": 40101, "message": SECRET}), "it refuses the login"),
        (answered(401, {"error_code": 40403}), "it refuses the login"),
        (answered(403, SECRET), "the login may not read this"),
        (answered(302, b""), "a redirect, which is not followed"),
        (answered(429, b""), "it answered 429"),
        (answered(500, {"error_code": 50001}), "it answered 500"),
        (answered(503, SECRET), "it answered 503 with 23 bytes of JSON"),
        (TimedOut("connecting timed out"), "connecting timed out"),
        (Broken("refused"), "refused"),
        (Unsent("not sent"), "not sent"),
    ],
    ids=range(21),
)
def test_everything_else_is_a_failure_in_words(answer: Answer, says: str) -> None:
    found = meaning_of(answer)
    assert isinstance(found, Failed)
    assert says in found.detail
    assert SECRET not in found.detail
