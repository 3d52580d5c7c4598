"""What each answer of the API means (the table of outcomes, row by row)."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.core.outcomes import (
    EXCERPT_CHARACTERS,
    Answered,
    Broken,
    Delivered,
    Hold,
    HoldReason,
    Refused,
    Retry,
    RetryReason,
    TimedOut,
    Unsent,
    error_of,
    excerpt,
    outcome_of,
    status_label,
    summary,
)

ERRORS = b'{"meta":{"errors":["no"]}}'
ERRORS_TEXT = '{"meta":{"errors":["no"]}}'


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
@pytest.mark.parametrize("body", [b"", b" \r\n", b"{}", b'{"a": [1]}\n', "\ufeff{}".encode()])
def test_a_success_with_nothing_or_an_object_in_it_is_a_delivery(status: int, body: bytes) -> None:
    assert outcome_of(Answered(status, body)) == Delivered()


@pytest.mark.parametrize(
    "body",
    [
        b"<html><title>Log in</title></html>",
        b"[]",
        b"null",
        b'"ok"',
        b"1",
        b"OK",
        b"{",
        b"{} {}",
        b"\xff\xfe\x00",
        b"\x1f\x8b\x08\x00",
        b"[" * 100_000,
        b"1" * 5_000,
        b"{}" + "…".encode(),
    ],
    ids=lambda body: repr(body[:12]),
)
def test_a_success_that_is_not_the_apis_holds(body: bytes) -> None:
    outcome = outcome_of(Answered(200, body))
    assert outcome == Hold(HoldReason.UNEXPECTED_ANSWER, summary(Answered(200, body)))


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b'{"errors":["bob@example.com is unknown","x"]}', "is a text"),
        (200, b'{"meta":{"errors":["bob"]}}', "is a text"),
        (202, b'{"meta":{"error":"bob"}}', "is a text"),
        (200, b'{"error":{"bob":"bob"}}', "is an object"),
        (200, b'{"errors":{"bob":["bob"]}}', "is an object"),
        (200, b'{"errors":[7]}', "is no object"),
        (200, b'{"errors":[{"reason":"bob@example.com","field":"a7","code":7}]}', "is an object"),
        (
            207,
            b'{"errors":[{"batch_index":1,"reason":"invalid","field":"id_type","message":"bob"}]}',
            "has reason invalid, field id_type",
        ),
    ],
)
def test_a_success_that_says_errors_holds_and_shows_their_kind(
    status: int, body: bytes, said: str
) -> None:
    """Never an id: the text of an error may quote one."""
    outcome = outcome_of(Answered(status, body))
    detail = f"{summary(Answered(status, body))}, with errors, the first of which {said}"
    assert outcome == Hold(HoldReason.UNEXPECTED_ANSWER, detail)
    assert "bob" not in detail


@pytest.mark.parametrize("body", [b"", b"{}", b'{"errors":[]}'])
def test_a_207_holds(body: bytes) -> None:
    outcome = outcome_of(Answered(207, body))
    assert outcome == Hold(HoldReason.UNEXPECTED_ANSWER, summary(Answered(207, body)))


@pytest.mark.parametrize(
    "body", [b'{"errors":[]}', b'{"errors":null,"error":""}', b'{"meta":{"errors":[]}}']
)
def test_no_errors_are_a_delivery(body: bytes) -> None:
    assert outcome_of(Answered(200, body)) == Delivered()


def test_throttling_is_retried_when_the_api_says() -> None:
    answer = Answered(429, b"slow down", retry_after_seconds=7.5)
    throttled = Retry(RetryReason.THROTTLED, "429 with 9 bytes of text", False, 7.5)
    assert outcome_of(answer) == throttled


@pytest.mark.parametrize("status", [408, *range(500, 600), 700])
def test_a_server_error_is_retried_and_may_yet_be_applied(status: int) -> None:
    """It may be that of an intermediary that gave up waiting."""
    outcome = outcome_of(Answered(status, b"", retry_after_seconds=3.0))
    assert outcome == Retry(RetryReason.SERVER, f"{status}, empty", True, 3.0)


def test_a_429_was_not_applied() -> None:
    outcome = outcome_of(Answered(429, b"", retry_after_seconds=3.0))
    assert outcome == Retry(RetryReason.THROTTLED, "429, empty", False, 3.0)


def test_a_timeout_is_retried_and_may_yet_be_applied() -> None:
    assert outcome_of(TimedOut("late")) == Retry(RetryReason.TIMEOUT, "late", ambiguous=True)
    early = TimedOut("late", ambiguous=False)
    assert outcome_of(early) == Retry(RetryReason.TIMEOUT, "late", ambiguous=False)


@pytest.mark.parametrize("ambiguous", [True, False])
def test_a_broken_connection_is_retried_and_says_whether_it_may_yet_be_applied(
    ambiguous: bool,
) -> None:
    answer = Broken("reset", ambiguous=ambiguous)
    assert outcome_of(answer) == Retry(RetryReason.CONNECTION, "reset", ambiguous)


def test_what_was_not_sent_comes_back_as_it_is() -> None:
    assert outcome_of(Unsent("the lease")) == Unsent("the lease")


@pytest.mark.parametrize("vouched", [True, False])
def test_wrong_credentials_hold(vouched: bool) -> None:
    outcome = outcome_of(Answered(401, ERRORS, vouched=vouched))
    assert outcome == Hold(HoldReason.UNAUTHORIZED, summary(Answered(401, ERRORS)))


def test_a_403_holds_unless_the_credentials_are_known_to_be_right() -> None:
    held = Hold(HoldReason.UNAUTHORIZED, summary(Answered(403, ERRORS)))
    assert outcome_of(Answered(403, ERRORS)) == held
    refused = Refused(403, f"403 {ERRORS_TEXT}", whole=False)
    assert outcome_of(Answered(403, ERRORS, vouched=True)) == refused


def test_a_404_holds_until_the_url_is_known_to_be_right() -> None:
    body = b'"Segment not found"'
    detail = '404 "Segment not found"'
    held = Hold(HoldReason.NOT_FOUND, "404 with 19 bytes of JSON")
    assert outcome_of(Answered(404, body)) == held
    assert outcome_of(Answered(404, body, vouched=True)) == Refused(404, detail, whole=True)


@pytest.mark.parametrize("vouched", [True, False])
@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refusal_may_be_for_one_id_of_many(status: int, vouched: bool) -> None:
    outcome = outcome_of(Answered(status, ERRORS, vouched=vouched))
    assert outcome == Refused(status, f"{status} {ERRORS_TEXT}", whole=False)
    empty = outcome_of(Answered(status, b"", vouched=vouched))
    assert empty == Refused(status, f"{status}", whole=False)


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308, 399])
def test_a_redirect_holds_and_says_where_to(status: int) -> None:
    answer = Answered(status, b"moved", location="https://track-eu.customer.io/api")
    to = f"{status} to https://track-eu.customer.io/api"
    assert outcome_of(answer) == Hold(HoldReason.REDIRECT, to)
    assert outcome_of(Answered(status)) == Hold(HoldReason.REDIRECT, f"{status}")


def test_the_place_of_a_redirect_is_one_short_line() -> None:
    outcome = outcome_of(Answered(301, location="https://x/\x1b[31m\n" + "y" * 100_000))
    assert isinstance(outcome, Hold)
    assert outcome.detail.isprintable()
    assert len(outcome.detail) < EXCERPT_CHARACTERS + 20


@pytest.mark.parametrize(
    "status", [100, 101, 199, 402, 405, 406, 409, 410, 411, 415, 418, 451, 499]
)
@pytest.mark.parametrize("vouched", [True, False])
def test_any_other_answer_holds(status: int, vouched: bool) -> None:
    outcome = outcome_of(Answered(status, b"huh", vouched=vouched))
    assert outcome == Hold(HoldReason.UNEXPECTED_ANSWER, f"{status} with 3 bytes of text")


@settings(deadline=None)
@given(st.integers(100, 999), st.binary(max_size=40), st.booleans())
def test_every_answer_means_something(status: int, body: bytes, vouched: bool) -> None:
    """I10: nothing is refused but by the statuses that refuse."""
    outcome = outcome_of(Answered(status, body, vouched=vouched))
    assert not isinstance(outcome, Refused) or status in {400, 403, 404, 413, 422}
    assert not isinstance(outcome, Delivered) or 200 <= status < 300


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text().filter(lambda name: "error" not in name), st.integers() | st.text() | st.none()
    )
)
def test_whatever_object_the_api_answers_with_is_a_delivery(answer: dict[str, object]) -> None:
    assert outcome_of(Answered(200, json.dumps(answer).encode())) == Delivered()


def test_each_try_has_its_label() -> None:
    assert status_label(Answered(503)) == "503"
    assert status_label(TimedOut("")) == "timeout"
    assert status_label(Broken("")) == "connection"
    assert status_label(Unsent("")) is None


def test_only_a_refusal_quotes_the_answer_for_its_dead_letter() -> None:
    """No id of a person appears in logs or status, though the API may quote one."""
    quoting = b'{"meta":{"errors":["anna@example.com is unknown"]}}'
    for status in (200, 302, 401, 403, 404, 405, 408, 429, 500):
        outcome = outcome_of(Answered(status, quoting + b"?", location="/?id=anna@example.com"))
        assert "anna" not in str(outcome)
    refused = outcome_of(Answered(400, quoting))
    assert isinstance(refused, Refused)
    assert "anna@example.com" in refused.detail
    assert "anna" not in refused.summary


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        (b" ", "200, empty"),
        (b" {}", "200 with 3 bytes of JSON"),
        (b"[]", "200 with 2 bytes of JSON"),
        (b'"ok"', "200 with 4 bytes of JSON"),
        (b"\n<html> ", "200 with 8 bytes of HTML"),
        (b"OK", "200 with 2 bytes of text"),
    ],
)
def test_a_summary_says_how_much_of_what_was_answered(body: bytes, seen: str) -> None:
    assert summary(Answered(200, body)) == seen


def test_each_outcome_has_its_words_for_logs_and_status() -> None:
    assert error_of(Delivered()) == ""
    assert error_of(Refused(400, "400 anna", whole=False)) == "refused by the API with 400"
    assert error_of(Retry(RetryReason.TIMEOUT, "late", ambiguous=True)) == "late"
    assert error_of(Hold(HoldReason.REDIRECT, "301")) == "301"
    assert error_of(Unsent("the lease")) == "the lease"


def test_an_excerpt_is_one_line() -> None:
    assert (
        excerpt(b"<html>\r\n  <b>bad\tgateway</b>\x00\x1b[1m\n") == "<html> <b>bad gateway</b> [1m"
    )
    assert excerpt(b"") == ""
    assert excerpt("größer".encode("latin-1")) == "gr��er"


@pytest.mark.parametrize("character", ["a", "ß", "€", "😀"])
def test_an_excerpt_shows_that_it_was_cut(character: str) -> None:
    whole = character * EXCERPT_CHARACTERS
    assert excerpt(whole.encode()) == whole
    assert excerpt((whole + character).encode()) == whole + "…"
    assert excerpt(b"a" + b" " * 10 * EXCERPT_CHARACTERS) == "a…"


@settings(deadline=None)
@given(st.binary(max_size=2_000))
def test_an_excerpt_is_short_and_printable_whatever_was_answered(body: bytes) -> None:
    line = excerpt(body)
    assert line.isprintable()
    assert len(line) <= EXCERPT_CHARACTERS + 1


def test_the_summary_of_a_refused_login_says_what_to_do() -> None:
    seen = summary(Answered(401, b'{"meta": {"error": "anna@example.com"}}'))
    assert seen.startswith("401 with 39 bytes of JSON: CUSTOMERIO_SITE_ID and CUSTOMERIO_API_KEY")
    assert "anna" not in seen
    assert summary(Answered(403)).startswith("403, empty: CUSTOMERIO_SITE_ID and")
    assert summary(Answered(403, vouched=True)) == "403, empty"
