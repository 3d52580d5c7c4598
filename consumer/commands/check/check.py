"""The checks one after the other, a line for each; and at last the rights, if one is missing."""

from collections.abc import Iterator
from typing import TextIO

from consumer.commands.check import iam
from consumer.commands.check.api import ApiCheck
from consumer.commands.check.finding import Finding, State
from consumer.commands.check.kafka import kafka_findings
from consumer.commands.check.rights import Right, commands_for
from consumer.commands.screen import Screen
from consumer.settings import Settings

_COLOURS = {
    State.GOOD: "green",
    State.WARNING: "yellow",
    State.FAILED: "red",
    State.SKIPPED: "dim",
}


def run(
    settings: Settings, stream: TextIO | None, *, write: bool = False, colours: bool = False
) -> int:
    """Write a line for each check; return 0 if nothing failed, 1 otherwise.

    ``write``: the dead-letter topic is written to, one record.
    """
    screen, missing, is_good = Screen(stream, colours=colours), set[Right](), True
    for finding in _findings(settings, write=write):
        screen.line(_painted(finding, screen))
        is_good = is_good and finding.state is not State.FAILED
        if finding.missing is not None:
            missing.add(finding.missing)
    if missing:
        is_of_aws = settings.kafka_oauth_provider == iam.PROVIDER
        advice = iam.lines_for if is_of_aws else commands_for
        for line in advice(settings, missing):
            screen.line(screen.paint(line, "yellow") if line.startswith("*") else line)
    return 0 if is_good else 1


def _findings(settings: Settings, *, write: bool) -> Iterator[Finding]:
    api = ApiCheck(settings)
    yield Finding(State.GOOD, "settings", "all are well formed and agree with each other")
    for warning in settings.warnings:
        yield Finding(State.WARNING, "settings", warning)
    yield from kafka_findings(settings, write=write)
    yield api.finding()


def _painted(finding: Finding, screen: Screen) -> str:
    """Return a finding's line: how it ended, and what to do, in colours."""
    state, line = str(finding.state), finding.line()
    head, arrow, to_do = line.partition(" -> ") if finding.to_do else (line, "", "")
    rest = head.removeprefix(state)
    return (
        screen.paint(state, _COLOURS[finding.state])
        + rest
        + (f"{arrow}{screen.paint(to_do, 'cyan')}" if arrow else "")
    )
