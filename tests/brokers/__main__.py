"""Tries the daemon with brokers of other versions: a real one of each, in a minute.

``python -m tests.brokers``, or with the versions as arguments. They come from Maven Central the
first time. Exits with 1 if something is otherwise than `tried.TRIED` has it.
"""

import argparse
import contextlib
import io
import sys
import uuid
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Message, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigEntry, ConfigResource, ResourceType

from tests.brokers.tried import TRIED, Tried, table
from tests.support.api import FaultyApi
from tests.support.kafka import Broker
from tests.support.scenario import Scenario, additions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.daemon import Daemon

RECORDS = 200
PATIENCE_SECONDS = 40
NO_TOPIC_ID = "A" * 22


def main() -> int:
    """Try the versions that are asked for, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.brokers", description=__doc__)
    parser.add_argument("versions", nargs="*", metavar="VERSION")
    versions = parser.parse_args().versions or [each.kafka for each in TRIED]
    rows = tuple(found for version in versions if (found := tried(version)) is not None)
    sys.stdout.write(f"\n{table(rows)}\n")
    known = {each.kafka: each for each in TRIED}
    others = [row for row in rows if known.get(row.kafka) != row]
    for row in others:
        sys.stdout.write(f"{row}\nis otherwise than {known.get(row.kafka)}\n")
    return 1 if others or len(rows) < len(versions) else 0


def tried(version: str) -> Tried | None:
    """Return what comes of a version; None: it is not to be had."""
    try:
        with Broker(version=version) as broker:
            return Tried(
                version,
                classic=_works(broker, version, "classic"),
                kip_848=_works(broker, version, "consumer"),
                **_told(broker),
            )
    except (pytest.skip.Exception, pytest.fail.Exception) as error:
        sys.stdout.write(f"{version}: {error}\n")
        return None


def _works(broker: Broker, version: str, protocol: str) -> bool:
    """Whether a daemon, a second one, and one after a stop deliver all of it, once."""
    topic, group = (f"{kind}-{uuid.uuid4().hex[:8]}" for kind in ("topic", "group"))
    broker.create_topic(topic, 4)
    with FaultyApi() as api:
        scenario = Scenario(broker, api, topic, group, protocol)
        try:
            _deliver(scenario)
        except AssertionError as error:
            sys.stdout.write(f"{version}, {protocol}: {str(error).splitlines()[0]}\n")
            return False
        finally:
            with contextlib.redirect_stdout(io.StringIO()):  # what the daemons said
                scenario.close()
    sys.stdout.write(f"{version}, {protocol}: all delivered\n")
    return True


def _deliver(scenario: Scenario) -> None:
    def produce(segment: int) -> None:
        scenario.produce(additions(segment, RECORDS))
        scenario.await_accepted(segment * RECORDS, PATIENCE_SECONDS)
        scenario.await_all_committed(PATIENCE_SECONDS)

    def stop(daemon: "Daemon") -> None:
        daemon.terminate()
        assert daemon.wait(PATIENCE_SECONDS) == 0, "a stop failed"

    first = scenario.start_ready()
    produce(1)
    second = scenario.start_ready()
    second.wait_log("assigned", PATIENCE_SECONDS, lambda log: bool(log["partitions"]))
    produce(2)
    stop(first)
    produce(3)
    stop(second)
    scenario.start_ready()
    produce(4)
    accepted = scenario.api.counters().ids
    assert accepted == 4 * RECORDS, f"{accepted} ids accepted of {4 * RECORDS}"


def _told(broker: Broker) -> dict[str, bool]:
    """Return what the broker tells those who ask."""
    topic = f"told-{uuid.uuid4().hex[:8]}"
    broker.create_topic(topic, 1)
    broker.produce(topic, additions(1, 1))
    (read,) = broker.read_all(topic)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    asked = admin.describe_topics(TopicCollection([topic]), include_authorized_operations=True)
    described = asked[topic].result()
    resource = ConfigResource(ResourceType.BROKER, "1")
    configuration = admin.describe_configs([resource])[resource].result()
    return {
        "topic_ids": str(described.topic_id) != NO_TOPIC_ID,
        "leader_epochs": _epoch(read) is not None,
        "rights": bool(described.authorized_operations),
        "session": _tells(configuration, "group.consumer.session.timeout.ms"),
    }


def _tells(configuration: "Mapping[str, ConfigEntry]", name: str) -> bool:
    """Whether a broker knows a property; one that it doesn't know has no value for others."""
    return name in configuration and configuration[name].value is not None


def _epoch(message: Message) -> int | None:
    epoch: int | None = message.leader_epoch()
    return epoch


if __name__ == "__main__":
    sys.exit(main())
