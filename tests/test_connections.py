"""Whose answer is whose: a connection that says more than it was asked is nobody's next one."""

import itertools
import json
import math
import random
import re
import select
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consumer import clock
from consumer.core.outcomes import Answer, Answered, Broken, Delivered, outcome_of
from consumer.customerio import client as client_module
from consumer.customerio.connection import Connection
from consumer.customerio.wire import Exchange, Wire
from tests.support.api import FaultyApi
from tests.support.peer import (
    MORE_THAN_BUFFERS,
    NOT_FOUND,
    OK,
    PATIENCE_SECONDS,
    UNAUTHORIZED,
    Peer,
    answer,
    client,
    is_whole,
    request,
)
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
TRAILERS = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\n{}\r\n0;z\r\nX: y\r\n\r\n"
)
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def stays_open(raw: bytes) -> "Callable[[Peer, socket.socket], None]":
    """Answer one request with these bytes; take the next, and never answer it."""

    def turn(peer: Peer, connection: socket.socket) -> None:
        peer.read(connection)
        connection.sendall(raw)
        peer.read(connection)
        peer.read(connection)

    return turn


def answers_of(peer: Peer, requests: int) -> "list[int | Answer]":
    """Return the status of each answer, and what came instead of one."""
    with client(peer.url) as api:
        answers = [api.post(request()) for _ in range(requests)]
    return [each.status if isinstance(each, Answered) else each for each in answers]


# What came with an answer


@pytest.mark.parametrize(
    "unasked", [OK, CHUNKED, TRAILERS, NO_CONTENT, UNAUTHORIZED, b"\r\n", b"0"]
)
@pytest.mark.parametrize("asked", [OK, CHUNKED, TRAILERS, NO_CONTENT, INTERIM])
def test_what_is_glued_to_an_answer_is_never_the_next_one(asked: bytes, unasked: bytes) -> None:
    status = 204 if asked is NO_CONTENT else 200
    with Peer(stays_open(asked + unasked), stays_open(NOT_FOUND)) as peer:
        assert answers_of(peer, 2) == [status, 404]
    assert peer.connections >= 2


@pytest.mark.parametrize("asked", [OK, CHUNKED, TRAILERS, NO_CONTENT, INTERIM])
def test_after_an_answer_that_ends_where_it_ends_the_connection_is_used_again(
    asked: bytes,
) -> None:
    """However it is cut into reads."""

    def turn(peer: Peer, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while peer.read(connection):
            for byte in asked:
                connection.sendall(bytes([byte]))

    with Peer(turn) as peer:
        answers_of(peer, 5)
        assert peer.connections == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_a_connection_that_may_end_is_not_used_again(raw: bytes) -> None:
    with Peer(stays_open(raw), stays_open(NOT_FOUND)) as peer:
        assert answers_of(peer, 2) == [200, 404]


@pytest.mark.parametrize("unasked", [OK, CHUNKED, UNAUTHORIZED, b"\r\n"])
def test_what_comes_while_a_connection_idles_is_never_the_next_answer(unasked: bytes) -> None:
    def turn(peer: Peer, connection: socket.socket) -> None:
        peer.read(connection)
        connection.sendall(OK)
        assert given_back.wait(PATIENCE_SECONDS)
        connection.sendall(unasked)
        said.set()
        peer.read(connection)

    given_back, said = threading.Event(), threading.Event()
    with Peer(turn, answer(NOT_FOUND)) as peer, client(peer.url) as api:
        assert outcome_of(api.post(request())) == Delivered()
        given_back.set()
        assert said.wait(PATIENCE_SECONDS)
        assert api.post(request()) == Answered(404, vouched=True)


# What needs no more than a look


HEADERS = st.lists(
    st.sampled_from(
        [
            b"Content-Length: 2",
            b"content-length: 2",
            b"Content-Length:2 ",
            b"Content-Length: 02",
            b"Content-Length: 3",
            b"Content-Length : 2",
            b"X-Content-Length: 7",
            b"Content-Length-X: 7",
            b"Transfer-Encoding: chunked",
            b"transfer-encoding:identity",
            b"Connection: close",
            b"Connection: keep-alive",
            b"connection: Keep-Alive, close",
            b"Connection: keep-alive\t",
            b"Retry-After: 7",
            b"LOCATION: /elsewhere",
            b"Date: Sun, 06 Nov 1994 08:49:37 GMT",
            b"X:",
            b"X_Y: z",
            b" folded",
            b"no colon",
            b"Odd: \x00",
            b"Odd: \xe9\t",
            b": nameless",
        ]
    ),
    max_size=2,
)
LENGTH = b"Content-Length: 2"
STATUS_LINES = st.just(b"HTTP/1.1 200 OK") | st.sampled_from(
    [
        b"HTTP/1.1 200 ",
        b"HTTP/1.1 200",
        b"HTTP/1.0 200 OK",
        b"http/1.1 200 OK",
        b"HTTP/1.1 100 Continue",
        b"HTTP/1.1 204 OK",
        b"HTTP/1.1 201 OK",
        b"HTTP/1.1 2000 OK",
    ]
)
CHUNKS = b"2\r\n{}\r\n0\r\n\r\n"
BODIES = st.just(b"{}") | st.sampled_from([b"", b"{", b"{}\n", OK, b"0\r\n\r\n", CHUNKS])


@settings(deadline=None, max_examples=300)
@given(
    line=STATUS_LINES,
    headers=st.builds(lambda some, others: [*some, LENGTH, *others], HEADERS, HEADERS) | HEADERS,
    body=BODIES,
    end=st.just(b"\r\n") | st.just(b"\n"),
)
@example(line=b"HTTP/1.1 200 OK", headers=[LENGTH], body=b"{}", end=b"\r\n")
@example(
    line=b"HTTP/1.1 200 OK",
    headers=[b"Transfer-Encoding: chunked", b"Content-Length: %d" % len(CHUNKS)],
    body=CHUNKS,
    end=b"\r\n",
)
def test_what_is_plain_is_to_h11_the_same(
    line: bytes, headers: list[bytes], body: bytes, end: bytes
) -> None:
    """Whatever is answered at once: what it means, and whether the connection may be used again."""
    raw = end.join([line, *headers, b"", body])
    looked_at = outcome_of_answer(raw, Connection.ask)
    read = outcome_of_answer(raw, ask_h11)
    assert looked_at == read


@pytest.mark.parametrize(
    "header",
    [b"Retry-After: 7", b"LOCATION: /x", b"connection: close", b"Connection: keep-alive, close"],
)
def test_a_header_that_tells_something_is_read(header: bytes) -> None:
    for headers in ([header, LENGTH], [LENGTH, header]):
        raw = b"\r\n".join([b"HTTP/1.1 200 OK", *headers, b"", b"{}"])
        assert outcome_of_answer(raw, Connection.ask) == outcome_of_answer(raw, ask_h11)


def ask_h11(connection: Connection, request: bytes) -> Answered:
    connection.wire.ask(request)
    return connection._read(connection.wire.receive())  # noqa: SLF001 - who else would ask it


def outcome_of_answer(
    raw: bytes, ask: "Callable[[Connection, bytes], Answered]"
) -> "tuple[Answered | type[Exception], bool]":
    """Return what comes of a request that is answered so, and whether there may be another."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(Wire(ours, Exchange(clock.now() + PATIENCE_SECONDS, math.inf)))

        def reply() -> None:
            theirs.recv(100)
            theirs.sendall(raw)
            theirs.shutdown(socket.SHUT_WR)

        answering = threading.Thread(target=reply)
        answering.start()
        try:
            answered: Answered | type[Exception] = ask(connection, b"a request")
        except (OSError, h11.RemoteProtocolError) as error:
            answered = type(error)
        answering.join()
        return answered, connection.is_good()


def test_the_answers_of_the_api_need_no_more_than_a_look(
    api: FaultyApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(h11, "Connection")
    with client(api.url) as c:
        for _ in range(3):
            assert c.post(request()) == Answered(200, b"{}")
        assert len(api.connections) == 1


# What came before a request was sent


def says_early(raw: bytes, *, before: bytes = b"") -> "Callable[[Peer, socket.socket], None]":
    """Say this when a part of a request is there; the rest is never read."""

    def turn(peer: Peer, connection: socket.socket) -> None:
        if before:
            peer.read(connection)
            connection.sendall(before)
        connection.recv(64)
        connection.sendall(raw)
        select.select([connection], [], [], PATIENCE_SECONDS)
        hold.wait(PATIENCE_SECONDS)

    hold = threading.Event()
    turn.hold = hold  # type: ignore[attr-defined]  # how the test ends it
    return turn


def test_a_success_before_the_request_was_sent_is_none_and_not_ambiguous() -> None:
    early = says_early(OK)
    with Peer(early) as peer, client(peer.url) as api:
        outcome = api.post(request("x" * MORE_THAN_BUFFERS))
        early.hold.set()  # type: ignore[attr-defined]  # see says_early
    assert isinstance(outcome, Broken)
    assert not outcome.ambiguous


def test_a_refusal_before_the_request_was_sent_is_an_answer_though_nobody_reads_on() -> None:
    """On that connection it is still awaited: the next request goes another way."""
    early = says_early(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
    with Peer(early, answer(OK)) as peer, client(peer.url) as api:
        outcome = api.post(request("x" * MORE_THAN_BUFFERS))
        next_one = api.post(request(deadline=10.0))
        early.hold.set()  # type: ignore[attr-defined]  # see says_early
    assert outcome == Answered(413, b"big")
    assert next_one == Answered(200, b"{}")


@pytest.mark.parametrize("unasked", [OK, UNAUTHORIZED, CONTINUE, b"\r\n"])
def test_on_a_used_connection_what_comes_early_sends_the_request_another_way(
    unasked: bytes,
) -> None:
    """It could be meant for the request before."""
    early = says_early(unasked, before=OK)
    with Peer(early, answer(NOT_FOUND)) as peer, client(peer.url) as api:
        assert outcome_of(api.post(request())) == Delivered()
        outcome = api.post(request("x" * MORE_THAN_BUFFERS))
        early.hold.set()  # type: ignore[attr-defined]  # see says_early
    assert outcome == Answered(404, vouched=True)


def test_an_interim_answer_before_the_request_was_sent_stops_nothing() -> None:
    def turn(peer: Peer, connection: socket.socket) -> None:
        seen = connection.recv(64)
        connection.sendall(CONTINUE + INTERIM.removesuffix(OK))
        while len(seen) < MORE_THAN_BUFFERS:
            seen += connection.recv(1 << 20)
        connection.sendall(OK)
        peer.seen.append(seen[:10])

    with Peer(turn) as peer, client(peer.url) as api:
        assert outcome_of(api.post(request("x" * MORE_THAN_BUFFERS))) == Delivered()


@pytest.mark.parametrize("greeting", [OK, CHUNKED])
def test_a_greeting_is_no_answer(greeting: bytes) -> None:
    def turn(peer: Peer, connection: socket.socket) -> None:
        connection.sendall(greeting)
        said.set()
        peer.read(connection)

    said = threading.Event()
    with Peer(turn) as peer, client(peer.url) as api:
        outcome = api.post(request("x" * MORE_THAN_BUFFERS))
    assert isinstance(outcome, Broken)
    assert not outcome.ambiguous


# All at once


@dataclass
class Gluer:
    """Answers each request with its own id, and now and then says more than it was asked.

    ``unfair``: what is said while the next request goes out can't be told from its answer by
    anybody, so a request that came right behind it is let off.
    """

    seed: int
    unfair: set[str] = field(default_factory=set)
    glued: int = 0
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def __call__(self, peer: Peer, connection: socket.socket) -> None:
        """Be a turn of a peer."""
        draw = random.Random(self.seed + next(self._numbers))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while is_whole(message := bytearray(peer.read(connection))):
            who = json.loads(message.partition(b"\r\n\r\n")[2])["ids"][0]
            own, other = self._answer(draw, who), self._answer(draw, "nobody")
            match draw.randrange(6):
                case 0:
                    connection.sendall(own + other)
                case 1:
                    connection.sendall(own + other[: draw.randrange(1, len(other))])
                case 2:
                    connection.sendall(own)
                    if draw.random() < 0.5:
                        select.select([connection], [], [], draw.random() / 500)
                    connection.sendall(other)
                    if select.select([connection], [], [], 2)[0]:
                        last = peer.read(connection)
                        self.unfair |= set(re.findall(r'"ids":\["([^"]+)"', last.decode()))
                        return
                case _:
                    connection.sendall(own)
                    continue
            self.glued += 1

    def _answer(self, draw: random.Random, who: str) -> bytes:
        body = json.dumps({"for": who}).encode()
        if draw.random() < 0.5:
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        end = draw.choice([b"0\r\n\r\n", b"0;x=y\r\n\r\n", b"0\r\nX: y\r\n\r\n"])
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        return b"%b%x\r\n%b\r\n%b" % (head, len(body), body, end)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_request_ever_counts_anothers_answer(seed: int) -> None:
    def carry(number: int) -> None:
        for n in range(150):
            who = f"{number}-{n}"
            got = api.post(request(who))
            if isinstance(got, Answered):
                counted.append((who, json.loads(got.body)["for"]))

    gluer = Gluer(seed * 1_000_000)
    counted: list[tuple[str, str]] = []
    with Peer(gluer) as peer, client(peer.url) as api:
        threads = [threading.Thread(target=carry, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    wrong = [(who, whose) for who, whose in counted if who != whose and who not in gluer.unfair]
    assert not wrong
    assert gluer.glued > 200
    assert len(counted) > 700
    assert len(gluer.unfair) < len(counted) / 5


# Idle ones


def test_an_idle_connection_is_closed_when_its_time_is_over(
    api: FaultyApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at the next request, which may never come."""
    monkeypatch.setattr(client_module, "_IDLE_SECONDS", 0.5)
    with client(api.url) as c:
        assert outcome_of(c.post(request())) == Delivered()
        started = clock.now()
        eventually(lambda: not api.connections, PATIENCE_SECONDS, "the idle one to be closed")
        assert clock.now() - started > 0.3


def test_connections_outlive_a_default_linger() -> None:
    assert client_module._IDLE_SECONDS > 10.0  # noqa: SLF001 - an hour's test otherwise


def test_a_client_without_work_leaves_no_thread(api: FaultyApi) -> None:
    def closers() -> list[threading.Thread]:
        return [each for each in threading.enumerate() if each.name == "idle-connections"]

    before = len(closers())
    with client(api.url) as c:
        for _ in range(3):
            c.post(request())
        assert len(closers()) == before + 1
    eventually(lambda: len(closers()) <= before, PATIENCE_SECONDS, "the thread to end")
