"""``segment-consumer replay`` as operators have it: dead letters, delivered once they can be."""

import errno
import io
import json
import socket
from collections import Counter
from contextlib import ExitStack
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from consumer.commands.replay.dead_letters import Change, Selection, changes_of, labels_of
from consumer.commands.replay.listing import Listing
from consumer.commands.replay.progress import Progress
from consumer.commands.replay.reader import DeadLetterReader
from consumer.commands.replay.survey import Span
from consumer.commands.replay.voice import Voice
from consumer.core.snapshot import Board, initial_snapshot
from tests.support.cluster import Record
from tests.support.daemon import Daemon
from tests.support.kafka_server import free_ports
from tests.support.mapped import mapping
from tests.support.records import FakeMessage
from tests.support.scenario import PATIENCE_SECONDS, Scenario, additions, event
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from confluent_kafka import Message

both_protocols = pytest.mark.parametrize("protocol", ["classic", "consumer"])

ALL_REPLAYED, NOT_ALL, WRONG = 0, 1, 2
NOT_FOUND = b'"Segment not found for customer-0"'


class Replays:
    """Runs the command against a scenario's dead-letter topic."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.topic = scenario.dead_letter_topic
        self._running = ExitStack()

    def close(self) -> None:
        """End what still runs."""
        self._running.close()

    def start(self, *arguments: str, **changed: object) -> Daemon:
        """Start a replay."""
        settings = self.scenario.settings(kafka_config=None, **changed)
        return self._running.enter_context(Daemon(settings, arguments=("replay", *arguments)))

    def run(self, *arguments: str, expect: int = ALL_REPLAYED, **changed: object) -> str:
        """Run a replay to its end, and return what it wrote."""
        replay = self.start(*arguments, **changed)
        code = replay.wait(PATIENCE_SECONDS * 2)
        assert code == expect, replay.said()
        return replay.output

    def create_topic(self) -> None:
        """Make the dead-letter topic, of 3 partitions, as a daemon would have."""
        self.scenario.broker.create_topic(self.topic, 3)

    def put(self, *dead_letters: Record) -> None:
        """Put dead letters on the topic."""
        self.scenario.produce(dead_letters, self.topic)

    def dead_letters(self) -> "list[Message]":
        """Return what is on the topic."""
        return self.scenario.broker.read_all(self.topic)

    def committed(self) -> dict[int, int]:
        """Return what the replay's group committed."""
        return self.scenario.broker.committed(f"{self.scenario.group}.replay", self.topic)

    def ends(self) -> dict[int, int]:
        """Return where the topic ends."""
        return self.scenario.broker.end_offsets(self.topic)


@pytest.fixture
def replays(scenario: Scenario) -> "Iterator[Replays]":
    """Make replays of the scenario's dead letters; those that still run end with the test."""
    replays = Replays(scenario)
    yield replays
    replays.close()


def dead_letter(
    segment_id: int,
    *ids: object,
    action: str = "add",
    reason: str = "segment-rejected",
    detail: str = "404 not found",
    partition: int | None = None,
) -> Record:
    """Return a dead letter of refused ids, as the daemon writes it."""
    value = {"segment_id": segment_id, "action": action, "ids": ids, "id_type": "id"}
    return labelled(
        Record(str(segment_id), json.dumps(value).encode(), partition=partition), reason, detail
    )


def labelled(record: Record, reason: str, detail: str = "x", **more: str) -> Record:
    """Return the record with a dead letter's headers."""
    texts = {
        "reason": reason,
        "detail": detail,
        "source": "audience:2:17",
        "time": "2026-01-02T03:04:05.678Z",
        **more,
    }
    headers = [(f"dead-letter-{name}", text.encode()) for name, text in texts.items()]
    return record._replace(headers=[*(record.headers or []), *headers])


def header(message: "Message", name: str) -> str:
    """Return one of the headers that a dead letter has."""
    (value,) = (each for key, each in headers_of(message) if key == f"dead-letter-{name}")
    assert isinstance(value, bytes)
    return value.decode()


def headers_of(message: "Message") -> "list[tuple[str, str | bytes | None]]":
    """Return a record's headers."""
    headers = message.headers() or []
    assert isinstance(headers, list)
    return headers


def names(count: int, start: int = 0) -> list[str]:
    """Return so many ids."""
    return [f"customer-{number}" for number in range(start, start + count)]


# What is delivered


@both_protocols
def test_what_was_refused_is_delivered_once_it_can_be(scenario: Scenario, replays: Replays) -> None:
    scenario.api.unknown_segment(56)
    daemon = scenario.start_ready()
    scenario.produce([*additions(7, 50), *additions(56, 500)])
    scenario.await_all_committed()
    assert scenario.api.members(56) == frozenset()
    refused = len(scenario.broker.read_all(replays.topic))
    daemon.terminate()
    daemon.wait(PATIENCE_SECONDS)
    scenario.api.heal()
    said = replays.run()
    assert scenario.api.members(56) == set(names(500))
    assert replays.committed() == replays.ends()
    assert len(replays.dead_letters()) == refused
    read = f"{refused} of {refused} {'dead letter' if refused == 1 else 'dead letters'} read"
    assert f"done: {read}, 500 ids delivered, 0 refused again" in said
    assert "overwrites the newer state" in " ".join(said.split())
    assert "customer-" not in said


def test_it_serves_no_http(replays: Replays) -> None:
    replays.create_topic()
    replays.put(dead_letter(1, "a"))
    replays.scenario.api.hang()
    (port,) = free_ports(1)
    replay = replays.start(HTTP_PORT=port)
    eventually(replays.scenario.api.received, PATIENCE_SECONDS, "a request", until=bool)
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED
    replays.scenario.api.heal()
    assert replay.wait(PATIENCE_SECONDS) == ALL_REPLAYED


def test_a_second_run_goes_on_where_the_first_ended(replays: Replays) -> None:
    replays.create_topic()
    replays.put(*(dead_letter(number, *names(3)) for number in range(1, 20)))
    replays.run()
    requests = replays.scenario.api.counters().requests
    assert "nothing new" in replays.run()
    assert replays.scenario.api.counters().requests == requests
    replays.put(dead_letter(99, "late"))
    assert "done: 1 of 1 dead letter read, 1 id delivered" in replays.run()
    assert replays.scenario.api.counters().requests == requests + 1
    assert replays.committed() == replays.ends()


def test_dead_letters_that_come_meanwhile_are_left_for_the_next_run(replays: Replays) -> None:
    replays.create_topic()
    replays.put(*(dead_letter(1, name, partition=0) for name in names(10)))
    replays.scenario.api.delay(0.9)
    replay = replays.start()
    eventually(replays.scenario.api.received, PATIENCE_SECONDS, "a request", until=bool)
    replays.put(dead_letter(2, "late", partition=0), dead_letter(2, "late", partition=1))
    assert replay.wait(PATIENCE_SECONDS) == ALL_REPLAYED
    assert replays.committed() == {0: 10, 1: 0, 2: 0}
    assert replays.scenario.api.members(2) == frozenset()
    replays.run()
    assert replays.scenario.api.members(2) == {"late"}


def test_the_last_of_several_dead_letters_wins(replays: Replays) -> None:
    replays.create_topic()
    everybody = names(300)
    replays.put(
        dead_letter(1, *everybody, action="remove"),
        dead_letter(1, *everybody),
        dead_letter(1, *everybody[:100], action="remove"),
    )
    replays.scenario.api.script([503, None, 429])
    replays.run(BATCH_LINGER_SECONDS=0)
    assert replays.scenario.api.members(1) == set(everybody[100:])


def test_transaction_markers_and_gaps_hold_nothing(replays: Replays) -> None:
    replays.create_topic()
    replays.put(*(dead_letter(1, name, partition=0) for name in names(10)))
    replays.scenario.broker.delete_records(replays.topic, {0: 4})
    replays.run()
    assert replays.scenario.api.members(1) == set(names(6, 4))
    assert replays.committed()[0] == 10


def test_dead_letters_deleted_before_their_replay_are_told(replays: Replays) -> None:
    replays.create_topic()
    replays.put(dead_letter(1, "first", partition=0))
    replays.run()
    replays.put(*(dead_letter(1, name, partition=0) for name in names(10)))
    replays.scenario.broker.delete_records(replays.topic, {0: 4})
    assert "3 dead letters already deleted" in replays.run()
    assert replays.scenario.api.members(1) == {"first", *names(7, 3)}


def test_a_topic_made_anew_is_read_from_its_beginning(replays: Replays) -> None:
    replays.create_topic()
    replays.put(*(dead_letter(1, name, partition=0) for name in names(10)))
    replays.run()
    replays.scenario.broker.delete_topic(replays.topic)
    replays.create_topic()
    replays.put(*(dead_letter(2, name, partition=0) for name in names(3)))
    eventually(replays.committed, PATIENCE_SECONDS, "the group's offsets", until=lambda _: True)
    replays.run()
    assert replays.scenario.api.members(2) == set(names(3))
    assert replays.committed()[0] == 3


# Which dead letters


def test_an_empty_topic_and_none_at_all_are_said(replays: Replays) -> None:
    assert "There is no topic" in replays.run()
    replays.create_topic()
    assert "is empty" in replays.run()
    assert "is empty" in replays.run("--dry-run")
    assert replays.scenario.api.counters().requests == 0


def test_filters_choose_by_reason_and_segment_and_commit_nothing(replays: Replays) -> None:
    replays.create_topic()
    replays.put(
        dead_letter(1, "a", reason="rejected"),
        dead_letter(2, "b", reason="rejected"),
        dead_letter(2, "c", "d", reason="segment-rejected"),
        labelled(Record("k", event(2, "add", "e")), "malformed"),
        Record("k", event(2, "add", "of-unknown-reason")),
        labelled(Record("k", b"junk"), "malformed"),
    )
    api = replays.scenario.api
    assert "(1 chosen), 1 id delivered" in replays.run("--segment", "1")
    assert api.members(1) == {"a"}
    assert api.members(2) == frozenset()
    replays.run("--reason", "rejected", "--reason", "segment-rejected", "--segment", "2")
    assert api.members(2) == {"b", "c", "d"}
    assert api.counters().repeated_ids == 0
    said = replays.run("--reason", "malformed", "--segment", "2")
    assert api.members(2) == {"b", "c", "d", "e"}
    assert "Nothing was committed" in said
    assert replays.committed() == {}
    replays.run(expect=NOT_ALL)  # the junk
    assert api.members(2) == {"b", "c", "d", "e", "of-unknown-reason"}


def test_a_filter_begins_where_the_last_whole_replay_ended(replays: Replays) -> None:
    replays.create_topic()
    replays.put(dead_letter(1, "a"))
    replays.run()
    replays.put(dead_letter(1, "b"))
    committed = replays.committed()
    assert "1 of 1 dead letter read" in replays.run("--segment", "1")
    assert "2 of 2 dead letters read" in replays.run("--segment", "1", "--from-start")
    assert replays.committed() == committed
    assert replays.scenario.api.counters().ids == 4


@both_protocols
def test_from_start_takes_everything_again(replays: Replays, protocol: str) -> None:
    assert replays.scenario.protocol == protocol
    replays.create_topic()
    replays.put(*(dead_letter(number, *names(3)) for number in range(1, 20)))
    replays.run()
    replays.run("--from-start")
    assert replays.scenario.api.counters().ids == 2 * 57
    assert replays.committed() == replays.ends()


@pytest.mark.long("variants of what one shows")
def test_what_from_start_did_not_reach_is_the_next_runs(replays: Replays) -> None:
    replays.create_topic()
    replays.put(*(dead_letter(1, name, partition=0) for name in names(10)))
    replays.run()
    replays.scenario.api.always(status=503)
    replay = replays.start("--from-start")
    eventually(
        lambda: replays.scenario.api.counters().statuses,
        PATIENCE_SECONDS,
        "a request that failed",
        until=lambda statuses: 503 in statuses,
    )
    replay.kill()
    replays.scenario.api.heal()
    assert replays.committed()[0] == 0
    assert "10 of 10 dead letters read" in replays.run()
    assert replays.scenario.api.counters().ids == 20


# The list


def test_a_dry_run_lists_and_changes_nothing(replays: Replays) -> None:
    replays.create_topic()
    replays.put(
        dead_letter(56, *names(5), detail=f"404 {NOT_FOUND.decode()}"),
        dead_letter(
            7, "customer-9", action="remove", reason="rejected", detail='400 {"id": "customer-9"}'
        ),
        dead_letter(8, "", {"a": "customer-8"}, reason="invalid-id", detail="an id is empty"),
        labelled(Record("customer-1", b"junk"), "malformed", "not JSON: \x1b[2Jbyte 0"),
        labelled(Record("customer-2", None), "malformed", "nested too deeply", truncated="true"),
        Record(
            "customer-3", event(9, "add", "customer-4"), [("dead-letter-reason", b"customer-5")]
        ),
    )
    ends = replays.ends()
    said = replays.run("--dry-run")
    lines = {tuple(line.split(None, 7)[1:]) for line in said.splitlines()}
    stamp, source = "2026-01-02T03:04:05.678Z", "audience:2:17"
    assert {
        (stamp, "segment-rejected", "56", "add", "5", source, "refused by the API with 404"),
        (stamp, "rejected", "7", "remove", "1", source, "refused by the API with 400"),
        (stamp, "invalid-id", "8", "add", "2", source, "an id is empty"),
        (stamp, "malformed", "-", "-", "-", source, "not JSON:  [2Jbyte 0"),
        (
            *(stamp, "malformed", "-", "-", "-", source),
            "its value was too big for this topic, the source has it; nested too deeply",
        ),
        ("-", "-", "9", "add", "1", "-", "-"),
    } <= lines
    assert "6 dead letters; nothing was replayed or committed" in said
    assert "customer-" not in said
    assert "\x1b" not in said
    assert replays.committed() == {}
    assert replays.ends() == ends
    assert replays.scenario.api.counters().requests == 0


@pytest.mark.long("variants of what one shows")
def test_a_dry_run_lists_what_a_replay_with_the_same_options_would_take(replays: Replays) -> None:
    replays.create_topic()
    replays.put(dead_letter(1, "a"), dead_letter(2, "b", reason="rejected"))
    replays.run()
    replays.put(dead_letter(1, "c"), dead_letter(3, "d"))

    def segments(*arguments: str) -> Counter[str]:
        lines = replays.run("--dry-run", *arguments).splitlines()
        return Counter(line.split()[3] for line in lines if "refused by the API" in line)

    committed = replays.committed()
    assert segments() == Counter("13")
    assert segments("--from-start") == Counter("1213")
    assert segments("--from-start", "--segment", "1") == Counter("11")
    assert segments("--from-start", "--reason", "rejected") == Counter("2")
    assert segments("--reason", "rejected") == Counter()
    assert replays.committed() == committed


# What can't be delivered


def test_what_is_refused_again_goes_to_the_topic_once_more(replays: Replays) -> None:
    replays.create_topic()
    replays.put(dead_letter(1, *names(50)), dead_letter(2, *names(20)))
    api = replays.scenario.api
    api.bad_ids(["customer-7"])
    api.unknown_segment(2)
    said = replays.run(expect=NOT_ALL)
    assert "49 ids delivered, 21 refused again" in said
    assert api.members(1) == set(names(50)) - {"customer-7"}
    again = [each for each in replays.dead_letters() if "audience:" not in header(each, "source")]
    assert {(header(each, "reason"), ids_of(each)) for each in again} == {
        ("rejected", ("customer-7",)),
        ("segment-rejected", tuple(names(20))),
    }
    assert all(header(each, "source").startswith(f"{replays.topic}:") for each in again)
    assert "2 of 2 dead letters read, 0 ids delivered, 21 refused again" in replays.run(
        expect=NOT_ALL
    )
    api.heal()
    assert "2 of 2 dead letters read, 21 ids delivered, 0 refused again" in replays.run()
    assert api.members(1) == set(names(50))
    assert api.members(2) == set(names(20))
    assert replays.committed() == replays.ends()


def ids_of(message: "Message") -> tuple[str, ...]:
    """Return the ids in a dead letter."""
    return tuple(json.loads(message.value() or b"")["ids"])


def test_with_a_filter_what_is_refused_again_stays_where_it_is(replays: Replays) -> None:
    replays.create_topic()
    replays.put(dead_letter(2, *names(20)), dead_letter(1, "a"))
    replays.scenario.api.unknown_segment(2)
    ends = replays.ends()
    assert "20 refused again" in replays.run("--segment", "2", expect=NOT_ALL)
    assert replays.ends() == ends
    assert replays.committed() == {}


def test_what_still_cannot_be_read_is_kept_byte_for_byte(replays: Replays) -> None:
    replays.create_topic()
    junk = Record(b"\x00\xff", b"no JSON \xff\x00", [("trace", b"1"), ("nothing", None)])
    mended = event(5, "add", "customer-1")
    replays.put(labelled(junk, "malformed"), labelled(Record("k", mended), "malformed"))
    said = replays.run(expect=NOT_ALL)
    assert "1 id delivered, 0 refused again, 1 dead letter unreadable as before" in said
    assert replays.scenario.api.members(5) == {"customer-1"}
    (again,) = [
        each for each in replays.dead_letters() if "audience:" not in header(each, "source")
    ]
    assert (again.key(), again.value()) == (junk.key, junk.value)
    assert headers_of(again)[:2] == junk.headers
    assert header(again, "reason") == "malformed"


def test_a_dead_letter_without_its_value_is_skipped_with_its_source(replays: Replays) -> None:
    replays.create_topic()
    replays.put(
        labelled(Record("k", None, partition=1), "malformed", truncated="true"),
        dead_letter(1, "a", partition=1),
        Record("a tombstone", None, partition=1),
    )
    said = replays.run(expect=NOT_ALL)
    assert f"skipped: {replays.topic}:1:0 has no value" in said
    assert "source still has it: audience:2:17" in said
    assert replays.scenario.api.members(1) == {"a"}
    assert replays.committed() == replays.ends()
    assert "nothing new" in replays.run()


def test_a_wrong_key_is_waited_for_visibly(replays: Replays) -> None:
    replays.create_topic()
    replays.put(dead_letter(1, "a"))
    replays.scenario.api.always(status=401)
    replays.scenario.api.region(status=401)
    replay = replays.start()
    eventually(lambda: replay.output, PATIENCE_SECONDS, "a hold", until=lambda o: "held: un" in o)
    assert replay.exit_code is None
    replays.scenario.api.heal()
    assert replay.wait(PATIENCE_SECONDS) == ALL_REPLAYED
    assert replays.dead_letters()[0].offset() == 0
    assert len(replays.dead_letters()) == 1


@pytest.mark.long("ways of an outage beyond one of each kind")
def test_a_broker_that_is_away_is_waited_for_visibly(replays: Replays) -> None:
    replays.create_topic()
    replays.put(dead_letter(1, "a"))
    replays.scenario.broker.stop()
    replay = replays.start()
    eventually(
        lambda: replay.output, PATIENCE_SECONDS, "a word", until=lambda said: "no broker" in said
    )
    replays.scenario.broker.start()
    assert replay.wait(PATIENCE_SECONDS * 2) == ALL_REPLAYED
    assert replays.scenario.api.members(1) == {"a"}


# However it ends


@pytest.mark.long("the other protocol where one shows it", keep=("classic",))
@both_protocols
def test_a_replay_that_was_killed_is_gone_on_with(replays: Replays) -> None:
    replays.create_topic()
    replays.put(*(dead_letter(number, *names(10)) for number in range(1, 301)))
    api = replays.scenario.api
    api.delay(0.2)
    api.unknown_segment(300)
    replay = replays.start(CUSTOMERIO_MAX_IN_FLIGHT=4, KAFKA_SESSION_TIMEOUT_SECONDS=4)
    replays.scenario.await_accepted(300)
    eventually(replays.committed, PATIENCE_SECONDS, "a commit", until=lambda at: any(at.values()))
    replay.kill()
    before = sum(replays.committed().values())
    assert 0 < before < 300
    api.delay(0)
    said = replays.run(expect=NOT_ALL, KAFKA_SESSION_TIMEOUT_SECONDS=4)
    assert f"of {300 - before} dead letters read" in said
    assert all(api.members(number) == set(names(10)) for number in range(1, 300))
    assert [ids_of(each) for each in replays.dead_letters()[-1:]]
    again = [each for each in replays.dead_letters() if "audience:" not in header(each, "source")]
    assert [ids_of(each) for each in again] == [tuple(names(10))]


@pytest.mark.long("variants of what one shows", keep=("arguments0",))
@pytest.mark.parametrize("arguments", [(), ("--reason", "segment-rejected")])
def test_a_replay_that_is_interrupted_drains_and_says_so(
    replays: Replays, arguments: tuple[str, ...]
) -> None:
    replays.create_topic()
    replays.put(*(dead_letter(number, *names(10)) for number in range(1, 301)))
    api = replays.scenario.api
    api.delay(0.2)
    replay = replays.start(*arguments, CUSTOMERIO_MAX_IN_FLIGHT=2)
    replays.scenario.await_accepted(100)
    replay.interrupt()
    assert replay.wait(PATIENCE_SECONDS) == NOT_ALL
    assert "interrupted: " in replay.output
    committed = sum(replays.committed().values())
    assert committed == 0 if arguments else 0 < committed < 300
    api.delay(0)
    replays.run()
    assert all(api.members(number) == set(names(10)) for number in range(1, 301))
    assert api.counters().repeated_ids == 0 or arguments


def test_a_replay_that_waits_for_a_broker_can_be_interrupted(replays: Replays) -> None:
    replay = replays.start(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    eventually(
        lambda: replay.output, PATIENCE_SECONDS, "a word", until=lambda said: "no broker" in said
    )
    replay.terminate()
    assert replay.wait(PATIENCE_SECONDS) == NOT_ALL
    assert "interrupted" in replay.output


@pytest.mark.long("the other protocol where one shows it", keep=("consumer",))
@both_protocols
def test_two_replays_share_the_dead_letters_and_both_end(replays: Replays) -> None:
    replays.create_topic()
    replays.put(*(dead_letter(number, *names(10)) for number in range(1, 301)))
    api = replays.scenario.api
    api.delay(0.2)
    both = [replays.start(CUSTOMERIO_MAX_IN_FLIGHT=4) for _ in range(2)]
    assert [each.wait(PATIENCE_SECONDS * 2) for each in both] == [ALL_REPLAYED] * 2
    assert all(api.members(number) == set(names(10)) for number in range(1, 301))
    assert replays.committed() == replays.ends()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--reason", "unknown"),
        ("--segment", "0"),
        ("--segment", "2147483648"),
        ("--segment", "x"),
        ("--until", "now"),
    ],
)
def test_wrong_options_are_told(replays: Replays, arguments: tuple[str, ...]) -> None:
    replay = replays.start(*arguments)
    assert replay.wait(PATIENCE_SECONDS) == WRONG
    assert arguments[-1] in replay.errors
    assert "Traceback" not in replay.errors


def test_wrong_settings_are_told(replays: Replays) -> None:
    replay = replays.start(KAFKA_BOOTSTRAP_SERVERS=None, BATCH_MAX_IDS=0)
    assert replay.wait(PATIENCE_SECONDS) == WRONG
    assert "KAFKA_BOOTSTRAP_SERVERS" in replay.errors
    assert "BATCH_MAX_IDS" in replay.errors


def test_the_daemons_policy_and_identity_are_not_the_replays(replays: Replays) -> None:
    replays.create_topic()
    replays.put(dead_letter(2, *names(20)), labelled(Record("k", b"junk"), "malformed"))
    replays.scenario.api.unknown_segment(2)
    for number in range(2):
        said = replays.run(
            expect=NOT_ALL,
            REJECT_POLICY="stall",
            KAFKA_GROUP_PROTOCOL="consumer",
            KAFKA_GROUP_INSTANCE_ID="daemon-1",
            KAFKA_AUTO_OFFSET_RESET="error",
            DEAD_LETTER_MAX_CONSECUTIVE=1,
        )
        assert "20 refused again, 1 dead letter unreadable as before" in said
        assert len(replays.dead_letters()) == 2 * (number + 2)


# How a dead letter is read


def message(value: bytes | None, **headers: str | bytes) -> FakeMessage:
    """Return a record with a dead letter's headers."""
    named = [(f"dead-letter-{name}", text) for name, text in headers.items()]
    return FakeMessage(value=value, headers=named)


@pytest.mark.parametrize("reason", ["rejected", "segment-rejected"])
def test_no_word_of_the_api_is_shown(reason: str) -> None:
    shown = labels_of(message(b"x", reason=reason, detail='422 {"meta": "customer-7"}')).detail
    assert shown == "refused by the API with 422"
    assert labels_of(message(b"x", reason=reason, detail="customer-7")).detail == (
        "refused by the API"
    )


def test_headers_in_words_of_somebody_else_are_not_shown() -> None:
    labels = labels_of(
        message(b"x", reason=b"\xff", source="customer-7", time="customer-7", detail="customer-7")
    )
    assert (labels.reason, labels.source, labels.time, labels.detail) == ("-", "-", "-", "-")
    assert labels_of(FakeMessage(value=b"x")).reason == "-"


def test_ids_are_counted_whatever_they_are() -> None:
    reader = DeadLetterReader(None, "id")
    for ids, count in ((["a"], 1), (["a", "b", 3], 3), (["", "b"], 2), ([None], 1)):
        assert changes_of(message(event(5, "add", *ids)), reader) == (Change(5, "add", count),)
    assert changes_of(message(b"junk"), reader) == ()
    assert changes_of(message(None), reader) == ()


# With a mapping

BY_TOPIC = """
[[rule]]
when = { "$topic" = "audience", "$value" = { exists = false } }
action = "remove"
segment_id = { path = "$key.segment" }
id = { path = "$key.user" }

[[rule]]
when = { "$topic" = "audience" }
each = "changes"
action = { path = "does" }
segment_id = { path = "segment" }
id = { path = "user" }
"""
SEVERAL = json.dumps(
    {
        "changes": [
            {"does": "add", "segment": 5, "user": "a"},
            {"does": "remove", "segment": 6, "user": "b"},
            {"does": "remove", "segment": 5, "user": ""},
        ]
    }
).encode()
FROM = {"source": "audience:2:17"}


def test_a_malformed_record_is_read_by_the_mapping_as_it_was_in_its_source() -> None:
    reader = DeadLetterReader(mapping(BY_TOPIC), "id")
    found = changes_of(message(SEVERAL, reason="malformed", **FROM), reader)
    assert found == (Change(5, "add", 1), Change(6, "remove", 1), Change(5, "remove", 1))
    assert changes_of(message(SEVERAL, reason="malformed", source="other:2:17"), reader) == ()
    as_event = message(event(5, "add", "a"), reason="malformed", **FROM)
    assert changes_of(as_event, reader) == ()


@pytest.mark.parametrize("reason", ["invalid-id", "rejected", "segment-rejected"])
def test_refused_ids_are_an_event_whatever_the_mapping_reads(reason: str) -> None:
    reader = DeadLetterReader(mapping(BY_TOPIC), "email")
    refused = message(event(5, "add", "a@b", "x"), reason=reason, **FROM)
    assert changes_of(refused, reader) == (Change(5, "add", 2),)
    assert changes_of(message(SEVERAL, reason=reason, **FROM), reader) == ()


def test_a_malformed_record_without_a_value_is_read_and_one_that_lost_it_is_not() -> None:
    """Else a customer would be removed because a record was too big."""
    reader = DeadLetterReader(mapping(BY_TOPIC), "id")
    headers = [("dead-letter-reason", b"malformed"), ("dead-letter-source", b"audience:2:17")]
    key = b'{"segment": 5, "user": "a"}'
    without = FakeMessage(value=None, key=key, headers=headers)
    assert changes_of(without, reader) == (Change(5, "remove", 1),)
    lost = FakeMessage(value=None, key=key, headers=[*headers, ("dead-letter-truncated", b"true")])
    assert changes_of(lost, reader) == ()


def test_a_record_of_several_segments_is_chosen_by_any_of_them() -> None:
    labels = labels_of(message(SEVERAL, reason="malformed"))
    changes = (Change(5, "add", 1), Change(6, "remove", 1))
    for segment, is_taken in ((5, True), (6, True), (7, False)):
        assert Selection(segments=frozenset({segment})).takes(labels, changes) is is_taken


def test_the_list_names_all_segments_and_actions_of_a_record() -> None:
    stream = io.StringIO()
    reader = DeadLetterReader(mapping(BY_TOPIC), "id")
    listing = Listing(Selection(), reader, Voice(stream))
    assert listing.takes(message(SEVERAL, reason="malformed", detail="x", **FROM))
    assert stream.getvalue().split() == [
        *("0:0", "-", "malformed", "5,6", "add,remove", "3", "audience:2:17", "x")
    ]


def test_an_empty_selection_takes_everything() -> None:
    labels = labels_of(message(b"x", reason="rejected"))
    assert Selection().takes(labels, ())
    assert not Selection(segments=frozenset({1})).takes(labels, ())
    assert not Selection(reasons=frozenset({"malformed"})).takes(labels, ())


# What can't be read


class Reading:
    """A member that read both partitions, one of them up to damage."""

    def __init__(self) -> None:
        self.reached = {("letters", 0): 10, ("letters", 1): 5}
        self.damaged = {("letters", 0): "its CRC is wrong"}


def progress_at(*committed: int) -> Progress:
    """Return a replay of two partitions as it is when so much is committed."""
    spans = {("letters", 0): Span(0, 0, 30, None), ("letters", 1): Span(0, 0, 5, None)}
    partitions = [
        {"topic": "letters", "partition": number, "committed": offset}
        for number, offset in enumerate(committed)
    ]
    board = Board(initial_snapshot("1"), 0.0)
    status = {"partitions": partitions, "holds": []}
    board.snapshot = SimpleNamespace(status=status, not_ready=(), ids=len, total=no_total)  # type: ignore[assignment]  # what it looks at
    member: Any = Reading()
    return Progress(spans, member, board, Voice(None), lambda: None)


def no_total(*_: str) -> int:
    """Count nothing."""
    return 0


def test_a_replay_is_over_when_nothing_is_left_but_what_is_damaged() -> None:
    assert not progress_at(9, 5).is_done(), "what is in front of it is not settled"
    assert not progress_at(10, 4).is_done(), "the other one is not read"
    progress = progress_at(10, 5)
    assert progress.is_done()
    assert not progress.done
    assert progress.stuck == (
        "letters:0:10 is damaged, and so ends the replay of its partition: its CRC is wrong",
    )


def test_a_replay_that_came_past_what_was_damaged_once_is_done() -> None:
    progress = progress_at(30, 5)
    assert progress.is_done()
    assert progress.done
    assert not progress.stuck
