"""Whether the demo's outcome is right: compared with the story, member by member.

The stand-in says who is in which segment, the broker what is committed and what lies on the
dead-letter topic; the daemon's own numbers are only believed where they add up to the story's.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from consumer import clock
from consumer.commands.demo.standin import Memory
from consumer.commands.demo.story import Lane, Story
from consumer.core.dead_letters import HEADER_PREFIX
from consumer.core.positions import Going
from consumer.core.snapshot import Snapshot
from consumer.kafka.errors import is_end_of_partition
from consumer.kafka.member import Member
from consumer.settings import Settings
from consumer.settings.properties import consumer_properties

_PATIENCE_SECONDS = 10.0
_OUTCOMES = ("delivered", "superseded", "duplicate", "rejected", "skipped", "released")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was verified: whether it is as it must be, and how it is."""

    is_right: bool
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is compared: the story, its records by partition, and what others say became of them."""

    story: Story
    ends: Mapping[int, int]
    topic: str
    snapshot: Snapshot
    api: Memory
    settings: Settings


def findings(evidence: Evidence) -> Iterator[Finding]:
    """Yield what was verified, one by one; reading the dead letters takes a moment."""
    member = Member(consumer_properties(evidence.settings))
    try:
        yield _memberships(evidence.story, evidence.api)
        yield _accounts(evidence.story, evidence.snapshot)
        yield _requests(evidence.api)
        yield _dead_letters(evidence, member)
        yield _commits(evidence, member)
    finally:
        member.close()


def outcomes(snapshot: Snapshot) -> dict[str, int]:
    """Return how many ids ended how."""
    return {outcome: snapshot.ids(outcome) for outcome in _OUTCOMES}


def _memberships(story: Story, api: Memory) -> Finding:
    wrong: list[str] = []
    ins = outs = 0
    for lane, members in story.members.items():
        inside = {name for name, is_in in members.items() if is_in}
        outside = members.keys() - inside
        ins += len(inside)
        outs += len(outside)
        is_wrong = (inside ^ api.members(*lane)) | (outside ^ api.removed(*lane))
        wrong += [_told(lane, name, name in inside) for name in sorted(is_wrong)]
    known = {segment_id for segment_id, _ in story.members}
    strangers = sorted(api.counters().segments.keys() - known)
    wrong += [f"segment {segment_id} must not have been changed at all" for segment_id in strangers]
    if wrong:
        return Finding(False, "memberships", _many(wrong))
    segments = len(known)
    told = f"{ins + outs:,} in {segments} segments are as their last event says"
    return Finding(True, "memberships", f"{told}: {ins:,} in, {outs:,} out")


def _accounts(story: Story, snapshot: Snapshot) -> Finding:
    ended = outcomes(snapshot)
    total = snapshot.total
    held = total("held_ids")
    compared = {
        "ids to add": (total("ids_received_total", "add"), story.ids["add"]),
        "ids to remove": (total("ids_received_total", "remove"), story.ids["remove"]),
        "malformed records": (total("records_total", "malformed"), story.unreadable),
        "tombstones": (total("records_total", "tombstone"), story.tombstones),
        "records ignored": (total("records_total", "ignored"), story.ignored),
        "records": (total("records_total"), story.told),
        "ids held": (held, 0),
        "ids released": (ended["released"], 0),
        "offsets missed": (total("offset_resets_total"), 0),
    }
    wrong = [
        f"{name}: {seen:,} instead of {told:,}"
        for name, (seen, told) in compared.items()
        if seen != told
    ]
    received = total("ids_received_total")
    if received != sum(ended.values()) + held:
        wrong.append(f"{received:,} ids received, {sum(ended.values()) + held:,} accounted for")
    if wrong:
        return Finding(False, "accounts", _many(wrong))
    parts = [f"{count:,} {outcome}" for outcome, count in ended.items() if count]
    return Finding(True, "accounts", f"{received:,} ids received = {' + '.join(parts)}")


def _requests(api: Memory) -> Finding:
    counters = api.counters()
    if twice := counters.repeated_ids:
        return Finding(False, "requests", f"{twice:,} ids were named twice in one request")
    text = f"none named an id twice; the largest had {counters.largest_request:,} ids"
    return Finding(True, "requests", text)


def _dead_letters(evidence: Evidence, member: Member) -> Finding:
    story = evidence.story
    dead_letters = _read(member, evidence.settings.dead_letter_topic)
    if dead_letters is None:
        return Finding(False, "dead letters", "the dead-letter topic could not be read")
    unreadable: Counter[bytes] = Counter()
    refused: Counter[tuple[int, str]] = Counter()
    invalid = 0
    for reason, value in dead_letters:
        if reason == "malformed":
            unreadable[value] += 1
            continue
        event = json.loads(value)
        if reason == "invalid-id":
            invalid += len(event["ids"])
        else:
            refused.update((event["segment_id"], name) for name in event["ids"])
    counted = evidence.snapshot.total("dead_letters_total")
    checks = {
        "the unreadable records are not there byte for byte": unreadable == story.malformed,
        f"{invalid:,} invalid ids instead of {story.invalid:,}": invalid == story.invalid,
        "the ids that the API refused are not there once each": refused == Counter(story.refused),
        f"{len(dead_letters):,} instead of the {counted:,} counted": len(dead_letters) == counted,
    }
    if not all(checks.values()):
        return Finding(False, "dead letters", _many([t for t, ok in checks.items() if not ok]))
    return Finding(
        True,
        "dead letters",
        f"{len(dead_letters):,}: {story.unreadable} unreadable records byte for byte,"
        f" {invalid} invalid ids, {refused.total()} refused by the API",
    )


def _commits(evidence: Evidence, member: Member) -> Finding:
    names = [(evidence.topic, partition) for partition in evidence.ends]
    answers = member.committed(names, _PATIENCE_SECONDS)
    committed = {name[1]: answer.offset for name, answer in answers.items()}
    wrong = [
        f"partition {partition}: {committed.get(partition)} instead of {end}"
        for partition, end in evidence.ends.items()
        if committed.get(partition) != end
    ]
    if wrong:
        return Finding(False, "offsets", _many(wrong))
    text = f"the group has committed all {len(names)} partitions up to their ends"
    return Finding(True, "offsets", text)


def _read(member: Member, topic: str) -> list[tuple[str, bytes]] | None:
    """Return reason and value of all records of a topic; None: it can't be read."""
    partitions = (member.partition_counts(_PATIENCE_SECONDS) or {}).get(topic, 0)
    waiting = {(topic, partition) for partition in range(partitions)}
    member.start(dict.fromkeys(waiting, Going(0)), paused=False)
    deadline = clock.now() + _PATIENCE_SECONDS
    found: list[tuple[str, bytes]] = []
    while waiting and clock.now() < deadline:
        for message in member.consume(1000, 0.1):
            if is_end_of_partition(message):
                waiting.discard((message.topic(), message.partition()))
            elif message.error() is None:
                found.append((_reason(message.headers()), message.value() or b""))
    return None if waiting or not partitions else found


def _reason(headers: Iterable[tuple[str, Any]] | None) -> str:
    value = dict(headers or ()).get(HEADER_PREFIX + "reason", b"")
    return bytes(value).decode()


def _told(lane: Lane, name: str, is_in: bool) -> str:
    return f"{name} must be {'in' if is_in else 'out of'} segment {lane[0]}"


def _many(wrong: list[str]) -> str:
    """Return the first few of what is wrong, and how much more there is."""
    shown = "; ".join(wrong[:3])
    return f"{shown}; and {len(wrong) - 3:,} more" if len(wrong) > 3 else shown  # noqa: PLR2004 - the first three
