"""Ways to the API that lead nowhere: the others are found in time, and the reason is told."""

import contextlib
import errno
import socket
import ssl
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from consumer import clock
from consumer.core.outcomes import Answer, Broken, Delivered, TimedOut, outcome_of
from tests.support.api import FaultyApi
from tests.support.peer import OK, PATIENCE_SECONDS, Peer, answer, client, request
from tests.support.waiting import eventually
from tests.test_api import full_backlog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SOON_SECONDS = 0.3


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[Any, ...]) -> None:
    """Let every name have these addresses; one of four parts is of IPv6."""
    found = [
        (
            socket.AF_INET if len(each) == 2 else socket.AF_INET6,
            socket.SOCK_STREAM,
            socket.IPPROTO_TCP,
            "",
            each,
        )
        for each in addresses
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


@pytest.fixture
def closed() -> tuple[str, int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address: tuple[str, int] = listener.getsockname()
    return address


def lack_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    class WithoutIpv6(socket.socket):
        def __init__(self, family: int = -1, *others: Any, **named: Any) -> None:  # noqa: ANN401 - as given
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(family, *others, **named)

    monkeypatch.setattr(socket, "socket", WithoutIpv6)


def test_a_family_that_the_kernel_lacks_is_passed_over(
    api: FaultyApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    lack_ipv6(monkeypatch)
    resolve_to(monkeypatch, ("::1", 80, 0, 0), ("127.0.0.1", api.port))
    with client("http://track.example") as c:
        assert outcome_of(c.post(request())) == Delivered()
    resolve_to(monkeypatch, ("::1", 80, 0, 0))
    with client("http://track.example") as c:
        detail = "connecting to track.example:80: Address family not supported by protocol"
        assert c.post(request()) == Broken(detail, ambiguous=False)


def test_black_holes_cost_a_moment_and_the_next_connection_none(
    api: FaultyApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.ExitStack() as stack:
        holes = [stack.enter_context(full_backlog()) for _ in range(4)]
        resolve_to(monkeypatch, *holes, ("127.0.0.1", api.port))
        with client("http://track.example") as c:
            took = []
            for _ in range(5):
                started = clock.now()
                assert outcome_of(c.post(request())) == Delivered()
                took.append(clock.now() - started)
                api.close_connections()
                eventually(lambda: not api.connections, 60, "the connections to be closed")
            assert took[0] < PATIENCE_SECONDS / 2
            assert min(took[1:]) < 0.25  # one that stalled for another reason says nothing


def test_what_answered_last_is_forgotten_when_it_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Peer(answer(OK)) as other, client("http://track.example") as c:
        with Peer(answer(OK)) as first:
            resolve_to(monkeypatch, ("127.0.0.1", first.port), ("127.0.0.1", other.port))
            assert outcome_of(c.post(request())) == Delivered()
        assert outcome_of(c.post(request())) == Delivered()
        assert (first.connections, other.connections) == (1, 1)


@pytest.mark.parametrize("deadline", [0.5, 2.0])
def test_many_dead_addresses_are_all_tried_in_time(
    api: FaultyApi, monkeypatch: pytest.MonkeyPatch, deadline: float
) -> None:
    with full_backlog() as hole:
        holes = [("127.0.0.1", hole[1])] + [(f"127.0.0.{n}", 1) for n in range(2, 20)]
        resolve_to(monkeypatch, *holes, *holes, ("127.0.0.1", api.port))
        with client("http://track.example") as c:
            tries = (outcome_of(c.post(request(deadline=deadline))) for _ in range(3))
            assert Delivered() in tries  # a machine that stalls once is none of its business


def test_a_refusal_starts_the_next_at_once(
    api: FaultyApi, closed: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = [(f"127.0.0.{n}", closed[1]) for n in range(1, 40)]
    resolve_to(monkeypatch, *dead, ("127.0.0.1", api.port))
    with client("http://track.example") as c:
        started = clock.now()
        assert outcome_of(c.post(request())) == Delivered()
        assert clock.now() - started < PATIENCE_SECONDS / 2


def test_each_way_that_failed_is_told_once(
    closed: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    lack_ipv6(monkeypatch)
    resolve_to(monkeypatch, ("::1", 80, 0, 0), closed, ("127.0.0.2", closed[1]))
    with client("http://track.example") as c:
        why = "Address family not supported by protocol; Connection refused"
        assert c.post(request()) == Broken(
            f"connecting to track.example:80: {why}", ambiguous=False
        )


def test_the_proxys_addresses_race_too(
    closed: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Peer(answer(OK)) as proxy, full_backlog() as hole:
        resolve_to(monkeypatch, hole, closed, ("127.0.0.1", proxy.port))
        with client("http://track.example", proxy_url="http://proxy.example:3128") as c:
            assert outcome_of(c.post(request())) == Delivered()


def test_a_black_hole_is_not_ambiguous(monkeypatch: pytest.MonkeyPatch) -> None:
    with full_backlog() as hole:
        resolve_to(monkeypatch, hole)
        with client("http://track.example") as c:
            detail = "the deadline passed while connecting to track.example:80"
            assert c.post(request(deadline=SOON_SECONDS)) == TimedOut(detail, ambiguous=False)
        with client("https://track.example", proxy_url="http://proxy.example:3128") as c:
            detail = "the deadline passed while connecting to the proxy proxy.example:3128"
            assert c.post(request(deadline=SOON_SECONDS)) == TimedOut(detail, ambiguous=False)


def test_a_proxy_that_is_not_there_is_told_from_the_api(closed: tuple[str, int]) -> None:
    with client("https://track.example", proxy_url=f"http://127.0.0.1:{closed[1]}") as c:
        detail = f"connecting to the proxy 127.0.0.1:{closed[1]}: Connection refused"
        assert c.post(request()) == Broken(detail, ambiguous=False)


# TLS


def certificate(folder: "Path", *, is_old: bool = False) -> "Path":
    """Make a certificate for 127.0.0.1 that signs itself; its key is in the same file."""
    path, request_ = folder / f"{is_old}.pem", folder / "request.pem"
    key = f"-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {path}"
    run(f"openssl req -new {key} -subj /CN=stand-in -out {request_}")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    days = -1 if is_old else 2
    names = f"-extfile {folder / 'names'}"
    made = run(f"openssl x509 -req -in {request_} -signkey {path} -days {days} {names}")
    path.write_text(path.read_text() + made)
    return path


def run(command: str) -> str:
    return subprocess.run(command.split(), check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def handshakes(treat: "Callable[[Peer, socket.socket], None]") -> "Iterator[str]":
    with Peer(treat) as peer:
        yield peer.url.replace("http:", "https:")


def outcome_at(url: str, trusted: str | None = None) -> Answer:
    with client(url, ssl_cert_file=trusted) as c:
        return c.post(request())


def with_context(context: ssl.SSLContext) -> "Callable[[Peer, socket.socket], None]":
    def turn(_: Peer, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            context.wrap_socket(connection, server_side=True).close()

    return turn


def no_noise(outcome: Answer, port_of: str, text: str) -> None:
    assert outcome == Broken(f"shaking hands with {port_of}: {text}", ambiguous=False)
    assert isinstance(outcome, Broken)
    for noise in ("_ssl.c", "[SSL", "BIO"):
        assert noise not in outcome.detail


def test_a_certificate_says_why_it_is_not_accepted(tmp_path: "Path") -> None:
    old, good = certificate(tmp_path, is_old=True), certificate(tmp_path)
    mismatch = "its certificate is not accepted (Hostname mismatch, certificate is not valid"
    cases = [
        (old, str(old), "127.0.0.1", "its certificate is not accepted (certificate has expired)"),
        (
            good,
            None,
            "127.0.0.1",
            "its certificate is of an unknown authority (self-signed certificate)",
        ),
        (
            good,
            str(good),
            "localhost",
            f"{mismatch} for 'localhost')",
        ),
    ]
    for path, trusted, host, text in cases:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        with handshakes(with_context(context)) as url:
            no_noise(outcome_at(url.replace("127.0.0.1", host), trusted), host, text)


def test_a_version_of_tls_that_nobody_speaks_is_told(tmp_path: "Path") -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path))
    context.set_ciphers("PSK-AES128-CBC-SHA256")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with handshakes(with_context(context)) as url:
        outcome = outcome_at(url)
    assert isinstance(outcome, Broken)
    assert not outcome.ambiguous
    assert outcome.detail.startswith("shaking hands with 127.0.0.1: TLS failed (")
    assert "_ssl.c" not in outcome.detail


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "the other side does not speak TLS"),
        (b"", "the other side closed the connection in the midst of TLS"),
    ],
)
def test_a_server_without_tls_is_told(raw: bytes, text: str) -> None:
    def turn(_: Peer, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(raw)

    with handshakes(turn) as url:
        no_noise(outcome_at(url), "127.0.0.1", text)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"SSH-2.0-OpenSSH customer-1\r\n\r\n", "the answer is no HTTP (illegal status line)"),
        (b"", "Server disconnected without sending a response."),
    ],
)
def test_an_answer_that_is_no_http_is_called_so(raw: bytes, text: str) -> None:
    with Peer(answer(raw)) as peer:
        outcome = outcome_at(peer.url)
    assert outcome == Broken(f"awaiting the answer: {text}", ambiguous=True)
