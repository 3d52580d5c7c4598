"""What came of each version of Kafka; deploy/reference.md's table is tested against it.

``python -m tests.brokers`` tries them again and says whether it is still so.
"""

from typing import NamedTuple


class Tried(NamedTuple):
    """A version of Kafka, and what it can do for the daemon.

    ``classic`` and ``kip_848``: all records are delivered, once, through a rebalance, a stop and a
    restart with that group protocol. The others say what a broker tells.
    """

    kafka: str
    classic: bool
    kip_848: bool
    topic_ids: bool
    leader_epochs: bool
    rights: bool
    session: bool


COLUMNS = {
    "classic": "`classic`",
    "kip_848": "`consumer` (KIP-848)",
    "topic_ids": "topic ids",
    "leader_epochs": "leader epochs",
    "rights": "whether a topic may be read",
    "session": "KIP-848 session",
}
"""The table's columns after the version, by field."""

TRIED = (
    Tried("2.8.2", True, False, True, True, True, False),
    Tried("3.3.2", True, False, True, True, True, False),
    Tried("3.9.1", True, False, True, True, True, True),
    Tried("4.0.0", True, True, True, True, True, True),
    Tried("4.3.1", True, True, True, True, True, True),
)


def table(rows: tuple[Tried, ...] = TRIED) -> str:
    """Return the rows as the reference has them."""
    lines = [f"| Kafka | {' | '.join(COLUMNS.values())} |", "|---" * (1 + len(COLUMNS)) + "|"]
    for row in rows:
        answers = ["yes" if getattr(row, field) else "no" for field in COLUMNS]
        lines.append(f"| {row.kafka} | {' | '.join(answers)} |")
    return "\n".join(lines)
