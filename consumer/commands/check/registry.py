"""Check of the Schema Registry: that it answers us, and knows what the newest records name."""

import time
from collections.abc import Mapping, Sequence

from consumer.commands.check.finding import Finding, State
from consumer.core.positions import Going
from consumer.core.schemas.answers import Failed, NotThere
from consumer.core.schemas.framing import Framed, framed, name_of
from consumer.engine.ports import Partition
from consumer.kafka.errors import is_end_of_partition
from consumer.kafka.member import Member
from consumer.readers import registry_of
from consumer.registry.fetch import Ask, fetched
from consumer.settings import Settings

_MOST_PARTITIONS = 50
_READ_SECONDS = 5.0
_ANSWER_SECONDS = 1.0
_SHOWN = 5
_NOBODYS = "/schemas/ids/0"  # ids begin at 1
_MEND = "see SCHEMA_REGISTRY_URL and its login; the daemon would wait for it"


def registry_finding(
    settings: Settings, member: Member | None, partitions: Sequence[Partition]
) -> Finding:
    """Return what the registry says of the newest records; without a member, whether it answers."""
    tried = f"schema registry {', '.join(settings.schema_registry_url or ())}"
    registry = registry_of(settings)
    try:
        named = _newest(member, partitions[:_MOST_PARTITIONS]) if member and partitions else {}
        if not named:
            answer = registry.ask(_NOBODYS)
            if isinstance(answer, Failed):
                return Finding(State.FAILED, tried, answer.detail, _MEND)
            return Finding(State.GOOD, tried, "answers; no newest record names a schema")
        return _of_schemas(tried, registry.ask, named)
    finally:
        registry.close()


def _of_schemas(tried: str, ask: Ask, named: Mapping[bytes, str]) -> Finding:
    shown = []
    for prefix, source in named.items():
        schema = fetched(ask, prefix)
        if isinstance(schema, Failed):
            return Finding(State.FAILED, tried, f"{name_of(prefix)}: {schema.detail}", _MEND)
        if isinstance(schema, NotThere):
            said = f"{name_of(prefix)}, which {source} names: {schema.detail}"
            to_do = "is this the registry that the producers use? See SCHEMA_REGISTRY_URL"
            return Finding(State.FAILED, tried, said, to_do)
        shown.append(f"{name_of(prefix)}, {schema}")
    more = ", ..." if len(shown) > _SHOWN else ""
    what = f"answers; the newest records are of {'; '.join(shown[:_SHOWN])}{more}"
    return Finding(State.GOOD, tried, what)


def _newest(member: Member, partitions: Sequence[Partition]) -> dict[bytes, str]:
    """Return the schemas that the newest records name, each with one that does."""
    positions: dict[Partition, Going] = {}
    for name in partitions:
        marks = member.watermarks(name, _ANSWER_SECONDS)
        if marks is not None and marks[1] > marks[0]:
            positions[name] = Going(marks[1] - 1)
    found: dict[bytes, str] = {}
    waiting = set(positions)
    member.start(positions, paused=False)
    deadline = time.monotonic() + _READ_SECONDS
    while waiting and time.monotonic() < deadline:
        for message in member.consume(1000, 0.1):
            name = (message.topic(), message.partition())
            if message.error() is not None:
                if is_end_of_partition(message):
                    waiting.discard(name)
                continue
            waiting.discard(name)
            value = message.value()
            named = None if value is None else framed(value, message)
            if isinstance(named, Framed):
                found.setdefault(named.prefix, f"{name[0]}:{name[1]}:{message.offset()}")
    member.stop(positions)
    return found
