"""Check of the records: whether the newest ones can be read as the settings say."""

from collections.abc import Sequence

from consumer.commands.check.finding import Finding, State
from consumer.commands.preview.newest import newest
from consumer.commands.preview.sources import Judge
from consumer.commands.preview.tally import Tally
from consumer.commands.preview.verdict import hint_of
from consumer.engine.ports import Partition
from consumer.kafka.member import Member
from consumer.settings import Settings

RECORDS = 100
_MOST_PARTITIONS = 50
_READ_SECONDS = 5.0
_SEE = "segment-consumer preview shows each"


def records_finding(
    settings: Settings, member: Member, partitions: Sequence[Partition], obstacle: str
) -> Finding:
    """Return how many of the newest records fit, unless there is an obstacle to trying them."""
    mapping = settings.event_mapping
    tried = "records as events" if mapping is None else f"records by EVENT_MAPPING={mapping.name}"
    if obstacle:
        return Finding(State.SKIPPED, tried, obstacle)
    judge, tally = Judge(settings), Tally()
    for message in newest(member, partitions[:_MOST_PARTITIONS], RECORDS, _READ_SECONDS).records:
        tally.add(judge.of_message(message))
    return _of_tally(tried, tally)


def _of_tally(tried: str, tally: Tally) -> Finding:
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
    if tally.fit and not tally.refused:
        return Finding(State.GOOD, tried, came_back)
    to_do = "; ".join(each for each in (hint_of(tally), _SEE) if each)
    return Finding(State.WARNING if tally.fit else State.FAILED, tried, came_back, to_do)
