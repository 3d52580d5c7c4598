"""The command ``demo``: needs nothing, shows itself, verifies everything, leaves nothing."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from consumer.commands.demo import verdict as demo_verdict
from consumer.commands.demo.engage_story import EngageStory
from consumer.commands.demo.feeder import TOPIC
from consumer.commands.demo.standin import Standin, StandinRequest
from consumer.commands.demo.story import DATA_DRIVEN_SEGMENT, EVENTS, Story
from consumer.commands.demo.verdict import Evidence, Finding, findings
from consumer.commands.demo.weather import Weather
from consumer.commands.screen import Screen
from consumer.core.decoder import EventDecoder
from consumer.core.events import Event, Malformed, Mixed
from consumer.core.mapping.mapping import Mapping
from consumer.core.mapping.reading import Changes, Ignored, Reading
from consumer.core.snapshot import snapshot_of
from consumer.core.tally import Tally
from consumer.engine.ports import Committed
from consumer.presets import text_of
from consumer.settings import Settings, load
from consumer.settings.sources import allows_colours
from tests.support.daemon import Daemon
from tests.support.mapped import NOTHING_BESIDE, mapping
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Mapping as AnyMapping

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 90
HOSTILE = {
    "KAFKA_BOOTSTRAP_SERVERS": "not even an address",
    "KAFKA_TOPICS": "^(",
    "BATCH_MAX_IDS": "0",
    "SECRETS_DIR": "/nowhere",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "HTTPS_PROXY": "http://127.0.0.1:1",
    "LOG_LEVEL": "nonsense",
}
"""Nothing of it is the demo's business."""

TAMPERED = """
import sys
from dataclasses import replace
from consumer import __main__
from consumer.commands.demo import standin

apply = standin.Memory.apply
seen = []

def forgetful(memory, request):
    if request.action == "add" and len(request.ids) > 1 and not seen:
        seen.append(request.ids[0])
        request = replace(request, ids=[id for id in request.ids if id != seen[0]])
    apply(memory, request)

standin.Memory.apply = forgetful
sys.exit(__main__.main(["demo", "--events", "1000"]))
"""


def play(*arguments: str, directory: Path, **environment: str) -> Daemon:
    return Daemon(environment, arguments=("demo", *arguments), directory=directory)


# -- the command -----------------------------------------------------------------------------------


@pytest.mark.long("sizes")
def test_it_verifies_a_hundred_thousand_events_in_less_than_a_minute(tmp_path: Path) -> None:
    with play(directory=tmp_path) as demo:
        assert demo.wait(60) == 0
        assert re.search(r"100,000 events with \d+,\d+ ids became", demo.output)
        assert len(re.findall(r"✓ ", demo.output)) == 6
        assert "✗" not in demo.output
        assert demo.errors == ""


def test_it_plays_with_records_that_a_mapping_reads(tmp_path: Path) -> None:
    with play("--events", "5000", "--mapping", "segment-engage", directory=tmp_path) as demo:
        assert demo.wait(PATIENCE_SECONDS) == 0
        assert "EVENT_MAPPING=segment-engage" in demo.output
        assert re.search(r"\d records concern no segment: ignored", demo.output)
        assert len(re.findall(r"✓ ", demo.output)) == 6
        assert demo.errors == ""


def test_it_uses_nothing_of_the_environment_and_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("KAFKA_TOPICS=^(\nBATCH_MAX_IDS=0\n")
    with play("--events", "1000", directory=tmp_path, TMPDIR=str(tmp_path), **HOSTILE) as demo:
        assert demo.wait(PATIENCE_SECONDS) == 0
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


def test_it_serves_the_daemons_page_metrics_and_status_where_it_says(tmp_path: Path) -> None:
    with play("--events", "1000", "--keep", directory=tmp_path) as demo:
        base = await_line(demo, r"page +http://([\d.:]+)/")
        for path in ("/", "/metrics", "/status", "/livez"):
            answer = subprocess.run(
                [sys.executable, "-c", FETCH, f"http://{base}{path}"], check=False
            )
            assert answer.returncode == 0, path


def test_with_nobody_who_reads_it_comes_to_its_end(tmp_path: Path) -> None:
    code = tmp_path / "code"
    arguments = [sys.executable, "-m", "consumer", "demo", "--events", "1000", "--keep"]
    ended = subprocess.run(
        ["/bin/sh", "-c", f'{{ "$@"; echo $? >{code}; }} | head -c 1', "sh", *arguments],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (code.read_text(), ended.stderr) == ("0\n", b"")


FETCH = "import sys, urllib.request as u; sys.exit(u.urlopen(sys.argv[1]).status != 200)"


def await_line(demo: Daemon, pattern: str) -> str:
    found = eventually(lambda: re.search(pattern, demo.output), PATIENCE_SECONDS, pattern)
    assert found is not None
    return found[1] if found.groups() else found[0]


def test_ctrl_c_ends_it_with_a_sentence(tmp_path: Path) -> None:
    with play(directory=tmp_path) as demo:
        await_line(demo, r"ids delivered")
        demo.interrupt()
        assert demo.wait(PATIENCE_SECONDS) == 1
        assert "Interrupted: nothing was verified" in demo.output
        assert demo.errors == ""
    assert list(tmp_path.iterdir()) == []


def test_with_keep_it_goes_on_until_ctrl_c_and_is_verified_then(tmp_path: Path) -> None:
    with play("--events", "1000", "--keep", directory=tmp_path) as demo:
        await_line(demo, r"\d,\d\d\d events read")
        demo.interrupt()
        assert demo.wait(PATIENCE_SECONDS) == 0
        assert int(re.findall(r"- ([\d,]+) events with", demo.output)[0].replace(",", "")) > 1000


@pytest.mark.parametrize(
    "options",
    [("--events", "999"), ("--events", "many"), ("--events", "1e6"), ("--events", ""), ("--fast",)],
)
def test_wrong_options_exit_2_and_say_what_is_accepted(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    with play(*options, directory=tmp_path) as demo:
        assert demo.wait(30) == 2
        assert demo.output == ""
        if len(options) > 1:
            assert f"got {options[1]!r}; accepts a whole number from 1000 to 5000000" in demo.errors
        assert "usage: segment-consumer" in demo.errors


def test_one_member_that_is_wrong_is_found_and_makes_it_fail(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", TAMPERED],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert re.search(r"✗ memberships +\S+ must be (in|out of) segment \d+", ended.stdout)
    assert "Not verified" in ended.stdout
    assert ended.stdout.count("✗") == 1


def test_on_a_terminal_it_has_colours(tmp_path: Path) -> None:
    output = in_terminal(tmp_path, TERM="xterm")
    assert "\x1b[32mEvery member is where the last event says" in output


def in_terminal(directory: Path, **environment: str) -> str:
    """Run a short demo with a terminal for its output; return what that got."""
    ours, its = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "consumer", "demo", "--events", "1000"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=its,
        stderr=its,
    ) as process:
        os.close(its)
        output = b"".join(until_closed(ours))
        assert process.wait(PATIENCE_SECONDS) == 0, output.decode()
    return output.decode()


def until_closed(terminal: int) -> "Iterator[bytes]":
    try:
        while part := os.read(terminal, 65536):
            yield part
    except OSError:  # how Linux says that the other end is closed
        pass
    finally:
        os.close(terminal)


# -- the story -------------------------------------------------------------------------------------


def told(
    events: int, more: int = 0, of: type[Story] = Story
) -> tuple[Story, list[tuple[bytes, bytes | None]]]:
    story = of(events)
    records = story.records()
    return story, [next(records) for _ in range(events + more)]


each_story = pytest.mark.parametrize("of", [Story, EngageStory])


@each_story
def test_the_same_seed_tells_the_same_story(of: type[Story]) -> None:
    assert told(1000, of=of)[1] == told(1000, of=of)[1]


def says(of: type[Story], value: bytes) -> Reading:
    """Return what a record says that the story tells, as the daemon reads it."""
    if of.mapping is None:
        found = EventDecoder("id").look_closely(value)
        return Changes((found,)) if isinstance(found, Mixed) else found
    return mapping_of(of.mapping).read(value, NOTHING_BESIDE)


@cache
def mapping_of(preset: str) -> Mapping:
    return mapping(text_of(preset), EngageStory.segments)


@each_story
def test_what_the_story_says_of_its_records_is_what_the_daemon_reads(of: type[Story]) -> None:
    story, records = told(20_000, more=10, of=of)
    malformed: Counter[bytes] = Counter()
    ids: Counter[str] = Counter()
    invalid = ignored = 0
    last: dict[tuple[int, str, str], bool] = {}
    for _, value in records:
        found = None if value is None else says(of, value)
        ignored += isinstance(found, Ignored)
        if isinstance(found, Malformed):
            assert value is not None
            malformed[value] += 1
        for change in changes_of(found):
            if isinstance(change, Mixed):
                invalid += len(change.invalid)
                ids[change.action] += len(change.invalid)
            event = change.event if isinstance(change, Mixed) else change
            if event is not None:
                names = names_of(event)
                ids[event.action] += len(names)
                for name in names:
                    lane = int(event.segment_id), str(event.id_type)
                    last[*lane, str(name)] = event.action == "add"
    assert story.told == len(records)
    assert (malformed, invalid, ids) == (story.malformed, story.invalid, story.ids)
    assert ignored == story.ignored
    assert story.tombstones == sum(value is None for _, value in records)
    known = {
        (*lane, name): is_in for lane, of in story.members.items() for name, is_in in of.items()
    }
    refused = {(segment_id, "id", name): True for segment_id, name in story.refused}
    assert last == known | refused


def changes_of(found: Reading | None) -> "Iterable[Event | Mixed]":
    """Return the changes of a record, in order."""
    match found:
        case Event():
            return [found]
        case Changes(changes, _):
            return changes
        case _:
            return []


def names_of(event: Event) -> list[str]:
    return event.ids if isinstance(event.ids, list) else [str(event.id)]


@each_story
def test_one_customer_of_one_segment_has_one_key(of: type[Story]) -> None:
    keys: dict[tuple[object, str], set[bytes]] = {}
    for key, value in told(20_000, of=of)[1]:
        for change in changes_of(None if value is None else says(of, value)):
            event = change.event if isinstance(change, Mixed) else change
            for name in [] if event is None else names_of(event):
                keys.setdefault((change.segment_id, str(name).lower()), set()).add(key)
    assert len(keys) > 1000
    assert all(len(each) == 1 for each in keys.values())


@pytest.mark.parametrize("events", [EVENTS[0], 5000])
@each_story
def test_even_the_shortest_story_has_everything_in_it(events: int, of: type[Story]) -> None:
    story, _ = told(events, of=of)
    assert bool(story.ignored) is (of.mapping is not None)
    assert story.unreadable
    assert story.invalid
    assert story.tombstones
    assert story.turns
    assert {segment_id == DATA_DRIVEN_SEGMENT for segment_id, _ in story.refused} == {True, False}
    assert not story._oddities  # noqa: SLF001 - all of them were told


def test_segments_calls_say_several_things_at_once() -> None:
    """Else nothing of a mapping's several changes would be seen in the demo."""
    _, records = told(5000, of=EngageStory)
    found = [says(EngageStory, value) for _, value in records if value is not None]
    assert sum(isinstance(each, Changes) and len(each.changes) > 2 for each in found) > 100


def test_the_weather_has_everything_in_it_even_if_it_is_short() -> None:
    weather = Weather(EVENTS[0])
    for number in range(200):
        segment_id = DATA_DRIVEN_SEGMENT if number % 10 == 0 else 1
        weather(StandinRequest(0.0, 1, "add", segment_id, "id", ["customer-1"]))
        if weather.report:  # as if the time of the outage had passed
            weather._bad_until = 0.0  # noqa: SLF001
    assert set(weather.seen) == {"down", "throttled", "refused", "answer lost", "applied late"}
    assert weather(StandinRequest(0.0, 1, "region")) is None


# -- the verdict -----------------------------------------------------------------------------------


class FakeSource:
    """A broker that has just what it is given: dead letters by reason, and committed offsets."""

    def __init__(
        self, dead_letters: "Iterable[tuple[str, bytes]]", offsets: "AnyMapping[int, int]"
    ) -> None:
        self._dead_letters = list(dead_letters)
        self._offsets = offsets

    def committed(
        self, partitions: "Iterable[tuple[str, int]]", _: float
    ) -> dict[tuple[str, int], Committed]:
        """Return the offsets; None where there is none."""
        return {name: Committed(self._offsets.get(name[1]), "") for name in partitions}

    def close(self) -> None:
        """Nothing is open."""


SETTINGS: Settings = load(
    {
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "KAFKA_TOPICS": TOPIC,
        "CUSTOMERIO_SITE_ID": "site",
        "CUSTOMERIO_API_KEY": "key",
    }
)


class Outcome:
    """A demo that went as it must; a test then spoils one thing."""

    def __init__(self) -> None:
        self.story, _ = told(EVENTS[0])
        self.api = Standin()  # never started: only its memory is used
        for (segment_id, id_type), members in self.story.members.items():
            for action, is_in in (("add", True), ("remove", False)):
                self.accept(
                    segment_id, action, [n for n, i in members.items() if i is is_in], id_type
                )
        refused = [
            ("rejected", event(segment_id, [name])) for segment_id, name in self.story.refused
        ]
        self.dead_letters = [("malformed", value) for value in self.story.malformed.elements()]
        self.dead_letters += [("invalid-id", event(47, [""] * self.story.invalid)), *refused]
        self.offsets = {0: 600, 1: 400}
        self.tally = Tally()
        self.count("records_total", "malformed", self.story.unreadable)
        self.count("records_total", "tombstone", self.story.tombstones)
        rest = self.story.told - self.story.unreadable - self.story.tombstones
        self.count("records_total", "accepted", rest)
        for action, number in self.story.ids.items():
            self.tally.add("ids_received_total", action, n=number)
            self.tally.add("ids_total", action, "delivered", n=number)
        self.count("dead_letters_total", "rejected", len(self.dead_letters))

    def count(self, metric: str, label: str, number: int) -> None:
        """Let the daemon have counted more."""
        self.tally.add(metric, label, n=number)

    def accept(self, segment_id: int, action: str, ids: list[str], id_type: str = "id") -> None:
        """Let the API have accepted a request."""
        self.api.apply(StandinRequest(0.0, 1, action, segment_id, id_type, ids))

    def findings(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Finding]:
        """Return what is found, by subject."""
        source = FakeSource(self.dead_letters, self.offsets)
        monkeypatch.setattr(demo_verdict, "Member", lambda _: source)
        monkeypatch.setattr(demo_verdict, "_read", lambda *_: self.dead_letters)
        evidence = Evidence(
            story=self.story,
            ends={0: 600, 1: 400},
            topic=TOPIC,
            snapshot=snapshot_of(self.tally.freeze(), {}, {}, ()),
            api=self.api,
            settings=SETTINGS,
        )
        return {finding.subject: finding for finding in findings(evidence)}


def event(segment_id: int, ids: list[str]) -> bytes:
    return json.dumps({"segment_id": segment_id, "action": "add", "ids": ids}).encode()


def wrong(found: "AnyMapping[str, Finding]") -> dict[str, str]:
    return {subject: each.text for subject, each in found.items() if not each.is_right}


def test_an_outcome_as_the_story_says_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Outcome().findings(monkeypatch)
    assert wrong(found) == {}
    assert list(found) == ["memberships", "accounts", "requests", "dead letters", "offsets"]


def test_a_member_too_many_or_too_few_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Outcome()
    members = outcome.story.members[1, "id"]
    name = next(name for name, is_in in members.items() if is_in)
    outcome.accept(2, "add", ["a stranger"])
    outcome.accept(1, "remove", [name])
    found = wrong(outcome.findings(monkeypatch))
    assert list(found) == ["memberships"]
    assert set(found["memberships"].split("; ")) == {
        "a stranger must be out of segment 2",
        f"{name} must be in segment 1",
    }


def test_a_segment_that_nobody_asked_for_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Outcome()
    outcome.accept(DATA_DRIVEN_SEGMENT, "add", ["customer-0"])
    outcome.accept(99, "remove", ["customer-0"])
    assert wrong(outcome.findings(monkeypatch)) == {
        "memberships": "segment 51 must not have been changed at all;"
        " segment 99 must not have been changed at all"
    }


def test_ids_that_went_nowhere_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Outcome()
    outcome.count("records_total", "accepted", 1)
    outcome.tally.add("ids_received_total", "add", n=2)
    outcome.tally.add("offset_resets_total", TOPIC)
    text = wrong(outcome.findings(monkeypatch))["accounts"]
    records, added = outcome.story.told, outcome.story.ids["add"]
    assert text == (
        f"ids to add: {added + 2:,} instead of {added:,}; records: {records + 1:,} instead of"
        f" {records:,}; offsets missed: 1 instead of 0; and 1 more"
    )


def test_an_id_twice_in_a_request_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Outcome()
    members = outcome.story.members[1, "id"]
    name = next(name for name, is_in in members.items() if is_in)
    outcome.accept(1, "add", [name, name])
    assert list(wrong(outcome.findings(monkeypatch))) == ["requests"]


def test_dead_letters_that_are_missing_or_changed_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outcome = Outcome()
    outcome.dead_letters[0] = ("malformed", b"something else")
    outcome.dead_letters.pop()
    outcome.dead_letters[outcome.story.unreadable] = ("invalid-id", event(47, [""]))
    text = wrong(outcome.findings(monkeypatch))["dead letters"]
    assert "byte for byte" in text
    assert f"1 invalid ids instead of {outcome.story.invalid}" in text
    assert "once each" in text
    assert "and 1 more" in text


def test_offsets_that_are_not_committed_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Outcome()
    outcome.offsets = {0: 599}
    assert wrong(outcome.findings(monkeypatch)) == {
        "offsets": "partition 0: 599 instead of 600; partition 1: None instead of 400"
    }


# -- the screen ------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_a_pipe_can_show_depends_on_its_encoding(encoding: str) -> None:
    shown = io.BytesIO()
    screen = Screen(io.TextIOWrapper(shown, encoding=encoding), colours=True)
    screen.line("✓ yes, ✗ no")
    expected = "✓ yes, ✗ no\n" if encoding == "utf-8" else "+ yes, x no\n"
    assert shown.getvalue().decode() == expected


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


@pytest.mark.parametrize(
    ("environment", "has_colours"),
    [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_whether_a_terminal_gets_colours_depends_on_its_environment(
    environment: dict[str, str], *, has_colours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    screen = Screen(Terminal(), colours=allows_colours())
    assert screen.paint("yes", "green") == ("\x1b[32myes\x1b[0m" if has_colours else "yes")
