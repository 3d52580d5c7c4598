"""Check of the records: whether the newest ones can be read as the settings say."""

from collections.abc import Iterator, Sequence

from consumer.commands.check.finding import Finding, State
from consumer.commands.preview.newest import newest
from consumer.commands.preview.sample import Sample
from consumer.commands.preview.sources import Judge
from consumer.commands.preview.tally import Tally
from consumer.commands.preview.verdict import hint_of
from consumer.engine.ports import Partition
from consumer.kafka.member import Member
from consumer.settings import Settings

RECORDS = 100
MORE_RECORDS = 1000  # of a topic that has nothing else than what would be ignored
_MOST_PARTITIONS = 50
_MOST_PARTITIONS_OF_MORE = 10
_READ_SECONDS = 5.0
_SEE = "segment-consumer preview shows each"
_IF_RARE = "right only if records of a segment are rarer than that here"

Samples = dict[str, list[Sample]]
"""By topic."""


def records_finding(
    settings: Settings, member: Member, partitions: Sequence[Partition], obstacle: str
) -> Finding:
    """Return how many of the newest records fit, unless there is an obstacle to trying them."""
    mapping = settings.event_mapping
    tried = "records as events" if mapping is None else f"records by EVENT_MAPPING={mapping.name}"
    if obstacle:
        return Finding(State.SKIPPED, tried, obstacle)
    judge, patience = Judge(settings), _READ_SECONDS

    def tried_of(names: Sequence[Partition], count: int) -> Samples:
        found: Samples = {}
        for message in newest(member, names, count, patience).records:
            found.setdefault(message.topic(), []).append(judge.of_message(message))
        return found

    samples = tried_of(partitions[:_MOST_PARTITIONS], RECORDS)
    ignored = set(_all_ignored(samples))
    if ignored:  # most of what a topic has may be about no segment
        names = [name for name in partitions if name[0] in ignored]
        samples |= tried_of(names[:_MOST_PARTITIONS_OF_MORE], MORE_RECORDS)
    return finding_of(tried, samples)


def finding_of(tried: str, samples: Samples) -> Finding:
    """Return what samples come to."""
    tally = Tally()
    for sample in [each for of_topic in samples.values() for each in of_topic]:
        tally.add(sample)
    if not tally.read:
        return Finding(State.GOOD, tried, "there are none yet")
    came_back = f"{tally.fit} of the newest {tally.read} fit"
    if ignored := tally.by_outcome["ignored"]:
        came_back += f", {ignored} would be ignored"
    if tally.refused:
        came_back += f", {tally.refused} would be refused"
        is_partly_fit = tally.fit + ignored + tally.refused > tally.read
        came_back += ", as a whole or in part" if is_partly_fit else ""
    outcomes = ("malformed", "waiting", "invalid id") if tally.refused else ()
    reason = next(tally.reasons(*outcomes), None)
    if reason is not None:
        came_back += f"; most often: {reason.detail} ({reason.first})"
    silent = sorted(_all_ignored(samples))
    if silent and tally.fit:
        came_back += f"; none of {', '.join(silent)}"
    if tally.fit and not tally.refused and not silent:
        return Finding(State.GOOD, tried, came_back)
    advice = (hint_of(tally), _IF_RARE if silent else "", _SEE)
    to_do = "; ".join(each for each in advice if each)
    return Finding(State.WARNING if tally.fit else State.FAILED, tried, came_back, to_do)


def _all_ignored(samples: Samples) -> Iterator[str]:
    """Yield the topics of which every record would be ignored."""
    for topic, found in samples.items():
        if all(sample.outcome == "ignored" for sample in found):
            yield topic
