"""The dead-letter topic that is made, also where brokers allow no records as large as ours."""

from collections.abc import Iterator
from concurrent.futures import Future
from typing import cast

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from consumer.commands.check.connection import Connection
from consumer.commands.check.dead_letters import dead_letter_finding
from consumer.kafka.dead_letter_topic import create, ensure
from consumer.kafka.topics import describe
from consumer.settings import load
from tests.support import topic_rules
from tests.support.kafka import Broker
from tests.support.topic_rules import FORBIDDEN, REFUSAL
from tests.test_end_to_end import config_of

LARGEST = 8 * 2**20

by_rules = pytest.mark.xdist_group("a broker with rules for topics")


class Brokers:
    """Brokers that refuse a topic with records above a size, as managed ones do."""

    def __init__(self, code: int, largest: int = LARGEST) -> None:
        self.made: list[dict[str, str]] = []
        self.asked = 0
        self._code = code
        self._largest = largest

    def create_topics(
        self, topics: list[NewTopic], *, request_timeout: float, validate_only: bool
    ) -> "dict[str, Future[None]]":
        """Answer as an admin client of librdkafka does."""
        assert request_timeout > 0
        self.asked += 1
        (topic,) = topics
        answer = Future[None]()
        config = topic.config or {}
        if int(config.get("max.message.bytes", 0)) > self._largest:
            answer.set_exception(KafkaException(KafkaError(self._code)))
        else:
            answer.set_result(None)
            if not validate_only:
                self.made.append(config)
        return {topic.topic: answer}


def created(brokers: Brokers, *, only_try: bool = False) -> KafkaError | None:
    return create("letters", cast("AdminClient", brokers), only_try=only_try)


@pytest.mark.parametrize("code", [KafkaError.POLICY_VIOLATION, KafkaError.INVALID_CONFIG])
def test_brokers_that_allow_smaller_records_alone_have_theirs(code: int) -> None:
    brokers = Brokers(code)
    assert created(brokers, only_try=True) is None
    assert not brokers.made
    assert created(brokers) is None
    (config,) = brokers.made
    assert config == {"cleanup.policy": "delete", "retention.ms": "2592000000"}


def test_brokers_that_allow_ours_have_ours() -> None:
    brokers = Brokers(KafkaError.POLICY_VIOLATION, largest=10 * 2**20)
    assert created(brokers) is None
    assert [each["max.message.bytes"] for each in brokers.made] == ["10485760"]
    assert brokers.asked == 1


def test_any_other_refusal_stays_one() -> None:
    brokers = Brokers(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    error = created(brokers)
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert brokers.asked == 1


# On a real broker, which has a rule of its own


@pytest.fixture(scope="module")
def ruled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Start a Kafka that has how large records are to be its own, and some names to itself."""
    classes = topic_rules.put(tmp_path_factory.mktemp("classes"))
    with Broker(properties=topic_rules.PROPERTIES, classes=classes) as broker:
        yield broker


def checked(broker: Broker, name: str) -> str:
    """Return what `check` says of a topic for dead letters."""
    settings = load(
        {
            "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
            "KAFKA_TOPICS": "audience",
            "CUSTOMERIO_SITE_ID": "site",
            "CUSTOMERIO_API_KEY": "key",
            "DEAD_LETTER_TOPIC": name,
        }
    )
    return dead_letter_finding(settings, Connection(settings), write=False).line()


@by_rules
def test_where_the_size_of_records_is_the_brokers_the_topic_is_made_with_theirs(
    ruled: Broker,
) -> None:
    admin = AdminClient({"bootstrap.servers": ruled.bootstrap})
    assert "the daemon may create it and will" in checked(ruled, "letters")
    assert ensure("letters", admin, describe(["letters"], admin)) is None
    assert ensure("letters", admin, describe(["letters"], admin)) is None
    config = config_of(ruled, "letters")
    assert (config["cleanup.policy"], config["retention.ms"]) == ("delete", "2592000000")
    assert config["max.message.bytes"] == "1048588", "as Kafka has it"
    assert checked(ruled, "letters").startswith("ok")


@by_rules
def test_a_topic_that_the_brokers_rules_forbid_is_no_missing_right(ruled: Broker) -> None:
    admin = AdminClient({"bootstrap.servers": ruled.bootstrap})
    name = f"{FORBIDDEN}-letters"
    said = checked(ruled, name)
    assert said.startswith("FAILED")
    assert REFUSAL in said
    assert "-> create it as the brokers' rules for topics allow" in said
    trouble = ensure(name, admin, describe([name], admin))
    assert trouble is not None
    assert REFUSAL in trouble
    for words in (said, trouble):
        assert "CREATE" not in words
