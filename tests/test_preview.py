"""``segment-consumer preview``: what it makes of records, and how that looks."""

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import Raw

from consumer import presets
from consumer.commands.preview import bar
from consumer.commands.preview.for_programs import record_line, summary_line
from consumer.commands.preview.preview import Choice, load, run
from consumer.commands.preview.sample import (
    FRAMED,
    PLAIN,
    SPREAD,
    VALUES_ONLY,
    Change,
    Sample,
    sample_of,
)
from consumer.commands.preview.schemas import ImpatientFetch
from consumer.commands.preview.summary import summary
from consumer.commands.preview.table import Table
from consumer.commands.preview.tally import Tally
from consumer.commands.preview.verdict import DOUBTFUL, verdict_of
from consumer.commands.screen import Screen
from consumer.core.events import Event, Malformed, Mixed
from consumer.core.mapping.reading import NO_RULE, Changes
from consumer.core.schemas.answers import Failed, NotThere
from tests.support.daemon import Daemon

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 30
ALL, NOT_ALL, WRONG = 0, 1, 2

ADDED = Sample("audiences:0:118", "readable", (Change(56, "add", "id", ("ann",)),))
LIST = Sample(
    "audiences:0:119", "readable", (Change(7, "remove", "email", ("a@x.org", "b@x.org")),)
)
MOVED = Sample(
    "audiences:1:7",
    "readable",
    (Change(56, "remove", "id", ("ann",)), Change(2147483647, "add", "id", ("ann",))),
)
PARTLY = Sample(
    "audiences:1:8",
    "readable",
    (Change(56, "add", "id", ("bob",), ('""', "{}"), "an id is empty"),),
    'rule 2, id: nothing is at "userId"',
)
NOBODY = Sample(
    "audiences:1:8", "readable", (Change(56, "add", "id", (), ('""',), "an id is empty"),)
)
IGNORED = Sample("audiences:1:9", "ignored", (), "no rule fits")
MALFORMED = Sample("audiences:1:10", "malformed", (), 'rule 1, id: nothing is at "userId"')
WAITING = Sample("audiences:1:11", "waiting", (), "its schema 7: http://r: connection refused")
SAMPLES = [ADDED, LIST, MOVED, PARTLY, IGNORED, MALFORMED]


def plain(text: str, _: str) -> str:
    return text


def marked(text: str, colour: str) -> str:
    return f"<{colour}>{text}</>"


def table(
    samples: list[Sample],
    width: int | None = None,
    paint: Callable[[str, str], str] = plain,
    *,
    show_ids: bool = False,
) -> str:
    made = Table(paint, width, show_ids=show_ids)
    return "\n".join([made.heading(samples), *made.lines(samples)])


def tallied(*samples: Sample) -> Tally:
    tally = Tally()
    for sample in samples:
        tally.add(sample)
    return tally


def summed(
    *samples: Sample, width: int | None = None, paint: Callable[[str, str], str] = plain
) -> str:
    tally = tallied(*samples)
    verdict = verdict_of(tally, 1000, "audiences", has_trouble=False)
    return "\n".join(summary(tally, verdict, paint, width))


# -- what becomes of a record ---------------------------------------------------------------------


def test_an_event_and_several_changes_become_changes_with_their_ids() -> None:
    event = Event(56, "add", id="ann", id_type="id")
    listed = Event(7, "remove", ids=["a@x.org", "b@x.org"], id_type="email")
    assert sample_of("t:0:1", b"", event).changes == (Change(56, "add", "id", ("ann",)),)
    both = sample_of("t:0:1", b"", Changes((event, listed), Malformed("rule 3: no")))
    assert both.changes == (*ADDED.changes, *LIST.changes)
    assert (both.outcome, both.detail, both.is_whole) == ("readable", "rule 3: no", False)


def test_invalid_ids_are_as_they_are_written() -> None:
    mixed = Mixed(None, 56, "add", "email", (Raw(b'"x"'), Raw(b"{}")), "no @")
    sample = sample_of("t:0:1", b"", Changes((mixed,)))
    assert sample.changes == (Change(56, "add", "email", (), ('"x"', "{}"), "no @"),)
    assert not sample.is_whole


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (b'{"segment_id": 1, "action": "add", "id": "a"}', PLAIN),
        (
            b'{"op": "c", "before": null, "after": {}}',
            "looks like a Debezium envelope: EVENT_MAPPING=debezium",
        ),
        (b'{"who": "knows"}', None),
        (None, None),
    ],
)
def test_what_would_read_a_record_is_known_by_its_shape(
    value: bytes | None, hint: str | None
) -> None:
    assert sample_of("t:0:1", value, NO_RULE).hint == hint
    assert sample_of("t:0:1", value, Malformed("x")).hint == hint


def test_what_reads_it_already_is_no_hint() -> None:
    value = b'{"op": "c", "before": null, "after": {}}'
    assert sample_of("t:0:1", value, NO_RULE, (), "debezium").hint is None
    assert sample_of("t:0:1", value, NO_RULE, (), "maxwell").hint is not None


def test_a_schemas_id_in_front_has_a_hint_of_its_own() -> None:
    detail = "starts with a zero byte: Schema Registry framing (...)"
    assert sample_of("t:0:1", b"\0\0\0\0\1", Malformed(detail)).hint == FRAMED


def test_what_the_registry_does_not_say_waits_and_is_not_malformed() -> None:
    sample = sample_of(
        "t:0:1", b"\0", Malformed("its schema 7: refused"), {"its schema 7: refused"}
    )
    assert (sample.outcome, sample.hint) == ("waiting", None)


# -- what all come to -----------------------------------------------------------------------------


def test_requests_are_of_each_ids_last_word_and_no_larger_than_a_batch() -> None:
    ids = tuple(f"c{number}" for number in range(25))
    add = Sample("t:0:0", "readable", (Change(1, "add", "id", ids),))
    back = Sample("t:0:1", "readable", (Change(1, "remove", "id", ids[:5]),))
    other = Sample("t:0:2", "readable", (Change(1, "add", "cio_id", ids[:1]),))
    assert tallied(add).requests(10) == 3
    assert tallied(add, back).requests(10) == 2 + 1
    assert tallied(add, back, other).requests(1000) == 3


def test_a_reason_counts_a_record_once_and_knows_the_first() -> None:
    twice = Sample(
        "t:0:0",
        "readable",
        (
            Change(1, "add", "id", (), ('""',), "an id is empty"),
            Change(2, "add", "id", (), ('""',), "an id is empty"),
        ),
    )
    (reason,) = tallied(twice, twice).reasons()
    assert (reason.outcome, reason.records, reason.first) == ("invalid id", 2, "t:0:0")
    assert tallied(twice, twice).invalid_ids == 4


@pytest.mark.parametrize(
    ("samples", "exit_code", "sentence"),
    [
        ([], NOT_ALL, "No record was found in audiences: `run` would wait for the first one."),
        (
            [ADDED],
            ALL,
            "`run` would work: it would read 1 record, and send 1 id in 1 request.",
        ),
        (
            [ADDED, LIST],
            ALL,
            "`run` would work: it would read all 2 records, and send 3 ids in 2 requests.",
        ),
        (
            [ADDED, IGNORED],
            ALL,
            "`run` would work: it would read 2 records, ignoring 1, and send 1 id in 1 request.",
        ),
        (
            [IGNORED, IGNORED],
            ALL,
            "`run` would deliver nothing: all 2 records would be ignored: no rule fits.",
        ),
        (
            [MALFORMED, IGNORED],
            NOT_ALL,
            (
                "`run` would deliver nothing: of 2 records 1 would be ignored, and none of the"
                ' others can be read: rule 1, id: nothing is at "userId".'
            ),
        ),
        (
            [NOBODY, MALFORMED],
            NOT_ALL,
            "`run` would deliver nothing: of 2 records none can be read: an id is empty.",
        ),
        (
            [ADDED, MALFORMED, PARTLY],
            NOT_ALL,
            (
                "`run` would deliver 2 ids in 1 request, and refuse 2 of 3 records, as a whole or"
                " in part."
            ),
        ),
        (
            [ADDED, WAITING],
            NOT_ALL,
            (
                "`run` would hold until the Schema Registry answers, before 1 of 2 records:"
                " its schema 7: http://r: connection refused."
            ),
        ),
    ],
)
def test_the_verdict_is_one_sentence(samples: list[Sample], exit_code: int, sentence: str) -> None:
    verdict = verdict_of(tallied(*samples), 1000, "audiences", has_trouble=False)
    assert (verdict.exit_code, verdict.sentence) == (exit_code, sentence)


def test_a_record_fits_if_an_id_of_it_would_be_delivered() -> None:
    assert [tallied(each).fit for each in (ADDED, PARTLY, NOBODY, IGNORED, MALFORMED)] == [
        1,
        1,
        0,
        0,
        0,
    ]


def test_that_there_is_nothing_yet_is_a_failure_unless_it_is_allowed() -> None:
    """`helm test` of a new deployment: its topics may be new, too."""
    codes = [
        verdict_of(tallied(*samples), 1000, "a", has_trouble=False, may_be_empty=True).exit_code
        for samples in ((), (ADDED,), (ADDED, MALFORMED))
    ]
    assert codes == [ALL, ALL, NOT_ALL]
    empty = verdict_of(tallied(), 1000, "a", has_trouble=False, may_be_empty=True)
    assert (empty.mark, empty.sentence) == (
        DOUBTFUL,
        "No record was found in a: `run` would wait for the first one.",
    )
    assert verdict_of(tallied(), 1000, "a", has_trouble=False).exit_code == NOT_ALL


def test_trouble_with_a_topic_is_no_success_whatever_else_was_read() -> None:
    assert verdict_of(tallied(ADDED), 1000, "a", has_trouble=True).exit_code == NOT_ALL
    nothing = verdict_of(tallied(), 1000, "a", has_trouble=True, may_be_empty=True)
    assert (nothing.exit_code, "wait until" in nothing.sentence) == (NOT_ALL, True)


def test_the_preset_that_most_of_what_is_not_read_looks_like_is_named() -> None:
    known = Sample("t:0:1", "ignored", (), "no rule fits", "looks like X: EVENT_MAPPING=debezium")

    def to_try(*samples: Sample) -> str:
        return verdict_of(tallied(*samples), 1000, "a", has_trouble=False).to_try

    assert to_try(known) == "looks like X: try --mapping debezium (EVENT_MAPPING=debezium)"
    assert to_try(known, IGNORED, IGNORED) == ""
    assert to_try(known, ADDED) == ""  # one that concerns nobody
    assert to_try(replace(known, outcome="malformed"), ADDED) == to_try(known)
    assert to_try(ADDED) == ""


# -- how it looks ---------------------------------------------------------------------------------


def test_columns_are_aligned_and_no_id_is_shown() -> None:
    assert table(SAMPLES) == (
        "  record              segment  change     ids\n"
        "  audiences:0:118          56  add        1 id\n"
        "  audiences:0:119           7  remove     2 emails\n"
        "  audiences:1:7            56  remove     1 id\n"
        "                   2147483647  add        1 id\n"
        "  audiences:1:8            56  add        1 id, 2 invalid (an id is empty)\n"
        '                            -  malformed  rule 2, id: nothing is at "userId"\n'
        "  audiences:1:9             -  ignored    no rule fits\n"
        '  audiences:1:10            -  malformed  rule 1, id: nothing is at "userId"'
    )


def test_ids_are_shown_if_they_are_asked_for() -> None:
    assert table([LIST, PARTLY], show_ids=True).splitlines()[1:3] == [
        "  audiences:0:119        7  remove     2 emails: a@x.org, b@x.org",
        '  audiences:1:8         56  add        1 id: bob, 2 invalid (an id is empty): "", {}',
    ]


def test_a_terminal_gets_no_commands_from_an_id() -> None:
    evil = Sample("t:0:0", "readable", (Change(1, "add", "id", ("a\x1b[2Jb\n",)),))
    assert "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}" in table([evil], show_ids=True)


def test_a_line_is_folded_under_its_column_where_the_terminal_is_narrow() -> None:
    lines = table([MALFORMED], width=66).splitlines()
    assert lines == [
        "  record          segment  change     ids",
        "  audiences:1:10        -  malformed  rule 1, id: nothing is at",
        '                                      "userId"',
    ]
    assert all(len(line) <= 66 for line in lines)


def test_a_terminal_that_is_narrower_gets_the_record_on_a_line_of_its_own() -> None:
    lines = table([ADDED, MALFORMED], width=44).splitlines()
    assert lines == [
        "  record",
        "  audiences:0:118",
        "      56 add 1 id",
        "  audiences:1:10",
        "      - malformed rule 1, id: nothing is at",
        '                  "userId"',
    ]


def test_changes_have_colours_that_take_no_room() -> None:
    without = table(SAMPLES).splitlines()
    for line, bare in zip(table(SAMPLES, paint=marked).splitlines(), without, strict=True):
        unmarked = line
        for colour in ("add", "green", "cyan", "red", "dim", "bold", "yellow"):
            unmarked = unmarked.replace(f"<{colour}>", "")
        assert unmarked.replace("</>", "") == bare
    assert "<green>add</>" in table(SAMPLES, paint=marked)
    assert "<cyan>remove</>" in table(SAMPLES, paint=marked)
    assert "<red>malformed</>  <red>rule 1" in table([MALFORMED], paint=marked)


def test_the_summary_is_by_segment_action_and_reason() -> None:
    assert summed(*SAMPLES) == (
        "\n"
        "     segment  change  records      ids  id type\n"
        "           7  remove        1        2  email\n"
        "          56  add           2        2  id\n"
        "          56  remove        1        1  id\n"
        "  2147483647  add           1        1  id\n"
        "\n"
        '           1  malformed   rule 2, id: nothing is at "userId" (first: audiences:1:8)\n'
        "           1  invalid id  an id is empty (first: audiences:1:8)\n"
        "           1  ignored     no rule fits (first: audiences:1:9)\n"
        '           1  malformed   rule 1, id: nothing is at "userId" (first: audiences:1:10)\n'
        "\n"
        "  ! `run` would deliver 6 ids in 4 requests, and refuse 2 of 6 records, as a whole or in"
        " part. (exit code 1)"
    )


def test_the_summary_of_a_narrow_terminal_is_folded() -> None:
    text = summed(*SAMPLES, width=60)
    assert all(len(line) <= 60 for line in text.splitlines())
    assert "\n    6 records, as a whole or in part. (exit code 1)" in text


def test_the_verdict_has_the_colour_of_its_mark() -> None:
    assert "<green>✓</> <bold>`run` would work" in summed(ADDED, paint=marked)
    assert "<yellow>!</>" in summed(IGNORED, paint=marked)
    assert "<red>✗</>" in summed(MALFORMED, paint=marked)


def test_only_the_most_frequent_reasons_are_shown() -> None:
    many = [Sample(f"t:0:{each}", "malformed", (), f"reason {each}") for each in range(13)]
    assert "  and 3 other reasons\n" in summed(*many)


def test_keys_that_the_table_of_segments_lacks_are_listed_the_most_frequent_first() -> None:
    churned = replace(IGNORED, unlisted=("churned", "new\x1b"))
    vip = replace(ADDED, unlisted=("vip", "churned"))
    assert (
        "\n\n  not in the table of segments:\n"
        "           2  churned\n"
        "           1  new\N{REPLACEMENT CHARACTER}\n"
        "           1  vip\n\n"
    ) in summed(churned, vip)
    many = replace(IGNORED, unlisted=tuple(f"key {each}" for each in range(23)))
    assert "  and 3 other keys\n" in summed(many)
    assert "not in the table" not in summed(*SAMPLES)
    verdict = verdict_of(tallied(churned), 1000, "audiences", has_trouble=False)
    found = json.loads(summary_line(tallied(churned, vip), verdict, [], 1000))["summary"]
    assert found["unlisted"][0] == {"key": "churned", "records": 2}


def test_programs_get_the_same_without_ids_unless_they_are_asked_for() -> None:
    line = json.loads(record_line(PARTLY, show_ids=False))
    assert line == {
        "record": "audiences:1:8",
        "outcome": "readable",
        "changes": [
            {
                "segment_id": 56,
                "action": "add",
                "id_type": "id",
                "ids": 1,
                "invalid_ids": 2,
                "why_invalid": "an id is empty",
            }
        ],
        "detail": 'rule 2, id: nothing is at "userId"',
    }
    (change,) = json.loads(record_line(PARTLY, show_ids=True))["changes"]
    assert (change["shown_ids"], change["shown_invalid_ids"]) == (["bob"], ['""', "{}"])
    verdict = verdict_of(tallied(*SAMPLES), 1000, "audiences", has_trouble=False)
    found = json.loads(summary_line(tallied(*SAMPLES), verdict, ["x"], 1000))["summary"]
    counted = ("read", "readable", "ignored", "malformed", "partly_refused", "waiting", "ids")
    assert [found[name] for name in counted] == [6, 3, 1, 1, 1, 0, 6]
    assert (found["requests"], found["exit_code"], found["troubles"]) == (4, 1, ["x"])
    assert found["changes"][0] == {
        "segment_id": 7,
        "id_type": "email",
        "action": "remove",
        "records": 1,
        "ids": 2,
    }


def test_the_bar_shows_how_far_it_is() -> None:
    assert bar.text_of("asking", 0, 0) == "  asking …"
    assert bar.text_of("reading", 1, 2) == f"  reading {'█' * 12}{'░' * 12} 1 of 2"
    assert bar.text_of("reading", 3000, 2000).startswith(f"  reading {'█' * 24} 3,000")


def test_there_is_no_bar_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bar, "FIRST_SECONDS", 0.0)
    stream = io.StringIO()
    shown = bar.Bar(stream)
    shown.show("reading", 1, 2)
    shown.clear()
    assert stream.getvalue() == ""


class Terminal(io.StringIO):
    """A stream that a person looks at."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_the_bar_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bar, "FIRST_SECONDS", 0.0)
    stream = Terminal()
    shown = bar.Bar(stream)
    shown.show("reading", 1, 2)
    shown.clear()
    shown.clear()
    assert stream.getvalue() == f"\r\x1b[K{bar.text_of('reading', 1, 2)}\r\x1b[K"


def test_what_ascii_lacks_has_a_stand_in() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Screen(stream, colours=False).line("✓ → … █░")
    assert raw.getvalue() == b"+ -> ... #.\n"


# -- the registry's silence -----------------------------------------------------------------------


def test_a_registry_that_fails_is_asked_no_more() -> None:
    asked: list[bytes] = []

    def fetch(prefix: bytes) -> Failed:
        asked.append(prefix)
        return Failed("refused")

    impatient = ImpatientFetch(fetch)
    assert impatient(b"\0\0\0\0\1") == impatient(b"\0\0\0\0\2") == Failed("refused")
    assert asked == [b"\0\0\0\0\1"]
    assert impatient.failures == {"its schema 1: refused", "its schema 2: refused"}


@pytest.mark.parametrize(
    "answer", [Failed("it can't be used: fastavro is missing"), NotThere("40403")]
)
def test_a_schema_that_is_of_no_use_is_nothing_against_the_others(
    answer: Failed | NotThere,
) -> None:
    asked: list[bytes] = []

    def fetch(prefix: bytes) -> Failed | NotThere:
        asked.append(prefix)
        return answer

    impatient = ImpatientFetch(fetch)
    impatient(b"\0\0\0\0\1")
    impatient(b"\0\0\0\0\2")
    assert len(asked) == 2


def test_a_registry_that_hangs_is_given_up() -> None:
    ours, its = os.pipe()

    def hang(_: bytes) -> Failed:
        os.read(ours, 1)
        return Failed("too late")

    try:
        found = ImpatientFetch(hang, patience_seconds=0.05)(b"\0\0\0\0\1")
        assert found == Failed("the registry did not answer in 0.05 s")
    finally:
        os.write(its, b"x")
        os.close(its)


# -- the command ----------------------------------------------------------------------------------

EVENTS = (
    b'{"segment_id": 56, "action": "add", "id": "ann"}\n'
    b"\r\n"
    b'{"segment_id": 57, "action": "remove", "ids": ["bob", "eve"]}\r\n'
)


def command(*arguments: str, **settings: object) -> tuple[int, str, str]:
    with Daemon(settings, arguments=("preview", *arguments)) as process:
        code = process.wait(PATIENCE_SECONDS)
        return code, process.output, process.errors


@pytest.fixture
def events(tmp_path: Path) -> Path:
    (tmp_path / "events.jsonl").write_bytes(EVENTS)
    return tmp_path / "events.jsonl"


def test_a_file_needs_no_settings_at_all(events: Path) -> None:
    code, output, errors = command("--from-file", str(events))
    assert (code, errors) == (ALL, "")
    assert output == (
        f"  {events}, read as events\n"
        "\n"
        "  record          segment  change     ids\n"
        "  events.jsonl:1       56  add        1 id\n"
        "  events.jsonl:3       57  remove     2 ids\n"
        "\n"
        "     segment  change  records      ids  id type\n"
        "          56  add           1        1  id\n"
        "          57  remove        1        2  id\n"
        "\n"
        "  ✓ `run` would work: it would read all 2 records, and send 3 ids in 2 requests."
        " (exit code 0)\n"
    )


def test_records_that_go_over_several_lines_are_known(tmp_path: Path) -> None:
    """So a sample looks that was copied from somebody's documentation."""
    spread = '{\n  "segment_id": 56,\n  "action": "add",\n  "id": "a"\n}\n'
    (tmp_path / "pretty.json").write_text(spread)
    code, output, _ = command("--from-file", str(tmp_path / "pretty.json"))
    assert code == NOT_ALL
    assert f"→ {SPREAD}" in output
    (tmp_path / "cut.json").write_text('{"segment_id": 56,\n"action": "add"}\n')
    assert SPREAD not in command("--from-file", str(tmp_path / "cut.json"))[1]


@pytest.mark.parametrize("path", ["$key", "$key.id", "$headers.id"])
def test_what_stands_beside_a_value_is_in_no_file(path: str, events: Path, tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(
        f'[[rule]]\nsegment_id = 56\naction = "add"\nid = {{ path = "{path}" }}\n'
    )
    code, output, _ = command("--from-file", str(events), "--mapping", str(tmp_path / "m.toml"))
    assert code == NOT_ALL
    assert f"→ {VALUES_ONLY}" in output


def test_standard_input_is_a_file(events: Path) -> None:
    with events.open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-m", "consumer", "preview", "--from-file", "-", "--json"],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            cwd=events.parent,
            stdin=file,
            capture_output=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (ALL, b"")
    places = [json.loads(line).get("record") for line in done.stdout.splitlines()]
    assert places == ["stdin:1", "stdin:3", None]


def test_a_mapping_of_the_command_line_counts_more_than_the_settings(events: Path) -> None:
    code, output, _ = command("--from-file", str(events), "--mapping", "maxwell", EVENT_MAPPING="x")
    assert code == ALL
    assert "all 2 records would be ignored: no rule fits" in output
    assert "→ these are events as they are: run without EVENT_MAPPING" in output


def test_what_is_to_be_put_into_the_table_of_segments_is_shown(tmp_path: Path) -> None:
    calls = [
        {"type": "track", "event": "Audience Entered", "properties": {"audience_key": key}}
        for key in ("vip", "churned", "churned")
    ]
    traits = {"type": "identify", "traits": {"vip": True, "new": False, "plan": "pro"}}
    lines = [json.dumps({**call, "userId": "u-1"}) for call in [*calls, traits, calls[0]]]
    (tmp_path / "calls.jsonl").write_text("\n".join(lines))
    code, output, _ = command(
        *("--from-file", str(tmp_path / "calls.jsonl"), "--mapping", "segment-engage"),
        EVENT_SEGMENTS='{"vip": 56}',
    )
    assert code == ALL
    shown = output.partition("not in the table of segments:")[2].partition("\n\n")[0]
    assert shown.split() == ["2", "churned", "1", "new"]


def test_the_topic_of_a_files_records_is_the_first_that_is_named(
    events: Path, tmp_path: Path
) -> None:
    (tmp_path / "m.toml").write_text(
        '[[rule]]\nwhen = { "$topic" = "b" }\nsegment_id = { path = "segment_id" }\n'
        'action = "add"\nid = "x"\n'
    )
    arguments = ("--from-file", str(events), "--mapping", str(tmp_path / "m.toml"))
    assert "would work" in command(*arguments, KAFKA_TOPICS="^a,b")[1]
    assert "ignored" in command(*arguments, KAFKA_TOPICS="a,b")[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "KAFKA_BOOTSTRAP_SERVERS: is missing"),
        (("--mapping", "nix", "--from-file", "-"), "--mapping: got 'nix': is no file"),
        (("--from-file", "/nix/da"), "--from-file: got '/nix/da': No such file"),
        (("--from-file", "/"), "--from-file: got '/': Is a directory"),
        (("--last", "0"), "accepts a whole number from 1"),
        (("--show-mapping", "nix"), "invalid choice"),
    ],
)
def test_what_is_wrong_ends_with_2_and_says_what(arguments: tuple[str, ...], words: str) -> None:
    code, output, errors = command(*arguments)
    assert (code, output) == (WRONG, "")
    assert words in errors
    assert "CUSTOMERIO" not in errors


@pytest.mark.parametrize("name", presets.NAMES)
def test_a_preset_is_shown_as_it_is(name: str) -> None:
    code, output, errors = command("--show-mapping", name)
    assert (code, errors) == (ALL, "")
    assert output == presets.text_of(name)


def test_nobody_reading_is_no_error(events: Path) -> None:
    events.write_bytes(EVENTS * 5000)
    with subprocess.Popen(
        [sys.executable, "-m", "consumer", "preview", "--from-file", str(events)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        cwd=events.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE_SECONDS) == ALL


def in_terminal(events: Path, **environment: str) -> str:
    ours, its = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "consumer", "preview", "--from-file", str(events)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
        cwd=events.parent,
        stdin=subprocess.DEVNULL,
        stdout=its,
        stderr=its,
    ) as process:
        os.close(its)
        output = b"".join(_until_closed(ours))
        assert process.wait(PATIENCE_SECONDS) == ALL, output.decode()
    return output.decode()


def _until_closed(terminal: int) -> Iterator[bytes]:
    try:
        while part := os.read(terminal, 65536):
            yield part
    except OSError:  # how Linux says that the other end is closed
        pass
    finally:
        os.close(terminal)


def test_a_terminal_gets_colours_unless_it_asks_for_none(events: Path) -> None:
    assert "\x1b[32madd\x1b[0m" in in_terminal(events, TERM="xterm")
    assert "\x1b" not in in_terminal(events, TERM="xterm", NO_COLOR="1")
    assert "\x1b" not in in_terminal(events, TERM="dumb")


def test_how_much_of_a_long_file_is_read_is_shown(
    events: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the output goes elsewhere, there is nothing else to see for a while."""
    monkeypatch.setattr(bar, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(bar, "EVERY_SECONDS", 0.0)
    events.write_bytes(EVENTS * 1000)
    choice = Choice(from_file=str(events))
    output, errors = io.StringIO(), Terminal()
    assert run(load(choice), choice, output, errors, colours=False) == ALL
    assert "  1,000 records read …" in errors.getvalue()
    assert "  2,000 records read …" in errors.getvalue()
    assert errors.getvalue().endswith("\r\x1b[K")
    assert "read …" not in output.getvalue()


def test_a_terminals_width_is_kept(events: Path) -> None:
    lines = in_terminal(events, NO_COLOR="1", COLUMNS="50").splitlines()
    assert max(len(line) for line in lines if str(events) not in line) <= 50
