"""The HTTP server, over real connections: what it says, and what it takes from bad clients."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from http.client import HTTPConnection, HTTPResponse

import pytest

from consumer import clock
from consumer.core.snapshot import Board, Snapshot, initial_snapshot, snapshot_of
from consumer.core.tally import Tally
from consumer.observability import http_server
from consumer.observability.health import HealthServer
from tests.support.waiting import PATIENCE_SECONDS, eventually

LIMIT_SECONDS = 30.0


@pytest.fixture
def board() -> Board:
    """Return a board of a daemon that runs and whose loop turned just now."""
    status = {**initial_snapshot("1.2.3").status, "state": "running"}
    return Board(snapshot_of(Tally().freeze(), {}, status, ()), turned_at=clock.now())


@pytest.fixture
def address(board: Board) -> Iterator[str]:
    """Yield the address of a server that shows ``board``."""
    server = HealthServer("127.0.0.1", 0, board, LIMIT_SECONDS, "1.2.3")
    yield server.start()
    server.stop()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> float:
    """Shorten the patience for tests of slow clients, in seconds."""
    monkeypatch.setattr(http_server, "PATIENCE_SECONDS", 0.3)
    return 0.3


def ask(
    address: str, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[HTTPResponse, str]:
    """Send one request on a connection of its own."""
    with closing(HTTPConnection(address, timeout=60)) as connection:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer, answer.read().decode()


def dial(address: str) -> socket.socket:
    """Open a bare connection, for what no HTTP client would do."""
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=60)


def hear(connection: socket.socket) -> bytes:
    """Return everything until the server ends the connection."""
    heard = b""
    try:
        while chunk := connection.recv(65536):
            heard += chunk
    except ConnectionResetError:
        pass  # what we sent and it never read
    return heard


def served() -> int:
    """Return how many connections have a thread."""
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


def publish(board: Board, *not_ready: str, **status: object) -> None:
    """Publish another status, as the owner thread would."""
    old = board.snapshot
    board.snapshot = Snapshot(
        old.samples, old.histograms, {**old.status, **status}, tuple(not_ready)
    )


def test_a_loop_that_turns_is_alive(address: str) -> None:
    answer, body = ask(address, "/livez")
    assert (answer.status, body) == (200, "alive\n")


def test_a_loop_that_stands_still_is_neither_alive_nor_ready(address: str, board: Board) -> None:
    board.turned_at = clock.now() - LIMIT_SECONDS - 12
    for path in ("/livez", "/readyz"):
        answer, body = ask(address, path)
        assert answer.status == 503
        assert body == "the loop made no turn for 42 s (LIVENESS_TIMEOUT_SECONDS is 30)\n"


def test_a_held_daemon_is_alive_and_not_ready_and_says_why_a_line_each(
    address: str, board: Board
) -> None:
    publish(board, "held: unauthorized, 401\nbad key", "topic a is missing")
    answer, body = ask(address, "/readyz")
    assert answer.status == 503
    assert body == "held: unauthorized, 401 bad key\ntopic a is missing\n"
    assert ask(address, "/livez")[0].status == 200


def test_a_daemon_without_reasons_against_it_is_ready(address: str) -> None:
    answer, body = ask(address, "/readyz")
    assert (answer.status, body) == (200, "ready\n")


def test_the_status_is_the_published_one_as_json(address: str, board: Board) -> None:
    publish(board, holds=[{"reason": "stalled", "since": "…", "detail": "é"}])
    answer, body = ask(address, "/status?pretty")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert json.loads(body) == board.snapshot.status


def test_the_metrics_come_in_the_format_that_was_asked_for(address: str) -> None:
    plain, body = ask(address, "/metrics")
    assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'segment_consumer_build_info{version="1.2.3"} 1.0' in body
    openmetrics, body = ask(address, "/metrics", Accept="application/openmetrics-text")
    assert openmetrics.headers["Content-Type"].startswith("application/openmetrics-text")
    assert body.endswith("# EOF\n")


def test_the_page_is_html_under_a_policy(address: str) -> None:
    answer, body = ask(address, "/")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert body.startswith("<!doctype html>")


def test_head_has_the_headers_of_get_and_no_body(address: str) -> None:
    with closing(HTTPConnection(address, timeout=60)) as connection:
        for path in ("/", "/livez", "/status", "/nothing"):
            connection.request("GET", path)
            got = connection.getresponse()
            length = len(got.read())
            connection.request("HEAD", path)  # on the same connection: a body would be in its way
            head = connection.getresponse()
            assert head.read() == b""
            assert (head.status, head.headers["Content-Length"]) == (got.status, str(length))


def test_an_unknown_path_is_answered_with_the_paths(address: str) -> None:
    answer, body = ask(address, "/health")
    assert answer.status == 404
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert body.splitlines()[1:] == ["/", "/livez", "/readyz", "/metrics", "/status", "/history"]


def heard_for(address: str, target: str, *headers: str, method: str = "GET") -> bytes:
    """Send a request line as it stands, and return the whole answer."""
    lines = (f"{method} {target} HTTP/1.1", "Host: h", "Connection: close", *headers, "", "")
    with dial(address) as connection:
        connection.sendall("\r\n".join(lines).encode())
        return hear(connection)


@pytest.mark.parametrize(
    "target",
    [
        "http://anything.example:8080/livez",
        "HTTP://Anything/livez?verbose",
        "https://[::1]:1/livez#there",
        "http://user:word@host//livez",
        "//livez",
        "/livez?a=b?c",
        "/%6Civez",
        "/livez#there",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_target_means_its_path_in_whatever_form_it_comes(
    address: str, target: str, method: str
) -> None:
    heard = heard_for(address, target, method=method)
    assert heard.startswith(b"HTTP/1.1 200 ")
    assert heard.endswith(b"\r\n\r\nalive\n" if method == "GET" else b"\r\n\r\n")


@pytest.mark.parametrize("target", ["http://host", "http://host?x", "http://host/"])
def test_a_url_without_a_path_means_the_page(address: str, target: str) -> None:
    assert b"<!doctype html>" in heard_for(address, target)


@pytest.mark.parametrize(
    "target", ["*", "livez", "/LIVEZ", "/livez/", "/x?/livez", "ftp://host/livez", "host:443", "%"]
)
def test_what_is_no_path_of_ours_is_not_found(address: str, target: str) -> None:
    assert heard_for(address, target).startswith(b"HTTP/1.1 404 ")


def test_several_accept_headers_are_one(address: str) -> None:
    heard = heard_for(
        address, "/metrics", "Accept: text/plain;q=0.1", "Accept: application/openmetrics-text"
    )
    assert b"Content-Type: application/openmetrics-text" in heard


def test_the_history_is_the_published_one_as_json(address: str, board: Board) -> None:
    steps = ({"at": "2026-01-02T03:04:05.678Z", "delivered": 7},)
    board.snapshot = replace(board.snapshot, history=steps)
    answer, body = ask(address, "/history")
    assert answer.headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"step_seconds": 10.0, "steps": list(steps)}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_other_methods_are_not_allowed(address: str, method: str) -> None:
    answer, body = ask(address, "/metrics", method)
    assert (answer.status, body) == (405, "GET and HEAD only\n")
    assert answer.headers["Allow"] == "GET, HEAD"


def test_a_body_is_not_taken_for_the_next_request(address: str) -> None:
    with dial(address) as connection:
        smuggled = b"GET /status HTTP/1.1\r\n\r\n"
        connection.sendall(
            b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(smuggled) + smuggled
        )
        heard = hear(connection)
    assert heard.startswith(b"HTTP/1.1 405")
    assert b"Connection: close" in heard
    assert heard.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET\r\n\r\n", b"400"),
        (b"PUT /\r\n\r\n", b"400"),
        (b"GET / HTTP/3.0\r\n\r\n", b"505"),
        (b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 101 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n" + b"X: %s\r\n" % (b"x" * 8000) * 3, b"431"),
    ],
)
def test_a_malformed_request_is_refused_in_plain_text(
    address: str, request_bytes: bytes, status: bytes
) -> None:
    with dial(address) as connection:
        connection.sendall(request_bytes)
        head, _, body = hear(connection).partition(b"\r\n\r\n")
    assert head.split()[1] == status
    assert b"text/plain" in head
    assert b"<" not in body


def test_a_request_line_without_end_ends_the_connection(address: str) -> None:
    with dial(address) as connection:
        connection.sendall(b"GET /" + b"x" * 2 * http_server.MAX_REQUEST_BYTES)
        assert hear(connection) == b""


def test_a_bug_in_one_path_is_a_500_there_and_the_others_go_on(address: str, board: Board) -> None:
    publish(board, api={"requests_per_second": float("nan")})
    answer, body = ask(address, "/status")
    assert answer.status == 500
    assert body.startswith("ValueError: ")
    assert ask(address, "/livez")[0].status == 200


def test_an_idle_connection_is_ended(address: str, impatient: float) -> None:
    with dial(address) as connection:
        before = time.monotonic()
        assert hear(connection) == b""
        assert time.monotonic() - before == pytest.approx(impatient, abs=0.25)


def test_a_request_that_drips_is_ended_however_regular_the_drops(
    address: str, impatient: float
) -> None:
    with dial(address) as connection:

        def drip() -> bool:
            try:
                connection.sendall(b"G")
            except ConnectionError:
                return True
            return False

        eventually(drip, impatient + 1, "the end of the connection")


def test_a_request_after_its_time_is_not_answered(address: str, impatient: float) -> None:
    with dial(address) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\n")
        time.sleep(impatient - 0.1)
        connection.sendall(b"X: 1\r\n")
        assert hear(connection) == b""


def test_a_client_that_takes_no_answer_holds_no_thread(
    address: str, board: Board, impatient: float
) -> None:
    publish(board, segments=["x" * 1000] * 20_000)
    with dial(address) as connection:
        connection.sendall(b"GET /status HTTP/1.1\r\n\r\n")
        eventually(lambda: served() == 1, PATIENCE_SECONDS, "its thread")
        eventually(lambda: served() == 0, impatient + 3, "its end")


def test_many_half_open_connections_exhaust_nothing_and_a_probe_gets_through(address: str) -> None:
    with ExitStack() as stack:
        for _ in range(4 * http_server.MAX_CONNECTIONS):
            stack.enter_context(dial(address)).sendall(b"GET /livez HT")
        before = time.monotonic()
        assert ask(address, "/livez")[0].status == 200
        assert time.monotonic() - before < 2
        eventually(
            lambda: served() <= http_server.MAX_CONNECTIONS, PATIENCE_SECONDS, "the oldest to go"
        )
    eventually(lambda: served() == 0, PATIENCE_SECONDS, "all threads to end")


def test_a_connection_serves_many_requests(address: str) -> None:
    with closing(HTTPConnection(address, timeout=60)) as connection:
        connection.connect()
        for _ in range(100):
            connection.request("GET", "/livez")
            assert connection.getresponse().read() == b"alive\n"
            assert connection.sock is not None, "it was closed in between"


def test_a_client_that_goes_away_is_no_news(
    address: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with dial(address) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
        connection.sendall(b"GET /livez HTTP/1.1\r\n")
    assert ask(address, "/livez")[0].status == 200
    assert capfd.readouterr() == ("", "")


def test_without_free_descriptors_accepting_does_not_spin(board: Board) -> None:
    server = HealthServer("127.0.0.1", 0, board, LIMIT_SECONDS, "1.2.3")
    server.start()
    listener = server._server  # noqa: SLF001 - no other way to make accept() fail at once
    assert listener is not None
    server.stop()
    before = time.monotonic()
    with pytest.raises(OSError, match="descriptor"):
        listener.get_request()
    assert time.monotonic() - before > 0.05


def test_a_port_in_use_is_an_error_that_names_the_settings(address: str, board: Board) -> None:
    port = int(address.rpartition(":")[2])
    second = HealthServer("127.0.0.1", port, board, LIMIT_SECONDS, "1.2.3")
    with pytest.raises(OSError, match=rf"^\[Errno \d+\] can't listen on {address} \(HTTP_HOST"):
        second.start()
    second.stop()


def test_a_host_that_is_none_of_ours_is_an_error_that_names_it(board: Board) -> None:
    with pytest.raises(OSError, match=r"can't listen on no\.such\.host\.invalid:0"):
        HealthServer("no.such.host.invalid", 0, board, LIMIT_SECONDS, "1.2.3").start()


def test_it_listens_on_ipv6(board: Board) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    server = HealthServer("::1", 0, board, LIMIT_SECONDS, "1.2.3")
    address = server.start()
    assert address.startswith("[::1]:")
    assert ask(address, "/livez")[0].status == 200
    server.stop()


def test_the_ipv6_wildcard_takes_ipv4_too(board: Board) -> None:
    try:
        socket.create_server(("::", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    server = HealthServer("::", 0, board, LIMIT_SECONDS, "1.2.3")
    port = server.start().rpartition(":")[2]
    assert ask(f"127.0.0.1:{port}", "/livez")[0].status == 200
    server.stop()


def test_start_asks_no_dns_for_its_own_name(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str = "") -> str:
        raise AssertionError

    monkeypatch.setattr(socket, "getfqdn", fail)
    server = HealthServer("0.0.0.0", 0, board, LIMIT_SECONDS, "1.2.3")  # noqa: S104 - as deployed
    assert server.start().startswith("0.0.0.0:")
    server.stop()


def test_stop_frees_the_port_ends_the_connections_and_may_be_repeated(board: Board) -> None:
    server = HealthServer("127.0.0.1", 0, board, LIMIT_SECONDS, "1.2.3")
    server.stop()
    address = server.start()
    with dial(address) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        before = time.monotonic()
        server.stop()
        server.stop()
        assert time.monotonic() - before < 2
        hear(connection)
    eventually(lambda: served() == 0, PATIENCE_SECONDS, "all threads to end")
    with pytest.raises(ConnectionRefusedError):
        dial(address)
    again = HealthServer("127.0.0.1", int(address.rpartition(":")[2]), board, LIMIT_SECONDS, "1")
    assert again.start() == address
    again.stop()


def test_a_thread_that_cannot_start_costs_one_connection(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with dial(address) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\n\r\n")
            assert hear(connection) == b""
    assert ask(address, "/livez")[0].status == 200
