"""Who is in the consumer group, as its coordinator says.

With an admin client of its own, that is thrown away when there is no answer in time. The question's
own timeout is not used: when it passes in librdkafka 2.16 while the coordinator can't be reached,
the coordinator's return aborts the process (librdkafka issue 4605: ``eonce->refcnt > 0``). Other
questions to a broker don't do that.
"""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConsumerGroupDescription

from consumer.kafka.credentials import Follower

_NEVER_SECONDS = 3600.0  # the longest that librdkafka takes; the client doesn't live so long


class Group:
    """Asks about one group; owned by one thread."""

    def __init__(self, properties: Mapping[str, Any], group_id: str) -> None:
        self.follower = Follower(properties)
        self._group_id = group_id
        self._admin: AdminClient | None = None

    def describe(
        self, timeout_seconds: float, *, with_operations: bool = False
    ) -> ConsumerGroupDescription:
        """Return the group, with what we may do with it if asked for.

        Raises KafkaException if the coordinator refuses, or doesn't answer in time.
        """
        if self.follower.outdates(self._admin):
            self._admin = None
        admin = self._admin or AdminClient(self.follower.properties)
        self._admin = None
        futures = admin.describe_consumer_groups(
            [self._group_id],
            include_authorized_operations=with_operations,
            request_timeout=_NEVER_SECONDS,
        )
        try:
            group: ConsumerGroupDescription = futures[self._group_id].result(timeout_seconds)
        except TimeoutError:
            admin.poll(0)
            error = KafkaError(KafkaError._TIMED_OUT, f"no answer in {timeout_seconds:g} s")  # noqa: SLF001 - librdkafka's local error codes are spelt so
            raise KafkaException(error) from None
        except KafkaException:
            self._admin = admin
            raise
        admin.poll(0)  # else what it logs is never heard, and piles up
        self._admin = admin
        return group
