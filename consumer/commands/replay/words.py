"""What a replay says at its beginning and at its end, for people."""

import textwrap
from collections.abc import Iterator

from consumer.commands.replay.dead_letters import Selection
from consumer.commands.replay.progress import Progress, Score
from consumer.commands.replay.span import Spans
from consumer.commands.replay.tally import Tally
from consumer.commands.replay.verdict import Outcome
from consumer.commands.replay.voice import counted

ON_ORDER = (
    "A replay delivers the old changes as they are, beside the daemon and in no order with it. If a"
    " customer's state changed since, the replay overwrites the newer state with the old one:"
    " Customer.io keeps no times, the request it takes last wins. To narrow it down, --dry-run"
    " lists the dead letters and when they were refused; --reason, --segment and --since choose"
    " among them; --skip settles the chosen ones without sending them."
)
_WIDTH = 100


def introduction(topic: str, group: str, spans: Spans, *, skip: bool) -> Iterator[str]:
    """Say what there is to replay."""
    if not spans:
        yield (
            f"There is no topic {topic}, so nothing to replay. The daemon creates it when it"
            " starts: if it ran, check DEAD_LETTER_TOPIC and KAFKA_BOOTSTRAP_SERVERS."
        )
        return
    if any(span.is_anew for span in spans.values()):
        yield f"{topic} was made anew since the last replay: it is read from its beginning."
    if deleted := sum(span.deleted for span in spans.values()):
        what = counted(deleted, "dead letter")
        yield f"{what} already deleted by the topic's retention before they were settled."
    count = sum(span.dead_letters for span in spans.values())
    if count:
        yield f"{counted(count, 'dead letter')} on {topic}, group {group}."
        if not skip:
            yield textwrap.fill(ON_ORDER, _WIDTH)
    elif any(span.end > span.low for span in spans.values()):
        yield f"{topic} has nothing new: all of it is settled. --from-start takes it again."
    else:
        yield f"{topic} is empty: nothing to replay."


def conclusion(
    progress: Progress,
    score: Score,
    tally: Tally,
    selection: Selection,
    *,
    chosen: int,
    scattered: int,
) -> Iterator[str]:
    """Say what came of it, and what is to be known for the next one."""
    yield from progress.stuck
    outcomes = tally.outcomes
    more = [
        f", {counted(count, noun)} {what}"
        for outcome, noun, what in (
            (Outcome.SKIPPED, "dead letter", "skipped"),
            (Outcome.WITHOUT_VALUE, "dead letter", "without value skipped"),
            (Outcome.LEFT, "dead letter", "left"),
            (Outcome.IGNORED, "dead letter", "ignored"),
        )
        if (count := outcomes[outcome])
    ]
    which = f" ({chosen:,} chosen)" if selection else ""
    yield f"{progress.state}: {progress.read()}{which}, {score}{''.join(more)}"
    if not progress.done:
        yield "What was settled is committed; the next replay goes on there."
    if score.refused_ids or outcomes[Outcome.REFUSED_AGAIN]:
        yield "What was refused again is at the end of the topic once more."
    if outcomes[Outcome.LEFT]:
        yield (
            "What is left stays, and the next replay looks at it again: what was refused too often"
            " takes a higher --max-replays. --skip puts it to rest."
        )
    if selection:
        yield "What was not chosen is left for the next replay, and what was settled is not."
    if progress.left_elsewhere:
        yield "A replay that ran at the same time left some, too: run another one."
    if scattered:
        yield (
            f"In {counted(scattered, 'partition')} what is left is too scattered to note all that"
            " is settled between: the next replay delivers some of it again, and what was refused"
            " again there stayed where it is."
        )
