"""The verdict of a preview: in one sentence, whether ``run`` would work with such records."""

from collections import Counter
from dataclasses import dataclass

from consumer.commands.check.finding import count
from consumer.commands.preview.tally import Tally

GOOD, DOUBTFUL, BAD = "✓", "!", "✗"
COLOURS = {GOOD: "green", DOUBTFUL: "yellow", BAD: "red"}
_MOST_OF_A_REASON = 200


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to think of it, what to try (empty: nothing), and the command's exit code."""

    mark: str
    sentence: str
    to_try: str
    exit_code: int


def verdict_of(
    tally: Tally, batch_max_ids: int, source: str, *, has_trouble: bool, may_be_empty: bool = False
) -> Verdict:
    """Return what samples come to; ``has_trouble``: not all that was asked for could be read.

    ``may_be_empty``: that there are no records is no failure.
    """
    mark, sentence = _judged(tally, batch_max_ids, source)
    if has_trouble and tally.read:
        mark, sentence = BAD, f"Not all could be read, see above. Of what was: {sentence}"
    elif has_trouble:
        mark, sentence = BAD, "`run` would wait until what is said above is mended."
    elif may_be_empty and not tally.read:
        mark = DOUBTFUL
    all_readable = tally.whole + tally.by_outcome["ignored"] == tally.read
    is_enough = tally.read > 0 or may_be_empty
    exit_code = 0 if is_enough and all_readable and not has_trouble else 1
    return Verdict(mark, sentence, hint_of(tally), exit_code)


def hint_of(tally: Tally) -> str:
    """Return what would read most of the records that are not read; empty: nobody knows.

    Where some fit, those that are ignored are so because they concern nobody.
    """
    hints = tally.hints["malformed"] + (Counter() if tally.fit else tally.hints["ignored"])
    missed = tally.by_outcome["malformed"] + (0 if tally.fit else tally.by_outcome["ignored"])
    if not hints or hints.total() * 2 < missed:
        return ""
    ((hint, _),) = hints.most_common(1)
    said, _, preset = hint.partition(": EVENT_MAPPING=")
    return f"{said}: try --mapping {preset} (EVENT_MAPPING={preset})" if preset else hint


def _judged(tally: Tally, batch_max_ids: int, source: str) -> tuple[str, str]:
    outcomes, all_of_them = tally.by_outcome, count_of(tally.read, "record")
    if not tally.read:
        return BAD, f"No record was found in {source}: `run` would wait for the first one."
    if outcomes["waiting"]:
        why = _most_frequent(tally, "waiting")
        return BAD, (
            f"`run` would hold until the Schema Registry answers, before"
            f" {outcomes['waiting']:,} of {all_of_them}: {why}."
        )
    ids = count_of(tally.ids, "id")
    requests = count_of(tally.requests(batch_max_ids), "request")
    if not tally.ids and outcomes["ignored"] == tally.read:
        which = "the one record" if tally.read == 1 else f"all {all_of_them}"
        why = _most_frequent(tally, "ignored")
        return DOUBTFUL, f"`run` would deliver nothing: {which} would be ignored: {why}."
    if not tally.ids:
        why = _most_frequent(tally, "malformed", "invalid id")
        ignored = f"{outcomes['ignored']:,} would be ignored, and " if outcomes["ignored"] else ""
        none = f"{ignored}none of the others" if ignored else "none"
        return BAD, f"`run` would deliver nothing: of {all_of_them} {none} can be read: {why}."
    if tally.refused:
        what = f"{ids} in {requests}, and refuse {tally.refused:,} of {all_of_them}"
        return DOUBTFUL, f"`run` would deliver {what}, as a whole or in part."
    ignored = f", ignoring {outcomes['ignored']:,}" if outcomes["ignored"] else ""
    which = all_of_them if ignored or tally.read == 1 else f"all {all_of_them}"
    return GOOD, f"`run` would work: it would read {which}{ignored}, and send {ids} in {requests}."


def _most_frequent(tally: Tally, *outcomes: str) -> str:
    reason = next(tally.reasons(*outcomes))
    detail, _, _ = reason.detail.partition("; looks like ")  # which `hint_of` says
    return detail if len(detail) <= _MOST_OF_A_REASON else f"{detail[:_MOST_OF_A_REASON]}…"


def count_of(number: int, noun: str) -> str:
    """Return a number of things in words, with separators of thousands."""
    return count(number, noun).replace(str(number), f"{number:,}", 1)
