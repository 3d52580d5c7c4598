"""Where a preview's samples come from: the newest records of the topics, or a file's lines."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from confluent_kafka import KafkaException

from consumer.commands.check.connection import Connection
from consumer.commands.check.finding import Finding, State
from consumer.commands.check.topics import topic_findings
from consumer.commands.preview.bar import Bar
from consumer.commands.preview.keys import KeyWatch
from consumer.commands.preview.lines import STANDARD_INPUT, lines_of
from consumer.commands.preview.newest import Told, newest
from consumer.commands.preview.sample import Sample, sample_of, with_hint_of_lines
from consumer.commands.preview.schemas import ImpatientFetch
from consumer.core.mapping.beside import Record
from consumer.core.message import Message
from consumer.core.schemas.reader import PlainReadings, Readings
from consumer.kafka.errors import text_of
from consumer.readers import fetch_of
from consumer.registry.patient import PatientReader
from consumer.settings import Settings

PATIENCE_SECONDS = 10.0
_OPEN = {b"{", b"["}


@dataclass(slots=True, eq=False)
class Source:
    """Samples, and under which name they are; ``troubles`` is whole once all were read."""

    name: str
    samples: Iterator[Sample]
    troubles: list[str] = field(default_factory=list)


class Judge:
    """Makes samples of records by the settings' mapping and schemas, waiting for these."""

    def __init__(self, settings: Settings) -> None:
        mapping = settings.mapping
        self._name = settings.event_mapping.name if settings.event_mapping else ""
        self._fetch = ImpatientFetch(fetch_of(settings))
        self._watch = None if mapping is None else KeyWatch(mapping)
        readings: Readings = self._watch or PlainReadings(settings.event_id_type)
        is_framed = settings.event_format == "schema-registry"
        self._reader = PatientReader(self._fetch, readings) if is_framed else readings

    def of_message(self, message: Message) -> Sample:
        """Return what becomes of a record of Kafka's."""
        place = f"{message.topic()}:{message.partition()}:{message.offset()}"
        return self._sample(place, message.value(), message)

    def of_lines(self, file: BinaryIO, name: str, topic: str) -> Iterator[Sample]:
        """Yield what becomes of a file's records, as if they were of a topic."""
        is_spread: bool | None = None
        for line in lines_of(file, name, topic):
            sample = self._sample(line.place, line.content, line)
            if is_spread is None:
                is_spread = line.content.strip() in _OPEN
            yield with_hint_of_lines(sample, is_spread=is_spread)

    def _sample(self, place: str, value: bytes | None, record: Record) -> Sample:
        if self._watch is not None:
            self._watch.unlisted = ()  # not all that is read gets to it
        reading = self._reader.read(value, record)
        sample = sample_of(place, value, reading, self._fetch.failures, self._name)
        return replace(sample, unlisted=self._watch.unlisted) if self._watch else sample


def of_file(settings: Settings, file: BinaryIO, name: str) -> Source:
    """Return the samples of a file."""
    topics = [each for each in settings.kafka_topics if not each.startswith("^")]
    samples = Judge(settings).of_lines(file, name, topics[0] if topics else "")
    return Source("standard input" if name == STANDARD_INPUT else name, samples)


def of_topics(settings: Settings, last: int, bar: Bar) -> Source:
    """Return the samples of the newest ``last`` records of each topic, which are read by now."""
    name = ", ".join(settings.kafka_topics)
    troubles: list[str] = []
    records = _records(settings, last, bar, troubles)
    return Source(name, _samples(Judge(settings), records, bar), troubles)


def _samples(judge: Judge, records: list[Message], bar: Bar) -> Iterator[Sample]:
    for done, message in enumerate(records):
        bar.show("reading schemas and records", done, len(records))
        yield judge.of_message(message)


def _records(settings: Settings, last: int, bar: Bar, troubles: list[str]) -> list[Message]:
    """Return the newest records; what is in the way goes to ``troubles``."""
    bar.show(f"asking {settings.kafka_bootstrap_servers}")
    try:
        connection = Connection(settings)
        found, topics = connection.try_brokers()
        if topics is None:
            troubles.append(_line(found))
            return []
        member = connection.member()
    except KafkaException as error:  # of what a client is created with
        troubles.append(f"librdkafka: {text_of(error)} -> see KAFKA_CONFIG")
        return []
    try:
        bar.show("looking at the topics")
        partitions, findings = topic_findings(settings, topics, connection, member)
        troubles += [_line(each) for each in findings if each.state is not State.GOOD]
        read = newest(member, partitions, last, PATIENCE_SECONDS, _told(bar))
    except KafkaException as error:  # librdkafka can't go on
        troubles.append(text_of(error))
        return []
    finally:
        member.close()
    troubles += read.troubles
    return read.records


def _told(bar: Bar) -> Told:
    return lambda done, total: bar.show("reading the newest records, partition", done, total)


def _line(finding: Finding) -> str:
    return finding.line().partition(" ")[2].strip()
