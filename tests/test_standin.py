"""The stand-in refuses what the API refuses, remembers what it accepted, misbehaves on demand."""

import base64
import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
from http.client import BadStatusLine, HTTPConnection, IncompleteRead
from typing import TYPE_CHECKING, Any

import pytest

from consumer import clock
from consumer.commands.demo.standin import Fault, Standin
from consumer.commands.demo.standin.memory import JournalEntry, SegmentCounters
from consumer.commands.demo.story import DATA_DRIVEN_SEGMENT
from tests.support.api import LOST_ANSWER, LOST_BEFORE, FaultyApi
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_SECONDS = 60.0
BASIC = "Basic " + base64.b64encode(b"site:key").decode()
ADD = "/api/v1/segments/56/add_customers"
REMOVE = "/api/v1/segments/56/remove_customers"


@contextlib.contextmanager
def connected(server: Standin) -> "Iterator[HTTPConnection]":
    connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_SECONDS)
    with contextlib.closing(connection):
        yield connection


def ask(
    connection: HTTPConnection,
    path: str,
    body: object = None,
    *,
    method: str = "POST",
    authorization: str = BASIC,
) -> tuple[int, Any]:
    """Return status and decoded body of an answer."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, path, sent, {"Authorization": authorization})
    answer = connection.getresponse()
    text = answer.read()
    return answer.status, json.loads(text) if text else None


def send(server: Standin, *ids: str, path: str = ADD) -> tuple[int, Any]:
    """Send a request over a connection of its own."""
    with connected(server) as connection:
        return ask(connection, path, {"ids": ids})


# As the API


def test_ids_are_added_and_removed(api: FaultyApi) -> None:
    with connected(api) as c:
        assert ask(c, ADD, {"ids": ["a", "b", "c"]}) == (200, {})
        assert ask(c, REMOVE, {"ids": ["b", "x"]}) == (200, {})
        assert ask(c, ADD + "?id_type=email", {"ids": ["b"]}) == (200, {})
        assert len(api.connections) == 1
    assert api.members(56) == {"a", "c"}
    assert api.removed(56) == {"b", "x"}
    assert api.members(56, "email") == {"b"}
    assert api.members(57) == api.members(56, "cio_id") == set()


def test_repeated_deliveries_are_counted(api: FaultyApi) -> None:
    with connected(api) as c:
        ask(c, ADD, {"ids": ["a", "b", "b"]})
        ask(c, ADD, {"ids": ["b", "c"]})
        ask(c, REMOVE, {"ids": ["b"]})
        ask(c, ADD, {"ids": ["b"]})
        ask(c, ADD.replace("56", "57"), {"ids": ["b"]})
    counters = api.counters()
    assert (counters.requests, counters.accepted, counters.ids) == (5, 5, 7)
    assert (counters.duplicates, counters.repeated_ids, counters.largest_request) == (1, 1, 3)
    assert counters.segments == {56: SegmentCounters(4, 6, 1), 57: SegmentCounters(1, 1, 0)}
    assert counters.statuses == {200: 5}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ADD, {"ids": []}),
        (ADD, {"ids": [str(n) for n in range(1001)]}),
        (ADD, {"ids": "a"}),
        (ADD, {"ids": [1]}),
        (ADD, {"ids": [None]}),
        (ADD, {"id": "a"}),
        (ADD, ["a"]),
        (ADD, b"no JSON"),
        (ADD, b'{"ids": ["\xff"]}'),
        (ADD + "?id_type=phone", {"ids": ["a"]}),
        ("/api/v1/segments/x/add_customers", {"ids": ["a"]}),
        ("/api/v1/segments/0/add_customers", {"ids": ["a"]}),
        ("/api/v1/segments/-1/add_customers", {"ids": ["a"]}),
        ("/api/v1/segments/2147483648/add_customers", {"ids": ["a"]}),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_not_well_formed_is_refused(api: FaultyApi, path: str, body: object) -> None:
    with connected(api) as c:
        status, answer = ask(c, path, body)
    assert status == 400
    assert len(answer["meta"]["errors"]) == 1
    counters = api.counters()
    assert (counters.requests, counters.accepted, counters.statuses) == (1, 0, {400: 1})


def test_the_limits_themselves_are_accepted(api: FaultyApi) -> None:
    with connected(api) as c:
        body = {"ids": [str(n) for n in range(1000)]}
        for segment_id in (1, 2**31 - 1):
            for id_type in ("id", "email", "cio_id"):
                path = f"/api/v1/segments/{segment_id}/remove_customers?id_type={id_type}"
                assert ask(c, path, body) == (200, {})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ADD),
        ("POST", "/"),
        ("POST", "/api/v1/segments/56/delete_customers"),
        ("POST", "/api/v1/accounts/region"),
        ("GET", "/standin/nothing"),
    ],
)
def test_what_is_not_there_is_not_found(api: FaultyApi, method: str, path: str) -> None:
    with connected(api) as c:
        assert ask(c, path, {"ids": ["a"]}, method=method)[0] == 404


@pytest.mark.parametrize("authorization", ["", "Basic", "Bearer key", BASIC[:-2]])
def test_wrong_credentials_are_unauthorized(api: FaultyApi, authorization: str) -> None:
    with connected(api) as c:
        c.request("POST", ADD, b'{"ids": ["a"]}', {"Authorization": authorization})
        answer = c.getresponse()
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
        assert json.load(answer) == {"meta": {"error": "Unauthorized request"}}
    assert api.members(56) == set()


def test_the_region_answers_to_the_credentials(api: FaultyApi) -> None:
    with connected(api) as c:
        status, answer = ask(c, "/api/v1/accounts/region", method="GET")
        assert (status, answer["region"]) == (200, "us")
        denied = ask(c, "/api/v1/accounts/region", method="GET", authorization="")
        assert denied[0] == 401
    counters = api.counters()
    assert counters.region_requests == 1
    assert counters.accepted == 0
    assert api.journal() == []


def test_a_request_may_come_in_pieces_and_the_next_right_behind(api: FaultyApi) -> None:
    one = (
        f'POST {ADD} HTTP/1.1\r\nauthorization:{BASIC}\r\ncontent-length: 12\r\n\r\n{{"ids":["a"]}}'
    )
    one = one.replace("12", "13")
    with socket.create_connection(("127.0.0.1", api.port)) as c:
        for byte in one[:-1]:
            c.sendall(byte.encode())
        c.sendall((one[-1] + one.replace('"a"', '"b"')).encode())
        assert api.wait_for(lambda counters: counters.accepted == 2, PATIENCE_SECONDS)
    assert api.members(56) == {"a", "b"}


@pytest.mark.parametrize("raw", [b"hello\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"])
def test_what_is_no_http_ends_the_connection(api: FaultyApi, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", api.port), PATIENCE_SECONDS) as c:
        c.sendall(raw)
        assert c.recv(100) == b""


# Its memory


def test_the_journal_has_the_latest_requests() -> None:
    before = clock.now()
    with FaultyApi(journal=2) as api:
        api.script([500, None, LOST_ANSWER])
        send(api, "a")
        send(api, "a", "b")
        with pytest.raises(ConnectionError):
            send(api, "c", path=REMOVE + "?id_type=email")
        second, third = api.journal()
    assert before < second.arrived < third.arrived < clock.now()
    assert second == JournalEntry(second.arrived, "add", 56, "id", 2, 200)
    assert third == JournalEntry(third.arrived, "remove", 56, "email", 1, None)


def test_it_can_be_waited_for(api: FaultyApi) -> None:
    assert not api.wait_for(lambda counters: counters.requests == 1, 0)
    api.delay(0.05)
    sender = threading.Thread(target=send, args=(api, "a"))
    sender.start()
    assert api.wait_for(lambda counters: counters.statuses[200] == 1, PATIENCE_SECONDS)
    sender.join()


def test_counters_do_not_change_once_read(api: FaultyApi) -> None:
    send(api, "a")
    counters = api.counters()
    send(api, "a")
    assert (counters.requests, counters.statuses, counters.segments[56].ids) == (1, {200: 1}, 1)


def test_it_can_forget(api: FaultyApi) -> None:
    send(api, "a")
    api.forget()
    assert api.counters().requests == 0
    assert api.members(56) == set()
    assert api.journal() == []


def test_without_ids_it_counts_only() -> None:
    with Standin(remember_ids=False) as server:
        send(server, "a", "b")
        send(server, "a", "b")
        assert server.members(56) == set()
        assert server.counters().ids == 4


def test_it_can_be_down_for_a_while(api: FaultyApi) -> None:
    send(api, "a")
    with connected(api) as c:
        c.connect()
        api.stop()
        api.stop()
        with pytest.raises(ConnectionError):
            ask(c, ADD, {"ids": ["b"]})
    with pytest.raises(ConnectionRefusedError):
        send(api, "b")
    url = api.url
    api.start()
    assert api.url == url
    send(api, "c")
    assert api.members(56) == {"a", "c"}


def test_stopping_leaves_nothing_hanging(api: FaultyApi) -> None:
    api.hang()
    with connected(api) as c:
        c.request("POST", ADD, b'{"ids":["a"]}', {"Authorization": BASIC})
        assert api.wait_for(lambda counters: counters.requests == 1, PATIENCE_SECONDS)
        api.stop()
        with pytest.raises(ConnectionError):
            c.getresponse()
    api.heal()
    api.start()
    assert send(api, "a") == (200, {})
    assert api.counters().peak_in_flight == 1


# Faults


def test_a_status_is_answered_and_nothing_applied(api: FaultyApi) -> None:
    api.always(status=429, body=b'"slow"', headers={"Retry-After": "7"})
    with connected(api) as c:
        c.request("POST", ADD, b'{"ids":["a"]}', {"Authorization": BASIC})
        answer = c.getresponse()
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
        assert answer.read() == b'"slow"'
        api.heal()
        assert ask(c, ADD, {"ids": ["b"]}) == (200, {})
    assert api.members(56) == {"b"}
    assert [request.ids for request in api.received()] == [["a"], ["b"]]


def test_an_error_can_be_answered_and_the_request_applied_nevertheless(api: FaultyApi) -> None:
    api.always(status=504, apply_after_seconds=0.05)
    assert send(api, "a")[0] == 504
    assert api.wait_for(lambda counters: counters.accepted == 1, PATIENCE_SECONDS)
    assert api.members(56) == {"a"}


def test_an_applied_request_is_applied_once(api: FaultyApi) -> None:
    api.always(apply_after_seconds=0.0, delay_seconds=0.05)
    assert send(api, "a") == (200, {})
    assert api.counters().accepted == 1


@pytest.mark.parametrize(("fault", "members"), [(LOST_BEFORE, set()), (LOST_ANSWER, {"a"})])
def test_an_answer_can_be_lost_before_or_after(
    api: FaultyApi, fault: Fault, members: set[str]
) -> None:
    api.script([fault])
    with pytest.raises(ConnectionError):
        send(api, "a")
    assert api.members(56) == members


def test_a_connection_can_be_reset(api: FaultyApi) -> None:
    api.always(raw=b"", cut_at=0, reset=True)
    with pytest.raises(ConnectionResetError):
        send(api, "a")


def test_an_answer_can_be_cut(api: FaultyApi) -> None:
    api.always(status=503, body=b"0123456789", cut_at=-4)
    with pytest.raises(IncompleteRead):
        send(api, "a")
    assert [entry.status for entry in api.journal()] == [None]


def test_an_answer_can_drip(api: FaultyApi) -> None:
    api.always(drip_seconds=0.001)
    assert send(api, "a") == (200, {})


def test_a_client_that_goes_ends_the_drip(api: FaultyApi) -> None:
    api.always(drip_seconds=0.01, status=200, body=b" " * 1_000_000)
    with connected(api) as c:
        c.request("POST", ADD, b'{"ids":["a"]}', {"Authorization": BASIC})
        c.getresponse()
    eventually(lambda: not api.connections, PATIENCE_SECONDS, "the connection to be gone")


def test_an_answer_can_be_no_http(api: FaultyApi) -> None:
    api.always(raw=b"SSH-2.0-x\r\n\r\n")
    with pytest.raises(BadStatusLine):
        send(api, "a")
    assert api.members(56) == set()


def test_a_delayed_request_whose_client_went_is_not_applied(api: FaultyApi) -> None:
    api.delay(0.1)
    with connected(api) as c:
        c.request("POST", ADD, b'{"ids":["a"]}', {"Authorization": BASIC})
        assert api.wait_for(lambda counters: counters.requests == 1, PATIENCE_SECONDS)
    eventually(api.journal, PATIENCE_SECONDS, "its end")
    assert api.journal()[0].status is None
    assert api.members(56) == set()


def test_a_hanging_request_ends_with_its_client(api: FaultyApi) -> None:
    api.hang()
    with connected(api) as c:
        c.request("POST", ADD, b'{"ids":["a"]}', {"Authorization": BASIC})
        assert api.wait_for(lambda counters: counters.requests == 1, PATIENCE_SECONDS)
        assert api.in_flight == 1
    eventually(lambda: api.in_flight, PATIENCE_SECONDS, "its end", until=(0).__eq__)


def test_a_script_is_followed_then_all_is_well(api: FaultyApi) -> None:
    api.script([503, None, Fault(status=422, body=b"{}")])
    assert [send(api, str(n))[0] for n in range(5)] == [503, 200, 422, 200, 200]
    assert api.members(56) == {"1", "3", "4"}


def test_a_segment_can_have_a_fault_of_its_own(api: FaultyApi) -> None:
    api.unknown_segment(57)
    other = ADD.replace("56", "57")
    assert send(api, "a", path=other) == (404, "Segment not found")
    assert send(api, "a") == (200, {})
    api.for_segment(57)
    assert send(api, "a", path=other) == (200, {})


def test_a_bad_id_spoils_its_batch(api: FaultyApi) -> None:
    api.bad_ids({"bad", "worse"}, status=422)
    assert send(api, "a", "bad", "b")[0] == 422
    assert send(api, "a", "b") == (200, {})
    api.bad_ids(())
    assert send(api, "bad") == (200, {})
    assert api.members(56) == {"a", "b", "bad"}


def test_what_is_beyond_the_capacity_is_refused_at_once(api: FaultyApi) -> None:
    api.capacity(2, retry_after="1")
    api.delay(0.3)
    statuses: list[int] = []
    senders = [
        threading.Thread(target=lambda n=n: statuses.append(send(api, str(n))[0])) for n in range(6)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert statuses == [429, 429, 429, 429, 200, 200]
    assert api.counters().peak_in_flight == 3
    api.capacity(None)
    assert send(api, "a") == (200, {})


def test_the_region_has_its_own_fault(api: FaultyApi) -> None:
    api.always(status=500)
    with connected(api) as c:
        assert ask(c, "/api/v1/accounts/region", method="GET")[0] == 200
        api.region(status=401)
        assert ask(c, "/api/v1/accounts/region", method="GET")[0] == 401
        api.region(delay_seconds=0.01)
        status, answer = ask(c, "/api/v1/accounts/region", method="GET")
        assert (status, answer["region"]) == (200, "us")
    assert api.received() == []


# In a process of its own


def test_it_runs_in_a_process_of_its_own() -> None:
    command = [
        sys.executable,
        "-m",
        "consumer.commands.demo.standin",
        "--api-key",
        "other",
        "--delay",
        "0.01",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            host, port = url.removeprefix("http://").split(":")
            with contextlib.closing(HTTPConnection(host, int(port), timeout=PATIENCE_SECONDS)) as c:
                authorization = "Basic " + base64.b64encode(b"site:other").decode()
                sent = {"ids": ["b", "a"]}
                path = ADD + "?id_type=cio_id"
                assert ask(c, path, sent, authorization=authorization) == (200, {})
                counters = ask(c, "/standin/counters", method="GET")[1]
                assert (counters["accepted"], counters["segments"]["56"]["ids"]) == (1, 2)
                members = ask(c, "/standin/members/56?id_type=cio_id", method="GET")
                assert members == (200, ["a", "b"])
                assert ask(c, "/standin/members/56", method="GET") == (200, [])
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 0


def test_a_process_may_listen_elsewhere_and_have_the_demo_s_weather() -> None:
    command = [sys.executable, "-m", "consumer.commands.demo.standin", "--weather"]
    command += ["--host", "127.0.0.2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            host, port = url.removeprefix("http://").split(":")
            assert host == "127.0.0.2"
            with contextlib.closing(HTTPConnection(host, int(port), timeout=PATIENCE_SECONDS)) as c:
                path = f"/api/v1/segments/{DATA_DRIVEN_SEGMENT}/add_customers"
                status, _ = ask(c, path, {"ids": ["a"]})
                assert status == 400
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", int(port)), timeout=PATIENCE_SECONDS)
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 0
