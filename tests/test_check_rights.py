"""What ``check`` says of rights and topics that are missing, and how its lines look."""

import io
import re
import shlex
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from consumer.commands.check import iam
from consumer.commands.check.check import run
from consumer.commands.check.expressions import patterns_of
from consumer.commands.check.rights import (
    CLUSTER,
    commands_for,
    rights_of,
    to_join,
    to_read,
    to_write,
)
from consumer.commands.check.topics import _matched_finding, _named_finding, _trouble, nearest_of
from consumer.commands.replay.reader import DeadLetterReader
from consumer.core.dead_letters import trial_headers
from consumer.core.mapping.reading import Ignored
from consumer.settings import Settings, load
from consumer.settings.subscription import covers, parse_topics
from tests.support.mapped import mapping
from tests.support.records import FakeMessage
from tests.test_check import API_ONLY, NOWHERE
from tests.test_demo import Terminal

ROOT = Path(__file__).resolve().parents[1]


def loaded(**more: object) -> Settings:
    return load({name: str(value) for name, value in {**API_ONLY, **more}.items()})


# -- rights ----------------------------------------------------------------------------------------


def test_the_rights_are_those_of_the_page_about_deploying() -> None:
    rows = re.findall(
        r"^\| (topics that are read|group|the dead-letter topic|cluster)\b.*? \| (.*) \|$",
        (ROOT / "deploy/README.md").read_text(),
        re.MULTILINE,
    )
    told = [set(re.findall(r"\b(?:[A-Z][a-z]+)+\b", cell)) - {"KIP"} for _, cell in rows]
    needed = list(rights_of(loaded(KAFKA_GROUP_PROTOCOL="consumer")))
    assert [kind for kind, _ in rows] == [
        *("topics that are read", "group", "the dead-letter topic", "cluster")
    ]
    assert told == [set(right.operations) for right in needed]
    assert [right.kind for right in needed] == ["topic", "group", "topic", "cluster"]


def test_what_is_not_needed_is_not_asked_for() -> None:
    needed = list(rights_of(loaded(REJECT_POLICY="skip", KAFKA_TOPICS="a,b")))
    assert [(right.kind, right.name) for right in needed] == [
        *(("topic", "a"), ("topic", "b"), ("group", "segment-consumer"))
    ]


PASSWORD = {"KAFKA_SASL_USERNAME": "anna", "KAFKA_SASL_PASSWORD": "not-to-be-shown"}


@pytest.mark.parametrize(
    ("login", "principal"),
    [
        ({}, "User:ANONYMOUS"),
        ({"KAFKA_SECURITY_PROTOCOL": "ssl"}, "User:ANONYMOUS"),
        *(
            (
                {
                    "KAFKA_SECURITY_PROTOCOL": "sasl_plaintext",
                    "KAFKA_SASL_MECHANISM": mechanism,
                    **PASSWORD,
                },
                "User:anna",
            )
            for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
        ),
    ],
)
def test_the_commands_name_the_principal_as_the_brokers_take_it(
    login: dict[str, str], principal: str
) -> None:
    settings = loaded(**login)
    head, *lines = commands_for(settings, [to_write(settings.dead_letter_topic)])
    assert head == f"What {principal} needs (* is missing):"
    assert [line[0] for line in lines] == [" ", " ", "*"]
    assert "not-to-be-shown" not in "".join(lines)
    words = shlex.split(lines[0])
    assert words == [
        *("kafka-acls.sh", "--bootstrap-server", NOWHERE, "--add", "--allow-principal", principal),
        *("--operation", "Read", "--operation", "Describe", "--topic", "audience-changes"),
    ]


def test_a_principal_that_only_the_brokers_know_is_left_open() -> None:
    (head, *lines) = commands_for(
        loaded().model_copy(
            update={
                "kafka_security_protocol": "ssl",
                "kafka_ssl_certificate_location": "certificate.pem",
            }
        ),
        [CLUSTER],
    )
    assert "PRINCIPAL being what the brokers take from our certificate" in head
    assert lines[-1].startswith("* ")
    assert lines[-1].endswith("--operation DescribeConfigs --cluster")
    assert all("User:PRINCIPAL" in line for line in lines)


IAM = {
    "KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
    "KAFKA_SASL_MECHANISM": "OAUTHBEARER",
    "KAFKA_OAUTH_PROVIDER": "aws-msk-iam",
    "AWS_REGION": "eu-west-1",
    "KAFKA_GROUP_PROTOCOL": "consumer",
}


def test_where_brokers_ask_iam_actions_of_a_policy_are_named() -> None:
    settings = loaded(**IAM, KAFKA_TOPICS="audience-changes,^eu-.*")
    head, *lines = iam.lines_for(settings, [to_join("segment-consumer")])
    assert head.startswith("What the policy of our role needs")
    needed = [
        (" ", "Connect DescribeCluster", "cluster/CLUSTER/*"),
        (" ", "ReadData DescribeTopic", "topic/CLUSTER/*/audience-changes"),
        (" ", "ReadData DescribeTopic", "topic/CLUSTER/*/eu-*"),
        ("*", "AlterGroup DescribeGroup", "group/CLUSTER/*/segment-consumer"),
        (
            " ",
            "WriteData DescribeTopic CreateTopic",
            "topic/CLUSTER/*/segment-consumer.dead-letters",
        ),
        (" ", "DescribeClusterDynamicConfiguration", "cluster/CLUSTER/*"),
    ]
    for line, (mark, actions, resource) in zip(lines, needed, strict=True):
        allowed = ", ".join(f"kafka-cluster:{each}" for each in actions.split())
        assert line == f"{mark} {allowed} on arn:aws:kafka:eu-west-1:ACCOUNT:{resource}"
    for region, partition in (("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")):
        _, first, *_ = iam.lines_for(loaded(**IAM | {"AWS_REGION": region}), [])
        assert f"arn:{partition}:kafka:{region}:ACCOUNT:" in first


def test_the_actions_are_those_of_the_page_about_amazon_msk() -> None:
    page = (ROOT / "deploy/reference.md").read_text().partition("\n| on | actions |\n")[2]
    rows = [line for line in page.partition("\nA serverless")[0].splitlines() if "`" in line]
    told = {each for row in rows for each in re.findall(r"`([A-Z][A-Za-z]+)`", row.split(" | ")[1])}
    lines = "".join(iam.lines_for(loaded(**IAM), []))
    assert told == set(re.findall(r"kafka-cluster:(\w+)", lines))


def test_a_topic_that_an_expression_matches_is_named_itself_if_it_is_missing() -> None:
    lines = list(commands_for(loaded(KAFKA_TOPICS="^audience-.*"), [to_read("audience-eu")]))
    assert lines[1].startswith("  kafka-acls.sh")
    assert lines[1].endswith("--topic audience- --resource-pattern-type prefixed")
    assert lines[-1].startswith("* ")
    assert lines[-1].endswith("--topic audience-eu")


@pytest.mark.parametrize(
    ("expression", "patterns"),
    [
        ("^audience-.*", [("audience-", True)]),
        ("^audience", [("audience", False)]),
        (r"^audience\.changes", [("audience.changes", False)]),
        ("^audience.changes", [("audience", True)]),
        ("^audience-(eu|us)", [("audience-", True)]),
        ("^(eu|us|x-[0-9]+)", [("eu", False), ("us", False), ("x-", True)]),
        ("^(a|b)c", [("*", False)]),
        ("^eu|us", [("eu", False), ("us", False)]),
        ("^ab*", [("a", True)]),
        ("^ab+", [("ab", True)]),
        ("^ab?c", [("a", True)]),
        ("^a{2}", [("*", False)]),
        ("^[ab]c", [("*", False)]),
        ("^a[|]b", [("a", True)]),
        ("^.*", [("*", False)]),
        ("^(a|.*)", [("*", False)]),
    ],
)
def test_rules_cover_what_an_expression_may_match(
    expression: str, patterns: list[tuple[str, bool]]
) -> None:
    (anchored,) = parse_topics(expression)
    assert patterns_of(anchored) == patterns
    for name in ("audience", "audience-eu", "audience.changes", "eu", "us", "x-1", "a", "aa", "ac"):
        if covers([anchored], name):
            assert any(
                text in {"*", name} or (is_prefix and name.startswith(text))
                for text, is_prefix in patterns
            )


# -- topics ----------------------------------------------------------------------------------------

OTHERS = ["audience-changes", "audience-changes-eu", "orders"]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("audience-change", "audience-changes"),
        ("audience_changes", "audience-changes"),
        ("Audience-Changes", "audience-changes"),
        ("audience-changes.eu", "audience-changes-eu"),
        ("payments", ""),
    ],
)
def test_the_nearest_topic_is_suggested_for_one_that_is_missing(name: str, nearest: str) -> None:
    assert nearest_of(name, OTHERS) == nearest
    line = _named_finding(name, None, {}, OTHERS).line()
    assert line.startswith("FAILED")
    assert line.endswith("create it, or correct KAFKA_TOPICS")
    assert ("did you mean" in line) == bool(nearest)
    assert f"-> did you mean {nearest}? create it" in line or not nearest


def test_an_expression_that_matches_nothing_is_told_what_there_is() -> None:
    many = [f"topic-{number}" for number in range(9)]
    line = _matched_finding("^(x)$", [], {}, many).line()
    assert "there is topic-0, topic-1, topic-2, topic-3, topic-4, ..." in line
    assert "did you mean" not in line
    assert "none can be seen at all" in _matched_finding("^(x)$", [], {}, []).line()


def test_a_right_that_is_missing_is_no_missing_topic() -> None:
    trouble = _trouble(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), "secret", OTHERS)
    assert trouble.to_do == "allow READ and DESCRIBE on topic secret"
    assert trouble.missing == to_read("secret")


# -- how it looks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("colours", [True, False])
def test_on_a_terminal_states_and_what_to_do_have_colours(*, colours: bool) -> None:
    settings = loaded(KAFKA_TOPIC="x", CUSTOMERIO_URL=f"http://{NOWHERE}")
    plain, terminal = io.StringIO(), Terminal()
    assert run(settings, plain, colours=True) == 1
    assert run(settings, terminal, colours=colours) == 1
    assert "\x1b" not in plain.getvalue()
    shown = terminal.getvalue()
    without = re.sub(r"\x1b\[\d*m", "", shown)
    assert [line.split(":")[0] for line in without.splitlines()] == [
        line.split(":")[0] for line in plain.getvalue().splitlines()
    ]
    for state, code in {"ok": 32, "warning": 33, "FAILED": 31, "skipped": 2}.items():
        assert (f"\x1b[{code}m{state}\x1b[0m" in shown) == colours, state
    assert ("-> \x1b[36mdoes a broker listen there?" in shown) == colours


# -- the trial on the dead-letter topic ------------------------------------------------------------

WHO_LEFT = """
[[rule]]
when = { "$value" = { exists = false } }
action = "remove"
segment_id = { path = "$key.segment" }
id = { path = "$key.user" }
"""


def test_no_replay_reads_a_trial_whatever_the_mapping_reads() -> None:
    """A mapping that reads records without value would remove whom the key names."""
    headers = list(trial_headers("2026-11-30T00:00:00Z"))
    trial = FakeMessage(value=None, key=b'{"segment": 5, "user": "a"}', headers=headers)
    for reads in (mapping(WHO_LEFT), None):
        reading = DeadLetterReader(reads, "id").read(None, trial)
        assert isinstance(reading, Ignored)
        assert "trial" in reading.detail
    malformed = [(name, b"malformed") for name, _ in headers[:1]]
    letter = FakeMessage(value=None, key=b'{"segment": 5, "user": "a"}', headers=malformed)
    reading = DeadLetterReader(mapping(WHO_LEFT), "id").read(None, letter)
    assert not isinstance(reading, Ignored)
