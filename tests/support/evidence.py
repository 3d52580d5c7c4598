"""What a failed test leaves in its output: its daemons' logs and last status, the broker's view.

It is gathered while all that still is as the test left it, and of failed tests only.
"""

from typing import TYPE_CHECKING

import pytest

from tests.support.daemon import Daemon
from tests.support.kafka import Broker

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> "Generator[None, pytest.TestReport, pytest.TestReport]":
    """Attach the evidence to the report of a test that failed in its body."""
    report = yield
    if call.when == "call" and report.failed:
        report.sections += _evidence(getattr(item, "funcargs", {}))
    return report


def _evidence(fixtures: dict[str, object]) -> list[tuple[str, str]]:
    sections = [(f"daemon {each.pid}", each.evidence()) for each in Daemon.open]
    broker, group = fixtures.get("broker"), fixtures.get("group")
    if isinstance(broker, Broker) and isinstance(group, str):
        topics = [name for name in (fixtures.get("topic"),) if isinstance(name, str)]
        sections.append((f"the broker's view of {group}", broker.told_of(group, topics)))
        sections.append(("the broker's log, warnings and this group", broker.lines_about(group)))
    return sections
