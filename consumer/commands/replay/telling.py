"""What a replay tells of single dead letters, and of all together: for people, or for programs."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from consumer.commands.replay.dead_letters import UNKNOWN, Change, Labels
from consumer.commands.replay.tally import Key, Row, Tally
from consumer.commands.replay.verdict import Outcome, Verdict
from consumer.commands.replay.voice import Voice, counted

_HEADINGS = (
    *("reason", "segment", "dead letters", "ids delivered", "refused again"),
    *("skipped", "left"),
)
_WIDTHS = (16, 10, 12, 13, 13, 7, 4)
_WORDS = 2  # columns; the others have numbers
_TOLD_SKIPS = 20
_TOLD_ROWS = 30


class ForPeople:
    """Lines; of those that were skipped the first few."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self._skips = 0

    def tell(self, verdict: Verdict) -> None:
        """Say what became of a dead letter, unless that is as it should be."""
        labels = verdict.labels
        if verdict.outcome is Outcome.SKIPPED:
            self._skips += 1
            if self._skips > _TOLD_SKIPS:
                return
            what = f"skipped: {verdict.place}"
        elif verdict.outcome is Outcome.WITHOUT_VALUE:
            what = f"skipped: {verdict.place} has no value, {verdict.why}: {labels.source}"
        elif verdict.outcome is Outcome.LEFT:
            what = f"left: {verdict.place}, {verdict.why}"
        else:
            return
        self._voice.line(f"{what} ({_described(verdict)})")

    def summary(self, tally: Tally, **_: object) -> None:
        """Say what all come to, in a table: what is not as it should be comes first."""
        if self._skips > _TOLD_SKIPS:
            self._voice.line(f"skipped: {self._skips - _TOLD_SKIPS:,} more")
        rows = list(tally.sorted())
        if rows:
            self._voice.line(_line(_HEADINGS))
        bad = [each for each in rows if each[1].is_bad]
        good = [each for each in rows if not each[1].is_bad]
        for (reason, segment_id), row in (bad + good)[:_TOLD_ROWS]:
            segment = UNKNOWN if segment_id is None else str(segment_id)
            numbers = (
                *(row.dead_letters, row.delivered_ids, row.refused_ids),
                *(row.outcomes[Outcome.SKIPPED], row.outcomes[Outcome.LEFT]),
            )
            self._voice.line(_line((reason, segment, *(f"{number:,}" for number in numbers))))
        if len(rows) > _TOLD_ROWS:
            self._voice.line(f"and {len(rows) - _TOLD_ROWS:,} more: --json has all")


class ForPrograms:
    """An object of JSON a line: of each dead letter when it is settled or left, all at last."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def tell(self, verdict: Verdict) -> None:
        """Write what became of a dead letter."""
        self._write(json.dumps(_object(verdict)))

    def summary(self, tally: Tally, **said: object) -> None:
        """Write what all come to."""
        found = {
            **said,
            **{each.value.replace("-", "_"): count for each, count in tally.outcomes.items()},
            "by_reason_and_segment": list(map(_row, tally.sorted())),
        }
        self._write(json.dumps({"summary": found}))


Telling = ForPeople | ForPrograms


def described(labels: Labels, changes: tuple[Change, ...]) -> Mapping[str, Any]:
    """Return what is known of a dead letter; no id of a person is in it."""
    return {
        "reason": _known(labels.reason),
        "source": _known(labels.source),
        "time": _known(labels.time),
        "replays": labels.replays,
        "detail": _known(labels.detail),
        "changes": [
            {"segment_id": change.segment_id, "action": change.action, "ids": change.ids}
            for change in changes
        ],
    }


def _object(verdict: Verdict) -> dict[str, Any]:
    more = {"refused_ids": verdict.refused_ids} if verdict.refused_ids else {}
    return {
        "dead_letter": verdict.place,
        "outcome": verdict.outcome.value,
        "why": verdict.why or None,
        **described(verdict.labels, verdict.changes),
        **more,
    }


def _row(item: tuple[Key, Row]) -> dict[str, Any]:
    (reason, segment_id), row = item
    outcomes = {each.value.replace("-", "_"): count for each, count in row.outcomes.items()}
    return {
        "reason": _known(reason),
        "segment_id": segment_id,
        "dead_letters": row.dead_letters,
        "delivered_ids": row.delivered_ids,
        "refused_ids": row.refused_ids,
        **outcomes,
    }


def _described(verdict: Verdict) -> str:
    return ", ".join(_parts(verdict))


def _parts(verdict: Verdict) -> Iterator[str]:
    labels = verdict.labels
    yield labels.reason if labels.reason != UNKNOWN else "unknown reason"
    segments = dict.fromkeys(str(change.segment_id) for change in verdict.changes)
    if segments:
        yield f"segment {', '.join(segments)}, {counted(verdict.ids, 'id')}"
    if labels.detail != UNKNOWN and labels.detail not in verdict.why:
        yield labels.detail
    if labels.source != UNKNOWN:
        yield f"of {labels.source}"


def _line(cells: tuple[str, ...]) -> str:
    words, numbers = cells[:_WORDS], cells[_WORDS:]
    padded = [
        *(cell.ljust(width) for cell, width in zip(words, _WIDTHS, strict=False)),
        *(cell.rjust(width) for cell, width in zip(numbers, _WIDTHS[_WORDS:], strict=True)),
    ]
    return "  ".join(padded)


def _known(text: str) -> str | None:
    return None if text == UNKNOWN else text
