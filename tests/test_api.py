"""One request over real sockets: what became of it, and what the API can have seen of it."""

import base64
import contextlib
import gzip
import itertools
import json
import math
import socket
import ssl
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer import clock
from consumer.commands.demo.standin import Fault, Standin
from consumer.core.outcomes import (
    Answer,
    Answered,
    Broken,
    Delivered,
    Hold,
    HoldReason,
    TimedOut,
    Unsent,
    outcome_of,
)
from consumer.customerio import client as client_module
from consumer.customerio.api import Api, Request
from consumer.customerio.connection import retry_after_seconds
from tests.support.api import LOST_ANSWER, LOST_BEFORE, FaultyApi
from tests.support.certificates import need_openssl
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
    from collections.abc import Callable, Iterator
    from pathlib import Path

SOON_SECONDS = 0.2  # a deadline that is meant to pass
SLACK_SECONDS = 1.5  # what a busy machine may add to it
DRIP_SECONDS = 0.02


def seen_by(peer: Peer) -> bytes:
    """Return what arrived of the first request, when its client is gone."""
    return eventually(lambda: peer.seen, PATIENCE_SECONDS, "the end of the connection")[0]


def drip(raw: bytes, for_ever: bytes) -> "Callable[[Peer, socket.socket], None]":
    """Answer with these bytes, then with those again and again until the client goes."""

    def turn(peer: Peer, connection: socket.socket) -> None:
        peer.read(connection)
        connection.sendall(raw)
        while True:
            connection.sendall(for_ever)
            time.sleep(DRIP_SECONDS)  # it is slow: that is what it is for

    return turn


def silence(peer: Peer, connection: socket.socket) -> None:
    """Take one request, or whatever it is, and wait until the client goes."""
    peer.read(connection)
    peer.read(connection)


def answer_to(raw: bytes) -> Answer:
    """Return what comes of a request that is answered with these bytes."""
    with Peer(answer(raw)) as peer, client(peer.url) as api:
        return api.post(request())


# What is sent


@pytest.mark.parametrize("action", ["add", "remove"])
@pytest.mark.parametrize("id_type", ["id", "email", "cio_id"])
def test_a_request_is_as_the_api_wants_it(action: str, id_type: str) -> None:
    with Peer(answer(OK)) as peer, client(peer.url + "/") as api:
        sent = request("größer", '"quoted"', action=action, id_type=id_type, segment_id=2**31 - 1)
        assert api.post(sent) == Answered(200, b"{}")
    head, _, body = peer.seen[0].partition(b"\r\n\r\n")
    line, *headers = head.decode("ascii").split("\r\n")
    path = f"/api/v1/segments/2147483647/{action}_customers?id_type={id_type}"
    assert line == f"POST {path} HTTP/1.1"
    assert json.loads(body) == {"ids": ["größer", '"quoted"']}
    assert sorted(headers) == [
        "Accept-Encoding: identity",
        "Accept: application/json",
        "Authorization: Basic " + base64.b64encode(b"site:key").decode(),
        "Connection: keep-alive",
        f"Content-Length: {len(body)}",
        "Content-Type: application/json",
        f"Host: 127.0.0.1:{peer.port}",
        "User-Agent: segment-consumer/1.2.3",
    ]


def test_a_url_may_have_a_path() -> None:
    with Peer(answer(OK)) as peer, client(peer.url + "/a proxy/%20é/") as api:
        api.post(request())
    assert peer.seen[0].startswith(b"POST /a%20proxy/%20%C3%A9/api/v1/segments/56/add_customers?")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://track.example", "track.example"),
        ("http://user:word@track.example:80", "track.example"),
        ("http://[::1]:8080/x", "[::1]:8080"),
        ("http://bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_the_host_header_is_as_in_the_url(
    url: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Peer(answer(OK)) as peer, client(url) as api:
        resolve_to(monkeypatch, ("127.0.0.1", peer.port))
        assert api.post(request()) == Answered(200, b"{}")
    assert f"\r\nHost: {host}\r\n".encode() in peer.seen[0]


@pytest.mark.parametrize("url", ["", "track.example", "ftp://x", "http://", "http://x:port"])
def test_a_url_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|[Pp]ort"):
        Api(url, ("site", "key"), timeout_seconds=1, max_connections=1)


@pytest.mark.parametrize("proxy_url", ["https://proxy.example:3128", "socks5://x", "http://"])
def test_a_proxy_that_cannot_be_used_is_refused_at_once(proxy_url: str) -> None:
    with pytest.raises(ValueError, match="proxy"):
        Api("http://x", ("", ""), timeout_seconds=1, max_connections=1, proxy_url=proxy_url)


@pytest.mark.parametrize("credentials", [("größe", "ключ"), ("", ""), ("a:b", "c d")])
def test_credentials_may_be_any_text(credentials: tuple[str, str]) -> None:
    site_id, api_key = credentials
    with (
        FaultyApi(site_id=site_id, api_key=api_key) as server,
        client(server.url, credentials) as c,
    ):
        assert outcome_of(c.post(request())) == Delivered()


# Connections


def test_a_connection_is_used_again(api: FaultyApi) -> None:
    with client(api.url) as c:
        for _ in range(10):
            assert c.post(request()) == Answered(200, b"{}")
        assert len(api.connections) == 1


def test_threads_share_a_client(api: FaultyApi) -> None:
    def carry(number: int) -> None:
        answers.extend(c.post(request(f"customer-{number}-{n}")) for n in range(250))

    answers: list[Answer] = []
    with client(api.url) as c:
        threads = [threading.Thread(target=carry, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(api.connections) <= 8
    assert set(answers) == {Answered(200, b"{}")}
    assert len(api.members(56)) == len(answers) == 2000


def test_a_connection_that_the_server_closed_is_not_used_again(api: FaultyApi) -> None:
    """Users of every client report resets of idle keep-alive connections."""
    with client(api.url) as c:
        c.post(request())
        api.close_connections()
        eventually(lambda: not api.connections, PATIENCE_SECONDS, "the connection to be closed")
        assert c.post(request()) == Answered(200, b"{}")


def test_a_connection_is_not_used_after_a_few_idle_seconds(
    api: FaultyApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_IDLE_SECONDS", 0.0)
    with client(api.url) as c:
        used = set()
        for _ in range(3):
            assert c.post(request()) == Answered(200, b"{}")
            used |= set(api.connections)
        assert len(used) == 3
        what = "those before the last to be closed"
        eventually(lambda: len(api.connections), PATIENCE_SECONDS, what, until=(1).__eq__)


def post_side_by_side(c: Api, api: FaultyApi, requests: int) -> None:
    """Leave so many connections idle."""
    api.delay(0.3)
    threads = [threading.Thread(target=c.post, args=(request(),)) for _ in range(requests)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    api.delay(0.0)
    assert len(api.connections) == requests


def test_of_many_connections_none_is_used_that_the_server_closed(api: FaultyApi) -> None:
    with client(api.url) as c:
        post_side_by_side(c, api, 4)
        api.close_connections()
        eventually(lambda: not api.connections, PATIENCE_SECONDS, "them to be closed")
        assert c.post(request()) == Answered(200, b"{}")


def test_connections_that_are_not_needed_any_more_are_closed(
    api: FaultyApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_IDLE_SECONDS", 0.5)

    def remaining() -> int:
        assert c.post(request()) == Answered(200, b"{}")
        return len(api.connections)

    with client(api.url) as c:
        post_side_by_side(c, api, 4)
        eventually(remaining, PATIENCE_SECONDS, "the surplus to be closed", until=(1).__eq__)


@pytest.mark.parametrize("unasked", [OK, b"\r\n", UNAUTHORIZED])
def test_what_the_server_says_unasked_is_never_the_next_answer(unasked: bytes) -> None:
    with Peer(answer(OK + unasked), answer(NOT_FOUND)) as peer, client(peer.url) as api:
        assert api.post(request()).status == 200  # type: ignore[union-attr]  # fails if it is none
        assert api.post(request()).status == 404  # type: ignore[union-attr]  # the same
    assert peer.connections >= 2


def test_no_more_connections_are_kept_than_allowed(api: FaultyApi) -> None:
    api.delay(0.3)
    with contextlib.closing(
        Api(api.url, ("site", "key"), timeout_seconds=9, max_connections=2)
    ) as c:
        threads = [threading.Thread(target=c.post, args=(request(),)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert api.counters().peak_in_flight > 2
        what = "the surplus to be closed"
        eventually(lambda: len(api.connections), PATIENCE_SECONDS, what, until=range(1, 3).count)


def test_a_closed_client_leaves_nothing_open(api: FaultyApi) -> None:
    """Also of what was in a thread's hands when it was closed."""
    api.delay(0.3)
    with client(api.url) as c:
        c.post(request())
        late = threading.Thread(target=c.post, args=(request(),))
        late.start()
        what = "the second request"
        eventually(lambda: api.counters().requests, PATIENCE_SECONDS, what, until=(2).__eq__)
    late.join()
    eventually(lambda: not api.connections, PATIENCE_SECONDS, "the connection to be closed")


# The deadline


@pytest.mark.parametrize(
    ("raw", "for_ever"),
    [
        (b"HTTP/1.1 200 ", b"O"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b" "),
    ],
    ids=["status", "header", "continue", "length", "chunked", "until-close"],
)
def test_an_answer_that_drips_ends_at_the_deadline(raw: bytes, for_ever: bytes) -> None:
    with Peer(drip(raw, for_ever)) as peer, client(peer.url) as api:
        started = clock.now()
        outcome = api.post(request(deadline=SOON_SECONDS))
        assert outcome == TimedOut("the deadline passed while awaiting the answer")
        assert SOON_SECONDS <= clock.now() - started < SOON_SECONDS + SLACK_SECONDS


def test_an_answer_that_drips_in_time_is_an_answer(api: FaultyApi) -> None:
    api.always(drip_seconds=0.001)
    with client(api.url) as c:
        assert c.post(request()) == Answered(200, b"{}")


def test_what_is_not_answered_times_out_and_its_connection_is_reset() -> None:
    """Or the kernel would go on sending a request that was given up."""
    with Peer(silence) as peer:
        with client(peer.url) as api:
            started = clock.now()
            assert isinstance(api.post(request(deadline=SOON_SECONDS)), TimedOut)
            assert SOON_SECONDS <= clock.now() - started < SOON_SECONDS + SLACK_SECONDS
        eventually(lambda: peer.was_reset, PATIENCE_SECONDS, "the reset")


def test_a_server_that_does_not_read_times_out() -> None:
    def look_away(_: Peer, connection: socket.socket) -> None:
        connection.recv(1)
        gone.wait(PATIENCE_SECONDS)

    gone = threading.Event()
    with Peer(look_away) as peer, client(peer.url) as api:
        outcome = api.post(request("x" * MORE_THAN_BUFFERS, deadline=5 * SOON_SECONDS))
        gone.set()
    assert outcome == TimedOut("the deadline passed while sending", ambiguous=False)


def test_a_handshake_that_hangs_times_out() -> None:
    with Peer(silence) as peer, client(f"https://127.0.0.1:{peer.port}") as api:
        outcome = api.post(request(deadline=SOON_SECONDS))
    assert outcome == TimedOut(
        "the deadline passed while shaking hands with 127.0.0.1", ambiguous=False
    )


def test_a_deadline_that_passed_before_is_a_timeout(api: FaultyApi) -> None:
    with client(api.url) as c:
        assert isinstance(c.post(request(deadline=-1)), TimedOut)
    assert api.counters().requests == 0


def test_a_name_that_is_resolved_too_late_has_timed_out(
    api: FaultyApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = MovedClock(monkeypatch)

    def resolve(*_: object, **__: object) -> list[tuple[object, ...]]:
        moved.seconds = PATIENCE_SECONDS
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", api.port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with client(api.url) as c:
        outcome = c.post(request())
    assert outcome == TimedOut(
        f"the deadline passed while connecting to 127.0.0.1:{api.port}", ambiguous=False
    )
    assert api.counters().requests == 0


def test_an_answer_that_was_slept_through_has_timed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that was suspended sees the answer at once when it wakes up."""

    def suspend(peer: Peer, connection: socket.socket) -> None:
        peer.read(connection)
        moved.seconds = PATIENCE_SECONDS
        connection.sendall(OK)

    moved = MovedClock(monkeypatch)
    with Peer(suspend) as peer, client(peer.url) as api:
        assert isinstance(api.post(request()), TimedOut)


class MovedClock:
    """The clock, so many seconds ahead."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        now = clock.now
        monkeypatch.setattr(clock, "now", lambda: now() + self.seconds)


# The lease


def test_after_the_lease_nothing_is_sent(api: FaultyApi) -> None:
    with client(api.url) as c:
        assert isinstance(c.post(request(lease=0)), Unsent)
        c.post(request(lease=PATIENCE_SECONDS))  # over a connection that is open already
        assert isinstance(c.post(request("late", lease=0)), Unsent)
    assert api.counters().requests == 1
    assert "late" not in api.members(56)


def test_a_request_is_unsent_exactly_if_the_server_did_not_see_all_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """I5: whenever the lease ends, also between two parts of a request."""
    seen: set[int] = set()
    body = "x" * 4_000_000
    for lease in range(1, 200):
        monkeypatch.setattr(clock, "now", itertools.count(0.0).__next__)
        with Peer(answer(OK)) as peer:
            with client(peer.url) as api:
                sent = Request(56, "add", "id", (body,), deadline=1e5, lease_end=float(lease))
                outcome = api.post(sent)
            if outcome == Answered(200, b"{}"):
                assert is_whole(bytearray(seen_by(peer)))
                break
            assert isinstance(outcome, Unsent)
            assert not is_whole(bytearray(seen_by(peer)))
            seen.add(len(seen_by(peer)))
    else:
        pytest.fail("it was never sent at all")
    assert len(seen) > 5, "the lease ended before, between and within the parts"


def test_a_process_that_was_frozen_while_it_waited_writes_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """I5: the wait for the socket may end long after the lease."""

    def freeze(peer: Peer, connection: socket.socket) -> None:
        connection.recv(1)
        moved.seconds = 2.0
        peer.read(connection)

    moved = MovedClock(monkeypatch)
    with Peer(freeze) as peer, client(peer.url) as api:
        outcome = api.post(request("x" * MORE_THAN_BUFFERS, lease=1.0))
        assert outcome == Unsent("the lease was over before the request was sent completely")
        assert len(seen_by(peer)) < MORE_THAN_BUFFERS


def test_a_lease_that_ends_while_waiting_to_write_is_noticed_in_time() -> None:
    stop = threading.Event()
    with Peer(lambda *_: stop.wait(PATIENCE_SECONDS)) as peer, client(peer.url) as api:
        started = clock.now()
        outcome = api.post(request("x" * MORE_THAN_BUFFERS, lease=SOON_SECONDS))
        assert clock.now() - started < SOON_SECONDS + SLACK_SECONDS
        stop.set()
    assert isinstance(outcome, Unsent)


def test_an_answer_after_the_lease_counts(api: FaultyApi) -> None:
    api.delay(2 * SOON_SECONDS)
    with client(api.url) as c:
        assert outcome_of(c.post(request(lease=SOON_SECONDS))) == Delivered()


# Broken


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
    ids=repr,
)
def test_an_answer_cut_short_is_never_a_success(raw: bytes) -> None:
    outcome = answer_to(raw)
    assert isinstance(outcome, Broken)
    assert outcome.ambiguous


@pytest.mark.parametrize(
    "raw",
    [
        b"customer-1 is no HTTP\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03customer-1\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\ncustomer-1\r\n\r\n",
        b"HTTP/1.1 999999 customer-1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncustomer-1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: customer-1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: customer-1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ncustomer-1\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"customer-1" * 100_000,
    ],
    ids=lambda raw: repr(raw[-30:]),
)
def test_an_answer_that_is_no_http_is_a_broken_connection(raw: bytes) -> None:
    outcome = answer_to(raw)
    assert isinstance(outcome, Broken)
    assert outcome.ambiguous
    assert "customer-1" not in outcome.detail


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\n{}", Answered(200, b"{}")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Answered(204)),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, Answered(200, b"{}")),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;x\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
            Answered(200, b"{}"),
        ),
    ],
    ids=["until-close", "nothing", "interim", "chunked"],
)
def test_an_unusual_answer_is_an_answer(raw: bytes, expected: Answered) -> None:
    assert answer_to(raw) == expected


@pytest.mark.parametrize("reset", [True, False])
def test_a_connection_lost_before_the_answer_is_ambiguous(api: FaultyApi, reset: bool) -> None:
    api.always(raw=b"", cut_at=0, reset=reset)
    with client(api.url) as c:
        outcome = c.post(request())
    assert isinstance(outcome, Broken)
    assert outcome.ambiguous
    assert outcome.detail.startswith("awaiting the answer: ")


def test_lost_before_and_lost_after_cannot_be_told_apart(api: FaultyApi) -> None:
    api.script([LOST_BEFORE, LOST_ANSWER])
    with client(api.url) as c:
        assert c.post(request("a")) == c.post(request("b"))
    assert api.members(56) == {"b"}


def test_a_refused_connection_is_not_ambiguous() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with client(f"http://127.0.0.1:{port}") as api:
        detail = f"connecting to 127.0.0.1:{port}: Connection refused"
        assert api.post(request()) == Broken(detail, ambiguous=False)


def test_a_name_that_is_not_known_is_not_ambiguous(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with client("http://track.example") as api:
        detail = "connecting to track.example:80: Name or service not known"
        assert api.post(request()) == Broken(detail, ambiguous=False)


def test_every_address_of_a_name_is_tried(api: FaultyApi, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()
    resolve_to(monkeypatch, closed, ("127.0.0.1", api.port))
    with client("http://track.example") as c:
        assert outcome_of(c.post(request())) == Delivered()


def test_an_address_that_does_not_answer_leaves_time_for_the_next(
    api: FaultyApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken IPv6 route must not use up the time of IPv4, request after request."""
    with full_backlog() as deaf:
        resolve_to(monkeypatch, deaf, ("127.0.0.1", api.port))
        with client("http://track.example") as c:
            assert outcome_of(c.post(request(deadline=2.0))) == Delivered()
        resolve_to(monkeypatch, deaf)
        with client("http://track.example") as c:
            outcome = c.post(request(deadline=SOON_SECONDS))
    assert outcome == TimedOut(
        "the deadline passed while connecting to track.example:80", ambiguous=False
    )


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    """Let every name have these addresses."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


@contextlib.contextmanager
def full_backlog() -> "Iterator[tuple[str, int]]":
    """Give an address where nobody accepts and the kernel drops what comes."""
    with contextlib.ExitStack() as open_sockets:
        listener = open_sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            waiting = open_sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()


def test_an_early_answer_counts_although_the_request_could_not_be_sent() -> None:
    """A server like nginx answers 413 and closes while a big body is still on its way."""

    def refuse(_: Peer, connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")

    with Peer(refuse) as peer, client(peer.url) as api:
        for _ in range(2):
            assert api.post(request("x" * MORE_THAN_BUFFERS)) == Answered(413, b"big")
    assert peer.connections == 2


def test_the_kernel_gives_up_with_us(api: FaultyApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a dead process had written is not sent for a quarter of an hour."""
    if not hasattr(socket, "TCP_USER_TIMEOUT"):
        pytest.skip("this system has no TCP_USER_TIMEOUT")
    options: list[tuple[object, ...]] = []

    class Noted(socket.socket):
        def setsockopt(self, *option: Any) -> None:  # noqa: ANN401 - overloaded
            options.append(option)
            super().setsockopt(*option)

    monkeypatch.setattr(socket, "socket", Noted)
    with client(api.url, timeout_seconds=1.5) as c:
        c.post(request())
    assert (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1500) in options


# Answers


def test_a_redirect_is_not_followed(api: FaultyApi) -> None:
    api.always(status=301, headers={"Location": "https://track-eu.customer.io/"})
    with client(api.url) as c:
        expected = Answered(301, location="https://track-eu.customer.io/")
        assert c.post(request()) == expected
    assert api.counters().requests == 1


@pytest.mark.parametrize("target", ["https://[", "//", "http://x:port/", ""])
def test_a_redirect_to_nowhere_is_a_redirect(api: FaultyApi, target: str) -> None:
    api.always(status=302, headers={"Location": target})
    with client(api.url) as c:
        assert c.post(request()) == Answered(302, location=target)


def test_cookies_are_not_kept() -> None:
    with Peer(answer(OK.replace(b"Content", b"Set-Cookie: a=b\r\nContent"))) as peer:
        with client(peer.url) as c:
            for _ in range(2):
                assert c.post(request()) == Answered(200, b"{}")
        assert b"cookie" not in b"".join(peer.seen).lower()


def test_a_huge_body_is_not_read_and_no_success() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n{}" + b" " * 200_000
    with Peer(drip(raw, b" ")) as peer, client(peer.url) as api:
        outcome = api.post(request())
        assert isinstance(outcome, Answered)
        assert len(outcome.body) < 70_000
        meaning = outcome_of(outcome)
        assert isinstance(meaning, Hold)
        assert meaning.reason is HoldReason.UNEXPECTED_ANSWER


def test_the_longest_body_that_is_read_whole_is_a_success(api: FaultyApi) -> None:
    api.always(status=200, body=b"{}" + b" " * (64 * 1024 - 2))
    with client(api.url) as c:
        assert outcome_of(c.post(request())) == Delivered()
        api.always(status=200, body=b"{}" + b" " * (64 * 1024 - 1))
        assert outcome_of(c.post(request())) != Delivered()


def test_a_compressed_body_is_not_unpacked(api: FaultyApi) -> None:
    bomb = gzip.compress(b"{}" + b" " * 50_000_000)
    api.always(status=200, body=bomb[:60_000], headers={"Content-Encoding": "gzip"})
    with client(api.url) as c:
        outcome = c.post(request())
    assert isinstance(outcome, Answered)
    assert outcome.body == bomb[:60_000]
    assert isinstance(outcome_of(outcome), Hold)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("9999999999", 9999999999.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 60.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 60.0),
        ("Sun Nov  6 08:49:37 1994", 60.0),
        ("Sun, 06 Nov 1994 08:49:37 -0000", 60.0),
        ("Sun, 06 Nov 1994 10:49:37 +0200", 60.0),
        ("Sun, 06 Nov 1994 08:48:00 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("1e3", None),
        ("inf", None),
        ("nan", None),
        ("٣", None),
        ("12345678901", None),
        ("9" * 5_000, None),
        ("1, 2", None),
        ("Sun, 06 Nov", None),
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37 +9999999999", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    wall_clock = datetime(1994, 11, 6, 8, 48, 37, tzinfo=UTC).timestamp()
    assert retry_after_seconds(value, wall_clock) == seconds


@settings(deadline=None)
@given(st.text() | st.datetimes().map(format_datetime) | st.from_regex(r"[0-9 :,+-]{1,30}"))
def test_no_retry_after_is_fatal(value: str) -> None:
    seconds = retry_after_seconds(value, 0.0)
    assert seconds is None or 0 <= seconds < math.inf


def test_retry_after_counts_from_the_answer(api: FaultyApi) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    with client(api.url) as c:
        for status, value, low, high in [
            (429, "17", 17, 17),
            (503, date, 100 - PATIENCE_SECONDS, 100),
        ]:
            api.always(status=status, headers={"retry-after": value})
            outcome = c.post(request())
            assert isinstance(outcome, Answered)
            assert outcome.status == status
            assert outcome.retry_after_seconds is not None
            assert low <= outcome.retry_after_seconds <= high
        api.always(status=429, headers={"Retry-After": "later"})
        assert c.post(request()) == Answered(429)


# Who vouches for a 403 or 404


def test_the_region_tells_whether_the_credentials_are_right(api: FaultyApi) -> None:
    with client(api.url) as c:
        outcome = c.region()
        assert isinstance(outcome, Answered)
        assert json.loads(outcome.body)["region"] == "us"
    with client(api.url, ("site", "wrong")) as c:
        outcome = c.region()
        assert isinstance(outcome, Answered)
        assert outcome.status == 401


def test_a_403_is_vouched_for_by_the_region_each_time(api: FaultyApi) -> None:
    with client(api.url) as c:
        c.post(request())
        api.always(status=403)
        assert c.post(request()) == Answered(403, vouched=True)
        api.region(status=401)
        assert c.post(request()) == Answered(403, vouched=False)
    assert api.counters().region_requests == 2


def test_how_long_it_took_to_ask_what_an_answer_means_is_told(api: FaultyApi) -> None:
    api.always(status=403)
    with client(api.url) as c:
        started = clock.now()
        answer = c.post(request())
        seconds = clock.now() - started
    assert isinstance(answer, Answered)
    assert 0 < answer.vouching_seconds < seconds


@pytest.mark.long("variants of what one shows", keep=("403",))
@pytest.mark.parametrize("status", [403, 404])
def test_a_region_that_does_not_answer_as_the_api_vouches_for_nothing(
    api: FaultyApi, status: int
) -> None:
    api.always(status=status)
    with client(api.url, timeout_seconds=SOON_SECONDS) as c:
        api.region(hang=True)  # asked until the request's deadline
        assert c.post(request(deadline=5)) == Answered(status, vouched=False)
        api.region(raw=b"", cut_at=0)
        assert c.post(request()) == Answered(status, vouched=False)
        for answered in (200, 201, 301, 401, 403, 404, 429, 500):
            api.region(status=answered, body=b"{}" if answered != 200 else b"<html>")
            assert c.post(request()) == Answered(status, vouched=False)
        for body in (b"", b"[]", b"{", b"[" * 10_000, b'"us"', b"null", b'{"a": "\xff"}'):
            api.region(status=200, body=body)
            assert c.post(request()) == Answered(status, vouched=False)
        api.region()
        assert c.post(request()) == Answered(status, vouched=True)


def test_a_404_is_vouched_for_by_an_earlier_delivery(api: FaultyApi) -> None:
    api.unknown_segment(57)
    with client(api.url) as c:
        c.post(request(segment_id=56))
        expected = Answered(404, b'"Segment not found"', vouched=True)
        assert c.post(request(segment_id=57)) == expected
    assert api.counters().region_requests == 0


@pytest.mark.parametrize("first", [{"status": 500}, {"status": 200, "body": b"<html>"}])
def test_a_404_is_vouched_for_by_the_region_until_something_was_delivered(
    api: FaultyApi, first: dict[str, int]
) -> None:
    api.always(**first)  # type: ignore[arg-type]  # no delivery, whatever else it is
    api.unknown_segment(57)
    with client(api.url) as c:
        c.post(request())
        expected = Answered(404, b'"Segment not found"', vouched=True)
        for _ in range(3):
            assert c.post(request(segment_id=57)) == expected
    assert api.counters().region_requests == 1, "an accepted one vouches from then on"


def test_other_credentials_have_to_be_vouched_for_anew() -> None:
    answers = (OK, NOT_FOUND, NOT_FOUND, UNAUTHORIZED)
    closing = [raw.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) for raw in answers]
    with Peer(*map(answer, closing)) as peer, client(peer.url) as api:
        assert outcome_of(api.post(request())) == Delivered()
        assert not api.reload_credentials(("site", "key")), "they are the same"
        assert api.post(request()) == Answered(404, vouched=True)
        assert api.reload_credentials(("site", "new key"))
        assert api.post(request()) == Answered(404, vouched=False)
    credentials = base64.b64encode(b"site:new key")
    assert [credentials in seen for seen in peer.seen] == [False, False, True, True]


# TLS


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> "Path":
    """Make a certificate for 127.0.0.1 that signs itself; its key is in the same file."""
    need_openssl()
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        f" -subj /CN=stand-in -addext subjectAltName=IP:127.0.0.1 -keyout {path} -out {path}.crt"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    path.write_text(path.read_text() + path.with_suffix(".pem.crt").read_text())
    return path


@pytest.fixture
def secure_api(certificate: "Path") -> "Iterator[Standin]":
    with Standin(ssl_context=server_context(certificate)) as server:
        yield server


def server_context(certificate: "Path") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_server_is_trusted_by_ssl_cert_file(secure_api: Standin, certificate: "Path") -> None:
    ids = tuple(f"customer-{n:0100}" for n in range(1_000))
    with client(secure_api.url, ssl_cert_file=str(certificate)) as c:
        for _ in range(3):
            assert c.post(request(*ids)) == Answered(200, b"{}")
        assert len(secure_api.connections) == 1
    assert secure_api.members(56) == set(ids)


def test_a_server_is_not_trusted_without(secure_api: Standin) -> None:
    with client(secure_api.url) as c:
        outcome = c.post(request())
    assert isinstance(outcome, Broken)
    assert not outcome.ambiguous
    assert "its certificate is of an unknown authority" in outcome.detail
    assert secure_api.counters().requests == 0


def test_a_certificate_for_another_name_is_not_trusted(
    secure_api: Standin, certificate: "Path"
) -> None:
    url = secure_api.url.replace("127.0.0.1", "localhost")
    with client(url, ssl_cert_file=str(certificate)) as c:
        outcome = c.post(request())
    assert isinstance(outcome, Broken)
    assert not outcome.ambiguous
    assert "certificate is not valid for 'localhost'" in outcome.detail


def test_a_file_without_certificates_is_refused_at_once(tmp_path: "Path") -> None:
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(OSError, match="certificate"):
        Api(
            "https://x",
            ("", ""),
            timeout_seconds=1,
            max_connections=1,
            ssl_cert_file=str(tmp_path / "empty.pem"),
        )


def test_a_server_that_speaks_no_tls_is_not_ambiguous() -> None:
    def refuse(_: Peer, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with Peer(refuse) as peer, client(peer.url.replace("http:", "https:")) as c:
        outcome = c.post(request())
    assert isinstance(outcome, Broken)
    assert not outcome.ambiguous


def test_over_tls_an_answer_that_ends_without_a_goodbye_is_cut(certificate: "Path") -> None:
    """Whoever cuts a TCP connection could shorten an answer that ends with its connection."""

    def cut(peer: Peer, connection: socket.socket) -> None:
        secured = server_context(certificate).wrap_socket(connection, server_side=True)
        peer.read(secured)
        secured.sendall(b"HTTP/1.1 200 OK\r\n\r\n{}")
        secured.close()

    with Peer(cut) as peer:
        url = peer.url.replace("http:", "https:")
        with client(url, ssl_cert_file=str(certificate)) as c:
            outcome = c.post(request())
    assert isinstance(outcome, Broken)
    assert outcome.ambiguous


def test_over_tls_the_lease_and_the_deadline_hold_too(
    secure_api: Standin, certificate: "Path"
) -> None:
    secure_api.fault = lambda _: Fault(hang=True)
    with client(secure_api.url, ssl_cert_file=str(certificate)) as c:
        assert isinstance(c.post(request(lease=0)), Unsent)
        assert isinstance(c.post(request(deadline=SOON_SECONDS)), TimedOut)
    assert secure_api.counters().requests == 1


def test_over_tls_a_frozen_process_writes_no_more_either(
    certificate: "Path", monkeypatch: pytest.MonkeyPatch
) -> None:
    def freeze(peer: Peer, connection: socket.socket) -> None:
        with server_context(certificate).wrap_socket(connection, server_side=True) as secured:
            secured.recv(1)
            moved.seconds = 2.0
            with contextlib.suppress(ssl.SSLError):
                peer.read(secured)

    moved = MovedClock(monkeypatch)
    with Peer(freeze) as peer:
        url = peer.url.replace("http:", "https:")
        with client(url, ssl_cert_file=str(certificate)) as c:
            assert isinstance(c.post(request("x" * MORE_THAN_BUFFERS, lease=1.0)), Unsent)
        assert len(seen_by(peer)) < MORE_THAN_BUFFERS


def test_over_tls_the_lease_is_looked_at_before_each_record(
    certificate: "Path", monkeypatch: pytest.MonkeyPatch
) -> None:
    """I5: more than one at a time would be several writes of the socket after one look."""

    def turn(peer: Peer, connection: socket.socket) -> None:
        with server_context(certificate).wrap_socket(connection, server_side=True) as secured:
            peer.read(secured)
            secured.sendall(OK)

    looks = itertools.count(0.0)
    monkeypatch.setattr(clock, "now", looks.__next__)
    size, record = 1_000_000, 16_384
    with Peer(turn) as peer:
        url = peer.url.replace("http:", "https:")
        with client(url, ssl_cert_file=str(certificate)) as c:
            sent = Request(56, "add", "id", ("x" * size,), deadline=1e6, lease_end=1e6)
            assert c.post(sent) == Answered(200, b"{}")
    assert next(looks) > size / record


def test_over_tls_a_server_that_does_not_read_times_out(certificate: "Path") -> None:
    def look_away(_: Peer, connection: socket.socket) -> None:
        with server_context(certificate).wrap_socket(connection, server_side=True):
            gone.wait(PATIENCE_SECONDS)

    gone = threading.Event()
    with Peer(look_away) as peer:
        url = peer.url.replace("http:", "https:")
        with client(url, ssl_cert_file=str(certificate)) as c:
            outcome = c.post(request("x" * MORE_THAN_BUFFERS, deadline=5 * SOON_SECONDS))
        gone.set()
    assert outcome == TimedOut("the deadline passed while sending", ambiguous=False)


# Proxies


def tunnel(port: int) -> "Callable[[Peer, socket.socket], None]":
    """Be a proxy: answer CONNECT, then carry bytes both ways."""

    def turn(peer: Peer, connection: socket.socket) -> None:
        peer.read(connection)
        with socket.create_connection(("127.0.0.1", port)) as upstream:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n")
            back = threading.Thread(target=carry, args=(upstream, connection))
            back.start()
            carry(connection, upstream)
            back.join()

    def carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(65536):
                target.sendall(part)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    return turn


def forward(port: int) -> "Callable[[Peer, socket.socket], None]":
    """Be a proxy: send one request on, and its answer back."""

    def turn(peer: Peer, connection: socket.socket) -> None:
        head, _, rest = peer.read(connection).partition(b"\r\n")
        method, url, version = head.split()
        path = url.split(b"/", 3)[3]
        with socket.create_connection(("127.0.0.1", port)) as upstream:
            upstream.sendall(b"%b /%b %b\r\n%b" % (method, path, version, rest))
            connection.sendall(upstream.recv(65536))

    return turn


def test_https_goes_through_a_tunnel(secure_api: Standin, certificate: "Path") -> None:
    with Peer(tunnel(secure_api.port)) as proxy:
        proxy_url = proxy.url.replace("//", "//us%40er:w%C3%B6rd@") + "/"
        with client(
            "https://127.0.0.1:1", proxy_url=proxy_url, ssl_cert_file=str(certificate)
        ) as c:
            for _ in range(3):
                assert c.post(request()) == Answered(200, b"{}")
    authorization = base64.b64encode("us@er:wörd".encode())
    assert proxy.seen == [
        b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n"
        b"Proxy-Authorization: Basic " + authorization + b"\r\n\r\n"
    ]
    assert secure_api.counters().accepted == 3


def test_http_goes_through_a_proxys_hands(api: FaultyApi) -> None:
    with Peer(forward(api.port)) as proxy:
        proxy_url = f"user:word@127.0.0.1:{proxy.port}"
        with client("http://track.example", proxy_url=proxy_url) as c:
            assert outcome_of(c.post(request())) == Delivered()
    assert proxy.seen[0].startswith(b"POST http://track.example/api/v1/segments/56/add_customers?")
    assert b"\r\nProxy-Authorization: Basic " in proxy.seen[0]
    assert api.members(56) == {"customer-1", "customer-2"}


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (
            b"HTTP/1.1 407 Who are you?\r\nX: y\r\n\r\nno",
            "it refused with 407 Proxy Authentication Required, see HTTPS_PROXY",
        ),
        (b"HTTP/1.0 503 No\r\n\r\n", "it refused with 503 Service Unavailable, see HTTPS_PROXY"),
        (b"HTTP/1.1 2000 Odd\r\n\r\n", "it gave no HTTP answer, see HTTPS_PROXY"),
        (b"", "it gave no HTTP answer, see HTTPS_PROXY"),
        (b"HTTP/1.1 200 OK\r\n", "it gave no HTTP answer, see HTTPS_PROXY"),
        (b"x" * 100_000, "it gave no HTTP answer, see HTTPS_PROXY"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_a_tunnel_that_is_refused_is_not_ambiguous(raw: bytes, detail: str) -> None:
    with Peer(answer(raw)) as proxy, client("https://track.example", proxy_url=proxy.url) as c:
        outcome = c.post(request())
    asking = f"asking the proxy 127.0.0.1:{proxy.port} for a tunnel"
    assert outcome == Broken(f"{asking}: {detail}", ambiguous=False)


def test_a_proxy_that_drips_ends_at_the_deadline() -> None:
    dripping = drip(b"HTTP/1.1 200 OK\r\nX: ", b"x")
    with Peer(dripping) as proxy, client("https://track.example", proxy_url=proxy.url) as c:
        outcome = c.post(request(deadline=SOON_SECONDS))
    asking = f"asking the proxy 127.0.0.1:{proxy.port} for a tunnel"
    assert outcome == TimedOut(f"the deadline passed while {asking}", ambiguous=False)


def test_failed_handshakes_in_tunnels_use_nothing_up(
    secure_api: Standin, certificate: "Path"
) -> None:
    """In httpcore 1.0.9 each of them takes a place in the pool for ever."""
    established = b"HTTP/1.1 200 OK\r\n\r\n"
    failing = [answer(established)] * 20
    with (
        Peer(*failing, tunnel(secure_api.port)) as proxy,
        client("https://127.0.0.1:1", proxy_url=proxy.url, ssl_cert_file=str(certificate)) as c,
    ):
        for _ in failing:
            outcome = c.post(request())
            assert isinstance(outcome, Broken)
            assert not outcome.ambiguous
        assert c.post(request()) == Answered(200, b"{}")


def test_through_a_proxy_too_nothing_is_sent_after_the_lease(certificate: "Path") -> None:
    with Peer(silence) as proxy:
        with client(
            "https://127.0.0.1:1", proxy_url=proxy.url, ssl_cert_file=str(certificate)
        ) as c:
            assert isinstance(c.post(request(lease=0)), Unsent)
        assert seen_by(proxy) == b""


# Secrets


def test_no_detail_has_an_id_or_a_secret_in_it(api: FaultyApi) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}"
    secrets = ("a-site-id", "an-api-key", "customer-1", "a-proxy-word")
    echo = "\r\n\r\n".join(secrets).encode()
    with Peer(answer(echo), silence) as peer, Peer(answer(echo)) as proxy:
        through = proxy.url.replace("//", "//user:a-proxy-word@")
        urls = [(peer.url, None), (peer.url, None), (closed, None), (api.url, through)]
        urls.append(("https://track.example", through))
        for url, proxy_url in urls:
            with client(url, secrets[:2], proxy_url=proxy_url) as c:
                outcome = c.post(request(deadline=SOON_SECONDS))
            assert isinstance(outcome, Broken | TimedOut)
            assert not any(secret in outcome.detail for secret in secrets), outcome
