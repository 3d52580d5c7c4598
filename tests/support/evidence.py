"""What a failed test leaves in its output: its daemons' logs and last status, the broker's view.

It is gathered while all that still is as the test left it, and of failed tests only. What also one
that passed tells is that the crowd's producer heard nothing for long: it hardly ever happens.
"""

from typing import TYPE_CHECKING

import pytest

from tests.support.crowd_producer import CrowdProducer
from tests.support.daemon import Daemon
from tests.support.kafka import Broker

if TYPE_CHECKING:
    from collections.abc import Generator

_SILENCE = "a producer of the tests' own was silent"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> "Generator[None, pytest.TestReport, pytest.TestReport]":
    """Attach the evidence to the report of a test that failed in its body."""
    report = yield
    if call.when == "call" and report.failed:
        report.sections += _evidence(getattr(item, "funcargs", {}))
    if call.when == "teardown":
        report.sections += [(_SILENCE, told) for told in CrowdProducer.unread]
        CrowdProducer.unread.clear()
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell of silences whatever became of their tests."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, told in getattr(report, "sections", ()):
                if name == _SILENCE:
                    terminalreporter.section(f"{_SILENCE}: {report.nodeid}")
                    terminalreporter.write_line(told)


def _evidence(fixtures: dict[str, object]) -> list[tuple[str, str]]:
    sections = [(f"daemon {each.pid}", each.evidence()) for each in Daemon.open]
    broker, group = fixtures.get("broker"), fixtures.get("group")
    if isinstance(broker, Broker) and isinstance(group, str):
        topics = [name for name in (fixtures.get("topic"),) if isinstance(name, str)]
        sections.append((f"the broker's view of {group}", broker.told_of(group, topics)))
        sections.append(("the broker's log, warnings and this group", broker.lines_about(group)))
    return sections
