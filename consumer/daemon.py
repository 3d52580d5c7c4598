"""The daemon: gives the loop a clock, threads, signals and sockets, and ends it in time.

The first SIGTERM or SIGINT asks for a stop: drain, commit, leave the group. A watchdog - the thread
that waits for signals - ends the process hard when that takes too long, for nothing bounds a
library call that waits for a broker; the second signal ends it at once. Both work while the main
thread sits in such a call, where a Python signal handler would not run: the wakeup file descriptor
is written by the C handler, and read by the thread.

A crash doesn't leave the group either: while its session lasts, nobody else gets the partitions,
and no request that is still on its way can overtake the next owner's.
"""

import logging
import os
import random
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, Protocol

from confluent_kafka import KafkaException

from consumer import __version__, clock
from consumer.core.metrics import Board, Tally, initial_snapshot
from consumer.core.pipeline import Pipeline, Rules
from consumer.core.throttle import Throttle
from consumer.customerio.api import Api
from consumer.customerio.carriers import Carriers
from consumer.engine.loop import Loop
from consumer.engine.ports import DeadLettersPort, GiveUp, MemberPort, Options, Ports
from consumer.kafka.dead_letters import DeadLetters
from consumer.kafka.member import Member
from consumer.kafka.observer import Observer, Questions
from consumer.observability import logs
from consumer.observability.health import HealthServer
from consumer.observability.status import Reporter
from consumer.settings.properties import admin_properties, consumer_properties, producer_properties

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumer.engine.ports import Listener
    from consumer.settings import Credentials, Settings

OVERTIME_SECONDS = 4.0
"""A stop that is past its time by this much is ended hard; the contract allows 5 s."""
LAST_WORDS_SECONDS = 0.5


class JoiningMember(MemberPort, Protocol):
    """See `member.Member`."""

    def subscribe(self, topics: "Sequence[str]", listener: "Listener") -> None: ...  # noqa: D102


class ClosingDeadLetters(DeadLettersPort, Protocol):
    """See `dead_letters.DeadLetters`."""

    def close(self, timeout_seconds: float) -> None: ...  # noqa: D102


def _never() -> bool:
    """Say that a daemon's work is never done."""
    return False


def run(settings: "Settings") -> int:
    """Run until a signal says stop; return the exit code."""
    stopper = Stopper(settings.drain_timeout_seconds)
    stopper.watch()  # first of all: a signal during the start is a stop, not a death
    logs.configure(settings.log_level, settings.log_format)
    logs.log("starting", f"segment-consumer {__version__}", **settings.masked())
    for warning in settings.warnings:
        logs.log("settings_warning", warning, level=logging.WARNING)
    board = Board(initial_snapshot(__version__), clock.now())
    server = HealthServer(
        settings.http_host,
        settings.http_port,
        board,
        settings.liveness_timeout_seconds,
        __version__,
    )
    try:
        address = server.start()
    except OSError as error:
        logs.log("gave_up", str(error), level=logging.ERROR)
        return 1
    logs.log("listening", f"http://{address}", address=address)
    return guarded(lambda: run_until(settings, board, stopper))


def guarded(work: Callable[[], int]) -> int:
    """Return what ``work`` returns; what it can't go on after ends the process hard."""
    try:
        return work()
    except (GiveUp, KafkaException) as error:
        _end_hard(1, "gave_up", str(error))
    except Exception as error:  # noqa: BLE001 - whatever it was, it must be in the log, and the group not left
        _end_hard(1, "crashed", str(error), traceback=traceback.format_exc())


def run_until(
    settings: "Settings",
    board: Board,
    stopper: "Stopper",
    *,
    source: "JoiningMember | None" = None,
    dead_letters: "ClosingDeadLetters | None" = None,
    pipeline: Pipeline | None = None,
    is_done: Callable[[], bool] = _never,
) -> int:
    """Wire the daemon up and turn the loop until ``stopper`` says stop; return the exit code.

    ``source``, ``dead_letters`` and ``pipeline`` are the daemon's own unless given; ``is_done``
    may end it too.
    """
    source = source or Member({**consumer_properties(settings), "logger": logs.librdkafka_logger()})
    dead_letters = dead_letters or DeadLetters(
        {**producer_properties(settings), "logger": logs.librdkafka_logger()},
        settings.dead_letter_topic,
    )
    cluster = observer_of(settings)
    api = api_of(settings)
    ports = Ports(
        member=source,
        carriers=Carriers(api.post, clock.now),
        dead_letters=dead_letters,
        observer=cluster,
        clock=clock.now,
        wall=time.time,
        jitter=random.random,
        say=_Say(),
        beat=_beat_on(board),
        publish=_publish_on(board),
        before_probe=_reread(settings, api),
    )
    loop = Loop(options_of(settings), pipeline or pipeline_of(settings), ports)
    stopper.on_stop = loop.request_stop
    cluster.start()
    source.subscribe(settings.kafka_topics, loop)
    while not stopper.asked:
        if is_done():
            stopper.finish()
            break
        loop.turn()
    held, released_before = loop.pipeline.held_ids, loop.released
    logs.log("stopping", f"{held} ids are held", held_ids=held)
    loop.stop(stopper.deadline)
    source.close()
    dead_letters.close(max(0.0, min(1.0, stopper.deadline - clock.now())))
    api.close()
    seconds = round(clock.now() - stopper.asked_at, 3)
    released = loop.released - released_before
    logs.log(
        "stopped",
        f"{held - released} ids drained, {released} released in {seconds} s",
        drained=held - released,
        released=released,
        seconds=seconds,
    )
    return 0


def options_of(settings: "Settings") -> Options:
    """Return what the loop has to know."""
    return Options(
        request_timeout_seconds=settings.customerio_timeout_seconds,
        drain_timeout_seconds=settings.drain_timeout_seconds,
        commit_interval_seconds=settings.commit_interval_seconds,
        session_timeout_seconds=settings.kafka_session_timeout_seconds,
        heartbeat_interval_seconds=settings.heartbeat_interval_seconds,
        offset_reset=settings.kafka_auto_offset_reset,
        needs_dead_letters=settings.reject_policy == "dead-letter",
        asks_session=settings.kafka_group_protocol == "consumer",
    )


def pipeline_of(settings: "Settings") -> Pipeline:
    """Return an empty pipeline with its throttle."""
    rules = Rules(
        batch_max_ids=settings.batch_max_ids,
        linger_seconds=settings.batch_linger_seconds,
        buffer_max_ids=settings.buffer_max_ids,
        request_timeout_seconds=settings.customerio_timeout_seconds,
        max_backoff_seconds=settings.retry_max_backoff_seconds,
        reject_policy=settings.reject_policy,
        dead_letter_max_consecutive=settings.dead_letter_max_consecutive,
    )
    throttle = Throttle(
        max_in_flight=settings.customerio_max_in_flight,
        requests_per_second=settings.customerio_requests_per_second,
        max_backoff_seconds=settings.retry_max_backoff_seconds,
    )
    return Pipeline(rules, settings.event_id_type, throttle, Tally())


def observer_of(settings: "Settings") -> Observer:
    """Return what asks the cluster about everything but records."""
    questions = Questions(
        group_id=settings.kafka_group_id,
        topics=settings.kafka_topics,
        dead_letter_topic=(
            settings.dead_letter_topic if settings.reject_policy == "dead-letter" else None
        ),
        asks_session=settings.kafka_group_protocol == "consumer",
    )
    logger = logs.librdkafka_logger()
    return Observer({**admin_properties(settings), "logger": logger}, questions)


def api_of(settings: "Settings") -> Api:
    """Return the API, connected to nothing yet."""
    return Api(
        settings.api_url,
        _plain(settings.credentials),
        timeout_seconds=settings.customerio_timeout_seconds,
        max_connections=settings.customerio_max_in_flight,
        proxy_url=settings.proxy_url,
        ssl_cert_file=settings.ssl_cert_file,
        user_agent=f"segment-consumer/{__version__}",
    )


class Stopper:
    """Turns signals into a stop with a deadline, and ends the process if that is not kept.

    With ``overdue_code``, then: 0 for a daemon, as the next owner goes on.
    """

    def __init__(self, drain_timeout_seconds: float, *, overdue_code: int = 0) -> None:
        self.overdue_code = overdue_code
        self.asked = False
        self.asked_at = 0.0
        self.deadline = 0.0
        self.on_stop: Callable[[float], None] = _nothing
        self._drain_timeout_seconds = drain_timeout_seconds
        self._sender: socket.socket | None = None

    def watch(self) -> None:
        """Take over SIGTERM and SIGINT; call it in the main thread."""
        receiver, sender = socket.socketpair()
        self._sender = sender
        sender.setblocking(False)  # as set_wakeup_fd demands
        signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _ignored)
        threading.Thread(
            target=self._wait, args=(receiver, sender), name="stopper", daemon=True
        ).start()

    def stop(self) -> None:
        """Ask for the stop."""
        self.asked_at = clock.now()
        self.deadline = self.asked_at + self._drain_timeout_seconds
        self.on_stop(self.deadline)
        self.asked = True

    def finish(self) -> None:
        """Stop because the work is done; the deadline is watched as after a signal."""
        self.stop()
        if self._sender is not None:
            self._sender.send(b"\0")

    def _wait(self, receiver: socket.socket, sender: socket.socket) -> None:
        receiver.recv(1)
        if not self.asked:
            self.stop()
        overdue = self.deadline + OVERTIME_SECONDS
        while (left := overdue - clock.now()) > 0:
            if select.select([receiver], [], [], left)[0] and (number := receiver.recv(1)[0]):
                _end_hard(128 + number, "stopped_hard", "a second signal", signal=number)
        sender.close()
        _end_hard(
            self.overdue_code,
            "stopped_hard",
            "the stop took too long; what was held is the next owner's",
        )


class _Say:
    """The loop's voice: what repeats is said at most every 30 s, with a count."""

    def __init__(self) -> None:
        self._repeats = logs.Repeats()

    def __call__(
        self, now: float, event: str, key: str, message: str, *, level: str, **fields: object
    ) -> None:
        number = logging.getLevelNamesMapping()[level.upper()]
        self._repeats.log(now, event, key, message, level=number, **fields)


def _beat_on(board: Board) -> Callable[[float], None]:
    def beat(now: float) -> None:
        board.turned_at = now

    return beat


def _publish_on(board: Board) -> Callable[[Loop, float], None]:
    reporter = Reporter()

    def publish(loop: Loop, now: float) -> None:
        board.snapshot = reporter.snapshot(loop, now, time.time())

    return publish


def _ignored(_signal: int, _frame: object) -> None:
    """Do nothing: the thread that reads the wakeup descriptor does."""


def _reread(settings: "Settings", api: Api) -> Callable[[], None]:
    known = settings.credentials

    def reread() -> None:
        nonlocal known
        known = settings.reread_credentials(known)
        api.reload_credentials(_plain(known))

    return reread


def _plain(credentials: "Credentials") -> tuple[str, str]:
    site_id, api_key = credentials
    return site_id.get_secret_value(), api_key.get_secret_value()


def _nothing(_deadline: float) -> None:
    """Stand in until there is a loop to stop."""


def _end_hard(code: int, event: str, message: str, **fields: object) -> NoReturn:
    def say() -> None:
        logs.log(event, message, level=logging.ERROR, **fields)
        logs.flush()
        sys.stdout.flush()

    # Whoever reads the log may have stopped, and another thread may hold its lock for ever.
    speaker = threading.Thread(target=say, name="last-words", daemon=True)
    speaker.start()
    speaker.join(LAST_WORDS_SECONDS)
    os._exit(code)
