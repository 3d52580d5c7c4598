"""``segment-consumer replay`` as operators have it: dead letters, delivered once they can be."""

import errno
import io
import json
import math
import socket
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from consumer.commands.replay.dead_letters import Change, Selection, changes_of, labels_of
from consumer.commands.replay.listing import Listing
from consumer.commands.replay.marks import Mark, metadata_with
from consumer.commands.replay.others import Others
from consumer.commands.replay.progress import Progress
from consumer.commands.replay.reader import DeadLetterReader
from consumer.commands.replay.span import Span
from consumer.commands.replay.voice import Voice
from consumer.core.snapshot import Board, initial_snapshot
from consumer.engine.ports import Committed, Partition
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


@both_protocols
def test_a_topic_made_anew_in_the_midst_of_a_replay_ends_it_and_that_is_said(
    replays: Replays,
) -> None:
    """Else it would wait for the end that the old one had."""
    api = replays.scenario.api
    replays.create_topic()
    replays.put(*(dead_letter(number, *names(10), partition=0) for number in range(1, 301)))
    api.delay(0.2)
    replay = replays.start(CUSTOMERIO_MAX_IN_FLIGHT=2)
    replays.scenario.await_accepted(100)
    replays.scenario.broker.delete_topic(replays.topic)
    replays.create_topic()
    replays.put(*(dead_letter(400, name, partition=0) for name in names(3)))
    api.delay(0)
    assert replay.wait(PATIENCE_SECONDS * 2) == NOT_ALL, replay.said()
    assert f"{replays.topic}:0 ended at 300, and ends at 3 now" in replay.output
    assert "ended: " in replay.output
    assert api.members(400) == set(names(3))
    assert replays.committed()[0] == 3
    assert "nothing new" in replays.run()


# Which dead letters


def test_an_empty_topic_and_none_at_all_are_said(replays: Replays) -> None:
    assert "There is no topic" in replays.run()
    replays.create_topic()
    assert "is empty" in replays.run()
    assert "is empty" in replays.run("--dry-run")
    assert replays.scenario.api.counters().requests == 0


def test_filters_choose_by_reason_and_segment_and_leave_the_rest(replays: Replays) -> None:
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
    assert "What was not chosen is left for the next replay" in said
    replays.run(expect=NOT_ALL)  # the junk
    assert api.members(2) == {"b", "c", "d", "e", "of-unknown-reason"}
    assert api.counters().repeated_ids == 0


def test_a_filter_begins_where_the_last_replay_ended(replays: Replays) -> None:
    replays.create_topic()
    replays.put(dead_letter(1, "a"))
    replays.run()
    replays.put(dead_letter(1, "b"))
    assert "1 of 1 dead letter read" in replays.run("--segment", "1")
    committed = replays.committed()
    assert "2 of 2 dead letters read" in replays.run("--segment", "1", "--from-start")
    assert replays.committed() == committed
    assert replays.scenario.api.counters().ids == 4
    assert "nothing new" in replays.run()


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
    again = [each for each in replays.dead_letters() if replays_of(each)]
    assert {(header(each, "reason"), ids_of(each)) for each in again} == {
        ("rejected", ("customer-7",)),
        ("segment-rejected", tuple(names(20))),
    }
    assert {header(each, "source") for each in again} == {"audience:2:17"}
    assert {header(each, "time") for each in again} == {"2026-01-02T03:04:05.678Z"}
    assert {replays_of(each) for each in again} == {"1"}
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


def replays_of(message: "Message") -> str:
    """Return how often a dead letter says that it was replayed; empty if it doesn't."""
    names = [name for name, _ in headers_of(message)]
    return header(message, "replays") if "dead-letter-replays" in names else ""


def test_with_a_filter_what_is_refused_again_goes_to_the_topic_too(replays: Replays) -> None:
    replays.create_topic()
    replays.put(dead_letter(1, "a", partition=0), dead_letter(2, *names(20), partition=0))
    replays.scenario.api.unknown_segment(2)
    assert "20 refused again" in replays.run("--segment", "2", expect=NOT_ALL)
    assert Counter(map(replays_of, replays.dead_letters())) == {"": 2, "1": 1}
    assert replays.committed()[0] == 0, "the other one is open"
    replays.scenario.api.heal()
    assert "2 of 2 dead letters read, 21 ids delivered" in replays.run()
    assert replays.committed() == replays.ends()


def test_what_still_cannot_be_read_stays_where_it_is(replays: Replays) -> None:
    replays.create_topic()
    junk = Record(b"\x00\xff", b"no JSON \xff\x00", [("trace", b"1")], partition=0)
    mended = Record("k", event(5, "add", "customer-1"), partition=0)
    replays.put(*(labelled(junk, "malformed") for _ in range(6)), labelled(mended, "malformed"))
    ends = replays.ends()
    for _ in range(3):
        said = replays.run(expect=NOT_ALL)
        assert "6 dead letters left" in said
        assert f"left: {replays.topic}:0:0, nothing of it can be sent: not UTF-8" in said
        assert replays.ends() == ends
    assert replays.scenario.api.members(5) == {"customer-1"}
    assert replays.scenario.api.counters().ids == 1
    assert replays.committed()[0] == 0


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
    again = [each for each in replays.dead_letters() if replays_of(each)]
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
    assert 0 < sum(replays.committed().values()) < 300
    api.delay(0)
    replays.run()
    assert all(api.members(number) == set(names(10)) for number in range(1, 301))
    assert api.counters().repeated_ids == 0


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
        ("--json", "--skip"),
        ("--reason", "malformed", "--skip", "--all"),
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
        assert "20 refused again, 1 dead letter left" in said
        assert len(replays.dead_letters()) == 3 + number


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
    spans = {("audience", 0): Span(0, 0, 9, Mark(0))}
    listing = Listing(Selection(), reader, Voice(stream), spans)
    listing.look_at(message(SEVERAL, reason="malformed", detail="x", **FROM))
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
        self.short: dict[Partition, int] = {}
        self.ends: dict[Partition, int] = {}
        self.answers: dict[Partition, Committed] = {}

    def committed(self, names: set[Partition], _: float) -> dict[Partition, Committed]:
        """Return what the group committed."""
        return {name: self.answers[name] for name in names if name in self.answers}

    def watermarks(self, name: Partition, _: float) -> tuple[int, int] | None:
        """Return where the log begins and ends."""
        return (0, self.ends[name]) if name in self.ends else None


def progress_at(*committed: int, mark: Mark = Mark(0), patience: float = math.inf) -> Progress:  # noqa: B008 - it is frozen
    """Return a replay of two partitions as it is when so much is committed.

    ``mark`` is the one that it found.
    """
    spans = {("letters", number): Span(0, 0, end, mark) for number, end in enumerate((30, 5))}
    partitions = [
        {"topic": "letters", "partition": number, "committed": offset}
        for number, offset in enumerate(committed)
    ]
    board = Board(initial_snapshot("1"), 0.0)
    status = {"partitions": partitions, "holds": []}
    board.snapshot = SimpleNamespace(status=status, not_ready=(), ids=len, total=no_total)  # type: ignore[assignment]  # what it looks at
    member: Any = Reading()
    others = Others(spans, member, patience)
    return Progress(spans, member, others, board, Voice(None), lambda: None)


@dataclass
class Elsewhere:
    """A replay that is done with what it has, while another one has the first partition."""

    found: Mark  # what was committed of that when this one began
    patience: float = math.inf
    own: int = 5  # so much is committed of what this one has

    def __post_init__(self) -> None:
        self.progress = progress_at(0, self.own, mark=self.found, patience=self.patience)
        self.member: Any = self.progress._member  # noqa: SLF001 - whom it asks
        self.board: Any = self.progress._board  # noqa: SLF001 - where it looks
        self.member.damaged.clear()
        partitions: Any = self.board.snapshot.status["partitions"]
        del partitions[0]

    def is_done(self, *committed: Mark) -> bool:
        """Return whether it is over when the other one has committed this; nothing: no answer."""
        self.member.answers.clear()
        for mark in committed:
            self.member.answers["letters", 0] = Committed(mark.offset, metadata_with("", mark))
        self.board.snapshot = SimpleNamespace(**vars(self.board.snapshot))
        self.progress._next_look = 0.0  # noqa: SLF001 - it is time to look again
        return self.progress.is_done()


def test_what_another_replay_read_to_its_end_is_done_and_what_that_left_is_told() -> None:
    """At the end it is no longer, so nobody but this one can say that some are open."""
    for mark, is_done, left in (
        (Mark(30, (), 30), True, 0),
        (Mark(7, ((8, 20),), 20), False, 0),
        (Mark(7, ((8, 30),), 30), True, 1),
    ):
        replay = Elsewhere(Mark(0))
        assert replay.is_done(mark) is is_done
        assert replay.progress.left_elsewhere == left


def test_what_an_earlier_replay_read_to_its_end_is_not_done_before_this_one_s_commits() -> None:
    earlier = Mark(7, ((8, 12),), 30)
    replay = Elsewhere(earlier)
    assert not replay.is_done(earlier)
    assert not replay.is_done(Mark(7, ((8, 12),), 9))
    assert replay.is_done(earlier), "all that was open was left again"
    assert replay.progress.left_elsewhere == 1


def test_another_replay_that_commits_nothing_new_is_not_waited_for_for_ever() -> None:
    """It may be done, with a broker that takes no notes, or stand still."""
    replay = Elsewhere(Mark(7), patience=0.0)
    assert replay.is_done(Mark(7))
    progress = replay.progress
    assert (progress.done, progress.state) == (False, "ended")
    assert progress.stuck == (
        "another replay has what is left, and nothing new was committed of it for 0 s",
    )


def test_what_is_damaged_here_keeps_nobody_from_looking_at_what_is_done_elsewhere() -> None:
    replay = Elsewhere(Mark(0), own=3)
    replay.member.damaged["letters", 1] = "its CRC is wrong"
    replay.member.reached["letters", 1] = 3
    assert not replay.is_done(Mark(7, (), 7))
    assert replay.is_done(Mark(30, (), 30))
    assert [each.split(" is")[0] for each in replay.progress.stuck] == ["letters:1:3"]


def test_another_replay_is_waited_for_while_it_commits_or_no_broker_says_so() -> None:
    replay = Elsewhere(Mark(7), patience=3600.0)
    assert not replay.is_done(Mark(7))
    progress, hours_ago = replay.progress, -math.inf
    for committed in ((Mark(8),), (), (Mark(8),)):
        progress._others._quiet_since = hours_ago  # noqa: SLF001 - so long nothing was new
        assert not replay.is_done(*committed)
    progress._others._quiet_since = hours_ago  # noqa: SLF001 - so long nothing was new
    assert replay.is_done(Mark(8))
    assert not progress.done


def test_the_patience_with_another_replay_begins_when_there_is_nothing_else_to_do() -> None:
    replay = Elsewhere(Mark(7), patience=3600.0)
    assert not replay.is_done(Mark(7))
    replay.progress._others._quiet_since = -math.inf  # noqa: SLF001 - so long nothing was new
    partitions = replay.board.snapshot.status["partitions"]
    partitions[0]["committed"] = 4
    assert not replay.is_done(Mark(7)), "its own is to be read"
    partitions[0]["committed"] = 5
    assert not replay.is_done(Mark(7))


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


# Where the log got shorter


def test_a_log_that_got_shorter_ends_the_replay_of_its_partition() -> None:
    progress = progress_at(9, 5)
    member: Any = progress._member  # noqa: SLF001 - whom it asks
    member.damaged.clear()
    member.short[("letters", 0)] = 9
    member.ends[("letters", 0)] = 9
    assert progress.is_done()
    assert (progress.done, progress.state) == (False, "ended")
    assert progress.stuck == (
        "letters:0 ended at 30, and ends at 9 now: the topic was made anew, or its log was cut off",
    )


@pytest.mark.parametrize(
    ("short", "end"),
    [
        (None, 9),  # it is being read
        (12, 12),  # what it has is not settled
        (9, 30),  # a replica is behind its leader
        (9, None),  # nobody says
    ],
)
def test_a_log_that_may_not_be_shorter_is_read_on(short: int | None, end: int | None) -> None:
    progress = progress_at(9, 5)
    member: Any = progress._member  # noqa: SLF001 - whom it asks
    member.damaged.clear()
    member.short.update({} if short is None else {("letters", 0): short})
    member.ends.update({} if end is None else {("letters", 0): end})
    assert not progress.is_done()
