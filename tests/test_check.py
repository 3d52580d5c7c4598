"""The command ``check``: what was tried, what came back, what to do; and nothing is changed."""

import io
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from consumer.commands.check.api import ApiCheck, _verdict
from consumer.commands.check.check import run
from consumer.commands.check.finding import State
from consumer.commands.check.records import finding_of
from consumer.commands.preview.sample import Change, Sample
from consumer.core.outcomes import Answered
from consumer.settings import Settings, load
from tests.support.authorizer import AUTHORIZER
from tests.support.cluster import Record
from tests.support.daemon import Daemon
from tests.support.kafka import Broker
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.api import FaultFields, FaultyApi

NOWHERE = "127.0.0.1:1"
PATIENCE_SECONDS = 30
"""The command's own limit, with everything down."""


API_ONLY: dict[str, object] = {
    "KAFKA_BOOTSTRAP_SERVERS": NOWHERE,
    "KAFKA_TOPICS": "audience-changes",
    "CUSTOMERIO_SITE_ID": "site",
    "CUSTOMERIO_API_KEY": "key",
    "CUSTOMERIO_TIMEOUT_SECONDS": 2,
}


class Answer(NamedTuple):
    """What a run of the command said."""

    exit_code: int
    lines: list[str]
    seconds: float

    def about(self, subject: str) -> str:
        """Return the one line about a subject."""
        lines = [line for line in self.lines if line[9:].startswith(subject)]
        assert len(lines) == 1, self.lines
        return lines[0]

    @property
    def states(self) -> set[str]:
        """The first word of all lines."""
        return {line.split()[0] for line in self.lines}


def command(
    settings: "dict[str, object]", arguments: tuple[str, ...] = ("check",), **more: object
) -> Answer:
    """Run the command as its users do."""
    began = time.monotonic()
    with Daemon({**settings, **more}, arguments=arguments) as process:
        exit_code = process.wait(PATIENCE_SECONDS)
        assert process.errors == ""
        return Answer(exit_code, process.output.splitlines(), time.monotonic() - began)


def check(settings: "dict[str, object]", **more: object) -> Answer:
    """Run what the command runs, without waiting for a process to start."""
    return checked(loaded(settings, **more))


def checked(settings: Settings, *, write: bool = False) -> Answer:
    began = time.monotonic()
    stream = io.StringIO()
    exit_code = run(settings, stream, write=write)
    return Answer(exit_code, stream.getvalue().splitlines(), time.monotonic() - began)


def loaded(settings: "dict[str, object]", **more: object) -> Settings:
    return load({name: str(value) for name, value in {**settings, **more}.items()})


def about_the_api(settings: "dict[str, object]", **more: object) -> str:
    """Return the line of the API's check alone."""
    return ApiCheck(loaded(settings, **more)).finding().line()


@pytest.fixture
def settings(broker: Broker, topic: str, group: str, api: "FaultyApi") -> dict[str, object]:
    """Return settings with which all is good."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        "KAFKA_TOPICS": topic,
        "KAFKA_GROUP_ID": group,
        "CUSTOMERIO_SITE_ID": "site",
        "CUSTOMERIO_API_KEY": "key",
        "CUSTOMERIO_URL": api.url,
        "CUSTOMERIO_TIMEOUT_SECONDS": 2,
        "DEAD_LETTER_TOPIC": f"{topic}.dead-letters",
    }


# -- all is good ----------------------------------------------------------------------------------


def test_all_good_is_a_line_for_each_check_and_exit_0(
    settings: dict[str, object], topic: str, group: str, api: "FaultyApi"
) -> None:
    answer = command(settings)
    assert (answer.exit_code, answer.states) == (0, {"ok"})
    assert answer.about("settings")
    assert answer.about("brokers")
    assert answer.about(f"topic {topic}").endswith("can be read, 4 partitions")
    assert answer.about(f"group {group}").endswith("may be joined, 0 members now")
    assert "0 of 4 partitions have one" in answer.about("committed offsets")
    assert "is missing; the daemon may create it" in answer.about("dead-letter topic")
    assert "which the broker allows" in answer.about("group protocol classic")
    assert "the account's region is 'us'" in answer.about(f"API {api.url}")


def test_nothing_is_changed(
    settings: dict[str, object], broker: Broker, group: str, api: "FaultyApi"
) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})

    def everything() -> tuple[set[str], set[str]]:
        groups = admin.list_consumer_groups().result().valid
        topics = set(admin.list_topics(timeout=10).topics) - {"__consumer_offsets"}
        return topics, {each.group_id for each in groups}

    before = everything()
    assert check(settings).exit_code == 0
    assert everything() == before
    assert group not in before[1]
    assert api.counters().requests == 0


def test_a_running_daemon_is_not_disturbed_and_its_member_is_counted(
    settings: dict[str, object], broker: Broker, topic: str, group: str
) -> None:
    with Daemon({**settings, "KAFKA_SESSION_TIMEOUT_SECONDS": 10}) as daemon:
        broker.produce(topic, [("k", '{"segment_id": 1, "action": "add", "id": "k"}')])
        daemon.wait_ready(PATIENCE_SECONDS)
        answer = check(settings)
        assert answer.about(f"group {group}").endswith("may be joined, 1 member now")
        daemon.await_metric(1, "rebalances_total", event="assigned")
        assert daemon.metric("rebalances_total", event="revoked") == 0


def test_an_expression_tells_which_topics_it_matches_now(
    settings: dict[str, object], topic: str, new_topic: "Callable[..., str]"
) -> None:
    other = new_topic(1)
    answer = check(settings, KAFKA_TOPICS=f"^({topic}|{other}|absent-[0-9]+)")
    assert answer.exit_code == 0, answer.lines
    shown = ", ".join(sorted([topic, other]))
    assert answer.about("topics ^(").endswith(f"can be read, 2 topics now: {shown}")
    assert "0 of 5 partitions" in answer.about("committed offsets")


def test_an_expression_without_a_match_is_a_warning(settings: dict[str, object]) -> None:
    answer = check(settings, KAFKA_TOPICS="^nothing-like-that.*")
    assert answer.exit_code == 0, answer.lines
    assert answer.about("topics ^(nothing").startswith("warning")


def test_a_policy_without_dead_letters_needs_no_topic(settings: dict[str, object]) -> None:
    answer = check(settings, REJECT_POLICY="skip")
    assert answer.exit_code == 0, answer.lines
    assert answer.about("dead-letter topic").startswith("skipped")


# -- settings -------------------------------------------------------------------------------------


def test_wrong_settings_exit_2_as_with_run(settings: dict[str, object]) -> None:
    said = []
    wrong = {**settings, "BATCH_MAX_IDS": 0, "HTTP_PORT": "x"}
    for name in ("run", "check"):
        with Daemon(wrong, arguments=(name,)) as it:
            assert it.wait(PATIENCE_SECONDS) == 2
            assert it.output == ""
            said.append(it.errors)
    assert said[0] == said[1]
    assert "BATCH_MAX_IDS" in said[0]
    assert "HTTP_PORT" in said[0]


def test_a_variable_that_looks_like_ours_is_a_warning(settings: dict[str, object]) -> None:
    answer = check(settings, KAFKA_TOPIC="x")
    assert answer.exit_code == 0, answer.lines
    assert any(
        line.startswith("warning") and "KAFKA_TOPIC " in line and "KAFKA_TOPICS" in line
        for line in answer.lines
    )


# -- Kafka is not as it must be -------------------------------------------------------------------


def test_without_a_broker_it_says_why_and_checks_the_api_nevertheless(
    settings: dict[str, object],
) -> None:
    answer = command(settings, KAFKA_BOOTSTRAP_SERVERS=NOWHERE)
    assert answer.exit_code == 1
    line = answer.about(f"brokers {NOWHERE}")
    assert line.startswith("FAILED")
    assert "Connection refused -> does a broker listen there?" in line
    assert answer.about("topics, group").startswith("skipped")
    assert answer.about("API").startswith("ok")


@pytest.mark.long("ways of an outage beyond one of each kind")
def test_with_everything_down_it_is_over_in_less_than_half_a_minute(
    settings: dict[str, object], api: "FaultyApi"
) -> None:
    api.region(hang=True)
    answer = command(settings, KAFKA_BOOTSTRAP_SERVERS=NOWHERE, CUSTOMERIO_TIMEOUT_SECONDS=15)
    assert answer.exit_code == 1
    assert answer.seconds < PATIENCE_SECONDS
    assert answer.about("API").startswith("FAILED")


def test_a_name_that_nobody_knows_is_told(settings: dict[str, object]) -> None:
    answer = check(settings, KAFKA_BOOTSTRAP_SERVERS="kafka.invalid:9092")
    assert answer.about("brokers").endswith("-> correct KAFKA_BOOTSTRAP_SERVERS, or see DNS")


@pytest.mark.parametrize(
    ("security", "hint"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "ssl"}, "set KAFKA_SECURITY_PROTOCOL to plaintext"),
        (
            {
                "KAFKA_SECURITY_PROTOCOL": "sasl_plaintext",
                "KAFKA_SASL_MECHANISM": "PLAIN",
                "KAFKA_SASL_USERNAME": "user",
                "KAFKA_SASL_PASSWORD": "password-nobody-may-see",
            },
            "the port takes no login: ",
        ),
    ],
)
def test_what_is_wrong_with_tls_or_the_login_is_told_at_once(
    settings: dict[str, object], security: dict[str, object], hint: str
) -> None:
    answer = check(settings, **security)
    assert answer.exit_code == 1
    assert hint in answer.about("brokers")
    assert "password-nobody-may-see" not in "".join(answer.lines)


def test_a_broker_that_is_silent_is_given_up(settings: dict[str, object], broker: Broker) -> None:
    broker.pause()
    answer = check(settings)
    assert answer.exit_code == 1
    assert answer.about("brokers").startswith("FAILED")


def test_a_missing_topic_is_told_and_the_others_are_checked(
    settings: dict[str, object], topic: str
) -> None:
    answer = check(settings, KAFKA_TOPICS=f"{topic},absent")
    assert answer.exit_code == 1
    assert answer.about("topic absent").startswith("FAILED")
    assert answer.about("topic absent").endswith("-> create it, or correct KAFKA_TOPICS")
    assert answer.about(f"topic {topic}").startswith("ok")
    assert answer.about("dead-letter topic").startswith("ok")


@pytest.mark.long("ways of an outage beyond one of each kind")
def test_a_leader_that_can_not_be_reached_is_told(
    settings: dict[str, object], broker: Broker
) -> None:
    """The bootstrap address answers; the one that the broker gives its clients doesn't."""
    advertised = broker.proxied(0).proxy
    host, port = advertised._target  # noqa: SLF001 - the listener behind it, which nobody else tells
    advertised.cut()
    answer = check(settings, KAFKA_BOOTSTRAP_SERVERS=f"{host}:{port}")
    assert answer.exit_code == 1
    # Which line says so depends on whom librdkafka asks for the topics: that address or the leader.
    failed = [line for line in answer.lines if line.startswith("FAILED")]
    assert "advertised.listeners" in failed[0], answer.lines


def test_error_as_a_reset_without_committed_offsets_is_told(settings: dict[str, object]) -> None:
    answer = check(settings, KAFKA_AUTO_OFFSET_RESET="error")
    assert answer.exit_code == 1
    assert "the daemon gives up" in answer.about("committed offsets")


def test_committed_offsets_are_counted(
    settings: dict[str, object], broker: Broker, topic: str, group: str
) -> None:
    committed = [TopicPartition(topic, partition, 0) for partition in range(4)]
    request = ConsumerGroupTopicPartitions(group, committed)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})

    def commit() -> set[object]:  # a broker that is young loads its groups yet
        answered = admin.alter_consumer_group_offsets([request])[group].result()
        return {partition.error for partition in answered.topic_partitions}

    eventually(commit, 30, "the broker to take the offsets", until={None}.__eq__)
    answer = check(settings, KAFKA_AUTO_OFFSET_RESET="error")
    assert answer.exit_code == 0, answer.lines
    assert answer.about("committed offsets").endswith("4 of 4 partitions have one")


@pytest.mark.parametrize(
    ("more", "state", "words"),
    [
        (
            {"KAFKA_SESSION_TIMEOUT_SECONDS": 6},
            "ok",
            "the broker's session is 6 s, its heartbeat 1",
        ),
        ({}, "warning", "set KAFKA_SESSION_TIMEOUT_SECONDS=6: how long"),
        ({"CUSTOMERIO_TIMEOUT_SECONDS": 4}, "FAILED", "session.timeout.ms to 7 s or more"),
    ],
)
def test_with_kip_848_the_brokers_session_is_compared(
    settings: dict[str, object], more: dict[str, object], state: str, words: str
) -> None:
    answer = check(settings, KAFKA_GROUP_PROTOCOL="consumer", **more)
    line = answer.about("group protocol consumer")
    assert line.startswith(state)
    assert words in line
    assert answer.exit_code == int(state == "FAILED")


def test_a_session_that_the_broker_does_not_allow_is_told(settings: dict[str, object]) -> None:
    answer = check(settings, KAFKA_SESSION_TIMEOUT_SECONDS=3600, KAFKA_CONFIG=LONG_POLLS)
    assert answer.exit_code == 1
    assert "allows sessions from 1 to 1800 s" in answer.about("group protocol classic")


LONG_POLLS = '{"max.poll.interval.ms": 4000000}'


# -- the records ----------------------------------------------------------------------------------

ADDED = b'{"segment_id": 56, "action": "add", "id": "ann"}'
ROW = b'{"op": "c", "before": null, "after": {"segment_id": 1, "customer_id": "ann"}}'


def put(broker: Broker, topic: str, *values: bytes | None) -> None:
    broker.produce(topic, [Record("k", value, partition=0) for value in values])


def test_without_records_there_is_nothing_to_try(settings: dict[str, object]) -> None:
    assert check(settings).about("records as events").endswith("there are none yet")


def test_the_newest_records_are_tried(
    settings: dict[str, object], broker: Broker, topic: str
) -> None:
    put(broker, topic, *[ADDED] * 3, None)
    answer = check(settings)
    assert answer.exit_code == 0
    line = answer.about("records as events")
    assert line.startswith("ok")
    assert "3 of the newest 4 fit, 1 would be ignored; most often: no value" in line
    put(broker, topic, *[b"{}"] * 2, b"[")
    answer = check(settings)
    assert answer.exit_code == 0
    line = answer.about("records as events")
    assert line.startswith("warning")
    assert '3 of the newest 7 fit, 1 would be ignored, 3 would be refused; most often: "seg' in line
    assert f"({topic}:0:4) -> segment-consumer preview shows each" in line
    assert "ann" not in line


def test_records_of_which_none_fits_are_not_ok(
    settings: dict[str, object], broker: Broker, topic: str
) -> None:
    put(broker, topic, *[ROW] * 3)
    answer = check(settings)
    assert answer.exit_code == 1
    line = answer.about("records as events")
    assert line.startswith("FAILED")
    assert "0 of the newest 3 fit, 3 would be refused" in line
    assert "-> looks like a Debezium envelope: try --mapping debezium" in line


def test_records_of_which_no_id_is_valid_are_not_ok(
    settings: dict[str, object], broker: Broker, topic: str
) -> None:
    """As where EVENT_ID_TYPE is wrong: all can be read, and nothing would be delivered."""
    put(broker, topic, *[ADDED] * 3)
    answer = check({**settings, "EVENT_ID_TYPE": "email"})
    assert answer.exit_code == 1
    line = answer.about("records as events")
    assert line.startswith("FAILED")
    assert (
        "0 of the newest 3 fit, 3 would be refused; most often: an email address has no @" in line
    )
    put(broker, topic, b'{"segment_id": 56, "action": "add", "ids": ["a@example.com", "bob"]}')
    line = check({**settings, "EVENT_ID_TYPE": "email"}).about("records as events")
    assert line.startswith("warning")
    assert "1 of the newest 4 fit, 4 would be refused, as a whole or in part; most" in line


@pytest.mark.parametrize(
    ("mapping", "state", "words"),
    [
        ("debezium", "ok", "3 of the newest 3 fit"),
        ("maxwell", "FAILED", "0 of the newest 3 fit, 3 would be ignored; most often: no rule"),
    ],
)
def test_the_mapping_is_tried(
    settings: dict[str, object], broker: Broker, topic: str, mapping: str, state: str, words: str
) -> None:
    put(broker, topic, *[ROW] * 3)
    answer = check(settings, EVENT_MAPPING=mapping)
    line = answer.about(f"records by EVENT_MAPPING={mapping}")
    assert line.startswith(state)
    assert words in line
    assert answer.exit_code == int(state == "FAILED")


def test_it_is_looked_farther_back_where_records_of_a_segment_are_rare(
    settings: dict[str, object], broker: Broker, topic: str
) -> None:
    put(broker, topic, *[ROW] * 3, *[b"{}"] * 200)
    answer = check(settings, EVENT_MAPPING="debezium")
    line = answer.about("records by EVENT_MAPPING=debezium")
    assert line.startswith("ok")
    assert "3 of the newest 203 fit, 200 would be ignored" in line
    assert answer.exit_code == 0


def test_one_topic_of_several_that_is_all_ignored_is_named() -> None:
    good = Sample("a:0:1", "readable", (Change(1, "add", "id", ("ann",)),))
    ignored = Sample("b:0:1", "ignored", (), "no rule fits")
    found = finding_of("x", {"a": [good, ignored], "b": [ignored], "c": [good]})
    assert (found.state, found.came_back) == (
        State.WARNING,
        "2 of the newest 4 fit, 2 would be ignored; most often: no rule fits (b:0:1); none of b",
    )
    assert "right only if records of a segment are rarer than that here" in found.to_do
    assert finding_of("x", {"a": [good, ignored]}).state is State.GOOD
    nothing = finding_of("x", {"b": [ignored]})
    assert nothing.state is State.FAILED
    assert "rarer" in nothing.to_do


def test_without_the_registry_nobody_can_say(
    settings: dict[str, object], broker: Broker, topic: str
) -> None:
    put(broker, topic, b"\0\0\0\0\7x")
    answer = check(
        settings, EVENT_FORMAT="schema-registry", SCHEMA_REGISTRY_URL=f"http://{NOWHERE}"
    )
    assert answer.exit_code == 1
    assert answer.about("records as events").startswith("skipped")


# -- access ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def strict() -> "Iterator[Broker]":
    """Start a Kafka where clients may do what no rule is about, and else what a rule allows."""
    with Broker(properties=AUTHORIZER) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        for name in ("readable", "secret", "letters"):
            broker.create_topic(name, 1)
        rules = [
            (ResourceType.TOPIC, "secret", AclOperation.DESCRIBE, AclPermissionType.ALLOW),
            (ResourceType.TOPIC, "letters", AclOperation.DESCRIBE, AclPermissionType.ALLOW),
            (ResourceType.TOPIC, "hidden", AclOperation.DESCRIBE, AclPermissionType.DENY),
            (ResourceType.GROUP, "seen", AclOperation.DESCRIBE, AclPermissionType.ALLOW),
            (ResourceType.GROUP, "closed", AclOperation.DESCRIBE, AclPermissionType.DENY),
        ]
        for kind, name, operation, permission in rules:
            rule = AclBinding(
                kind,
                name,
                ResourcePatternType.LITERAL,
                "User:ANONYMOUS",
                "*",
                operation,
                permission,
            )
            admin.create_acls([rule])[rule].result()
        yield broker


@pytest.mark.xdist_group("a broker with rules of access")
@pytest.mark.parametrize(
    ("more", "subject", "words"),
    [
        ({"KAFKA_TOPICS": "secret"}, "topic secret", "allow READ and DESCRIBE on topic secret"),
        ({"KAFKA_TOPICS": "hidden"}, "topic hidden", "allow READ and DESCRIBE on topic hidden"),
        ({"KAFKA_TOPICS": "^secret"}, "topics ^(secret)$", "allow READ and DESCRIBE on topic"),
        ({"KAFKA_GROUP_ID": "seen"}, "group seen", "READ is denied -> allow READ on group seen"),
        ({"KAFKA_GROUP_ID": "closed"}, "group closed", "allow READ and DESCRIBE on group closed"),
        ({"DEAD_LETTER_TOPIC": "letters"}, "dead-letter topic", "WRITE is denied"),
        ({"DEAD_LETTER_TOPIC": "hidden"}, "dead-letter topic", "allow WRITE and DESCRIBE on topic"),
    ],
)
def test_what_is_not_allowed_is_told(
    settings: dict[str, object],
    strict: Broker,
    more: dict[str, object],
    subject: str,
    words: str,
) -> None:
    own = {"KAFKA_BOOTSTRAP_SERVERS": strict.bootstrap, "KAFKA_TOPICS": "readable"}
    answer = check({**settings, **own}, **more)
    assert answer.exit_code == 1
    assert answer.about(subject).startswith("FAILED")
    assert words in answer.about(subject)
    assert sum(line.startswith("FAILED") for line in answer.lines) == 1


def test_the_rights_that_are_needed_stand_beside_the_missing_one(
    settings: dict[str, object], strict: Broker, group: str
) -> None:
    own = {"KAFKA_BOOTSTRAP_SERVERS": strict.bootstrap, "KAFKA_TOPICS": "readable,secret"}
    answer = check({**settings, **own})
    (head,) = [line for line in answer.lines if line.startswith("What ")]
    assert head == "What User:ANONYMOUS needs (* is missing):"
    after = answer.lines[answer.lines.index(head) + 1 :]
    assert [line.partition("--operation")[0][0] for line in after] == [" ", "*", " ", " "]
    assert after[1].endswith("--operation Read --operation Describe --topic secret")
    assert after[2].endswith(f"--group {group}")
    assert not any("kafka-acls" in line for line in check(settings).lines)


# -- the dead-letter topic, written to -------------------------------------------------------------


def test_only_when_it_is_asked_for_one_record_is_written_and_a_replay_passes_it_over(
    settings: dict[str, object], broker: Broker
) -> None:
    topic = str(settings["DEAD_LETTER_TOPIC"])
    missing = checked(loaded(settings), write=True).about("dead-letter topic")
    assert missing.endswith("may create it and will; until then --write has nothing to write to")
    assert check(settings).about("dead-letter topic").endswith("the daemon may create it and will")
    broker.create_topic(topic, 1)
    assert check(settings).about("dead-letter topic").endswith("exists and may be written")
    assert broker.read_all(topic) == []
    answer = command(settings, arguments=("check", "--write"))
    assert answer.exit_code == 0, answer.lines
    said = f"took a trial record, {topic}:0:0, which replay passes over"
    assert answer.about("dead-letter topic").endswith(said)
    (record,) = broker.read_all(topic)
    assert (record.key(), record.value()) == (None, None)
    assert ("dead-letter-reason", b"trial") in (record.headers() or ())
    with Daemon(settings, arguments=("replay",)) as replay:
        assert replay.wait(PATIENCE_SECONDS) == 0
    assert broker.committed(f"{settings['KAFKA_GROUP_ID']}.replay", topic) == {0: 1}
    assert len(broker.read_all(topic)) == 1


def test_a_record_that_is_refused_is_told(settings: dict[str, object], broker: Broker) -> None:
    """The rights alone say nothing of that. Records that can't be read may have no key, too."""
    topic = str(settings["DEAD_LETTER_TOPIC"])
    broker.create_topic(topic, 1, cleanup_policy="compact")
    assert check(settings).exit_code == 0
    answer = checked(loaded(settings), write=True)
    assert answer.exit_code == 1
    line = answer.about("dead-letter topic")
    assert line.startswith("FAILED")
    assert "-> set its cleanup.policy to delete" in line


# -- the API is not as it must be -----------------------------------------------------------------


def test_a_wrong_key_is_told_without_showing_it(settings: dict[str, object]) -> None:
    answer = command(settings, CUSTOMERIO_API_KEY="not-the-key")
    assert answer.exit_code == 1
    line = answer.about("API")
    assert line.startswith("FAILED")
    assert "401" in line
    assert "CUSTOMERIO_SITE_ID and CUSTOMERIO_API_KEY" in line
    assert "not-the-key" not in "".join(answer.lines)


@pytest.mark.parametrize(
    ("url_is_set", "to_do"),
    [(True, "correct CUSTOMERIO_URL"), (False, "set CUSTOMERIO_REGION=eu")],
)
def test_a_redirect_means_the_other_region(*, url_is_set: bool, to_do: str) -> None:
    location = "https://track-eu.customer.io/api/v1/accounts/region"
    url = {"CUSTOMERIO_URL": f"http://{NOWHERE}"} if url_is_set else {}
    answer = Answered(301, location=location)
    state, came_back, said = _verdict(answer, loaded(API_ONLY, **url))
    assert state is State.FAILED
    assert came_back == "301, redirected to track-eu.customer.io"
    assert said.startswith(to_do)


def test_the_command_tells_of_a_redirect(settings: dict[str, object], api: "FaultyApi") -> None:
    api.region(status=301, headers={"Location": "https://track-eu.customer.io/"})
    answer = command(settings)
    assert answer.exit_code == 1
    assert "redirected to track-eu.customer.io" in answer.about("API")


def test_another_region_than_ours_is_told(settings: dict[str, object]) -> None:
    answer = check(settings, CUSTOMERIO_REGION="eu")
    assert answer.exit_code == 1
    assert "the account's region is 'us' -> set CUSTOMERIO_REGION=us" in answer.about("API")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 403}, "CUSTOMERIO_SITE_ID and CUSTOMERIO_API_KEY"),
        ({"status": 404}, "See CUSTOMERIO_URL"),
        ({"status": 429}, "try again later"),
        ({"status": 502, "body": b"<html>bad gateway</html>"}, "the daemon would wait for it"),
        ({"raw": b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"}, "a login page"),
        ({"raw": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"}, "not the API's answer"),
        ({"hang": True}, "the deadline passed"),
        ({"raw": b"", "cut_at": 0}, "see firewalls"),
    ],
)
def test_whatever_the_api_answers_is_told(
    api: "FaultyApi", fault: "FaultFields", words: str
) -> None:
    api.region(**fault)
    line = about_the_api(API_ONLY, CUSTOMERIO_URL=api.url)
    assert line.startswith("FAILED")
    assert words in line


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "Connection refused -> see firewalls"),
        ({"CUSTOMERIO_URL": "http://api.invalid"}, "-> see DNS and CUSTOMERIO_URL"),
        ({"HTTP_PROXY": f"http://user:pass-word@{NOWHERE}"}, "-> see HTTPS_PROXY and NO_PROXY"),
    ],
)
def test_why_the_api_can_not_be_reached_is_told(more: dict[str, object], words: str) -> None:
    line = about_the_api({**API_ONLY, "CUSTOMERIO_URL": f"http://{NOWHERE}", **more})
    assert line.startswith("FAILED")
    assert words in line
    assert "pass-word" not in line
