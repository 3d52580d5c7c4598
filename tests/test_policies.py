"""What becomes of what can't be delivered: policies, the limit, a topic that can't be written."""

import json
import re
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from confluent_kafka import KafkaException, Message
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from tests.support.cluster import Record
from tests.support.kafka_frames import PRODUCE, Deaf
from tests.support.scenario import (
    PATIENCE_SECONDS,
    Changes,
    CommitWatch,
    Load,
    Scenario,
    additions,
    assert_accounted,
    event,
)
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tests.support.daemon import Daemon

OK, UNAVAILABLE = 200, 503
GRACE_SECONDS = 15
"""So long a trouble of Kafka's may pass untold."""
LOOKS = 15
"""So many looks at the commits take longer than two commit intervals."""


class DeadLetter(NamedTuple):
    """What a dead letter says: ``source`` is (partition, offset), ``ids`` those of an event."""

    reason: str
    detail: str
    source: tuple[int, int]
    ids: tuple[Any, ...]


def dead_letter_of(message: Message) -> DeadLetter:
    """Return what a dead letter says."""
    headers = dict(message.headers() or [])
    reason, detail, source = [
        (headers[f"dead-letter-{name}"] or b"").decode()  # type: ignore[union-attr] # bytes, as it was read
        for name in ("reason", "detail", "source")
    ]
    _, partition, offset = source.rsplit(":", 2)
    ids = () if reason == "malformed" else json.loads(message.value() or b"")["ids"]
    return DeadLetter(reason, detail, (int(partition), int(offset)), tuple(ids))


def dead_letters_of(scenario: Scenario, count: int) -> list[DeadLetter]:
    """Wait for so many dead letters, and return what they say."""
    return [dead_letter_of(message) for message in scenario.dead_letters(count)]


def dead_letters_by_now(scenario: Scenario) -> list[DeadLetter]:
    """Return what the dead letters say that are there."""
    return [dead_letter_of(each) for each in scenario.broker.read_all(scenario.dead_letter_topic)]


def refused_ids(dead_letters: "Iterable[DeadLetter]") -> list[str]:
    """Return the ids of dead letters, each as often as it is there."""
    return sorted(name for dead_letter in dead_letters for name in dead_letter.ids)


def await_hold(
    daemon: "Daemon", reason: str, timeout: float = PATIENCE_SECONDS + GRACE_SECONDS
) -> str:
    """Wait for a hold, see that it is said everywhere, and return the message of the log."""
    eventually(daemon.holds, timeout, f"the hold {reason}", until={reason}.__eq__)
    assert daemon.reasons().startswith(f"{reason}: ")
    status = daemon.status()
    assert status["state"] == "held"
    assert [hold["reason"] for hold in status["holds"]] == [reason]
    assert daemon.get("/livez")[0] == OK
    log = daemon.wait_log("hold", PATIENCE_SECONDS, lambda log: log["reason"] == reason)
    assert log["level"] == "error"
    # What is shown is what was seen last: the number of refusals in a row may have grown.
    assert str(log["message"]).partition(" ")[2] in daemon.reasons()
    return str(log["message"])


def await_going_on(daemon: "Daemon", reason: str) -> None:
    """Wait for the end of a hold, and see that it is said."""
    daemon.wait_log("hold_ended", PATIENCE_SECONDS, lambda log: log["reason"] == reason)
    eventually(daemon.reasons, PATIENCE_SECONDS, "readiness", until=lambda said: not said)
    assert not daemon.holds()


def await_count(daemon: "Daemon", expected: float, name: str, **labels: str) -> None:
    """Wait for a metric; whenever one is looked at, every id is accounted for."""
    assert_accounted(daemon.metrics())
    daemon.await_metric(expected, name, **labels)


def stop(daemon: "Daemon") -> None:
    """Send SIGTERM and see that it ends well, in the time that it is given."""
    assert_accounted(daemon.metrics())
    daemon.stop()
    assert daemon.logs("stopped"), "ended hard"


def in_partition(partition: int, records: "Iterable[Record]") -> list[Record]:
    """Return the records for one partition."""
    return [record._replace(partition=partition) for record in records]


def customers(numbers: "Iterable[int]") -> set[str]:
    """Return the names that ``additions`` gives."""
    return {f"customer-{number}" for number in numbers}


def assert_nothing_is_committed_past(
    scenario: Scenario, unsettled: "Collection[tuple[int, int]]"
) -> None:
    """Check the commits against the (partition, offset) of records that are not settled."""
    for partition, committed in scenario.committed().items():
        lowest = min((offset for p, offset in unsettled if p == partition), default=committed)
        assert committed <= lowest, f"partition {partition}"


def admin_of(scenario: Scenario) -> AdminClient:
    """Return what changes topics; keep it until its answers are there."""
    return AdminClient({"bootstrap.servers": scenario.broker.bootstrap})


def configure(scenario: Scenario, name: str, value: str) -> None:
    """Change the dead-letter topic's configuration."""
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    topic = scenario.dead_letter_topic
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = admin_of(scenario)
    admin.incremental_alter_configs([resource])[resource].result()


def delete_dead_letters(scenario: Scenario) -> None:
    """Delete the dead-letter topic, and wait until it is gone or made anew."""
    topic = scenario.dead_letter_topic
    admin = admin_of(scenario)
    admin.delete_topics([topic])[topic].result()
    eventually(
        lambda: scenario.broker.end_offsets(topic),
        PATIENCE_SECONDS,
        "no dead letters",
        until=lambda ends: not any(ends.values()),
    )


# -- skip and stall -----------------------------------------------------------------------------


@pytest.mark.parametrize("topic_is_there", [False, True])
def test_skip_passes_over_everything_that_cannot_be_delivered_and_tells(
    scenario: Scenario, *, topic_is_there: bool
) -> None:
    """Counted and logged; no limit of dead letters counts, and no topic for them is needed."""
    api = scenario.api
    if topic_is_there:
        scenario.broker.create_topic(scenario.dead_letter_topic, 1)
    daemon = scenario.start_ready(REJECT_POLICY="skip", DEAD_LETTER_MAX_CONSECUTIVE=3)
    scenario.produce(additions(9, 1))  # a 404 before any success would be ours
    scenario.await_accepted(1)
    api.bad_ids({"customer-7"})
    api.for_segment(2, status=400)
    api.unknown_segment(3)
    scenario.produce(
        [
            *additions(1, 10),
            *additions(2, 10),
            *additions(3, 5),
            Record("k", event(4, "remove", "", "customer-1", True, "x" * 151)),
            *[Record("k", b"unreadable")] * 20,
        ]
    )
    scenario.await_all_committed()
    assert api.members(1) == customers({*range(10)} - {7})
    assert api.removed(4) == {"customer-1"}
    assert not api.members(2) | api.members(3)
    await_count(daemon, 19, "ids_total", outcome="skipped")
    await_count(daemon, 3, "ids_total", outcome="skipped", action="remove")
    await_count(daemon, 0, "ids_total", outcome="rejected")
    await_count(daemon, 20, "records_total", outcome="malformed")
    refused = daemon.logs("refused")
    assert all(
        re.fullmatch(re.escape(scenario.topic) + r":\d+:\d+", log["source"]) for log in refused
    )
    for why in ("not JSON", "an id is empty", "^rejected: segment 1, 1 ids", "segment-rejected: "):
        assert any(re.search(why, log["message"]) for log in refused), why
    assert daemon.reasons() == ""
    assert not daemon.logs("hold")
    stop(daemon)
    dead_letters = scenario.broker.end_offsets(scenario.dead_letter_topic)
    assert dead_letters == ({0: 0} if topic_is_there else {})


STUCK = {
    "malformed": Record("k", b"unreadable"),
    "invalid-id": Record("k", event(5, "add", "customer-1", "")),
    "rejected": Record("k", event(5, "add", "customer-1", "bad")),
    "segment-rejected": Record("k", event(6, "add", *(f"customer-{n}" for n in range(20)))),
}


@pytest.mark.long("variants of what one shows", keep=("malformed",))
@pytest.mark.parametrize("reason", STUCK)
def test_stall_holds_until_a_restart_with_another_policy(scenario: Scenario, reason: str) -> None:
    api = scenario.api
    api.bad_ids({"bad"})
    api.for_segment(6, status=422)
    scenario.broker.create_topic(scenario.dead_letter_topic, 1)
    daemon = scenario.start_ready(REJECT_POLICY="stall")
    scenario.produce(in_partition(0, additions(1, 5)))
    scenario.await_all_committed()
    scenario.produce(in_partition(0, [STUCK[reason]]))
    said = await_hold(daemon, "stalled")
    assert f"{scenario.topic}:0:5" in said
    assert "restart with REJECT_POLICY=dead-letter or skip" in said
    requests = api.counters().requests
    scenario.produce([*in_partition(0, additions(2, 5)), *in_partition(1, additions(3, 5))])
    with CommitWatch(scenario) as watch:
        watch.await_looks(LOOKS)
    assert watch.highest.get(0) == 5
    assert watch.highest.get(1, 0) == 0
    assert api.counters().requests == requests
    assert daemon.holds() == {"stalled"}
    stop(daemon)
    again = scenario.start(REJECT_POLICY="stall")
    await_hold(again, "stalled")
    stop(again)
    assert scenario.committed()[0] == 5
    assert dead_letters_by_now(scenario) == []
    scenario.start_ready(REJECT_POLICY="dead-letter")
    scenario.await_all_committed()
    (dead_letter,) = dead_letters_of(scenario, 1)
    assert (dead_letter.reason, dead_letter.source) == (reason, (0, 5))
    assert api.members(5) == (
        set() if reason in {"malformed", "segment-rejected"} else {"customer-1"}
    )
    for segment_id in (1, 2, 3):
        assert api.members(segment_id) == customers(range(5))


# -- the limit of dead letters in a row ---------------------------------------------------------


@pytest.mark.parametrize(
    "other", [{"DEAD_LETTER_MAX_CONSECUTIVE": 0}, {"REJECT_POLICY": "skip"}], ids=str
)
def test_a_topic_full_of_junk_holds_before_it_is_emptied_into_the_dead_letters(
    scenario: Scenario, other: dict[str, Any]
) -> None:
    limit, junk = 50, [Record(None, b"junk %d" % n, partition=n % 4) for n in range(1000)]
    scenario.produce(junk)
    daemon = scenario.start(DEAD_LETTER_MAX_CONSECUTIVE=limit)
    said = await_hold(daemon, "dead-letter-limit")
    assert said.startswith(f"{limit} refusals in a row, the last: not JSON")
    assert "restart" in said
    assert "DEAD_LETTER_MAX_CONSECUTIVE" in said
    assert "REJECT_POLICY=skip" in said
    before = {dead_letter.source for dead_letter in dead_letters_of(scenario, limit)}
    assert len(before) == limit
    due = {n: sum(partition == n for partition, _ in before) for n in range(4)}

    def committed() -> dict[int, int]:
        return {n: scenario.committed().get(n, 0) for n in range(4)}

    eventually(committed, PATIENCE_SECONDS, f"commits at {due}", until=due.__eq__)
    scenario.produce([*in_partition(0, additions(1, 5)), *in_partition(1, [junk[0]])])
    with CommitWatch(scenario) as watch:
        watch.await_looks(LOOKS)
    assert not watch.went_back
    assert committed() == due
    assert {dead_letter.source for dead_letter in dead_letters_of(scenario, limit)} == before
    assert daemon.holds() == {"dead-letter-limit"}
    await_count(daemon, limit, "dead_letters_total", reason="malformed")
    await_count(daemon, limit, "records_total", outcome="malformed")
    assert scenario.api.counters().requests == 0
    stop(daemon)
    assert committed() == due
    after = scenario.start_ready(**other)
    scenario.await_all_committed()
    assert scenario.api.members(1) == customers(range(5))
    assert after.reasons() == ""
    if "REJECT_POLICY" in other:
        assert {dead_letter.source for dead_letter in dead_letters_of(scenario, limit)} == before
        await_count(after, 1001 - limit, "records_total", outcome="malformed")
    else:
        sources = [dead_letter.source for dead_letter in dead_letters_of(scenario, 1001)]
        assert len(set(sources)) == 1001, "one was lost, another one is there twice"


def test_ids_of_another_kind_hold_before_the_topic_is_emptied_into_the_dead_letters(
    scenario: Scenario,
) -> None:
    limit = 20
    scenario.produce(additions(1, 300))
    daemon = scenario.start(DEAD_LETTER_MAX_CONSECUTIVE=limit, EVENT_ID_TYPE="email")
    said = await_hold(daemon, "dead-letter-limit")
    assert said.startswith(f"{limit} refusals in a row, the last: an email address has no @")
    dead_letters = dead_letters_of(scenario, limit)
    assert {dead_letter.reason for dead_letter in dead_letters} == {"invalid-id"}
    assert scenario.api.counters().requests == 0
    stop(daemon)
    scenario.start_ready(DEAD_LETTER_MAX_CONSECUTIVE=limit)
    scenario.await_all_committed()
    assert len(scenario.api.members(1)) == 300 - limit


def test_a_record_with_a_valid_id_ends_the_row_of_unreadable_ones(scenario: Scenario) -> None:
    daemon = scenario.start_ready(DEAD_LETTER_MAX_CONSECUTIVE=10)
    row = [Record(None, b"junk")] * 9
    readable = [*additions(1, 10), Record("k", event(2, "add", "", "good"))]
    scenario.produce(in_partition(0, [each for good in readable for each in (*row, good)]))
    scenario.await_all_committed()
    assert len(dead_letters_of(scenario, 9 * 11 + 1)) == 100
    assert daemon.reasons() == ""
    assert not daemon.logs("hold")
    scenario.produce(in_partition(0, [*row, Record(None, None), row[0], *additions(3, 1)]))
    await_hold(daemon, "dead-letter-limit")  # a tombstone is no record that could be read
    dead_letters_of(scenario, 110)


@pytest.mark.long("variants of what one shows", keep=("1",))
@pytest.mark.parametrize("ids", [1, 20])
def test_so_many_refused_requests_in_a_row_hold_the_daemon(scenario: Scenario, ids: int) -> None:
    """Whatever is sent is refused, as in a wrong workspace: only so many batches pay for it."""
    limit, api = 5, scenario.api
    api.always(status=400, body=b'{"meta":{"errors":["no such workspace"]}}')
    records = [
        Record(None, event(segment_id, "add", *(f"c-{segment_id}-{n}" for n in range(ids))))
        for segment_id in range(1, 101)
    ]
    scenario.produce([each._replace(partition=n % 4) for n, each in enumerate(records)])
    daemon = scenario.start(DEAD_LETTER_MAX_CONSECUTIVE=limit)
    said = await_hold(daemon, "dead-letter-limit")
    assert said.startswith(f"{limit} refusals in a row, the last: refused by the API with 400")
    dead_letters = dead_letters_of(scenario, limit)
    assert {dead_letter.reason for dead_letter in dead_letters} == {
        "rejected" if ids == 1 else "segment-rejected"
    }
    assert all("no such workspace" in dead_letter.detail for dead_letter in dead_letters)
    assert [len(dead_letter.ids) for dead_letter in dead_letters] == [ids] * limit
    # What was on its way is answered, and nothing else goes out.
    await_count(daemon, 0, "requests_in_flight")
    requests = api.counters().requests
    assert requests <= (limit + 8 if ids == 1 else 100 * 9)
    with CommitWatch(scenario) as watch:
        watch.await_looks(LOOKS)
    assert api.counters().requests == requests
    refused = {int(str(dead_letter.ids[0]).split("-")[1]) for dead_letter in dead_letters}
    left = {(n % 4, n // 4) for n in range(100) if n + 1 not in refused}
    assert_nothing_is_committed_past(scenario, left)
    api.heal()
    with CommitWatch(scenario) as watch:
        watch.await_looks(LOOKS)
    assert daemon.holds() == {"dead-letter-limit"}
    assert api.counters().requests == requests
    stop(daemon)
    assert_nothing_is_committed_past(scenario, left)
    scenario.start_ready(DEAD_LETTER_MAX_CONSECUTIVE=limit)
    scenario.await_all_committed()
    assert dead_letters_of(scenario, limit) == dead_letters
    for segment_id in range(1, 101):
        # One that was refused before an earlier record of its partition settled is read again.
        assert len(api.members(segment_id)) in ({0, ids} if segment_id in refused else {ids})


# -- a dead-letter topic that can't be written --------------------------------------------------


def produce_mixed(scenario: Scenario, key: str | None = "k") -> None:
    """Produce to partition 0 good records, and others whose dead letters ``key`` is for."""
    unreadable, invalid = Record(key, b"unreadable"), Record("k", event(2, "add", ""))
    good = additions(1, 6)
    scenario.produce(in_partition(0, [*good[:3], unreadable, invalid, *good[3:], unreadable]))


def assert_all_is_well(scenario: Scenario) -> None:
    """Check what becomes of those records in the end."""
    scenario.await_all_committed()
    assert scenario.api.members(1) == customers(range(6))
    assert sorted(dead_letter.source[1] for dead_letter in dead_letters_by_now(scenario)) == [
        3,
        4,
        8,
    ]


def test_a_dead_letter_topic_that_refuses_a_letter_is_waited_for(scenario: Scenario) -> None:
    """A compacted one takes nothing without a key; what has one is not sent twice meanwhile."""
    scenario.broker.create_topic(scenario.dead_letter_topic, 1, cleanup_policy="compact")
    daemon = scenario.start_ready()
    with CommitWatch(scenario) as watch:
        produce_mixed(scenario, key=None)
        said = await_hold(daemon, "dead-letter-unavailable")
        assert "INVALID_RECORD" in said
        watch.await_looks(LOOKS)
        assert watch.highest[0] == 3
        configure(scenario, "cleanup.policy", "delete")
        await_going_on(daemon, "dead-letter-unavailable")
        assert_all_is_well(scenario)
    assert not watch.went_back


@pytest.mark.long("ways of an outage beyond one of each kind")
def test_dead_letters_that_are_never_acknowledged_hold_and_are_there_at_least_once(
    scenario: Scenario,
) -> None:
    """The library tries again without a word, and the broker keeps what it has each time."""
    bootstrap, proxy = scenario.broker.proxied(0)
    deaf = Deaf(lambda asked: PRODUCE in asked)
    proxy.meddle(deaf)
    with CommitWatch(scenario) as watch:
        daemon = scenario.start_ready(
            KAFKA_BOOTSTRAP_SERVERS=bootstrap, kafka_config={"socket.timeout.ms": 5000}
        )
        deaf.is_deaf = True
        produce_mixed(scenario)
        said = await_hold(daemon, "dead-letter-unavailable")
        assert "not acknowledged a dead letter for " in said
        watch.await_looks(LOOKS)
        assert watch.highest[0] == 3
        deaf.is_deaf = False
        await_going_on(daemon, "dead-letter-unavailable")
        scenario.await_all_committed()
        assert {each.source[1] for each in dead_letters_by_now(scenario)} == {3, 4, 8}
        await_count(daemon, 2, "dead_letters_total", reason="malformed")
    assert not watch.went_back


def test_a_stop_while_dead_letters_cannot_be_written_loses_nothing(scenario: Scenario) -> None:
    scenario.broker.create_topic(scenario.dead_letter_topic, 1, max_message_bytes=100)
    daemon = scenario.start_ready()
    produce_mixed(scenario)
    said = await_hold(daemon, "dead-letter-unavailable")
    assert f"topic {scenario.dead_letter_topic} can't be written: MSG_SIZE_TOO_LARGE" in said
    stop(daemon)
    assert scenario.committed()[0] == 3
    again = scenario.start()
    await_hold(again, "dead-letter-unavailable")
    configure(scenario, "max.message.bytes", "10000")
    await_going_on(again, "dead-letter-unavailable")
    assert_all_is_well(scenario)


def test_a_dead_letter_topic_that_is_deleted_is_made_again(scenario: Scenario) -> None:
    daemon = scenario.start_ready()
    scenario.produce(in_partition(1, [Record("k", b"unreadable, and gone with the topic")]))
    dead_letters_of(scenario, 1)
    delete_dead_letters(scenario)
    produce_mixed(scenario)
    assert_all_is_well(scenario)
    eventually(daemon.reasons, PATIENCE_SECONDS, "readiness", until=lambda said: not said)


def test_a_dead_letter_topic_that_cannot_be_made_again_holds(scenario: Scenario) -> None:
    """Another one's name collides with its, as ``.`` and ``_`` do; then that one goes."""
    broker, topic = scenario.broker, scenario.dead_letter_topic
    colliding = topic.replace(".", "_")
    daemon = scenario.start_ready()

    def replaced() -> bool:
        with suppress(KafkaException):
            delete_dead_letters(scenario)
        broker.create_topic(colliding, 1)
        return True

    # The daemon may be quicker, and have the topic made again.
    eventually(replaced, PATIENCE_SECONDS, "the other topic", ignoring=(KafkaException,))
    with CommitWatch(scenario) as watch:
        produce_mixed(scenario)
        said = await_hold(daemon, "dead-letter-unavailable")
        assert topic in said
        assert "collides" in said
        watch.await_looks(LOOKS)
        assert watch.highest.get(0, 0) <= 3
        broker.delete_topic(colliding)
        await_going_on(daemon, "dead-letter-unavailable")
        assert_all_is_well(scenario)
    assert not watch.went_back


# -- batches that the API refuses ---------------------------------------------------------------


def deliver_thousand(scenario: Scenario) -> "Daemon":
    """Let a daemon take a thousand ids of segment 1, as one batch."""
    daemon = scenario.start_ready(BATCH_LINGER_SECONDS=30)
    scenario.produce(in_partition(2, additions(1, 1000)))
    scenario.await_all_committed()
    return daemon


@pytest.mark.parametrize(("bad", "status"), [(0, 400), (617, 413), (999, 422), (500, 403)], ids=str)
def test_one_bad_id_of_a_thousand_costs_one_id_and_twenty_requests(
    scenario: Scenario, bad: int, status: int
) -> None:
    scenario.api.bad_ids({f"customer-{bad}"}, status)
    daemon = deliver_thousand(scenario)
    (dead_letter,) = dead_letters_of(scenario, 1)
    assert (dead_letter.reason, dead_letter.ids) == ("rejected", (f"customer-{bad}",))
    assert dead_letter.source == (2, bad)
    assert re.match(rf"{status} .*one of the ids is not acceptable", dead_letter.detail)
    assert scenario.api.members(1) == customers({*range(1000)} - {bad})
    assert scenario.api.counters().requests <= 25
    assert scenario.api.counters().duplicates == 0
    await_count(daemon, 999, "ids_total", outcome="delivered")
    await_count(daemon, 1, "ids_total", outcome="rejected")
    await_count(daemon, 1, "dead_letters_total", reason="rejected")
    assert daemon.reasons() == ""


def test_ten_bad_ids_of_a_thousand_cost_ten_ids(scenario: Scenario) -> None:
    # Some beside each other, one among the singles that are tried first.
    bad = {3, 4, 125, 333, 334, 335, 500, 747, 901, 998}
    scenario.api.bad_ids(customers(bad))
    daemon = deliver_thousand(scenario)
    dead_letters = dead_letters_by_now(scenario)
    assert refused_ids(dead_letters) == sorted(customers(bad))
    assert {dead_letter.reason for dead_letter in dead_letters} == {"rejected"}
    assert scenario.api.members(1) == customers({*range(1000)} - bad)
    assert scenario.api.counters().requests <= 160
    assert scenario.api.counters().duplicates == 0
    await_count(daemon, 990, "ids_total", outcome="delivered")
    await_count(daemon, 10, "ids_total", outcome="rejected")


def test_a_segment_that_refuses_whatever_is_in_it_costs_nine_tries(scenario: Scenario) -> None:
    scenario.api.for_segment(1, status=400, body=b'"not a manual segment"')
    daemon = deliver_thousand(scenario)
    (dead_letter,) = dead_letters_of(scenario, 1)
    assert dead_letter.reason == "segment-rejected"
    assert dead_letter.detail == '400 "not a manual segment"'
    assert dead_letter.source == (2, 0)
    assert list(dead_letter.ids) == [f"customer-{number}" for number in range(1000)]
    assert scenario.api.counters().requests == 9
    assert not scenario.api.members(1)
    await_count(daemon, 1000, "ids_total", outcome="rejected")
    await_count(daemon, 1, "dead_letters_total", reason="segment-rejected")
    assert daemon.reasons() == ""


def test_the_last_word_wins_through_splits_while_other_batches_of_the_lane_come_in(
    scenario: Scenario,
) -> None:
    api, changes = scenario.api, Changes(7, segments=[3], customers=400)
    bad = customers([5, 6, 133, 361])
    api.bad_ids(bad)
    api.delay(0.005)
    turns = count()

    def next_records() -> list[Record]:
        turn = next(turns) % 12
        if turn == 9:
            api.always(cut_at=0)  # applied, and the answer is lost
        elif turn == 11:
            api.always()
        return changes.records(15)

    daemon = scenario.start_ready(BATCH_MAX_IDS=40, BATCH_LINGER_SECONDS=0.05)
    with Load(scenario, next_records) as load:
        eventually(lambda: load.produced, PATIENCE_SECONDS, "records", until=lambda n: n >= 3000)
    api.always()
    scenario.await_all_committed(60)
    assert {name for _, _, name in changes.wrong(api)} == bad
    assert not (api.members(3) | api.removed(3)) & bad
    dead_letters = dead_letters_by_now(scenario)
    assert set(refused_ids(dead_letters)) == bad
    assert {dead_letter.reason for dead_letter in dead_letters} == {"rejected"}
    assert daemon.total("batches_total", reason="split") > 30
    await_count(daemon, len(refused_ids(dead_letters)), "ids_total", outcome="rejected")
