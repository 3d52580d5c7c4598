"""The checks one after the other, a line for each."""

from collections.abc import Iterator
from typing import TextIO

from consumer.commands.check.api import ApiCheck
from consumer.commands.check.finding import Finding, State
from consumer.commands.check.kafka import kafka_findings
from consumer.commands.output import Output
from consumer.settings import Settings


def run(settings: Settings, stream: TextIO | None) -> int:
    """Write a line for each check; return 0 if nothing failed, 1 otherwise."""
    is_good, output = True, Output(stream)
    for finding in _findings(settings):
        output.line(finding.line())
        is_good = is_good and finding.state is not State.FAILED
    return 0 if is_good else 1


def _findings(settings: Settings) -> Iterator[Finding]:
    api = ApiCheck(settings)
    yield Finding(State.GOOD, "settings", "all are well formed and agree with each other")
    for warning in settings.warnings:
        yield Finding(State.WARNING, "settings", warning)
    yield from kafka_findings(settings)
    yield api.finding()
