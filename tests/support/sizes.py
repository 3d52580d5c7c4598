"""Pipelines of a given size, for what must not cost more when there is more of it."""

import json
from collections.abc import Callable
from itertools import islice

from consumer.core.attempts import Attempt
from consumer.core.ledger import Ledger
from tests.support.driver import DELIVERED, UNAVAILABLE, Driver

RATE = 1e9
MIXES = ("one action", "both", "tried")


def record(segment: int, action: str, *ids: str) -> bytes:
    """Return a record's value."""
    return json.dumps({"segment_id": segment, "action": action, "ids": ids}).encode()


def with_lanes(count: int) -> Driver:
    """Return a driver whose partition 0 holds that many lanes, and partition 1 three others."""
    driver = Driver(partitions=2, buffer_max_ids=10**9, requests_per_second=RATE)
    driver.read(*(record(number, "add", "x") for number in range(10, count + 10)))
    driver.read(*(record(number, "add", "x") for number in (1, 2, 3)), partition=1)
    return driver


def with_batches(count: int, mix: str) -> tuple[Driver, list[Attempt]]:
    """Return a driver with that many full batches waiting in one lane, and one attempt in flight.

    one action: adds. both: adds and removes of different ids. tried: adds, behind a few that came
    back and are under backoff.
    """
    driver = Driver(batch_max_ids=1, buffer_max_ids=10**9, requests_per_second=RATE)
    if mix == "tried":
        driver.read(*(record(1, "add", f"t{number}") for number in range(2)))
        for attempt in driver.attempts():
            driver.answer(attempt, UNAVAILABLE, jitter=0.999)
    driver.read(
        *(record(1, _action(mix, number), f"c{number}") for number in range(count)),
        *(record(1, _action(mix, number), f"c{number}") for number in range(4)),
    )
    driver.throttle.limit = 1.0
    flying = driver.attempts()
    driver.throttle.limit = 2.0
    return driver, flying


def _action(mix: str, number: int) -> str:
    return "remove" if mix == "both" and number % 2 else "add"


def steps_with_lanes(driver: Driver) -> dict[str, Callable[[], object]]:
    """Return what the engine does, by name; to be called in this order."""
    pipeline, now = driver.pipeline, driver.now
    big, small = driver.ledgers
    latest = now + 100.0

    def turn_of(*ledgers: Ledger) -> None:
        assert pipeline.can_progress(ledgers, now, latest)
        assert not pipeline.is_echoing(ledgers, now)
        assert not any(ledger.is_settled() for ledger in ledgers)

    return {
        "drain turn": lambda: turn_of(small),
        "drain turn of all": lambda: turn_of(big, small),
        "flush": lambda: pipeline.flush([small], now, "revoke"),
        "release": lambda: pipeline.forget([small]),
        "end of flush": pipeline.end_flush,
        "next dispatch": lambda: pipeline.dispatch(now),
        "wake": lambda: pipeline.wake(now),
        "publish": lambda: pipeline.busiest(20),
        "oldest": pipeline.oldest_read_at,
    }


def steps_with_batches(driver: Driver, flying: list[Attempt]) -> dict[str, Callable[[], object]]:
    """Return what comes next in one lane, by name; to be called in this order."""
    started: list[Attempt] = []
    opposite = {"add": "remove", "remove": "add"}
    batches = next(iter(driver.pipeline.lanes())).backlog.batches()
    names = [(batch.action, name) for batch in islice(batches, 100, 104) for name in batch.ids]
    return {
        "settle": lambda: answer(driver, flying),
        "dispatch": lambda: started.extend(driver.attempts()),
        "publish": lambda: driver.pipeline.busiest(20),
        "next settle": lambda: answer(driver, started),
        "repeat": lambda: driver.read(*(record(1, action, name) for action, name in names)),
        "supersede": lambda: driver.read(
            *(record(1, opposite[action], name) for action, name in names)
        ),
    }


def answer(driver: Driver, attempts: list[Attempt]) -> None:
    """Let all of them be delivered."""
    for attempt in attempts:
        driver.answer(attempt, DELIVERED)
