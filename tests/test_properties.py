"""What librdkafka is told, held against the librdkafka that is installed."""

import json
import logging
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from consumer.settings import Settings, SettingsError, load
from consumer.settings.properties import admin_properties, consumer_properties, producer_properties
from consumer.settings.property_checks import expression_problem, property_problems
from tests.support.certificates import need_openssl

silent = logging.getLogger("test.silent")
silent.addHandler(logging.NullHandler())
silent.propagate = False


def _a_key() -> str:
    """Return a private key that nobody else has."""
    need_openssl()
    made = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        capture_output=True,
        check=True,
        text=True,
    )
    return made.stdout


def settings(config: dict[str, object] | None = None, **variables: str) -> Settings:
    return load(
        {
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "KAFKA_TOPICS": "audience",
            "CUSTOMERIO_SITE_ID": "site",
            "CUSTOMERIO_API_KEY": "key",
            "KAFKA_CONFIG": json.dumps(config or {}),
        }
        | variables
    )


@pytest.mark.parametrize("name", ["", "audiences"])
def test_brokers_know_all_clients_of_a_process_by_one_name(name: str) -> None:
    given = settings(KAFKA_CLIENT_ID=name)
    known = {
        each(given)["client.id"]
        for each in (consumer_properties, producer_properties, admin_properties)
    }
    assert known == {name or f"segment-consumer-{socket.gethostname()}"}


@pytest.mark.parametrize(
    "given",
    [
        settings(),
        settings(KAFKA_GROUP_PROTOCOL="consumer"),
        settings(KAFKA_GROUP_INSTANCE_ID="pod-0", KAFKA_GROUP_PROTOCOL="consumer"),
        settings(KAFKA_SESSION_TIMEOUT_SECONDS="20.5"),
        settings({"message.max.bytes": 900_000_000}),
        settings({"queued.max.messages.kbytes": 1, "linger.ms": 100, "compression.type": "zstd"}),
        settings({"fetch.max.bytes": 1_000_000, "receive.message.max.bytes": 1_000_512}),
        settings(
            KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT",
            KAFKA_SASL_MECHANISM="scram-sha-512",
            KAFKA_SASL_USERNAME="me",
            KAFKA_SASL_PASSWORD="secret",
        ),
    ],
)
def test_librdkafka_takes_the_properties_of_all_clients(given: Settings) -> None:
    Consumer(consumer_properties(given), logger=silent).close()
    Producer(producer_properties(given), logger=silent).close()
    AdminClient({**admin_properties(given)}, logger=silent)


def test_batches_are_looked_through_for_damage() -> None:
    """With librdkafka's default an id is delivered that nobody wrote."""
    assert consumer_properties(settings())["check.crcs"] is True


def test_nothing_is_committed_that_the_daemon_did_not_name() -> None:
    properties = consumer_properties(settings())
    assert properties["enable.auto.commit"] is False
    assert properties["enable.auto.offset.store"] is False
    assert properties["auto.offset.reset"] == "error"


def test_the_classic_protocol_is_cooperative_and_has_the_sessions_times() -> None:
    properties = consumer_properties(settings(KAFKA_SESSION_TIMEOUT_SECONDS="15"))
    assert properties["group.protocol"] == "classic"
    assert properties["partition.assignment.strategy"] == "cooperative-sticky"
    assert properties["session.timeout.ms"] == 15_000
    assert properties["heartbeat.interval.ms"] == 2_500


def test_a_classic_member_never_looks_at_the_topics_by_itself() -> None:
    """It joins anew where it finds something, also in the midst of a revocation."""
    assert consumer_properties(settings())["topic.metadata.refresh.interval.ms"] == -1
    kip_848 = consumer_properties(settings(KAFKA_GROUP_PROTOCOL="consumer"))
    assert "topic.metadata.refresh.interval.ms" not in kip_848
    with pytest.raises(SettingsError, match="it is the daemon's own"):
        settings({"topic.metadata.refresh.interval.ms": 300})


def test_with_kip_848_the_brokers_times_are_not_contradicted() -> None:
    properties = consumer_properties(settings(KAFKA_GROUP_PROTOCOL="consumer"))
    assert properties["group.protocol"] == "consumer"
    assert not {
        "session.timeout.ms",
        "heartbeat.interval.ms",
        "partition.assignment.strategy",
    } & set(properties)


@pytest.mark.parametrize(
    ("session", "timeout"), [("45", 10_000), ("300", 10_000), ("20", 5_000), ("5", 1_500)]
)
@pytest.mark.parametrize(
    "properties_of", [consumer_properties, producer_properties, admin_properties]
)
def test_a_connection_that_is_gone_without_a_word_is_noticed_well_within_the_session(
    properties_of: Callable[[Settings], Mapping[str, object]], session: str, timeout: int
) -> None:
    properties = properties_of(
        settings(CUSTOMERIO_TIMEOUT_SECONDS="2", KAFKA_SESSION_TIMEOUT_SECONDS=session)
    )
    assert properties["socket.timeout.ms"] == timeout
    assert properties["socket.connection.setup.timeout.ms"] == 10_000


def test_operators_know_how_long_their_network_takes() -> None:
    properties = consumer_properties(settings({"socket.timeout.ms": 4000}))
    assert properties["socket.timeout.ms"] == "4000"


def test_membership_is_static_only_when_asked_for() -> None:
    asked = settings(KAFKA_GROUP_PROTOCOL="consumer", KAFKA_GROUP_INSTANCE_ID="pod-0")
    assert consumer_properties(asked)["group.instance.id"] == "pod-0"
    not_asked = settings(KAFKA_GROUP_PROTOCOL="consumer")
    assert "group.instance.id" not in consumer_properties(not_asked)


def test_a_dead_letter_is_acknowledged_by_all_replicas() -> None:
    assert producer_properties(settings())["acks"] == "all"


def test_the_dead_letter_producer_wants_no_right_to_write_idempotently() -> None:
    """And without an id of its own nothing is fatal to it."""
    properties = producer_properties(settings())
    assert not {"enable.idempotence", "transactional.id"} & set(properties)


def test_dead_letters_that_are_retried_keep_their_order() -> None:
    assert producer_properties(settings())["max.in.flight.requests.per.connection"] == 1


def test_the_dead_letter_topic_is_not_created_by_looking_for_it() -> None:
    assert producer_properties(settings())["allow.auto.create.topics"] is False
    assert admin_properties(settings())["allow.auto.create.topics"] is False


def test_operators_tune_all_clients_and_overrule_our_tuning() -> None:
    given = settings({"queued.max.messages.kbytes": 64, "client.rack": "a", "linger.ms": "7"})
    assert consumer_properties(given)["queued.max.messages.kbytes"] == "64"
    for properties in (consumer_properties, producer_properties, admin_properties):
        assert properties(given)["client.rack"] == "a"
        assert properties(given)["linger.ms"] == "7"


def test_all_clients_reach_the_same_brokers_in_the_same_way(tmp_path: Path) -> None:
    given = settings(
        KAFKA_SECURITY_PROTOCOL="sasl_ssl",
        KAFKA_SASL_MECHANISM="PLAIN",
        KAFKA_SASL_USERNAME="me",
        KAFKA_SASL_PASSWORD="secret",
        KAFKA_SSL_CA_LOCATION=str(tmp_path),
    )
    for properties in (consumer_properties, producer_properties, admin_properties):
        assert properties(given)["bootstrap.servers"] == "127.0.0.1:1"
        assert str(properties(given)["client.id"]).startswith("segment-consumer-")
        assert properties(given)["sasl.username"] == "me"
        assert properties(given)["sasl.password"] == "secret"
        assert properties(given)["ssl.ca.location"] == str(tmp_path)
        assert "ssl.key.location" not in properties(given)


def test_right_properties_have_no_problems() -> None:
    assert property_problems({"linger.ms": "5", "fetch.min.bytes": "1"}) == []


def test_wrong_properties_are_blamed_on_the_variable_that_set_them() -> None:
    problems = property_problems(
        {
            "security.protocol": "ssl",
            "ssl.ca.location": "/no/such/ca",
            "ssl.key.location": "/no/such/key",
        }
    )
    assert [line.partition("; librdkafka says: ")[0] for line in problems] == [
        "KAFKA_SSL_CA_LOCATION: got '/no/such/ca'",
        "KAFKA_SSL_KEY_LOCATION: got '/no/such/key'",
    ]


def test_a_key_wants_its_certificate_and_its_password(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"
    )
    (line,) = property_problems({"security.protocol": "ssl", "ssl.key.location": str(file)})
    assert line.startswith("KAFKA_SSL_KEY_LOCATION: ")
    assert line.endswith("it is no private key, or KAFKA_SSL_KEY_PASSWORD is missing or wrong")
    file.write_text(_a_key())
    (line,) = property_problems({"security.protocol": "ssl", "ssl.key.location": str(file)})
    assert line.startswith("KAFKA_SSL_CERTIFICATE_LOCATION: librdkafka says: Private key check")


@pytest.mark.parametrize(
    ("properties", "variable"),
    [
        ({}, "KAFKA_SASL_MECHANISM"),
        ({"sasl.mechanism": "GSSAPI"}, "KAFKA_SASL_MECHANISM"),
        ({"sasl.mechanism": "PLAIN"}, "KAFKA_SASL_USERNAME"),
        ({"sasl.mechanism": "PLAIN", "sasl.username": "me"}, "KAFKA_SASL_PASSWORD"),
    ],
)
def test_what_is_missing_for_sasl_is_asked_for(properties: dict[str, str], variable: str) -> None:
    (problem,) = property_problems({"security.protocol": "sasl_plaintext"} | properties)
    assert problem.startswith(f"{variable}: ")


def test_properties_that_contradict_each_other_are_a_problem() -> None:
    assert property_problems({"message.timeout.ms": "5", "linger.ms": "10"}) == [
        "KAFKA_CONFIG: librdkafka says: `message.timeout.ms` must be greater than `linger.ms`"
    ]
    assert property_problems({"delivery.timeout.ms": "5", "queue.buffering.max.ms": "10"}) == [
        "KAFKA_CONFIG: librdkafka says: `message.timeout.ms` must be greater than `linger.ms`"
    ]


def test_what_librdkafka_says_is_freed_from_the_operators_values() -> None:
    (problem,) = property_problems(
        {
            "security.protocol": "ssl",
            "ssl.keystore.location": "/no/such/hunter2",
            "ssl.keystore.password": "hunter2",
        }
    )
    assert problem.startswith("KAFKA_CONFIG: librdkafka says: Failed to open ssl.keystore.location")
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    "properties",
    [
        {"ssl.ca.location": "/no/such/file"},
        {"ssl.key.location": "/no/such/file"},
        {"ssl.certificate.location": "/etc"},
        {"ssl.ca.pem": "x"},
        {"ssl.keystore.location": "/no/such/file", "ssl.keystore.password": "x"},
    ],
)
def test_openssls_codes_and_routines_are_not_repeated(properties: dict[str, str]) -> None:
    (problem,) = property_problems({"security.protocol": "ssl"} | properties)
    assert not re.search(r"error:|lib\b|routines|::", problem)


@pytest.mark.parametrize(
    "properties",
    [
        {"fetch.max.bytes": "999"},
        {"receive.message.max.bytes": "1000"},
        {"receive.message.max.bytes": "2000000", "fetch.max.bytes": "2000000"},
        {"fetch.min.bytes": "0"},
        {"fetch.min.bytes": "100000001"},
    ],
)
def test_what_only_a_consumer_refuses_is_found_without_one(properties: dict[str, str]) -> None:
    with pytest.raises(Exception, match="Failed to create consumer"):
        Consumer({"group.id": "g"} | properties, logger=silent)
    assert len(property_problems(properties)) == 1


def test_an_expression_is_judged_by_the_engine_that_will_match_it() -> None:
    assert expression_problem("^a{1,3}[,]{2,}(x,y)$") is None
    assert expression_problem("^(a") == "is no expression: Unmatched ( or \\("


def test_checking_properties_says_nothing_by_itself() -> None:
    """Left alone, librdkafka logs to standard error."""
    code = (
        "from consumer.settings.property_checks import property_problems as p;"
        "p({'debug': 'all', 'fetch.min.bytes': '1', 'sasl.username': 'x'})"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (ended.stdout, ended.stderr) == (b"", b"")
