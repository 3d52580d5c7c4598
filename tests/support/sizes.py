"""Pipelines of a given size, for what must not cost more when there is more of it."""

import json
from collections.abc import Callable

from consumer.core.attempts import Attempt
from consumer.core.ledger import Ledger
from tests.support.driver import DELIVERED, Driver

RATE = 1e9
FREE = ("one action", "both")  # where any batch may leave
MIXES = ("one action", "both", "in turns", "behind one", "resting")


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
    """Return a driver with that many sealed batches in one lane, and the one attempt in flight.

    one action: adds. both: adds and removes of different ids. in turns: an id's adds and removes,
    each in the way of the next. behind one: removes of an id whose add is in flight. resting: adds
    under backoff, and one that isn't.
    """
    driver = Driver(batch_max_ids=1, buffer_max_ids=10**9, requests_per_second=RATE)
    driver.read(*(_value(mix, number) for number in range(count)))
    (lane,) = driver.pipeline.lanes()
    for number, batch in enumerate([*lane.sealed, *lane.open_batches()]):
        if mix == "resting" and number:
            batch.not_before = driver.now + 1000.0 + number * 7919 % count
    driver.throttle.limit = 1.0
    flying = driver.attempts()
    driver.throttle.limit = 2.0
    for _ in range(count // 1000 + 2):  # a look has its limit
        if mix not in FREE:
            flying += driver.attempts()
        driver.now += 0.01
    return driver, flying


def _value(mix: str, number: int) -> bytes:
    action = "add" if number % 2 == 0 else "remove"
    match mix:
        case "both":
            return record(1, action, f"c{number}")
        case "in turns":
            return record(1, action, "x")
        case "behind one":
            return record(1, "remove" if number else "add", "x")
        case _:
            return record(1, "add", f"c{number}")


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
    return {
        "settle": lambda: answer(driver, flying),
        "dispatch": lambda: started.extend(driver.attempts()),
        "publish": lambda: driver.pipeline.busiest(20),
        "next settle": lambda: answer(driver, started),
    }


def answer(driver: Driver, attempts: list[Attempt]) -> None:
    """Let all of them be delivered."""
    for attempt in attempts:
        driver.answer(attempt, DELIVERED)
