"""The measurements: each takes a broker and returns the rows of one table."""

import threading
import time
from collections.abc import Iterator

from tests.bench.curves.stage import PATIENCE_SECONDS, Stage, latencies, quantile
from tests.support.kafka import Broker
from tests.support.waiting import eventually

Row = tuple[float, ...]

DRAIN_SECONDS = (5, 7, 10, 15)
API_SECONDS = (0.1, 1.0, 2.0, 3.5)
REQUEST_SECONDS = 4
RESTART_RATE = 500

OUTAGE_SECONDS = (5, 10, 20, 40, 80)
MOST_BACKOFF_SECONDS = 10
OUTAGE_RATE = 200

LOADS = (100, 500, 1000, 2000, 5000, 10_000)
LOAD_SECONDS = 15
SETTLING_SECONDS = 5

ROLLOUT_RATE = 1000
REPLICAS = 3
CALM_SECONDS = 10


def restart(broker: Broker) -> Iterator[Row]:
    """Yield (drain timeout, API's seconds, changes delivered twice) of a SIGTERM under load."""
    for drain_seconds in DRAIN_SECONDS:
        for api_seconds in API_SECONDS:
            with Stage(
                broker,
                api_seconds=api_seconds,
                CUSTOMERIO_TIMEOUT_SECONDS=REQUEST_SECONDS,
                DRAIN_TIMEOUT_SECONDS=drain_seconds,
                KAFKA_SESSION_TIMEOUT_SECONDS=12,
            ) as stage:
                before = stage.start()
                load = stage.load(RESTART_RATE)
                eventually(lambda: stage.ids() > 5 * RESTART_RATE, PATIENCE_SECONDS, "flow")
                before.terminate()
                before.wait(PATIENCE_SECONDS)
                stage.start()
                load.stop()
                stage.await_nothing_left()
                yield drain_seconds, api_seconds, stage.api.counters().duplicates


def outage(broker: Broker) -> Iterator[Row]:
    """Yield (length, seconds to the first success, seconds until nothing was left) of outages."""
    for length in OUTAGE_SECONDS:
        with Stage(broker, RETRY_MAX_BACKOFF_SECONDS=MOST_BACKOFF_SECONDS) as stage:
            stage.start()
            stage.load(OUTAGE_RATE)
            eventually(lambda: stage.ids() > 2 * OUTAGE_RATE, PATIENCE_SECONDS, "flow")
            stage.api.always(status=503)
            threading.Event().wait(length)
            stage.api.always()
            ended, accepted = time.monotonic(), stage.ids()
            eventually(stage.ids, PATIENCE_SECONDS, "a success", until=accepted.__lt__)
            first = time.monotonic() - ended
            # What arrives meanwhile is always there: less than two lingers of it is nothing left.
            few = (2 * OUTAGE_RATE).__gt__
            eventually(stage.lag, PATIENCE_SECONDS, "the backlog to go", until=few)
            yield length, first, time.monotonic() - ended


def load(broker: Broker) -> Iterator[Row]:
    """Yield (changes a second, p50, p99): seconds from production to arrival at the API."""
    for per_second in LOADS:
        with Stage(broker) as stage:
            stage.start()
            stage.load(per_second)
            threading.Event().wait(SETTLING_SECONDS)
            begun = time.monotonic()
            threading.Event().wait(LOAD_SECONDS)
            taken = [seconds for at, seconds in latencies(stage.api) if at >= begun]
            yield per_second, quantile(taken, 0.5), quantile(taken, 0.99)


def rollout(broker: Broker) -> Iterator[Row]:
    """Yield (second, changes, p50, p99, replicas replaced) while three replicas are replaced."""
    with Stage(broker) as stage:
        replicas = [stage.start() for _ in range(REPLICAS)]
        stage.load(ROLLOUT_RATE)
        threading.Event().wait(SETTLING_SECONDS)
        begun = time.monotonic()
        replaced: list[float] = []
        threading.Event().wait(CALM_SECONDS)
        for old in replicas:  # as Kubernetes does it: the new one is ready before the old one goes
            stage.start()
            old.terminate()
            old.wait(PATIENCE_SECONDS)
            replaced.append(time.monotonic())
            threading.Event().wait(CALM_SECONDS)
        ended = time.monotonic()
        by_second: dict[int, list[float]] = {}
        for at, seconds in latencies(stage.api):
            by_second.setdefault(int(at - begun), []).append(seconds)
        for second in range(int(ended - begun)):
            taken = by_second.get(second, [0.0])
            gone = sum(at - begun <= second + 1 for at in replaced)
            yield second, len(taken), quantile(taken, 0.5), quantile(taken, 0.99), gone
        duplicates = stage.api.counters().duplicates
        print(f"changes delivered twice: {duplicates}")
