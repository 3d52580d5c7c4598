"""Whether logs are still those that marks were noted of: brokers compare the leader epochs.

A log that an unclean election cut off, and that has grown again, has other dead letters where some
were settled. Only a broker can tell, and it does where reading begins: see `Member.start`.
"""

from collections.abc import Mapping

from consumer import clock
from consumer.core.positions import Going, Gone
from consumer.engine.ports import Partition, Trouble
from consumer.kafka.member import Member

_WAIT_SECONDS = 0.1


def divergences(
    member: Member, positions: Mapping[Partition, Going], timeout_seconds: float
) -> dict[Partition, int] | None:
    """Return which logs are others than they were up to a position, and from where on.

    From the beginning, if nobody can say. None: the brokers didn't tell of all in that time. The
    ``member`` has not joined.
    """
    found: dict[Partition, int] = {}
    left = set(positions)
    until = clock.now() + timeout_seconds
    member.start(positions, paused=False)
    while left and clock.now() < until:
        for message in member.consume(1, _WAIT_SECONDS):
            name = (message.topic(), message.partition())
            meaning = None if message.error() is None else member.meaning_of(message)
            if name not in left or isinstance(meaning, Trouble):
                continue
            if isinstance(meaning, Gone):
                found[name] = meaning.diverges_at or 0
            left.discard(name)
            member.stop([name])
    member.stop(left)
    return None if left else found
