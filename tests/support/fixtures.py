"""The fixtures around the tests' Kafka, and the core that a simulated world runs on."""

import os
import signal
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.support.kafka import Broker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def broker() -> "Iterator[Broker]":
    """One Kafka for all tests, with two proxied listeners."""
    with Broker(proxied_listeners=2) as broker:
        yield broker


@pytest.fixture(autouse=True)
def _broker_as_found(request: pytest.FixtureRequest) -> "Iterator[None]":
    """Undo what a test did to the broker, so that the next one isn't blamed for it."""
    used: Broker | None = None
    if "broker" in request.fixturenames:
        used = request.getfixturevalue("broker")
    yield
    if used is not None:
        used.recover()


@pytest.fixture(autouse=True)
def _signals_as_found() -> "Iterator[None]":
    """Fail a test that leaves a signal otherwise: what is ignored is so in all that is started."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.fixture
def new_topic(broker: Broker) -> "Callable[..., str]":
    """Make topics of random names: ``new_topic(partitions=1, cleanup_policy="compact")``."""

    def create(partitions: int = 4, **config: object) -> str:
        name = f"topic-{uuid.uuid4().hex[:12]}"
        broker.create_topic(name, partitions, **config)
        return name

    return create


@pytest.fixture
def topic(new_topic: "Callable[..., str]") -> str:
    """Name a new topic of 4 partitions."""
    return new_topic()


@pytest.fixture
def group() -> str:
    """Name a group that nobody has used yet."""
    return f"group-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def one_core() -> "Iterator[None]":
    """Keep the threads of a world on one core, where they change places three times as fast."""
    if not hasattr(os, "sched_setaffinity"):  # not on macOS
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    yield
    os.sched_setaffinity(0, cores)
