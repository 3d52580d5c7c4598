"""What a test of the deployment needs: its module's ``NEEDS``, and the image."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.image import Image
from tests.deploy.tools import lacking


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    """Build a release and its image, once for all tests."""
    with tempfile.TemporaryDirectory(prefix="image-for-tests-") as folder:
        image = Image(Path(folder))
        image.build()
        yield image


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, in one line for all tests of equal needs, what can't run here; on CI fail it."""
    module = item.getparent(pytest.Module)
    reason = lacking(getattr(module.obj, "NEEDS", ()) if module else ())
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    if reason:
        pytest.skip(reason)
