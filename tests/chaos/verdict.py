"""What must be true after a round, found out from outside: at the broker and at the API."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tests.support.flipping import Member

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from confluent_kafka import Message

    from tests.chaos.ledger import Application
    from tests.chaos.plan import Setup

_SHOWN = 10


@dataclass(slots=True)
class Verdict:
    """How a round ended; right if there is no complaint."""

    setup: "Setup"
    wrong: list[Member] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def is_right(self) -> bool:
        """Whether all is as it must be."""
        return not self.complaints

    def __str__(self) -> str:
        figures = ", ".join(f"{value:g} {name}" for name, value in self.figures.items())
        wrong = "".join(f"\n  - {complaint}" for complaint in self.complaints)
        return f"{'right' if self.is_right else 'WRONG'}: {self.setup}: {figures}{wrong}"


class Flip(NamedTuple):
    """A record of a customer. ``at``: Unix time, when it was produced at the latest."""

    at: float
    partition: int
    offset: int
    member: Member
    action: str


def flips(records: "Iterable[Message]") -> "Iterator[Flip]":
    """Yield what records say."""
    for record in records:
        said = msgspec.json.decode(record.value() or b"")
        partition, offset = record.partition(), record.offset()
        assert partition is not None
        assert offset is not None
        member = Member(said["segment_id"], said["id"])
        yield Flip(record.timestamp()[1] / 1000, partition, offset, member, said["action"])


def early_commits(
    all_flips: "Sequence[Flip]",
    seen: "Mapping[int, Sequence[tuple[float, int]]]",
    applied: "Mapping[Member, Sequence[Application]]",
) -> list[str]:
    """Return the commits that were above a change that was neither delivered nor superseded (I1).

    ``seen`` has by partition when which commit was seen first. A change is delivered if the API
    applied its action between its production and that; it is superseded if its member's next
    record was there by then.
    """
    superseded_at: dict[tuple[int, int], float] = {}
    latest: dict[Member, Flip] = {}
    for flip in all_flips:
        if before := latest.get(flip.member):
            superseded_at[before.partition, before.offset] = flip.at
        latest[flip.member] = flip
    early = []
    for flip in all_flips:
        commits = seen.get(flip.partition, ())
        committed = next(((at, to) for at, to in commits if to > flip.offset), None)
        if committed is None:
            continue
        at, offset = committed
        if superseded_at.get((flip.partition, flip.offset), at + 1) <= at:
            continue
        applications = applied.get(flip.member, ())
        if not any(
            each.action == flip.action and flip.at <= each.at <= at for each in applications
        ):
            early.append(f"{offset} was committed before {flip}, applied was {applications}")
    return early


def story(member: Member, all_flips: "Iterable[Flip]", applied: "Iterable[Application]") -> str:
    """Return what was asked for a member and what the API did, in the order of time."""
    moments = [(flip.at, f"asked to {flip.action}") for flip in all_flips if flip.member == member]
    moments += [(each.at, f"applied {each.action}") for each in applied]
    told = (f"{at:.3f} {what}" for at, what in sorted(moments))
    return f"{member.customer} in {member.segment_id} is wrong: " + "; ".join(told)


def some(complaints: "Sequence[str]") -> list[str]:
    """Return the first few, and how many more there are."""
    more = len(complaints) - _SHOWN
    return [*complaints[:_SHOWN], *([f"… and {more} more like that"] if more > 0 else [])]
