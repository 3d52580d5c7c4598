"""The table of a preview: lines of records, aligned, and folded where the terminal is narrow."""

import textwrap
from collections.abc import Callable, Iterator, Sequence

from consumer.commands.check.finding import count
from consumer.commands.preview.sample import Change, Sample

Paint = Callable[[str, str], str]
"""A text and a colour's name to what is shown."""

COLOURS = {
    "add": "green",
    "remove": "cyan",
    "ignored": "dim",
    "malformed": "red",
    "waiting": "yellow",
}
NOTHING = "-"
_LEAST_SEGMENT = len("segment")
_WHAT = len("malformed")
_LEAST_TEXT = 24
_FOLDED = 4  # how far the rest of a line stands in where it doesn't fit beside the record


class Table:
    """Makes lines of samples; ``width`` is the terminal's, None: lines are as long as they are."""

    def __init__(self, paint: Paint, width: int | None, *, show_ids: bool) -> None:
        self._paint = paint
        self._width = width
        self._show_ids = show_ids
        self._place = len("record")
        self._segment = _LEAST_SEGMENT

    def heading(self, samples: Sequence[Sample]) -> str:
        """Return the heading of the columns, as wide as the first ``samples`` want them."""
        self._widen(samples)
        cells = ("record".ljust(self._place), "segment".rjust(self._segment), "change".ljust(_WHAT))
        line = "  ".join(("", *cells, "ids"))
        return self._paint("  record" if self._is_folded else line, "bold")

    def lines(self, samples: Sequence[Sample]) -> Iterator[str]:
        """Yield the lines of ``samples``; columns grow, and never shrink again."""
        self._widen(samples)
        for sample in samples:
            place = sample.place
            for segment, what, text in self._cells(sample):
                yield from self._line(place, segment, what, text)
                place = ""

    def _widen(self, samples: Sequence[Sample]) -> None:
        self._place = max([self._place, *(len(sample.place) for sample in samples)])
        self._segment = max(
            [
                self._segment,
                *(len(str(each.segment_id)) for sample in samples for each in sample.changes),
            ]
        )

    def _cells(self, sample: Sample) -> Iterator[tuple[str, str, str]]:
        for change in sample.changes:
            yield str(change.segment_id), change.action, self._ids(change)
        if not sample.changes:
            yield NOTHING, sample.outcome, sample.detail
        elif sample.detail:
            yield NOTHING, "malformed", sample.detail

    def _ids(self, change: Change) -> str:
        text = count(len(change.ids), change.id_type) if change.ids else ""
        if self._show_ids and change.ids:
            text += f": {', '.join(change.ids)}"
        if change.invalid:
            why = f"{len(change.invalid)} invalid ({change.why_invalid})"
            text = f"{text}, {why}" if text else why
            if self._show_ids:
                text += f": {', '.join(change.invalid)}"
        return text

    @property
    def _indent(self) -> int:
        return 2 + self._place + 2 + self._segment + 2 + _WHAT + 2

    @property
    def _is_folded(self) -> bool:
        return self._width is not None and self._width - self._indent < _LEAST_TEXT

    def _line(self, place: str, segment: str, what: str, text: str) -> Iterator[str]:
        text, colour = printable(text), COLOURS[what]
        if self._is_folded:
            if place:
                yield f"  {place}"
            indent = 2 + _FOLDED + len(f"{segment} {what} ")
            first, *more = folded(text, self._width, indent)
            begin = " " * (2 + _FOLDED) + f"{segment} {self._paint(what, colour)} "
        else:
            indent = self._indent
            first, *more = folded(text, self._width, indent)
            begin = (
                f"  {place.ljust(self._place)}  {segment.rjust(self._segment)}"
                f"  {self._paint(what, colour)}{' ' * (_WHAT - len(what))}  "
            )
        shown = [each if what in {"add", "remove"} else self._paint(each, colour) for each in more]
        first = first if what in {"add", "remove"} else self._paint(first, colour)
        yield (begin + first).rstrip()
        yield from (" " * indent + each for each in shown)


def folded(text: str, width: int | None, indent: int = 0) -> list[str]:
    """Return a text in lines that fit behind an indent; at least one, if it is empty."""
    if width is None:
        return [text]
    room = max(_LEAST_TEXT, width - indent)
    return textwrap.wrap(text, room, break_on_hyphens=False) or [""]


def printable(text: str) -> str:
    """Return a text without what a terminal would take for a command."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
