"""The fixture around the tests' API."""

from typing import TYPE_CHECKING

import pytest

from tests.support.api import FaultyApi

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def api() -> "Iterator[FaultyApi]":
    """Serve an API for one test on a free port; site id ``site``, key ``key``."""
    with FaultyApi() as api:
        yield api
