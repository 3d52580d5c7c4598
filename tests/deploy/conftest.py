"""What a test of the deployment needs: its module's ``NEEDS``."""

import os

import pytest

from tests.deploy.tools import lacking


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, in one line for all tests of equal needs, what can't run here; on CI fail it."""
    module = item.getparent(pytest.Module)
    reason = lacking(getattr(module.obj, "NEEDS", ()) if module else ())
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    if reason:
        pytest.skip(reason)
