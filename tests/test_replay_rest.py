"""``segment-consumer replay`` puts things to rest: refused again, left, skipped, chosen, told."""

import json
import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.cluster import Record
from tests.support.scenario import PATIENCE_SECONDS, event
from tests.support.waiting import eventually
from tests.test_replay import (
    ALL_REPLAYED,
    NOT_ALL,
    Replays,
    dead_letter,
    header,
    headers_of,
    labelled,
    names,
    replays_of,
)
from tests.test_replay import replays as replays  # noqa: PLC0414 - it is a fixture

if TYPE_CHECKING:
    from pathlib import Path


def test_what_was_refused_too_often_is_left_and_listed(replays: Replays) -> None:
    api = replays.scenario.api
    replays.create_topic()
    replays.put(dead_letter(2, *names(20)))
    api.unknown_segment(2)
    for count in ("1", "2"):
        assert "20 refused again" in replays.run("--max-replays", "2", expect=NOT_ALL)
        (again,) = [each for each in replays.dead_letters() if replays_of(each) == count]
        assert header(again, "source") == "audience:2:17"
        assert header(again, "time") == "2026-01-02T03:04:05.678Z"
    requests, ends, committed = api.counters().requests, replays.ends(), replays.committed()
    for _ in range(2):
        said = replays.run("--max-replays", "2", expect=NOT_ALL)
        assert "it was replayed and refused 2 times (--max-replays 2)" in said
        assert "(segment-rejected, segment 2, 20 ids, refused by the API with 404, of audie" in said
        assert "1 of 1 dead letter read, 0 ids delivered, 0 refused again, 1 dead letter le" in said
    assert (api.counters().requests, replays.ends()) == (requests, ends)
    assert replays.committed() == committed
    api.heal()
    assert "20 ids delivered" in replays.run("--max-replays", "3")
    assert replays.committed() == replays.ends()


def test_what_one_request_carried_counts_the_most_replays(replays: Replays) -> None:
    replays.create_topic()
    older = labelled(Record("2", event(2, "add", "a"), partition=0), "rejected", replays="1")
    newer = labelled(Record("2", event(2, "add", "b"), partition=0), "rejected", source="t:0:9")
    replays.put(newer, older)
    replays.scenario.api.unknown_segment(2)
    replays.run(expect=NOT_ALL)
    (again,) = [each for each in replays.dead_letters() if replays_of(each) == "2"]
    assert json.loads(again.value() or b"")["ids"] == ["b", "a"]
    assert header(again, "source") == "t:0:9", "of the first"


def test_a_filter_commits_up_to_what_it_left_and_notes_the_rest(replays: Replays) -> None:
    api = replays.scenario.api
    replays.create_topic()
    replays.put(
        *(dead_letter(1, name, partition=0) for name in ("a", "b")),
        dead_letter(2, "c", partition=0),
        *(dead_letter(1, name, partition=0) for name in ("d", "e")),
    )
    assert "5 of 5 dead letters read (4 chosen), 4 ids" in replays.run("--segment", "1")
    assert replays.committed()[0] == 2, "what was not chosen is open"
    assert "0 of 0" not in replays.run("--segment", "1", "--dry-run")
    assert "1 of 1 dead letter read, 1 id delivered" in replays.run()
    assert api.members(1) == {"a", "b", "d", "e"}
    assert api.members(2) == {"c"}
    assert api.counters().repeated_ids == 0
    assert replays.committed() == replays.ends()
    assert "nothing new" in replays.run()


def test_a_filter_that_was_killed_lost_nothing(replays: Replays) -> None:
    api = replays.scenario.api
    replays.create_topic()
    replays.put(*(dead_letter(number, *names(2), partition=0) for number in range(1, 101)))
    api.delay(0.2)
    chosen = [word for number in range(1, 101, 2) for word in ("--segment", str(number))]
    replay = replays.start(*chosen, CUSTOMERIO_MAX_IN_FLIGHT=2, KAFKA_SESSION_TIMEOUT_SECONDS=4)
    replays.scenario.await_accepted(20)
    eventually(replays.committed, PATIENCE_SECONDS, "a commit", until=lambda at: bool(at.get(0)))
    replay.kill()
    assert replays.committed()[0] == 1, "the second one was not chosen"
    api.delay(0)
    replays.run(KAFKA_SESSION_TIMEOUT_SECONDS=4)
    assert all(api.members(number) == set(names(2)) for number in range(1, 101))
    assert replays.committed() == replays.ends()


def test_what_took_the_place_of_settled_ones_in_a_log_that_was_cut_off_is_delivered(
    replays: Replays,
) -> None:
    """Though it has outgrown what was noted, as after an unclean election."""
    api = replays.scenario.api
    replays.create_topic()
    replays.put(
        dead_letter(2, "left", partition=0),
        *(dead_letter(1, name, partition=0) for name in names(5)),
        *(dead_letter(1, name, partition=1) for name in names(2, 50)),
    )
    replays.put(  # in other batches: what is cut off
        *(dead_letter(1, name, partition=0) for name in names(4, 5)),
        dead_letter(1, "customer-52", partition=1),
    )
    replays.run("--segment", "1")
    assert replays.committed() == {0: 0, 1: 3, 2: 0}
    replays.scenario.broker.truncate(replays.topic, {0: 6, 1: 2})
    replays.put(
        *(dead_letter(1, name, partition=0) for name in names(9, 100)),
        dead_letter(1, "in-its-place", partition=1),
    )
    listed = replays.run("--dry-run")
    assert f"{replays.topic}:0 was cut off at 6" in listed
    assert "11 dead letters; nothing was replayed" in listed
    assert "11 of 11 dead letters read, 11 ids delivered" in replays.run()
    assert api.members(2) == {"left"}
    assert api.members(1) == {*names(9), *names(3, 50), *names(9, 100), "in-its-place"}
    assert api.counters().repeated_ids == 0
    assert replays.committed() == replays.ends()
    assert "nothing new" in replays.run()


def test_skipping_settles_the_chosen_ones_and_sends_nothing(replays: Replays) -> None:
    replays.create_topic()
    replays.put(
        *(labelled(Record("customer-1", b"junk", partition=0), "malformed") for _ in range(30)),
        labelled(Record("k", None, partition=0), "malformed", truncated="true"),
        dead_letter(2, "customer-2", partition=0),
    )
    said = replays.run("--reason", "malformed", "--skip")
    assert "overwrites" not in said
    assert f"skipped: {replays.topic}:0:0 (malformed, x, of audience:2:17)" in said
    assert "skipped: 11 more" in said
    assert "done: 32 of 32 dead letters read (31 chosen), 0 ids delivered" in said
    assert "31 dead letters skipped" in said
    assert "customer-" not in said
    assert replays.scenario.api.counters().requests == 0
    assert replays.committed()[0] == 31
    assert "1 of 1 dead letter read, 1 id delivered" in replays.run()


def test_what_was_replayed_too_often_can_be_skipped(replays: Replays) -> None:
    replays.create_topic()
    often = dead_letter(2, "a")
    replays.put(often._replace(headers=[*(often.headers or []), ("dead-letter-replays", b"7")]))
    assert "1 dead letter left" in replays.run(expect=NOT_ALL)
    assert "1 dead letter skipped" in replays.run("--skip", "--all")
    assert "nothing new" in replays.run()
    assert replays.scenario.api.counters().requests == 0


def test_those_refused_since_then_are_chosen_by_their_first_refusal(replays: Replays) -> None:
    replays.create_topic()
    hour_ago_ms = int(time.time() - 3600) * 1000
    by_record = Record("4", event(4, "add", "d"), timestamp_ms=hour_ago_ms)
    replays.put(
        labelled(Record("1", event(1, "add", "a")), "rejected", time="2026-01-02T00:00:00Z"),
        labelled(Record("2", event(2, "add", "b")), "rejected", time="2026-01-01T23:59:59.9Z"),
        labelled(Record("3", event(3, "add", "c")), "rejected", time="2026-01-02T01:30:00+02:00"),
        by_record,
    )
    assert "4 read (2 chosen)" in replays.run("--since", "2026-01-02").replace(
        "dead letters read", "read"
    )
    api = replays.scenario.api
    assert [api.members(number) for number in (1, 2, 3, 4)] == [{"a"}, set(), set(), {"d"}]
    replays.put(by_record, by_record._replace(timestamp_ms=None))
    assert "(1 chosen)" in replays.run("--since", "30m")


def test_programs_get_an_object_for_each_and_the_summary_last(replays: Replays) -> None:
    replays.create_topic()
    replays.put(
        dead_letter(1, *names(3), partition=0),
        dead_letter(2, *names(2), partition=0),
        labelled(Record("customer-8", b"junk", partition=0), "malformed", "not JSON"),
        labelled(Record("customer-9", None, partition=0), "malformed", truncated="true"),
        dead_letter(1, "bad", "good", partition=0),
    )
    replays.scenario.api.unknown_segment(2)
    replays.scenario.api.bad_ids(["bad"])
    listed = objects(replays.run("--dry-run", "--json"))
    assert Counter(each.get("outcome") for each in listed) == {"listed": 5, None: 1}
    assert listed[-1] == {"summary": {"state": "done", "listed": 5}}
    said = replays.run("--json", expect=NOT_ALL)
    assert "customer-" not in said
    *letters, last = objects(said)
    assert {each["dead_letter"]: each["outcome"] for each in letters} == {
        f"{replays.topic}:0:0": "delivered",
        f"{replays.topic}:0:1": "refused-again",
        f"{replays.topic}:0:2": "left",
        f"{replays.topic}:0:3": "without-value",
        f"{replays.topic}:0:4": "refused-again",
    }
    (half,) = (each for each in letters if each["dead_letter"].endswith(":4"))
    assert half["refused_ids"] == 1
    assert half["changes"] == [{"segment_id": 1, "action": "add", "ids": 2}]
    assert (half["reason"], half["source"]) == ("segment-rejected", "audience:2:17")
    summary = last["summary"]
    assert (summary["state"], summary["read"], summary["exit_code"]) == ("done", 5, NOT_ALL)
    assert (summary["delivered_ids"], summary["refused_ids"]) == (4, 3)
    rows = {(each["reason"], each["segment_id"]): each for each in summary.pop(ROWS)}
    assert rows["segment-rejected", 1]["delivered_ids"] == 4
    assert rows["segment-rejected", 1]["refused_ids"] == 1
    assert rows["segment-rejected", 2]["refused_again"] == 1
    assert rows["malformed", None]["left"] == rows["malformed", None]["without_value"] == 1


ROWS = "by_reason_and_segment"


def objects(said: str) -> list[dict[str, Any]]:
    """Return the lines as objects: there is nothing else."""
    return [json.loads(line) for line in said.splitlines()]


@pytest.mark.long("variants of what one shows")
def test_programs_hear_of_what_was_settled_when_it_is_stopped(replays: Replays) -> None:
    api = replays.scenario.api
    replays.create_topic()
    replays.put(*(dead_letter(number, *names(2), partition=0) for number in range(1, 101)))
    api.delay(0.2)
    replay = replays.start("--json", CUSTOMERIO_MAX_IN_FLIGHT=2)
    replays.scenario.await_accepted(20)
    replay.terminate()
    assert replay.wait(PATIENCE_SECONDS) == NOT_ALL
    *letters, last = objects(replay.output)
    assert {each["outcome"] for each in letters} == {"delivered"}
    assert (last["summary"]["state"], last["summary"]["delivered"]) == ("interrupted", len(letters))
    assert replays.committed()[0] == len(letters)
    assert len(letters) * 2 <= api.counters().ids
    api.delay(0)
    assert f"{100 - len(letters)} of {100 - len(letters)} dead letters" in replays.run()
    assert api.counters().repeated_ids == 0


def test_nothing_to_replay_is_an_object_too(replays: Replays) -> None:
    (summary,) = objects(replays.run("--json"))
    assert summary["summary"]["exit_code"] == ALL_REPLAYED


@pytest.mark.long("variants of what one shows")
def test_people_get_a_table_by_reason_and_segment(replays: Replays) -> None:
    replays.create_topic()
    replays.put(dead_letter(1, *names(3)), dead_letter(2, *names(2)), dead_letter(1, "x"))
    replays.put(labelled(Record("k", b"junk"), "malformed"))
    replays.scenario.api.unknown_segment(2)
    lines = [line.split() for line in replays.run(expect=NOT_ALL).splitlines()]
    assert ["segment-rejected", "1", "2", "4", "0", "0", "0"] in lines
    assert ["segment-rejected", "2", "1", "0", "2", "0", "0"] in lines
    assert ["malformed", "-", "1", "0", "0", "0", "1"] in lines


def written(folder: "Path", mapping: str) -> str:
    """Return the path of a mapping's file."""
    path = folder / "mapping.toml"
    path.write_text(mapping)
    return str(path)


BY_KEY = """
[[rule]]
when = { "$value" = { exists = false } }
action = "remove"
segment_id = 5
id = { path = "$key" }
"""


def test_a_record_that_is_nobodys_dead_letter_asks_for_nothing(
    replays: Replays, tmp_path: "Path"
) -> None:
    """As a check of the right to write may put there, whatever a mapping makes of it."""
    replays.create_topic()
    replays.put(
        Record("customer-1", None, partition=0),
        Record("customer-2", None, [("made-by", b"check")], partition=0),
        labelled(Record("customer-3", None, partition=0), "malformed"),
    )
    file = written(tmp_path, BY_KEY)
    said = replays.run(EVENT_MAPPING=file)
    assert "1 id delivered" in said
    assert replays.scenario.api.removed(5) == {"customer-3"}
    assert replays.committed()[0] == 3


def test_a_mapping_that_reads_it_by_now_has_what_was_left_delivered(
    replays: Replays, tmp_path: "Path"
) -> None:
    replays.create_topic()
    others = Record("k", b'{"who": "a"}', partition=0)
    replays.put(
        labelled(others, "malformed"),
        dead_letter(1, "b", partition=0),
        dead_letter(1, "c", partition=0),
    )
    assert "2 ids delivered, 0 refused again, 1 dead letter left" in replays.run(expect=NOT_ALL)
    assert replays.committed()[0] == 0
    rule = '[[rule]]\nsegment_id = 9\naction = "add"\nid = { path = "who" }\n'
    said = replays.run("--from-start", expect=NOT_ALL)
    assert "2 ids delivered, 0 refused again, 1 dead letter left" in said, "all of it once more"
    assert "1 of 1 dead letter read, 1 id" in replays.run(EVENT_MAPPING=written(tmp_path, rule))
    assert replays.scenario.api.members(9) == {"a"}
    assert replays.committed()[0] == 3
    assert replays.scenario.api.counters().ids == 5


def test_what_the_mapping_passes_over_by_now_is_settled_and_told(
    replays: Replays, tmp_path: "Path"
) -> None:
    replays.create_topic()
    others = Record("k", b'{"who": "a", "kind": "test"}', partition=0)
    replays.put(labelled(others, "malformed"), dead_letter(1, "b", partition=0))
    rule = '[[rule]]\nwhen = { kind = "real" }\nsegment_id = 9\naction = "add"\n'
    said = replays.run(EVENT_MAPPING=written(tmp_path, rule + 'id = { path = "who" }\n'))
    assert "1 id delivered, 0 refused again, 1 dead letter ignored\n" in said
    assert replays.committed()[0] == 2


@pytest.mark.long("a variant of what one shows")
def test_what_can_be_read_in_part_ends_at_the_last_replay(
    replays: Replays, tmp_path: "Path"
) -> None:
    """Each delivers its readable part once more, so it is not to go on for ever."""
    replays.create_topic()
    both = b'[{"segment": 5, "who": "a"}, {"segment": "x", "who": "b"}]'
    replays.put(labelled(Record("k", both, [("trace", b"1")], partition=0), "malformed"))
    rule = '[[rule]]\neach = "$"\nsegment_id = { path = "segment" }\naction = "add"\n'
    file = written(tmp_path, rule + 'id = { path = "who" }\n')
    for count in ("1", "2"):
        said = replays.run("--max-replays", "2", expect=NOT_ALL, EVENT_MAPPING=file)
        assert "1 id delivered" in said
        (again,) = [each for each in replays.dead_letters() if replays_of(each) == count]
        assert (again.key(), again.value()) == (b"k", both)
        assert headers_of(again)[0] == ("trace", b"1")
        assert header(again, "source") == "audience:2:17"
    said = replays.run("--max-replays", "2", expect=NOT_ALL, EVENT_MAPPING=file)
    assert "0 ids delivered, 0 refused again, 1 dead letter left" in said
    assert replays.scenario.api.counters().ids == 2


@pytest.mark.long("a variant of what one shows")
def test_what_is_too_scattered_to_be_noted_moves_together_once(replays: Replays) -> None:
    replays.create_topic()
    junk = labelled(Record("k", b"junk", [("trace", b"1")], partition=0), "malformed")
    between = [dead_letter(1, name, partition=0) for name in names(160)]
    replays.put(*(each for pair in zip(between, [junk] * 160, strict=True) for each in pair))
    said = replays.run(expect=NOT_ALL)
    assert said.count("it moves to the end of the topic") == 10
    ends = replays.ends()
    assert sum(ends.values()) == 330
    same = [
        each.value() == b"junk" and headers_of(each) == junk.headers
        for each in replays.dead_letters()
    ]
    assert sum(same) == 170
    for _ in range(2):
        said = replays.run(expect=NOT_ALL)
        assert "0 ids delivered, 0 refused again, 160 dead letters left" in said
        assert replays.ends() == ends
    assert replays.scenario.api.counters().ids == 160
    assert replays.committed()[0] == 1


@pytest.mark.long("runs of all kinds, killed in the midst of it, one after the other")
def test_whatever_runs_and_however_they_end_nothing_is_lost_and_nothing_multiplies(
    replays: Replays,
) -> None:
    draw, api = random.Random(7), replays.scenario.api
    replays.create_topic()
    segments = (2, 3, 4, 5, 6)
    wanted = {segment: {f"of-{segment}-{number}" for number in range(30)} for segment in segments}
    letters = [
        dead_letter(segment, name, reason=draw.choice(REASONS), partition=draw.randrange(3))
        for segment in segments
        for name in sorted(wanted[segment])
    ]
    junk = [labelled(Record("k", b"junk", partition=draw.randrange(3)), "malformed")] * 20
    replays.put(*draw.sample([*letters, *junk], len(letters) + len(junk)))
    api.unknown_segment(2)
    api.bad_ids(sorted(wanted[3])[::3])
    api.delay(0.05)
    for *arguments, requests in RUNS:
        before = api.counters().requests
        replay = replays.start(
            *arguments, "--max-replays", "99", BATCH_MAX_IDS=5, CUSTOMERIO_MAX_IN_FLIGHT=2
        )
        eventually(
            lambda replay=replay, enough=before + requests: (  # type: ignore[misc]
                replay.exit_code is not None or api.counters().requests >= enough
            ),
            PATIENCE_SECONDS,
            "so many requests",
        )
        replay.kill()
    api.heal()
    replays.run("--max-replays", "99", expect=NOT_ALL)
    assert {segment: api.members(segment) for segment in segments} == wanted
    *listed, _ = objects(replays.run("--dry-run", "--json"))
    assert Counter(each["reason"] for each in listed) == {"malformed": len(junk)}
    assert sum(each.value() == b"junk" for each in replays.dead_letters()) == len(junk)
    commits = replays.scenario.broker.commits(f"{replays.scenario.group}.replay", replays.topic)
    for partition in range(3):
        offsets = [each.offset or 0 for each in commits if each.partition == partition]
        assert offsets == sorted(offsets), "a commit never goes back"


REASONS = ("rejected", "segment-rejected")
RUNS: tuple[tuple[Any, ...], ...] = (
    ("--segment", "4", "--segment", "2", 5),
    ("--reason", "rejected", 20),
    ("--segment", "5", "--from-start", 4),
    (10,),
    ("--since", "2026-01-01", 30),
)
"""The options of each, and after how many requests it is killed."""
