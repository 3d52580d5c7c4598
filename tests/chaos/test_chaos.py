"""A short round of chaos; ``python -m tests.chaos`` runs many and long ones of both protocols."""

import sys
from typing import TYPE_CHECKING

import pytest

from tests.chaos.plan import Setup
from tests.chaos.run import PLACES_AT_MOST, run
from tests.support.kafka import Broker

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 40


@pytest.fixture(scope="module")
def broker_of_its_own() -> "Iterator[Broker]":
    with Broker(proxied_listeners=PLACES_AT_MOST) as broker:
        if broker.external:
            pytest.skip("needs the tests' own broker: unset KAFKA_BOOTSTRAP_SERVERS_FOR_TESTS")
        yield broker


@pytest.mark.xdist_group("chaos")
@pytest.mark.long("the long chaos")
@pytest.mark.parametrize(
    "setup",
    [
        Setup(seed=2, protocol="consumer", is_static=True),
        Setup(seed=12396, protocol="classic", is_static=False),  # with a log that fails
    ],
    ids=str,
)
def test_whatever_goes_wrong_every_member_ends_right(
    broker_of_its_own: Broker, setup: Setup
) -> None:
    verdict = run(broker_of_its_own, setup, SECONDS, print_line)
    assert verdict.is_right, str(verdict)


def print_line(line: str) -> None:
    """Print it to where pytest looks."""
    sys.stdout.write(f"{line}\n")
