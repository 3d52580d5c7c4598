"""How a preview looks: a table for people, or an object a line for programs."""

import shutil
from collections.abc import Sequence
from typing import TextIO

from consumer.commands.preview.for_programs import record_line, summary_line
from consumer.commands.preview.sample import Sample
from consumer.commands.preview.summary import summary
from consumer.commands.preview.table import Table, folded
from consumer.commands.preview.tally import Tally
from consumer.commands.preview.verdict import Verdict
from consumer.commands.screen import Screen
from consumer.settings import Settings


class ForPeople:
    """Writes tables, as wide as the terminal; in a pipe lines are as long as they are."""

    def __init__(self, stream: TextIO | None, *, colours: bool, show_ids: bool) -> None:
        self._screen = Screen(stream, colours=colours)
        self._width = shutil.get_terminal_size().columns if self._screen.isatty() else None
        self._table = Table(self._screen.paint, self._width, show_ids=show_ids)
        self._has_begun = False

    def begin(self, source: str, settings: Settings) -> None:
        """Say what is read, and how."""
        how = f"by {settings.event_mapping.name}" if settings.event_mapping else "as events"
        if settings.event_format != "json":
            how += ", decoded by their schemas"
        self._screen.line(f"  {self._screen.paint(source, 'bold')}, read {how}")
        self._screen.line()

    def show(self, samples: Sequence[Sample]) -> None:
        """Write some more records."""
        if not self._has_begun:
            self._has_begun = True
            self._screen.line(self._table.heading(samples))
        for line in self._table.lines(samples):
            self._screen.line(line)

    def conclude(
        self, tally: Tally, verdict: Verdict, troubles: Sequence[str], _: Settings
    ) -> None:
        """Write what all come to."""
        if troubles and tally.read:
            self._screen.line()
        for trouble in troubles:
            for line in folded(trouble, self._width, 2):
                self._screen.line(f"  {self._screen.paint(line, 'red')}")
        for line in summary(tally, verdict, self._screen.paint, self._width):
            self._screen.line(line)


class ForPrograms:
    """Writes an object a line."""

    def __init__(self, stream: TextIO | None, *, show_ids: bool) -> None:
        self._screen = Screen(stream, colours=False)
        self._show_ids = show_ids

    def begin(self, source: str, settings: Settings) -> None:
        """Say nothing: each object stands for itself."""

    def show(self, samples: Sequence[Sample]) -> None:
        """Write some more records."""
        for sample in samples:
            self._screen.line(record_line(sample, show_ids=self._show_ids))

    def conclude(
        self, tally: Tally, verdict: Verdict, troubles: Sequence[str], settings: Settings
    ) -> None:
        """Write what all come to."""
        self._screen.line(summary_line(tally, verdict, troubles, settings.batch_max_ids))
