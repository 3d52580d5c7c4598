"""The daemon reads what others write: a real process, a real Kafka, a preset or a file."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.cluster import Record
from tests.support.scenario import PATIENCE_SECONDS, CommitWatch, assert_accounted
from tests.support.waiting import eventually
from tests.test_end_to_end import headers_of_ours
from tests.test_replay import NOT_ALL, Replays

if TYPE_CHECKING:
    from tests.support.scenario import Scenario

MOVES = """
[[rule]]
when = { op = "u" }
[[rule.change]]
action = "remove"
segment_id = { path = "before.segment" }
id = { path = "before.user" }
[[rule.change]]
action = "add"
segment_id = { path = "after.segment" }
id = { path = "after.user" }
"""
UPSERT = """
[[rule]]
when = { "$value" = { exists = false } }
action = "remove"
segment_id = { path = "$key.SEGMENT_ID" }
id = { path = "$key.CUSTOMER_ID" }

[[rule]]
action = "add"
segment_id = { path = "$key.SEGMENT_ID" }
id = { path = "$key.CUSTOMER_ID" }
"""
BY_TOPIC = """
[[rule]]
when = { "$topic" = "TOPIC" }
segment_id = { path = "audience", map = MAP }
action = "add"
id = { path = "user" }
"""


def track(audience: str, user: str | None, *, entered: bool = True) -> bytes:
    """Return a track call of Segment Engage."""
    call = {
        "type": "track",
        "event": "Audience Entered" if entered else "Audience Exited",
        "properties": {"audience_key": audience, audience: entered},
        "context": {"library": {"name": "unknown"}},
        **({} if user is None else {"userId": user}),
    }
    return json.dumps(call).encode()


def identify(user: str, **traits: object) -> bytes:
    """Return an identify call, which may have several audiences among its traits."""
    return json.dumps({"type": "identify", "userId": user, "traits": traits}).encode()


def moved(user: str, before: int, after: int) -> bytes:
    """Return a row of a table of who is where, which was changed."""
    rows = {"before": {"user": user, "segment": before}, "after": {"user": user, "segment": after}}
    return json.dumps({"op": "u", **rows}).encode()


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_preset_reads_audiences_as_their_vendor_sends_them(scenario: "Scenario") -> None:
    daemon = scenario.start_ready(
        EVENT_MAPPING="segment-engage", EVENT_SEGMENTS='{"vip": 56, "churned": 57}'
    )
    nobody = track("vip", None)
    partly = identify("e", vip="maybe", churned=True)
    values = [
        track("vip", "a"),
        track("vip", "b"),
        track("vip", "b", entered=False),
        track("big_spenders", "a"),
        identify("c", vip=True, churned=True, plan="pro"),
        identify("d", plan="pro"),
        b"\xef\xbb\xbf" + track("churned", "f"),
        None,
        nobody,
        partly,
        b"no JSON",
    ]
    scenario.produce([Record("k", value, partition=0) for value in values])
    scenario.await_all_committed()
    api = scenario.api
    assert api.members(56) == {"a", "c"}
    assert api.members(57) == {"c", "e", "f"}
    assert api.removed(56) <= {"b"}
    dead_letters = scenario.dead_letters(3)
    assert {letter.value() for letter in dead_letters} == {nobody, partly, b"no JSON"}
    assert {headers_of_ours(letter)["reason"] for letter in dead_letters} == {"malformed"}
    details = {letter.value(): headers_of_ours(letter)["detail"] for letter in dead_letters}
    assert "rule 1, id: nothing is at" in details[nobody]
    assert "rule 3, action: what is at" in details[partly]
    for outcome, count in {"accepted": 6, "ignored": 2, "malformed": 2, "tombstone": 1}.items():
        daemon.await_metric(count, "records_total", outcome=outcome)
    assert_accounted(daemon.metrics())
    shown = [daemon.get(path)[1] for path in ("/metrics", "/status")]
    assert not [text for text in [daemon.output, *shown] if '"userId"' in text]


def test_i1_a_record_of_several_changes_outlives_the_member_that_did_half_of_it(
    scenario: "Scenario", tmp_path: Path
) -> None:
    (tmp_path / "moves.toml").write_text(MOVES)
    mapping = str(tmp_path / "moves.toml")
    api = scenario.api
    first = scenario.start_ready(EVENT_MAPPING=mapping)
    scenario.produce([Record("a", moved("a", 3, 4), partition=1)])
    scenario.await_all_committed()
    assert api.removed(3) == api.members(4) == {"a"}

    api.for_segment(2, status=503)
    scenario.produce([Record("b", moved("b", 1, 2), partition=1)] * 2)
    scenario.produce([Record("c", moved("c", 1, 5), partition=1)])
    with CommitWatch(scenario) as watch:
        eventually(
            lambda: api.removed(1), PATIENCE_SECONDS, "the first halves", until={"b", "c"}.__eq__
        )
        eventually(lambda: api.members(5), PATIENCE_SECONDS, "all of the last", until={"c"}.__eq__)
        watch.await_looks(15)
        assert scenario.committed()[1] == 1
        first.kill()
        assert api.members(2) == set()
        api.heal()
        scenario.start_ready(EVENT_MAPPING=mapping)
        scenario.await_all_committed()
    assert api.members(2) == {"b"}
    assert api.members(5) == {"c"}
    assert not watch.went_back


def test_a_compacted_topic_says_by_its_keys_who_left(scenario: "Scenario", tmp_path: Path) -> None:
    (tmp_path / "upsert.toml").write_text(UPSERT)
    topic = f"{scenario.topic}-upsert"
    scenario.broker.create_topic(topic, 2, cleanup_policy="compact")
    key = {user: json.dumps({"SEGMENT_ID": 56.0, "CUSTOMER_ID": user}) for user in "abc"}
    row = b'{"SINCE": "2026-11-29"}'
    daemon = scenario.start_ready(EVENT_MAPPING=str(tmp_path / "upsert.toml"), KAFKA_TOPICS=topic)
    changes = [
        ("a", row),
        ("b", row),
        ("a", None),
        ("c", None),
        ("c", row),
        ("b", None),
        ("b", row),
    ]
    scenario.produce([Record(key[user], value) for user, value in changes], topic)
    scenario.produce([Record("no JSON", None, [("trace", b"1")])], topic)
    (letter,) = scenario.dead_letters(1)
    assert (letter.key(), letter.value()) == (b"no JSON", None)
    assert headers_of_ours(letter)["reason"] == "malformed"
    assert ("trace", b"1") in (letter.headers() or [])
    daemon.await_metric(7, "records_total", outcome="accepted")
    daemon.await_metric(0, "records_total", outcome="tombstone")
    eventually(
        lambda: scenario.api.members(56), PATIENCE_SECONDS, "b and c", until={"b", "c"}.__eq__
    )
    assert "a" in scenario.api.removed(56)


def test_a_replay_reads_by_the_mapping_what_it_could_not_read_before(
    scenario: "Scenario", tmp_path: Path
) -> None:
    """As with a table of segments that lacked one."""
    file = tmp_path / "mapping.toml"
    text = BY_TOPIC.replace("TOPIC", scenario.topic)
    file.write_text(text.replace("MAP", "{ vip = 56 }"))
    scenario.start_ready(EVENT_MAPPING=str(file))
    values = [b'{"audience": "vip", "user": ""}', b'{"audience": "new", "user": "a"}']
    scenario.produce([Record("k", value, partition=0) for value in values])
    scenario.await_all_committed()
    scenario.dead_letters(2)
    file.write_text(text.replace("MAP", "{ vip = 56, new = 58 }"))
    replays = Replays(scenario)
    try:
        replays.run(expect=NOT_ALL, EVENT_MAPPING=file)  # an id that is none stays one
    finally:
        replays.close()
    assert scenario.api.members(58) == {"a"}
    assert not scenario.api.members(56)
    reasons = [headers_of_ours(letter)["reason"] for letter in scenario.dead_letters(2)]
    assert sorted(reasons) == ["invalid-id", "malformed"]


def test_what_is_wrong_with_a_mapping_ends_the_daemon_with_a_line_for_each(
    scenario: "Scenario", tmp_path: Path
) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text('[[rule]]\nsegment_id = "vip"\naction = "enter"\nid = { path = "" }\n')
    daemon = scenario.start(EVENT_MAPPING=str(file), HTTP_PORT="x")
    assert daemon.wait(PATIENCE_SECONDS) == 2
    lines = daemon.errors.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["HTTP_PORT"] + ["EVENT_MAPPING"] * 3
    assert all(f"EVENT_MAPPING: got '{file}': rule 1, " in line for line in lines[1:])
