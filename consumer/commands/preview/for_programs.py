"""A preview for programs: an object of JSON a line, of each record, and of the summary at last."""

import json
from collections.abc import Sequence
from typing import Any

from consumer.commands.preview.sample import Change, Sample
from consumer.commands.preview.tally import Tally
from consumer.commands.preview.verdict import Verdict


def record_line(sample: Sample, *, show_ids: bool) -> str:
    """Return what became of a record."""
    return json.dumps(
        {
            "record": sample.place,
            "outcome": sample.outcome,
            "changes": [_change(change, show_ids=show_ids) for change in sample.changes],
            "detail": sample.detail or None,
        }
    )


def summary_line(
    tally: Tally, verdict: Verdict, troubles: Sequence[str], batch_max_ids: int
) -> str:
    """Return what all come to."""
    outcomes = tally.by_outcome
    found = {
        "read": tally.read,
        "readable": tally.whole,
        "ignored": outcomes["ignored"],
        "malformed": outcomes["malformed"],
        "partly_refused": tally.refused - outcomes["malformed"],
        "waiting": outcomes["waiting"],
        "ids": tally.ids,
        "invalid_ids": tally.invalid_ids,
        "requests": tally.requests(batch_max_ids),
        "changes": [
            {
                "segment_id": segment_id,
                "id_type": id_type,
                "action": action,
                "records": each.records,
                "ids": each.ids,
            }
            for (segment_id, id_type, action), each in sorted(tally.sums.items())
        ],
        "reasons": [
            {
                "outcome": each.outcome,
                "detail": each.detail,
                "records": each.records,
                "first": each.first,
            }
            for each in tally.reasons()
        ],
        "unlisted": [
            {"key": key, "records": records} for key, records in tally.unlisted.most_common()
        ],
        "troubles": list(troubles),
        "verdict": verdict.sentence,
        "try": verdict.to_try or None,
        "exit_code": verdict.exit_code,
    }
    return json.dumps({"summary": found})


def _change(change: Change, *, show_ids: bool) -> dict[str, Any]:
    found = {
        "segment_id": change.segment_id,
        "action": change.action,
        "id_type": change.id_type,
        "ids": len(change.ids),
        "invalid_ids": len(change.invalid),
        "why_invalid": change.why_invalid or None,
    }
    shown = {"shown_ids": change.ids, "shown_invalid_ids": change.invalid} if show_ids else {}
    return found | shown
