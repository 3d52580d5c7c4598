"""The daemon: gives the engine a clock, threads and sockets, and turns it until it is to stop.

A crash doesn't leave the group: while its session lasts, nobody else gets the partitions, and no
request that is still on its way can overtake the next owner's.
"""

import random
import socket
import time
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

from consumer import __version__, clock, crashes, readers
from consumer.collector import Collector
from consumer.core.mapping.reading import Reader
from consumer.core.pipeline import Pipeline
from consumer.core.rules import Rules
from consumer.core.snapshot import Board, Identity, initial_snapshot
from consumer.core.tally import Tally
from consumer.core.throttle import Throttle
from consumer.customerio.api import Api
from consumer.customerio.carriers import Carriers
from consumer.engine.loop import Loop
from consumer.engine.ports import Options, Ports, Published
from consumer.kafka.credentials import LoginWatch
from consumer.kafka.dead_letters import DeadLetters
from consumer.kafka.lookup import Lookup
from consumer.kafka.member import Member
from consumer.kafka.observer import Observer
from consumer.kafka.questions import Questions
from consumer.kafka.signers import fetch_of
from consumer.kafka.statistics import Statistics
from consumer.kafka.tokens import Tokens, with_tokens
from consumer.observability import logs
from consumer.observability.health import HealthServer
from consumer.observability.status import Reporter
from consumer.settings import Credentials, Settings
from consumer.settings.properties import (
    admin_properties,
    consumer_properties,
    producer_properties,
    rotated,
)
from consumer.settings.property_checks import objection
from consumer.stopper import Stopper


def run(settings: Settings, stopper: Stopper) -> int:
    """Run until ``stopper`` says stop; return the exit code."""
    logs.configure(settings.log_level, settings.log_format)
    stopper.log_is_open = True
    logs.log("starting", f"segment-consumer {__version__}", **settings.masked())
    for warning in settings.warnings:
        logs.log("settings_warning", warning, level="warning")
    board = board_of(settings)
    patience = settings.liveness_timeout_seconds
    server = HealthServer(settings.http_host, settings.http_port, board, patience, __version__)
    try:
        address = server.start()
    except OSError as error:
        logs.log("gave_up", str(error), level="error")
        return 1
    logs.log("listening", f"http://{address}", address=address)
    return crashes.guarded(lambda: run_until(settings, board, stopper))


def run_until(
    settings: Settings,
    board: Board,
    stopper: Stopper,
    *,
    member: Member | None = None,
    lookup: Lookup | None = None,
    dead_letters: DeadLetters | None = None,
    pipeline: Pipeline | None = None,
    tokens: Tokens | None = None,
    is_done: Callable[[], bool] = lambda: False,
) -> int:
    """Wire the daemon up and turn the loop until ``stopper`` says stop; return the exit code.

    What isn't given is the daemon's own; ``is_done`` may end it too.
    """
    statistics, logger = Statistics(), logs.librdkafka_logger
    if tokens is None and (tokens := tokens_of(settings)) is not None:
        tokens.start()
    watch = login_watch_of(settings)
    member = member or Member(
        with_tokens(
            {**statistics.watched(consumer_properties(settings), "consumer"), "logger": logger()},
            tokens,
        ),
        settings.customerio_timeout_seconds,
    )
    dead_letters = dead_letters or DeadLetters(
        with_tokens(
            {**statistics.watched(producer_properties(settings), "producer"), "logger": logger()},
            tokens,
        ),
        settings.dead_letter_topic,
    )
    observer = observer_of(settings, statistics, tokens)
    lookup = lookup or lookup_of(settings, tokens)
    for each in (member, dead_letters, observer, lookup):
        each.follow(watch)
    api, schemas = api_of(settings), readers.schemas_of(settings)
    ports = Ports(
        member=member,
        lookup=lookup,
        carriers=Carriers(api.post, clock.now),
        dead_letters=dead_letters,
        observer=observer,
        clock=clock.now,
        wall=time.time,
        jitter=random.random,
        say=logs.Repeats().log,
        beat=board.beat,
        publish=partial(_publish, Reporter(board.identity, statistics.samples), board),
        before_probe=_reread(settings, api),
        schemas=schemas,
    )
    pipeline = pipeline or pipeline_of(settings, readers.reader_of(settings, schemas))
    loop = Loop(options_of(settings), pipeline, ports)
    stopper.begin(settings.drain_timeout_seconds, loop.request_stop)
    if not stopper.asked:
        watch.start()
        observer.start()
        lookup.start()
        member.subscribe(settings.kafka_topics, loop)
    with Collector(clock.now) as collector:
        while not stopper.asked:
            if is_done():
                stopper.finish()
                break
            collector.turn(is_idle=not loop.turn())
    held, released_before = pipeline.held_ids, loop.released
    logs.log("stopping", f"{held} ids are held", held_ids=held)
    loop.stop(stopper.deadline)
    lookup.close()
    member.close()
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


def board_of(settings: Settings) -> Board:
    """Return the board of a process that starts now."""
    url = urlsplit(settings.api_url)
    identity = Identity(
        host=socket.gethostname(),
        group=settings.kafka_group_id,
        started=clock.rfc3339(time.time()),
        api_url=f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}",
    )
    return Board(initial_snapshot(__version__, identity), clock.now(), identity)


def options_of(settings: Settings) -> Options:
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
        has_expression=_has_expression(settings),
    )


def _has_expression(settings: Settings) -> bool:
    return any(name.startswith("^") for name in settings.kafka_topics)


def pipeline_of(settings: Settings, reader: Reader | None = None) -> Pipeline:
    """Return an empty pipeline with its throttle; ``reader`` says what the records are."""
    rules = Rules(
        batch_max_ids=settings.batch_max_ids,
        linger_seconds=settings.batch_linger_seconds,
        buffer_max_ids=settings.buffer_max_ids,
        request_timeout_seconds=settings.customerio_timeout_seconds,
        max_backoff_seconds=settings.retry_max_backoff_seconds,
        reject_policy=settings.reject_policy,
        dead_letter_max_consecutive=settings.dead_letter_max_consecutive,
        has_one_topic=len(settings.kafka_topics) == 1 and not _has_expression(settings),
    )
    throttle = Throttle(
        max_in_flight=settings.customerio_max_in_flight,
        requests_per_second=settings.customerio_requests_per_second,
        max_backoff_seconds=settings.retry_max_backoff_seconds,
    )
    return Pipeline(rules, settings.event_id_type, throttle, Tally(), reader)


def observer_of(settings: Settings, statistics: Statistics, tokens: Tokens | None) -> Observer:
    """Return what asks the cluster about everything but records."""
    properties = statistics.watched(admin_properties(settings), "admin")
    return Observer(
        with_tokens({**properties, "logger": logs.librdkafka_logger()}, tokens),
        settings.kafka_group_id,
        settings.kafka_topics,
        settings.dead_letter_topic if settings.reject_policy == "dead-letter" else None,
        asks_session=settings.kafka_group_protocol == "consumer",
    )


def lookup_of(settings: Settings, tokens: Tokens | None) -> Lookup:
    """Return what asks where partitions stand."""
    properties = {**admin_properties(settings), "logger": logs.librdkafka_logger()}
    return Lookup(
        with_tokens(properties, tokens),
        partial(Questions, group_id=settings.kafka_group_id),
        is_latest=settings.kafka_auto_offset_reset == "latest",
    )


def tokens_of(settings: Settings) -> Tokens | None:
    """Return where the tokens for Kafka come from, if not from librdkafka: not started yet."""
    provider = settings.kafka_oauth_provider
    if provider is None or provider == "oidc":
        return None
    return Tokens(provider, fetch_of(provider, settings.aws_region), logs.Repeats().log)


def login_watch_of(settings: Settings) -> LoginWatch:
    """Return what watches how to log in at Kafka."""
    properties, say = consumer_properties(settings), logs.Repeats().log
    return LoginWatch(properties, partial(rotated, settings), objection, say)


def api_of(settings: Settings) -> Api:
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


def _publish(reporter: Reporter, board: Board, published: Published) -> None:
    board.snapshot = reporter.snapshot(published, time.time())


def _reread(settings: Settings, api: Api) -> Callable[[], None]:
    known = settings.credentials

    def reread() -> None:
        nonlocal known
        known = settings.reread_credentials(known)
        api.reload_credentials(_plain(known))

    return reread


def _plain(credentials: Credentials) -> tuple[str, str]:
    site_id, api_key = credentials
    return site_id.get_secret_value(), api_key.get_secret_value()
