"""Who is in the consumer group, as its coordinator says.

With an admin client of its own, that is thrown away when there is no answer in time. The question's
own timeout is not used: when it passes in librdkafka 2.16 while the coordinator can't be reached,
the coordinator's return aborts the process (librdkafka issue 4605: ``eonce->refcnt > 0``). Other
questions to a broker don't do that.
"""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import ConsumerGroupType, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConsumerGroupDescription

from consumer.kafka.credentials import Follower
from consumer.kafka.farewell import let_go

_ASSIGNOR = "cooperative-sticky"  # what our classic members bring
_NEVER_SECONDS = 3600.0  # the longest that librdkafka takes; the client doesn't live so long


class Group:
    """Asks about one group; owned by one thread."""

    def __init__(
        self, properties: Mapping[str, Any], group_id: str, protocol: str = "classic"
    ) -> None:
        # Its figures would be those of the client that stays, see `kafka.statistics`.
        self.follower = Follower({**properties, "statistics.interval.ms": 0})
        self._group_id = group_id
        self._protocol = protocol
        self.obstacle = ""  # to joining it with that protocol, as of the last description
        self._admin: AdminClient | None = None

    def describe(
        self, timeout_seconds: float, *, with_operations: bool = False
    ) -> ConsumerGroupDescription:
        """Return the group, with what we may do with it if asked for.

        Raises KafkaException if the coordinator refuses, or doesn't answer in time.
        """
        if self.follower.outdates(self._admin):
            self._throw_away()
        admin = self._admin = self._admin or AdminClient(self.follower.for_client())
        futures = admin.describe_consumer_groups(
            [self._group_id],
            include_authorized_operations=with_operations,
            request_timeout=_NEVER_SECONDS,
        )
        try:
            group: ConsumerGroupDescription = futures[self._group_id].result(timeout_seconds)
        except TimeoutError:
            admin.poll(0)
            del admin
            self._throw_away()
            error = KafkaError(KafkaError._TIMED_OUT, f"no answer in {timeout_seconds:g} s")  # noqa: SLF001 - librdkafka's local error codes are spelt so
            raise KafkaException(error) from None
        admin.poll(0)  # else what it logs is never heard, and piles up
        self.obstacle = obstacle_of(group, self._protocol)
        return group

    def _throw_away(self) -> None:
        ended, self._admin = [self._admin], None
        let_go(ended)


def obstacle_of(group: ConsumerGroupDescription, protocol: str) -> str:
    """Return why a member of ``protocol`` can't join, as far as the members tell; empty: it can.

    A broker lets a KIP-848 member join a classic group if it can convert it, which it can't with
    what librdkafka's cooperative-sticky members say of themselves (2.16). The other way it can.
    """
    count, assignor = len(group.members), group.partition_assignor
    if not count or group.type != ConsumerGroupType.CLASSIC:
        return ""
    is_ours = assignor in {"", _ASSIGNOR}  # in a rebalance there is none
    if protocol == "consumer" and is_ours:
        return (
            f"the group still has members of the classic protocol ({count}), which keep one of"
            " KAFKA_GROUP_PROTOCOL=consumer out: stop them all, then this one joins by itself;"
            " nothing is lost, and no change overtakes another"
        )
    if protocol == "classic" and not is_ours:
        return (
            f"the group has members of another assignor, {assignor} ({count}), which keep"
            f" {_ASSIGNOR} ones out: stop them all, or use a group of its own (KAFKA_GROUP_ID)"
        )
    return ""
