"""Partitions that a static member left without an owner: found, and given one by a rebalance.

The classic protocol moves a partition in two rounds: its owner gives it up, joins again, and then
somebody else gets it. A static member that dies in between and is back under its name before its
session is over is let in again without a rebalance (KIP-345). So what it gave up has no owner until
the next one, and no member's metrics show that.

What stays without an owner for longer than any drain takes, while the group says that it is stable,
gets one by a rebalance. Neither a member nor an admin client can ask for that; a consumer without a
name that joins and leaves again causes one. The static member whose name is the first sees to it.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported, says its documentation
    ConsumerGroupDescription,
)

from consumer.kafka.member import Partition, join_and_leave
from consumer.observability import logs

_JOIN_SECONDS = 120.0  # a rebalance waits for the drains of all members
_NAME = "group.instance.id"


class Orphans:
    """``properties`` are a static member's own; ``topics`` may have expressions (``^…``)."""

    def __init__(
        self, properties: Mapping[str, Any], topics: Sequence[str], patience_seconds: float
    ) -> None:
        self._instance_id: str = properties[_NAME]
        self._properties = {name: each for name, each in properties.items() if name != _NAME}
        self._topics = list(topics)
        self._patience_seconds = patience_seconds
        self._since: dict[Partition, float] = {}
        self._helping: threading.Thread | None = None

    def look(
        self, group: ConsumerGroupDescription, counts: Mapping[str, int], now: float
    ) -> list[Partition]:
        """Return what has had no owner for too long, if it is on this member to `help`.

        ``counts`` are the partitions of the topics, ``now`` is on `clock`.
        """
        unowned = self._unowned(group, counts)
        self._since = {name: self._since.get(name, now) for name in unowned}
        orphans = [n for n, since in self._since.items() if now - since >= self._patience_seconds]
        names = [each.group_instance_id for each in group.members if each.group_instance_id]
        return orphans if min(names, default="") == self._instance_id else []

    def help(self) -> None:
        """Cause a rebalance, in a thread of its own; one at a time."""
        self._since.clear()
        if self._helping is None or not self._helping.is_alive():
            self._helping = threading.Thread(target=self._rebalance, name="orphans", daemon=True)
            self._helping.start()

    def _unowned(
        self, group: ConsumerGroupDescription, counts: Mapping[str, int]
    ) -> set[Partition]:
        if group.state is not ConsumerGroupState.STABLE:
            return set()
        owned = {
            (each.topic, each.partition)
            for member in group.members
            for each in member.assignment.topic_partitions
        }
        # A topic that an expression means is one of these if any of its partitions is owned.
        topics = {topic for topic, _ in owned}.union(self._topics) & counts.keys()
        return {(topic, n) for topic in topics for n in range(counts[topic])} - owned

    def _rebalance(self) -> None:
        try:
            join_and_leave(self._properties, self._topics, _JOIN_SECONDS)
        except KafkaException as error:
            logs.log("without_owner", f"no rebalance: {error}", level=logging.WARNING)
