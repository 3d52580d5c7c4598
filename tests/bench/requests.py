"""What a request costs: CPU of the threads that carry it, beside a bare socket that does the same.

    python -m tests.bench.requests [--requests 2000] [--carriers 8] [--rounds 5]

The server is a process of its own and answers from a fixed buffer; both sides send the same bytes
and wait for the same answer, over loopback, in turns. *Alone*: one thread, request after request.
*Carriers*: so many in flight. *Beside a busy owner*: the same while another thread needs the
interpreter all the time, as the daemon's does with a backlog. Only the CPU of the threads that
carry is counted. What counts is the ratio in the same run: machines differ, and none is quiet.
"""

import argparse
import contextlib
import itertools
import multiprocessing
import selectors
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator

from consumer import clock
from consumer.core.attempts import Attempt
from consumer.core.lanes import Batch, Lane
from consumer.core.outcomes import Answered
from consumer.customerio.api import Api, Request
from consumer.customerio.carriers import Carriers
from tests.support.peer import OK, Peer, answer, is_whole

IDS = tuple(f"customer-{number}" for number in range(1000))
PATIENCE_SECONDS = 60.0
MICROSECONDS = 1e6


def serve(listener: socket.socket) -> None:
    """Answer whatever ends as each request does, on any connection, for ever."""
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    selector.register(connection, selectors.EVENT_READ)
                    continue
                client = key.fileobj
                assert isinstance(client, socket.socket)
                part = client.recv(1 << 20)
                if part.endswith(b"]}"):
                    client.sendall(OK)
                if not part:
                    selector.unregister(client)
                    client.close()


@contextlib.contextmanager
def server() -> Iterator[int]:
    """Run the server in a process of its own; yield its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        process = multiprocessing.get_context("fork").Process(
            target=serve, args=(listener,), daemon=True
        )
        process.start()
        yield listener.getsockname()[1]
        process.kill()
        process.join()


def api_at(url: str, carriers: int) -> Api:
    return Api(url, ("site", "key"), timeout_seconds=PATIENCE_SECONDS, max_connections=carriers)


def request() -> Request:
    return Request(56, "add", "id", IDS, deadline=clock.now() + PATIENCE_SECONDS)


def bytes_of_a_request() -> bytes:
    """Return what is written for one."""
    with Peer(answer(OK)) as peer, contextlib.closing(api_at(peer.url, 1)) as api:
        api.post(request())
        assert is_whole(bytearray(peer.seen[0]))
    return peer.seen[0]


def seconds_of(threads: list[threading.Thread]) -> float:
    """Return the CPU that threads have used so far."""
    clocks = [time.pthread_getcpuclockid(each.ident) for each in threads if each.ident]
    return sum(map(time.clock_gettime, clocks))


def bare(port: int, carriers: int, requests: int, whole: bytes) -> float:
    """Return the CPU of threads that do with sockets what has to be done."""

    def carry() -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for number in range(-10, requests // carriers):
                if not number:
                    begun.append(time.thread_time())
                connection.sendall(whole)
                assert connection.recv(65536) == OK
        ended.append(time.thread_time())

    begun: list[float] = []
    ended: list[float] = []
    threads = [threading.Thread(target=carry) for _ in range(carriers)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return sum(ended) - sum(begun)


def posted(port: int, requests: int) -> float:
    """Return the CPU of one thread that posts one request after the other."""
    with contextlib.closing(api_at(f"http://127.0.0.1:{port}", 1)) as api:
        for number in range(-10, requests):
            if not number:
                begun = time.thread_time()
            assert isinstance(api.post(request()), Answered)
        return time.thread_time() - begun


def carried(port: int, carriers: int, requests: int) -> float:
    """Return the CPU of the carriers' threads, with so many requests in flight."""
    lane = Lane(56, "id")
    before = set(threading.enumerate())
    with contextlib.closing(api_at(f"http://127.0.0.1:{port}", carriers)) as api:
        crew = Carriers(api.post, clock.now)

        def send() -> None:
            now = clock.now()
            batch = Batch(lane, "add", opened_at=now, due_at=now)
            crew.send(Attempt(batch, IDS, now, now + PATIENCE_SECONDS), now + PATIENCE_SECONDS)

        for _ in range(carriers):
            send()
        back = 0
        for sent in itertools.count(carriers):
            if sent == 2 * carriers:
                begun = seconds_of(ours := [*set(threading.enumerate()) - before])
            while not back:
                results = crew.collect(PATIENCE_SECONDS)
                assert all(isinstance(each.answer, Answered) for each in results)
                back = len(results)
            back -= 1
            if sent == requests + 2 * carriers:
                return seconds_of(ours) - begun
            send()
    raise AssertionError


@contextlib.contextmanager
def busy_owner() -> Iterator[None]:
    """Let a thread need the interpreter all the time."""

    def turn() -> None:
        while not stop.is_set():
            sum(range(1000))

    stop = threading.Event()
    thread = threading.Thread(target=turn, name="busy")
    thread.start()
    yield
    stop.set()
    thread.join()


def main() -> None:
    """Print a line for each way to carry."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--carriers", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    count, crew = options.requests, options.carriers
    whole = bytes_of_a_request()
    few = count // 4  # each takes a switch interval or two
    ways: dict[str, tuple[int, Callable[[int, int], float], Callable[[int, int], float]]] = {
        "alone": (count, posted, lambda port, many: bare(port, 1, many, whole)),
        f"{crew} carriers": (
            count,
            lambda port, many: carried(port, crew, many),
            lambda port, many: bare(port, crew, many, whole),
        ),
    }
    print(f"{len(whole):,} bytes a request, {len(OK)} an answer; medians of {options.rounds}\n")
    print("| | bare socket, µs of CPU | ours | ratio |\n|---|---|---|---|")
    with server() as port:
        for name, (many, ours, bares) in ways.items():
            show(name, port, many, ours, bares, options.rounds)
        with busy_owner():
            _, ours, bares = ways[f"{crew} carriers"]
            show(f"{crew} carriers beside a busy owner", port, few, ours, bares, options.rounds)


def show(
    name: str,
    port: int,
    requests: int,
    ours: Callable[[int, int], float],
    bares: Callable[[int, int], float],
    rounds: int,
) -> None:
    """Measure both by turns and print their medians."""
    taken = [(bares(port, requests), ours(port, requests)) for _ in range(rounds)]
    least, most = (statistics.median(each) / requests for each in zip(*taken, strict=True))
    ratio = statistics.median(most / least for least, most in taken)
    figures = f"{least * MICROSECONDS:.0f} | {most * MICROSECONDS:.0f} | {ratio:.1f}"
    print(f"| {name} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
