"""The summary of a preview: what all records come to, by segment, action and reason."""

from collections.abc import Iterator
from itertools import islice

from consumer.commands.preview.table import COLOURS as CHANGES
from consumer.commands.preview.table import Paint, folded, printable
from consumer.commands.preview.tally import Reason, Tally
from consumer.commands.preview.verdict import COLOURS, Verdict, count_of

_SHOWN_REASONS = 10
_SHOWN_KEYS = 20
_OF_REASONS = CHANGES | {"invalid id": "red"}
_WIDTHS = (10, 7, 7)  # segment, records, ids
_CHANGE = len("remove")


def summary(tally: Tally, verdict: Verdict, paint: Paint, width: int | None) -> Iterator[str]:
    """Yield the lines of the summary."""
    if tally.sums:
        yield ""
        yield paint(_row("segment", "change".ljust(_CHANGE), "records", "ids", "id type"), "bold")
        for (segment_id, id_type, action), found in sorted(tally.sums.items()):
            change = paint(action, CHANGES[action]) + " " * (_CHANGE - len(action))
            yield _row(str(segment_id), change, f"{found.records:,}", f"{found.ids:,}", id_type)
    reasons = list(tally.reasons())
    if reasons:
        yield ""
    for reason in islice(reasons, _SHOWN_REASONS):
        yield from _of_reason(reason, paint, width)
    if len(reasons) > _SHOWN_REASONS:
        yield f"  and {count_of(len(reasons) - _SHOWN_REASONS, 'other reason')}"
    yield from _of_unlisted(tally, width)
    yield ""
    text = f"{verdict.sentence} (exit code {verdict.exit_code})"
    first, *more = folded(printable(text), width, 4)
    yield f"  {paint(verdict.mark, COLOURS[verdict.mark])} {paint(first, 'bold')}"
    yield from (f"    {paint(each, 'bold')}" for each in more)
    if verdict.to_try:
        first, *more = folded(f"→ {verdict.to_try}", width, 4)
        yield f"    {paint(first, 'cyan')}"
        yield from (f"      {paint(each, 'cyan')}" for each in more)


def _of_unlisted(tally: Tally, width: int | None) -> Iterator[str]:
    """Yield the keys that are to be put into the table, if these audiences are meant."""
    if tally.unlisted:
        yield ""
        yield "  not in the table of segments:"
    for key, records in tally.unlisted.most_common(_SHOWN_KEYS):
        begin = f"  {records:>10,}  "
        first, *more = folded(printable(key), width, len(begin))
        yield begin + first
        yield from (" " * len(begin) + each for each in more)
    if len(tally.unlisted) > _SHOWN_KEYS:
        yield f"  and {count_of(len(tally.unlisted) - _SHOWN_KEYS, 'other key')}"


def _row(segment: str, change: str, records: str, ids: str, id_type: str) -> str:
    """Return a line; ``change`` is as wide as it is to be, with its colours."""
    wide, narrow, narrower = _WIDTHS
    numbers = f"{records.rjust(narrow)}  {ids.rjust(narrower)}"
    return f"  {segment.rjust(wide)}  {change}  {numbers}  {id_type}"


def _of_reason(reason: Reason, paint: Paint, width: int | None) -> Iterator[str]:
    begin = f"{reason.records:>10,}  {reason.outcome:<10}  "
    text = printable(f"{reason.detail} (first: {reason.first})")
    first, *more = folded(text, width, 2 + len(begin))
    yield "  " + paint(begin, _OF_REASONS[reason.outcome]) + first
    yield from (" " * (2 + len(begin)) + each for each in more)
