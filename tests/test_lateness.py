"""What the stand-in applied too late is told from what the daemon sent too soon."""

import contextlib
import threading
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest

from consumer import clock
from tests.support.lateness import Applied, was_overtaken
from tests.support.waiting import PATIENCE_SECONDS, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.api import FaultyApi

TIMEOUT = 2.0
ADD = "/api/v1/segments/56/add_customers?id_type=id"
BASIC = {"Authorization": "Basic c2l0ZTprZXk="}  # site:key
STILL_SECONDS = 0.5

BEFORE = Applied(1.0, 1.1, "remove")
RIGHT = Applied(14.0, 14.1, "add")
LATE = Applied(10.0, 14.2, "remove")
IN_TIME = Applied(13.0, 14.2, "remove")
SENT_LATER = Applied(14.15, 17.0, "remove")


@pytest.mark.parametrize(
    ("applied", "expected"),
    [
        ([BEFORE, RIGHT, LATE], True),
        ([BEFORE, RIGHT, IN_TIME], False),
        ([BEFORE, RIGHT, LATE, IN_TIME], False),
        ([BEFORE, RIGHT, SENT_LATER], False),
        ([BEFORE, LATE], False),
        ([RIGHT, LATE, RIGHT], False),
        ([], False),
    ],
    ids=["late", "in time", "one of two", "sent after it", "without it", "right", "nothing"],
)
def test_only_what_was_there_for_longer_than_the_timeout_may_overtake(
    applied: list[Applied], expected: bool
) -> None:
    assert was_overtaken("add", applied, TIMEOUT) == expected


def test_what_lay_in_a_socket_while_the_standin_stood_still_came_before_it_was_read(
    api: "FaultyApi",
) -> None:
    """On a new connection and on one that it knows."""
    stands_still, goes_on = threading.Event(), threading.Event()

    def stand_still() -> None:
        stands_still.set()
        goes_on.wait()

    with connected(api) as known, connected(api) as new:
        ask(known, "somebody")
        answered(known)
        api._loop.call_soon_threadsafe(stand_still)  # noqa: SLF001 - nothing else stops it so
        assert stands_still.wait(PATIENCE_SECONDS)
        ask(known, "one")
        ask(new, "other")
        asked_at = clock.now()
        rest_is_over = (asked_at + STILL_SECONDS).__lt__
        eventually(clock.now, PATIENCE_SECONDS, "the end of its rest", until=rest_is_over)
        goes_on.set()
        answered(known)
        answered(new)
    for name in ("one", "other"):
        (applied,) = api.lateness.applied(56, name)
        assert applied.came_at < asked_at < asked_at + STILL_SECONDS < applied.applied_at
        assert applied.is_late(STILL_SECONDS)


def test_what_comes_to_a_standin_that_was_away_came_after_that(api: "FaultyApi") -> None:
    with connected(api) as connection:
        ask(connection, "before")
        answered(connection)
    api.stop()
    came_back_at = clock.now()
    api.start()
    with connected(api) as connection:
        ask(connection, "after")
        answered(connection)
    (before,) = api.lateness.applied(56, "before")
    (after,) = api.lateness.applied(56, "after")
    assert before.came_at <= before.applied_at < came_back_at < after.came_at <= after.applied_at


@contextlib.contextmanager
def connected(api: "FaultyApi") -> "Iterator[HTTPConnection]":
    connection = HTTPConnection("127.0.0.1", api.port, timeout=PATIENCE_SECONDS)
    with contextlib.closing(connection):
        yield connection


def ask(connection: HTTPConnection, name: str) -> None:
    connection.request("POST", ADD, f'{{"ids":["{name}"]}}', BASIC)


def answered(connection: HTTPConnection) -> None:
    assert connection.getresponse().read() == b"{}"
